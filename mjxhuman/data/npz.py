"""The project's own motion file: an .npz of plain arrays with everything needed to read it back without conventions.

Entries of every file: ``format`` ("mjxhuman-motion"), ``version``, ``kind`` (body, skeleton, points or qpos), ``fps``,
``up`` (always "z"), ``source``, ``licence``, ``provenance`` (JSON), then the arrays of the kind. Lengths are metres,
quaternions wxyz. Files are replaced as a whole: a kill leaves the old file or the new one.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.data.arrays import NpzFile
from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.source import Source
from mjxhuman.data.text import is_usable
from mjxhuman.runs.files import atomic_write
from mjxhuman.types import BodyMotion, Controls, PointMotion, Provenance, SkeletonMotion

FORMAT = "mjxhuman-motion"
VERSION = 1


@dataclasses.dataclass(frozen=True, eq=False)
class QposMotion:
    """Motion in the coordinates of some MuJoCo model."""

    qpos: np.ndarray  # (T, nq) root position m (z up), root quaternion wxyz, then the joints
    fps: float
    humanoid: dict[str, Any]  # what the coordinates belong to: "name" and options, plain JSON values; may be empty
    provenance: Provenance = dataclasses.field(default_factory=Provenance)
    qvel: np.ndarray | None = None  # (T, nv) of a simulated motion (``data.plans``); not written by ``save_motion``
    controls: Controls | None = None
    valid: np.ndarray | None = None  # (T,) bool; None: every frame


AnyMotion = BodyMotion | SkeletonMotion | PointMotion | QposMotion

#: kind -> class, arrays with their number of axes, static text fields. No batch axes are stored.
_KINDS: dict[str, tuple[type, dict[str, int], tuple[str, ...]]] = {
    "body": (
        BodyMotion,
        {"betas": 1, "transl": 2, "global_orient": 2, "body_pose": 3, "valid": 1},
        ("body",),
    ),
    "skeleton": (SkeletonMotion, {"joint_pos": 3, "joint_quat": 3, "rest_pos": 2, "valid": 1}, ("names", "parents")),
    "points": (PointMotion, {"pos": 3, "valid": 2}, ("names", "kind")),
    "qpos": (QposMotion, {"qpos": 2}, ("humanoid",)),
}


def save_motion(path: str | os.PathLike[str], motion: AnyMotion) -> Path:
    """Write a motion in the project's own format.

    Args:
        path: the file; a missing ``.npz`` is not added.
        motion: without batch axes.

    Returns:
        The path.

    Raises:
        TypeError: something else than a motion.
        ValueError: batch axes, or numbers that are not finite.
    """
    kind = next((kind for kind, (cls, _, _) in _KINDS.items() if isinstance(motion, cls)), None)
    if kind is None:
        raise TypeError(f"save_motion: expected a motion of a file, found {type(motion).__name__}")
    _, arrays, fields = _KINDS[kind]
    entries: dict[str, np.ndarray] = {
        "format": np.array(FORMAT),
        "version": np.array(VERSION),
        "kind": np.array(kind),
        "fps": np.array(float(motion.fps)),
        "up": np.array("z"),
        "source": np.array(motion.provenance.path),
        "licence": np.array(motion.provenance.licence),
        "provenance": np.array(json.dumps(dataclasses.asdict(motion.provenance))),
    }
    for name, axes in arrays.items():
        array = np.asarray(getattr(motion, name))
        if array.ndim != axes:
            raise ValueError(f"save_motion: {name}: expected {axes} axes (no batch), found shape {array.shape}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"save_motion: {name}: expected finite numbers, found NaN or infinity")
        entries[name] = array
    if isinstance(motion, QposMotion) and motion.valid is not None:
        entries["valid"] = np.asarray(motion.valid, bool)
    for name in fields:
        entries["text_" + name] = np.array(json.dumps(getattr(motion, name)))
    with atomic_write(path, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **entries)
    return Path(path)


def is_ours(arrays: NpzFile) -> bool:
    """Whether the file says it is in the project's own format."""
    return "format" in arrays and arrays["format"].dtype.kind in "US" and arrays.text("format") == FORMAT


