"""A run that is stopped by a signal or by its time keeps what it did, and goes on from there."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest

from mjxhuman.runs.checkpoints import CheckpointMismatch
from mjxhuman.runs.loop import LoopOptions, OutOfBounds, run_steps


def options(folder, **changes):
    return LoopOptions(
        folder, 6, **{"log_every": 2, "checkpoint_every": 4, "tensorboard": False, "quiet": True} | changes
    )


def add(done, state):
    return {"x": state["x"] + done}, {"added": done}


def start():
    return {"x": np.zeros(())}


def test_steps_are_logged_and_judged(tmp_path):
    ran = run_steps(options(tmp_path), start(), {}, add, lambda state: {"sum": state["x"]})
    assert (ran.done, float(ran.state["x"]), ran.values) == (6, 15.0, {"sum": 15.0, "added": 5.0})
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["sum"]) for line in lines] == [(2, 1.0), (4, 6.0), (6, 15.0)]


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_after_its_step_and_the_run_goes_on(tmp_path, kind):
    def stopped(done, state):
        if done == 2:
            os.kill(os.getpid(), kind)
        return add(done, state)

    before = signal.getsignal(kind)
    done, state, *_ = run_steps(options(tmp_path), start(), {"a": 1}, stopped)
    assert (done, float(state["x"])) == (3, 3.0) and signal.getsignal(kind) is before
    with pytest.raises(CheckpointMismatch, match="a"):
        run_steps(options(tmp_path), start(), {"a": 2}, add)
    seen = []
    done, state, *_ = run_steps(options(tmp_path), start(), {"a": 1}, lambda k, s: (seen.append(k), add(k, s))[1])
    assert (done, float(state["x"]), seen) == (6, 15.0, [3, 4, 5])


def test_time_ends_a_run_with_a_checkpoint(tmp_path):
    assert run_steps(options(tmp_path, max_seconds=1e-9), start(), {}, add)[0] == 1
    assert run_steps(options(tmp_path), start(), {}, add)[0] == 6


def test_who_judges_may_end_a_run_with_the_last_state_that_was_well(tmp_path):
    """Judged and kept every second step: what the fourth led to is logged, and not kept; nor does a new try."""

    def judge(state):
        if state["x"] > 3:
            raise OutOfBounds("too much", {"sum": state["x"]})
        return {"sum": state["x"]}

    how = options(tmp_path, log_every=1, judge_every=2, checkpoint_every=2)
    for _ in range(2):
        ran = run_steps(how, start(), {}, add, judge)
        assert (ran.done, float(ran.state["x"]), ran.stopped) == (2, 1.0, "too much") and ran.values["sum"] == 6.0
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines][:4] == [1, 2, 3, 4]
    assert [line.get("sum") for line in lines][:4] == [None, 1.0, None, 6.0]


def test_a_run_that_is_never_well_keeps_its_beginning(tmp_path):
    def judge(state):
        raise OutOfBounds("never", {})

    ran = run_steps(options(tmp_path, log_every=1), start(), {}, add, judge)
    assert (ran.done, float(ran.state["x"]), ran.stopped) == (0, 0.0, "never")
