"""``mjxhuman reconstruct``: a video in, the motion of a simulated body that does what the person in it does."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mjxhuman.cli.convert import body_motion
from mjxhuman.cli.reading import check_picture, input_files, output_folder
from mjxhuman.cli.track import stems
from mjxhuman.data.npz import save_motion
from mjxhuman.options import LoadOptions, ReadOptions, VideoOptions, keywords, record_of
from mjxhuman.reconstruction import Reconstruction, reconstruct
from mjxhuman.reconstruction.methods import Method, method_of
from mjxhuman.recovery.load import body_of
from mjxhuman.report.page import write_report
from mjxhuman.report.reconstruction import clips_of, draw_film
from mjxhuman.runs import json_line
from mjxhuman.runs.launch import prepare_jax
from mjxhuman.runs.terminal import printable
from mjxhuman.scoring.files import describe_error


def run(args: argparse.Namespace) -> int:
    """Reconstruct videos; exit code 0 all simulated in one piece, 1 some not or failed, 2 nothing could be done.

    The last line of each file is its JSON object, of a file that failed too.
    """
    found, out = input_files(args.files), output_folder(args.out, "--out")
    check_picture(args, out / "film.mp4")
    mover, options, body = _method(args), record_of(LoadOptions, args), body_of(record_of(LoadOptions, args))
    prepare_jax()
    names = stems(found.files)
    several, done, worked = len(found.files) > 1, 0, 0
    for path in found.files:
        try:
            result = reconstruct(
                path, method=mover or "fit", humanoid=body, seed=args.seed, anyway=args.anyway,
                video=record_of(VideoOptions, options), **keywords(ReadOptions, options),
            )  # fmt: skip
            written = write(result, path.name, out / names[path] if several else out, args)
        except (ValueError, OSError, ImportError, RuntimeError) as error:
            reason = printable(describe_error(error).removeprefix(f"{path}: "))
            print(f"{path}: {reason}", file=sys.stderr)
            print(json_line({"path": str(path), "valid": False, "reason": reason, "success": False}), flush=True)
            continue
        worked, done = worked + 1, done + result.success
        if not args.json:
            print(report(str(path), result))
            print("\n".join(f"{what}: {where}" for what, where in written.items()))
        print(json_line({"path": str(path), **result.numbers}), flush=True)
    return 0 if done == len(found.files) else 1 if worked else 2


def _method(args: argparse.Namespace) -> Method | None:
    """What moves the body, by what the command line asks for."""
    taken = {
        "plan": ("preset", "engine"), "track": ("policy",), "policy": ("policy", "tries"),
        "policy+plan": ("policy", "preset", "engine"), "fit": (),
    }[args.method]  # fmt: skip
    given = {name: getattr(args, name) for name in ("preset", "engine", "policy", "tries")}
    for name, value in given.items():
        if value is not None and name not in taken:
            raise ValueError(f"--{name}: expected a method that takes it, found --method {args.method}")
    return method_of(args.method, **{name: given[name] for name in taken if given[name] is not None})


def write(result: Reconstruction, name: str, out: Path, args: argparse.Namespace) -> dict[str, Path]:
    """All files of one reconstruction, by what they are."""
    paths = result.save(out)
    paths["smpl"] = save_motion(out / "smpl.npz", body_motion(result.motion))
    title = f"{name}: {'the fit' if not result.takes else result.method}"
    paths["report"] = write_report(out / "report.html", clips_of(result), title=title, compare=bool(result.takes))
    if args.picture != "none":
        paths["film"] = draw_film(out / "film.mp4", result)
    return paths


def report(name: str, result: Reconstruction) -> str:
    """How it went, in words."""
    n: dict[str, Any] = result.numbers
    seconds = n["frames"] / n["fps"]
    lines = [f"{name}: {n['frames']} frames, {seconds:.2f} s at {n['fps']:g} Hz; {result.motion.humanoid.description}"]
    lines += [f"note: {said}" for said in result.estimate.provenance.conventions]
    if result.refused:
        lines.append(f"NOT SIMULATED: {result.refused} (--anyway simulates)")
    elif result.method != "fit":
        said = "in one piece" if result.success else f"{n['lost_frames']} frames lost"
        restarts = f"; put back into the estimate at {', '.join(f'{t:.2f}' for t in n['restarts'])} s"
        lines.append(f"simulated by {result.method}, {said}{restarts if n['restarts'] else ''}")
        lines.append(f"the first {n['settling_frames']} frames are settling: errors of the start show in them")
    pixels = "" if n["reprojection_px"] is None else (
        f"; reprojection {n['reprojection_px']:.1f} px, the estimate's {n['estimate_reprojection_px']:.1f}"
    )  # fmt: skip
    lines += [
        f"from the estimate: {n['to_estimate_mm']} mm relative to the root, {n['to_estimate_global_mm']} mm{pixels}",
        f"standing feet slide {n['foot_slide_mm']} mm per frame; {n['float_mm']} mm above the floor, "
        f"{n['penetration_mm']} mm in it; jitter {n['jitter']} x 10 m/s^3",
        f"score {n['score']}, the estimate's {n['estimate_score']}",
    ]
    return "\n".join(lines)
