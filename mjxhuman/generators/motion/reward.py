"""What generated motion is worth: the feasibility score, in batches of one compiled program."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from mjxhuman.generators.motion.generator import MotionGenerator
from mjxhuman.generators.rewards import Rewards
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.rewards.score import score
from mjxhuman.types import Array

#: Motions that are scored together at most.
_BATCH = 32
#: (rad/s)^2 and (m/s)^2, so that who does not move has a slope.
_STILL = 1e-8


class Feasibility:
    """A ``rewards.DifferentiableReward`` of coordinates ``(N, T, nq)``; the axes of the score are its parts."""

    def __init__(self, generator: MotionGenerator) -> None:
        self.humanoid, self.fps = generator.humanoid, generator.fps

    def __call__(self, qpos: Float[Array, "N T nq"], prompts: Sequence[str]) -> Rewards:
        """Score motions; those without a score are invalid."""
        totals, valid, axes = [], [], []
        for first in range(0, len(qpos), _BATCH):
            part = np.asarray(qpos[first : first + _BATCH])
            count = len(part)
            size = min(_BATCH, 1 << (count - 1).bit_length())  # few sizes, few programs
            full = np.concatenate([part, np.repeat(part[-1:], size - count, 0)])
            found = score(motion_from_qpos(self.humanoid, full, self.fps))
            totals.append(np.asarray(found.total)[:count])
            valid.append(np.asarray(found.valid)[:count])
            axes.append({name: np.asarray(x)[:count] for name, x in found.axes.items()})
        parts = {name: np.concatenate([a[name] for a in axes]) for name in axes[0]}
        return Rewards(np.concatenate(totals), np.concatenate(valid), parts)

    def graded(self, qpos: Float[Array, "N T nq"]) -> tuple[Float[Array, " N"], Bool[Array, " N"]]:
        """Totals and which of them are valid, inside a program that differentiates them."""
        found = score(motion_from_qpos(self.humanoid, qpos, self.fps))
        return found.total, jnp.asarray(found.valid)


def joint_speed(generator: MotionGenerator, qpos: Float[Array, "N T nq"]) -> Float[Array, " N"]:
    """How much motions move: mean angular speed of their joints, rad/s; differentiable."""
    motion = motion_from_qpos(generator.humanoid, qpos, generator.fps)
    turning = motion.qvel[..., 6:].reshape(*motion.qvel.shape[:2], -1, 3)
    return jnp.mean(jnp.sqrt(jnp.sum(jnp.square(turning), -1) + _STILL), (1, 2))


def root_speed(generator: MotionGenerator, qpos: Float[Array, "N T nq"]) -> Float[Array, " N"]:
    """How fast the root goes over the ground, m/s in the mean; differentiable."""
    step = jnp.diff(jnp.asarray(qpos)[..., :2], axis=1) * generator.fps
    return jnp.mean(jnp.sqrt(jnp.sum(jnp.square(step), -1) + _STILL), 1)


def movement(generator: MotionGenerator, qpos: Float[Array, "N T nq"]) -> Float[Array, "N 2"]:
    """``joint_speed`` and ``root_speed``: what must not be given up for a score."""
    return jnp.stack([joint_speed(generator, qpos), root_speed(generator, qpos)], -1)
