"""Camera files: Pose2Sim's calibration.toml, and JSON or npz with intrinsics and, for a moving camera, a trajectory.

Our own JSON holds one camera, or several under ``"cameras"``: ``{"cameras": {"cam1": {...}, ...}}``; an npz holds one.
The entries of a camera:

``intrinsics``      3x3 matrix in px, or one per frame; or ``focal`` (px), with the principal point in the middle
``image_size``      width and height in px
``distortion``      k1, k2, p1, p2 of OpenCV's model; none by default
``T_world_camera``  4x4, camera axes (x right, y down, z forward) to the world in metres, or one per frame; or ``R`` and
                    ``t`` with x_camera = R x_world + t. A camera without any stands level, as ``level_camera`` says.
``up``              the world's up axis: "z" (the default), "y", ...
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.data.arrays import NpzFile
from mjxhuman.data.source import Source, up_rotation
from mjxhuman.math.camera import diagonal_intrinsics
from mjxhuman.types import Camera

#: Camera axes in the world for a camera that looks along +x and stands level: right is -y, down is -z.
_LEVEL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
#: What the provenance of a camera says whose pose is nominal: up has to be found in what it sees.
NOT_LEVELLED = "nobody stated how the camera is tilted"
_KEYS = ("intrinsics", "focal", "image_size", "distortion", "T_world_camera", "R", "t", "up")


def level_camera(image_size: tuple[int, int], focal: float | None = None) -> Camera:
    """A camera at the world's origin that looks along +x with the horizon level: for videos nobody calibrated.

    The level is nominal, which the provenance says (``NOT_LEVELLED``): recovery turns it to what the motion shows.

    Args:
      image_size: width, height in px.
      focal: focal length in px; by default the image diagonal (``diagonal_intrinsics``), which the provenance says.

    Raises:
      ValueError: sizes that are not positive.
    """
    size = int(image_size[0]), int(image_size[1])
    if min(size) <= 0 or (focal is not None and not (np.isfinite(focal) and focal > 0)):
        raise ValueError(f"camera: expected a positive image size and focal length, found {image_size}, {focal}")
    matrix = diagonal_intrinsics(size)
    note = f"focal length {matrix[0, 0]:.0f} px, the image diagonal: nobody stated it"
    if focal is not None:
        matrix[0, 0] = matrix[1, 1] = focal
        note = f"focal length {focal:g} px as the caller says"
    pose = np.eye(4)
    pose[:3, :3] = _LEVEL
    source = Source("")
    for sentence in (note, NOT_LEVELLED):
        source.note(sentence)
    return Camera(matrix[None], pose[None], np.zeros((1, 4)), size, source.provenance("level camera"))


def read_cameras(path: str | os.PathLike[str]) -> dict[str, Camera]:
    """The cameras of a file by name (one named "camera" where the file names none), each with T frames or one.

    Raises:
      FileNotFoundError: no such file.
      MotionFileError: no such format, entries missing or of another shape, a fisheye lens.
    """
    source = Source(path)
    suffix = Path(path).suffix.lower()
    if suffix == ".toml":
        try:
            content = tomllib.loads(source.path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise source.error("file", f"no TOML ({error})", "a calibration of Pose2Sim") from None
        return _pose2sim(source, content)
    if suffix == ".npz":
        arrays = NpzFile(source)
        return {"camera": _camera(source, "camera", {key: arrays[key] for key in _KEYS if key in arrays})}
    try:
        content = json.loads(source.path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise source.error("file", f"no JSON ({error})", "cameras in .json, .npz or Pose2Sim's .toml") from None
    table = content.get("cameras") if isinstance(content, dict) else None
    if table is None:
        table = {"camera": content}
    if not isinstance(table, dict) or not table or not all(isinstance(entry, dict) for entry in table.values()):
        raise source.error("cameras", type(table).__name__, "an object per camera")
    return {name: _camera(source, name, entry) for name, entry in table.items()}


def read_camera(path: str | os.PathLike[str], name: str | None = None) -> Camera:
    """One camera of a file; ``name`` where it holds several.

    Raises:
      FileNotFoundError, MotionFileError: as ``read_cameras``; no such name, or several and no name.
    """
    cameras = read_cameras(path)
    if name is None and len(cameras) == 1:
        return next(iter(cameras.values()))
    if name not in cameras:
        raise Source(path).error("camera", f"{', '.join(cameras)}", f"the name of one of them, not {name!r}")
    return cameras[name]


def _pose2sim(source: Source, content: dict[str, Any]) -> dict[str, Camera]:
    """Cameras of the format that Pose2Sim, Anipose and Caliscope share, world with z up in metres:
    ``x_camera = R(rotation) x_world + translation``."""
    tables = {key: entry for key, entry in content.items() if isinstance(entry, dict) and "matrix" in entry}
    if not tables:
        raise source.error("file", ", ".join(content) or "nothing", "a table per camera: size, matrix, rotation ...")
    cameras = {}
    for key, entry in tables.items():
        missing = [name for name in ("size", "matrix", "rotation", "translation") if name not in entry]
        if missing:
            raise source.error(key, f"no {', '.join(missing)}", "size, matrix, rotation and translation")
        if entry.get("fisheye"):
            raise source.error(f"{key}, fisheye", "true", "a lens of OpenCV's standard model")
        turn = Rotation.from_rotvec(_numbers(source, f"{key}, rotation", entry["rotation"], (3,))).as_matrix()
        stated = {
            "intrinsics": entry["matrix"], "image_size": entry["size"], "R": turn, "t": entry["translation"],
            "distortion": entry.get("distortions", [0.0] * 4), "up": "z",
        }  # fmt: skip
        cameras[str(entry.get("name", key))] = _camera(source, key, stated, "Pose2Sim calibration")
    return cameras


def _camera(source: Source, name: str, entry: Mapping[str, Any], kind: str = "camera") -> Camera:
    """One camera of entries as the module says."""
    if "image_size" not in entry:
        raise source.error(name, f"entries {', '.join(entry) or 'none'}", "image_size")
    width, height = (int(x) for x in _numbers(source, f"{name}, image_size", entry["image_size"], (2,)))
    if min(width, height) <= 0:
        raise source.error(f"{name}, image_size", f"{width}, {height}", "width and height in px")
    if "intrinsics" in entry:
        matrix = _numbers(source, f"{name}, intrinsics", entry["intrinsics"], (3, 3), frames=True)
    elif "focal" in entry:
        matrix = diagonal_intrinsics((width, height))[None]
        matrix[:, [0, 1], [0, 1]] = _numbers(source, f"{name}, focal", entry["focal"], ())
    else:
        raise source.error(name, f"entries {', '.join(entry) or 'none'}", "intrinsics (3x3, px) or focal (px)")
    if not (matrix[:, [0, 1], [0, 1]] > 0).all() or not np.allclose(matrix[:, 2], [0.0, 0.0, 1.0]):
        raise source.error(f"{name}, intrinsics", matrix[0].tolist(), "[[fx, s, cx], [0, fy, cy], [0, 0, 1]] in px")
    lens = np.ravel(_numbers(source, f"{name}, distortion", entry.get("distortion", [0.0] * 4), None))
    if len(lens) < 4 or np.any(lens[4:] != 0):
        raise source.error(f"{name}, distortion", lens.tolist(), "k1, k2, p1, p2 (higher terms 0)")
    pose = _pose(source, name, entry)
    frames = max(len(matrix), len(pose))
    if not {len(matrix), len(pose)} <= {1, frames}:
        raise source.error(name, f"{len(matrix)} intrinsics for {len(pose)} poses", "one, or one per frame, of each")
    return Camera(
        np.broadcast_to(matrix, (frames, 3, 3)).copy(), np.broadcast_to(pose, (frames, 4, 4)).copy(),
        np.tile(lens[:4], (frames, 1)), (width, height), source.provenance(kind),
    )  # fmt: skip


def _pose(source: Source, name: str, entry: Mapping[str, Any]) -> np.ndarray:
    """``T_world_camera (T or 1, 4, 4)``."""
    if "T_world_camera" in entry:
        pose = _numbers(source, f"{name}, T_world_camera", entry["T_world_camera"], (4, 4), frames=True)
    elif "R" in entry and "t" in entry:
        turn = _numbers(source, f"{name}, R", entry["R"], (3, 3), frames=True)
        place = _numbers(source, f"{name}, t", entry["t"], (3,), frames=True)
        pose = np.tile(np.eye(4), (max(len(turn), len(place)), 1, 1))
        pose[:, :3, :3] = np.swapaxes(turn, 1, 2)
        pose[:, :3, 3] = -np.einsum("tij,tj->ti", pose[:, :3, :3], np.broadcast_to(place, (len(pose), 3)))
    elif "R" in entry or "t" in entry:
        raise source.error(name, "only one of R and t", "both, T_world_camera, or neither")
    else:
        source.note(NOT_LEVELLED)
        pose = np.eye(4)[None]
        pose[:, :3, :3] = _LEVEL
        return pose
    turn = pose[:, :3, :3]
    if not np.allclose(turn @ np.swapaxes(turn, 1, 2), np.eye(3), atol=1e-3) or not (np.linalg.det(turn) > 0).all():
        raise source.error(f"{name}, pose", "a matrix that is no rotation", "rotations, right-handed")
    up = str(np.asarray(entry.get("up", "z")).item())
    if up not in ("x", "y", "z", "-x", "-y", "-z"):
        raise source.error(f"{name}, up", repr(up), "x, y, z, -x, -y or -z")
    if "up" not in entry:
        source.note("the cameras' world taken as z up: the file does not say")
    to_world = np.eye(4)
    to_world[:3, :3] = up_rotation(up)
    return to_world @ pose


def _numbers(source: Source, field: str, value: Any, shape: tuple[int, ...] | None, frames: bool = False) -> np.ndarray:
    """Finite float64 numbers of a shape; with ``frames`` a leading frame axis, added where there is none."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise source.error(field, repr(value)[:60], "numbers") from None
    if not np.isfinite(array).all():
        raise source.error(field, "numbers that are not finite", "finite numbers")
    if frames and array.ndim == len(shape or ()):
        array = array[None]
    if shape is not None and array.shape[int(frames) :] != shape:
        raise source.error(field, f"shape {array.shape}", f"{shape}{', or one per frame' if frames else ''}")
    return array
