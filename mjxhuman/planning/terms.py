"""What a plan is asked for, as residuals by name: the entries of a planner's objective.

A term is a pure function of an ``Outlook``, the simulated futures of many samples beside the reference's. It returns
differences ``(m, n, H)`` in its own unit: m of them for each of n samples at each of H control steps. The objective is
the sum over terms of ``weight * mean_m (difference / scale)^2``, averaged over the steps, so a weight is what a mean
error of one scale costs. The sampler sees the differences themselves, not only their sum (``sampling.gauss_newton``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Float

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import rotation
from mjxhuman.physics import kinematics
from mjxhuman.physics.motion import flat_frames, humanoid_tree
from mjxhuman.types import Array

#: m, least height of the centre of mass in the time constant of the capture point: a lying body is no pendulum.
_LEAST_HEIGHT = 0.2
#: Where a sample's simulation broke down every difference counts as so many scales.
_BROKEN = 100.0


@struct.dataclass
class Features:
    """What the terms compare, of any frames ``*f``, world axes, the world body left out."""

    pos: Float[Array, "B 3 *f"]  # m
    quat: Float[Array, "B 4 *f"]  # wxyz
    linvel: Float[Array, "B 3 *f"]  # m/s
    angvel: Float[Array, "B 3 *f"]  # rad/s
    com: Float[Array, " 3 *f"]  # m
    capture_point: Float[Array, " 2 *f"]  # m, where a foot must stand to bring the body to rest


@struct.dataclass
class Outlook:
    """Futures of n samples over H control steps; the reference's arrays have 1 for n."""

    body: Features
    reference: Features
    offset: Float[Array, "nu n H"]  # rad, what each sample adds to the feed-forward targets
    feet: tuple[int, ...] = struct.field(pytree_node=False)  # rows of the bodies that stand
    known: Any = None  # what else ``Reference.known`` says of the H steps, with 1 for n


def features(humanoid: Humanoid, qpos: Float[Array, "*f nq"], qvel: Float[Array, "*f nv"]) -> Features:
    """Features of states.

    The capture point of the linear inverted pendulum is ``c + v sqrt(h / g)`` (Pratt et al. 2006, Humanoids).
    """
    tree, params = humanoid_tree(humanoid, np.dtype(qpos.dtype))
    lead = qpos.shape[:-1]
    poses = kinematics.poses(tree, params, flat_frames(qpos))
    angvel, linvel = kinematics.velocities(tree, params, poses, flat_frames(qvel))
    com = kinematics.centre_of_mass(tree, params, poses)
    momentum, _ = kinematics.momentum(tree, params, poses, (angvel, linvel))
    velocity = momentum / jnp.sum(params.mass[1:])
    gravity = jnp.sqrt(jnp.sum(jnp.square(params.gravity)))
    capture = com[:2] + velocity[:2] * jnp.sqrt(jnp.maximum(com[2], _LEAST_HEIGHT) / gravity)
    found = (poses.pos[1:], poses.quat[1:], linvel[1:], angvel[1:], com, capture)
    return Features(*(x.reshape(*x.shape[:-1], *lead) for x in found))


@dataclasses.dataclass(frozen=True)
class Term:
    """One entry of an objective: a function of the outlook, what a mean error of one scale costs, and that scale."""

    function: Callable[[Outlook], Array]
    weight: float
    scale: float


def position(look: Outlook) -> Float[Array, "m n H"]:
    """m, of every body."""
    return _rows(look.body.pos - look.reference.pos)


def orientation(look: Outlook) -> Float[Array, "m n H"]:
    """Twice the vector part of the rotation error of every body, rad where it is small."""
    error = rotation.multiply(look.body.quat, rotation.conjugate(look.reference.quat, 1), 1)
    return _rows(2.0 * error[:, 1:] * jnp.where(error[:, :1] < 0, -1.0, 1.0))


def velocity(look: Outlook) -> Float[Array, "m n H"]:
    """m/s, of every body."""
    return _rows(look.body.linvel - look.reference.linvel)


def angular_velocity(look: Outlook) -> Float[Array, "m n H"]:
    """rad/s, of every body."""
    return _rows(look.body.angvel - look.reference.angvel)


def centre_of_mass(look: Outlook) -> Float[Array, "m n H"]:
    """m."""
    return look.body.com - look.reference.com


def capture_point(look: Outlook) -> Float[Array, "m n H"]:
    """m: what balance will ask of the next steps."""
    return look.body.capture_point - look.reference.capture_point


#: m/s below which a foot of the reference stands.
STANDING_SPEED = 0.3


def standing_feet(look: Outlook) -> Float[Array, "m n H"]:
    """m/s of the feet that stand still in the reference."""
    feet = np.array(look.feet)
    wanted = look.reference.linvel[feet]
    speed = jnp.sqrt(jnp.sum(wanted * wanted, 1, keepdims=True) + 1e-12)
    return _rows(jnp.where(speed < STANDING_SPEED, look.body.linvel[feet], 0.0))


def effort(look: Outlook) -> Float[Array, "m n H"]:
    """rad by which targets leave the feed-forward ones."""
    return look.offset


def action_rate(look: Outlook) -> Float[Array, "m n H"]:
    """rad between the offsets of consecutive steps."""
    before = jnp.concatenate([look.offset[..., :1], look.offset[..., :-1]], -1)
    return look.offset - before


#: The default objective.
TERMS: dict[str, Term] = {
    "position": Term(position, 1.0, 0.1),
    "orientation": Term(orientation, 0.3, 0.3),
    "velocity": Term(velocity, 0.1, 1.0),
    "angular_velocity": Term(angular_velocity, 0.02, 3.0),
    "centre_of_mass": Term(centre_of_mass, 1.0, 0.1),
    "capture_point": Term(capture_point, 1.0, 0.1),
    "standing_feet": Term(standing_feet, 0.0, 0.3),
    "effort": Term(effort, 0.02, 0.1),
    "action_rate": Term(action_rate, 0.02, 0.1),
}


def residuals(terms: Mapping[str, Term], look: Outlook) -> Float[Array, "n D"]:
    """Weighted differences whose squares sum to the objective of each sample."""
    count, steps = look.offset.shape[1:]
    parts = []
    for term in terms.values():
        if term.weight == 0:
            continue
        difference = term.function(look)
        gain = np.sqrt(term.weight / (difference.shape[0] * steps)) / term.scale
        broken = _BROKEN * term.scale
        parts.append(gain * jnp.clip(jnp.where(jnp.isfinite(difference), difference, broken), -broken, broken))
    stacked = jnp.concatenate(parts)
    return jnp.moveaxis(stacked, 1, 0).reshape(count, -1)


def _rows(x: Array) -> Array:
    """``(m, n, H)`` of ``(B, k, n, H)``."""
    return x.reshape(-1, *x.shape[-2:])
