"""A walker, and the keypoints that cameras have of people."""

from __future__ import annotations

import dataclasses

import numpy as np

from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.data.keypoint_names import LAYOUTS
from mjxhuman.math import camera as lens_model
from mjxhuman.math import quaternion
from mjxhuman.physics.motion import motion_from_qpos, resample
from mjxhuman.retarget.chain import chain_of
from mjxhuman.retarget.landmarks import keypoint_set
from mjxhuman.types import Keypoints

SIZE = (1280, 960)
NAMES = tuple(name for name in LAYOUTS["body_25b"] if "Eye" not in name)
FRAMES = 60
NOISE = 2.0  # px, of a person about 500 px tall


@dataclasses.dataclass
class Scene:
    """A walker: joints (T, 24, 3), keypoints of the body (T, K, 3), motion."""

    joints: np.ndarray
    points: np.ndarray
    fps: float


def walking(humanoid) -> Scene:
    """Two seconds of the built-in walk."""
    clip = load_builtin_clip("walk")
    motion = resample(motion_from_qpos(humanoid, clip.qpos, clip.fps), 30.0)
    ids = np.asarray(humanoid.smpl_body_ids)
    joints, quat = (np.asarray(x, float)[:FRAMES, ids] for x in (motion.body_pos, motion.body_quat))
    quat = quaternion.multiply(quat, quaternion.conjugate(np.asarray(humanoid.smpl_frame, float)))
    places = keypoint_set(NAMES, chain_of(humanoid))
    points = joints[:, places.body] + quaternion.rotate(quat[:, places.body], places.point)
    return Scene(joints, points, 30.0)


def seen_from(points: np.ndarray, pose: np.ndarray, focal: float, fps: float, noise: float = NOISE) -> Keypoints:
    """Keypoints of points (T, K, 3) in a camera without distortion."""
    matrix = np.array([[focal, 0.0, SIZE[0] / 2], [0.0, focal, SIZE[1] / 2], [0.0, 0.0, 1.0]])
    uv, depth = lens_model.project(points, matrix, pose, np.zeros(4))
    assert (np.asarray(depth) > 0).all()
    uv = np.asarray(uv, float) + np.random.default_rng(0).normal(0.0, noise, uv.shape)
    return Keypoints(uv, np.ones(uv.shape[:2]), NAMES, fps, SIZE)
