"""Ground policies on clips whose floor is known."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_sources import turned

from mjxhuman.math import quaternion
from mjxhuman.retarget import retarget_motion
from mjxhuman.retarget.chain import INDEX, UPRIGHT
from mjxhuman.retarget.ground import contact_heights, find_ground, on_floor, shortest_half, stance_frames
from mjxhuman.types import BodyMotion

pytestmark = pytest.mark.compiled


def standing(humanoid, frames: int = 60, height: float = 0.0, bump: float = 0.0) -> BodyMotion:
    """The T-pose, soles at ``height``; a hop of ``bump`` m in the middle fifth; drifts 1 cm/s."""
    transl = np.zeros((frames, 3))
    transl[:, 0] = 0.01 * np.arange(frames) / 60.0
    transl[:, 2] = humanoid.model.qpos0[2] + height
    hop = slice(2 * frames // 5, 3 * frames // 5)
    phase = np.linspace(0.0, np.pi, len(transl[hop]))
    transl[hop, 2] += bump * np.sin(phase)
    return BodyMotion(
        betas=np.zeros(0), transl=transl, global_orient=np.tile(UPRIGHT, (frames, 1)),
        body_pose=np.tile([1.0, 0.0, 0.0, 0.0], (frames, 23, 1)), valid=np.ones(frames, bool), fps=60.0,
    )  # fmt: skip


def sole(motion) -> np.ndarray:
    points, is_foot = contact_heights(
        motion.humanoid, np.asarray(motion.body_pos, float), np.asarray(motion.body_quat, float)
    )
    return points[:, is_foot, 2].min(1)


@pytest.mark.parametrize("height", [-0.2, 0.0, 1.234])
@pytest.mark.parametrize("policy", ["none", "lowest", "stance"])
def test_offset_is_exact(humanoid, policy, height):
    motion = retarget_motion(standing(humanoid, height=height, bump=0.3), humanoid, ground=policy)
    offset = 0.0 if policy == "none" else -height
    assert motion.provenance.ground == policy
    assert motion.provenance.ground_offset == pytest.approx(offset, abs=1e-4)
    np.testing.assert_allclose(sole(motion)[[0, -1]], height + offset, atol=1e-4)


def test_lowest_follows_one_bad_frame_and_stance_does_not(humanoid):
    source = standing(humanoid)
    source.transl[30, 2] -= 0.15
    assert retarget_motion(source, humanoid, ground="lowest").provenance.ground_offset == pytest.approx(0.15, abs=1e-4)
    assert retarget_motion(source, humanoid, ground="stance").provenance.ground_offset == pytest.approx(0.0, abs=1e-4)


def test_plane_levels_a_tilted_world(humanoid):
    """A stroll in a circle on a floor tilted by 4 degrees and 0.3 m too high."""
    source = standing(humanoid, frames=200)
    angle = np.linspace(0.0, 2.0 * np.pi, 200)
    source.transl[:, 0], source.transl[:, 1] = 0.15 * np.cos(angle), 0.15 * np.sin(angle)
    tilt = turned("x", 4.0)
    world = source.replace(
        transl=quaternion.rotate(tilt, source.transl) + [0.0, 0.0, 0.3],
        global_orient=quaternion.multiply(tilt, source.global_orient),
    )
    motion = retarget_motion(world, humanoid, ground="plane")
    np.testing.assert_allclose(sole(motion), 0.0, atol=2e-3)
    up = quaternion.rotate(np.asarray(motion.body_quat, float)[:, humanoid.smpl_body_ids[0]], np.array([0.0, 1.0, 0.0]))
    assert np.rad2deg(np.arccos(up[:, 2])).max() < 0.3


def walk_points(slope: np.ndarray, length: float, frames: int = 240, noise: float = 0.002) -> np.ndarray:
    """Two soles that step alternately, 0.1 m left and right of a line along x, on z = slope . (x, y)."""
    rng = np.random.default_rng(0)
    points = np.zeros((frames, 2, 3))
    steps = 8
    for k in range(frames):
        step, phase = divmod(k * steps / frames, 1.0)
        stand, swing = (0, 1) if step % 2 == 0 else (1, 0)
        points[k, stand, 0] = step * length / steps
        points[k, swing, 0] = (step - 1 + 2 * phase) * length / steps
        points[k, swing, 2] = 0.05 + 0.1 * np.sin(np.pi * phase)
    points[..., 1] = [0.1, -0.1]
    points[..., 2] += points[..., :2] @ slope + rng.normal(0.0, noise, (frames, 2))
    return points


@pytest.mark.parametrize(("tilt", "length", "levelled"), [(1.5, 3.0, True), (1.5, 0.6, False), (0.0, 3.0, False)])
def test_stance_levels_a_slightly_sloping_floor_over_a_long_path(tilt, length, levelled):
    slope = np.array([np.tan(np.deg2rad(tilt)), 0.0])
    points = walk_points(slope, length)
    found = find_ground(points, np.array([True, True]), 60.0, "stance")
    angle = np.rad2deg(quaternion.angle(found.quat))
    assert angle == pytest.approx(tilt if levelled else 0.0, abs=0.1)
    assert ("levelled" in found.sentence) == levelled
    if levelled:
        height = quaternion.rotate(found.quat, points)[..., 2].min(1) + found.offset
        assert np.median(np.abs(height[found.stance])) < 0.004


@pytest.mark.parametrize(("tilt", "rough", "levelled"), [(0.7, 0.005, True), (1.0, 0.01, False)])
def test_a_slope_counts_where_it_explains_the_heights(tilt, rough, levelled):
    """Feet that land ``rough`` m higher or lower by turns: levelling leaves 52 and 69 % of it; up to 60 counts."""
    points = walk_points(np.array([np.tan(np.deg2rad(tilt)), 0.0]), 3.0, noise=0.0005)
    landing = np.round(points[..., 0] / (3.0 / 8)).astype(int)
    points[..., 2] += rough * np.where(landing % 2 == 0, 1.0, -1.0)
    found = find_ground(points, np.array([True, True]), 60.0, "stance")
    assert ("levelled" in found.sentence) == levelled


def test_a_steep_slope_is_no_capture_floor():
    found = find_ground(
        walk_points(np.array([np.tan(np.deg2rad(6.0)), 0.0]), 3.0), np.array([True, True]), 60.0, "stance"
    )
    np.testing.assert_array_equal(found.quat, [1.0, 0.0, 0.0, 0.0])


def test_shortest_half_is_where_most_values_agree():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.5, 1e-3, 60), rng.uniform(0.5, 0.6, 50)])
    assert shortest_half(values) == pytest.approx(0.5, abs=3e-3)
    assert shortest_half(np.array([9.0, 0.2, 0.0, 5.0, 0.1])) == pytest.approx(0.1), "the middle, not an end"
    assert shortest_half(np.array([0.3])) == 0.3
    assert shortest_half(np.zeros(7)) == 0.0


def test_plane_needs_points_that_spread():
    points = np.zeros((50, 2, 3))
    points[:, :, 0] = np.linspace(0.0, 0.1, 50)[:, None]
    points[:, 1, 2] = 0.5
    with pytest.raises(ValueError, match="cannot carry a plane"):
        find_ground(points, np.array([True, True]), 30.0, "plane")


def test_a_lying_body_rests_on_its_back(humanoid):
    """Face up, heels 25 cm over the level of the back: the feet do not carry it."""
    source = standing(humanoid, height=0.7)
    lying = np.tile(quaternion.multiply(turned("y", -90.0), UPRIGHT), (60, 1))
    pose = np.array(source.body_pose)
    for name in ("L_Hip", "R_Hip"):
        pose[:, INDEX[name] - 1] = turned("x", -30.0)
    motion = retarget_motion(source.replace(global_orient=lying, body_pose=pose), humanoid)
    points, is_foot = contact_heights(humanoid, np.asarray(motion.body_pos, float), np.asarray(motion.body_quat, float))
    assert points[0, ~is_foot, 2].min() == pytest.approx(0.0, abs=1e-4)
    assert points[0, is_foot, 2].min() > 0.1
    assert any("lowest point of the body" in line for line in motion.provenance.retarget)


def test_flight_without_a_stance_still_has_a_floor():
    time = np.arange(40) / 60.0
    points = np.zeros((40, 2, 3))
    points[..., 0] = 3.0 * time[:, None]
    points[..., 2] = (2.0 + 2.0 * time - 4.9 * time**2)[:, None] + [0.0, 1.0]
    stance, who = stance_frames(points, np.array([True, False]), 60.0)
    assert who == "body" and 0 < stance.sum() <= 6
    assert find_ground(points, np.array([True, False]), 60.0, "stance").offset < -1.2


def two_heights(share: float, upper: float, frames: int = 200) -> np.ndarray:
    """One point at rest on the floor, for the last ``share`` of the frames ``upper`` m higher."""
    points = np.zeros((frames, 1, 3))
    points[int((1 - share) * frames) :, 0, 2] = upper
    return points


@pytest.mark.parametrize(("speed", "stands"), [(0.25, True), (0.35, False)])
def test_a_point_that_moves_does_not_stand(speed, stands):
    points = np.zeros((60, 2, 3))
    points[:, :, 0] = speed * np.arange(60)[:, None] / 30.0
    points[:, 1, 2] = 1.0
    stance, who = stance_frames(points, np.array([True, False]), 30.0)
    assert (who == "feet") == stands
    assert stance.all()  # without any stance the lowest frames count: here all


@pytest.mark.parametrize(("upper", "counts"), [(0.08, True), (0.12, False)])
def test_standing_on_a_step_is_no_stance_on_the_floor(upper, counts):
    stance, who = stance_frames(two_heights(0.4, upper), np.array([True]), 30.0)
    assert who == "feet" and stance[:100].all()
    assert stance[150:].all() == counts and stance[150:].any() == counts


@pytest.mark.parametrize(("share", "who"), [(0.4, "feet"), (0.6, "body")])
def test_feet_carry_a_body_that_they_carry_for_half_of_the_time(share, who):
    """In the last ``share`` of the frames the body lies: its back is on the floor, the foot 0.1 m up."""
    foot = two_heights(share, 0.1)
    back = two_heights(1 - share, 0.8)[::-1]
    assert stance_frames(np.concatenate([foot, back], 1), np.array([True, False]), 30.0)[1] == who


def test_a_plane_as_steep_as_a_ramp_is_no_floor():
    points = np.zeros((200, 1, 3))
    points[:, 0, :2] = 0.3 * np.column_stack([np.cos(np.arange(200) / 30), np.sin(np.arange(200) / 30)])
    for degrees, fits in ((12.0, True), (20.0, False)):
        points[:, 0, 2] = np.tan(np.deg2rad(degrees)) * points[:, 0, 0]
        if fits:
            assert np.rad2deg(quaternion.angle(find_ground(points, np.array([True]), 10.0, "plane").quat)) > 11.0
        else:
            with pytest.raises(ValueError, match="tilted by 20 deg"):
                find_ground(points, np.array([True]), 10.0, "plane")


@pytest.mark.parametrize(("height", "moved"), [(0.3, -0.3), (-0.1, 0.1), (0.01, 0.0)])
def test_a_motion_is_moved_onto_the_floor_unless_it_touches_it(humanoid, height, moved):
    motion = retarget_motion(standing(humanoid, height=height, bump=0.3), humanoid, ground="none")
    after, offset = on_floor(motion)
    assert offset == pytest.approx(moved, abs=2e-3)
    np.testing.assert_allclose(sole(after), sole(motion) + offset, atol=1e-6)
    np.testing.assert_allclose(
        np.asarray(after.qpos) - np.asarray(motion.qpos), [[0, 0, offset, *[0] * 96]] * 60, atol=1e-6
    )
    assert (after is motion) == (moved == 0.0)
