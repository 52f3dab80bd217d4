"""A plan: controls, the motion they make, what it is worth; as a file."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from mjxhuman.data.plans import ARRAYS, FORMAT
from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.actuated import Actuated, actuated_humanoid
from mjxhuman.humanoids.tuning import tuning_from
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.rewards.score import score
from mjxhuman.runs import atomic_write
from mjxhuman.tracking import metrics
from mjxhuman.tracking.evaluate import ClipResult, Tracked, scored_result
from mjxhuman.tracking.tracker import body_facts
from mjxhuman.types import Motion, Provenance, Scores

_COUNTS = ("samples", "seconds", "preset", "seed")
_FACTS = ("result", "substeps", "contacts", "tuning", "fps", "humanoid", "source")


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Controls for a simulated body, and the motion that they make it perform.

    Nothing but joint torques, gravity and contact acts on the body; ``replay`` shows it in plain MuJoCo.
    """

    result: ClipResult  # errors and effort, by the field's names
    motion: Motion  # simulated, at the control rate
    reference: Motion | None  # what was to be performed, at the control rate; None for a plan read from a file
    qvel: np.ndarray  # (T, nv) its velocities, as the simulation had them
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
        """N m, mean over axes and steps of the joints' torque: what the servos pull with, less their own damping."""
        return self.result.net_torque

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

    def as_tracked(self, scored: bool = True) -> Tracked:
        """As ``tracking.evaluate`` gives its results, for tables and films; scored where the body can be.

        Raises:
            ValueError: a plan read from a file, which has no reference.
        """
        if self.reference is None:
            raise ValueError("plan: expected one with its reference, found one read from a file")
        both = (self.scores, score(self.reference)) if scored and self.motion.humanoid.is_smpl else (None, None)
        return scored_result(Tracked(self.result, self.motion, self.reference), *both)

    def replay(self) -> Motion:
        """The motion once more, by ``mj_step`` alone, from ``start`` under ``ctrl``."""
        motion = self.motion
        return motion_from_qpos(motion.humanoid, self.replayed(), motion.fps, provenance=motion.provenance)

    def replayed(self) -> np.ndarray:
        """The coordinates ``(T, nq)`` of ``replay``, float64."""
        model = self.actuated.model
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = self.start
        path = [data.qpos.copy()]
        for ctrl in self.ctrl:
            data.ctrl[:] = ctrl
            mujoco.mj_step(model, data, self.substeps)
            path.append(data.qpos.copy())
        return np.array(path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a ``.npz`` file that ``Plan.load`` reads."""
        body = self.motion.humanoid
        facts = {
            "plan": FORMAT, "result": dataclasses.asdict(self.result), "substeps": self.substeps,
            **self.actuated.facts, "fps": self.motion.fps,
            "humanoid": body_facts(body),
            "source": self.motion.provenance.path,
        } | {name: getattr(self, name) for name in _COUNTS}  # fmt: skip
        qpos, qvel = self.start
        with atomic_write(Path(path), "wb") as file:
            np.savez_compressed(
                file, facts=np.array(json.dumps(facts)), qpos=np.asarray(self.motion.qpos), qvel=self.qvel,
                ctrl=self.ctrl, start_qpos=qpos, start_qvel=qvel,
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
            load_humanoid(body.pop("name"), **body), facts["contacts"], tuning=tuning_from(facts["tuning"], path)
        )
        model = actuated.model
        frames, steps = len(arrays["qpos"]), len(arrays["ctrl"])  # fewer steps where the simulation broke down
        expected = {
            "qpos": (frames, model.nq), "qvel": (frames, model.nv), "ctrl": (min(steps, frames - 1), model.nu),
            "start_qpos": (model.nq,), "start_qvel": (model.nv,),
        }  # fmt: skip
        for name, shape in expected.items():
            if arrays[name].shape != shape:
                raise ValueError(f"{path}: {name}: found shape {arrays[name].shape}, expected {shape} of its body")
        provenance = Provenance(path=facts["source"], format="plan")
        motion = motion_from_qpos(actuated.humanoid, arrays["qpos"], facts["fps"], provenance=provenance)
        return Plan(
            result=ClipResult(**facts["result"]), motion=motion, reference=None, qvel=arrays["qvel"],
            ctrl=arrays["ctrl"], start=(arrays["start_qpos"], arrays["start_qvel"]), actuated=actuated,
            substeps=facts["substeps"],
            **{name: facts[name] for name in _COUNTS},
        )  # fmt: skip


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts of a plan's file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            arrays = {name: file[name] for name in ARRAYS}
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: expected a plan ({', '.join(('facts', *ARRAYS))}), found {error}") from error
    found = facts.get("plan") if isinstance(facts, dict) else None
    if found != FORMAT:
        raise ValueError(f"{path}: plan: found format {found!r}, expected {FORMAT}")
    if missing := [name for name in (*_FACTS, *_COUNTS) if name not in facts]:
        raise ValueError(f"{path}: facts: expected {', '.join((*_FACTS, *_COUNTS))}, found no {', '.join(missing)}")
    return arrays, facts
