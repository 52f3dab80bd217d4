"""How much better a sample is than others of the same prompt, and the preference that follows from it."""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct
from jaxtyping import Bool, Float, Int

from mjxhuman.types import Array

#: Added to the standard deviation of rewards, as in the trainers of DiffusionNFT and Flow-GRPO.
_SPREAD = 1e-4
#: Rewards of a group count as equal within this, relative to the largest: both float32 and float64 tell them apart.
_EQUAL = 1e-6


@struct.dataclass
class Advantages:
    """What ``advantages`` returns, for N samples in groups 0 to G - 1."""

    value: Float[Array, " N"]  # 0 for samples that are invalid, alone in their group or all equal there
    spread: Float[Array, ""]  # standard deviation of all valid rewards
    groups: Int[Array, ""]  # that have a valid sample
    flat: Int[Array, ""]  # of them, those with two or more valid samples whose rewards are equal


def advantages(
    rewards: Float[Array, " N"], group: Int[Array, " N"], valid: Bool[Array, " N"], groups: int
) -> Advantages:
    """``(R - mean of its group) / (standard deviation of all + 1e-4)`` (DiffusionNFT's released setting).

    What is not valid has no part in any mean or deviation, whatever its reward is, NaN included.

    Args:
        rewards: of the samples. group: of each, the number of its prompt. valid: which count.
        groups: G, static.
    """
    use = valid & jnp.isfinite(rewards)
    reward = jnp.where(use, rewards, 0.0)
    weight = use.astype(reward.dtype)

    def total(x: Array) -> Array:
        return jnp.zeros(groups, x.dtype).at[group].add(x)

    count = total(weight)
    off = jnp.where(use, reward - (total(reward) / jnp.maximum(count, 1.0))[group], 0.0)
    low = jnp.full(groups, jnp.inf, reward.dtype).at[group].min(jnp.where(use, reward, jnp.inf))
    high = jnp.full(groups, -jnp.inf, reward.dtype).at[group].max(jnp.where(use, reward, -jnp.inf))
    size = jnp.maximum(jnp.abs(low), jnp.abs(high))
    equal = jnp.where(count > 0, high - low <= _EQUAL * jnp.maximum(size, 1e-12), False)
    n = jnp.maximum(jnp.sum(weight), 1.0)
    mean = jnp.sum(reward) / n
    spread = jnp.sqrt(jnp.sum(weight * jnp.square(reward - mean)) / n)
    value = jnp.where(equal[group], 0.0, off / (spread + _SPREAD))
    return Advantages(value, spread, jnp.sum(count > 0), jnp.sum(equal & (count > 1)))


def preference(advantage: Float[Array, "*b"], clip: float) -> Float[Array, "*b"]:
    """``r = 1/2 + 1/2 clip(A / clip, -1, 1)``: 1 for what is to be imitated, 0 for what is to be avoided."""
    return 0.5 + 0.5 * jnp.clip(advantage / clip, -1.0, 1.0)
