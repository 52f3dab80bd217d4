"""Built-in furniture, intact and damaged, judged by drops and by its static margin, and what a drop costs.

    python -m experiments.measure_stability --seeds=8 --out=out/stability

Makes ``--seeds`` objects of every kind, intact and with every damage (severity 0.1, 0.3, 0.5, 0.7 and 0.9 in turn), and
prints: the share that stands per damage and rule; how often the strict verdict agrees with the sign of the static
margin where that is over 1 cm, at each step, and for those of which energy decides (the margin is negative, or no start
is higher than what tips it); every object where it does not agree, with the height in mm by which its centre of mass
must rise to tip (``barrier``) and by which it started above its rest (``start``); processor time per drop, and that of
stepping the same models with ``mujoco.batch`` alone. Ends with one JSON line; ``stability.jsonl`` has one per object.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags

from mjxhuman.math import quaternion
from mjxhuman.report.furniture import FALLEN, WOOD, draw_scene, sheet
from mjxhuman.report.render import save_png
from mjxhuman.runs import json_line, progress
from mjxhuman.scenes.furniture.damage import DAMAGES
from mjxhuman.scenes.furniture.kinds import KINDS
from mjxhuman.scenes.furniture.make import make_furniture
from mjxhuman.scenes.stability import RULES, SECONDS, STEPS, Stability, bare_batch, drop, stability
from mjxhuman.scenes.types import Scene

from .launch import launch

FLAGS = flags.FLAGS

SEVERITIES = (0.1, 0.3, 0.5, 0.7, 0.9)
#: m; margins closer to zero than this are not compared.
CLEAR = 0.01


def define_flags() -> None:
    """The command line; not at import, so that several experiments can be loaded side by side."""
    flags.DEFINE_integer("seeds", 8, "Objects of each kind and damage.", lower_bound=1)
    flags.DEFINE_integer("first", 100, "Seed of the first.", lower_bound=0)
    flags.DEFINE_integer("drops", 16, "Starts of each object.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Of the starts.", lower_bound=0)
    flags.DEFINE_integer("timed", 12, "Objects whose drops are timed against mujoco.batch alone.", lower_bound=1)
    flags.DEFINE_boolean("picture", False, "Draw one of each instead, red where it does not stand.")
    flags.DEFINE_string("out", "out/stability", "Folder for results.")


def main(argv: Sequence[str]) -> int:
    """Entry point."""
    del argv
    out = pathlib.Path(FLAGS.out)
    if FLAGS.picture:
        print(save_png(out / "furniture.png", picture(FLAGS.first)))
        return 0
    names = list(itertools.product(KINDS, (None, *DAMAGES), range(FLAGS.first, FLAGS.first + FLAGS.seeds)))
    rows, spent = [], 0.0
    with progress(len(names), unit="object") as bar:
        for kind, damage, seed in names:
            harm = damage and f"{damage}:{SEVERITIES[seed % len(SEVERITIES)]}"
            scene = make_furniture(kind, seed, harm)
            began = time.process_time()
            found = stability(scene, FLAGS.drops, FLAGS.seed)
            spent += time.process_time() - began
            rows.append(row_of(scene, found, kind, damage or "intact"))
            bar.update(1)
    out.mkdir(parents=True, exist_ok=True)
    (out / "stability.jsonl").write_text("".join(json_line(row) + "\n" for row in rows), encoding="utf-8")
    print_shares(rows)
    clear = [row for row in rows if abs(row["margin_m"]) > CLEAR]
    print_others([row for row in clear if not agrees(row)])
    decided = [row for row in clear if row["margin_m"] < 0 or row["start_mm"] < row["barrier_mm"]]
    speed = time_drops([make_furniture(kind, seed) for seed in range(10) for kind in KINDS][: FLAGS.timed])
    per_object = spent / len(rows)
    print(f"\nprocessor time: {per_object:.3f} s per object, {1e3 * speed['drop_s']:.1f} ms per drop of {SECONDS:g} s")
    print(json_line({
        "objects": len(rows), "clear": len(clear), "agree": share_of(clear),
        "agree_coarse": float(np.mean([row["coarse"] == (row["margin_m"] > 0) for row in clear])) if clear else np.nan,
        "agree_not_borderline": share_of([row for row in clear if not row["borderline"]]),
        "decided_by_energy": len(decided), "agree_decided_by_energy": share_of(decided),
        "strict": float(np.mean([row["strict"] for row in rows])), "dso": float(np.mean([row["dso"] for row in rows])),
        "borderline": sum(row["borderline"] for row in rows), "drops": FLAGS.drops, "cpu_s_per_object": per_object,
        "minutes_for_4800_x_3": 4800 * 3 * per_object / 60 / (os.cpu_count() or 1), **speed, "seed": FLAGS.seed,
    }))  # fmt: skip
    return 0


def picture(seed: int) -> np.ndarray:
    """Every kind, intact and with every damage at severity 0.5, as it is put on the floor."""
    images = []
    for kind, damage in itertools.product(KINDS, (None, *DAMAGES)):
        scene = make_furniture(kind, seed, damage)
        colour = WOOD[0] if stability(scene, FLAGS.drops, FLAGS.seed).stable else FALLEN
        images.append(draw_scene(scene, size=(160, 160), label=damage or kind, colours=(colour,)))
    return sheet(images, 1 + len(DAMAGES))


def row_of(scene: Scene, found: Stability, kind: str, damage: str) -> dict[str, Any]:
    """What is kept of one object."""
    thing, drops = scene.objects[0], found.drops
    assert drops is not None, found.reason
    com = np.asarray(thing.com)
    height = [quaternion.rotate(pose[:, 3:], com[None])[:, 2] + pose[:, 2] for pose in (drops.start, drops.rest)]
    strict = RULES["strict"]
    stands, margin = strict.stands(drops), found.margin
    assert drops.coarse is not None
    return {
        "name": found.name, "kind": kind, "damage": damage, "mass_kg": float(thing.mass), "margin_m": margin,
        "coarse": bool(strict.stands(drops.coarse).mean() >= strict.share),
        "strict": found.verdicts["strict"].stable, "dso": found.verdicts["dso"].stable, "rate": found.rate,
        "borderline": found.borderline, "tilt_deg": found.tilt, "reason": found.reason,
        "barrier_mm": 1e3 * float(np.hypot(margin, com[2]) - com[2]) if margin > 0 else 0.0,
        "start_mm": 1e3 * float(height[0].max() - height[1][stands].min()) if stands.any() else np.nan,
    }  # fmt: skip


def agrees(row: dict[str, Any]) -> bool:
    """Whether the drops say what the margin says."""
    return row["strict"] == (row["margin_m"] > 0)


def share_of(rows: Sequence[dict[str, Any]]) -> float:
    """Share in which drops and margin agree."""
    return float(np.mean([agrees(row) for row in rows])) if rows else np.nan


def print_shares(rows: Sequence[dict[str, Any]]) -> None:
    """Share that stands, per damage and kind: strict / dso, in %."""
    print("stands, % strict / dso".ljust(24) + "".join(f"{kind:>12s}" for kind in KINDS) + f"{'all':>12s}")
    for damage in ("intact", *DAMAGES):
        cells = []
        for kind in (*KINDS, None):
            mine = [row for row in rows if row["damage"] == damage and kind in (None, row["kind"])]
            shares = [100 * np.mean([row[rule] for row in mine]) for rule in ("strict", "dso")]
            cells.append(f"{shares[0]:.0f} / {shares[1]:.0f}".rjust(12))
        print(damage.ljust(24) + "".join(cells))


def print_others(rows: Sequence[dict[str, Any]]) -> None:
    """The objects whose verdict is not that of their margin."""
    print(f"\n{'margin says otherwise':28s}{'margin cm':>10s}{'barrier mm':>12s}{'start mm':>10s}{'rate':>7s}")
    for row in rows:
        numbers = f"{100 * row['margin_m']:10.1f}{row['barrier_mm']:12.1f}{row['start_mm']:10.1f}{row['rate']:7.2f}"
        print(f"{row['name']:28s}{numbers}  {'borderline: ' if row['borderline'] else ''}{row['reason']}")


def time_drops(scenes: Sequence[Scene]) -> dict[str, float]:
    """Processor time per drop, run to the end and left early, and of bare stepping over that of the former."""
    bare = full = early = 0.0
    drops = FLAGS.drops
    for scene in scenes:
        thing, pose = scene.objects[0], np.asarray(scene.poses)[0]
        batch, groups = bare_batch(thing, pose, drops, FLAGS.seed)
        began = time.process_time()
        for step, group in zip(STEPS, groups, strict=True):
            batch.step(ids=group, nstep=round(SECONDS / step))
        bare += time.process_time() - began
        began = time.process_time()
        drop(thing, pose, drops, FLAGS.seed, early=False)
        full += time.process_time() - began
        began = time.process_time()
        drop(thing, pose, drops, FLAGS.seed)
        early += time.process_time() - began
    count = len(scenes) * drops
    return {
        "drop_s": early / count,
        "drop_to_the_end_s": full / count,
        "ratio": bare / full,
        "ratio_early": bare / early,
    }


if __name__ == "__main__":
    define_flags()
    launch(main)
