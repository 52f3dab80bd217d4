"""What a plan is asked for when it follows a video: the planner's terms, and what the cameras saw.

The errors of a fit to one camera are not alike: across the view it is right to two or three centimetres, along it to
six (``docs/video.md``). So the body is held near the rays of the keypoints, and near the fit loosely: how far away
each limb is, and where the weight is, balance may decide.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
from flax import struct
from jaxtyping import Float

from mjxhuman.planning.terms import TERMS, Outlook, Term
from mjxhuman.reconstruction.sight import Sight, on_body, perpendiculars
from mjxhuman.types import Array


@struct.dataclass
class Said:
    """``Outlook.known`` of these terms: what a video says of H steps."""

    sight: Sight
    standing: Float[Array, " F *f"]  # 0..1, whether each body of a foot stands


def reprojection(look: Outlook) -> Float[Array, "m n H"]:
    """m, from the rays to the points on the body, by their confidence."""
    seen = look.known.sight
    off = perpendiculars(seen, on_body(seen, look.body.pos, look.body.quat)) * seen.weight[:, :, None]
    return off.reshape(-1, *off.shape[-2:])


def slip(look: Outlook) -> Float[Array, "m n H"]:
    """m/s of feet that stand in the video."""
    speed = look.body.linvel[jnp.array(look.feet)] * look.known.standing[:, None]
    return speed.reshape(-1, *speed.shape[-2:])


def smoothness(look: Outlook) -> Float[Array, "m n H"]:
    """m/s by which bodies change their velocities in a step and the fit's do not."""
    off = look.body.linvel - look.reference.linvel
    change = off - jnp.concatenate([off[..., :1], off[..., :-1]], -1)
    return change.reshape(-1, *change.shape[-2:])


def _weighed(**weights: float) -> dict[str, Term]:
    return {name: dataclasses.replace(term, weight=weights.get(name, term.weight)) for name, term in TERMS.items()}


#: Of a plan that follows a video; where there are bodies and no keypoints ``planning.terms.TERMS`` has to do.
VIDEO_TERMS: dict[str, Term] = {
    **_weighed(position=0.3, orientation=0.3, centre_of_mass=0.3, capture_point=0.3),
    "reprojection": Term(reprojection, 1.0, 0.04),
    "slip": Term(slip, 3.0, 0.3),
    "smoothness": Term(smoothness, 0.3, 0.5),
}
