"""The errors of pose estimators, drawn: where points are found, how sure the source is, what is lost or exchanged.

Sizes are shares of the diagonal of the box around the person. Those of "detector" were measured on the four cameras of
Pose2Sim's balancing trial (OpenPose BODY_25B against its triangulation, which flatters each camera by a tenth or two);
those of "blazepose" on two of its videos.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.signal import lfilter

from mjxhuman.data.keypoint_names import mirrored_name


@dataclasses.dataclass(frozen=True)
class DetectionNoise:
    """How far off detections are, and how often what happens."""

    wander: float = 0.0055  # standard deviation along each axis of an error that lasts ``wander_time``
    wander_time: float = 0.1  # s, of its correlation exp(-t / time)
    jitter: float = 0.002  # standard deviation of what is new in each frame
    bias: float = 0.008  # standard deviation along each axis of an error that lasts ``bias_time``, of points in view
    bias_hidden: float = 0.03  # and of points behind the body
    bias_time: float = 4.0  # s
    outliers: float = 0.010  # share of points that are elsewhere for a frame
    outlier: float = 0.07  # how far
    missing: float = 0.03  # share of points that are not found
    missing_time: float = 0.05  # s, mean length
    hidden_rate: float = 0.15  # /s, a limb goes behind something for ``hidden_time``
    hidden_time: tuple[float, float] = (0.15, 0.7)  # s
    exchanged_rate: float = 0.02  # /s, legs or arms change sides for ``exchanged_time``
    exchanged_time: tuple[float, float] = (0.05, 0.3)  # s
    mirrored: float = 0.0  # share of the frames seen from behind in which all sides are exchanged
    mirrored_time: tuple[float, float] = (0.02, 0.4)  # s
    doubt: float = 0.18  # standard deviation of what confidences lack of their best
    confidence: float = 0.72  # the source's word for points that it finds well


#: "clean" is the projection. "blazepose" mixes up sides where it sees a back, and does not doubt it.
PRESETS = {
    "clean": DetectionNoise(
        wander=0.0, jitter=0.0, bias=0.0, bias_hidden=0.0, outliers=0.0, missing=0.0, hidden_rate=0.0,
        exchanged_rate=0.0, doubt=0.0,
    ),
    "detector": DetectionNoise(),
    "blazepose": DetectionNoise(
        wander=0.008, bias=0.009, missing=0.0, exchanged_rate=0.1, mirrored=0.3, confidence=0.97
    ),
    "occluded": DetectionNoise(missing=0.08, hidden_rate=1.0, hidden_time=(0.3, 1.0)),
}  # fmt: skip

#: Points that are off half as much again as the others.
_LOOSE = ("Wrist", "BigToe", "SmallToe", "FootIndex", "Index", "Pinky", "Thumb")
_LOOSENESS = 1.5
#: Relative confidence, and how many times the usual error goes with it. Above 0.75 it says nothing.
_SAID, _MEANT = (0.2, 0.35, 0.5, 0.75), (8.0, 5.0, 2.0, 1.0)
#: s that a doubt lasts; what the confidence of hidden points lacks besides.
_DOUBT_TIME, _DOUBT_HIDDEN = 0.2, 0.15
#: Limbs that are hidden one by one, and that change sides in pairs.
_LEG, _ARM = ("Knee", "Ankle", "Heel", "BigToe", "SmallToe", "FootIndex"), ("Elbow", "Wrist", "Index", "Pinky", "Thumb")
_LEGS, _ARMS = ("Hip", *_LEG), ("Shoulder", *_ARM)


class Draw:
    """Draws for T frames of K points, in a fixed order of calls."""

    def __init__(self, noise: DetectionNoise, names: Sequence[str], frames: int, fps: float, seed: int) -> None:
        self.noise, self.frames, self.fps = noise, frames, fps
        self.rng = np.random.default_rng(seed)
        self.bare = [name[1:] if name[:1] in "LR" and name[1:2].isupper() else name for name in names]
        self.side = [name[0] if name != bare else "" for name, bare in zip(names, self.bare, strict=True)]
        index = {name: k for k, name in enumerate(names)}
        self.other = np.array([index.get(mirrored_name(name), k) for name, k in index.items()])

    def confidence(self, hidden: np.ndarray) -> np.ndarray:
        """Relative confidences (T, K) in 0.2 to 1; ``hidden (T, K)`` are points behind the body."""
        doubt = self.noise.doubt * np.abs(self._correlated(_DOUBT_TIME))
        return np.clip(1.0 - doubt - _DOUBT_HIDDEN * hidden * (self.noise.doubt > 0), _SAID[0], 1.0)

    def errors(self, share: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """Errors (T, K, 2) of points of relative confidence ``share (T, K)``."""
        noise, rng = self.noise, self.rng
        loose = np.where(np.isin(self.bare, _LOOSE), _LOOSENESS, 1.0)[:, None]
        short = noise.wander * self._correlated(noise.wander_time, 2) + noise.jitter * self._correlated(0.0, 2)
        scale = np.interp(share, _SAID, _MEANT)[..., None]
        lasting = np.where(hidden[..., None], noise.bias_hidden, noise.bias)
        error = loose * scale * short + lasting * self._correlated(noise.bias_time, 2)
        turn = rng.uniform(0, 2 * np.pi, share.shape)
        away = noise.outlier * np.stack([np.cos(turn), np.sin(turn)], -1)
        return error + np.where(rng.uniform(size=share.shape)[..., None] < noise.outliers, away, 0.0)

    def exchanged(self, values: np.ndarray, behind: np.ndarray) -> np.ndarray:
        """Points ``values (T, K, C)`` with sides exchanged in some frames; ``behind (T,)`` are seen from behind."""
        noise = self.noise
        for limb in (_LEGS, _ARMS):
            frames = self._spells(noise.exchanged_rate, noise.exchanged_time)
            values = self._swap(values, frames, np.isin(self.bare, limb))
        mean = 0.5 * sum(noise.mirrored_time)
        rate = noise.mirrored / max(1e-9, 1.0 - noise.mirrored) / mean
        return self._swap(values, self._spells(rate, noise.mirrored_time) & behind, np.ones(len(self.bare), bool))

    def lost(self) -> np.ndarray:
        """Points (T, K) that are not found."""
        noise, count = self.noise, len(self.bare)
        rate = noise.missing / max(1e-9, 1.0 - noise.missing) / noise.missing_time
        lost = np.stack([self._spells(rate, (0.0, 2 * noise.missing_time)) for _ in range(count)], -1)
        for limb in (_LEG, _ARM):
            for side in "LR":
                of = np.array([s == side and bare in limb for s, bare in zip(self.side, self.bare, strict=True)])
                lost |= self._spells(noise.hidden_rate, noise.hidden_time)[:, None] & of
        return lost

    def _correlated(self, time: float, axes: int | None = None) -> np.ndarray:
        """Unit Gaussian noise (T, K) or (T, K, axes) with the correlation exp(-t / time)."""
        shape = (self.frames, len(self.bare), *([] if axes is None else [axes]))
        white = self.rng.normal(size=shape)
        keep = np.exp(-1.0 / (self.fps * time)) if time > 0 else 0.0
        white[1:] *= np.sqrt(1.0 - keep**2)
        return lfilter([1.0], [1.0, -keep], white, axis=0)

    def _spells(self, rate: float, lengths: tuple[float, float]) -> np.ndarray:
        """Frames (T,) of spells that begin at a rate per second of the time between them; every spell has a frame."""
        inside, clock, end = np.zeros(self.frames, bool), 0.0, self.frames / self.fps
        while rate > 0 and (clock := clock + self.rng.exponential(1.0 / rate)) < end:
            length = self.rng.uniform(*lengths)
            first = int(clock * self.fps)
            inside[first : max(first + 1, round((clock + length) * self.fps))] = True
            clock += length
        return inside

    def _swap(self, values: np.ndarray, frames: np.ndarray, points: np.ndarray) -> np.ndarray:
        chosen = (frames[:, None] & points)[..., None]
        return np.where(chosen, values[:, self.other], values)
