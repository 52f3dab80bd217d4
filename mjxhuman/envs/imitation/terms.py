"""Observation, reward and termination terms of tracking tasks: plain functions of one ``Moment``, in tables by name.

``OBSERVATIONS`` return ``(*b, n)``, ``REWARDS`` ``(*b)`` (their weight lives in the configuration), ``TERMINATIONS``
``(*b)`` bool. Keyword parameters can be set in the configuration (``envs.terms``). ``register`` adds a term of one's
own; it may know more than a ``Moment`` holds where the environment passes a class derived from it.
"""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct
from jaxtyping import Float, Int

from mjxhuman.envs.imitation import observations
from mjxhuman.envs.terms import Term, register
from mjxhuman.humanoids.record import BodyRecord
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
    joint_pos: Float[Array, "*b nu"]  # rad, rotation vectors of ball joints, angles of hinges
    target_joint_pos: Float[Array, "*b nu"]  # rad, of the reference one control step later
    joint_vel: Float[Array, "*b nu"]  # rad/s
    target_joint_vel: Float[Array, "*b nu"]  # rad/s
    torque: Float[Array, "*b nu"]  # N m, of the servos at the start of the step: capped spring and damping
    action: Float[Array, "*b nu"]  # action of this step, clipped and smoothed
    previous_action: Float[Array, "*b nu"]  # of the step before
    steps: Int[Array, "*b"]  # control steps since the episode began
    record: BodyRecord = struct.field(pytree_node=False)  # which bodies count for what


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
