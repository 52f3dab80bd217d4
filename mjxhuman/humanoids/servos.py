"""Position servos on the joints of a body: gains, damping and caps from its record, or from its model."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.humanoids.record import BodyRecord, Servo

_JOINT = mujoco.mjtTrn.mjTRN_JOINT


@dataclasses.dataclass(frozen=True, eq=False)
class Servos:
    """The servos of a body, joint by joint in the model's order; J joints with ``axes`` actuators each.

    The arrays have one number per actuator, ``nu`` = J * axes.
    """

    joints: tuple[str, ...]  # (J,) names; a ball joint has its body's
    axes: int  # 3: ball joints, about the child's x, y, z; 1: hinges
    kp: np.ndarray  # (nu,) N m/rad
    kd: np.ndarray  # (nu,) N m s/rad
    cap: np.ndarray  # (nu,) N m


def make_servos(humanoid: Humanoid, record: BodyRecord) -> Servos:
    """The servos of a body with ball joints throughout, or with hinges throughout.

    Raises:
        ValueError: joints of both kinds or of others, or one whose gain, damping or cap neither record nor model says.
    """
    model = humanoid.model
    axes, joints = 0, []
    for joint in range(1, model.njnt):
        kind = model.jnt_type[joint]
        found = {mujoco.mjtJoint.mjJNT_BALL: 3, mujoco.mjtJoint.mjJNT_HINGE: 1}.get(mujoco.mjtJoint(kind), 0)
        if not found or axes not in (0, found):
            raise ValueError(
                f"humanoid {humanoid.name!r}: expected ball joints or hinges throughout, found joint "
                f"{_joint_name(humanoid, joint)!r} of another kind"
            )
        axes = found
        joints.append(_joint_name(humanoid, joint))
    scale = 1.0 if record.strength_of is None else humanoid.mass * humanoid.stature / record.strength_of
    table = np.array([_numbers(humanoid, record.servo(n), j, n, scale) for j, n in enumerate(joints, start=1)], float)
    kp, kd, cap = np.repeat(table, axes, axis=0).T
    return Servos(tuple(joints), axes, kp, kd, cap)


def _joint_name(humanoid: Humanoid, joint: int) -> str:
    model = humanoid.model
    body = humanoid.body_names[model.jnt_bodyid[joint]]
    return body if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_BALL else model.joint(joint).name or body


def _numbers(humanoid: Humanoid, servo: Servo, joint: int, name: str, scale: float) -> tuple[float, float, float]:
    """Gain, damping and cap of a joint's servo: the record's times ``scale``, else the model's."""
    own = _model_servo(humanoid.model, joint)
    found = []
    for field in ("gain", "damping", "cap"):
        stated, given = getattr(servo, field), getattr(own, field)
        if stated is None and given is None:
            raise ValueError(
                f"humanoid {humanoid.name!r}: joint {name!r}: {field}: expected it in the record's servos or in the "
                "model, found neither"
            )
        found.append(scale * stated if stated is not None else given)
    return tuple(found)  # type: ignore[return-value]


def _model_servo(model: mujoco.MjModel, joint: int) -> Servo:
    """What a model says of the servo of a joint; None where it says nothing."""
    gain = float(model.jnt_stiffness[joint]) or None
    damping, caps = float(model.dof_damping[model.jnt_dofadr[joint]]), []
    if model.jnt_actfrclimited[joint]:
        caps.append(float(model.jnt_actfrcrange[joint, 1]))
    for i in np.flatnonzero((model.actuator_trntype == _JOINT) & (model.actuator_trnid[:, 0] == joint)):
        if model.actuator_biastype[i] == mujoco.mjtBias.mjBIAS_AFFINE and model.actuator_biasprm[i, 1] < 0:
            gain, damping = float(model.actuator_gainprm[i, 0]), damping - float(model.actuator_biasprm[i, 2])
        if model.actuator_forcelimited[i]:
            caps.append(float(model.actuator_forcerange[i, 1]))
    return Servo(gain, damping if damping > 0 else None, min(caps, default=None))


def add_servos(spec: mujoco.MjSpec, humanoid: Humanoid, servos: Servos, armature: float | None) -> None:
    """Put them into a description of the body: springs as actuators, the damping on the joints."""
    rows = iter(range(0, len(servos.kp), servos.axes))
    for body, name in enumerate(humanoid.body_names[2:], start=2):
        for joint in (spec.body(name) if name else spec.bodies[body]).joints:
            row = next(rows)
            label = servos.joints[row // servos.axes]
            joint.name = joint.name or label
            joint.damping, joint.stiffness = (float(servos.kd[row]), 0.0, 0.0), (0.0, 0.0, 0.0)
            if armature is not None:
                joint.armature = armature
            for axis, letter in enumerate("xyz"[: servos.axes]):
                _add_spring(spec, joint.name, f"{label}_{letter}" if servos.axes == 3 else label, axis, row, servos)


def _add_spring(spec: mujoco.MjSpec, joint: str, name: str, axis: int, row: int, servos: Servos) -> None:
    gear, cap = np.zeros(6), float(servos.cap[row])
    gear[axis] = 1.0
    actuator = spec.add_actuator(
        name=name, target=joint, trntype=_JOINT, gear=gear, forcelimited=True, forcerange=(-cap, cap)
    )
    actuator.set_to_position(kp=float(servos.kp[row]))
