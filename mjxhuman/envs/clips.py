"""The clips a policy learns from, as flat arrays on the device, and how starting frames are drawn from them.

A library keeps coordinates, velocities and joint torques, and the controls where there are plans (243 or 312 numbers a
frame, 105 or 135 MB per hour of motion at 30 Hz).

Every device holds the whole library: training on several devices or hosts splits the environments, not the clips, so
that any environment can start on any clip.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Bool, Float, Int, Key

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math.timeseries import longest_run
from mjxhuman.options import ClipOptions
from mjxhuman.physics.analysis import servo_torques
from mjxhuman.physics.motion import resample
from mjxhuman.recovery.load import load_clip
from mjxhuman.scenes.surface import Surface
from mjxhuman.types import Array, Motion

#: Fewest frames of a clip (PHC, ``motion_lib_base.py``: 5): shorter ones hold no motion to track.
MIN_FRAMES = 5

#: Length (s) of the segments whose difficulty is counted apart, as in BeyondMimic's adaptive sampling.
SEGMENT_SECONDS = 1.0


@struct.dataclass
class ClipLibrary:
    """All frames of all clips (C clips, F frames, K segments) of one humanoid at one frame rate."""

    qpos: Float[Array, "F nq"]
    qvel: Float[Array, "F nv"]  # MuJoCo convention
    torque: Float[Array, "F nu"]  # N m, what the joints supply by inverse dynamics (``physics.analysis.servo_torques``)
    control: Float[Array, "F nu"] | None  # rad, servo targets that made a plan, NaN in other clips; None: no plans
    start: Int[Array, " C"]  # first frame of each clip
    length: Int[Array, " C"]  # frames
    segment_clip: Int[Array, " K"]
    segment_start: Int[Array, " K"]  # first frame within its clip
    segment_length: Int[Array, " K"]  # frames an episode may start from
    segment_of: Int[Array, " F"]  # segment of each frame
    weight: Float[Array, " C"]  # how often a second of this clip is drawn, relative to the others
    fps: float = struct.field(pytree_node=False)
    names: tuple[str, ...] = struct.field(pytree_node=False)
    servos: tuple[tuple[str, Any], ...] | None = struct.field(pytree_node=False, default=None)  # those of the plans

    @property
    def num_clips(self) -> int:
        """C."""
        return len(self.names)

    def index(self, clip: Int[Array, "*#b"] | int, frame: Int[Array, "*#b"] | int) -> Int[Array, "*b"]:
        """Row of a clip's frame; beyond the clip's ends its first and last frame."""
        return self.start[clip] + jnp.clip(frame, 0, self.length[clip] - 1)

    def draw(self, rng: Key[Array, "*b"], probability: Float[Array, " K"]) -> tuple[Int[Array, "*b"], Int[Array, "*b"]]:
        """Clip and starting frame: a segment by ``probability``, a frame uniformly."""
        uniform = jnp.vectorize(lambda key: jax.random.uniform(key, (2,)), signature="()->(n)")(rng)
        cumulative = jnp.cumsum(probability)
        last = self.segment_clip.shape[0] - 1
        segment = jnp.minimum(jnp.searchsorted(cumulative, uniform[..., 0] * cumulative[-1], side="right"), last)
        offset = jnp.floor(uniform[..., 1] * self.segment_length[segment]).astype(jnp.int32)
        offset = jnp.minimum(offset, self.segment_length[segment] - 1)
        return self.segment_clip[segment], self.segment_start[segment] + offset


@struct.dataclass
class Curriculum:
    """How often each segment was visited and failed in, as running averages. Checkpointed with the policy."""

    visits: Float[Array, " K"]  # steps
    failures: Float[Array, " K"]  # episodes that failed there

    @staticmethod
    def zeros(library: ClipLibrary) -> Curriculum:
        """Nothing known yet: every segment is drawn in proportion to its length and its clip's weight."""
        count = library.segment_clip.shape[0]
        return Curriculum(jnp.zeros(count), jnp.zeros(count))

    def update(self, segment: Int[Array, "*b"], failed: Bool[Array, "*b"], memory: float) -> Curriculum:
        """With the steps of one iteration; the past weighs ``memory``."""
        count = self.visits.shape[0]
        flat = segment.reshape(-1)
        visits = jnp.zeros(count).at[flat].add(1.0)
        failures = jnp.zeros(count).at[flat].add(failed.reshape(-1).astype(jnp.float32))
        found = {"visits": memory * self.visits + visits, "failures": memory * self.failures + failures}
        return dataclasses.replace(self, **found)

    def probability(self, library: ClipLibrary, uniform: float, favour: str = "failing") -> Float[Array, " K"]:
        """Probability of drawing each segment.

        A share ``uniform`` goes by length and clip weight; the rest by the estimated rate of failure in the segment or
        the one after it, because a fall is prepared before it happens (hard negatives of PHC, ``im_amp.py``, with the
        segments of BeyondMimic, arXiv 2508.08241).

        With "learnable" the rest goes by p (1 - p), p the probability of failing within a second there: nothing is
        learned where all or nothing fails (Tzannetos et al. 2023, arXiv 2304.12877).
        """
        size = library.segment_length * library.weight[library.segment_clip]
        base = size / jnp.sum(size)
        # one imagined failure per 300 steps keeps segments nobody has visited worth a visit
        rate = (self.failures + 1.0) / (self.visits + 300.0)
        same_clip = library.segment_clip == jnp.roll(library.segment_clip, -1)
        after = jnp.where(same_clip & (jnp.arange(rate.size) < rate.size - 1), jnp.roll(rate, -1), rate)
        worse = jnp.maximum(rate, after)
        if favour == "learnable":
            kept = (1.0 - jnp.minimum(worse, 1.0)) ** library.fps
            worse = kept * (1.0 - kept)
        hard = size * worse
        return uniform * base + (1.0 - uniform) * hard / jnp.sum(hard)


