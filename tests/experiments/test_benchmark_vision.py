"""The benchmark of what bodies make of videos: its errors, means and settings."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import mjxhuman
from experiments import benchmark_vision as bench


def case(clip: str, success: bool, value: float) -> dict:
    return {"clip": clip, "success": success, **dict.fromkeys(bench.NUMBERS, value), "released": {"pa_mpjpe_mm": value}}


def test_means_are_over_all_clips_and_over_successes():
    """Views of a clip count together; what is lost counts with the errors it has."""
    row = bench.summarised([case("a", True, 10.0), case("a", True, 20.0), case("b", False, 100.0)])
    assert row["success_rate"] == 0.5 and row["mpjpe_mm"] == 57.5 and row["conditional"]["mpjpe_mm"] == 15.0
    assert row["released"]["success_rate"] == 1.0 and row["released"]["pa_mpjpe_mm"] == pytest.approx(43.333)
    low, high = row["interval"]["mpjpe_mm"]
    assert 15.0 <= low < 57.5 < high <= 100.0
    lost = bench.summarised([case("a", False, 1.0), case("b", False, float("nan"))])
    assert lost["mpjpe_mm"] == 1.0 and lost["conditional"]["mpjpe_mm"] is None and "mpjpe_mm" not in lost["interval"]


def test_errors_along_and_across_the_view(humanoid):
    from mjxhuman.data.builtin import builtin_path
    from mjxhuman.envs.clips import load_clips
    from mjxhuman.physics.motion import motion_from_qpos

    (motion,) = load_clips([builtin_path("walk")], humanoid).motions
    qpos = np.array(motion.qpos, np.float64)[:30]
    truth = motion_from_qpos(humanoid, qpos, 30.0)
    qpos[:, 1] += 0.1
    moved = motion_from_qpos(humanoid, qpos, 30.0)
    eye = np.asarray(truth.body_pos)[:, 1] + [0.0, 5.0, 0.0]
    video = bench.Video(0, 0, truth, SimpleNamespace(rays=SimpleNamespace(origin=eye)))
    found = bench.measure(moved, video)
    assert found["success"] and found["mpjpe_mm"] < 1e-3
    assert found["along_mm"] == pytest.approx(100.0, rel=1e-3) and found["across_mm"] < 0.1
    assert found["global_mm"] == pytest.approx(100.0, rel=1e-3) == pytest.approx(found["end_mm"], rel=1e-3)
    assert found["released"]["wa_mpjpe_mm"] < 1e-3 and found["foot_slide_mm"] == found["released"]["foot_slide_mm"]
    assert bench.feasibilities([moved, truth])[1] == pytest.approx(float(mjxhuman.score(truth).total), abs=1e-4)
    far = motion_from_qpos(humanoid, qpos + np.eye(1, qpos.shape[1], 0), 30.0)
    assert not bench.measure(far, dataclasses.replace(video))["success"]


def test_methods_that_there_are_not_are_refused():
    given = SimpleNamespace(methods=["fit", "guess"], policy="", expert="", preset="fast", tries=1)
    with pytest.raises(ValueError, match="found guess"):
        bench.movers(given)


def test_no_limit_in_seconds_takes_whole_clips(humanoid):
    from experiments.vision_clips import usable_clips
    from mjxhuman.data.builtin import builtin_path
    from mjxhuman.envs.clips import load_clips

    loaded = load_clips([builtin_path("walk")], humanoid)
    (whole,), _, _ = usable_clips(loaded, humanoid, bench.FPS, bench._ALL, "test")
    (short,), _, _ = usable_clips(loaded, humanoid, bench.FPS, 1.0, "test")
    assert short.num_frames == 30 < whole.num_frames
