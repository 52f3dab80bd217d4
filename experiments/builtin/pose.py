"""From clinical angles to coordinates of the built-in body, and what the floor says about a path of them."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax import Array

from mjxhuman.humanoids import Humanoid
from mjxhuman.humanoids.humanoid import SMPL_BODIES
from mjxhuman.math import rotation
from mjxhuman.physics.anatomy import make_anatomy
from mjxhuman.physics.contact_dynamics import Support, support
from mjxhuman.physics.contact_points import body_kinematics
from mjxhuman.physics.motion import humanoid_tree, velocities_accelerations
from mjxhuman.scenes import Plane

#: Sole points of a foot in the order of the contact tables: heel, ball, toe base and toe tip, two each.
SOLE_POINTS = 8

#: Degrees by which thigh and shank of the rest pose lean back: its joint angles are not clinical zeros.
THIGH = np.degrees(np.arctan2(0.0067, 0.3789))
SHANK = np.degrees(np.arctan2(0.0430, 0.3982))


def _turn(order: str, *angles: Array | float) -> Array:
    """Quaternions ``(T, 4)`` of intrinsic Euler angles in degrees."""
    return rotation.from_euler(order, jnp.deg2rad(jnp.stack(jnp.broadcast_arrays(*angles), -1)))


def limbs(a: Mapping[str, Array]) -> dict[str, Array]:
    """Ball-joint rotations ``(T, 4)`` of the left leg and arm from angles ``(T,)`` in degrees.

    Hip, knee, ankle flex and lower from the standing, the shoulder from the T-pose; the shoulder girdle hangs by 5
    degrees and the fingers curl by 9.
    """
    zero = jnp.zeros_like(a["knee_flexion"])
    return {
        "Hip": _turn("XZY", -a["hip_flexion"] - THIGH, -a["hip_adduction"], -a["hip_rotation"]),
        "Knee": _turn("XZY", a["knee_flexion"] - (SHANK - THIGH), zero, zero),
        "Ankle": _turn("XZY", SHANK - a["dorsiflexion"], -a["inversion"], a["foot_rotation"]),
        "Toe": _turn("XZY", -a["toe_extension"], zero, zero),
        "Thorax": _turn("XZY", zero, zero - 4.6, zero),
        "Shoulder": _turn("XZX", -a["shoulder_flexion"], -a["shoulder_lowering"], a["shoulder_rotation"]),
        "Elbow": _turn("YZX", -a["elbow_flexion"], zero, zero),
        "Hand": _turn("XZY", zero, zero - 8.6, zero),
    }


def coordinates(
    humanoid: Humanoid,
    position: Array,
    middle: Mapping[str, Array],
    left: Mapping[str, Array],
    right: Mapping[str, Array],
) -> Array:
    """qpos ``(T, nq)`` of a pelvis at ``position (T, 3)`` m and angles ``(T,)`` in degrees.

    ``left`` and ``right`` are as for ``limbs``, both in the left side's signs. ``middle`` holds tilt (forward), list
    (left up) and turn (left back) of the pelvis, and flexion, bend (to the left) and turn of trunk and neck.
    """
    spine = _turn("XZY", middle["trunk_flexion"] / 3, -middle["trunk_bend"] / 3, middle["trunk_turn"] / 3)
    neck = _turn("XZY", middle["neck_flexion"] / 2, -middle["neck_bend"] / 2, middle["neck_turn"] / 2)
    turns = {"Torso": spine, "Spine": spine, "Chest": spine, "Neck": neck, "Head": neck}
    turns |= {"L_" + body: q for body, q in limbs(left).items()}
    turns |= {"R_" + body: q * np.array([1.0, 1.0, -1.0, -1.0]) for body, q in limbs(right).items()}
    pelvis = _turn("YZX", middle["pelvis_turn"], middle["pelvis_list"], middle["pelvis_tilt"])
    rest = jnp.asarray(humanoid.model.qpos0)
    qpos = jnp.broadcast_to(rest, (len(position), humanoid.nq))
    world = rotation.multiply(jnp.broadcast_to(rest[3:7], pelvis.shape), pelvis)
    qpos = qpos.at[:, :3].set(position).at[:, 3:7].set(world)
    ids = humanoid.smpl_body_ids
    assert ids is not None
    for body, q in turns.items():
        index = ids[SMPL_BODIES.index(body)]
        where = int(humanoid.model.jnt_qposadr[humanoid.model.body_jntadr[index]])
        qpos = qpos.at[:, where : where + 4].set(q)
    return qpos


def contact_forces(humanoid: Humanoid, qpos: Array, fps: float, inner: slice) -> Support:
    """What the floor gives and what remains, in float64, for the frames ``inner`` of a path ``(T, nq)``.

    Derivatives are taken as ``score`` takes them; ``inner`` should leave out the ends, where they are one-sided.
    """
    tree, params = humanoid_tree(humanoid, np.dtype(np.float64))
    anatomy, numbers = make_anatomy(humanoid, np.float64)
    qvel, qacc = velocities_accelerations(humanoid, qpos, np.ones(len(qpos), bool), fps)
    q, v, a = (x[inner].T for x in (qpos, qvel, qacc))
    return support(tree, params, anatomy, numbers, Plane(), body_kinematics(tree, params, q, v), v, a)


def floor_residuals(s: Support, standing: np.ndarray) -> list[Array]:
    """Weighted errors of support: what nothing explains, load off the floor or sliding, soles that should stand.

    Args:
        s: of N frames.
        standing: ``(16, N)`` 1 where a sole point should stand still on the floor, left foot first.
    """
    feet = 2 * SOLE_POINTS
    height, velocity = s.touch.point[:feet, 2], s.touch.velocity[:feet]
    load = s.force[:feet, 2] / s.weight
    return [
        s.residual_force / s.weight / 0.02,
        s.residual_moment / s.weight / 0.005,
        s.force[feet:, 2] / s.weight / 0.01,
        load * height / 0.001,
        load[:, None] * velocity / 0.010,
        standing * height / 0.002,
        standing[:, None] * velocity / 0.10,
        jnp.maximum(0.001 - height, 0.0) / 0.001,
    ]
