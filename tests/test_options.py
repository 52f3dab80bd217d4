"""Options are written down once: everything that can be said on a command line can be said everywhere else."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from mjxhuman import options
from mjxhuman.options import FileOptions, LoadOptions, ReadOptions, ScoreOptions, VideoOptions, record_of, spelt

ROOT = Path(__file__).resolve().parents[1]

ONE_EDIT = """
import pathlib, sys, types

source = pathlib.Path("mjxhuman/options.py").read_text()
line = "    start: float = option(0.0, 'first second', kind=float, stored=float)\\n"
edited = source.replace("    fps: float", line + "    fps: float", 1)
assert edited != source
import mjxhuman
module = sys.modules["mjxhuman.options"] = mjxhuman.options = types.ModuleType("mjxhuman.options")
exec(compile(edited, "options.py", "exec"), vars(module))

import inspect
from configs import feasibility, video
from mjxhuman.cli import build_parser
from mjxhuman.data.source import Source
from mjxhuman.options import FileOptions, ScoreOptions, record_of

assert build_parser().parse_args(["score", "a.bvh", "--start", "2.5"]).start == 2.5
assert build_parser().parse_args(["info"]).start == 0.0
for config in (feasibility, video):
    values = config.get_config()
    values.start = 1.5
    assert record_of(ScoreOptions, values).start == 1.5
assert inspect.signature(mjxhuman.load_motion).parameters["start"].default == 0.0
assert Source("a.bvh", FileOptions(start="3")).options.start == 3.0, "a reader sees it"
try:
    mjxhuman.load_motion("absent.bvh", start=1.0)
except FileNotFoundError:
    print("heeded everywhere")
"""


def test_a_new_option_is_one_edit():
    """One line added to a record: a flag, a value of the configurations, a keyword of load_motion, seen by readers."""
    done = subprocess.run([sys.executable, "-c", ONE_EDIT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "heeded everywhere", done.stderr


def test_flags_configurations_and_keywords_are_the_records():
    from configs import feasibility, video
    from mjxhuman.cli import build_parser
    from mjxhuman.recovery.load import load_motion, recover

    names = {field.name for field in dataclasses.fields(LoadOptions)}
    for command in (["score", "a"], ["view", "a"], ["convert", "a", "b"], ["render", "a", "b"]):
        assert names <= set(vars(build_parser().parse_args(command))), command
    assert names | {"reward"} <= set(feasibility.get_config())
    assert names <= set(video.get_config())
    reading = {field.name for field in dataclasses.fields(ReadOptions)}
    for function in (load_motion, recover):
        assert reading <= set(inspect.signature(function).parameters)


def test_what_can_be_chosen_is_what_there_is():
    from mjxhuman.data.source import up_rotation
    from mjxhuman.encoders import encoder_table
    from mjxhuman.retarget.ground import POLICIES
    from mjxhuman.rewards import score

    assert score.REWARDS is options.REWARDS and POLICIES is options.GROUNDS
    for axis in options.UP_AXES:
        assert up_rotation(axis).shape == (3, 3)
    told = options.helps(VideoOptions)["encoder"]
    assert all(name in told for name, entry in encoder_table().items() if isinstance(entry.factory, str))


def test_defaults_of_the_command_line_are_those_of_the_records():
    from configs import feasibility
    from mjxhuman.cli import build_parser

    assert record_of(ScoreOptions, build_parser().parse_args(["score", "a"])) == ScoreOptions()
    assert record_of(ScoreOptions, feasibility.get_config()) == ScoreOptions()


@pytest.mark.parametrize(
    ("record", "values", "message"),
    [
        (FileOptions, {"fps": 0}, "fps: expected a positive number of frames per second, found 0"),
        (FileOptions, {"fps": "fast"}, "fps: expected a positive number of frames per second, found fast"),
        (FileOptions, {"up": "q"}, "up: expected one of x, y, z, -x, -y, -z, found 'q'"),
        (FileOptions, {"unit": "mile"}, "unit: expected one of m, cm, mm, inch, asf or a positive number .* 'mile'"),
        (FileOptions, {"skeleton": 3}, "skeleton: expected text, found 3"),
        (ReadOptions, {"ground": "sky"}, "ground: expected one of none, lowest, stance, plane, found 'sky'"),
        (VideoOptions, {"region": "1,2,3"}, "region: expected X0,Y0,X1,Y1 in pixels, found '1,2,3'"),
        (ScoreOptions, {"reward": "beauty"}, "reward: expected one of feasibility, phymotion, found 'beauty'"),
    ],
)
def test_wrong_values_are_named(record, values, message):
    with pytest.raises(ValueError, match=message):
        record(**values)


def test_values_come_in_their_kind():
    given = ScoreOptions(fps=30, unit="0.01", skeleton=Path("a.asf"), region=[1, 2, 3, 4], person=1)
    assert (given.fps, given.unit, given.skeleton, given.region, given.person) == (
        30.0,
        0.01,
        "a.asf",
        (1, 2, 3, 4),
        "1",
    )


def test_flags_read_like_records(capsys):
    parser = argparse.ArgumentParser()
    options.add_flags(parser, ScoreOptions)
    given = record_of(ScoreOptions, parser.parse_args(["--unit", "0.01", "--up=-y", "--region", "0,1,2.5,3"]))
    assert given == ScoreOptions(unit=0.01, up="-y", region=(0.0, 1.0, 2.5, 3.0))
    given = record_of(ScoreOptions, parser.parse_args(["--scene", "chair:1", "--scene", "seat", "--furniture_up", "z"]))
    assert given == ScoreOptions(scene=("chair:1", "seat"), furniture_up="z")
    with pytest.raises(SystemExit):
        parser.parse_args(["--fps", "-3"])
    assert "--fps: expected a positive number of frames per second, found -3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "spelling", "expected"),
    [
        ("fps: expected a number", "--{}", "--fps: expected a number"),
        ("a.bvh: found none, expected the argument up= (x)", "--{}", "a.bvh: found none, expected --up (x)"),
        ("humanoid 'x': expected smpl", "--config.{}", "--config.humanoid 'x': expected smpl"),
        ("frames: expected 3, or the argument start=", "--{}", "frames: expected 3, or the argument start="),
    ],
)
def test_messages_in_the_words_of_a_command_line(text, spelling, expected):
    assert spelt(text, spelling) == expected
