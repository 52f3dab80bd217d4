"""The formats of furniture that are read, each with how it is recognised by content: a registry that others add to.

    from mjxhuman.scenes.reading.formats import SceneFormat, register_scene_format
    register_scene_format(SceneFormat("mine", (".mine",), sniff=is_mine, read=read_mine, holds="what it holds"))

A reader takes the ``Source`` and returns ``Contents``, in the file's own axes and unit, or a whole ``Scene``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

from mjxhuman.data import detect
from mjxhuman.data.arrays import NpzFile
from mjxhuman.data.source import Source
from mjxhuman.data.text import decode
from mjxhuman.scenes.objects import kind_of
from mjxhuman.scenes.reading import licences, mesh_files
from mjxhuman.scenes.reading.mjcf import is_mjcf, read_mjcf
from mjxhuman.scenes.reading.scene_npz import is_scene, read_scene
from mjxhuman.scenes.reading.shapes import Contents, Item
from mjxhuman.scenes.reading.urdf import is_urdf, read_urdf
from mjxhuman.scenes.reading.xml_files import root_tag
from mjxhuman.scenes.types import Scene


@dataclasses.dataclass(frozen=True)
class SceneFormat:
    """One format of files of furniture."""

    name: str
    suffixes: tuple[str, ...]  # that its files usually have
    sniff: Callable[[Source], bool]  # whether a file's content is of this format
    read: Callable[[Source], Contents | Scene]  # raises MotionFileError (``source.error``)
    holds: str  # for people


#: That no file of a motion has.
_SUFFIXES = (*mesh_files.SUFFIXES, ".urdf")

_FORMATS: list[SceneFormat] = [
    SceneFormat("mjxhuman scene", (".npz",), is_scene, read_scene, "this project's own: objects, pieces and poses"),
    SceneFormat("GLB", (".glb",), mesh_files.is_glb, mesh_files.read_glb, "triangles; y up, metres"),
    SceneFormat("PLY", (".ply",), mesh_files.is_ply, mesh_files.read_ply, "triangles; up and unit are found"),
    SceneFormat("URDF", (".urdf", ".xml"), is_urdf, read_urdf, "links of one object; z up, metres"),
    SceneFormat("MJCF", (".xml", ".mjcf"), is_mjcf, read_mjcf, "bodies with geoms, each an object; z up, metres"),
    SceneFormat("glTF", (".gltf",), mesh_files.is_gltf, mesh_files.read_gltf, "triangles; y up, metres"),
    SceneFormat("STL", (".stl",), mesh_files.is_stl, mesh_files.read_stl, "triangles; up and unit are found"),
    SceneFormat("OBJ", (".obj",), mesh_files.is_obj, mesh_files.read_obj, "triangles; up and unit are found"),
]


def register_scene_format(fmt: SceneFormat) -> None:
    """Add a format of your own. It is asked for before the built-in ones.

    Raises:
        ValueError: the name is taken.
    """
    if any(known.name == fmt.name for known in _FORMATS):
        raise ValueError(f"format {fmt.name!r}: the name is taken")
    _FORMATS.insert(0, fmt)


def scene_formats() -> tuple[SceneFormat, ...]:
    """All formats, in the order they are asked for."""
    return tuple(_FORMATS)


def is_furniture(source: Source) -> bool:
    """Whether a file is of one of these formats, or by its suffix is to be, or a folder has a file that is."""
    if not source.path.is_dir():
        return any(fmt.sniff(source) for fmt in _FORMATS) or source.path.suffix.lower() in _SUFFIXES
    return any(path.suffix.lower() in (*_SUFFIXES, ".xml") for path in source.path.iterdir())


def read_contents(source: Source) -> tuple[str, Contents | Scene]:
    """The name of the format of a file or folder, and what it holds.

    Raises:
      FileNotFoundError: no such file.
      MotionFileError: no furniture.
    """
    source.require_file()
    if source.path.is_dir():
        return _folder(source)
    fmt = _format_of(source)
    found = fmt.read(source)
    if isinstance(found, Contents) and not found.licence:
        found = dataclasses.replace(found, licence=licences.beside(source))
    return fmt.name, found


def _format_of(source: Source) -> SceneFormat:
    if not source.head.strip():
        raise source.error("file", f"{source.path.stat().st_size} bytes, nothing in it", "furniture")
    found = next((fmt for fmt in _FORMATS if fmt.sniff(source)), None)
    if found is None and detect.is_npz(source):
        arrays = ", ".join(list(NpzFile(source))[:8]) or "none"
        raise source.error("arrays", arrays, "those of a scene (mjxhuman.scenes.save_scene)")
    if found is None:
        binary = re.search(rb"[\x00-\x08\x0e-\x1f\x7f-\xff]", source.head[:40])
        shown = "binary data" if binary else repr(decode(source.head[:40]))
        known = ", ".join(fmt.name for fmt in _FORMATS)
        raise source.error("file", f"content of no known format: {shown}", f"one of {known}")
    if source.path.suffix.lower() not in found.suffixes:
        source.note(f"the content is {found.name}, whatever the suffix {source.path.suffix!r} says")
    return found


def _folder(source: Source) -> tuple[str, Contents | Scene]:
    """The model of a folder that holds one; else all its meshes, as parts of one object."""
    files = sorted(path for path in source.path.iterdir() if path.is_file())
    models = [path for path in files if path.suffix.lower() in (".urdf", ".xml", ".mjcf")]
    whole = [path for path in models if root_tag(Source(path)) in ("robot", "mujoco")]
    models = whole or [path for path in models if _has_body(path)]
    if len(models) > 1:
        raise source.error("folder", f"models {', '.join(path.name for path in models[:5])}", "one, or name the file")
    if models:
        source.note(f"read from {models[0].name}")
        return _within(source, models[0])
    meshes = [path for path in files if path.suffix.lower() in mesh_files.SUFFIXES]
    if not meshes:
        raise source.error(
            "folder", f"{len(files)} files", f"a URDF, an MJCF, or meshes ({', '.join(mesh_files.SUFFIXES)})"
        )
    kinds = {kind for path in meshes if (kind := kind_of(path.stem))}
    if len(kinds) > 1:
        raise source.error("folder", f"a {' and a '.join(sorted(kinds))}", "parts of one object, or name the file")
    found = [_within(source, path)[1] for path in meshes]
    contents = [each for each in found if isinstance(each, Contents)]
    ups, units = {each.up for each in contents} - {None}, {each.unit for each in contents} - {None}
    for field, values, flag in (("up axis", ups, "up"), ("length unit", units, "unit")):
        if len(values) > 1:
            said = ", ".join(map(str, sorted(values)))  # type: ignore[type-var]
            raise source.error(field, said, f"one for all parts, or the argument {flag}=")
    shapes = tuple(shape for each in contents for item in each.items for shape in item.shapes)
    source.note(f"{len(meshes)} files of one object")
    item = Item(source.path.resolve().name, shapes)
    licences = " and ".join(sorted({each.licence for each in contents if each.licence}))
    return "folder of meshes", Contents((item,), next(iter(ups), None), next(iter(units), None), licences)


def _within(source: Source, path: Path) -> tuple[str, Contents | Scene]:
    """What a file of a folder holds; what it notes is noted for the folder."""
    inner = Source(path, source.options)
    found = read_contents(inner)
    for sentence in inner.sentences:
        source.note(sentence)
    return found


def _has_body(path: Path) -> bool:
    file = Source(path)
    return root_tag(file) == "mujocoinclude" and b"<body" in file.head
