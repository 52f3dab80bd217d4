"""What ``experiments.measure_recovery`` tries on a trial, and how far each try is from the triangulation."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import mjxhuman
from mjxhuman.data.cameras import level_camera
from mjxhuman.data.keypoint_names import canonical_name
from mjxhuman.encoders.base import choose
from mjxhuman.encoders.cache import encode_video
from mjxhuman.encoders.registry import shared_encoder
from mjxhuman.math import camera as lens_model
from mjxhuman.recovery.recover import recover_with_report
from mjxhuman.recovery.sightings import sightings
from mjxhuman.retarget.chain import chain_of
from mjxhuman.runs.files import atomic_write
from mjxhuman.tracking import metrics
from mjxhuman.types import Camera, Keypoints

from .recovery_trial import BONES, DAMAGES, HIDDEN, HIPS, JOINTS, Trial, hidden_frames

#: Source of the keypoints that lie in the trial's folder; other sources are encoders, ``blazepose`` or with the name of
#: a network of theirs, ``blazepose:heavy``.
GIVEN = "given"
#: The encoder's own 3D, our fit to its 2D points with and without it.
RAW, BOTH, FLAT = "raw 3D", "fit to 2D and 3D", "fit to 2D"
#: Points of encoders that stand for joints of the triangulation under another name.
_ALIAS = {"LFootIndex": "LBigToe", "RFootIndex": "RBigToe"}
#: What decides a fit besides its data; a change makes finished fits stale.
_CODE = ("types.py", "bodies", "data", "humanoids", "math", "physics", "recovery", "retarget")


@dataclasses.dataclass(frozen=True)
class Case:
    """One try."""

    views: tuple[str, ...]  # labels of cameras
    source: str = GIVEN
    method: str = FLAT
    damage: str = next(iter(DAMAGES))
    calibrated: bool = True

    @property
    def label(self) -> str:
        """For rows of tables and lines of the log."""
        words = (self.source, " + ".join(self.views), self.method, self.damage)
        return ", ".join((*words, "calibrated" if self.calibrated else "no camera given"))


@dataclasses.dataclass(frozen=True)
class Found:
    """What came out; T frames of the J ``JOINTS``."""

    points: np.ndarray  # (T, J, 3) m; of RAW relative to the hips
    valid: np.ndarray  # (T,) bool
    up: np.ndarray  # (3,) unit, up in the axes of the first camera
    reprojection: float  # px, median distance to the undamaged detections; NaN of RAW
    stature: float  # m; NaN of RAW
    swapped: int  # sightings (frame and camera) in which sides were put right
    seconds: float


def list_cases(trial: Trial, views: list[tuple[str, ...]], damages: list[str], encoders: list[str]) -> list[Case]:
    """Everything that is tried: damage on given detections, no camera for those alone, encoders with and without."""
    alone = [chosen for chosen in views if len(chosen) == 1]
    cases = [Case(chosen, damage=damage) for damage in damages for chosen in views]
    cases += [Case(chosen, calibrated=False) for chosen in alone]
    filmed = [chosen for chosen in alone if chosen[0] in trial.videos]
    for encoder in encoders:
        for calibrated in (True, False):
            methods = (RAW, BOTH, FLAT)
            cases += [Case(c, encoder, method, calibrated=calibrated) for c in filmed for method in methods]
    return cases


def inputs(trial: Trial, case: Case) -> tuple[Keypoints, Keypoints, Camera]:
    """Keypoints to fit, the same undamaged, and the true camera.

    Raises:
      ImportError, RuntimeError: the encoder cannot run. ValueError: nobody in the video, or no such encoder.
    """
    views = tuple(trial.labels.index(label) for label in case.views)
    if case.source == GIVEN:
        seen = DAMAGES[case.damage](trial.seen, trial.names, trial.fps)
        return trial.keypoints(views, seen), trial.keypoints(views), trial.camera(views)
    path = trial.videos[case.views[0]]
    name, _, model = case.source.partition(":")
    encoding = encode_video(path, shared_encoder(name, None, model or None), fps=trial.fps)
    keypoints = choose(encoding, "largest", path)[0].keypoints
    if encoding.frames != len(trial.truth) or keypoints is None:
        raise ValueError(f"{path}: expected keypoints of {len(trial.truth)} frames, found {encoding.frames}")
    if case.method == FLAT:
        keypoints = dataclasses.replace(keypoints, pos3d=None)
    elif keypoints.pos3d is None:
        raise ValueError(f"{path}: expected 3D landmarks of the encoder {case.source}, found none")
    return keypoints, keypoints, trial.camera(views)


def attempt(trial: Trial, case: Case, folder: Path) -> Found:
    """Do it, or read what an earlier run with the same data and code wrote into the folder.

    Raises:
      ImportError, RuntimeError, ValueError: as ``inputs`` and ``recover_with_report``.
    """
    keypoints, clean, camera = inputs(trial, case)
    arrays = (keypoints.uv, keypoints.confidence, camera.intrinsics, camera.T_world_camera, camera.distortion)
    key = hashlib.sha256((json.dumps(dataclasses.asdict(case)) + _code_digest()).encode())
    for array in arrays if keypoints.pos3d is None else (*arrays, keypoints.pos3d):
        key.update(np.asarray(array, np.float64).tobytes())
    file = folder / f"{key.hexdigest()[:24]}.npz"
    fields = [field.name for field in dataclasses.fields(Found)]
    if file.exists():
        with np.load(file) as stored:
            return Found(**{name: stored[name][()] for name in fields})
    found = _raw(keypoints, camera, case) if case.method == RAW else _fit(keypoints, clean, camera, case)
    with atomic_write(file, "wb") as stream:
        np.savez_compressed(stream, **{name: getattr(found, name) for name in fields})
    return found


@functools.cache  # of the code that was loaded, not of what it is edited to during a run
def _code_digest() -> str:
    root = Path(mjxhuman.__file__).parent
    digest = hashlib.sha256()
    for part in _CODE:
        path = root / part
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _fit(keypoints: Keypoints, clean: Keypoints, camera: Camera, case: Case) -> Found:
    start = time.perf_counter()
    motion, fit = recover_with_report(keypoints, camera if case.calibrated else None, ground="none")
    seconds = time.perf_counter() - start
    found_camera = np.asarray(fit.camera.T_world_camera)
    return Found(
        points=columns(fit.points, fit.names), valid=np.asarray(motion.valid), up=up_of(found_camera[0, 0]),
        reprojection=reprojection(fit.uv, fit.names, clean), stature=fit.stature, swapped=int(fit.swapped.sum()),
        seconds=seconds,
    )  # fmt: skip


def _raw(keypoints: Keypoints, camera: Camera, case: Case) -> Found:
    """The encoder's landmarks in the world of the camera, which is level where none is given."""
    used = camera if case.calibrated else level_camera(keypoints.image_size)
    seen = sightings(keypoints, used, chain_of(mjxhuman.load_humanoid("smpl")))
    known = (np.asarray(keypoints.confidence) > 0).any(-1)
    up = up_of(np.asarray(used.T_world_camera)[0])
    return Found(columns(seen.landmark, tuple(seen.points.names)), known, up, np.nan, np.nan, 0, 0.0)


