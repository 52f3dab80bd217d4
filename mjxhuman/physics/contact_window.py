"""Contact as smoothed motion sees it: where, how easily and how fast each point could bear while a window passed.

An acceleration fitted over a window is the mean of the accelerations inside it, and so is the wrench that it needs
(``timeseries.smooth``). A foot that lands in the middle of the window has borne for half of it only: its force in that
mean is a mean too, of forces that act where the foot then stood. So smoothed motion is explained by smoothed contact.
What a point may push per unit of price, its conductance 1 / price, is averaged with the kernel of the acceleration; its
arm about the centre of mass and its sliding speed are averaged with their conductance as weight, which leaves out the
times at which the point was in the air.

Sliding is measured from one side: the lesser of the speeds over the past and the coming ``STEP``. A foot that lands or
leaves is at rest on one side of that moment; one that slides moves on both.
"""

from __future__ import annotations

import functools
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from mjxhuman.math import timeseries
from mjxhuman.physics import kinematics
from mjxhuman.physics.anatomy import ContactParams, Contacts, make_contacts
from mjxhuman.physics.arrays import across_square, keep
from mjxhuman.physics.batching import CPU_OPTIONS, map_frames
from mjxhuman.physics.contact_points import Bearing, body_kinematics, contact_points, force_price
from mjxhuman.physics.motion import flat_frames, humanoid_tree
from mjxhuman.physics.tree import BodyParams, Tree
from mjxhuman.physics.windows import apart, over_windows
from mjxhuman.runs.traced import TracedProgram
from mjxhuman.scenes.surface import FRICTION, Surface
from mjxhuman.types import Array, Motion

#: Seconds over which a sliding speed is measured on either side; the next frame where frames are farther apart. Half
#: the regression's reach: a stance as short as its window then has a side at rest at every moment.
STEP = 0.05
#: Which points yield when pressed (``force_price``).
Flesh: TypeAlias = tuple[bool, ...] | None


class Trace(NamedTuple):
    """Candidate spheres at single frames, before their windows are looked at."""

    centre: Float[Array, "P 3 N"]  # m, world
    roll: Float[Array, "P 3 N"]  # m/s, velocity of the nearest point relative to the centre
    distance: Float[Array, "P N"]  # m
    com: Float[Array, "3 N"]  # m, the body's centre of mass
    normal: Float[Array, "P 3 N"] | None  # out of the surface; None: +z
    friction: Float[Array, "P N"] | None  # None: ``FRICTION``


def trace(
    tree: Tree,
    contacts: Contacts,
    params: BodyParams,
    numbers: ContactParams,
    surface: Surface,
    qpos: Float[Array, "nq N"],
    qvel: Float[Array, "nv N"],
) -> Trace:
    """Spheres of independent frames."""
    state = body_kinematics(tree, params, qpos, qvel)
    touch = contact_points(state, contacts, numbers, surface)
    normal, friction = touch.cones.normal, touch.cones.friction
    constant = isinstance(friction, float) and friction == FRICTION
    return Trace(
        centre=touch.point + _radius(numbers.point_radius, normal),
        roll=touch.roll,
        distance=touch.distance,
        com=kinematics.centre_of_mass(tree, params, state.poses),
        normal=normal,
        friction=None if constant else jnp.broadcast_to(friction, touch.distance.shape),
    )


def _radius(radius: Array, normal: Array | None) -> Array:
    """From the nearest points to the centres of their spheres, m."""
    return radius[:, None] * (np.array([0.0, 0.0, 1.0])[:, None] if normal is None else normal)


def smoothed(
    traced: Trace, radius: Array, valid: Bool[Array, " T"], dt: Array, reach: int, flesh: Flesh = None
) -> Bearing:
    """What the points of one clip, frames last, bear in the mean of the window of ``reach`` frames about each frame."""
    sides = timeseries.one_sided(traced.centre, valid, dt, radius=reach, step=STEP)
    squares = (jnp.where(known, across_square(v + traced.roll, traced.normal), jnp.inf) for v, known in sides)
    square = jnp.minimum(*squares)
    square = jnp.where(jnp.isfinite(square), square, 0.0)  # no frame on either side
    now = 1.0 / force_price(traced.distance, square, flesh)
    arm = traced.centre - _radius(radius, traced.normal) - traced.com
    parts = [jnp.ones_like(now), *(arm[:, k] for k in range(3)), jnp.sqrt(square + 1e-12)]
    if traced.normal is not None:
        parts += [traced.normal[:, k] for k in range(3)]
    if traced.friction is not None:
        parts.append(traced.friction)
    mean, *parts = timeseries.smooth(keep(jnp.stack(parts) * now), valid, dt, radius=reach)
    x, y, z, slip, *parts = (part / mean for part in parts)
    normal = None
    if traced.normal is not None:
        normal = jnp.stack(parts[:3], 1)
        normal = normal * jax.lax.rsqrt(jnp.sum(normal * normal, 1, keepdims=True) + 1e-20)
    friction = None if traced.friction is None else parts[-1]
    return Bearing(jnp.stack([x, y, z], 1), 1.0 / mean, slip, normal, friction)


def _smoothed(reach: int, flesh: Flesh, traced: Trace, radius: Array, valid: Array, dt: Array) -> Bearing:
    """``smoothed`` with the frame axis first, as the host keeps it."""
    last = jax.tree.map(lambda x: jnp.moveaxis(x, 0, -1), traced)
    return jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), smoothed(last, radius, valid, dt, reach, flesh))


_smoothed_program = TracedProgram(_smoothed, 2, CPU_OPTIONS)


def window_bearing(motion: Motion, surface: Surface, furniture: bool = False) -> Bearing:
    """What the points bear in the window about every frame of a motion ``(*b, T)``, frames flat and last.

    Frames that are not valid take no part in any window. Motion and numbers of the surface may be traced.
    ``furniture``: of the points that rest on furniture too.
    """
    dtype = np.dtype(motion.qpos.dtype)
    tree, params = humanoid_tree(motion.humanoid, dtype)
    contacts, numbers = make_contacts(motion.humanoid, dtype, furniture)
    constants, follow = (params, numbers, surface), functools.partial(trace, tree, contacts)
    reach = timeseries.window_radius(motion.dt)
    arrays = (motion.qpos, motion.qvel)
    if any(isinstance(x, jax.core.Tracer) for x in (*arrays, motion.valid, *jax.tree.leaves(surface))):
        traced = follow(*constants, *(flat_frames(x) for x in arrays))
        index, valid = apart(motion.valid.shape, reach)
        spread = jax.tree.map(lambda x: x[..., index], traced)
        known = jnp.asarray(motion.valid).reshape(-1)[index] & valid
        found = smoothed(spread, numbers.point_radius, known, jnp.asarray(motion.dt, dtype), reach, contacts.flesh)
        return jax.tree.map(lambda x: x[..., np.flatnonzero(valid)], found)
    traced = map_frames(follow, constants, tuple(flat_frames(np.asarray(x)) for x in arrays))
    step = np.asarray(motion.dt, dtype)
    found = over_windows(
        lambda part, known: _smoothed_program(reach, contacts.flesh, part, numbers.point_radius, known, step),
        jax.tree.map(lambda x: np.moveaxis(x, -1, 0), traced), np.asarray(motion.valid), reach,
    )  # fmt: skip
    return jax.tree.map(lambda x: np.moveaxis(x, 0, -1), found)
