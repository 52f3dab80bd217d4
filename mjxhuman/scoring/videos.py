"""How physically plausible the human motion in videos is: the reward for post-training a video generator.

    from mjxhuman.scoring.videos import reward
    scores = reward(videos, fps=16)      # (B, T, 3, H, W) or (B, T, H, W, 3); torch, NumPy or JAX; uint8 or 0..1
    scores.total, scores.valid           # (B,) NaN where not valid: leave those samples out of the update

Each video goes through an encoder (keypoints of everyone, processes in parallel), the whole-clip fit of a body, and the
physics of its motion at the video's own frame rate; while one video is fitted and scored the next ones are encoded.
A video that cannot be scored (nobody in it, too little seen, numbers that are not finite) is marked invalid with the
reason, and changes nothing for the others. The same videos give the same scores.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import Any

import numpy as np

from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.video import VideoArray
from mjxhuman.encoders.base import Encoder, Encoding
from mjxhuman.encoders.registry import encoder_table, make_encoder
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.recovery.load import from_encoding
from mjxhuman.rewards.score import score
from mjxhuman.runs.environment import cpu_count
from mjxhuman.scoring.batches import frame_rates, reason_of, stacked
from mjxhuman.types import Scores

#: Share of the frames in which the person must be seen for a video to be scored: what is hidden earns nothing.
LEAST_SEEN = 0.5
# Numbers a float picture may go beyond 0..1 by, from rounding.
_SLACK = 1e-3
# The fit and the physics use one device; their programs are run one after the other.
_PHYSICS = threading.Lock()


class VideoReward:
    """A reward with its encoder's processes kept running between calls. Usable from several threads.

    Args:
      encoder: name (``mjxhuman.encoders.encoder_table``), or an encoder.
      weights: folder of the encoder's weights, where it does not bring its own.
      model: which of the encoder's networks, where there is a choice; None takes the best that is installed.
      reward: "feasibility" or "phymotion", as ``mjxhuman.score``.
      humanoid: the body; None takes the built-in one at each subject's stature.
      ground: how the motion is put on the floor, as ``mjxhuman.load_motion``.
      workers: videos encoded at the same time; by default one per core, at most 8.
      channels: where the three colour channels are: "first" (T, 3, H, W), "last" (T, H, W, 3), or "auto".

    Raises:
      ValueError: an unknown encoder or argument. ImportError, NotInstalled: something the encoder needs is missing.
    """

    def __init__(
        self,
        encoder: str | Encoder = "blazepose",
        *,
        weights: str | None = None,
        model: str | None = None,
        reward: str = "feasibility",
        humanoid: Humanoid | None = None,
        ground: str = "stance",
        workers: int | None = None,
        channels: str = "auto",
    ) -> None:
        if channels not in ("auto", "first", "last"):
            raise ValueError(f"channels: expected auto, first or last, found {channels!r}")
        self._workers = min(8, cpu_count()) if workers is None else workers
        if self._workers < 1:
            raise ValueError(f"workers: expected at least 1, found {workers}")
        self._encoder = _encoder(encoder, weights, model, self._workers)
        self._reward, self._humanoid, self._ground, self._channels = reward, humanoid, ground, channels

    def __call__(self, videos: Any, fps: float | Sequence[float], prompts: Sequence[str] | None = None) -> Scores:
        """Score a batch.

        Args:
          videos: an array (B, T, ...), or a sequence of arrays (T, ...) of any lengths and sizes; see ``channels``.
            Floats are 0..1.
          fps: frames per second, of all or of each. It is the time scale of everything physical: a wrong rate is a
            wrong score.
          prompts: taken because trainers hand them over; the score looks at the motion only.

        Returns:
          ``Scores`` with a batch axis: ``total (B,)``, ``axes``, ``terms`` (and ``person_seen``, the share of frames in
          which the person is seen), ``valid``, and a tuple of reasons. Per-frame scores are left out.

        Raises:
          ValueError: shapes, types or numbers of rates or prompts that do not fit: an error of the caller, not of a
            video.
        """
        if not isinstance(videos, (Sequence, Iterator)) and not np.ndim(videos) > 0:
            raise ValueError(f"videos: expected a batch of arrays, found {type(videos).__name__}")
        clips = list(videos)
        rates = frame_rates("videos", "videos", len(clips), fps, prompts)
        stay = self._encoder.takes_device_arrays
        readers = [_reader(clip, self._channels, f"videos[{i}]", stay) for i, clip in enumerate(clips)]
        encodings = enumerate(self._encoded(readers, rates))
        return stacked([self._scored(item, f"videos[{i}]") for i, item in encodings], self._reward)

    def close(self) -> None:
        """Stop the encoder's processes; the next call starts them again."""
        self._encoder.close()

    def _encoded(self, readers: Sequence[Callable[[], Any]], rates: Sequence[float]) -> Iterator[Any]:
        """An encoding per video in order, or the error it ended in; those to come are encoded meanwhile."""

        def encode(index: int) -> Encoding | Exception:
            try:
                frames = readers[index]()
                return self._encoder.encode(VideoArray(frames, rates[index], f"videos[{index}]"))
            except (ValueError, RuntimeError) as error:
                return error

        with futures.ThreadPoolExecutor(self._workers, thread_name_prefix="mjxhuman-encode") as pool:
            yield from pool.map(encode, range(len(readers)))

    def _scored(self, encoding: Encoding | Exception, name: str) -> Scores | str:
        """Scores of one video, or why there are none."""
        if isinstance(encoding, Exception):
            return reason_of(encoding)
        seen = float(encoding.people[0].seen.mean()) if encoding.people else 0.0
        if encoding.people and seen < LEAST_SEEN:
            least = f"{LEAST_SEEN:.0%} or more"
            return f"{name}: the person is seen in {seen:.0%} of {encoding.frames} frames, expected {least}"
        try:
            with _PHYSICS:
                motion = from_encoding(encoding, name, self._humanoid, self._ground).motion
                scores = score(motion, self._reward)
        except ValueError as error:
            return reason_of(error)
        if not bool(np.asarray(scores.valid)):
            return str(scores.reason)
        return scores.replace(terms={**scores.terms, "person_seen": np.float32(seen)})  # type: ignore[attr-defined]


