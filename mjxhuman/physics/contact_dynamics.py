"""Contact-consistent inverse dynamics: what carries the body, what its joints do, and what nothing explains.

Frames on the last axis. Inverse dynamics gives the external wrench a motion needs; ``contact.solve`` distributes it to
points of the body near a surface (``mjxhuman.scenes``); the joint torques follow with those forces applied, and the
residual is what the motion asks of a hand from nowhere. The level floor and gravity along -z are structure, not
numbers: for them normals, and the direction that is up, are None and the program has no arithmetic with them.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from mjxhuman.physics import contact, dynamics, kinematics
from mjxhuman.physics.anatomy import ContactParams, Contacts
from mjxhuman.physics.arrays import across_square, along, apply_transposed, cross, take_rows
from mjxhuman.physics.contact_points import Bearing, BodyKinematics, Touch, bearing, contact_points
from mjxhuman.physics.load_sharing import oppose_feet, spare_effort
from mjxhuman.physics.tree import BodyParams, Tree
from mjxhuman.scenes.surface import Surface
from mjxhuman.types import Array

#: On furniture, price of friction over that of pressure: those who rest do not push a seat back with their feet unless
#: they must. Ten leaves 3 % of the shear of a foot as residual, where ``contact.MIN_PRICE`` leaves 0.3 % of its load.
SHEAR = 10.0


class Support(NamedTuple):
    """Contact-consistent dynamics of one block of frames."""

    required_force: Float[Array, "3 N"]  # N, world: external force the motion needs
    required_torque: Float[Array, "3 N"]  # N m about the root's origin
    force: Float[Array, "P 3 N"]  # N, contact forces
    touch: Touch
    bearing: Bearing
    residual_force: Float[Array, "3 N"]  # N
    residual_moment: Float[Array, "3 N"]  # N m about the centre of mass
    joint_moment: Float[Array, "B 3 N"]  # N m, body axes
    joint_force: Float[Array, "nv N"]  # N and N m, the same in the joints' own coordinates, rotor inertia included
    joint_speed: Float[Array, "B 3 N"]  # rad/s, relative to the parent, body axes
    com: Float[Array, "3 N"]  # m
    com_acc: Float[Array, "3 N"]  # m/s^2
    weight: Float[Array, ""]  # N, body weight
    up: Float[Array, "3 1"] | None  # unit vector against gravity; None: +z

    @property
    def load(self) -> Float[Array, "P N"]:
        """Part of each contact force along the surface's normal, N."""
        return along(self.force, self.bearing.normal)


def support(
    tree: Tree,
    params: BodyParams,
    anatomy: Contacts,
    numbers: ContactParams,
    surface: Surface,
    state: BodyKinematics,
    qvel: Float[Array, "nv N"],
    qacc: Float[Array, "nv N"],
    bears: Bearing | None = None,
    opposed: bool = True,
) -> Support:
    """Contact forces, joint moments with them applied, and the residual.

    ``bears`` is by default the moment's own; ``opposed``: feet push against each other (``oppose_feet``). On furniture
    they share the load with the rest of the body (``spare_effort``).
    """
    wrenches = dynamics.body_wrenches(tree, params, state.poses, (state.angvel, state.linvel), qvel, qacc)
    force, torque = jnp.sum(wrenches.force, 0), jnp.sum(wrenches.torque, 0)
    com = kinematics.centre_of_mass(tree, params, state.poses)
    mass = jnp.sum(params.mass)
    gravity = jnp.sqrt(jnp.sum(params.gravity**2))
    weight = mass * gravity
    up = None if tree.upright else -params.gravity[0] / gravity
    touch = contact_points(state, anatomy, numbers, surface)
    about_com = torque - cross((com - wrenches.origin)[None], force[None])[0]
    bears = bearing(touch, com, anatomy.flesh) if bears is None else bears
    cones = bears.cones._replace(shear=SHEAR) if anatomy.furniture else bears.cones
    solution = contact.solve(force / weight, about_com / weight, bears.arm, bears.price, cones)
    shared = oppose_feet(anatomy, touch, solution.force, com, up) if opposed else solution.force
    if anatomy.furniture:
        shared = spare_effort(tree, params, anatomy, state, wrenches, touch, bears, shared, weight)
    applied = shared * weight
    loaded = dynamics.less_forces(wrenches, anatomy.contact_bodies, applied, touch.point)
    rotation = state.frames.rotation
    relative = state.angvel - take_rows(state.angvel, tree.parents)
    return Support(
        required_force=force,
        required_torque=torque,
        force=applied,
        touch=touch,
        bearing=bears,
        residual_force=solution.residual_force * weight,
        residual_moment=solution.residual_moment * weight,
        joint_moment=dynamics.joint_moments(tree, params, state.poses, loaded),
        joint_force=dynamics.generalized_forces(tree, params, state.poses, loaded, qacc),
        joint_speed=apply_transposed(rotation, relative),
        com=com,
        com_acc=force / mass + params.gravity[0],
        weight=weight,
        up=up,
    )


def external_support(s: Support) -> Float[Array, " N"]:
    """Share 0..1 of body weight that must be held up where no surface is: a chair, a step, a hand.

    Force against gravity that no contact gives, plus the force that at ``contact.LENGTH`` from the centre of mass would
    make up for the tilting moment that no contact gives.
    """
    tilt = jnp.sqrt(across_square(s.residual_moment, s.up) + 1e-12) / contact.LENGTH
    return jnp.clip((jnp.maximum(along(s.residual_force, s.up), 0.0) + tilt) / s.weight, 0.0, 1.0)
