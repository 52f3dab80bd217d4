"""A policy's roll-out with the controls that made it, in double precision: what ``mj_step`` repeats."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mjxhuman.envs.clips import make_library
from mjxhuman.envs.env import State
from mjxhuman.envs.imitation import Imitation, make_imitation
from mjxhuman.learning.agents import Agent
from mjxhuman.learning.policy import Policy
from mjxhuman.physics.engines.c import CEngine
from mjxhuman.tracking.evaluate import WINDOW, bare, begin, next_window, window_of
from mjxhuman.tracking.tracker import Tracker
from mjxhuman.types import Motion


class Played(NamedTuple):
    """States that control steps begin with and end in, one more than controls; float64."""

    qpos: np.ndarray  # (T, nq)
    qvel: np.ndarray  # (T, nv)
    ctrl: np.ndarray  # (T - 1, nu) rad
    warmstart: np.ndarray  # (T, nv), of the solver


def play(
    tracker: Tracker, motion: Motion, qpos: np.ndarray, qvel: np.ndarray, warmstart: np.ndarray | None = None
) -> Played:
    """Follow a motion with a policy from a state, to its end or to where the simulation breaks down.

    ``roll_out`` rounds the state to single precision at every step, so its controls alone do not repeat it; here the
    policy sees the rounded state, and what it asks for is carried out in double precision.

    Args:
        motion: at the control rate. qpos, qvel: (nq,), (nv,) of the body. warmstart: (nv,) of the solver; None: 0.

    Raises:
        ValueError: an engine other than "c".
    """
    env = make_imitation(make_library([motion], tracker.fps), tracker.simulator, tracker.config)
    return play_in(env, tracker.policy, qpos, qvel, warmstart)


def play_in(
    env: Imitation, policy: Policy | Agent, qpos: np.ndarray, qvel: np.ndarray, warmstart: np.ndarray | None = None
) -> Played:
    """The same in an environment with a single clip."""
    engine = env.simulator.backend
    if not isinstance(engine, CEngine):
        raise ValueError(f"engine: expected 'c', which is MuJoCo itself, found {env.simulator.engine!r}")
    env = dataclasses.replace(env, config=bare(env.config))
    frames = int(env.library.length[0])
    start, length = np.asarray(env.library.start), np.asarray(env.library.length)
    at = np.float64(qpos), np.float64(qvel), np.zeros(len(qvel)) if warmstart is None else np.float64(warmstart)
    states, ctrl, state = [at], [], None
    for first in range(0, frames - 1, WINDOW):
        window = window_of(env, start, length, first)
        state = begin(window, (_row(at[0]), _row(at[1]))) if state is None else next_window(state)
        for _ in range(min(WINDOW, frames - 1 - first)):
            targets, state = _asked(window, policy, state)
            wanted = np.asarray(targets, np.float64)
            qpos, qvel, warmstart = engine.rollout_host(at[0][None], at[1][None], at[2][None], wanted[:, None])
            at = qpos[0, 0], qvel[0, 0], warmstart[0, 0]
            if not np.isfinite(at[0]).all():
                return _played(states, ctrl)
            states.append(at)
            ctrl.append(wanted[0])
            exact = dataclasses.replace(state.sim, qpos=_row(at[0]), qvel=_row(at[1]), warmstart=_row(at[2]))
            state = dataclasses.replace(state, sim=exact)
    return _played(states, ctrl)


def _row(x: np.ndarray) -> Array:
    return jnp.asarray(x[None], jnp.float32)


def _played(states: list[tuple[np.ndarray, ...]], ctrl: list[np.ndarray]) -> Played:
    qpos, qvel, warmstart = (np.array([state[k] for state in states]) for k in (0, 1, 2))
    return Played(qpos, qvel, np.array(ctrl).reshape(len(ctrl), -1), warmstart)


@jax.jit
def _asked(env: Imitation, policy: Policy | Agent, state: State) -> tuple[Array, State]:
    """The targets of the next step, and the state after it."""
    action = jnp.clip(policy(state.obs), -1.0, 1.0)
    return env.target(state.task, env.smoothed(state.task, action)), env.step(state, action)