def read_ours(source: Source, npz: NpzFile) -> AnyMotion:
    """Read what ``save_motion`` wrote.

    Raises:
        MotionFileError: an unknown version or kind, entries missing or of another shape, numbers that are not finite.
    """
    version = npz.number(("version",))
    if version != VERSION:
        raise source.error("version", version, f"{VERSION}: this release reads no other")
    kind = npz.text("kind") if "kind" in npz else ""
    if kind not in _KINDS:
        raise source.error("kind", repr(kind[:20]), " or ".join(_KINDS))
    cls, arrays, fields = _KINDS[kind]
    missing = [name for name in (*arrays, *("text_" + name for name in fields), "provenance") if name not in npz]
    if missing:
        raise source.error("entries", f"no {', '.join(missing)}", f"those of a motion of kind {kind}")
    values: dict[str, Any] = {name: npz[name] for name in arrays}
    for name, axes in arrays.items():
        array = values[name]
        if array.ndim != axes or array.dtype.kind not in "bf" or not is_usable(array).all():
            found = f"shape {array.shape}, type {array.dtype}, or numbers that are not finite"
            raise source.error(name, found, f"{axes} axes of finite numbers")
    if kind == "qpos" and "valid" in npz:
        values["valid"] = npz["valid"]
    values |= {name: _from_json(source, npz, "text_" + name) for name in fields}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    _check_shapes(source, kind, values)
    provenance = _from_json(source, npz, "provenance")
    values["fps"] = source.frame_rate(npz.number(("fps",)))
    values["provenance"] = _provenance(source, provenance)
    return cls(**values)


def _from_json(source: Source, npz: NpzFile, name: str) -> Any:
    try:
        return json.loads(npz.text(name))
    except MotionFileError:
        raise
    except (ValueError, RecursionError) as error:
        raise source.error(name, f"no JSON ({error})", "JSON") from None


def _check_shapes(source: Source, kind: str, values: dict[str, Any]) -> None:
    """Raise unless the axes of the arrays fit each other and the names."""
    count = len(values["names"]) if isinstance(values.get("names"), tuple) else -1
    frames = len(values["qpos"]) if kind == "qpos" else len(values["valid"])
    expected: dict[str, dict[str, tuple[int, ...]]] = {
        "body": {"transl": (frames, 3), "global_orient": (frames, 4), "body_pose": (frames, 23, 4)},
        "skeleton": {"joint_pos": (frames, count, 3), "joint_quat": (frames, count, 4), "rest_pos": (count, 3)},
        "points": {"pos": (frames, count, 3), "valid": (frames, count)},
        "qpos": {"valid": (frames,)} if "valid" in values else {},
    }
    for name, shape in expected[kind].items():
        if values[name].shape != shape:
            raise source.error(name, f"shape {values[name].shape}", f"{shape}")
    if frames == 0:
        raise source.error("frames", "none", "at least one")
    if "valid" in values and values["valid"].dtype != bool:
        raise source.error("valid", f"type {values['valid'].dtype}", "bool")
    if count >= 0 and not all(isinstance(name, str) for name in values["names"]):
        raise source.error("names", "something else than text", "a list of names")
    if kind == "skeleton":
        parents = values["parents"]
        good = isinstance(parents, tuple) and len(parents) == count and all(isinstance(p, int) for p in parents)
        if not good or any(not -1 <= parent < joint for joint, parent in enumerate(parents)):
            raise source.error("parents", "parents that do not come before their children", "-1 or an earlier joint")
    if kind == "body" and values["body"] not in ("smpl", "smplh", "smplx"):
        raise source.error("body", repr(values["body"])[:40], "smpl, smplh or smplx")
    if kind == "points" and values["kind"] not in ("markers", "joints"):
        raise source.error("kind of the points", repr(values["kind"])[:40], "markers or joints")
    if kind == "qpos" and (not isinstance(values["humanoid"], dict) or values["qpos"].shape[1] == 0):
        raise source.error("humanoid", type(values["humanoid"]).__name__, "a description, and at least one coordinate")


def _provenance(source: Source, stored: Any) -> Provenance:
    """The stored provenance, with the sentences of this reading added."""
    blank = dataclasses.asdict(Provenance())
    if not isinstance(stored, dict) or set(stored) != set(blank):
        raise source.error("provenance", str(stored)[:40], f"an object with {', '.join(blank)}")
    values: dict[str, Any] = {}
    for name, default in blank.items():
        value = tuple(map(str, stored[name])) if isinstance(stored[name], list) else stored[name]
        if not isinstance(value, type(default)):
            raise source.error(f"provenance, {name}", str(value)[:40], type(default).__name__)
        values[name] = value
    provenance = Provenance(**values)
    return provenance.with_(conventions=(*provenance.conventions, *source.sentences))
