"""Contact terms: sliding, sinking, hovering and balance. Each returns a non-negative error per frame."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Float

from mjxhuman.physics.contact_dynamics import Support
from mjxhuman.types import Array


def slip_speed(s: Support) -> Float[Array, " N"]:
    """Speed in m/s along the surface of the points that carry the body, weighted by their load.

    The load, not a height or speed gate, says what is a contact. A body that carries nothing has no slip.
    """
    load = s.load / s.weight
    # a tenth of body weight is where slip begins to count in full
    return jnp.sum(load * s.bearing.slip, 0) / (jnp.sum(load, 0) + 0.1)


def penetration_depth(s: Support) -> Float[Array, " N"]:
    """Depth in m of the deepest point of the body inside the surface."""
    return jnp.maximum(-jnp.min(s.touch.distance, 0), 0.0)


def unsupported(s: Support) -> Float[Array, " N"]:
    """Force in body weights that the motion needs and no contact gives. Zero in ballistic flight."""
    return jnp.sqrt(jnp.sum(s.residual_force**2, 0) + 1e-12) / s.weight


def imbalance(s: Support) -> Float[Array, " N"]:
    """Moment about the centre of mass that no contact gives, over body weight, in m.

    For a supported body it is how far the centre of pressure that the motion needs lies outside the support; in
    flight it is the angular momentum that changes without cause.
    """
    return jnp.sqrt(jnp.sum(s.residual_moment**2, 0) + 1e-12) / s.weight
