"""What the commands share: options for reading, files by name."""

from __future__ import annotations

import argparse
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
from mjxhuman.scoring.files import ScoredFile, load_into
from mjxhuman.types import Dynamics, Motion


def input_files(names: Sequence[str]) -> FoundFiles:
    """The files that paths, folders and patterns name; what folders hold besides is said on stderr."""
    found = find_motions(names)
    if said := str(found):
        print(said, file=sys.stderr)
    return found


def load(path: str | Path, args: argparse.Namespace) -> Motion:
    """One motion, read with the options of the command line."""
    return load_item(path, args).motion


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


def dynamics_of(motion: Motion) -> Dynamics | None:
    """Forces and torques of a motion; None for a body without anatomy (a robot)."""
    return analyse(in_ball_joints(motion)) if motion.humanoid.contacts is not None else None
