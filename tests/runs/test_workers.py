"""Stages of workers: order, what fails, what is killed, what takes too long, and both backends alike."""

from __future__ import annotations

import functools
import os
import threading
import time
from pathlib import Path

import pytest

from mjxhuman.data.errors import MotionFileError
from mjxhuman.runs.workers import Pipeline, WorkStage


def squares(marks=None):
    """The function of a stage; an item that is in marks's folder as FAIL, KILL or SLEEP does that, once or always."""

    def square(item):
        number = item[0] if isinstance(item, tuple) else item
        for mark in [] if marks is None else Path(marks).glob(f"{number}_*"):
            _, what, often = mark.name.split("_")
            if often == "once":
                mark.unlink()
            if what == "kill":
                os._exit(7)
            if what == "sleep":
                time.sleep(60)
            raise ValueError(f"{number} is refused")
        return number * number, os.getpid()

    return square


def spans():
    """Says from when to when it slept."""

    def sleep(item):
        start = time.monotonic()
        time.sleep(0.5)
        return item, start, time.monotonic()

    return sleep


def plus_one():
    return lambda item: (item[0] + 1, item[1])


def test_items_come_back_in_order_from_several_processes():
    with Pipeline([WorkStage("square", squares, workers=2), WorkStage("add", plus_one, workers=0)]) as pipeline:
        ticket = pipeline.submit(range(6))
        found = pipeline.collect(ticket)
        assert [x.value[0] for x in found] == [n * n + 1 for n in range(6)] and not any(x.error for x in found)
        assert os.getpid() not in {x.value[1] for x in found}
        assert [x.value[0] for x in pipeline.map(iter(range(9)), ahead=2)] == [n * n + 1 for n in range(9)]
        assert pipeline.collect(pipeline.submit([])) == []
    with pytest.raises(RuntimeError, match="closed"):
        pipeline.submit([1])


@pytest.mark.parametrize("backend", ["local", "ray"])
def test_what_fails_has_its_reason_and_what_fails_once_has_a_value(backend, tmp_path, request):
    """A worker that is killed or hangs loses no other item, and its own only if that happens again."""
    if backend == "ray":
        request.getfixturevalue("ray_cluster")
    for mark in ("1_refuse_always", "2_refuse_once", "3_kill_once", "4_kill_always", "5_sleep_always"):
        (tmp_path / mark).touch()
    seconds = 12.0 if backend == "ray" else 6.0
    stages = [
        WorkStage("square", functools.partial(squares, tmp_path), workers=2, seconds=seconds, cpus=0.5),
        WorkStage("add", plus_one, workers=0),
    ]
    with Pipeline(stages, backend) as pipeline:
        found = pipeline.collect(pipeline.submit(range(8)))
    assert [x.value[0] if x.value else None for x in found] == [1, None, 5, 10, None, None, 37, 50]
    assert found[1].error == "square: 1 is refused" and found[2].error == ""
    assert "died" in found[4].error and f"longer than {seconds:g} s" in found[5].error
    assert not list(tmp_path.glob("*_once"))


def test_workers_work_at_the_same_time():
    with Pipeline([WorkStage("sleep", spans, workers=3)]) as pipeline:
        pipeline.collect(pipeline.submit(range(6)))  # they have started
        found = [x.value for x in pipeline.collect(pipeline.submit(range(6)))]
    at_once = [sum(a <= start < b for _, a, b in found) for _, start, _ in found]
    assert max(at_once) == 3


def test_results_do_not_depend_on_how_many_workers_there_are():
    counts = []
    for workers in (0, 1, 3):
        with Pipeline([WorkStage("square", squares, workers=workers)]) as pipeline:
            counts.append([x.value[0] for x in pipeline.map(range(12))])
    assert counts[0] == counts[1] == counts[2]


def test_closing_ends_what_is_under_way():
    pipeline = Pipeline([WorkStage("sleep", forever, workers=1)])
    ticket = pipeline.submit(range(3))
    closing = threading.Timer(1.0, pipeline.close)
    closing.start()
    found = pipeline.collect(ticket)
    closing.join()
    assert all(x.value is None and x.error for x in found)


def forever():
    return lambda item: time.sleep(600)


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="backend: expected one of local, ray, found 'threads'"):
        Pipeline([WorkStage("a", squares)], "threads")
    with pytest.raises(ValueError, match="at least one"):
        Pipeline([])
    with pytest.raises(ValueError, match="a: workers: expected 0 or more, found -1"):
        WorkStage("a", squares, workers=-1)
    with pytest.raises(ValueError, match="a: seconds: expected a positive time, found 0"):
        WorkStage("a", squares, seconds=0.0)


def test_what_cannot_travel_is_named():
    """A value that cannot be pickled, and an exception that cannot be made again from its message."""
    for make, text in ((unpicklable, "pickle"), (raises, "odd: clip.npz: fps: found none, expected a rate")):
        with Pipeline([WorkStage("odd", make)]) as pipeline:
            (found,) = pipeline.collect(pipeline.submit([1]))
        assert found.value is None and text in found.error


def raises():
    def function(item):
        raise MotionFileError("clip.npz", "fps", "none", "a rate")

    return function


def unpicklable():
    return lambda item: lambda: item
