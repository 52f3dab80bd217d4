"""A policy that falls, and the planner that takes over before it does."""

from __future__ import annotations

import numpy as np
import pytest

from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.humanoids.tuning import LIGHT
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.planning import Planner, Settings
from mjxhuman.planning.rescue import rescue
from mjxhuman.tracking.evaluate import evaluate
from mjxhuman.tracking.tracker import load_tracker

pytestmark = pytest.mark.compiled

SMALL = Settings(samples=12, improvements=2, horizon=8, back=0.3)


@pytest.fixture(scope="module")
def walk(humanoid):
    """2 s of the built-in walk."""
    clip = load_builtin_clip("walk")
    return motion_from_qpos(humanoid, clip.qpos[: int(2.0 * clip.fps)], clip.fps)


def test_the_planner_takes_over_where_the_policy_is_lost(make_tracker, walk):
    tracker = load_tracker(make_tracker(), "c")  # the bare servo, which falls
    (alone,) = evaluate(tracker, [walk], ["walk"], score=False)
    assert not alone.result.success
    planner = Planner(tracker.simulator.actuated, SMALL)
    both, since = rescue(tracker, planner, walk, "walk", score=False)
    assert both.result.success and both.result.mpjpe_g < 0.5 * alone.result.mpjpe_g
    assert 0.0 <= since < alone.result.failed_time
    first = round(since * 30)
    np.testing.assert_array_equal(np.asarray(both.motion.qpos)[: first + 1], np.asarray(alone.motion.qpos)[: first + 1])
    assert both.motion.num_frames == alone.motion.num_frames


def test_a_policy_that_holds_is_left_alone(make_tracker, humanoid):
    tracker = load_tracker(make_tracker(), "c")
    rest = motion_from_qpos(humanoid, np.tile(np.asarray(humanoid.model.qpos0), (31, 1)), 30.0)
    both, since = rescue(tracker, Planner(tracker.simulator.actuated, SMALL), rest, "stand", score=False)
    assert since is None and both.result.success
    other = Planner(actuated_humanoid(humanoid, tuning=LIGHT), SMALL)
    with pytest.raises(ValueError, match="planner: expected one of the tracker's body"):
        rescue(tracker, other, rest, "stand")
