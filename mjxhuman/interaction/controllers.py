"""What drives the person of a scene: servos that play the motion, the planner, or a policy.

A controller takes the trials of a scene, one model each and all of one layout, and says which states they go through.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from mjxhuman.envs.clips import make_library
from mjxhuman.envs.env import State
from mjxhuman.envs.imitation import Imitation, make_imitation
from mjxhuman.humanoids.tuning import LIGHT, Tuning
from mjxhuman.learning.agents import Agent
from mjxhuman.learning.policy import Policy
from mjxhuman.physics.engines.c import CEngine
from mjxhuman.physics.simulate import Simulator, make_simulator
from mjxhuman.planning.planner import PRESETS
from mjxhuman.planning.reference import make_reference, make_targets
from mjxhuman.planning.search import Search, Snapshot
from mjxhuman.scenes.compose import Composed
from mjxhuman.scenes.surface import Surface
from mjxhuman.tracking.evaluate import bare
from mjxhuman.tracking.tracker import Tracker, load_tracker
from mjxhuman.types import Motion

States = tuple[np.ndarray, np.ndarray]  # coordinates (N, nq) and velocities (N, nv) of N trials


class Trials(NamedTuple):
    """States of N trials over T frames, and the targets of the step that begins with each; NaN after a breakdown."""

    qpos: np.ndarray  # (N, T, nq)
    qvel: np.ndarray  # (N, T, nv)
    ctrl: np.ndarray  # (N, T, nu) rad; the last one belongs to no step


@runtime_checkable
class Controller(Protocol):
    """How a person is driven."""

    @property
    def contacts(self) -> str:
        """Which points of the body touch the floor, as for ``actuated_humanoid``."""
        ...

    @property
    def tuning(self) -> Tuning:
        """Of the servos, as for ``actuated_humanoid``."""
        ...

    @property
    def fps(self) -> float:
        """Control steps per second."""
        ...

    def drive(self, trials: Sequence[Composed], motion: Motion, start: States, surface: Surface, seed: int) -> Trials:
        """Drive every trial from its state along a motion in ball joints, at the control rate, carried by a surface."""
        ...


@dataclasses.dataclass(frozen=True)
class OpenLoop:
    """Open loop: the pose of the motion and what inverse dynamics asks of its joints, whatever becomes of the body."""

    contacts: str = "full"
    tuning: Tuning = LIGHT
    fps: float = 30.0

    def drive(self, trials: Sequence[Composed], motion: Motion, start: States, surface: Surface, seed: int) -> Trials:
        """See ``Controller.drive``."""
        simulator = _side_by_side(trials, self.fps)
        assert isinstance(simulator.backend, CEngine)
        ctrl = np.repeat(make_targets(motion, simulator, surface)[None], len(trials), 0)
        after = simulator.backend.rollout_host(*start, np.zeros_like(start[1]), ctrl[:, :-1])
        qpos, qvel = (np.concatenate([x[:, None], y], 1) for x, y in zip(start, after[:2], strict=True))
        return Trials(qpos, qvel, ctrl)


@dataclasses.dataclass(frozen=True)
class ByPlanner:
    """Controls searched in the simulator, objects and all; every trial has a plan of its own."""

    preset: str = "default"
    contacts: str = "full"
    tuning: Tuning = LIGHT
    fps: float = 30.0

    def drive(self, trials: Sequence[Composed], motion: Motion, start: States, surface: Surface, seed: int) -> Trials:
        """See ``Controller.drive``."""
        paths = []
        for trial, qpos, qvel in zip(trials, *start, strict=True):
            search = Search(make_simulator(trial.actuated, "c", self.fps), PRESETS[self.preset])
            reference = make_reference(motion, search.simulator, surface)
            trail = search.run(reference, seed, start=Snapshot(qpos, qvel, np.zeros_like(qvel)))
            paths.append([
                _filled([s.qpos for s in trail.states], reference.frames),
                _filled([s.qvel for s in trail.states], reference.frames),
                np.concatenate([trail.ctrl, reference.ctrl[len(trail.ctrl) :]]),
            ])  # fmt: skip
        return Trials(*(np.array(x) for x in zip(*paths, strict=True)))


@dataclasses.dataclass(frozen=True, eq=False)
class ByPolicy:
    """A trained tracker. It was trained on a floor, and does not see the objects."""

    tracker: Tracker

    @property
    def contacts(self) -> str:
        """As it was trained with."""
        return self.tracker.simulator.actuated.contacts

    @property
    def tuning(self) -> Tuning:
        """As it was trained with."""
        return self.tracker.simulator.actuated.tuning

    @property
    def fps(self) -> float:
        """As it was trained with."""
        return self.tracker.fps

    def drive(self, trials: Sequence[Composed], motion: Motion, start: States, surface: Surface, seed: int) -> Trials:
        """See ``Controller.drive``."""
        simulator = _side_by_side(trials, self.fps)
        at = simulator.address
        library = make_library([motion], self.fps, surface=surface)
        env = make_imitation(library, simulator, bare(self.tracker.config))
        body = tuple(jnp.asarray(x, jnp.float32) for x in (start[0][:, at.qpos], start[1][:, at.qvel]))
        # compiled for these models: a function of its own, so that its program goes with it
        follow = jax.jit(functools.partial(_followed, steps=motion.num_frames - 1))
        found = jax.device_get(follow(env, self.tracker.policy, body))
        first = (*(x[:, None] for x in start), found[2][:, -1:])
        after = (found[0], found[1])
        qpos, qvel = (np.concatenate([x, y], 1) for x, y in zip(first, after, strict=False))
        return Trials(qpos, qvel, np.concatenate([found[2], first[2]], 1))


def controller_named(tracker: str | os.PathLike[str] | Tracker | None) -> Controller:
    """None: ``OpenLoop``; "planner" or "planner:PRESET"; a tracker, or what ``load_tracker`` takes.

    Raises:
        FileNotFoundError, ValueError: no such policy or preset.
    """
    if tracker is None:
        return OpenLoop()
    if isinstance(tracker, str) and tracker.partition(":")[0] == "planner":
        preset = tracker.partition(":")[2] or "default"
        if preset not in PRESETS:
            raise ValueError(f"tracker: expected a preset of {', '.join(PRESETS)}, found {preset!r}")
        return ByPlanner(preset)
    return ByPolicy(tracker if isinstance(tracker, Tracker) else load_tracker(tracker, "c"))


def _side_by_side(trials: Sequence[Composed], fps: float) -> Simulator:
    """Trial i in environment i."""
    return make_simulator(trials[0].actuated, "c", fps, [trial.actuated.model for trial in trials])


def _filled(states: Sequence[np.ndarray], frames: int) -> np.ndarray:
    """States (T, .), NaN where a search gave up."""
    missing = [np.full_like(states[0], np.nan)] * (frames - len(states))
    return np.array([*states, *missing])


def _followed(
    env: Imitation, policy: Policy | Agent, body: tuple[jax.Array, jax.Array], steps: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """States after each step, and the targets of each, (N, T - 1, .)."""

    def step(state: State, _: None) -> tuple[State, tuple[jax.Array, jax.Array, jax.Array]]:
        action = jnp.clip(policy(state.obs), -1.0, 1.0)
        ctrl = env.target(state.task, env.smoothed(state.task, action))
        state = env.step(state, action)
        broken = state.metrics["diverged"][:, None] > 0
        qpos, qvel = (jnp.where(broken, jnp.nan, x) for x in (state.sim.qpos, state.sim.qvel))
        return state, (qpos, qvel, ctrl)

    zero = jnp.zeros(body[0].shape[0], jnp.int32)
    state = env.start(jax.random.split(jax.random.key(0), zero.size), zero, zero, body=body)
    _, path = jax.lax.scan(step, state, None, length=steps)
    return tuple(jnp.moveaxis(x, 0, 1) for x in path)  # type: ignore[return-value]
