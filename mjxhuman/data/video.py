"""Video files: upright pictures with their true times, one after the other, in bounded memory.

Decoding is PyAV's (FFmpeg), which the extra ``mjxhuman[video]`` installs. What a file says about its frames is used and
what it does not is noted: rotation of phone videos, non-square pixels, times of a variable frame rate, frames that are
damaged or missing.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.data.errors import MotionFileError
from mjxhuman.runs import optional

#: Longer side in px that pictures are shrunk to for an encoder: a person of half the height still has 500 px.
MAX_SIDE = 1920

#: Rates that times measured in coarse ticks are taken for, Hz.
COMMON_RATES = (8, 10, 12, 12.5, 15, 16, 20, 24000 / 1001, 24, 25, 30000 / 1001, 30, 48, 50, 60000 / 1001, 60, 90, 100,
                120000 / 1001, 120, 200, 240)  # fmt: skip

# Share of a frame's duration that times of a constant rate may be off by: containers round them to 1 ms or 1/90 s.
_JITTER = 0.2
# Share of the frames that may be missing before a rate counts as variable.
_MISSING = 0.1
# Frames further apart than so many usual intervals have a gap between them that nothing is interpolated across.
_GAP = 2.5


@dataclasses.dataclass(frozen=True)
class Picture:
    """One decoded frame."""

    time: float  # s, the first frame's is 0
    image: Any  # (H, W, 3) uint8 RGB, upright, square pixels; NumPy where it comes from a file


class Video:
    """A video file. Iterating over it decodes it once more from the start, holding one frame at a time.

    Args:
      path: any file FFmpeg can decode.
      fps: the rate the film was shot at, where the file says another one (slow motion).
      max_side: pictures with a longer side are shrunk to it (px); None for never.
      region: x0, y0, x1, y1 in px of the upright picture: only this part is delivered.

    Attributes:
      size: width and height of the upright picture in the file's own pixels.
      scale: own pixels per pixel of a delivered picture, (x, y).
      origin: the own pixel at the upper left corner of a delivered picture, (x, y).
      rate: frames per second as the file states it (an average for variable rates), None if it does not.
      frames: number of frames as stated or from the duration, None if unknown.
      notes: what was noticed; complete after an iteration.
      watch: called after each picture of an iteration, for a bar.

    Raises:
      FileNotFoundError: no such file.
      ImportError: PyAV is not installed; the message says how to.
      MotionFileError: not a video, or no picture in it, or none in the region.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fps: float | None = None,
        max_side: int | None = MAX_SIDE,
        region: tuple[float, float, float, float] | None = None,
    ) -> None:
        self.path = Path(path)
        self.given_fps = fps
        self.notes: list[str] = []
        self.watch: Callable[[], object] = lambda: None
        self._av = _pyav(self.path)
        self._damaged = self._late = 0
        with self._open() as container:
            stream = self._stream(container)
            self.rate = float(stream.average_rate) if stream.average_rate else None
            seconds = container.duration / self._av.time_base if container.duration else None
            self.frames = stream.frames or (round(seconds * self.rate) if seconds and self.rate else None)
            self._seconds = seconds
            ratio = stream.sample_aspect_ratio
            first = next(self._decoded(container, stream), None)
        if first is None:
            raise self.error("frames", "none that can be decoded", "a video with pictures in it")
        self._turns = round(first.rotation / 90.0) % 4
        width, height = _square(first, ratio)
        self.size: tuple[int, int] = (height, width) if self._turns % 2 else (width, height)
        self._place(region, max_side)
        if self._turns:
            self.note(f"turned by {90 * self._turns} degrees as the file says")
        if ratio and float(ratio) != 1.0:
            self.note(f"pixels {ratio} as wide as high, made square")

    def _place(self, region: tuple[float, float, float, float] | None, max_side: int | None) -> None:
        """Which part is delivered, and how large."""
        width, height = self.size
        x0, y0, x1, y1 = (0, 0, width, height) if region is None else (round(x) for x in region)
        self._part = (slice(max(y0, 0), min(y1, height)), slice(max(x0, 0), min(x1, width)))
        high, wide = (part.stop - part.start for part in self._part)
        if min(high, wide) < 1:
            raise self.error("region", f"{x0},{y0},{x1},{y1}", f"a part of the {width}x{height} px picture")
        shrink = min(1.0, max_side / max(wide, high)) if max_side else 1.0
        self._target = max(1, round(wide * shrink)), max(1, round(high * shrink))
        self.scale: tuple[float, float] = (wide / self._target[0], high / self._target[1])
        self.origin: tuple[int, int] = (self._part[1].start, self._part[0].start)
        if region is not None:
            self.note(f"only the part {x0},{y0},{x1},{y1} px of the {width}x{height} px picture is looked at")
        if shrink < 1.0:
            self.note(f"pictures of {wide}x{high} px shrunk to {self._target[0]}x{self._target[1]} px")

    def timeline(self, times: Sequence[float]) -> Timeline:
        """The constant rate for the times of an iteration; its notes join those of the file.

        Raises:
          MotionFileError: a single frame without a rate.
        """
        try:
            line = timeline(np.asarray(times, float), self.rate, self.given_fps)
        except ValueError as error:
            raise self.error("frame rate", "none", str(error)) from None
        for sentence in line.notes:
            self.note(sentence)
        return line

    def error(self, field: str, found: object, expected: str) -> MotionFileError:
        """The error to raise about this file."""
        return MotionFileError(self.path, field, found, expected)

    def note(self, sentence: str) -> None:
        """Remember something about the file, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def __iter__(self) -> Iterator[Picture]:
        """Pictures in the order of their times. Damaged frames are left out, and counted in ``notes``."""
        self._damaged = self._late = count = 0
        start = last = -math.inf
        with self._open() as container:
            for frame in self._decoded(container, self._stream(container)):
                time = frame.time if frame.time is not None else self._counted_time(count)
                count += 1
                if frame.is_corrupt:
                    self._damaged += 1
                elif time <= last:
                    self._late += 1
                else:
                    start = time if start == -math.inf else start
                    last = time
                    yield Picture(time - start, self._image(frame))
                    self.watch()
        self._conclude(last)

    def _conclude(self, last: float) -> None:
        if last == -math.inf:
            raise self.error("frames", f"{self._damaged} damaged ones only", "pictures that can be decoded")
        if self._damaged:
            self.note(f"{self._damaged} damaged frames left out")
        if self._late:
            self.note(f"{self._late} frames without a time of their own left out")
        if self._seconds and self._seconds - last > max(0.5, 0.1 * self._seconds):
            self.note(f"pictures end at {last:.1f} s of the {self._seconds:.1f} s that the file states")

    def _counted_time(self, count: int) -> float:
        if not self.rate:
            raise self.error("times", "none, and no frame rate", "times of the frames, or a container that has them")
        self.note(f"frames carry no times: counted at {self.rate:g} Hz")
        return count / self.rate

    def _open(self) -> Any:
        try:
            return self._av.open(str(self.path))
        except FileNotFoundError:
            raise
        except (self._av.error.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise self.error("file", f"no video that can be opened ({reason})", "a video file") from None

    def _stream(self, container: Any) -> Any:
        pictures = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
        if not pictures:
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
            raise self.error("streams", kinds, "a video stream")
        pictures[0].thread_type = "NONE"  # with threads, FFmpeg does not tell which frames are damaged
        return pictures[0]

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        """Frames; packets that cannot be decoded are counted, and what follows them goes on."""
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (self._av.error.FFmpegError, OSError) as error:
                self.note(f"the file cannot be read to its end ({getattr(error, 'strerror', None) or error})")
                return
            try:
                frames = packet.decode()
            except self._av.error.FFmpegError:
                self._damaged += 1
                continue
            yield from frames

    def _image(self, frame: Any) -> np.ndarray:
        whole = self._part == (slice(0, self.size[1]), slice(0, self.size[0]))
        width, height = self._target if whole else self.size
        if self._turns % 2:
            width, height = height, width
        image = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA").to_ndarray()
        image = np.ascontiguousarray(np.rot90(image, self._turns)[() if whole else self._part])
        if whole or image.shape[1::-1] == self._target:
            return image
        small = self._av.VideoFrame.from_ndarray(image, format="rgb24")
        return small.reformat(*self._target, interpolation="AREA").to_ndarray()


class VideoArray:
    """Frames in memory under the same interface as ``Video``.

    Args:
      frames: (T, H, W, 3) uint8 RGB; NumPy, or an array of JAX or torch where the encoder takes these.
      fps: frames per second.
      name: what the clip is called in errors.

    Raises:
      ValueError: another shape or type, or no frames.
    """

    def __init__(self, frames: Any, fps: float, name: str = "video") -> None:
        shape = tuple(frames.shape)
        if len(shape) != 4 or shape[-1] != 3 or not str(frames.dtype).endswith("uint8") or 0 in shape:
            raise ValueError(f"{name}: expected (T, H, W, 3) uint8, found {shape} {frames.dtype}")
        if not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"{name}: fps: expected a positive number of frames per second, found {fps}")
        self.path = Path(name)
        self.images = frames
        self.rate: float | None = float(fps)
        self.given_fps: float | None = None
        self.size = (shape[2], shape[1])
        self.scale, self.origin = (1.0, 1.0), (0, 0)
        self.frames: int | None = len(frames)
        self.notes: list[str] = []

    def error(self, field: str, found: object, expected: str) -> MotionFileError:
        """The error to raise about these frames."""
        return MotionFileError(self.path, field, found, expected)

    def timeline(self, times: Sequence[float]) -> Timeline:
        """Every frame at its own place."""
        return Timeline(float(self.rate or 0.0), len(self.images), np.arange(len(self.images), dtype=float), True)

    def __iter__(self) -> Iterator[Picture]:
        assert self.rate is not None
        for k, image in enumerate(self.images):
            yield Picture(k / self.rate, image)


def _square(frame: Any, ratio: Any) -> tuple[int, int]:
    """Width and height of a frame with pixels of ``ratio`` (width by height) made square."""
    return (round(frame.width * float(ratio)) if ratio else frame.width), frame.height


def _pyav(path: Path) -> Any:
    av = optional("av", "video", f"{path}: reading a video")
    av.logging.set_level(av.logging.PANIC)  # what FFmpeg has to say is said by errors and notes
    return av


@dataclasses.dataclass(frozen=True)
class Timeline:
    """A constant rate laid over the times of frames.

    ``place`` brings per-frame values onto it: at a constant rate each frame has its own place and a missing frame
    leaves a gap; at a variable rate values are interpolated between neighbouring frames.
    """

    fps: float
    length: int  # frames of the constant rate
    position: np.ndarray  # (N,) where each decoded frame lies, in frames of the constant rate
    constant: bool
    notes: tuple[str, ...] = ()

    def place(self, values: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values on the constant rate.

        Args:
          values: (N, ...) per decoded frame.
          seen: bool, (N) or with more of the values' axes.

        Returns:
          Values (T, ...), zeros where not seen, and what is seen, (T) or with the axes of ``seen``.
        """
        before, after, share, known = self._neighbours()
        values, seen = np.asarray(values), np.asarray(seen, bool)
        known = known.reshape(-1, *[1] * (seen.ndim - 1)) & seen[before] & seen[after]
        weight = share.reshape(-1, *[1] * (values.ndim - 1))
        placed = values[before] * (1.0 - weight) + values[after] * weight
        wide = known.reshape(*known.shape, *[1] * (values.ndim - known.ndim))
        return np.where(wide, placed, 0.0).astype(values.dtype), known

    def nearest(self) -> np.ndarray:
        """For each frame of the constant rate the decoded frame nearest in time, (T,) int."""
        before, after, share, _ = self._neighbours()
        return np.where(share > 0.5, after, before)

    def _neighbours(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        grid = np.arange(self.length, dtype=float)
        after = np.clip(np.searchsorted(self.position, grid - 1e-6), 0, len(self.position) - 1)
        exact = np.abs(self.position[after] - grid) < 1e-6
        before = np.where(exact, after, np.maximum(after - 1, 0))
        width = self.position[after] - self.position[before]
        share = np.where(width > 0, (grid - self.position[before]) / np.where(width > 0, width, 1.0), 0.0)
        known = exact if self.constant else exact | ((width > 0) & (width <= _GAP))
        return before, after, np.clip(share, 0.0, 1.0), known


def timeline(times: np.ndarray, stated: float | None = None, given: float | None = None) -> Timeline:
    """The constant rate that frames at ``times`` have, or are brought to.

    Args:
      times: (N,) s, increasing, from 0.
      stated: the rate that the file states, Hz; taken where the times agree with it.
      given: the rate that the caller states: the film was shot at this one (slow motion), times are scaled to it.

    Raises:
      ValueError: one frame and no rate.
    """
    times = np.asarray(times, float)
    if len(times) < 2:
        rate = given or stated
        if not rate:
            raise ValueError("one frame without a frame rate: expected the argument fps=")
        return Timeline(float(rate), len(times), np.zeros(len(times)), True)
    interval = float(np.median(np.diff(times)))
    index = np.concatenate([[0.0], np.cumsum(np.rint(np.diff(times) / interval))])
    seconds = times[-1] - times[0]
    rate = _usual_rate(index[-1] / seconds, seconds, stated)
    even = np.abs(times * rate - index).max() <= _JITTER and (np.diff(index) > 0).all()
    constant = bool(even and len(times) >= (1.0 - _MISSING) * (index[-1] + 1))
    notes: list[str] = []
    if constant:
        position = index
        missing = int(index[-1]) + 1 - len(times)
        if missing:
            notes.append(f"{missing} frames missing between others: not seen there")
    else:
        rate = _usual_rate(1.0 / interval, interval, None)
        position = times * rate
        low, high = 1.0 / np.diff(times).max(), 1.0 / np.diff(times).min()
        notes.append(
            f"variable frame rate ({low:.3g} to {high:.3g} Hz): what is seen in the frames is interpolated to a "
            f"constant {rate:.6g} Hz"
        )
    if given:
        if not math.isclose(given, rate, rel_tol=1e-3):
            notes.append(f"frame rate {given:g} Hz as the caller says, although the file says {rate:.6g} Hz")
        rate = given
    return Timeline(float(rate), int(math.floor(position[-1] + 1e-6)) + 1, position, constant, tuple(notes))


def _usual_rate(measured: float, seconds: float, stated: float | None) -> float:
    """The stated or else the nearest common rate, if over ``seconds`` it drifts by less than a tenth of a frame from
    the measured one (which times in ticks of 1 to 10 ms blur); else the measured."""
    candidates = ([stated] if stated else []) + sorted(COMMON_RATES, key=lambda rate: abs(rate - measured))
    near = [rate for rate in candidates if abs(rate - measured) * seconds <= max(0.1, 1e-4 * measured * seconds)]
    return near[0] if near else measured
