"""Cameras that nobody built: where people who film others stand, drawn at random.

``film`` draws one for a motion. It stands, pans after the person, or is carried along, and sees the whole person in
nearly every frame.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mjxhuman.math import camera as lens_model
from mjxhuman.types import Camera, Motion, Provenance

#: What a camera does.
KINDS = ("standing", "panning", "walking")
#: Ranges that are drawn from, evenly: m over the floor, m from the person, degrees across the longer side of the
#: picture, degrees about the view (standard deviation). From a phone held low to a camera under the ceiling.
HEIGHT, DISTANCE, VIEW, ROLL = (0.5, 4.5), (2.0, 9.0), (35.0, 80.0), 3.0
IMAGE_SIZE = (1920, 1080)
#: Share of the half picture that the whole path of the person fills at most: nearer cameras step back.
_FILLED = 0.85
#: m to the sides of and above the pelvis that have to be seen.
_REACH = (0.6, 1.1)
#: s by which a panning camera is late and smooth; m/s and s of the way of one that is carried, m of its bounce.
_LAG, _SPEED, _BENDS, _BOUNCE = 0.4, 0.5, 2.0, 0.02


def film(
    motion: Motion,
    seed: int | np.random.Generator = 0,
    kind: str = "standing",
    image_size: tuple[int, int] = IMAGE_SIZE,
) -> Camera:
    """A camera that films a motion of T frames; the same for the same seed.

    Returns:
      One frame where it stands, else T; no distortion.

    Raises:
      ValueError: an unknown kind, several clips or numbers that are not finite.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, found {kind!r}")
    checked(motion)
    rng = np.random.default_rng(seed)
    root = np.asarray(motion.body_pos, np.float64)[:, 1]
    focal = 0.5 * max(image_size) / np.tan(np.radians(rng.uniform(*VIEW)) / 2)
    frames = len(root) if kind != "standing" else 1
    target = root if kind != "standing" else (0.5 * (root.min(0) + root.max(0)))[None]
    if frames > 1:
        target = gaussian_filter1d(target, _LAG * motion.fps, axis=0, mode="nearest")
    place = _place(rng, root, target, focal, image_size)
    if kind == "walking":
        place = place + _way(rng, frames, motion.fps)
    aim = target + rng.normal(0.0, 0.05, 3) * [1, 1, 2]
    pose = np.array(lens_model.look_at(np.broadcast_to(place, aim.shape), aim), np.float64)
    c, s = np.cos(roll := np.radians(rng.normal(0.0, ROLL))), np.sin(roll)
    pose[:, :3, :3] = pose[:, :3, :3] @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    width, height = image_size
    matrix = np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    note = Provenance(conventions=(f"a {kind} camera, drawn at random",))
    return Camera(np.broadcast_to(matrix, (frames, 3, 3)), pose, np.zeros((frames, 4)), image_size, note)


def checked(motion: Motion) -> None:
    """Raise ValueError unless a motion is one clip of finite numbers."""
    shape = np.shape(motion.body_pos)
    if len(shape) != 3 or not shape[0]:
        raise ValueError(f"motion: expected one clip, body_pos (T, B, 3), found {shape}")
    if not all(np.isfinite(np.asarray(x)).all() for x in (motion.body_pos, motion.body_quat)):
        raise ValueError("motion: expected finite numbers, found others")


def _place(
    rng: np.random.Generator, root: np.ndarray, target: np.ndarray, focal: float, image_size: tuple[int, int]
) -> np.ndarray:
    """Where the camera is at first, (3,) m: as far as drawn, or as far as the whole person needs."""
    turn, floor = rng.uniform(0, 2 * np.pi), root[:, 2].min() - 0.95
    extent = [np.linalg.norm((root - target)[:, :2], axis=-1).max(), abs(root - target)[:, 2].max()]
    needed = (np.array(extent) + _REACH) * focal / (_FILLED * 0.5 * np.array(image_size))
    near = np.linalg.norm((target - target.mean(0))[:, :2], axis=-1).max()  # who comes nearer is still as far as drawn
    distance = near + max(rng.uniform(*DISTANCE), *needed)
    away = np.array([np.cos(turn), np.sin(turn), 0.0])
    return target.mean(0) * [1, 1, 0] + distance * away + [0, 0, floor + rng.uniform(*HEIGHT)]


def _way(rng: np.random.Generator, frames: int, fps: float) -> np.ndarray:
    """What a camera that is carried adds to its place, (T, 3) m: a smooth way over the floor, and steps."""
    smooth = gaussian_filter1d(rng.normal(size=(frames, 3)), _BENDS * fps / 2, axis=0, mode="reflect")
    velocity = _SPEED * smooth / max(1e-9, np.sqrt(np.mean(smooth[:, :2] ** 2))) * [1, 1, 0]
    way = np.cumsum(velocity, 0) / fps
    way[:, 2] = _BOUNCE * np.sin(2 * np.pi * 1.8 * np.arange(frames) / fps + rng.uniform(0, 2 * np.pi))
    return way - way[:1]
