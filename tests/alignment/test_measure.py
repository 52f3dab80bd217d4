"""Gaps and depths where they are known from how the body was put there."""

import numpy as np
import pytest
from box_chair import SEAT, chair, scene_of

import mjxhuman
from mjxhuman.alignment import PartContact, seated, skin_of
from mjxhuman.alignment.measure import fit_of, misplaced, whole_body_depth

SCENE = scene_of(chair(), at=[(-0.03, 0.0)])


@pytest.fixture(scope="module")
def body():
    humanoid = mjxhuman.load_humanoid()
    motion, skin = seated(humanoid, SEAT), skin_of(humanoid)
    return skin, *skin.posed(motion.body_pos[:1], motion.body_quat[:1])


@pytest.mark.parametrize("height", [0.03, 0.0, -0.01, -0.03, -0.10, -0.15])
def test_depth_is_measured_along_the_contact_and_does_not_end_in_the_middle_of_the_plate(body, height):
    skin, points, normals = body
    points = points + [0.02, 0.0, height]
    fit = fit_of(PartContact("Pelvis", "chair"), SCENE, skin, points, normals, np.arange(1))
    assert fit.gap == pytest.approx(max(height, 0.0), abs=1e-3)
    tilt = normals[0][(skin.part == 0) & skin.bearing].mean(0)
    along = abs(tilt[2] / np.linalg.norm(tilt))
    assert fit.depth == pytest.approx(max(-height, 0.0) / along, abs=2e-3)
    assert fit.holds == (height == 0.0)
    assert whole_body_depth(SCENE, points) <= 0.04


def test_a_part_under_the_seat_or_beside_it_does_not_hold(body):
    skin, points, normals = body
    contact = PartContact("Pelvis", "chair")
    beside = fit_of(contact, SCENE, skin, points + [0.0, 0.6, 0.0], normals, np.arange(1))
    assert not beside.over and not beside.holds
    under = fit_of(contact, SCENE, skin, points + [0.0, 0.0, -0.26], normals, np.arange(1))
    assert not under.holds and not under.opposed


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ((0.46, 0.0, 0.0), ""),
        ((0.43, 0.0, 0.0), "a: expected it beside b, found it 0.020 m in it"),
        ((2.0, 0.0, -0.2), "b: expected it on the floor, found it 0.200 m under it"),
    ],
)
def test_furniture_in_furniture_or_under_the_floor_is_named(second, message):
    scene = scene_of(chair("a"), chair("b"))
    scene.poses[1, :3] = second
    assert misplaced(scene) == message


def test_a_contact_is_as_good_as_its_worst_frame(body):
    skin, points, normals = body
    rise = np.array([0.0, 0.03, 0.0, 0.2])[:, None, None] * [0.0, 0.0, 1.0]
    posed = points + [0.02, 0.0, 0.0] + rise, np.repeat(normals, 4, 0)
    fit = fit_of(PartContact("Pelvis", "chair", 0, 3), SCENE, skin, *posed, np.arange(4))  # not at the last
    assert fit.gap == pytest.approx(0.03, abs=1e-3) and not fit.holds
