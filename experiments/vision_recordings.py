"""Videos of published sets (``mjxhuman.data.benchmarks``) as the benchmark of vision takes them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.runs import progress

#: Shortest stretch that is judged, s.
SHORTEST = 1.0


def stretches(good: np.ndarray, fps: float, seconds: float) -> list[tuple[int, int]]:
    """First frames and those after the last of what is judged: runs of good frames, cut into ``seconds`` (0: whole)."""
    from mjxhuman.math.timeseries import runs

    least = round((seconds or SHORTEST) * fps)
    found = []
    for first, stop in runs(good):
        step = least if seconds else stop - first
        found += [(at, at + step) for at in range(first, stop - least + 1, step)]
    return found


def keypoints_of(recording: Any, detections: str) -> Any:
    """The set's own detections, or those of the largest person in ``detections/NAME.*`` (a / in the name is a _ there).

    Raises:
        ValueError: neither.
    """
    from mjxhuman.encoders.base import choose
    from mjxhuman.encoders.precomputed import read_encoding

    name = recording.name.replace("/", "_")
    files = sorted(Path(detections).glob(f"{name}.*")) if detections else []
    if not files:
        if recording.keypoints is not None:
            return recording.keypoints
        where = f"found no {name}.* in {detections}" if detections else "found none"
        raise ValueError(f"{recording.name}: detections: expected 2D keypoints (--detections=FOLDER), {where}")
    found = read_encoding(files[0], fps=recording.motion.fps, image_size=recording.camera.image_size)
    return choose(found, "largest", files[0])[0].keypoints


def filmed_stretches(
    recording: Any, keypoints: Any, humanoid: Any, fps: float, seconds: float
) -> Iterator[tuple[Any, Any]]:
    """True motion on a body and ``VisualTrack`` of every stretch of a recording, at ``fps``, the floor at 0.

    The measured motion is put on the floor and the camera moved along; frames between are left out, not mixed.

    Raises:
        ValueError: frames that do not fit each other, or as ``retarget_motion`` and ``visual_track``.
    """
    from mjxhuman.physics.motion import motion_from_qpos
    from mjxhuman.recovery.visual import visual_track
    from mjxhuman.retarget.motion import retarget_motion

    motion = retarget_motion(recording.motion, humanoid)
    frames = motion.num_frames
    if (seen := len(keypoints.uv)) < frames:
        raise ValueError(f"{recording.name}: detections: expected {frames} frames as the motion has, found {seen}")
    rows = np.rint(np.arange(int((frames - 1) / motion.fps * fps) + 1) / fps * motion.fps).astype(int)
    pose = np.array(recording.camera.T_world_camera)
    pose[:, 2, 3] += motion.provenance.ground_offset
    camera = dataclasses.replace(recording.camera, T_world_camera=pose)
    good = np.asarray(motion.valid) & recording.judged
    for first, stop in stretches(good[rows], fps, seconds):
        at = rows[first:stop]
        points = dataclasses.replace(
            keypoints, uv=np.asarray(keypoints.uv)[at], confidence=np.asarray(keypoints.confidence)[at], fps=fps,
            pos3d=None if keypoints.pos3d is None else np.asarray(keypoints.pos3d)[at],
        )  # fmt: skip
        part = camera
        if len(pose) > 1:
            arrays = {
                name: np.asarray(getattr(camera, name))[at] for name in ("intrinsics", "T_world_camera", "distortion")
            }
            part = dataclasses.replace(camera, **arrays)
        truth = motion_from_qpos(humanoid, np.asarray(motion.qpos)[at], fps, provenance=motion.provenance)
        yield truth, visual_track(points, part, humanoid)


def videos_of(
    readers: Mapping[str, Any], humanoid: Any, fps: float, seconds: float, detections: str, who: str
) -> tuple[list[tuple[str, int, Any, Any]], int]:
    """Name of the sequence, number of the view, true motion and track of all stretches, and how many recordings failed.

    What fails is named on stderr, after ``who``.
    """
    found, failed = [], 0
    with progress(len(readers), unit="recording", label="read") as bar:
        for name, read in readers.items():
            sequence, _, view = name.partition("/")
            try:
                if (recording := read()) is not None:
                    points = keypoints_of(recording, detections)
                    for truth, track in filmed_stretches(recording, points, humanoid, fps, seconds):
                        found.append((sequence, int(view or 0), truth, track))
            except (ValueError, OSError) as error:
                print(f"{who}: {error}", file=sys.stderr)
                failed += 1
            bar.update()
    return found, failed
