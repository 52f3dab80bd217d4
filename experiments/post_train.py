"""Post-train a generator of motion with the feasibility reward; see configs/post_train.py for the settings.

    python -m experiments.post_train --config.generator=out/generator --config.prompts=train.txt

The same command continues a run that was stopped, killed or interrupted. The last line on stdout is one JSON object:
before and after are samples of held-out prompts with the same noise.

Exit code: 0 trained to the end (or to the time limit); 2 nothing to train, or a configuration that does not fit the run
in the folder.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from ml_collections import config_dict

from mjxhuman.runs import json_line, prepare_jax

from .launch import launch

NOTHING_TO_DO = 2


def run(config: config_dict.ConfigDict) -> int:
    """Train as configured; returns the exit code."""
    prepare_jax()
    try:
        summary = fit(config)
    except (ValueError, OSError, ImportError) as error:
        print(f"post_train: {error}", file=sys.stderr)
        return NOTHING_TO_DO
    print(json_line(summary))
    return 0


def prepared(config: config_dict.ConfigDict) -> tuple[Any, Any, tuple[str, ...]]:
    """The generator, its post-training, and the prompts that it is judged by.

    Raises:
        ValueError: options or prompts that do not fit. FileNotFoundError: a path does not exist.
    """
    from mjxhuman.generators.finetune import FinetuneOptions, PostTraining
    from mjxhuman.generators.motion.generator import load_generator
    from mjxhuman.generators.motion.reward import Feasibility, joint_speed
    from mjxhuman.generators.objectives.nft import NFTConfig
    from mjxhuman.generators.prompts import load_prompts

    if not config.generator:
        raise ValueError("config.generator: expected a generator's file or the folder of train_generator, found none")
    generator = load_generator(config.generator)
    prompts = load_prompts(config.prompts) if config.prompts else generator.captions
    held = load_prompts(config.held_out) if config.held_out else prompts
    options = FinetuneOptions(**config.training.to_dict(), nft=NFTConfig(**config.nft.to_dict()))
    training = PostTraining(
        generator, prompts, Feasibility(generator), options, config.seed, lambda qpos: joint_speed(generator, qpos)
    )
    return generator, training, held


def fit(config: config_dict.ConfigDict) -> dict[str, Any]:
    """Train, write everything; returns the last line."""
    from mjxhuman.generators.adapter_files import fingerprint, save_adapter
    from mjxhuman.runs.loop import LoopOptions, run_steps

    generator, training, held = prepared(config)
    facts = {
        "training": dataclasses.asdict(training.options), "seed": config.seed, "prompts": list(training.prompts),
        "generator": fingerprint(generator.params),
    }  # fmt: skip
    folder, start = Path(config.out), time.monotonic()

    def epoch(_: int, state: Any) -> tuple[Any, dict[str, float]]:
        began = time.monotonic()
        state, log = training.epoch(state)
        return state, {**log, "seconds": time.monotonic() - began}

    how = LoopOptions(
        folder, config.epochs, "epoch", "post-train", checkpoint_every=config.checkpoint_every,
        max_seconds=config.max_seconds, tensorboard=config.tensorboard, quiet=config.quiet, shown="reward",
    )  # fmt: skip
    done, state, _ = run_steps(how, training.init(), facts, epoch)
    before, after = (judged(config, generator, training, adapter, held) for adapter in (None, state.average))
    told = {**facts, "epochs": done, "before": before, "after": after, "command": " ".join(sys.argv[1:])}
    save_adapter(folder / "adapter", state.average, generator.params, facts=told)
    return {
        "epochs": done, "samples": done * training.options.count, "seconds": round(time.monotonic() - start, 1),
        "reward_before": before["total"], "reward_after": after["total"], "axes_before": before["axes"],
        "axes_after": after["axes"], "motion_ratio": after["joint_speed"] / before["joint_speed"],
        "adapter": str(folder / "adapter"),
    }  # fmt: skip


def judged(config: Any, generator: Any, training: Any, adapter: Any, prompts: Sequence[str]) -> dict[str, Any]:
    """Score, axes and joint speed (rad/s) of samples of prompts: means over those that have a score."""
    made = dataclasses.replace(generator, adapter=adapter)
    features, asked = made.features(prompts, config.judged, config.seed + 1)
    qpos = np.asarray(generator.decode(generator.scale.to_unit(features)))
    found = training.reward(qpos, asked)
    use = found.valid
    return {
        "samples": len(asked), "valid": int(use.sum()), "total": float(found.total[use].mean()),
        "axes": {name: float(x[use].mean()) for name, x in found.parts.items()},
        "joint_speed": float(training.amount(qpos)[use].mean()),
    }  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    if len(argv) > 1:
        print(f"post_train: unexpected arguments {argv[1:]}; see --help", file=sys.stderr)
        return NOTHING_TO_DO
    return run(flags.FLAGS.config)


if __name__ == "__main__":
    launch(main, "post_train")
