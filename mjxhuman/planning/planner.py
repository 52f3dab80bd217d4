"""``plan``: a motion in, the controls with which a simulated body performs it, and what it then does."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.actuated import Actuated, actuated_humanoid
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.humanoids.tuning import LIGHT, STOCK
from mjxhuman.physics.simulate import make_simulator
from mjxhuman.planning.reference import Reference, make_reference, remarks
from mjxhuman.planning.result import Plan
from mjxhuman.planning.search import Search, Settings, Snapshot, Trail
from mjxhuman.planning.terms import Term
from mjxhuman.rewards.score import in_ball_joints
from mjxhuman.runs import progress as progress_bar
from mjxhuman.tracking.disturbance import Disturbance
from mjxhuman.tracking.evaluate import Effort, Tracked, effort_of, judge, usable
from mjxhuman.types import Motion

#: Settings by name: least time, the usual, one that answers at once (for closed loop), least error.
PRESETS: dict[str, Settings] = {
    "fast": Settings(samples=12, improvements=2, horizon=12),
    "default": Settings(samples=32, improvements=3),
    "reactive": Settings(samples=12, improvements=2, every=1),
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
    planner = Planner(body or actuated_for(driven(motion).humanoid), preset, terms, engine)
    return planner(motion, seed=seed, progress=progress)


def default_planner(
    preset: str | Settings = "default",
    engine: str | None = None,
    humanoid: Humanoid | None = None,
    closed_loop: bool = False,
) -> Planner:
    """The planner of a body, by default the built-in one; people's are tuned ``LIGHT``.

    Raises:
        ValueError: no such preset, or a body that the registry does not know.
    """
    body = humanoid or load_humanoid("smpl")
    return Planner(actuated_for(body), preset, engine=engine, closed_loop=closed_loop)


def actuated_for(humanoid: Humanoid) -> Actuated:
    """The body with the servos that it is planned with: people's are tuned ``LIGHT``."""
    return actuated_humanoid(humanoid, tuning=LIGHT if humanoid.is_smpl else STOCK)


