"""Pinhole cameras in JAX: projection, lens distortion, rays. Batched and differentiable; arrays in, arrays out.

Axes as in OpenCV: x right, y down, z forward; pixel coordinates grow right and down. A camera is an intrinsic matrix
``K (..., 3, 3)`` in px, a transform ``T_world_camera (..., 4, 4)`` from the camera's axes to the world (m), and the
four coefficients ``k1, k2, p1, p2`` of the Brown-Conrady lens model as OpenCV writes it. Leading axes broadcast; points
have one axis more than their camera.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

#: Newton steps of the inverse lens model: converged to rounding for any lens whose model can be inverted.
_UNDISTORT_STEPS = 8
#: Nearer than this (m) a point counts as this far in front of the camera.
NEAREST = 0.05


def diagonal_intrinsics(image_size: tuple[int, int]) -> np.ndarray:
    """``K (3, 3)`` of a camera nobody calibrated: focal length = image diagonal (53 degrees of view along it), centred.

    The default of GVHMR (Shen et al. 2024) and of most mesh recovery before it.

    Args:
      image_size: width, height in px.
    """
    width, height = image_size
    focal = float(np.hypot(width, height))
    return np.array([[focal, 0.0, width / 2.0], [0.0, focal, height / 2.0], [0.0, 0.0, 1.0]])


def from_extrinsics(rotation: ArrayLike, translation: ArrayLike) -> Array:
    """``T_world_camera (..., 4, 4)`` of the usual extrinsics ``x_camera = rotation x_world + translation``.

    Args:
      rotation: ``(..., 3, 3)``. translation: ``(..., 3)`` m.
    """
    rotation, translation = jnp.asarray(rotation), jnp.asarray(translation)
    turned = jnp.swapaxes(rotation, -1, -2)
    return _rigid(turned, -jnp.einsum("...ij,...j->...i", turned, translation))


def look_at(place: ArrayLike, target: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0)) -> Array:
    """``T_world_camera (..., 4, 4)`` of a camera at ``place`` that looks at ``target``, all ``(..., 3)`` m, the image's
    upper edge towards ``up``."""
    place, target, up = jnp.asarray(place, float), jnp.asarray(target, float), jnp.asarray(up, float)
    ahead = _unit(target - place)
    right = _unit(jnp.cross(ahead, jnp.broadcast_to(up, ahead.shape)))
    return _rigid(jnp.stack([right, jnp.cross(ahead, right), ahead], -1), place)


def to_camera(T_world_camera: ArrayLike, points: ArrayLike) -> Array:
    """World points ``(..., K, 3)`` m in camera axes."""
    T = jnp.asarray(T_world_camera)
    return jnp.einsum("...ji,...kj->...ki", T[..., :3, :3], jnp.asarray(points) - T[..., None, :3, 3])


def to_world(T_world_camera: ArrayLike, points: ArrayLike) -> Array:
    """Camera points ``(..., K, 3)`` m in the world."""
    T = jnp.asarray(T_world_camera)
    return jnp.einsum("...ij,...kj->...ki", T[..., :3, :3], jnp.asarray(points)) + T[..., None, :3, 3]


def distort(xy: ArrayLike, distortion: ArrayLike) -> Array:
    """Where the lens puts the ideal image point ``(..., K, 2)`` (x / z, y / z).

    Args:
      distortion: ``(..., 4)`` k1, k2, p1, p2.
    """
    xy, k = jnp.asarray(xy), jnp.asarray(distortion)[..., None, :]
    x, y = xy[..., 0], xy[..., 1]
    square = x * x + y * y
    radial = 1.0 + square * (k[..., 0] + square * k[..., 1])
    return jnp.stack(
        [
            x * radial + 2.0 * k[..., 2] * x * y + k[..., 3] * (square + 2.0 * x * x),
            y * radial + k[..., 2] * (square + 2.0 * y * y) + 2.0 * k[..., 3] * x * y,
        ],
        -1,
    )


def undistort(xy: ArrayLike, distortion: ArrayLike) -> Array:
    """The inverse of ``distort`` by Newton's method, which a lens model must allow over the image."""
    xy, k = jnp.asarray(xy), jnp.asarray(distortion)[..., None, :]
    guess = xy
    for _ in range(_UNDISTORT_STEPS):
        x, y = guess[..., 0], guess[..., 1]
        square = x * x + y * y
        radial = 1.0 + square * (k[..., 0] + square * k[..., 1])
        slope = 2.0 * (k[..., 0] + 2.0 * square * k[..., 1])
        xx = radial + x * x * slope + 2.0 * k[..., 2] * y + 6.0 * k[..., 3] * x
        yy = radial + y * y * slope + 6.0 * k[..., 2] * y + 2.0 * k[..., 3] * x
        cross = x * y * slope + 2.0 * k[..., 2] * x + 2.0 * k[..., 3] * y
        error = distort(guess, distortion) - xy
        step = jnp.stack([yy * error[..., 0] - cross * error[..., 1], xx * error[..., 1] - cross * error[..., 0]], -1)
        guess = guess - step / (xx * yy - cross * cross)[..., None]
    return guess


