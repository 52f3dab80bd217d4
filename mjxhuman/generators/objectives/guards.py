"""What keeps a physics reward from being bought: by moving less, or by saying the same thing every time."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Float, Int

from mjxhuman.types import Array


def floored(
    reward: Float[Array, " N"], motion: Float[Array, " N"], base: Float[Array, " N"], floor: float = 0.9
) -> Float[Array, " N"]:
    """Rewards lowered in proportion where a sample moves less than a share of what the base does.

    Who stands still has none, so stillness cannot win; who moves more than the floor asks gains nothing by it.

    Args:
        reward: of the samples, 0 or more.
        motion: how much they move, in any unit. base: how much the base's samples of the same prompt and noise do.
        floor: the share below which rewards are lowered; 0 leaves them.
    """
    if floor == 0:
        return reward
    return reward * jnp.clip(motion / jnp.maximum(floor * base, 1e-9), 0.0, 1.0)


def diversity(x: Float[Array, "N n"], group: Int[Array, " N"]) -> Float[Array, ""]:
    """Mean distance () between the samples of a prompt, over all pairs; NaN where no prompt has two."""
    square = jnp.sum(jnp.square(x[:, None] - x[None]), -1)
    pair = (group[:, None] == group[None]) & ~jnp.eye(len(x), dtype=bool)
    distance = jnp.where(pair, jnp.sqrt(jnp.where(pair, square, 1.0)), 0.0)
    return jnp.sum(distance) / jnp.sum(pair)
