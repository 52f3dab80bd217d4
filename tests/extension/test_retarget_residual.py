"""A residual of one's own in retargeting: what else is known about a pose, as one function of it with a weight.

Here a file's wrists are known to be wrong: in two frames the left hand held a rail whose place was measured. The
residual pulls the hand there and leaves all other frames alone; derivatives are taken automatically.
"""

from __future__ import annotations

import numpy as np
from synthetic_sources import as_skeleton, moving_pose

from mjxhuman.retarget import retarget_motion
from mjxhuman.retarget.chain import BODIES, chain_of
from mjxhuman.retarget.residuals import PoseResidual

HAND = BODIES.index("L_Wrist")
HELD = [20, 60]


def near(pose, place):
    """Distance (3,) m of the left wrist from a place."""
    return pose.pos[HAND] - place


def test_the_hand_holds_the_rail(humanoid):
    source = as_skeleton(chain_of(humanoid), *moving_pose(chain_of(humanoid)))
    frames = len(source.joint_pos)
    before = retarget_motion(source, humanoid, ground="none")
    wrist = np.asarray(before.body_pos, float)[:, humanoid.smpl_body_ids[HAND]]
    rail = wrist + np.array([0.0, 0.0, 0.05])
    weight = np.zeros(frames)
    weight[HELD] = 1.0 / 0.001  # 1 / m: good to a millimetre; 0 where nothing was held

    after = retarget_motion(source, humanoid, ground="none", residuals=[PoseResidual(near, weight, rows=rail)])

    found = np.asarray(after.body_pos, float)[:, humanoid.smpl_body_ids[HAND]]
    assert np.linalg.norm(found - rail, axis=-1)[HELD].max() < 0.005
    free = np.delete(np.arange(frames), HELD)
    assert np.linalg.norm(found - wrist, axis=-1)[free].max() < 1e-4
