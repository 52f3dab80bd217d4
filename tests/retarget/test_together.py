"""People whose bodies a network gives, in one world: as far apart in the result as they were, on one level floor."""

from __future__ import annotations

import numpy as np
import pytest

from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.math import quaternion
from mjxhuman.retarget.motion import retarget_motion, retarget_together
from mjxhuman.types import SMPL_JOINTS, BodyMotion

TILT = quaternion.from_euler("xyz", np.deg2rad([1.5, -2.0, 0.0]))  # of the network's world
SUNK = 0.15  # m, by which the second person is taken to be nearer the camera


@pytest.fixture(scope="module")
def people(humanoid) -> list[BodyMotion]:
    """Two who walk 3 m apart, crosswise."""
    clip = load_builtin_clip("walk")
    qpos = np.asarray(clip.qpos, float)
    found = []
    for place, heading, sunk in (([0.0, 0.0, 0.0], 0.0, 0.0), ([1.0, 3.0, 0.0], 90.0, SUNK)):
        turn = quaternion.multiply(TILT, quaternion.from_euler("xyz", np.deg2rad([0.0, 0.0, heading])))
        root = quaternion.rotate(turn, qpos[:, :3] - [*qpos[0, :2], 0.0])
        local = qpos[:, 7:].reshape(len(qpos), 23, 4)
        order = [humanoid.body_names.index(name) - 2 for name in SMPL_JOINTS[1:]]
        found.append(
            BodyMotion(
                betas=np.zeros(0),
                transl=root + quaternion.rotate(TILT, np.array(place)) - [0.0, 0.0, sunk],
                global_orient=quaternion.multiply(turn, qpos[:, 3:7]),
                body_pose=local[:, order],
                valid=np.ones(len(qpos), bool),
                fps=clip.fps,
            )
        )
    return found


def soles(motion) -> np.ndarray:
    """Height (m) of the lowest contact point in each frame."""
    contacts = motion.humanoid.contacts
    pos, quat = (np.asarray(x, float)[:, contacts.body_id] for x in (motion.body_pos, motion.body_quat))
    return (pos + quaternion.rotate(quat, contacts.offset))[..., 2].min(1) - contacts.radius.min()


def test_they_are_turned_as_one_and_stand_on_one_floor(people):
    one, two = retarget_together(people)
    hips = [np.asarray(m.qpos, float)[:, :3] for m in (one, two)]
    wanted = people[1].transl + [0.0, 0.0, SUNK] - people[0].transl
    levelled = quaternion.rotate(quaternion.conjugate(TILT), wanted)
    np.testing.assert_allclose(hips[1] - hips[0], levelled, atol=0.04)
    assert abs(np.median(soles(one)) - np.median(soles(two))) < 0.01
    assert all("2 people share slopes by 2.2 deg" in m.provenance.retarget[-1] for m in (one, two))
    # each alone is levelled along the line he walks on, and ends up elsewhere
    alone = [np.asarray(retarget_motion(person).qpos, float)[:, :3] for person in people]
    beside, before = (np.abs(b - a - levelled)[:, :2].max() for a, b in (hips, alone))
    assert beside < 0.01 and before > 3 * beside


def test_alone_it_is_retarget_motion_and_who_is_never_seen_is_left_out(people):
    (alone,) = retarget_together(people[:1])
    same = retarget_motion(people[0])
    np.testing.assert_array_equal(alone.qpos, same.qpos)
    assert alone.provenance == same.provenance
    blind = people[1].replace(valid=np.zeros(len(people[1].transl), bool))
    one, bad = retarget_together([people[0], blind])
    assert isinstance(bad, ValueError) and "no valid frame" in str(bad)
    np.testing.assert_array_equal(one.qpos, same.qpos)
    with pytest.raises(ValueError, match="ground: expected one of"):
        retarget_together(people, ground="carpet")
