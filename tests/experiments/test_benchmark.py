"""The benchmark runs and reports what it promises; the numbers themselves are for a quiet machine."""

from __future__ import annotations

import json

import mujoco
import numpy as np
import pytest

from configs.benchmark import get_config
from experiments import benchmark


@pytest.mark.slow
def test_reward_benchmark(tmp_path, capsys):
    config = get_config()
    config.update({"batches": (1, 2), "seconds": 0.01, "fresh_process": False, "frames": 40})
    result = benchmark.reward(config)
    surfaces = ("feasibility", "feasibility_slope", "feasibility_heights")
    assert {(row["function"], row["clips"]) for row in result["rows"]} == {
        (name, clips)
        for name in ("inverse_dynamics", "phymotion", *surfaces, "qpos_to_feasibility")
        for clips in (1, 2)
    }
    for row in result["rows"]:
        assert row["fps"] == pytest.approx(row["clips"] * 40 / row["ms"] * 1e3)
    summary = benchmark.headline(json.loads(json.dumps(result)))
    assert set(summary) == {
        "feasibility_fps", "inverse_dynamics_fps", "c_loop_fps", "ratio", "single_clip_ms", "first_result_s",
    }  # fmt: skip
    assert summary["ratio"] == pytest.approx(summary["feasibility_fps"] / summary["c_loop_fps"], abs=0.06)
    assert summary["single_clip_ms"] > 0
    assert summary["first_result_s"] is None
    assert "C MuJoCo" in capsys.readouterr().out


def test_measure_separates_the_first_call(monkeypatch):
    now = iter([0.0, 5.0, 10.0, 11.0, 20.0, 22.0, 30.0, 33.0])
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: next(now))
    assert benchmark.measure(lambda: np.zeros(1), seconds=5.5, least=3) == {
        "first": 5.0, "median": 2.0, "best": 1.0, "runs": 3,
    }  # fmt: skip


def test_the_c_loop_computes_what_the_released_scorer_does():
    """Its path stands on the floor with its lowest foot body, and its angles move."""
    import mjxhuman

    model = mjxhuman.load_humanoid("smpl", layout="hinge").model
    angles = benchmark.smooth_angles((1, 30, 69), 30.0, 0)[0]
    path = np.concatenate([benchmark.walk_forward(model.qpos0, 1, 30, 30.0)[0], angles], -1)
    path = benchmark.on_the_floor(model, path)
    data, heights = mujoco.MjData(model), []
    for frame in path:
        data.qpos[:] = frame
        mujoco.mj_kinematics(model, data)
        heights.append(min(data.body(name).xpos[2] for name in ("L_Ankle", "R_Ankle", "L_Toe", "R_Toe")))
    assert min(heights) == pytest.approx(0.0, abs=1e-12)
    assert 0.1 < angles.std() < 0.3


def test_unknown_benchmark(capsys):
    assert benchmark.main(["benchmark", "nothing"]) == 2
    assert "reward" in capsys.readouterr().err
