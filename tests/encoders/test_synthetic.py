"""Simulated detections: exact without noise, as wrong as real ones with it, the same for the same seed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.optimize import minimize

import mjxhuman
from experiments.recovery_trial import JOINTS, read_trial
from mjxhuman.data.builtin import builtin_path
from mjxhuman.encoders import synthetic, viewpoints
from mjxhuman.encoders.detection_noise import PRESETS, DetectionNoise, Draw
from mjxhuman.math import camera as lens_model
from mjxhuman.retarget.chain import chain_of
from mjxhuman.retarget.landmarks import keypoint_set

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def walk():
    return mjxhuman.load_motion(builtin_path("walk"))


@pytest.mark.parametrize("layout", ["coco_17", "body_25", "blazepose"])
@pytest.mark.parametrize("kind", viewpoints.KINDS)
def test_clean_detections_are_the_projection(walk, kind, layout):
    camera = viewpoints.film(walk, 4, kind)
    found = synthetic.detect(walk, camera, layout=layout, noise="clean")
    points = keypoint_set(found.names, chain_of(walk.humanoid))
    wanted, _ = lens_model.project(
        synthetic.places(walk, points), camera.intrinsics, camera.T_world_camera, camera.distortion
    )
    seen = found.confidence[:, points.column] > 0
    assert seen.mean() > 0.98
    np.testing.assert_array_equal(found.uv[:, points.column][seen], np.asarray(wanted, float)[seen])
    # joints in the middle of limbs lie where the model has them
    knee = walk.humanoid.smpl_body_ids[4]
    place = synthetic.places(walk, points)[:, points.names.index("LKnee")]
    np.testing.assert_allclose(place, np.asarray(walk.body_pos)[:, knee], atol=1e-5)


def test_what_is_outside_of_the_picture_is_not_seen(walk):
    camera = dataclasses.replace(viewpoints.film(walk, 4), image_size=(960, 540))  # the upper left quarter
    found = synthetic.detect(walk, camera)
    seen = found.confidence > 0
    assert 0.02 < seen.mean() < 0.6
    assert ((found.uv[seen] >= 0) & (found.uv[seen] <= [960, 540])).all() and not found.uv[~seen].any()


def test_the_same_seed_gives_the_same_bits_and_another_others(walk):
    cameras = [viewpoints.film(walk, seed, "walking") for seed in (1, 1, 2)]
    found = [synthetic.detect(walk, c, seed=seed) for c, seed in zip(cameras, (1, 1, 2), strict=True)]
    np.testing.assert_array_equal(found[0].uv, found[1].uv)
    assert (found[0].uv != found[2].uv).mean() > 0.9


def test_cameras_stand_where_people_who_film_do(walk):
    for kind in viewpoints.KINDS:
        for seed in range(20):
            camera = viewpoints.film(walk, seed, kind, image_size=(1080, 1920) if seed % 2 else (1920, 1080))
            pose = np.asarray(camera.T_world_camera)
            turn = pose[:, :3, :3]
            square = np.swapaxes(turn, 1, 2) @ turn
            np.testing.assert_allclose(square, np.broadcast_to(np.eye(3), turn.shape), atol=1e-6)
            assert 0.4 < pose[0, 2, 3] < 4.6 and (pose[:, 2, 1] < 0).all()  # y of the picture is down
            assert synthetic.detect(walk, camera, noise="clean").confidence.any(1).all()
    with pytest.raises(ValueError, match="kind: expected one of standing, panning, walking, found 'flying'"):
        viewpoints.film(walk, 0, "flying")


def test_a_camera_that_is_carried_begins_where_one_that_pans_stands(walk):
    pans, walks = (np.asarray(viewpoints.film(walk, 7, kind).T_world_camera)[:, :3, 3] for kind in viewpoints.KINDS[1:])
    np.testing.assert_allclose(walks[0], pans[0], atol=1e-5)
    assert np.ptp(pans, axis=0).max() < 1e-5 and 0.3 < np.linalg.norm(np.ptp(walks, axis=0)) < 5


def test_the_far_arm_is_behind_the_body(walk):
    """From the left, 5 m away; the left hip is behind the arm that swings past it, the right wrist behind the trunk."""
    points = keypoint_set(("left_wrist", "right_wrist", "left_hip", "right_hip"), chain_of(walk.humanoid))
    world = synthetic.places(walk, points)
    left = world[:, 2] - world[:, 3]
    eye = np.asarray(walk.body_pos, float)[:, 1] + 5 * left / np.linalg.norm(left, axis=-1, keepdims=True) * [1, 1, 0]
    hidden = synthetic.hidden(walk, world, eye).mean(0)
    assert hidden[0] == 0 and 0 < hidden[2] < 0.3
    assert 0.1 < hidden[1] < 1 and hidden[3] > 0.9


def test_distance_of_segments_is_the_least_there_is():
    rng = np.random.default_rng(0)
    p, d, q, e = rng.normal(size=(4, 40, 3))
    e[:5] = 0.0
    found = synthetic._distance(p, d, q, e)
    for i in range(40):

        def gap(x, i=i):
            return np.sum((p[i] + x[0] * d[i] - q[i] - x[1] * e[i]) ** 2)

        least = min(minimize(gap, start, bounds=[(0, 1), (0, 1)]).fun for start in ((0, 0), (1, 1), (0.5, 0.5)))
        assert found[i] == pytest.approx(np.sqrt(least), abs=1e-4)


def test_sides_are_mixed_up_only_where_a_back_is_seen(walk):
    noise = dataclasses.replace(PRESETS["clean"], mirrored=0.5)
    front = np.asarray(walk.body_pos, float)[0, 1] + [30.0, 0.0, 0.5]
    for place, share in ((front, 0.0), (front - [60.0, 0, 0], 0.5)):
        camera = viewpoints.film(walk, 0)
        target = np.asarray(walk.body_pos, float)[0, 1]
        camera = dataclasses.replace(camera, T_world_camera=np.asarray(lens_model.look_at(place, target))[None])
        clean = synthetic.detect(walk, camera, noise="clean")
        found = [synthetic.detect(walk, camera, noise=noise, seed=seed) for seed in range(10)]
        left, right = clean.names.index("LHip"), clean.names.index("RHip")
        swapped = [(f.uv[:, left] == clean.uv[:, right]).all(-1) for f in found]
        assert np.mean(swapped) == pytest.approx(share, abs=0.12)


def test_confidence_below_three_quarters_goes_with_greater_errors():
    draw = Draw(DetectionNoise(bias=0.0, bias_hidden=0.0, outliers=0.0, jitter=0.0), ["LKnee"] * 200, 200, 30.0, 0)
    spread = [draw.errors(np.full((200, 200), c), np.zeros((200, 200), bool)).std() for c in (1.0, 0.75, 0.5, 0.35)]
    np.testing.assert_allclose(np.array(spread) / spread[0], [1, 1, 2, 5], rtol=0.05)


def test_wrists_and_toes_are_off_half_as_much_again():
    draw = Draw(dataclasses.replace(PRESETS["clean"], wander=0.01), ["LKnee", "LWrist", "LBigToe"] * 100, 300, 30.0, 0)
    spread = draw.errors(np.ones((300, 300)), np.zeros((300, 300), bool)).reshape(300, 100, 3, 2).std((0, 1, 3))
    np.testing.assert_allclose(spread / spread[0], [1, 1.5, 1.5], rtol=0.1)


def test_limbs_are_lost_and_exchanged_as_a_whole():
    names = ["LHip", "RHip", "LKnee", "RKnee", "LAnkle", "RAnkle", "LWrist", "RWrist"]
    quiet = dataclasses.replace(PRESETS["clean"], hidden_rate=0.5, exchanged_rate=0.5)
    draw = Draw(quiet, names, 3000, 30.0, 0)
    lost = draw.lost()
    np.testing.assert_array_equal(lost[:, 2], lost[:, 4])
    assert not lost[:, :2].any() and 0.1 < lost[:, 2].mean() < 0.3 and (lost[:, 2] != lost[:, 3]).any()
    values = np.tile(np.arange(8.0), (3000, 1))[..., None]
    found = draw.exchanged(values, np.zeros(3000, bool))[..., 0]
    legs, arms = found[:, 0] == 1, found[:, 6] == 7
    assert 0.02 < legs.mean() < 0.3 and 0.02 < arms.mean() < 0.3 and (legs != arms).any()
    np.testing.assert_array_equal(found[legs][:, :6], np.tile([1, 0, 3, 2, 5, 4], (legs.sum(), 1)))


def statistics(uv: np.ndarray, confidence: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Numbers of the errors of detections (T, K, 2), confidences (T, K), about true pixels (T, K, 2)."""
    seen = (confidence > 0)[..., None]
    size = np.linalg.norm(np.ptp(truth, axis=1), axis=-1)[:, None, None]
    error = np.where(seen, (uv - truth) / size, np.nan)
    bias = np.nanmedian(error, 0)
    rest = error - bias
    far = np.linalg.norm(rest, axis=-1) > 0.05
    near = np.where(far[..., None], np.nan, rest)
    sure = confidence[seen[..., 0]]
    return {
        "spread": 1.48 * np.nanmedian(abs(rest)),
        "jitter": 1.48 * np.nanmedian(abs(np.diff(rest, 2, 0))) / 6**0.5,
        "bias": np.sqrt(np.nanmean(bias**2)),
        "correlation": np.nanmean(near[4:] * near[:-4]) / np.nanmean(near**2),
        "outliers": far[seen[..., 0]].mean(),
        "doubt": np.percentile(sure, 10) / np.percentile(sure, 90),
    }


