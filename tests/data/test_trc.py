""".trc: units, empty cells in all the ways they are written, header oddities, errors that name the frame."""

import numpy as np
import pytest

from mjxhuman.data import MotionFileError, read_motion
from mjxhuman.types import PointMotion

NAMES = ("C7", "R.ASIS", "L.ASIS")
POINTS = np.arange(1, 4 * 3 * 3 + 1, dtype=float).reshape(4, 3, 3)


def test_points(make_trc):
    motion = read_motion(make_trc(POINTS, NAMES))
    assert isinstance(motion, PointMotion)
    assert (motion.names, motion.fps, motion.kind) == (NAMES, 100.0, "markers")
    np.testing.assert_allclose(motion.pos, POINTS[..., [2, 0, 1]] / 1000, atol=1e-12)
    assert motion.valid.all()


def test_metres_and_no_blank_line(make_trc):
    motion = read_motion(make_trc(POINTS, NAMES, unit="m", blank_line=False))
    np.testing.assert_allclose(motion.pos, POINTS[..., [2, 0, 1]], atol=1e-9)


@pytest.mark.parametrize("missing", [(0, 0), (1, 1), (2, 2), (3, 2)])
def test_empty_cells_are_invalid(make_trc, missing):
    points = POINTS.copy()
    points[missing] = np.nan
    motion = read_motion(make_trc(points, NAMES))
    expected = np.ones((4, 3), bool)
    expected[missing] = False
    np.testing.assert_array_equal(motion.valid, expected)
    np.testing.assert_array_equal(motion.pos[missing], 0.0)
    np.testing.assert_allclose(motion.pos[expected], POINTS[..., [2, 0, 1]][expected] / 1000, atol=1e-9)


def test_rows_that_end_early_or_late(make_trc):
    points = POINTS.copy()
    points[1, 1:] = np.nan
    path = make_trc(points, NAMES)
    lines = path.read_text().splitlines()
    lines[7] = lines[7].rstrip("\t")
    lines[8] += "\t\t"
    path.write_text("\r\n".join(lines) + "\r\n")
    motion = read_motion(path)
    np.testing.assert_array_equal(motion.valid[1], [True, False, False])
    assert motion.valid[2].all()


def test_points_at_the_origin_count_as_missing(make_trc):
    points = POINTS.copy()
    points[2, 0] = 0.0
    motion = read_motion(make_trc(points, NAMES))
    assert not motion.valid[2, 0] and motion.valid.sum() == 11
    assert any("(0, 0, 0)" in sentence for sentence in motion.provenance.conventions)


def test_space_separated_header(make_trc):
    path = make_trc(POINTS, NAMES)
    path.write_text(path.read_text().replace("PathFileType\t4\t", "PathFileType  4\t", 1))
    assert read_motion(path).pos.shape == (4, 3, 3)


def test_keypoints_are_joints(make_trc):
    names = [side + joint for side in "LR" for joint in ("Hip", "Knee", "Ankle", "Shoulder", "Elbow", "Wrist")]
    points = np.ones((2, 12, 3))
    assert read_motion(make_trc(points, names)).kind == "joints"


def test_flags(make_trc):
    motion = read_motion(make_trc(POINTS, NAMES), fps=50, up="z", unit="cm")
    np.testing.assert_allclose(motion.pos, POINTS / 100)
    text = " ".join(motion.provenance.conventions)
    for words in ("50 Hz as the caller says, although the file says 100 Hz", "z is up", "0.01 m as the caller says"):
        assert words in text


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.replace("PathFileType", "Path", 1), "file|line 1"),
        (lambda t: t.replace("\tmm\t", "\tfurlong\t", 1), "Units.*unit="),
        (lambda t: t.replace("\n100\t", "\nfast\t", 1), "DataRate.*fps="),
        (lambda t: t.replace("\n100\t", "\n30\t", 1), "DataRate.*column Time"),
        (lambda t: t.replace("\n100\t", "\n120\t", 1), "DataRate.*120 Hz, but 100 Hz"),
        (lambda t: t.replace("\t4\t3\tmm", "\t5\t3\tmm", 1), "NumFrames: found 4 rows, expected 5"),
        (lambda t: t.replace("\t4\t3\tmm", "\t4\t2\tmm", 1), "NumMarkers"),
        (lambda t: t.replace("R.ASIS", "C7"), "different"),
        (lambda t: t.replace("\n2\t0.01", "\n2\t0.01\t1", 1), "frame 2: found 12 cells, expected 11"),
        (lambda t: t.replace("10.00000", "ten", 1), "frame 2: found 'ten'"),
        (lambda t: t.replace("0.01000", "9.01000", 1), "Time"),
        (lambda t: t[: t.index("\n1\t0.0")], "no rows"),
        (lambda t: t.replace("X1", "Q1"), "line 5"),
    ],
)
def test_errors(make_trc, change, named):
    path = make_trc(POINTS, NAMES)
    path.write_text(change(path.read_text()))
    with pytest.raises(MotionFileError, match=named):
        read_motion(path)


def test_one_frame(make_trc):
    assert read_motion(make_trc(POINTS[:1], NAMES)).pos.shape == (1, 3, 3)
