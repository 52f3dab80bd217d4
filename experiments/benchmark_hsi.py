"""The interaction benchmark: reconstructed people on furniture, aligned by each method, simulated and judged.

    python -m experiments.benchmark_hsi                                   (values: configs/benchmark_hsi.py)
    python -m experiments.benchmark_hsi --config=benchmark_hsi:test

A case is a person who sits, leans, lies or stands on furniture, handed over displaced, with joints off and objects of
another size (``experiments/hsi_cases.py``). Methods: "none" simulates it as it comes, "paper", "smooth" and "ours"
align it first (``mjxhuman.align``), "truth" simulates what was perturbed. Written to ``config.out``: ``manifest.json``,
the cases; ``cases.jsonl``, a line per case and method; ``result.json``, the table; pictures. A stopped run goes on
where it stopped, also with more ``--config.cases``, and two runs give the same lines.

Metrics, per method (``experiments/hsi_metrics.py``):

    stability_hsi        share of outcomes of type 4 of ``mjxhuman.simulate_scene``, three trials; by difficulty; also
                         with limits half and twice as wide
    stability_gravity    share of the objects that stand alone: strict rule and dso's
    sp3d, sp3d_points    share of cases whose skin is over 1 cm in an object before simulation; share of points inside
    depth_m              of the deepest point of the skin, to the nearest side of the object
    directional_m        the same of parts in contact in the truth, back along the way in which they bear
    contact_f1           parts within 2 cm of an object, before simulation, against those of the truth
    contact_distance_cm  of the parts that touch in the truth
    chamfer_cm, f_score  between the objects' surfaces and the true ones' where they stand; at 5 % of their extent
    w_mpjpe_cm, pa_mpjpe_cm  24 joints of the last simulated frame against the truth, in the world and after Procrustes
    displacement_m, tilt_deg, internal_load_bw  of the objects and on the person, at the end (``interaction.Limits``)

Intervals are Wilson's, 95 %; differences between methods have a paired bootstrap over cases. Means are over the cases
in which somebody came in.

The last line on stdout is one JSON object: cases, stability_hsi, interval, stability_gravity, sp3d, w_mpjpe_cm,
pa_mpjpe_cm, contact_f1, unfit, seed: of "ours", or of the last method that is run.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags
from ml_collections import config_dict

import mjxhuman
from mjxhuman.alignment.align import align_many
from mjxhuman.runs import JsonLines, atomic_write, describe, json_line, progress
from mjxhuman.runs.files import read_json_lines
from mjxhuman.runs.launch import prepare_jax
from mjxhuman.tracking.tracker import Tracker, load_tracker

from . import hsi_pictures
from .hsi_cases import HsiCase, Posed, furniture, manifest, perturbed, truth
from .hsi_metrics import measured, table
from .launch import launch

METHODS = ("none", "paper", "smooth", "ours", "truth")
#: Cases that are aligned together; the method that takes ten times as long as the others.
BLOCK, DEAR = 30, "smooth"


def reconstructed(given: Sequence[Posed], true: Sequence[Posed], method: str) -> list[Posed]:
    """Person and scene of each case that a method hands to the simulator."""
    if method in ("truth", "none"):
        return list(true if method == "truth" else given)
    found: dict[int, Posed] = {}
    for clip in (False, True):  # of one layout each
        rows = [i for i, posed in enumerate(true) if (posed.motion.num_frames > hsi_pictures.STILL) == clip]
        if rows:
            aligned = align_many([given[i].motion for i in rows], [given[i].scene for i in rows], method=method)
            found |= {i: Posed(a.motion, a.scene) for i, a in zip(rows, aligned, strict=True)}
    return [found[i] for i in range(len(given))]


def other_cases(path: pathlib.Path, cases: Sequence[HsiCase]) -> bool:
    """Whether a manifest is there that these do not go on with: of a seed and objects, more cases begin with fewer."""
    if not path.is_file():
        return False
    before = json.loads(path.read_text(encoding="utf-8"))
    return before != [case.record for case in cases[: len(before)]]


def wanted(case: HsiCase, method: str, config: config_dict.ConfigDict) -> bool:
    """Whether a method is run on a case: the dear one is on a share of them."""
    return method != DEAR or int(case.name.removeprefix("case")) % config.dear == 0


def run_block(
    cases: Sequence[HsiCase], methods: Sequence[str], done: set[tuple[str, str]], config: config_dict.ConfigDict,
    tracker: str | Tracker | None,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The lines of some cases that are missing."""
    cases = [case for case in cases if any((case.name, m) not in done and wanted(case, m, config) for m in methods)]
    made = [truth(case) for case in cases]
    true = [posed for posed, _ in made]
    given = [perturbed(case, *each) for case, each in zip(cases, made, strict=True)]
    for method in methods:
        todo = [i for i, case in enumerate(cases) if (case.name, method) not in done and wanted(case, method, config)]
        ready = reconstructed([given[i] for i in todo], [true[i] for i in todo], method) if todo else []
        for i, posed in zip(todo, ready, strict=True):
            outcome = mjxhuman.simulate_scene(
                posed.motion, posed.scene, tracker=tracker, hold=config.hold, seed=cases[i].seed
            )
            yield {**cases[i].record, "method": method, **measured(true[i], posed, outcome)}


