"""Recovery from keypoints: known motion projected into cameras and found again; occlusion, mix-ups, other bodies."""

from __future__ import annotations

import numpy as np
import pytest
from recovery.scenes import NAMES, NOISE, SIZE, Scene, seen_from, walking
from scipy.spatial.transform import Rotation

from mjxhuman.data.cameras import level_camera
from mjxhuman.humanoids import load_humanoid
from mjxhuman.math import camera as lens_model
from mjxhuman.math import quaternion
from mjxhuman.recovery.feet import bridged
from mjxhuman.recovery.recover import recover_motion, recover_with_report
from mjxhuman.scenes.surface import Plane
from mjxhuman.types import Camera, Keypoints

pytestmark = pytest.mark.compiled

JOINTS = [1, 2, 4, 5, 7, 8, 16, 17, 18, 19, 20, 21]  # hips to wrists, SMPL's order


@pytest.fixture(scope="module")
def walk(humanoid) -> Scene:
    return walking(humanoid)


def cameras(walk: Scene, angles: list[float], focal: float = 1100.0) -> Camera:
    """Cameras 5 m from the middle of the path, at chest height, looking at it; angle 0 is where the walker goes."""
    middle = walk.joints[:, 0].mean(0) * [1, 1, 0] + [0, 0, 0.9]
    ahead = walk.joints[-1, 0] - walk.joints[0, 0]
    front = np.arctan2(ahead[1], ahead[0])
    place = [middle + 5.0 * np.array([np.cos(front + a), np.sin(front + a), 0.1]) for a in angles]
    pose = np.stack([np.asarray(lens_model.look_at(p, middle), float) for p in place])[:, None]
    matrix = np.tile([[focal, 0, 640.0], [0, focal, 480.0], [0, 0, 1.0]], (len(angles), 1, 1, 1))
    lens = np.tile([-0.05, 0.01, 1e-3, -5e-4], (len(angles), 1, 1))
    return Camera(matrix, pose, lens, SIZE)


def seen_by(walk: Scene, camera: Camera, noise: float = NOISE) -> Keypoints:
    uv, depth = lens_model.project(walk.points[None], camera.intrinsics, camera.T_world_camera, camera.distortion)
    assert (np.asarray(depth) > 0).all()
    uv = np.asarray(uv, float) + np.random.default_rng(0).normal(0.0, noise, uv.shape)
    confidence = np.random.default_rng(1).uniform(0.6, 1.0, uv.shape[:-1])
    return Keypoints(uv, confidence, NAMES, walk.fps, SIZE)


def one(camera: Camera, keypoints: Keypoints | None = None):
    """The first view, without the view axis."""
    parts = (x[0] for x in (camera.intrinsics, camera.T_world_camera, camera.distortion))
    alone = Camera(*parts, camera.image_size)
    return (
        alone
        if keypoints is None
        else (alone, keypoints.replace(uv=keypoints.uv[0], confidence=keypoints.confidence[0]))
    )


def joints_of(motion) -> np.ndarray:
    return np.asarray(motion.body_pos, float)[:, np.asarray(motion.humanoid.smpl_body_ids)]


def errors(motion, walk: Scene) -> tuple[float, float]:
    """Mean error of the limbs' joints, mm: global, and relative to the pelvis."""
    own, true = joints_of(motion), walk.joints
    used = np.asarray(motion.valid)
    distance = np.linalg.norm((own - true)[used][:, JOINTS], axis=-1)
    relative = np.linalg.norm(((own - own[:, :1]) - (true - true[:, :1]))[used][:, JOINTS], axis=-1)
    return 1e3 * float(distance.mean()), 1e3 * float(relative.mean())


@pytest.fixture(scope="module")
def two_views(walk):
    camera = cameras(walk, [0.5, 2.0])
    return camera, seen_by(walk, camera)


def test_two_cameras_find_place_and_pose(walk, two_views):
    camera, keypoints = two_views
    motion, report = recover_with_report(keypoints, camera, ground="none")
    placed, relative = errors(motion, walk)
    assert placed < 20.0 and relative < 20.0
    assert np.asarray(motion.valid).all()
    assert abs(report.stature - 1.71) < 0.02
    assert np.nanmedian(report.reprojection) < 2.0 * NOISE
    assert not report.swapped.any()
    np.testing.assert_allclose(report.uv, keypoints.uv, atol=40.0)
    # both feet touch the floor at some time, and not all the time
    assert (report.contact.max(0) > 0.8).all() and (report.contact.min(0) < 0.2).all()


def test_one_camera_finds_the_pose_and_says_what_it_cannot_know(walk):
    camera = cameras(walk, [0.7])
    motion, report = recover_with_report(*reversed(one(camera, seen_by(walk, camera))), ground="none")
    _, relative = errors(motion, walk)
    assert relative < 75.0
    assert any("cannot tell size from distance" in line for line in motion.provenance.retarget)
    assert np.nanmedian(report.reprojection) < 2.0 * NOISE


