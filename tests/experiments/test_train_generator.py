"""Training the generator of motion: the launcher end to end, and that a stopped run continues."""

from __future__ import annotations

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

import mjxhuman
from experiments.launch import load_config
from experiments.train_generator import run, sources
from mjxhuman.data.builtin import builtin_path
from mjxhuman.generators.adapter_files import save_adapter
from mjxhuman.generators.adapters import init_adapter
from mjxhuman.generators.motion.features import Scale, to_features
from mjxhuman.generators.motion.generator import init_generator, load_generator, save_generator

pytestmark = pytest.mark.compiled


def small(folder, **changes):
    _, config = load_config("generator:test")
    config.out, config.quiet, config.tensorboard = str(folder), True, False
    for name, value in changes.items():
        config[name] = value
    return config


@pytest.mark.slow
def test_training_runs_continues_and_is_loaded(tmp_path, capsys):
    assert run(small(tmp_path / "whole")) == 0
    whole = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert whole["steps"] == 4 and whole["captions"] == 2 and np.isfinite(whole["held_out_loss"])
    parts = small(tmp_path / "parts", max_seconds=1e-3)
    assert run(parts) == 0 and json.loads(capsys.readouterr().out.splitlines()[-1])["steps"] == 1
    parts.max_seconds = 0.0
    assert run(parts) == 0
    one, other = (load_generator(tmp_path / name / "generator.npz") for name in ("whole", "parts"))
    for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(other.params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.captions == ("a person walks", "a person jumps") and one.facts["seed"] == 0
    parts.seed = 1
    assert run(parts) == 2
    assert "seed" in capsys.readouterr().err


def test_recordings_are_held_out_by_name(tmp_path, capsys):
    table = tmp_path / "captions.jsonl"
    rows = [{"path": str(builtin_path("walk")), "text": "walk"}, {"path": str(builtin_path("jump")), "text": "jump"},
            {"path": "absent.bvh", "text": "none"}]  # fmt: skip
    table.write_text("\n".join(map(json.dumps, rows)))
    kept, held, failed = sources(small(tmp_path, data=str(table), held_out="jump", mirror=False))
    assert kept.texts == ("walk",) and held.texts == ("jump",) and failed == 1
    assert "absent.bvh: no such file" in capsys.readouterr().err
    with pytest.raises(ValueError, match="held_out: expected some recordings to train on"):
        sources(small(tmp_path, data=str(table), held_out="jump,walk"))


@pytest.mark.slow
def test_a_generator_is_measured_beside_its_recordings(tmp_path, humanoid, capsys):
    motion = mjxhuman.load_motion(builtin_path("walk"))
    scale = Scale.of(np.asarray(to_features(humanoid, motion.qpos, motion.fps)))
    save_generator(tmp_path / "generator.npz", init_generator("test", scale, 16, 30.0, ["walk", "jump"]))
    table = tmp_path / "captions.jsonl"
    table.write_text("\n".join(json.dumps({"path": str(builtin_path(n)), "text": n}) for n in ("walk", "jump")))
    command = [sys.executable, "-m", "experiments.measure_generator", f"--generator={tmp_path}", f"--data={table}"]
    made = load_generator(tmp_path)
    adapter = init_adapter(made.params, jax.random.key(0), rank=2, patterns=made.adapter_targets)
    adapter = jax.tree.map(lambda x: x + 0.3, adapter)
    save_adapter(tmp_path / "adapter", adapter, made.params)
    command.append("--samples=3")
    run = subprocess.run(
        [*command, f"--adapter={tmp_path / 'adapter'}", f"--out={tmp_path}"], capture_output=True, text=True, check=True
    )
    found = json.loads(run.stdout.splitlines()[-1])
    made, real = found["generated"], found["recorded"]
    assert made["samples"] == made["valid"] == real["samples"] == 6
    assert real["total"] > made["total"] + 0.1  # an untrained one shakes
    assert real["frechet"] < made["frechet"] and made["joint_speed"] > real["joint_speed"]
    assert made["interval"][0] < made["total"] < made["interval"][1]
    beside, base = found["beside"], found["base"]
    assert beside["total"][0] == pytest.approx(made["total"] - base["total"], abs=1e-5) and beside["total"][0] != 0
    assert beside["total"][1] <= beside["total"][0] <= beside["total"][2]
    for name in ("joint_speed", "root_speed"):
        over_all, median, worst = beside[name]
        assert over_all == pytest.approx(made[name] / base[name], rel=1e-4) and abs(over_all - 1) > 1e-4
        assert worst <= median
    lines = [json.loads(line) for line in (tmp_path / "prompts.jsonl").read_text().splitlines()]
    assert [line["prompt"] for line in lines] == ["walk", "jump"] and lines[0]["speed_ratio"] > 1
    wrong = subprocess.run([*command, f"--adapter={tmp_path / 'none'}"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "none" in wrong.stderr


def test_what_does_not_fit_is_named(tmp_path, capsys):
    config = small(tmp_path, data=str(tmp_path / "none.jsonl"))
    assert run(config) == 2 and "none.jsonl: no such file or folder" in capsys.readouterr().err
    config = small(tmp_path)
    config.training.size = "huge"
    assert run(config) == 2 and "training.size: expected one of test, cpu, gpu, found 'huge'" in capsys.readouterr().err


def test_a_training_begins_with_the_generator_that_it_is_given(tmp_path, capsys):
    """Its weights and the scale of its features; one of other windows is refused."""
    assert run(small(tmp_path / "first")) == 0
    first = load_generator(tmp_path / "first")
    table = tmp_path / "captions.jsonl"
    table.write_text(json.dumps({"path": str(builtin_path("jump")), "text": "jump"}))  # of another scale
    then = small(tmp_path / "then", start_from=str(tmp_path / "first"), seed=3, data=str(table))
    then.training.rate = 1e-9
    assert run(then) == 0
    found = load_generator(tmp_path / "then")
    for a, b in zip(jax.tree.leaves(first.params), jax.tree.leaves(found.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    np.testing.assert_array_equal(found.scale.mean, first.scale.mean)
    assert "start_from" in found.facts and "start_from" not in first.facts
    then.training.frames = 24
    assert run(then) == 2 and "training.frames: expected that of start_from, 16, found 24" in capsys.readouterr().err
