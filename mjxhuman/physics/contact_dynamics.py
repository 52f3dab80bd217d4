"""Contact-consistent inverse dynamics: what carries the body, what its joints do, and what nothing explains.

Frames on the last axis. Inverse dynamics gives the external wrench a motion needs; ``contact.solve`` distributes it to
points of the body near the floor z = 0; the joint torques follow with those forces applied, and the residual is what
the motion asks of a hand from nowhere.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from mjxhuman.physics import contact, dynamics, kinematics
from mjxhuman.physics.anatomy import Anatomy, AnatomyParams
from mjxhuman.physics.arrays import apply, apply_transposed, cross, take_rows
from mjxhuman.physics.tree import BodyParams, Tree

#: Height in metres up to which a point of the body counts as touching: soft tissue and soles deform by 1-2 cm, and
#: optical mocap places the foot to about 1 cm.
REACH = 0.02
#: Metres beyond ``REACH`` at which the price of a unit force, squared, equals that of a residual as large.
FADE = 0.01
#: Depth in metres up to which the body may enter the floor, for the same reasons; beyond it support fades too.
SINK, SINK_FADE = 0.025, 0.02
#: Sliding speed in m/s that doubles the price of a force: a point at rest carries the load where either would do.
CREEP = 0.1
#: Most that sliding can multiply the price by: a body that slides on all it stands on still stands.
SLIDING = 50.0


class BodyState(NamedTuple):
    """Kinematics of one block of frames, world axes."""

    poses: kinematics.Poses
    angvel: Array  # (B, 3, N) rad/s
    linvel: Array  # (B, 3, N) m/s
    frames: kinematics.Frames


class Support(NamedTuple):
    """Contact-consistent dynamics of one block of frames."""

    required_force: Array  # (3, N) N, world: external force the motion needs
    required_torque: Array  # (3, N) N m about the root's origin
    force: Array  # (P, 3, N) N, contact forces
    point: Array  # (P, 3, N) m, lowest point of each candidate
    point_velocity: Array  # (P, 3, N) m/s
    residual_force: Array  # (3, N) N
    residual_moment: Array  # (3, N) N m about the centre of mass
    joint_moment: Array  # (B, 3, N) N m, body axes
    joint_speed: Array  # (B, 3, N) rad/s, relative to the parent, body axes
    com: Array  # (3, N) m
    com_acc: Array  # (3, N) m/s^2
    weight: Array  # () N, body weight


def body_state(tree: Tree, params: BodyParams, qpos: Array, qvel: Array) -> BodyState:
    """Poses and velocities of all bodies at ``qpos (nq, N)``, ``qvel (nv, N)``."""
    poses = kinematics.poses(tree, params, qpos)
    angvel, linvel = kinematics.velocities(tree, params, poses, qvel)
    return BodyState(poses, angvel, linvel, poses.frames)


def contact_points(state: BodyState, anatomy: Anatomy, numbers: AnatomyParams) -> tuple[Array, Array]:
    """World position and velocity ``(P, 3, N)`` of the lowest point of every candidate sphere."""
    bodies = anatomy.contact_bodies
    arm = apply(take_rows(state.frames.rotation, bodies), numbers.point_offset)
    down = jnp.zeros_like(arm).at[:, 2].add(-numbers.point_radius)
    arm = arm + down
    velocity = take_rows(state.linvel, bodies) + cross(take_rows(state.angvel, bodies), arm)
    return take_rows(state.poses.pos, bodies) + arm, velocity


def force_price(height: Array, velocity: Array) -> Array:
    """Price ``(P, N)`` of a unit of squared force at points of given height and velocity (see ``contact.solve``).

    It is least for a point at rest on the floor. A body that is deep inside the floor anywhere has no true support
    anywhere: its price rises for all points.
    """
    above = jnp.maximum(height - REACH, 0.0) / FADE
    below = jnp.maximum(-jnp.min(height, axis=0) - SINK, 0.0) / SINK_FADE
    speed = (velocity[:, 0] * velocity[:, 0] + velocity[:, 1] * velocity[:, 1]) / (CREEP * CREEP)
    return contact.MIN_PRICE * (1.0 + SLIDING * speed / (SLIDING + speed)) + above * above + below * below


def support(
    tree: Tree, params: BodyParams, anatomy: Anatomy, numbers: AnatomyParams, state: BodyState, qvel: Array, qacc: Array
) -> Support:
    """Contact forces, joint moments with them applied, and the residual, of ``qvel, qacc (nv, N)``."""
    wrenches = dynamics.body_wrenches(tree, params, state.poses, (state.angvel, state.linvel), qvel, qacc)
    force, torque = jnp.sum(wrenches.force, 0), jnp.sum(wrenches.torque, 0)
    com = kinematics.centre_of_mass(tree, params, state.poses)
    mass = jnp.sum(params.mass)
    weight = mass * jnp.sqrt(jnp.sum(params.gravity**2))
    point, velocity = contact_points(state, anatomy, numbers)
    about_com = torque - cross((com - wrenches.origin)[None], force[None])[0]
    solution = contact.solve(force / weight, about_com / weight, point - com, force_price(point[:, 2], velocity))
    applied = solution.force * weight
    loaded = _subtract(wrenches, anatomy, applied, point, tree.nbody)
    rotation = state.frames.rotation
    relative = state.angvel - take_rows(state.angvel, tree.parents)
    return Support(
        required_force=force,
        required_torque=torque,
        force=applied,
        point=point,
        point_velocity=velocity,
        residual_force=solution.residual_force * weight,
        residual_moment=solution.residual_moment * weight,
        joint_moment=dynamics.joint_moments(tree, params, state.poses, loaded),
        joint_speed=apply_transposed(rotation, relative),
        com=com,
        com_acc=force / mass + params.gravity[0],
        weight=weight,
    )


def external_support(s: Support) -> Array:
    """Share 0..1 of body weight ``(N,)`` that must be held up where no floor is: a chair, a step, a hand.

    Upward force that no contact gives, plus the force that at ``contact.LENGTH`` from the centre of mass would make up
    for the tilting moment that no contact gives.
    """
    tilt = jnp.sqrt(s.residual_moment[0] ** 2 + s.residual_moment[1] ** 2 + 1e-12) / contact.LENGTH
    return jnp.clip((jnp.maximum(s.residual_force[2], 0.0) + tilt) / s.weight, 0.0, 1.0)


def _subtract(
    wrenches: dynamics.Wrenches, anatomy: Anatomy, force: Array, point: Array, nbody: int
) -> dynamics.Wrenches:
    """The body wrenches less the contact forces acting on each body."""
    torque = cross(point - wrenches.origin, force)
    members: dict[int, list[int]] = {}
    for i, body in enumerate(anatomy.contact_bodies):
        members.setdefault(body, []).append(i)
    forces, torques = list(wrenches.force), list(wrenches.torque)
    for body, index in members.items():
        forces[body] = forces[body] - sum(force[i] for i in index)
        torques[body] = torques[body] - sum(torque[i] for i in index)
    return dynamics.Wrenches(jnp.stack(forces), jnp.stack(torques), wrenches.origin)
