"""Recursive Newton-Euler inverse dynamics in three steps, frames on the last axis.

``body_wrenches`` gives the wrench that each body's own motion takes (mass times acceleration less gravity),
``generalized_forces`` sums wrenches along the tree and projects them to the joints. Known external wrenches (contacts)
are subtracted per body in between. Newton-Euler in world axes about one common point (Featherstone, Rigid Body
Dynamics Algorithms, 2008, section 5.3, algorithm of table 5.1, there in link coordinates).
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from mjxhuman.physics import joints, kinematics
from mjxhuman.physics.arrays import apply, apply_transposed, cross, double_cross, keep
from mjxhuman.physics.joints import JointCoordinates
from mjxhuman.physics.kinematics import Frames, Poses, chain_sum, parent_rows, subtree_sum
from mjxhuman.physics.tree import BodyParams, Tree
from mjxhuman.types import Array


class Wrenches(NamedTuple):
    """A force and a moment per body, world axes, moments about one common point."""

    force: Float[Array, "B 3 N"]  # N
    torque: Float[Array, "B 3 N"]  # N m about ``origin``
    origin: Float[Array, "3 N"]  # m, world: origin of the root body


def _accelerations(
    tree: Tree,
    params: BodyParams,
    at: JointCoordinates,
    f: Frames,
    angvel: Array | None,
    qvel: Array | None,
    qacc: Array,
) -> tuple[Array, Array]:
    """Angular and linear acceleration of every body's origin, (B, 3, N) each, world axes; at rest without angvel."""
    local = joints.local_motion(tree, params, at, qvel, qacc)
    assert local.angacc is not None
    turn = apply(f.rotation, local.angacc)
    parent_w = None
    if angvel is not None:
        parent_w = keep(parent_rows(tree, angvel))
        # R w_local is what the joint adds to the angular velocity
        turn = turn + cross(parent_w, angvel)
    angacc = chain_sum(tree, turn)
    step = cross(parent_rows(tree, angacc), f.offset) + kinematics.free_rows(tree, qacc, angacc)
    if parent_w is not None:
        step = step + double_cross(parent_w, f.offset)
    if local.linacc is not None:
        step = step + apply(f.rotation, local.linacc)
        if parent_w is not None and local.linvel is not None:
            step = step + 2 * cross(parent_w, apply(f.rotation, local.linvel))
    return angacc, chain_sum(tree, step)


def _wrenches(
    params: BodyParams, f: Frames, angvel: Array | None, angacc: Array, linacc: Array, gravity: Array | None
) -> Wrenches:
    arm = keep(kinematics.com_offsets(params, f))
    acc = linacc + cross(angacc, arm)
    moment = kinematics.inertia_times(params, keep(apply_transposed(f.rotation, angacc)))
    if angvel is not None:
        acc = acc + double_cross(angvel, arm)
        w = keep(apply_transposed(f.rotation, angvel))
        moment = moment + cross(w, kinematics.inertia_times(params, w))
    if gravity is not None:
        acc = acc - gravity
    force = keep(params.mass * acc)
    torque = apply(f.rotation, keep(moment)) + cross(f.place + arm, force)
    return Wrenches(force, torque, f.origin)


def body_wrenches(
    tree: Tree, params: BodyParams, poses: Poses, vel: tuple[Array, Array], qvel: Array, qacc: Array
) -> Wrenches:
    """Wrench that the motion of each body takes: inertial forces less gravity.

    The sum over bodies is the external wrench that the whole motion needs.

    Args:
        tree: topology.
        params: numbers of the model.
        poses: from ``kinematics.poses``.
        vel: from ``kinematics.velocities``.
        qvel: (nv, N) velocities in MuJoCo's convention.
        qacc: (nv, N) accelerations in MuJoCo's convention.
    """
    f = poses.frames
    angvel = vel[0]
    angacc, linacc = _accelerations(tree, params, poses.at, f, angvel, qvel, qacc)
    return _wrenches(params, f, angvel, angacc, linacc, params.gravity)


def less_forces(
    wrenches: Wrenches, bodies: tuple[int, ...], force: Float[Array, "P 3 N"], point: Float[Array, "P 3 N"]
) -> Wrenches:
    """The wrenches less known forces, N, that act on ``bodies`` at world points, m."""
    torque = cross(point - wrenches.origin, force)
    members: dict[int, list[int]] = {}
    for i, body in enumerate(bodies):
        members.setdefault(body, []).append(i)
    forces, torques = list(wrenches.force), list(wrenches.torque)
    for body, index in members.items():
        forces[body] = forces[body] - sum(force[i] for i in index)
        torques[body] = torques[body] - sum(torque[i] for i in index)
    return Wrenches(jnp.stack(forces), jnp.stack(torques), wrenches.origin)


def _joint_wrenches(tree: Tree, f: Frames, wrenches: Wrenches) -> tuple[Array, Array]:
    """Each subtree's force in world axes and its moment about the body's origin in body axes, (B, 3, N) each."""
    total = keep(subtree_sum(tree, jnp.concatenate([wrenches.force, wrenches.torque], 1)))
    force, torque = total[:, :3], total[:, 3:]
    return force, keep(apply_transposed(f.rotation, keep(torque - cross(f.place, force))))


def generalized_forces(tree: Tree, params: BodyParams, poses: Poses, wrenches: Wrenches, qacc: Array) -> Array:
    """Joint forces (nv, N) that balance the wrenches, rotor inertia (armature) included; N and N m."""
    f = poses.frames
    force, moment = _joint_wrenches(tree, f, wrenches)
    body_force = apply_transposed(f.rotation, force) if tree.moves else force
    tau = joints.project(tree, params, poses.at, body_force, moment, force)
    return tau + params.armature * qacc if tree.has_armature else tau


def joint_moments(tree: Tree, params: BodyParams, poses: Poses, wrenches: Wrenches) -> Array:
    """Moment (B, 3, N) N m of each subtree's wrench about the body's origin, in the body's axes.

    For a ball joint or hinges at the body's origin this is the joint torque without armature.
    """
    return _joint_wrenches(tree, poses.frames, wrenches)[1]


def com_acceleration(params: BodyParams, wrenches: Wrenches) -> Array:
    """Acceleration (3, N) m/s^2 of the centre of mass of all bodies: what the external force and gravity cause."""
    return jnp.sum(wrenches.force, 0) / jnp.sum(params.mass, 0) + params.gravity[0]


def mass_matrix_product(tree: Tree, params: BodyParams, poses: Poses, x: Array) -> Array:
    """Mass matrix, armature included, times ``x`` (nv, N)."""
    f = poses.frames
    angacc, linacc = _accelerations(tree, params, poses.at, f, None, None, x)
    return generalized_forces(tree, params, poses, _wrenches(params, f, None, angacc, linacc, None), x)


def inverse_dynamics(
    tree: Tree,
    params: BodyParams,
    qpos: Float[Array, "nq N"],
    qvel: Float[Array, "nv N"],
    qacc: Float[Array, "nv N"],
) -> Float[Array, "nv N"]:
    """Generalized forces (nv, N) of a motion: mass matrix times ``qacc`` plus Coriolis, centrifugal and gravity."""
    poses = kinematics.poses(tree, params, qpos)
    vel = kinematics.velocities(tree, params, poses, qvel)
    return generalized_forces(tree, params, poses, body_wrenches(tree, params, poses, vel, qvel, qacc), qacc)
