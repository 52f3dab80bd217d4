"""Post-train a generator of motion with the feasibility reward; see configs/post_train.py for the settings.

    python -m experiments.post_train --config.generator=out/generator --config.prompts=train.txt

The same command continues a run that was stopped, killed or interrupted. A run that leaves ``config.bounds`` ends with
the last state that was within them. The last line on stdout is one JSON object: before and after are samples of
held-out prompts with the same noise.

Exit code: 0 trained to the end (or to the time limit); 2 nothing to train, or a configuration that does not fit the run
in the folder.
"""

from __future__ import annotations

import re
import sys
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
        named = re.match(r"(\w+): ", str(error))
        print(f"post_train: {'config.' if named and named[1] in config else ''}{error}", file=sys.stderr)
        return NOTHING_TO_DO
    print(json_line(summary))
    return 0


def prepared(config: config_dict.ConfigDict) -> tuple[Any, dict[str, Any]]:
    """The generator, and what else ``post_train`` is asked with.

    Raises:
        ValueError: options or prompts that do not fit. FileNotFoundError: a path does not exist.
    """
    from mjxhuman.generators.finetune import FinetuneOptions
    from mjxhuman.generators.motion.generator import load_generator
    from mjxhuman.generators.motion.post_train import PostTrainOptions
    from mjxhuman.generators.objectives.guards import Bounds
    from mjxhuman.generators.objectives.nft import NFTConfig
    from mjxhuman.generators.objectives.reward_gradient import GradientConfig
    from mjxhuman.generators.prompts import load_prompts

    generator = load_generator(config.generator)
    nft, gradient = NFTConfig(**config.nft.to_dict()), GradientConfig(**config.gradient.to_dict())
    training = FinetuneOptions(**config.training.to_dict(), nft=nft, gradient=gradient)
    same = ("objective", "epochs", "judged", "evaluate_every", "seed", "max_seconds", "tensorboard", "quiet")
    options = PostTrainOptions(
        **{name: config[name] for name in same}, bounds=Bounds(**config.bounds.to_dict()), training=training
    )
    prompts, held = (load_prompts(x) if x else None for x in (config.prompts, config.held_out))
    return generator, {"prompts": prompts, "held_out": held, "options": options, "out": config.out}


def fit(config: config_dict.ConfigDict) -> dict[str, Any]:
    """Train, write everything; returns the last line."""
    from mjxhuman.generators.motion.post_train import post_train

    from .post_train_pictures import curves, pairs

    generator, asked = prepared(config)
    prompts = asked["prompts"] or generator.captions
    made = post_train(generator, **asked)
    if config.pictures:
        held = asked["held_out"] or prompts
        shown = [held[i] for i in np.unique(np.linspace(0, len(held) - 1, config.pictures).astype(int))]
        page = pairs(Path(config.out), generator, made.generator.adapter, shown, config.seed + 2)
        print(f"pictures: {page} {curves(Path(config.out))}")
    return {
        "epochs": made.epochs, "samples": made.samples, "seconds": made.seconds,
        "distinct_prompts_per_epoch": min(config.training.groups, len(prompts)),
        "reward_before": made.before["total"], "reward_after": made.after["total"],
        "axes_before": axes(made.before), "axes_after": axes(made.after), "motion_ratio": made.after["motion"],
        "diversity_ratio": made.after["diversity"], "stopped_by": made.stopped, "adapter": str(made.adapter),
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
