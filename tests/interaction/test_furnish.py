"""Furniture by name, and where it goes."""

import re

import numpy as np
import pytest

from mjxhuman.interaction import fit_seat, poses
from mjxhuman.interaction.furnish import furniture
from mjxhuman.interaction.place import part
from mjxhuman.math import quaternion
from mjxhuman.options import FurnishedOptions
from mjxhuman.scenes import save_scene

PLAIN = FurnishedOptions()


@pytest.fixture(scope="module")
def sits(humanoid):
    """Someone who sits down at the origin, facing +x."""
    return poses.sitting(humanoid, 0.36)


def test_what_has_a_place_stays_and_the_rest_goes_to_who_sits(sits):
    names = ["chair:1", "chair:1@0,0", "table:2@1,-2,90", "table:2"]
    scene = furniture(names, PLAIN).around(sits)
    assert scene.names == ("chair:1", "chair:1:2", "table:2", "table:2:2")
    under, stays, turned, before = scene.poses
    np.testing.assert_allclose(under[:2], [0, 0], atol=0.02)
    np.testing.assert_array_equal(stays, [0, 0, 0, 1, 0, 0, 0])
    np.testing.assert_allclose(turned[:3], [1, -2, 0])
    np.testing.assert_allclose(quaternion.rotate(turned[3:], np.array([1.0, 0, 0])), [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(before[:2], [0.75, 0], atol=0.02)


def test_the_seat_is_the_one_that_fits_and_a_file_keeps_its_places(sits, tmp_path):
    seat = fit_seat(sits)
    np.testing.assert_array_equal(furniture(["seat"], PLAIN).around(sits).poses, seat.poses)
    save_scene(tmp_path / "a@1,1.npz", seat)  # a file's own name is no place
    kept = furniture([str(tmp_path / "a@1,1.npz")], PLAIN).around(sits)
    np.testing.assert_allclose(kept.poses, seat.poses, atol=1e-6)
    moved = furniture([f"{tmp_path}/a@1,1.npz@1,1"], PLAIN).around(sits)
    np.testing.assert_allclose(moved.poses[:, :3], seat.poses[:, :3] + [1, 1, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chair:1@here", "chair:1@here: expected a place X,Y or X,Y,DEGREES after '@', found 'here'"),
        ("chair:1@1", "found '1'"),
        ("chair:1@1,2,3,4", "found '1,2,3,4'"),
        ("chair:1@nan,0", "found 'nan,0'"),
        ("seat@1,2", "seat@1,2: expected no place, which is found from the motion, found '1,2'"),
        ("chair:one", "seed: expected a whole number of 0 or more after 'chair', found 'one'"),
        ("chair:1:burnt", "damage: expected one of short_leg"),
        ("none.obj@1,2", "none.obj: no such file, and none of the kinds chair"),
    ],
)
def test_names_that_are_none_are_told_apart(name, message):
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        furniture([name], PLAIN)


def test_what_a_file_leaves_open_is_asked_for_by_its_own_option(tmp_path):
    corners = "".join(f"v {x} {y} {z}\n" for x in (0, 1) for y in (0, 1) for z in (0, 1))
    sides = ("1 2 4 3", "5 7 8 6", "1 5 6 2", "3 4 8 7", "1 3 7 5", "2 6 8 4")
    (tmp_path / "cube.obj").write_text(corners + "".join(f"f {side}\n" for side in sides))
    with pytest.raises(ValueError, match=r"the argument furniture_(up|unit)="):
        furniture([str(tmp_path / "cube.obj")], PLAIN)
    given = FurnishedOptions(furniture_up="z", furniture_unit=0.4, furniture_mass=7)
    (cube,) = furniture([str(tmp_path / "cube.obj")], given).scenes
    assert cube.objects[0].mass == 7


def test_a_part_of_a_motion_has_its_frames(sits):
    cut = part(sits, 1.0, 2.0)
    np.testing.assert_array_equal(cut.qvel, np.asarray(sits.qvel)[30:61])
    for times in ((2.0, 1.0), (1.0, 99.0)):
        with pytest.raises(ValueError, match=r"--clip: expected two times from 0 to \d\.\d\d s, the earlier first"):
            part(sits, *times)


def test_what_is_said_of_files_needs_one(tmp_path, sits):
    heavy = FurnishedOptions(furniture_mass=9.0)
    with pytest.raises(ValueError, match="furniture_mass: expected a file that it is about, found chair:1, seat"):
        furniture(["chair:1", "seat"], heavy)
