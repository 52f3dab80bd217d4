"""``mjxhuman repair``: the physical motion nearest to a motion, and how much had to change."""

from __future__ import annotations

import argparse

import numpy as np

from mjxhuman.cli.convert import qpos_motion
from mjxhuman.cli.reading import load, made_of
from mjxhuman.data.npz import save_motion
from mjxhuman.planning import Plan, plan
from mjxhuman.report.table import difference_table, terminal
from mjxhuman.report.tracking import draw_tracking
from mjxhuman.retarget.ground import on_floor
from mjxhuman.rewards.score import in_ball_joints, score
from mjxhuman.runs import json_line
from mjxhuman.runs.launch import prepare_jax
from mjxhuman.tracking.evaluate import Tracked, scored_result


def run(args: argparse.Namespace) -> int:
    """Repair one motion; exit code 0 performed to the end, 1 lost on the way, 2 nothing could be done."""
    out, stem = made_of(args, "repaired")
    prepare_jax()
    motion = load(args.file, args)
    reference, moved = on_floor(motion) if args.height == "free" else (motion, 0.0)
    found = plan(reference, preset=args.preset or "default", seed=args.seed, progress=not args.json)
    tracked = found.as_tracked()
    if moved:
        tracked = scored_result(tracked, tracked.scores, score(in_ball_joints(motion)))
    path = save_motion(out / f"{stem}_repaired.npz", qpos_motion(found.motion))
    found.save(out / f"{stem}_plan.npz")
    print(json_line(record(args.file, found, tracked, moved)) if args.json else report(found, tracked, moved))
    if not args.json:
        print(f"\nmotion: {path}")
    if args.picture != "none":
        drawn = draw_tracking(out / f"{stem}_repaired.{args.picture}", tracked)
        if not args.json:
            print(f"{'film' if args.picture == 'mp4' else 'sheet'}: {drawn}")
    return 0 if found.tracked else 1


def record(name: str, found: Plan, tracked: Tracked, moved: float) -> dict[str, object]:
    """For programs: the physical distance of the motion once ``moved`` (m) up, and its score before and after."""
    millimetres, degrees = found.distance
    r = tracked.result
    return {
        "path": str(name), "repaired": found.tracked, "lost_at": found.lost_at, "moved_mm": 1e3 * moved,
        "distance_mm": millimetres,
        "distance_deg": degrees, "score_before": r.reference_score, "score_after": r.score,
        "axes_before": r.reference_axes, "axes_after": r.axes, "torque": found.torque, "seconds": found.seconds,
    }  # fmt: skip


def report(found: Plan, tracked: Tracked, moved: float) -> str:
    """What had to change, and the score before and after."""
    millimetres, degrees = found.distance
    frames, fps = len(found.ctrl) + 1, found.motion.fps
    lines = [
        f"{tracked.result.name}: {frames} frames, {frames / fps:.2f} s at {fps:g} Hz; "
        f"{found.motion.humanoid.description}",
        f"physical distance: {millimetres:.0f} mm and {degrees:.1f} deg on average separate the motion from one that "
        "this body performs",
    ]
    if moved:
        where = "above" if moved < 0 else "below"
        lines.insert(1, f"it stands {1e3 * abs(moved):.0f} mm {where} the floor: moved onto it before planning")
    if found.reference is not None:
        lines += [f"note: {said}" for said in found.reference.provenance.conventions]
    if not found.tracked:
        lines.append(f"LOST at {found.lost_at:.2f} s: no controls were found that follow it further")
    worst = int(np.argmax(found.distances))
    lines.append(f"farthest at {worst / fps:.2f} s: {found.distances[worst]:.0f} mm")
    before, after = tracked.reference_scores, tracked.scores
    assert before is not None and after is not None
    lines += ["", difference_table(("before", before), ("after", after), colour=terminal()[1])]
    return "\n".join(lines)
