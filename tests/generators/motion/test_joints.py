"""What features say of joints is what the body does."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import mjxhuman
from mjxhuman.data.builtin import builtin_path
from mjxhuman.generators.motion.features import to_features
from mjxhuman.generators.motion.joints import joint_motion

pytestmark = pytest.mark.compiled


@pytest.mark.parametrize("name", ["walk", "jump"])
def test_heights_and_speeds_are_those_of_the_motion(name):
    """Whatever the heading: heights of joints, their distance from the root, and how fast they are in the world."""
    motion = mjxhuman.load_motion(builtin_path(name))
    features = to_features(motion.humanoid, motion.qpos, motion.fps)
    place, velocity = jax.jit(joint_motion, static_argnums=(0, 2))(motion.humanoid, features, motion.fps)
    wanted = np.asarray(motion.body_pos)[:, 1:]
    np.testing.assert_allclose(place[..., 2], wanted[..., 2], atol=1e-3)
    away = [np.linalg.norm((x - x[:, :1])[..., :2], axis=-1) for x in (np.asarray(place), wanted)]
    np.testing.assert_allclose(away[0], away[1], atol=1e-3)
    speed = np.linalg.norm(np.diff(wanted, axis=0) * motion.fps, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(velocity, axis=-1), speed, atol=0.02)
    np.testing.assert_allclose(velocity[..., 2], np.diff(wanted[..., 2], axis=0) * motion.fps, atol=0.02)


def test_a_person_who_walks_ahead_moves_along_x():
    """To the side hardly; the feet stand still while they carry."""
    motion = mjxhuman.load_motion(builtin_path("walk"))
    features = to_features(motion.humanoid, motion.qpos, motion.fps)
    _, velocity = jax.jit(joint_motion, static_argnums=(0, 2))(motion.humanoid, features, motion.fps)
    toe = [motion.humanoid.body_names.index(name) - 1 for name in ("L_Toe", "R_Toe")]
    root, toes = np.asarray(velocity)[:, 0], np.asarray(velocity)[:, toe]
    assert root[:, 0].mean() > 0.8 and abs(root[:, 1].mean()) < 0.1
    assert np.median(np.linalg.norm(toes, axis=-1).min(1)) < 0.15 * root[:, 0].mean()
