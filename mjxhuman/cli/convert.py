"""``mjxhuman convert``: any motion that is read, in a format that is written."""

from __future__ import annotations

import argparse
from pathlib import Path

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.cli.reading import load, output_file
from mjxhuman.data import QposMotion, read_motion, write_motion
from mjxhuman.data.npz import AnyMotion
from mjxhuman.options import FileOptions, keywords
from mjxhuman.types import SMPL_PARENTS, BodyMotion, Motion, SkeletonMotion

_SUFFIXES = (".npz", ".bvh", ".trc")


def run(args: argparse.Namespace) -> int:
    """Read, convert and write one file."""
    output = Path(args.output)
    suffixes = {"motion": _SUFFIXES, "skeleton": (".bvh", ".npz")}.get(args.to, (".npz",))
    if output.suffix.lower() not in suffixes:
        raise ValueError(f"{output}: expected a file ending in {' or '.join(suffixes)}, found {output.suffix!r}")
    output_file(output, "OUT")
    motion: AnyMotion
    if args.to == "qpos":
        motion = qpos_motion(load(args.input, args))
    elif args.to == "skeleton":
        motion = skeleton_motion(load(args.input, args))
    else:
        motion = read_motion(args.input, **keywords(FileOptions, args))
        if args.to != "motion" and not isinstance(motion, BodyMotion):
            motion = body_motion(load(args.input, args))
    print(write_motion(output, motion, "amass" if args.to == "amass" else None))
    return 0


def body_motion(motion: Motion) -> BodyMotion:
    """SMPL's local rotations of a motion ``(T, ...)``, without shape coefficients.

    Raises:
        ValueError: a body that is not of SMPL's topology.
    """
    humanoid = motion.humanoid
    if humanoid.smpl_body_ids is None:
        raise ValueError(f"humanoid {humanoid.name!r}: expected the 24 bodies of SMPL's topology")
    quat = np.asarray(motion.body_quat, np.float64)[:, humanoid.smpl_body_ids]
    joints = quat.shape[1]
    to_smpl = Rotation.from_quat(humanoid.smpl_frame, scalar_first=True).inv()
    world = [Rotation.from_quat(quat[:, j], scalar_first=True) * to_smpl for j in range(joints)]
    local = [world[0], *(world[SMPL_PARENTS[j]].inv() * world[j] for j in range(1, joints))]
    turns = np.stack([r.as_quat(scalar_first=True) for r in local], axis=1)
    return BodyMotion(
        betas=np.zeros(0),
        transl=np.asarray(motion.body_pos, np.float64)[:, humanoid.smpl_body_ids[0]],
        global_orient=turns[:, 0],
        body_pose=turns[:, 1:],
        valid=np.asarray(motion.valid),
        fps=motion.fps,
        provenance=motion.provenance,
    )


def skeleton_motion(motion: Motion) -> SkeletonMotion:
    """The joints of a motion ``(T, ...)`` as those of a skeleton whose rest pose is the body's."""
    humanoid = motion.humanoid
    model, ids = humanoid.model, np.arange(1, humanoid.model.nbody)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    rest = [Rotation.from_quat(data.xquat[i], scalar_first=True).inv() for i in ids]
    quat = np.asarray(motion.body_quat, np.float64)
    turned = [Rotation.from_quat(quat[:, i], scalar_first=True) * back for i, back in zip(ids, rest, strict=True)]
    return SkeletonMotion(
        joint_pos=np.asarray(motion.body_pos, np.float64)[:, ids],
        joint_quat=np.stack([r.as_quat(scalar_first=True) for r in turned], axis=1),
        rest_pos=data.xpos[ids].copy(),
        valid=np.asarray(motion.valid),
        fps=motion.fps,
        names=tuple(humanoid.body_names[i] for i in ids),
        parents=tuple(int(model.body_parentid[i]) - 1 for i in ids),
        provenance=motion.provenance,
    )


def qpos_motion(motion: Motion) -> QposMotion:
    """Coordinates of a motion ``(T, ...)`` and the body they belong to."""
    body = motion.humanoid
    options = {"layout": body.layout, "stature": body.stature, "mass": body.mass}
    humanoid = body.origin | (options if body.source is None else {})
    valid = np.asarray(motion.valid)
    return QposMotion(
        np.asarray(motion.qpos, np.float64), motion.fps, humanoid, motion.provenance,
        valid=None if valid.all() else valid,
    )  # fmt: skip
