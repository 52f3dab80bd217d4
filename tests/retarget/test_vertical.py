"""Where up is: found from balance and floor on recorded-like motion that was tilted; silent where nothing stands."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.physics.motion import motion_from_qpos, resample
from mjxhuman.retarget import host
from mjxhuman.retarget.ground import contact_heights
from mjxhuman.retarget.vertical import find_vertical

UP = np.array([0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def walk(humanoid):
    """Centre of mass (T, 3) and soles (T, P, 3) of the built-in walk."""
    clip = load_builtin_clip("walk")
    motion = resample(motion_from_qpos(humanoid, clip.qpos, clip.fps), 30.0)
    pos, quat = np.asarray(motion.body_pos, float), np.asarray(motion.body_quat, float)
    points, is_foot = contact_heights(humanoid, pos, quat)
    mass = np.asarray(humanoid.model.body_mass)
    com = np.einsum("b,tbi->ti", mass, pos + host.rotate(quat, np.asarray(humanoid.model.body_ipos))) / mass.sum()
    return com, points[:, is_foot]


def degrees(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.rad2deg(np.arccos(np.clip(a @ b, -1.0, 1.0))))


def find(com, soles, turn=None, **change) -> float:
    """Error (deg) of the vertical of a scene that was turned."""
    turn = Rotation.identity() if turn is None else turn
    com, soles = turn.apply(com), turn.apply(soles.reshape(-1, 3)).reshape(soles.shape)
    given = {"stature": 1.71, "fps": 30.0, "valid": np.ones(len(com), bool), "nominal": UP} | change
    return degrees(find_vertical(com, soles, **given), turn.apply(UP))


@pytest.mark.parametrize("tilt", [0.0, 10.0, 30.0])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_walk_tells_where_up_is(walk, tilt, axis):
    assert find(*walk, Rotation.from_euler(axis, tilt, degrees=True)) < 2.5


def test_standing_still_is_enough(walk):
    com, soles = walk
    com, soles = (np.repeat(x[25:26], 60, 0) for x in (com, soles))
    com[:, :2] = soles[0, soles[0, :, 2] < soles[0, :, 2].min() + 0.02, :2].mean(0)
    assert find(com, soles, Rotation.from_euler("x", 20.0, degrees=True)) < 4.0


def test_who_does_not_stand_leaves_the_camera_its_say(walk):
    com, soles = walk
    com, soles = (np.repeat(x[20:21], 60, 0) for x in (com, soles))
    lying = Rotation.from_euler("y", 90.0, degrees=True)  # the centre of mass is not above the feet
    com, soles = lying.apply(com), lying.apply(soles.reshape(-1, 3)).reshape(soles.shape)
    nominal = Rotation.from_euler("x", 8.0, degrees=True).apply(UP)
    given = {"stature": 1.71, "fps": 30.0, "valid": np.ones(len(com), bool)}
    assert degrees(find_vertical(com, soles, **given, nominal=nominal), nominal) < 3.0
    nothing = np.zeros(len(com), bool)
    assert degrees(find_vertical(com, soles, **(given | {"valid": nothing}), nominal=nominal), nominal) < 1e-3


def test_frames_that_jump_are_outvoted(walk):
    com, soles = (x.copy() for x in walk)
    com[10:18, 0] += 0.8
    assert find(com, soles, Rotation.from_euler("y", 15.0, degrees=True)) < 4.0
