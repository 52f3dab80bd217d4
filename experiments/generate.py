"""Sample a generator of motion on many prompts, score what it makes, write it.

    python -m experiments.generate --generator=out/generator --prompts=test.txt --samples=8 --out=out/generated
    python -m experiments.generate --generator=out/generator --adapter=out/post_train/adapter --prompts=test.txt

Writes a motion (npz) and a line of ``results.jsonl`` for each sample, and ``report.html`` with some of them. The same
command goes on where it was stopped, prompt by prompt. A line, of schema 1:

    key         of generator, adapter, prompt, sample, seed, seconds, guidance and version: equal keys, equal samples
    prompt, sample, seed
    file        the motion, in the folder
    valid       whether it has a score; reason: why not, else ""
    total, axes the feasibility score; null without one
    joint_speed rad/s, mean over joints and frames

The last line on stdout is one JSON object: samples, valid, total, axes, seconds_per_sample, adapter.

Exit code: 0 every sample has a score; 1 some have none; 2 nothing to do.
"""

from __future__ import annotations

import hashlib
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags

from mjxhuman.runs import JsonLines, json_line, prepare_jax, progress
from mjxhuman.runs.files import read_json_lines

from .launch import launch

NOTHING_TO_DO = 2
SCHEMA = 1
#: Samples that the page shows, evenly chosen.
_SHOWN = 12


def key_of(values: Any, weights: str, prompt: str, sample: int) -> str:
    """What tells a sample from others."""
    from mjxhuman.version import __version__

    told = {"version": [SCHEMA, __version__], "weights": weights, "prompt": prompt, "sample": sample}
    how = {"seed": values.seed, "seconds": values.seconds, "guidance": values.guidance}
    return hashlib.sha256(json_line(told | how).encode()).hexdigest()[:16]


def weights_of(generator: Any) -> str:
    """A fingerprint of a generator and its adapter."""
    from mjxhuman.generators.adapter_files import fingerprint

    adapter = None if generator.adapter is None else fingerprint({"adapter": generator.adapter.weights})
    return f"{fingerprint(generator.params)} {adapter}"


def make(generator: Any, prompt: str, stem: str, keys: Sequence[str], values: Any) -> list[dict[str, Any]]:
    """Write the samples of a prompt; their lines."""
    from mjxhuman.cli.convert import qpos_motion
    from mjxhuman.data.npz import save_motion
    from mjxhuman.generators.motion.reward import joint_speed
    from mjxhuman.rewards.score import score

    made = generator.sample([prompt], len(keys), values.seconds or None, values.seed, values.guidance)
    moves = np.asarray(joint_speed(generator, np.stack([motion.qpos for motion in made.motions])))
    lines = []
    for k, (key, motion) in enumerate(zip(keys, made.motions, strict=True)):
        found, file = score(motion), f"{stem}_{k}.npz"
        save_motion(pathlib.Path(values.out) / file, qpos_motion(motion))
        valid = bool(np.asarray(found.valid))
        lines.append(
            {
                "schema": SCHEMA, "key": key, "prompt": prompt, "sample": k, "seed": values.seed, "file": file,
                "valid": valid, "reason": str(found.reason or ""), "total": float(found.total) if valid else None,
                "axes": {name: float(x) for name, x in found.axes.items()} if valid else None,
                "joint_speed": float(moves[k]),
            }
        )  # fmt: skip
    return lines


def run(values: Any) -> int:
    """Sample what the folder lacks; returns the exit code."""
    from mjxhuman.generators.motion.generator import load_generator
    from mjxhuman.generators.prompts import file_names, load_prompts

    generator = load_generator(values.generator, values.adapter or None)
    prompts, out = load_prompts(values.prompts), pathlib.Path(values.out)
    generator.condition(prompts, values.seconds or None)  # raises for what cannot be made, before anything is written
    out.mkdir(parents=True, exist_ok=True)
    weights, began, new = weights_of(generator), time.monotonic(), 0
    done = {line["key"]: line for line in read_json_lines(out / "results.jsonl")}
    found = []
    names = zip(prompts, file_names(prompts), strict=True)
    with JsonLines(out / "results.jsonl") as log, progress(len(prompts), unit="prompt", label="generate") as bar:
        for prompt, stem in names:
            keys = [key_of(values, weights, prompt, k) for k in range(values.samples)]
            if any(key not in done for key in keys):
                for line in make(generator, prompt, stem, keys, values):
                    if line["key"] not in done:
                        log.append(line)
                        done[line["key"]], new = line, new + 1
            found += [done[key] for key in keys]
            bar.update()
    shown = show(found, out, generator)
    print(f"motions: {out}\nreport: {shown}")
    print(json_line(conclusion(found, (time.monotonic() - began) / max(new, 1), values.adapter)), flush=True)
    return 0 if all(line["valid"] for line in found) else 1


def show(lines: Sequence[dict[str, Any]], out: pathlib.Path, generator: Any) -> pathlib.Path:
    """The page."""
    from mjxhuman.cli.reading import dynamics_of
    from mjxhuman.recovery.load import load_motion
    from mjxhuman.report.pack import ClipReport
    from mjxhuman.report.page import write_report
    from mjxhuman.rewards.score import score

    chosen = [lines[i] for i in np.unique(np.linspace(0, len(lines) - 1, min(_SHOWN, len(lines))).astype(int))]
    clips = []
    for line in chosen:
        motion = load_motion(out / line["file"], generator.humanoid)
        name = pathlib.Path(line["file"]).stem
        clips.append(ClipReport(name, score(motion), motion, dynamics_of(motion), (f"“{line['prompt']}”",)))
    return write_report(out / "report.html", clips, title="generated")


def conclusion(lines: Sequence[dict[str, Any]], seconds: float, adapter: str) -> dict[str, Any]:
    """For programs: means over the samples that have a score."""
    valid = [line for line in lines if line["valid"]]
    axes = valid[0]["axes"] if valid else {}
    return {
        "samples": len(lines), "valid": len(valid),
        "total": float(np.mean([line["total"] for line in valid])) if valid else None,
        "axes": {name: float(np.mean([line["axes"][name] for line in valid])) for name in axes},
        "seconds_per_sample": round(seconds, 3), "adapter": adapter or None,
    }  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    try:
        if len(argv) > 1:
            raise ValueError(f"unexpected arguments {argv[1:]}")
        prepare_jax()
        return run(flags.FLAGS)
    except (ValueError, OSError, ImportError) as error:
        print(f"generate: {error}", file=sys.stderr)
        return NOTHING_TO_DO


if __name__ == "__main__":
    flags.DEFINE_string("generator", None, "A generator's file, or the folder of a run.", required=True)
    flags.DEFINE_string("prompts", None, "A file with a prompt a line.", required=True)
    flags.DEFINE_string("adapter", "", "An adapter's folder or .safetensors file.")
    flags.DEFINE_integer("samples", 4, "Of each prompt.", lower_bound=1)
    flags.DEFINE_float("seconds", 0.0, "Of each motion; 0: as long as the generator makes.")
    flags.DEFINE_integer("seed", 0, "Of the samples.")
    flags.DEFINE_float("guidance", 1.0, "Away from what it makes without a prompt; 1: not at all.")
    flags.DEFINE_string("out", "out/generated", "Folder of the results.")
    launch(main)
