"""The feasibility of generated motion: in batches, and as what is differentiated."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxhuman
from mjxhuman.data.builtin import builtin_path
from mjxhuman.generators.motion.features import Scale, to_features
from mjxhuman.generators.motion.generator import init_generator
from mjxhuman.generators.motion.reward import Feasibility, joint_speed, movement

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def made(humanoid):
    """A generator, and latents of a walk and of two worse ones."""
    motion = mjxhuman.load_motion(builtin_path("walk"))
    features = np.asarray(to_features(humanoid, motion.qpos, motion.fps))[:24]
    generator = init_generator("test", Scale.of(features), 24, 30.0, ["a person walks"])
    walk = np.asarray(generator.scale.to_unit(features), np.float32)
    rng = np.random.default_rng(0)
    return generator, jnp.asarray(np.stack([walk, walk + 1.5 * rng.normal(size=walk.shape), walk]), jnp.float32)


def test_batches_do_not_change_the_score(made):
    generator, latents = made
    reward, qpos = Feasibility(generator), np.asarray(generator.decode(latents))
    found = reward(qpos, ["a"] * 3)
    many = reward(np.concatenate([qpos] * 12), ["a"] * 36)  # more than are scored together
    np.testing.assert_allclose(many.total, np.tile(found.total, 12), atol=1e-5)
    one = mjxhuman.score(mjxhuman.motion_from_qpos(generator.humanoid, qpos[1], 30.0))
    assert float(one.total) == pytest.approx(found.total[1], abs=1e-5) and found.valid.all()
    assert found.total[0] > found.total[1] + 0.1 and set(found.parts) == {"kinematic", "contact", "dynamic"}


def test_who_stands_still_does_not_move_and_has_a_slope(made):
    generator, latents = made
    still = jnp.repeat(latents[:1, :1], 24, 1)
    speed = jax.jit(lambda x: joint_speed(generator, generator.decode(x)))
    assert float(speed(still)[0]) < 1e-2 < 0.3 < float(speed(latents)[0])
    assert np.isfinite(jax.jit(jax.grad(lambda x: speed(x).sum()))(still)).all()


def test_movement_is_of_joints_and_of_the_way_over_the_ground(made):
    generator, latents = made
    qpos = np.array(generator.decode(latents))
    found = np.asarray(movement(generator, qpos))
    np.testing.assert_allclose(found[:, 0], joint_speed(generator, qpos), rtol=1e-6)
    way = np.linalg.norm(np.diff(qpos[..., :2], axis=1), axis=-1).mean(1) * 30.0
    np.testing.assert_allclose(found[:, 1], way, rtol=1e-3)
    qpos[..., :2] = qpos[:, :1, :2]  # on the spot
    spot = np.asarray(movement(generator, qpos))
    assert (spot[:, 1] < 1e-3).all() and (found[:, 1] > 0.5).all()
    np.testing.assert_allclose(spot[:, 0], found[:, 0], rtol=1e-5)


@pytest.mark.slow
def test_the_slope_of_the_score_is_that_of_its_differences(made):
    """Along the slope itself: a step that is said to raise the total by 0.002 does, within a fifth."""
    generator, latents = made
    reward = Feasibility(generator)

    def total(x):
        worth, valid = reward.graded(generator.decode(x))
        return jnp.sum(jnp.where(valid, worth, 0.0)), (worth, valid)

    slope, (worth, valid) = jax.jit(jax.grad(total, has_aux=True))(latents)
    np.testing.assert_allclose(worth, reward(generator.decode(latents), ["a"] * 3).total, atol=1e-4)
    assert np.asarray(valid).all() and np.isfinite(slope).all()
    way = slope[1] / jnp.sum(jnp.square(slope[1]))  # raises the total of the second by 1, if it were straight
    for step in (0.002, -0.002):
        moved = reward(generator.decode(latents.at[1].add(step * way)), ["a"] * 3).total
        assert moved[1] - float(worth[1]) == pytest.approx(step, rel=0.2)
        np.testing.assert_allclose(moved[[0, 2]], np.asarray(worth)[[0, 2]], atol=1e-4)
