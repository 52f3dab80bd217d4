"""Labelled convex pieces that furniture is built and damaged with. NumPy, on the host."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import ConvexHull

from mjxhuman.scenes.convex import box_corners, hull_mesh, join
from mjxhuman.scenes.types import Mesh


@dataclasses.dataclass(frozen=True)
class Piece:
    """A convex piece and what it is for: "leg" stands on the floor; "seat", "top", "tread", "back", "arm", "rail"."""

    role: str
    corners: np.ndarray  # (V, 3) m, V at most 32

    def moved(self, shift: ArrayLike) -> Piece:
        """The piece elsewhere, by ``shift`` (3,) in m."""
        return dataclasses.replace(self, corners=self.corners + np.asarray(shift, np.float64))

    @property
    def low(self) -> np.ndarray:
        """Which corners are those of the lower end."""
        return np.argsort(self.corners[:, 2], kind="stable")[: len(self.corners) // 2]

    @property
    def thickness(self) -> float:
        """m, the least extent along the piece's own faces."""
        normals = ConvexHull(self.corners).equations[:, :3]
        return float(np.ptp(self.corners @ normals.T, axis=0).min())


def box(role: str, low: ArrayLike, high: ArrayLike) -> Piece:
    """A box between two corners (3,)."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    return Piece(role, box_corners((high - low) / 2, (high + low) / 2))


def bar(role: str, foot: ArrayLike, head: ArrayLike, size: ArrayLike, head_size: ArrayLike | None = None) -> Piece:
    """A straight or raked bar with level ends: centres of its ends (3,), sizes of its ends along x and y (2,)."""
    square = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    return _between(role, foot, head, square * size, square * (size if head_size is None else head_size))


def rod(role: str, foot: ArrayLike, head: ArrayLike, width: float, head_width: float, sides: int) -> Piece:
    """A bar with round ends, polygons of at most 16 sides: centres of its ends (3,), their diameters."""
    angle = 2 * np.pi * (np.arange(sides) + 0.5) / sides
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) / 2
    return _between(role, foot, head, ring * width, ring * head_width)


def _between(role: str, foot: ArrayLike, head: ArrayLike, lower: np.ndarray, upper: np.ndarray) -> Piece:
    ends = [np.pad(ring, ((0, 0), (0, 1))) + np.asarray(at, np.float64) for at, ring in ((foot, lower), (head, upper))]
    return Piece(role, np.concatenate(ends))


def mesh_of(pieces: list[Piece]) -> Mesh:
    """The pieces' hulls as one mesh, in m."""
    return join([hull_mesh(p.corners) for p in pieces])


def volume(pieces: list[Piece]) -> float:
    """m^3 of all pieces, overlaps counted twice."""
    return float(sum(ConvexHull(p.corners).volume for p in pieces))


def settled(pieces: list[Piece]) -> list[Piece]:
    """The pieces with their lowest corner at z = 0 and the centre of their bounding box over the origin."""
    corners = np.concatenate([p.corners for p in pieces])
    low, high = corners.min(0), corners.max(0)
    return [p.moved([-(low[0] + high[0]) / 2, -(low[1] + high[1]) / 2, -low[2]]) for p in pieces]
