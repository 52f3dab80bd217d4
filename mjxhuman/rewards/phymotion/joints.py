"""The joint-position part ("v1") of the published PhyMotion reward, bug for bug: its kinematic axis, and the contact
and dynamic axes of its older score ``overall``.

After ``astrolabe/scorers/video/smpl_feasibility.py`` (class ``SMPLPhysicsChecker``) of the repository
h6kplus/PhyMotion, commit 78f9544. Joints are SMPL's 24 body origins in SMPL order. Arrays: components first, time last,
see ``time``. What the formulas get wrong is kept: limb lengths of a rigid skeleton stand for joint limits,
linear accelerations for torques, the mean of all joints for the centre of mass, the left foot for both feet.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from mjxhuman.rewards.phymotion.time import (
    Clip,
    Runs,
    find_runs,
    following,
    forward_step,
    gradient,
    mean,
    norm,
    previous,
    run_total,
    total,
)

LIMBS = ((16, 18), (18, 20), (1, 4), (4, 7))  # upper arm, forearm, thigh, shank: left side only
MAX_JOINT_SPEED = 5.0  # m/s
JITTER_BASELINE, JITTER_RANGE = 4.5, 90.0  # m/s^2
COLLISION_BASELINE, COLLISION_RANGE = 2.0, 18.0  # percent of mesh triangles
CONTACT_HEIGHT, CONTACT_SPEED = 0.02, 0.05  # m, m/s
MAX_FRICTION_PROXY = 0.05
MASS, GRAVITY = 70.0, 9.81  # kg, m/s^2
MAX_VERTICAL, MAX_HORIZONTAL = 3.0, 0.5  # body weights
WORK_RANGE = 10000.0  # J
BALANCE_RANGE = 0.5  # m
NO_SUPPORT = 1.0  # m, distance that stands for a frame without contact
PELVIS_WEIGHT = 3.0
SUPPORT_JOINTS = (7, 10)  # left ankle and left toe; 10 was meant to be the right ankle
ROOT_STILL, FOOT_STILL = 1e-3, 1.2e-4  # m per frame
RATIO_LOW, RATIO_HIGH = 0.6, 1.75  # speed of a foot relative to the root, by the root's speed
MIN_FLOAT_RUN = 4  # frames


class Kinematic(NamedTuple):
    """Kinematic axis and what it is made of."""

    score: Array  # (*b) 0..1
    limb_length: Array  # (*b) 0..1, variation of limb lengths
    velocity: Array  # (*b) fraction of frames with a joint above 5 m/s
    jitter: Array  # (*b) 0..1
    self_collision: Array  # (*b) 0..1
    jitter_acceleration: Array  # (*b) m/s^2, world plus root-relative
    max_speed: Array  # (*b, T) m/s, fastest joint
    max_acceleration: Array  # (*b, T) m/s^2; has no influence


class ContactV1(NamedTuple):
    """Older contact axis."""

    score: Array  # (*b)
    slip: Array  # (*b) m per frame and foot
    penetration: Array  # (*b) m
    friction: Array  # (*b) fraction of frames
    floating: Array  # (*b) 0..1
    contact: Array  # (2, *b, T) bool, left and right foot
    foot_slip: Array  # (2, *b, T) m
    foot_penetration: Array  # (2, *b, T) m
    friction_proxy: Array  # (*b, T)


class DynamicV1(NamedTuple):
    """Older dynamic axis."""

    score: Array  # (*b)
    torque: Array  # (*b) mean over joints of the fraction of frames
    grf_vertical: Array  # (*b) fraction of frames
    grf_horizontal: Array  # (*b) fraction of frames
    balance: Array  # (*b) 0..1
    work: Array  # (*b) J
    com: Array  # (3, *b, T) m
    grf: Array  # (3, *b, T) N
    support_distance: Array  # (*b, T) m


def kinematic(joints: Array, clip: Clip, collision_percent: float | Array = 0.0) -> Kinematic:
    """Kinematic axis of ``joints`` (24, 3, *b, T).

    ``collision_percent`` is the mean percentage of mesh triangles that intersect; 0 for a motion without a mesh.
    """
    spread = []
    for a, b in LIMBS:
        length = norm(joints[b] - joints[a], axis=0)
        average = mean(length, clip)
        deviation = jnp.sqrt(mean(jnp.square(length - average[..., None]), clip))
        spread.append(jnp.minimum(10.0 * deviation / (average + 1e-6), 1.0))
    limb_length = jnp.mean(jnp.stack(spread), axis=0)

    velocities = gradient(joints, clip)
    max_speed = jnp.max(norm(velocities, axis=1), axis=0)
    max_acceleration = jnp.max(norm(gradient(velocities, clip), axis=1), axis=0)
    velocity = mean(max_speed > MAX_JOINT_SPEED, clip)

    acceleration = _jitter(joints, clip) + _jitter(joints - joints[:1], clip)
    jitter = jnp.clip((acceleration - JITTER_BASELINE) / JITTER_RANGE, 0.0, 1.0)
    collision = jnp.clip(
        (jnp.asarray(collision_percent, joints.dtype) - COLLISION_BASELINE) / COLLISION_RANGE, 0.0, 1.0
    )
    score = jnp.clip(1.0 - (limb_length + velocity + jitter + collision) / 4.0, 0.0, 1.0)
    collision = jnp.broadcast_to(collision, score.shape)
    return Kinematic(score, limb_length, velocity, jitter, collision, acceleration, max_speed, max_acceleration)


def _jitter(points: Array, clip: Clip) -> Array:
    """Mean norm of the second differences of (J, 3, *b, T) in m/s^2; 0 for clips of two frames."""
    second = ((following(points) - points) - (points - previous(points))) * jnp.square(clip.rate)
    inner = clip.valid & ~clip.first & ~clip.last
    norms = jnp.sum(norm(second, axis=1), axis=0)
    return jnp.sum(jnp.where(inner, norms, 0.0), axis=-1) / (jnp.maximum(clip.length - 2, 1) * points.shape[0])


def contact(joints: Array, soles: Array, clip: Clip) -> ContactV1:
    """Contact axis of ``joints`` (24, 3, *b, T) and the sole points of the left and right foot, (2, P, 3, *b, T)."""
    feet = jnp.mean(soles, axis=1)  # (2, 3, *b, T)
    lowest = jnp.min(soles[:, :, 2], axis=1)  # (2, *b, T)
    speed = norm(gradient(feet, clip), axis=1)
    touching = clip.valid & (lowest < CONTACT_HEIGHT) & ~(speed > CONTACT_SPEED)
    slip = jnp.where(touching, speed / clip.rate, 0.0)
    penetration = jnp.maximum(-lowest, 0.0)
    count = jnp.sum(touching, axis=0)
    friction_proxy = jnp.where(count > 0, jnp.sum(slip, axis=0) / (0.01 + count), 0.0)

    mean_slip = jnp.mean(mean(slip, clip), axis=0)
    mean_penetration = jnp.mean(mean(penetration, clip), axis=0)
    friction = mean(friction_proxy > MAX_FRICTION_PROXY, clip)
    floating = _floating(joints[0], feet, touching, clip)
    score = jnp.maximum(1.0 - (mean_slip + mean_penetration + friction + floating) / 4.0, 0.0)
    return ContactV1(
        score, mean_slip, mean_penetration, friction, floating, touching, slip, penetration, friction_proxy
    )


def _floating(root: Array, feet: Array, touching: Array, clip: Clip) -> Array:
    """Foot floating in 0..1, after MBench: root (3, *b, T), feet (2, 3, *b, T), touching (2, *b, T) -> (*b)."""
    root_step = norm(forward_step(root, clip), axis=0)
    foot_step = norm(forward_step(feet, clip), axis=1)
    relative_step = norm(forward_step(feet - root, clip), axis=1)
    ratio = relative_step / (root_step + 1e-6)

    # frames: a foot in contact moves against the root at an implausible ratio; with two feet down both must
    odd = ((ratio < RATIO_LOW) | ((ratio > RATIO_HIGH) & (root_step > FOOT_STILL))) & (foot_step > FOOT_STILL)
    both = touching[0] & touching[1]
    flagged = jnp.where(both, odd[0] & odd[1], (touching[0] & odd[0]) | (touching[1] & odd[1]))
    bad_frames = total(flagged & (root_step >= ROOT_STILL), clip)

    # stretches without contact in which a foot hardly moves against the moving root
    flying = ~jnp.any(touching, axis=0)
    runs = find_runs(clip.valid & jnp.concatenate([~touching, flying[None]]))
    air, flight = (Runs(*(x[rows] for x in runs)) for rows in (slice(0, 2), 2))
    still = run_total(root_step < ROOT_STILL, air)
    counts = air.flag & (air.length >= MIN_FLOAT_RUN) & (still <= 0.5 * air.length)
    drift_frames = jnp.sum(total(counts & (ratio < RATIO_LOW - 0.2), clip), axis=0)

    bad = bad_frames + 0.5 * drift_frames + _wobbling_frames(feet[0], flight, clip)
    score = jnp.minimum(bad / clip.length, 1.0)
    never = jnp.all(flying | ~clip.valid, axis=-1)
    return jnp.where(clip.length < MIN_FLOAT_RUN, 0.0, jnp.where(never, 1.0, score))


def _wobbling_frames(foot: Array, flight: Runs, clip: Clip) -> Array:
    """Frames (*b) of flights in which the direction from the take-off to the left foot (3, *b, T) has over 2 peaks."""

    def at(index: Array) -> Array:
        return jnp.take_along_axis(foot, jnp.broadcast_to(index, foot.shape), axis=-1)

    start = at(flight.start)
    chord, path = at(flight.end) - start, foot - start
    size = norm(chord, axis=0)
    cosine = jnp.sum(path * chord, axis=0) / (norm(path, axis=0) * size + 1e-8)
    angle = jnp.degrees(jnp.abs(jnp.arccos(jnp.clip(cosine, -1.0, 1.0))))

    # a peak ends where the angle falls and its last change before was a rise, inside the same flight
    index = jnp.arange(foot.shape[-1])
    change = angle - previous(angle)
    inside = flight.flag & (index >= flight.start + 2)
    mark = jnp.where(inside & (change != 0), 2 * index + (change > 0), -1)
    last_mark = previous(lax.cummax(mark, axis=mark.ndim - 1))
    peak = inside & (change < 0) & (last_mark >= 2 * (flight.start + 2)) & (last_mark % 2 == 1)
    wobbles = flight.flag & (flight.length >= MIN_FLOAT_RUN) & ~(size < 1e-8) & (run_total(peak, flight) > 2)
    return total(wobbles, clip)


def dynamic(joints: Array, touching: Array, clip: Clip) -> DynamicV1:
    """Dynamic axis of ``joints`` (24, 3, *b, T) and the feet's contact flags (2, *b, T)."""
    weight = np.ones(joints.shape[0])
    weight[0] = PELVIS_WEIGHT
    weight = jnp.asarray(weight / weight.sum(), joints.dtype).reshape(-1, *(1,) * (joints.ndim - 1))
    com = jnp.sum(weight * joints, axis=0)
    force = MASS * gradient(gradient(com, clip), clip)
    force = jnp.concatenate([force[:2], jnp.maximum(force[2:] + MASS * GRAVITY, 0.0)])
    vertical = mean(force[2] > MAX_VERTICAL * MASS * GRAVITY, clip)
    horizontal = mean(norm(force[:2], axis=0) > MAX_HORIZONTAL * MASS * GRAVITY, clip)

    velocities = gradient(joints, clip)
    torques = norm(gradient(velocities, clip), axis=1)  # N m, as if every joint moved 1 kg m
    limit = np.full(joints.shape[0], 200.0)
    limit[3:6], limit[6:9] = 300.0, 400.0
    over = torques > jnp.asarray(limit, joints.dtype).reshape(-1, *(1,) * (torques.ndim - 1))
    torque = jnp.mean(mean(over, clip), axis=0)
    work = total(jnp.sum(torques * norm(velocities, axis=1), axis=0), clip) / clip.rate

    # two feet down: the distance to the first point, not to the segment
    distance = [norm(com[:2] - joints[j, :2], axis=0) for j in SUPPORT_JOINTS]
    support = jnp.where(touching[0], distance[0], jnp.where(touching[1], distance[1], NO_SUPPORT))
    balance = mean(jnp.clip(support, 0.0, BALANCE_RANGE) / BALANCE_RANGE, clip)
    parts = (1 - torque) + (1 - 0.5 * (vertical + horizontal)) + (1 - balance) + jnp.maximum(1 - work / WORK_RANGE, 0)
    score = jnp.clip(parts / 4.0, 0.0, 1.0)
    return DynamicV1(score, torque, vertical, horizontal, balance, work, com, force, support)
