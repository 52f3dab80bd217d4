"""Procedural references fit the furniture they are made for."""

import dataclasses

import numpy as np
import pytest

import mjxhuman
from mjxhuman.humanoids.contacts import furniture_points
from mjxhuman.interaction import poses
from mjxhuman.math import quaternion


def lowest(motion, *groups, frame=-1):
    """Height of the lowest skin of groups of contact points in a frame, m."""
    points = furniture_points(motion.humanoid)
    pos, quat = (np.asarray(x, float)[frame, points.body_id] for x in (motion.body_pos, motion.body_quat))
    height = (pos + quaternion.rotate(quat, points.offset))[:, 2] - points.radius
    return height[np.isin(points.group, [points.group_names.index(g) for g in groups])].min()


@pytest.mark.parametrize("seat", [0.3, 0.45, 0.6])
def test_people_sit_down_on_seats_of_many_heights_without_moving_their_feet(humanoid, seat):
    motion = poses.sitting(humanoid, seat)
    assert lowest(motion, "Pelvis") == pytest.approx(seat, abs=0.005)
    ankles = np.asarray(motion.body_pos)[:, [humanoid.body_names.index(f"{s}_Ankle") for s in "LR"]]
    assert np.ptp(ankles, axis=0).max() < 1e-4
    assert lowest(motion, "L_Foot", "R_Foot") == pytest.approx(0.0, abs=1e-3)
    assert "seat at" in motion.provenance.conventions[0]
    np.testing.assert_array_equal(motion.qpos, poses.sitting(humanoid, seat).qpos)
    # smooth: at 30 Hz no joint turns faster than people do
    assert np.abs(np.asarray(motion.qvel)).max() < 8.0


@pytest.mark.parametrize("seat", [0.36, 0.45, 0.5])
def test_hands_stay_off_the_seat_while_someone_sits_down_and_rises(humanoid, seat):
    motion = poses.sitting(humanoid, seat, rise=True)
    near = np.flatnonzero(np.asarray(motion.body_pos)[:, 1, 2] < seat + 0.3)  # all but standing
    assert len(near) > 60
    assert min(lowest(motion, "L_Hand", "R_Hand", frame=int(frame)) for frame in near) > seat + 0.05


def test_a_smaller_body_sits_lower_and_is_told_where(humanoid):
    child = mjxhuman.load_humanoid("smpl", stature=1.3)
    with pytest.raises(ValueError, match=r"seat_height: expected 0\.\d+ to 0\.\d+ m for this body, found 0.75 m"):
        poses.sitting(child, 0.75)
    assert lowest(poses.sitting(child, 0.3), "Pelvis") == pytest.approx(0.3, abs=0.005)
    with pytest.raises(ValueError, match="expected the built-in body"):
        poses.sitting(dataclasses.replace(humanoid, layout="hinge"), 0.4)


def test_hands_meet_the_table_and_feet_the_step_and_the_back_the_bench(humanoid):
    table = poses.leaning_on_table(humanoid, 0.75)
    assert lowest(table, "L_Hand", "R_Hand") == pytest.approx(0.75, abs=0.003)
    step = poses.stepping_on(humanoid, 0.2)
    assert lowest(step, "L_Foot", "R_Foot") == pytest.approx(0.2, abs=1e-3)
    assert lowest(step, "L_Foot", "R_Foot", frame=0) == pytest.approx(0.0, abs=1e-3)
    lie = poses.lying(humanoid, 0.5)
    assert lowest(lie, "Back", "Pelvis", "Head", "L_Shank") == pytest.approx(0.5, abs=1e-3)
    back = poses.leaning_back(humanoid, 0.45)
    chest = humanoid.body_names.index("Chest")
    assert back.body_pos[-1, chest, 0] < poses.sitting(humanoid, 0.45).body_pos[-1, chest, 0] - 0.1
    with pytest.raises(ValueError, match="table_height"):
        poses.leaning_on_table(humanoid, 1.3)
    with pytest.raises(ValueError, match="step_height"):
        poses.stepping_on(humanoid, 0.8)
