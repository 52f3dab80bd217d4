"""``plan``: a motion in, the controls with which a simulated body performs it, and what it then does."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.actuated import LIGHT_DAMPING, Actuated, actuated_humanoid
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.physics.simulate import make_simulator
from mjxhuman.planning.reference import Reference, make_reference
from mjxhuman.planning.search import Search, Settings, Trail
from mjxhuman.planning.terms import Term
from mjxhuman.rewards.score import in_ball_joints, score
from mjxhuman.runs import atomic_write
from mjxhuman.runs import progress as progress_bar
from mjxhuman.tracking import metrics
from mjxhuman.tracking.evaluate import ClipResult, Tracked, effort_of, judge, scored_result, usable
from mjxhuman.types import Motion, Provenance, Scores

#: Settings by name: least time, the usual, least error.
PRESETS: dict[str, Settings] = {
    "fast": Settings(samples=12, improvements=2, horizon=12),
    "default": Settings(samples=32, improvements=3),
    "best": Settings(samples=48, improvements=4, passes=2),
}

_FORMAT = 1
_COUNTS = ("samples", "seconds", "preset", "seed")


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Controls for a simulated body, and the motion that they make it perform.

    Nothing but joint torques, gravity and contact acts on the body; ``replay`` shows it in plain MuJoCo.
    """

    result: ClipResult  # errors and effort, by the field's names
    motion: Motion  # simulated, at the control rate
    reference: Motion | None  # what was to be performed, at the control rate; None for a plan read from a file
    ctrl: np.ndarray  # (T - 1, nu) rad, targets of the servos
    start: tuple[np.ndarray, np.ndarray]  # qpos (nq,) and qvel (nv,)
    actuated: Actuated  # the body with its servos
    substeps: int  # physics steps per control step
    samples: int  # control steps simulated in search of it
    seconds: float  # that took
    preset: str
    seed: int

    @property
    def tracked(self) -> bool:
        """Whether the mean distance of the judged bodies stayed below 0.5 m in every frame (PHC's criterion)."""
        return self.result.success

    @property
    def lost_at(self) -> float | None:
        """s from the start; None: tracked to the end."""
        return self.result.failed_time

    @property
    def error_global_mm(self) -> float:
        """Mean over bodies and frames of the distance to the reference."""
        return self.result.mpjpe_g

    @property
    def error_local_mm(self) -> float:
        """The same relative to the root."""
        return self.result.mpjpe_l

    @property
    def torque(self) -> float:
        """N m, mean over axes and steps of what the servos' springs pull with."""
        return self.result.torque

    @functools.cached_property
    def distances(self) -> np.ndarray:
        """Mean distance of the bodies to the reference in each frame, ``(T,)`` mm.

        Raises:
            ValueError: a plan read from a file, which has no reference.
        """
        simulated, wanted = self._bodies()
        return metrics.mpjpe(simulated[0], wanted[0]).mean(-1)

    @functools.cached_property
    def distance(self) -> tuple[float, float]:
        """The physical distance of the reference: mean change of place (mm) and of orientation (deg) of its bodies.

        An upper bound of the smallest change that makes it physical, the measure of PP-Motion (which minimises it by
        RL): what this search found.
        """
        simulated, wanted = self._bodies()
        turned = np.rad2deg(metrics.rot_error(simulated[1], wanted[1]))
        return float(np.mean(self.distances)), float(np.mean(turned))

    def _bodies(self) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Places and orientations of the tracked bodies, simulated and wanted."""
        if self.reference is None:
            raise ValueError("plan: expected one with its reference, found one read from a file")
        ids = self.motion.humanoid.tracked_ids
        simulated, wanted = (
            (np.asarray(m.body_pos, np.float64)[:, ids], np.asarray(m.body_quat, np.float64)[:, ids])
            for m in (self.motion, self.reference)
        )
        return simulated, wanted

    @functools.cached_property
    def scores(self) -> Scores:
        """Feasibility of the simulated motion."""
        return score(self.motion)

    @property
    def as_tracked(self) -> Tracked:
        """As ``tracking.evaluate`` gives its results, scored, for tables and films.

        Raises:
            ValueError: a plan read from a file, which has no reference.
        """
        if self.reference is None:
            raise ValueError("plan: expected one with its reference, found one read from a file")
        scored = (self.scores, score(self.reference)) if self.motion.humanoid.is_smpl else (None, None)
        return scored_result(Tracked(self.result, self.motion, self.reference), *scored)

    def replay(self) -> Motion:
        """The motion once more, by ``mj_step`` alone, from ``start`` under ``ctrl``."""
        model = self.actuated.model
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = self.start
        path = [data.qpos.copy()]
        for ctrl in self.ctrl:
            data.ctrl[:] = ctrl
            mujoco.mj_step(model, data, self.substeps)
            path.append(data.qpos.copy())
        motion = self.motion
        return motion_from_qpos(motion.humanoid, np.array(path), motion.fps, provenance=motion.provenance)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a ``.npz`` file that ``Plan.load`` reads."""
        body = self.motion.humanoid
        facts = {
            "plan": _FORMAT, "result": dataclasses.asdict(self.result), "substeps": self.substeps,
            "contacts": self.actuated.contacts, "damping": self.actuated.damping, "fps": self.motion.fps,
            "humanoid": {"name": body.name, "stature": body.stature, "mass": body.mass},
            "source": self.motion.provenance.path,
        } | {name: getattr(self, name) for name in _COUNTS}  # fmt: skip
        qpos, qvel = self.start
        with atomic_write(Path(path), "wb") as file:
            np.savez_compressed(
                file, facts=np.array(json.dumps(facts)), qpos=np.asarray(self.motion.qpos), ctrl=self.ctrl,
                start_qpos=qpos, start_qvel=qvel,
            )  # fmt: skip

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Plan:
        """A plan from a file that ``save`` wrote; its reference is not part of it.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not a plan, or one whose arrays do not fit its body (file, field, found and expected).
        """
        arrays, facts = _read(Path(path))
        body = dict(facts["humanoid"])
        actuated = actuated_humanoid(
            load_humanoid(body.pop("name"), **body), facts["contacts"], damping=facts["damping"]
        )
        model = actuated.model
        for name, size in (("qpos", model.nq), ("ctrl", model.nu), ("start_qpos", model.nq), ("start_qvel", model.nv)):
            if arrays[name].shape[-1] != size:
                raise ValueError(f"{path}: {name}: found {arrays[name].shape[-1]} numbers, expected {size} of the body")
        provenance = Provenance(path=facts["source"], format="plan")
        motion = motion_from_qpos(actuated.humanoid, arrays["qpos"], facts["fps"], provenance=provenance)
        return Plan(
            result=ClipResult(**facts["result"]), motion=motion, reference=None, ctrl=arrays["ctrl"],
            start=(arrays["start_qpos"], arrays["start_qvel"]), actuated=actuated, substeps=facts["substeps"],
            **{name: facts[name] for name in _COUNTS},
        )  # fmt: skip


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
            found = self(motion, seed=seed, progress=False)
            tracked = found.as_tracked if score else Tracked(found.result, found.motion, motion)
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
        start = path.states[0]
        tracked = self._judged(motion, reference, path)
        return Plan(
            result=tracked.result, motion=tracked.motion, reference=motion, ctrl=np.array(path.ctrl),
            start=(start.qpos, start.qvel), actuated=body, substeps=self.simulator.substeps, samples=samples,
            seconds=seconds, preset=self.preset, seed=seed,
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


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts of a plan's file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    names = ("qpos", "ctrl", "start_qpos", "start_qvel")
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            arrays = {name: file[name] for name in names}
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: expected a plan ({', '.join(('facts', *names))}), found {error}") from error
    if facts.get("plan") != _FORMAT:
        raise ValueError(f"{path}: plan: found format {facts.get('plan')!r}, expected {_FORMAT}")
    return arrays, facts
