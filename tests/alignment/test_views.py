"""A camera holds the person to the lines of sight."""

import jax.numpy as jnp
import numpy as np
import pytest
from box_chair import SEAT, chair, scene_of

import mjxhuman
from mjxhuman.alignment import seated
from mjxhuman.alignment.legs import legs_of, placement
from mjxhuman.alignment.views import SEEN, pixel_errors, views_of
from mjxhuman.math import camera as lens
from mjxhuman.types import Camera

PLACE = np.array([2.5, 1.0, 1.8])
CAMERA = Camera(
    np.array([[[900.0, 0, 640], [0, 900, 360], [0, 0, 1]]]), np.asarray(lens.look_at(PLACE, [0.1, 0, 0.6]))[None],
    np.zeros((1, 4)), (1280, 720),
)  # fmt: skip


@pytest.fixture(scope="module")
def person():
    return seated(mjxhuman.load_humanoid(), SEAT)


def pixels(motion):
    return np.asarray(
        lens.project(motion.body_pos[0, 1:], CAMERA.intrinsics[0], CAMERA.T_world_camera[0], np.zeros(4))[0]
    )


def test_joints_are_seen_where_the_camera_projects_them_and_moves_across_the_view_cost(person):
    frames, shift = np.arange(1), np.array([[0.0, 0.05, 0.02]])
    views = views_of(person, frames, CAMERA)
    there = pixels(person)
    np.testing.assert_allclose(views.uv[0, 0], there - [640, 360], atol=0.01)
    moved = person.replace(body_pos=np.asarray(person.body_pos) + shift)
    found = np.asarray(pixel_errors(views, placement(legs_of(person, frames), jnp.asarray(shift), None)))[0, 0]
    size = np.linalg.norm(np.ptp(there, axis=0))
    np.testing.assert_allclose(found, (pixels(moved) - there) / (SEEN * size * np.sqrt(len(there))), atol=1e-3)
    still = pixel_errors(views, placement(legs_of(person, frames), jnp.zeros((1, 3)), None))
    np.testing.assert_allclose(still, 0, atol=1e-4)


def test_cameras_of_another_clip_are_refused(person):
    names = ("intrinsics", "T_world_camera", "distortion")
    two = CAMERA.replace(**{name: np.repeat(getattr(CAMERA, name), 2, 0) for name in names})
    with pytest.raises(ValueError, match="camera: expected one of 3 frames"):
        mjxhuman.align(person, scene_of(chair()), contacts=[("Pelvis", "chair")], camera=two)
    with pytest.raises(ValueError, match="expected 'ours' for a camera"):
        mjxhuman.align(person, scene_of(chair()), method="paper", camera=CAMERA)


@pytest.mark.slow
def test_who_was_seen_comes_to_the_seat_along_the_line_of_sight(person):
    """12 cm from the seat towards the camera: the gap is closed with less than half the error in the picture."""
    ahead = PLACE - np.asarray(person.body_pos)[0, 1]
    by = 0.12 * ahead / np.linalg.norm(ahead)
    qpos, pos = np.array(person.qpos), np.array(person.body_pos)
    qpos[:, :3] += by
    pos[:, 1:] += by
    start = person.replace(qpos=qpos, body_pos=pos)
    scene = scene_of(chair(free=False), at=[(-0.03, 0.0)])
    errors = []
    for camera in (None, CAMERA):
        found = mjxhuman.align(start, scene, contacts=[("Pelvis", "chair")], camera=camera)
        assert found.converged, found.reason
        errors.append(float(np.sqrt(np.mean((pixels(found.motion) - pixels(start)) ** 2))))
    assert errors[1] < 4.0 and errors[1] < 0.4 * errors[0]
