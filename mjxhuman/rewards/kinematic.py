"""Kinematic terms: how fast joints turn, how far they turn, and whether the body runs through itself.

Pure functions of one block of frames, frames on the last axis; each returns a non-negative error per frame.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Float

from mjxhuman.math import clinical, rotation
from mjxhuman.physics.anatomy import Anatomy, AnatomyParams
from mjxhuman.physics.arrays import apply, take_rows
from mjxhuman.physics.contact_points import BodyKinematics
from mjxhuman.types import Array


def joint_speed(relative: Float[Array, "B 3 N"], numbers: AnatomyParams) -> Float[Array, " N"]:
    """Angular speed beyond the humanly possible, summed over joints, in units of each joint's limit.

    ``relative``, rad/s: angular velocity of each body relative to its parent. Root (body 1) excluded.
    """
    speed = jnp.sqrt(jnp.sum(relative * relative, 1) + 1e-12) / numbers.speed_limit
    return jnp.sum(jnp.maximum(speed[2:] - 1.0, 0.0), 0)


def clinical_angles(state: BodyKinematics, anatomy: Anatomy, numbers: AnatomyParams) -> Float[Array, "K 3 N"]:
    """Angles in rad of every clinical joint, each in the joint's own decomposition."""
    proximal = take_rows(state.poses.quat, anatomy.proximal)
    distal = take_rows(state.poses.quat, anatomy.distal)
    turn = rotation.multiply(rotation.conjugate(proximal, 1), distal, 1)
    if anatomy.turned:
        # q_smpl = q_body * frame^-1 for world rotations, so a relative one is conjugated by the frame
        frame = jnp.broadcast_to(numbers.smpl_frame[None], turn.shape)
        turn = rotation.multiply(rotation.multiply(frame, turn, 1), rotation.conjugate(frame, 1), 1)
    angles: dict[int, Array] = {}
    for order in sorted(set(anatomy.orders)):
        index = tuple(k for k, o in enumerate(anatomy.orders) if o == order)
        for k, row in zip(index, clinical.clinical_angles(order, take_rows(turn, index), 1), strict=True):
            angles[k] = row
    return jnp.stack([angles[k] for k in range(len(anatomy.orders))])


def joint_limit(angles: Float[Array, "K 3 N"], numbers: AnatomyParams, tolerance: float) -> Float[Array, " N"]:
    """Radians beyond the anatomical range and ``tolerance``, summed over all clinical angles."""
    outside = jnp.maximum(numbers.range_low - angles, angles - numbers.range_high)
    return jnp.sum(jnp.maximum(outside - tolerance, 0.0), (0, 1))


def self_penetration(
    state: BodyKinematics, anatomy: Anatomy, numbers: AnatomyParams, tolerance: float
) -> Float[Array, " N"]:
    """Metres by which capsules overlap beyond rest pose and ``tolerance``, summed over pairs."""
    rotation = take_rows(state.frames.rotation, anatomy.capsule_bodies)
    origin = take_rows(state.poses.pos, anatomy.capsule_bodies)
    start = origin + apply(rotation, numbers.capsule_ends[0])
    along = apply(rotation, numbers.capsule_ends[1] - numbers.capsule_ends[0])
    first = tuple(a for a, _ in anatomy.pairs)
    second = tuple(b for _, b in anatomy.pairs)
    gap = segment_distance(
        take_rows(start, first), take_rows(along, first), take_rows(start, second), take_rows(along, second)
    )
    radius = take_rows(numbers.capsule_radius, first) + take_rows(numbers.capsule_radius, second)
    return jnp.sum(jnp.maximum(radius - gap - numbers.pair_overlap - tolerance, 0.0), 0)


def segment_distance(
    p: Float[Array, "Q 3 N"], u: Float[Array, "Q 3 N"], q: Float[Array, "Q 3 N"], v: Float[Array, "Q 3 N"]
) -> Float[Array, "Q N"]:
    """Distance between segments p + s u and q + t v, s and t in [0, 1].

    Clamped closest points as in Ericson, Real-Time Collision Detection (2005), section 5.1.9; zero-length segments
    are points.
    """
    w = p - q
    a, e = jnp.sum(u * u, 1) + 1e-9, jnp.sum(v * v, 1) + 1e-9
    b, c, f = jnp.sum(u * v, 1), jnp.sum(u * w, 1), jnp.sum(v * w, 1)
    s = jnp.clip((b * f - c * e) / jnp.maximum(a * e - b * b, 1e-9), 0.0, 1.0)
    t = jnp.clip((b * s + f) / e, 0.0, 1.0)
    s = jnp.clip((b * t - c) / a, 0.0, 1.0)
    apart = w + u * s[:, None] - v * t[:, None]
    return jnp.sqrt(jnp.sum(apart * apart, 1) + 1e-12)
