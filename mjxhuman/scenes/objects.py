"""Objects from a mesh and its pieces: kind, mass, inertia and surface samples. NumPy, on the host."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import ConvexHull

from mjxhuman.scenes.mesh import sample_surface
from mjxhuman.scenes.surface import FRICTION
from mjxhuman.scenes.types import SURFACE_SAMPLES, Mesh, Parts, SceneObject
from mjxhuman.types import Provenance

#: kg/m^3 of the pieces' union where nothing else is known: a wooden chair of boxes then weighs 4.0 kg.
DENSITY = 200.0
#: Masses that an object of furniture may have, kg: 1 g and 1 t are another unit or no furniture.
MASSES = (0.1, 500.0)
#: Samples of a piece, by which its overlap with others is measured.
_OVERLAP_SAMPLES = 1 << 13


@dataclasses.dataclass(frozen=True)
class KnownKind:
    """What is known of a kind of furniture."""

    words: tuple[str, ...]  # that name it, singular
    mass: tuple[float, float] | None = None  # kg
    height: tuple[float, float] | None = None  # m, of what it offers: seat or top
    surface: str = "seat"


_SEAT, _TOP = (0.30, 0.60), (0.55, 1.10)
#: Masses are those of spec sheets of chairs, tables and sofas, of stools and benches in proportion; built-in furniture
#: has them too. Heights are those outside of which a unit was probably misread.
KINDS = {
    "chair": KnownKind(("chair", "armchair", "recliner", "wheelchair"), (4.0, 8.0), _SEAT),
    "stool": KnownKind(("stool", "footstool", "barstool", "ottoman", "taboret"), (3.0, 6.0), _SEAT),
    "bench": KnownKind(("bench", "pew"), (8.0, 18.0), _SEAT),
    "sofa": KnownKind(("sofa", "couch", "settee", "loveseat"), (25.0, 60.0), _SEAT),
    "table": KnownKind(("table", "desk", "workbench"), (10.0, 25.0), _TOP, "top"),
    "steps": KnownKind(("step", "steps", "stair", "stairs", "ladder")),
}


class Solid(NamedTuple):
    """What a body of density 1 has."""

    volume: float  # m^3
    com: np.ndarray  # (3,) m
    inertia: np.ndarray  # (3, 3) m^5 about ``com``


def kind_of(name: str) -> str:
    """The kind that a name says ("simpleWoodTable" -> "table"), the last word first; "" if none."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    for word in reversed([word.lower() for word in words]):
        for kind, known in KINDS.items():
            if word in known.words or word.removesuffix("s") in known.words:
                return kind
    return ""


def solid_of(parts: Parts, seed: int = 0) -> Solid:
    """Volume, centre of mass and inertia of the union of an object's pieces.

    Pieces that overlap count once: what a piece shares with earlier ones is measured by seeded samples and taken off.
    Where none do the result is exact.

    Raises:
      ValueError: no piece with a volume.
    """
    pieces = [(v, p) for v, p, own in zip(parts.vertices, parts.planes, parts.mask, strict=True) if own]
    moments = np.zeros((4, 4))  # of homogeneous points: volume, first and second moments
    for k, (vertices, _) in enumerate(pieces):
        tetrahedra = _tetrahedra(np.asarray(vertices, np.float64))
        moments += _moments(tetrahedra)
        near = [p for v, p in pieces[:k] if (v.min(0) < vertices.max(0)).all() and (vertices.min(0) < v.max(0)).all()]
        if near:
            volumes = np.abs(np.linalg.det(tetrahedra[:, 1:] - tetrahedra[:, :1])) / 6
            points = _points_in(tetrahedra, volumes, seed + k)
            shared = np.any([(points @ p[:, :3].T <= p[:, 3]).all(1) for p in near], axis=0)
            at = np.concatenate([points[shared], np.ones((shared.sum(), 1))], 1)
            moments -= volumes.sum() / len(points) * at.T @ at
    volume = moments[3, 3]
    if not volume > 0:
        raise ValueError(f"pieces: expected a volume, found {volume:g} m3")
    com = moments[:3, 3] / volume
    second = moments[:3, :3] - volume * np.outer(com, com)
    return Solid(float(volume), com, np.trace(second) * np.eye(3) - second)


