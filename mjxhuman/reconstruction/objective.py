"""What a plan is asked for when it follows a video: the planner's terms, and what the cameras saw.

The errors of a fit to one camera are not alike: across the view it is right to two or three centimetres, along it to
six (``docs/video.md``). So the body is held near the rays of the keypoints, and near the fit loosely: how far away
each limb is, and where the weight is, balance may decide.
"""

from __future__ import annotations

import dataclasses

from jaxtyping import Float

from mjxhuman.planning import terms
from mjxhuman.planning.terms import TERMS, Outlook, Term
from mjxhuman.reconstruction.sight import on_body, perpendiculars
from mjxhuman.types import Array


def reprojection(look: Outlook) -> Float[Array, "m n H"]:
    """m, from the rays to the points on the body, by their confidence; ``Outlook.known`` is a ``Sight``."""
    seen = look.known
    off = perpendiculars(seen, on_body(seen, look.body.pos, look.body.quat)) * seen.weight[:, :, None]
    return off.reshape(-1, *off.shape[-2:])


#: Of a plan that follows a video; where there are bodies and no keypoints ``planning.terms.TERMS`` has to do. The scale
#: of the rays is the error of the fit across the view; velocities, which say of standing feet and of jitter what places
#: do not, have that of feet that stand (``planning.terms.STANDING_SPEED``).
VIDEO_TERMS: dict[str, Term] = {
    **TERMS,
    **{
        name: dataclasses.replace(TERMS[name], weight=0.3)
        for name in ("position", "orientation", "centre_of_mass", "capture_point")
    },
    "velocity": Term(terms.velocity, 0.3, terms.STANDING_SPEED),
    "standing_feet": Term(terms.standing_feet, 1.0, terms.STANDING_SPEED),
    "reprojection": Term(reprojection, 1.0, 0.04),
}
