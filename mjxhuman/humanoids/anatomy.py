"""From a model description to a ``Humanoid``: its layout, whether it is SMPL's body, and its anatomy tables."""

from __future__ import annotations

import mujoco
import numpy as np

from mjxhuman.humanoids.capsules import body_capsules
from mjxhuman.humanoids.contacts import contact_points, record_points
from mjxhuman.humanoids.humanoid import SMPL_BODIES, Humanoid
from mjxhuman.humanoids.proportions import skeleton_stature
from mjxhuman.humanoids.ranges import range_of_motion
from mjxhuman.humanoids.record import BodyRecord
from mjxhuman.humanoids.registry import SMPL, recognise
from mjxhuman.humanoids.strength import speed_limits, torque_limits

#: Body axes in the T-pose of the two conventions in use: ``Humanoid.smpl_frame``, and up and forward in body axes.
_FRAMES = {
    "x left, y up, z forward": (np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])),
    "x forward, y left, z up": (
        np.array([0.5, -0.5, -0.5, -0.5]),
        np.array([0.0, 0.0, 1.0]),
        np.array([1.0, 0.0, 0.0]),
    ),
}


def describe(
    spec: mujoco.MjSpec, name: str, stature: float | None = None, record: BodyRecord | None = None
) -> Humanoid:
    """The humanoid of a model description, with anatomy tables if its bodies carry the 24 SMPL names.

    Another body gets the contact points of its record.

    Args:
        spec: compiled here; bodies and joints are what count, actuators and sites are ignored.
        name: of the humanoid.
        stature: m; None estimates it: from the skeleton of an SMPL-named model (``skeleton_stature``), else the height
            of the model's geoms at ``qpos0``.
        record: of the body; None: the registered one whose bodies the model has, if any.

    Raises:
        ValueError: some of the 24 bodies are missing (they are named), or the T-pose is not one of the two conventions.
    """
    model = spec.compile()
    names = tuple(model.body(i).name for i in range(model.nbody))
    bodies = SMPL_BODIES
    present = [body for body in bodies if body in names]
    if len(present) < len(bodies) // 2:
        record = recognise(names) if record is None else record
        stated = record.stature if record is not None and stature is None else stature
        height = _height(model) if stated is None else stated
        contacts = record_points(model, record) if record is not None else None
        return _humanoid(name, spec, model, names, height, record=record, contacts=contacts)
    missing = [body for body in bodies if body not in names]
    if missing:
        raise ValueError(f"{name}: expected the 24 SMPL bodies, missing: {', '.join(missing)}")
    ids = {body: names.index(body) for body in bodies}
    rest = rest_positions(model, name)
    frame, up, forward = _convention(name, {b: rest[i] for b, i in ids.items()})
    if stature is None:
        stature = skeleton_stature({b: rest[i] for b, i in ids.items()})
    axes = np.array([np.cross(up, forward), up, forward])  # rows: SMPL's axes in the body frame
    mass = float(model.body_mass.sum())
    return _humanoid(
        name, spec, model, names, stature,
        smpl_body_ids=np.array([ids[b] for b in bodies]), smpl_frame=frame,
        contacts=contact_points(model, ids, stature, up, forward), capsules=body_capsules(model, ids, rest),
        range_of_motion=range_of_motion(ids), torque_limit=torque_limits(ids, model.nbody, mass, stature, axes),
        speed_limit=speed_limits(ids, model.nbody), record=record or SMPL,
    )  # fmt: skip


def _humanoid(
    name: str, spec: mujoco.MjSpec, model: mujoco.MjModel, names: tuple[str, ...], stature: float, **tables
) -> Humanoid:
    empty = dict.fromkeys(
        ("smpl_body_ids", "smpl_frame", "contacts", "capsules", "range_of_motion", "torque_limit", "speed_limit")
    )
    mass = float(model.body_mass.sum())
    return Humanoid(name, model, spec, joint_layout(model), float(stature), mass, names, **(empty | tables))


def joint_layout(model: mujoco.MjModel) -> str:
    """ "ball" (a free root, one ball joint per other body), "hinge" (three hinges along x, y, z instead) or "mixed"."""
    kinds = [_joint_kind(model, body) for body in range(1, model.nbody)]
    if not kinds or kinds[0] != "free":
        return "mixed"
    for layout in ("ball", "hinge"):
        if all(kind == layout for kind in kinds[1:]):
            return layout
    return "mixed"


def _joint_kind(model: mujoco.MjModel, body: int) -> str:
    joints = range(model.body_jntadr[body], model.body_jntadr[body] + model.body_jntnum[body])
    types = [int(model.jnt_type[j]) for j in joints]
    at_origin = all(np.allclose(model.jnt_pos[j], 0.0, atol=1e-9) for j in joints)
    if types == [int(mujoco.mjtJoint.mjJNT_FREE)]:
        return "free"
    if types == [int(mujoco.mjtJoint.mjJNT_BALL)] and at_origin:
        return "ball"
    triple = types == [int(mujoco.mjtJoint.mjJNT_HINGE)] * 3 and at_origin
    if triple and np.allclose([model.jnt_axis[j] for j in joints], np.eye(3), atol=1e-9):
        return "hinge"
    return "other"


def rest_positions(model: mujoco.MjModel, name: str) -> np.ndarray:
    """Body origins of the T-pose in the axes of the root body, (B, 3) m, the root at the origin.

    Raises:
        ValueError: a body other than the root is turned against its parent in the T-pose.
    """
    rest = np.zeros((model.nbody, 3))
    for body in range(2, model.nbody):
        if not np.allclose(np.abs(model.body_quat[body, 0]), 1.0, atol=1e-6):
            raise ValueError(
                f"{name}: body {model.body(body).name!r}: expected axes parallel to its parent's in the T-pose, "
                f"found quat {model.body_quat[body]}"
            )
        rest[body] = rest[model.body_parentid[body]] + model.body_pos[body]
    return rest


def _convention(name: str, rest: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``smpl_frame`` and the T-pose's up and forward directions in body axes, by where legs and toes point."""
    up = rest["Head"] - 0.5 * (rest["L_Ankle"] + rest["R_Ankle"])
    forward = rest["L_Toe"] - rest["L_Ankle"] + rest["R_Toe"] - rest["R_Ankle"]
    for frame, y, z in _FRAMES.values():
        left = np.cross(y, z) @ (rest["L_Shoulder"] - rest["R_Shoulder"])
        if up @ y > 0.9 * np.linalg.norm(up) and forward @ z > 0.5 * np.linalg.norm(forward) and left > 0:
            return frame, y, z
    raise ValueError(f"{name}: expected a T-pose whose body axes are {' or '.join(_FRAMES)}; found neither")


def _height(model: mujoco.MjModel) -> float:
    """Vertical extent (m) of the model's geoms at ``qpos0``, planes and the world's geoms left out."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    low, high = np.inf, -np.inf
    for geom in range(model.ngeom):
        if model.geom_bodyid[geom] == 0:
            continue
        rotation = data.geom_xmat[geom].reshape(3, 3)
        centre = data.geom_xpos[geom, 2] + rotation[2] @ model.geom_aabb[geom, :3]
        reach = np.abs(rotation[2]) @ model.geom_aabb[geom, 3:]
        low, high = min(low, centre - reach), max(high, centre + reach)
    return float(high - low) if high > low else 0.0
