"""Keypoints of one person in one or several cameras, as observations of points on the body: ready for the solver."""

from __future__ import annotations

import dataclasses

import numpy as np

from mjxhuman.data.keypoint_names import mirrored_name
from mjxhuman.data.keypoints import relative_confidence
from mjxhuman.math import camera as lens_model
from mjxhuman.math import quaternion
from mjxhuman.retarget.chain import Chain
from mjxhuman.retarget.landmarks import MarkerSet, keypoint_set
from mjxhuman.types import Camera, Keypoints

#: Standard deviation of a detection and of where it lies on the body, in the person's size in the picture. The second
#: goes away once the places are calibrated.
NOISE, MISPLACED = 0.008, 0.012
_SIZE_WINDOW = 1.0  # s over which the person's size in the picture is taken


@dataclasses.dataclass(frozen=True)
class Sightings:
    """What V cameras saw of K points of the body in T frames, NumPy, ideal (undistorted) pixels."""

    points: MarkerSet  # K places on the body
    view: np.ndarray  # (T, V, 3, 4) world to camera axes, m
    lens: np.ndarray  # (T, V, 4) fx, fy, cx, cy px
    uv: np.ndarray  # (T, V, K, 2) px
    confidence: np.ndarray  # (T, V, K) 0..1, 0 where not seen
    size: np.ndarray  # (T, V) px, diagonal of the box around the person
    landmark: np.ndarray | None  # (T, K, 3) m in world axes relative to the middle of the hips
    landmark_known: np.ndarray | None  # (T, K) bool
    fps: float

    @property
    def frames(self) -> int:
        """T."""
        return len(self.uv)

    @property
    def seen(self) -> np.ndarray:
        """Points (T, K) that any camera saw."""
        return (self.confidence > 0).any(1)

    def sigma(self, calibrated: bool) -> np.ndarray:
        """Standard deviation (T, V) px of a sighting about the body's point."""
        return self.size * (NOISE if calibrated else float(np.hypot(NOISE, MISPLACED)))

    def column(self, name: str) -> int | None:
        """Index of a point by its canonical name."""
        return self.points.names.index(name) if name in self.points.names else None

    def mirror(self) -> np.ndarray:
        """For each point (K,) the index of the one on the other side; its own where there is none."""
        index = {name: k for k, name in enumerate(self.points.names)}
        return np.array([index.get(mirrored_name(name), k) for name, k in index.items()])


def sightings(keypoints: Keypoints, camera: Camera, chain: Chain) -> Sightings:
    """Bring keypoints and camera together.

    Args:
      keypoints: one person, ``uv (T, K, 2)``, or seen by V cameras, ``(V, T, K, 2)``.
      camera: with the same view axis; T frames or one.
      chain: the body, for the nominal places of the points.

    Raises:
      ValueError: shapes that do not fit each other, no known point, no camera that saw anything.
    """
    uv, confidence = np.asarray(keypoints.uv, np.float64), np.asarray(keypoints.confidence, np.float64)
    matrix, pose, distortion = (
        np.asarray(x, np.float64) for x in (camera.intrinsics, camera.T_world_camera, camera.distortion)
    )
    if uv.ndim == 3:
        uv, confidence = uv[None], confidence[None]
    if matrix.ndim == 3:
        matrix, pose, distortion = matrix[None], pose[None], distortion[None]
    views, frames, count = confidence.shape
    if uv.shape != (views, frames, count, 2) or count != len(keypoints.names):
        raise ValueError(
            f"keypoints: expected uv (T, K, 2) or (V, T, K, 2) and confidence without the last axis for "
            f"{len(keypoints.names)} names, found shapes {np.shape(keypoints.uv)} and {np.shape(keypoints.confidence)}"
        )
    if matrix.shape[0] != views or matrix.shape[1] not in (1, frames):
        raise ValueError(
            f"camera: expected {views} views of {frames} frames (or one) for these keypoints, found intrinsics of "
            f"shape {np.shape(camera.intrinsics)}"
        )
    points = keypoint_set(tuple(keypoints.names), chain)
    if len(points.places) < 6:
        raise ValueError(
            f"keypoints: expected names of at least 6 points on the body, found {', '.join(keypoints.names[:12])} ..."
        )
    uv, confidence = uv[:, :, points.column], relative_confidence(confidence[:, :, points.column])
    # detectors guess on beyond the edge of the picture, and are sure of it
    inside = ((uv >= 0.0) & (uv <= np.asarray(keypoints.image_size))).all(-1)
    confidence = np.where(inside | ~np.isfinite(uv).all(-1), confidence, 0.0)
    if not np.isfinite(uv[confidence > 0]).all():
        raise ValueError("keypoints: uv: found numbers that are not finite where the confidence is above 0")
    ideal = np.asarray(lens_model.from_pixels(np.where(confidence[..., None] > 0, uv, 0.0), matrix, distortion))
    lens = np.stack([matrix[..., 0, 0], matrix[..., 1, 1], matrix[..., 0, 2], matrix[..., 1, 2]], -1)
    lens = np.broadcast_to(lens, (views, frames, 4))
    ideal = ideal * lens[:, :, None, :2] + lens[:, :, None, 2:]
    turn = np.swapaxes(pose[..., :3, :3], -1, -2)
    view = np.concatenate([turn, -turn @ pose[..., :3, 3:]], -1)
    if not (confidence > 0).any():
        raise ValueError("keypoints: confidence: found no point above 0 in any frame, expected a person")
    size = np.stack([_size(ideal[v], confidence[v], keypoints.fps) for v in range(views)], 1)
    landmark = known = None
    if keypoints.pos3d is not None:
        pos3d, known = np.asarray(keypoints.pos3d, np.float64), confidence[0] > 0
        flat = (ideal[0] - lens[0, :, None, 2:]) / lens[0, :, None, :2]
        landmark = _landmarks(pos3d, points, np.swapaxes(turn[0], -1, -2), flat, known)
    swap = lambda x: np.moveaxis(x, 0, 1)  # noqa: E731  views after frames
    return Sightings(
        points, swap(np.broadcast_to(view, (views, frames, 3, 4))), swap(lens), swap(ideal), swap(confidence), size,
        landmark, known, float(keypoints.fps),
    )  # fmt: skip


