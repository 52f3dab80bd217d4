"""People of one film share a world: two walkers seen by one tilted camera, and a recorded person beside a mirror."""

from __future__ import annotations

import numpy as np
import pytest
from recovery.scenes import SIZE, seen_from, walking
from scipy.spatial.transform import Rotation

from experiments.recovery_trial import HIPS, read_trial
from mjxhuman.data.cameras import level_camera
from mjxhuman.data.keypoint_names import mirrored_name
from mjxhuman.math import camera as lens_model
from mjxhuman.recovery.recover import recover_people
from mjxhuman.recovery.world import common_height
from mjxhuman.types import Keypoints

pytestmark = pytest.mark.compiled

FOCAL = 1100.0


@pytest.fixture(scope="module")
def walk(humanoid):
    return walking(humanoid)


def pose_of_camera(pitch: float = 20.0, roll: float = -10.0) -> np.ndarray:
    """6 m from where they walk, 2.4 m above the floor, looking down and rolled."""
    turn = Rotation.from_euler("ZYX", [0.0, pitch, roll], degrees=True).as_matrix()
    pose = np.array(level_camera(SIZE).T_world_camera[0], float)
    pose[:3, :3] = turn @ pose[:3, :3]
    pose[:3, 3] = [-6.0, 0.0, 2.4]
    return pose


def film(walk, statures, places):
    """Joints (T, 24, 3) and keypoints of two walkers of some statures who start at places (x, y)."""

    def moved(x: np.ndarray, k: int) -> np.ndarray:
        turn = Rotation.from_euler("z", (80.0, 60.0)[k], degrees=True)
        relative = (x - [*walk.joints[0, 0, :2], 0.0]).reshape(-1, 3)
        return statures[k] / 1.71 * turn.apply(relative).reshape(x.shape) + [*places[k], 0.0]

    seen = [seen_from(moved(walk.points, k), pose_of_camera(), FOCAL, walk.fps) for k in range(2)]
    return [moved(walk.joints, k) for k in range(2)], seen


def joints_of(motion) -> np.ndarray:
    return np.asarray(motion.body_pos, float)[:, np.asarray(motion.humanoid.smpl_body_ids)]


def lowest(motion) -> float:
    """Height (m) of the lower ankle, median over the clip."""
    return float(np.median(joints_of(motion)[:, [7, 8], 2].min(1)))


