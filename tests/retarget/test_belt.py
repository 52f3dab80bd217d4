"""Treadmills: the belt's speed from the feet, the walk that comes out, and what is no belt."""

from __future__ import annotations

import numpy as np
import pytest

from mjxhuman.data import read_motion
from mjxhuman.data.builtin import builtin_path
from mjxhuman.recovery.load import load_motion
from mjxhuman.retarget.belt import off_belt


@pytest.fixture(scope="module")
def walk(shared):
    return read_motion(shared / "data" / "grf" / "opencap_subject4" / "walking1_markers.trc")


def treadmill(walk, velocity):
    """The walk as a camera that travels with it at a constant velocity sees it."""
    time = np.arange(len(walk.pos)) / walk.fps
    shift = -velocity * time[:, None]
    return walk.replace(pos=np.where(np.asarray(walk.valid)[..., None], np.asarray(walk.pos) + shift[:, None], 0.0))


@pytest.fixture(scope="module")
def velocity(walk):
    """Of the pelvis, horizontally, (3,) m/s."""
    pelvis = np.asarray(walk.pos, float)[:, walk.names.index("r.ASIS")]
    return (pelvis[-1] - pelvis[0]) * [1.0, 1.0, 0.0] * walk.fps / (len(pelvis) - 1)


def test_the_standing_feet_tell_the_belt(walk, velocity):
    found = off_belt(treadmill(walk, velocity), "auto")
    k = walk.names.index("r.ASIS")
    off = np.linalg.norm(np.asarray(found.pos)[-1, k] - np.asarray(walk.pos)[-1, k])
    assert off < 0.06 * np.linalg.norm(velocity) * len(walk.pos) / walk.fps
    assert "belt at" in found.provenance.conventions[-1]


def test_a_stated_speed_is_taken(walk, velocity):
    found = off_belt(treadmill(walk, velocity), float(np.linalg.norm(velocity)))
    np.testing.assert_allclose(np.asarray(found.pos)[-1], np.asarray(walk.pos)[-1], atol=0.1)


def test_a_walk_over_ground_has_no_belt(walk):
    with pytest.raises(ValueError, match="belt_speed"):
        off_belt(walk, "auto")


def test_files_that_are_not_fitted_are_refused():
    with pytest.raises(ValueError, match="belt_speed"):
        load_motion(builtin_path("walk"), belt_speed="auto")
