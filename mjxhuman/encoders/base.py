"""What an encoder is, and what it gives back.

An encoder takes a video (``mjxhuman.data.video.Video`` or ``VideoArray``) and, if it wants one, a camera, and gives an
``Encoding``: everyone in the video, each with keypoints, features or body motion on one constant frame rate, with the
network's own confidences. ``collect`` builds it from what a network says frame by frame.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from mjxhuman.data.keypoint_names import mirrored_name
from mjxhuman.data.video import Timeline, Video, VideoArray
from mjxhuman.encoders.people.following import follow
from mjxhuman.types import BodyMotion, Camera, Keypoints, Provenance, VideoFeatures

AnyVideo = Video | VideoArray


class Film(Protocol):
    """What ``collect`` wants to know of where pictures came from: a video, or a file in its place."""

    path: Path
    notes: list[str]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in the file's own pixels."""

    @property
    def scale(self) -> tuple[float, float]:
        """Own pixels per pixel of a delivered picture."""

    @property
    def origin(self) -> tuple[int, int]:
        """Own pixel at the upper left corner of a delivered picture."""

    def timeline(self, times: Sequence[float]) -> Timeline:
        """The constant rate for the pictures' times."""


#: Who is seen in fewer frames, or for fewer s, is left out, unless nobody is seen longer: a wrong detection.
LEAST_FRAMES, LEAST_SECONDS = 3, 0.3


@dataclasses.dataclass(frozen=True)
class Person:
    """One person of a video; T frames at the encoding's rate."""

    box: np.ndarray  # (T, 4) px x0, y0, x1, y1; zeros where not seen
    seen: np.ndarray  # (T,) bool
    keypoints: Keypoints | None = None
    features: VideoFeatures | None = None
    body: BodyMotion | None = None

    @property
    def height(self) -> float:
        """Median height in px over the frames where the person is seen."""
        return float(np.median((self.box[:, 3] - self.box[:, 1])[self.seen])) if self.seen.any() else 0.0


@dataclasses.dataclass(frozen=True)
class Encoding:
    """Everyone in a video, those that fill most of it first."""

    people: tuple[Person, ...]
    fps: float
    frames: int  # T
    image_size: tuple[int, int]  # width, height in px
    encoder: str
    position: np.ndarray  # (N,) where each decoded picture lies among the T frames
    notes: tuple[str, ...] = ()  # what was noticed about the video and assumed by the encoder


class Encoder(Protocol):
    """A pretrained network, ready to run."""

    name: str
    takes_device_arrays: bool  # whether the pictures of a ``VideoArray`` may be arrays of JAX or torch on any device

    def fingerprint(self) -> str:
        """Everything besides the pixels that decides the result: versions, hashes of weights, options."""

    def encode(self, video: AnyVideo, camera: Camera | None = None) -> Encoding:
        """Everyone in the video. Safe to call from several threads.

        Raises:
          MotionFileError: a video that cannot be read. RuntimeError: the network cannot run; the message says why.
        """

    def close(self) -> None:
        """Free processes and memory; the encoder can be used again afterwards."""


def choose(encoding: Encoding, person: str | int = "largest", path: object = "video") -> tuple[Person, str]:
    """One person, and a sentence that says who was chosen out of whom.

    Args:
      encoding: of a video.
      person: "largest" (fills most of the picture over time), or the number in ``encoding.people``.
      path: of the video, for the error.

    Raises:
      ValueError: nobody in the video, or no such person; the message names the file.
    """
    if not encoding.people:
        raise ValueError(
            f"{path}: person: found nobody in {encoding.frames} frames by the encoder {encoding.encoder}, expected "
            "someone who is seen from head to foot"
        )
    if person != "largest" and not str(person).isdigit():
        raise ValueError(f"person: expected 'largest' or a number from 0, found {person!r}")
    index = 0 if person == "largest" else int(person)
    if index >= len(encoding.people):
        raise ValueError(
            f"{path}: person: found {len(encoding.people)} people, expected a number below that, not {index}"
        )
    who = [f"{p.height:.0f} px tall, seen in {int(p.seen.sum())} of {encoding.frames} frames" for p in encoding.people]
    if len(who) == 1:
        return encoding.people[0], f"the only person found in the video: {who[0]}"
    others = "; ".join(f"{i}: {text}" for i, text in enumerate(who) if i != index)
    return encoding.people[index], f"person {index} of {len(who)} in the video: {who[index]} (others: {others})"


