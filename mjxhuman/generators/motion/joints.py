"""Where the joints are that features stand for, and how they move: what a viewer and the floor see of them."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Float

from mjxhuman.generators.motion.features import RATES, from_features
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.physics.api import forward_kinematics
from mjxhuman.types import Array


def joint_motion(
    humanoid: Humanoid, features: Float[Array, "*b T n"], fps: float
) -> tuple[Float[Array, "*b T J 3"], Float[Array, "*b S J 3"]]:
    """Positions (m) of the bodies' origins and, but for the last frame, their velocities (m/s) to the next one.

    Both in each frame's own heading frame over the ground below the root, so that an error in one frame says nothing of
    others: nothing is summed over time. Differentiable by features that are not standardised.
    """
    still = features.at[..., RATES].set(0.0)
    position = forward_kinematics(humanoid, from_features(humanoid, still, fps))[0][..., 1:, :]
    step = features[..., :-1, RATES] / fps
    c, s = jnp.cos(step[..., 2, None]), jnp.sin(step[..., 2, None])
    x, y, z = jnp.moveaxis(position[..., 1:, :, :], -1, 0)
    after = jnp.stack([c * x - s * y + step[..., 0, None], s * x + c * y + step[..., 1, None], z], -1)
    return position, (after - position[..., :-1, :, :]) * fps
