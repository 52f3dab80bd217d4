"""The planning benchmark simulates the same futures in every part and reports what it promises."""

from __future__ import annotations

import json

import pytest

from configs.benchmark import get_config
from experiments import benchmark_plan


@pytest.mark.slow
def test_planning_benchmark(monkeypatch):
    monkeypatch.setattr(benchmark_plan, "prepare_jax", lambda: None)  # of the whole process
    config = get_config()
    config.plan.update({"presets": ("fast",), "seconds": 0.5, "repeats": 1})
    result = json.loads(json.dumps(benchmark_plan.plan(config)))
    assert [row["part"] for row in result["rows"]] == ["rollout", "engine", "search"]
    assert len({row["control_steps"] for row in result["rows"]}) == 1
    summary = benchmark_plan.headline(result)["fast"]
    assert summary["label_steps"] == 12 * 2 * 12 / 2
    spent = {row["part"]: row["processor_s_per_s"] for row in result["rows"]}
    assert summary["over_rollout"] == round(spent["rollout"] / spent["search"], 2) < 1.5
