"""Files of triangles: OBJ, STL, PLY, GLB and glTF, read by trimesh (extra ``mjxhuman[scenes]``)."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.data.detect import text_of
from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.source import Source
from mjxhuman.data.text import decode
from mjxhuman.options import UNITS
from mjxhuman.runs import optional
from mjxhuman.scenes.reading import licences
from mjxhuman.scenes.reading.shapes import Contents, Item, Shape

#: Bytes: ten million faces as text. Beyond are scans of buildings.
MOST_BYTES = 1 << 30
MOST_FACES = 5_000_000
SUFFIXES = (".obj", ".stl", ".ply", ".glb", ".gltf")

#: What belongs together stays so: an OBJ's objects apart, the primitives (materials) of a glTF's mesh as one.
_OPTIONS: dict[str, dict[str, bool]] = {
    "obj": {"split_objects": True}, "glb": {"merge_primitives": True}, "gltf": {"merge_primitives": True},
}  # fmt: skip
_NUMBER = rb"[ \t]+[-+]?(\d|\.\d|nan|inf)"
_WORDS = {
    "m": "metres?|meters?|m", "cm": "centimet(?:re|er)s?|cm", "mm": "millimet(?:re|er)s?|mm", "inch": "inch(?:es)?|in",
}  # fmt: skip


def is_glb(source: Source) -> bool:
    """Whether a file is binary glTF."""
    return source.head[:4] == b"glTF"


def is_gltf(source: Source) -> bool:
    """Whether a file is glTF as JSON."""
    text = text_of(source)
    return text.startswith("{") and '"asset"' in text and ('"meshes"' in text or source.path.suffix.lower() == ".gltf")


def is_ply(source: Source) -> bool:
    """Whether a file is a PLY."""
    return re.match(rb"ply\s", source.head) is not None


def is_stl(source: Source) -> bool:
    """Whether a file is an STL: facets as text, or as many bytes as its binary header says, or by its suffix."""
    head = source.head
    if re.match(rb"\s*solid\b", head) and re.search(rb"\bfacet\s+normal\b", head):
        return True
    if len(head) >= 84 and source.path.stat().st_size == 84 + 50 * struct.unpack("<I", head[80:84])[0]:
        return True
    return source.path.suffix.lower() == ".stl"


def is_obj(source: Source) -> bool:
    """Whether a file has the vertices of an OBJ among its first lines."""
    return re.search(rb"(?m)^[ \t]*v" + _NUMBER, source.head.lower()) is not None and b"\0" not in source.head[:1024]


def read_obj(source: Source) -> Contents:
    """An OBJ; its comments may say unit and up axis."""
    said = "\n".join(re.findall(r"(?m)^\s*#(.*)$", decode(source.head)))
    return _commented(source, "obj", said)


def read_ply(source: Source) -> Contents:
    """A PLY; its comments may say unit and up axis."""
    header = decode(source.head.partition(b"end_header")[0])
    said = "\n".join(re.findall(r"(?m)^(?:comment|obj_info)(.*)$", header))
    return _commented(source, "ply", said)


def read_stl(source: Source) -> Contents:
    """An STL; as text, its name may say unit and up axis."""
    said = decode(source.head.partition(b"\n")[0]) if source.head.lstrip().startswith(b"solid") else ""
    return _commented(source, "stl", said)


def read_glb(source: Source) -> Contents:
    """A binary glTF: its format has y up and metres."""
    return Contents((_item(source, "glb"),), "y", 1.0, licences.of_gltf(source))


def read_gltf(source: Source) -> Contents:
    """A glTF in JSON, with the buffers it names beside it."""
    return Contents((_item(source, "gltf"),), "y", 1.0, licences.of_gltf(source))


READERS = {".obj": read_obj, ".stl": read_stl, ".ply": read_ply, ".glb": read_glb, ".gltf": read_gltf}


def _commented(source: Source, kind: str, said: str) -> Contents:
    """A file of triangles whose comments are ``said``."""
    return Contents((_item(source, kind),), _up_in(said), _unit_in(said), licences.named_in(said))


def _up_in(text: str) -> str | None:
    found = {axis.lower() for axis in re.findall(r"\b([xyz])[ -_]?(?:axis[ -]?)?(?:is[ -])?up\b", text, re.IGNORECASE)}
    found |= {axis.lower() for axis in re.findall(r"\bup(?:[ -_]?axis)?\s*[:=]\s*([xyz])\b", text, re.IGNORECASE)}
    return found.pop() if len(found) == 1 else None


def _unit_in(text: str) -> float | None:
    """The one unit that a comment names: as a word of its own ("millimetres"), or behind "unit"."""
    found = set()
    for unit, words in _WORDS.items():
        long = "|".join(word for word in words.split("|") if len(word) > 2)
        named = rf"\b(?:{long})\b" if unit != "inch" else r"\binches\b"
        if re.search(named, text, re.IGNORECASE) or re.search(
            rf"\bunits?(?:\s+is|\s+are)?\s*[:=]?\s*(?:{words})\b", text, re.IGNORECASE
        ):
            found.add(unit)
    return UNITS[found.pop()] if len(found) == 1 else None


def _item(source: Source, kind: str) -> Item:
    return Item(source.path.stem, tuple(read_shapes(source, kind)))


def read_shapes(source: Source, kind: str) -> list[Shape]:
    """The shapes of a file of triangles, placed as its own scene graph says.

    Args:
      source: the file.
      kind: "obj", "stl", "ply", "glb" or "gltf".

    Raises:
      ModuleNotFoundError: trimesh is not installed.
      MotionFileError: a file that cannot be read, or without faces.
    """
    trimesh = optional("trimesh", "scenes", "reading meshes")
    size = source.path.stat().st_size
    if size > MOST_BYTES:
        raise source.error("file", f"{size >> 20} MiB", f"a mesh of at most {MOST_BYTES >> 20} MiB")
    data = source.path.read_bytes()
    _check_counts(source, kind, data)
    try:
        with _quiet():
            scene = trimesh.load_scene(
                io.BytesIO(data), file_type=kind, resolver=_beside(source, trimesh), process=False,
                skip_materials=True, **_OPTIONS.get(kind, {}),
            )  # fmt: skip
            geometries = scene.dump(concatenate=False)
    except MotionFileError:
        raise
    except Exception as error:  # whatever the parsers of five formats raise
        raise source.error("file", f"content that cannot be read ({_reason(error)})", f"a whole .{kind} file") from None
    meshes = [geometry for geometry in geometries if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces)]
    shapes = [_shape(source, mesh) for mesh in meshes]
    if not shapes:
        kinds = {type(geometry).__name__ for geometry in geometries}
        found = f"only {', '.join(sorted(kinds))}" if kinds - {"Trimesh"} else "none"
        raise source.error("faces", found, "triangles of a mesh")
    count = sum(len(shape.faces) for shape in shapes)
    if count > MOST_FACES:
        raise source.error("faces", count, f"at most {MOST_FACES}")
    return shapes


def _shape(source: Source, geometry: Any) -> Shape:
    name = str(geometry.metadata.get("name") or source.path.stem)
    vertices, faces = np.asarray(geometry.vertices, np.float64), np.asarray(geometry.faces)
    for field, array in (("vertices", vertices), ("faces", faces)):
        if array.ndim != 2 or array.shape[1] != 3:
            raise source.error(field, f"shape {array.shape}", "three numbers each")
    return Shape(source.path.stem if name == "geometry" else name, vertices, faces)


def _check_counts(source: Source, kind: str, data: bytes) -> None:
    """Raise where a header promises more than the file holds: memory for it would be taken."""
    if kind == "stl" and not data.lstrip().startswith(b"solid"):
        count = struct.unpack("<I", data[80:84])[0] if len(data) >= 84 else 0
        if not count or len(data) < 84 + 50 * count:
            found = f"{max(len(data) - 84, 0) // 50} faces"
            raise source.error("faces", found, f"{count} as the header says" if count else "an STL of at least one")
    if kind == "ply":
        header, end, _ = data[: 1 << 16].partition(b"end_header")
        if not end:
            raise source.error("header", "no end_header", "the header of a PLY")
        most = len(data) - len(header)
        for name, count in re.findall(rb"(?m)^element\s+(\w+)\s+(\d+)", header):
            if int(count) > most:
                raise source.error(decode(name), f"{most} bytes", f"{int(count)} of them as the header says")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings and log lines of parsers: what they mean for us is found out by checks of our own."""
    log, nowhere = logging.getLogger("trimesh"), logging.NullHandler()
    before = log.propagate
    log.addHandler(nowhere)
    log.propagate = False
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.removeHandler(nowhere)
        log.propagate = before


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:120] if text else type(error).__name__


def _beside(source: Source, trimesh: Any) -> Any:
    """What lets trimesh read the buffers that a glTF names: files of its own folder and below, nothing else."""
    folder = source.path.parent.resolve()

    class Beside(trimesh.resolvers.Resolver):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            pass

        def get(self, name: str) -> bytes:
            path = (folder / Path(name.strip())).resolve()
            if not path.is_relative_to(folder) or not path.is_file():
                raise source.error("buffer", repr(name), f"a file in {folder}")
            if path.stat().st_size > MOST_BYTES:
                raise source.error("buffer", f"{name!r} of {path.stat().st_size >> 20} MiB", "less")
            return path.read_bytes()

        def write(self, name: str, data: Any) -> None:
            raise source.error("file", "something to write", "something to read")

        def keys(self) -> list[str]:
            return []

        def namespaced(self, namespace: str) -> Any:
            return self

    return Beside()
