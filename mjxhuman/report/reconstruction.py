"""Reconstructions for people: clips of the page with the video beside the simulation, and a film of all three."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.data.video import Video
from mjxhuman.math import camera as lens_model
from mjxhuman.math.timeseries import resample_times
from mjxhuman.physics.analysis import analyse
from mjxhuman.reconstruction import Reconstruction, measure
from mjxhuman.report.film import FilmStrip, Layer, film_of, pictures_at, skeleton_edges
from mjxhuman.report.pack import ClipReport
from mjxhuman.report.render import View, render_frames, save_video
from mjxhuman.types import Motion, Scores

#: Longer side of the video in the film, px, and width of the panels beside it as a share of its height.
SIDE, PANEL = 640, 0.75
#: RGB of the estimate's skeleton and of left, right and middle of the simulated body's.
_ESTIMATE = (255, 255, 255)
_TONES = {"left": (180, 139, 255), "right": (255, 201, 51), "": (79, 216, 187)}


def clips_of(result: Reconstruction) -> list[ClipReport]:
    """The estimate and the simulation, each with what the cameras saw; of "fit" the estimate alone."""
    film = _film(result)
    clips = [_clip("estimate", result.estimate, result.estimate_scores, result, film)]
    if result.takes:
        clips.append(_clip(f"simulated by {result.method}", result.motion, result.scores, result, film))
    return clips


def _clip(name: str, motion: Motion, scores: Scores, result: Reconstruction, film: FilmStrip | None) -> ClipReport:
    series: dict[str, Any] = {}
    if result.source.sight is not None:
        series["reprojection_px"] = measure.reprojection(result.source.sight, motion)
    if motion is not result.estimate:
        series["from_estimate_mm"] = 1e3 * result.distances
    scores = dataclasses.replace(scores, frames={**scores.frames, **series})
    notes = [] if motion is result.estimate or not result.takes else [
        "restarts at " + ", ".join(f"{frame / motion.fps:.2f}" for frame in result.restarts) + " s"
        if result.restarts else "simulated in one piece",
    ]  # fmt: skip
    return ClipReport(name, scores, motion, analyse(motion), tuple(notes), film)


def _places(result: Reconstruction) -> np.ndarray:
    """Where the result's frames lie among those of the encoding, (T,)."""
    found = result.source.recovered
    assert found is not None
    frames = found.encoding.frames
    return resample_times(frames, found.encoding.fps, result.motion.fps)[: result.motion.num_frames]


def _pixels(result: Reconstruction, motion: Motion) -> np.ndarray:
    """Where a body's points are in the first camera's picture, ``(T, K, 2)`` px; NaN in frames that are not valid."""
    sight, camera = result.source.sight, result.camera
    assert sight is not None
    parts = [np.asarray(x, float) for x in (camera.intrinsics, camera.T_world_camera, camera.distortion)]
    first = [x[0] if x.ndim == n else x for x, n in zip(parts, (4, 4, 3), strict=True)]
    rows = np.minimum(np.rint(_places(result)).astype(int), [[len(x) - 1] for x in first])
    uv, _ = lens_model.project(measure.points_seen(sight, motion), *(x[r] for x, r in zip(first, rows, strict=True)))
    return np.where(np.asarray(motion.valid)[:, None, None], np.asarray(uv, float), np.nan)


def _film(result: Reconstruction) -> FilmStrip | None:
    """The video with the skeletons of detector, fit and simulation."""
    found, sight = result.source.recovered, result.source.sight
    if found is None or not found.is_video:
        return None
    more = []
    if sight is not None and result.takes:
        more = [Layer("simulated body", _pixels(result, result.motion), skeleton_edges(sight.names))]
    return film_of(found, _places(result), more)


def draw_film(path: Path, result: Reconstruction) -> Path:
    """Write a film: the video with both skeletons on it, the estimate, the simulation, all as the camera sees them.

    Raises:
        ModuleNotFoundError, NoOpenGL: as ``save_video`` and ``render_frames``.
    """
    return save_video(path, _film_frames(result), result.motion.fps)


def _film_frames(result: Reconstruction) -> Iterator[np.ndarray]:
    pictures = _pictures(result)
    first = next(pictures, None)
    height = 480 if first is None else first.shape[0] // 2 * 2
    size, view = (2 * round(PANEL * height / 2), height), _view(result)
    shown = [("estimate", result.estimate)] + ([("simulation", result.motion)] if result.takes else [])
    panels = []
    for name, motion in shown:
        fps, valid = motion.fps, np.asarray(motion.valid)
        labels = [f"{name}  {t / fps:.2f} s" + ("" if ok else "  LOST") for t, ok in enumerate(valid)]
        panels.append(render_frames(motion.humanoid, np.asarray(motion.qpos), size, view=view, labels=labels))
    for beside in zip(*panels):
        left = [] if first is None else [first[:height, : first.shape[1] // 2 * 2]]
        yield np.concatenate([*left, *beside], axis=1)
        first = next(pictures, first)


def _view(result: Reconstruction) -> View:
    """Looking as the first camera does in the first frame."""
    pose = np.asarray(result.camera.T_world_camera, float).reshape(-1, 4, 4)[0]
    x, y, z = pose[:3, 2]
    return View(azimuth=math.degrees(math.atan2(y, x)), elevation=math.degrees(math.asin(np.clip(z, -1.0, 1.0))))


def _pictures(result: Reconstruction) -> Iterator[np.ndarray]:
    """The video's picture of each frame with both skeletons; nothing of keypoints."""
    found, sight = result.source.recovered, result.source.sight
    if found is None or not found.is_video:
        return
    video = Video(found.path, max_side=SIDE)
    nearest, frame = pictures_at(found, _places(result)), 0
    layers: list[tuple[np.ndarray, dict[str, tuple[int, int, int]]]] = []
    if sight is not None:
        layers.append((_pixels(result, result.estimate), dict.fromkeys(_TONES, _ESTIMATE)))
        layers += [(_pixels(result, result.motion), _TONES)] if result.takes else []
    for number, picture in enumerate(video):
        while frame < len(nearest) and nearest[frame] <= number:
            image, scale = np.array(picture.image), np.asarray(video.scale)
            for points, tones in layers:
                for a, b, side in skeleton_edges(sight.names if sight is not None else ()):
                    draw_line(image, (points[frame, [a, b]] + 0.5) / scale - 0.5, tones[side])
            yield image
            frame += 1


def draw_line(image: np.ndarray, ends: np.ndarray, colour: tuple[int, int, int], width: int = 2) -> None:
    """Draw a line between two points ``(2, 2)`` px into a picture (H, W, 3) uint8; nothing where one is NaN."""
    if not np.isfinite(ends).all():
        return
    count = int(np.ceil(np.linalg.norm(ends[1] - ends[0]))) + 1
    x, y = np.rint(np.linspace(ends[0], ends[1], count)).astype(int).T
    for dx, dy in np.ndindex(width, width):
        inside = (x + dx >= 0) & (x + dx < image.shape[1]) & (y + dy >= 0) & (y + dy < image.shape[0])
        image[y[inside] + dy, x[inside] + dx] = colour
