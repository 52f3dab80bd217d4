"""Where hips, feet and upper trunk are in a motion of any file: what can be asked of it before a body is fitted."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from mjxhuman.data.joint_names import marker_bodies, smpl_joint_map
from mjxhuman.math.quaternion import multiply, rotate
from mjxhuman.types import SMPL_JOINTS, SMPL_PARENTS, BodyMotion, PointMotion, SkeletonMotion

#: Joint offsets (m) of SMPL's neutral mean shape in its rest frame, to the centimetre: the left side and the middle.
_OFFSETS = {
    "Pelvis": (0.0, 0.0, 0.0), "L_Hip": (0.07, -0.09, -0.01), "Torso": (0.0, 0.11, -0.03),
    "L_Knee": (0.04, -0.38, -0.01), "Spine": (0.0, 0.14, 0.0), "L_Ankle": (-0.01, -0.40, -0.04),
    "Chest": (0.0, 0.05, 0.02), "L_Toe": (0.03, -0.05, 0.12), "Neck": (0.0, 0.21, -0.04),
    "L_Thorax": (0.08, 0.12, -0.04), "Head": (0.0, 0.06, 0.05), "L_Shoulder": (0.09, 0.03, -0.01),
    "L_Elbow": (0.26, -0.01, -0.02), "L_Wrist": (0.25, 0.01, 0.0), "L_Hand": (0.08, -0.01, -0.01),
}  # fmt: skip

#: What stands for the upper trunk, the best first.
_TOP = ("Neck", "Chest", "Spine", "Head", "Torso")
_TOP_BODIES = ("Chest", "Neck", "Head", "L_Thorax", "R_Thorax")


@dataclasses.dataclass(frozen=True)
class Landmarks:
    """Places of a body over time, in metres and the z-up world as the file was read; NaN where not seen."""

    hips: np.ndarray  # (T, 3)
    top: np.ndarray  # (T, 3) neck or chest
    feet: np.ndarray  # (T, 2, 3) ankles, or what is known of the feet; left, right
    points: np.ndarray  # (T, K, 3) all joints or markers that are known
    fps: float
    leg: float  # thigh plus shank, m; of markers the distance of hips and feet, 95th percentile


def landmarks(motion: BodyMotion | SkeletonMotion | PointMotion, most: int = 2000) -> Landmarks | None:
    """Landmarks of a motion's first ``most`` frames; None where hips, feet or upper trunk are not known by name."""
    if isinstance(motion, BodyMotion):
        valid = np.asarray(motion.valid, bool)[:most]
        pos = np.where(valid[:, None, None], body_joints(motion, most), np.nan)
        joints = {name: pos[:, i] for i, name in enumerate(SMPL_JOINTS)}
    elif isinstance(motion, SkeletonMotion):
        pos = np.where(np.asarray(motion.valid, bool)[:most, None, None], motion.joint_pos[:most], np.nan)
        joints = {name: pos[:, i] for name, i in smpl_joint_map(motion.names).items()}
    else:
        pos = np.where(np.asarray(motion.valid, bool)[:most, :, None], motion.pos[:most], np.nan)
        joints = {name: pos[:, i] for name, i in smpl_joint_map(motion.names).items()}
        if motion.kind == "markers" or not _complete(joints):
            return _of_markers(motion.names, pos, joints, motion.fps)
    if not _complete(joints):
        return None
    feet = np.stack([joints["L_Ankle"], joints["R_Ankle"]], axis=1)
    hips = 0.5 * (joints["L_Hip"] + joints["R_Hip"])
    top = next((joints[name] for name in _TOP if name in joints), None)
    if top is None and {"L_Shoulder", "R_Shoulder"} <= set(joints):
        top = 0.5 * (joints["L_Shoulder"] + joints["R_Shoulder"])
    if top is None:
        return None
    return Landmarks(hips, top, feet, np.stack(list(joints.values()), axis=1), motion.fps, _leg(joints))


def body_joints(motion: BodyMotion, most: int | None = None) -> np.ndarray:
    """(T, 24, 3) m: joints of SMPL's mean shape, the shape coefficients left out."""
    turns = np.concatenate([motion.global_orient[:most, None], motion.body_pose[:most]], axis=1)
    pos, world = np.empty((len(turns), 24, 3)), np.empty((len(turns), 24, 4))
    for joint, (name, parent) in enumerate(zip(SMPL_JOINTS, SMPL_PARENTS, strict=True)):
        if parent < 0:
            pos[:, joint], world[:, joint] = motion.transl[:most], turns[:, joint]
            continue
        offset = np.array(_OFFSETS[name.replace("R_", "L_")])
        offset[0] *= -1.0 if name.startswith("R_") else 1.0
        pos[:, joint] = pos[:, parent] + rotate(world[:, parent], np.broadcast_to(offset, (len(turns), 3)))
        world[:, joint] = multiply(world[:, parent], turns[:, joint])
    return pos


def _complete(joints: dict[str, np.ndarray]) -> bool:
    return {side + joint for side in ("L_", "R_") for joint in ("Hip", "Knee", "Ankle")} <= set(joints)


def _leg(joints: dict[str, np.ndarray]) -> float:
    bones = [
        np.nanmedian(np.linalg.norm(joints[f"{side}_{a}"] - joints[f"{side}_{b}"], axis=-1))
        for side in "LR"
        for a, b in (("Hip", "Knee"), ("Knee", "Ankle"))
    ]
    return float(sum(bones)) / 2


def _of_markers(names: Sequence[str], pos: np.ndarray, joints: dict[str, np.ndarray], fps: float) -> Landmarks | None:
    bodies = marker_bodies(names)
    columns = {body: [i for i, name in enumerate(names) if bodies.get(name) == body] for body in set(bodies.values())}

    def mean(wanted: Sequence[str]) -> np.ndarray | None:
        found = [i for body in wanted for i in columns.get(body, [])]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a frame in which none of them is seen
            return np.nanmean(pos[:, found], axis=1) if found else None

    hips, top = mean(["Pelvis"]), mean(_TOP_BODIES)
    if {"L_Hip", "R_Hip"} <= set(joints):
        hips = 0.5 * (joints["L_Hip"] + joints["R_Hip"])
    feet = [mean([f"{side}_Ankle", f"{side}_Toe"]) for side in "LR"]
    feet = [mean([f"{side}_Knee"]) if foot is None else foot for side, foot in zip("LR", feet, strict=True)]
    if hips is None or top is None or feet[0] is None or feet[1] is None:
        return None
    both = np.stack([feet[0], feet[1]], axis=1)
    reach = np.linalg.norm(both - hips[:, None], axis=-1)
    if not np.isfinite(reach).any():
        return None
    known = [i for found in columns.values() for i in found]
    return Landmarks(hips, top, both, pos[:, known], fps, float(np.nanpercentile(reach, 95)))
