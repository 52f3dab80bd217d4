"""What an environment is: a pytree with ``reset`` and ``step`` on a whole batch.

The learner knows this file and no concrete environment. An environment is a ``flax.struct.dataclass`` whose arrays (the
clip library, sampling weights) are data, not constants: jitted programs take it as an argument, so a larger library
costs no new compilation. All arrays of a ``State`` lead with the batch axes ``*b`` (usually one: the environments).

A minimal environment::

    @struct.dataclass
    class Reach:
        goal: jax.Array                                     # (2,)

        @property
        def action_size(self): return 2

        @property
        def observation_sizes(self): return {"state": 4}

        def reset(self, rng):                               # (*b,) keys
            rng, draw = split(rng)
            position = jax.vmap(lambda key: jax.random.normal(key, (2,)))(draw)
            return first_state(rng, obs=self.observe(position), task=Task(position), metrics=("distance",))

        def step(self, state, action):
            position = state.task.position + 0.1 * jnp.clip(action, -1, 1)
            distance = jnp.linalg.norm(position - self.goal, axis=-1)
            state = dataclasses.replace(
                state, task=Task(position), obs=self.observe(position), reward=-distance,
                done=distance > 5, truncation=jnp.zeros_like(state.done), metrics={"distance": distance})
            return auto_reset(state, self.reset(state.rng))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Bool, Float, Key

Tree = TypeVar("Tree")
Observations = dict[str, Float[jax.Array, "*b _"]]


@struct.dataclass
class State:
    """Everything between two steps of a batch of environments.

    Attributes:
        rng: random keys, typed (``jax.random.key``).
        obs: what the policy sees now, in groups: "state" (actor), "privileged_state" (critic, optional),
            "amp" (style window, flattened, optional). Where an episode just ended this is the first observation of the
            next one.
        final_obs: same groups: what the step led to, BEFORE an automatic reset. Equal to ``obs`` where not ``done``.
            The learner takes the value of a time-out's last state from here.
        reward: reward of the step that led here.
        done: the episode ended with this step, by failure or time-out.
        truncation: it ended by time-out (end of the clip): the value is bootstrapped; implies ``done``.
        metrics: quantities of this step by name: reward terms ("reward/position"), errors. Means over a
            training iteration are logged. Names that begin with "episode/" ("episode/success", 0 or 1) are read where
            an episode ends and averaged over those episodes. Names that begin with "_" ("_clip", the index of the
            clip) go to ``adapt`` but into no log.
        sim: state of the physics engine, any pytree with leading axes *b.
        task: the task's own state, a typed pytree with leading axes *b.
    """

    rng: Key[jax.Array, "*b"]
    obs: Observations
    final_obs: Observations
    reward: Float[jax.Array, "*b"]
    done: Bool[jax.Array, "*b"]
    truncation: Bool[jax.Array, "*b"]
    metrics: dict[str, Float[jax.Array, "*b"]]
    sim: Any = None
    task: Any = None


@runtime_checkable
class Env(Protocol):
    """The methods that every environment has. ``reset`` and ``step`` are pure and run inside jit and scan.

    Optional, found by ``hasattr``:

    ``curriculum``: a field of the environment, any pytree of arrays that changes while training (sampling weights of
        the clips). It is part of the train state and of checkpoints.
    ``adapt(state, rollout) -> (env, state)``: called once per training iteration, inside jit, after the roll-out.
        ``rollout`` maps each name of ``State.metrics``, and "reward", "done", "truncation", to arrays (T, *b) of the
        roll-out's T steps. Returns the environment with a new ``curriculum`` (nothing else of it may change) and the
        states to continue from, usually ``state`` itself.
    ``dynamics``, ``transition``, ``resumed``, ``imagined``: for those that learn through a model of the physics
        (``learning.supertrack``). ``dynamics`` are functions of phases (the physics before and after a step) and
        controls (``learning.step_model.StepDynamics``); ``transition(state, action) -> (State, transition)`` is
        ``step`` and its ``before``, ``ctrl``, ``after``; ``resumed(rng, phase, task) -> State`` puts episodes where
        they have been; ``imagined(advance) -> Env`` is the environment with a function (phase, ctrl) -> phase for its
        physics, nothing random, no automatic reset.
    ``demonstrations(rng, n) -> (n, d)``: samples of real motion for the adversarial style reward, laid out like
        ``obs["amp"]``; ``rng`` is one key and ``n`` static.
    """

    @property
    def action_size(self) -> int:
        """Number of action components; the environment clips actions to [-1, 1] itself."""
        ...

    @property
    def observation_sizes(self) -> dict[str, int]:
        """Size of every observation group."""
        ...

    def reset(self, rng: Key[jax.Array, "*b"]) -> State:
        """First states of new episodes, one for each key."""
        ...

    def step(self, state: State, action: Float[jax.Array, "*b action_size"]) -> State:
        """One control step. Episodes that end begin anew within the step."""
        ...


def first_state(
    rng: Key[jax.Array, "*b"],
    obs: Observations,
    *,
    sim: Any = None,
    task: Any = None,
    metrics: Iterable[str] = (),
) -> State:
    """The state that ``reset`` returns: nothing rewarded, nothing done.

    Args:
        rng: keys that the following steps draw from.
        obs: first observations.
        sim: state of the physics.
        task: state of the task.
        metrics: names of the metrics that ``step`` writes (a scan needs them from the start); they are zero here.
    """
    shape = rng.shape
    zeros, false = jnp.zeros(shape, jnp.float32), jnp.zeros(shape, bool)
    return State(rng, obs, obs, zeros, false, false, dict.fromkeys(metrics, zeros), sim, task)


def auto_reset(stepped: State, fresh: State) -> State:
    """``stepped``, but where it is done the next episode begins with ``fresh``.

    Reward, done, truncation and metrics stay those of the step; ``final_obs`` becomes what the step led to.

    Args:
        stepped: result of the step, ``obs`` still that of the ended episode.
        fresh: result of ``reset`` for the whole batch; used where ``stepped.done``.
    """
    done = stepped.done
    return dataclasses.replace(
        stepped,
        rng=where_done(done, fresh.rng, stepped.rng),
        obs=where_done(done, fresh.obs, stepped.obs),
        final_obs=stepped.obs,
        sim=where_done(done, fresh.sim, stepped.sim),
        task=where_done(done, fresh.task, stepped.task),
    )


def where_done(done: Bool[jax.Array, "*b"], fresh: Tree, current: Tree) -> Tree:
    """Leaves of ``fresh`` where ``done``, else of ``current``; leaves are (*b, ...)."""

    def select(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(done.reshape(done.shape + (1,) * (old.ndim - done.ndim)), new, old)

    return jax.tree.map(select, fresh, current)


def split(rng: Key[jax.Array, "*b"], n: int = 2) -> tuple[Key[jax.Array, "*b"], ...]:
    """``n`` new arrays of keys for an array of keys, one stream per environment."""
    keys = jax.vmap(lambda key: jax.random.split(key, n))(rng.reshape(-1))
    return tuple(keys[:, i].reshape(rng.shape) for i in range(n))


def fold(rng: Key[jax.Array, "*b"], number: int) -> Key[jax.Array, "*b"]:
    """New keys for an array of keys, apart from all others made with another number."""
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(rng.reshape(-1)).reshape(rng.shape)
