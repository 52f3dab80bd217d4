"""The command line. ``mjxhuman --help`` loads nothing but this module; each command is imported when it runs."""

from __future__ import annotations

import argparse
import difflib
import importlib
import math
import os
import sys
from collections.abc import Sequence
from typing import Any

from mjxhuman.options import (
    ClipOptions,
    FileOptions,
    FurnishedOptions,
    FurnitureOptions,
    LoadOptions,
    SceneOptions,
    ScoreOptions,
    VideoOptions,
    add_flags,
    spelt,
)
from mjxhuman.version import __version__

USAGE_ERROR = 2
INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="mjxhuman",
        description="Human motion in, physics out: scores, forces, torques and simulated motion from recordings.",
        epilog="mjxhuman COMMAND --help explains a command and gives an example.",
    )
    parser.add_argument("--version", action="version", version=f"mjxhuman {__version__}")
    parser.set_defaults(parser=parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    for add in (
        _add_score,
        _add_view,
        _add_info,
        _add_convert,
        _add_render,
        _add_track,
        _add_repair,
        _add_reconstruct,
        _add_generate,
        _add_stability,
        _add_scene,
        _add_run,
        _add_demo,
    ):
        add(commands)
    return parser


def _add_score(commands: Any) -> None:
    score = _command(
        commands,
        "score",
        "score motion files and videos, print a table, write a report",
        "mjxhuman score walk.bvh",
        "mjxhuman score mocap/ generated/*.npz --out out/scores",
        "mjxhuman score before.bvh after.bvh --compare",
    )
    score.add_argument("files", nargs="+", metavar="FILE", help="motion files, videos, folders or patterns")
    score.add_argument("--compare", action="store_true", help="two files: what changed from the first to the second")
    score.add_argument("--out", metavar="DIR", help="write report.html, scores.jsonl and scores.csv there")
    score.add_argument(
        "--min-total",
        type=float,
        metavar="TOTAL",
        help="say which files have at least this total (with --out in kept.txt); exit code 1 if any has less",
    )
    score.add_argument("--json", action="store_true", help="print one JSON object per file and nothing else")
    add_flags(score, ScoreOptions)


def _add_view(commands: Any) -> None:
    view = _command(
        commands, "view", "play motions in the browser", "mjxhuman view dance.amc", "mjxhuman view a.bvh b.bvh"
    )
    view.add_argument("files", nargs="+", metavar="FILE", help="motion files, videos, folders or patterns")
    view.add_argument("--out", metavar="HTML", help="where to write the page (default: a temporary file)")
    view.add_argument("--no-browser", action="store_true", help="only write the page")
    view.add_argument("--viser", action="store_true", help="live viewer instead (one file; needs the extra 'view')")
    view.add_argument("--host", default="127.0.0.1", help="address --viser listens on (default: this machine only)")
    add_flags(view, LoadOptions)


def _add_info(commands: Any) -> None:
    info = _command(
        commands,
        "info",
        "versions, devices, formats and encoders; or what a file says and what had to be assumed",
        "mjxhuman info",
        "mjxhuman info walk.amc",
    )
    info.add_argument(
        "file", nargs="?", metavar="FILE", help="a motion file, a video, 2D keypoints or furniture; only read"
    )
    info.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    add_flags(info, FileOptions)
    add_flags(info, VideoOptions, only=("camera",))


def _add_convert(commands: Any) -> None:
    convert = _command(
        commands,
        "convert",
        "write a motion in another format",
        "mjxhuman convert walk.amc walk.npz",
        "mjxhuman convert dance.mp4 dance.npz --to qpos",
    )
    convert.add_argument("input", metavar="IN", help="a motion file; a video or 2D keypoints with --to")
    convert.add_argument("output", metavar="OUT", help="a .npz, .bvh (skeletons) or .trc (points) file")
    convert.add_argument(
        "--to",
        choices=("motion", "body", "qpos", "amass", "skeleton"),
        default="motion",
        help="motion: what the file holds, unchanged (default); as .npz: body: SMPL rotations, qpos: coordinates of "
        "the humanoid, amass: AMASS's arrays; as .bvh or .npz: skeleton: the body's joints; these retarget where the "
        "file's skeleton is another",
    )
    add_flags(convert, LoadOptions)


def _add_render(commands: Any) -> None:
    render = _command(
        commands,
        "render",
        "draw a motion: .png a sheet of frames, .mp4 a film",
        "mjxhuman render kick.bvh kick.png --forces",
        "mjxhuman render after.bvh film.mp4 --ghost before.bvh",
    )
    render.add_argument("file", metavar="FILE", help="a motion file, a video or 2D keypoints")
    render.add_argument("output", metavar="OUT", help="a .png or .mp4 file")
    render.add_argument("--size", metavar="WxH", help="pixels of a picture (default 320x320, film 960x720)")
    render.add_argument("--columns", type=_at_least_1, default=6, metavar="N", help="of a sheet (default 6)")
    render.add_argument("--rows", type=_at_least_1, default=2, metavar="N", help="of a sheet (default 2)")
    render.add_argument("--forces", action="store_true", help="draw ground reaction forces")
    render.add_argument("--ghost", metavar="FILE", help="a second motion, drawn transparent")
    add_flags(render, SceneOptions)


def _add_track(commands: Any) -> None:
    track = _command(
        commands,
        "track",
        "simulate a body that follows a motion, and score what it did",
        "mjxhuman track walk.amc",
        "mjxhuman track walk.amc --policy out/imitation --picture png",
        "mjxhuman track backflip.bvh --by planner",
        "mjxhuman track mocap/ --by planner --preset fast --picture none",
    )
    track.add_argument(
        "files", nargs="+", metavar="FILE", help="motion files, videos, folders or patterns; several: resumable"
    )
    track.add_argument("--out", default="out/track", metavar="DIR", help="for motion and film (default out/track)")
    track.add_argument(
        "--policy",
        metavar="FILE",
        help="a policy file or run folder, a shipped one: expert (default) or ppo, or an agent without training: zero, "
        "random, reference",
    )
    track.add_argument(
        "--picture", choices=("mp4", "png", "none"), default="mp4", help="a film (default), a sheet of frames, or none"
    )
    track.add_argument(
        "--by",
        choices=("policy", "planner", "mpc", "auto"),
        default="policy",
        help="what moves the body: policy, which reacts (default); planner, controls searched for this motion in the "
        "simulator, which follow far more and take a few seconds per second; mpc, the planner in closed loop; auto, "
        "the policy, and the planner from where it is lost",
    )
    track.add_argument("--json", action="store_true", help="print one JSON object per file and nothing else")
    track.add_argument(
        "--export",
        choices=("amass", "bvh", "mjcf"),
        action="append",
        default=[],
        help="write the simulated motion as AMASS's .npz or .bvh too, or the model with the controls and a script that "
        "replays them in MuJoCo; may be given more than once",
    )
    _planner_flags(track)
    track.add_argument("--engine", choices=("c", "jax", "warp"), help="of the simulation (default: the fastest here)")
    add_flags(track, ClipOptions)


def _add_repair(commands: Any) -> None:
    repair = _command(
        commands,
        "repair",
        "find the physical motion nearest to a motion: what a simulated body makes of it, and how much had to change",
        "mjxhuman repair generated.npz",
        "mjxhuman repair crawl.bvh --preset best --out out/repair",
    )
    repair.add_argument("file", metavar="FILE", help="a motion file, a video or 2D keypoints")
    repair.add_argument("--out", default="out/repair", metavar="DIR", help="for motion, plan and film")
    _planner_flags(repair)
    repair.add_argument(
        "--height", choices=("free", "kept"), default="free",
        help="free (default): a motion that stands above or below the floor is put on it first; kept: planned as it is",
    )  # fmt: skip
    repair.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    repair.add_argument(
        "--picture", choices=("mp4", "png", "none"), default="mp4", help="a film (default), a sheet of frames, or none"
    )
    add_flags(repair, LoadOptions)


def _add_reconstruct(commands: Any) -> None:
    reconstruct = _command(
        commands,
        "reconstruct",
        "simulate what a person in a video does: whole-clip fit, then a body that follows it and the pixels",
        "mjxhuman reconstruct dance.mp4 --out out/dance",
        "mjxhuman reconstruct walk_keypoints.npz --camera calibration.toml:cam01 --out out/walk --picture none",
        "mjxhuman reconstruct films/*.mp4 --method track --out out/films",
    )
    reconstruct.add_argument(
        "files", nargs="+", metavar="FILE", help="videos, 2D keypoints, folders or patterns; several: a folder each"
    )
    reconstruct.add_argument(
        "--out", required=True, metavar="DIR",
        help="for motion.npz, estimate.npz, camera.json, smpl.npz, model.mjb, report.html and film.mp4",
    )  # fmt: skip
    reconstruct.add_argument(
        "--method", choices=("plan", "track", "policy", "policy+plan", "fit"), default="plan",
        help="what moves the body: plan (default), controls searched in the simulator; track, the shipped tracker; "
        "policy, one that sees the video; policy+plan, the planner where it fails; fit, nothing: the fit alone",
    )  # fmt: skip
    reconstruct.add_argument(
        "--policy", metavar="FILE", help="of --method track, policy or policy+plan (default: the shipped one)"
    )
    reconstruct.add_argument(
        "--tries", type=int, metavar="N", help="of --method policy: starts to try while the body is lost (default 4)"
    )
    _planner_flags(reconstruct)
    reconstruct.add_argument("--engine", choices=("c", "jax", "warp"), help="of the planner (default: the fastest)")
    reconstruct.add_argument(
        "--picture",
        choices=("mp4", "none"),
        default="mp4",
        help="film.mp4: video, estimate, simulation (default), or none",
    )
    reconstruct.add_argument(
        "--anyway", action="store_true", help="simulate also who is carried by something that is not the floor"
    )
    reconstruct.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object per file and nothing else; it is the last line anyway",
    )
    add_flags(reconstruct, LoadOptions)


