"""Where a body's coordinates lie in those of a model that may hold other things besides it: objects, another body."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

_FREE_QPOS, _FREE_QVEL = 7, 6


@dataclasses.dataclass(frozen=True)
class BodyAddress:
    """Which bodies, coordinates, velocities and actuators of a model are one body's. Hashable.

    The body's first joint is free: position (3) and quaternion (4, wxyz), linear velocity (3, world) and angular
    velocity (3, root's axes). The slices are for last axes: ``state.qvel[..., address.joint_qvel]``.
    """

    body_start: int  # MuJoCo id of the root
    nbody: int
    qpos_start: int
    nq: int
    qvel_start: int
    nv: int
    ctrl_start: int
    nu: int

    @property
    def bodies(self) -> slice:
        """The body's bodies, its root first."""
        return slice(self.body_start, self.body_start + self.nbody)

    @property
    def qpos(self) -> slice:
        """All coordinates."""
        return slice(self.qpos_start, self.qpos_start + self.nq)

    @property
    def root_pos(self) -> slice:
        """Position of the root."""
        return slice(self.qpos_start, self.qpos_start + 3)

    @property
    def root_quat(self) -> slice:
        """Orientation of the root."""
        return slice(self.qpos_start + 3, self.qpos_start + _FREE_QPOS)

    @property
    def joint_qpos(self) -> slice:
        """Coordinates of all joints but the root's."""
        return slice(self.qpos_start + _FREE_QPOS, self.qpos_start + self.nq)

    @property
    def qvel(self) -> slice:
        """All velocities, and accelerations and forces."""
        return slice(self.qvel_start, self.qvel_start + self.nv)

    @property
    def root_linvel(self) -> slice:
        """Linear velocity of the root."""
        return slice(self.qvel_start, self.qvel_start + 3)

    @property
    def root_angvel(self) -> slice:
        """Angular velocity of the root."""
        return slice(self.qvel_start + 3, self.qvel_start + _FREE_QVEL)

    @property
    def joint_qvel(self) -> slice:
        """Velocities of all joints but the root's."""
        return slice(self.qvel_start + _FREE_QVEL, self.qvel_start + self.nv)

    @property
    def ctrl(self) -> slice:
        """The actuators."""
        return slice(self.ctrl_start, self.ctrl_start + self.nu)

    @property
    def alone(self) -> BodyAddress:
        """The body's address in its own coordinates: those of a model of nothing else, of clips and motions."""
        return dataclasses.replace(self, body_start=1, qpos_start=0, qvel_start=0, ctrl_start=0)


def body_address(model: mujoco.MjModel, root: str) -> BodyAddress:
    """The address of the body whose root has this name.

    Raises:
        ValueError: no body of this name, one without a free joint, or other actuators between the body's.
    """
    first = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, root)
    if first < 0:
        raise ValueError(f"body {root!r}: expected its name in the model, found none")
    joint = int(model.body_jntadr[first])
    if joint < 0 or model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_FREE:
        raise ValueError(f"body {root!r}: expected a free joint, found none")
    stop = first + int(np.sum(model.body_rootid == first))  # a subtree is contiguous: children follow their parents
    last = joint + int(np.sum(model.body_jntnum[first:stop]))
    qpos, qvel = int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])
    nq = (int(model.jnt_qposadr[last]) if last < model.njnt else int(model.nq)) - qpos
    nv = (int(model.jnt_dofadr[last]) if last < model.njnt else int(model.nv)) - qvel
    pulled = np.where(model.actuator_trntype == mujoco.mjtTrn.mjTRN_JOINT, model.actuator_trnid[:, 0], -1)
    mine = np.flatnonzero((pulled >= joint) & (pulled < last))
    ctrl = int(mine[0]) if mine.size else 0
    if mine.size and mine[-1] - ctrl + 1 != mine.size:
        raise ValueError(f"body {root!r}: expected its actuators in one piece, found numbers {mine.tolist()}")
    return BodyAddress(first, stop - first, qpos, nq, qvel, nv, ctrl, int(mine.size))
