"""The interaction benchmark: reconstructed people on furniture, aligned by each method, simulated and judged.

    python -m experiments.benchmark_hsi                                   (values: configs/benchmark_hsi.py)
    python -m experiments.benchmark_hsi --config=benchmark_hsi:test

A case is a person who sits on built-in furniture, handed over displaced, with joints off and objects of another size
(``experiments/hsi_cases.py``). Methods: "none" simulates it as it comes, "paper", "smooth" and "ours" align it first
(``mjxhuman.align``), "truth" simulates what was perturbed. Written to ``config.out``: ``manifest.json``, the cases;
``cases.jsonl``, a line per case and method; ``result.json``, the table. A stopped run goes on where it stopped.

Metrics, per method: ``stability_hsi``, share of outcomes of type 4 (``mjxhuman.simulate_scene``), also by difficulty;
``sp3d``, share of cases whose skin is over 1 cm inside an object before simulation, ``sp3d_points``, share of such
points; ``w_mpjpe_cm`` and ``pa_mpjpe_cm``, joints of the last simulated frame against the truth, in the world and after
Procrustes alignment; ``contact_f1``, parts within 2 cm of an object against those of the truth; ``chamfer_cm``, between
the surfaces of objects and true objects where they stand. ``stability_gravity`` is of the objects, by the strict rule.
Intervals are Wilson's, 95 %; the difference to "none" has a paired bootstrap over cases.

The last line on stdout is one JSON object: cases, stability_hsi, interval, stability_gravity, sp3d, w_mpjpe_cm,
pa_mpjpe_cm, contact_f1, unfit, seed: of "ours", or of the last method that is run.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from absl import flags
from scipy.spatial import cKDTree

import mjxhuman
from mjxhuman.alignment.align import align_many
from mjxhuman.alignment.skin import skin_of
from mjxhuman.interaction import Outcome
from mjxhuman.math.statistics import wilson_interval
from mjxhuman.runs import JsonLines, atomic_write, describe, json_line, progress
from mjxhuman.runs.files import read_json_lines
from mjxhuman.runs.launch import prepare_jax
from mjxhuman.scenes.sdf import by_object
from mjxhuman.tracking import metrics
from mjxhuman.types import Motion

from .hsi_cases import HsiCase, Posed, manifest, perturbed, truth
from .launch import launch

METHODS = ("none", "paper", "smooth", "ours", "truth")
DIFFICULTIES = ("easy", "medium", "hard")
#: m: what counts as inside, and as touching.
INSIDE, TOUCHING = 0.01, 0.02
_RESAMPLES = 2000
#: Cases that are aligned together.
BLOCK = 32


def reconstructed(cases: Sequence[HsiCase], true: Sequence[Posed], method: str) -> list[Posed]:
    """Person and scene of each case that a method hands to the simulator."""
    if method == "truth" or not cases:
        return list(true)
    given = [perturbed(case, posed) for case, posed in zip(cases, true, strict=True)]
    if method == "none":
        return given
    found = align_many([g.motion for g in given], [g.scene for g in given], method=method)
    return [Posed(f.motion, f.scene) for f in found]


def measured(true: Posed, given: Posed, outcome: Outcome) -> dict[str, Any]:
    """The numbers of one case."""
    near, wanted = distances(given), distances(true)
    touching, expected = (set(contacts(x, p.motion)) for x, p in ((near, given), (wanted, true)))
    hits = len(touching & expected)
    row: dict[str, Any] = {
        "type": outcome.type, "types": list(outcome.types), "half": outcome.half, "double": outcome.double,
        "valid": outcome.valid, "reason": outcome.reason,
        "depth_m": max(0.0, -float(near.min())), "inside": float(np.mean(near.min(0) < 0)),
        "contact_f1": 2 * hits / max(1, len(touching) + len(expected)), "chamfer_cm": 100 * chamfer(given, true),
        **{name: outcome.numbers.get(name) for name in ("displacement_m", "tilt_deg", "internal_load_bw")},
    }  # fmt: skip
    if outcome.motion is not None:
        ids = true.motion.humanoid.tracked_ids
        last, want = (np.asarray(m.body_pos, float)[-1:, ids] for m in (outcome.motion, true.motion))
        row["w_mpjpe_cm"] = float(metrics.mpjpe(last, want).mean()) / 10
        row["pa_mpjpe_cm"] = float(metrics.pa_mpjpe(last, want).mean()) / 10
    return row


def distances(posed: Posed) -> np.ndarray:
    """Distance in m of the skin's points to each object, (O, N)."""
    motion = posed.motion
    points, _ = skin_of(motion.humanoid).posed(np.asarray(motion.body_pos)[-1], np.asarray(motion.body_quat)[-1])
    return np.asarray(by_object(posed.scene, points)[0])


def contacts(distance: np.ndarray, motion: Motion) -> list[tuple[str, int]]:
    """Parts of the body and objects that touch."""
    skin = skin_of(motion.humanoid)
    parts = [(name, distance[:, skin.part == i].min(1)) for i, name in enumerate(skin.names)]
    return [(name, o) for name, least in parts for o in np.flatnonzero(least < TOUCHING)]


def chamfer(given: Posed, true: Posed) -> float:
    """Mean distance between the surfaces of the objects and those of the true objects, both ways, m."""
    clouds = []
    for posed in (given, true):
        pairs = zip(posed.scene.objects, np.asarray(posed.scene.poses), strict=True)
        clouds.append(np.concatenate([np.asarray(o.points) + pose[:3] for o, pose in pairs]))  # none of them is turned
    ways = [cKDTree(a).query(b)[0].mean() for a, b in (clouds, clouds[::-1])]
    return float(np.mean(ways))


