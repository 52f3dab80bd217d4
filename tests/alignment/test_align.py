"""A seated body is put onto a chair from inside it and from afar."""

import numpy as np
import pytest
from box_chair import SEAT, chair, scene_of

import mjxhuman
from mjxhuman.alignment import PartContact, align_many, seated, skin_of
from mjxhuman.alignment.contacts import find_contacts

ON = [("Pelvis", "chair")]
SCENE = scene_of(chair(), at=[(-0.03, 0.0)])


def moved(motion, x, y, z):
    pos, qpos = np.array(motion.body_pos), np.array(motion.qpos)
    pos[:, 1:] += [x, y, z]
    qpos[:, :3] += [x, y, z]
    return motion.replace(qpos=qpos, body_pos=pos)


@pytest.fixture(scope="module")
def person():
    return seated(mjxhuman.load_humanoid(), SEAT)


def test_the_body_comes_to_sit_from_within_the_seat_and_from_behind_the_backrest(person):
    starts = [moved(person, 0, 0, -0.12), moved(person, -0.15, 0, 0.1), moved(person, 0.1, 0.2, 0.2)]
    found = align_many(starts, [SCENE] * 3, contacts=[ON] * 3)
    for start, result in zip(starts, found, strict=True):
        assert result.converged and result.valid and not result.reason
        assert result.penetration <= 0.005 and result.gap <= 0.005
        np.testing.assert_allclose(result.motion.qpos[:, :3], start.qpos[:, :3] + result.shift, atol=1e-6)
        distance = mjxhuman.signed_distance(result.scene, _skin(result.motion))
        assert -0.005 < float(distance.min()) < 0.005  # of the motion and the scene that are handed back
        assert result.scene.poses[0, 2] == 0
    other = align_many([starts[1], starts[0], starts[2]], [SCENE] * 3, contacts=[ON] * 3)
    np.testing.assert_array_equal(other[0].shift, found[1].shift)


def _skin(motion):
    return skin_of(motion.humanoid).posed(motion.body_pos[0], motion.body_quat[0])[0].astype(np.float32)


def test_contacts_are_found_by_distance_and_kept_until_they_are_farther(person):
    skin = skin_of(person.humanoid)
    points, normals = skin.posed(person.body_pos[:1], person.body_quat[:1])
    rise = np.array([0.13, 0.08, 0.0, 0.08, 0.13, 0.2, 0.13, 0.3])
    posed = points + rise[:, None, None] * [0.0, 0, 1], np.repeat(normals, len(rise), 0)
    found = {c.part: c for c in find_contacts(SCENE, skin, *posed)}
    assert found["Pelvis"] == PartContact("Pelvis", "chair", 0, 5)
    assert "L_Thigh" in found and "Head" not in found and "L_Foot" not in found


def test_who_is_near_nothing_stays_where_he_is_and_is_told(person):
    result = mjxhuman.align(moved(person, 3, 0, 0), SCENE)
    assert not result.converged and not result.valid and "name the contacts" in result.reason
    np.testing.assert_array_equal(result.shift, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contacts": [("Tail", "chair")]}, "part: expected one of Pelvis"),
        ({"contacts": [("Pelvis", "sofa")]}, "object: expected one of chair, found 'sofa'"),
        ({"contacts": [PartContact("Pelvis", "chair", 9)]}, "expected frames below 3, found 9"),
        ({"contacts": [PartContact("Pelvis", "chair", 2, 1)]}, "0 <= start < stop"),
        ({"method": "magic"}, "method: expected one of ours, paper, smooth"),
        ({"method": "paper", "yaw": True}, "expected 'ours'"),
        ({"scene": scene_of()}, "expected objects"),
        ({"scene": SCENE.replace(poses=SCENE.poses[None])}, r"poses \(O, 7\)"),
    ],
)
def test_what_cannot_be_aligned_is_refused(person, change, message):
    with pytest.raises(ValueError, match=message):
        mjxhuman.align(person, **({"scene": SCENE, "contacts": ON} | change))
