"""The lifter: what it sees does not depend on the world's axes, what it says is a body, its weights are checked."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

import mjxhuman
from mjxhuman.data.builtin import builtin_path
from mjxhuman.encoders import synthetic, viewpoints
from mjxhuman.encoders.lifter import KINDS, Lifter, _towards, load_lifter, save_lifter
from mjxhuman.encoders.lifter_network import POINTS, init, say, see
from mjxhuman.math import quaternion
from mjxhuman.retarget.chain import chain_of
from mjxhuman.retarget.landmarks import keypoint_set
from mjxhuman.types import Camera

pytestmark = pytest.mark.compiled

SAY, SEE = jax.jit(say, static_argnums=2), jax.jit(see)


@pytest.fixture(scope="module")
def walk():
    return mjxhuman.load_motion(builtin_path("walk"))


@pytest.fixture(scope="module")
def film(walk):
    camera = viewpoints.film(walk, 2)
    return camera, synthetic.detect(walk, camera, seed=2)


@pytest.fixture(scope="module")
def fresh():
    """A network that has learned nothing."""
    return Lifter(init(jax.random.key(0)), False, {})


def moved(camera: Camera, turn: np.ndarray, shift: np.ndarray) -> Camera:
    pose = np.array(camera.T_world_camera, float)
    pose[:, :3, :3] = np.moveaxis(quaternion.rotate(turn, np.moveaxis(pose[:, :3, :3], -1, 1)), 1, -1)
    pose[:, :3, 3] = quaternion.rotate(turn, pose[:, :3, 3]) + shift
    return dataclasses.replace(camera, T_world_camera=pose)


def test_turning_the_world_turns_what_is_said(film, fresh):
    camera, keypoints = film
    turn = np.array([np.cos(0.6), 0.0, 0.0, np.sin(0.6)])
    features, lifted = fresh(keypoints, camera)
    others, turned = fresh(keypoints, moved(camera, turn, np.array([3.0, -2.0, 0.0])))
    assert features.values.shape == (225, 512) and features.values.std() > 0.01
    np.testing.assert_allclose(others.values, features.values, atol=2e-3)
    np.testing.assert_allclose(turned.points, quaternion.rotate(turn, lifted.points), atol=2e-3)
    np.testing.assert_allclose(turned.body_pose, lifted.body_pose, atol=2e-3)
    off = quaternion.multiply(quaternion.conjugate(turned.root_quat), quaternion.multiply(turn, lifted.root_quat))
    assert quaternion.angle(off).max() < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_shipped_weights_lift_a_walk_that_they_have_not_seen(walk, film, kind):
    """The built-in one, of 1.71 m, as the lifter's body; its standard deviations are of the size of its errors."""
    camera, keypoints = film
    truth = synthetic.places(walk, keypoint_set(POINTS, chain_of(walk.humanoid)))
    truth = truth - truth[:, [POINTS.index("LHip"), POINTS.index("RHip")]].mean(1, keepdims=True)
    _, lifted = load_lifter(kind)(keypoints, camera)
    off = np.linalg.norm(lifted.points - truth, axis=-1)
    assert off.mean() < 0.09 < 0.2 * np.linalg.norm(truth, axis=-1).mean()  # m: 47 and 61 mm
    assert 0.1 < np.mean(off**2 / lifted.deviation**2) / 3 < 1.5


