"""Rays: parity with PhysHMR's observation, exactness on real triples of 2D, 3D and camera, invariances."""

from __future__ import annotations

import numpy as np
import pytest

from mjxhuman.data.keypoint_names import LAYOUTS
from mjxhuman.encoders import lifting
from mjxhuman.math import camera, rotation
from mjxhuman.types import Camera, Keypoints

#: SMPL joint -> body of the MuJoCo order that the golden data uses.
TO_MUJOCO = [0, 1, 5, 9, 2, 6, 10, 3, 7, 11, 4, 8, 12, 14, 19, 13, 15, 20, 16, 21, 17, 22, 18, 23]
SMPL_IDS = [16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8]


@pytest.mark.parametrize("frames", ["up", "notup"])
@pytest.mark.parametrize(("feature", "observation", "joints"), [("feature12", "v358", 12), ("feature10", "v359", 10)])
def test_the_observation_is_physhmrs(shared, frames, feature, observation, joints):
    golden = np.load(shared / "data" / "golden" / "physhmr_pixel_as_ray" / "obs.npz")
    ids = [k for k in SMPL_IDS if joints == 12 or k not in (1, 2)]
    joint_pos = golden["body_pos"][:, [TO_MUJOCO[k] for k in ids]]
    root = golden["body_rot"][:, 0][:, [3, 0, 1, 2]]
    if frames == "notup":  # SMPL's own body frames: upright = body * conj(0.5, 0.5, 0.5, 0.5)
        root = np.asarray(rotation.multiply(root, np.array([0.5, -0.5, -0.5, -0.5])))
    stored = golden[feature][:, 513:]
    rays = stored[:, 3:].reshape(64, joints, 4)
    names = lifting.RAY_JOINTS if joints == 12 else lifting.RAY_JOINTS_WITHOUT_HIPS
    given = lifting.Rays(stored[:, :3], rays[..., :3], rays[..., 3], names)
    own = lifting.ray_observation(given, joint_pos, root)
    want = golden[f"obs_{observation}__{frames}"][:, -4 * joints :]
    np.testing.assert_allclose(own, want, atol=2e-5)


def test_joints_are_in_the_order_of_coco():
    assert tuple(name.replace("_", "") for name in lifting.RAY_JOINTS) == LAYOUTS["coco_17"][5:]


@pytest.mark.parametrize("person", [0, 1])
def test_real_reconstructions_project_and_lift_exactly(shared, x64, person):
    """Four people of one image, as SAM 3D Body states them: 70 points in 3D and 2D, focal length from the README."""
    file = np.load(shared / "data" / "keypoints" / "sam3d_body" / f"img_subj{person:02d}.npz")
    points = (file["pred_keypoints_3d"] + file["pred_cam_t"]).astype(float)
    uv = file["pred_keypoints_2d"].astype(float)
    K = np.array([[2535.27, 0.0, 960.0], [0.0, 2535.27, 445.0], [0.0, 0.0, 1.0]])
    own, depth = camera.project(points, K, np.eye(4), np.zeros(4))
    assert (depth > 0).all()
    np.testing.assert_allclose(own, uv, atol=0.02)
    origin, direction = camera.rays(uv, K, np.eye(4), np.zeros(4))
    offsets = lifting.ray_offsets(points, np.asarray(origin), np.asarray(direction), np.array([1.0, 0, 0, 0]))
    assert np.linalg.norm(offsets, axis=-1).max() < 1e-4  # m


@pytest.fixture
def scene(x64):
    """12 joints seen by a camera that moves, T frames."""
    rng = np.random.default_rng(0)
    joints = rng.uniform([-0.5, -0.5, 0.0], [0.5, 0.5, 1.8], (5, 12, 3))
    pose = np.stack([np.asarray(camera.look_at([3.0, 0.3 * t, 1.5], [0.0, 0.0, 1.0])) for t in range(5)])
    given = Camera(
        np.tile([[900.0, 0, 500], [0, 900.0, 400], [0, 0, 1.0]], (5, 1, 1)), pose,
        np.tile([-0.1, 0.02, 1e-3, -1e-3], (5, 1)), (1000, 800),
    )  # fmt: skip
    uv, _ = camera.project(joints, given.intrinsics, given.T_world_camera, given.distortion)
    names = tuple(reversed(LAYOUTS["coco_17"][5:]))
    keypoints = Keypoints(np.asarray(uv)[:, ::-1], np.full((5, 12), 0.7), names, 30.0, (1000, 800))
    return joints, given, keypoints


def test_offsets_vanish_exactly_when_the_body_is_where_it_was_seen(scene):
    joints, given, keypoints = scene
    rays = lifting.lift(keypoints, given)
    assert rays.joints == lifting.RAY_JOINTS
    offsets = lifting.ray_offsets(joints, rays.origin, rays.point, np.tile([1.0, 0, 0, 0], (5, 1)))
    assert np.abs(offsets).max() < 1e-9
    moved = joints + np.array([0.0, 0.05, 0.0])
    offsets = lifting.ray_offsets(moved, rays.origin, rays.point, np.tile([1.0, 0, 0, 0], (5, 1)))
    assert 0.03 < np.linalg.norm(offsets, axis=-1).max() <= 0.05


def test_depth_along_the_ray_does_not_matter(scene):
    joints, given, keypoints = scene
    rays, root = lifting.lift(keypoints, given), np.tile([1.0, 0, 0, 0], (5, 1))
    body = joints + 0.1
    near = lifting.ray_offsets(body, rays.origin, rays.point, root)
    origin = np.asarray(rays.origin)[:, None]
    depth = np.random.default_rng(1).uniform(0.2, 7.0, (5, 12, 1))
    far = lifting.ray_offsets(body, rays.origin, origin + depth * (np.asarray(rays.point) - origin), root)
    np.testing.assert_allclose(near, far, atol=1e-12)
    toward = body + 0.3 * (origin - body) / np.linalg.norm(origin - body, axis=-1, keepdims=True)
    shifted = lifting.ray_offsets(toward, rays.origin, rays.point, root)
    assert (np.linalg.norm(shifted, axis=-1) < np.linalg.norm(near, axis=-1)).all()  # a cone, not a cylinder


def test_turning_the_whole_scene_changes_nothing(scene):
    joints, given, keypoints = scene
    rays = lifting.lift(keypoints, given)
    rng = np.random.default_rng(2)
    root = rng.normal(size=(5, 4))
    root /= np.linalg.norm(root, axis=-1, keepdims=True)
    body = joints + 0.1
    before = lifting.ray_offsets(body, rays.origin, rays.point, root)
    turn = np.array([np.cos(0.6), 0.0, 0.0, np.sin(0.6)])
    spin = lambda x: np.asarray(rotation.rotate(np.broadcast_to(turn, (*np.shape(x)[:-1], 4)), x))  # noqa: E731
    after = lifting.ray_offsets(
        spin(body), spin(rays.origin), spin(rays.point), rotation.multiply(np.broadcast_to(turn, (5, 4)), root)
    )
    np.testing.assert_allclose(before, after, atol=1e-9)


def test_missing_joints_and_frames_are_named(scene):
    _, given, keypoints = scene
    cut = keypoints.replace(
        names=keypoints.names[:-1], uv=keypoints.uv[:, :-1], confidence=keypoints.confidence[:, :-1]
    )
    with pytest.raises(ValueError, match="expected LShoulder among the names"):
        lifting.lift(cut, given)
    with pytest.raises(ValueError, match="expected 5 frames or one for these keypoints, found 3"):
        lifting.lift(keypoints, given.replace(intrinsics=given.intrinsics[:3]))
