"""Motion of another skeleton, or joint positions alone, as an inverse kinematics problem on the SMPL chain.

Skeletons differ in proportions: the same person's CMU skeleton has hips a third wider and a trunk a tenth shorter than
SMPL's. Matching all joint positions would bend the body to make up for it. So orientations lead, taken from the source
(``alignment``), and positions are asked for where they matter: the feet exactly (that is where forces act), hips, trunk
and arms loosely, every point with a constant offset in its body's frame that is estimated from the clip; hands, elbows,
knees and head more firmly the nearer they come to the floor.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mjxhuman.data.joint_names import smpl_joint_map
from mjxhuman.math import quaternion
from mjxhuman.math.timeseries import fall
from mjxhuman.retarget.alignment import Joints, check_joints, own_names, rotations_from_positions, skeleton_rotations
from mjxhuman.retarget.chain import BODIES, INDEX, Chain, local_rotations
from mjxhuman.retarget.extremities import flatten_feet, floor_height, settle
from mjxhuman.retarget.optimize import Problem
from mjxhuman.retarget.residuals import ranges_residual, turned_residual
from mjxhuman.types import PointMotion, SkeletonMotion

#: Joint -> body it is fixed to, standard deviation of its position (m). A joint ends its parent's bone; the ankle is a
#: point of the foot, so that a planted foot stays planted.
POINTS = {
    "Pelvis": ("Pelvis", 0.05), "Hip": ("Pelvis", 0.02), "Knee": ("Hip", 0.04), "Ankle": ("Ankle", 0.005),
    "Toe": ("Ankle", 0.007), "Neck": ("Chest", 0.08), "Head": ("Neck", 0.10), "Shoulder": ("Thorax", 0.08),
    "Elbow": ("Shoulder", 0.10), "Wrist": ("Elbow", 0.10), "Hand": ("Wrist", 0.10),
}  # fmt: skip
#: Standard deviation (rad) of a body's global rotation against the source's.
_TURN = {
    "Pelvis": 0.05, "Hip": 0.10, "Knee": 0.10, "Ankle": 0.05, "Toe": 0.08, "Torso": 0.08, "Spine": 0.06, "Chest": 0.05,
    "Neck": 0.08, "Head": 0.06, "Thorax": 0.08, "Shoulder": 0.08, "Elbow": 0.08, "Wrist": 0.08,
}  # fmt: skip
#: The same without source rotations: positions lead, and the closed-form rotations only settle what they leave open.
_LOOSE = 0.6
_LOOSE_POINT = 0.01  # m
_NEAR_FLOOR = (0.05, 0.20)  # m above the floor: the position of a joint below the first counts in full, above not
_NEAR_SIGMA = 0.015  # m
_ON_FLOOR = ("Knee", "Elbow", "Wrist", "Hand", "Head")
#: Standard deviation (m) of a joint's constant offset from where the body has it.
OFFSET_PRIOR = 0.05


@dataclasses.dataclass
class ChainMotion:
    """A source in terms of the SMPL chain: what the problem, the calibration and the report are made of."""

    joints: Joints  # SMPL joint -> (T, 3) m
    quat: np.ndarray  # (T, 24, 4) global rotations of the SMPL bodies
    rotations_known: bool
    sentences: tuple[str, ...]


def read_joints(motion: SkeletonMotion | PointMotion, what: str) -> Joints:
    """The joints of SMPL that a skeleton or labelled joint positions have, ``(T, 3)`` m each.

    Raises:
      ValueError: joints are missing, unknown or mirrored.
    """
    pos = motion.joint_pos if isinstance(motion, SkeletonMotion) else motion.pos
    joints = {name: np.asarray(pos[:, i], np.float64) for name, i in smpl_joint_map(motion.names).items()}
    check_joints(joints, what, motion.names)
    if "Pelvis" not in joints:
        found = ", ".join(joints) + own_names(motion.names)
        raise ValueError(f"{what}: cannot be retargeted without the joint Pelvis; found {found}")
    return joints


def read_skeleton(motion: SkeletonMotion, joints: Joints, chain: Chain) -> ChainMotion:
    """Joints and rotations of a skeleton motion; ``joints`` from ``read_joints``."""
    index = smpl_joint_map(motion.names)
    rest = {name: np.asarray(motion.rest_pos[i], np.float64)[None] for name, i in index.items()}
    turns = {name: np.asarray(motion.joint_quat[:, i], np.float64) for name, i in index.items()}
    quat, sentence = skeleton_rotations(turns, rest, joints, chain)
    notes = (sentence, *flatten_feet(quat, joints, motion.fps), *settle(quat, joints, chain, motion.fps))
    return ChainMotion(joints, quat, True, notes)


def is_smpl_array(motion: PointMotion) -> bool:
    """Whether the points are the 22 or 24 joints of SMPL, so that proportions fit and positions may lead."""
    return motion.kind == "joints" and set(BODIES) <= set(smpl_joint_map(motion.names))


def read_points(joints: Joints, chain: Chain) -> ChainMotion:
    """Joints of SMPL's own joint positions; rotations in closed form from them."""
    quat = rotations_from_positions(joints, chain)
    return ChainMotion(
        joints, quat, False, ("no rotations in the source: twist of bones from bend planes, else neutral",)
    )


def build_problem(
    source: ChainMotion, chain: Chain, valid: dict[str, np.ndarray] | None = None
) -> tuple[Problem, list[str]]:
    """The problem, and the name of each of its points.

    Args:
      source: from ``read_skeleton`` or ``read_points``.
      chain: the body.
      valid: SMPL joint -> ``(T,)`` bool; all valid by default.
    """
    names = [n for n in source.joints if _bare(n) in POINTS]
    frames = len(source.quat)
    floor = floor_height(source.joints)
    target, weight, body, point = np.empty((frames, len(names), 3)), np.empty((frames, len(names))), [], []
    for k, name in enumerate(names):
        attach, sigma = POINTS[_bare(name)]
        attach = name[:2] + attach if name[:2] + attach in INDEX else attach
        if name[:2] not in ("L_", "R_"):
            attach = POINTS[name][0]
        body.append(INDEX[attach])
        point.append(chain.rest[INDEX[name]] - chain.rest[INDEX[attach]])
        target[:, k] = source.joints[name]
        precision = np.full(frames, 1.0 / (sigma if source.rotations_known else min(sigma, _LOOSE_POINT)))
        if _bare(name) in _ON_FLOOR:
            near = fall(target[:, k, 2] - floor, _NEAR_FLOOR)
            precision = np.maximum(precision, precision + near * (1.0 / _NEAR_SIGMA - precision))
        weight[:, k] = precision if valid is None else precision * valid[name]
    turn = np.array([_TURN[_bare(name)] if source.rotations_known else _LOOSE for name in BODIES])
    quat = source.quat[:, : len(BODIES)]
    hips = 0.5 * (source.joints["L_Hip"] + source.joints["R_Hip"])
    rest_hips = 0.5 * (chain.rest[INDEX["L_Hip"]] + chain.rest[INDEX["R_Hip"]])
    return Problem(
        chain=chain, body=np.asarray(body), point=np.asarray(point), target=target, weight=weight,
        origin=hips - quaternion.rotate(quat[:, 0], rest_hips), base=local_rotations(source.quat),
        residuals=(turned_residual(quat, np.repeat(1.0 / turn[:, None], 3, 1)), ranges_residual(frames)),
    ), names  # fmt: skip


def _bare(name: str) -> str:
    return name[2:] if name[:2] in ("L_", "R_") else name
