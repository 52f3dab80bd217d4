"""Plan a library: controls for each of many motion files, their mirror images and other speeds, as training data.

    python -m experiments.plan_library --motions='mocap/**/*.amc' --out=out/plans --preset=fast
    python -m experiments.plan_library --motions='mocap/**/*.amc' --out=out/plans --mirror --speeds=0.85,1.15

Writes one plan per motion that was tracked to the end (``mjxhuman.Plan.load`` and every command that reads motions take
them) and ``index.jsonl``: file, source, variant, preset, seed, errors and cost of each, also of those that were lost
(without a file) and of sources that could not be loaded (with the error). The same command goes on where it stopped,
clip by clip. All clips come once before the first comes again, mirrored or at another speed, so a library that is
stopped early is broad.

    python -m experiments.train_imitation --config=imitation:expert --config.clips=out/plans

The last line on stdout is one JSON object: clips, tracked, seconds (of motion), cost_s_per_s, failed.

Exit code: 0 every motion has a plan; 1 some were lost or could not be loaded (index.jsonl names them); 2 nothing to do.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
import re
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags

from mjxhuman.options import ClipOptions, define_flags, record_of, spelt
from mjxhuman.runs import JsonLines, json_line, progress
from mjxhuman.runs.files import read_json_lines
from mjxhuman.runs.launch import prepare_jax

from .launch import launch, named_motions

NOTHING_TO_DO = 2


@dataclasses.dataclass(frozen=True)
class Job:
    """One plan to be made."""

    source: pathlib.Path
    name: str  # of the plan's file, without suffix
    mirror: bool
    speed: float
    preset: str
    seed: int

    @property
    def key(self) -> dict[str, Any]:
        """What tells it from others in the index."""
        return {"source": str(self.source), "mirror": self.mirror, "speed": self.speed} | {
            "preset": self.preset, "seed": self.seed
        }  # fmt: skip


def jobs(
    paths: Sequence[pathlib.Path], mirror: bool, speeds: Sequence[float], preset: str, seeds: int
) -> Iterator[Job]:
    """All plans of a library, the widest coverage first."""
    root = pathlib.Path(os.path.commonpath([path.absolute().parent for path in paths]))
    variants = itertools.product(range(seeds), (1.0, *speeds), (False, True) if mirror else (False,))
    for seed, speed, image in variants:
        for path in paths:
            name = re.sub(r"[^\w.-]+", "_", "_".join(path.absolute().relative_to(root).parts))
            name += f"_x{speed:g}" * (speed != 1.0) + "_mirrored" * image + f"_seed{seed}" * (seed > 0)
            yield Job(path, name, image, speed, preset, seed)


def varied(job: Job, humanoid: Any, options: ClipOptions, longest: float) -> Any:
    """The motion that a job plans: at most ``longest`` s of it, 0 for all."""
    from mjxhuman.physics.variations import mirrored, retimed
    from mjxhuman.recovery.load import load_clip
    from mjxhuman.tracking.evaluate import first_seconds

    motion = load_clip(job.source, humanoid, options)
    motion = first_seconds(motion, longest) if longest else motion
    motion = mirrored(motion) if job.mirror else motion
    return retimed(motion, job.speed) if job.speed != 1.0 else motion


def make(job: Job, planner: Any, out: pathlib.Path, options: ClipOptions, longest: float) -> dict[str, Any]:
    """Plan and write one motion; its line of the index."""
    try:
        plan = planner(varied(job, planner.humanoid, options, longest), seed=job.seed, progress=False)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        return {**job.key, "file": None, "error": str(error)}
    file = f"{job.name}.npz" if plan.tracked else None
    if file:
        plan.save(out / file)
    numbers = {"error_global_mm": plan.error_global_mm, "error_local_mm": plan.error_local_mm, "torque": plan.torque}
    return {
        **job.key, "file": file, "tracked": plan.tracked, "lost_at": plan.lost_at,
        "seconds": plan.motion.num_frames / plan.motion.fps, "cost_s": plan.seconds,
    } | {name: round(value, 2) for name, value in numbers.items()}  # fmt: skip


def run(
    todo: Sequence[Job], planner: Any, out: pathlib.Path, options: ClipOptions, longest: float, max_seconds: float
) -> list[dict[str, Any]]:
    """Make what the index lacks; all lines of the index that belong to ``todo``."""
    index = out / "index.jsonl"
    done = {json_line(job_of(line)): line for line in read_json_lines(index)}
    began = time.monotonic()
    with JsonLines(index) as log, progress(len(todo), unit="plan", label="plan") as bar:
        for job in todo:
            key = json_line(job.key)
            if key not in done:
                if 0 < max_seconds < time.monotonic() - began:
                    break
                done[key] = make(job, planner, out, options, longest)
                log.append(done[key])
                if "error" in done[key]:
                    bar.write(f"plan_library: {job.source}: {done[key]['error']}", file=sys.stderr)
            bar.update(1)
    return [done[key] for job in todo if (key := json_line(job.key)) in done]


def job_of(line: dict[str, Any]) -> dict[str, Any]:
    """The key of a line of the index."""
    return {name: line[name] for name in ("source", "mirror", "speed", "preset", "seed")}


def conclude(lines: Sequence[dict[str, Any]], total: int) -> int:
    """Say what there is now; returns the exit code."""
    planned = [line for line in lines if "error" not in line]
    seconds = sum(line["seconds"] for line in planned)
    for line in lines:
        if line["file"] is None:
            print(f"{job_of(line)}: {line.get('error') or 'lost at {:.2f} s'.format(line['lost_at'])}")
    cost = sum(line["cost_s"] for line in planned) / seconds if seconds else None
    summary = {
        "clips": len(lines), "of": total, "tracked": sum(line["file"] is not None for line in lines),
        "seconds": round(seconds, 1), "cost_s_per_s": cost and round(cost, 2), "failed": len(lines) - len(planned),
    }  # fmt: skip
    print(json_line(summary), flush=True)
    return 0 if summary["tracked"] == total else 1


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    values = flags.FLAGS
    try:
        if len(argv) > 1:
            raise ValueError(f"unexpected arguments {argv[1:]}; name files by --motions=...")
        paths = named_motions(values.motions)
        speeds = [float(speed) for speed in values.speeds]
        if not paths or any(not speed > 0 for speed in speeds):
            raise ValueError(f"--motions, --speeds: expected files and factors, found {values.motions!r}, {speeds}")
        out = pathlib.Path(values.out)
        out.mkdir(parents=True, exist_ok=True)
        prepare_jax()
        from mjxhuman.humanoids import load_humanoid
        from mjxhuman.planning import default_planner

        body = load_humanoid("smpl", stature=values.stature) if values.stature else None
        planner = default_planner(values.preset, values.engine or None, body)
    except (ValueError, OSError, ImportError) as error:
        print(f"plan_library: {spelt(str(error), '--{}')}", file=sys.stderr)
        return NOTHING_TO_DO
    todo = list(jobs(paths, values.mirror, speeds, values.preset, values.seeds))
    options = record_of(ClipOptions, values)
    return conclude(run(todo, planner, out, options, values.longest, values.max_seconds), len(todo))


if __name__ == "__main__":
    flags.DEFINE_string("motions", None, "Files, folders and globs, with commas between.", required=True)
    flags.DEFINE_string("out", "out/plans", "Folder of the library.")
    flags.DEFINE_string("preset", "default", "Of the planner: fast, default or best.")
    flags.DEFINE_bool("mirror", False, "Plan the mirror images too.")
    flags.DEFINE_list("speeds", [], "Plan the motions at these factors of their speed too, 0.85,1.15 for example.")
    flags.DEFINE_integer("seeds", 1, "Plans of each, with different samples.", lower_bound=1)
    flags.DEFINE_float("longest", 0.0, "Plan only so many seconds of a clip; 0: all of it.")
    flags.DEFINE_float("stature", 0.0, "m, of the simulated body; 0: the default.")
    flags.DEFINE_string("engine", "", "Simulation engine: c, jax or warp; default the fastest here.")
    flags.DEFINE_float("max_seconds", 0.0, "Begin no plan after so long; 0: no limit.")
    define_flags(ClipOptions)
    launch(main)
