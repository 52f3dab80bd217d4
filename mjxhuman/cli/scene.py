"""``mjxhuman scene``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.alignment import Alignment, align
from mjxhuman.cli.reading import check_picture, output_folder
from mjxhuman.interaction import Outcome, simulate_scene
from mjxhuman.interaction.furnish import SEAT, furniture
from mjxhuman.interaction.place import moment, part
from mjxhuman.interaction.simulate import NOISE, unfit_scene
from mjxhuman.options import FurnishedOptions, LoadOptions, record_of
from mjxhuman.recovery.load import body_of, load_clip
from mjxhuman.report.page import write_report
from mjxhuman.report.render import NoOpenGL, contact_sheet, render_frames, save_video
from mjxhuman.report.scene import outcome_clip, simulated_forces, still_clip
from mjxhuman.runs import busy, enable_compile_cache, json_line
from mjxhuman.scenes.types import Scene
from mjxhuman.tracking.tracker import Tracker, load_tracker
from mjxhuman.types import Motion

#: Trials where ``--trials`` does not say; the planner takes minutes for each.
TRIALS = {"servos": 3, "planner": 1, "policy": 3}


def run(args: argparse.Namespace) -> int:
    """Align, simulate, judge; exit code 0 there is an outcome, 1 there is none."""
    tracker = _tracker(args)
    if not Path(args.motion).exists():
        raise FileNotFoundError(f"{args.motion}: no such file")
    out = output_folder(args.out, "--out") if args.out else None
    if out is not None:
        check_picture(args, out / "scene.mp4")
    things = furniture(args.objects, record_of(FurnishedOptions, args), progress=sys.stderr.isatty())
    enable_compile_cache()
    options = record_of(LoadOptions, args)
    motion = load_clip(args.motion, tracker.humanoid if isinstance(tracker, Tracker) else body_of(options), options)
    if not motion.humanoid.is_smpl:
        raise ValueError(f"{args.motion}: expected a body of SMPL's topology, found {motion.humanoid.description}")
    given, what = _performed(motion, args)
    scene = things.around(motion)
    method = args.align or ("none" if set(args.objects) == {SEAT} else "ours")
    wanted = method != "none" and not unfit_scene(scene)
    aligned = align(given, scene, method=method, seed=args.seed, legs=args.legs) if wanted else None
    body, room = (given, scene) if aligned is None else (aligned.motion, aligned.scene)
    trials = args.trials or TRIALS[args.by]
    with busy(f"simulating {what}"):
        outcome = simulate_scene(body, room, tracker=tracker, hold=args.hold, seed=args.seed,
                                 noise=NOISE if trials > 1 else None, trials=trials)  # fmt: skip
    row = record(aligned, outcome)
    if not args.json:
        print(f"{args.motion}: {what}, the end held for {args.hold:g} s")
        print(line(row))
    if out is not None:
        write(out, args, (given, scene), (body, room), outcome, line(row))
    print(json_line(row))
    return 0 if row["valid"] else 1


def _tracker(args: argparse.Namespace) -> str | Tracker | None:
    """What moves the body, as ``simulate_scene`` takes it."""
    for flag, by in (("policy", "policy"), ("preset", "planner")):
        if getattr(args, flag) is not None and args.by != by:
            raise ValueError(f"--{flag}: expected --by {by}, found --by {args.by}")
    if args.clip is not None and len(args.clip) not in (0, 2):
        raise ValueError(f"--clip: expected two times or none, found {len(args.clip)}")
    if args.by == "planner":
        return f"planner:{args.preset or 'default'}"
    return load_tracker(args.policy, "c") if args.by == "policy" else None


def _performed(motion: Motion, args: argparse.Namespace) -> tuple[Motion, str]:
    """What is simulated of a motion, and what that is in words."""
    if args.clip is None:
        still, frame = moment(motion, args.at)
        return still, f"the moment at {frame * motion.dt:.2f} s"
    if not args.clip:
        return motion, f"all {motion.num_frames * motion.dt:.2f} s"
    return part(motion, *args.clip), f"{args.clip[0]:g} to {args.clip[1]:g} s"


def record(aligned: Alignment | None, outcome: Outcome) -> dict[str, Any]:
    """The verdict for programs; loads are means over the last second, in body weights."""
    seat = feet = tilt = moved = squeeze = None
    if outcome.motion is not None and outcome.loads is not None:
        last = slice(-max(1, round(outcome.motion.fps)), None)
        weight = outcome.motion.humanoid.weight
        seat = float(np.asarray(outcome.loads.objects)[last, ..., 2].sum((1, 2)).mean() / weight)
        feet = float(np.asarray(simulated_forces(outcome).grf)[last, :2, 2].sum(1).mean() / weight)
        squeeze = float(np.asarray(outcome.loads.squeeze)[last].mean() / weight)
    if outcome.type:
        tilt = outcome.numbers.get("tilt_deg", outcome.numbers.get("alone_turn_deg"))
        moved = outcome.numbers.get("displacement_m", outcome.numbers.get("alone_drift_m"))
    return {
        "valid": outcome.valid, "type": outcome.type,
        "penetration_m": None if aligned is None else aligned.penetration,
        "gap_m": None if aligned is None else aligned.gap,
        "seat_load_bw": seat, "feet_load_bw": feet, "internal_load_bw": squeeze,
        "object_moved_m": moved, "object_tilt_deg": tilt,
        "reason": "; ".join(
            x for x in (outcome.reason, "" if aligned is None or aligned.valid else f"alignment: {aligned.reason}") if x
        ),
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    """The verdict for people."""
    if not row["valid"]:
        return f"no verdict: {row['reason']}"
    words = {1: "the furniture does not stand", 2: "does not hold", 3: "not in use", 4: "holds"}
    loads = "" if row["seat_load_bw"] is None else (
        f"; furniture carries {row['seat_load_bw']:.2f}, feet {row['feet_load_bw']:.2f} body weights"
    )  # fmt: skip
    return f"type {row['type']}, {words[row['type']]}: {row['reason']}{loads}"


def write(
    out: Path,
    args: argparse.Namespace,
    given: tuple[Motion, Scene],
    aligned: tuple[Motion, Scene],
    outcome: Outcome,
    verdict: str,
) -> None:
    """The page, and a picture or film of what was simulated."""
    name = " + ".join(outcome.scene.names)
    clips = [still_clip("as given", *given, ("before alignment",))]
    if aligned[0] is not given[0]:
        clips.insert(0, still_clip("aligned", *aligned, (f"aligned by {args.align or 'ours'}",)))
    if outcome.motion is not None:
        clips.insert(0, outcome_clip("simulated", outcome, (verdict,)))
    write_report(out / "scene.html", clips, title=f"{name}: {verdict}", max_details=len(clips))
    if outcome.motion is None or args.picture == "none":
        return
    motion, forces = outcome.motion, simulated_forces(outcome)
    options: dict[str, Any] = {
        "dynamics": forces, "scene": outcome.scene, "object_poses": np.asarray(outcome.object_pose)[: motion.num_frames]
    }  # fmt: skip
    qpos = np.asarray(motion.qpos)
    try:
        contact_sheet(motion.humanoid, qpos, out / "scene.png", 4, rows=1, size=(480, 480), fps=motion.fps, **options)
        if args.picture == "mp4":
            save_video(out / "scene.mp4", render_frames(motion.humanoid, qpos, **options), motion.fps)
    except NoOpenGL as error:
        print(f"no pictures: {error}", file=sys.stderr)
