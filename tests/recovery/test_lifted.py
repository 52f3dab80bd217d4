"""What the lifter says in the whole-clip fit, and the record that a vision policy sees."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxhuman
from mjxhuman.data.builtin import builtin_path
from mjxhuman.encoders import synthetic, viewpoints
from mjxhuman.encoders.lifter import Lifted, load_lifter
from mjxhuman.encoders.lifter_network import POINTS
from mjxhuman.math import quaternion
from mjxhuman.recovery.equations import ClipProblem, Path, Posed, automatic
from mjxhuman.recovery.lifted import lifted_residual
from mjxhuman.recovery.recover import recover_with_report
from mjxhuman.recovery.visual import visual_track
from mjxhuman.retarget.chain import JOINTS, UPRIGHT, chain_of
from mjxhuman.retarget.landmarks import keypoint_set


def lifted_of(points: np.ndarray, deviation: float) -> Lifted:
    """A lifter that says these points (T, K, 3)."""
    frames = len(points)
    return Lifted(
        points, np.full(points.shape[:2], deviation), np.tile(UPRIGHT, (frames, 1)), np.zeros((frames, 23, 4)),
        np.zeros((frames, 4)), np.zeros((frames, 2)), np.ones(frames, bool), 30.0, POINTS,
    )  # fmt: skip


@pytest.mark.slow
def test_the_block_is_the_derivative(humanoid):
    chain, rng = chain_of(humanoid), np.random.default_rng(0)
    residual = lifted_residual(lifted_of(rng.normal(0.0, 0.3, (4, len(POINTS), 3)), 0.1), chain)
    local = quaternion.unit(rng.normal(size=(4, JOINTS, 4)) * 0.2 + [1.0, 0.0, 0.0, 0.0])
    path = Path(jnp.asarray(rng.normal(size=(4, 3))), jnp.asarray(local), jnp.array([0.05, 0.0, 0.0]))
    problem = ClipProblem(chain.offsets[:JOINTS], {}, (residual,), np.zeros(3), np.ones(3), np.zeros(4, int))
    by_hand, derived = (
        jax.jit(lambda path, block=block: block(Posed(path, problem), residual))(path)
        for block in (residual.block, automatic)
    )
    for name in ("cost", "gradient", "diagonal"):
        np.testing.assert_allclose(getattr(by_hand, name), getattr(derived, name), rtol=2e-3, atol=1e-3, err_msg=name)


@pytest.fixture(scope="module")
def film():
    """A walk, a camera that stands, and what is detected."""
    walk = mjxhuman.load_motion(builtin_path("walk"))
    walk = jax.tree.map(lambda x: np.asarray(x)[:60], walk)
    camera = viewpoints.film(walk, 5)
    return walk, camera, synthetic.detect(walk, camera, layout="coco_17", seed=5)


@pytest.mark.slow
def test_true_landmarks_bring_the_fit_to_the_truth(film):
    walk, camera, keypoints = film
    points = keypoint_set(POINTS, chain_of(walk.humanoid))
    truth = synthetic.places(walk, points)
    hips = [POINTS.index("LHip"), POINTS.index("RHip")]
    truth = truth - truth[:, hips].mean(1, keepdims=True)
    residual = lifted_residual(lifted_of(truth, 0.01), chain_of(mjxhuman.load_humanoid("smpl")))

    def error(residuals):
        _, report = recover_with_report(keypoints, camera, ground="none", residuals=residuals)
        columns = [report.names.index(name) for name in ("LWrist", "RWrist", "LAnkle", "RAnkle")]
        middle = report.points[:, [report.names.index("LHip"), report.names.index("RHip")]].mean(1, keepdims=True)
        wanted = truth[:, [POINTS.index(name) for name in ("LWrist", "RWrist", "LAnkle", "RAnkle")]]
        return np.linalg.norm((report.points - middle)[:, columns] - wanted, axis=-1).mean()

    assert error([residual]) < 0.03 < error([])


@pytest.mark.slow
def test_a_visual_track_holds_one_world(film):
    walk, camera, keypoints = film
    track = visual_track(keypoints, camera, ground="none")
    assert track.features.shape == (60, 512) and track.known.shape == (60, 24) and track.fps == walk.fps
    root = np.asarray(track.estimate)[:, :3]
    # rays of the hips pass the estimate, and the lifter and the fit agree on which way the person faces
    point, origin = (np.asarray(x)[:, None] for x in (track.rays.point[:, 6], track.rays.origin))
    ahead = (point - origin)[:, 0]
    ahead = ahead / np.linalg.norm(ahead, axis=-1, keepdims=True)
    arm = root - origin[:, 0]
    assert np.linalg.norm(arm - np.sum(arm * ahead, -1, keepdims=True) * ahead, axis=-1).max() < 0.3
    front = quaternion.rotate(np.asarray(track.root_quat, float), np.array([1.0, 0.0, 0.0]))
    true = walk.body_quat[:, walk.humanoid.smpl_body_ids[0]]
    true = quaternion.rotate(
        true, quaternion.rotate(quaternion.conjugate(np.asarray(walk.humanoid.smpl_frame)), [0, 0, 1.0])
    )
    assert np.median(np.sum(front * true, -1)) > 0.8
    assert load_lifter().name == track.feature_name
