"""Post-train a generator of motion with the feasibility reward; see configs/post_train.py for the settings.

    python -m experiments.post_train --config.generator=out/generator --config.prompts=train.txt

The same command continues a run that was stopped, killed or interrupted. A run that leaves ``config.bounds`` ends with
the last state that was within them. The last line on stdout is one JSON object: before and after are samples of
held-out prompts with the same noise.

Exit code: 0 trained to the end (or to the time limit); 2 nothing to train, or a configuration that does not fit the run
in the folder.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
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


def prepared(config: config_dict.ConfigDict) -> tuple[Any, Any, Any]:
    """The generator, its post-training, and what judges it.

    Raises:
        ValueError: options or prompts that do not fit. FileNotFoundError: a path does not exist.
    """
    from mjxhuman.generators.evaluate import HeldOut
    from mjxhuman.generators.finetune import FinetuneOptions, PostTraining
    from mjxhuman.generators.gradient import RewardGradient
    from mjxhuman.generators.motion.generator import load_generator
    from mjxhuman.generators.motion.reward import Feasibility, movement
    from mjxhuman.generators.objectives.nft import NFTConfig
    from mjxhuman.generators.objectives.reward_gradient import GradientConfig
    from mjxhuman.generators.prompts import load_prompts

    if not config.generator:
        raise ValueError("config.generator: expected a generator's file or the folder of train_generator, found none")
    generator = load_generator(config.generator)
    prompts = load_prompts(config.prompts) if config.prompts else generator.captions
    held = load_prompts(config.held_out) if config.held_out else prompts
    nft, gradient = NFTConfig(**config.nft.to_dict()), GradientConfig(**config.gradient.to_dict())
    options = FinetuneOptions(**config.training.to_dict(), nft=nft, gradient=gradient)
    objectives = {"nft": PostTraining, "gradient": RewardGradient}
    if config.objective not in objectives:
        raise ValueError(f"config.objective: expected one of {', '.join(objectives)}, found {config.objective!r}")
    if config.bounds.diversity and config.judged < 2:
        raise ValueError(f"config.judged: expected 2 or more beside config.bounds.diversity, found {config.judged}")
    training = objectives[config.objective](
        generator, prompts, Feasibility(generator), options, config.seed, lambda qpos: movement(generator, qpos)
    )
    return generator, training, HeldOut(training, held, config.judged, config.seed + 1)


def fit(config: config_dict.ConfigDict) -> dict[str, Any]:
    """Train, write everything; returns the last line."""
    from mjxhuman.generators.adapter_files import fingerprint, save_adapter
    from mjxhuman.generators.objectives.guards import Bounds
    from mjxhuman.runs.loop import LoopOptions, OutOfBounds, run_steps

    from .post_train_pictures import curves, pairs

    generator, training, held = prepared(config)
    bounds = Bounds(**config.bounds.to_dict())
    facts = {
        "training": dataclasses.asdict(training.options), "objective": config.objective,
        "seed": config.seed, "prompts": list(training.prompts),
        "generator": fingerprint(generator.params),
    }  # fmt: skip
    folder, start = Path(config.out), time.monotonic()

    def epoch(_: int, state: Any) -> tuple[Any, dict[str, float]]:
        began = time.monotonic()
        state, log = training.epoch(state)
        return state, {**log, "seconds": time.monotonic() - began}

    def judge(state: Any) -> dict[str, float]:
        values = held.measure(state.average)
        told = {f"held_out/{name}": x for name, x in values.items()}
        if reason := bounds.left(values):
            raise OutOfBounds(reason, told)
        return told

    how = LoopOptions(
        folder, config.epochs, "epoch", "post-train", checkpoint_every=config.evaluate_every,
        judge_every=config.evaluate_every, max_seconds=config.max_seconds, tensorboard=config.tensorboard,
        quiet=config.quiet, shown="reward",
    )  # fmt: skip
    ran = run_steps(how, training.init(), facts, epoch, judge)
    before, after = held.measure(None), held.measure(ran.state.average)
    told = {**facts, "epochs": ran.done, "before": before, "after": after, "command": " ".join(sys.argv[1:])}
    save_adapter(folder / "adapter", ran.state.average, generator.params, facts=told)
    if config.pictures:
        shown = [held.asked[i] for i in np.unique(np.linspace(0, len(held.asked) - 1, config.pictures).astype(int))]
        page = pairs(folder, generator, ran.state.average, tuple(dict.fromkeys(shown)), config.seed + 2)
        print(f"pictures: {page} {curves(folder)}")
    return {
        "epochs": ran.done, "samples": ran.done * training.options.count,
        "seconds": round(time.monotonic() - start, 1),
        "distinct_prompts_per_epoch": min(training.options.groups, len(training.prompts)),
        "reward_before": before["total"], "reward_after": after["total"], "axes_before": axes(before),
        "axes_after": axes(after), "motion_ratio": after["motion"], "diversity_ratio": after["diversity"],
        "stopped_by": ran.stopped, "adapter": str(folder / "adapter"),
    }  # fmt: skip


def axes(values: Mapping[str, float]) -> dict[str, float]:
    """Of what judged samples: the parts of the score."""
    return {name: x for name, x in values.items() if name not in ("total", "valid", "motion", "diversity", "kl")}


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    if len(argv) > 1:
        print(f"post_train: unexpected arguments {argv[1:]}; see --help", file=sys.stderr)
        return NOTHING_TO_DO
    return run(flags.FLAGS.config)


if __name__ == "__main__":
    launch(main, "post_train")
