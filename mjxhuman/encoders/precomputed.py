"""Keypoints that were found elsewhere and lie in a file: the same ``Encoding`` without a network."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np

from mjxhuman.data.keypoints import read_detections
from mjxhuman.data.video import Timeline
from mjxhuman.encoders.base import Encoding, collect


@dataclasses.dataclass
class _Frames:
    """A file of keypoints in the place of the video they were found in."""

    path: Path
    size: tuple[int, int]
    fps: float
    count: int
    notes: list[str]
    scale: tuple[float, float] = (1.0, 1.0)
    origin: tuple[int, int] = (0, 0)

    def timeline(self, times: object) -> Timeline:
        return Timeline(self.fps, self.count, np.arange(self.count, dtype=float), True)


def read_encoding(
    path: str | os.PathLike[str], *, fps: float | None = None, image_size: tuple[int, int] | None = None
) -> Encoding:
    """Everyone in a file of 2D keypoints (``mjxhuman.data.keypoints.read_detections`` has the formats).

    Who is who is what the file says, else found by tracking.

    Raises:
      FileNotFoundError, ValueError, MotionFileError: as ``read_detections``.
    """
    found = read_detections(path, fps=fps, image_size=image_size)
    count = len(found.people)
    frames = _Frames(Path(path), found.image_size, found.fps, count, list(found.provenance.conventions))
    rows = [{"uv": people[..., :2], "confidence": people[..., 2]} for people in found.people]
    if found.pos3d is not None:
        for row, pos3d in zip(rows, found.pos3d, strict=True):
            row["pos3d"] = np.repeat(pos3d[None], len(row["uv"]), 0)
    tracks = None
    if found.identity is not None:
        who = sorted({int(i) for ids in found.identity for i in ids})
        tracks = [np.array([_place(ids, person) for ids in found.identity]) for person in who]
    kind = found.provenance.format
    return collect(frames, kind, np.arange(count) / found.fps, rows, found.names, tracks=tracks)


def _place(identities: np.ndarray, person: int) -> int:
    places = np.flatnonzero(identities == person)
    return int(places[0]) if len(places) else -1
