"""``mjxhuman track``: simulate a body that follows a motion, and score what it did."""

from __future__ import annotations

import argparse
from pathlib import Path

from mjxhuman.cli.convert import qpos_motion
from mjxhuman.cli.reading import made_of
from mjxhuman.data.npz import save_motion
from mjxhuman.humanoids import Humanoid
from mjxhuman.options import ClipOptions, record_of
from mjxhuman.planning import plan
from mjxhuman.recovery.load import load_clip
from mjxhuman.report.table import difference_table, terminal
from mjxhuman.report.tracking import draw_tracking
from mjxhuman.runs import busy
from mjxhuman.runs.launch import prepare_jax
from mjxhuman.tracking.evaluate import Tracked, evaluate
from mjxhuman.tracking.tracker import load_tracker


def run(args: argparse.Namespace) -> int:
    """Track one motion; exit code 0 tracked to the end, 1 lost on the way, 2 nothing could be done."""
    out, stem = made_of(args, "tracked")
    prepare_jax()
    tracked, humanoid = by_planner(args, out, stem) if args.by == "planner" else by_policy(args)
    path = save_motion(out / f"{stem}_tracked.npz", qpos_motion(tracked.motion))
    print(report(tracked, humanoid))
    print(f"\nmotion: {path}")
    if args.picture != "none":
        print(f"{'film' if args.picture == 'mp4' else 'sheet'}: ", end="", flush=True)
        print(draw_tracking(out / f"{stem}_tracked.{args.picture}", tracked))
    return 0 if tracked.result.success else 1


def by_policy(args: argparse.Namespace) -> tuple[Tracked, Humanoid]:
    """What a policy does with the motion."""
    tracker = load_tracker(args.policy, args.engine)
    motion = load_clip(args.file, tracker.humanoid, record_of(ClipOptions, args))
    with busy(f"simulating {motion.num_frames} frames and scoring them (compiled the first time, some 40 s)"):
        (tracked,) = evaluate(tracker, [motion], [str(args.file)])
    return tracked, tracker.humanoid


def by_planner(args: argparse.Namespace, out: Path, stem: str) -> tuple[Tracked, Humanoid]:
    """What controls that are searched for it do; the plan is written beside the motion."""
    if args.policy:
        raise ValueError("--policy: expected none with --by planner, which needs no policy")
    motion = load_clip(args.file, None, record_of(ClipOptions, args))
    found = plan(motion, preset=args.preset, seed=args.seed, engine=args.engine)
    found.save(out / f"{stem}_plan.npz")
    return found.as_tracked(), found.motion.humanoid


def report(tracked: Tracked, humanoid: Humanoid) -> str:
    """How far the motion was followed and at what price, then its score before and after."""
    r = tracked.result
    lines = [f"{r.name}: {r.frames} frames, {r.frames / r.fps:.2f} s at {r.fps:g} Hz; {humanoid.description}"]
    if r.success:
        lines.append("tracked to the end")
    else:
        lines.append(
            f"LOST at frame {r.failed_frame} of {r.frames}, {r.failed_time:.2f} s: from there the body is on average "
            "more than 0.5 m from where it should be, or the simulation broke down; errors and scores are of the whole"
        )
    lines += [
        f"error: {r.mpjpe_g:.1f} mm, {r.mpjpe_l:.1f} mm relative to the root; "
        f"{r.vel_dist:.2f} mm/frame, {r.accel_dist:.2f} mm/frame^2",
        f"torque: {r.torque:.1f} N m per axis on average, {r.torque_peak:.0f} N m at most; "
        f"{100 * r.capped:.2f} % of the actuators at their cap; less damping {r.net_torque:.1f} and "
        f"{r.net_torque_peak:.0f} N m",
        f"control: {100 * r.residual_share:.0f} % of the actuators' torque, the reference asks for the rest; "
        "no force acts on the root",
        "",
    ]
    before, after = tracked.reference_scores, tracked.scores
    assert before is not None and after is not None
    if r.score is None or r.reference_score is None:
        reason = "robots have no anatomy to score" if after is None else after.reason or before.reason
        lines.append(f"not scored: {reason}")
    else:
        lines.append(difference_table(("before", before), ("after", after), colour=terminal()[1]))
    return "\n".join(lines)
