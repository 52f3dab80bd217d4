"""Pixels as rays: what a vision policy is told about 2D keypoints (PhysHMR, Feng et al. 2025).

Offline, every keypoint becomes a world ray, stored as a point on it. At run time the policy sees, for each joint of the
simulated body, the perpendicular from the ray to the joint in the body's heading frame: zero exactly when the joint
reprojects onto the detection, and no word about depth. Moving cameras need nothing special: place and direction of a
ray are those of its frame. Parity with the observation ``v358`` of ``fengq1a0/physhmr`` is tested; confidences stand
beside the offsets and are not multiplied into them, as there.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jax.typing import ArrayLike

from mjxhuman.data.keypoint_names import canonical_name
from mjxhuman.math import camera as lens_model
from mjxhuman.math import rotation
from mjxhuman.types import Camera, Keypoints

#: Joints in the order of PhysHMR's observation: COCO's points 5 to 16.
RAY_JOINTS = tuple(
    f"{side}_{joint}" for joint in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle") for side in "LR"
)
#: The variant without hips (``v359``).
RAY_JOINTS_WITHOUT_HIPS = tuple(name for name in RAY_JOINTS if not name.endswith("_Hip"))


@struct.dataclass
class Rays:
    """World rays of keypoints; J joints."""

    origin: Array  # (*b, T, 3) m, where the camera is
    point: Array  # (*b, T, J, 3) m, one metre from the origin along each ray
    confidence: Array  # (*b, T, J) 0..1; 0 where not seen, the point then means nothing
    joints: tuple[str, ...] = struct.field(pytree_node=False)


def lift(keypoints: Keypoints, camera: Camera, joints: tuple[str, ...] = RAY_JOINTS) -> Rays:
    """Rays of the keypoints that stand for joints.

    Args:
      keypoints: ``uv (*b, T, K, 2)``. camera: the same batch axes, T frames or one.
      joints: SMPL joints with a keypoint of the same name.

    Raises:
      ValueError: a joint that no keypoint is named after, or cameras that do not fit the frames.
    """
    names = [canonical_name(name) for name in keypoints.names]
    wanted = [joint.replace("_", "") for joint in joints]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(f"keypoints: expected {', '.join(missing)} among the names, found {', '.join(names[:20])}")
    frames, given = np.shape(keypoints.uv)[-3], np.shape(camera.intrinsics)[-3]
    if given not in (1, frames):
        raise ValueError(f"camera: expected {frames} frames or one for these keypoints, found {given}")
    columns = np.array([names.index(name) for name in wanted])
    uv, confidence = jnp.asarray(keypoints.uv)[..., columns, :], jnp.asarray(keypoints.confidence)[..., columns]
    origin, direction = lens_model.rays(uv, camera.intrinsics, camera.T_world_camera, camera.distortion)
    origin = jnp.broadcast_to(origin, (*direction.shape[:-2], 3))
    return Rays(origin, origin[..., None, :] + direction, confidence, tuple(joints))


def ray_offsets(joint_pos: ArrayLike, origin: ArrayLike, point: ArrayLike, root_quat: ArrayLike) -> Array:
    """Perpendiculars ``(*b, J, 3)`` m from rays to joints, in the heading frame of the root.

    ``e = x - (x . d) d`` with x from the camera to the joint and d the ray's unit direction, turned by the inverse of
    the root's yaw: the joint minus its foot on the ray.

    Args:
      joint_pos: ``(*b, J, 3)`` m, world. origin: ``(*b, 3)`` m. point: ``(*b, J, 3)`` m, anywhere on each ray but at
        its origin. root_quat: ``(*b, 4)`` wxyz, the pelvis in PHC's upright frame (the identity faces +x).
    """
    origin = jnp.asarray(origin)[..., None, :]
    ahead = jnp.asarray(point) - origin
    ahead = ahead / jnp.linalg.norm(ahead, axis=-1, keepdims=True)
    arm = jnp.asarray(joint_pos) - origin
    offset = arm - jnp.sum(arm * ahead, -1, keepdims=True) * ahead
    front = rotation.rotate(root_quat, jnp.array([1.0, 0.0, 0.0]))
    x, y = front[..., 0], front[..., 1]
    length = jnp.sqrt(jnp.maximum(x * x + y * y, 1e-20))
    upright = length < 1e-9  # the front points straight up or down: there is no heading
    c, s = (jnp.where(upright, a, b / length)[..., None] for a, b in ((1.0, x), (0.0, y)))
    return jnp.stack(
        [c * offset[..., 0] + s * offset[..., 1], c * offset[..., 1] - s * offset[..., 0], offset[..., 2]], -1
    )


def ray_observation(rays: Rays, joint_pos: ArrayLike, root_quat: ArrayLike) -> Array:
    """What the policy sees of one frame, ``(*b, 4 J)``: offsets joint by joint, then the confidences.

    Args:
      rays: of one frame, without the axis T. joint_pos: ``(*b, J, 3)`` m of ``rays.joints``. root_quat: ``(*b, 4)``.
    """
    offsets = ray_offsets(joint_pos, rays.origin, rays.point, root_quat)
    return jnp.concatenate([offsets.reshape(*offsets.shape[:-2], -1), jnp.asarray(rays.confidence)], -1)
