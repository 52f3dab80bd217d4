"""DiffusionNFT: reinforcement learning on the forward process (Zheng et al. 2025, arXiv 2509.16117).

Samples of the old policy are noised anew, and the current prediction is drawn towards good ones and away from bad ones
by two mixtures with the old prediction. No likelihoods, no solver in the gradient, any sampler. With all predictions as
velocities at one level s::

    v+ = (1 - b) v_old + b v      v- = (1 + b) v_old - b v      x+- = x_s - s v+-
    L  = mean of [ r |x+ - x0|^2 / w+ + (1 - r) |x- - x0|^2 / w- ] / b + kl_weight |v - v_base|^2

Its minimiser is ``x0_old + (2 r - 1) (x0 - x0_old) / b`` without weights and KL term.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from mjxhuman.generators.flow import along, to_data
from mjxhuman.generators.objectives.advantages import preference
from mjxhuman.types import Array

#: Least weight of the adaptive weighting (DiffusionNFT's trainer).
_LEAST = 1e-5


@dataclasses.dataclass(frozen=True)
class NFTConfig:
    """The objective's choices.

    Attributes:
        nft_beta: b, how far the mixtures go; small values learn faster and less stably. Not the weight of the KL term,
            which other trainers call ``beta`` or ``train_beta``.
        advantage_clip: advantages beyond +- this are as good or bad as can be.
        weighting: "adaptive": each squared error is divided by the mean absolute one, without gradient; "none": the x0
            loss of PhyMotion's trainer, which also leaves out the division by b.
        kl_weight: of the squared distance to the base's prediction; 0 leaves it out.
        kl_space: of that distance: "v", velocities, or "x0", predictions of the data: s^2 times as much.
    """

    nft_beta: float = 1.0
    advantage_clip: float = 5.0
    weighting: str = "adaptive"
    kl_weight: float = 1e-4
    kl_space: str = "v"

    def __post_init__(self) -> None:
        for name in ("nft_beta", "advantage_clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"NFTConfig.{name}: expected a number above 0, found {getattr(self, name)}")
        if not self.kl_weight >= 0:
            raise ValueError(f"NFTConfig.kl_weight: expected 0 or more, found {self.kl_weight}")
        for name, known in (("weighting", ("adaptive", "none")), ("kl_space", ("v", "x0"))):
            if getattr(self, name) not in known:
                raise ValueError(f"NFTConfig.{name}: expected {' or '.join(known)}, found {getattr(self, name)!r}")


def nft_loss(
    current: Float[Array, "B ..."],
    old: Float[Array, "B ..."],
    base: Float[Array, "B ..."],
    x0: Float[Array, "B ..."],
    x: Float[Array, "B ..."],
    s: Float[Array, " B"],
    advantage: Float[Array, " B"],
    valid: Bool[Array, " B"],
    config: NFTConfig,
) -> tuple[Array, dict[str, Array]]:
    """The loss () of noised samples for minimisation, and its parts.

    Args:
        current, old, base: velocities at ``x`` and ``s`` of the policy that learns, of the one that sampled, and of the
            frozen one. Gradients go through ``current`` alone.
        x0: samples of the old policy. x: noised to the levels ``s``, ``flow.mix``.
        advantage: of the samples. valid: which count; the others change nothing, NaN included.
        config: of the objective.
    """
    old, base, x0, x = (jax.lax.stop_gradient(a) for a in (old, base, x0, x))
    keep = along(valid, x) > 0
    current, old, base, x0, x = (jnp.where(keep, a, 0.0) for a in (current, old, base, x0, x))
    weight = valid.astype(x.dtype)
    share = weight / jnp.maximum(jnp.sum(weight), 1.0)
    s = jnp.where(valid, s, 1.0)
    r = preference(jnp.where(valid, advantage, 0.0), config.advantage_clip)
    b = config.nft_beta
    towards, away = (
        _error(to_data(x, v, s), x0, config) for v in ((1 - b) * old + b * current, (1 + b) * old - b * current)
    )
    policy = jnp.sum(share * (r * towards + (1.0 - r) * away))
    if config.weighting == "adaptive":
        policy = policy / b
    off = jnp.square(current - base)
    if config.kl_space == "x0":
        off = along(jnp.square(s), x) * off
    kl = jnp.sum(share * _mean(off))
    deviation = jnp.sum(share * _mean(jnp.square(current - old)))
    parts = {
        "loss/policy": policy,
        "loss/kl": kl,
        "policy/deviation": deviation,
        "policy/preference": jnp.sum(share * r),
    }
    return policy + config.kl_weight * kl, parts


def _error(predicted: Array, x0: Array, config: NFTConfig) -> Array:
    """Mean squared error of each sample (B,), weighted."""
    off = predicted - x0
    if config.weighting == "none":
        return _mean(jnp.square(off))
    scale = jax.lax.stop_gradient(jnp.maximum(_mean(jnp.abs(off)), _LEAST))
    return _mean(jnp.square(off)) / scale


def _mean(x: Array) -> Array:
    return jnp.mean(x.reshape(x.shape[0], -1), -1)


#: How the old policy follows: share of itself that it keeps after n updates.
OLD_DECAYS = ("none", "linear", "late")


def old_decay(updates: Int[Array, "*b"], kind: str | float) -> Float[Array, "*b"]:
    """``d`` of ``old <- d old + (1 - d) current`` after so many updates.

    Args:
        updates: done, that of this epoch included.
        kind: "none": 0; "linear": min(0.001 n, 0.5), the released setting; "late": 0 before 75 updates, then
            min(0.0075 (n - 75), 0.999); or a constant share.

    Raises:
        ValueError: another name, or a share outside [0, 1).
    """
    n = jnp.asarray(updates, float)
    if kind == "none":
        return jnp.zeros_like(n)
    if kind == "linear":
        return jnp.minimum(0.001 * n, 0.5)
    if kind == "late":
        return jnp.clip(0.0075 * (n - 75.0), 0.0, 0.999)
    if isinstance(kind, str) or not 0.0 <= kind < 1.0:
        raise ValueError(f"old_decay: expected one of {', '.join(OLD_DECAYS)} or a share in [0, 1), found {kind!r}")
    return jnp.full_like(n, kind)


def average_decay(updates: Int[Array, "*b"]) -> Float[Array, "*b"]:
    """Share of itself that the average for evaluation keeps after n updates: min((1 + n) / (10 + n), 0.9)."""
    n = jnp.asarray(updates, float)
    return jnp.minimum((1.0 + n) / (10.0 + n), 0.9)
