"""Running mean and variance of what networks see and of what the critic predicts.

The statistics change once per training iteration, from the whole batch, and are frozen within it: roll-out and update
see the same function (PHC does the same; physically based trackers are sensitive to it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import struct

EPSILON = 1e-5  # added to the variance (PHC)


@struct.dataclass
class Statistics:
    """Mean and variance (n,) of ``count`` () samples; before the first sample 0 and 1.

    ``count`` is a float: beyond 2**24 samples it is rounded, which only rounds the weight of a batch.
    """

    mean: jax.Array
    var: jax.Array
    count: jax.Array


def new_statistics(shape: Sequence[int] = ()) -> Statistics:
    """Statistics of nothing."""
    return Statistics(jnp.zeros(shape, jnp.float32), jnp.ones(shape, jnp.float32), jnp.zeros((), jnp.float32))


def update_statistics(statistics: Statistics, batch: jax.Array, axis: str | None = None) -> Statistics:
    """Merge a batch (*b, n) into the statistics (Chan et al. 1979, pairwise form).

    Args:
        statistics: of all batches so far.
        batch: new samples along all leading axes.
        axis: devices of a ``shard_map`` that each hold an equal share of the batch.
    """
    axes = tuple(range(batch.ndim - statistics.mean.ndim))
    size = float(math.prod(batch.shape[: len(axes)]))
    mean = jnp.mean(batch, axes)
    if axis is not None:
        mean, size = jax.lax.pmean(mean, axis), size * jax.lax.axis_size(axis)
    var = jnp.mean(jnp.square(batch - mean), axes)
    if axis is not None:
        var = jax.lax.pmean(var, axis)
    count = statistics.count + size
    share = size / count
    delta = mean - statistics.mean
    merged = (1 - share) * statistics.var + share * var + share * (1 - share) * jnp.square(delta)
    return Statistics(statistics.mean + share * delta, merged, count)


def normalize(statistics: Statistics, x: jax.Array, clip: float) -> jax.Array:
    """Zero mean, unit variance, within +-``clip``; x is (*b, n)."""
    return jnp.clip((x - statistics.mean) * jax.lax.rsqrt(statistics.var + EPSILON), -clip, clip)


def standardize(statistics: Statistics, x: jax.Array) -> jax.Array:
    """As ``normalize`` without limits; ``unstandardize`` is the inverse."""
    return (x - statistics.mean) * jax.lax.rsqrt(statistics.var + EPSILON)


def unstandardize(statistics: Statistics, x: jax.Array) -> jax.Array:
    """Back to the units of the samples."""
    return x * jnp.sqrt(statistics.var + EPSILON) + statistics.mean