def _add_generate(commands: Any) -> None:
    generate = _command(
        commands,
        "generate",
        "make motions from text, and score them",
        'mjxhuman generate "a person walks" --samples 4 --base',
        'mjxhuman generate "a person walks" --generator out/generator --adapter out/post_train/adapter',
    )
    generate.add_argument("prompts", nargs="+", metavar="PROMPT", help="what the person does, in words")
    generate.add_argument(
        "--generator",
        default="motion",
        metavar="FILE",
        help="a generator's file, or the folder of experiments.train_generator (default: the one that ships)",
    )
    generate.add_argument(
        "--adapter",
        metavar="FILE",
        help="an adapter's folder or .safetensors file, or \"none\" (default: the shipped generator's, which was "
        "post-trained with the score; of other generators none)",
    )
    generate.add_argument(
        "--base", action="store_true", help="beside each sample, the base's of the same noise: what the adapter changed"
    )
    generate.add_argument("--force", action="store_true", help="take an adapter that was trained beside other weights")
    generate.add_argument("--samples", type=_at_least_1, default=1, metavar="N", help="of each prompt (default 1)")
    generate.add_argument("--seconds", type=_seconds, metavar="S", help="of motion (default: the most it makes)")
    generate.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
    generate.add_argument(
        "--guidance", type=float, default=1.0, metavar="W", help="away from what has no prompt (default 1: not at all)"
    )
    generate.add_argument("--out", default="out/generated", metavar="DIR", help="for motions and report.html")
    generate.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def _add_stability(commands: Any) -> None:
    stability = _command(
        commands,
        "stability",
        "say whether furniture stands: drop it on the floor from many starts",
        "mjxhuman stability chair.glb",
        "mjxhuman stability chair:3 chair:3:short_leg stool:1:tilt:0.2 --out out/stability",
    )
    stability.add_argument(
        "objects",
        nargs="+",
        metavar="OBJECT",
        help="files of furniture (write ./ before a file that is named like a kind), or built-in: KIND[:SEED[:DAMAGE"
        "[:SEVERITY]]], for example chair:3:short_leg:0.5",
    )
    stability.add_argument("--drops", type=_at_least_1, default=16, metavar="D", help="starts of each (default 16)")
    stability.add_argument("--seed", type=int, default=0, help="of the starts (default 0)")
    stability.add_argument(
        "--rule",
        choices=("strict", "dso"),
        default="strict",
        help="strict (default): leans less than 5 degrees, moves less than 5 cm and rests, in 90 %% of the starts; "
        "dso: leans less than 20 degrees, in half of them; both are in --out",
    )
    stability.add_argument("--out", metavar="DIR", help="write stability.jsonl and a picture of each object there")
    stability.add_argument("--picture", choices=("png", "none"), default="png", help="pictures in --out (default png)")
    stability.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    add_flags(stability, FurnitureOptions)


