"""What a training run knows of a learning algorithm: where it starts, one iteration, the policy it has learned.

``trainer.train`` runs any of them with logs, evaluations, checkpoints and several devices; PPO (``learning.ppo``) is
one. An algorithm is a frozen dataclass of its settings. Everything that training changes is in its *state*, a dict or
another pytree of arrays, which is all that a checkpoint holds.

A minimal algorithm, which keeps a random change of a linear policy if it pays::

    @dataclasses.dataclass(frozen=True)
    class HillClimb(Algorithm[State]):
        scale: float = 0.1
        name = "hill_climb"
        batch_size = 64 * 100                                  # samples per iteration

        def facts(self):
            return dataclasses.asdict(self)

        def init(self, env, seed):
            return State(jnp.zeros((6, 2)), best=jnp.float32(-jnp.inf), rng=jax.random.key(seed))

        def iteration(self, state, env, axis=None):
            rng, change, episodes = jax.random.split(state.rng, 3)
            weights = state.weights + self.scale * jax.random.normal(change, state.weights.shape)
            reward = mean_reward(env, weights, episodes)
            better = reward > state.best
            after = State(jnp.where(better, weights, state.weights), jnp.maximum(reward, state.best), rng)
            metrics = {"reward": reward}
            return after, metrics, metrics_fault(metrics)

        def policy(self, state, env):
            return linear_policy(state.weights)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import jax
from jaxtyping import Float

from mjxhuman.envs import Env
from mjxhuman.learning.faults import Fault
from mjxhuman.learning.policy import Policy

S = TypeVar("S")
Metrics = dict[str, Float[jax.Array, ""]]
#: An iteration as compiled: (state, env) -> (state, metrics, fault).
Iteration = Callable[[S, Env], tuple[S, Metrics, Fault]]


class Algorithm(Protocol[S]):
    """A way to learn, with states of type ``S``. Whoever inherits from this may leave out ``save``, ``split``
    and ``check_devices``, and then trains on one device.

    Attributes:
        name: under which its settings stand in checkpoints, policies and messages.
        batch_size: samples (control steps) per iteration over all devices.
    """

    name: str

    @property
    def batch_size(self) -> int:
        """Samples per iteration over all devices."""
        ...

    def facts(self) -> dict[str, Any]:
        """Its settings, JSON-ready: a run is continued only with the same ones."""
        ...

    def init(self, env: Env, seed: int) -> S:
        """The state before the first iteration. Its arrays are its own, not the environment's: an iteration gives
        those of the state that it gets away."""
        ...

    def iteration(self, state: S, env: Env, axis: str | None = None) -> tuple[S, Metrics, Fault]:
        """One iteration, pure, to be jitted.

        Args:
            state: of training. env: the environment.
            axis: of the devices, where this is one device's share of the iteration inside a ``shard_map``.

        Returns:
            The state, metrics () to log, and which numbers are not finite. With ``axis`` the metrics, and what of the
            state is not split, are the same on every device.
        """
        ...

    def policy(self, state: S, env: Env) -> Policy:
        """What has been learned, its arrays on the host."""
        ...

    def save(self, folder: Path, state: S, facts: Mapping[str, Any]) -> None:
        """Write files, besides the policy's, that other runs may begin with; none.

        Args:
            folder: of the run. facts: those of the policy files, JSON-ready.
        """
        return None

    def split(self, state: S) -> Any:
        """A tree like the state: True where the rows of an array are divided among the devices."""
        return jax.tree.map(lambda _: False, state)

    def check_devices(self, devices: int) -> None:
        """Everything that is split can be split evenly.

        Raises:
            ValueError: naming the number that cannot.
        """
        if devices != 1:
            raise ValueError(f"{self.name}: expected one device to train on, found {devices}")


def pmean(x: Any, axis: str | None) -> Any:
    """Mean over the devices of a ``shard_map``; x itself outside of one."""
    return x if axis is None else jax.lax.pmean(x, axis)