class Planner:
    """``plan`` for many motions of one body: programs are compiled once.

    With ``closed_loop`` it is a controller (model predictive control): it plans from wherever the body is and never
    goes back, so a disturbance is met as a policy has to meet it. Without, a disturbance happens to the finished plan,
    whose controls know nothing of it.
    """

    def __init__(
        self,
        body: Actuated,
        preset: str | Settings = "default",
        terms: Mapping[str, Term] | None = None,
        engine: str | None = None,
        closed_loop: bool = False,
    ) -> None:
        if not isinstance(body, Actuated) or body.nu == 0:
            raise ValueError(f"body: expected one with servos (actuated_humanoid), found {type(body).__name__} without")
        if isinstance(preset, str) and preset not in PRESETS:
            raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, found {preset!r}")
        self.preset = preset if isinstance(preset, str) else "custom"
        self.closed_loop = closed_loop
        self.spent = self.performed = 0.0
        self.path = Path(f"{self.kind}:{self.preset}")
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
    def kind(self) -> str:
        """What it goes by among policies."""
        return "mpc" if self.closed_loop else "planner"

    @property
    def facts(self) -> dict[str, Any]:
        """JSON-ready settings, and what it has cost: seconds of processor time per second of motion."""
        cost = self.spent / self.performed if self.performed else float("nan")
        settings = dataclasses.asdict(self.search.settings)
        return {"kind": self.kind, "preset": self.preset, **settings, "processor_seconds_per_second": cost}

    def evaluate(
        self,
        motions: Sequence[Motion],
        names: Sequence[str],
        *,
        score: bool = True,
        seed: int = 0,
        disturbance: Disturbance | None = None,
    ) -> Iterator[Tracked]:
        """What ``tracking.evaluate.evaluate`` does with a policy: one ``Tracked`` per motion, as they are planned."""
        for motion, name in zip(motions, names, strict=True):
            found = self(motion, seed=seed, progress=False, name=name, disturbance=disturbance)
            tracked = found.as_tracked(score)
            yield dataclasses.replace(tracked, result=dataclasses.replace(tracked.result, name=name))

    def __call__(
        self,
        motion: Motion,
        *,
        seed: int = 0,
        progress: bool = True,
        name: str = "",
        disturbance: Disturbance | None = None,
    ) -> Plan:
        """See ``plan``; ``disturbance`` is drawn by the motion's name. ``Plan.replay`` knows of no pushes."""
        body, rate = self.simulator.actuated, 1.0 / self.simulator.dt
        name = name or motion.provenance.path or "motion"
        motion = usable(driven(motion), body.humanoid, rate, name)
        reference = make_reference(motion, self.simulator)
        if said := remarks(reference, body):
            where = motion.provenance
            motion = dataclasses.replace(motion, provenance=where.with_(conventions=(*where.conventions, *said)))
        before, began, spent = self.search.simulated_steps, time.monotonic(), time.process_time()
        label = Path(name).name or self.kind
        with progress_bar(reference.frames - 1, unit="step", label=label, quiet=not progress) as bar:

            def report(frame: int) -> None:
                bar.n = frame  # goes back where the body was lost
                bar.refresh()

            path = self._performed(reference, seed, report, name, disturbance)
        samples, seconds = self.search.simulated_steps - before, time.monotonic() - began
        self.spent += time.process_time() - spent
        self.performed += (reference.frames - 1) / rate
        start, at = path.states[0], self.simulator.address
        qvel = [state.qvel[at.qvel] for state in path.states]
        qvel += [np.zeros(at.nv)] * (reference.frames - len(qvel))
        tracked = self._judged(motion, reference, path)
        return Plan(
            result=tracked.result, motion=tracked.motion, reference=motion, qvel=np.array(qvel),
            ctrl=np.array(path.ctrl), start=(start.qpos, start.qvel), actuated=body,
            substeps=self.simulator.substeps, samples=samples, seconds=seconds, preset=self.preset, seed=seed,
        )  # fmt: skip

    def _performed(
        self,
        reference: Reference,
        seed: int,
        report: Callable[[int], None],
        name: str,
        disturbance: Disturbance | None,
    ) -> Trail:
        """What the body does: a plan, a plan's controls under a disturbance, or closed-loop control."""
        if not disturbance and not self.closed_loop:
            return self.search.run(reference, seed, report)
        disturbance = disturbance or Disturbance()
        pushes = disturbance.pushes(name, reference.frames - 1, self.simulator.dt)
        clip = (reference.qpos[0], reference.qvel[0])
        qpos, qvel = disturbance.start(name, self.simulator, *clip)
        state = Snapshot(qpos, qvel, np.zeros_like(qvel))
        if self.closed_loop:
            return self.search.control(reference, seed, state, pushes, report)
        return self.search.follow(np.array(self.search.run(reference, seed, report).ctrl), state, pushes)

    def _judged(self, motion: Motion, reference: Reference, path: Trail) -> Tracked:
        """Errors and effort."""
        return judge(motion.provenance.path or "motion", motion, *self.simulated(reference, path), score=False)

    def simulated(self, reference: Reference, path: Trail) -> tuple[np.ndarray, Effort, int]:
        """The body's qpos ``(T, nq)``, its effort, and how many frames are whole.

        A search that gave up leaves the last state standing for the rest.
        """
        states = path.states + [path.states[-1]] * (reference.frames - len(path.states))
        qpos, qvel = (np.array([getattr(s, name) for s in states]) for name in ("qpos", "qvel"))
        broken = np.flatnonzero(~np.isfinite(qpos).all(1))
        whole = min(int(broken[0]) if broken.size else len(qpos), len(path.states))
        qpos[whole:] = qpos[whole - 1]
        count, at = len(path.ctrl), self.simulator.address
        state = self.simulator.init(qpos[:count, at.qpos], qvel[:count, at.qvel])
        base = jnp.asarray(reference.ctrl[:count], jnp.float32)
        effort = jax.device_get(effort_of(self.simulator, state, jnp.asarray(np.array(path.ctrl), jnp.float32), base))
        return qpos[:, at.qpos], effort, whole


def driven(motion: Motion) -> Motion:
    """The motion in the joints that are driven: of people ball joints."""
    return in_ball_joints(motion) if motion.humanoid.is_smpl else motion
