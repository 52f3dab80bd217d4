"""Furniture comes to who sits."""

import dataclasses

import numpy as np
import pytest

import mjxhuman
from mjxhuman.interaction import poses
from mjxhuman.interaction.place import joined, moment, placed
from mjxhuman.interaction.seat import find_sitting
from mjxhuman.math import quaternion


@pytest.fixture(scope="module")
def turned(humanoid):
    """Someone who sits down at (2, 1), facing +y."""
    motion = poses.sitting(humanoid, 0.36)
    qpos, turn = np.array(motion.qpos, float), quaternion.about(np.array([0.0, 0, 1]), np.array([np.pi / 2]))[0]
    qpos[:, :3] = quaternion.rotate(turn, qpos[:, :3]) + [2.0, 1.0, 0.0]
    qpos[:, 3:7] = quaternion.multiply(turn, qpos[:, 3:7])
    return mjxhuman.motion_from_qpos(humanoid, qpos, motion.fps)


def test_a_chair_is_put_under_the_hips_and_a_table_before_them(turned):
    scene = joined([mjxhuman.make_furniture("table", 1), mjxhuman.make_furniture("chair", 1)])
    table, chair = placed(turned, scene).poses
    np.testing.assert_allclose(chair[:2], [2.0, 1.0], atol=0.02)
    np.testing.assert_allclose(quaternion.rotate(chair[3:], np.array([1.0, 0, 0])), [0, 1, 0], atol=0.01)
    np.testing.assert_allclose(table[:2], [2.0, 1.75], atol=0.02)
    standing = dataclasses.replace(turned, **{
        name: np.asarray(getattr(turned, name))[:20]
        for name in ("qpos", "qvel", "qacc", "body_pos", "body_quat", "body_linvel", "body_angvel", "valid")
    })  # fmt: skip
    np.testing.assert_array_equal(placed(standing, scene).poses, scene.poses)


def test_the_moment_that_is_held_is_one_of_sitting_or_the_one_asked_for(turned):
    still, frame = moment(turned)
    frames = np.flatnonzero(find_sitting(turned).frames)
    longest = max(np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1), key=len)
    assert abs(frame - longest.mean()) < 2 and np.ptp(np.asarray(still.qpos), axis=0).max() == 0
    assert moment(turned, 1.0)[1] == 30
    with pytest.raises(ValueError, match=r"--at: expected 0 to \d+\.\d+ s, found 99 s"):
        moment(turned, 99.0)