@functools.lru_cache(maxsize=2)
def _shared(**options: Any) -> VideoReward:
    return VideoReward(**options)


def reward(videos: Any, fps: float | Sequence[float], prompts: Sequence[str] | None = None, **options: Any) -> Scores:
    """``VideoReward(**options)(videos, fps, prompts)``; calls with the same options share one object."""
    return _shared(**options)(videos, fps, prompts)


def _encoder(encoder: str | Encoder, weights: str | None, model: str | None, workers: int) -> Encoder:
    if not isinstance(encoder, str):
        return encoder
    options: dict[str, Any] = {"model": model} | ({} if weights is None else {"weights": weights})
    if encoder in encoder_table() and encoder_table()[encoder].processes:
        options["processes"] = workers
    return make_encoder(encoder, **options)


def _reader(clip: Any, channels: str, name: str, stay: bool) -> Callable[[], Any]:
    """A function that makes (T, H, W, 3) uint8 of a clip; shape and type are checked now, numbers when it is called.

    With ``stay`` the result is an array of the clip's own kind on its own device, otherwise NumPy's.
    """
    shape, kind = tuple(getattr(clip, "shape", ())), str(getattr(clip, "dtype", type(clip).__name__))
    first, last = len(shape) == 4 and shape[1] == 3, len(shape) == 4 and shape[3] == 3
    if channels == "auto" and first and last:
        raise ValueError(f"{name}: shape {shape} can be read both ways, expected channels='first' or 'last'")
    is_first = first if channels == "auto" else channels == "first"
    if not (first if is_first else last):
        raise ValueError(f"{name}: expected (T, 3, H, W) or (T, H, W, 3), found shape {shape} of {kind}")
    if "float" not in kind and "uint8" not in kind:
        raise ValueError(f"{name}: expected uint8 or floats from 0 to 1, found {kind}")

    def read() -> Any:
        array = clip.detach() if hasattr(clip, "detach") else clip
        bytes_ = _as_bytes(array, name) if "float" in kind else array
        turned = bytes_.swapaxes(1, 2).swapaxes(2, 3) if is_first else bytes_
        if stay:
            return turned.contiguous() if hasattr(turned, "contiguous") else turned
        return np.ascontiguousarray(turned.cpu().numpy() if hasattr(turned, "cpu") else turned)

    return read


def _as_bytes(clip: Any, name: str) -> Any:
    """Colours from 0 to 1 as uint8, where the clip lies: a quarter of it has to cross from a GPU."""
    clip = clip.float() if hasattr(clip, "float") else clip.astype(np.float32)
    low, high = float(clip.min()), float(clip.max())
    if not (low >= -_SLACK and high <= 1.0 + _SLACK):
        raise MotionFileError(name, "numbers", f"{low:g} to {high:g}", "colours from 0 to 1")
    whole = (clip * 255.0).round().clip(0.0, 255.0)
    return whole.byte() if hasattr(whole, "byte") else whole.astype(np.uint8)
