"""Where a body may touch what carries it, and what each place can bear. Frames on the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mjxhuman.physics import contact, kinematics
from mjxhuman.physics.anatomy import ContactParams, Contacts
from mjxhuman.physics.arrays import across_square, apply, cross, take_rows
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
