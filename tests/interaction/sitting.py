"""A person who sits, made by hand: the default body, its soles on the floor and its thighs at ``SEAT``."""

from __future__ import annotations

import numpy as np

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import quaternion
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.types import Motion

#: m, under the hip joints of the pose at its default height.
SEAT = 0.3735

_X, _Z = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])


def sitting_pose(humanoid: Humanoid, height: float = 0.5505, hips: float = 92.0, knees: float = 92.0) -> np.ndarray:
    """Coordinates of the body with its pelvis ``height`` m above (0, 0), thighs level, arms hanging; looks along +x."""
    qpos = humanoid.model.qpos0.copy()
    qpos[:3] = 0.0, 0.0, height
    bends = {
        "L_Hip": (_X, -hips), "R_Hip": (_X, -hips), "L_Knee": (_X, knees), "R_Knee": (_X, knees),
        "L_Shoulder": (_Z, -70), "R_Shoulder": (_Z, 70),
    }  # fmt: skip
    for name, (axis, degrees) in bends.items():
        model = humanoid.model
        at = model.jnt_qposadr[model.body_jntadr[model.body(name).id]]
        qpos[at : at + 4] = quaternion.about(axis, np.deg2rad([degrees]))[0]
    return qpos


def still(humanoid: Humanoid, pose: np.ndarray, frames: int = 5) -> Motion:
    """A pose that is held."""
    return motion_from_qpos(humanoid, np.tile(pose, (frames, 1)).astype(np.float32), 30.0)
