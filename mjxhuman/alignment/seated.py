"""Seated poses made by rule: trunk, hips and knees at given angles, feet on the floor before a seat of given height."""

from __future__ import annotations

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.alignment.skin import FEET, skin_of
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.retarget.direct import qpos_from_smpl
from mjxhuman.types import SMPL_JOINTS, Motion, Provenance

#: Degrees that thighs may be lifted from hanging down.
_THIGHS = (80.0, 115.0)
#: Degrees that forearms point inward, so that the hands are over the lap, and clear of armrests.
_INWARD = 30.0
#: Frames of a pose held, the fewest that a motion may have, and their rate, Hz.
_FRAMES, _RATE = 3, 30.0


def seated(
    humanoid: Humanoid,
    seat: float = 0.45,
    *,
    lean: float = -8.0,
    knee: float = 90.0,
    apart: float = 8.0,
    crossed: bool = False,
    arms: float = 80.0,
) -> Motion:
    """A person who sits at the origin facing +x, lowest point of the buttocks at z = seat, held for three frames.

    Args:
      humanoid: of SMPL's topology.
      seat: height in m. The thighs rise until the soles are on the floor, and are not below the buttocks; on a seat too
        high for that the feet hang.
      lean: of the trunk, degrees forward; the pelvis takes half of it.
      knee: flexion in degrees.
      apart: abduction of each thigh, degrees.
      crossed: the left thigh lies over the right one.
      arms: how far they hang down, degrees; 0 is the T-pose.

    Raises:
      ValueError: not of SMPL topology.
    """
    skin = skin_of(humanoid)
    feet = np.isin(skin.part, [skin.names.index(name) for name in FEET])
    sitting = skin.part == skin.names.index("Pelvis")
    thighs = np.isin(skin.part, [skin.names.index(name) for name in ("L_Thigh", "R_Thigh")])

    def rising(lowest: np.ndarray, height: float) -> float:
        """Degrees at which points are this far above the lowest of the buttocks."""
        low, high = _THIGHS
        for _ in range(10):
            hip = 0.5 * (low + high)
            points = _points(humanoid, _pose(humanoid, hip, lean, knee, apart, crossed, arms))
            under = points[lowest, 2].min() - points[sitting, 2].min() < height
            low, high = (hip, high) if under else (low, hip)
        return high

    hip = max(rising(feet, -seat), rising(thighs, 0.0))
    qpos = _pose(humanoid, hip, lean, knee, apart, crossed, arms)
    points = _points(humanoid, qpos)
    qpos[:2] -= points[sitting, :2].mean(0)
    qpos[2] += seat - points[sitting, 2].min()
    recipe = f"seated at {seat:.2f} m, lean {lean:.0f}, thighs {hip:.0f}, knees {knee:.0f} degrees"
    provenance = Provenance(format="procedural", conventions=(recipe,))
    return motion_from_qpos(humanoid, np.tile(qpos, (_FRAMES, 1)), _RATE, provenance=provenance)


def _pose(
    humanoid: Humanoid, hip: float, lean: float, knee: float, apart: float, crossed: bool, arms: float
) -> np.ndarray:
    turns = {
        "Torso": ("x", 0.25 * lean), "Spine": ("x", 0.15 * lean), "Chest": ("x", 0.1 * lean),
        "L_Hip": ("XZ", (-hip - 0.5 * lean, apart)), "R_Hip": ("XZ", (-hip - 0.5 * lean, -apart)),
        "L_Knee": ("x", knee), "R_Knee": ("x", knee),
        "L_Ankle": ("x", hip - knee), "R_Ankle": ("x", hip - knee),
        "L_Shoulder": ("ZX", (-arms, _INWARD)), "R_Shoulder": ("ZX", (arms, _INWARD)),
        "L_Elbow": ("y", -80.0), "R_Elbow": ("y", 80.0),
    }  # fmt: skip
    if crossed:
        turns["L_Hip"] = ("XZ", (-hip - 22.0 - 0.5 * lean, -18.0))
        turns["L_Ankle"] = ("x", 0.0)
    local = np.tile([1.0, 0.0, 0.0, 0.0], (1, 24, 1))
    for name, (axes, angles) in turns.items():
        local[0, SMPL_JOINTS.index(name)] = Rotation.from_euler(axes, angles, degrees=True).as_quat(scalar_first=True)
    upright = Rotation.from_matrix([[0, 0, 1], [1, 0, 0], [0, 1, 0]])  # x left, y up, z forward: forward becomes +x
    root = upright * Rotation.from_euler("x", 0.5 * lean, degrees=True)
    local[0, 0] = root.as_quat(scalar_first=True)
    return qpos_from_smpl(humanoid, np.zeros((1, 3)), local)[0]


def _points(humanoid: Humanoid, qpos: np.ndarray) -> np.ndarray:
    data = mujoco.MjData(humanoid.model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(humanoid.model, data)
    return skin_of(humanoid).posed(data.xpos, data.xquat)[0]