def test_landmarks_of_an_encoder_settle_depth(walk):
    """Metric 3D relative to the hips, of a camera that looks at them, 10 % too small and 3 cm noisy."""
    camera = cameras(walk, [0.7])
    alone, keypoints = one(camera, seen_by(walk, camera))
    local = np.asarray(lens_model.to_camera(alone.T_world_camera, walk.points), float)
    middle = local[:, [NAMES.index("LHip"), NAMES.index("RHip")]].mean(1)
    look = quaternion.between(middle, np.array([0.0, 0.0, 1.0]))
    rough = 0.9 * quaternion.rotate(look[:, None], local - middle[:, None])
    rough += np.random.default_rng(2).normal(0.0, 0.03, rough.shape)
    motion, _ = recover_with_report(keypoints.replace(pos3d=rough), alone, ground="none")
    _, relative = errors(motion, walk)
    assert relative < 35.0
    assert any("3D landmarks" in line for line in motion.provenance.retarget)


def test_mixed_up_legs_are_put_right_and_outliers_ignored(walk, two_views):
    camera, keypoints = two_views
    clean = errors(recover_motion(keypoints, camera, ground="none"), walk)
    uv, confidence = np.array(keypoints.uv), np.array(keypoints.confidence)
    legs = [k for k, name in enumerate(NAMES) if name[1:] in ("Hip", "Knee", "Ankle", "Heel", "BigToe", "SmallToe")]
    other = [NAMES.index(("R" if NAMES[k][0] == "L" else "L") + NAMES[k][1:]) for k in legs]
    frames = slice(20, 28)
    uv[0, frames, legs] = np.asarray(keypoints.uv)[0, frames, other]
    rng = np.random.default_rng(3)
    wrong = rng.uniform(size=confidence.shape) < 0.05
    uv[wrong] += rng.normal(0.0, 150.0, (int(wrong.sum()), 2))
    lost = rng.uniform(size=confidence.shape) < 0.1
    confidence[lost] = 0.0
    motion, report = recover_with_report(keypoints.replace(uv=uv, confidence=confidence), camera, ground="none")
    placed, _ = errors(motion, walk)
    assert placed < clean[0] + 8.0
    assert report.swapped[frames, 0].mean() > 0.7
    assert report.swapped[:, 1].sum() <= 1


def test_a_hidden_limb_is_bridged_and_a_hidden_person_is_not_invented(walk, two_views):
    camera, keypoints = two_views
    confidence = np.array(keypoints.confidence)
    arm = [NAMES.index(name) for name in ("LElbow", "LWrist")]
    confidence[:, 10:19, arm] = 0.0  # 0.3 s
    confidence[:, 35:55] = 0.0  # 0.67 s
    motion, report = recover_with_report(keypoints.replace(confidence=confidence), camera, ground="none")
    valid = np.asarray(motion.valid)
    assert valid[:35].all() and valid[55:].all()
    assert not valid[43:47].any()
    assert not report.known[45].any()
    own = joints_of(motion)
    assert np.linalg.norm(own[10:19, [18, 20]] - walk.joints[10:19, [18, 20]], axis=-1).mean() < 0.08
    assert any("frames invalid" in line for line in motion.provenance.retarget)
    assert np.isnan(report.reprojection[35:55]).all()


def test_what_is_out_of_the_picture_is_an_error(walk, two_views):
    """However sure the detector is of what it cannot see."""
    camera, keypoints = two_views
    uv = np.array(keypoints.uv)
    low = [k for k, name in enumerate(NAMES) if name[1:] in ("Hip", "Knee", "Ankle", "Heel", "BigToe", "SmallToe")]
    uv[..., low, 1] += SIZE[1]
    with pytest.raises(ValueError, match="no frame in which 8 of 12 joints from shoulders to ankles can be told"):
        recover_motion(keypoints.replace(uv=uv), camera)


def test_another_body_scales_the_scene_with_its_cameras(walk, two_views):
    camera, keypoints = two_views
    tall = load_humanoid("smpl", stature=1.90)
    motion, report = recover_with_report(keypoints, camera, tall)
    assert motion.humanoid is tall
    assert any("scaled by 1.11" in line for line in motion.provenance.retarget)
    uv, _ = lens_model.project(
        report.points[None], report.camera.intrinsics, report.camera.T_world_camera, report.camera.distortion
    )
    np.testing.assert_allclose(uv, report.uv, atol=0.1)
    assert np.median(np.linalg.norm(report.uv - keypoints.uv, axis=-1)) < 3.0 * NOISE


