"""Other motions out of a motion: its mirror image, and the same path at another speed."""

from __future__ import annotations

import mujoco
import numpy as np

from mjxhuman.math import rotation
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.types import Motion


def mirrored(motion: Motion) -> Motion:
    """The mirror image of a person's motion in the world's xz-plane: left and right change places.

    Raises:
        ValueError: the body has other joints than a free root and ball joints, or its left and right are not those of
            SMPL's topology.
    """
    body = motion.humanoid
    if not body.is_smpl or body.layout != "ball":
        raise ValueError(f"mirrored: expected a body of SMPL's topology with ball joints, found {body.description}")
    model, names = body.model, list(body.body_names)
    hips = [model.body_pos[names.index(name)] for name in ("L_Hip", "R_Hip")]
    sign = -np.ones(3)  # a reflection turns rotations about its normal as before, about other axes the other way
    sign[np.argmax(np.abs(hips[0] - hips[1]))] = 1.0
    qpos = np.asarray(motion.qpos)
    new = qpos.copy()
    new[..., 1] = -qpos[..., 1]
    world, own = np.diag([1.0, -1.0, 1.0]), np.diag(-sign)
    new[..., 3:7] = rotation.from_matrix(world @ np.asarray(rotation.to_matrix(qpos[..., 3:7])) @ own)
    for joint in range(1, model.njnt):
        other = body.known.mirrored(names[model.jnt_bodyid[joint]])
        row, source = model.jnt_qposadr[joint], model.jnt_qposadr[model.body_jntadr[names.index(other)]]
        assert model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_BALL
        new[..., row] = qpos[..., source]
        new[..., row + 1 : row + 4] = sign * qpos[..., source + 1 : source + 4]
    return motion_from_qpos(body, new, motion.fps, valid=motion.valid, provenance=motion.provenance)


def retimed(motion: Motion, speed: float) -> Motion:
    """The same path ``speed`` times as fast: the same frames at another rate.

    Raises:
        ValueError: a speed that is not positive.
    """
    if not speed > 0:
        raise ValueError(f"speed: expected a positive factor, found {speed}")
    return motion_from_qpos(
        motion.humanoid, motion.qpos, motion.fps * speed, valid=motion.valid, provenance=motion.provenance
    )
