"""Pushes and perturbed starts: what they are, and that a roll-out feels them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.tracking.disturbance import PERTURBED, Disturbance
from mjxhuman.tracking.evaluate import evaluate
from mjxhuman.tracking.tracker import load_tracker

pytestmark = pytest.mark.compiled


def test_one_push_a_second_of_the_speed_that_was_asked_for():
    found = Disturbance(push=0.4).pushes("mocap/walk.bvh", 95, 1 / 30)
    speed = np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(speed[speed > 0], 0.4)
    assert [int(np.sum(speed[k : k + 30] > 0)) for k in (0, 30, 60)] == [1, 1, 1]
    directions = found[speed > 0] / 0.4
    assert np.abs(directions[0] - directions[1]).max() > 0.01


def test_drawn_by_name_and_seed_alone():
    one = Disturbance(push=0.4)
    np.testing.assert_array_equal(one.pushes("a/walk.bvh", 60, 1 / 30), one.pushes("b/walk.bvh", 95, 1 / 30)[:60])
    assert np.any(one.pushes("walk.bvh", 60, 1 / 30) != one.pushes("run.bvh", 60, 1 / 30))
    other = dataclasses.replace(one, seed=1)
    assert np.any(one.pushes("walk.bvh", 60, 1 / 30) != other.pushes("walk.bvh", 60, 1 / 30))
    assert not Disturbance() and one and Disturbance(perturbed=True)
    assert not Disturbance(seed=3).pushes("walk.bvh", 60, 1 / 30).any()


def test_what_makes_no_sense_is_refused():
    for push in (-0.1, float("nan")):
        with pytest.raises(ValueError, match="push: expected a speed of 0 m/s or more"):
            Disturbance(push=push)


def test_a_policy_is_pushed_and_starts_off_the_clip(make_tracker):
    tracker = load_tracker(make_tracker(), "c")
    clip = load_builtin_clip("walk")
    motion = motion_from_qpos(tracker.humanoid, np.asarray(clip.qpos)[: 2 * 12 : 2], 30.0)

    def rolled(disturbance: Disturbance | None) -> np.ndarray:
        (tracked,) = evaluate(tracker, [motion], ["stroll"], score=False, disturbance=disturbance)
        return np.asarray(tracked.motion.qpos)

    calm, pushed = rolled(None), rolled(Disturbance(push=2.0))
    at = int(np.flatnonzero(Disturbance(push=2.0).pushes("stroll", 30, 1 / 30).any(1))[0])
    start = rolled(Disturbance(perturbed=True))[0]
    assert at < 11, "or the clip is too short to be pushed"
    np.testing.assert_array_equal(pushed[: at + 1], calm[: at + 1])
    assert 0.03 < np.linalg.norm(pushed[at + 1, :2] - calm[at + 1, :2]) < 0.1  # 2 m/s for 1/30 s
    off = np.abs(start - calm[0])
    assert 1e-3 < off[:3].max() <= PERTURBED["position"] + 1e-6
    assert 1e-3 < off[7:].max() < PERTURBED["joints"]
