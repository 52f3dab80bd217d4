"""What may learn beside PPO in the same steps: a loss on its minibatches, with or without parameters, memory and a
reward of its own. The adversarial reward (``learning.amp``) is one; distillation from a teacher is a ``Loss``::

    def imitate(networks, params, batch, teacher):
        mean, _ = networks.policy(params, batch.obs)
        return jnp.mean(jnp.square(mean - teacher(batch.raw))), {}

    PPO(config, extras=(Loss("teacher", imitate, state=teacher, groups=("state",)),))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from mjxhuman.envs import Env
from mjxhuman.learning.algorithm import Metrics
from mjxhuman.learning.networks import Networks, Params
from mjxhuman.learning.rollout import Rollout
from mjxhuman.learning.update import Batch, MinibatchLoss

#: (networks, parameters, minibatch, the extra's state) -> loss () to add to PPO's, and metrics ().
StatefulLoss = Callable[[Networks, Params, Batch, Any], tuple[jax.Array, Metrics]]


@dataclasses.dataclass(frozen=True)
class Share:
    """What an extra makes of a roll-out.

    Attributes:
        state: of the extra, for the next iteration.
        loss: added to those of the minibatches of this one.
        reward: (T, N) to learn from instead of the roll-out's; None leaves that.
        metrics: () to log, the same on every device.
    """

    state: Any
    loss: MinibatchLoss
    reward: jax.Array | None = None
    metrics: Metrics = dataclasses.field(default_factory=dict)


class Extra(Protocol):
    """Something that learns beside PPO. Whoever inherits from this may leave out what has an answer here.

    Attributes:
        name: of its parameters beside "actor" and "critic", and of its state.
        groups: observation groups that its loss sees, raw, as ``Batch.raw``.
        final_groups: observation groups after each step that ``share`` sees as ``Rollout.final_obs``.
    """

    name: str
    groups: tuple[str, ...] = ()
    final_groups: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Its settings, JSON-ready: a run is continued only with the same ones."""
        return {}

    def init(self, env: Env, rng: jax.Array) -> tuple[Params | None, Any]:
        """Its parameters, None if it has none, and its state: pytrees of arrays."""
        return None, None

    def share(self, params: Params, state: Any, rollout: Rollout, env: Env, rng: jax.Array, axis: str | None) -> Share:
        """Its part in an iteration.

        Args:
            params: of all networks.
            state: its own. rollout: on this device. env: the environment.
            rng: one key. axis: of the devices, None on a single one.
        """
        ...

    def split(self, state: Any) -> Any:
        """A tree like its state: True where the rows of an array are divided among the devices."""
        return jax.tree.map(lambda _: False, state)

    def sizes(self) -> dict[str, int]:
        """Numbers by name that several devices must be able to divide."""
        return {}


@dataclasses.dataclass(frozen=True, eq=False)
class Loss(Extra):
    """A loss of minibatches. ``function`` gets ``state`` (a teacher's policy, say), which training does not change."""

    name: str
    function: StatefulLoss
    state: Any = None
    groups: tuple[str, ...] = ()

    def init(self, env: Env, rng: jax.Array) -> tuple[None, Any]:
        """No parameters; copies of the state's arrays, because iterations give them away."""
        return None, jax.tree.map(jnp.copy, self.state)

    def share(self, params: Params, state: Any, rollout: Rollout, env: Env, rng: jax.Array, axis: str | None) -> Share:
        """The loss alone."""
        return Share(state, lambda networks, params, batch, _: self.function(networks, params, batch, state))


def check_groups(extra: Extra, env: Env) -> None:
    """Raise ValueError for an observation group that an extra sees and the environment lacks."""
    for group in (*extra.groups, *extra.final_groups):
        if group not in env.observation_sizes:
            raise ValueError(
                f"{extra.name}: expected the observation group {group!r}, the environment has "
                f"{', '.join(env.observation_sizes)}"
            )
