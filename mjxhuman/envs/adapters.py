"""An environment as other libraries expect theirs: ``gymnasium`` (single or vectorised) and ``brax``.

Any ``Env`` of this package will do. The other libraries are needed only when called: ``pip install 'mjxhuman[gym]'``,
``pip install 'mjxhuman[brax]'``. The policy's group of observations, "state", becomes their flat observation.

An environment that simulates with C MuJoCo is called back from compiled programs: call ``runs.launch.prepare_jax``
before the first JAX computation, as the launchers here do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjxhuman.envs.env import Env, State
from mjxhuman.runs import optional


class _Driver:
    """Keeps the states of a batch of environments between the calls of a stateful interface."""

    def __init__(self, env: Env, size: int) -> None:
        self._env, self._size = env, size
        self.state: State | None = None
        # the environment is an argument: its arrays do not become constants of the programs
        self._reset = jax.jit(lambda env, rng: env.reset(rng))
        self._step = jax.jit(lambda env, state, action: env.step(state, action))

    def reset(self, seed: int) -> State:
        state = self._reset(self._env, jax.random.split(jax.random.key(seed), self._size))
        self.state = state
        return state

    def step(self, action: Any) -> State:
        if self.state is None:
            from gymnasium.error import ResetNeeded

            raise ResetNeeded("step: expected a running episode, found none; call reset first")
        action = jnp.asarray(action, jnp.float32).reshape(self._size, self._env.action_size)
        state = self._step(self._env, self.state, action)
        self.state = state
        return state


def gymnasium_env(env: Env) -> Any:
    """One environment as a ``gymnasium.Env``: flat observation, actions in [-1, 1].

    An episode that ends is ``truncated`` by the end of its clip and ``terminated`` by a failure; ``info`` holds the
    metrics of the step. ``reset`` starts on a fresh clip and frame; its ``options`` mean nothing.

    Raises:
        ImportError: gymnasium is not installed.
    """
    gymnasium = optional("gymnasium", "gym", "the adapter")
    driver = _Driver(env, 1)
    interface: Any = gymnasium.Env

    class GymnasiumEnv(interface):
        """See ``gymnasium_env``."""

        metadata = {"render_modes": []}  # noqa: RUF012
        observation_space = _box(gymnasium, np.inf, env.observation_sizes["state"])
        action_space = _box(gymnasium, 1.0, env.action_size)

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            """Observation of a new episode, and an empty dictionary."""
            super().reset(seed=seed)
            state = driver.reset(int(self.np_random.integers(2**31)))
            return np.array(state.obs["state"][0]), {}

        def step(self, action: Any) -> Any:
            """Observation, reward, terminated, truncated and metrics."""
            state = driver.step(action)
            done, truncated = bool(state.done[0]), bool(state.truncation[0])
            if done:
                driver.state = None  # the next episode is that of ``reset``
            info = {name: float(value[0]) for name, value in _public(state.metrics).items()}
            return (
                np.array(state.final_obs["state"][0]),
                float(state.reward[0]),
                done and not truncated,
                truncated,
                info,
            )

    return GymnasiumEnv()


def gymnasium_vector_env(env: Env, num_envs: int) -> Any:
    """A batch as a ``gymnasium.vector.VectorEnv`` with ``AutoresetMode.SAME_STEP``, stepped by one compiled program.

    Where an episode ends, the observation is the first one of the next episode, and ``infos["final_obs"]`` what the
    step led to.

    Raises:
        ImportError: gymnasium is not installed.
    """
    gymnasium = optional("gymnasium", "gym", "the adapter")
    vector = importlib.import_module("gymnasium.vector")
    batch_space = importlib.import_module("gymnasium.vector.utils").batch_space
    driver, size = _Driver(env, num_envs), num_envs
    interface: Any = vector.VectorEnv

    class GymnasiumVectorEnv(interface):
        """See ``gymnasium_vector_env``."""

        metadata = {"autoreset_mode": vector.AutoresetMode.SAME_STEP}  # noqa: RUF012
        num_envs = size
        single_observation_space = _box(gymnasium, np.inf, env.observation_sizes["state"])
        single_action_space = _box(gymnasium, 1.0, env.action_size)
        observation_space = batch_space(single_observation_space, size)
        action_space = batch_space(single_action_space, size)

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            """Observations (N, n) of new episodes, and an empty dictionary."""
            super().reset(seed=seed)
            state = driver.reset(int(self.np_random.integers(2**31)))
            return np.array(state.obs["state"]), {}

        def step(self, actions: Any) -> Any:
            """Observations, rewards, terminations, truncations, and metrics with their masks."""
            state = driver.step(actions)
            done, truncated = np.array(state.done), np.array(state.truncation)
            infos: dict[str, Any] = {name: np.array(value) for name, value in _public(state.metrics).items()}
            infos |= {f"_{name}": np.ones(size, bool) for name in infos}
            if done.any():
                final = np.full(size, None, object)
                for i in np.flatnonzero(done):
                    final[i] = np.array(state.final_obs["state"][i])
                infos |= {"final_obs": final, "_final_obs": done.copy()}
            return np.array(state.obs["state"]), np.array(state.reward), done & ~truncated, truncated, infos

    return GymnasiumVectorEnv()


def brax_env(env: Env) -> Any:
    """A single environment under brax's protocol, to be wrapped by ``brax.envs.wrappers.training``.

    ``reset`` takes one key, old style or new. ``obs`` is the flat "state", or all groups by name where there are more.
    ``info["truncation"]`` is 1 where an episode ended with its clip; as brax's ``EpisodeWrapper`` overwrites it, that
    stands in ``info["time_out"]`` too. The environment starts fresh episodes by itself; brax's ``AutoResetWrapper``
    replaces them by the one that ``reset`` drew. Under brax's ``VmapWrapper`` all environments run the first of a
    simulator's ``variants``. The clips become constants of the programs that brax compiles, which suits small sets.

    Raises:
        ImportError: brax is not installed.
    """
    base = optional("brax.envs.base", "brax", "the adapter")
    sizes = env.observation_sizes

    def seen(state: State) -> Any:
        obs = {name: x[0] for name, x in state.obs.items()}
        return obs["state"] if len(obs) == 1 else obs

    def told(state: State) -> dict[str, jax.Array]:
        time_out = state.truncation[0].astype(jnp.float32)
        return {"rng": jax.random.key_data(state.rng[0]), "truncation": time_out, "time_out": time_out}

    def first(tree: Any) -> Any:
        return jax.tree.map(lambda x: x[0], tree)

    interface: Any = base.Env

    class BraxEnv(interface):
        """See ``brax_env``."""

        observation_size = sizes["state"] if len(sizes) == 1 else sizes
        action_size = env.action_size
        backend = "mjxhuman"

        def reset(self, rng: jax.Array) -> Any:
            """The first state of an episode."""
            key = rng if jnp.issubdtype(rng.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(rng)
            state = env.reset(key[None])
            kept = first((state.sim, state.task))
            zero = jnp.zeros((), jnp.float32)
            return base.State(kept, seen(state), zero, zero, first(_public(state.metrics)), told(state))

        def step(self, state: Any, action: jax.Array) -> Any:
            """One control step."""
            sim, task = jax.tree.map(lambda x: x[None], state.pipeline_state)
            rng = jax.random.wrap_key_data(state.info["rng"])[None]
            before = _resumed(env, rng, sim, task)
            after = env.step(before, action[None])
            return state.replace(
                pipeline_state=first((after.sim, after.task)), obs=seen(after), reward=after.reward[0],
                done=after.done[0].astype(jnp.float32), metrics={**state.metrics, **first(_public(after.metrics))},
                info={**state.info, **told(after)},  # wrappers keep metrics and information of theirs there
            )  # fmt: skip

    return BraxEnv()


@contextlib.contextmanager
def brax_trainers() -> Iterator[None]:
    """Inside, brax's own PPO, SAC and APG run: ``with brax_trainers(): ppo.train(environment=brax_env(env), ...)``.

    They call ``jax.device_put_replicated``, which JAX 0.10 took out; it is put back for as long. Its evolution
    strategies and its wrappers need nothing of the kind.
    """
    if hasattr(jax, _REMOVED):
        yield
        return
    setattr(jax, _REMOVED, _device_put_replicated)
    try:
        yield
    finally:
        delattr(jax, _REMOVED)


_REMOVED = "device_put_replicated"


def _device_put_replicated(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """A copy of every array on each device, stacked on a new first axis."""
    mesh = jax.sharding.Mesh(np.array(devices), ("device",))
    there = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("device"))

    def copies(x: Any) -> jax.Array:
        return jax.device_put(jnp.broadcast_to(jnp.asarray(x), (len(devices), *jnp.shape(x))), there)

    return jax.tree.map(copies, tree)


def _resumed(env: Env, rng: jax.Array, sim: Any, task: Any) -> State:
    """A state to step from, of what brax keeps; the rest of it is what the last step has told."""
    shapes = jax.eval_shape(env.reset, rng)
    zeros = jax.tree.map(
        lambda x: jnp.zeros(x.shape, x.dtype), dataclasses.replace(shapes, rng=None, sim=None, task=None)
    )
    return dataclasses.replace(zeros, rng=rng, sim=sim, task=task)


def _box(gymnasium: Any, bound: float, size: int) -> Any:
    return gymnasium.spaces.Box(-bound, bound, (size,), np.float32)


def _public(metrics: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Without the quantities that are meant for ``adapt``."""
    return {name: value for name, value in metrics.items() if not name.startswith("_")}
