"""Where metrics are written."""

from __future__ import annotations

import builtins
import struct
from pathlib import Path

import numpy as np
import pytest

from mjxhuman.runs import read_json_lines
from mjxhuman.runs.metrics import MetricsWriter


def test_records_are_appended_and_later_ones_cut_off_when_a_run_goes_back(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path, tensorboard=False) as writer:
        for step in range(1, 6):
            writer.write(step, {"reward": np.float32(step / 2), "success": float("nan")})
    with MetricsWriter(tmp_path, step=3, tensorboard=False) as writer:
        writer.write(4, {"reward": 9})
    records = list(read_json_lines(tmp_path / "metrics.jsonl"))
    assert [r["step"] for r in records] == [1, 2, 3, 4]
    assert [r["reward"] for r in records] == [0.5, 1.0, 1.5, 9.0]
    assert records[0]["success"] is None
    assert not (tmp_path / "tensorboard").exists()


def test_tensorboard_gets_the_scalars(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path) as writer:
        writer.write(1, {"loss/actor": 0.25, "nothing": float("inf")})
    (events,) = (tmp_path / "tensorboard").iterdir()
    content = events.read_bytes()
    assert b"loss/actor" in content
    assert struct.pack("<f", 0.25) in content
    assert b"nothing" not in content


def test_missing_wandb_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "wandb":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="project 'mine' needs `pip install wandb`"):
        MetricsWriter(tmp_path, tensorboard=False, wandb="mine")
