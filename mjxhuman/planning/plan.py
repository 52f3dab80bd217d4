"""``plan``: a motion in, the controls with which a simulated body performs it, and what it then does."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import mujoco
import numpy as np

from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.actuated import LIGHT_DAMPING, Actuated, actuated_humanoid
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.physics.simulate import make_simulator
from mjxhuman.planning.reference import make_reference
from mjxhuman.planning.search import Path, Search, Settings
from mjxhuman.planning.terms import Term
from mjxhuman.rewards.score import in_ball_joints, score
from mjxhuman.runs import atomic_write
from mjxhuman.runs import progress as progress_bar
from mjxhuman.tracking import metrics
from mjxhuman.tracking.evaluate import usable
from mjxhuman.types import Motion, Provenance, Scores

#: Settings by name: least time, the usual, least error.
PRESETS: dict[str, Settings] = {
    "fast": Settings(samples=12, improvements=2, horizon=12),
    "default": Settings(samples=32, improvements=3),
    "best": Settings(samples=48, improvements=4, passes=2),
}

_FORMAT = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Controls for a simulated body, and the motion that they make it perform.

    Nothing but joint torques, gravity and contact acts on the body; ``replay`` shows it in plain MuJoCo.
    """

    motion: Motion  # simulated, at the control rate
    reference: Motion | None  # what was to be performed, at the control rate; None for a plan read from a file
    ctrl: np.ndarray  # (T - 1, nu) rad, targets of the servos
    start: tuple[np.ndarray, np.ndarray]  # qpos (nq,) and qvel (nv,)
    actuated: Actuated  # the body with its servos
    substeps: int  # physics steps per control step
    lost_at: float | None  # s; None: tracked to the end
    error_global_mm: float  # mean over bodies and frames
    error_local_mm: float  # the same relative to the root
    torque: float  # N m, mean of |servo's spring| per axis
    samples: int  # control steps simulated in search of it
    seconds: float  # that took
    preset: str
    seed: int

    @property
    def tracked(self) -> bool:
        """Whether the mean distance of the judged bodies stayed below 0.5 m in every frame (PHC's criterion)."""
        return self.lost_at is None

    @functools.cached_property
    def scores(self) -> Scores:
        """Feasibility of the simulated motion."""
        return score(self.motion)

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
        names = ("lost_at", "error_global_mm", "error_local_mm", "torque", "samples", "seconds", "preset", "seed")
        body = self.motion.humanoid
        facts = {name: getattr(self, name) for name in names} | {
            "plan": _FORMAT, "substeps": self.substeps, "contacts": self.actuated.contacts,
            "damping": self.actuated.damping,
            "humanoid": {"name": body.name, "stature": body.stature, "mass": body.mass}, "fps": self.motion.fps,
            "source": self.motion.provenance.path,
        }  # fmt: skip
        qpos, qvel = self.start
        with atomic_write(FilePath(path), "wb") as file:
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
        arrays, facts = _read(FilePath(path))
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
        names = ("lost_at", "error_global_mm", "error_local_mm", "torque", "samples", "seconds", "preset", "seed")
        return Plan(
            motion=motion, reference=None, ctrl=arrays["ctrl"], start=(arrays["start_qpos"], arrays["start_qvel"]),
            actuated=actuated, substeps=facts["substeps"], **{name: facts[name] for name in names},
        )  # fmt: skip


def plan(
    motion: Motion,
    *,
    body: Actuated | None = None,
    preset: str | Settings = "default",
    seed: int = 0,
    terms: Mapping[str, Term] | None = None,
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
        progress: whether to show a bar.

    Raises:
        ValueError: no such preset, a body of other coordinates than the motion's, or too few valid frames.
    """
    planner = Planner(body or actuated_humanoid(in_ball_joints(motion).humanoid, damping=LIGHT_DAMPING), preset, terms)
    return planner(motion, seed=seed, progress=progress)


class Planner:
    """``plan`` for many motions of one body: programs are compiled once."""

    def __init__(
        self, body: Actuated, preset: str | Settings = "default", terms: Mapping[str, Term] | None = None
    ) -> None:
        if isinstance(preset, str) and preset not in PRESETS:
            raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, found {preset!r}")
        self.preset = preset if isinstance(preset, str) else "custom"
        self.simulator = make_simulator(body)
        self.search = Search(self.simulator, PRESETS[preset] if isinstance(preset, str) else preset, terms)

    def __call__(self, motion: Motion, *, seed: int = 0, progress: bool = True) -> Plan:
        """See ``plan``."""
        body, rate = self.simulator.actuated, 1.0 / self.simulator.dt
        motion = usable(in_ball_joints(motion), body.humanoid, rate, motion.provenance.path or "motion")
        reference = make_reference(motion, self.simulator)
        before, began = self.search.simulated_steps, time.monotonic()
        label = FilePath(motion.provenance.path).name or "plan"
        with progress_bar(reference.frames - 1, unit="step", label=label, quiet=not progress) as bar:

            def report(frame: int) -> None:
                bar.n = frame  # goes back where the body was lost
                bar.refresh()

            path = self.search.run(reference, seed, report)
        seconds = time.monotonic() - began
        return self._judged(motion, path, self.search.simulated_steps - before, seconds, seed)

    def _judged(self, reference: Motion, path: Path, samples: int, seconds: float, seed: int) -> Plan:
        qpos = np.array([state.qpos for state in path.states])
        whole = int(np.argmin(np.isfinite(qpos).all(1))) if not np.isfinite(qpos).all() else len(qpos)
        provenance = reference.provenance.with_(format="simulated")
        motion = motion_from_qpos(reference.humanoid, qpos[:whole], reference.fps, provenance=provenance)
        pos, wanted = (np.asarray(m.body_pos, np.float64)[:whole, 1:] for m in (motion, reference))
        failed = metrics.first_failure(pos, wanted)
        if failed is None and whole < reference.num_frames:
            failed = whole
        start = path.states[0]
        return Plan(
            motion=motion, reference=reference, ctrl=np.array(path.ctrl), start=(start.qpos, start.qvel),
            actuated=self.simulator.actuated, substeps=self.simulator.substeps,
            lost_at=None if failed is None else failed / reference.fps,
            error_global_mm=float(metrics.mpjpe(pos, wanted).mean()),
            error_local_mm=float(metrics.mpjpe(pos, wanted, (0,)).mean()),
            torque=self._torque(path), samples=samples, seconds=seconds, preset=self.preset, seed=seed,
        )  # fmt: skip

    def _torque(self, path: Path) -> float:
        """N m, mean of |spring| over the axes at the beginning of each control step."""
        states = self.simulator.init(np.array([state.qpos for state in path.states[:-1]]))
        return float(np.nanmean(np.abs(np.asarray(self.simulator.torque(states, np.array(path.ctrl, np.float32))))))


def _read(path: FilePath) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
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
