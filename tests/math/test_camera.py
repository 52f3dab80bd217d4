"""Cameras: projection against its definition, lens model and inverse, axes, rays."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.math import camera

K = np.array([[1500.0, 0.0, 540.0], [0.0, 1480.0, 960.0], [0.0, 0.0, 1.0]])
LENS = np.array([-0.2, 0.05, 0.002, -0.001])


@pytest.fixture
def points():
    return np.random.default_rng(0).uniform([-1.0, -1.0, 0.2], [1.0, 1.0, 1.9], (7, 5, 3))


@pytest.fixture
def pose(x64):
    return np.asarray(camera.look_at([3.0, -2.0, 1.5], [0.0, 0.0, 1.0]))


def test_a_camera_that_looks_ahead_sees_right_and_down_as_opencv_does():
    T = camera.look_at([0.0, 0.0, 1.0], [1.0, 0.0, 1.0])  # looks along +x: right is -y, down is -z
    uv, depth = camera.project(np.array([[2.0, -1.0, 1.0], [2.0, 0.0, 0.0]]), K, T, np.zeros(4))
    np.testing.assert_allclose(depth, 2.0, atol=1e-6)
    np.testing.assert_allclose(uv, [[540.0 + 750.0, 960.0], [540.0, 960.0 + 740.0]], atol=1e-3)


def test_extrinsics_and_pose_say_the_same(points, pose):
    rotation, translation = pose[:3, :3].T, -pose[:3, :3].T @ pose[:3, 3]
    np.testing.assert_allclose(camera.from_extrinsics(rotation, translation), pose, atol=1e-6)
    np.testing.assert_allclose(camera.to_camera(pose, points), points @ rotation.T + translation, atol=1e-6)
    np.testing.assert_allclose(camera.to_world(pose, camera.to_camera(pose, points)), points, atol=1e-6)


def test_the_lens_follows_opencvs_formula():
    x, y = 0.3, -0.2
    k1, k2, p1, p2 = LENS
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2
    want = [x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y]
    np.testing.assert_allclose(camera.distort(np.array([[x, y]]), LENS)[0], want, atol=1e-7)


def test_rays_pass_through_the_points_they_were_projected_from(points, pose):
    uv, depth = camera.project(points, K, pose, LENS)
    assert (depth > 0).all()
    place, direction = camera.rays(uv, K, pose, LENS)
    arm = points - np.asarray(place)
    miss = np.cross(arm, direction)
    np.testing.assert_allclose(miss, 0.0, atol=1e-9)
    assert (np.sum(arm * np.asarray(direction), -1) > 0).all()


def test_cameras_that_move_broadcast_over_frames(points, pose):
    moving = np.stack([np.asarray(camera.look_at([3.0 + 0.1 * t, -2.0, 1.5], [0.0, 0.0, 1.0])) for t in range(7)])
    uv, _ = camera.project(points, K, moving, LENS)
    one, _ = camera.project(points[4], K, moving[4], LENS)
    np.testing.assert_allclose(uv[4], one, atol=1e-9)


def test_projection_is_differentiable(pose):
    point = jnp.array([[0.1, 0.2, 1.0]])
    slope = jax.jacobian(lambda p: camera.project(p, K, pose, LENS)[0])(point)[0, :, 0]
    step = 1e-6 * np.eye(3)
    numeric = [
        (camera.project(point + d, K, pose, LENS)[0] - camera.project(point - d, K, pose, LENS)[0]) for d in step
    ]
    np.testing.assert_allclose(slope.T, np.concatenate(numeric) / 2e-6, rtol=1e-5)


def test_the_default_focal_length_is_the_diagonal():
    K = camera.diagonal_intrinsics((640, 480))
    assert K[0, 0] == K[1, 1] == 800.0
    assert tuple(K[:2, 2]) == (320.0, 240.0)


def test_what_is_near_the_lens_is_seen_as_large_as_it_is(x64):
    T = camera.look_at([0.0, 0.0, 0.0], [1.0, 0.0, 0.0])
    uv, depth = camera.project(np.array([[0.1, -0.02, 0.0]]), K, T, np.zeros(4))
    np.testing.assert_allclose(depth, 0.1)
    np.testing.assert_allclose(uv, [[540.0 + 0.2 * 1500.0, 960.0]])


def test_a_strong_lens_is_undone_everywhere_it_can_be(x64):
    xy = np.stack(np.meshgrid(np.linspace(-0.8, 0.8, 9), np.linspace(-0.6, 0.6, 7)), -1).reshape(-1, 2)
    lens = np.array([-0.15, 0.03, 0.02, -0.03])
    np.testing.assert_allclose(camera.undistort(camera.distort(xy, lens), lens), xy, atol=1e-12)
