"""C3D files: markers of one subject, units and axes, force plates, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mjxhuman.data import MotionFileError, read_motion
from mjxhuman.data.c3d import read_force_plates

ezc3d = pytest.importorskip("ezc3d")

NAMES = ("Anna:LKNE", "Anna:RKNE", "Anna:LASI", "box:front")
POINTS = np.random.default_rng(0).uniform(100.0, 900.0, (3, len(NAMES), 12))


def write(path, **point):
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["RATE"]["value"] = [100.0]
    file["parameters"]["POINT"]["LABELS"]["value"] = NAMES
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    for key, value in point.items():
        file.add_parameter("POINT", key, value)
    points = POINTS.copy()
    points[:, 1, 5] = np.nan
    file["data"]["points"] = np.concatenate([points, np.zeros((1, *points.shape[1:]))])
    file.write(str(path))
    return path


def test_markers_of_the_subject_in_metres(tmp_path):
    motion = read_motion(write(tmp_path / "a.c3d"))
    assert (motion.names, motion.fps, motion.kind) == (NAMES[:3], 100.0, "markers")
    assert not motion.valid[5, 1] and motion.valid.sum() == 12 * 3 - 1
    np.testing.assert_allclose(np.asarray(motion.pos)[:, 0], POINTS[:, 0].T / 1000.0, atol=1e-6)
    assert any("box" in line for line in motion.provenance.conventions)


def test_the_screen_says_what_is_up(tmp_path):
    motion = read_motion(write(tmp_path / "a.c3d", Y_SCREEN=["+Y"]))
    np.testing.assert_allclose(np.asarray(motion.pos)[:, 0, 2], POINTS[1, 0] / 1000.0, atol=1e-6)


def test_an_unknown_unit_is_named_and_can_be_given(tmp_path):
    path = write(tmp_path / "a.c3d", UNITS=["furlong"])
    with pytest.raises(MotionFileError, match=r"POINT:UNITS.*furlong"):
        read_motion(path)


def test_a_cut_file_is_no_c3d(tmp_path):
    whole = write(tmp_path / "a.c3d").read_bytes()
    (tmp_path / "b.c3d").write_bytes(whole[:1024])
    with pytest.raises(MotionFileError, match=r"b\.c3d"):
        read_motion(tmp_path / "b.c3d")


def test_a_file_without_plates_says_so(tmp_path):
    with pytest.raises(MotionFileError, match="no force plate"):
        read_force_plates(write(tmp_path / "a.c3d"))


def test_plates_carry_what_stands_on_them(tmp_path):
    """A type-2 plate of 0.4 by 0.6 m with its own z down: 700 N on it, at its middle, push the body up."""
    path = write(tmp_path / "a.c3d")
    file = ezc3d.c3d(str(path))
    corners = np.array([[200.0, -200, -200, 200], [300, 300, -300, -300], [0, 0, 0, 0]])[..., None]
    plate = file["parameters"]["FORCE_PLATFORM"]
    plate["USED"]["value"], plate["TYPE"]["value"] = np.array([1]), np.array([2])
    plate["CORNERS"]["value"], plate["ORIGIN"]["value"] = corners, np.array([[0.0], [0.0], [-40.0]])
    plate["CHANNEL"]["value"] = np.arange(1, 7)[:, None]
    analog = np.zeros((1, 6, 24))
    analog[0, 2, 10:] = 700.0
    file["parameters"]["ANALOG"]["RATE"]["value"] = [200.0]
    file["parameters"]["ANALOG"]["LABELS"]["value"] = ("Fx", "Fy", "Fz", "Mx", "My", "Mz")
    file["data"]["analogs"] = analog
    file.write(str(path))
    plates = read_force_plates(path)
    assert plates.fps == 200.0 and plates.force.shape == (24, 1, 3)
    np.testing.assert_allclose(plates.force[10:, 0], np.tile([0.0, 0.0, 700.0], (14, 1)), atol=1e-3)
    assert np.isnan(plates.centre[:10]).all()
    np.testing.assert_allclose(plates.centre[10:, 0], 0.0, atol=1e-3)


def test_a_real_file(shared):
    motion = read_motion(shared / "data" / "formats" / "markers_analogs.c3d")
    assert motion.pos.shape == (580, 43, 3) and motion.fps == 100.0
    assert "Daphnee:ASISr" in motion.names and 0.5 < np.asarray(motion.pos)[..., 2].max() < 2.2
