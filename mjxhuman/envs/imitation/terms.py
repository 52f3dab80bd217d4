"""Observation, reward and termination terms of tracking tasks: plain functions of one ``Moment``, in tables by name.

``OBSERVATIONS`` return ``(*b, n)``, ``REWARDS`` ``(*b)`` (their weight lives in the configuration), ``TERMINATIONS``
``(*b)`` bool. Keyword parameters can be set in the configuration (``envs.terms``). ``register`` adds a term of one's
own; it may know more than a ``Moment`` holds where the environment passes a class derived from it.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from flax import struct
from jaxtyping import Float, Int

from mjxhuman.envs.imitation import observations
from mjxhuman.envs.imitation.reference import Stance
from mjxhuman.envs.terms import Term, register
from mjxhuman.humanoids.record import BodyRecord
from mjxhuman.math import rotation
from mjxhuman.rewards import tracking
from mjxhuman.types import Array, BodyState

OBSERVATIONS: dict[str, Term] = {}
REWARDS: dict[str, Term] = {}
TERMINATIONS: dict[str, Term] = {}


@struct.dataclass
class Moment:
    """What is known right after a control step, with leading axes ``*b``."""

    body: BodyState  # of the simulated body
    reference: BodyState  # at the same time
    target: BodyState  # of the reference one control step later
    balance: Stance  # of the simulated body: centre of mass and capture point
    reference_balance: Stance  # at the same time
    target_balance: Stance  # of the reference one control step later
    joint_pos: Float[Array, "*b nu"]  # rad, rotation vectors of ball joints, angles of hinges
    target_joint_pos: Float[Array, "*b nu"]  # rad, of the reference one control step later
    joint_vel: Float[Array, "*b nu"]  # rad/s
    target_joint_vel: Float[Array, "*b nu"]  # rad/s
    feed_forward: Float[Array, "*b nu"]  # rad, targets of the coming step that the reference's control asks for
    torque: Float[Array, "*b nu"]  # N m, of the servos at the start of the step: capped spring and damping
    action: Float[Array, "*b actions"]  # action of this step, clipped and smoothed
    previous_action: Float[Array, "*b actions"]  # of the step before
    steps: Int[Array, "*b"]  # control steps since the episode began
    record: BodyRecord = struct.field(pytree_node=False)  # which bodies count for what
    ahead: Callable[[int], Stance] = struct.field(pytree_node=False)  # the reference so many control steps later


@register(OBSERVATIONS)
def proprioception(m: Moment) -> Array:
    """PHC's self observation."""
    return observations.proprioception(m.body)


@register(OBSERVATIONS)
def imitation_task(m: Moment) -> Array:
    """PHC's v6: differences to the next reference frame, and that frame."""
    return observations.imitation_task(m.body, m.target)


@register(OBSERVATIONS)
def keypoint_task(m: Moment) -> Array:
    """PHC's v7: positions and linear velocities only."""
    return observations.keypoint_task(m.body, m.target)


@register(OBSERVATIONS)
def compact(m: Moment) -> Array:
    """Root, joints and differences to the next reference frame: enough for small networks."""
    key = m.record.rows(m.record.key)
    return observations.compact(m.body, m.joint_pos, m.joint_vel, m.target, m.target_joint_pos, key)


@register(OBSERVATIONS)
def joint_velocity_error(m: Moment, scale: float = 0.1) -> Array:
    """Of the next reference frame, times ``scale``."""
    return scale * (m.target_joint_vel - m.joint_vel)


@register(OBSERVATIONS)
def balance_error(m: Moment) -> Array:
    """Of centre of mass 3 and capture point 2 towards the next reference frame, and from the one to the other 2."""
    now, then = m.balance, m.target_balance
    flat = jnp.zeros_like(now.com[..., :1])
    points = (then.com - now.com, *(
        jnp.concatenate([x, flat], -1)
        for x in (then.capture_point - now.capture_point, now.capture_point - now.com[..., :2])
    ))  # fmt: skip
    turned = observations.in_heading(m.body, jnp.stack(points, -2))
    return jnp.concatenate([turned[..., 0, :], turned[..., 1, :2], turned[..., 2, :2]], -1)


@register(OBSERVATIONS)
def feed_forward(m: Moment) -> Array:
    """rad by which the coming step's targets are ahead of the joints before any action is added."""
    return m.feed_forward - m.joint_pos


@register(OBSERVATIONS)
def preview(m: Moment, steps: tuple[int, ...] = (5, 10)) -> Array:
    """Where the reference will be so many control steps later: its key bodies from the root, its velocity (30 a step
    for SMPL's topology)."""
    rows = jnp.asarray((0, *m.record.rows(m.record.key)))
    parts = []
    for count in steps:
        then = m.ahead(count).body
        points = jnp.concatenate([then.pos[..., rows, :] - m.body.pos[..., :1, :], then.vel[..., :1, :]], -2)
        parts.append(observations.in_heading(m.body, points))
    flat = jnp.concatenate(parts, -2)
    return flat.reshape(*flat.shape[:-2], -1)


