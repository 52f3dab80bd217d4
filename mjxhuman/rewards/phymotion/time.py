"""How the published PhyMotion code treats time: its finite differences, means and runs, on padded clips.

Arrays have their components first, then batch axes, then time last: ``(..., *b, T)``. Only the first ``length`` frames
of a clip count; what the padding holds has no influence, as long as it is finite.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax


class Clip(NamedTuple):
    """Which frames of the time axis are a clip."""

    valid: Array  # (*b, T) bool: the first ``length`` frames
    first: Array  # (T,) bool: frame 0
    last: Array  # (*b, T) bool: frame length - 1
    length: Array  # (*b) number of frames, in the floating-point type of the data
    rate: Array  # () frames per second


def make_clip(valid: Array, rate: Array, dtype: jnp.dtype) -> Clip:
    """The clip of a mask ``valid`` (*b, T) whose true frames come first, at ``rate`` frames per second."""
    index = jnp.arange(valid.shape[-1])
    length = jnp.sum(valid, axis=-1)
    return Clip(valid, index == 0, index == length[..., None] - 1, length.astype(dtype), rate)


def previous(x: Array) -> Array:
    """The frame before; frame 0 is its own."""
    return jnp.concatenate([x[..., :1], x[..., :-1]], axis=-1)


def following(x: Array) -> Array:
    """The frame after; the last of the array is its own."""
    return jnp.concatenate([x[..., 1:], x[..., -1:]], axis=-1)


def backward_difference(x: Array, clip: Clip) -> Array:
    """Rate of change since the frame before; 0 at frame 0."""
    return (x - previous(x)) * clip.rate


def central_accelerations(velocity: Array, clip: Clip) -> Array:
    """Central differences of ``velocity``; the two end frames copy their neighbours. Clips of two frames give 0."""
    inner = clip.valid & ~clip.first & ~clip.last
    central = jnp.where(inner, (following(velocity) - previous(velocity)) * (0.5 * clip.rate), 0.0)
    return jnp.where(clip.first, following(central), jnp.where(clip.last, previous(central), central))


def gradient(x: Array, clip: Clip) -> Array:
    """``numpy.gradient`` over time: central differences, one-sided ones at the two end frames."""
    after = jnp.where(clip.last, x, following(x))
    step = jnp.where(clip.first | clip.last, 1.0, 0.5)
    return (after - previous(x)) * (step * clip.rate)


def forward_step(x: Array, clip: Clip) -> Array:
    """Displacement to the next frame; the last frame copies the one before."""
    step = following(x) - x
    return jnp.where(clip.last, previous(step), step)


def mean(x: Array, clip: Clip) -> Array:
    """Mean over a clip's frames (..., *b, T) -> (..., *b); flags count as 0 and 1."""
    return total(x, clip) / clip.length


def total(x: Array, clip: Clip) -> Array:
    """Sum over a clip's frames (..., *b, T) -> (..., *b)."""
    return jnp.sum(jnp.where(clip.valid, x, 0).astype(clip.length.dtype), axis=-1)


def norm(x: Array, axis: int) -> Array:
    """Euclidean norm along a short ``axis``, written out: XLA's reduction over it is several times slower on a CPU."""
    return jnp.sqrt(sum(jnp.square(lax.index_in_dim(x, i, axis, keepdims=False)) for i in range(x.shape[axis])))


class Runs(NamedTuple):
    """Stretches of consecutive flagged frames; at a flagged frame, what is known of its stretch."""

    flag: Array  # (..., T) bool
    start: Array  # (..., T) int, first frame of the stretch
    end: Array  # (..., T) int, last frame of the stretch

    @property
    def length(self) -> Array:
        """Frames in the stretch."""
        return self.end - self.start + 1


def find_runs(flag: Array) -> Runs:
    """The stretches of true entries along the last axis."""
    index = jnp.arange(flag.shape[-1])
    axis = flag.ndim - 1
    start = lax.cummax(jnp.where(flag, 0, index + 1), axis=axis)
    end = lax.cummin(jnp.where(flag, flag.shape[-1] - 1, index - 1), axis=axis, reverse=True)
    start, end = jnp.where(flag, start, index), jnp.where(flag, end, index)  # indices that are safe everywhere
    return Runs(flag, start, end)


def run_total(x: Array, runs: Runs) -> Array:
    """At every flagged frame, the number of true entries of ``x`` (..., T) in its stretch."""
    upto = jnp.cumsum(x, axis=-1, dtype=jnp.int32)
    upto, own = (jnp.broadcast_to(a, runs.flag.shape) for a in (upto, x))
    at = lambda a, index: jnp.take_along_axis(a, index, axis=-1)  # noqa: E731
    return at(upto, runs.end) - at(upto, runs.start) + at(own, runs.start)
