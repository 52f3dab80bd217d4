"""Sampling on many prompts: lines and motions, and that a stopped run continues."""

from __future__ import annotations

import json
import types

import numpy as np
import pytest

import mjxhuman
from experiments import generate
from experiments.generate import run
from mjxhuman.data.builtin import builtin_path
from mjxhuman.generators.motion.features import Scale, to_features
from mjxhuman.generators.motion.generator import init_generator, save_generator

pytestmark = pytest.mark.compiled


@pytest.fixture
def values(tmp_path, humanoid):
    motion = mjxhuman.load_motion(builtin_path("walk"))
    scale = Scale.of(np.asarray(to_features(humanoid, motion.qpos, motion.fps)))
    save_generator(tmp_path / "generator.npz", init_generator("test", scale, 16, 30.0, ["a person walks"]))
    (tmp_path / "prompts.txt").write_text("A walk!\n# not one\na walk\na jump\n")
    return types.SimpleNamespace(
        generator=str(tmp_path), adapter="", prompts=str(tmp_path / "prompts.txt"), samples=2, seconds=0.0, seed=0,
        guidance=1.0, out=str(tmp_path / "out"),
    )  # fmt: skip


def test_every_sample_has_a_line_and_a_motion_and_what_is_there_stays(values, tmp_path, capsys, monkeypatch):
    assert run(values) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    log = tmp_path / "out" / "results.jsonl"
    lines = [json.loads(x) for x in log.read_text().splitlines()]
    assert [line["file"] for line in lines] == [
        "a_walk_0_0.npz", "a_walk_0_1.npz", "a_walk_1_0.npz", "a_walk_1_1.npz", "a_jump_0.npz", "a_jump_1.npz",
    ]  # fmt: skip
    assert told["samples"] == told["valid"] == 6 and len({line["key"] for line in lines}) == 6
    assert told["total"] == pytest.approx(np.mean([line["total"] for line in lines]))
    motion = mjxhuman.load_motion(tmp_path / "out" / lines[3]["file"])
    assert float(mjxhuman.score(motion).total) == pytest.approx(lines[3]["total"], abs=1e-3)
    one = mjxhuman.load_generator(tmp_path).sample(["a walk"], samples=2).motions[1]  # of the same seed
    np.testing.assert_allclose(one.qpos, motion.qpos, atol=1e-5)
    assert "A walk!" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")

    log.write_text("".join(json.dumps(x) + "\n" for x in lines[:3]) + '{"torn')  # killed in the middle of a prompt
    assert run(values) == 0
    again = [json.loads(x) for x in log.read_text().splitlines()]
    assert again == lines
    with monkeypatch.context() as patch:
        patch.setattr(generate, "make", lambda *_: pytest.fail("nothing was missing"))
        assert run(values) == 0
    values.seed = 1
    assert run(values) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["total"] != told["total"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"seconds": 9.0}, "seconds: expected"), ({"prompts": "absent.txt"}, "absent.txt")],
)
def test_what_does_not_fit_is_named_before_anything_is_written(values, tmp_path, changes, message):
    vars(values).update(changes)
    with pytest.raises((ValueError, OSError), match=message):
        run(values)
    assert not (tmp_path / "out").exists()
