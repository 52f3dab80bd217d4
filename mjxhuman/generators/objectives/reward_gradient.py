"""The gradient of the reward itself through the last steps of the sampler (DRaFT, Clark et al. 2024, arXiv 2309.17400).

``flow.euler(..., last=K)`` makes the samples. It needs a reward that is differentiable, and takes fewer samples than
objectives that only compare them.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from mjxhuman.generators.flow import along
from mjxhuman.types import Array


@dataclasses.dataclass(frozen=True)
class GradientConfig:
    """Of the objective.

    Attributes:
        last: steps of the sampler that the gradient goes through (K of DRaFT-K). kl_weight: of the distance to what the
            base makes of the same noise.
    """

    last: int = 2
    kl_weight: float = 0.05

    def __post_init__(self) -> None:
        if self.last < 1 or self.kl_weight < 0:
            raise ValueError(
                f"GradientConfig: expected last >= 1 and kl_weight >= 0, found {self.last} and {self.kl_weight}"
            )


def reward_loss(
    reward: Float[Array, " B"],
    x0: Float[Array, "B ..."],
    base: Float[Array, "B ..."],
    valid: Bool[Array, " B"],
    kl_weight: float,
) -> tuple[Array, dict[str, Array]]:
    """``-R + kl_weight |x0 - x0_base|^2``, mean () over valid samples, and its parts.

    Args:
        reward: of the samples, differentiable.
        x0: samples. base: what the frozen generator makes of the same noise.
        valid: which count. The others change no value, but a NaN in how their reward was computed reaches the gradient:
            see ``finite``.
        kl_weight: of the distance to the base.
    """
    share = valid.astype(x0.dtype) / jnp.maximum(jnp.sum(valid), 1)
    gain = jnp.sum(jnp.where(valid, share * reward, 0.0))
    off = jnp.where(along(valid, x0) > 0, x0 - jax.lax.stop_gradient(base), 0.0)
    distance = jnp.sum(share * jnp.mean(jnp.square(off).reshape(len(off), -1), -1))
    return kl_weight * distance - gain, {"loss/reward": -gain, "loss/kl": distance}


def finite(gradients: Array) -> tuple[Array, Array]:
    """Gradients ``(B, ...)`` of single samples with those that are not finite left out, and how many these are, ()."""
    flat = jnp.all(jnp.isfinite(gradients.reshape(len(gradients), -1)), -1)
    return jnp.where(along(flat, gradients) > 0, gradients, 0.0), jnp.sum(~flat)
