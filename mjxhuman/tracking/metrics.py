"""The field's metrics of motion tracking and of motion recovery, by their usual names.

NumPy in float64, offline. Positions are ``(T, J, 3)`` in m, and a metric gives one number per frame and joint: average
as you like. As everywhere in the literature distances come in mm, and PHC's velocities and accelerations per *frame*.
Parity with both sources is tested:

* tracking: PHC's ``smpl_eval.py`` (``ZhengyiLuo/SMPLSim``): ``mpjpe``, ``pa_mpjpe``, ``vel_dist``, ``accel_dist``,
  ``rot_error``, ``penetration``, ``skate``; ``first_failure`` is its criterion of success;
* recovery: GVHMR's ``eval_utils.py`` (``zju3dv/GVHMR``; WHAM's definitions): ``mpjpe`` with the hips as root,
  ``pa_mpjpe``, ``pve``, ``accel_error``, ``w_mpjpe``, ``wa_mpjpe``, ``rte``, ``jitter``, ``foot_sliding``;
* of neither: ``bone_length_std``, and ``heading_aligned`` for a world of which only the vertical is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mjxhuman.rewards.tracking import EVAL_BODIES, FAILURE_DISTANCE
from mjxhuman.scenes.surface import Surface, measure

#: Frames per segment that W- and WA-MPJPE align one by one (WHAM).
SEGMENT = 100
#: Joints whose mean is the root of recovery metrics: SMPL's left and right hip (WHAM).
HIPS = (1, 2)
#: m per frame; a foot vertex that the target moves by less stands (WHAM).
STANDING = 0.01

_MM = 1000.0


def _f64(*arrays: ArrayLike) -> tuple[np.ndarray, ...]:
    found = tuple(np.asarray(x, np.float64) for x in arrays)
    if len(found) > 1 and found[0].shape != found[1].shape:
        raise ValueError(f"expected prediction and target of one shape, found {found[0].shape} and {found[1].shape}")
    return found


def procrustes(
    source: ArrayLike, target: ArrayLike, *, scale: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``s, R, t`` that minimise ``|s R source + t - target|^2`` (Umeyama 1991); never a reflection.

    Args:
      source, target: ``(*b, N, 3)``.
      scale: False keeps s = 1.

    Returns:
      ``(*b)``, ``(*b, 3, 3)``, ``(*b, 3)``.
    """
    x, y = _f64(source, target)
    mean_x, mean_y = x.mean(-2, keepdims=True), y.mean(-2, keepdims=True)
    x0, y0 = x - mean_x, y - mean_y
    u, d, vh = np.linalg.svd(np.swapaxes(y0, -1, -2) @ x0)
    sign = np.where(np.linalg.det(u) * np.linalg.det(vh) < 0, -1.0, 1.0)
    u[..., 2] *= sign[..., None]
    rotation = u @ vh
    square = np.sum(x0 * x0, (-2, -1))
    stretch = (d[..., 0] + d[..., 1] + sign * d[..., 2]) / np.where(square > 0, square, 1.0)
    s = np.where(square > 0, stretch, 1.0) if scale else np.ones(square.shape)
    return s, rotation, mean_y[..., 0, :] - s[..., None] * np.einsum("...ij,...j->...i", rotation, mean_x[..., 0, :])


def _moved(x: np.ndarray, s: np.ndarray, rotation: np.ndarray, t: np.ndarray) -> np.ndarray:
    """``s R x + t`` of points ``(*b, N, 3)``."""
    return s[..., None, None] * (x @ np.swapaxes(rotation, -1, -2)) + t[..., None, :]


def _rooted(x: np.ndarray, root: tuple[int, ...] | None, joints: np.ndarray | None = None) -> np.ndarray:
    if root is None:
        return x
    return x - (x if joints is None else joints)[:, list(root)].mean(1, keepdims=True)


def mpjpe(pred: ArrayLike, target: ArrayLike, root: tuple[int, ...] | None = None) -> np.ndarray:
    """Position error ``(T, J)`` in mm.

    Args:
      pred, target: ``(T, J, 3)`` m.
      root: joints whose mean is put at the origin first. None: global (PHC's g-MPJPE); ``(0,)``: PHC's local MPJPE;
        ``HIPS``: the recovery literature's MPJPE.
    """
    p, q = _f64(pred, target)
    return _MM * np.linalg.norm(_rooted(p, root) - _rooted(q, root), axis=-1)


