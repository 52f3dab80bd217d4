"""Contact-consistent inverse dynamics: what carries the body, what its joints do, and what nothing explains.

Frames on the last axis. Inverse dynamics gives the external wrench a motion needs; ``contact.solve`` distributes it to
points of the body near a surface (``mjxhuman.scenes``); the joint torques follow with those forces applied, and the
residual is what the motion asks of a hand from nowhere. The level floor and gravity along -z are structure, not
numbers: for them normals, and the direction that is up, are None and the program has no arithmetic with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mjxhuman.physics import contact, dynamics, kinematics
from mjxhuman.physics.anatomy import ContactParams, Contacts
from mjxhuman.physics.arrays import across_square, along, apply, apply_transposed, cross, take_rows
from mjxhuman.physics.load_sharing import oppose_feet, spare_effort
from mjxhuman.physics.tree import BodyParams, Tree
from mjxhuman.scenes.surface import FRICTION, Surface, is_upright
from mjxhuman.types import Array

#: Distance in metres up to which a point of the body counts as touching: soft tissue and soles deform by 1-2 cm, and
#: optical mocap places the foot to about 1 cm.
REACH = 0.02
#: Metres beyond ``REACH`` at which the price of a unit force, squared, equals that of a residual as large.
FADE = 0.01
#: Depth in metres up to which the body may enter the surface, for the same reasons; beyond it support fades too.
SINK, SINK_FADE = 0.025, 0.02
#: Sliding speed in m/s that doubles the price of a force: a point at rest carries the load where either would do.
CREEP = 0.1
#: Most that sliding can multiply the price by: a body that slides on all it stands on still stands.
SLIDING = 50.0
#: On furniture, price of friction over that of pressure: those who rest do not push a seat back with their feet unless
#: they must. Ten leaves 3 % of the shear of a foot as residual, where ``contact.MIN_PRICE`` leaves 0.3 % of its load.
SHEAR = 10.0
#: Least share by which flesh counts as pressed: what ``FADE`` makes of the price then matters more.
LEAST_PRESSED = 0.05


class BodyKinematics(NamedTuple):
    """Kinematics of one block of frames, world axes."""

    poses: kinematics.Poses
    angvel: Float[Array, "B 3 N"]  # rad/s
    linvel: Float[Array, "B 3 N"]  # m/s
    frames: kinematics.Frames


class Touch(NamedTuple):
    """Of every candidate sphere the point nearest to the surface, and the surface there."""

    point: Float[Array, "P 3 N"]  # m, world
    velocity: Float[Array, "P 3 N"]  # m/s
    roll: Float[Array, "P 3 N"]  # m/s, of it the part by which the point moves and the sphere's centre does not
    distance: Float[Array, "P N"]  # m, negative inside the surface
    cones: contact.Cones  # where the surface can push


class Bearing(NamedTuple):
    """What every point can bear: at one moment (``bearing``) or in the mean of a window (``contact_window``)."""

    arm: Float[Array, "P 3 N"]  # m, from the centre of mass
    price: Float[Array, "P N"]  # of a unit of squared force
    slip: Float[Array, "P N"]  # m/s along the surface
    normal: Float[Array, "P 3 N"] | None  # out of the surface; None: +z
    friction: Float[Array, "..."] | float | None  # None: ``FRICTION``

    @property
    def cones(self) -> contact.Cones:
        """Where the points may push."""
        return contact.Cones(self.normal, FRICTION if self.friction is None else self.friction)


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


def body_kinematics(
    tree: Tree, params: BodyParams, qpos: Float[Array, "nq N"], qvel: Float[Array, "nv N"]
) -> BodyKinematics:
    """Poses and velocities of all bodies."""
    poses = kinematics.poses(tree, params, qpos)
    angvel, linvel = kinematics.velocities(tree, params, poses, qvel)
    return BodyKinematics(poses, angvel, linvel, poses.frames)


def contact_points(state: BodyKinematics, anatomy: Contacts, numbers: ContactParams, surface: Surface) -> Touch:
    """Where every candidate sphere is nearest to the surface."""
    bodies = anatomy.contact_bodies
    origin = take_rows(state.poses.pos, bodies)
    arm = centre = apply(take_rows(state.frames.rotation, bodies), numbers.point_offset)
    if is_upright(surface):
        arm = arm + jnp.zeros_like(arm).at[:, 2].add(-numbers.point_radius)
        found = surface.nearest(origin + arm, 1)
        distance, normal = found.distance, None
    else:
        found = surface.nearest(origin + arm, 1)
        distance, normal = found.distance - numbers.point_radius, found.normal
        arm = arm - numbers.point_radius[:, None] * normal
    angvel = take_rows(state.angvel, bodies)
    velocity = take_rows(state.linvel, bodies) + cross(angvel, arm)
    return Touch(origin + arm, velocity, cross(angvel, arm - centre), distance, contact.Cones(normal, found.friction))


def force_price(
    distance: Float[Array, "P N"], speed_square: Float[Array, "P N"], flesh: Sequence[bool] | None = None
) -> Float[Array, "P N"]:
    """Price of a unit of squared force at each point (see ``contact.solve``).

    It is least for a point at rest on the surface. A body that is deep inside the surface anywhere has no true support
    anywhere: its price rises for all points. ``flesh``: points that yield, which bear the less the less they are
    pressed, as a soft sphere against a plate (Hertz: the power 3/2 of how far); ``distance`` is then that of flesh
    under load, as contact points have it, and it is free where it is ``REACH`` away.
    """
    above = jnp.maximum(distance - REACH, 0.0) / FADE
    below = jnp.maximum(-jnp.min(distance, axis=0) - SINK, 0.0) / SINK_FADE
    speed = speed_square / (CREEP * CREEP)
    price = contact.MIN_PRICE * (1.0 + SLIDING * speed / (SLIDING + speed)) + above * above + below * below
    if flesh is None:
        return price
    pressed = jnp.clip((REACH - distance) / REACH, LEAST_PRESSED, 1.0)
    return price + contact.MIN_PRICE * np.array(flesh)[:, None] * (pressed**-1.5 - 1.0)


def bearing(touch: Touch, com: Float[Array, "3 N"], flesh: Sequence[bool] | None = None) -> Bearing:
    """What the points can bear by what they do at each frame."""
    square = across_square(touch.velocity, touch.cones.normal)
    price = force_price(touch.distance, square, flesh)
    return Bearing(touch.point - com, price, jnp.sqrt(square + 1e-12), touch.cones.normal, touch.cones.friction)


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