def _add_scene(commands: Any) -> None:
    scene = _command(
        commands,
        "scene",
        "put a person of a motion on furniture, simulate both, and say whether it holds",
        "mjxhuman scene chair:3 --motion sitting.trc --out out/scene",
        "mjxhuman scene seat table:1 --motion sitting.trc --clip 2.5 6 --by planner --out out/scene",
        "mjxhuman scene chair.glb table.glb@0.8,0,90 --motion dinner.bvh --align none --json",
    )
    scene.add_argument(
        "objects",
        nargs="+",
        metavar="OBJECT",
        help="a file of furniture, KIND[:SEED[:DAMAGE[:SEVERITY]]], or seat (a box under who sits); put under who "
        "sits, or where @X,Y[,DEGREES] behind it says",
    )
    scene.add_argument("--motion", required=True, metavar="FILE", help="a motion file, a video or 2D keypoints")
    when = scene.add_mutually_exclusive_group()
    when.add_argument(
        "--at",
        type=_seconds,
        metavar="SECONDS",
        help="the moment of the motion that is held (default: the middle of the longest sitting, else the last frame)",
    )
    when.add_argument(
        "--clip",
        nargs="*",
        type=_seconds,
        metavar="SECONDS",
        help="the motion itself, or the part between two times; its last frame is then held",
    )
    scene.add_argument(
        "--by",
        choices=("servos", "planner", "policy"),
        default="servos",
        help="what moves the body: servos, which play the motion (default); planner, controls searched in the "
        "simulator, furniture and all; policy, which was trained on a floor and does not see furniture",
    )
    scene.add_argument(
        "--policy", metavar="FILE", help="of --by policy: a file or run folder (default: the shipped tracker)"
    )
    scene.add_argument(
        "--align",
        choices=("ours", "paper", "smooth", "none"),
        help="how the person is brought to the furniture (default ours; none with nothing but a seat, which fits)",
    )
    scene.add_argument(
        "--legs", action="store_true", help="hips and knees turn while aligning, so that feet reach the floor"
    )
    scene.add_argument(
        "--hold", type=_seconds, default=3.0, metavar="SECONDS", help="the last frame is held so long (default 3)"
    )
    scene.add_argument(
        "--trials",
        type=_at_least_1,
        help="with other friction, masses and places; 1 has none of these (default 3, of the planner 1)",
    )
    _planner_flags(scene)
    scene.add_argument("--out", metavar="DIR", help="write scene.html and a picture there")
    scene.add_argument("--picture", choices=("png", "mp4", "none"), default="png", help="in --out (default png)")
    scene.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    add_flags(scene, FurnishedOptions)
    add_flags(scene, LoadOptions)


