"""``mjxhuman generate``: motions from text, with what physics says of them."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from mjxhuman.cli.convert import qpos_motion
from mjxhuman.cli.reading import dynamics_of, output_folder
from mjxhuman.data.npz import save_motion
from mjxhuman.generators.motion.generator import MOTION, PHYSICS, Samples, load_generator
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
    generator = load_generator(args.generator, adapter_of(args), force=args.force)
    if args.base and generator.adapter is None:
        raise ValueError("--base: expected an adapter beside it, found none")
    how = args.prompts, args.samples, args.seconds, args.seed, args.guidance
    made = {"": generator.sample(*how)}
    if args.base:
        made = {"base": dataclasses.replace(generator, adapter=None).sample(*how), **made}
    stems = [f"{stem}_{k}" for stem in file_names(args.prompts) for k in range(args.samples)]
    clips = []
    for i, stem in enumerate(stems):
        for kind, samples in made.items():
            clips.append(_clip("_".join(filter(None, (stem, kind))), samples, i))
            save_motion(out / f"{clips[-1].name}.npz", qpos_motion(samples.motions[i]))
    page = write_report(out / "report.html", clips, title=", ".join(args.prompts), compare=args.base)
    if not args.json:
        for prompt, captions in made[""].nearest.items():
            print(f"{prompt!r}: nearest of what it was trained on: {', '.join(captions)}")
        print(score_table([(clip.name, clip.scores) for clip in clips], colour=terminal()[1]))
        print(f"motions: {out}\nreport: {page}")
    scores = [clip.scores for clip in clips]
    told = record(scores[len(made) - 1 :: len(made)], args, time.perf_counter() - began)
    if args.base:
        told["base_total"] = record(scores[:: len(made)], args, 0.0)["total"]
    print(json_line(told))
    return 0 if all(bool(np.asarray(s.valid)) for s in scores) else 1


def adapter_of(args: argparse.Namespace) -> str | None:
    """The adapter that is asked for."""
    if args.adapter is None:
        return PHYSICS if args.generator == MOTION else None
    return None if args.adapter == "none" else args.adapter


def record(scores: Sequence[Scores], args: argparse.Namespace, seconds: float) -> dict[str, object]:
    """For programs: means over the samples that have a score."""
    valid = [s for s in scores if bool(np.asarray(s.valid))]

    def mean(values: list[object]) -> float | None:
        return float(np.mean(values)) if values else None  # type: ignore[arg-type]

    axes = {name: mean([s.axes[name] for s in valid]) for name in (valid[0].axes if valid else ())}
    return {
        "samples": len(scores), "valid": len(valid), "total": mean([s.total for s in valid]), "axes": axes,
        "seconds_per_sample": seconds / len(scores), "adapter": adapter_of(args),
    }  # fmt: skip


def _clip(name: str, made: Samples, i: int) -> ClipReport:
    prompt, motion = made.prompts[i], made.motions[i]
    said = (f"“{prompt}”; nearest captions: {', '.join(made.nearest[prompt])}",)
    return ClipReport(name, score(motion), motion, dynamics_of(motion), said)
