"""What cameras say of a body that is simulated: rays of keypoints at the control rate, and how far points are off them.

A point on the body is where the fit found that the detector sees it, fixed to a body. Its perpendicular to the ray is
zero where it reprojects onto the detection; how far away it is along the ray is not said.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Float

from mjxhuman.math import quaternion, rotation
from mjxhuman.math.timeseries import resample_times
from mjxhuman.recovery.judgement import AGREES
from mjxhuman.recovery.recover import Recovery
from mjxhuman.recovery.sightings import Sightings, sightings
from mjxhuman.retarget.chain import BODIES, chain_of
from mjxhuman.types import Array, Keypoints, Motion


@struct.dataclass
class Sight:
    """Rays of K points on the body from V cameras; frames ``*f`` last."""

    origin: Float[Array, "V 3 *f"]  # m, where the camera is
    ray: Float[Array, "V K 3 *f"]  # unit direction
    weight: Float[Array, "V K *f"]  # 0..1, relative confidence; 0 where not seen, or where the fit takes it for wrong
    axes: Float[Array, "V 3 3 *f"]  # world to camera
    focal: Float[Array, " V *f"]  # px
    place: Float[Array, "K 3 *f"]  # m, of the point in its body's frame
    rows: tuple[int, ...] = struct.field(pytree_node=False)  # its body, the world left out
    names: tuple[str, ...] = struct.field(pytree_node=False)  # canonical


def sight_of(keypoints: Keypoints, motion: Motion, recovery: Recovery, fps: float) -> Sight:
    """The rays of a fit's keypoints at another frame rate.

    Args:
      keypoints: that were fitted. motion, recovery: what came out, ball joints.
      fps: of the rays; between frames they are interpolated where both frames saw the point.
    """
    seen = sightings(keypoints, recovery.camera, chain_of(motion.humanoid))
    uv, confidence = _sides_put_right(seen, recovery.swapped)
    ids = np.array([motion.humanoid.body_names.index(BODIES[b]) for b in seen.points.body])
    pos, quat = (np.asarray(x, np.float64) for x in (motion.body_pos, motion.body_quat))
    arm = quaternion.rotate(quaternion.conjugate(quat[:, ids]), recovery.points - pos[:, ids])
    confidence = np.where(_misfit(seen, uv, recovery.points) < AGREES, confidence, 0.0)
    times = resample_times(seen.frames, seen.fps, fps)
    low = np.minimum(np.floor(times + 1e-6).astype(int), seen.frames - 1)
    high, share = np.minimum(low + 1, seen.frames - 1), np.clip(times - low, 0.0, 1.0)

    def between(x: np.ndarray) -> np.ndarray:
        part = share.reshape(-1, *[1] * (x.ndim - 1))
        return (1.0 - part) * x[low] + part * x[high]

    both = (confidence[low] > 0) & (confidence[high] > 0)
    lens, view = between(seen.lens), between(seen.view)
    flat = (between(uv) - lens[:, :, None, 2:]) / lens[:, :, None, :2]
    turn = np.swapaxes(view[..., :3], -1, -2)  # camera axes to the world
    ahead = np.einsum("tvij,tvkj->tvki", turn, np.concatenate([flat, np.ones_like(flat[..., :1])], -1))
    origin = -np.einsum("tvij,tvj->tvi", turn, view[..., 3])
    place = np.median(arm[np.asarray(motion.valid)], axis=0)
    last = lambda x: np.asarray(np.moveaxis(x, 0, -1), np.float32)  # noqa: E731  frames
    return Sight(
        origin=last(origin), ray=last(quaternion.unit(ahead)), weight=last(np.where(both, between(confidence), 0.0)),
        axes=last(view[..., :3]), focal=last(lens[..., 0]),
        place=np.repeat(np.float32(place)[..., None], len(times), -1),
        rows=tuple(int(i) - 1 for i in ids), names=tuple(seen.points.names),
    )  # fmt: skip


def _sides_put_right(seen: Sightings, swapped: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (T, V, K, 2) and confidences (T, V, K), left and right exchanged where (T, V) the fit did so."""
    mirror = seen.mirror()
    uv = np.where(swapped[..., None, None], seen.uv[:, :, mirror], seen.uv)
    return uv, np.where(swapped[..., None], seen.confidence[:, :, mirror], seen.confidence)


def _misfit(seen: Sightings, uv: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance (T, V, K) of fitted points (T, K, 3) from sightings, in standard deviations of a detection."""
    local = np.einsum("tvij,tkj->tvki", seen.view[..., :3], points) + seen.view[:, :, None, :, 3]
    found = local[..., :2] / np.maximum(local[..., 2:], 0.05) * seen.lens[:, :, None, :2] + seen.lens[:, :, None, 2:]
    return np.linalg.norm(found - uv, axis=-1) / seen.sigma(True)[..., None]


def on_body(sight: Sight, pos: Float[Array, "B 3 *f"], quat: Float[Array, "B 4 *f"]) -> Float[Array, "K 3 *f"]:
    """The points (m) on bodies that are somewhere, the world body left out."""
    rows = np.array(sight.rows)
    return pos[rows] + rotation.rotate(quat[rows], sight.place, 1)


def perpendiculars(sight: Sight, points: Float[Array, "K 3 *f"]) -> Float[Array, "V K 3 *f"]:
    """m, from each ray to its point."""
    arm = points[None] - sight.origin[:, None]
    return arm - jnp.sum(arm * sight.ray, 2, keepdims=True) * sight.ray