def gravity(cases: Sequence[HsiCase], drops: int) -> dict[str, float | int]:
    """Share of the objects that stand alone, by both rules."""
    names = dict.fromkeys(case.object for case in cases)
    found = [mjxhuman.stability(furniture(name), drops=drops).verdicts for name in names]
    return {"objects": len(names)} | {
        rule: sum(verdicts[rule].stable for verdicts in found) / len(names) for rule in ("strict", "dso")
    }


def main(argv: Sequence[str]) -> int:
    """Run what is missing, and write the table."""
    config = flags.FLAGS.config
    config.methods = tuple(name for entry in config.methods for name in entry.split(","))
    if unknown := set(config.methods) - set(METHODS):
        print(f"benchmark_hsi: methods: expected {', '.join(METHODS)}, found {', '.join(unknown)}", file=sys.stderr)
        return 2
    prepare_jax()
    out = pathlib.Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    cases = manifest(config.cases, config.objects, config.seed, config.shared)
    if other_cases(out / "manifest.json", cases):
        print(f"benchmark_hsi: {out}: found the results of other cases; name another --config.out", file=sys.stderr)
        return 2
    with atomic_write(out / "manifest.json") as file:
        json.dump([case.record for case in cases], file, indent=1)
    cases = cases[:: config.every]
    lines = out / "cases.jsonl"
    done = {(row["name"], row["method"]) for row in read_json_lines(lines)} if lines.is_file() else set()
    by_policy = config.tracker and config.tracker.partition(":")[0] != "planner"
    tracker = load_tracker(config.tracker, "c") if by_policy else config.tracker or None
    total = sum(wanted(case, method, config) for case in cases for method in config.methods)
    with JsonLines(lines) as log, progress(total, unit="run", quiet=config.quiet) as bar:
        bar.update(len(done))
        for first in range(0, len(cases), BLOCK):
            for row in run_block(cases[first : first + BLOCK], config.methods, done, config, tracker):
                log.append(row)
                bar.update()
    names = {case.name for case in cases}
    found = [row for row in read_json_lines(lines) if row["method"] in config.methods and row["name"] in names]
    rows = sorted(found, key=lambda row: config.methods.index(row["method"]))
    methods, stands = table(rows, config.seed), gravity(cases, config.drops)
    with atomic_write(out / "result.json") as file:
        result = {"methods": methods, "stability_gravity": stands}
        json.dump({**result, "environment": describe(), "config": config.to_dict()}, file, indent=1)
    print_table(methods)
    if config.picture:
        hsi_pictures.bars(methods, out / "stability.png")
        hsi_pictures.cases_sheet(cases, rows, config.picture, reconstructed, out / "cases.png")
    last = methods["ours" if "ours" in config.methods else config.methods[-1]]
    listed = ("cases", "interval", "sp3d", "w_mpjpe_cm", "pa_mpjpe_cm", "contact_f1", "unfit")
    print(json_line({name: last[name] for name in listed} | {
        "stability_hsi": last["by_difficulty"], "stability_gravity": stands["strict"], "seed": config.seed
    }))  # fmt: skip
    return 0


