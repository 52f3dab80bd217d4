"""Rank clean motion against damaged copies of it: how often, and how monotonically, does a reward see the damage?

    python -m experiments.rank_damage --motions='mocap/**/*.bvh' --rewards=feasibility,phymotion --out=out/ranking

Every clip gets each kind of damage of ``mjxhuman.rewards.validation.damage`` at three severities.
Prints one table per reward and writes ``pairs.jsonl`` (a line per pair, with all terms) and ``ranking.json``. A run
that was interrupted goes on where it stopped. Two CPU cores rank about fifty clips of five seconds in ten minutes.

A third judge, ``planner``, is the least change with which a simulated body can perform the motion
(``Plan.distance``, mm, its sign turned; preset fast): a second opinion that knows nothing of the scores. It costs some
processor seconds per second of motion, so name few clips and kinds:

    python -m experiments.rank_damage --motions=... --rewards=feasibility,planner --kinds=float,skate --out=out/judges
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from mjxhuman.runs import (
    JsonLines,
    atomic_write,
    describe,
    enable_compile_cache,
    progress,
    read_json_lines,
)
from mjxhuman.types import Motion

from .launch import launch, named_motions

_MOTIONS = flags.DEFINE_string("motions", None, "Comma-separated globs of clean motion files.", required=True)
_REWARDS = flags.DEFINE_list(
    "rewards", ["feasibility", "phymotion"], "Rewards to rank with: feasibility, phymotion, planner."
)
_KINDS = flags.DEFINE_list("kinds", [], "Kinds of damage; none for all.")
_OUT = flags.DEFINE_string("out", "out/ranking", "Folder for results.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the random damages.")
_FPS = flags.DEFINE_float("resample", 0.0, "Frame rate to resample every clip to first; 0 keeps its own.")


def planner_distance(motion: Motion) -> tuple[float, dict[str, float]]:
    """Minus the mean change in mm that makes a motion physical, and what the planner says of it."""
    from mjxhuman.planning import plan

    found = plan(motion, preset="fast", progress=False)
    place, turn = found.distance
    return -place, {"distance_mm": place, "distance_deg": turn}


def rank_file(path: pathlib.Path, rewards: Sequence[str], kinds: Sequence[str], seed: int, fps: float) -> list[dict]:
    """The pairs of one file under every reward, as JSON-ready records."""
    import mjxhuman
    from mjxhuman.rewards.validation import ranking

    motion = mjxhuman.load_motion(path)
    if fps:
        motion = mjxhuman.resample(motion, fps)
    records = []
    for reward in rewards:
        judge = planner_distance if reward == "planner" else reward
        for pair in ranking.damaged_pairs(str(path), motion, reward=judge, kinds=kinds or None, seed=seed):
            records.append({"reward": reward, **dataclasses.asdict(pair)})
    return records


def _number(value: Any) -> Any:
    """JSON has no NaN; a score that could not be computed comes back as null."""
    return float("nan") if value is None else value


def summarise(out: pathlib.Path, rewards: Sequence[str], key: dict) -> dict:
    """Print the table of every reward and return its numbers."""
    from mjxhuman.rewards.validation import ranking

    summary: dict = {}
    ranked: dict[str, list] = {}
    records = [r for line in read_json_lines(out / "pairs.jsonl") if line["key"] == key for r in line["pairs"]]
    for reward in rewards:
        fields = [f.name for f in dataclasses.fields(ranking.Pair)]
        pairs = [ranking.Pair(**{k: _number(r[k]) for k in fields}) for r in records if r["reward"] == reward]
        if not pairs:
            continue
        print(f"\nreward {reward}: {len({p.clip for p in pairs})} clips")
        ranking.table(pairs)
        overall, kinds = ranking.summarise(pairs)
        ranked[reward] = pairs
        summary[reward] = {"all": dataclasses.asdict(overall), "kinds": [dataclasses.asdict(k) for k in kinds]}
    for first, second in itertools.combinations(ranked, 2):
        value, motions = ranking.correlation(ranked[first], ranked[second])
        print(f"\nrank correlation of {first} and {second} over {motions} motions: {value:.2f}")
        summary[f"{first}, {second}"] = {"spearman": value, "motions": motions}
    return summary


def main(argv: Sequence[str]) -> None:
    """Entry point; exits with 1 if any file could not be loaded, 2 if there is nothing to do."""
    del argv
    enable_compile_cache()
    paths = named_motions(_MOTIONS.value)
    if not paths:
        print(f"rank_damage: --motions={_MOTIONS.value!r} matches no file", file=sys.stderr)
        sys.exit(2)
    out = pathlib.Path(_OUT.value)
    log = out / "pairs.jsonl"
    key = {
        "rewards": sorted(_REWARDS.value), "kinds": sorted(_KINDS.value), "seed": _SEED.value, "resample": _FPS.value,
    }  # fmt: skip
    done = {r["path"] for r in read_json_lines(log) if r["key"] == key} if log.exists() else set()
    failed = []
    left = [p for p in paths if str(p) not in done]
    with JsonLines(log) as lines, progress(len(paths), unit="clip", initial=len(paths) - len(left)) as bar:
        for path in left:
            try:
                pairs = rank_file(path, _REWARDS.value, _KINDS.value, _SEED.value, _FPS.value)
                lines.append({"path": str(path), "key": key, "pairs": pairs})
            except (ValueError, OSError) as error:
                failed.append(str(path))
                bar.write(f"rank_damage: {path}: {error}", file=sys.stderr)
            bar.update()
    summary = {**summarise(out, _REWARDS.value, key), "failed": failed, "environment": describe()}
    with atomic_write(out / "ranking.json") as file:
        json.dump(summary, file, indent=1)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    launch(main)
