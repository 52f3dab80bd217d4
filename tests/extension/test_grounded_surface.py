"""Ground a recorded motion on a surface: a file that has a walk up a ramp, but no ramp and another height.

The surface is given when the motion is loaded; the soles are then moved onto it as they are onto the floor by default.
"""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_sources import as_skeleton, moving_pose

from mjxhuman.retarget import retarget_with_report
from mjxhuman.retarget.chain import chain_of
from mjxhuman.scenes import Plane, Surfaces

RAMP = Plane(point=np.array([0.0, 0.0, 0.3]), normal=np.array([-0.2, 0.0, 1.0]))
STEP = Surfaces((Plane(), Plane(point=np.array([0.0, 0.0, 0.25]))))  # the upper of two level floors


@pytest.fixture(scope="module")
def source(humanoid):
    """A body that stands on one leg on a level floor 5 cm up, as another skeleton."""
    return as_skeleton(chain_of(humanoid), *moving_pose(chain_of(humanoid)))


@pytest.mark.parametrize("surface", [RAMP, STEP], ids=["ramp", "step"])
def test_soles_come_to_lie_on_the_surface(humanoid, source, surface):
    flat, _ = retarget_with_report(source, humanoid)
    motion, report = retarget_with_report(source, humanoid, surface=surface)
    lifted = np.asarray(motion.qpos)[:, 2] - np.asarray(flat.qpos)[:, 2]
    assert np.ptp(lifted) < 1e-6 and lifted[0] > 0.2  # moved as a whole, up and down only
    assert report["floor"]["stance_sole_mm"] < 1.0
    np.testing.assert_allclose(np.asarray(motion.qpos)[:, 3:], np.asarray(flat.qpos)[:, 3:], atol=1e-6)


def test_no_plane_is_fitted_beside_a_surface(humanoid, source):
    with pytest.raises(ValueError, match="on a surface"):
        retarget_with_report(source, humanoid, surface=RAMP, ground="plane")
