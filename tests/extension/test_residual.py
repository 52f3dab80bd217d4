"""A residual of one's own: what else is known about a motion, as one function of a pose with a weight.

Here a single camera films a walk; a tape measure says that the left hand passes two points. One camera is worst in
depth, so the hand is off by more than that before, and on the points after; derivatives are taken automatically.
"""

from __future__ import annotations

import numpy as np
import pytest
from recovery.scenes import seen_from, walking

from mjxhuman.math.camera import look_at
from mjxhuman.recovery.equations import Residual
from mjxhuman.recovery.recover import recover_motion
from mjxhuman.retarget.chain import BODIES
from mjxhuman.types import Camera

HAND = BODIES.index("L_Wrist")
FRAMES = (15, 40)


def near(pose, point):
    """Distance (3,) m of the left wrist from a point."""
    return pose.pos[HAND] - point


@pytest.fixture(scope="module")
def film(humanoid):
    """A walker's joints (T, 24, 3), keypoints, and the calibrated camera they are seen by."""
    walk = walking(humanoid)
    middle = walk.joints[:, 0].mean(0)
    pose = np.asarray(look_at(middle + [3.0, 4.0, 0.5], middle), float)
    matrix = np.array([[1100.0, 0.0, 640.0], [0.0, 1100.0, 480.0], [0.0, 0.0, 1.0]])
    camera = Camera(matrix[None], pose[None], np.zeros((1, 4)), (1280, 960))
    return walk.joints, seen_from(walk.points, pose, 1100.0, walk.fps), camera


def test_the_hand_passes_where_it_was_measured(film):
    joints, keypoints, camera = film
    weight = np.zeros(len(joints))
    weight[list(FRAMES)] = 1.0 / 0.005  # 1 / m: the tape is good to 5 mm; 0 where nothing was measured
    residual = Residual(near, weight, rows=joints[:, 20])  # one row of data per frame

    def miss(residuals):
        motion = recover_motion(keypoints, camera, ground="none", residuals=residuals)
        found = np.asarray(motion.body_pos)[:, motion.humanoid.smpl_body_ids[20]]
        return np.linalg.norm(found - joints[:, 20], axis=-1)[list(FRAMES)]

    assert miss([]).min() > 0.02
    assert miss([residual]).max() < 0.01
