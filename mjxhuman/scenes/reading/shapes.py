"""What files of furniture hold, as their readers return it: named triangles in the file's own frame and unit."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from mjxhuman.scenes.convex import box_corners, hull_mesh

#: Corners around what is round: 0.3 mm from the circle for a leg of 3 cm.
_AROUND = 24


@dataclasses.dataclass(frozen=True)
class Shape:
    """Triangles as a file has them; nothing about them has been checked."""

    name: str
    vertices: np.ndarray  # (N, 3)
    faces: np.ndarray  # (M, 3)

    def moved(self, transform: np.ndarray) -> Shape:
        """The shape under a homogeneous transform (4, 4)."""
        with np.errstate(all="ignore"):  # damaged files hold what no number can be computed with
            vertices = np.asarray(self.vertices, np.float64) @ transform[:3, :3].T + transform[:3, 3]
        faces = self.faces[:, ::-1] if np.linalg.det(transform[:3, :3]) < 0 else self.faces
        return dataclasses.replace(self, vertices=vertices, faces=faces)


@dataclasses.dataclass(frozen=True)
class Item:
    """One object of a file: the shapes it consists of."""

    name: str
    shapes: tuple[Shape, ...]
    mass: float | None = None  # kg, where the file says it
    free: bool = True


@dataclasses.dataclass(frozen=True)
class Contents:
    """Everything that a file of furniture says."""

    items: tuple[Item, ...]
    up: str | None = None  # as the format or the file says, else None
    unit: float | None = None  # m, likewise
    licence: str = ""


def primitive(kind: str, size: ArrayLike, name: str = "") -> Shape:
    """The triangles of a primitive as MuJoCo has them, around its centre and along z.

    Args:
      kind: "box", "ellipsoid", "sphere", "cylinder" or "capsule".
      size: half sizes (3,); radius; or radius and half length.
      name: of the shape.

    Raises:
      ValueError: a size that is not positive, or another kind.
    """
    size = np.asarray(size, np.float64)
    wanted = {"box": 3, "ellipsoid": 3, "sphere": 1, "cylinder": 2, "capsule": 2}.get(kind)
    if wanted is None:
        raise ValueError(f"geometry: expected a box, ellipsoid, sphere, cylinder, capsule or mesh, found {kind!r}")
    if len(size) < wanted or not (np.isfinite(size[:wanted]) & (size[:wanted] > 0)).all():
        raise ValueError(f"size of the {kind}: expected {wanted} positive numbers, found {size}")
    if kind == "box":
        points = box_corners(size[:3])
    elif kind == "cylinder":
        ring = _ring(size[0])
        points = np.concatenate([ring - [0, 0, size[1]], ring + [0, 0, size[1]]])
    elif kind == "capsule":
        ball = _ball() * size[0]
        points = ball + np.sign(ball[:, 2:] + 1e-9) * [0, 0, size[1]]
        points = np.concatenate([points, ball - [0, 0, size[1]]])
    else:
        points = _ball() * (size[:3] if kind == "ellipsoid" else size[0])
    mesh = hull_mesh(points)
    return Shape(name, mesh.vertices, mesh.faces)


def _ring(radius: float, z: float = 0.0) -> np.ndarray:
    angle = 2 * np.pi * np.arange(_AROUND) / _AROUND
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(_AROUND, z)], 1)


def _ball() -> np.ndarray:
    """Points on the unit sphere: poles, and rings that come as near to each other as their points."""
    latitudes = np.pi * np.arange(1, _AROUND // 2) / (_AROUND // 2)
    rings = [_ring(np.sin(latitude), np.cos(latitude)) for latitude in latitudes]
    return np.concatenate([[[0, 0, 1.0], [0, 0, -1.0]], *rings])
