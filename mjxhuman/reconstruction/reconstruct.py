"""``reconstruct``: a video in, the motion of a simulated body that does what the person in it does."""

from __future__ import annotations

import os
import time
from typing import Any

import jax.numpy as jnp
import numpy as np

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.options import ReadOptions, VideoOptions, takes
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.reconstruction import measure
from mjxhuman.reconstruction.estimate import Estimate, estimate_of, held_by_others, stretches
from mjxhuman.reconstruction.methods import Method, method_of
from mjxhuman.reconstruction.result import Reconstruction, Stretch
from mjxhuman.reconstruction.start import start_state
from mjxhuman.runs.progress import busy
from mjxhuman.tracking.evaluate import MIN_FRAMES
from mjxhuman.types import Camera, Keypoints, Motion

#: Hz of the results: control steps per second.
RATE = 30.0


@takes(ReadOptions)
def reconstruct(
    source: str | os.PathLike[str] | Keypoints,
    camera: str | os.PathLike[str] | Camera | None = None,
    *,
    method: str | Method = "plan",
    person: str | int | None = None,
    humanoid: Humanoid | None = None,
    seed: int = 0,
    anyway: bool = False,
    video: VideoOptions = VideoOptions(),
    method_options: dict[str, Any] | None = None,
    **reading: Any,
) -> Reconstruction:
    """Simulate what a person in a video does.

    Encoder, whole-clip fit, then a simulated body that follows the fit and the rays of the keypoints: nothing but joint
    torques, gravity and contact acts on it. Where it is lost for a quarter of a second it is put back into the
    estimate's state; such restarts are listed, and the frames between are not valid.

    Args:
        source: a video, a file of 2D keypoints, or keypoints ``(T, K, 2)``, of several cameras ``(V, T, K, 2)``.
        camera: ``FILE`` or ``FILE:NAME`` (``mjxhuman.data.cameras``), or a camera; world z up. None: still, its tilt
            found, focal length the image diagonal.
        method: "plan" searches controls in the simulator, "policy" runs the shipped policy that sees the video, with
            "policy+plan" the planner takes over where it fails, "track" runs the shipped tracker, "fit" stays with the
            whole-clip fit; or a method that is kept over many videos (``reconstruction.methods``).
        person: "largest", or a number from 0; of files.
        humanoid: the body; None: the built-in one at the stature that the fit finds (of "track" the tracker's).
        seed: of the planner.
        anyway: simulate also where something other than the floor carries the person.
        video: how people are found in files.
        method_options: of a method that is named, for example ``{"preset": "fast"}`` of "plan".
        reading: of files: ``fps``, ``ground`` and others of ``options.ReadOptions``.

    Raises:
        FileNotFoundError, MotionFileError, ImportError, RuntimeError: as ``load_motion``.
        ValueError: nobody in the video, keypoints without ankles, a person never seen well enough, no such method, a
            body that the method does not move.
    """
    began = time.monotonic()
    mover = method_of(method, **(method_options or {}))
    if mover is not None and mover.humanoid is not None:
        if humanoid not in (None, mover.humanoid):
            raise ValueError(
                f"humanoid: expected {mover.humanoid.description}, which the method {mover.name!r} moves, found "
                f"{humanoid.description if humanoid else humanoid}"
            )
        humanoid = mover.humanoid
    if person is not None:
        video = VideoOptions(**{**vars(video), "person": str(person)})
    estimate = estimate_of(source, camera, humanoid, RATE, video, reading)
    refused = "" if anyway or mover is None else held_by_others(estimate.motion)
    if mover is None or refused:
        name = "fit" if mover is None else mover.name
        seconds = time.monotonic() - began
        return Reconstruction(name, estimate.motion, estimate.motion, (), estimate, None, refused, seconds)
    with busy(f"simulating {estimate.motion.num_frames} frames by {mover.name}"):
        takes = follow(estimate, mover, seed)
    motion = _motion(estimate.motion, takes)
    simulator = mover.simulator(motion.humanoid)
    return Reconstruction(mover.name, motion, estimate.motion, takes, estimate, simulator, "", time.monotonic() - began)


def follow(estimate: Estimate, method: Method, seed: int) -> tuple[Stretch, ...]:
    """Simulate every stretch of valid frames; where the body is lost it starts anew in the estimate's state."""
    found: list[Stretch] = []
    for first, stop in stretches(estimate):
        while stop - first >= MIN_FRAMES:
            part = estimate.cut(first, stop)
            path = method.follow(part, start_state(part, method, seed), seed)
            states = len(path.qpos)
            done = motion_from_qpos(part.motion.humanoid, _padded(path.qpos), part.motion.fps)
            gone = measure.lost(done, part.cut(0, done.num_frames).motion)
            sound, last = (states, states) if gone is None else (gone[0], min(gone[1], states))
            if gone is None and states < stop - first:  # given up, or broken down
                sound, last = max(1, states - 1), states
            found.append(Stretch(first, path.qpos[:last], path.qvel[:last], path.ctrl[: last - 1], sound))
            if last == stop - first:
                break
            first += last
    return tuple(found)


def _padded(qpos: np.ndarray) -> np.ndarray:
    """At least ``MIN_FRAMES`` of it, the last one repeated."""
    return np.concatenate([qpos, np.repeat(qpos[-1:], max(0, MIN_FRAMES - len(qpos)), 0)])


def _motion(estimate: Motion, takes: tuple[Stretch, ...]) -> Motion:
    """The takes in the place of the estimate's frames; elsewhere the estimate, not valid."""
    qpos, valid = np.array(estimate.qpos, np.float64), np.zeros(estimate.num_frames, bool)
    for take in takes:
        qpos[take.first : take.stop] = take.qpos
        valid[take.first : take.first + take.sound] = True
    provenance = estimate.provenance.with_(format=f"simulated after {estimate.provenance.format or 'keypoints'}")
    return motion_from_qpos(estimate.humanoid, jnp.asarray(qpos), estimate.fps, valid=valid, provenance=provenance)
