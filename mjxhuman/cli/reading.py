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
from mjxhuman.rewards.score import in_ball_joints
from mjxhuman.runs import enable_compile_cache
from mjxhuman.runs.terminal import printable
from mjxhuman.scenes import Surface
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


def dynamics_of(motion: Motion, surface: Surface | None = None) -> Dynamics | None:
    """Forces and torques of a motion; None for a body without anatomy (a robot)."""
    return analyse(in_ball_joints(motion), surface) if motion.humanoid.contacts is not None else None
