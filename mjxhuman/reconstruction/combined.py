"""Methods made of others: one that tries again where it loses the body, and one that hands over to another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.physics.simulate import Simulator
from mjxhuman.planning.search import LOST, Settings, Snapshot
from mjxhuman.reconstruction.estimate import Estimate
from mjxhuman.reconstruction.measure import distances
from mjxhuman.reconstruction.methods import Method, Moved, PlannerMethod
from mjxhuman.reconstruction.vision import PolicyMethod
from mjxhuman.tracking.evaluate import MIN_FRAMES, cut
from mjxhuman.types import Motion

#: Standard deviation by which the velocities of a start are off when it is tried again, m/s and rad/s.
SHAKEN = 0.1
#: s by which the body is put back when it is off, and for how long the other method moves it from there.
BACK, AHEAD = 0.5, 1.5


class Retried:
    """A method that starts again, a little differently, where the body leaves the estimate by ``LOST``; the try that
    lasts longest is kept. The recorded person is not asked: only the estimate is known."""

    def __init__(self, method: Method, tries: int) -> None:
        if tries < 1:
            raise ValueError(f"tries: expected 1 or more, found {tries}")
        self._method, self._tries = method, tries
        self.name, self.humanoid, self.simulator = method.name, method.humanoid, method.simulator

    def follow(self, estimate: Estimate, start: Snapshot, seed: int) -> Moved:
        """See ``Method``."""
        rng, longest, lasted = np.random.default_rng(seed), None, -1
        for number in range(self._tries):
            shaken = start.qvel + SHAKEN * rng.normal(size=start.qvel.shape)
            begun = start if number == 0 else dataclasses.replace(start, qvel=shaken)
            moved = self._method.follow(estimate, begun, seed)
            if (off := leaves(moved, estimate.motion)) is None:
                return moved
            if off > lasted:
                longest, lasted = moved, off
        assert longest is not None
        return longest


class Handover:
    """``first``, and ``then`` from half a second before the body is farther than ``LOST`` from the estimate.

    Nothing jumps: what was simulated after that moment is forgotten, and ``then`` goes on in the state of that moment.
    After ``AHEAD`` seconds ``first`` moves it again.
    """

    def __init__(self, first: Method, then: Method) -> None:
        self._first, self._then = first, then
        self.name = f"{first.name}+{then.name}"

    @property
    def humanoid(self) -> Humanoid | None:
        """See ``Method``."""
        return self._first.humanoid

    def simulator(self, humanoid: Humanoid) -> Simulator:
        """See ``Method``.

        Raises:
            ValueError: the two move different bodies.
        """
        own, other = (method.simulator(humanoid) for method in (self._first, self._then))
        for name, value in own.actuated.facts.items():
            if (found := other.actuated.facts[name]) != value:
                raise ValueError(
                    f"{self.name}: expected two methods for one body, found {name} {value!r} of {self._first.name} "
                    f"and {found!r} of {self._then.name}"
                )
        return own

    def follow(self, estimate: Estimate, start: Snapshot, seed: int) -> Moved:
        """See ``Method``."""
        self.simulator(estimate.motion.humanoid)
        frames, fps = estimate.motion.num_frames, estimate.motion.fps
        back, ahead = round(BACK * fps), round(AHEAD * fps)
        done: list[Moved] = []
        at, state = 0, start
        while True:
            part = estimate.cut(at, frames)
            moved = self._first.follow(part, state, seed)
            off = leaves(moved, part.motion)
            if off is None:
                return _joined([*done, moved])
            good = max(0, off - back)
            done.append(_until(moved, good))
            at, state = at + good, _at(moved, good)
            stop = at + ahead if frames - at - ahead >= MIN_FRAMES else frames
            part = estimate.cut(at, stop)
            moved = self._then.follow(part, state, seed)
            done.append(moved)
            reached = at + len(moved.qpos) - 1
            if reached < stop - 1 or stop == frames:  # given up, or at the end
                return _joined(done)
            at, state = reached, _at(moved, len(moved.qpos) - 1)


def leaves(moved: Moved, estimate: Motion) -> int | None:
    """The first frame in which a body is farther than ``LOST`` from an estimate; None where it never is."""
    states = len(moved.qpos)
    if states < MIN_FRAMES:
        return states - 1
    motion = motion_from_qpos(estimate.humanoid, moved.qpos, estimate.fps)
    off = np.flatnonzero(distances(motion, cut(estimate, 0, states)) > LOST)
    if len(off):
        return int(off[0])
    return None if states == estimate.num_frames else states - 1


def _until(moved: Moved, frame: int) -> Moved:
    """Up to a state, that one included."""
    states = slice(0, frame + 1)
    return Moved(moved.qpos[states], moved.qvel[states], moved.ctrl[:frame], _warmstart(moved)[states])


def _at(moved: Moved, frame: int) -> Snapshot:
    return Snapshot(moved.qpos[frame], moved.qvel[frame], _warmstart(moved)[frame])


def _warmstart(moved: Moved) -> np.ndarray:
    return np.zeros_like(moved.qvel) if moved.warmstart is None else moved.warmstart


def _joined(parts: list[Moved]) -> Moved:
    """Parts of which each begins in the last state of the one before."""

    def states(of: Callable[[Moved], np.ndarray]) -> np.ndarray:
        return np.concatenate([of(parts[0]), *(of(part)[1:] for part in parts[1:])])

    ctrl = np.concatenate([part.ctrl for part in parts])
    return Moved(states(lambda x: x.qpos), states(lambda x: x.qvel), ctrl, states(_warmstart))


class RetriedPolicy(Retried):
    """A trained policy from several starts."""

    def __init__(self, policy: str | None = None, tries: int = 4) -> None:
        super().__init__(PolicyMethod(policy), tries)


class PolicyPlanMethod(Handover):
    """A trained policy, and the planner where it loses the body."""

    def __init__(
        self, policy: str | None = None, preset: str | Settings = "default", engine: str | None = None
    ) -> None:
        super().__init__(PolicyMethod(policy), PlannerMethod(preset, engine))