@pytest.mark.parametrize(("pitch", "roll"), [(0.0, 0.0), (20.0, -10.0)])
def test_the_vertical_is_where_people_stand(walk, pitch, roll):
    """A camera that nobody levelled, looking down and rolled: up is found from feet and centre of mass."""
    middle = walk.joints[:, 0].mean(0)
    turn = Rotation.from_euler("ZYX", [40.0, pitch, roll], degrees=True).as_matrix()
    pose = np.array(level_camera(SIZE).T_world_camera[0], float)
    pose[:3, :3] = turn @ pose[:3, :3]
    pose[:3, 3] = middle - 5.0 * turn[:, 0]
    keypoints = seen_from(walk.points, pose, 1100.0, walk.fps)
    motion, report = recover_with_report(keypoints, level_camera(SIZE, 1100.0), estimate=("stature", "gravity"))
    up, true = (np.asarray(T)[:3, :3].T @ [0.0, 0.0, 1.0] for T in (report.camera.T_world_camera[0, 0], pose))
    assert np.rad2deg(np.arccos(np.clip(up @ true, -1.0, 1.0))) < 4.0
    if pitch:
        assert np.rad2deg(report.tilt) > 15.0
    assert any("people stand over their feet" in line for line in motion.provenance.retarget)
    assert np.asarray(motion.valid).all()


def test_arguments_that_do_not_fit(walk, two_views):
    camera, keypoints = two_views
    with pytest.raises(ValueError, match="camera: expected 2 views of 60 frames"):
        recover_motion(keypoints, one(camera))
    with pytest.raises(ValueError, match="estimate: expected 'stature', 'focal' or 'gravity', found wind"):
        recover_motion(keypoints, camera, estimate=("wind",))
    with pytest.raises(ValueError, match="ground: expected one of"):
        recover_motion(keypoints, camera, ground="flat")
    with pytest.raises(ValueError, match="expected at least 3 frames, found 2"):
        recover_motion(keypoints.replace(uv=keypoints.uv[:, :2], confidence=keypoints.confidence[:, :2]), camera)
    few = keypoints.replace(uv=keypoints.uv[..., :4, :], confidence=keypoints.confidence[..., :4], names=NAMES[:4])
    with pytest.raises(ValueError, match="expected names of at least 6 points"):
        recover_motion(few, camera)
    with pytest.raises(ValueError, match="found no point above 0"):
        recover_motion(keypoints.replace(confidence=np.zeros_like(keypoints.confidence)), camera)


def test_feet_that_come_back_at_once_have_not_left():
    """A detection that jumps to the other foot and back takes no standing foot along; a step does."""
    touch, place = np.ones((40, 3)), np.zeros((40, 3, 3))
    touch[10:20] = 0.0
    place[10:20, :, 0] = 0.3
    touch[14] = 1.0  # where the jump turns it is slow
    place[20:, 1, 0] = 0.4  # the second foot stepped
    touch[8:28, 2] = 0.0  # the third was away for long
    found = bridged(touch, place, 30.0)
    np.testing.assert_array_equal(found[:, 0], 1.0)
    np.testing.assert_array_equal(found[:, 1:], touch[:, 1:])


@pytest.mark.slow
def test_soles_stand_on_the_surface_that_is_given(walk):
    """A walk and its camera, turned by 10 degrees: on that slope it is found as the turned walk, else it is not."""
    turn = Rotation.from_euler("y", 10, degrees=True)
    camera = one(cameras(walk, [0.6]))
    keypoints = one(cameras(walk, [0.6]), seen_by(walk, cameras(walk, [0.6])))[1]
    pose = np.array(camera.T_world_camera)
    pose[..., :3, :] = turn.as_matrix() @ pose[..., :3, :]
    slanted = camera.replace(T_world_camera=pose)
    slope = Plane(normal=turn.apply([0.0, 0.0, 1.0]))
    level = joints_of(recover_motion(keypoints, camera, floor=0.0, ground="none"))
    found = joints_of(recover_motion(keypoints, slanted, surface=slope, ground="none"))
    away = joints_of(recover_motion(keypoints, slanted, floor=0.0, ground="none"))
    expected = turn.apply(level.reshape(-1, 3)).reshape(level.shape)
    error = [np.linalg.norm(x - expected, axis=-1)[:, JOINTS].mean() for x in (found, away)]
    assert error[0] < 1e-3
    assert error[1] > 0.1


def test_a_surface_needs_a_level_camera(walk):
    keypoints = one(cameras(walk, [0.6]), seen_by(walk, cameras(walk, [0.6])))[1]
    with pytest.raises(ValueError, match="surface: expected a camera whose world is level"):
        recover_motion(keypoints, surface=Plane(), ground="none")
    with pytest.raises(ValueError, match="ground: expected none beside a surface, found 'stance'"):
        recover_motion(keypoints, one(cameras(walk, [0.6])), surface=Plane())
