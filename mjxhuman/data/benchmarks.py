"""Published sets of videos of people whose motion was measured: the motion, the cameras, and points where there are.

Layouts, from the sets' own descriptions; tested on files written in them, never run on the real data:

``emdb``    Kaufmann et al. 2023: ``P*/NAME/P*_NAME_data.pkl`` with ``emdb2`` (split 2 has motion in the world),
            ``good_frames_mask``, ``smpl``, ``camera {intrinsics, extrinsics (T, 4, 4), width, height}`` (world
            to camera), 30 Hz, images in ``images/%05d.jpg``
``aistpp``  Li et al. 2021: ``motions/NAME.pkl``, ``cameras/mapping.txt`` (name and setting in a line),
            ``cameras/SETTING.json`` (nine cameras in cm), ``keypoints2d/NAME.pkl (9, T, 17, 3)`` of COCO, 60 Hz;
            those of ``ignore_list.txt`` are left out, and where there is ``splits/pose_test.txt`` those that it lacks
``rich``    Huang et al. 2022: ``bodies/SPLIT/SEQUENCE/%05d/SUBJECT.pkl``, SMPL-X in the axes of the first camera, and
            ``scan_calibration/SCENE/calibration/%03d.xml``; sequences of one person, 30 Hz

EMDB and RICH come without detections: they are made from the images by an encoder and handed over as files.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Bool
from scipy.spatial.transform import Rotation

from mjxhuman.data.keypoint_names import LAYOUTS
from mjxhuman.data.landmarks import landmarks
from mjxhuman.data.pickled import read_pickled
from mjxhuman.data.pickles import load_pickle
from mjxhuman.data.plausible import question, true_up
from mjxhuman.data.smpl import SMPLX_PELVIS, Parameters, body_motion, parameters_of
from mjxhuman.data.source import Source, up_rotation
from mjxhuman.types import BodyMotion, Camera, Keypoints


@dataclasses.dataclass(frozen=True, eq=False)
class MeasuredVideo:
    """One video of one person.

    Attributes:
        name: of the sequence and the camera.
        motion: what was measured, T frames, z up.
        camera: in the same world, T frames or one.
        judged: frames that the set says are good, (T,).
        keypoints: detections that come with the set, T frames; None: there are none.
        images: pattern of the frames' files, or the folder's; None: the set's videos are a download apart.
    """

    name: str
    motion: BodyMotion
    camera: Camera
    judged: Bool[np.ndarray, " T"]
    keypoints: Keypoints | None = None
    images: Path | None = None


#: Reads one recording; None where it is not of the split that is judged.
Reader = Callable[[], MeasuredVideo | None]


def recordings(kind: str, root: Path) -> dict[str, Reader]:
    """What is in the folder of a set, by name, in order; nothing but names is read.

    Raises:
        ValueError: an unknown set, or a folder without what it should hold.
    """
    if kind not in SETS:
        raise ValueError(f"benchmark: expected one of {', '.join(SETS)}, found {kind!r}")
    found = SETS[kind](Path(root))
    if not found:
        raise ValueError(f"{root}: expected the files of {kind} (mjxhuman.data.benchmarks says which), found none")
    return found


def _emdb(root: Path) -> dict[str, Reader]:
    files = sorted(root.glob("P*/*/P*_data.pkl"))
    return {path.name.removesuffix("_data.pkl"): functools.partial(_read_emdb, path) for path in files}


def _read_emdb(path: Path) -> MeasuredVideo | None:
    source = Source(path)
    content = _table(source, load_pickle(source), "smpl", "camera", "good_frames_mask")
    if not content.get("emdb2", True):
        return None
    stated = _table(source, content["camera"], "intrinsics", "extrinsics", "width", "height")
    source, motion = _measured(source)
    frames = len(motion.transl)
    extrinsics = _array(source, "camera, extrinsics", stated["extrinsics"], (frames, 4, 4))
    judged = _array(source, "good_frames_mask", content["good_frames_mask"], (frames,)).astype(bool)
    used = str(source.used["up"][0])
    camera = _camera(
        source, _array(source, "camera, intrinsics", stated["intrinsics"], (3, 3)), extrinsics, np.zeros(4),
        (stated["width"], stated["height"]), up_rotation(used),
    )  # fmt: skip
    return MeasuredVideo(path.name.removesuffix("_data.pkl"), motion, camera, judged, None, path.parent / "images")


def _aistpp(root: Path) -> dict[str, Reader]:
    motions = {path.stem: path for path in sorted(root.glob("motions/*.pkl"))}
    ignored = _lines(root / "ignore_list.txt")
    if (split := root / "splits" / "pose_test.txt").is_file():
        motions = {name: path for name, path in motions.items() if name in _lines(split)}
    settings = dict(line.split()[:2] for line in sorted(_lines(root / "cameras" / "mapping.txt")) if " " in line)
    return {
        f"{name}/{view + 1}": functools.partial(_read_aistpp, root, name, settings, view)
        for name in motions if name not in ignored for view in range(_AIST_CAMERAS)
    }  # fmt: skip


_AIST_CAMERAS = 9


def _read_aistpp(root: Path, name: str, settings: Mapping[str, str], view: int) -> MeasuredVideo:
    source = Source(root / "motions" / f"{name}.pkl")
    scaling = float(np.ravel(_table(source, load_pickle(source), "smpl_scaling")["smpl_scaling"])[0])
    source, motion = _measured(source)
    frames = len(motion.transl)
    if name not in settings:
        raise Source(root / "cameras" / "mapping.txt").error(name, "no line", "the setting of this motion")
    file = Source(root / "cameras" / f"{settings[name]}.json")
    try:
        rigs = sorted(json.loads(file.path.read_text(encoding="utf-8")), key=lambda rig: str(rig["name"]))
        rig = _table(file, rigs[view], "matrix", "rotation", "translation", "distortions", "size")
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        found = f"{type(error).__name__} ({error})"
        raise file.error(f"camera {view + 1}", found, "a list of cameras with names") from None
    extrinsics = np.eye(4)[None].copy()
    turn = np.asarray(rig["rotation"], float)
    extrinsics[0, :3, :3] = Rotation.from_rotvec(turn).as_matrix() if turn.size == 3 else turn.reshape(3, 3)
    extrinsics[0, :3, 3] = np.asarray(rig["translation"], float) / scaling
    matrix, lens = _array(file, "matrix", rig["matrix"], (3, 3)), np.ravel(rig["distortions"]).astype(float)
    detected = Source(root / "keypoints2d" / f"{name}.pkl")
    points = _table(detected, load_pickle(detected), "keypoints2d")["keypoints2d"]
    points = _array(detected, "keypoints2d", points, (None, None, 17, 3), finite=False)[view]
    if len(points) < frames:
        raise detected.error("keypoints2d", f"{len(points)} frames", f"those of the motion, {frames}")
    uv, confidence = points[:frames, :, :2], points[:frames, :, 2]
    seen = np.isfinite(points[:frames]).all(-1) & (confidence > 0)
    if np.any(lens[4:]):  # our lens has four numbers
        uv, lens = _straightened(np.where(seen[..., None], uv, matrix[:2, 2]), matrix, lens), np.zeros(4)
    size = (int(rig["size"][0]), int(rig["size"][1]))
    keypoints = Keypoints(
        np.where(seen[..., None], uv, 0.0), np.where(seen, np.clip(confidence, 0.0, 1.0), 0.0), LAYOUTS["coco_17"],
        motion.fps, size, provenance=detected.provenance("AIST++"),
    )  # fmt: skip
    camera = _camera(file, matrix, extrinsics, lens[:4], size, up_rotation(str(source.used["up"][0])))
    return MeasuredVideo(f"{name}/{view + 1}", motion, camera, np.ones(frames, bool), keypoints)


def _straightened(uv: np.ndarray, matrix: np.ndarray, lens: np.ndarray) -> np.ndarray:
    """Points (..., 2) in px as seen without the lens (k1, k2, p1, p2, k3), by the fixed-point iteration of OpenCV's
    ``undistortPoints``."""
    k1, k2, p1, p2, k3 = np.pad(lens, (0, 5 - min(len(lens), 5)))[:5]
    focal, centre = matrix[[0, 1], [0, 1]], matrix[:2, 2]
    bent = (uv - centre) / focal
    x, y = bent[..., 0], bent[..., 1]
    for _ in range(20):
        square = x * x + y * y
        radial = 1.0 + square * (k1 + square * (k2 + square * k3))
        x, y = (
            (bent[..., 0] - 2 * p1 * x * y - p2 * (square + 2 * x * x)) / radial,
            (bent[..., 1] - p1 * (square + 2 * y * y) - 2 * p2 * x * y) / radial,
        )
    return np.stack([x, y], -1) * focal + centre


def _rich(root: Path) -> dict[str, Reader]:
    found: dict[str, Reader] = {}
    for folder in sorted(root.glob("bodies/*/*/")):
        subjects = {path.stem for path in folder.glob("*/*.pkl")}
        scene = folder.name.partition("_")[0]
        lenses = sorted(root.glob(f"scan_calibration/{scene}/calibration/*.xml"))
        if len(subjects) == 1:  # with others in sight nobody says whose the detections are
            found |= {
                f"{folder.name}/{lens.stem}": functools.partial(_read_rich, root, folder, lens) for lens in lenses
            }
    return found


_RICH_SIZE = (4112, 3008)  # px, of the set's cameras
_RICH_ARRAYS = {"global_orient": 3, "body_pose": 63, "transl": 3, "betas": 10}


def _read_rich(root: Path, folder: Path, lens: Path) -> MeasuredVideo:
    files = sorted(path for path in folder.glob("*/*.pkl") if path.parent.name.isdigit())
    numbers = [int(path.parent.name) for path in files]
    if numbers != list(range(min(numbers, default=0), max(numbers, default=0) + 1)):  # a gap would be a jump
        found = f"{len(numbers)} numbered ones of {min(numbers, default=0)} to {max(numbers, default=0)}"
        raise Source(folder).error("frames", found, "a body in every frame")
    rows: dict[str, list[np.ndarray]] = {name: [] for name in _RICH_ARRAYS}
    for path in files:
        source = Source(path)
        content = _table(source, load_pickle(source), *_RICH_ARRAYS)
        for name, count in _RICH_ARRAYS.items():
            flat = np.ravel(content[name])
            rows[name].append(_array(source, name, flat[:count] if name == "betas" else flat, (count,)))
    source = Source(folder)
    arrays = {name: np.stack(found) for name, found in rows.items()}
    turns = np.concatenate([arrays["global_orient"], arrays["body_pose"]], 1).reshape(len(files), -1, 3)
    parameters = parameters_of(source, turns, arrays["transl"], arrays["betas"], "smplx")
    scene = folder.name.partition("_")[0]
    file = Source(root / "multicam2world" / f"{scene}_multicam2world.json")
    try:
        stated = _table(file, json.loads(file.path.read_text(encoding="utf-8")), "R", "t", "c")
    except (OSError, ValueError) as error:
        raise file.error("file", f"{type(error).__name__} ({error})", "R, t and c") from None
    to_scan = np.eye(4)  # of column vectors in metres; the set states rows, world = c x R + t
    to_scan[:3, :3] = _array(file, "R", stated["R"], (3, 3)).T
    to_scan[:3, 3] = _array(file, "t", np.ravel(stated["t"]), (3,)) / float(np.ravel(stated["c"])[0])
    motion, to_world = _upright(source, parameters, to_scan)
    matrix, extrinsics, bend = _opencv(Source(lens))
    # body and cameras share the axes of the first camera
    camera = _camera(Source(lens), matrix, extrinsics[None] @ np.linalg.inv(to_world), bend, _RICH_SIZE, np.eye(3))
    images = root / "images" / folder.parent.name / folder.name / f"cam_{int(lens.stem):02d}"
    return MeasuredVideo(f"{folder.name}/{lens.stem}", motion, camera, np.ones(len(files), bool), None, images)


def _measured(source: Source) -> tuple[Source, BodyMotion]:
    """The motion of a pickle, read again where the feet tell of another up axis than y, and the source that says so."""
    motion = read_pickled(source)
    if isinstance(motion, BodyMotion) and (found := question(source, motion)):
        source = source.again(found)
        motion = read_pickled(source)
    if not isinstance(motion, BodyMotion):
        raise source.error("smpl", "no poses of SMPL", "poses and a translation")
    return source, motion


def _upright(source: Source, parameters: Parameters, to_scan: np.ndarray) -> tuple[BodyMotion, np.ndarray]:
    """The motion with z up, as the feet that stand still tell, and what leads there (4, 4)."""

    def turned(to_world: np.ndarray) -> BodyMotion:
        motion = body_motion(source, "RICH", parameters, 30.0, to_world[:3, :3], SMPLX_PELVIS)
        return dataclasses.replace(motion, transl=motion.transl + to_world[:3, 3])

    marks = landmarks(turned(to_scan))
    assert marks is not None  # SMPL's joints are all there
    up, sure = true_up(marks)
    source.note(f"up is {up} of the scan, as the standing feet tell{'' if sure else ', but hardly'}")
    to_world = np.eye(4)
    to_world[:3, :3] = up_rotation(up)
    to_world = to_world @ to_scan
    return turned(to_world), to_world


def _opencv(source: Source) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intrinsics (3, 3), extrinsics (4, 4) and lens (4,) of a file of OpenCV's FileStorage."""
    try:
        root = ElementTree.fromstring(source.path.read_bytes())
    except (ElementTree.ParseError, OSError) as error:
        raise source.error("file", f"no XML ({error})", "CameraMatrix, Intrinsics and Distortion") from None

    def matrix(name: str) -> np.ndarray:
        text = root.findtext(f"{name}/data")
        if text is None:
            raise source.error(name, "nothing", "a matrix of OpenCV")
        return np.array([float(x) for x in text.split()])

    lens = np.zeros(8)
    stated = matrix("Distortion")
    lens[: len(stated)] = stated
    if np.any(lens[4:]):
        raise source.error("Distortion", lens.tolist(), "k1, k2, p1, p2 (higher terms 0)")
    extrinsics = np.eye(4)
    extrinsics[:3] = _array(source, "CameraMatrix", matrix("CameraMatrix"), (12,)).reshape(3, 4)
    return _array(source, "Intrinsics", matrix("Intrinsics"), (9,)).reshape(3, 3), extrinsics, lens[:4]


