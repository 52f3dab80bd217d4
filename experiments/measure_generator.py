"""Measure a generator of motion beside the recordings that it was trained on.

    python -m experiments.measure_generator --generator=out/generator --data=captions.jsonl --samples=16

Prompts are the captions of the training, or the lines of ``--prompts``. Per prompt and over all: feasibility and its
axes, speed of joints and root as a share of that of the recordings with this caption, and the measures of
``generators.motion.evaluate`` (Frechet distance, diversity, R-precision of 4, distance to the nearest training window),
beside those of as many windows of the recordings themselves. Writes ``prompts.jsonl``. With ``--adapter`` the base is
sampled with the same noise too: differences with 95 % intervals of a bootstrap over prompts, and shares of the base's
movement. The last line on stdout is one JSON object.

Exit code: 0 measured; 1 some recordings could not be used (named); 2 nothing to do.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags

from mjxhuman.math.statistics import bootstrap_interval
from mjxhuman.options import ClipOptions, define_flags, record_of, spelt
from mjxhuman.runs import JsonLines, json_line, prepare_jax, progress
from mjxhuman.runs.progress import busy

from .launch import launch

NOTHING_TO_DO = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Set:
    """N motions of F frames and what they were asked to be."""

    features: np.ndarray  # (N, T, n)
    prompts: tuple[str, ...]
    total: np.ndarray  # (N,) feasibility; NaN where there is none
    axes: dict[str, np.ndarray]  # (N,)
    joint_speed: np.ndarray  # (N,) rad/s, mean over joints and frames
    root_speed: np.ndarray  # (N,) m/s, mean over frames


def scored(features: np.ndarray, prompts: Sequence[str], generator: Any) -> Set:
    """Features with their scores and speeds."""
    from mjxhuman.generators.motion.features import RATES, from_features
    from mjxhuman.generators.motion.reward import Feasibility, joint_speed

    qpos = np.asarray(from_features(generator.humanoid, features, generator.fps))
    found = Feasibility(generator)(qpos, prompts)
    total, *axes = (np.where(found.valid, x, np.nan) for x in (found.total, *found.parts.values()))
    root = np.hypot(features[..., RATES][..., 0], features[..., RATES][..., 1]).mean(1)
    moves = np.asarray(joint_speed(generator, qpos))
    return Set(features, tuple(prompts), total, dict(zip(found.parts, axes, strict=True)), moves, root)


def summary(found: Set, judge: Any) -> dict[str, Any]:
    """Means of a set."""
    axes = {name: float(np.nanmean(x)) for name, x in found.axes.items()}
    known = np.isfinite(found.total)
    return {
        "samples": len(found.prompts), "valid": int(known.sum()), "total": float(np.nanmean(found.total)),
        "interval": bootstrap_interval(found.total[known], np.array(found.prompts)[known]), "axes": axes,
        "joint_speed": float(found.joint_speed.mean()),
        **judge.measure(found.features, found.prompts),
    }  # fmt: skip


def rows(made: Set, real: Set) -> list[dict[str, Any]]:
    """One line per prompt; shares of the recordings' where there are recordings with this caption."""
    lines = []
    for prompt in dict.fromkeys(made.prompts):
        one, other = (np.array([p == prompt for p in s.prompts]) for s in (made, real))
        known = other.any()
        lines.append(
            {
                "prompt": prompt, "samples": int(one.sum()), "total": float(np.nanmean(made.total[one])),
                "real_total": float(np.nanmean(real.total[other])) if known else None,
                "joint_speed": float(made.joint_speed[one].mean()),
                "speed_ratio": float(made.joint_speed[one].mean() / real.joint_speed[other].mean()) if known else None,
            }
        )  # fmt: skip
    return lines


