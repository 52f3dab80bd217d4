"""Whether an object stands by its shape alone: where its centre of mass is over what it stands on. No simulator."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import ConvexHull, QhullError

from mjxhuman.math import quaternion
from mjxhuman.scenes.types import SceneObject

#: Degrees. An object may rock by so much and still stands: the sides of its hull that are steeper do not carry it.
ROCKING = 5.0
#: m; corners no higher than this above the lowest one stand on the floor.
_LEVEL = 1e-3


def static_margin(thing: SceneObject, pose: ArrayLike | None = None) -> float:
    """Distance in m from the centre of mass to the edge of the support polygon, seen from above; negative outside.

    The polygon is that of the mesh: its lowest corners, and the sides of its hull on which it comes to lie when it
    rocks by less than ``ROCKING``. A chair with one leg 1 cm short stands on four legs, one without that leg on three.

    Args:
      thing: the object.
      pose: (7,) in m and wxyz; None: as its file has it.
    """
    corners, com = np.asarray(thing.mesh.vertices, np.float64), np.asarray(thing.com, np.float64)
    if pose is not None:
        turn = np.asarray(pose, np.float64)[3:]
        corners, com = quaternion.rotate(turn, corners), quaternion.rotate(turn, com)
    return edge_distance(support(corners), com[:2])


def support(corners: np.ndarray) -> np.ndarray:
    """Points ``(n, 2)`` whose hull is the support polygon of a body with these corners ``(N, 3)`` on a level floor."""
    low = corners[corners[:, 2] <= corners[:, 2].min() + _LEVEL]
    try:
        hull = ConvexHull(corners)
    except QhullError:  # flat: it has no sides
        return low[:, :2]
    down = hull.equations[:, 2] < -np.cos(np.radians(ROCKING))
    return np.concatenate([low, corners[np.unique(hull.simplices[down])]])[:, :2]


def edge_distance(points: np.ndarray, at: np.ndarray) -> float:
    """Distance in m from ``at`` (2,) to the edge of the hull of ``points`` (n, 2); negative outside."""
    try:
        hull = ConvexHull(points)
    except (QhullError, ValueError):  # a point or a line
        return -_to_segments(points, at)
    inside = -(hull.equations[:, :2] @ at + hull.equations[:, 2]).max()
    return float(inside) if inside >= 0 else -_to_segments(points[hull.vertices], at)


def _to_segments(points: np.ndarray, at: np.ndarray) -> float:
    """Least distance from ``at`` to a segment between two of the points."""
    a, b = points[:, None], points[None]
    along = b - a
    square = np.maximum((along**2).sum(-1), 1e-18)
    share = np.clip(((at - a) * along).sum(-1) / square, 0.0, 1.0)
    return float(np.linalg.norm(a + share[..., None] * along - at, axis=-1).min())
