"""The part of the benchmark that measures a generator of motion and its post-training; see experiments/benchmark.py.

Stages of an epoch, on samples of the shipped generator: sampling (20 steps of its network), decoding and scoring, an
update of DiffusionNFT (two noise levels a sample), and a step along the reward's gradient. The peer of the network is
a plain matrix product of its own shapes, which does as many multiplications.
"""

from __future__ import annotations

import dataclasses
import resource
import time
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import config_dict

from mjxhuman.generators.finetune import FinetuneOptions, PostTraining
from mjxhuman.generators.gradient import RewardGradient
from mjxhuman.generators.motion.generator import MotionGenerator, load_generator
from mjxhuman.generators.motion.reward import Feasibility, movement
from mjxhuman.runs import describe

T = TypeVar("T", bound=PostTraining)


def training(kind: type[T], generator: MotionGenerator, config: config_dict.ConfigDict) -> T:
    """Epochs of one micro-batch, one prompt a pair of samples."""
    options = FinetuneOptions(
        groups=config.samples // 2, samples=2, micro_batch=config.samples, motion_floor=0.9, still=0.1
    )
    amount = lambda qpos: movement(generator, qpos)  # noqa: E731
    return kind(generator, generator.captions, Feasibility(generator), options, config.seed, amount)


def stages(generator: MotionGenerator, config: config_dict.ConfigDict) -> dict[str, Callable[[], Any]]:
    """What is measured, by name; each call does ``config.samples`` samples."""
    run, slope = training(PostTraining, generator, config), training(RewardGradient, generator, config)
    state, (asked, _), (keys, key) = run.init(), run.asked(0), run.keys(0)
    latents, cond = run.sample(None, asked, keys)
    qpos = generator.decode(latents)
    worth, valid = jnp.zeros(len(asked)), jnp.ones(len(asked), bool)
    return {
        "sample": lambda: run.sample(None, asked, keys)[0],
        "score": lambda: run.reward(np.asarray(generator.decode(latents)), asked).total,
        "nft": lambda: run._update(state, latents, cond, worth, valid, key)[0].current,
        "gradient": lambda: slope._step(state, keys, cond)[0].current,
        "matmul": product(generator, len(asked), qpos.shape[1]),
    }


def product(generator: MotionGenerator, samples: int, frames: int) -> Callable[[], Any]:
    """Matrix products of the multiplications that sampling needs: width by four widths, a row for each frame."""
    width, weights = generator.size.dim, sum(x.size for x in jax.tree.leaves(generator.params) if x.ndim == 2)
    a, b = jnp.ones((samples * frames, width)), jnp.full((width, 4 * width), 1e-3)
    times = round(generator.steps * weights / b.size)

    @jax.jit
    def repeated(a: jax.Array, b: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, times, lambda _, x: 1e-3 * (x @ b)[:, :width], a)

    return lambda: repeated(a, b)


def generator(config: config_dict.ConfigDict) -> dict[str, Any]:
    """All measurements of a generator; the keys are those of the JSON file."""
    own = config_dict.ConfigDict({**config.generator.to_dict(), "seed": config.seed})
    made = load_generator(own.file)
    rows = []
    for name, call in stages(dataclasses.replace(made, adapter=None), own).items():
        rows.append({"stage": name, **measured(call, own.repeats)})
        speed, first = own.samples / rows[-1]["seconds"], rows[-1]["compile_processor_s"]
        print(f"{name:9s} {speed:8,.1f} samples/s  first call +{first:.1f} processor s", flush=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "benchmark": "generator", "environment": describe(), "config": own.to_dict(), "samples": own.samples,
        "frames": made.frames, "rows": rows, "memory_mb": memory,
    }  # fmt: skip


def measured(call: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Seconds of the fastest of several calls after a first, and what processor time the first took beyond it."""
    before = time.process_time()
    jax.block_until_ready(call())
    first, best, cost = time.process_time() - before, np.inf, np.inf
    for _ in range(repeats):
        start, before = time.perf_counter(), time.process_time()
        jax.block_until_ready(call())
        best, cost = min(best, time.perf_counter() - start), min(cost, time.process_time() - before)
    return {"seconds": best, "processor_s": cost, "compile_processor_s": max(0.0, first - cost)}


def headline(result: dict[str, Any]) -> dict[str, Any]:
    """Samples, scored frames and updates per second, the network's speed over that of plain products, the share of an
    epoch's time by stage, and processor seconds that compiling the reward's gradient took."""
    seconds = {row["stage"]: row["seconds"] for row in result["rows"]}
    count, epoch = result["samples"], {name: seconds[name] for name in ("sample", "score", "nft")}
    return {
        "samples_per_s": round(count / seconds["sample"], 1),
        "scored_frames_per_s": round(count * result["frames"] / seconds["score"]),
        "nft_updates_per_s": round(1 / seconds["nft"], 2),
        "gradient_samples_per_s": round(count / seconds["gradient"], 2),
        "sample_over_matmul": round(seconds["matmul"] / seconds["sample"], 2),
        "shares": {name: round(x / sum(epoch.values()), 2) for name, x in epoch.items()},
        "gradient_compile_processor_s": round(
            next(row["compile_processor_s"] for row in result["rows"] if row["stage"] == "gradient"), 1
        ),
        "memory_mb": round(result["memory_mb"]),
    }  # fmt: skip
