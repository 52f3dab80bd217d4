"""Synthetic sources: a known SMPL motion dressed up as another skeleton, as markers, as joint positions."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.math import quaternion
from mjxhuman.retarget.chain import INDEX, UPRIGHT, Chain, forward_clip
from mjxhuman.types import SMPL_PARENTS, PointMotion, SkeletonMotion

MIXAMO = {
    "Pelvis": "Hips", "L_Hip": "LeftUpLeg", "R_Hip": "RightUpLeg", "Torso": "Spine", "L_Knee": "LeftLeg",
    "R_Knee": "RightLeg", "Spine": "Spine1", "L_Ankle": "LeftFoot", "R_Ankle": "RightFoot", "Chest": "Spine2",
    "L_Toe": "LeftToeBase", "R_Toe": "RightToeBase", "Neck": "Neck", "L_Thorax": "LeftShoulder",
    "R_Thorax": "RightShoulder", "Head": "Head", "L_Shoulder": "LeftArm", "R_Shoulder": "RightArm",
    "L_Elbow": "LeftForeArm", "R_Elbow": "RightForeArm", "L_Wrist": "LeftHand", "R_Wrist": "RightHand",
}  # fmt: skip


def turned(axis: str, degrees: np.ndarray | float) -> np.ndarray:
    """Quaternions wxyz of rotations about x, y or z."""
    vector = np.asarray(degrees, float)[..., None] * np.eye(3)["xyz".index(axis)]
    return Rotation.from_rotvec(vector, degrees=True).as_quat(scalar_first=True)


def moving_pose(chain: Chain, frames: int = 90) -> tuple[np.ndarray, np.ndarray]:
    """Root (T, 3) and local rotations (T, 22, 4): stands on the right leg, bends trunk, arms and the left leg.

    The right foot stays flat on its place; the left one stands flat for half of the time and is lifted for the rest.
    """
    phase = np.linspace(0.0, 2.0 * np.pi, frames)
    lift = np.clip(np.sin(phase), 0.0, None)
    local = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 22, 1))
    local[:, 0] = quaternion.multiply(turned("z", 25.0), np.broadcast_to(UPRIGHT, (frames, 4)))
    angles = {
        "L_Hip": ("x", -60 * lift), "L_Knee": ("x", 85 * lift), "L_Ankle": ("x", 10 * lift),
        "Torso": ("x", 8 * np.sin(phase)), "Spine": ("y", 10 * np.sin(phase)), "Chest": ("z", 6 * np.cos(phase)),
        "Neck": ("y", 15 * np.sin(2 * phase)), "Head": ("x", 10 * np.cos(phase)),
        "L_Shoulder": ("z", -65 + 25 * np.sin(phase)), "R_Shoulder": ("z", 60 + 30 * np.cos(phase)),
        "L_Elbow": ("y", -50 - 35 * np.cos(phase)), "R_Elbow": ("y", 45 + 35 * np.sin(phase)),
        "L_Wrist": ("z", 15 * np.sin(phase)), "R_Wrist": ("z", 10 * np.cos(phase)),
    }  # fmt: skip
    for name, (axis, degrees) in angles.items():
        local[:, INDEX[name]] = turned(axis, degrees)
    foot, _ = forward_clip(chain, np.zeros((frames, 3)), local)
    return np.array([0.4, -0.3, 0.06]) - foot[:, INDEX["R_Ankle"]], local


def rest_pose(arms_down: float, yaw: float) -> np.ndarray:
    """Global rotations (24, 4) of a rest pose: a T-pose with the arms lowered by so many degrees, facing yaw."""
    quat = np.tile(quaternion.multiply(turned("z", yaw), UPRIGHT), (24, 1))
    for side, sign in (("L_", -1.0), ("R_", 1.0)):
        for name in ("Shoulder", "Elbow", "Wrist", "Hand"):
            quat[INDEX[side + name]] = quaternion.multiply(quat[0], turned("z", sign * arms_down))
    return quat


def as_skeleton(
    chain: Chain, root: np.ndarray, local: np.ndarray, *, arms_down: float = 0.0, yaw: float = 0.0, fps: float = 60.0
) -> SkeletonMotion:
    """The same motion on a skeleton with Mixamo's names and another rest pose."""
    pos, quat = forward_clip(chain, root, local)
    rest_quat = rest_pose(arms_down, yaw)
    rest_pos = np.zeros((24, 3))
    for j in range(1, 24):
        parent = SMPL_PARENTS[j]
        rest_pos[j] = rest_pos[parent] + quaternion.rotate(rest_quat[parent], chain.offsets[j])
    names = list(MIXAMO)
    index = [INDEX[name] for name in names]
    return SkeletonMotion(
        joint_pos=pos[:, index], joint_quat=quaternion.multiply(quat, quaternion.conjugate(rest_quat))[:, index],
        rest_pos=rest_pos[index], valid=np.ones(len(pos), bool), fps=fps,
        names=tuple(MIXAMO[name] for name in names), parents=tuple(SMPL_PARENTS[:22]),
    )  # fmt: skip


def as_points(names: list[str], pos: np.ndarray, kind: str, fps: float = 60.0) -> PointMotion:
    """Labelled points that are all seen."""
    return PointMotion(pos=pos, valid=np.ones(pos.shape[:2], bool), fps=fps, names=tuple(names), kind=kind)


def rotation_error(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles (deg) between quaternions."""
    return np.rad2deg(quaternion.angle(quaternion.multiply(quaternion.conjugate(a), b)))