def _add_run(commands: Any) -> None:
    run = _command(
        commands,
        "run",
        "run a launcher: train, evaluate, benchmark, score thousands of files",
        "mjxhuman run",
        "mjxhuman run score_motion --help",
        "mjxhuman run train_imitation --config=imitation:cpu --config.clips='mocap/**/*.amc'",
    )
    run.add_argument("name", nargs="?", metavar="NAME", help="of a launcher; without one they are listed")
    run.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="of the launcher")


def _add_demo(commands: Any) -> None:
    demo = _command(commands, "demo", "score the built-in clip and damaged copies of it", "mjxhuman demo")
    demo.add_argument("--out", default="out/demo", metavar="DIR", help="write report.html there (default out/demo)")


def _planner_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--preset",
        choices=("fast", "default", "reactive", "best"),
        help="of the planner (default: default; of mpc: reactive)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the planner and of what is drawn (default 0)")


def _command(commands: Any, name: str, sentence: str, *examples: str) -> argparse.ArgumentParser:
    """A command with the sentence it is listed by and examples of its use."""
    parser = commands.add_parser(
        name,
        help=sentence,
        description=f"{sentence[0].upper()}{sentence[1:]}.",
        epilog="\n  ".join([f"example{'s' if len(examples) > 1 else ''}:", *examples]),
        formatter_class=_HelpFormatter,
    )
    parser.set_defaults(parser=parser)
    return parser


class _HelpFormatter(argparse.HelpFormatter):
    """Examples keep their lines; everything else is wrapped."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example") else super()._fill_text(text, width, indent)


def _at_least_1(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (seconds >= 0 and math.isfinite(seconds)):
        raise argparse.ArgumentTypeError(f"expected seconds >= 0, found {text!r}")
    return seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code. 0: done; 1: some files could not be scored; 2: wrong usage, or nothing could be done;
        130: interrupted.
    """
    # XLA logs a page about slow compilation and how to file a bug; what goes wrong is raised all the same
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    args, unknown = build_parser().parse_known_args(arguments)
    if unknown:  # the usage of the command is shown, not that of all
        args.parser.error(_unknown(args.parser, unknown))
    if args.command is None:
        args.parser.print_help()
        return 0
    try:
        command = importlib.import_module(f"mjxhuman.cli.{args.command}")
        if args.command == "run":  # launchers may change what traces cannot tell
            return command.run(args)
        with importlib.import_module("mjxhuman.runs.traced").traces_kept():
            return command.run(args)
    except BrokenPipeError:  # the reader of a pipe has left: nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError) as error:
        print(f"mjxhuman {args.command}: {spelt(_one_line(error), '--{}')}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print(f"mjxhuman {args.command}: interrupted", file=sys.stderr)
        return INTERRUPTED


def _unknown(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> str:
    flag = next((argument.partition("=")[0] for argument in arguments if argument.startswith("-")), None)
    near = difflib.get_close_matches(flag, parser._option_string_actions, 1) if flag else []
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"unknown {'option' if flag else 'argument'} {flag or arguments[0]}{hint}"


def _one_line(error: Exception) -> str:
    from mjxhuman.runs.terminal import message, printable

    text = " ".join(message(error).split())
    return printable(text) or type(error).__name__
