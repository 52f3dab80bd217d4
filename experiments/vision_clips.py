"""Clips that are filmed, for training and for judging policies that follow videos."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from mjxhuman.runs import progress


def usable_clips(loaded: Any, humanoid: Any, fps: float, seconds: float, who: str) -> tuple[list[Any], list[str], int]:
    """First seconds of loaded clips (``LoadedClips``) at a frame rate, their files, and how many files were left out.

    What is left out is named on stderr, after ``who``.
    """
    from mjxhuman.tracking.evaluate import first_seconds, usable

    for path, error in loaded.failed.items():
        print(f"{who}: {path}: {error.removeprefix(f'{path}: ')}", file=sys.stderr)
    clips, names = [], []
    for motion, path in zip(loaded.motions, loaded.paths, strict=True):
        try:
            clips.append(first_seconds(usable(motion, humanoid, fps, path), seconds))
            names.append(path)
        except ValueError as error:
            print(f"{who}: {error}", file=sys.stderr)
    return clips, names, len(loaded.failed) + len(loaded.paths) - len(names)


def filmed(
    clips: Sequence[Any], names: Sequence[str], views: Sequence[Any], who: str, quiet: bool = False
) -> list[list[Any] | None]:
    """The videos of clips (``VisualTrack``), one of each view; None where one could not be made, named on stderr."""
    from mjxhuman.envs.vision.films import film

    found: list[list[Any] | None] = []
    with progress(len(clips) * len(views), unit="video", label="film", quiet=quiet) as bar:
        for clip, name in zip(clips, names, strict=True):
            tracks: list[Any] | None = []
            for view in views:
                try:
                    tracks = None if tracks is None else [*tracks, *film(clip, [view])]
                except ValueError as error:
                    print(f"{who}: {name}: {error}", file=sys.stderr)
                    tracks = None
                bar.update()
            found.append(tracks)
    return found
