"""Train the network that lifts 2D keypoints to a body; see configs/lifter.py for the settings.

    python -m experiments.train_lifter --config=configs/lifter.py --config.clips='mocap/**/*.amc'

The same command continues a run that was stopped, killed or interrupted. The last line on stdout is one JSON object.

Exit code: 0 trained to the end (or to the time limit); 1 some files could not be loaded, training went on with the
others; 2 nothing to train on, or a configuration that does not fit the run in the folder.
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

from .launch import launch, named_motions

NOTHING_TO_DO = 2
#: Draws of windows that a run is judged by, as many windows each as a step has.
_JUDGED = 6


def sources(config: config_dict.ConfigDict, table: Any) -> tuple[Any, Any, list[str], int]:
    """What is trained on, what it is judged by, names of the files for training, how many could not be loaded.

    Raises:
        ValueError: nothing can be loaded. FileNotFoundError: a path does not exist.
    """
    from mjxhuman.data.builtin import builtin_path

    from .lifter_clips import pack, read, split
    from .lifter_samples import PLAIN, Augmentation, Source

    paths = named_motions(config.clips) if config.clips else [builtin_path("walk"), builtin_path("jump")]
    kept, out = split(paths, [name for name in config.held_out.split(",") if name])
    motions = [read(files, config.quiet) for files in (kept, out or kept[:1])]
    if not all(motions):
        raise ValueError(f"clips: expected motions that can be loaded, found none in {config.clips!r}")
    given = Augmentation(**{name: float(value) for name, value in config.augmentation.items()})
    clips = pack([*motions[0], *motions[1]])  # one array: one program draws from either part
    train, held = (np.arange(len(clips.start)) < len(motions[0])) == np.array([[True], [False]])
    failed = len(paths) - sum(map(len, motions)) + (0 if out else len(kept[:1]))
    return (
        Source(clips.drawn(train, config.share, config.seed), table, given),
        Source(clips.drawn(held), table, PLAIN),
        sorted(path.name for path in kept),
        failed,
    )


def run(config: config_dict.ConfigDict) -> int:
    """Train as configured; returns the exit code."""
    prepare_jax()
    from .lifter_samples import make_table

    try:
        train, held, names, failed = sources(config, make_table(config.seed))
        summary = fit(config, train, held, names)
    except (ValueError, OSError) as error:
        print(f"train_lifter: {error}", file=sys.stderr)
        return NOTHING_TO_DO
    print(json_line(summary))
    return 1 if failed else 0


def fit(config: config_dict.ConfigDict, train: Any, held: Any, names: Sequence[str] = ()) -> dict[str, Any]:
    """Train on one source (files of these names), judge by another, write everything; returns the last line."""
    import jax

    from mjxhuman.encoders.lifter import Lifter, save_lifter
    from mjxhuman.humanoids import load_humanoid
    from mjxhuman.runs.loop import LoopOptions, run_steps

    from .lifter_samples import Sampler
    from .lifter_training import Options, begin, judge, learn

    options = Options(**config.training.to_dict())
    sampler = Sampler(load_humanoid("smpl"), options.frames)
    facts = {
        "training": dataclasses.asdict(options), "augmentation": config.augmentation.to_dict(), "seed": config.seed,
        "minutes": round(train.clips.minutes, 2), "held_out": config.held_out,
    }  # fmt: skip
    train, held = jax.device_put((train, held))
    key, own = jax.random.split(jax.random.key(config.seed + 1))
    windows = [sampler.draw(jax.random.fold_in(own, k), held, options.windows) for k in range(_JUDGED)]

    def step(done: int, state: Any) -> tuple[Any, dict[str, Any]]:
        sample = sampler.draw(jax.random.fold_in(key, done), train, options.windows)
        state, found = learn(state, sample, options)
        return state, {f"train/{name}": value for name, value in found.items()}

    def judged(state: Any) -> dict[str, Any]:
        found = [jax.device_get(judge(state.average, window, options.causal)) for window in windows]
        return {f"held_out/{name}": float(sum(x[name] for x in found) / len(found)) for name in found[0]}

    folder, spent = Path(config.out), time.process_time()
    how = LoopOptions(
        folder, options.steps, log_every=config.evaluate_every, checkpoint_every=config.checkpoint_every,
        max_seconds=config.max_seconds, tensorboard=config.tensorboard, quiet=config.quiet, shown="held_out/points_mm",
    )  # fmt: skip
    ran = run_steps(how, begin(options, config.seed), facts, step, judged)
    told = {**facts, "clips": list(names), "steps": ran.done, "command": " ".join(sys.argv[1:])}
    save_lifter(folder / "lifter.npz", Lifter(ran.state.average, options.causal, told))
    return {
        "weights": str(folder / "lifter.npz"), "steps": ran.done, "minutes": facts["minutes"],
        "held_out_mm": ran.values.get("held_out/points_mm"), "processor_seconds": time.process_time() - spent,
    }  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    if len(argv) > 1:
        print(f"train_lifter: unexpected arguments {argv[1:]}; name files by --config.clips=...", file=sys.stderr)
        return NOTHING_TO_DO
    return run(flags.FLAGS.config)


if __name__ == "__main__":
    launch(main, "lifter")
