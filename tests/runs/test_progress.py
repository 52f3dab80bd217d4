from __future__ import annotations

import importlib
import io
import time

import pytest

from mjxhuman.runs import busy, compiling
from mjxhuman.runs import progress as make_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(monkeypatch, stream, **options):
    monkeypatch.setattr("sys.stderr", stream)
    with make_bar(10, unit="clip", label="score", **options) as bar:
        for _ in range(10):
            bar.update(1)
    return stream.getvalue()


def test_bar_on_a_terminal_shows_count_and_rate(monkeypatch):
    text = run(monkeypatch, Terminal())
    assert "score" in text
    assert "10/10" in text
    assert "clip/s" in text


def test_silent_when_piped_or_quiet(monkeypatch):
    assert run(monkeypatch, io.StringIO()) == ""
    assert run(monkeypatch, Terminal(), quiet=True) == ""


@pytest.fixture
def at_a_terminal(monkeypatch):
    """A function that puts a terminal in the place of stderr: pytest sets it again before each test."""
    module = importlib.import_module("mjxhuman.runs.progress")  # the name in the package is the function's
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    monkeypatch.setattr(module, "_said", set())

    def stand_in(stream):
        monkeypatch.setattr("sys.stderr", stream)
        return stream

    return stand_in


def test_what_takes_long_is_said(at_a_terminal):
    stderr = at_a_terminal(Terminal())
    with busy("fitting a body to walk.bvh"):
        time.sleep(0.3)
    with busy("reading"):
        pass
    time.sleep(0.2)
    assert stderr.getvalue() == "fitting a body to walk.bvh ...\n", "what was quick is not said, not even afterwards"


def test_compiling_is_said_once(at_a_terminal):
    stderr = at_a_terminal(Terminal())
    for _ in range(2):
        with compiling("the score"):
            time.sleep(0.3)
    assert stderr.getvalue().count("compiling the score for this machine") == 1


def test_a_bar_says_enough(at_a_terminal):
    stderr = at_a_terminal(Terminal())
    with make_bar(3, label="score"), busy("fitting"):
        time.sleep(0.3)
    assert "score" in stderr.getvalue() and "fitting" not in stderr.getvalue()


def test_nothing_is_said_to_a_pipe(at_a_terminal):
    stderr = at_a_terminal(io.StringIO())
    with busy("fitting"):
        time.sleep(0.3)
    assert stderr.getvalue() == ""
