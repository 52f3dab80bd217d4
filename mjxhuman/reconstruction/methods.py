"""What moves the simulated body after an estimate: a planner or a tracker; ``register`` adds others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.physics.simulate import Simulator
from mjxhuman.planning.planner import PRESETS, Planner, actuated_for
from mjxhuman.planning.reference import make_reference
from mjxhuman.planning.search import Settings, Snapshot
from mjxhuman.planning.terms import TERMS
from mjxhuman.reconstruction.estimate import Estimate
from mjxhuman.reconstruction.objective import VIDEO_TERMS
from mjxhuman.tracking.controls import play
from mjxhuman.tracking.tracker import load_tracker

#: s for which a body may be farther from the estimate than ``rewards.tracking.FAILURE_DISTANCE`` before it is lost.
LOST_SECONDS = 0.25


class Moved(NamedTuple):
    """What a body did: states in float64 that plain ``mj_step`` goes through under the controls."""

    qpos: np.ndarray  # (N, nq)
    qvel: np.ndarray  # (N, nv)
    ctrl: np.ndarray  # (N - 1, nu) rad
    warmstart: np.ndarray | None = None  # (N, nv), of the solver; None: 0


class Method(Protocol):
    """One way to move a body; kept over many videos, it keeps its compiled programs."""

    name: str

    @property
    def humanoid(self) -> Humanoid | None:
        """The body that estimates must be of; None: any of SMPL's topology."""

    def simulator(self, humanoid: Humanoid) -> Simulator:
        """In which a body is moved."""

    def follow(self, estimate: Estimate, start: Snapshot, seed: int) -> Moved:
        """Simulate from a state at the estimate's first frame to its last, or to where it is given up."""


class PlannerMethod:
    """Controls searched in the simulator, near the fit and the rays of the keypoints (``objective``)."""

    name = "plan"
    humanoid = None

    def __init__(self, preset: str | Settings = "default", engine: str | None = None) -> None:
        if isinstance(preset, str) and preset not in PRESETS:
            raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, found {preset!r}")
        settings = PRESETS[preset] if isinstance(preset, str) else preset
        self._settings, self._engine = dataclasses.replace(settings, give_up=LOST_SECONDS), engine
        self._planners: dict[tuple[Humanoid, bool], Planner] = {}

    def simulator(self, humanoid: Humanoid) -> Simulator:
        """See ``Method``."""
        return self._planner(humanoid, True).simulator

    def follow(self, estimate: Estimate, start: Snapshot, seed: int) -> Moved:
        """See ``Method``."""
        planner = self._planner(estimate.motion.humanoid, estimate.sight is not None)
        reference = make_reference(estimate.motion, planner.simulator)
        reference = dataclasses.replace(reference, known=estimate.sight)
        trail = planner.search.run(reference, seed, start=start)
        whole = [k for k, state in enumerate(trail.states) if np.isfinite(state.qpos).all()]
        states = trail.states[: len(whole)]
        return Moved(
            np.array([state.qpos for state in states]), np.array([state.qvel for state in states]),
            np.array(trail.ctrl[: len(states) - 1]).reshape(len(states) - 1, planner.simulator.actuated.nu),
            np.array([state.warmstart for state in states]),
        )  # fmt: skip

    def _planner(self, humanoid: Humanoid, seen: bool) -> Planner:
        found = self._planners.get((humanoid, seen))
        if found is None:
            terms = VIDEO_TERMS if seen else TERMS
            found = Planner(actuated_for(humanoid), self._settings, terms, self._engine)
            self._planners = {(humanoid, seen): found}  # of the last body
        return found


class TrackerMethod:
    """A policy that tracks the fit, by default the shipped one."""

    name = "track"

    def __init__(self, policy: str | None = None) -> None:
        self._tracker = load_tracker(policy, "c")

    @property
    def humanoid(self) -> Humanoid:
        """See ``Method``."""
        return self._tracker.humanoid

    def simulator(self, humanoid: Humanoid) -> Simulator:
        """See ``Method``."""
        return self._tracker.simulator

    def follow(self, estimate: Estimate, start: Snapshot, seed: int) -> Moved:
        """See ``Method``."""
        return Moved(*play(self._tracker, estimate.motion, start.qpos, start.qvel, start.warmstart))


#: Methods by name, each made with the options that it takes; "fit" moves nothing and stays with the estimate.
METHODS: dict[str, Callable[..., Method] | None] = {"fit": None, "track": TrackerMethod, "plan": PlannerMethod}


def register(name: str, make: Callable[..., Method]) -> None:
    """Give another method a name; ``make(**options)`` builds it."""
    METHODS[name] = make


def method_of(method: str | Method, **options: object) -> Method | None:
    """A method by its name, None for "fit", or the method itself.

    Raises:
        ValueError: no such method.
    """
    if not isinstance(method, str):
        return method
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, found {method!r}")
    make = METHODS[method]
    return None if make is None else make(**options)
