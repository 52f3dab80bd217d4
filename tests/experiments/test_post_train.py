"""Post-training a generator of motion: the launcher end to end, and that a stopped run continues."""

from __future__ import annotations

import json
import struct

import jax
import numpy as np
import pytest

import mjxhuman
from experiments.launch import load_config
from experiments.post_train import prepared, run
from mjxhuman.data.builtin import builtin_path
from mjxhuman.generators.adapter_files import load_adapter
from mjxhuman.generators.finetune import PostTraining
from mjxhuman.generators.gradient import RewardGradient
from mjxhuman.generators.motion.features import Scale, to_features
from mjxhuman.generators.motion.generator import init_generator, load_generator, save_generator
from mjxhuman.generators.motion.post_train import training_of

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def generator(tmp_path_factory, humanoid):
    """An untrained one."""
    motion = mjxhuman.load_motion(builtin_path("walk"))
    scale = Scale.of(np.asarray(to_features(humanoid, motion.qpos, motion.fps)))
    folder = tmp_path_factory.mktemp("generator")
    save_generator(folder / "generator.npz", init_generator("test", scale, 16, 30.0, ["walk", "jump", "kick"]))
    return folder


def small(source, out, **changes):
    _, config = load_config("post_train:test")
    config.generator, config.out, config.quiet, config.tensorboard = str(source), str(out), True, False
    for name, value in changes.items():
        config[name] = value
    return config


@pytest.mark.slow
def test_a_run_ends_with_an_adapter_and_continues_where_it_was_stopped(generator, tmp_path, capsys):
    assert run(small(generator, tmp_path / "whole", pictures=1)) == 0
    captured = capsys.readouterr()
    whole = json.loads(captured.out.splitlines()[-1])
    assert whole["epochs"] == 2 and whole["samples"] == 16 and set(whole["axes_before"]) == set(whole["axes_after"])
    lines = [json.loads(x) for x in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert "walk: tuned" in (tmp_path / "whole" / "report.html").read_text()
    assert (tmp_path / "whole" / "curves.png").stat().st_size
    drawn = tmp_path / "whole" / "pairs.png"  # one prompt, six moments of 170 x 220 pixels of base and tuned
    assert drawn.exists() == ("no pairs.png" not in captured.err)
    if drawn.exists():
        assert struct.unpack(">II", drawn.read_bytes()[16:24]) == (12 * 170, 220)
    assert [x["step"] for x in lines] == [1, 2] and lines[0]["prompts"] == 2 and lines[0]["reward/motion"] > 0
    assert {"held_out/total", "held_out/motion", "held_out/kl"} <= lines[0].keys() and whole["stopped_by"] == ""
    assert lines[1]["held_out/total"] == pytest.approx(whole["reward_after"])
    parts = small(generator, tmp_path / "parts", max_seconds=1e-3)
    assert run(parts) == 0 and json.loads(capsys.readouterr().out.splitlines()[-1])["epochs"] == 1
    parts.max_seconds = 0.0
    assert run(parts) == 0
    base = load_generator(generator)
    (one, facts), (other, _) = (load_adapter(tmp_path / name / "adapter", base.params) for name in ("whole", "parts"))
    for a, b in zip(jax.tree.leaves(one.weights), jax.tree.leaves(other.weights), strict=True):
        np.testing.assert_array_equal(a, b)
    assert facts["before"]["total"] == pytest.approx(whole["reward_before"]) and facts["epochs"] == 2
    _, asked = prepared(parts)
    _, held = training_of(base, None, "feasibility", None, asked["options"])
    assert held.measure(one)["kl"] == pytest.approx(
        facts["after"]["kl"], rel=1e-3
    )  # what is written is what was judged
    adapted = load_generator(generator, tmp_path / "whole" / "adapter")
    plain, changed = (np.asarray(g.sample(["walk"], seed=1).motions[0].qpos) for g in (base, adapted))
    assert 1e-7 < np.abs(plain - changed).max() < 0.5
    capsys.readouterr()
    parts.nft.kl_weight = 1.0
    assert run(parts) == 2 and "kl_weight" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_that_leaves_its_bounds_ends_with_what_was_within(generator, tmp_path, capsys):
    """Here before its first epoch, which is asked to move five times as much as the base."""
    config = small(generator, tmp_path)
    config.bounds.motion = 5.0
    assert run(config) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["epochs"] == 0 and told["stopped_by"].startswith("motion: expected at least 5 of the base's, found 1.0")
    assert told["motion_ratio"] == pytest.approx(1.0) and told["reward_after"] == pytest.approx(told["reward_before"])


def test_the_gradient_is_chosen_by_name(generator, tmp_path, capsys):
    config = small(generator, tmp_path, objective="gradient")
    for chosen, kind in ((config, RewardGradient), (small(generator, tmp_path), PostTraining)):
        made, asked = prepared(chosen)
        assert type(training_of(made, None, "feasibility", None, asked["options"])[0]) is kind
    assert run(small(generator, tmp_path, objective="hope")) == 2
    assert "config.objective: expected one of nft, gradient, found 'hope'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator": "absent.npz"}, "absent.npz: no such file"),
        ({"prompts": "absent.txt"}, "absent.txt"),
    ],
)
def test_what_is_not_there_is_named(generator, tmp_path, capsys, changes, message):
    assert run(small(generator, tmp_path, **changes)) == 2
    assert message in capsys.readouterr().err


def test_every_value_of_the_configuration_is_used(generator, tmp_path, capsys):
    config = small(generator, tmp_path)
    made, asked = prepared(config)
    training, held = training_of(made, asked["prompts"], "feasibility", asked["held_out"], asked["options"])
    assert tuple(held.asked[:: config.judged]) == training.prompts == ("walk", "jump", "kick")
    assert training.options.nft.kl_weight == 0.03 and training.options.motion_floor == 0.9
    config.bounds.diversity, config.judged = 0.8, 1
    assert run(config) == 2 and "config.judged: expected 2 or more beside bounds" in capsys.readouterr().err
    config.judged = 2
    config.training.groups = 3
    with pytest.raises(ValueError, match="micro_batch: expected a divisor"):
        prepared(config)
