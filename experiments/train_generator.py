"""Train a generator of human motion from text; see configs/generator.py for the settings.

    python -m experiments.train_generator --config=configs/generator.py --config.data=captions.jsonl

The same command continues a run that was stopped, killed or interrupted. The last line on stdout is one JSON object.

Exit code: 0 trained to the end (or to the time limit); 1 some recordings could not be used (named), training went on
with the others; 2 nothing to train on, or a configuration that does not fit the run in the folder.
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

from mjxhuman.options import ClipOptions, record_of, spelt
from mjxhuman.runs import json_line, prepare_jax, progress

from .launch import launch
from .lifter_clips import plain

NOTHING_TO_DO = 2
#: Batches of windows that a run is judged by.
_JUDGED = 8


def sources(config: config_dict.ConfigDict) -> tuple[Any, Any, int]:
    """Clips that are trained on, clips that the run is judged by, and how many recordings could not be used.

    Raises:
        ValueError: nothing can be used. FileNotFoundError: a path does not exist.
    """
    from mjxhuman.data.builtin import builtin_path
    from mjxhuman.generators.motion.captions import Caption, load_captions
    from mjxhuman.generators.motion.windows import make_clips
    from mjxhuman.humanoids import load_humanoid
    from mjxhuman.recovery.load import load_clip

    built_in = [Caption(Path(builtin_path(name)), f"a person {name}s") for name in ("walk", "jump")]
    captions = load_captions(config.data) if config.data else built_in
    humanoid, options = load_humanoid("smpl"), record_of(ClipOptions, config.reading)
    with progress(len(captions), unit="caption", label="load", quiet=config.quiet) as bar:
        clips, failed = make_clips(
            captions, lambda c: load_clip(c.path, humanoid, options), humanoid, mirror=config.mirror, done=bar.update
        )
    for path, error in failed.items():
        print(f"train_generator: {path}: {error.removeprefix(f'{path}: ')}", file=sys.stderr)
    wanted = [plain(name) for name in config.held_out.split(",") if name]
    out = np.array([any(plain(Path(n).stem).startswith(w) for w in wanted) for n in clips.names])
    if out.all():
        raise ValueError("held_out: expected some recordings to train on, found all held out")
    kept = clips.only(~out)
    return kept, clips.only(out) if out.any() else kept, len(failed)


def windows(clips: Any, scale: Any, options: Any, generator: np.random.Generator) -> Any:
    """One batch of windows."""
    from mjxhuman.generators.motion.text import embedded
    from mjxhuman.generators.motion.training import Window

    features, valid, which = clips.draw(generator, options.windows, options.frames)
    text = embedded([clips.texts[i] for i in which])[:, None]
    return Window(scale.to_unit(features).astype(np.float32), valid, text)


def run(config: config_dict.ConfigDict) -> int:
    """Train as configured; returns the exit code."""
    prepare_jax()
    try:
        options, first = begun(config)
        train, held, failed = sources(config)
        summary = fit(config, options, first, train, held)
    except (ValueError, OSError, ImportError) as error:
        print(f"train_generator: {spelt(str(error), '--config.{}')}", file=sys.stderr)
        return NOTHING_TO_DO
    print(json_line(summary))
    return 1 if failed else 0


def begun(config: config_dict.ConfigDict) -> tuple[Any, Any]:
    """The options of a training, and the generator whose weights and scale of the features it begins with, or None.

    Raises:
        ValueError: options that do not fit; not a generator's file, or of another size or other windows.
        FileNotFoundError: no such file.
    """
    from mjxhuman.generators.motion.generator import load_generator
    from mjxhuman.generators.motion.network import SIZES
    from mjxhuman.generators.motion.training import TrainingOptions

    options = TrainingOptions(**config.training.to_dict())
    if not config.start_from:
        return options, None
    first = load_generator(config.start_from)
    for name, wanted, there in (
        ("training.size", SIZES[options.size], first.size), ("training.frames", options.frames, first.frames)
    ):  # fmt: skip
        if wanted != there:
            raise ValueError(f"{name}: expected that of start_from, {there}, found {wanted}")
    return options, first


def fit(config: config_dict.ConfigDict, options: Any, first: Any, train: Any, held: Any) -> dict[str, Any]:
    """Train on some clips, judge by others, write everything; returns the last line. Arguments as of ``begun``."""
    import jax

    from mjxhuman.generators.adapter_files import fingerprint
    from mjxhuman.generators.motion import training
    from mjxhuman.generators.motion.generator import FILE, init_generator, save_generator
    from mjxhuman.runs.loop import LoopOptions, run_steps

    scale = train.scale() if first is None else first.scale
    facts = {
        "training": dataclasses.asdict(options), "seed": config.seed, "mirror": config.mirror,
        "clips": sorted(set(train.names)), "held_out": config.held_out, "seconds": round(train.seconds, 2),
        **({} if first is None else {"start_from": fingerprint(first.params)}),
    }  # fmt: skip
    generator = init_generator(options.size, scale, options.frames, train.fps, train.captions, config.seed, facts)
    if first is not None:
        generator = dataclasses.replace(generator, params=first.params)
    body = training.Body.of(generator.humanoid, scale, train.fps)
    drawn = np.random.default_rng((config.seed, 1))
    judged = [windows(held, scale, options, drawn) for _ in range(_JUDGED)]
    key, own = jax.random.split(jax.random.key(config.seed + 1))

    def step(done: int, state: Any) -> tuple[Any, dict[str, Any]]:
        batch = windows(train, scale, options, np.random.default_rng((config.seed, 2, done)))
        state, found = training.learn(state, batch, jax.random.fold_in(key, done), body, options)
        return state, {f"train/{name}": value for name, value in found.items()}

    def judge(state: Any) -> dict[str, Any]:
        keys = (jax.random.fold_in(own, i) for i in range(_JUDGED))
        found = [training.judge(state.average, w, k, body, options) for w, k in zip(judged, keys, strict=True)]
        return {f"held_out/{name}": np.mean([x[name] for x in found]) for name in found[0]}

    folder, spent = Path(config.out), time.process_time()
    how = LoopOptions(
        folder, options.steps, log_every=config.evaluate_every, checkpoint_every=config.checkpoint_every,
        max_seconds=config.max_seconds, tensorboard=config.tensorboard, quiet=config.quiet, shown="held_out/loss",
    )  # fmt: skip
    ran = run_steps(how, training.begin(generator.params, options), facts, step, judge)
    told = {**facts, "steps": ran.done, "command": " ".join(sys.argv[1:])}
    save_generator(folder / FILE, dataclasses.replace(generator, params=ran.state.average, facts=told))
    return {
        "generator": str(folder / FILE), "steps": ran.done, "seconds": facts["seconds"],
        "captions": len(train.captions), "held_out_loss": ran.values.get("held_out/loss"),
        "processor_seconds": round(time.process_time() - spent, 1),
    }  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    if len(argv) > 1:
        print(f"train_generator: unexpected arguments {argv[1:]}; name data by --config.data=...", file=sys.stderr)
        return NOTHING_TO_DO
    return run(flags.FLAGS.config)


if __name__ == "__main__":
    launch(main, "generator")