def _tetrahedra(vertices: np.ndarray) -> np.ndarray:
    """The hull of points as tetrahedra ``(n, 4, 3)`` that share an inner point."""
    corners = vertices[ConvexHull(vertices).simplices]
    centre = np.broadcast_to(vertices.mean(0), (len(corners), 1, 3))
    return np.concatenate([corners, centre], 1)


def _moments(tetrahedra: np.ndarray) -> np.ndarray:
    """Integral of ``x x^T`` over tetrahedra, x homogeneous ``(4, 4)``."""
    volumes = np.abs(np.linalg.det(tetrahedra[:, 1:] - tetrahedra[:, :1])) / 6
    corners = np.concatenate([tetrahedra, np.ones((*tetrahedra.shape[:2], 1))], -1)
    total = corners.sum(1)
    of_corners = np.einsum("tci,tcj->tij", corners, corners) + np.einsum("ti,tj->tij", total, total)
    return np.einsum("t,tij->ij", volumes / 20, of_corners)


def _points_in(tetrahedra: np.ndarray, volumes: np.ndarray, seed: int) -> np.ndarray:
    """Points spread evenly in tetrahedra ``(n, 3)``."""
    from scipy.stats import qmc  # slow to load

    draws = qmc.Sobol(4, seed=np.random.default_rng(seed)).random(_OVERLAP_SAMPLES)
    which = np.minimum(np.searchsorted(np.cumsum(volumes) / volumes.sum(), draws[:, 3]), len(volumes) - 1)
    cuts = np.sort(draws[:, :3], 1)
    weights = np.diff(cuts, axis=1, prepend=0.0, append=1.0)
    return np.einsum("nc,nci->ni", weights, tetrahedra[which])


def mass_of(kind: str, volume: float) -> float:
    """Mass in kg of an object of a kind and a volume in m^3: by ``DENSITY``, within what its kind weighs."""
    mass = DENSITY * volume
    known = KINDS.get(kind)
    return float(np.clip(mass, *known.mass)) if known and known.mass else mass


def make_object(
    mesh: Mesh,
    parts: Parts,
    name: str,
    *,
    kind: str | None = None,
    mass: float | None = None,
    friction: float = FRICTION,
    free: bool = True,
    unfit: str = "",
    seed: int = 0,
    provenance: Provenance | None = None,
) -> SceneObject:
    """An object with everything that follows from its mesh and pieces.

    Args:
      mesh: in the object's frame (``mjxhuman.scenes.types``).
      parts: in the same frame.
      name: of the object; its kind too, if ``kind`` is None.
      kind: one of ``KINDS`` or "".
      mass: kg; None is ``mass_of``.
      friction: Coulomb coefficient.
      free: whether it can be pushed.
      unfit: why the pieces do not stand for the mesh.
      seed: of the surface samples and the overlap of pieces.
      provenance: where it comes from.

    Raises:
      ValueError: a kind that is none, a mass or friction that no furniture has, or pieces without volume.
    """
    kind = kind_of(name) if kind is None else kind
    if kind and kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, or '', found {kind!r}")
    solid = solid_of(parts, seed)
    mass = mass_of(kind, solid.volume) if mass is None else float(mass)
    if not MASSES[0] <= mass <= MASSES[1]:
        raise ValueError(f"mass: expected {MASSES[0]:g} to {MASSES[1]:g} kg, found {mass:g} kg")
    if not 0 <= friction < np.inf:
        raise ValueError(f"friction: expected 0 or more, found {friction:g}")
    points, normals = sample_surface(mesh, SURFACE_SAMPLES, seed)
    return SceneObject(
        mesh=mesh, parts=parts, points=points, normals=normals,
        mass=np.asarray(mass), com=solid.com, inertia=solid.inertia * mass / solid.volume,
        friction=np.asarray(float(friction)), name=name, kind=kind, free=free, unfit=unfit,
        provenance=provenance or Provenance(),
    )  # fmt: skip


def named_once(objects: Sequence[SceneObject]) -> tuple[SceneObject, ...]:
    """Objects with names that differ: the second chair is "chair:2"."""
    names: list[str] = []
    for o in objects:
        count = sum(name == o.name or name.startswith(f"{o.name}:") for name in names)
        names.append(f"{o.name}:{count + 1}" if count else o.name)
    return tuple(dataclasses.replace(o, name=name) for o, name in zip(objects, names, strict=True))
