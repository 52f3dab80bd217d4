"""Time series on manifolds: velocities and accelerations by local regression, resampling by slerp.

One filter serves every motion in the house: around each frame a quadratic in time is fitted to the tangent-space
offsets of its neighbours, with biweight kernel weights over a window fixed in *seconds*. It is the Savitzky-Golay
filter (Savitzky and Golay 1964; order 2) with a smooth window, so that a clip sampled at 24 or 120 Hz is filtered to
the same bandwidth. The second derivative keeps 94 % of its amplitude at 2 Hz, 75 % at 4 Hz and 50 % at 6 Hz,
whatever the frame rate;
1 mm of white noise becomes 0.2-0.5 m/s^2.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from mjxhuman.math import rotation

#: Half width of the regression window in seconds: five frames carry weight at 30 Hz, as in window 5, order 2.
HALF_WINDOW = 0.10

#: tangent(q0, q1): the offset that leads from q0 to q1, in the coordinates of the tangent space at q0, frames last
Tangent = Callable[[Array, Array], Array]


def window_radius(dt: float, half_window: float = HALF_WINDOW) -> int:
    """Neighbours on each side that carry weight; at least two, so that a clip's ends keep a derivative."""
    return max(2, math.ceil(half_window / dt - 1e-6) - 1)


def derivatives(
    tangent: Tangent, q: ArrayLike, valid: ArrayLike, dt: ArrayLike, *, radius: int, half_window: float = HALF_WINDOW
) -> tuple[Array, Array]:
    """First and second time derivative of a sampled path on a manifold, frames on the last axis.

    Args:
      tangent: maps ``(n, T), (n, T)`` to ``(m, T)`` offsets; zero for equal arguments. For a rotation the offset is
        the body-local rotation vector, so the results are the body-local angular velocity and its derivative.
      q: ``(n, T)`` samples.
      valid: ``(T,)`` bool; other frames take no part in any window.
      dt: seconds between samples.
      radius: static number of neighbours on each side, ``window_radius(dt)``.
      half_window: seconds at which the kernel reaches zero; widened to 2.2 dt when frames are farther apart.

    Returns:
      ``velocity (m, T)`` and ``acceleration (m, T)``, per second and per second squared. Frames near an end or a gap
      are fitted one-sidedly (see ``whole_windows``); where fewer than three valid frames remain both are zero.
    """
    q, valid = jnp.asarray(q), jnp.asarray(valid)
    dt = jnp.asarray(dt, q.dtype)
    frames = q.shape[-1]
    width = jnp.maximum(half_window, 2.2 * dt)
    padded = jnp.pad(q, ((0, 0), (radius, radius)), mode="edge")
    known = jnp.pad(valid, (radius, radius))

    def add(carry: tuple[Array, Array, Array], shift: Array) -> tuple[tuple[Array, Array, Array], None]:
        moments, offsets, count = carry
        inside = valid & jax.lax.dynamic_slice_in_dim(known, radius + shift, frames)
        u = shift * dt / width
        weight = jnp.where(inside, jnp.square(jnp.maximum(1.0 - u * u, 0.0)), 0.0)
        delta = tangent(q, jax.lax.dynamic_slice_in_dim(padded, radius + shift, frames, 1))
        powers = jnp.stack([jnp.ones_like(u), u, u * u, u**3, u**4])[:, None] * weight
        return (moments + powers, offsets + powers[:3, None] * delta, count + inside), None

    own = valid.astype(q.dtype)  # every frame counts itself with offset zero
    start = (
        own * jnp.array([1.0, 0, 0, 0, 0], q.dtype)[:, None],
        jnp.zeros((3, *jax.eval_shape(tangent, q, q).shape), q.dtype),
        valid.astype(jnp.int32),
    )
    shifts = np.array([s for s in range(-radius, radius + 1) if s != 0])
    (moments, offsets, count), _ = jax.lax.scan(add, start, jnp.asarray(shifts))
    slope, curvature = _quadratic(moments, offsets)
    enough = count >= 3
    return jnp.where(enough, slope / width, 0.0), jnp.where(enough, 2.0 * curvature / (width * width), 0.0)


def smooth(x: Array, valid: Array, dt: ArrayLike, *, radius: int, half_window: float = HALF_WINDOW) -> Array:
    """Mean of samples ``(..., T)`` about every frame, weighted as ``derivatives`` weights the accelerations there.

    Summed by parts, the second derivative of the fit is a mean of second derivatives. Its kernel is (1 - u^2)^4 of the
    time u in half windows: the one whose own second derivative is the biweight times what is left of u^2.
    """
    frames = x.shape[-1]
    dt = jnp.asarray(dt, x.dtype)
    width = jnp.maximum(half_window, 2.2 * dt)
    before = [(0, 0)] * (x.ndim - 1)
    padded, known = jnp.pad(x, [*before, (radius, radius)]), jnp.pad(valid, (radius, radius))

    def add(carry: tuple[Array, Array], shift: Array) -> tuple[tuple[Array, Array], None]:
        total, mass = carry
        u = shift * dt / width
        kernel = jnp.square(jnp.square(jnp.maximum(1.0 - u * u, 0.0)))
        weight = jnp.where(jax.lax.dynamic_slice_in_dim(known, radius + shift, frames), kernel, 0.0)
        return (total + weight * jax.lax.dynamic_slice_in_dim(padded, radius + shift, frames, -1), mass + weight), None

    shifts = np.array([s for s in range(-radius, radius + 1) if s != 0])
    (total, mass), _ = jax.lax.scan(add, (x, jnp.ones(frames, x.dtype)), jnp.asarray(shifts))
    return total / mass


