"""What keeps a physics reward from being bought: by moving less, or by saying the same thing every time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Float

from mjxhuman.types import Array


def floored(
    reward: Float[Array, " N"],
    motion: Float[Array, "N ..."],
    base: Float[Array, "N ..."],
    floor: float = 0.9,
    still: float = 0.0,
) -> Float[Array, " N"]:
    """Rewards lowered in proportion where a sample moves less than a share of what the base does.

    Who stands still has none, so stillness cannot win; who moves more than the floor asks gains nothing by it.

    Args:
        reward: of the samples, 0 or more.
        motion: how much they move, in any unit, or by several measures, of which the lowest share counts. base: how
            much the base's samples of the same prompt and noise do.
        floor: the share below which rewards are lowered; 0 leaves them.
        still: added to both, so that little counts where the base hardly moves.
    """
    if floor == 0:
        return reward
    share = (motion + still) / jnp.maximum(floor * base + still, 1e-9)
    return reward * jnp.clip(least(share), 0.0, 1.0)


def least(share: Float[Array, "N ..."]) -> Float[Array, " N"]:
    """The lowest of the measures of each sample."""
    return jnp.min(share.reshape(len(share), -1), 1)


def diversity(x: Float[Array, "P S n"]) -> Float[Array, ""]:
    """Mean distance () between the S samples of a prompt, over all pairs; NaN for a single sample."""
    square = jnp.sum(jnp.square(x[:, :, None] - x[:, None]), -1)
    other = ~jnp.eye(x.shape[1], dtype=bool)
    return jnp.sum(jnp.where(other, jnp.sqrt(jnp.where(other, square, 1.0)), 0.0)) / (len(x) * jnp.sum(other))


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Where a run ends: what samples have become beside the base's of the same prompts and noise.

    Attributes:
        motion, diversity: least share of the base's. kl: largest mean squared distance to them. 0: no bound.
    """

    motion: float = 0.0
    diversity: float = 0.0
    kl: float = 0.0

    def left(self, values: Mapping[str, float]) -> str:
        """Which bound ``values`` of these names are beyond; "" if they are within all."""
        for name in ("motion", "diversity"):
            least_share = getattr(self, name)
            if least_share and not values[name] >= least_share:  # what is no number is no more within
                return f"{name}: expected at least {least_share:g} of the base's, found {values[name]:.3f}"
        if self.kl and not values["kl"] <= self.kl:
            return f"kl: expected at most {self.kl:g}, found {values['kl']:.4f}"
        return ""