def _camera(
    source: Source, matrix: np.ndarray, extrinsics: np.ndarray, lens: np.ndarray, size: Any, to_world: np.ndarray
) -> Camera:
    """A camera of extrinsics (C, 4, 4) from a world that ``to_world`` (3, 3) turns to z up."""
    turned = np.eye(4)
    turned[:3, :3] = to_world
    pose = turned @ np.linalg.inv(extrinsics)
    count = len(pose)
    return Camera(
        np.broadcast_to(matrix, (count, 3, 3)).copy(), pose, np.tile(lens, (count, 1)), (int(size[0]), int(size[1])),
        source.provenance("camera"),
    )  # fmt: skip


def _table(source: Source, content: Any, *keys: str) -> Mapping[str, Any]:
    if not isinstance(content, Mapping) or (missing := [key for key in keys if key not in content]):
        found = f"no {', '.join(missing)}" if isinstance(content, Mapping) else type(content).__name__
        raise source.error("content", found, f"entries {', '.join(keys)}")
    return content


def _array(source: Source, field: str, value: Any, shape: tuple[int | None, ...], *, finite: bool = True) -> np.ndarray:
    """Numbers of a shape, of which None is any size."""
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        raise source.error(field, type(value).__name__, "numbers") from None
    if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        raise source.error(field, f"shape {array.shape}", f"shape {shape}")
    if finite and not np.isfinite(array).all():
        raise source.error(field, "numbers that are not finite", "finite numbers")
    return array


def _lines(path: Path) -> set[str]:
    """Lines of a text file that may be absent."""
    return {line.strip() for line in path.read_text(encoding="utf-8").splitlines()} if path.is_file() else set()


#: The sets by name: what is in a folder of one.
SETS: dict[str, Callable[[Path], dict[str, Reader]]] = {"emdb": _emdb, "aistpp": _aistpp, "rich": _rich}
