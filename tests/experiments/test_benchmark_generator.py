"""The benchmark of generators: what it measures runs, and its ratios are those of the seconds."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import mjxhuman
from experiments.benchmark_generator import headline, product, stages
from experiments.launch import load_config
from mjxhuman.data.builtin import builtin_path
from mjxhuman.generators.motion.features import Scale, to_features
from mjxhuman.generators.motion.generator import init_generator


@pytest.fixture(scope="module")
def generator(humanoid):
    motion = mjxhuman.load_motion(builtin_path("walk"))
    features = np.asarray(to_features(humanoid, motion.qpos, motion.fps))
    return init_generator("test", Scale.of(features), 16, 30.0, ["walk", "jump", "kick"])


def test_the_peer_does_as_many_multiplications(generator):
    """Of the network's matrices, for each frame and step, within half of one product."""
    call = product(generator, 4, 16)
    cost = sum(x.size for x in jax.tree.leaves(generator.params) if x.ndim == 2) * generator.steps
    width = generator.size.dim
    times = round(cost / (4 * width**2))
    assert abs(times * 4 * width**2 - cost) <= 2 * width**2 and times > 10
    assert call().shape == (64, width)


def test_ratios():
    seconds = {"sample": 2.0, "score": 1.0, "nft": 1.0, "gradient": 4.0, "matmul": 0.5}
    rows = [{"stage": name, "seconds": s, "compile_processor_s": 7.0} for name, s in seconds.items()]
    found = headline({"rows": rows, "samples": 16, "frames": 60, "memory_mb": 123.4})
    assert found == {
        "samples_per_s": 8.0, "scored_frames_per_s": 960, "nft_updates_per_s": 1.0, "gradient_samples_per_s": 4.0,
        "sample_over_matmul": 0.25, "shares": {"sample": 0.5, "score": 0.25, "nft": 0.25},
        "gradient_compile_processor_s": 7.0, "memory_mb": 123,
    }  # fmt: skip


@pytest.mark.slow
def test_every_stage_runs(generator):
    _, config = load_config("benchmark")
    config.generator.samples, config.generator.seed = 4, 0
    for name, call in stages(generator, config.generator).items():
        for leaf in jax.tree.leaves(call()):
            assert np.isfinite(np.asarray(leaf)).all(), name
