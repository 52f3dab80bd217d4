"""Where up is: found from balance and floor on recorded-like motion that was tilted; silent where nothing stands."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.data.cameras import level_camera
from mjxhuman.data.keypoint_names import LAYOUTS
from mjxhuman.math import camera as lens_model
from mjxhuman.math import quaternion
from mjxhuman.physics.motion import motion_from_qpos, resample
from mjxhuman.recovery.load import load_motion
from mjxhuman.recovery.recover import recover_with_report
from mjxhuman.recovery.vertical import Carried, find_vertical
from mjxhuman.retarget.chain import chain_of
from mjxhuman.retarget.ground import contact_heights
from mjxhuman.retarget.landmarks import keypoint_set
from mjxhuman.types import Keypoints

UP = np.array([0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def walk(humanoid):
    """Centre of mass (T, 3) and soles (T, P, 3) of the built-in walk."""
    clip = load_builtin_clip("walk")
    motion = resample(motion_from_qpos(humanoid, clip.qpos, clip.fps), 30.0)
    pos, quat = np.asarray(motion.body_pos, float), np.asarray(motion.body_quat, float)
    points, is_foot = contact_heights(humanoid, pos, quat)
    mass = np.asarray(humanoid.model.body_mass)
    com = np.einsum("b,tbi->ti", mass, pos + quaternion.rotate(quat, np.asarray(humanoid.model.body_ipos))) / mass.sum()
    return com, points[:, is_foot]


def degrees(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.rad2deg(np.arccos(np.clip(a @ b, -1.0, 1.0))))


def find(com, soles, turn=None) -> float:
    """Error (deg) of the vertical of a scene that was turned."""
    turn = Rotation.identity() if turn is None else turn
    com, soles = turn.apply(com), turn.apply(soles.reshape(-1, 3)).reshape(soles.shape)
    one = Carried(com, soles, 1.71, np.ones(len(com), bool))
    return degrees(find_vertical([one], 30.0, UP), turn.apply(UP))


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
    one = Carried(com, soles, 1.71, np.ones(len(com), bool))
    assert degrees(find_vertical([one], 30.0, nominal), nominal) < 3.0
    nothing = one._replace(valid=np.zeros(len(com), bool))
    assert degrees(find_vertical([nothing], 30.0, nominal), nominal) < 1e-3


def test_frames_that_jump_are_outvoted(walk):
    com, soles = (x.copy() for x in walk)
    com[10:18, 0] += 0.8
    assert find(com, soles, Rotation.from_euler("y", 15.0, degrees=True)) < 4.0


def test_who_lies_is_told_by_who_stands(walk):
    """Two people in one film: the vertical is the walker's, though the other lies."""
    com, soles = walk
    turn = Rotation.from_euler("x", 25.0, degrees=True)
    lying = Rotation.from_euler("y", 90.0, degrees=True)
    still = [np.repeat(x[20:21], 60, 0) for x in (com, soles)]
    people = [
        Carried(turn.apply(c), turn.apply(s.reshape(-1, 3)).reshape(s.shape), 1.71, np.ones(len(c), bool))
        for c, s in (
            (com, soles),
            (lying.apply(still[0]), lying.apply(still[1].reshape(-1, 3)).reshape(still[1].shape)),
        )
    ]
    assert degrees(find_vertical(people, 30.0, UP), turn.apply(UP)) < 4.0
    assert degrees(find_vertical(people[1:], 30.0, UP), turn.apply(UP)) > 10.0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cmu_amc/02/02_01.amc", "cmu_amc/07/07_05.amc", "deepmimic/humanoid3d_jump.txt"])
def test_recorded_motion_from_a_tilted_camera(shared, name):
    """COCO's 17 points with 0.8 % noise, a camera that looks down by 25 degrees and is rolled by 8, the wrong focal
    length: the vertical is found to 10 degrees."""
    size, focal = (1280, 960), 1280.0  # the diagonal, which is assumed, is 1600
    motion = resample(load_motion(shared / "data" / name), 30.0)
    body = motion.humanoid
    pos, quat = (np.asarray(x, float)[:110, body.smpl_body_ids] for x in (motion.body_pos, motion.body_quat))
    places = keypoint_set(tuple(LAYOUTS["coco_17"]), chain_of(body))
    quat = quaternion.multiply(quat, quaternion.conjugate(np.asarray(body.smpl_frame, float)))
    points = pos[:, places.body] + quaternion.rotate(quat[:, places.body], places.point)
    pose = np.array(level_camera(size).T_world_camera[0], float)
    turn = Rotation.from_euler("ZYX", [70.0, 25.0, 8.0], degrees=True).as_matrix()
    pose[:3, :3] = turn @ pose[:3, :3]
    pose[:3, 3] = 0.5 * (pos[:, 0].min(0) + pos[:, 0].max(0)) - (4.0 + np.ptp(pos[:, 0, :2])) * turn[:, 0]
    matrix = np.array([[focal, 0.0, 640.0], [0.0, focal, 480.0], [0.0, 0.0, 1.0]])
    uv = np.asarray(lens_model.project(points, matrix, pose, np.zeros(4))[0], float)
    tall = np.median(np.linalg.norm(np.ptp(uv, axis=1), axis=-1))
    uv += np.random.default_rng(0).normal(0.0, 0.008 * tall, uv.shape)
    keypoints = Keypoints(uv, np.ones(uv.shape[:2]), tuple(LAYOUTS["coco_17"]), 30.0, size)
    _, report = recover_with_report(keypoints)
    found = np.asarray(report.camera.T_world_camera)[0, 0, :3, :3].T @ UP
    assert degrees(found, pose[:3, :3].T @ UP) < 10.0