def one_sided(
    x: Array, valid: Array, dt: ArrayLike, *, radius: int, step: float
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Mean velocity of samples ``(..., T)`` over the past ``step`` seconds and over the coming ones.

    ``step`` is at least one frame and at most half the window of ``radius``; between frames x is taken as linear.

    Returns:
      Before and after: the velocity, per second, and ``(T,)`` bool, where the samples it takes are there and valid.
    """
    frames, reach = x.shape[-1], radius + 1
    dt = jnp.asarray(dt, x.dtype)
    steps = jnp.maximum(step / dt, 1.0)
    low = jnp.floor(steps + 1e-4).astype(jnp.int32)
    share = jnp.maximum(steps - low, 0.0)
    padded, known = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(reach, reach)]), jnp.pad(valid, (reach, reach))

    def side(sign: int) -> tuple[Array, Array]:
        near, far = (jax.lax.dynamic_slice_in_dim(padded, reach + sign * k, frames, -1) for k in (low, low + 1))
        there = (jax.lax.dynamic_slice_in_dim(known, reach + sign * k, frames) for k in (low, low + 1))
        use = next(there) & (next(there) | (share < 1e-3))
        return sign * ((1.0 - share) * near + share * far - x) / (steps * dt), use

    return side(-1), side(1)


def whole_windows(valid: ArrayLike, radius: int) -> np.ndarray:
    """Frames ``(..., T)`` whose whole regression window lies inside the clip and is valid: those fit to be scored."""
    valid = np.asarray(valid, bool)
    padded = np.pad(valid, [(0, 0)] * (valid.ndim - 1) + [(radius, radius)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis=-1)
    return windows.all(-1)


def runs(flags: ArrayLike) -> list[tuple[int, int]]:
    """First frame, and the one after the last, of every stretch of ``(T,)`` frames for which the flag is set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.asarray(flags, bool), [False]])))
    return [(int(first), int(stop)) for first, stop in edges.reshape(-1, 2)]


def longest_run(flags: ArrayLike) -> tuple[int, int]:
    """The longest of ``runs``, the first of equals; ``(0, 0)`` where there is none."""
    return max(runs(flags), key=lambda run: run[1] - run[0], default=(0, 0))


def smoothstep(share: np.ndarray) -> np.ndarray:
    """0 up to 0, 1 from 1 on, with no slope at either end."""
    share = np.clip(share, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


def fall(x: np.ndarray, between: tuple[float, float]) -> np.ndarray:
    """1 below the first value, 0 above the second, smooth in between; the other way round where the first is larger."""
    return smoothstep((between[1] - x) / (between[1] - between[0]))


def _quadratic(m: Array, d: Array) -> tuple[Array, Array]:
    """Coefficients of u and u^2 of the weighted quadratic fit, by Cramer's rule on the 3 x 3 normal equations."""
    m0, m1, m2, m3, m4 = m
    c00, c01, c02 = m2 * m4 - m3 * m3, m2 * m3 - m1 * m4, m1 * m3 - m2 * m2
    c11, c12, c22 = m0 * m4 - m2 * m2, m1 * m2 - m0 * m3, m0 * m2 - m1 * m1
    det = m0 * c00 + m1 * c01 + m2 * c02
    inverse = jnp.where(det > 1e-9, 1.0 / jnp.where(det > 1e-9, det, 1.0), 0.0)
    slope = (c01 * d[0] + c11 * d[1] + c12 * d[2]) * inverse
    curvature = (c02 * d[0] + c12 * d[1] + c22 * d[2]) * inverse
    return slope, curvature


def resample_times(frames: int, source_fps: float, target_fps: float) -> np.ndarray:
    """Sample times of the target rate inside a clip, in units of source frames ``(T',)``."""
    if source_fps <= 0 or target_fps <= 0:
        raise ValueError(f"frame rates must be positive, found {source_fps} and {target_fps}")
    count = int(math.floor((frames - 1) / source_fps * target_fps + 1e-6)) + 1
    return np.minimum(np.arange(count) * (source_fps / target_fps), frames - 1)


def sample_linear(x: ArrayLike, times: np.ndarray) -> Array:
    """Linear interpolation of ``(T, ...)`` at fractional frame numbers ``(T',)``."""
    x = jnp.asarray(x)
    low, share = _bracket(x.shape[0], times, x.ndim, x.dtype)
    return x[low] * (1 - share) + x[low + 1] * share if x.shape[0] > 1 else x[low]


def sample_slerp(q: ArrayLike, times: np.ndarray) -> Array:
    """Spherical interpolation of quaternions ``(T, ..., 4)`` at fractional frame numbers ``(T',)``."""
    q = jnp.asarray(q)
    if q.shape[0] == 1:
        return q[np.zeros(len(times), int)]
    low, share = _bracket(q.shape[0], times, q.ndim - 1, q.dtype)
    return rotation.slerp(q[low], q[low + 1], share)


def _bracket(frames: int, times: np.ndarray, ndim: int, dtype: np.dtype) -> tuple[np.ndarray, Array]:
    low = np.clip(np.floor(times).astype(int), 0, max(frames - 2, 0))
    return low, jnp.asarray((times - low).reshape((-1,) + (1,) * (ndim - 1)), dtype)
