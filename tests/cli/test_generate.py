"""``mjxhuman generate``: motions of a generator on disk, scored, as a page and as one line for programs."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxhuman
from mjxhuman.cli import main
from mjxhuman.data.builtin import builtin_path
from mjxhuman.generators.adapter_files import save_adapter
from mjxhuman.generators.adapters import init_adapter
from mjxhuman.generators.motion.features import Scale, to_features
from mjxhuman.generators.motion.generator import init_generator, save_generator

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def generator(tmp_path_factory, humanoid):
    """An untrained one that samples noise about a walk."""
    motion = mjxhuman.load_motion(builtin_path("walk"))
    features = np.asarray(to_features(humanoid, motion.qpos, motion.fps))
    made = init_generator("test", Scale.of(features), 16, 30.0, ["a person walks", "a person jumps"])
    path = tmp_path_factory.mktemp("generator") / "generator.npz"
    save_generator(path, made)
    return path


def test_motions_are_written_scored_and_shown(generator, tmp_path, capsys):
    asked = ["generate", "A walk!", "jump", "--generator", str(generator.parent), "--samples", "2", "--seconds", "0.5"]
    assert main([*asked, "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "'A walk!': nearest of what it was trained on: a person walks" in lines[0]
    found = json.loads(lines[-1])
    assert found["samples"] == found["valid"] == 4 and found["adapter"] is None
    files = sorted(path.name for path in tmp_path.glob("*.npz"))
    assert files == ["a_walk_0.npz", "a_walk_1.npz", "jump_0.npz", "jump_1.npz"]
    motions = [mjxhuman.load_motion(tmp_path / name) for name in files]
    assert [motion.num_frames for motion in motions] == [15] * 4
    totals = [float(mjxhuman.score(motion).total) for motion in motions]
    assert found["total"] == pytest.approx(np.mean(totals), abs=1e-3)
    assert "A walk!" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_an_adapter_changes_the_motions(generator, tmp_path, capsys):
    made = mjxhuman.load_generator(generator)
    adapter = init_adapter(made.params, jax.random.key(0), rank=2, patterns=made.adapter_targets)
    weights = jax.tree_util.tree_map_with_path(
        lambda path, x: x + 0.3 * jnp.ones_like(x) if path[-1].key == "B" else x, adapter.weights
    )
    save_adapter(tmp_path / "adapter", adapter.replace(weights=weights), made.params)
    asked = ["generate", "jump", "--generator", str(generator), "--json", "--out"]
    assert main([*asked, str(tmp_path / "plain")]) == 0
    assert main([*asked, str(tmp_path / "adapted"), "--adapter", str(tmp_path / "adapter")]) == 0
    plain, adapted = (mjxhuman.load_motion(tmp_path / name / "jump_0.npz").qpos for name in ("plain", "adapted"))
    assert np.abs(np.asarray(plain) - np.asarray(adapted)).max() > 1e-3
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_prompts_that_differ_by_a_stop_do_not_overwrite_each_other(generator, tmp_path):
    asked = ["generate", "A walk!", "a walk", "--generator", str(generator), "--json", "--out", str(tmp_path)]
    assert main(asked) == 0
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == ["a_walk_0_0.npz", "a_walk_1_0.npz"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--generator", "absent.npz"], "absent.npz: no such file"),
        (["--seconds", "9"], "seconds: expected 0.07 to 0.53"),
        (["--adapter", "absent"], "absent"),
    ],
)
def test_what_is_not_there_is_named(generator, tmp_path, capsys, changed, message):
    asked = ["generate", "jump", "--generator", str(generator), "--out", str(tmp_path), *changed]
    assert main(asked) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("*.npz"))


def test_what_ships_makes_motion_and_its_adapter_makes_it_more_feasible(tmp_path, capsys):
    """A generator, its adapter and the base of the same noise, without a file of one's own."""
    assert main(["generate", "a person walks", "a person jumps", "--base", "--out", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["samples"] == found["valid"] == 2 and found["adapter"] == "physics"
    assert found["total"] > found["base_total"] + 0.1
    stems = ("a_person_jumps_0", "a_person_walks_0")
    assert sorted(x.name for x in tmp_path.glob("*.npz")) == [f"{s}{e}.npz" for s in stems for e in ("", "_base")]
    tuned, base = (mjxhuman.load_motion(tmp_path / f"a_person_walks_0{e}.npz").qpos for e in ("", "_base"))
    assert len(tuned) == len(base) == 60 and 1e-3 < np.abs(tuned - base).mean() < 1.0
    generator = mjxhuman.load_generator("motion")
    assert generator.adapter is None and "a person walks" in generator.captions


def test_a_base_needs_an_adapter_beside_it(generator, tmp_path, capsys):
    asked = ["generate", "jump", "--generator", str(generator), "--base", "--out", str(tmp_path)]
    assert main(asked) == 2
    assert "--base: expected an adapter beside it, found none" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.npz"))
