"""``load_scene``: furniture from files as objects that can be simulated."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from mjxhuman.data.source import Source
from mjxhuman.options import FileOptions, FurnitureOptions, takes
from mjxhuman.scenes.convex import pack
from mjxhuman.scenes.decomposition.decompose import THICKNESS, decompose, sheets
from mjxhuman.scenes.decomposition.fidelity import measure
from mjxhuman.scenes.decomposition.hulls import hull_corners, with_corners
from mjxhuman.scenes.mesh import components
from mjxhuman.scenes.objects import kind_of, make_object, named_once
from mjxhuman.scenes.reading.formats import read_contents
from mjxhuman.scenes.reading.repair import repair
from mjxhuman.scenes.reading.shapes import Contents, Item
from mjxhuman.scenes.reading.upright import orient
from mjxhuman.scenes.types import Mesh, Scene, SceneObject
from mjxhuman.types import Provenance

#: m; a shift to the floor that is not worth a sentence.
_SAID = 1e-4


@dataclasses.dataclass(frozen=True)
class PlacedItem:
    """An object of a file, repaired, upright and in metres, before its pieces are known."""

    item: Item
    kind: str
    mesh: Mesh  # in the object's frame
    origin: np.ndarray  # (3,) m, of that frame in the file's, with z up
    to_metres: np.ndarray  # (3, 3), from the file's axes and unit


@takes(FurnitureOptions)
def load_scene(path: str | os.PathLike[str], *, seed: int = 0, progress: bool = False, **options: Any) -> Scene:
    """The furniture of a file: OBJ, STL, PLY, GLB, glTF, URDF, MJCF, ``.npz``, or a folder of parts of one object.

    What the file leaves open (up axis, unit) is found where only one reading is furniture, else asked for; what was
    assumed or repaired stands in ``scene.provenance.conventions``. A single object stands at the origin, objects of one
    file as they do there; the lowest point is on the floor.

    Args:
      path: the file or folder.
      seed: of what is sampled and searched.
      progress: a bar on the terminal while pieces are computed, which takes seconds to minutes where shapes are not
        convex; kept for the next time.
      options: those of ``mjxhuman.options.FurnitureOptions``. ``up`` and ``unit`` of the file; ``parts``: file or
        folder with convex pieces of the object, in its frame and unit, each component one; ``kind`` of furniture
        (default: as its name says); ``mass`` in kg of each object (default: the file's, else what its kind weighs).

    Raises:
      FileNotFoundError: no such file.
      ModuleNotFoundError: a package of the extra "scenes" is missing.
      MotionFileError: a file that holds no furniture, or several readings of it (names file, field, found, expected).
      ValueError: an argument.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed: expected a whole number of 0 or more, found {seed!r}")
    said = FurnitureOptions(**options)
    source = Source(path, FileOptions(up=said.up, unit=said.unit))
    name, found = read_contents(source)
    if isinstance(found, Scene):
        given = [field for field, value in dataclasses.asdict(said).items() if value is not None]
        if given:
            raise source.error(given[0], "an argument", "none: the file of a scene says everything")
        return found
    items = _placed(source, found, said.kind)
    if said.parts is not None and len(items) > 1:
        raise source.error("parts", f"{len(items)} objects", "one object where its pieces are given")
    pieces = _ready(source, said.parts, items[0]) if said.parts is not None else None
    made = [_object(source, placed, pieces, said.mass, seed, progress) for placed in items]
    poses = np.tile([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], (len(made), 1))
    if len(made) > 1:
        poses[:, :3] = [placed.origin - [0, 0, _floor(items)] for placed in items]
    about = _about(source, name, found, items)
    made = [dataclasses.replace(o, provenance=about) for o in made]
    return Scene(objects=named_once(made), poses=poses, provenance=about)


def read_furniture(path: str | os.PathLike[str], **options: Any) -> tuple[list[PlacedItem], Provenance] | Scene:
    """What a file holds, as ``load_scene`` reads it but without pieces: quick. A file of a scene is the scene.

    Raises:
      As ``load_scene``.
    """
    said = FurnitureOptions(**options)
    source = Source(path, FileOptions(up=said.up, unit=said.unit))
    name, found = read_contents(source)
    if isinstance(found, Scene):
        return found
    items = _placed(source, found, said.kind)
    return items, _about(source, name, found, items)


def _placed(source: Source, found: Contents, kind: str | None) -> list[PlacedItem]:
    """The objects of a file; the largest of them says what is up and how long its unit is."""
    meshes = [repair(source, item.shapes) for item in found.items]
    kinds = [_kind(source, item, kind) for item in found.items]
    largest = int(np.argmax([np.ptp(mesh.vertices, axis=0).max() for mesh in meshes]))
    rotation, metres = orient(source, meshes[largest], kinds[largest], found.up, found.unit)
    to_metres = metres * rotation
    meshes = [Mesh(mesh.vertices @ to_metres.T, mesh.faces) for mesh in meshes]
    origins = [_origin(mesh) for mesh in meshes]
    items = [
        PlacedItem(item, item_kind, Mesh(mesh.vertices - origin, mesh.faces), origin, to_metres)
        for item, item_kind, mesh, origin in zip(found.items, kinds, meshes, origins, strict=True)
    ]
    if abs(_floor(items)) > _SAID:
        source.note(f"moved by {-_floor(items):+.4f} m along z: the lowest point is on the floor")
    return items


def _floor(items: Sequence[PlacedItem]) -> float:
    """Height in m of the lowest point of a file's objects."""
    return float(min(placed.origin[2] for placed in items))


def _about(source: Source, name: str, found: Contents, items: Sequence[PlacedItem]) -> Provenance:
    return source.provenance(name, found.licence).with_(ground="lowest", ground_offset=-_floor(items))


def _kind(source: Source, item: Item, kind: str | None) -> str:
    names = (item.name, source.path.stem, source.path.resolve().parent.name)
    return kind if kind is not None else next(filter(None, map(kind_of, names)), "")


def _origin(mesh: Mesh) -> np.ndarray:
    """Below the centre of a mesh's bounding box, at its lowest point."""
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    return np.array([*(low + high)[:2] / 2, low[2]])


def _object(
    source: Source,
    placed: PlacedItem,
    pieces: Sequence[np.ndarray] | None,
    mass: float | None,
    seed: int,
    progress: bool,
) -> SceneObject:
    """The object of an item; pieces are computed where none are given."""
    mesh, item = placed.mesh, placed.item
    try:
        if pieces is not None:
            parts = pack([with_corners(hull_corners(points))[0] for points in pieces])
            unfit = measure(mesh, parts).unfit
        else:
            parts, unfit = decompose(mesh, seed=seed, progress=progress)
            if count := sheets(mesh):
                source.note(f"{count} sheets without thickness: {1e3 * THICKNESS:g} mm thick, or left out on others")
        facts: dict[str, Any] = {"kind": placed.kind, "free": item.free, "unfit": unfit}
        return make_object(mesh, parts, item.name, seed=seed, mass=item.mass if mass is None else mass, **facts)
    except ValueError as error:
        field, _, problem = str(error).partition(": expected ")
        expected, _, seen = problem.partition(", found ")
        if not seen:
            raise
        flag = ", or the argument mass=" if field == "mass" else ""
        raise source.error(f"{field} of {item.name!r}", seen, expected + flag) from None


def _ready(source: Source, parts: str | os.PathLike[str], placed: PlacedItem) -> list[np.ndarray]:
    """Points of the pieces of a file or folder in the object's frame: one for each component."""
    file = Source(parts, source.options)
    _, found = read_contents(file)
    if not isinstance(found, Contents):
        raise file.error("parts", "a scene", "meshes whose components are convex pieces")
    mesh = repair(file, [shape for item in found.items for shape in item.shapes])
    label = components(mesh)
    count = int(label.max()) + 1
    source.note(f"{count} pieces from {file.path.name}")
    vertices = mesh.vertices @ placed.to_metres.T - placed.origin
    return [vertices[np.unique(mesh.faces[label == k])] for k in range(count)]
