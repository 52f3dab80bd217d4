"""The training benchmark runs every part on the same work and reports what it promises."""

from __future__ import annotations

import json

import pytest

from configs.benchmark import get_config
from experiments import benchmark_train


@pytest.mark.slow
def test_training_benchmark(monkeypatch):
    monkeypatch.setattr(benchmark_train, "prepare_jax", lambda: None)  # of the whole process
    config = get_config()
    config.train.update({"variant": "test", "repeats": 1})
    result = json.loads(json.dumps(benchmark_train.train(config)))
    assert [row["part"] for row in result["rows"]] == ["rollout", "environment", "train"]
    assert all(row["control_steps_per_s"] > 0 for row in result["rows"])
    summary = benchmark_train.headline(result)
    speed = {row["part"]: row["control_steps_per_s"] for row in result["rows"]}
    assert summary["train_over_rollout"] == round(speed["train"] / speed["rollout"], 2)