def columns(points: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The ``JOINTS`` ``(T, J, 3)`` of named points ``(T, K, 3)``."""
    canonical = [_ALIAS.get(name, name) for name in names]
    return np.asarray(points, float)[:, [canonical.index(joint) for joint in JOINTS]]


def up_of(T_world_camera: np.ndarray) -> np.ndarray:
    """The world's up ``(3,)`` in the axes of a camera ``(4, 4)``."""
    return np.asarray(T_world_camera)[2, :3]


def reprojection(uv: np.ndarray, names: tuple[str, ...], keypoints: Keypoints) -> float:
    """Median distance in px of points ``(V, T, K, 2)`` to the detections that there are."""
    given = [canonical_name(name) for name in keypoints.names]
    common = [name for name in names if name in given]
    target = np.asarray(keypoints.uv, float).reshape(*uv.shape[:2], len(given), 2)
    confidence = np.asarray(keypoints.confidence).reshape(target.shape[:3])
    here, there = [names.index(name) for name in common], [given.index(name) for name in common]
    distance = np.linalg.norm(uv[:, :, here] - target[:, :, there], axis=-1)
    return float(np.median(distance[confidence[:, :, there] > 0]))


def triangulated(trial: Trial, points: np.ndarray) -> Found:
    """The triangulation as if it had been found."""
    everyone = tuple(range(len(trial.cameras)))
    parts = [(c.intrinsics, c.T_world_camera, c.distortion) for c in trial.cameras]
    uv = np.stack([np.asarray(lens_model.project(points, *part)[0]) for part in parts])
    keypoints = trial.keypoints(everyone)
    px = reprojection(uv, JOINTS, keypoints)
    return Found(points, trial.known, up_of(np.asarray(trial.cameras[0].T_world_camera)[0]), px, np.nan, 0, 0.0)


def measure(trial: Trial, case: Case, found: Found) -> dict[str, Any]:
    """The distance from the triangulation, over the frames that both know; ``COLUMNS`` of the tables explains."""
    valid = found.valid & trial.known
    if not valid.any():
        raise ValueError(f"{case.label}: found no valid frame")
    target, points = trial.truth, np.array(found.points)
    if not case.calibrated:
        points[valid] = metrics.heading_aligned(points[valid], target[valid])
    p, q = points[valid], target[valid]
    rooted = metrics.mpjpe(points, target, HIPS)
    true_up = up_of(np.asarray(trial.cameras[trial.labels.index(case.views[0])].T_world_camera)[0])
    joints = rooted[valid].mean(0)
    limb = []
    for (names, _), frames in zip(HIDDEN, hidden_frames(len(target), trial.fps)):
        kept = np.flatnonzero(valid[frames]) + frames.start
        limb.append(rooted[np.ix_(kept, [JOINTS.index(n) for n in names if n in JOINTS])].ravel())
    hidden = np.concatenate(limb)
    return {
        "root_mm": float(joints.mean()),
        "global_mm": float("nan") if case.method == RAW else float(metrics.mpjpe(p, q).mean()),
        "procrustes_mm": float(metrics.pa_mpjpe(p, q).mean()),
        "limb_mm": float(hidden.mean()) if hidden.size else float("nan"),
        "reprojection_px": float(found.reprojection),
        "bone_mm": float(metrics.bone_length_std(p, BONES).mean()),
        "acceleration": float(metrics.accel_error(points, target, trial.fps, HIPS, valid).mean()),
        "vertical_deg": float(np.rad2deg(np.arccos(np.clip(found.up @ true_up, -1.0, 1.0)))),
        "stature_m": float(found.stature),
        "swapped": int(found.swapped),
        "valid_frames": int(valid.sum()),
        "seconds": float(found.seconds),
        "joints_mm": dict(zip(JOINTS, joints.tolist())),
    }
