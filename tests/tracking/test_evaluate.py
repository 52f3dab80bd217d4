"""Roll-outs of trackers whose actions are constants, and the numbers that are taken from them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.envs.clips import make_library
from mjxhuman.envs.imitation import make_imitation
from mjxhuman.humanoids import load_humanoid
from mjxhuman.physics.motion import motion_from_qpos, resample
from mjxhuman.tracking import evaluate as evaluation
from mjxhuman.tracking import metrics
from mjxhuman.tracking.evaluate import ClipResult, evaluate, roll_out, summary
from mjxhuman.tracking.tracker import load_tracker

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def tracker(make_tracker):
    return load_tracker(make_tracker(), "c")


@pytest.fixture(scope="module")
def clips(tracker):
    """Two clips at the control rate: 70 frames of the walk, 45 of the jump."""
    found = []
    for name, frames in (("walk", 70), ("jump", 45)):
        clip = load_builtin_clip(name)
        motion = resample(motion_from_qpos(tracker.humanoid, clip.qpos, clip.fps, provenance=clip.provenance), 30.0)
        found.append(motion_from_qpos(tracker.humanoid, np.asarray(motion.qpos)[:frames], 30.0))
    return found


def all_roll_outs(tracker, clips):
    env = make_imitation(make_library(clips, 30.0), tracker.simulator, tracker.config)
    return {r.clip: (r.qpos, r.effort, r.whole) for r in roll_out(env, tracker.policy)}


@pytest.mark.slow
def test_batches_and_windows_change_nothing(tracker, clips, monkeypatch):
    """One clip at a time in windows of 64 steps, or both together in windows of 16."""
    alone = all_roll_outs(tracker, clips)
    monkeypatch.setattr(evaluation, "BATCHES", (2, 1))
    monkeypatch.setattr(evaluation, "WINDOW", 16)
    together = all_roll_outs(tracker, clips)
    assert sorted(alone) == sorted(together) == [0, 1]
    for i, motion in enumerate(clips):
        qpos, effort, whole = alone[i]
        assert qpos.shape == motion.qpos.shape and effort.torque.shape == (len(qpos) - 1,) and whole == len(qpos)
        np.testing.assert_allclose(qpos[0], motion.qpos[0], atol=1e-6)
        np.testing.assert_allclose(together[i][0][:34], qpos[:34], atol=2e-3)  # beyond a fall, rounding grows
        np.testing.assert_allclose(together[i][1].torque[:34], effort.torque[:34], rtol=2e-2)
        assert np.abs(np.diff(qpos, axis=0)).max() > 1e-3  # it moved at all


def test_a_servo_stands(tracker):
    """The bare servo holds the T-pose for a second."""
    rest = np.tile(np.asarray(tracker.humanoid.model.qpos0), (31, 1))
    (tracked,) = evaluate(tracker, [motion_from_qpos(tracker.humanoid, rest, 30.0)], ["stand"])
    r = tracked.result
    assert r.success and r.failed_time is None and r.name == "stand"
    assert 0.0 < r.mpjpe_g < 60.0 and r.mpjpe_pa <= r.mpjpe_l
    assert r.residual == 0.0 and r.residual_share == pytest.approx(0.0, abs=1e-5)
    assert 0.0 < r.torque < r.torque_peak <= np.max(tracker.simulator.actuated.cap)
    assert r.score == pytest.approx(float(tracked.scores.total)) and set(r.axes) == set(r.reference_axes)


def test_agents_without_training(tracker, clips):
    """None can walk. Playing the clip back keeps the pose best; random targets fall first, with the largest torques."""
    found = {}
    for name in ("zero", "random", "reference"):
        (tracked,) = evaluate(load_tracker(name, "c"), clips[:1], score=False)
        found[name] = tracked.result
    assert not any(r.success for r in found.values())
    assert found["reference"].mpjpe_l < min(found["zero"].mpjpe_l, found["random"].mpjpe_l)
    assert found["random"].failed_frame < min(found["zero"].failed_frame, found["reference"].failed_frame)
    assert found["random"].torque > 2 * found["zero"].torque
    assert found["reference"].residual_share == pytest.approx(0.0, abs=1e-5)
    assert all(np.isfinite(r.mpjpe_g) for r in found.values())


def test_a_fall_is_found(tracker, clips):
    (tracked,) = evaluate(tracker, clips[:1], score=False)
    r, pos, ref = tracked.result, *(np.asarray(m.body_pos)[:, 1:] for m in (tracked.motion, tracked.reference))
    assert not r.success and 10 < r.failed_frame < 69
    off = np.linalg.norm(pos - ref, axis=-1)[:, list(metrics.EVAL_BODIES)].mean(-1)
    assert np.all(off[: r.failed_frame] <= 0.5) and off[r.failed_frame] > 0.5
    assert r.failed_time == pytest.approx(r.failed_frame / 30.0)
    assert r.score is None and r.axes == {}
    assert r.mpjpe_g == pytest.approx(1000 * np.linalg.norm(pos - ref, axis=-1).mean(), rel=1e-6)
    assert r.record()["success"] is False


def test_the_share_of_the_policy(make_tracker, clips):
    residual = load_tracker(make_tracker(bias=0.3), "c")
    (one,) = evaluate(residual, clips[1:], score=False)
    assert one.result.residual == pytest.approx(0.5 * 0.3, rel=1e-5)
    assert 0.2 < one.result.residual_share < 1.0
    absolute = load_tracker(make_tracker(bias=0.3, action="absolute"), "c")
    (two,) = evaluate(absolute, clips[1:], score=False)
    assert two.result.residual_share == 1.0


def test_a_simulation_that_breaks_down_is_a_failure(make_tracker, clips):
    (tracked,) = evaluate(load_tracker(make_tracker(bias=np.nan), "c"), clips[1:], score=False)
    assert tracked.result.failed_frame == 1
    assert np.all(np.isfinite(tracked.motion.qpos))
    assert np.isfinite(tracked.result.mpjpe_g)


def test_motions_that_cannot_be_tracked(tracker, clips):
    other = load_humanoid("smpl", stature=1.5)
    rest = np.tile(np.asarray(other.model.qpos0), (10, 1))
    with pytest.raises(ValueError, match=r"small: expected a motion of the simulated body .*1\.50 m"):
        next(evaluate(tracker, [motion_from_qpos(other, rest, 30.0)], ["small"]))
    holes = dataclasses.replace(clips[0], valid=np.arange(70) % 4 > 0)
    with pytest.raises(ValueError, match="at least 5 valid frames in a row at 30 Hz, found 3"):
        next(evaluate(tracker, [holes], ["holes"]))


def test_the_longest_valid_run_is_tracked(tracker, clips):
    valid = np.ones(70, bool)
    valid[[0, 20, 62]] = False
    usable = evaluation.usable(dataclasses.replace(clips[0], valid=valid), tracker.humanoid, tracker.fps, "walk")
    assert usable.num_frames == 41
    np.testing.assert_array_equal(usable.qpos, clips[0].qpos[21:62])


def test_phases(clips):
    found = evaluation.from_phases(clips[0], 20)
    starts = [first for first, _ in found]
    assert len(found) == 20 and starts == sorted(starts) and len(set(starts)) > 10
    assert 0 <= starts[0] < 10 and 30 < starts[-1] <= 40
    for first, motion in found:
        np.testing.assert_array_equal(motion.qpos, clips[0].qpos[first:])
        np.testing.assert_array_equal(motion.qvel, clips[0].qvel[first:])  # not differenced anew at the cut
    short = [first for first, _ in evaluation.from_phases(found[-1][1], 2)]
    assert short == [0, 0] or max(short) <= 70 - starts[-1] - 30


def test_summary():
    base = ClipResult("a", 10, 30.0, None, 20.0, 10.0, 5.0, 1.0, 2.0, 30.0, 90.0, 20.0, 95.0, 0.0, 0.1, 0.5, 0.9, 0.8)
    worse = dataclasses.replace(base, name="b", frames=30, failed_frame=3, mpjpe_g=60.0, torque_peak=200.0, score=None)
    found = summary([base, worse])
    assert found["clips"] == 2 and found["success_rate"] == 0.5
    assert found["mpjpe_global_mm"] == pytest.approx(50.0) and found["mpjpe_global_mm_success"] == 20.0
    assert found["torque_peak"] == 200.0 and found["score"] == 0.9
    assert np.isnan(summary([worse])["mpjpe_local_mm_success"]) and np.isnan(summary([])["success_rate"])
