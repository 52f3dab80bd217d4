"""Post-training by the gradient of the reward itself: the epochs of DRaFT over any ``generators.base.Generator``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjxhuman.generators.finetune import FinetuneState, PostTraining
from mjxhuman.generators.objectives.guards import floored, least
from mjxhuman.generators.objectives.reward_gradient import finite, reward_loss
from mjxhuman.generators.rewards import DifferentiableReward, NothingValidError
from mjxhuman.types import Array


class RewardGradient(PostTraining):
    """The epochs of a run: a step of the weights for each micro-batch of new samples.

    Arguments as of ``PostTraining``; the reward has to be a ``rewards.DifferentiableReward``, and ``amount`` is
    differentiated too. Of ``FinetuneOptions``, ``passes``, ``levels``, ``old`` and ``nft`` have no part.
    """

    reward: DifferentiableReward

    def init(self) -> FinetuneState:
        """See ``PostTraining``.

        Raises:
            ValueError: a reward that has no slope.
        """
        if not hasattr(self.reward, "graded"):
            raise ValueError(f"reward: expected one with graded, to be differentiated, found {self.reward!r}")
        return super().init()

    @functools.cached_property
    def _step(self) -> Callable[..., tuple[FinetuneState, dict[str, Array]]]:
        return jax.jit(self._stepped)

    def epoch(self, state: FinetuneState) -> tuple[FinetuneState, dict[str, float]]:
        """One epoch, and means over its steps of what is to be logged.

        Raises:
            NothingValidError: no sample of a step has a reward.
        """
        number = int(state.epoch)
        asked, _ = self.asked(number)
        keys, _ = self.keys(number)
        logs = []
        for part in self.micro_batches(keys, self.generator.condition(asked)):
            state, told = self._step(state, *part)
            logs.append({name: float(x) for name, x in told.items()})
            if logs[-1]["invalid"] == 1.0:
                raise NothingValidError("reward: expected a sample with a reward in a step, found none")
        state = state._replace(old=state.current, epoch=state.epoch + 1)
        means = {name: float(np.mean([log[name] for log in logs])) for name in logs[0]}
        return state, {**means, "prompts": float(len(set(asked)))}

    def _stepped(self, state: FinetuneState, keys: Array, cond: Any) -> tuple[FinetuneState, dict[str, Array]]:
        """Samples, the slope of their reward, and a step of the weights."""
        weights, rollout = self.generator.params, self.generator.rollout
        x0, pull = jax.vjp(
            lambda adapter: rollout(weights, adapter, keys, cond, last=self.options.gradient.last).latents,
            state.current,
        )
        base = rollout(weights, None, keys, cond).latents
        slope, told = jax.grad(self._objective, has_aux=True)(x0, base)
        slope, lost = finite(slope)
        state, norms = self.stepped(state, *pull(slope))
        return state, {**told, **norms, "not_finite": lost / len(x0)}

    def _objective(self, x0: Array, base: Array) -> tuple[Array, dict[str, Array]]:
        """The objective of samples, beside those that the base makes of the same noise."""
        made = self.generator.decode(x0)
        worth, valid = self.reward.graded(made)
        valid = valid & jnp.isfinite(worth)
        known = jnp.where(valid, worth, 0.0)
        paid, more = known, {}
        if self.options.motion_floor and self.amount is not None:
            moves, still = self.amount(made), self.amount(self.generator.decode(base))
            paid = floored(known, moves, still, self.options.motion_floor, self.options.still)
            more = {"reward/motion": jnp.mean(least(moves / jnp.maximum(still, 1e-9)))}
        value, told = reward_loss(paid, x0, base, valid, self.options.gradient.kl_weight)
        share = jnp.sum(valid) / len(x0)
        mean = {"reward": jnp.sum(paid * valid), "reward/unfloored": jnp.sum(known)}
        mean = {name: x / jnp.maximum(jnp.sum(valid), 1) for name, x in mean.items()}
        return value, {**told, **more, **mean, "invalid": 1.0 - share}