def make_library(
    motions: Sequence[Motion], fps: float, weights: Sequence[float] | None = None, surface: Surface | None = None
) -> ClipLibrary:
    """Put motions of one humanoid on the device, resampled to ``fps``.

    Each motion keeps its longest run of valid frames, and its joint torques are computed (``physics.analyse``), carried
    by ``surface``, by default the level floor. Motions with controls (plans) keep them.

    Raises:
        ValueError: no motions, motions of different humanoids, one without ``MIN_FRAMES`` valid frames in a row, plans
            at another frame rate or of bodies with different servos.
    """
    if not motions:
        raise ValueError("motions: expected at least one clip, found none")
    humanoid = motions[0].humanoid
    arrays, servos = [], None
    for motion in motions:
        name = motion.provenance.path or "a motion"
        if motion.humanoid is not humanoid:
            raise ValueError(
                f"{name}: expected a motion of {humanoid.description} like the first clip, found one of "
                f"{motion.humanoid.description}; load all files with the same humanoid"
            )
        same_rate = abs(motion.fps - fps) < 1e-4
        if motion.controls is not None:
            if not same_rate:
                raise ValueError(f"{name}: found a plan at {motion.fps:g} Hz, expected the control rate, {fps:g} Hz")
            if servos not in (None, motion.controls.servos):
                raise ValueError(f"{name}: found a plan for servos {motion.controls.servos}, the first has {servos}")
            servos = motion.controls.servos
        arrays.append(_longest_run(motion if same_rate else resample(motion, fps), name, surface))
    weight = np.ones(len(arrays)) if weights is None else np.asarray(weights, float)
    if weight.shape != (len(arrays),) or not (np.all(weight >= 0) and np.sum(weight) > 0):
        raise ValueError(f"weights: expected {len(arrays)} numbers >= 0, not all zero, found {weight.tolist()}")
    return _pack(arrays, weight, [m.provenance.path or f"clip{i}" for i, m in enumerate(motions)], fps, servos)


def _longest_run(motion: Motion, name: str, surface: Surface | None) -> tuple[np.ndarray, ...]:
    first, stop = longest_run(motion.valid)
    if stop - first < MIN_FRAMES:
        raise ValueError(
            f"{name}: expected at least {MIN_FRAMES} valid frames in a row at {motion.fps:g} Hz, found {stop - first}"
        )
    torque = servo_torques(motion, surface)
    control = np.full(torque.shape, np.nan) if motion.controls is None else motion.controls.target
    return tuple(np.asarray(x, np.float32)[first:stop] for x in (motion.qpos, motion.qvel, torque, control))


def _pack(
    arrays: Sequence[tuple[np.ndarray, ...]],
    weights: np.ndarray,
    names: Sequence[str],
    fps: float,
    servos: tuple[tuple[str, Any], ...] | None = None,
) -> ClipLibrary:
    length = np.array([len(qpos) for qpos, *_ in arrays], np.int32)
    start = np.concatenate([[0], np.cumsum(length)[:-1]]).astype(np.int32)
    step = max(1, round(SEGMENT_SECONDS * fps))
    clip, first, size, of = [], [], [], np.zeros(int(length.sum()), np.int32)
    for c, frames in enumerate(length):
        # an episode needs a next frame, so the last one is no start
        for begin in range(0, int(frames) - 1, step):
            end = min(begin + step, int(frames) - 1)
            of[start[c] + begin : start[c] + frames] = len(clip)
            clip.append(c)
            first.append(begin)
            size.append(end - begin)
    qpos, qvel, torque, control = (jnp.asarray(np.concatenate(parts)) for parts in zip(*arrays))
    integers = {
        "start": start, "length": length, "segment_clip": clip, "segment_start": first, "segment_length": size,
        "segment_of": of,
    }  # fmt: skip
    return ClipLibrary(
        qpos=qpos, qvel=qvel, torque=torque, control=None if servos is None else control,
        weight=jnp.asarray(weights, jnp.float32), fps=float(fps), names=tuple(names), servos=servos,
        **{name: jnp.asarray(np.asarray(x, np.int32)) for name, x in integers.items()},
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class LoadedClips:
    """Motions that could be loaded, from which files, and why the others could not."""

    motions: list[Motion]
    paths: list[str]  # of the motions
    failed: dict[str, str]  # error of each other file


def load_clips(
    paths: Sequence[str | Path],
    humanoid: Humanoid,
    on_file: Callable[[str], None] | None = None,
    options: ClipOptions = ClipOptions(),
) -> LoadedClips:
    """Motions of files, videos and 2D keypoints on one humanoid.

    A file that cannot be loaded stops nothing and is named with its error; ``on_file`` is called after each.
    """
    clips = LoadedClips([], [], {})
    for path in paths:
        try:
            clips.motions.append(load_clip(path, humanoid, options))
            clips.paths.append(str(path))
        except (ValueError, OSError, ImportError, RuntimeError) as error:
            clips.failed[str(path)] = str(error)
        if on_file is not None:
            on_file(str(path))
    return clips
