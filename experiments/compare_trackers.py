"""Judge trackers side by side: undisturbed, from perturbed starts and under pushes, always beside what no policy does.

    python -m experiments.compare_trackers --policies=out/expert \
        --sets='trained, planned=out/plans;trained, raw=mocap/**/*.amc;unseen, planned=out/plans_unseen'

Success undisturbed proves nothing on plans, which hold open loop: read the disturbed columns beside the row "replay",
the same body under action 0 (a plan's controls, or feed-forward control of a raw clip). Disturbances are those of
``experiments.evaluate`` (``tracking.disturbance``): each clip's are the same for every policy. Policies are files and
run folders, and ``planner``, ``mpc`` with or without a preset, which have no replay and take long.

Prints one line per set and policy: the share of clips tracked to the end in each condition, and the mean global error
(mm) of those tracked undisturbed; writes ``table.md``, and ``clips.jsonl`` with a line per clip, policy, condition and
seed. The last line on stdout is one JSON object: set -> policy -> condition -> share.

Exit code: 0 all files were evaluated; 1 some could not be loaded (named on stderr); 2 nothing to do.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

from mjxhuman.options import ClipOptions, define_flags, record_of, spelt
from mjxhuman.runs import JsonLines, atomic_write, json_line, progress
from mjxhuman.runs.launch import prepare_jax

from .evaluate import load, performer
from .launch import launch, named_motions

NOTHING_TO_DO = 2
#: What happens to the body: push (m/s, once a second) and whether it starts off the clip's state.
CONDITIONS: dict[str, tuple[float, bool]] = {
    "first frame": (0.0, False),
    "perturbed": (0.0, True),
    "perturbed, 0.3 m/s": (0.3, True),
    "0.3 m/s": (0.3, False),
    "0.5 m/s": (0.5, False),
}
#: Results of one policy on one set: condition -> one list of results per seed.
Results = dict[str, list[list[Any]]]


def contestants(names: Sequence[str], engine: str, body: Any) -> Iterator[tuple[str, Any, Callable[..., Any]]]:
    """Name, body with its rate, and judge of each policy, a policy's replay before it."""
    from mjxhuman.learning.agents import Agent
    from mjxhuman.planning import Planner
    from mjxhuman.tracking.evaluate import evaluate

    for name in names:
        tracker = performer(name, engine, body)
        if isinstance(tracker, Planner):
            yield name, tracker, tracker.evaluate
            continue
        if tracker.config.action == "residual":
            still = Agent("zero", len(tracker.config.driven(tracker.simulator.actuated)))
            yield f"replay ({name})", tracker, functools.partial(evaluate, dataclasses.replace(tracker, policy=still))
        yield name, tracker, functools.partial(evaluate, tracker)


def judged(judge: Callable[..., Any], motions: Mapping[str, Any], seeds: int, done: Callable[[], Any]) -> Results:
    """All conditions of one policy on one set; what is undisturbed has one seed."""
    from mjxhuman.tracking.disturbance import Disturbance

    found: Results = {}
    for label, (push, perturbed) in CONDITIONS.items():
        found[label] = []
        for seed in range(seeds if push or perturbed else 1):
            disturbance = Disturbance(push, perturbed, seed)
            results = judge(list(motions.values()), list(motions), score=False, disturbance=disturbance)
            found[label].append([tracked.result for tracked in results])
            done()
    return found


def shares(results: Results) -> dict[str, float]:
    """Condition -> share of clips tracked to the end, mean over seeds; and "mm", the error of those of the first."""
    found = {label: float(np.mean([r.success for seed in seeds for r in seed])) for label, seeds in results.items()}
    kept = [r.mpjpe_g for r in results["first frame"][0] if r.success]
    return {**found, "mm": round(float(np.mean(kept)), 1) if kept else float("nan")}


