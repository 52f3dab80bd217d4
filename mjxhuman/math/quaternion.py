"""Quaternions ``wxyz`` in float64 on the host: files are read and aligned to the body before the device sees them.

``axis`` is the array axis that holds the components: the last by default; the readers of files keep them first, so that
every operation runs over frames. ``math.rotation`` is the same algebra for JAX.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

_AXES = {"x": 1, "y": 2, "z": 3}


def _first(x: np.ndarray, axis: int) -> np.ndarray:
    """The array with an axis moved to the front; ``np.moveaxis`` spends most of its time on checks."""
    x = np.asarray(x)
    axis %= x.ndim
    return x.transpose(axis, *(k for k in range(x.ndim) if k != axis))


def multiply(p: np.ndarray, q: np.ndarray, axis: int = -1) -> np.ndarray:
    """Hamilton product: rotate by ``q``, then by ``p``."""
    pw, px, py, pz = _first(p, axis)
    qw, qx, qy, qz = _first(q, axis)
    parts = [
        pw * qw - px * qx - py * qy - pz * qz,
        pw * qx + px * qw + py * qz - pz * qy,
        pw * qy - px * qz + py * qw + pz * qx,
        pw * qz + px * qy - py * qx + pz * qw,
    ]
    return np.stack(parts, axis)


def conjugate(q: np.ndarray, axis: int = -1) -> np.ndarray:
    """Inverse of unit quaternions."""
    w, x, y, z = _first(q, axis)
    return np.stack([w, -x, -y, -z], axis)


def rotate(q: np.ndarray, v: np.ndarray, axis: int = -1) -> np.ndarray:
    """Vectors ``v`` turned by unit quaternions."""
    w, x, y, z = _first(q, axis)
    v0, v1, v2 = _first(v, axis)
    t0, t1, t2 = 2 * (y * v2 - z * v1), 2 * (z * v0 - x * v2), 2 * (x * v1 - y * v0)
    return np.stack([v0 + w * t0 + y * t2 - z * t1, v1 + w * t1 + z * t0 - x * t2, v2 + w * t2 + x * t1 - y * t0], axis)


def from_euler(order: str, angles: np.ndarray, axis: int = -1) -> np.ndarray:
    """Quaternions of intrinsic rotations.

    Args:
      order: axes such as "zyx", each turned by the rotations before it: R = Rz Ry Rx.
      angles: rad, in the same order along ``axis``.
    """
    result: np.ndarray | None = None
    for name, half in zip(order, 0.5 * np.moveaxis(angles, axis, 0), strict=True):
        turn = np.zeros((4, *half.shape))
        turn[0], turn[_AXES[name]] = np.cos(half), np.sin(half)
        result = turn if result is None else multiply(result, turn, 0)
    if result is None:
        raise ValueError("order: expected one axis or more, found none")
    return np.moveaxis(result, 0, axis)


def unit(v: np.ndarray) -> np.ndarray:
    """Vectors scaled to length one; a zero vector stays zero."""
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    return v / np.where(length > 0, length, 1.0)


def between(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Smallest rotation ``(..., 4)`` that turns the direction ``u`` to ``v``; about some normal if opposite."""
    u, v = np.broadcast_arrays(unit(u), unit(v))
    w = 1.0 + np.sum(u * v, -1, keepdims=True)
    helper = np.where(np.abs(u[..., :1]) < 0.7, np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    axis = np.where(w > 1e-6, np.cross(u, v), np.cross(u, helper))
    q = np.concatenate([np.where(w > 1e-6, w, 0.0), axis], -1)
    return unit(q)


def about(axis: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Rotations ``(T, 4)`` by ``theta`` (T,) rad about the unit vector ``axis`` (3,)."""
    return np.concatenate([np.cos(theta / 2)[:, None], np.sin(theta / 2)[:, None] * axis], -1)


def from_matrix(m: np.ndarray) -> np.ndarray:
    """Quaternions ``(..., 4)`` of rotation matrices ``(..., 3, 3)``."""
    flat = Rotation.from_matrix(m.reshape(-1, 3, 3)).as_quat(scalar_first=True)
    return flat.reshape(*m.shape[:-2], 4)


def from_axes(primary: np.ndarray, secondary: np.ndarray, primary_axis: int, secondary_axis: int) -> np.ndarray:
    """Rotation whose column ``primary_axis`` is ``primary`` and whose column ``secondary_axis`` is as near as possible
    to ``secondary``; both ``(..., 3)``."""
    a = unit(primary)
    b = unit(secondary - np.sum(secondary * a, -1, keepdims=True) * a)
    third_axis = 3 - primary_axis - secondary_axis
    sign = 1.0 if (primary_axis, secondary_axis) in ((0, 1), (1, 2), (2, 0)) else -1.0
    columns = [np.zeros_like(a)] * 3
    columns[primary_axis], columns[secondary_axis], columns[third_axis] = a, b, sign * np.cross(a, b)
    return from_matrix(np.stack(columns, -1))


def mean(q: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Chordal mean ``(4,)`` of rotations ``(N, 4)``; Markley et al., "Averaging quaternions", 2007."""
    scaled = q if weight is None else q * np.sqrt(weight)[:, None]
    _, vectors = np.linalg.eigh(scaled.T @ scaled)
    return vectors[:, -1] * np.where(vectors[0, -1] < 0, -1.0, 1.0)


def interpolate(p: np.ndarray, q: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """Normalised linear interpolation along the shorter arc; close to slerp below a right angle."""
    q = np.where(np.sum(p * q, -1, keepdims=True) < 0, -q, q)
    return unit((1.0 - share) * p + share * q)


def angle(q: np.ndarray) -> np.ndarray:
    """Rotation angle in [0, pi]."""
    return 2.0 * np.arctan2(np.linalg.norm(q[..., 1:], axis=-1), np.abs(q[..., 0]))


def kabsch(rest: np.ndarray, seen: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Rotations ``(T, 4)`` that best turn vectors ``rest`` (K, 3) to ``seen`` (T, K, 3), ``weight`` (T, K) or (K,)."""
    weight = np.broadcast_to(weight, seen.shape[:2])
    product = np.einsum("tk,tki,kj->tij", weight, seen, rest)
    u, _, vt = np.linalg.svd(product)
    flip = np.ones((len(seen), 3))
    flip[:, 2] = np.sign(np.linalg.det(u @ vt))
    return from_matrix(u * flip[:, None, :] @ vt)
