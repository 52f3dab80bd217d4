"""A reconstruction: the simulated motion, the controls that made it, and what it rests on; as files."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from mjxhuman.data.npz import QposMotion, save_motion
from mjxhuman.data.plans import FORMAT
from mjxhuman.physics.simulate import Simulator
from mjxhuman.reconstruction import measure
from mjxhuman.reconstruction.estimate import Estimate
from mjxhuman.rewards.score import score
from mjxhuman.rewards.tracking import FAILURE_DISTANCE
from mjxhuman.runs import atomic_write
from mjxhuman.tracking import metrics
from mjxhuman.tracking.tracker import body_facts
from mjxhuman.types import Camera, Motion, Scores

#: Frames of a simulation in which the body settles: what its start gets wrong shows in them.
SETTLING = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Stretch:
    """An unbroken simulation of some frames: plain ``mj_step`` repeats it from the first state under the controls."""

    first: int  # frame of the motion
    qpos: np.ndarray  # (N, nq)
    qvel: np.ndarray  # (N, nv)
    ctrl: np.ndarray  # (N - 1, nu) rad
    sound: int  # frames that count; the rest is where the body was lost

    @property
    def stop(self) -> int:
        """The frame after its last."""
        return self.first + len(self.qpos)


@dataclasses.dataclass(frozen=True, eq=False)
class Reconstruction:
    """What ``reconstruct`` gives back; T frames at the control rate."""

    method: str
    motion: Motion  # simulated; frames of no take, or in which the body was lost, are not valid. Of "fit" the estimate
    estimate: Motion  # the whole-clip fit
    takes: tuple[Stretch, ...]
    source: Estimate  # rays, contacts, camera, what was recovered
    simulator: Simulator | None  # None of "fit"
    refused: str  # why the estimate was not simulated, or ""
    seconds: float  # that it took

    @property
    def camera(self) -> Camera:
        """In the world of the motions, (V, C, ...)."""
        return self.source.camera

    @property
    def restarts(self) -> tuple[int, ...]:
        """Frames in which the body was put back into the estimate's state."""
        return tuple(take.first for take in self.takes[1:])

    @property
    def lost_frames(self) -> int:
        """Frames that are not valid in the result."""
        return int((~np.asarray(self.motion.valid)).sum())

    @property
    def success(self) -> bool:
        """Whether all that is known of the person was simulated in one piece, never 0.5 m off on average (PHC)."""
        if self.refused:
            return False
        both = np.asarray(self.motion.valid) & np.asarray(self.estimate.valid)
        whole = bool((both == np.asarray(self.estimate.valid)).all()) and len(self.takes) <= 1
        return whole and bool((self.distances[both] <= FAILURE_DISTANCE).all())

    @functools.cached_property
    def distances(self) -> np.ndarray:
        """Mean distance ``(T,)`` m of the judged bodies from the estimate."""
        return measure.distances(self.motion, self.estimate)

    @functools.cached_property
    def scores(self) -> Scores:
        """Feasibility of the motion."""
        return score(self.motion)

    @functools.cached_property
    def estimate_scores(self) -> Scores:
        """Feasibility of the estimate."""
        return score(self.estimate)

    @functools.cached_property
    def numbers(self) -> dict[str, Any]:
        """JSON-ready: how it went and how good it is; means over valid frames."""
        known = np.asarray(self.motion.valid) & np.asarray(self.estimate.valid)
        pos, ref = (measure.bodies_of(m)[known] for m in (self.motion, self.estimate))
        height, sight = measure.lowest(self.motion)[known], self.source.sight
        pixels = [None if sight is None else _median(measure.reprojection(sight, m)[known])
                  for m in (self.motion, self.estimate)]  # fmt: skip
        return {
            "valid": not self.refused, "reason": self.refused, "frames": self.motion.num_frames,
            "fps": round(self.motion.fps, 6), "method": self.method, "success": self.success,
            "restarts": [round(frame / self.motion.fps, 3) for frame in self.restarts],
            "lost_frames": self.lost_frames, "settling_frames": 0 if not self.takes else SETTLING,
            "reprojection_px": pixels[0], "estimate_reprojection_px": pixels[1],
            "to_estimate_mm": _mean(metrics.mpjpe(pos, ref, (0,))),
            "to_estimate_global_mm": _mean(metrics.mpjpe(pos, ref)),
            "foot_slide_mm": _mean(measure.slide(self.motion, self.estimate, known)),
            "float_mm": _mean(1e3 * np.maximum(height, 0.0)), "penetration_mm": _mean(1e3 * np.maximum(-height, 0.0)),
            "jitter": _mean(measure.jitter(self.motion, known)),
            "score": _total(self.scores), "estimate_score": _total(self.estimate_scores),
            "stature_m": round(float(self.motion.humanoid.stature), 3), "camera": self.camera_facts(),
            "seconds": round(self.seconds, 2),
        }  # fmt: skip

    def camera_facts(self) -> dict[str, Any]:
        """Views, place in the first frame, focal lengths, and what was assumed."""
        matrix, pose = np.asarray(self.camera.intrinsics, float), np.asarray(self.camera.T_world_camera, float)
        matrix, pose = matrix.reshape(-1, *matrix.shape[-3:])[:, 0], pose.reshape(-1, *pose.shape[-3:])[:, 0]
        said = self.estimate.provenance
        return {
            "views": len(pose), "place_m": np.round(pose[:, :3, 3], 3).tolist(),
            "focal_px": np.round(matrix[:, 0, 0], 1).tolist(), "assumed": list(said.conventions),
        }  # fmt: skip

    def replayed(self) -> list[np.ndarray]:
        """The coordinates (N, nq) of each take once more, by ``mj_step`` alone, float64."""
        found = []
        for take in self.takes:
            assert self.simulator is not None
            model = self.simulator.actuated.model
            data = mujoco.MjData(model)
            data.qpos[:], data.qvel[:] = take.qpos[0], take.qvel[0]
            path = [data.qpos.copy()]
            for ctrl in take.ctrl:
                data.ctrl[:] = ctrl
                mujoco.mj_step(model, data, self.simulator.substeps)
                path.append(data.qpos.copy())
            found.append(np.array(path))
        return found

    def save(self, folder: str | os.PathLike[str]) -> dict[str, Path]:
        """Write ``motion.npz``, ``estimate.npz``, ``camera.json``, and of a simulation ``model.xml`` and ``model.mjb``.

        ``motion.npz`` of a simulation is read like a plan's file (``load_motion``). Its arrays are qpos (T, nq), qvel
        (T, nv), ctrl (T - 1, nu) rad, valid (T,), and starts (S,): from the state of each of these frames on
        ``mj_step`` under ctrl, ``substeps`` physics steps each, goes through qpos to the next start. The binary
        model is exact, for the MuJoCo that wrote it; the text keeps fewer digits, which makes 3e-6 in two seconds.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = {"estimate": save_motion(folder / "estimate.npz", _coordinates(self.estimate))}
        paths["camera"] = _save_camera(folder / "camera.json", self.camera)
        if self.simulator is None or not self.takes:
            return paths | {"motion": save_motion(folder / "motion.npz", _coordinates(self.motion))}
        actuated, steps = self.simulator.actuated, self.motion.num_frames - 1
        qpos, qvel = np.asarray(self.motion.qpos, np.float64), np.zeros((steps + 1, actuated.model.nv))
        ctrl = np.zeros((steps, actuated.nu))
        for take in self.takes:
            qpos[take.first : take.stop], qvel[take.first : take.stop] = take.qpos, take.qvel
            ctrl[take.first : take.stop - 1] = take.ctrl
        starts = np.array([take.first for take in self.takes])
        facts = {
            "plan": FORMAT, "substeps": self.simulator.substeps, **actuated.facts, "fps": self.motion.fps,
            "humanoid": body_facts(self.motion.humanoid), "source": self.motion.provenance.path, "method": self.method,
        }  # fmt: skip
        with atomic_write(folder / "motion.npz", "wb") as file:
            np.savez_compressed(
                file, facts=np.array(json.dumps(facts)), qpos=qpos, qvel=qvel, ctrl=ctrl, start_qpos=qpos[starts[0]],
                start_qvel=qvel[starts[0]], valid=np.asarray(self.motion.valid), starts=starts,
                substeps=np.array(self.simulator.substeps),
            )  # fmt: skip
        with atomic_write(folder / "model.xml") as text:
            text.write(actuated.spec.to_xml())
        mujoco.mj_saveModel(actuated.model, str(folder / "model.mjb"))
        return paths | {"motion": folder / "motion.npz", "model": folder / "model.mjb"}


def _coordinates(motion: Motion) -> QposMotion:
    valid = np.asarray(motion.valid)
    return QposMotion(
        np.asarray(motion.qpos, np.float64), motion.fps, body_facts(motion.humanoid), motion.provenance,
        valid=None if valid.all() else valid,
    )  # fmt: skip


def _save_camera(path: Path, camera: Camera) -> Path:
    """As ``data.cameras.read_cameras`` reads it: one camera, or several by number."""
    parts = (camera.intrinsics, camera.T_world_camera, camera.distortion)
    arrays = [np.asarray(x, float) for x in parts]
    views = [arrays] if arrays[0].ndim == 3 else [list(one) for one in zip(*arrays)]
    tables = {}
    for k, (matrix, pose, lens) in enumerate(views):
        still = bool((matrix == matrix[:1]).all() and (pose == pose[:1]).all())
        shown = slice(0, 1) if still else slice(None)
        tables[f"camera{k}"] = {
            "intrinsics": matrix[shown].tolist(), "T_world_camera": pose[shown].tolist(),
            "distortion": lens[0].tolist(), "image_size": list(camera.image_size), "up": "z",
        }  # fmt: skip
    with atomic_write(path) as file:
        json.dump({"cameras": tables}, file)
    return path


def _mean(values: np.ndarray) -> float | None:
    return round(float(np.mean(values)), 2) if np.size(values) else None


def _median(values: np.ndarray) -> float | None:
    return round(float(np.nanmedian(values)), 2) if np.isfinite(values).any() else None


def _total(scores: Scores) -> float | None:
    return round(float(np.asarray(scores.total)), 4) if bool(np.asarray(scores.valid)) else None