@pytest.mark.slow
def test_errors_are_like_those_of_a_real_detector(shared):
    """OpenPose on four cameras against its triangulation, and simulated detections of the same motion and cameras."""
    trial = read_trial(shared / "data" / "keypoints" / "pose2sim")
    file = next(f for f in sorted((trial.folder / "pose3d").glob("*_filt*.trc")) if "LSTM" not in f.name)
    motion = mjxhuman.load_motion(file)
    real, simulated = [], []
    for view, camera in enumerate(trial.cameras):
        pixels, _ = lens_model.project(trial.truth, camera.intrinsics, camera.T_world_camera, camera.distortion)
        columns = [trial.names.index(name) for name in JOINTS]
        seen = trial.seen[view][:, columns]
        real.append(statistics(seen[..., :2], seen[..., 2], np.asarray(pixels, float)))
        for seed in range(3):
            found = synthetic.detect(motion, camera, seed=3 * view + seed)
            clean = synthetic.detect(motion, camera, noise="clean")
            columns = [found.names.index(name) for name in JOINTS]
            simulated.append(statistics(found.uv[:, columns], found.confidence[:, columns], clean.uv[:, columns]))
    for name, least, most in (
        ("spread", 0.8, 1.6), ("jitter", 0.8, 1.6), ("bias", 0.4, 1.5), ("correlation", 0.6, 1.3),
        ("outliers", 0.5, 4.0), ("doubt", 0.85, 1.15),
    ):  # fmt: skip
        found, wanted = (np.mean([row[name] for row in rows]) for rows in (simulated, real))
        assert least < found / wanted < most, name


def test_what_cannot_be_detected_is_named(walk):
    camera = viewpoints.film(walk, 0)
    with pytest.raises(ValueError, match=r"layout: expected one of coco_17, .* found 'mpii'"):
        synthetic.detect(walk, camera, layout="mpii")
    with pytest.raises(ValueError, match=r"noise: expected one of clean, .* found 'loud'"):
        synthetic.detect(walk, camera, noise="loud")
    with pytest.raises(ValueError, match="camera: expected 225 frames or one for this motion, found 3"):
        synthetic.detect(walk, dataclasses.replace(camera, intrinsics=np.tile(camera.intrinsics, (3, 1, 1))))
    pos = np.array(walk.body_pos)
    pos[3] = np.nan
    for call in (lambda x: synthetic.detect(x, camera), viewpoints.film):
        with pytest.raises(ValueError, match="motion: expected finite numbers"):
            call(walk.replace(body_pos=pos))
        with pytest.raises(ValueError, match=r"motion: expected one clip, body_pos \(T, B, 3\), found \(2, 225"):
            call(mjxhuman.motion_from_qpos(walk.humanoid, np.stack([walk.qpos] * 2), walk.fps))
