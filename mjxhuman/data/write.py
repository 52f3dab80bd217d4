"""Motion files out, in formats that other programs read. The project's own format is in ``npz.py``.

All files have y up, as their formats expect, except AMASS, which has z up. What is written reads back as what it was.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.data.npz import AnyMotion, save_motion
from mjxhuman.data.smpl import pelvis_of
from mjxhuman.data.source import up_rotation
from mjxhuman.math.quaternion import conjugate, multiply, rotate
from mjxhuman.runs.files import atomic_write
from mjxhuman.types import BodyMotion, PointMotion, SkeletonMotion


def write_motion(path: str | os.PathLike[str], motion: AnyMotion, format_name: str | None = None) -> Path:
    """Write a motion in the format that the suffix (or ``format_name``) names.

    Args:
        path: ``.npz`` for the project's own format (any motion), ``.bvh`` (skeletons), ``.trc`` (points).
        motion: without batch axes.
        format_name: "npz", "bvh", "trc" or "amass" (SMPL parameters as AMASS's SMPL-H .npz); the suffix if None.

    Raises:
        ValueError: an unknown format, one that cannot hold this kind of motion, or frames that are not valid in a
            format that cannot say so.
    """
    path = Path(path)
    name = (format_name or path.suffix.removeprefix(".")).lower()
    if name == "npz":
        return save_motion(path, motion)
    if name == "bvh" and isinstance(motion, SkeletonMotion):
        return write_bvh(path, motion)
    if name == "trc" and isinstance(motion, PointMotion):
        return write_trc(path, motion)
    if name == "amass" and isinstance(motion, BodyMotion):
        return write_amass(path, motion)
    raise ValueError(
        f"{path}: cannot write a {type(motion).__name__} as {name!r}: npz holds any motion, bvh a SkeletonMotion, "
        "trc a PointMotion, amass a BodyMotion"
    )


def write_bvh(path: str | os.PathLike[str], motion: SkeletonMotion) -> Path:
    """Write a skeleton's motion in centimetres, y up; joints that move in their parent's frame get position channels.

    Raises:
        ValueError: invalid frames, which BVH cannot mark.
    """
    _require_valid(path, motion.valid)
    to_file = 100.0 * up_rotation("y").T
    order = _depth_first(motion.parents)
    offsets = {j: (motion.rest_pos[j] - motion.rest_pos[max(motion.parents[j], 0)]) @ to_file.T for j in order}
    lines, columns = ["HIERARCHY"], []
    depth = 0
    for position, joint in enumerate(order):
        parent = motion.parents[joint]
        depth = 0 if parent < 0 else 1 + _depth(motion.parents, parent)
        translation, angles, moves = _local(motion, joint, to_file)
        leaf = joint not in motion.parents
        pad = "\t" * depth
        if leaf and motion.names[joint].endswith("_end") and not moves and not np.any(np.abs(angles) > 1e-6):
            lines += [f"{pad}End Site", pad + "{", f"{pad}\tOFFSET {_text(offsets[joint])}", pad + "}"]
        else:
            channels = "Xposition Yposition Zposition " if moves else ""
            lines += [f"{pad}{'ROOT' if parent < 0 else 'JOINT'} {motion.names[joint]}", pad + "{"]
            lines += [f"{pad}\tOFFSET {_text(offsets[joint])}"]
            lines += [f"{pad}\tCHANNELS {6 if moves else 3} {channels}Zrotation Yrotation Xrotation"]
            columns += [translation] * moves + [angles]
            if leaf:
                lines += [f"{pad}\tEnd Site", pad + "\t{", f"{pad}\t\tOFFSET 0 0 0", pad + "\t}", pad + "}"]
        following = order[position + 1] if position + 1 < len(order) else None
        target = 0 if following is None else 1 + _depth(motion.parents, motion.parents[following])
        lines += ["\t" * level + "}" for level in range(depth - leaf, target - 1, -1)]
    values = np.concatenate(columns, axis=1)
    lines += ["MOTION", f"Frames: {len(values)}", f"Frame Time: {1.0 / motion.fps:.10g}", ""]
    with atomic_write(path) as file:
        file.write("\n".join(lines))
        np.savetxt(file, values, fmt="%.6f")
    return Path(path)


def _local(motion: SkeletonMotion, joint: int, to_file: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Position (T, 3) and angles (T, 3) in degrees (z, y, x) in the parent's frame, and whether the position varies."""
    parent = motion.parents[joint]
    quat, place = motion.joint_quat[:, joint].T, motion.joint_pos[:, joint].T
    if parent >= 0:
        inverse = conjugate(motion.joint_quat[:, parent].T, 0)
        quat = multiply(inverse, quat, 0)
        place = rotate(inverse, place - motion.joint_pos[:, parent].T, 0)
        still = motion.rest_pos[joint] - motion.rest_pos[parent]
        moves = bool(np.abs(place - still[:, None]).max() > 1e-5)
    else:
        moves = True
    turned = np.concatenate([quat[1:].T @ up_rotation("y"), quat[:1].T], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # at gimbal lock any of the equivalent angles is right
        angles = Rotation.from_quat(turned).as_euler("ZYX", degrees=True)
    return place.T @ to_file.T, angles, moves


def _depth_first(parents: Sequence[int]) -> list[int]:
    order: list[int] = []
    waiting = [0]
    while waiting:
        joint = waiting.pop()
        order.append(joint)
        waiting += [child for child in range(len(parents) - 1, 0, -1) if parents[child] == joint]
    return order


def _depth(parents: Sequence[int], joint: int) -> int:
    return 0 if parents[joint] < 0 else 1 + _depth(parents, parents[joint])


def _text(vector: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in vector)


def write_trc(path: str | os.PathLike[str], motion: PointMotion) -> Path:
    """Write points in metres, y up; invalid points become empty cells."""
    points = motion.pos @ up_rotation("y")
    frames, count = points.shape[:2]
    keys = "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames"
    rate = f"{motion.fps:.10g}"
    lines = [f"PathFileType\t4\t(X/Y/Z)\t{Path(path).name}", keys]
    lines += ["\t".join([rate, rate, str(frames), str(count), "m", rate, "1", str(frames)])]
    lines += ["Frame#\tTime\t" + "\t\t\t".join(motion.names) + "\t\t"]
    lines += ["\t\t" + "\t".join(f"{axis}{i + 1}" for i in range(count) for axis in "XYZ"), ""]
    with atomic_write(path) as file:
        file.write("\n".join(lines) + "\n")
        for frame in range(frames):
            cells = [
                "\t".join(f"{value:.7f}" for value in point) if seen else "\t\t"
                for point, seen in zip(points[frame], motion.valid[frame], strict=True)
            ]
            file.write("\t".join([str(frame + 1), f"{frame / motion.fps:.7f}", *cells]) + "\n")
    return Path(path)


def write_amass(path: str | os.PathLike[str], motion: BodyMotion) -> Path:
    """Write SMPL parameters with AMASS's SMPL-H keys (fingers at rest), z up.

    Raises:
        ValueError: invalid frames, which AMASS cannot mark.
    """
    _require_valid(path, motion.valid)
    frames = len(motion.transl)
    quats = np.concatenate([motion.global_orient[:, None], motion.body_pose[:, :21]], axis=1).reshape(-1, 4)
    poses = np.zeros((frames, 156))
    poses[:, :66] = Rotation.from_quat(quats[:, [1, 2, 3, 0]]).as_rotvec().reshape(frames, 66)
    with atomic_write(path, "wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            poses=poses,
            trans=np.asarray(motion.transl) - np.array(pelvis_of("smplh")),
            betas=np.asarray(motion.betas),
            gender=np.array("neutral"),
            mocap_framerate=np.array(float(motion.fps)),
        )
    return Path(path)


def _require_valid(path: str | os.PathLike[str], valid: object) -> None:
    flags = np.asarray(valid)
    if not flags.all():
        raise ValueError(f"{path}: frame {int(np.argmin(flags)) + 1} is not valid, which this format cannot say")