@register(OBSERVATIONS)
def previous_action(m: Moment) -> Array:
    """The last action, clipped and smoothed."""
    return m.action


@register(REWARDS)
def imitation(
    m: Moment,
    w_pos: float = 0.5,
    w_rot: float = 0.3,
    w_vel: float = 0.1,
    w_angvel: float = 0.1,
    k_pos: float = 100.0,
    k_rot: float = 10.0,
    k_vel: float = 0.1,
    k_angvel: float = 0.1,
) -> Array:
    """PHC's: weights and scales of its kernels, see ``rewards.tracking.ImitationReward``."""
    config = tracking.ImitationReward(w_pos, w_rot, w_vel, w_angvel, k_pos, k_rot, k_vel, k_angvel)
    return tracking.imitation_reward(m.body, m.reference, config)[0]


@register(REWARDS)
def capture_point(m: Moment, k: float = 50.0) -> Array:
    """exp(-k e^2) of the distance e (m) of the capture point to the reference's: balance, before the feet show it."""
    off = m.balance.capture_point - m.reference_balance.capture_point
    return jnp.exp(-k * jnp.sum(jnp.square(off), -1))


@register(REWARDS)
def deviation(
    m: Moment,
    position: float = 0.1,
    orientation: float = 0.55,
    velocity: float = 3.2,
    angular_velocity: float = 21.0,
    balance: float = 0.1,
) -> Array:
    """Minus the logarithm of 1 plus the mean squared differences of all bodies, of the centre of mass and of the
    capture point, in units of the parameters (m, rad, m/s, rad/s, m): the planner's objective (``planning.terms``, a
    unit is a scale over the root of its weight), bounded in slope but nowhere flat as a kernel is."""

    def squared(x: Array, unit: float) -> Array:
        return jnp.mean(jnp.square(x), tuple(range(m.steps.ndim, x.ndim))) / unit**2

    turn = rotation.multiply(m.body.rot, rotation.conjugate(m.reference.rot))
    rotvec = 2.0 * turn[..., 1:] * jnp.where(turn[..., :1] < 0, -1.0, 1.0)
    error = (
        squared(m.body.pos - m.reference.pos, position)
        + squared(rotvec, orientation)
        + squared(m.body.vel - m.reference.vel, velocity)
        + squared(m.body.angvel - m.reference.angvel, angular_velocity)
        + squared(m.balance.com - m.reference_balance.com, balance)
        + squared(m.balance.capture_point - m.reference_balance.capture_point, balance)
    )
    return -jnp.log1p(error)


@register(REWARDS)
def effort(m: Moment) -> Array:
    """Minus the mean square of the action."""
    return -jnp.mean(jnp.square(m.action), -1)


@register(REWARDS)
def power(m: Moment) -> Array:
    """Minus the joints' power in W, free in the first steps of an episode."""
    return tracking.power_penalty(m.torque, m.joint_vel, m.steps, 1.0)


@register(REWARDS)
def action_rate(m: Moment) -> Array:
    """Minus the mean square of the action's change."""
    return -jnp.mean(jnp.square(m.action - m.previous_action), -1)


@register(REWARDS)
def foot_slip(m: Moment, standing_speed: float = 0.3) -> Array:
    """Minus the mean speed (m/s) of the feet that stand in the reference: are slower there than ``standing_speed``."""
    feet = jnp.asarray(m.record.rows(m.record.feet))
    speed, wanted = (jnp.linalg.norm(body.vel[..., feet, :] + 1e-6, axis=-1) for body in (m.body, m.reference))
    return -jnp.mean(jnp.where(wanted < standing_speed, speed, 0.0), -1)


@register(REWARDS)
def alive(m: Moment) -> Array:
    """One in each step."""
    return jnp.ones_like(m.steps, jnp.float32)


@register(TERMINATIONS)
def any_body(m: Moment, distance: float = 0.25) -> Array:
    """Any body but the feet is farther than ``distance`` (m) from the reference (PHC's training)."""
    bodies = m.record.rows(m.record.reset)
    return tracking.has_lost_reference(m.body.pos, m.reference.pos, m.steps, distance=distance, bodies=bodies)


@register(TERMINATIONS)
def mean_body(m: Moment, distance: float = 0.5) -> Array:
    """The mean distance of the evaluated bodies is above ``distance`` (m)."""
    bodies = m.record.rows(m.record.evaluated)
    return tracking.has_lost_reference(
        m.body.pos, m.reference.pos, m.steps, distance=distance, use_mean=True, bodies=bodies
    )