def print_table(methods: dict[str, dict[str, Any]]) -> None:
    """A column per method."""

    def cell(value: float | None, scale: float = 1.0, digits: int = 1) -> str:
        return "-" if value is None else f"{scale * value:.{digits}f}"

    def rate(found: dict[str, Any], name: str = "stability_hsi", bounds: str = "interval") -> str:
        low, high = found[bounds]
        return f"{cell(found[name], 100, 0)} ({100 * low:.0f}-{100 * high:.0f})"

    def eased(found: dict[str, Any], difficulty: str) -> str:
        low, high = found["intervals"][difficulty]
        return f"{cell(found['by_difficulty'][difficulty], 100, 0)} ({100 * low:.0f}-{100 * high:.0f})"

    every = methods.values()
    lines: dict[str, list[str]] = {
        "": list(methods), "cases": [str(m["cases"]) for m in every],
        "Stability-HSI, %": [rate(m) for m in every],
        **{f"  {d}": [eased(m, d) for m in every] for d in ("easy", "medium", "hard")},
        "  intact / damaged": [f"{cell(m['intact'], 100, 0)} / {cell(m['damaged'], 100, 0)}" for m in every],
        "  objects of the test split": [cell(m["test_objects"], 100, 0) for m in every],
        "  half / twice the limits": [f"{cell(m['half'], 100, 0)} / {cell(m['double'], 100, 0)}" for m in every],
        "types 0 1 2 3 4": [" ".join(str(n) for n in m["types"].values()) for m in every],
        "SP-3D, %": [rate(m, "sp3d", "sp3d_interval") for m in every],
        "  of the skin's points, %": [cell(m["sp3d_points"], 100) for m in every],
        "depth, mm": [cell(m["depth_m"], 1000, 0) for m in every],
        "directional depth, mm (most)": [
            f"{cell(m['directional_m'], 1000, 0)} ({1000 * m['directional_max_m']:.0f})" for m in every
        ],
        "W-MPJPE, cm": [cell(m["w_mpjpe_cm"]) for m in every], "PA-MPJPE, cm": [cell(m["pa_mpjpe_cm"]) for m in every],
        "contact F1": [cell(m["contact_f1"], 1, 2) for m in every],
        "contact distance, cm": [cell(m["contact_distance_cm"]) for m in every],
        "Chamfer, cm": [cell(m["chamfer_cm"]) for m in every], "F-score": [cell(m["f_score"], 1, 2) for m in every],
        "objects moved, cm": [cell(m["displacement_m"], 100) for m in every],
        "objects tilted, degrees": [cell(m["tilt_deg"]) for m in every],
        "normal forces, body weights": [cell(m["internal_load_bw"], 1, 2) for m in every],
        **{
            f"over {other}, points": [
                "-" if not m["over"].get(other) else "{:+.0f} ({:+.0f} to {:+.0f})".format(
                    *(100 * x for x in m["over"][other])
                ) for m in every
            ] for other in methods if other in ("none", "paper", "smooth")
        },
    }  # fmt: skip
    for name, cells in lines.items():
        print(name.ljust(30) + "".join(text.rjust(20) for text in cells))


if __name__ == "__main__":
    launch(main, "benchmark_hsi")
