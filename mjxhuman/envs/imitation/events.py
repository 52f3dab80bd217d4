"""What is random about a tracked body: how an episode starts, and what happens on the way.

``STARTS`` are functions of a ``Start``, ``EVENTS`` of the physics state before a step; both get a key for each
environment and the simulator, and return the same, changed. With the numbers of their defaults they change nothing.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from mjxhuman.envs.terms import Term, register
from mjxhuman.math import rotation
from mjxhuman.physics.coordinates import coordinates
from mjxhuman.physics.simulate import SimState, Simulator

STARTS: dict[str, Term] = {}
EVENTS: dict[str, Term] = {}


@struct.dataclass
class Start:
    """How an episode is about to start, (*b, ...).

    Attributes:
        heading: rad, by which the clip is turned about the vertical through the origin.
        qpos, qvel: of the body.
    """

    heading: Array
    qpos: Array
    qvel: Array


@register(STARTS)
def heading(start: Start, rng: Array, simulator: Simulator, largest: float = 0.0) -> Start:
    """Turn the clip about the vertical by an angle between 0 and ``largest`` (rad; 2 pi: any heading)."""
    if largest == 0:
        return start
    angle = _uniform(rng, np.zeros(1), np.array([largest]))[..., 0]
    qpos, qvel = turned(simulator, start.qpos, start.qvel, angle)
    return dataclasses.replace(start, heading=start.heading + angle, qpos=qpos, qvel=qvel)


@register(STARTS)
def perturb(
    start: Start,
    rng: Array,
    simulator: Simulator,
    position: float = 0.0,
    orientation: float = 0.0,
    joints: float = 0.0,
    linear_velocity: float = 0.0,
    angular_velocity: float = 0.0,
    joint_velocity: float = 0.0,
) -> Start:
    """Start off the clip's state: uniform within the numbers given, each axis by itself.

    Args:
        start: to change. rng: keys. simulator: of the body.
        position: of the root, m; upwards only where it is vertical, so that no foot starts in the floor.
        orientation: of the root about each axis of its own, rad.
        joints: of each joint axis, rad.
        linear_velocity, angular_velocity: of the root, m/s (world) and rad/s (its axes).
        joint_velocity: of each joint axis, rad/s.
    """
    if not any((position, orientation, joints, linear_velocity, angular_velocity, joint_velocity)):
        return start
    at = simulator.address.alone
    count = at.nv - 6
    place = np.concatenate([np.repeat([position, orientation], 3), np.full(count, joints)])
    speed = np.concatenate([np.repeat([linear_velocity, angular_velocity], 3), np.full(count, joint_velocity)])
    lowest = -place
    lowest[2] = 0.0
    drawn = _uniform(rng, np.concatenate([lowest, -speed]), np.concatenate([place, speed]))
    qpos = coordinates(simulator.actuated.humanoid.model).displaced(start.qpos, drawn[..., : at.nv])
    return dataclasses.replace(start, qpos=qpos, qvel=start.qvel + drawn[..., at.nv :])


@register(EVENTS)
def push(sim: SimState, rng: Array, simulator: Simulator, rate: float = 0.0, speed: float = 0.5) -> SimState:
    """Now and then (``rate`` per second) add up to ``speed`` (m/s) to each horizontal velocity of the root."""
    if rate <= 0:
        return sim
    uniform = _uniform(rng, np.zeros(3), np.ones(3))
    kick = speed * (2.0 * uniform[..., :2] - 1.0)
    now = uniform[..., 2:] < rate * simulator.dt
    root = simulator.address.qvel_start
    return dataclasses.replace(sim, qvel=sim.qvel.at[..., root : root + 2].add(jnp.where(now, kick, 0.0)))


def turned(simulator: Simulator, qpos: Array, qvel: Array, angle: Array) -> tuple[Array, Array]:
    """A body's qpos and qvel (*b, ...) turned about the vertical through the origin by angles (*b) rad."""
    turn = rotation.from_axis_angle(jnp.array([0.0, 0.0, 1.0]), angle)
    at = simulator.address.alone
    pos = rotation.rotate(turn, qpos[..., at.root_pos])
    quat = rotation.multiply(turn, qpos[..., at.root_quat])
    linvel = rotation.rotate(turn, qvel[..., at.root_linvel])
    rest = (qvel[..., at.root_angvel], qvel[..., at.joint_qvel])
    return jnp.concatenate([pos, quat, qpos[..., at.joint_qpos]], -1), jnp.concatenate([linvel, *rest], -1)


def _uniform(rng: Array, low: np.ndarray, high: np.ndarray) -> Array:
    """Numbers (*b, n) between bounds (n,), for keys (*b)."""
    low, high = (np.asarray(x, np.float32) for x in (low, high))

    def draw(key: Array) -> Array:
        return jax.random.uniform(key, low.shape, minval=low, maxval=high)

    return jnp.vectorize(draw, signature="()->(n)")(rng)
