"""What the lifter says of a body, as a residual of the whole-clip fit: 3D landmarks with a standard deviation each."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from mjxhuman.encoders.lifter import Lifted
from mjxhuman.recovery.equations import ChainPose, Part, Posed, Residual, gram
from mjxhuman.retarget.chain import Chain
from mjxhuman.retarget.landmarks import keypoint_set

#: The lifter's errors last about so long (s): frames closer together say the same once.
_LASTS = 0.3
#: Standard deviations at which a landmark loses its say.
_KERNEL = 3.0
_PELVIS = 0


def lifted_residual(lifted: Lifted, chain: Chain) -> Residual:
    """For ``recover_motion(..., residuals=[...])``, of one camera whose gravity is known.

    Args:
      chain: of the body that is fitted.
    """
    points = keypoint_set(lifted.names, chain)
    weight = np.asarray(lifted.valid)[:, None] / (np.asarray(lifted.deviation) * np.sqrt(max(1.0, _LASTS * lifted.fps)))
    hips = [points.names.index("LHip"), points.names.index("RHip")]
    common = (np.asarray(points.body, np.int32), points.point, points.point[hips].mean(0))
    return Residual(offsets, weight, np.asarray(lifted.points, float), np.array(_KERNEL), common, block=_offsets)


def offsets(pose: ChainPose, row: Array, common: tuple[Array, Array, Array]) -> Array:
    """Points ``(K, 3)`` m at scale one, relative to the middle of the hips, minus the lifter's."""
    body, point, anchor = common
    return (pose.place(body, point) - pose.place(_PELVIS, anchor)) / pose.scale - row


def _offsets(clip: Posed, residual: Residual) -> Part:
    body, point, anchor = residual.common
    pelvis, weight = jnp.full(1, _PELVIS), residual.weight
    places, middle = clip.place(body, point), clip.place(pelvis, anchor[None])
    error = weight[..., None] * ((places - middle) / clip.scale - residual.rows)
    cost, share = residual.robust(jnp.sum(error * error, -1))
    turns = clip.turns(body, places) - clip.turns(pelvis, middle)
    slope = (share * weight / clip.scale)[..., None, None] * turns
    error = error * share[..., None]
    return Part(jnp.sum(cost, 1), jnp.einsum("tkan,tka->tn", slope, error), gram(slope, slope))
