"""A tracker is built anew from its file, and files that hold none are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mjxhuman
from mjxhuman.envs.imitation import ImitationConfig
from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.physics.simulate import make_simulator
from mjxhuman.tracking.tracker import SHIPPED, UNTRAINED, load_tracker, tracker_facts
from mjxhuman.tracking.vision import SHIPPED_VISION, load_vision


def changed(path, out, **changes):
    """A copy of a policy file with other facts."""
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(str(arrays["header"]))
    header["meta"] |= changes
    np.savez(out, **{**arrays, "header": np.array(json.dumps(header))})
    return out


def test_everything_comes_back(make_tracker):
    path = make_tracker(action_scale=0.25, terminations={"any_body": {"distance": 0.3}})
    tracker = load_tracker(path, "c")
    assert tracker.config == ImitationConfig(
        action="residual", action_scale=0.25, groups={"state": ("compact",)},
        terminations={"any_body": {"distance": 0.3}},
    )  # fmt: skip
    assert tracker.humanoid is load_humanoid("smpl")  # the very object: motions loaded for either fit
    assert tracker.simulator.actuated is actuated_humanoid(load_humanoid("smpl"), "full")
    assert tracker.fps == pytest.approx(30.0)
    assert load_tracker(path.parent).path == path  # the folder of a run


def test_a_body_of_another_size_comes_back(make_tracker, tmp_path):
    body = load_humanoid("smpl", stature=1.5, mass=48.0)
    simulator = make_simulator(actuated_humanoid(body, "feet"), "c")
    facts = tracker_facts(simulator, ImitationConfig())
    path = changed(make_tracker(), tmp_path / "child.npz", **json.loads(json.dumps(facts)))
    tracker = load_tracker(path, "c")
    assert (tracker.humanoid.stature, tracker.humanoid.mass) == (1.5, pytest.approx(48.0))
    assert tracker.simulator.actuated.contacts == "feet"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "reach"}, "kind: expected 'imitation'.*'reach'"),
        ({"task": {"action": "residual", "colour": "red"}}, r"task: expected fields among .*found \['colour'\]"),
        ({"task": {"action": "sideways"}}, "task: action: expected 'absolute' or 'residual', found 'sideways'"),
        ({"humanoid": {"name": "smpl", "shoe_size": 43}}, "humanoid: expected name and options.*shoe_size"),
        ({"humanoid": {"name": "nobody"}}, "nobody"),
        ({"control_hz": None}, "control_hz: expected.*None"),
        ({"control_hz": 50.0}, "control_hz: expected a divisor"),
    ],
)
def test_other_facts_are_refused(make_tracker, tmp_path, changes, message):
    path = changed(make_tracker(), tmp_path / "policy.npz", **changes)
    with pytest.raises(ValueError, match=message):
        load_tracker(path, "c")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_tracker(tmp_path / "nowhere.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz: expected a policy file"):
        load_tracker(tmp_path / "other.npz")


@pytest.mark.parametrize("name", UNTRAINED)
def test_untrained_trackers(name):
    tracker = load_tracker(name, "c")
    obs = {"state": np.random.default_rng(0).normal(size=(5, 256)).astype(np.float32)}
    action = np.asarray(tracker.policy(obs))
    assert action.shape == (5, 69) and tracker.facts["agent"] == name
    assert tracker.config.action == ("residual" if name == "reference" else "absolute")
    if name != "random":
        assert not action.any()
        return
    np.testing.assert_array_equal(action, tracker.policy(obs))  # a roll-out can be repeated
    assert np.all(np.abs(action) <= 1) and np.abs(action.mean()) < 0.1 and 0.5 < action.std() < 0.65
    nudged = {"state": obs["state"] * np.float32(1 + 1e-6)}
    assert np.abs(np.asarray(tracker.policy(nudged)) - action).mean() > 0.5  # and yet every step draws anew
    assert np.abs(np.corrcoef(action)[0, 1:]).max() < 0.4


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_trackers_follow_the_built_in_walk(name):
    """The package's policies load, fit the default body, and track a clip that is no part of their training sets."""
    from mjxhuman.data.builtin import builtin_path
    from mjxhuman.tracking.evaluate import evaluate, usable

    tracker = load_tracker(name)
    assert tracker.path == SHIPPED[name]
    assert tracker.facts["clips"]
    walk = mjxhuman.load_motion(builtin_path("walk"), tracker.humanoid)
    motion = usable(walk, tracker.humanoid, tracker.fps, "walk")
    result = next(evaluate(tracker, [motion], score=False)).result
    assert result.frames > 100
    assert result.failed_frame is None or result.failed_frame > 30
    assert result.torque_peak <= 1.001 * tracker.simulator.actuated.cap.max()


@pytest.mark.slow
def test_the_shipped_expert_follows_a_raw_walk_from_a_perturbed_start():
    """It learned on plans; without one, under disturbance, it holds the built-in walk, which feed-forward does not."""
    from mjxhuman.data.builtin import builtin_path
    from mjxhuman.tracking.disturbance import Disturbance
    from mjxhuman.tracking.evaluate import evaluate, usable

    disturbance = Disturbance(perturbed=True)
    results = []
    for name in (None, "reference"):
        tracker = load_tracker(name)
        walk = mjxhuman.load_motion(builtin_path("walk"), tracker.humanoid)
        motion = usable(walk, tracker.humanoid, tracker.fps, "walk")
        results.append(next(evaluate(tracker, [motion], score=False, disturbance=disturbance)).result)
    assert load_tracker().path == SHIPPED["expert"]
    assert results[0].failed_frame is None and results[1].failed_frame is not None


def test_the_shipped_policy_that_sees_videos_has_the_expert_s_body():
    """And names what it has learned, none of it kept back for judging or barred by its licence."""
    seen, expert = load_vision(), load_tracker()
    assert seen.path == SHIPPED_VISION and seen.facts["expert"]["file"] == "expert.npz"
    assert seen.simulator.actuated.facts == expert.simulator.actuated.facts
    names = seen.facts["clips"]
    assert len(names) > 50 and not [name for name in names if name.startswith(("dataset-", "dance1_subject"))]
