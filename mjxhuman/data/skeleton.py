"""Skeletons of files: forward kinematics, which way is up, how tall, and the conversion to the z-up world in metres."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mjxhuman.data.joint_map import unknown
from mjxhuman.data.joint_names import smpl_joint_map
from mjxhuman.data.source import Source
from mjxhuman.math.quaternion import multiply, rotate
from mjxhuman.types import SkeletonMotion

_AXES = "xyz"

#: Frames per block: 64 KiB per component.
_BLOCK = 8192


#: Per joint, in the given frames: translation relative to the parent (3, T) or (3, 1), and rotation (4, T) or None.
LocalTransforms = Callable[[slice], tuple[Sequence[np.ndarray], Sequence[np.ndarray | None]]]


def forward_kinematics(parents: Sequence[int], local: LocalTransforms, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """World positions and rotations of all joints, computed in blocks of frames that fit into the processor's cache.

    Args:
        parents: J, -1 for the root, parents before children.
        local: gives the transforms of a range of frames. The root's translation is its world position.
        frames: T.

    Returns:
        positions (T, J, 3) in the unit of the translations, quaternions (T, J, 4) wxyz.
    """
    positions = np.empty((frames, len(parents), 3))
    quats = np.empty((frames, len(parents), 4))
    for start in range(0, frames, _BLOCK):
        block = slice(start, min(start + _BLOCK, frames))
        count = block.stop - start
        translations, rotations = local(block)
        place: list[np.ndarray] = []
        world: list[np.ndarray] = []
        for joint, parent in enumerate(parents):
            turn = rotations[joint]
            if parent < 0:
                place.append(np.broadcast_to(translations[joint], (3, count)))
                world.append(np.tile([[1.0], [0.0], [0.0], [0.0]], count) if turn is None else turn)
            else:
                place.append(place[parent] + rotate(world[parent], translations[joint], 0))
                world.append(world[parent] if turn is None else multiply(world[parent], turn, 0))
            positions[block, joint] = place[joint].T
            quats[block, joint] = world[joint].T
    return positions, quats


def rest_positions(parents: Sequence[int], offsets: np.ndarray) -> np.ndarray:
    """(J, 3) joint positions with all rotations zero and the root at the origin."""
    rest = np.zeros_like(offsets)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            rest[joint] = rest[parent] + offsets[joint]
    return rest


def leg_length(names: Sequence[str], rest: np.ndarray) -> float | None:
    """Thigh plus shank, mean of both sides, in the unit of ``rest`` (J, 3); None for an unknown skeleton.

    Bone lengths, since the rest pose of some skeletons is no standing pose.
    """
    joints = smpl_joint_map(names)
    if not {side + joint for side in ("L_", "R_") for joint in ("Hip", "Knee", "Ankle")} <= set(joints):
        return None
    total = 0.0
    for side in ("L_", "R_"):
        hip, knee, ankle = (rest[joints[side + joint]] for joint in ("Hip", "Knee", "Ankle"))
        total += float(np.linalg.norm(hip - knee) + np.linalg.norm(knee - ankle))
    return total / 2


def unit_of_skeleton(source: Source, names: Sequence[str], rest: np.ndarray) -> float:
    """Metres per unit by the stature (see ``Source.metres_by_stature``)."""
    leg = leg_length(names, rest)
    if leg is None and source.options.unit is None:
        raise unknown(source, names)
    return source.metres_by_stature(leg or 0.0)


def up_of_skeleton(source: Source, names: Sequence[str], rest: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Rotation to the z-up world by the rest pose: the axis along which the head is above the feet.

    A rest pose that is no standing pose (bones along their own axis, as iClone and Bandai Namco export them) says
    nothing; then the mean direction from the feet to the head over the clip decides, if it is near one axis.

    Args:
        source: the file; its ``up=`` wins.
        names: J.
        rest: (J, 3), any unit.
        positions: (T, J, 3), any unit.

    Raises:
        MotionFileError: neither tells.
    """
    if source.options.up is not None or "up" in source.found:
        return source.up_axis(None)
    joints = smpl_joint_map(names)
    head = next((joints[name] for name in ("Head", "Neck", "Chest", "Spine") if name in joints), None)
    if head is None or leg_length(names, rest) is None:
        raise unknown(source, names)
    chains = [[head, *(joints[side + joint] for joint in ("Hip", "Knee", "Ankle"))] for side in ("L_", "R_")]
    feet = [joints["L_Ankle"], joints["R_Ankle"]]
    axis, sign = _main_axis(rest[head] - rest[feet].mean(axis=0))
    heights = np.array([sign * rest[chain, axis] for chain in chains])
    if (np.diff(heights, axis=1) < 0).all():
        return source.up_axis(None, _axis_name(axis, sign), "the rest pose has the head above the feet along it")
    mean = (positions[:, head] - positions[:, feet].mean(axis=1)).mean(axis=0)
    axis, sign = _main_axis(mean)
    if sign * mean[axis] < 0.9 * np.linalg.norm(mean) or not np.isfinite(mean).all():
        raise source.error(
            "up axis",
            "a rest pose that does not stand and a body that is not upright on average",
            "a standing rest pose, or the argument up=",
        )
    why = "the rest pose does not stand, and the head is above the feet along it on average over the clip"
    return source.up_axis(None, _axis_name(axis, sign), why)


def _main_axis(vector: np.ndarray) -> tuple[int, float]:
    axis = int(np.argmax(np.abs(vector)))
    return axis, 1.0 if vector[axis] >= 0 else -1.0


def _axis_name(axis: int, sign: float) -> str:
    return ("-" if sign < 0 else "") + _AXES[axis]


def skeleton_motion(
    source: Source,
    format_name: str,
    *,
    names: Sequence[str],
    parents: Sequence[int],
    rest: np.ndarray,
    positions: np.ndarray,
    quats: np.ndarray,
    fps: float,
    to_world: np.ndarray,
    metres: float,
) -> SkeletonMotion:
    """The motion in the z-up world in metres.

    Args:
        source: the file.
        format_name: for the provenance.
        names: J.
        parents: J.
        rest: (J, 3) file axes and units.
        positions: (T, J, 3) file axes and units.
        quats: (T, J, 4) wxyz, world rotation relative to the rest pose, file axes.
        fps: frames per second.
        to_world: (3, 3) rotation from the file's axes to the z-up world.
        metres: metres per unit.
    """
    turned = quats.copy()
    turned[..., 1:] = quats[..., 1:] @ to_world.T
    return SkeletonMotion(
        joint_pos=positions @ (metres * to_world.T),
        joint_quat=turned,
        rest_pos=rest @ (metres * to_world.T),
        valid=np.ones(len(positions), bool),
        fps=fps,
        names=tuple(names),
        parents=tuple(int(parent) for parent in parents),
        provenance=source.provenance(format_name),
    )
