"""The project's own file of a scene: an .npz of plain arrays, with everything that was found out about its objects.

Entries: ``format`` ("mjxhuman-scene"), ``version``, ``poses (*b, O, 7)``, ``about`` (JSON: what is text), and for
object i the arrays of ``SceneObject`` as ``object<i>_<name>``. Metres, z up, quaternions wxyz.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.data import detect
from mjxhuman.data.arrays import NpzFile
from mjxhuman.data.source import Source
from mjxhuman.runs.files import atomic_write
from mjxhuman.scenes.surface import Plane
from mjxhuman.scenes.types import Mesh, Parts, Scene, SceneObject
from mjxhuman.types import Provenance

FORMAT, VERSION = "mjxhuman-scene", 1

#: Arrays of an object by name -> shape; letters stand for sizes that must agree.
_SHAPES: dict[str, tuple[str | int, ...]] = {
    "mesh_vertices": ("N", 3), "mesh_faces": ("M", 3), "parts_vertices": ("K", "V", 3), "parts_planes": ("K", "F", 4),
    "parts_mask": ("K",), "points": ("P", 3), "normals": ("P", 3), "mass": (), "com": (3,), "inertia": (3, 3),
    "friction": (),
}  # fmt: skip
_TEXT = ("name", "kind", "free", "unfit")


def save_scene(path: str | os.PathLike[str], scene: Scene) -> Path:
    """Write a scene; a kill leaves the old file or the new one.

    Raises:
      ValueError: no object, poses of another number, or a floor that is not level at z = 0.
    """
    poses = np.asarray(scene.poses, np.float64)
    if not scene.objects or poses.shape[-2:] != (len(scene.objects), 7):
        raise ValueError(f"save_scene: poses: expected (*b, {len(scene.objects)}, 7), found {poses.shape}")
    if scene.floor != Plane():
        raise ValueError(f"save_scene: floor: expected the level one at z = 0, found {scene.floor!r}")
    about = {
        "objects": [
            {name: getattr(o, name) for name in _TEXT} | {"provenance": dataclasses.asdict(o.provenance)}
            for o in scene.objects
        ],
        "provenance": dataclasses.asdict(scene.provenance),
    }
    entries = {"format": np.array(FORMAT), "version": np.array(VERSION), "poses": poses}
    entries["about"] = np.array(json.dumps(about))
    for i, o in enumerate(scene.objects):
        for name in _SHAPES:
            holder, _, field = name.partition("_")
            value = getattr(getattr(o, holder), field) if field else getattr(o, name)
            entries[f"object{i}_{name}"] = np.asarray(value)
    with atomic_write(path, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **entries)
    return Path(path)


def is_scene(source: Source) -> bool:
    """Whether a file says that it holds a scene."""
    if not detect.is_npz(source):
        return False
    arrays = NpzFile(source)
    return "format" in arrays and arrays["format"].dtype.kind in "US" and arrays.text("format") == FORMAT


def read_scene(source: Source) -> Scene:
    """Read what ``save_scene`` wrote.

    Raises:
      MotionFileError: another version, entries missing or of another shape, numbers that are not finite.
    """
    arrays = NpzFile(source)
    version = arrays.number(("version",))
    if version != VERSION:
        raise source.error("version", version, f"{VERSION}: this release reads no other")
    if missing := [name for name in ("poses", "about") if name not in arrays]:
        raise source.error("entries", f"no {', '.join(missing)}", "those of a scene")
    try:
        about = json.loads(arrays.text("about"))
        objects = tuple(_object(source, arrays, i, facts) for i, facts in enumerate(about["objects"]))
        provenance = _provenance(about["provenance"])
    except (TypeError, KeyError, RecursionError, json.JSONDecodeError, AttributeError) as error:
        raise source.error(
            "about", f"not what a scene says ({type(error).__name__}: {error})", "JSON of a scene"
        ) from None
    poses = arrays.numbers("poses")
    if not objects or poses.shape[-2:] != (len(objects), 7) or not np.isfinite(poses).all():
        raise source.error("poses", f"shape {poses.shape}, or numbers that are not finite", f"(*b, {len(objects)}, 7)")
    if (np.abs(np.linalg.norm(poses[..., 3:], axis=-1) - 1) > 1e-3).any():
        raise source.error("poses", "quaternions of another length", "unit quaternions wxyz")
    return Scene(objects=objects, poses=poses, provenance=provenance)


def _object(source: Source, arrays: NpzFile, i: int, facts: dict[str, Any]) -> SceneObject:
    sizes: dict[str, int] = {}
    values = {}
    for name, shape in _SHAPES.items():
        key = f"object{i}_{name}"
        if key not in arrays:
            raise source.error("entries", f"no {key}", "those of a scene")
        value = arrays.numbers(key)
        expected = tuple(sizes.get(n, "any") if isinstance(n, str) else n for n in shape)
        fits = len(value.shape) == len(expected) and all(
            size > 0 and wanted in ("any", size) for size, wanted in zip(value.shape, expected, strict=True)
        )
        if not fits or not np.isfinite(value).all():
            raise source.error(key, f"shape {value.shape}, or numbers that are not finite", f"finite {expected}")
        sizes |= {n: size for n, size in zip(shape, value.shape, strict=True) if isinstance(n, str)}
        values[name] = value
    faces = values["mesh_faces"].astype(np.int64)
    if faces.min() < 0 or faces.max() >= sizes["N"]:
        raise source.error(f"object{i}_mesh_faces", f"vertex {faces.max()}", f"0 to {sizes['N'] - 1}")
    if not (values["parts_mask"] > 0).any():
        raise source.error(f"object{i}_parts_mask", "no piece", "one or more")
    text: dict[str, Any] = {name: str(facts[name]) for name in ("name", "kind", "unfit")}
    return SceneObject(
        mesh=Mesh(values["mesh_vertices"], faces),
        parts=Parts(values["parts_vertices"], values["parts_planes"], values["parts_mask"] > 0),
        **{name: values[name] for name in ("points", "normals", "mass", "com", "inertia", "friction")},
        **text,
        free=bool(facts["free"]),
        provenance=_provenance(facts["provenance"]),
    )


def _provenance(facts: dict[str, Any]) -> Provenance:
    names = {field.name for field in dataclasses.fields(Provenance)}
    return Provenance().with_(**{k: tuple(v) if isinstance(v, list) else v for k, v in facts.items() if k in names})
