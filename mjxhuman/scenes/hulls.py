"""Convex hulls with a given number of corners: fewer where there are too many, further ones where there are too few.

``mujoco.batch.set_models`` runs other furniture in every environment if ``mjData`` has one layout, and hulls with one
number of corners have one (V corners, 2V-4 triangles). Hence every piece of every object gets exactly V.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import ConvexHull, QhullError

#: Corners of every piece, unless a caller says otherwise (between the 32 and 64 that simulators' hulls are held to).
VERTICES = 32
#: m; faces are raised into domes of at most so much for further corners: well below what rigid contact resolves.
DOME = 5e-5
#: Faces steeper than this may be raised: what stands on the floor or is sat on stays flat.
_STEEP = 0.5
#: m; a point nearer to a hull than this adds nothing to it.
_NOTHING = 1e-9


def hull_corners(points: ArrayLike) -> np.ndarray:
    """The points ``(N, 3)`` that are corners of their hull.

    Raises:
      ValueError: the points lie in a plane, within rounding.
    """
    points = np.asarray(points, np.float64)
    try:
        return points[np.sort(ConvexHull(points).vertices)]
    except (QhullError, ValueError) as error:
        raise ValueError(f"points: expected some that span a volume, found {len(points)} in a plane") from error


def with_corners(points: ArrayLike, count: int = VERTICES, keep: ArrayLike | None = None) -> tuple[np.ndarray, float]:
    """A hull of exactly ``count`` corners for points ``(N, 3)``, and how far the points stand out of it.

    Too many corners: those stay that are farthest from the hull of those that stay, after ``keep`` and the extremes
    along the axes. Too few: points on steep faces, spread evenly and raised by less than ``DOME``, become corners.

    Args:
      keep: points ``(M, 3)`` among ``points`` that stay corners, as many of them as there is room for.

    Returns:
      The corners ``(count, 3)`` and the greatest distance, m, of a point from their hull.

    Raises:
      ValueError: the points lie in a plane, or are too small for so many corners.
    """
    corners = hull_corners(points)
    if len(corners) > count:
        return _reduced(corners, count, keep)
    return (corners if len(corners) == count else _extended(corners, count)), 0.0


def _reduced(corners: np.ndarray, count: int, keep: ArrayLike | None) -> tuple[np.ndarray, float]:
    kept = [] if keep is None else _spread_of(corners, np.asarray(keep, np.float64), count - 4)
    extremes = [int(pick(corners[:, axis])) for axis in (2, 0, 1) for pick in (np.argmin, np.argmax)]
    chosen = list(dict.fromkeys([*kept, *extremes]))[: max(count - 2, len(kept))]
    for i in _farthest(corners, chosen):  # until they span a volume
        if _volume(corners[chosen]) > 0:
            break
        chosen.append(i)
    hull = ConvexHull(corners[chosen], incremental=True)
    try:
        while True:
            outside = (corners @ hull.equations[:, :3].T + hull.equations[:, 3]).max(1)
            outside[chosen] = 0.0
            worst = int(outside.argmax())
            if len(chosen) == count or outside[worst] < _NOTHING:
                break
            chosen.append(worst)
            hull.add_points(corners[worst : worst + 1])
    finally:
        hull.close()
    left = float(max(outside[worst], 0.0))
    found = hull_corners(corners[chosen])
    return (found if len(found) == count else _extended(found, count)), left


def _spread_of(corners: np.ndarray, keep: np.ndarray, room: int) -> list[int]:
    """Indices of the corners that ``keep`` names; where there are more than there is room for, those far apart."""
    if not len(keep):
        return []
    gap = np.linalg.norm(corners[:, None] - keep[None], axis=2).min(1)
    named = np.flatnonzero(gap < 1e-7)
    if len(named) <= room:
        return named.tolist()
    order = _farthest(corners[named], [0])
    return named[[0, *order[: room - 1]]].tolist()


def _farthest(points: np.ndarray, start: list[int]) -> list[int]:
    """The other points, each the one farthest from all before it."""
    gap = np.linalg.norm(points[:, None] - points[None, start], axis=2).min(1)
    order = []
    for _ in range(len(points) - len(set(start))):
        i = int(gap.argmax())
        order.append(i)
        gap = np.minimum(gap, np.linalg.norm(points - points[i], axis=1))
    return order


def _volume(points: np.ndarray) -> float:
    try:
        return float(ConvexHull(points).volume)
    except (QhullError, ValueError):
        return 0.0


def _extended(corners: np.ndarray, count: int) -> np.ndarray:
    for height in DOME * 0.5 ** np.arange(6):  # a lower dome where a high one hides a blunt corner
        found = np.concatenate([corners, _raised(corners, count - len(corners), height)])
        if len(ConvexHull(found.astype(np.float32).astype(np.float64)).vertices) == count:  # MuJoCo keeps float32
            return found
    size = np.ptp(corners, axis=0)
    raise ValueError(f"points: expected a piece large enough for {count} corners, found one of {size} m")


def _raised(corners: np.ndarray, count: int, height: float) -> np.ndarray:
    """Points ``(count, 3)`` on steep faces, far from each other, on a dome over each face: each is then a corner."""
    hull = ConvexHull(corners)
    normals = hull.equations[:, :3]
    slope = np.abs(normals[:, 2])
    use = slope <= max(_STEEP, slope.min() + 1e-3)
    grid = (np.stack(np.meshgrid(*[np.arange(16)] * 2, indexing="ij"), -1).reshape(-1, 2) + 1 / 3) / 16
    grid = grid[grid.sum(1) < 1]
    weights = np.concatenate([grid, 1 - grid.sum(1, keepdims=True)], 1)  # barycentric, off the edges
    places = np.einsum("wk,fkx->fwx", weights, corners[hull.simplices[use]]).reshape(-1, 3)
    out = np.repeat(normals[use], len(weights), 0)
    order = _spread_over(places, corners, count)
    centre = corners.mean(0)
    reach = np.square(corners - centre).sum(1).max()
    lift = height * (1 - np.square(places[order] - centre).sum(1) / reach)
    return places[order] + lift[:, None] * out[order]


def _spread_over(places: np.ndarray, taken: np.ndarray, count: int) -> list[int]:
    gap = np.linalg.norm(places[:, None] - taken[None], axis=2).min(1)
    order = []
    for _ in range(count):
        order.append(int(gap.argmax()))
        gap = np.minimum(gap, np.linalg.norm(places - places[order[-1]], axis=1))
    return order
