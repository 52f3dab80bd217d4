"""Observation, reward and termination terms of tracking tasks, by name: the entries of a task's configuration.

A term is a pure function of one ``Moment``. ``OBSERVATIONS`` return ``(*b, n)``, ``REWARDS`` ``(*b)`` (their weight and
sign live in the configuration), ``TERMINATIONS`` ``(*b)`` bool with their threshold as second argument.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import jax.numpy as jnp
from flax import struct
from jax import Array

from mjxhuman.envs.imitation import observations
from mjxhuman.humanoids.record import BodyRecord
from mjxhuman.rewards import tracking
from mjxhuman.rewards.tracking import BodyState


@struct.dataclass
class Moment:
    """What is known right after a control step, with leading axes ``*b``."""

    body: BodyState  # of the simulated body
    reference: BodyState  # at the same time
    target: BodyState  # of the reference one control step later
    joint_pos: Array  # (*b, nu) rad, rotation vectors of ball joints, angles of hinges
    target_joint_pos: Array  # (*b, nu) rad, of the reference one control step later
    joint_vel: Array  # (*b, nu) rad/s
    target_joint_vel: Array  # (*b, nu) rad/s
    torque: Array  # (*b, nu) N m, of the servos at the start of the step: capped spring and damping
    action: Array  # (*b, nu) action of this step, clipped and smoothed
    previous_action: Array  # (*b, nu) of the step before
    steps: Array  # (*b) control steps since the episode began
    record: BodyRecord = struct.field(pytree_node=False)  # which bodies count for what


def _compact(m: Moment) -> Array:
    key = m.record.rows(m.record.key)
    return observations.compact(m.body, m.joint_pos, m.joint_vel, m.target, m.target_joint_pos, key)


#: m/s below which a foot of the reference counts as standing.
STANDING_SPEED = 0.3


def _foot_slip(m: Moment) -> Array:
    """Minus the mean speed (m/s) of the feet that stand still in the reference."""
    feet = jnp.asarray(m.record.rows(m.record.feet))
    speed, wanted = (jnp.linalg.norm(body.vel[..., feet, :] + 1e-6, axis=-1) for body in (m.body, m.reference))
    return -jnp.mean(jnp.where(wanted < STANDING_SPEED, speed, 0.0), -1)


def _joint_velocity_error(m: Moment) -> Array:
    return 0.1 * (m.target_joint_vel - m.joint_vel)


OBSERVATIONS: dict[str, Callable[[Moment], Array]] = {
    "proprioception": lambda m: observations.proprioception(m.body),
    "imitation_task": lambda m: observations.imitation_task(m.body, m.target),
    "keypoint_task": lambda m: observations.keypoint_task(m.body, m.target),
    "compact": _compact,
    "joint_velocity_error": _joint_velocity_error,
    "previous_action": lambda m: m.action,
}

REWARDS: dict[str, Callable[[Moment], Array]] = {
    "imitation": lambda m: tracking.imitation_reward(m.body, m.reference)[0],
    "power": lambda m: tracking.power_penalty(m.torque, m.joint_vel, m.steps, 1.0),
    "action_rate": lambda m: -jnp.mean(jnp.square(m.action - m.previous_action), -1),
    "foot_slip": _foot_slip,
    "alive": lambda m: jnp.ones_like(m.steps, jnp.float32),
}

TERMINATIONS: dict[str, Callable[[Moment, float], Array]] = {
    "any_body": lambda m, d: tracking.has_lost_reference(
        m.body.pos, m.reference.pos, m.steps, distance=d, bodies=m.record.rows(m.record.reset)
    ),
    "mean_body": lambda m, d: tracking.has_lost_reference(
        m.body.pos, m.reference.pos, m.steps, distance=d, use_mean=True, bodies=m.record.rows(m.record.evaluated)
    ),
}


def check_names(kind: str, names: tuple[str, ...], table: Collection[str]) -> None:
    """Raise ValueError for a name that is in no table, saying which there are."""
    for name in names:
        if name not in table:
            raise ValueError(f"{kind}: expected one of {', '.join(sorted(table))}, found {name!r}")
