"""DeepMimic's humanoid3d motions: JSON with one row of 44 numbers per frame, each with its own duration.

Row: duration s, root position (3) m, root quaternion wxyz, then the local rotations of the joints in ``_ROW``: wxyz
quaternions of ball joints, angles (rad, about the joint's z axis) of the hinges. x forward, y up, z right.
Source: Peng et al. 2018, "DeepMimic", and its repository (xbpeng/DeepMimic, data/motions, data/characters).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.skeleton import forward_kinematics, rest_positions, skeleton_motion
from mjxhuman.data.source import Source, rate_of_frame_time
from mjxhuman.data.text import decode, require_finite
from mjxhuman.types import SkeletonMotion

#: Joints in the order of a row, with their numbers per row.
_ROW = (
    ("chest", 4), ("neck", 4), ("right_hip", 4), ("right_knee", 1), ("right_ankle", 4), ("right_shoulder", 4),
    ("right_elbow", 1), ("left_hip", 4), ("left_knee", 1), ("left_ankle", 4), ("left_shoulder", 4), ("left_elbow", 1),
)  # fmt: skip
_COLUMNS = 8 + sum(count for _, count in _ROW)

#: Joint -> (parent, offset in m) of the humanoid the motions were made for (humanoid3d.txt: its attachment points).
HUMANOID3D: Mapping[str, tuple[str | None, tuple[float, float, float]]] = MappingProxyType(
    {
        "root": (None, (0.0, 0.0, 0.0)),
        "chest": ("root", (0.0, 0.236151, 0.0)),
        "neck": ("chest", (0.0, 0.223894, 0.0)),
        "right_hip": ("root", (0.0, 0.0, 0.084887)),
        "right_knee": ("right_hip", (0.0, -0.421546, 0.0)),
        "right_ankle": ("right_knee", (0.0, -0.409870, 0.0)),
        "right_shoulder": ("chest", (-0.02405, 0.24350, 0.18311)),
        "right_elbow": ("right_shoulder", (0.0, -0.274788, 0.0)),
        "right_wrist": ("right_elbow", (0.0, -0.258947, 0.0)),
        "left_hip": ("root", (0.0, 0.0, -0.084887)),
        "left_knee": ("left_hip", (0.0, -0.421546, 0.0)),
        "left_ankle": ("left_knee", (0.0, -0.409870, 0.0)),
        "left_shoulder": ("chest", (-0.02405, 0.24350, -0.18311)),
        "left_elbow": ("left_shoulder", (0.0, -0.274788, 0.0)),
        "left_wrist": ("left_elbow", (0.0, -0.258947, 0.0)),
    }
)


def read_deepmimic(source: Source) -> SkeletonMotion:
    """Read a motion of DeepMimic's humanoid.

    Frames of unequal duration are resampled to the clip's most common duration (positions linearly, rotations by
    slerp). The skeleton is ``source.options.skeleton`` (a DeepMimic character file), else ``HUMANOID3D``.

    Raises:
        MotionFileError: not such a file, rows of another length, zero quaternions, durations that are not positive.
    """
    rows, loop = _read_rows(source)
    names, parents, offsets = _skeleton(source)
    frame_rate, times, new_times = _sampling(source, rows[:, 0])
    root = rows[:, 1:4]
    local = _local_rotations(source, rows)
    if new_times is not None:
        root = np.stack([np.interp(new_times, times, root[:, axis]) for axis in range(3)], axis=1)
        local = {name: Slerp(times, turn)(new_times) for name, turn in local.items()}
    quaternions = {name: turn.as_quat()[:, [3, 0, 1, 2]].T for name, turn in local.items()}

    def transforms(block: slice) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
        turns = [quaternions[name][:, block] if name in quaternions else None for name in names]
        return [root[block].T, *offsets[1:, :, None]], turns

    positions, quats = forward_kinematics(parents, transforms, len(root))
    if loop.lower() == "wrap":
        source.note("one cycle of a motion marked as a loop")
    return skeleton_motion(
        source,
        "DeepMimic",
        names=names,
        parents=parents,
        rest=rest_positions(parents, offsets),
        positions=positions,
        quats=quats,
        fps=frame_rate,
        to_world=source.up_axis(None, "y", "DeepMimic's axes are x forward, y up, z right"),
        metres=source.metres_per_unit(None, 1.0, "DeepMimic's lengths are metres"),
    )


def _read_json(source: Source) -> dict[str, Any]:
    try:
        content = json.loads(decode(source.path.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise source.error("file", f"no JSON ({error})", "a JSON object") from None
    if not isinstance(content, dict):
        raise source.error("file", f"a JSON {type(content).__name__}", "a JSON object")
    return content


def _read_rows(source: Source) -> tuple[np.ndarray, str]:
    content = _read_json(source)
    frames = content.get("Frames")
    if not isinstance(frames, list) or not frames:
        raise source.error("Frames", "none", "a list of rows (a character file is for the argument skeleton=)")
    for index, row in enumerate(frames):
        if not isinstance(row, list) or len(row) != _COLUMNS:
            found = f"{len(row)} numbers" if isinstance(row, list) else type(row).__name__
            raise source.error(f"frame {index + 1}", found, f"{_COLUMNS} numbers")
    try:
        rows = np.array(frames, dtype=float)
    except (ValueError, TypeError, OverflowError):
        raise source.error("Frames", "an entry that is no number", f"rows of {_COLUMNS} numbers") from None
    if rows.shape != (len(frames), _COLUMNS):
        raise source.error("Frames", "nested lists", f"rows of {_COLUMNS} numbers")
    require_finite(source, rows, "number")
    return rows, str(content.get("Loop", "none"))


def _sampling(source: Source, durations: np.ndarray) -> tuple[float, np.ndarray, np.ndarray | None]:
    """Frame rate, the times of the rows, and the times to resample to (None if the rows are uniform)."""
    count = len(durations)
    if source.options.fps is not None:
        return source.frame_rate(None), np.arange(count) / source.options.fps, None
    if count == 1:  # the duration of the last row is 0 in all published files
        stated = rate_of_frame_time(f"{durations[0]:.6f}") if durations[0] > 0 else None
        return source.frame_rate(stated), np.zeros(1), None
    steps = durations[:-1]  # the last row only ends the clip
    usable = (steps >= 1e-4) & (steps <= 10.0)
    if not usable.all():
        bad = int(np.argmin(usable))
        expected = "0.0001 to 10 s, or the argument fps="
        raise source.error(f"frame {bad + 1}, duration", f"{steps[bad]:g} s", expected)
    values, counts = np.unique(np.round(steps, 5), return_counts=True)
    step = float(steps[np.round(steps, 5) == values[np.argmax(counts)]][0])
    fps = rate_of_frame_time(f"{step:.5f}")
    times = np.concatenate([[0.0], np.cumsum(steps)])
    if np.allclose(steps, step, rtol=1e-3, atol=0):
        return fps, times, None
    new_count = max(int(np.floor(times[-1] * fps * (1 + 1e-6))) + 1, 2)
    if new_count > 100 * count:
        raise source.error("durations", f"{steps.min():g} to {steps.max():g} s", "nearly equal ones, or fps=")
    source.note(f"frames last {steps.min():.4g} to {steps.max():.4g} s: resampled to {fps:g} Hz")
    return fps, times, np.minimum(np.arange(new_count) / fps, times[-1])


def _local_rotations(source: Source, rows: np.ndarray) -> dict[str, Rotation]:
    local: dict[str, Rotation] = {}
    column = 4
    for name, count in (("root", 4), *_ROW):
        block = rows[:, column : column + count]
        column += count
        if count == 1:
            local[name] = Rotation.from_rotvec(block * np.array([0.0, 0.0, 1.0]))
            continue
        norms = np.linalg.norm(block, axis=1)
        if not (np.abs(norms - 1.0) < 0.5).all():
            bad = int(np.argmin(np.abs(norms - 1.0) < 0.5))
            raise source.error(f"frame {bad + 1}, {name}", f"a quaternion of norm {norms[bad]:.3g}", "norm 1")
        if (np.abs(norms - 1.0) > 1e-2).any():  # edited by hand: 0.926 in the published backflip
            source.note("quaternions that are not of unit length are normalised")
        local[name] = Rotation.from_quat(block[:, [1, 2, 3, 0]])
    return local


def _skeleton(source: Source) -> tuple[list[str], list[int], np.ndarray]:
    """Names, parents and offsets (J, 3) in metres."""
    table = HUMANOID3D if source.options.skeleton is None else read_character(Source(source.options.skeleton))
    if source.options.skeleton is None:
        source.note("the skeleton is that of DeepMimic's humanoid3d character, which the motions were made for")
    names = list(table)
    parents = [-1 if parent is None else names.index(parent) for parent, _ in table.values()]
    return names, parents, np.array([offset for _, offset in table.values()])


def read_character(source: Source) -> dict[str, tuple[str | None, tuple[float, float, float]]]:
    """Joint -> (parent, offset) of a DeepMimic character file with the joints of ``HUMANOID3D``.

    Raises:
        MotionFileError: joints missing, or attachments with a rotation (none of the published ones has any).
    """
    skeleton = _read_json(source).get("Skeleton")
    joints = skeleton.get("Joints") if isinstance(skeleton, dict) else None
    table: dict[str, tuple[str | None, tuple[float, float, float]]] = {}
    try:
        ids = {joint["ID"]: joint["Name"] for joint in joints or []}
        for joint in joints or []:
            if any(float(joint[f"AttachTheta{axis}"]) for axis in "XYZ"):
                raise source.error(f"joint {joint['Name']}", "a rotated attachment", "AttachTheta 0")
            x, y, z = (float(joint[f"Attach{axis}"]) for axis in "XYZ")
            parent = ids[joint["Parent"]] if joint["Parent"] >= 0 else None
            if parent is not None and parent not in table:
                raise source.error(f"joint {joint['Name']}", f"the parent {parent} after it", "parents first")
            table[joint["Name"]] = (parent, (x, y, z))
    except MotionFileError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise source.error("Skeleton.Joints", f"{type(error).__name__} {error}", "DeepMimic's joints") from None
    if set(table) != set(HUMANOID3D):
        raise source.error("Skeleton.Joints", ", ".join(table) or "none", "the joints " + ", ".join(HUMANOID3D))
    return table
