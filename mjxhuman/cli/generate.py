"""``mjxhuman generate``: motions from text, with what physics says of them."""

from __future__ import annotations

import argparse
import time

import numpy as np

from mjxhuman.cli.convert import qpos_motion
from mjxhuman.cli.reading import dynamics_of, output_folder
from mjxhuman.data.npz import save_motion
from mjxhuman.generators.motion.generator import Samples, load_generator
from mjxhuman.generators.prompts import file_names
from mjxhuman.report.pack import ClipReport
from mjxhuman.report.page import write_report
from mjxhuman.report.table import score_table, terminal
from mjxhuman.rewards.score import score
from mjxhuman.runs import json_line
from mjxhuman.runs.launch import prepare_jax
from mjxhuman.types import Scores


def run(args: argparse.Namespace) -> int:
    """Generate motions; exit code 0 all have a score, 1 some have none, 2 nothing could be done."""
    began = time.perf_counter()
    out = output_folder(args.out, "--out")
    prepare_jax()
    generator = load_generator(args.generator, args.adapter, force=args.force)
    made = generator.sample(args.prompts, args.samples, args.seconds, args.seed, args.guidance)
    names = [f"{stem}_{k}" for stem in file_names(args.prompts) for k in range(args.samples)]
    scores = [score(motion) for motion in made.motions]
    for name, motion in zip(names, made.motions, strict=True):
        save_motion(out / f"{name}.npz", qpos_motion(motion))
    page = write_report(out / "report.html", _clips(names, made, scores), title=", ".join(args.prompts))
    if not args.json:
        for prompt, captions in made.nearest.items():
            print(f"{prompt!r}: nearest of what it was trained on: {', '.join(captions)}")
        print(score_table(list(zip(names, scores, strict=True)), colour=terminal()[1]))
        print(f"motions: {out}\nreport: {page}")
    print(json_line(record(scores, args, time.perf_counter() - began)))
    return 0 if all(bool(np.asarray(s.valid)) for s in scores) else 1


def record(scores: list[Scores], args: argparse.Namespace, seconds: float) -> dict[str, object]:
    """For programs: means over the samples that have a score."""
    valid = [s for s in scores if bool(np.asarray(s.valid))]

    def mean(values: list[object]) -> float | None:
        return float(np.mean(values)) if values else None  # type: ignore[arg-type]

    axes = {name: mean([s.axes[name] for s in valid]) for name in (valid[0].axes if valid else ())}
    return {
        "samples": len(scores), "valid": len(valid), "total": mean([s.total for s in valid]), "axes": axes,
        "seconds_per_sample": seconds / len(scores), "adapter": args.adapter,
    }  # fmt: skip


def _clips(names: list[str], made: Samples, scores: list[Scores]) -> list[ClipReport]:
    notes = [(f"“{prompt}”; nearest captions: {', '.join(made.nearest[prompt])}",) for prompt in made.prompts]
    return [
        ClipReport(name, found, motion, dynamics_of(motion), said)
        for name, found, motion, said in zip(names, scores, made.motions, notes, strict=True)
    ]