def table(rows: Sequence[dict[str, Any]], seed: int) -> dict[str, dict[str, Any]]:
    """A record of numbers for each method."""
    found: dict[str, dict[str, Any]] = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        stable = [row["type"] == 4 for row in mine]
        found[method] = {
            "cases": len(mine), "stability_hsi": rate(stable), "interval": wilson_interval(sum(stable), len(stable)),
            "by_difficulty": {d: rate([r["type"] == 4 for r in mine if r["difficulty"] == d]) for d in DIFFICULTIES},
            "test_objects": rate([r["type"] == 4 for r in mine if r["split"] == "test"]),
            "half": rate([r["half"] == 4 for r in mine]), "double": rate([r["double"] == 4 for r in mine]),
            "types": {str(kind): sum(r["type"] == kind for r in mine) for kind in range(5)},
            "unfit": sum(not r["valid"] for r in mine), "sp3d": rate([r["depth_m"] > INSIDE for r in mine]),
            "sp3d_points": mean(r["inside"] for r in mine), "depth_m": mean(r["depth_m"] for r in mine),
            **{name: mean(r.get(name) for r in mine) for name in _MEANS},
            "over_none": difference(rows, method, seed),
        }  # fmt: skip
    return found


_MEANS = (
    "w_mpjpe_cm", "pa_mpjpe_cm", "contact_f1", "chamfer_cm", "displacement_m", "tilt_deg", "internal_load_bw",
)  # fmt: skip


def rate(values: Sequence[bool]) -> float | None:
    """Share; None of nothing."""
    return float(np.mean(values)) if values else None


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of those that are known; None of nothing."""
    known = [v for v in values if v is not None and np.isfinite(v)]
    return float(np.mean(known)) if known else None


def difference(rows: Sequence[dict[str, Any]], method: str, seed: int) -> list[float] | None:
    """Gain in stable cases over "none": itself, and the 95 % interval of a paired bootstrap over cases."""
    stable = {(r["method"], r["name"]): float(r["type"] == 4) for r in rows}
    pairs = [stable[method, n] - stable["none", n] for m, n in stable if m == method and ("none", n) in stable]
    if method == "none" or not pairs:
        return None
    drawn = np.random.default_rng(seed).integers(len(pairs), size=(_RESAMPLES, len(pairs)))
    low, high = np.percentile(np.array(pairs)[drawn].mean(1), [2.5, 97.5])
    return [float(np.mean(pairs)), float(low), float(high)]


def main(argv: Sequence[str]) -> int:
    """Run what is missing, and write the table."""
    config = flags.FLAGS.config
    if unknown := set(config.methods) - set(METHODS):
        print(f"benchmark_hsi: methods: expected {', '.join(METHODS)}, found {', '.join(unknown)}", file=sys.stderr)
        return 2
    prepare_jax()
    out = pathlib.Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    cases = manifest(config.cases, config.objects, config.seed)
    listed = json.dumps([case.record for case in cases], indent=1)
    if (out / "manifest.json").is_file() and (out / "manifest.json").read_text(encoding="utf-8") != listed:
        print(f"benchmark_hsi: {out}: found the results of other cases; name another --config.out", file=sys.stderr)
        return 2
    with atomic_write(out / "manifest.json") as file:
        file.write(listed)
    lines = out / "cases.jsonl"
    done = {(row["name"], row["method"]) for row in read_json_lines(lines)} if lines.is_file() else set()
    with JsonLines(lines) as log, progress(len(cases) * len(config.methods), unit="run", quiet=config.quiet) as bar:
        bar.update(len(done))
        for first, method in itertools.product(range(0, len(cases), BLOCK), config.methods):
            block = [case for case in cases[first : first + BLOCK] if (case.name, method) not in done]
            true = [truth(case) for case in block]
            for case, want, given in zip(block, true, reconstructed(block, true, method), strict=True):
                outcome = mjxhuman.simulate_scene(
                    given.motion, given.scene, tracker=config.tracker or None, hold=config.hold, seed=case.seed
                )
                log.append({**case.record, "method": method, **measured(want, given, outcome)})
                bar.update()
    rows = [row for row in read_json_lines(lines) if row["method"] in config.methods]
    things = {(c.kind, c.object_seed, c.damage): None for c in cases}
    stands = [mjxhuman.stability(mjxhuman.make_furniture(*thing), drops=config.drops).stable for thing in things]
    methods = table(rows, config.seed)
    result = {"methods": methods, "stability_gravity": rate(stands), "objects": len(stands)}
    with atomic_write(out / "result.json") as file:
        json.dump({**result, "environment": describe(), "config": config.to_dict()}, file, indent=1)
    for method, found in methods.items():
        low, high = found["interval"]
        shown = " ".join(f"{d} {100 * r:.0f}" for d, r in found["by_difficulty"].items() if r is not None)
        print(
            f"{method:7s} stable {100 * found['stability_hsi']:3.0f} % ({100 * low:.0f}-{100 * high:.0f}; {shown}), "
            f"over 1 cm deep {100 * found['sp3d']:3.0f} %, types {found['types']}"
        )
    last = methods["ours" if "ours" in config.methods else config.methods[-1]]
    names = ("cases", "interval", "sp3d", "w_mpjpe_cm", "pa_mpjpe_cm", "contact_f1", "unfit")
    summary = {name: last[name] for name in names} | {
        "stability_hsi": last["by_difficulty"], "stability_gravity": result["stability_gravity"], "seed": config.seed
    }  # fmt: skip
    print(json_line(summary))
    return 0


if __name__ == "__main__":
    launch(main, "benchmark_hsi")
