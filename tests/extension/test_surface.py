"""Add a surface: rolling ground, to score a motion that happens on it.

A surface says how far points are from it, which way is out and how rough it is. Scores, forces, damage and metrics
need no more of it.
"""

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

import mjxhuman
from mjxhuman.scenes import Nearest


@struct.dataclass  # makes it a pytree: its numbers may change without compiling anew, and have gradients
class Waves:
    """Ground z = height sin(2 pi x / length), seen from near it: the slope is that of the ground below."""

    height: Array  # () m
    length: Array  # () m
    friction: Array  # () Coulomb

    def nearest(self, points: Array, axis: int = -1) -> Nearest:
        """Distance, normal and friction; ``axis`` holds x, y and z, wherever it lies."""
        x, _, z = jnp.moveaxis(points, axis, 0)
        phase = 2 * jnp.pi / self.length
        slope = self.height * phase * jnp.cos(phase * x)
        steep = jnp.sqrt(1 + slope**2)
        distance = (z - self.height * jnp.sin(phase * x)) / steep
        normal = jnp.stack([-slope / steep, jnp.zeros_like(x), 1 / steep], axis)
        return Nearest(distance, normal, self.friction)


def test_a_body_stands_on_the_crest_of_a_wave_and_on_ice_it_slides_off_its_flank():
    body = mjxhuman.load_humanoid("smpl")
    earth, ice = (Waves(np.float64(0.3), np.float64(24.0), np.float64(mu)) for mu in (0.8, 0.02))

    def standing(x):
        qpos = np.tile(body.model.qpos0, (30, 1))
        qpos[:, 0] = x
        qpos[:, 2] += 0.3 * np.sin(2 * np.pi * x / 24)
        return mjxhuman.motion_from_qpos(body, qpos, 30)

    crest = mjxhuman.score(standing(6.0), surface=earth)
    assert crest.terms["floating"] > 0.95 and crest.terms["balance"] > 0.95
    assert mjxhuman.score(standing(6.0)).terms["floating"] < 0.5  # 0.3 m above the level floor

    held, sliding = (mjxhuman.analyse(standing(3.0), surface) for surface in (earth, ice))
    assert held.external_support.max() < 0.1
    shear = np.linalg.norm(np.asarray(sliding.residual)[:, :2], axis=1) / body.weight
    assert shear.min() > 0.02  # what friction cannot hold of a slope of 1 in 18 is unexplained
