"""What a video says of a person, at the rate at which a body is controlled: where simulation begins."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mjxhuman.data.cameras import NOT_LEVELLED, level_camera
from mjxhuman.data.keypoint_names import canonical_name
from mjxhuman.encoders.precomputed import read_encoding
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math.timeseries import runs
from mjxhuman.options import VideoOptions
from mjxhuman.physics.analysis import analyse
from mjxhuman.physics.motion import resample
from mjxhuman.reconstruction.sight import Sight, sight_of
from mjxhuman.recovery.load import Recovered, given_camera, kind_of, recover
from mjxhuman.recovery.recover import Recovery, recover_with_report
from mjxhuman.rewards.score import in_ball_joints
from mjxhuman.tracking.evaluate import MIN_FRAMES, cut
from mjxhuman.types import Camera, Keypoints, Motion

#: Share of the body weight that something other than the floor carries for so many s before that is no fault of the
#: fit: twice its window of acceleration, and more than a leg.
HELD, HELD_SECONDS = 0.5, 0.5
_ANKLES = ("LAnkle", "RAnkle")


@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """A whole-clip fit at the control rate, T frames, and what it rests on."""

    motion: Motion  # ball joints
    sight: Sight | None  # None where an encoder gives bodies and no keypoints
    camera: Camera  # in the motion's world, (V, C, ...), at the keypoints' rate
    recovery: Recovery | None
    recovered: Recovered | None  # of a file
    fit: Motion | None = None  # the whole fit at the keypoints' rate, and those; None where there are no keypoints
    keypoints: Keypoints | None = None
    first: int = 0  # frame of the whole at which this one begins

    def cut(self, first: int, stop: int) -> Estimate:
        """The frames from ``first`` to before ``stop``."""
        sight = jax.tree.map(lambda x: x[..., first:stop], self.sight)
        return dataclasses.replace(self, motion=cut(self.motion, first, stop), sight=sight, first=self.first + first)


def estimate_of(
    source: str | os.PathLike[str] | Keypoints,
    camera: str | os.PathLike[str] | Camera | None,
    humanoid: Humanoid | None,
    fps: float,
    video: VideoOptions = VideoOptions(),
    reading: dict[str, Any] | None = None,
) -> Estimate:
    """The fit to a video, a file of 2D keypoints, or keypoints; see ``reconstruct``.

    Args:
      fps: of the result, the control rate. reading: the options of ``options.ReadOptions``, of files.
    """
    if isinstance(source, Keypoints):
        return _of_keypoints(source, camera, humanoid, fps)
    path = Path(source)
    if (kind := kind_of(path)) == "motion":
        raise ValueError(f"{path}: expected a video or 2D keypoints, found another file (mjxhuman track takes motions)")
    if camera is not None and not isinstance(camera, Camera):
        video, camera = dataclasses.replace(video, camera=os.fspath(camera)), None
    if kind == "keypoints":  # before anything is compiled
        given = camera or given_camera(video)
        size, rate = None if given is None else given.image_size, (reading or {}).get("fps")
        for person in read_encoding(path, fps=rate, image_size=size).people[:1]:
            if person.keypoints is not None:
                _check_ankles(person.keypoints, path)
    found = recover(path, humanoid, options=video, camera=camera, **(reading or {}))
    return _at_rate(found.motion, found.person.keypoints, found.recovery, found.camera, fps, found)


def _check_ankles(keypoints: Keypoints, where: object) -> None:
    names = [canonical_name(name) for name in keypoints.names]
    if missing := [name for name in _ANKLES if name not in names]:
        raise ValueError(
            f"{where}: keypoints: expected {', '.join(missing)} among the names (feet tell where the floor is), found "
            f"{', '.join(names[:12])}"
        )


def _of_keypoints(
    keypoints: Keypoints, camera: str | os.PathLike[str] | Camera | None, humanoid: Humanoid | None, fps: float
) -> Estimate:
    if camera is not None and not isinstance(camera, Camera):
        raise ValueError(f"camera: expected a Camera beside keypoints, found {camera}")
    _check_ankles(keypoints, keypoints.provenance.path or "keypoints")
    camera = level_camera(keypoints.image_size) if camera is None else camera
    tilted = NOT_LEVELLED in camera.provenance.conventions
    motion, recovery = recover_with_report(
        keypoints, camera, humanoid, estimate=("stature", "gravity") if tilted else ("stature",)
    )
    return _at_rate(motion, keypoints, recovery, camera, fps, None)


def _at_rate(
    motion: Motion,
    keypoints: Keypoints | None,
    recovery: Recovery | None,
    camera: Camera,
    fps: float,
    recovered: Recovered | None,
) -> Estimate:
    motion = in_ball_joints(motion)
    sight = None
    if recovery is not None and keypoints is not None:
        if abs(motion.fps - keypoints.fps) < 1e-6:  # not where ``retime`` moved the clock
            sight = sight_of(keypoints, motion, recovery, fps)
        camera = recovery.camera
    at_rate = motion if abs(motion.fps - fps) < 1e-3 else resample(motion, fps)
    seen = (None, None) if sight is None else (motion, keypoints)
    found = Estimate(at_rate, sight, camera, recovery, recovered, *seen)
    if not stretches(found):
        where = motion.provenance.path or "keypoints"
        raise ValueError(f"{where}: expected at least {MIN_FRAMES} valid frames in a row at {fps:g} Hz, found none")
    return found


def stretches(estimate: Estimate) -> list[tuple[int, int]]:
    """First frame and the one after the last of every run of valid frames that can be simulated."""
    return [(first, stop) for first, stop in runs(estimate.motion.valid) if stop - first >= MIN_FRAMES]


def held_by_others(motion: Motion) -> str:
    """Where something that is not the floor carries the body, in words; "" where nothing does."""
    if motion.humanoid.contacts is None:
        return ""
    share = np.where(np.asarray(motion.valid), np.asarray(analyse(motion).external_support), 0.0)
    for first, stop in runs(share > HELD):
        if stop - first >= HELD_SECONDS * motion.fps:
            return (
                f"something that is not the floor carries the body from {first / motion.fps:.2f} to "
                f"{stop / motion.fps:.2f} s ({share[first:stop].mean():.2f} body weights): furniture and stairs are "
                "not simulated"
            )
    return ""
