"""What was seen well enough to count: which joints are known, which frames are valid.

What nobody saw is not invented: a joint counts as known where it, or one further out on its limb, was seen within
``HORIZON`` and agrees with the fit, and a frame is valid where most of the body is known.
"""

from __future__ import annotations

import numpy as np

from mjxhuman.recovery.fitting import Fit
from mjxhuman.retarget.chain import INDEX

#: s that a point may be out of sight while its joint still counts as known.
HORIZON = 0.25
AGREES = 4.0  # standard deviations within which a sighting supports the fit
#: Joints by which a frame is judged, and how many of the twelve must be known.
JUDGED = tuple(f"{s}_{j}" for j in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle") for s in "LR")
ENOUGH = 8

_LIMBS = (("Hip", "Knee", "Ankle", "Toe"), ("Shoulder", "Elbow", "Wrist", "Hand"))
_TRUNK = ("Pelvis", "Torso", "Spine", "Chest", "L_Thorax", "R_Thorax")


def _supports(joint: str, seen: str) -> bool:
    """Whether a point near the joint ``seen`` tells where ``joint`` is: its own, or further out on its limb."""
    if joint in _TRUNK:
        return seen in _TRUNK or seen[2:] in ("Hip", "Shoulder") or seen == "Neck"
    if joint in ("Neck", "Head"):
        return seen in ("Neck", "Head")
    for limb in _LIMBS:
        if joint[2:] in limb:
            outer = limb[min(limb.index(joint[2:]), 2) :]
            return joint[:2] == seen[:2] and seen[2:] in outer
    return False


def judge(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Frames ``(T,)`` that are valid, and joints ``(T, 24)`` that are known."""
    agrees = (np.nan_to_num(fit.misfit(), nan=np.inf) < AGREES).any(1)  # (T, K)
    joint = [INDEX[place.joint] for place in fit.seen.points.places]
    supports = np.zeros((len(INDEX), len(joint)), bool)
    for name, index in INDEX.items():
        supports[index] = [_supports(name, list(INDEX)[j]) for j in joint]
    known = (agrees[:, None] & supports).any(-1)
    radius = int(HORIZON * fit.seen.fps)
    padded = np.pad(known, ((radius, radius), (0, 0)))
    known = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis=0).any(-1)
    return known[:, [INDEX[name] for name in JUDGED]].sum(1) >= ENOUGH, known
