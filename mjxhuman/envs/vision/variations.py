"""Other clips out of a clip and its videos: what a mirror shows, another speed, a bent path; nothing is filmed again.

A video is carried along with the motion, with all errors that it has: its estimate and its rays go through the same
mirror, the same clock, and the same turn and shift of each frame, so that cameras that stood may move. ``Variations``
says which.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from mjxhuman.encoders.lifting import Rays
from mjxhuman.math import quaternion
from mjxhuman.math.timeseries import resample_times, sample_linear
from mjxhuman.physics.motion import motion_from_qpos, resample
from mjxhuman.physics.variations import Variations, bent, bent_path, mirrored, retimed
from mjxhuman.recovery.visual import VisualTrack, at_rate
from mjxhuman.types import Motion

Filmed = tuple[Motion, list[VisualTrack]]


def varied(motion: Motion, tracks: Sequence[VisualTrack], wanted: Variations) -> Iterator[Filmed]:
    """A clip's variations, each with its videos; without itself.

    Args:
        motion: the clip, T frames. tracks: its videos, frame by frame and at its frame rate.
    """
    own = motion, list(tracks)
    speeds, paths = (_retimed(own, x) for x in wanted.speeds), (_bent(own, x) for x in wanted.curvatures)
    for one in itertools.chain((own,), speeds, paths):
        if one is not own:
            yield one
        if wanted.mirror:
            yield _mirrored(one)


def _retimed(filmed: Filmed, speed: float) -> Filmed:
    """Rays between two frames are between theirs."""
    motion, tracks = filmed
    times = resample_times(motion.num_frames, motion.fps * speed, motion.fps)

    def other(track: VisualTrack) -> VisualTrack:
        estimate = motion_from_qpos(motion.humanoid, np.asarray(track.estimate), motion.fps * speed)
        qpos = np.asarray(resample(estimate, motion.fps).qpos)
        told = at_rate(dataclasses.replace(track, fps=track.fps * speed), qpos, track.fps)
        rays, others = jax.tree.map(lambda x: sample_linear(x, times), (track.rays, track.others))
        return dataclasses.replace(told, rays=rays, others=others)

    return resample(retimed(motion, speed), motion.fps), [other(track) for track in tracks]


def _bent(filmed: Filmed, curvature: float) -> Filmed:
    """Everything of a frame is turned about the recorded root and moved along with it."""
    motion, tracks = filmed
    angle, there = bent_path(motion, curvature)
    turn = np.stack([np.cos(angle / 2), 0.0 * angle, 0.0 * angle, np.sin(angle / 2)], -1)
    here, there = (np.concatenate([x, 0.0 * x[:, :1]], -1) for x in (np.asarray(motion.qpos, float)[:, :2], there))

    def carried(points: np.ndarray) -> np.ndarray:
        """Places ``(T, ..., 3)``."""
        shape = (len(turn), *[1] * (points.ndim - 2))
        return quaternion.rotate(turn.reshape(*shape, 4), points - here.reshape(*shape, 3)) + there.reshape(*shape, 3)

    def other(track: VisualTrack) -> VisualTrack:
        qpos = np.array(track.estimate, float)
        qpos[:, :3], qpos[:, 3:7] = carried(qpos[:, :3]), quaternion.multiply(turn, qpos[:, 3:7])
        return _seen(track, qpos, quaternion.multiply(turn, np.asarray(track.root_quat)), carried)

    return bent(motion, curvature), [other(track) for track in tracks]


def _mirrored(filmed: Filmed) -> Filmed:
    """Features are those of the video itself, not of its image: policies of mirrored videos must not see them."""
    motion, tracks = filmed
    known = motion.humanoid.known

    def other(track: VisualTrack) -> VisualTrack:
        estimate = mirrored(motion_from_qpos(motion.humanoid, np.asarray(track.estimate), motion.fps))
        quat = np.asarray(track.root_quat) * [1.0, -1.0, 1.0, -1.0]  # of a frame whose y axis is the lateral one
        seen = _seen(track, np.asarray(estimate.qpos), quat, lambda points: points * [1.0, -1.0, 1.0])
        sides = [seen.rays.joints.index(known.mirrored(name)) for name in seen.rays.joints]
        bodies = [known.tracked.index(known.mirrored(name)) for name in known.tracked]

        def swapped(rays: Rays) -> Rays:
            point, sure = np.asarray(rays.point)[:, sides], np.asarray(rays.confidence)[:, sides]
            return dataclasses.replace(rays, point=point, confidence=sure)

        return dataclasses.replace(
            seen, rays=swapped(seen.rays), others=tuple(swapped(rays) for rays in seen.others),
            known=np.asarray(seen.known)[:, bodies],
        )  # fmt: skip

    return mirrored(motion), [other(track) for track in tracks]


def _seen(
    track: VisualTrack, qpos: np.ndarray, root_quat: np.ndarray, carried: Callable[[np.ndarray], np.ndarray]
) -> VisualTrack:
    """A track with another estimate, its rays carried elsewhere."""

    def elsewhere(rays: Rays) -> Rays:
        origin, point = (carried(np.asarray(x, float)) for x in (rays.origin, rays.point))
        return dataclasses.replace(rays, origin=origin, point=point)

    rays, others = elsewhere(track.rays), tuple(elsewhere(one) for one in track.others)
    return dataclasses.replace(track, estimate=qpos, root_quat=root_quat, rays=rays, others=others)
