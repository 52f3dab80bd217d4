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
#: Corners are chosen by their distance from the hull of the others: faces that look up, and may carry, count twice.
_UP = 1.0
#: m; a point nearer to a hull than this adds nothing to it.
_NOTHING = 1e-7
#: Of a piece's extent: float32's rounding.
_ROUNDING = 2.0**-23


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


def width(points: np.ndarray) -> float:
    """m between the two nearest parallel planes, along a face of the hull, that hold all points; 0 in a plane."""
    try:
        return float(np.ptp(points @ ConvexHull(points).equations[:, :3].T, axis=0).min())
    except (ValueError, QhullError):
        return 0.0


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
    given = hull_corners(points)
    corners = _firm(_reduced(given, count, keep) if len(given) > count else given)
    if len(corners) < count:
        corners = _extended(corners, count)
    planes = ConvexHull(corners).equations
    return corners, max(float((given @ planes[:, :3].T + planes[:, 3]).max()), 0.0)


def _firm(corners: np.ndarray) -> np.ndarray:
    """The corners without those that rounding could take: MuJoCo turns them and keeps float32."""
    least = _ROUNDING * np.ptp(corners, axis=0).max()
    while len(corners) > 4:
        margin = _margins(corners)
        if margin.min() >= least:
            break
        corners = np.delete(corners, int(margin.argmin()), 0)
    return corners


def _margins(corners: np.ndarray) -> np.ndarray:
    """How far, m, each corner is from the hull of the others."""
    margin = np.zeros(len(corners))
    for i in range(len(corners)):
        try:
            others = ConvexHull(np.delete(corners, i, 0)).equations
        except (QhullError, ValueError):  # they lie in a plane: it is an apex
            margin[i] = np.inf
        else:
            margin[i] = (others[:, :3] @ corners[i] + others[:, 3]).max()
    return margin


def _reduced(corners: np.ndarray, count: int, keep: ArrayLike | None) -> np.ndarray:
    kept = [] if keep is None else _spread_of(corners, np.asarray(keep, np.float64), count - 4)
    extremes = [int(pick(corners[:, axis])) for axis in (2, 0, 1) for pick in (np.argmin, np.argmax)]
    chosen = list(dict.fromkeys([*kept, *extremes]))[: max(count - 2, len(kept))]
    for i in _farthest(corners, chosen):  # until they span a volume
        if _volume(corners[chosen]) > 0:
            break
        chosen.append(i)
    while len(chosen) < count:
        planes = ConvexHull(corners[chosen]).equations
        outside = ((corners @ planes[:, :3].T + planes[:, 3]) * (1 + _UP * np.maximum(planes[:, 2], 0))).max(1)
        outside[chosen] = 0.0
        if outside.max() < _NOTHING:
            break
        chosen.append(int(outside.argmax()))
    return corners[chosen]


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
    places, out, dome = _places(corners)
    chosen = _spread_over(places, corners, count - len(corners))
    middle = corners.mean(0)
    whole = 1 - np.square(places - middle).sum(1) / np.square(corners - middle).sum(1).max()
    for height in DOME * 0.5 ** np.arange(5):  # a lower dome where a high one hides a blunt corner
        for lift in (dome, whole):  # over each face; over all of them, where many are almost one
            found = np.concatenate([corners, places[chosen] + height * lift[chosen, None] * out[chosen]])
            if _margins(found).min() >= _ROUNDING * np.ptp(found, axis=0).max():
                return found
    if len(corners) > max(4, count // 2):  # all that is left is blunter than rounding: give up the bluntest
        return _extended(np.delete(corners, int(_margins(corners).argmin()), 0), count)
    size = np.ptp(corners, axis=0)
    raise ValueError(f"points: expected a piece large enough for {count} corners, found one of {size} m")


def _places(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points ``(N, 3)`` on steep faces, the faces' normals, and the share ``(N,)`` of its height that a dome has there.

    On a dome, over each face zero at its farthest corner, every point is a corner of the hull.
    """
    hull = ConvexHull(corners)
    _, group = np.unique(np.round(hull.equations, 6), axis=0, return_inverse=True)  # triangles of one face
    group = group.reshape(-1)
    slope = np.abs(hull.equations[:, 2])
    use = np.flatnonzero(slope <= max(_STEEP, slope.min() + 1e-3))
    grid = (np.stack(np.meshgrid(*[np.arange(16)] * 2, indexing="ij"), -1).reshape(-1, 2) + 1 / 3) / 16
    grid = grid[grid.sum(1) < 1]
    weights = np.concatenate([grid, 1 - grid.sum(1, keepdims=True)], 1)  # barycentric, off the edges
    places, dome = [], []
    for triangle in use:
        own = corners[np.unique(hull.simplices[group == group[triangle]])]
        centre = own.mean(0)
        found = weights @ corners[hull.simplices[triangle]]
        places.append(found)
        dome.append(1 - np.square(found - centre).sum(1) / np.square(own - centre).sum(1).max())
    out = np.repeat(hull.equations[use, :3], len(weights), 0)
    return np.concatenate(places), out, np.concatenate(dome)


def _spread_over(places: np.ndarray, taken: np.ndarray, count: int) -> list[int]:
    gap = np.linalg.norm(places[:, None] - taken[None], axis=2).min(1)
    order = []
    for _ in range(count):
        order.append(int(gap.argmax()))
        gap = np.minimum(gap, np.linalg.norm(places - places[order[-1]], axis=1))
    return order
