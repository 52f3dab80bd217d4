"""Generalised advantage estimation (Schulman et al. 2016, eq. 16)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from mjxhuman.types import Array


def advantages(
    reward: Float[Array, " T *b"],
    value: Float[Array, " T *b"],
    next_value: Float[Array, " T *b"],
    done: Bool[Array, " T *b"],
    truncation: Bool[Array, " T *b"],
    *,
    gamma: float,
    gae_lambda: float,
) -> tuple[Float[Array, " T *b"], Float[Array, " T *b"]]:
    """Advantages and returns of a roll-out.

    A failure is worth nothing afterwards; a time-out is worth the value of the state it was cut at; the trace of
    later errors is cut at either.

    Args:
        reward: of each step.
        value: of the state before the step.
        next_value: of the state the step led to, before any automatic reset.
        done: the episode ended with the step.
        truncation: it ended by time-out.
        gamma: discount per step.
        gae_lambda: decay of the trace.

    Returns:
        Advantages and their sums with ``value``, the targets of the critic.
    """
    failed = done & ~truncation
    delta = reward + gamma * jnp.where(failed, 0.0, next_value) - value
    decay = gamma * gae_lambda * (1.0 - done.astype(delta.dtype))

    def backwards(later: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        error, keep = now
        advantage = error + keep * later
        return advantage, advantage

    _, advantage = jax.lax.scan(backwards, jnp.zeros_like(delta[0]), (delta, decay), reverse=True)
    return advantage, advantage + value