def _size(uv: np.ndarray, confidence: np.ndarray, fps: float) -> np.ndarray:
    """Diagonal (T,) px of the box around the points of each frame: the median over a second, at least 10 px."""
    seen = (confidence > 0)[..., None]
    enough = seen[..., 0].sum(1) >= 4
    if not enough.any():
        return np.full(len(uv), 10.0)
    low, high = np.where(seen, uv, np.inf).min(1), np.where(seen, uv, -np.inf).max(1)
    diagonal = np.where(enough, np.linalg.norm(np.where(enough[:, None], high - low, 0.0), axis=-1), np.nan)
    known = np.flatnonzero(enough)
    filled = np.interp(np.arange(len(uv)), known, diagonal[known])
    radius = max(1, round(0.5 * _SIZE_WINDOW * fps))
    padded = np.pad(filled, radius, mode="edge")
    return np.maximum(np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1), axis=-1), 10.0)


def _landmarks(
    pos3d: np.ndarray, points: MarkerSet, world_camera: np.ndarray, ideal: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """Landmarks ``(T, K, 3)`` in world axes, relative to the middle of the hips.

    Args:
      pos3d: ``(T, all, 3)`` m. world_camera: ``(T or 1, 3, 3)``. ideal: ``(T, K, 2)`` x / z, y / z of the points.
      known: ``(T, K)`` bool.
    """
    if pos3d.ndim != 3:
        raise ValueError(f"keypoints: pos3d: expected (T, K, 3) of one camera, found shape {pos3d.shape}")
    if not {"LHip", "RHip"} <= set(points.names):
        raise ValueError("keypoints: pos3d: expected both hips among the names")
    hips = [points.names.index("LHip"), points.names.index("RHip")]
    own = pos3d[:, points.column]
    own = own - own[:, hips].mean(1, keepdims=True)
    # from the axes of a camera that looks at the hips to those of the camera
    seen = np.flatnonzero(known[:, hips].all(1))
    if seen.size:
        middle = ideal[:, hips].mean(1)
        middle = np.stack([np.interp(np.arange(len(own)), seen, middle[seen, k]) for k in range(2)], -1)
        look = quaternion.between(np.array([0.0, 0.0, 1.0]), np.concatenate([middle, np.ones((len(own), 1))], -1))
        own = quaternion.rotate(look[:, None], own)
    return np.einsum("tij,tkj->tki", np.broadcast_to(world_camera, (len(own), 3, 3)), own)
