"""Cameras that saw the person: alignment moves them along the lines of sight rather than across. JAX and host."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Float, Int

from mjxhuman.alignment.legs import Placement, limbs_of
from mjxhuman.math.camera import NEAREST
from mjxhuman.types import Array, Camera, Motion

#: Standard deviation of a joint in a picture, in the person's size in it (the diagonal of the box around the joints):
#: recovery's for keypoints, rounded.
SEEN = 0.01


@struct.dataclass
class Views:
    """V cameras at T frames (0 where nobody saw the person) and the Q joints that they saw."""

    rows: Float[Array, "*b T V 3 4"]  # world to pixels about the principal point, times depth, and depth
    uv: Float[Array, "*b T V Q 2"]  # px, where they saw the joints
    weight: Float[Array, "*b T V"]  # 1/px
    joints: Float[Array, "*b T Q 3"]  # m, world, before the person is moved
    limb: Int[Array, "*b Q"]


def views_of(motion: Motion, frames: np.ndarray, camera: Camera | None) -> Views:
    """What a camera, or several, sees of a motion at frames ``(T,)``: lenses count as ideal.

    Raises:
      ValueError: a camera of another number of frames.
    """
    joints = np.asarray(motion.body_pos, np.float64)[frames, 1:]
    limb, count = limbs_of(motion.humanoid)[1:], motion.num_frames
    if camera is None:
        none = (len(frames), 0)
        return Views(np.zeros((*none, 3, 4)), np.zeros((*none, len(limb), 2)), np.zeros(none), joints, limb)
    ways = []
    for x in (camera.intrinsics, camera.T_world_camera):
        x = np.asarray(x, np.float64)
        x = x if x.ndim == 4 else x[None]  # (V, T or 1, ...)
        if x.ndim != 4 or x.shape[1] not in (1, count):
            raise ValueError(f"camera: expected one of {count} frames (or one), found shape {x.shape}")
        ways.append(np.broadcast_to(x, (len(x), count, *x.shape[2:]))[:, frames].swapaxes(0, 1))
    lens, pose = ways[0].copy(), ways[1]  # (T, V, ...)
    turn = pose[..., :3, :3].swapaxes(-1, -2)
    view = np.concatenate([turn, -turn @ pose[..., :3, 3:]], -1)  # (T, V, 3, 4)
    lens[..., :2, 2] = 0.0
    rows = lens @ view
    uv = np.asarray(_pixels(rows, joints))
    size = np.linalg.norm(np.ptp(uv, axis=2), axis=-1)
    return Views(rows, uv, 1 / (SEEN * np.maximum(size, 1.0)), joints, limb)


def _pixels(rows: Array, joints: Array) -> Array:
    seen = jnp.einsum("tvij,tqj->tvqi", rows[..., :3], joints) + rows[:, :, None, :, 3]
    return seen[..., :2] / jnp.maximum(seen[..., 2:], NEAREST)


def pixel_errors(views: Views, body: Placement) -> Array:
    """How far ``(T, V, Q, 2)`` joints are from where they were seen, 1 in the mean where that is ``SEEN``."""
    error = _pixels(views.rows, body.points(views.joints, views.limb)) - views.uv
    return error * views.weight[..., None, None] / np.sqrt(error.shape[2])
