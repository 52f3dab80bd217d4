"""Training the lifter: the launcher end to end, what windows hold, and that a stopped run continues."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest

import mjxhuman
from experiments.launch import load_config
from experiments.lifter_clips import pack, plain, split
from experiments.lifter_samples import _OTHER, PLAIN, _mirrored, make_table
from experiments.train_lifter import run
from mjxhuman.data.builtin import builtin_path
from mjxhuman.encoders.lifter import load_lifter
from mjxhuman.encoders.lifter_network import POINTS
from mjxhuman.retarget.chain import BODIES, chain_of, forward_clip


def test_a_recording_is_held_out_in_every_format(tmp_path):
    paths = [tmp_path / name for name in ("07_05.amc", "007_05.bvh", "07_51.amc", "video_walk_level3_filter.npz")]
    kept, out = split(paths, ["7_5", "video_walk_level3"])
    assert [path.name for path in kept] == ["07_51.amc"] and len(out) == 3
    assert plain("007_04") == plain("07_4") != plain("7_40")


def test_the_mirror_image_is_one():
    clip = pack([mjxhuman.load_motion(builtin_path("walk"))])
    chain = chain_of(mjxhuman.load_humanoid("smpl"))
    other = [BODIES.index({"L": "R", "R": "L"}[n[0]] + n[1:]) if n[1] == "_" else k for k, n in enumerate(BODIES)]
    flip = np.array([1.0, -1.0, 1.0])
    offsets = chain.offsets[:22] * [1.0, 1.0, 1.0]
    chain.offsets[:22] = 0.5 * (offsets + offsets[other] * [-1.0, 1.0, 1.0])  # a body whose sides are alike
    there = forward_clip(chain, clip.root, clip.local)[0][:, :22]
    here = forward_clip(chain, clip.root * flip, np.asarray(_mirrored(clip.local)))[0][:, :22]
    np.testing.assert_allclose(here, (there * flip)[:, other], atol=1e-4)


def test_the_table_of_errors_is_what_detections_are_simulated_with():
    table = make_table(0, ("clean", "detector"), runs=2)
    assert not table.error[0, 0].any() and table.share[0, 0].min() == 1.0 and not table.lost[0].any()
    spread = table.error[:, 1].std((1, 2, 3))
    assert 0.008 < spread[0] < 0.02 and spread[1] > 1.5 * spread[0]
    assert [POINTS[k] for k in _OTHER[:2]] == ["RShoulder", "LShoulder"]


@pytest.mark.slow
def test_training_runs_continues_and_ships(tmp_path, capsys):
    _, config = load_config("lifter:test")
    config.out, config.quiet, config.tensorboard = str(tmp_path), True, False
    config.training.steps, config.checkpoint_every = 4, 2
    assert run(config) == 0
    whole = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert whole["steps"] == 4 and np.isfinite(whole["held_out_mm"])
    lifter = load_lifter(tmp_path / "lifter.npz")
    assert lifter.facts["minutes"] == pytest.approx(0.1, abs=0.05)
    config.out = str(tmp_path / "again")
    config.max_seconds = 1e-3
    for _ in range(4):
        run(config)
    again = load_lifter(tmp_path / "again" / "lifter.npz")
    jax.tree.map(np.testing.assert_array_equal, lifter.params, again.params)
    assert PLAIN.recombined == 0
