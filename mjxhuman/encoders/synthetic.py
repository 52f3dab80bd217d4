"""Simulated detections: what a pose estimator would say of a known motion, errors and all.

    camera = viewpoints.film(motion, seed=3)
    keypoints = detect(motion, camera, layout="coco_17", noise="detector", seed=3)

What the body itself hides is computed from its capsules; the rest is drawn (``encoders/detection_noise.py``), the same
for the same seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mjxhuman.data.keypoint_names import LAYOUTS
from mjxhuman.encoders.detection_noise import PRESETS, DetectionNoise, Draw
from mjxhuman.encoders.viewpoints import checked
from mjxhuman.math import camera as lens_model
from mjxhuman.math import quaternion
from mjxhuman.retarget.chain import chain_of
from mjxhuman.retarget.landmarks import MarkerSet, keypoint_set
from mjxhuman.types import Camera, Keypoints, Motion, Provenance

#: Cosine between view and front beyond which a person is seen from behind.
_BEHIND = 0.3
#: The line of sight ends so many m before a point, which lies in a limb; a capsule hides by this share of its radius.
_INSIDE, _CORE = 0.12, 0.8


def detect(
    motion: Motion, camera: Camera, *, layout: str = "body_25b", noise: str | DetectionNoise = "detector", seed: int = 0
) -> Keypoints:
    """What a pose estimator says of a motion of SMPL's body, T frames, seen by one camera.

    Args:
      camera: of one frame, or of T. layout: key of ``LAYOUTS``. noise: key of ``PRESETS``, or numbers of your own.

    Returns:
      The points of the layout; those without a place on the body (fingers, outline of the face) are never seen.

    Raises:
      ValueError: an unknown layout or preset, a body of another topology, several clips, numbers that are not finite, a
        camera of another number of frames.
    """
    for name, value, known in (("layout", layout, LAYOUTS), ("noise", noise, PRESETS)):
        if isinstance(value, str) and value not in known:
            raise ValueError(f"{name}: expected one of {', '.join(known)}, found {value!r}")
    checked(motion)
    frames, given = motion.num_frames, np.shape(camera.intrinsics)[0]
    if given not in (1, frames):
        raise ValueError(f"camera: expected {frames} frames or one for this motion, found {given}")
    noise = PRESETS[noise] if isinstance(noise, str) else noise
    names = LAYOUTS[layout]
    points = keypoint_set(names, chain_of(motion.humanoid))
    world = places(motion, points)
    uv, depth = (np.asarray(x, np.float64) for x in lens_model.project(
        world, camera.intrinsics, camera.T_world_camera, camera.distortion
    ))  # fmt: skip
    eye = np.asarray(camera.T_world_camera, np.float64)[:, :3, 3]
    behind_body = hidden(motion, world, eye)
    draw = Draw(noise, points.names, frames, motion.fps, seed)
    share = draw.confidence(behind_body)
    size = np.linalg.norm(uv.max(1) - uv.min(1), axis=-1)[:, None, None]
    uv = uv + size * draw.errors(share, behind_body)
    found = draw.exchanged(np.concatenate([uv, share[..., None]], -1), seen_from_behind(motion, eye))
    uv, share = found[..., :2], found[..., 2]
    out = ((uv < 0) | (uv > camera.image_size)).any(-1)
    share = np.where(draw.lost() | out | (depth < lens_model.NEAREST), 0.0, share)
    full, said = np.zeros((frames, len(names), 2)), np.zeros((frames, len(names)))
    full[:, points.column] = np.where(share[..., None] > 0, uv, 0.0)
    said[:, points.column] = noise.confidence * share
    note = Provenance(format="simulated", conventions=("the keypoints are simulated",))
    return Keypoints(full, said, names, motion.fps, camera.image_size, provenance=note)


def places(motion: Motion, points: MarkerSet) -> np.ndarray:
    """World places (T, K, 3) m of points on the body."""
    humanoid = motion.humanoid
    assert humanoid.smpl_body_ids is not None  # a chain was made of it
    ids = humanoid.smpl_body_ids[points.body]
    offset = quaternion.rotate(quaternion.conjugate(np.asarray(humanoid.smpl_frame, np.float64)), points.point)
    place, quat = (np.asarray(x, np.float64)[:, ids] for x in (motion.body_pos, motion.body_quat))
    return place + quaternion.rotate(quat, offset)


def seen_from_behind(motion: Motion, eye: np.ndarray) -> np.ndarray:
    """Frames (T,) in which a camera at ``eye (T or 1, 3)`` m sees the back of the pelvis."""
    humanoid = motion.humanoid
    ahead = quaternion.rotate(quaternion.conjugate(np.asarray(humanoid.smpl_frame, np.float64)), np.array([0, 0, 1.0]))
    pelvis, quat = (
        np.asarray(x, np.float64)[:, humanoid.smpl_body_ids[0]] for x in (motion.body_pos, motion.body_quat)
    )
    view = pelvis - eye
    return np.sum(quaternion.rotate(quat, ahead) * view, -1) > _BEHIND * np.linalg.norm(view, axis=-1)


def hidden(motion: Motion, world: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Points (T, K) whose line of sight from ``eye (T or 1, 3)`` m passes through a capsule of the body before them.

    Args:
      world: (T, K, 3) m.

    Raises:
      ValueError: the body has no capsules.
    """
    capsules = motion.humanoid.capsules
    if capsules is None:
        raise ValueError(f"humanoid {motion.humanoid.name!r}: expected capsules, which hide what is behind them")
    place, quat = (np.asarray(x, np.float64)[:, capsules.body_id] for x in (motion.body_pos, motion.body_quat))
    ends = place[:, :, None] + quaternion.rotate(quat[:, :, None], capsules.ends)  # (T, C, 2, 3)
    return covered(np.broadcast_to(eye, (len(world), 3)), world, ends, capsules.radius)


def covered(eye: Any, world: Any, ends: Any, radius: np.ndarray) -> Any:
    """Points ``world (*b, K, 3)`` m whose line of sight from ``eye (*b, 3)`` passes through a capsule; NumPy or JAX.

    Args:
      ends: (*b, C, 2, 3) m of the capsules' axes. radius: (C,) m.
    """
    eye = eye[..., None, :]
    sight = world - eye
    sight = sight * (1.0 - _INSIDE / _length(sight)).clip(0.0)[..., None]
    blocked = sight[..., 0] > np.inf
    for c, thick in enumerate(radius):
        a = ends[..., None, c, 0, :]
        blocked = blocked | (_distance(eye, sight, a, ends[..., None, c, 1, :] - a) < _CORE * thick)
    return blocked


def _distance(p: Any, d: Any, q: Any, e: Any) -> Any:
    """Distance (...) between the segments p + s d and q + t e, 0 <= s, t <= 1; either may be a point. NumPy or JAX.

    After Ericson 2005, Real-Time Collision Detection, 5.1.9.
    """
    dot = lambda x, y: (x * y).sum(-1)  # noqa: E731
    r = p - q
    a, b, c, f, g = dot(d, d), dot(d, e), dot(d, r), dot(e, e), dot(e, r)
    share = lambda x, y: (x * (y > 1e-12) / (y + (y <= 1e-12))).clip(0.0, 1.0)  # noqa: E731
    s = share(b * g - c * f, a * f - b * b)
    t = share(b * s + g, f)
    s = share(b * t - c, a)
    return _length(r + s[..., None] * d - t[..., None] * e)


def _length(v: Any) -> Any:
    return (v * v).sum(-1) ** 0.5
