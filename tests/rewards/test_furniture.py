"""Who sits is carried by the seat: forces and scores with a scene."""

import dataclasses

import numpy as np
import pytest

import mjxhuman
from mjxhuman.math import quaternion
from mjxhuman.scenes import Plane
from mjxhuman.scenes.convex import box_corners, pack
from mjxhuman.scenes.objects import make_object
from mjxhuman.scenes.types import Mesh, Scene, resting

pytestmark = pytest.mark.compiled


def box(size, name="stool", friction=0.8):
    """A box on the floor, its corners the vertices."""
    corners = box_corners(np.array(size) / 2, (0.0, 0.0, size[2] / 2))
    faces = [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
             (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3)]  # fmt: skip
    return make_object(Mesh(corners, np.array(faces)), pack([corners]), name, friction=friction)


def scene_of(*objects, at=(0.0, 0.0)):
    poses = resting(objects)
    poses[:, :2] = at
    return Scene(objects, poses)


@pytest.fixture(scope="module")
def sitting(humanoid):
    """Half a second on a seat under the hips, shanks upright and trunk straight; and the height of the seat, m."""
    qpos = np.tile(humanoid.model.qpos0, (16, 1))
    for joint, bend in (("Hip", -90.0), ("Knee", 90.0)):
        for side in "LR":
            start = humanoid.model.joint(f"{side}_{joint}").qposadr[0]
            qpos[:, start : start + 4] = quaternion.about(np.array([1.0, 0.0, 0.0]), np.full(16, np.radians(bend)))
    motion = mjxhuman.motion_from_qpos(humanoid, qpos, 30)
    sole = np.asarray(motion.body_pos)[0, humanoid.body_names.index("L_Ankle"), 2] - 0.07
    qpos[:, 2] -= sole
    motion = mjxhuman.motion_from_qpos(humanoid, qpos, 30)
    hip = float(np.asarray(motion.body_pos)[0, humanoid.body_names.index("L_Hip"), 2])
    return motion, hip - 0.085


def test_a_seat_carries_who_sits_on_it_and_relaxed_legs_carry_themselves(sitting):
    motion, height = sitting
    weight = motion.humanoid.weight
    without = mjxhuman.analyse(motion)
    assert np.linalg.norm(np.asarray(without.residual)[:, :3], axis=1).min() > 0.2 * weight
    scene = scene_of(box((0.4, 0.5, height)))
    found = mjxhuman.analyse(motion, scene=scene)
    assert found.external_support.max() < 0.05
    load = dict(
        zip(found.contact_names, np.moveaxis(np.asarray(found.grf), 1, 0)[..., 2].mean(1) / weight, strict=True)
    )
    feet = load["L_Foot"] + load["R_Foot"]
    assert 0.05 < feet < 0.25  # measured: a median of 0.13 to 0.22 by how upright people sit
    assert sum(load.values()) == pytest.approx(1.0, abs=0.03)
    knee = motion.humanoid.body_names.index("L_Knee")
    assert np.abs(np.asarray(found.joint_torque)[:, knee, 0]).max() < 5.0  # N m; 30 with loads shared without regard
    low = mjxhuman.analyse(motion, scene=scene_of(box((0.4, 0.5, height - 0.05))))
    assert np.linalg.norm(np.asarray(low.residual)[:, :3], axis=1).min() > 0.2 * weight  # 5 cm under them: no seat


def test_furniture_far_away_changes_nothing_but_rounding(sitting):
    motion, height = sitting
    standing = mjxhuman.motion_from_qpos(motion.humanoid, np.tile(motion.humanoid.model.qpos0, (16, 1)), 30)
    far = scene_of(box((0.4, 0.5, height)), at=(5.0, 0.0))
    alone, beside = mjxhuman.analyse(standing), mjxhuman.analyse(standing, scene=far)
    feet = np.asarray(beside.grf)[:, : len(alone.contact_names)]
    np.testing.assert_allclose(feet, alone.grf, atol=0.01 * motion.humanoid.weight)


def test_scenes_that_cannot_be_scored_are_refused_by_name(sitting):
    motion, height = sitting
    scene = scene_of(box((0.4, 0.5, height)))
    with pytest.raises(ValueError, match="surface: expected None beside a scene"):
        mjxhuman.score(motion, surface=Plane(), scene=scene)
    with pytest.raises(ValueError, match="scene: the published reward"):
        mjxhuman.score(motion, reward="phymotion", scene=scene)
    with pytest.raises(ValueError, match=r"poses \(O, 7\) of one scene, found \(2, 1, 7\)"):
        mjxhuman.analyse(motion, scene=dataclasses.replace(scene, poses=np.tile(scene.poses, (2, 1, 1))))
