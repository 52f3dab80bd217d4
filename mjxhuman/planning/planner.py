"""``plan``: a motion in, the controls with which a simulated body performs it, and what it then does."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.actuated import LIGHT_DAMPING, Actuated, actuated_humanoid
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.physics.simulate import make_simulator
from mjxhuman.planning.reference import Reference, make_reference
from mjxhuman.planning.result import Plan
from mjxhuman.planning.search import Search, Settings, Trail
from mjxhuman.planning.terms import Term
from mjxhuman.rewards.score import in_ball_joints
from mjxhuman.runs import progress as progress_bar
from mjxhuman.tracking.evaluate import Tracked, effort_of, judge, usable
from mjxhuman.types import Motion

#: Settings by name: least time, the usual, least error.
PRESETS: dict[str, Settings] = {
    "fast": Settings(samples=12, improvements=2, horizon=12),
    "default": Settings(samples=32, improvements=3),
    "best": Settings(samples=48, improvements=4, passes=2),
}


def plan(
    motion: Motion,
    *,
    body: Actuated | None = None,
    preset: str | Settings = "default",
    seed: int = 0,
    terms: Mapping[str, Term] | None = None,
    engine: str | None = None,
    progress: bool = True,
) -> Plan:
    """Find controls with which a simulated body performs a motion.

    Sampling predictive control in the simulator: see ``planning.search`` and ``planning.sampling``. Equal arguments
    give equal plans, bit for bit, on one machine.

    Args:
        motion: of a body of SMPL's topology with ball joints, at any frame rate; its longest valid part is performed.
        body: with servos; None: the motion's own body.
        preset: a name in ``PRESETS``, or settings.
        seed: of the samples.
        terms: the objective; None: ``planning.terms.TERMS``.
        engine: of the simulation; None: the fastest here.
        progress: whether to show a bar.

    Raises:
        ValueError: no such preset, a body of other coordinates than the motion's, or too few valid frames.
    """
    planner = Planner(
        body or actuated_humanoid(in_ball_joints(motion).humanoid, damping=LIGHT_DAMPING), preset, terms, engine
    )
    return planner(motion, seed=seed, progress=progress)


def default_planner(
    preset: str | Settings = "default", engine: str | None = None, humanoid: Humanoid | None = None
) -> Planner:
    """The planner of a body, by default the built-in one; people's joints with ``LIGHT_DAMPING``.

    Raises:
        ValueError: no such preset, or a body that the registry does not know.
    """
    body = humanoid or load_humanoid("smpl")
    return Planner(_actuated(body), preset, engine=engine)


def _actuated(humanoid: Humanoid) -> Actuated:
    return actuated_humanoid(humanoid, damping=LIGHT_DAMPING if humanoid.is_smpl else 1.0)


class Planner:
    """``plan`` for many motions of one body: programs are compiled once."""

    def __init__(
        self,
        body: Actuated,
        preset: str | Settings = "default",
        terms: Mapping[str, Term] | None = None,
        engine: str | None = None,
    ) -> None:
        if isinstance(preset, str) and preset not in PRESETS:
            raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, found {preset!r}")
        self.preset = preset if isinstance(preset, str) else "custom"
        self.path = Path(f"planner:{self.preset}")
        self.simulator = make_simulator(body, engine)
        self.search = Search(self.simulator, PRESETS[preset] if isinstance(preset, str) else preset, terms)

    @property
    def humanoid(self) -> Humanoid:
        """The body whose coordinates motions must be in."""
        return self.simulator.actuated.humanoid

    @property
    def fps(self) -> float:
        """Control steps per second."""
        return 1.0 / self.simulator.dt

    @property
    def facts(self) -> dict[str, Any]:
        """JSON-ready settings."""
        return {"kind": "planner", "preset": self.preset, **dataclasses.asdict(self.search.settings)}

    def evaluate(
        self, motions: Sequence[Motion], names: Sequence[str], *, score: bool = True, seed: int = 0
    ) -> Iterator[Tracked]:
        """What ``tracking.evaluate.evaluate`` does with a policy: one ``Tracked`` per motion, as they are planned."""
        for motion, name in zip(motions, names, strict=True):
            tracked = self(motion, seed=seed, progress=False).as_tracked(score)
            yield dataclasses.replace(tracked, result=dataclasses.replace(tracked.result, name=name))

    def __call__(self, motion: Motion, *, seed: int = 0, progress: bool = True) -> Plan:
        """See ``plan``."""
        body, rate = self.simulator.actuated, 1.0 / self.simulator.dt
        motion = usable(_driven(motion), body.humanoid, rate, motion.provenance.path or "motion")
        reference = make_reference(motion, self.simulator)
        before, began = self.search.simulated_steps, time.monotonic()
        label = Path(motion.provenance.path).name or "plan"
        with progress_bar(reference.frames - 1, unit="step", label=label, quiet=not progress) as bar:

            def report(frame: int) -> None:
                bar.n = frame  # goes back where the body was lost
                bar.refresh()

            path = self.search.run(reference, seed, report)
        samples, seconds = self.search.simulated_steps - before, time.monotonic() - began
        start, at = path.states[0], self.simulator.address
        qvel = [state.qvel[at.qvel] for state in path.states]
        qvel += [np.zeros(at.nv)] * (reference.frames - len(qvel))
        tracked = self._judged(motion, reference, path)
        return Plan(
            result=tracked.result, motion=tracked.motion, reference=motion, qvel=np.array(qvel),
            ctrl=np.array(path.ctrl), start=(start.qpos, start.qvel), actuated=body,
            substeps=self.simulator.substeps, samples=samples, seconds=seconds, preset=self.preset, seed=seed,
        )  # fmt: skip

    def _judged(self, motion: Motion, reference: Reference, path: Trail) -> Tracked:
        """Errors and effort; a search that gave up leaves the last state standing for the rest."""
        states = path.states + [path.states[-1]] * (reference.frames - len(path.states))
        qpos, qvel = (np.array([getattr(s, name) for s in states]) for name in ("qpos", "qvel"))
        broken = np.flatnonzero(~np.isfinite(qpos).all(1))
        whole = min(int(broken[0]) if broken.size else len(qpos), len(path.states))
        qpos[whole:] = qpos[whole - 1]
        count, at = len(path.ctrl), self.simulator.address
        state = self.simulator.init(qpos[:count, at.qpos], qvel[:count, at.qvel])
        base = jnp.asarray(reference.ctrl[:count], jnp.float32)
        effort = jax.device_get(effort_of(self.simulator, state, jnp.asarray(np.array(path.ctrl), jnp.float32), base))
        name = motion.provenance.path or "motion"
        return judge(name, motion, qpos[:, at.qpos], effort, whole, score=False)


def _driven(motion: Motion) -> Motion:
    """The motion in the joints that are driven: of people ball joints."""
    return in_ball_joints(motion) if motion.humanoid.is_smpl else motion