def collect(
    video: Film,
    encoder: str,
    times: Sequence[float],
    found: Sequence[dict[str, np.ndarray]],
    names: tuple[str, ...],
    *,
    boxes: bool = False,
    feature_name: str = "",
    notes: Sequence[str] = (),
    tracks: Sequence[np.ndarray] | None = None,
    looks: Sequence[np.ndarray] | None = None,
) -> Encoding:
    """The encoding from what was found in each decoded picture.

    Args:
      video: that was iterated over; pixels are those of its pictures and are brought to the file's own.
      encoder: name.
      times: (N,) s of the pictures.
      found: per picture ``uv (n, K, 2)`` px, ``confidence (n, K)``, and where the network has them ``pos3d
        (n, K, 3)`` m, ``features (n, F)``; n people, in any order.
      names: of the K points.
      boxes: ``found`` has ``box (n, 4)`` of the detector; otherwise boxes are drawn around confident points.
      feature_name: of the features.
      notes: on top of the video's own.
      tracks: who is who, as ``follow`` says it, where that is known.
      looks: (n, F) colours 0..1 per picture, by which ``follow`` tells people apart who met.
    """
    line = video.timeline(times)
    if tracks is None:
        points = [np.concatenate([f["uv"], f["confidence"][..., None]], -1) for f in found]
        tracks = follow(times, points, [names.index(mirrored_name(name)) for name in names], looks)
    provenance = Provenance(path=str(video.path), format=encoder)
    people = [_person(video, line, found, track, names, boxes, feature_name, provenance) for track in tracks]
    least = max(LEAST_FRAMES, LEAST_SECONDS * line.fps)
    people = [p for p in people if p.seen.sum() >= least] or people
    people.sort(key=lambda p: -float((p.box[:, 3] - p.box[:, 1]).sum()))
    said = (*video.notes, *notes)
    return Encoding(tuple(people), line.fps, line.length, video.size, encoder, line.position, said)


def _person(
    video: Film,
    line: Timeline,
    found: Sequence[dict[str, np.ndarray]],
    track: np.ndarray,
    names: tuple[str, ...],
    boxes: bool,
    feature_name: str,
    provenance: Provenance,
) -> Person:
    seen = track >= 0
    first = int(np.argmax(seen))

    def gathered(name: str) -> np.ndarray:
        one = found[first][name][track[first]]
        rows = [f[name][k] if k >= 0 else np.zeros_like(one) for f, k in zip(found, track)]
        return np.asarray(rows, np.float32)

    confidence = np.clip(gathered("confidence"), 0.0, 1.0)
    sure = seen[:, None] & (confidence > 0)
    uv, sure_there = line.place(to_file_pixels(video, gathered("uv")), sure)
    confidence = np.where(sure_there, line.place(confidence, sure)[0], 0.0)
    known = line.place(seen, seen)[1]
    box = line.place(_corners(video, gathered("box")), seen)[0] if boxes else _around(uv, confidence)
    pos3d = line.place(gathered("pos3d"), sure)[0] if "pos3d" in found[first] else None
    keypoints = Keypoints(uv.astype(np.float32), confidence, names, line.fps, video.size, pos3d, provenance)
    features = None
    if "features" in found[first]:
        values, valid = line.place(gathered("features"), seen)
        features = VideoFeatures(values, valid, line.fps, feature_name, provenance)
    return Person(box.astype(np.float32), known, keypoints, features)


def to_file_pixels(video: Film, uv: np.ndarray) -> np.ndarray:
    """Pixels of the delivered pictures ``(..., 2)`` as pixels of the file's upright pictures."""
    return (uv + 0.5) * np.asarray(video.scale) - 0.5 + np.asarray(video.origin)


def _corners(video: Film, box: np.ndarray) -> np.ndarray:
    return to_file_pixels(video, box.reshape(-1, 2, 2)).reshape(-1, 4)


def _around(uv: np.ndarray, confidence: np.ndarray, least: float = 0.3) -> np.ndarray:
    """Boxes (T, 4) around the points of at least this confidence; zeros where there is none."""
    sure = (confidence >= least)[..., None]
    low = np.where(sure, uv, np.inf).min(1)
    high = np.where(sure, uv, -np.inf).max(1)
    return np.where(sure.any(1), np.concatenate([low, high], -1), 0.0)