def test_points_move_towards_their_rays_as_far_as_the_lifter_is_unsure():
    """Three metres ahead: across the ray all the way, along it not at all; an outlier of the detector is left."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0.0, 0.3, (len(POINTS), 3))
    truth -= truth[[POINTS.index("LHip"), POINTS.index("RHip")]].mean(0)
    place = truth + [0.0, 3.0, 0.0]
    direction = place / np.linalg.norm(place, axis=-1, keepdims=True)
    unsure, wrong = POINTS.index("LWrist"), POINTS.index("RAnkle")
    deviation = np.full(len(POINTS), 0.01)
    deviation[unsure] = 0.5
    said = truth.copy()
    across = np.cross(direction[unsure], [0.0, 0.0, 1.0])
    said[unsure] += 0.2 * across + 0.1 * direction[unsure]
    direction[wrong] = [0.6, 0.8, 0.0]
    found = np.asarray(_towards(said, deviation, direction, np.ones(len(POINTS))))
    left = found[unsure] - truth[unsure]
    assert abs(left @ across) < 0.02 and left @ direction[unsure] == pytest.approx(0.1, abs=0.01)
    np.testing.assert_allclose(np.delete(found, unsure, 0), np.delete(truth, unsure, 0), atol=0.01)


def test_causal_looks_back_only(fresh):
    features = np.asarray(jax.random.normal(jax.random.key(1), (80, see_size())))
    later = features.copy()
    later[50:] += 1.0
    for causal, same in ((True, 50), (False, 19)):
        a, b = (np.asarray(SAY(fresh.params, x, causal).points) for x in (features, later))
        np.testing.assert_allclose(a[:same], b[:same], atol=1e-5)
        assert abs(a[same] - b[same]).max() > 1e-5


def see_size() -> int:
    points = jax.ShapeDtypeStruct((1, len(POINTS), 3), np.float32)
    return jax.eval_shape(see, points, jax.ShapeDtypeStruct((1, len(POINTS)), np.float32), 30.0).features.shape[-1]


def test_padding_is_as_if_nothing_were_there(fresh):
    features = np.asarray(jax.random.normal(jax.random.key(2), (40, see_size())))
    wide, known = np.pad(features, [(0, 24), (0, 0)], constant_values=1.0), np.arange(64) < 40
    alone, padded = SAY(fresh.params, features, False), SAY(fresh.params, wide, False, known)
    np.testing.assert_allclose(padded.points[:40], alone.points, atol=1e-5)


def test_points_that_are_lost_stay_where_they_were():
    direction = np.tile([[1.0, 0.0, 0.0]], (5, len(POINTS), 1)) + np.arange(5)[:, None, None] * [0.0, 0.01, 0.0]
    direction[..., 2] = np.linspace(-0.2, 0.2, len(POINTS))
    seen = np.ones((5, len(POINTS)))
    seen[2:, 3] = 0.0
    wrong = direction.copy()
    wrong[2:, 3] = [0.0, 0.0, 1.0]
    np.testing.assert_array_equal(SEE(wrong, seen, 30.0).features, SEE(direction, seen, 30.0).features)
    assert np.isfinite(SEE(direction, np.zeros_like(seen), 30.0).features).all()


@pytest.mark.parametrize("fps", [12.0, 60.0])
def test_any_frame_rate_gives_every_frame(walk, film, fresh, fps):
    camera, keypoints = film
    step = {12.0: 5, 60.0: 1}[fps]
    rate = dataclasses.replace(keypoints, uv=keypoints.uv[::step], confidence=keypoints.confidence[::step], fps=fps)
    features, lifted = fresh(rate, camera)
    assert len(features.values) == len(lifted.points) == len(rate.uv) and np.isfinite(lifted.points).all()


def test_features_of_other_weights_have_another_name(fresh):
    changed = dataclasses.replace(fresh, params=jax.tree.map(lambda x: x + 1e-3, fresh.params))
    assert fresh.name == dataclasses.replace(fresh, facts={"told": "otherwise"}).name
    assert len({fresh.name, changed.name, load_lifter().name, load_lifter("causal").name}) == 4


def test_what_does_not_fit_is_named(film, fresh, tmp_path):
    camera, keypoints = film
    headless = dataclasses.replace(keypoints, names=tuple(n.replace("Ankle", "Thing") for n in keypoints.names))
    with pytest.raises(ValueError, match="keypoints: expected LAnkle, RAnkle among the names"):
        fresh(headless, camera)
    with pytest.raises(ValueError, match="found no point above 0"):
        fresh(dataclasses.replace(keypoints, confidence=np.zeros_like(keypoints.confidence)), camera)
    with pytest.raises(ValueError, match=r"expected uv \(T, K, 2\) of one person and one camera"):
        fresh(dataclasses.replace(keypoints, uv=keypoints.uv[None], confidence=keypoints.confidence[None]), camera)
    file = tmp_path / "lifter.npz"
    save_lifter(file, fresh)
    np.testing.assert_allclose(load_lifter(file).params["in"]["w"], fresh.params["in"]["w"], atol=1e-3)
    narrow = tmp_path / "narrow.npz"
    save_lifter(narrow, Lifter(init(jax.random.key(0), 32), False, {}))
    with pytest.raises(ValueError, match=r"narrow.npz: block0/near/b: expected shape \(160,\), found \(32,\)"):
        load_lifter(narrow)
    np.savez(tmp_path / "other.npz", x=1)
    with pytest.raises(ValueError, match="expected a lifter's weights"):
        load_lifter(tmp_path / "other.npz")
