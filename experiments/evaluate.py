"""Evaluate a tracker on motion files: success, errors, effort and feasibility of every clip, and pictures.

    python -m experiments.evaluate --motions='mocap/**/*.bvh,more/*.npz' --out=out/evaluate
    python -m experiments.evaluate --policy=out/imitation --motions='mocap/*.amc' --draw=20 --film
    python -m experiments.evaluate --policy=reference --motions='mocap/*.amc'
    python -m experiments.evaluate --policy=reference --humanoid=g1.xml --motions='g1/*.csv' --fps=30
    python -m experiments.evaluate --policy=planner:fast --motions='mocap/*.amc'
    python -m experiments.evaluate --policy=mpc --motions='mocap/*.amc' --push=0.5 --perturbed

Every clip is simulated from its first frame to its last with the policy's mean action; with ``--phases=20`` from twenty
random frames instead. ``--policy=zero``, ``random`` and ``reference`` are agents without training: servos that hold the
T-pose, servos with random targets, and feed-forward playback of the clip; ``planner`` searches controls for each clip
in the simulator (``mjxhuman.planning``) and ``mpc`` does so in closed loop, from wherever the body is; ``--humanoid``
says of which body, a robot's MJCF for example. A clip fails where the mean distance of the body's evaluated parts (of
people 20: all but toes and hands) exceeds 0.5 m in any frame (PHC's criterion).

``--push`` and ``--perturbed`` disturb every policy in the same way (``tracking.disturbance``); a plan's controls are
found without and then carried out with the disturbance, open loop.

Prints a table; writes ``clips.jsonl`` (one object per clip), ``summary.json`` and pictures of the clips that were
tracked worst. The last line on stdout is one JSON object: clips, success_rate, mpjpe_global_mm and mpjpe_local_mm
(means over all frames of all clips, failures included), failed_files (those that could not be loaded).

Exit code: 0 all files were evaluated; 1 some could not be loaded (each is named with its error on stderr);
2 nothing to do.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from mjxhuman.options import ClipOptions, define_flags, record_of, spelt
from mjxhuman.runs import JsonLines, atomic_write, describe, json_line, progress
from mjxhuman.runs.launch import prepare_jax

from .launch import launch, named_motions

#: Files whose motions are in memory together.
CHUNK = 64
NOTHING_TO_DO = 2


@dataclasses.dataclass
class Evaluation:
    """Results so far; motions only of the clips to be drawn."""

    draw: int
    options: ClipOptions = ClipOptions()
    disturbance: Any = None
    results: list[Any] = dataclasses.field(default_factory=list)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    worst: list[Any] = dataclasses.field(default_factory=list)

    def add(self, tracked: Any) -> None:
        """Take one clip."""
        self.results.append(tracked.result)
        self.worst = sorted([*self.worst, tracked], key=lambda t: -t.result.mpjpe_g)[: self.draw]


def run(
    paths: Sequence[pathlib.Path], tracker: Any, evaluation: Evaluation, log: JsonLines, score: bool, phases: int
) -> None:
    """Load and track all files, a chunk at a time."""
    with progress(len(paths) * max(phases, 1), unit="clip", label="evaluate") as bar:
        for start in range(0, len(paths), CHUNK):
            motions = {}
            for path in paths[start : start + CHUNK]:
                try:
                    motions |= episodes(load(path, tracker, evaluation.options), str(path), phases)
                except (ValueError, OSError, ImportError, RuntimeError) as error:
                    evaluation.failed[str(path)] = str(error)
                    bar.write(f"evaluate: {path}: {str(error).removeprefix(f'{path}: ')}", file=sys.stderr)
                    bar.update(max(phases, 1))
            track(motions, tracker, evaluation, log, score, bar)


def performer(policy: str, engine: str, body: Any) -> Any:
    """A tracker, or a planner for "planner" and "mpc", with ":PRESET" another than "default" or "reactive"."""
    from mjxhuman.planning import default_planner
    from mjxhuman.tracking.tracker import load_tracker

    kind, _, preset = policy.partition(":")
    if kind in ("planner", "mpc"):
        closed = kind == "mpc"
        return default_planner(preset or ("reactive" if closed else "default"), engine or None, body, closed)
    return load_tracker(policy or None, engine or None, body)


def load(path: pathlib.Path, tracker: Any, options: ClipOptions) -> Any:
    """One motion on the tracker's body, at its control rate."""
    from mjxhuman.recovery.load import load_clip
    from mjxhuman.tracking.evaluate import usable

    clip = load_clip(path, tracker.humanoid, options)
    return usable(clip, tracker.humanoid, tracker.fps, str(path))


def episodes(motion: Any, name: str, phases: int) -> dict[str, Any]:
    """The whole motion, or its ends from random frames on, under names that say so."""
    from mjxhuman.tracking.evaluate import from_phases

    if not phases:
        return {name: motion}
    return {f"{name} {i + 1}: from {k / motion.fps:.2f} s": m for i, (k, m) in enumerate(from_phases(motion, phases))}


