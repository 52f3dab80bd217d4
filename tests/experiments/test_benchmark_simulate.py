"""The simulation benchmark runs every part on the same work and reports what it promises."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mjxhuman
from configs.benchmark import get_config
from experiments import benchmark_simulate
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.physics.simulate import make_simulator


@pytest.fixture
def config():
    config = get_config()
    config.simulate.update({"envs": (2, 4), "control_steps": 3, "repeats": 2})
    return config


def test_simulation_benchmark(config, monkeypatch):
    monkeypatch.setattr(benchmark_simulate, "prepare_jax", lambda: None)  # of the whole process
    result = json.loads(json.dumps(benchmark_simulate.simulate(config)))
    assert [(r["engine"], r["envs"]) for r in result["rows"]] == [("rollout", 2), ("c", 2), ("rollout", 4), ("c", 4)]
    for row in result["rows"]:
        assert row["physics_steps_per_s"] == pytest.approx(4 * row["control_steps_per_s"])
    summary = benchmark_simulate.headline(result)
    assert set(summary) == {"rollout_physics_steps_per_s", "c_physics_steps_per_s", "c_over_rollout"}
    fastest = max(r["physics_steps_per_s"] for r in result["rows"] if r["engine"] == "c")
    assert summary["c_physics_steps_per_s"] == round(fastest)


def test_engine_and_rollout_do_the_same_work(config):
    work = config.simulate
    work.seed = 0
    actuated = actuated_humanoid(mjxhuman.load_humanoid("smpl"))
    sim = make_simulator(actuated, "c")
    states, _ = benchmark_simulate.rollout_call(actuated, 4, sim.substeps, work)()
    last = benchmark_simulate.engine_call(sim, 4, work)()
    np.testing.assert_allclose(states[:, -1, 1:100], last.qpos, atol=1e-5)
