"""The command line. ``mjxhuman --help`` loads nothing but this module; each command is imported when it runs."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from mjxhuman.options import LoadOptions, ReadOptions, ScoreOptions, VideoOptions, add_flags, spelt
from mjxhuman.version import __version__

USAGE_ERROR = 2
INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(prog="mjxhuman", description="Human motion in, physics out.")
    parser.add_argument("--version", action="version", version=f"mjxhuman {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    score = commands.add_parser("score", help="score motion files and videos, print a table, write a report")
    score.add_argument("files", nargs="+", metavar="FILE", help="motion files, videos, folders or patterns")
    score.add_argument("--compare", action="store_true", help="two files: what changed from the first to the second")
    score.add_argument("--out", metavar="DIR", help="write report.html and scores.jsonl there")
    score.add_argument("--json", action="store_true", help="print one JSON object per file and nothing else")
    add_flags(score, ScoreOptions)

    view = commands.add_parser("view", help="play a motion in the browser")
    view.add_argument("files", nargs="+", metavar="FILE")
    view.add_argument("--out", metavar="HTML", help="where to write the page (default: a temporary file)")
    view.add_argument("--no-browser", action="store_true", help="only write the page")
    view.add_argument("--viser", action="store_true", help="live viewer instead (one file; needs the extra 'view')")
    add_flags(view, LoadOptions)

    info = commands.add_parser("info", help="versions, devices and formats; or what is known of a file")
    info.add_argument("file", nargs="?", metavar="FILE")
    info.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    add_flags(info, LoadOptions)

    convert = commands.add_parser("convert", help="write a motion in another format")
    convert.add_argument("input", metavar="IN")
    convert.add_argument("output", metavar="OUT", help="a .npz, .bvh (skeletons) or .trc (points) file")
    convert.add_argument(
        "--to",
        choices=("motion", "body", "qpos", "amass"),
        default="motion",
        help="motion: what the file holds, unchanged (default); as .npz: body: SMPL rotations, qpos: coordinates of "
        "the humanoid, amass: AMASS's arrays; these retarget where the file's skeleton is another",
    )
    add_flags(convert, LoadOptions)

    render = commands.add_parser("render", help="draw a motion: .png a sheet of frames, .mp4 a film")
    render.add_argument("file", metavar="FILE")
    render.add_argument("output", metavar="OUT", help="a .png or .mp4 file")
    render.add_argument(
        "--size", default=None, metavar="WxH", help="pixels of a picture (default 320x320, film 960x720)"
    )
    render.add_argument("--columns", type=int, default=6, help="of a sheet (default 6)")
    render.add_argument("--rows", type=int, default=2, help="of a sheet (default 2)")
    render.add_argument("--forces", action="store_true", help="draw ground reaction forces")
    render.add_argument("--ghost", metavar="FILE", help="a second motion, drawn transparent")
    add_flags(render, LoadOptions)

    track = commands.add_parser("track", help="simulate a body that follows a motion, and score what it did")
    track.add_argument("file", metavar="FILE")
    track.add_argument("--out", default="out/track", metavar="DIR", help="for motion and film (default out/track)")
    track.add_argument(
        "--policy", metavar="FILE",
        help="a policy file or run folder, or zero, random, reference: agents without training (default: the shipped "
        "tracker)",
    )  # fmt: skip
    track.add_argument(
        "--picture", choices=("mp4", "png", "none"), default="mp4", help="a film (default), a sheet of frames, or none"
    )
    track.add_argument("--engine", choices=("c", "jax", "warp"), help="of the simulation (default: the fastest here)")
    add_flags(track, ReadOptions)
    add_flags(track, VideoOptions)

    demo = commands.add_parser("demo", help="score the built-in clip and damaged copies of it")
    demo.add_argument("--out", default="out/demo", metavar="DIR", help="write report.html there (default out/demo)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code. 0: done; 1: some files could not be scored; 2: wrong usage, or nothing could be done;
        130: interrupted.
    """
    args = build_parser().parse_args(arguments)
    try:
        return importlib.import_module(f"mjxhuman.cli.{args.command}").run(args)
    except BrokenPipeError:  # the reader of a pipe has left: nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError) as error:
        print(f"mjxhuman {args.command}: {spelt(_one_line(error), '--{}')}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print(f"mjxhuman {args.command}: interrupted", file=sys.stderr)
        return INTERRUPTED


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