def pve(
    pred: ArrayLike, target: ArrayLike, pred_joints: ArrayLike, joints: ArrayLike, root: tuple[int, ...] = HIPS
) -> np.ndarray:
    """Per-vertex error ``(T, V)`` in mm, of vertices ``(T, V, 3)`` rooted by joints ``(T, J, 3)``."""
    p, q = _f64(pred, target)
    pj, qj = _f64(pred_joints, joints)
    return _MM * np.linalg.norm(_rooted(p, root, pj) - _rooted(q, root, qj), axis=-1)


def pa_mpjpe(pred: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Position error ``(T, J)`` in mm after aligning every frame by a similarity."""
    p, q = _f64(pred, target)
    return mpjpe(_moved(p, *procrustes(p, q)), q)


def _aligned(pred: ArrayLike, target: ArrayLike, frames: int | None, segment: int) -> np.ndarray:
    """Segments aligned by one similarity each, found from their first ``frames`` frames (None: from all)."""
    p, q = _f64(pred, target)
    parts = []
    for start in range(0, len(p), segment):
        a, b = p[start : start + segment], q[start : start + segment]
        transform = procrustes(a[:frames].reshape(-1, 3), b[:frames].reshape(-1, 3))
        parts.append(_moved(a.reshape(-1, 3), *transform).reshape(a.shape))
    return np.concatenate(parts)


def w_mpjpe(pred: ArrayLike, target: ArrayLike, segment: int = SEGMENT) -> np.ndarray:
    """W-MPJPE ``(T, J)`` in mm: segments of 100 frames aligned by a similarity of their first two frames."""
    return mpjpe(_aligned(pred, target, 2, segment), target)


def wa_mpjpe(pred: ArrayLike, target: ArrayLike, segment: int = SEGMENT) -> np.ndarray:
    """WA-MPJPE ``(T, J)`` in mm: segments of 100 frames aligned by a similarity of all their frames."""
    return mpjpe(_aligned(pred, target, None, segment), target)


def heading_aligned(pred: ArrayLike, target: ArrayLike) -> np.ndarray:
    """``pred (T, J, 3)`` m, turned about z and moved to where it fits ``target`` best, as one rigid piece.

    What a single camera cannot know of the world, its heading and origin, is taken out; a wrong vertical, size or path
    is left in. The angle is the one of least squares between poses about their own centres: a wrong path turns nothing.
    """
    p, q = _f64(pred, target)
    p0, q0 = p - p.mean(1, keepdims=True), q - q.mean(1, keepdims=True)
    cross = np.sum(p0[..., 0] * q0[..., 1] - p0[..., 1] * q0[..., 0])
    angle = np.arctan2(cross, np.sum(p0[..., :2] * q0[..., :2]))
    c, s = np.cos(angle), np.sin(angle)
    turned = p @ np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    return turned + (q - turned).mean((0, 1))


def rte(pred_root: ArrayLike, root: ArrayLike) -> np.ndarray:
    """Root translation error ``(T,)`` in percent of the target's path, after one rigid alignment of ``(T, 3)``.

    NaN where the target does not move at all.
    """
    p, q = _f64(pred_root, root)
    path = np.linalg.norm(np.diff(q, axis=0), axis=-1).sum()
    error = np.linalg.norm(_moved(p, *procrustes(p, q, scale=False)) - q, axis=-1)
    return 100.0 * error / path if path > 0 else np.full(len(q), np.nan)


def vel_dist(pred: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Difference of first differences ``(T - 1, J)`` in mm per frame (PHC)."""
    p, q = _f64(pred, target)
    return _MM * np.linalg.norm(np.diff(p - q, axis=0), axis=-1)


def accel_dist(pred: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Difference of second differences ``(T - 2, J)`` in mm per frame squared (PHC)."""
    p, q = _f64(pred, target)
    return _MM * np.linalg.norm(np.diff(p - q, n=2, axis=0), axis=-1)


def accel_error(
    pred: ArrayLike,
    target: ArrayLike,
    fps: float,
    root: tuple[int, ...] | None = HIPS,
    valid: ArrayLike | None = None,
) -> np.ndarray:
    """Difference of accelerations of rooted joints ``(T - 2, J)`` in m/s^2 (GVHMR).

    Args:
      pred, target: ``(T, J, 3)`` m.
      fps: frames per second.
      root: as for ``mpjpe``.
      valid: ``(T,)`` bool; only windows of three valid frames are kept.
    """
    p, q = _f64(pred, target)
    error = fps**2 * np.linalg.norm(np.diff(_rooted(p, root) - _rooted(q, root), n=2, axis=0), axis=-1)
    if valid is None:
        return error
    known = np.asarray(valid, bool)
    return error[known[:-2] & known[1:-1] & known[2:]]


def jitter(pred: ArrayLike, fps: float) -> np.ndarray:
    """Jerk ``(T - 3, J)`` in 10 m/s^3, of the prediction alone (WHAM)."""
    (p,) = _f64(pred)
    return np.linalg.norm(np.diff(p, n=3, axis=0), axis=-1) * fps**3 / 10.0


def bone_length_std(pred: ArrayLike, bones: Sequence[tuple[int, int]]) -> np.ndarray:
    """Standard deviation over time ``(B,)`` in mm of the distance between pairs of joints of ``(T, J, 3)`` m."""
    (p,) = _f64(pred)
    start, end = np.array(bones).T
    return _MM * np.linalg.norm(p[:, start] - p[:, end], axis=-1).std(0)


def foot_sliding(pred_feet: ArrayLike, feet: ArrayLike) -> np.ndarray:
    """Displacement per frame in mm of foot vertices ``(T, F, 3)`` wherever the target's stands; flat, frames first.

    SMPL's vertices are 3216, 3387, 6617 and 6787. Empty where nothing stands.
    """
    p, q = _f64(pred_feet, feet)
    standing = np.linalg.norm(np.diff(q, axis=0), axis=-1) < STANDING
    return _MM * np.linalg.norm(np.diff(p, axis=0), axis=-1)[standing]


def rot_error(pred: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Angle in rad between rotations ``(..., 4)``, quaternions ``wxyz``."""
    p, q = _f64(pred, target)
    w = np.sum(p * q, -1)
    # |p - q| and |p + q| are well conditioned where the arc cosine of the product is not
    return 4.0 * np.arctan2(
        np.linalg.norm(np.where(w[..., None] < 0, p + q, p - q), axis=-1),
        np.linalg.norm(np.where(w[..., None] < 0, p - q, p + q), axis=-1),
    )


def penetration(points: ArrayLike, surface: Surface | None = None) -> np.ndarray:
    """Mean depth ``(T,)`` in mm of those points of ``(T, P, 3)`` that are inside the surface; 0 where none is.

    PHC's surface is the floor z = 0, the default.
    """
    distance = measure(surface, points).distance
    below = distance < 0
    return _MM * np.where(below, -distance, 0.0).sum(-1) / np.maximum(below.sum(-1), 1)


def skate(points: ArrayLike, surface: Surface | None = None) -> np.ndarray:
    """Mean displacement along the surface ``(T - 1,)`` in mm of the points on or inside it in both frames.

    PHC's surface is the floor z = 0, the default.
    """
    (p,) = _f64(points)
    found = measure(surface, p)
    low = found.distance <= 0
    both = low[1:] & low[:-1]
    step, normal = np.diff(p, axis=0), found.normal[:-1]
    moved = np.linalg.norm(step - np.sum(step * normal, -1, keepdims=True) * normal, axis=-1)
    return _MM * np.where(both, moved, 0.0).sum(-1) / np.maximum(both.sum(-1), 1)


def body_distances(pred: ArrayLike, target: ArrayLike, bodies: Sequence[int] = EVAL_BODIES) -> np.ndarray:
    """Mean distance ``(T,)`` in m of ``bodies`` of ``(T, J, 3)``; default PHC's 20 of SMPL's 24 in MuJoCo order."""
    p, q = _f64(pred, target)
    return np.linalg.norm(p - q, axis=-1)[:, list(bodies)].mean(-1)


def first_failure(pred: ArrayLike, target: ArrayLike, bodies: Sequence[int] = EVAL_BODIES) -> int | None:
    """First frame in which the mean distance of ``bodies`` exceeds 0.5 m (PHC's criterion); None: a success.

    Args:
      pred, target: ``(T, J, 3)`` m, the tracked bodies in order. A prediction that is not finite has failed.
      bodies: by which success is judged; default PHC's 20 of SMPL's 24.
    """
    failed = np.flatnonzero(~(body_distances(pred, target, bodies) <= FAILURE_DISTANCE))
    return int(failed[0]) if failed.size else None
