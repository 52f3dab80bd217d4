"""Captioned recordings as windows of features: what a generator of motion learns from."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from mjxhuman.generators.motion.captions import Caption, mirrored_text
from mjxhuman.generators.motion.features import RATES, Scale, to_features
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.physics.motion import resample
from mjxhuman.physics.variations import mirrored
from mjxhuman.scoring.files import describe_error
from mjxhuman.types import Motion

#: Fewest frames of a window.
SHORTEST = 8
#: Clips are padded to multiples of so many frames, so that few programs serve all.
_BUCKET = 256


@dataclasses.dataclass(frozen=True, eq=False)
class Clips:
    """F frames of C captioned clips, mirror images among them; features are not standardised."""

    features: Float[np.ndarray, "F n"]
    start: Int[np.ndarray, " C"]  # first frame of each
    length: Int[np.ndarray, " C"]
    texts: tuple[str, ...]  # of each
    names: tuple[str, ...]  # of each, the file
    fps: float

    @property
    def seconds(self) -> float:
        """Of motion, mirror images counted."""
        return float(self.length.sum() / self.fps)

    @property
    def captions(self) -> tuple[str, ...]:
        """Every caption once, in order."""
        return tuple(dict.fromkeys(self.texts))

    def scale(self) -> Scale:
        """Mean and deviation of all frames."""
        return Scale.of(self.features)

    def only(self, which: Bool[np.ndarray, " C"]) -> Clips:
        """Some of the clips; the frames stay."""
        rows = np.flatnonzero(which)
        texts, names = (tuple(x[i] for i in rows) for x in (self.texts, self.names))
        return dataclasses.replace(self, start=self.start[rows], length=self.length[rows], texts=texts, names=names)

    def draw(
        self, generator: np.random.Generator, count: int, frames: int
    ) -> tuple[Float[np.ndarray, "B T n"], Bool[np.ndarray, "B T"], Int[np.ndarray, " B"]]:
        """Windows, which of their frames are there, and their clips.

        A clip is drawn by the root of its length, so that a long walk does not outweigh ten jumps; in clips shorter
        than a window the rest repeats the last frame and is not valid.
        """
        chance = np.sqrt(self.length)
        clip = generator.choice(len(self.length), count, p=chance / chance.sum())
        first = generator.integers(0, np.maximum(self.length[clip] - frames, 0) + 1)
        at = first[:, None] + np.arange(frames)
        valid = at < self.length[clip, None]
        rows = self.start[clip, None] + np.minimum(at, self.length[clip, None] - 1)
        return self.features[rows], valid, clip


def make_clips(
    captions: Sequence[Caption],
    load: Callable[[Caption], Motion],
    humanoid: Humanoid,
    fps: float = 30.0,
    mirror: bool = True,
    done: Callable[[], object] = lambda: None,
) -> tuple[Clips, dict[str, str]]:
    """The clips of captions, and what could not be used: error by file.

    Args:
        captions: of recordings. load: reads one whole recording as a motion of ``humanoid``.
        fps: of the features. mirror: whether mirror images count too, with left and right exchanged in the text.
        done: called after each caption.

    Raises:
        ValueError: nothing could be used.
    """
    parts: list[np.ndarray] = []
    texts: list[str] = []
    names: list[str] = []
    failed: dict[str, str] = {}
    read: dict[str, Motion] = {}
    for caption in captions:
        name = str(caption.path)
        try:
            if name not in read:
                read = {name: load(caption)}  # captions of one recording follow each other
            for text, motion in _images(caption.text, read[name], mirror):
                parts.append(_features(caption, motion, humanoid, fps))
                texts.append(text)
                names.append(caption.path.name)
        except (ValueError, OSError, ImportError, RuntimeError) as error:
            failed[name] = describe_error(error)
        done()
    if not parts:
        raise ValueError(f"captions: expected recordings that can be used, found none: {next(iter(failed.values()))}")
    length = np.array([len(part) for part in parts])
    return Clips(np.concatenate(parts), np.cumsum(length) - length, length, tuple(texts), tuple(names), fps), failed


def _images(text: str, motion: Motion, mirror: bool) -> list[tuple[str, Motion]]:
    return [(text, motion), *([(mirrored_text(text), mirrored(motion))] if mirror else [])]


def _features(caption: Caption, motion: Motion, humanoid: Humanoid, fps: float) -> np.ndarray:
    """Features of the part of a recording that a caption is of. Raises ValueError: too few frames, or invalid ones."""
    motion = motion if abs(motion.fps - fps) < 1e-3 else resample(motion, fps)
    stop = motion.num_frames if caption.end is None else min(round(caption.end * fps), motion.num_frames)
    part = slice(round(caption.start * fps), stop)
    known = np.asarray(motion.valid)[part]
    if len(known) < SHORTEST or not known.all():
        raise ValueError(
            f"{caption.path}: expected {SHORTEST} valid frames or more for {caption.text!r}, found {int(known.sum())} "
            f"of {len(known)}"
        )
    qpos = np.asarray(motion.qpos, np.float32)[part]
    count = len(qpos)
    padded = np.concatenate([qpos, np.repeat(qpos[-1:], -count % _BUCKET, 0)])
    found = np.array(_compiled(humanoid, padded, fps))[:count]
    found[-1, RATES] = found[-2, RATES]  # not those of standing still in what was padded
    return found


_compiled = functools.partial(jax.jit, static_argnums=(0, 2))(to_features)