def beside(made: Set, base: Set) -> dict[str, Any]:
    """Of an adapter's samples beside the base's of the same prompts and noise: gains ``[mean, low, high]`` of total and
    axes, and shares of the base's speeds, over all, in the median and in the worst prompt."""
    names = np.array(made.prompts)
    both = np.isfinite(made.total) & np.isfinite(base.total)

    def gain(a: np.ndarray, b: np.ndarray) -> list[float]:
        off = (a - b)[both]
        return [float(off.mean()), *bootstrap_interval(off, names[both])]

    def shares(a: np.ndarray, b: np.ndarray) -> list[float]:
        each = [a[names == name].mean() / b[names == name].mean() for name in dict.fromkeys(made.prompts)]
        return [float(a.mean() / b.mean()), float(np.median(each)), float(np.min(each))]

    return {
        "total": gain(made.total, base.total),
        "axes": {name: gain(made.axes[name], base.axes[name]) for name in made.axes},
        "joint_speed": shares(made.joint_speed, base.joint_speed),
        "root_speed": shares(made.root_speed, base.root_speed),
    }  # fmt: skip


def measure(values: Any, out: pathlib.Path) -> int:
    """Sample, judge, write; returns the exit code."""
    from mjxhuman.generators.motion.captions import load_captions
    from mjxhuman.generators.motion.evaluate import Judge
    from mjxhuman.generators.motion.generator import load_generator
    from mjxhuman.generators.motion.windows import make_clips
    from mjxhuman.generators.prompts import load_prompts
    from mjxhuman.recovery.load import load_clip

    generator = load_generator(values.generator, values.adapter or None)
    prompts = load_prompts(values.prompts) if values.prompts else generator.captions
    captions, options = load_captions(values.data), record_of(ClipOptions, values)
    with progress(len(captions), unit="caption", label="load") as bar:
        clips, failed = make_clips(
            captions, lambda c: load_clip(c.path, generator.humanoid, options), generator.humanoid, generator.fps,
            done=bar.update,
        )  # fmt: skip
    for path, error in failed.items():
        print(f"measure_generator: {path}: {error.removeprefix(f'{path}: ')}", file=sys.stderr)
    judge = Judge.of(clips, generator.scale, generator.frames)
    windows, valid, which = clips.draw(
        np.random.default_rng(values.seed), 4 * values.samples * len(prompts), generator.frames
    )
    whole = np.flatnonzero(valid.all(1))[: values.samples * len(prompts)]
    how = prompts, values.samples, values.seed, None, values.guidance
    with busy("sampling and scoring"):
        made = scored(*generator.features(*how), generator)
        real = scored(windows[whole], [clips.texts[i] for i in which[whole]], generator)
    with JsonLines(out / "prompts.jsonl") as log:
        for line in rows(made, real):
            log.append(line)
            ratio = line["speed_ratio"]
            print(f"{line['prompt'][:50]:50s} {line['total']:.2f}" + (f"  speed {ratio:.2f}" if ratio else ""))
    told: dict[str, Any] = {"generated": summary(made, judge), "recorded": summary(real, judge)}
    if values.adapter:
        with busy("sampling and scoring the base"):
            base = scored(*dataclasses.replace(generator, adapter=None).features(*how), generator)
        told |= {"base": summary(base, judge), "beside": beside(made, base)}
    print(json_line(told), flush=True)
    return 1 if failed else 0


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    values = flags.FLAGS
    try:
        if len(argv) > 1:
            raise ValueError(f"unexpected arguments {argv[1:]}")
        out = pathlib.Path(values.out)
        out.mkdir(parents=True, exist_ok=True)
        (out / "prompts.jsonl").unlink(missing_ok=True)
        prepare_jax()
        return measure(values, out)
    except (ValueError, OSError, ImportError) as error:
        print(f"measure_generator: {spelt(str(error), '--{}')}", file=sys.stderr)
        return NOTHING_TO_DO


if __name__ == "__main__":
    flags.DEFINE_string("generator", None, "A generator's file, or the folder of a run.", required=True)
    flags.DEFINE_string("adapter", "", "An adapter's folder or .safetensors file.")
    flags.DEFINE_string("data", None, "The captions that it was trained on: see configs/generator.py.", required=True)
    flags.DEFINE_string("prompts", "", "A file with a prompt a line; default: the captions of the training.")
    flags.DEFINE_integer("samples", 8, "Of each prompt.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Of the samples.")
    flags.DEFINE_float("guidance", 1.0, "Away from what it makes without a prompt; 1: not at all.")
    flags.DEFINE_string("out", "out/measure_generator", "Folder of the results.")
    define_flags(ClipOptions)
    launch(main)
