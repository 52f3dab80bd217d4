"""``mjxhuman track``: simulate a body that follows a motion, and score what it did."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mjxhuman.cli.convert import body_motion, qpos_motion, skeleton_motion
from mjxhuman.cli.reading import check_picture, input_files, output_folder
from mjxhuman.data import write_motion
from mjxhuman.data.npz import save_motion
from mjxhuman.humanoids import Humanoid
from mjxhuman.options import ClipOptions, record_of
from mjxhuman.planning import Plan, Planner, default_planner
from mjxhuman.planning.export import export_plan
from mjxhuman.planning.rescue import rescue
from mjxhuman.recovery.load import load_clip
from mjxhuman.report.table import difference_table, terminal
from mjxhuman.report.tracking import draw_tracking, tracking_table
from mjxhuman.runs import JsonLines, busy, json_line, progress
from mjxhuman.runs.files import file_sha256, finished_files
from mjxhuman.runs.launch import prepare_jax
from mjxhuman.runs.terminal import printable
from mjxhuman.scoring.files import describe_error
from mjxhuman.tracking.evaluate import ClipResult, Tracked, evaluate
from mjxhuman.tracking.tracker import load_tracker, tracker_file
from mjxhuman.version import __version__

SCHEMA = 1
#: Planners of so many bodies are kept: subjects of other stature have programs of their own.
_KEPT = 4


@dataclasses.dataclass
class Done:
    """One motion, tracked."""

    tracked: Tracked
    plan: Plan | None = None  # where a planner alone moved the body
    planned_from: float | None = None  # s, from when on a planner did; None: never


Perform = Callable[[Path, bool], Done]  # of a file; whether to show how far it is


def run(args: argparse.Namespace) -> int:
    """Track motions; exit code 0 all tracked to the end, 1 some lost or failed, 2 nothing could be done."""
    found, out = input_files(args.files), output_folder(args.out, "--out")
    check_picture(args, out / "tracked.mp4")
    prepare_jax()
    perform = performer(args)
    if len(found.files) + len(found.left_out) > 1:
        return track_files(args, perform, found.files, out)
    (path,) = found.files
    done = perform(path, not args.json)
    paths = write(done, out, path.stem, args)
    if args.json:
        print(json_line(record(path, done, paths["motion"])))
    else:
        print(report(done, done.tracked.motion.humanoid) + "\n")
        print("\n".join(f"{what}: {where}" for what, where in paths.items()))
    return 0 if done.tracked.result.success else 1


def performer(args: argparse.Namespace) -> Perform:
    """What tracks one file, by what the command line asks for."""
    if "mjcf" in args.export and args.by not in ("planner", "mpc"):
        raise ValueError(f"--export: expected mjcf with --by planner or mpc, whose controls are known; found {args.by}")
    if args.by in ("planner", "mpc"):
        if args.policy:
            raise ValueError(f"--policy: expected none with --by {args.by}, which needs no policy")
        return by_planner(args)
    tracker = load_tracker(args.policy, args.engine)
    options = record_of(ClipOptions, args)
    if args.by == "policy":

        def by_policy(path: Path, alone: bool) -> Done:
            motion = load_clip(path, tracker.humanoid, options)
            with busy(f"simulating {motion.num_frames} frames and scoring them (compiled the first time, some 40 s)"):
                (tracked,) = evaluate(tracker, [motion], [str(path)])
            return Done(tracked)

        return by_policy
    planner = Planner(tracker.simulator.actuated, args.preset or "default", engine=args.engine)

    def by_both(path: Path, alone: bool) -> Done:
        motion = load_clip(path, tracker.humanoid, options)
        with busy(f"simulating {motion.num_frames} frames, and planning where the policy is lost"):
            tracked, since = rescue(tracker, planner, motion, str(path), seed=args.seed)
        return Done(tracked, planned_from=since)

    return by_both


def by_planner(args: argparse.Namespace) -> Perform:
    """Controls searched for each motion on its own body, open loop ("planner") or closed ("mpc")."""
    closed = args.by == "mpc"
    preset = args.preset or ("reactive" if closed else "default")
    options, planners = record_of(ClipOptions, args), dict[Humanoid, Planner]()

    def perform(path: Path, alone: bool) -> Done:
        motion = load_clip(path, None, options)
        planner = planners.pop(motion.humanoid, None) or default_planner(preset, args.engine, motion.humanoid, closed)
        planners[motion.humanoid] = planner
        if len(planners) > _KEPT:
            del planners[next(iter(planners))]
        plan = planner(motion, seed=args.seed, progress=alone, name=str(path))
        return Done(plan.as_tracked(), plan, 0.0)

    return perform


def write(done: Done, out: Path, stem: str, args: argparse.Namespace) -> dict[str, Path]:
    """The motion, its plan and its picture as files; what each is."""
    paths = {"motion": save_motion(out / f"{stem}_tracked.npz", qpos_motion(done.tracked.motion))}
    if done.plan is not None:
        paths["plan"] = out / f"{stem}_plan.npz"
        done.plan.save(paths["plan"])
    if "amass" in args.export:
        paths["amass"] = write_motion(out / f"{stem}_amass.npz", body_motion(done.tracked.motion), "amass")
    if "bvh" in args.export:
        paths["bvh"] = write_motion(out / f"{stem}_tracked.bvh", skeleton_motion(done.tracked.motion))
    if "mjcf" in args.export and done.plan is not None:
        paths["mjcf"] = export_plan(done.plan, out / f"{stem}_mjcf")
    if args.picture != "none":
        what = "film" if args.picture == "mp4" else "sheet"
        paths[what] = draw_tracking(out / f"{stem}_tracked.{args.picture}", done.tracked)
    return paths


def record(path: Path, done: Done, motion: Path) -> dict[str, Any]:
    """For programs: the result of one file, and the file of the simulated motion."""
    return {"path": str(path), **done.tracked.result.record(), "planned_from": done.planned_from, "motion": str(motion)}


def track_files(args: argparse.Namespace, perform: Perform, paths: list[Path], out: Path) -> int:
    """Track many files, each as one line of ``tracked.jsonl``; those that it has already are left out.

    A file that fails stops nothing; it is tried again by the next run. An interrupted run continues with the next clip.
    """
    config, log_path = digest(args), out / "tracked.jsonl"
    known, names = finished_files(log_path, config), stems(paths)
    lines = {path: known[key] for path in paths if (key := (str(path), _sha256(path))) in known}
    failed: dict[Path, str] = {}
    code = 0
    if args.json:
        print("".join(json_line(line) + "\n" for line in lines.values()), end="")
    waiting = [path for path in paths if path not in lines]
    with (
        JsonLines(log_path) as log,
        progress(len(paths), unit="clip", label="track", quiet=args.json, initial=len(lines)) as bar,
    ):
        try:
            for path in waiting:
                bar.set_postfix_str(path.name)
                line: dict[str, Any] = {"schema": SCHEMA, "path": str(path), "sha256": _sha256(path), "config": config}
                try:
                    done = perform(path, False)
                    written = write(done, out, names[path], args)
                    lines[path] = line = line | {"error": ""} | record(path, done, written["motion"])
                except Exception as error:  # a bad file must not stop the others
                    failed[path] = describe_error(error).removeprefix(f"{path}: ")
                    line["error"] = failed[path]
                    bar.write(printable(f"{path}: {failed[path]}"), file=sys.stderr)
                log.append(line)
                if args.json:
                    print(json_line(line), flush=True)
                bar.update()
        except KeyboardInterrupt:
            code = 130
    if not args.json:
        print(conclusion([lines[path] for path in paths if path in lines], failed, len(paths), log_path))
    return code or int(bool(failed) or not all(line["success"] for line in lines.values()))


def conclusion(lines: list[dict[str, Any]], failed: dict[Path, str], files: int, log: Path) -> str:
    """The table of all clips, and how many of the files became what; failures are listed last."""
    width, colour = terminal()
    fields = [field.name for field in dataclasses.fields(ClipResult)]
    results = [ClipResult(**{name: line[name] for name in fields}) for line in lines]
    tracked = sum(r.success for r in results)
    counts = [f"{tracked} of {files} tracked to the end", f"{len(results) - tracked} lost"]
    never = files - len(results) - len(failed)
    counts += [f"{len(failed)} failed"] * bool(failed) + [f"{never} not reached"] * bool(never)
    table = [tracking_table(results, width=max(width, 120), colour=colour)] if results else []
    said = f"{', '.join(counts)}: {log}" + (" (the same command continues)" if never else "")
    return "\n".join([*table, said, *(printable(f"failed: {path}: {why}") for path, why in failed.items())])


def stems(paths: list[Path]) -> dict[Path, str]:
    """Names of results: those of the files, with as much of their paths as tells them apart."""
    root = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    inside = [path.absolute().relative_to(root) for path in paths]
    for names in ([path.stem for path in paths], [str(path.with_suffix("")) for path in inside], map(str, inside)):
        found = dict(zip(paths, names, strict=True))
        if len(set(found.values())) == len(paths):
            break
    return found


def digest(args: argparse.Namespace) -> str:
    """Hash of all that decides a result but the file."""
    values = {"schema": SCHEMA, "version": __version__, **dataclasses.asdict(record_of(ClipOptions, args))}
    values |= {name: getattr(args, name) for name in ("by", "preset", "seed", "engine", "policy")}
    policy = tracker_file(args.policy)
    values["files"] = [file_sha256(policy)] if policy.is_file() else []
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _sha256(path: Path) -> str:
    """Of a file; "" of what is none, a folder of frames for example."""
    return file_sha256(path) if path.is_file() else ""


def report(done: Done, humanoid: Humanoid) -> str:
    """How far the motion was followed and at what price, then its score before and after."""
    tracked = done.tracked
    r = tracked.result
    lines = [f"{r.name}: {r.frames} frames, {r.frames / r.fps:.2f} s at {r.fps:g} Hz; {humanoid.description}"]
    if r.success:
        lines.append("tracked to the end")
    else:
        lines.append(
            f"LOST at frame {r.failed_frame} of {r.frames}, {r.failed_time:.2f} s: from there the body is on average "
            "more than 0.5 m from where it should be, or the simulation broke down; errors and scores are of the whole"
        )
    if done.plan is not None:
        lines += [f"note: {said}" for said in tracked.reference.provenance.conventions]
    if done.planned_from is not None and done.plan is None:
        lines.append(f"the policy to {done.planned_from:.2f} s, the planner from there on")
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
