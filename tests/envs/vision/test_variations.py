"""Variations of filmed clips: what was seen of the motion is seen of the variation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mjxhuman.encoders.lifting import RAY_JOINTS
from mjxhuman.envs.vision.variations import varied
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.physics.variations import Variations, bent, mirrored, retimed

WANTED = Variations(mirror=True, speeds=(1.25,), curvatures=(0.4,))


@pytest.fixture(scope="module")
def filmed(library, humanoid, tracks):
    """A walk and two videos whose rays pass through its joints."""
    qpos = np.asarray(library.qpos)[: int(library.length[0])]
    return motion_from_qpos(humanoid, qpos, library.fps), tracks[0]


@pytest.fixture(scope="module")
def others(filmed):
    return list(varied(*filmed, WANTED))


def joints(motion) -> np.ndarray:
    return np.asarray(motion.body_pos)[:, [motion.humanoid.body_names.index(name) for name in RAY_JOINTS]]


def off_rays(motion, rays) -> np.ndarray:
    """m, of each joint from its ray."""
    origin = np.asarray(rays.origin)[:, None]
    ahead = np.asarray(rays.point) - origin
    ahead = ahead / np.linalg.norm(ahead, axis=-1, keepdims=True)
    arm = joints(motion) - origin
    return np.linalg.norm(arm - (arm * ahead).sum(-1, keepdims=True) * ahead, axis=-1)


def test_they_are_those_of_the_motion(filmed, others):
    motion, _ = filmed
    expected = [
        mirrored(motion), retimed(motion, 1.25), mirrored(retimed(motion, 1.25)), bent(motion, 0.4),
        mirrored(bent(motion, 0.4)),
    ]  # fmt: skip
    assert len(others) == len(expected)
    for (found, tracks), wanted in zip(others, expected, strict=True):
        assert found.fps == pytest.approx(motion.fps) and len(tracks) == 2
        assert found.num_frames / found.fps == pytest.approx(wanted.num_frames / wanted.fps, abs=0.06)
        np.testing.assert_allclose(found.qpos[0], wanted.qpos[0], atol=1e-5)
        for track in tracks:
            assert np.shape(track.estimate) == np.shape(found.qpos) and track.fps == motion.fps


def test_rays_still_pass_through_the_joints(filmed, others):
    for motion, tracks in (filmed, *others):
        same_clock = motion.num_frames == filmed[0].num_frames
        for track in tracks:
            assert off_rays(motion, track.rays).max() < (2e-3 if same_clock else 0.02)
    image = others[0][1][0]
    left, right = (RAY_JOINTS.index(f"{side}_Wrist") for side in "LR")
    np.testing.assert_array_equal(image.rays.confidence[:, left], filmed[1][0].rays.confidence[:, right])


def test_estimates_keep_their_errors(filmed, others):
    """Of every body from the root, and of the root: as large as they were; seen as PHC's upright frame turns."""

    def errors(motion, track):
        estimate = motion_from_qpos(motion.humanoid, np.asarray(track.estimate), motion.fps)
        off = np.asarray(estimate.body_pos, float) - np.asarray(motion.body_pos, float)
        local = np.linalg.norm(off - off[:, 1:2], axis=-1)[:, 1:].mean()
        return local, np.linalg.norm(off[:, 1], axis=-1).mean(), off[:, 1, 2].mean()

    for view in (0, 1):
        wanted = errors(filmed[0], filmed[1][view])
        assert wanted[0] > 0.005
        for motion, tracks in others:
            np.testing.assert_allclose(errors(motion, tracks[view]), wanted, rtol=0.05, atol=1e-3)


def test_orientations_turn_with_the_body_and_further_cameras_come_along(filmed):
    motion, tracks = filmed
    upright = np.asarray(motion.qpos)[:, 3:7]
    track = dataclasses.replace(tracks[0], root_quat=_phc(upright), others=(tracks[1].rays,))
    for other, (told,) in varied(motion, [track], Variations(mirror=True, curvatures=(0.4,))):
        expected = _phc(np.asarray(other.qpos)[:, 3:7])
        same = np.abs(np.sum(np.asarray(told.root_quat) * expected, -1))
        np.testing.assert_allclose(same, 1.0, atol=1e-4)
        assert off_rays(other, told.others[0]).max() < 2e-3


def _phc(quat: np.ndarray) -> np.ndarray:
    from mjxhuman.envs.imitation.observations import upright

    return np.asarray(upright(quat))
