"""Distillation: a policy learns what an expert would do in the states that it visits itself, beside PPO or before it.

    PPO(config, extras=(Distillation(warm_up=100, settle=20),), warm_up=WarmUp(100, 20))

The environment says in the observation group ``expert`` what the expert would add by an action, in units of the
student's actions (``envs.vision``); the student sees nothing of the group. Student and expert may act in other ways:
what is compared are the targets of the servos. Ross et al. 2011 (DAgger); PhysHMR (Feng et al. 2025) beside PPO.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from mjxhuman.envs import Env
from mjxhuman.learning.algorithm import Metrics
from mjxhuman.learning.extras import Extra, Share
from mjxhuman.learning.networks import Networks, Params
from mjxhuman.learning.rollout import Rollout
from mjxhuman.learning.update import Batch


@dataclasses.dataclass(frozen=True)
class Distillation(Extra):
    """A loss: mean over samples and axes of (``rate`` mean action - what the expert would add)^2, times a weight.

    Attributes:
        rate: share of an action that moves the targets in its own step, 1 less the environment's smoothing. What no
            action reaches is not asked for.
        alone: the weight in the first ``warm_up`` iterations; it is 0 in ``settle`` iterations after them
            (``ppo.WarmUp``).
        first, last, over: then it goes linearly from ``first`` to ``last`` over so many iterations, and stays.
    """

    rate: float = 1.0
    alone: float = 100.0
    warm_up: int = 0
    settle: int = 0
    first: float = 10.0
    last: float = 1.0
    over: int = 1000
    name = "distill"
    groups = ("expert",)

    def __post_init__(self) -> None:
        if not 0.0 < self.rate <= 1.0:
            raise ValueError(f"Distillation.rate: expected a share in (0, 1], found {self.rate}")
        for field in ("alone", "first", "last"):
            if getattr(self, field) < 0:
                raise ValueError(f"Distillation.{field}: expected a weight of 0 or more, found {getattr(self, field)}")

    def facts(self) -> dict[str, Any]:
        """Its numbers."""
        return dataclasses.asdict(self)

    def init(self, env: Env, rng: jax.Array) -> tuple[None, jax.Array]:
        """No parameters; how many iterations there were."""
        return None, jnp.zeros((), jnp.int32)

    def weight(self, iteration: jax.Array) -> jax.Array:
        """Of the loss in an iteration, ()."""
        beside = self.warm_up + self.settle
        share = jnp.clip((iteration - beside) / max(self.over, 1), 0.0, 1.0)
        before = jnp.where(iteration < self.warm_up, self.alone, 0.0)
        return jnp.where(iteration < beside, before, self.first + share * (self.last - self.first))

    def share(self, params: Params, state: Any, rollout: Rollout, env: Env, rng: jax.Array, axis: str | None) -> Share:
        """The loss at this iteration's weight."""
        weight = self.weight(state)

        def loss(networks: Networks, params: Params, batch: Batch, rng: jax.Array) -> tuple[jax.Array, Metrics]:
            mean, _ = networks.policy(params, batch.obs)
            wanted = jnp.clip(batch.raw["expert"], -self.rate, self.rate)
            error = jnp.mean(jnp.square(self.rate * mean - wanted))
            return weight * error, {"distill/error": error}

        return Share(state + 1, loss, metrics={"distill/weight": weight})
