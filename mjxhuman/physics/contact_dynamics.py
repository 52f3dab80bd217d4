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


#: Metres above the centre of mass where the lines of the feet's forces meet in double support; between 0.1 and 0.4 m
#: the moments of hip, knee and ankle of a walk keep their correlation with inverse dynamics to 0.05.
MEETING = 0.2
#: Distance of the feet in metres, squared, below which they have no line between them along which to push.
FEET_TOGETHER = 0.05**2
#: Newton steps for that push: one is exact on level ground.
PUSH_STEPS = 3
#: Body weights that stand for nothing, so that quotients stay finite.
TINY = 1e-6


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


def force_price(distance: Float[Array, "P N"], speed_square: Float[Array, "P N"]) -> Float[Array, "P N"]:
    """Price of a unit of squared force at each point (see ``contact.solve``).

    It is least for a point at rest on the surface. A body that is deep inside the surface anywhere has no true support
    anywhere: its price rises for all points.
    """
    above = jnp.maximum(distance - REACH, 0.0) / FADE
    below = jnp.maximum(-jnp.min(distance, axis=0) - SINK, 0.0) / SINK_FADE
    speed = speed_square / (CREEP * CREEP)
    return contact.MIN_PRICE * (1.0 + SLIDING * speed / (SLIDING + speed)) + above * above + below * below


def bearing(touch: Touch, com: Float[Array, "3 N"]) -> Bearing:
    """What the points can bear by what they do at each frame."""
    square = across_square(touch.velocity, touch.cones.normal)
    price = force_price(touch.distance, square)
    return Bearing(touch.point - com, price, jnp.sqrt(square + 1e-12), *touch.cones)


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

    ``bears`` is by default the moment's own; ``opposed``: feet push against each other (``oppose_feet``).
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
    bears = bearing(touch, com) if bears is None else bears
    solution = contact.solve(force / weight, about_com / weight, bears.arm, bears.price, bears.cones)
    applied = (oppose_feet(anatomy, touch, solution.force, com, up) if opposed else solution.force) * weight
    loaded = _subtract(wrenches, anatomy, applied, touch.point, tree.nbody)
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


def oppose_feet(
    anatomy: Contacts,
    touch: Touch,
    force: Float[Array, "P 3 N"],
    com: Float[Array, "3 N"],
    up: Float[Array, "3 1"] | None,
) -> Float[Array, "P 3 N"]:
    """The same forces with the feet pushing against each other as people's do.

    Two opposite forces along the line between the feet's centres of pressure change neither the sum of the forces nor
    that of the moments, so motion does not tell them. Of all values that one is taken with which the lines of force of
    both feet, seen across the line between them, meet ``MEETING`` above the centre of mass: ground reactions of walking
    people pass near a point above it (Maus et al. 2010, Nature Communications 1:70), and to assume so improves what is
    predicted of walks, lunges and squats (Wagner et al. 2024, Frontiers in Bioengineering and Biotechnology 12). One
    foot alone pushes against nothing. Each foot's force stays inside its friction cone.
    """
    feet = [np.array([i for i, g in enumerate(anatomy.contact_groups) if g == side], int) for side in (0, 1)]
    if not all(len(f) for f in feet):
        return force
    loads = [along(force[f], up) for f in feet]
    load = [jnp.maximum(jnp.sum(x, 0), TINY) for x in loads]
    share = [x / total for x, total in zip(loads, load)]
    centre = [jnp.sum(s[:, None] * touch.point[f], 0) for s, f in zip(share, feet)]
    line = centre[0] - centre[1]
    rise = along(line, up)
    sums = [jnp.sum(force[f], 0) for f in feet]
    shear = [jnp.sum(x * line, 0) - along(x, up) * rise for x in sums]
    height = [jnp.maximum(along(com - c, up) + MEETING, contact.LENGTH) for c in centre]
    push = _push(load, shear, height, across_square(line, up), rise)
    change = push * line
    change = change * _room(jnp.stack(sums), jnp.stack([change, -change]), touch.cones.mean(feet, share))
    return force.at[np.concatenate(feet)].add(jnp.concatenate([share[0], -share[1]])[:, None] * change)


def _push(
    load: Sequence[Array], shear: Sequence[Array], height: Sequence[Array], flat: Array, rise: Array
) -> Float[Array, " N"]:
    """Share of the line between two feet by which they push each other for their lines of force to meet.

    The lines of forces with loads n and shears t along a horizontal distance d meet at heights h over their feet where
    d + h_0 t_0 / n_0 = h_1 t_1 / n_1. On level ground that is one linear equation, on a slope a quadratic one, because
    the push then changes the loads too: Newton's method.

    Args:
      load: body weights. shear: of the forces, times the horizontal distance. height: m. flat: its square, m^2.
      rise: m, of the first foot over the second.
    """
    push = jnp.zeros_like(flat)
    for _ in range(PUSH_STEPS):
        n0, n1 = load[0] + push * rise, load[1] - push * rise
        a0, a1 = height[0] * (shear[0] + push * flat), height[1] * (shear[1] - push * flat)
        level = height[0] * n1 + height[1] * n0
        slope = flat * level + rise * (flat * (n1 - n0) - a0 - a1)
        apart = flat * n0 * n1 + a0 * n1 - a1 * n0
        push = push - apart / (jnp.maximum(slope, 0.5 * flat * level) + FEET_TOGETHER * (load[0] + load[1]))
    return push


def _room(force: Float[Array, "P 3 N"], change: Float[Array, "P 3 N"], cones: contact.Cones) -> Float[Array, " N"]:
    """The largest share 0..1 of a change that keeps every one of some forces inside its cone."""
    n, mu2 = cones.normal, cones.friction * cones.friction
    normal, more = along(force, n), along(change, n)
    a = across_square(change, n) - mu2 * more * more
    b = jnp.sum(force * change, 1) - normal * more - mu2 * normal * more
    c = jnp.minimum(across_square(force, n) - mu2 * normal * normal, 0.0)
    share = (jnp.sqrt(b * b - a * c + TINY * TINY) - b) / jnp.maximum(a, TINY)
    return jnp.min(jnp.where(a > TINY, jnp.clip(share, 0.0, 1.0), 1.0), 0)


def external_support(s: Support) -> Float[Array, " N"]:
    """Share 0..1 of body weight that must be held up where no surface is: a chair, a step, a hand.

    Force against gravity that no contact gives, plus the force that at ``contact.LENGTH`` from the centre of mass would
    make up for the tilting moment that no contact gives.
    """
    tilt = jnp.sqrt(across_square(s.residual_moment, s.up) + 1e-12) / contact.LENGTH
    return jnp.clip((jnp.maximum(along(s.residual_force, s.up), 0.0) + tilt) / s.weight, 0.0, 1.0)


def _subtract(
    wrenches: dynamics.Wrenches, anatomy: Contacts, force: Array, point: Array, nbody: int
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
