"""A library of plans: what is planned in which order, what is kept of it, and how it goes on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import plan_library
from mjxhuman.data.builtin import builtin_path
from mjxhuman.options import ClipOptions
from mjxhuman.runs.files import read_json_lines


@dataclasses.dataclass
class Plans:
    """Stands for the planner: loses every mirror image."""

    humanoid: object
    made: list = dataclasses.field(default_factory=list)

    def __call__(self, motion, seed, progress):
        self.made.append(motion)
        lost = bool(np.asarray(motion.qpos)[-1, 1] * self.side < 0)
        return SimpleNamespace(
            tracked=not lost, lost_at=1.0 if lost else None, motion=motion, seconds=2.0, error_global_mm=10.0,
            error_local_mm=9.0, torque=20.0, save=lambda path: Path(path).write_bytes(b"plan"),
        )  # fmt: skip

    side: float = 1.0


def library(tmp_path, planner, speeds=(), paths=None, max_seconds=0.0):
    todo = list(plan_library.jobs(paths or [builtin_path("walk")], True, speeds, "fast", 1))
    return plan_library.run(todo, planner, tmp_path, ClipOptions(), 1.0, max_seconds)


def test_clips_come_before_their_variants():
    walk, jump = builtin_path("walk"), builtin_path("jump")
    todo = list(plan_library.jobs([walk, jump], True, [0.85], "fast", 2))
    assert [job.name for job in todo[:5]] == [
        "walk.npz", "jump.npz", "walk.npz_mirrored", "jump.npz_mirrored", "walk.npz_x0.85",
    ]  # fmt: skip
    assert len(todo) == len({job.name for job in todo}) == 16


def test_what_is_tracked_is_kept_and_the_same_command_goes_on(tmp_path, humanoid):
    planner = Plans(humanoid)
    first = library(tmp_path, planner)
    planner.side = np.sign(np.asarray(planner.made[0].qpos)[-1, 1])
    assert len(first) == len(planner.made) == 2
    assert planner.made[0].num_frames == round(planner.made[0].fps)  # the first second
    again = library(tmp_path, planner, speeds=[1.15])
    assert len(planner.made) == 4 and again[:2] == first  # the first two were there already
    assert planner.made[2].fps == pytest.approx(1.15 * planner.made[0].fps)
    assert [line["file"] for line in again[2:]] == ["walk.npz_x1.15.npz", None] and again[3]["lost_at"] == 1.0
    assert list(read_json_lines(tmp_path / "index.jsonl")) == again
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == sorted(
        line["file"] for line in again if line["file"]
    )
    assert plan_library.conclude(again, 4) == 1


def test_files_that_cannot_be_loaded_are_named_in_the_index(tmp_path, humanoid):
    bad = tmp_path / "bad.bvh"
    bad.write_text("HIERARCHY")
    lines = library(tmp_path / "plans", Plans(humanoid), paths=[bad])
    assert [line["file"] for line in lines] == [None, None] and "bad.bvh" in lines[0]["error"]
