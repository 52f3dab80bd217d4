"""Motion as features and back."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxhuman
from mjxhuman.data.builtin import builtin_path
from mjxhuman.generators.motion.features import FLOORS, Scale, feature_size, from_features, to_features
from mjxhuman.math import rotation
from mjxhuman.physics.coordinates import coordinates

pytestmark = pytest.mark.compiled


def apart(humanoid, a, b):
    """Largest distance of roots in m and angle of rotations in degrees."""
    at = coordinates(humanoid.model)
    angle = rotation.angle(rotation.multiply(rotation.conjugate(at.quats(a)), at.quats(b)))
    place = jnp.linalg.norm(jnp.asarray(a)[..., :3] - b[..., :3], axis=-1)
    return float(place.max()), float(np.degrees(angle).max())


def there_and_back(motion):
    qpos = jnp.asarray(motion.qpos)
    features = to_features(motion.humanoid, qpos, motion.fps)
    at = coordinates(motion.humanoid.model)
    front = rotation.rotate(at.quats(qpos[0])[0], jnp.array([0.0, 0.0, 1.0]))  # of our body, whose z axis is ahead
    start = (float(qpos[0, 0]), float(qpos[0, 1]), float(jnp.arctan2(front[1], front[0])))
    return from_features(motion.humanoid, features, motion.fps, start)


@pytest.mark.parametrize("name", ["walk", "jump"])
def test_a_motion_comes_back(name):
    motion = mjxhuman.load_motion(builtin_path(name))
    place, angle = apart(motion.humanoid, motion.qpos, there_and_back(motion))
    assert place < 1e-3 and angle < 0.1


@pytest.mark.slow
def test_real_clips_come_back_with_their_scores(shared):
    files = [
        *sorted((shared / "data" / "cmu_amc").rglob("*.amc"))[:3],
        *sorted((shared / "data" / "deepmimic").glob("*.txt")),
    ]
    for name in files:
        if name.stem.endswith("_character"):
            continue
        motion = mjxhuman.load_motion(name)
        back = there_and_back(motion)
        place, angle = apart(motion.humanoid, motion.qpos, back)
        assert place < 1e-3 and angle < 0.1, name
        again = mjxhuman.motion_from_qpos(motion.humanoid, np.asarray(back), motion.fps)
        assert abs(float(mjxhuman.score(again).total) - float(mjxhuman.score(motion).total)) < 0.005, name


def test_place_and_heading_change_nothing():
    motion = mjxhuman.load_motion(builtin_path("walk"))
    turn = rotation.from_axis_angle(jnp.array([0.0, 0.0, 1.0]), jnp.asarray(2.0))
    qpos = jnp.asarray(motion.qpos)
    moved = qpos.at[:, :3].set(rotation.rotate(turn, qpos[:, :3]) + jnp.array([3.0, -1.0, 0.0]))
    moved = moved.at[:, 3:7].set(rotation.multiply(turn, qpos[:, 3:7]))
    found, wanted = (to_features(motion.humanoid, q, motion.fps) for q in (moved, qpos))
    np.testing.assert_allclose(found, wanted, atol=2e-4)


def test_gradients_are_finite_also_at_half_turns_and_for_columns_that_vanish(humanoid):
    size = feature_size(humanoid)
    assert size == 4 + 6 * 24
    rng = np.random.default_rng(0)
    half = np.array([-1.0, 0, 0, 0, 1, 0])  # a half turn about y
    frames = [np.r_[np.ones(4), np.tile(half, 24)], np.zeros(size), rng.normal(size=size)]
    features = jnp.asarray(np.array(frames), jnp.float32)
    back = jax.jit(jax.value_and_grad(lambda x: jnp.sum(jnp.square(from_features(humanoid, x, 30.0)))))
    value, grad = back(features)
    assert np.isfinite(value) and np.isfinite(grad).all()
    qpos = from_features(humanoid, features, 30.0)
    ahead = jax.jit(jax.grad(lambda q: jnp.sum(jnp.square(to_features(humanoid, q, 30.0)))))
    assert np.isfinite(ahead(qpos)).all()


def test_scales_have_floors():
    features = np.random.default_rng(0).normal(size=(50, 16)) * np.r_[np.full(4, 1.0), np.full(12, 1e-6)] + 2.0
    scale = Scale.of(features)
    np.testing.assert_allclose(scale.deviation[4:], FLOORS[-1])
    np.testing.assert_allclose(scale.from_unit(scale.to_unit(features)), features, atol=1e-12)
    np.testing.assert_allclose(scale.to_unit(features)[:, :4].std(0), 1.0, rtol=1e-6)


def test_what_is_no_motion_is_refused(humanoid):
    with pytest.raises(ValueError, match="expected two frames or more, found 1"):
        to_features(humanoid, jnp.zeros((1, humanoid.model.nq)), 30.0)
    with pytest.raises(ValueError, match="expected 148 per frame for 'smpl', found 7"):
        from_features(humanoid, jnp.zeros((3, 7)), 30.0)
    with pytest.raises(ValueError, match="expected a free root and ball joints"):
        feature_size(mjxhuman.load_humanoid("smpl", layout="hinge"))
