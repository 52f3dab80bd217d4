"""The same skeleton: SMPL's local rotations are the body's joint coordinates."""

from __future__ import annotations

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import quaternion


def qpos_from_smpl(humanoid: Humanoid, root: np.ndarray, local: np.ndarray) -> np.ndarray:
    """Coordinates ``(T, nq)`` of a humanoid of SMPL topology.

    Ball joints take the rotation as it is. Three hinges x, y, z take its intrinsic XYZ Euler angles, unwrapped in time
    so that a joint that turns through half a turn has no jump of a full turn.

    Args:
      humanoid: layout "ball" or "hinge"; either frame convention.
      root: ``(T, 3)`` m, pelvis. local: ``(T, J, 4)`` in SMPL's frames and order, J = 22 or 24, the first is the root's
        global rotation; joints past J (the hands) stay straight.

    Raises:
      ValueError: not of SMPL topology, or a layout that is neither.
    """
    if humanoid.smpl_body_ids is None or humanoid.smpl_frame is None:
        raise ValueError(f"humanoid {humanoid.name!r}: expected the 24 bodies of SMPL's topology")
    if humanoid.layout not in ("ball", "hinge"):
        raise ValueError(
            f"humanoid {humanoid.name!r}: expected ball joints or three hinges x, y, z per body, "
            f"found the layout {humanoid.layout!r}"
        )
    frame = np.asarray(humanoid.smpl_frame, np.float64)
    model = humanoid.model
    qpos = np.tile(model.qpos0, (len(root), 1))
    for joint, body in enumerate(humanoid.smpl_body_ids[: local.shape[1]]):
        address = int(model.jnt_qposadr[model.body_jntadr[body]])
        if joint == 0:
            qpos[:, address : address + 3] = root
            qpos[:, address + 3 : address + 7] = quaternion.multiply(local[:, 0], frame)
            continue
        turn = quaternion.multiply(quaternion.conjugate(frame), quaternion.multiply(local[:, joint], frame))
        if model.jnt_type[model.body_jntadr[body]] == mujoco.mjtJoint.mjJNT_BALL:
            qpos[:, address : address + 4] = turn
        else:
            angles = Rotation.from_quat(turn, scalar_first=True).as_euler("XYZ")
            qpos[:, address : address + 3] = np.unwrap(angles, axis=0)
    return qpos


def continuous(quat: np.ndarray) -> np.ndarray:
    """Quaternions ``(T, ..., 4)`` with signs chosen so that consecutive frames are on the same side."""
    sign = np.ones(quat.shape[:-1])
    sign[1:] = np.where(np.sum(quat[1:] * quat[:-1], -1) < 0, -1.0, 1.0)
    return quat * np.cumprod(sign, axis=0)[..., None]
