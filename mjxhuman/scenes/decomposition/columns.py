"""What vertical lines on a grid meet of a mesh or of convex pieces: solid height, and the tops that things rest on.

One description for both, so that they can be compared: a crossing is where a line goes into or out of the solid.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mjxhuman.scenes.types import Mesh, Parts

#: Of a cell, so that lines miss the corners, edges and diagonals that people draw on round numbers.
_OFFSET = np.array([0.3819, 0.4367])
#: m; so far out of a vertical face a line still meets the piece.
_EDGE = 1e-6


class Grid(NamedTuple):
    """Vertical lines at ``origin + spacing * (i, j)``, numbered ``i * shape[1] + j``."""

    origin: np.ndarray  # (2,) m
    spacing: float  # m
    shape: tuple[int, int]

    def points(self) -> np.ndarray:
        """Where the lines are, ``(N, 2)`` m."""
        i, j = np.meshgrid(*(np.arange(n) for n in self.shape), indexing="ij")
        return self.origin + self.spacing * np.stack([i.ravel(), j.ravel()], 1)


class Crossings(NamedTuple):
    """Crossings ``(C,)`` by line and then upwards."""

    line: np.ndarray  # number of the line
    height: np.ndarray  # m
    out: np.ndarray  # +1 where the line leaves upwards, -1 where it enters
    slope: np.ndarray  # vertical part of the face's unit normal


def grid_over(low: np.ndarray, high: np.ndarray, spacing: float, most: int) -> Grid:
    """Lines over the rectangle from ``low`` to ``high`` (2,): ``spacing`` apart, or more so that they are ``most``."""
    size = np.maximum(high - low, 1e-6)
    spacing = max(spacing, float(np.sqrt(size.prod() / most)), float(size.max()) / most)
    shape = np.maximum(np.ceil(size / spacing).astype(int), 1)
    return Grid(low + _OFFSET * spacing, spacing, (int(shape[0]), int(shape[1])))


def mesh_crossings(mesh: Mesh, grid: Grid) -> Crossings:
    """What the lines meet of a mesh; its faces are taken as wound."""
    corners = np.asarray(mesh.vertices, np.float64)[np.asarray(mesh.faces)]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1)
    facing = np.abs(normal[:, 2]) > 1e-9 * np.maximum(length, 1e-300)
    corners, normal, length = corners[facing], normal[facing], length[facing]
    cell = (corners[:, :, :2] - grid.origin) / grid.spacing
    first = np.clip(np.ceil(cell.min(1)), 0, None).astype(int)
    last = np.minimum(np.floor(cell.max(1)), np.array(grid.shape) - 1).astype(int)
    extent = np.maximum(last - first + 1, 0)
    number = extent.prod(1)
    face = np.repeat(np.arange(len(corners)), number)
    k = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    ij = first[face] + np.stack([k // np.maximum(extent[face, 1], 1), k % np.maximum(extent[face, 1], 1)], 1)
    inside = np.ones(len(face), bool)
    sign = np.sign(normal[face, 2])
    for a in range(3):
        start, end = cell[face, a], cell[face, (a + 1) % 3]
        along, to = end - start, ij - start
        inside &= sign * (along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0]) >= 0
    face, ij, sign = face[inside], ij[inside], sign[inside]
    base = corners[face, 0]
    to = grid.origin + grid.spacing * ij - base[:, :2]
    height = base[:, 2] - (normal[face, :2] * to).sum(1) / normal[face, 2]
    return _sorted(ij @ [grid.shape[1], 1], height, sign, normal[face, 2] / length[face])


def parts_crossings(parts: Parts, grid: Grid) -> Crossings:
    """What the lines meet of the pieces, each for itself."""
    points = grid.points()
    found = []
    for piece in np.flatnonzero(parts.mask):
        vertices = np.asarray(parts.vertices[piece])
        near = np.flatnonzero(((points >= vertices[:, :2].min(0)) & (points <= vertices[:, :2].max(0))).all(1))
        low, high, slope = line_interval(np.asarray(parts.planes[piece]), points[near])
        met = low <= high
        line = np.repeat(near[met], 2)
        ends = np.stack([low[met], high[met]], 1).ravel()
        slopes = np.stack([-np.ones(met.sum()), slope[met]], 1).ravel()
        found.append((line, ends, np.tile([-1.0, 1.0], met.sum()), slopes))
    return _sorted(*(np.concatenate(column) for column in zip(*found, strict=True)))


def line_interval(planes: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest and highest height of a convex piece ``(F, 4)`` over points ``(N, 2)``; low above high where it has none.

    The third is the vertical part of the normal of the face at the highest.
    """
    upright = planes[:, 2]
    room = planes[:, 3] - points @ planes[:, :2].T
    steep = np.abs(upright) < 1e-9
    height = room / np.where(steep, 1.0, upright)
    low = np.where(~steep & (upright < 0), height, -np.inf).max(1)
    above = np.where(~steep & (upright > 0), height, np.inf)
    out = np.where(steep, room, np.inf).min(1) < -_EDGE
    return np.where(out, np.inf, low), np.where(out, -np.inf, above.min(1)), upright[above.argmin(1)]


def solid_volume(crossings: Crossings, grid: Grid) -> float:
    """Volume, m^3, of what the lines go through: where solids overlap it counts once."""
    below, _ = _depths(crossings)
    inside = (below[:-1] > 0) & (np.diff(crossings.line) == 0)
    return float(np.diff(crossings.height)[inside].sum() * grid.spacing**2)


def tops(crossings: Crossings, grid: Grid, clearance: float) -> tuple[np.ndarray, np.ndarray]:
    """Points ``(N, 3)`` of surfaces that face up into the open, with ``clearance`` m of air above, and their slopes."""
    below, above = _depths(crossings)
    top = (crossings.out > 0) & ((below <= 0) | (above <= 0))  # either: the other is wrong where a shell is open
    following = np.append(np.diff(crossings.line) == 0, False)
    gap = np.append(np.diff(crossings.height), np.inf)
    top &= ~following | (gap >= clearance)
    points = grid.points()[crossings.line[top]]
    return np.concatenate([points, crossings.height[top, None]], 1), crossings.slope[top]


def _sorted(line: np.ndarray, height: np.ndarray, out: np.ndarray, slope: np.ndarray) -> Crossings:
    order = np.lexsort((height, line))
    return Crossings(line[order], height[order], out[order], slope[order])


def _depths(crossings: Crossings) -> tuple[np.ndarray, np.ndarray]:
    """How many solids hold the place right above each crossing, counted from below and from above."""
    if not len(crossings.line):
        return np.zeros(0), np.zeros(0)
    total = np.concatenate([[0.0], np.cumsum(crossings.out)])
    start = np.searchsorted(crossings.line, crossings.line, "left")
    end = np.searchsorted(crossings.line, crossings.line, "right")
    after = total[np.arange(len(crossings.line)) + 1]
    return total[start] - after, total[end] - after
