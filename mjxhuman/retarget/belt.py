"""Motion on a treadmill, put on a floor that stands still: the belt's travel is added to every position.

Nothing of this happens unless it is asked for: feet that slide at a constant speed under a body that stays are also
what a walk with a lost translation looks like.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mjxhuman.data.joint_names import smpl_joint_map
from mjxhuman.humanoids import load_humanoid
from mjxhuman.options import AUTO
from mjxhuman.retarget.alignment import Joints
from mjxhuman.retarget.chain import chain_of
from mjxhuman.retarget.landmarks import marker_set
from mjxhuman.retarget.markers import seen_joints
from mjxhuman.types import BodyMotion, PointMotion, SkeletonMotion

#: A foot stands while its ankle is this near its low level (m) and rises or sinks slower than this (m/s).
_LOW, _LEVEL = 0.03, 0.3
#: A belt is slower or faster than a standing foot by less than this share, and the hips travel less than this of it.
_SPREAD, _STAYS = 0.25, 0.25
_LEAST_SPEED, _FRAMES = 0.3, 10  # m/s, frames


def off_belt(motion: SkeletonMotion | PointMotion | BodyMotion, speed: float | str) -> SkeletonMotion | PointMotion:
    """The motion as it would be on a floor, with a note of the belt's speed in its provenance.

    Args:
      motion: z up, metres. speed: of the belt, m/s, or "auto": that of the standing feet.

    Raises:
      ValueError: SMPL parameters, no feet, or no feet that stand on a belt.
    """
    what = motion.provenance.path or f"the given {type(motion).__name__}"
    if isinstance(motion, BodyMotion):
        raise ValueError(f"{what}: belt_speed: expected a skeleton or markers, found SMPL parameters")
    joints = _joints(motion)
    if not {"L_Hip", "R_Hip", "L_Ankle", "R_Ankle"} <= joints.keys():
        raise ValueError(f"{what}: belt_speed: expected hips and ankles, found {', '.join(joints) or 'no joint'}")
    velocity = _standing(joints, motion.fps)
    found = float(np.linalg.norm(np.median(velocity, 0))) if len(velocity) >= _FRAMES else 0.0
    if found < _LEAST_SPEED:
        raise ValueError(f"{what}: belt_speed: expected feet that stand on a moving belt, found {found:.2f} m/s")
    if speed == AUTO:
        _check(velocity, joints, motion.fps, what)
    value = found if speed == AUTO else float(speed)
    ahead = -np.median(velocity, 0) / found
    time = np.arange(len(joints["L_Hip"])) / motion.fps
    travel = np.append(value * ahead, 0.0) * time[:, None]
    note = f"belt at {value:.2f} m/s (standing feet: {found:.2f} m/s): its travel is added"
    provenance = motion.provenance.with_(conventions=(*motion.provenance.conventions, note))
    if isinstance(motion, SkeletonMotion):
        return dataclasses.replace(
            motion, joint_pos=np.asarray(motion.joint_pos) + travel[:, None], provenance=provenance
        )
    seen = np.asarray(motion.valid, bool)[..., None]
    return dataclasses.replace(
        motion, pos=np.where(seen, np.asarray(motion.pos) + travel[:, None], 0.0), provenance=provenance
    )


def _joints(motion: SkeletonMotion | PointMotion) -> Joints:
    if isinstance(motion, PointMotion):
        chain = chain_of(load_humanoid("smpl"))
        return seen_joints(motion, marker_set(motion.names, chain), chain)
    return {name: np.asarray(motion.joint_pos[:, k], np.float64) for name, k in smpl_joint_map(motion.names).items()}


def _standing(joints: Joints, fps: float) -> np.ndarray:
    """Horizontal velocities (N, 2) m/s of the lower foot in the frames in which it stands."""
    feet = np.stack([joints["L_Ankle"], joints["R_Ankle"]], 1)
    speed = np.gradient(feet, axis=0) * fps
    low = feet[..., 2] < np.percentile(feet[..., 2], 10, axis=0) + _LOW
    stands = low & (np.abs(speed[..., 2]) < _LEVEL) & (np.argmin(feet[..., 2], 1)[:, None] == np.arange(2))
    return speed[..., :2][stands]


def _check(velocity: np.ndarray, joints: Joints, fps: float, what: str) -> None:
    middle = np.median(velocity, 0)
    found = float(np.linalg.norm(middle))
    spread = float(np.median(np.linalg.norm(velocity - middle, axis=-1)))
    hips = 0.5 * (joints["L_Hip"] + joints["R_Hip"])[:, :2]
    travel = float(np.linalg.norm(hips[-1] - hips[0]) * fps / max(len(hips) - 1, 1))
    if spread > _SPREAD * found or travel > _STAYS * found:
        raise ValueError(
            f"{what}: belt_speed: expected feet that stand at one speed under a body that stays, found "
            f"{found:.2f} +- {spread:.2f} m/s and hips that travel at {travel:.2f} m/s; give the speed in m/s"
        )