def project(points: ArrayLike, K: ArrayLike, T_world_camera: ArrayLike, distortion: ArrayLike) -> tuple[Array, Array]:
    """Pixels ``(..., K, 2)`` and depths ``(..., K)`` m of world points ``(..., K, 3)``.

    Depth <= 0 is behind the camera, and its pixel means nothing.
    """
    seen = to_camera(T_world_camera, points)
    depth = seen[..., 2]
    ideal = seen[..., :2] / jnp.maximum(depth, NEAREST)[..., None]
    return to_pixels(distort(ideal, distortion), K), depth


def to_pixels(xy: ArrayLike, K: ArrayLike) -> Array:
    """Pixels of image points ``(..., K, 2)`` at depth one; ``K (..., 3, 3)`` may be skewed."""
    xy, K = jnp.asarray(xy), jnp.asarray(K)
    return jnp.einsum("...ij,...kj->...ki", K[..., :2, :2], xy) + K[..., None, :2, 2]


def from_pixels(uv: ArrayLike, K: ArrayLike, distortion: ArrayLike) -> Array:
    """Ideal image points ``(..., K, 2)`` (x / z, y / z) of pixels ``(..., K, 2)``: lens and intrinsics undone."""
    uv, K = jnp.asarray(uv), jnp.asarray(K)
    y = (uv[..., 1] - K[..., None, 1, 2]) / K[..., None, 1, 1]
    x = (uv[..., 0] - K[..., None, 0, 2] - K[..., None, 0, 1] * y) / K[..., None, 0, 0]
    return undistort(jnp.stack([x, y], -1), distortion)


def rays(uv: ArrayLike, K: ArrayLike, T_world_camera: ArrayLike, distortion: ArrayLike) -> tuple[Array, Array]:
    """Camera place ``(..., 3)`` m and unit directions ``(..., K, 3)`` in which its pixels look, in the world."""
    T = jnp.asarray(T_world_camera)
    ideal = from_pixels(uv, K, distortion)
    direction = jnp.concatenate([ideal, jnp.ones_like(ideal[..., :1])], -1)
    return T[..., :3, 3], _unit(jnp.einsum("...ij,...kj->...ki", T[..., :3, :3], direction))


def _unit(v: Array) -> Array:
    return v / jnp.linalg.norm(v, axis=-1, keepdims=True)


def _rigid(rotation: Array, translation: Array) -> Array:
    top = jnp.concatenate([rotation, translation[..., None]], -1)
    last = jnp.broadcast_to(jnp.array([0.0, 0.0, 0.0, 1.0], top.dtype), (*top.shape[:-2], 1, 4))
    return jnp.concatenate([top, last], -2)