def apart(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return np.linalg.norm((one - two)[:, 0, :2], axis=-1)


@pytest.mark.parametrize("statures", [(1.71, 1.71), (1.82, 1.60)])
def test_who_walks_side_by_side_does_so_in_the_result(walk, statures):
    """1 m apart at first: found to a few cm once the size of the scene, which one camera cannot know, is the film's."""
    joints, keypoints = film(walk, statures, [(0.0, 0.0), (-0.6, 0.8)])
    found = recover_people(list(keypoints), level_camera(SIZE, FOCAL), estimate=("stature", "gravity"))
    motions, reports = zip(*found, strict=True)
    one, two = (report.camera.T_world_camera for report in reports)
    np.testing.assert_allclose(one, two, atol=1e-9)  # one camera
    size = np.sqrt(np.prod(statures) / np.prod([report.stature for report in reports]))
    assert 0.95 < size < 1.05
    ratio = reports[0].stature / reports[1].stature * statures[1] / statures[0]
    assert abs(ratio - 1.0) < 0.04
    error = size * apart(*map(joints_of, motions)) - apart(*joints)
    assert np.abs(error).mean() < 0.05 and np.abs(error).max() < 0.1
    assert abs(lowest(motions[0]) - lowest(motions[1])) < 0.02
    up, true = (np.asarray(T)[:3, :3].T @ [0.0, 0.0, 1.0] for T in (one[0, 0], pose_of_camera()))
    assert np.rad2deg(np.arccos(np.clip(up @ true, -1.0, 1.0))) < 3.0
    assert all(any("floor that people share" in line for line in m.provenance.retarget) for m in motions)


def test_one_who_cannot_be_recovered_leaves_the_others(walk):
    _, (one, two) = film(walk, (1.71, 1.71), [(0.0, 0.0), (-0.6, 0.8)])
    blind = two.replace(confidence=np.zeros_like(two.confidence))
    good, bad = recover_people([one, blind], level_camera(SIZE, FOCAL), estimate=("stature", "gravity"))
    assert isinstance(bad, ValueError) and "found no point above 0" in str(bad)
    assert np.asarray(good[0].valid).all()
    with pytest.raises(ValueError, match="the same frames of everyone, 60 at 30 Hz, found 60 at 25 Hz"):
        recover_people([one, two.replace(fps=25.0)])
    with pytest.raises(ValueError, match="one person or more"):
        recover_people([])


def test_a_child_is_small_and_does_not_make_a_giant():
    """The camera's height over the floor: 1.5 m by an adult at 1.71 m, 2.3 m by a child taken for 1.71 m."""

    def common(*heights: float, scales: tuple[float, ...] | None = None):
        one = np.ones(len(heights))
        return common_height(np.array(heights), 0.05 * one, 60.0 * one, 1.71 * one, one if scales is None else scales)

    height, factor, agrees = common(1.5, 2.3)
    assert agrees.all() and abs(height - 1.5) < 0.03
    assert abs(factor[0] - 1.0) < 0.02 and 1.1 < 1.71 * factor[1] < 1.4
    # two adults meet in the middle, also when the fits have them at other sizes by now
    height, factor, agrees = common(1.5, 1.6)
    assert agrees.all() and 1.53 < height < 1.57 and factor[0] > 1.0 > factor[1]
    again, factor, _ = common(1.05 * 1.5, 1.05 * 1.6, scales=np.array([1.05, 1.05]))
    np.testing.assert_allclose(again, height)
    assert (factor < 1.0).all()
    # who stands on a stage is left out
    height, _, agrees = common(2.0, 2.05, 1.0)
    assert agrees.tolist() == [True, True, False] and 1.99 < height < 2.06


@pytest.mark.slow
def test_a_recorded_person_beside_a_mirror(shared):
    """Real detections, turned into those of a camera at the same place that looks past the person, and their mirror
    image: two people, who mirror each other, as far apart as the triangulation of four cameras has it."""
    trial = read_trial(shared / "data/keypoints/pose2sim")
    camera, seen = trial.cameras[0], trial.seen[0]
    place, aim = lens_model.rays(seen[..., :2], camera.intrinsics, camera.T_world_camera, camera.distortion)
    place, hips = np.asarray(place, float)[0], trial.truth[:, list(HIPS)].mean(1)
    aside = Rotation.from_euler("z", -25.0, degrees=True).apply(hips.mean(0) - place)
    pose = np.asarray(lens_model.look_at(place, place + aside), float)
    width, height, focal = 1920, 1440, 1500.0
    matrix = np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    uv = np.asarray(lens_model.project(place + np.asarray(aim, float), matrix, pose, np.zeros(4))[0], float)
    other = [trial.names.index(mirrored_name(name)) for name in trial.names]
    mirror = np.array([width, 0.0]) + uv[:, other] * [-1.0, 1.0]
    people = [
        Keypoints(uv, seen[..., 2], trial.names, trial.fps, (width, height)),
        Keypoints(mirror, seen[:, other, 2], trial.names, trial.fps, (width, height)),
    ]
    start = level_camera((width, height), focal)
    (one, first), (two, second) = recover_people(people, start, estimate=("stature", "gravity"))
    assert abs(first.stature - second.stature) < 0.03
    assert abs(lowest(one) - lowest(two)) < 0.02
    T = np.asarray(first.camera.T_world_camera)[0, 0]
    np.testing.assert_allclose(T, np.asarray(second.camera.T_world_camera)[0, 0], atol=1e-9)
    assert np.rad2deg(np.arccos(np.clip(T[2, :3] @ pose[2, :3], -1.0, 1.0))) < 5.0
    own = apart(*(joints_of(motion)[:, [1, 2]].mean(1, keepdims=True) for motion in (one, two)))
    true = 2.0 * np.abs((hips - place) @ pose[:3, 0])
    assert np.abs(own / true - 1.0).mean() < 0.1
