"""A trial filmed by calibrated cameras, as Pose2Sim lays it out on disk, and ways to damage what its cameras saw.

For ``experiments.measure_recovery``. A trial's folder has ``pose2d_associated/camXX_json`` (OpenPose's JSON, one
person), ``pose3d/*.trc`` (the triangulated points, unfiltered and filtered) and, if they were kept,
``videos/camXX.mp4``; ``calibration.toml`` lies in it or beside it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mjxhuman.data import read_motion
from mjxhuman.data.cameras import read_cameras
from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.keypoint_names import canonical_name, mirrored_name
from mjxhuman.data.keypoints import read_detections
from mjxhuman.types import Camera, Keypoints, PointMotion

#: Joints that errors are measured on.
JOINTS = tuple(
    side + joint for joint in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", "Heel", "BigToe") for side in "LR"
)
HIPS = (JOINTS.index("LHip"), JOINTS.index("RHip"))
#: Ends of the bones whose lengths are watched.
BONES = tuple(
    (JOINTS.index(side + a), JOINTS.index(side + b))
    for a, b in (("Hip", "Knee"), ("Knee", "Ankle"), ("Shoulder", "Elbow"), ("Elbow", "Wrist"))
    for side in "LR"
)
_LEG, _ARM = ("Hip", "Knee", "Ankle", "BigToe", "SmallToe", "Heel"), ("Shoulder", "Elbow", "Wrist")
#: What ``hide`` hides: points, and where in the clip (share of its length) it starts.
HIDDEN = (
    (tuple("L" + point for point in _LEG[1:]), 0.4),
    (tuple("R" + point for point in _ARM[1:]), 0.6),
)
HIDDEN_SECONDS = 0.3


@dataclasses.dataclass(frozen=True)
class Trial:
    """One person, T frames, V cameras that stand still."""

    folder: Path
    labels: tuple[str, ...]  # (V,) as the folders of detections are called: cam01, ...
    cameras: tuple[Camera, ...]
    names: tuple[str, ...]  # (K,) canonical
    seen: np.ndarray  # (V, T, K, 3) x, y in px and confidence; zeros where not seen
    truth: np.ndarray  # (T, J, 3) m, filtered triangulation of JOINTS, in the cameras' world
    unfiltered: np.ndarray | None  # (T, J, 3) m
    known: np.ndarray  # (T,) bool, all JOINTS were triangulated
    fps: float
    videos: dict[str, Path]  # by label

    def keypoints(self, views: tuple[int, ...], seen: np.ndarray | None = None) -> Keypoints:
        """What some cameras saw, with a view axis where there are several.

        Args:
          views: indices of cameras. seen: in the place of the trial's own.
        """
        points = (self.seen if seen is None else seen)[list(views)]
        points = points[0] if len(views) == 1 else points
        return Keypoints(points[..., :2], points[..., 2], self.names, self.fps, self.cameras[views[0]].image_size)

    def camera(self, views: tuple[int, ...]) -> Camera:
        """Those cameras, with a view axis where there are several."""
        chosen = [self.cameras[view] for view in views]
        if len(chosen) == 1:
            return chosen[0]
        return dataclasses.replace(
            chosen[0],
            intrinsics=np.stack([c.intrinsics for c in chosen]),
            T_world_camera=np.stack([c.T_world_camera for c in chosen]),
            distortion=np.stack([c.distortion for c in chosen]),
        )

    def default_pairs(self) -> list[tuple[int, int]]:
        """The two cameras that look most nearly at right angles to each other, and the two that look most alike."""
        ahead = np.stack([np.asarray(c.T_world_camera)[0, :3, 2] for c in self.cameras])
        pairs = [(i, j) for i in range(len(ahead)) for j in range(i + 1, len(ahead))]
        cosine = np.array([ahead[i] @ ahead[j] for i, j in pairs])
        return sorted({pairs[int(np.argmin(abs(cosine)))], pairs[int(np.argmax(cosine))]}) if pairs else []


def read_trial(folder: Path) -> Trial:
    """Read a trial.

    Args:
      folder: the trial's, or a project's that holds one trial.

    Raises:
      FileNotFoundError, MotionFileError: something is not there, or does not fit the rest.
    """
    folder = _trial_folder(folder)
    near = [folder / "calibration.toml", folder.parent / "calibration.toml"]
    calibration = next((file for file in near if file.is_file()), None)
    if calibration is None:
        raise FileNotFoundError(f"{folder}: expected calibration.toml in it or beside it, found none")
    by_number = {_number(name): camera for name, camera in read_cameras(calibration).items()}
    folders = sorted((folder / "pose2d_associated").glob("*_json"))
    labels = tuple(path.name.removesuffix("_json") for path in folders)
    lost = [label for label in labels if _number(label) not in by_number]
    if lost or not labels:
        raise MotionFileError(folder, "cameras", ", ".join(lost) or "no folder of detections", "cameras of the toml")
    cameras = tuple(by_number[_number(label)] for label in labels)
    filtered, raw = _triangulations(folder)
    truth, known, fps = _joints(filtered)
    found = [read_detections(path, fps=fps, image_size=camera.image_size) for path, camera in zip(folders, cameras)]
    if any(len(one.people) != len(truth) or one.names != found[0].names for one in found):
        count = ", ".join(str(len(one.people)) for one in found)
        raise MotionFileError(folder, "frames", count, f"{len(truth)} of the same points, as triangulated")
    seen = np.zeros((len(labels), len(truth), len(found[0].names), 3))
    for view, one in enumerate(found):
        for frame, people in enumerate(one.people):
            if len(people):
                seen[view, frame] = people[0]
    videos = {path.stem: path for path in sorted((folder / "videos").glob("*.mp4")) if path.stem in labels}
    return Trial(
        folder, labels, cameras, found[0].names, seen, truth, None if raw is None else _joints(raw)[0], known, fps,
        videos,
    )  # fmt: skip


def _trial_folder(folder: Path) -> Path:
    inside = [path for path in (folder, *sorted(folder.glob("*/"))) if (path / "pose2d_associated").is_dir()]
    if len(inside) != 1:
        found = ", ".join(path.name for path in inside) or "none"
        raise FileNotFoundError(f"{folder}: expected one trial (a folder with pose2d_associated), found {found}")
    return inside[0]


def _number(label: str) -> str:
    return re.sub(r"\D", "", label)


def _triangulations(folder: Path) -> tuple[Path, Path | None]:
    """The filtered file, and the unfiltered one where it was kept."""
    files = [path for path in sorted((folder / "pose3d").glob("*.trc")) if "LSTM" not in path.name]
    filtered = [path for path in files if "_filt" in path.name]
    if len(filtered) != 1:
        raise MotionFileError(folder / "pose3d", "filtered .trc", ", ".join(p.name for p in filtered) or "none", "one")
    return filtered[0], next((path for path in files if path not in filtered), None)


def _joints(path: Path) -> tuple[np.ndarray, np.ndarray, float]:
    motion = read_motion(path)
    assert isinstance(motion, PointMotion)  # all that a .trc holds
    names = [canonical_name(name) for name in motion.names]
    missing = [name for name in JOINTS if name not in names]
    if missing:
        raise MotionFileError(path, "labels", ", ".join(names), f"also {', '.join(missing)}")
    columns = [names.index(name) for name in JOINTS]
    return np.asarray(motion.pos, float)[:, columns], np.asarray(motion.valid)[:, columns].all(1), motion.fps


# Damage: (V, T, K, 3) of the names at a rate -> a damaged copy; every camera is hurt.
Damage = Callable[[np.ndarray, tuple[str, ...], float], np.ndarray]


def hidden_frames(frames: int, fps: float) -> list[slice]:
    """The frames in which each of ``HIDDEN`` is hidden."""
    starts = [round(share * frames) for _, share in HIDDEN]
    return [slice(start, start + round(HIDDEN_SECONDS * fps)) for start in starts]


def hide(seen: np.ndarray, names: tuple[str, ...], fps: float) -> np.ndarray:
    """A leg, and later an arm, that no camera sees for 0.3 s."""
    seen = seen.copy()
    for (points, _), frames in zip(HIDDEN, hidden_frames(seen.shape[1], fps)):
        seen[:, frames, [names.index(point) for point in points if point in names]] = 0.0
    return seen


def drop(seen: np.ndarray, names: tuple[str, ...], fps: float) -> np.ndarray:
    """One point in ten not found, at random."""
    return np.where(np.random.default_rng(0).uniform(size=seen.shape[:3])[..., None] < 0.1, 0.0, seen)


def swap(seen: np.ndarray, names: tuple[str, ...], fps: float) -> np.ndarray:
    """Left and right legs exchanged for 1/6 s and arms, half a second later, for 1/8 s; each camera at other times."""
    seen = seen.copy()
    for view in range(len(seen)):
        start = round(0.2 * seen.shape[1] + 0.12 * view * fps)
        for limb, first, length in ((_LEG, start, fps / 6), (_ARM, start + round(fps / 2), fps / 8)):
            here = [k for k, name in enumerate(names) if name[1:] in limb and name[0] in "LR"]
            there = [names.index(mirrored_name(names[k])) for k in here]
            part = seen[view, first : first + round(length)]
            part[:, here] = part[:, there]
    return seen


def scatter(seen: np.ndarray, names: tuple[str, ...], fps: float) -> np.ndarray:
    """One point in twenty somewhere else: 120 px standard deviation along each axis, its confidence as it was."""
    rng = np.random.default_rng(1)
    moved = seen[..., :2] + rng.normal(0.0, 120.0, (*seen.shape[:3], 2))
    chosen = (rng.uniform(size=seen.shape[:3]) < 0.05) & (seen[..., 2] > 0)
    return np.concatenate([np.where(chosen[..., None], moved, seen[..., :2]), seen[..., 2:]], -1)


def everything(seen: np.ndarray, names: tuple[str, ...], fps: float) -> np.ndarray:
    """All of them in one clip. Hidden first: exchanged sides must not bring a limb back under the other name."""
    for damage in (hide, swap, scatter, drop):
        seen = damage(seen, names, fps)
    return seen


DAMAGES: dict[str, Damage] = {
    "as given": lambda seen, names, fps: seen,
    "leg, arm hidden": hide,
    "10 % dropped": drop,
    "sides swapped": swap,
    "5 % outliers": scatter,
    "all of these": everything,
}