def track(motions: dict[str, Any], tracker: Any, evaluation: Evaluation, log: JsonLines, score: bool, bar: Any) -> None:
    """Track a chunk."""
    from mjxhuman.planning import Planner
    from mjxhuman.tracking.evaluate import evaluate

    judge = tracker.evaluate if isinstance(tracker, Planner) else functools.partial(evaluate, tracker)
    for tracked in judge(list(motions.values()), list(motions), score=score, disturbance=evaluation.disturbance):
        log.append(tracked.result.record())
        evaluation.add(tracked)
        bar.update()


def draw(evaluation: Evaluation, out: pathlib.Path, film: bool) -> None:
    """Pictures of the clips that were tracked worst."""
    from mjxhuman.report.tracking import draw_tracking

    suffix = ".mp4" if film else ".png"
    with progress(len(evaluation.worst), unit="clip", label="draw") as bar:
        for rank, tracked in enumerate(evaluation.worst, start=1):
            name = re.sub(r"\.\w+( \d+: from .*)?$", r"\1", pathlib.Path(tracked.result.name).name)
            draw_tracking(out / "pictures" / f"{rank:02d}_{re.sub('[: ]+', '_', name)}{suffix}", tracked)
            bar.update()


def conclude(evaluation: Evaluation, tracker: Any, out: pathlib.Path) -> None:
    """Table, summary file, and the line for programs."""
    from mjxhuman.report.table import terminal
    from mjxhuman.report.tracking import tracking_table
    from mjxhuman.tracking.evaluate import summary

    width, colour = terminal()
    results = sorted(evaluation.results, key=lambda r: r.name)
    numbers = summary(results)
    print(tracking_table(shortly_named(results), width=max(width, 120), colour=colour))
    for path in evaluation.failed:
        print(f"not loaded: {path}")
    print(f"results: {out}")
    facts = {"policy": str(tracker.path), "facts": tracker.facts, "engine": tracker.simulator.engine}
    facts["disturbance"] = dataclasses.asdict(evaluation.disturbance)
    with atomic_write(out / "summary.json") as file:
        file.write(json_line({**numbers, "failed_files": evaluation.failed, **facts, "environment": describe()}) + "\n")
    line = {k: numbers[k] for k in ("clips", "success_rate", "mpjpe_global_mm", "mpjpe_local_mm")}
    print(json_line({**line, "failed_files": list(evaluation.failed)}), flush=True)


def shortly_named(results: list[Any]) -> list[Any]:
    """The results under the part of their paths in which they differ."""
    files = [pathlib.Path(r.name).absolute() for r in results]
    root = os.path.commonpath([file.parent for file in files]) if files else ""
    return [dataclasses.replace(r, name=str(file.relative_to(root))) for r, file in zip(results, files)]


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    values = flags.FLAGS
    try:
        if len(argv) > 1:
            raise ValueError(f"unexpected arguments {argv[1:]}; name files by --motions=...")
        paths = named_motions(values.motions)
        if not paths:
            raise ValueError(f"--motions: expected files or patterns, found {values.motions!r}")
        out, options = pathlib.Path(values.out), record_of(ClipOptions, values)
        if values.film and values.draw:
            from mjxhuman.report.render import require_video

            require_video(out)
        prepare_jax()
        from mjxhuman.humanoids import load_humanoid
        from mjxhuman.tracking.disturbance import Disturbance

        disturbance = Disturbance(values.push, values.perturbed, values.seed)
        body = load_humanoid(values.humanoid) if values.humanoid else None
        tracker = performer(values.policy, values.engine, body)
    except (ValueError, OSError, ImportError) as error:
        print(f"evaluate: {spelt(str(error), '--{}')}", file=sys.stderr)
        return NOTHING_TO_DO
    evaluation = Evaluation(values.draw, options, disturbance)
    (out / "clips.jsonl").unlink(missing_ok=True)
    with JsonLines(out / "clips.jsonl") as log:
        run(paths, tracker, evaluation, log, values.score, values.phases)
    draw(evaluation, out, values.film)
    conclude(evaluation, tracker, out)
    return 1 if evaluation.failed else 0


if __name__ == "__main__":
    flags.DEFINE_string(
        "policy",
        "",
        "Policy file, run folder, expert, ppo, zero, random, reference, planner[:PRESET] or mpc[:PRESET]; default: the "
        "shipped tracker.",
    )
    flags.DEFINE_string(
        "motions", None, "Files, folders and globs, with commas between (** crosses folders).", required=True
    )
    flags.DEFINE_string("out", "out/evaluate", "Folder of the results.")
    flags.DEFINE_string("humanoid", "", "The body: smpl, or an MJCF file; default: that of the policy, or smpl.")
    flags.DEFINE_string("engine", "", "Simulation engine: c, jax or warp; default the fastest here.")
    flags.DEFINE_integer("phases", 0, "Start so many times at random frames of each clip; 0: once at the first.")
    flags.DEFINE_float("push", 0.0, "Push the body once a second: change its horizontal velocity by so much, m/s.")
    flags.DEFINE_bool("perturbed", False, "Start off the clip's state.")
    flags.DEFINE_integer("seed", 0, "Of pushes and perturbed starts.")
    flags.DEFINE_integer("draw", 6, "How many clips to draw, those with the largest errors.", lower_bound=0)
    flags.DEFINE_bool("film", False, "Draw films (.mp4) instead of sheets (.png).")
    flags.DEFINE_bool("score", True, "Score the feasibility of both motions, which takes longer than the simulation.")
    define_flags(ClipOptions)
    launch(main)
