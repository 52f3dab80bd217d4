"""``load_scene``: furniture from files as objects that can be simulated."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from mjxhuman.data.source import Source
from mjxhuman.options import FileOptions
from mjxhuman.scenes.convex import pack
from mjxhuman.scenes.formats import read_contents
from mjxhuman.scenes.hulls import hull_corners, with_corners
from mjxhuman.scenes.mesh import components
from mjxhuman.scenes.objects import kind_of, make_object
from mjxhuman.scenes.repair import repair
from mjxhuman.scenes.shapes import Contents, Item
from mjxhuman.scenes.types import Mesh, Parts, Scene, SceneObject
from mjxhuman.scenes.upright import orient

#: m; a shift to the floor that is not worth a sentence.
_SAID = 1e-4


def load_scene(
    path: str | os.PathLike[str],
    *,
    up: str | None = None,
    unit: str | float | None = None,
    parts: str | os.PathLike[str] | None = None,
    seed: int = 0,
    mass: float | None = None,
    kind: str | None = None,
) -> Scene:
    """The furniture of a file: OBJ, STL, PLY, GLB, glTF, URDF, MJCF, ``.npz``, or a folder of parts of one object.

    What the file leaves open (up axis, unit) is found where only one reading is furniture, else asked for; what was
    assumed or repaired stands in ``scene.provenance.conventions``. A single object stands at the origin, objects of one
    file as they do there; the lowest point is on the floor.

    Args:
      path: the file or folder.
      up: its up axis, "x" to "-z".
      unit: its length unit, "m", "cm", "mm", "inch" or metres per unit.
      parts: file or folder with convex pieces of the object, in its frame and unit: each component is one. None: they
        are computed, which takes seconds to minutes for shapes that are not convex.
      seed: of what is sampled and searched.
      mass: kg of each object; None: the file's, else what its kind weighs (``objects.KINDS``).
      kind: of furniture ("chair", "stool", "bench", "sofa", "table", "steps"); None: as its name says.

    Raises:
      FileNotFoundError: no such file.
      ModuleNotFoundError: a package of the extra "scenes" is missing.
      MotionFileError: a file that holds no furniture, or several readings of it (names file, field, found, expected).
      ValueError: an argument.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed: expected a whole number of 0 or more, found {seed!r}")
    source = Source(path, FileOptions(up=up, unit=unit))
    name, found = read_contents(source)
    if isinstance(found, Scene):
        return found
    if parts is not None and len(found.items) > 1:
        raise source.error("parts", f"{len(found.items)} objects", "one object where its pieces are given")
    meshes = [repair(source, item.shapes) for item in found.items]
    kinds = [_kind(source, item, kind) for item in found.items]
    largest = int(np.argmax([np.ptp(mesh.vertices, axis=0).max() for mesh in meshes]))
    rotation, metres = orient(source, meshes[largest], kinds[largest], found.up, found.unit)
    meshes = [Mesh(mesh.vertices @ (metres * rotation.T), mesh.faces) for mesh in meshes]
    origins = np.array([_origin(mesh) for mesh in meshes])
    floor = float(origins[:, 2].min())
    if abs(floor) > _SAID:
        source.note(f"moved by {-floor:+.4f} m along z: the lowest point is on the floor")
    pieces = None
    if parts is not None:
        pieces = [points @ (metres * rotation.T) - origins[0] for points in _ready(source, parts)]
    made = []
    for item, item_kind, mesh, origin in zip(found.items, kinds, meshes, origins, strict=True):
        settled = Mesh(mesh.vertices - origin, mesh.faces)
        made.append(
            _object(source, dataclasses.replace(item, mass=mass or item.mass), item_kind, settled, pieces, seed)
        )
    poses = np.tile([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], (len(made), 1))
    if len(made) > 1:
        poses[:, :3] = origins - [0, 0, floor]
    about = source.provenance(name, found.licence).with_(ground="lowest", ground_offset=-floor)
    labels = _labels(made)
    made = [dataclasses.replace(o, name=label, provenance=about) for o, label in zip(made, labels, strict=True)]
    return Scene(objects=tuple(made), poses=poses, provenance=about)


def _kind(source: Source, item: Item, kind: str | None) -> str:
    names = (item.name, source.path.stem, source.path.resolve().parent.name)
    return kind if kind is not None else next(filter(None, map(kind_of, names)), "")


def _origin(mesh: Mesh) -> np.ndarray:
    """Below the centre of a mesh's bounding box, at its lowest point."""
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    return np.array([*(low + high)[:2] / 2, low[2]])


def _object(
    source: Source, item: Item, kind: str, mesh: Mesh, pieces: Sequence[np.ndarray] | None, seed: int
) -> SceneObject:
    """The object of an item, its mesh in the object's frame; pieces are computed where none are given."""
    try:
        parts, unfit = decompose(mesh, seed=seed) if pieces is None else (_packed(pieces), "")
        facts: dict[str, Any] = {"kind": kind, "mass": item.mass, "free": item.free, "unfit": unfit}
        return make_object(mesh, parts, item.name, seed=seed, **facts)
    except ValueError as error:
        field, _, problem = str(error).partition(": expected ")
        expected, _, seen = problem.partition(", found ")
        if not seen:
            raise
        flag = ", or the argument mass=" if field == "mass" else ""
        raise source.error(f"{field} of {item.name!r}", seen, expected + flag) from None


def _ready(source: Source, parts: str | os.PathLike[str]) -> list[np.ndarray]:
    """Points of the pieces of a file or folder, in its own frame: one for each component."""
    file = Source(parts, source.options)
    _, found = read_contents(file)
    if not isinstance(found, Contents):
        raise file.error("parts", "a scene", "meshes whose components are convex pieces")
    mesh = repair(file, [shape for item in found.items for shape in item.shapes])
    label = components(mesh)
    source.note(f"{label.max() + 1} pieces from {file.path.name}")
    return [mesh.vertices[np.unique(mesh.faces[label == k])] for k in range(label.max() + 1)]


def _packed(pieces: Sequence[np.ndarray]) -> Parts:
    return pack([with_corners(hull_corners(piece))[0] for piece in pieces])


def decompose(mesh: Mesh, *, seed: int = 0) -> tuple[Parts, str]:
    """One hull per component, whatever its shape."""
    label = components(mesh)
    return _packed([mesh.vertices[np.unique(mesh.faces[label == k])] for k in range(label.max() + 1)]), ""


def _labels(objects: Sequence[SceneObject]) -> list[str]:
    """Names, each once."""
    labels: list[str] = []
    for o in objects:
        count = sum(label == o.name or label.startswith(f"{o.name}:") for label in labels)
        labels.append(f"{o.name}:{count + 1}" if count else o.name)
    return labels