def table(rows: Mapping[str, Mapping[str, Mapping[str, float]]], sizes: Mapping[str, int]) -> str:
    """The shares in Markdown."""
    lines = [f"| clips | policy | {' | '.join(CONDITIONS)} | mm |", "|---" * (len(CONDITIONS) + 3) + "|"]
    for group, policies in rows.items():
        for policy, found in policies.items():
            cells = " | ".join(f"{100 * found[label]:.0f} %" for label in CONDITIONS)
            lines.append(f"| {group} ({sizes[group]}) | {policy} | {cells} | {found['mm']:.0f} |")
    return "\n".join(lines)


def parsed(sets: str) -> dict[str, list[pathlib.Path]]:
    """Files by the set's name.

    Raises:
        ValueError: no "NAME=PATTERNS".
        FileNotFoundError: as ``named_motions``.
    """
    found = {}
    for entry in filter(None, (part.strip() for part in sets.split(";"))):
        name, _, patterns = entry.partition("=")
        if not (name and patterns):
            raise ValueError(f"--sets: expected NAME=PATTERNS with semicolons between, found {entry!r}")
        found[name.strip()] = named_motions(patterns)
    if not found:
        raise ValueError("--sets: expected NAME=PATTERNS with semicolons between, found none")
    return found


def compare(sets: Mapping[str, Sequence[pathlib.Path]], values: Any, out: pathlib.Path) -> int:
    """Judge and write; returns the exit code."""
    rows: dict[str, dict[str, dict[str, float]]] = {name: {} for name in sets}
    sizes: dict[str, int] = {}
    failed: set[pathlib.Path] = set()
    options, body = record_of(ClipOptions, values), None
    if values.humanoid:
        from mjxhuman.humanoids import load_humanoid

        body = load_humanoid(values.humanoid)
    (out / "clips.jsonl").unlink(missing_ok=True)
    with JsonLines(out / "clips.jsonl") as log, progress(None, unit="round", label="compare") as bar:
        for policy, tracker, judge in contestants(values.policies or [""], values.engine, body):
            for name, paths in sets.items():
                motions = {}
                for path in paths:
                    try:
                        motions[str(path)] = load(path, tracker, options)
                    except (ValueError, OSError, ImportError, RuntimeError) as error:
                        if path not in failed:
                            print(f"compare_trackers: {error}", file=sys.stderr)
                        failed.add(path)
                results = judged(judge, motions, values.seeds, bar.update)
                sizes[name], rows[name][policy] = len(motions), shares(results)
                for label, seeds in results.items():
                    for seed, found in enumerate(seeds):
                        for result in found:
                            log.append({"set": name, "policy": policy, "condition": label, "seed": seed}
                                       | result.record())  # fmt: skip
    text = table(rows, sizes)
    with atomic_write(out / "table.md") as file:
        file.write(text + "\n")
    print(text)
    print(json_line(rows), flush=True)
    return 1 if failed else 0


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    values = flags.FLAGS
    try:
        if len(argv) > 1:
            raise ValueError(f"unexpected arguments {argv[1:]}; name files by --sets=NAME=...")
        sets = parsed(values.sets)
        out = pathlib.Path(values.out)
        out.mkdir(parents=True, exist_ok=True)
        prepare_jax()
        return compare(sets, values, out)
    except (ValueError, OSError, ImportError) as error:
        print(f"compare_trackers: {spelt(str(error), '--{}')}", file=sys.stderr)
        return NOTHING_TO_DO


if __name__ == "__main__":
    flags.DEFINE_list(
        "policies", [], "Policy files, run folders, planner[:PRESET], mpc[:PRESET]; empty: the shipped one."
    )
    flags.DEFINE_string("sets", None, "NAME=PATTERNS;NAME=PATTERNS: motion files, plans and folders.", required=True)
    flags.DEFINE_integer("seeds", 1, "Of the disturbances: how many rounds of each.", lower_bound=1)
    flags.DEFINE_string("out", "out/compare", "Folder of the results.")
    flags.DEFINE_string("humanoid", "", "The body: smpl, or an MJCF file; default: that of the policy.")
    flags.DEFINE_string("engine", "", "Simulation engine: c, jax or warp; default the fastest here.")
    define_flags(ClipOptions)
    launch(main)
