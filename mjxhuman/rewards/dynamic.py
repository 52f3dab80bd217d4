"""Dynamic terms: joint torque, ground reaction and power. Each returns a non-negative error per frame."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Float

from mjxhuman.physics.anatomy import AnatomyParams
from mjxhuman.physics.contact import LENGTH
from mjxhuman.physics.contact_dynamics import Support
from mjxhuman.types import Array


def torque_ratio(s: Support, numbers: AnatomyParams) -> Float[Array, "B N"]:
    """Torque over strength of every joint: the worst of its axes, 1 at the limit."""
    share = jnp.maximum(s.joint_moment / numbers.torque_high, s.joint_moment / numbers.torque_low)
    return jnp.max(share, 1)


def overload(ratio: Float[Array, "B N"]) -> Float[Array, " N"]:
    """Torque beyond strength, summed over joints, in units of each joint's limit."""
    return jnp.sum(jnp.maximum(ratio[2:] - 1.0, 0.0), 0)


def ground_reaction(s: Support, cap: float) -> Float[Array, " N"]:
    """Ground reaction that cannot be: unexplained wrench plus what exceeds ``cap`` body weights.

    Force in body weights, moment in body weights times ``LENGTH``. A floor cannot pull and has limited friction, so
    pulling and too much shear are part of the unexplained wrench.
    """
    force = jnp.sum(s.residual_force**2, 0)
    moment = jnp.sum(s.residual_moment**2, 0) / LENGTH**2
    total = jnp.sqrt(jnp.sum(s.required_force**2, 0) + 1e-12) / s.weight
    return jnp.sqrt(force + moment + 1e-12) / s.weight + jnp.maximum(total - cap, 0.0)


def positive_power(s: Support) -> Float[Array, " N"]:
    """Sum over joints of positive mechanical power, W."""
    return jnp.sum(jnp.maximum(jnp.sum(s.joint_moment[2:] * s.joint_speed[2:], 1), 0.0), 0)
