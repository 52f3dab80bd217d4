"""What the commands share: options for reading, files by name."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mjxhuman.data.folders import FoundFiles, find_motions
from mjxhuman.options import ScoreOptions, record_of
from mjxhuman.physics.analysis import analyse
from mjxhuman.recovery.load import body_of
from mjxhuman.report.film import FilmStrip, film_of
from mjxhuman.report.render import require_video
from mjxhuman.rewards.score import in_ball_joints
from mjxhuman.runs import enable_compile_cache
from mjxhuman.runs.terminal import printable
from mjxhuman.scenes import Surface
from mjxhuman.scenes.types import Scene
from mjxhuman.scoring.files import ScoredFile, load_into
from mjxhuman.types import Dynamics, Motion


def input_files(names: Sequence[str]) -> FoundFiles:
    """The files that paths, folders and patterns name; what folders hold besides is said on stderr."""
    found = find_motions(names)
    if not found.files:
        raise ValueError("FILE: expected files, folders or patterns, found none")
    if said := str(found):
        print(said, file=sys.stderr)
    return found


def output_folder(path: str | Path, flag: str) -> Path:
    """A folder that results can be written to, made if missing: found out before anything is computed.

    Raises:
        OSError: it cannot be made or written to; the message names the option.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"{flag}: cannot write to {folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{flag}: cannot write to {folder}: permission denied")
    return folder


def output_file(path: str | Path, flag: str) -> Path:
    """A file that results can be written to; its folder as in ``output_folder``."""
    output = Path(path)
    if output.is_dir():
        raise IsADirectoryError(f"{flag}: expected a file, {output} is a folder")
    output_folder(output.parent, flag)
    return output


def made_of(args: argparse.Namespace, ending: str) -> tuple[Path, str]:
    """Folder and stem of the files that a command makes of ``args.file``; what is missing is found out before.

    Raises:
        FileNotFoundError, OSError: no such file, or a folder that cannot be written to.
        ModuleNotFoundError: a film (``--picture mp4``) needs a package that is not installed.
    """
    if not Path(args.file).exists():
        raise FileNotFoundError(f"{args.file}: no such file")
    out, stem = output_folder(args.out, "--out"), Path(args.file).stem
    check_picture(args, out / f"{stem}_{ending}.mp4")
    return out, stem


def check_picture(args: argparse.Namespace, film: Path) -> None:
    """Raise ModuleNotFoundError if a film is asked for (``--picture mp4``) and a package for it is not installed."""
    if args.picture == "mp4":
        try:
            require_video(film)
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(f"{error}; --picture png or none does without", name=error.name) from error


def load(path: str | Path, args: argparse.Namespace) -> Motion:
    """One motion, read with the options of the command line."""
    motion = load_item(path, args).motion
    assert motion is not None, "or load_item had raised"
    return motion


def load_item(path: str | Path, args: argparse.Namespace) -> ScoredFile:
    """One motion with what it was recovered from, read with the options of the command line; not scored."""
    enable_compile_cache()
    item = ScoredFile(Path(path))
    options = record_of(ScoreOptions, args)
    load_into(item, body_of(options), options)
    return item


def film(item: ScoredFile) -> FilmStrip | None:
    """The film of a motion that comes from a video."""
    return film_of(item.recovered) if item.recovered is not None and item.recovered.is_video else None


def display_names(paths: Sequence[Path]) -> list[str]:
    """File names where they tell the files apart, else paths."""
    names = [path.name for path in paths]
    return [printable(name) for name in (names if len(set(names)) == len(names) else paths)]


def dynamics_of(motion: Motion, surface: Surface | None = None, scene: Scene | None = None) -> Dynamics | None:
    """Forces and torques of a motion; None for a body without anatomy (a robot)."""
    if motion.humanoid.contacts is None:
        return None
    return analyse(in_ball_joints(motion), surface, scene=scene)
