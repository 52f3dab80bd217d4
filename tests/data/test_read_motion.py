"""The entry point: content decides, wrong suffixes are named, what is not a motion is refused with the way out."""

import pickle
import zipfile

import numpy as np
import pytest

from mjxhuman.data import MotionFileError, QposMotion, read_motion
from mjxhuman.data.source import Source, rate_of_frame_time, up_rotation
from mjxhuman.types import PointMotion, SkeletonMotion


def test_wrong_suffix_is_read_by_content_and_named(make_bvh, make_trc, make_deepmimic):
    bvh = read_motion(make_bvh(name="clip.amc"))
    assert isinstance(bvh, SkeletonMotion)
    assert bvh.provenance.format == "BVH"
    assert "the content is bvh, whatever the suffix '.amc' says" in bvh.provenance.conventions
    trc = read_motion(make_trc(np.ones((2, 1, 3)), ["C7"], name="clip"))
    assert isinstance(trc, PointMotion)
    row = [0.1, 0, 0.9, 0, *[1, 0, 0, 0] * 4, 0, *[1, 0, 0, 0] * 2, 0, *[1, 0, 0, 0], 0, *[1, 0, 0, 0] * 2, 0]
    motion = read_motion(make_deepmimic([row, row], name="clip.bvh"))
    assert motion.provenance.format == "DeepMimic"


@pytest.mark.parametrize("content", [b"", b" \n\t\n"])
@pytest.mark.parametrize("suffix", [".bvh", ".amc", ".npz", ".npy", ".trc", ".txt", ".pt", ".csv", ".xyz"])
def test_empty(tmp_path, content, suffix):
    path = tmp_path / f"clip{suffix}"
    path.write_bytes(content)
    with pytest.raises(MotionFileError, match="nothing in it"):
        read_motion(path)


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("clip.pkl", pickle.dumps({"poses": 1}), "found poses, expected poses and a translation"),
        ("clip.npz", pickle.dumps({"poses": 1}), "found poses, expected poses and a translation"),
        ("skeleton.asf", b":version 1.1\n:bonedata\n", "skeleton without motion.*skeleton="),
        ("ik.mot", b"Coordinates\nnRows=3\nendheader\ntime\tpelvis\n", "OpenSim table"),
        ("id.sto", b"Results\nversion=1\nendheader\ntime\n", "OpenSim table"),
        ("clip.bvh", b"hello there", "content that is not bvh"),
        ("clip.xyz", b"hello there", "no known format"),
        ("clip.bvh", b"\x00\x01\x02\x03", "content that is not bvh"),
        ("clip.npz", b"PK\x03\x04rubbish", "no .npz file"),
        ("clip.npy", b"\x93NUMPYrubbish", "no NumPy array"),
        ("clip.npy", b"\x93NUMPY\x01\x00\x00\x00", "no NumPy array"),
    ],
)
def test_refused(tmp_path, name, content, named):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MotionFileError, match=named):
        read_motion(path)


def test_pickled_npy_is_refused(tmp_path):
    path = tmp_path / "amp.npy"
    np.save(path, np.array({"rotation": 1}, dtype=object), allow_pickle=True)
    with pytest.raises(MotionFileError, match=r"never loaded.*np\.savez"):
        read_motion(path)


def test_header_that_promises_more_than_there_is(tmp_path):
    path = tmp_path / "clip.npy"
    np.save(path, np.zeros((2, 22, 3)))
    path.write_bytes(path.read_bytes().replace(b"(2, 22, 3)", b"(99999999999, 22, 3)"[:20].ljust(20))[:400])
    with pytest.raises(MotionFileError):
        read_motion(path, fps=30, up="y")


def test_encrypted_or_damaged_member(tmp_path, smpl_arrays):
    path = tmp_path / "clip.npz"
    np.savez(path, **smpl_arrays)
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo("poses.npy").header_offset
    raw[offset + 300] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(MotionFileError, match="poses"):
        read_motion(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_motion(tmp_path / "none.bvh")
    with pytest.raises(MotionFileError, match="a folder"):
        read_motion(tmp_path)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"fps": 0}, "fps"), ({"fps": float("nan")}, "fps"), ({"up": "q"}, "up"), ({"unit": "mile"}, "unit"),
        ({"unit": -1.0}, "unit"),
    ],
)  # fmt: skip
def test_bad_arguments(make_bvh, options, named):
    path = make_bvh()
    with pytest.raises(ValueError, match=named) as caught:
        read_motion(path, **options)
    assert not isinstance(caught.value, MotionFileError)


def test_csv_of_qpos(tmp_path):
    path = tmp_path / "walk.csv"
    rows = np.column_stack([np.zeros((5, 3)), np.tile([1.0, 0, 0, 0], (5, 1)), np.arange(10.0).reshape(5, 2)])
    np.savetxt(path, rows, delimiter=",")
    with pytest.raises(MotionFileError, match="fps="):
        read_motion(path)
    motion = read_motion(path, fps=30)
    assert isinstance(motion, QposMotion)
    np.testing.assert_allclose(motion.qpos, rows)
    rows[3, 3] = 2.0
    np.savetxt(path, rows, delimiter=",")
    with pytest.raises(MotionFileError, match="frame 4, columns 4 to 7"):
        read_motion(path, fps=30)
    path.write_text("1,2,3\n4,5,6\n")
    with pytest.raises(MotionFileError, match="at least 8"):
        read_motion(path, fps=30)
    path.write_text("1,2,3,1,0,0,0,4\n4,5\n")
    with pytest.raises(MotionFileError, match="frame 2: found 2 numbers"):
        read_motion(path, fps=30)


@pytest.mark.parametrize("up", ["x", "y", "z", "-x", "-y", "-z"])
def test_up_rotation_is_a_rotation_that_lifts_the_axis(up):
    matrix = up_rotation(up)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3))
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    axis = np.eye(3)["xyz".index(up[-1])] * (-1 if up[0] == "-" else 1)
    np.testing.assert_allclose(matrix @ axis, [0, 0, 1])


def test_rate_of_frame_time():
    assert rate_of_frame_time("0.0333333") == 30.0
    assert rate_of_frame_time("0.0417") == 24.0
    assert rate_of_frame_time("0.00277778") == 360.0
    assert rate_of_frame_time("0.0217") == pytest.approx(1 / 0.0217)
    assert np.isnan(rate_of_frame_time("0")) and np.isnan(rate_of_frame_time("nan"))


def test_two_units_that_fit_are_an_error(monkeypatch):
    """No leg length fits two of the real units, whose ratios exceed 2.2 / 1.2; with a closer pair it must be said."""
    from mjxhuman.data import source as module

    lengths = np.geomspace(0.1, 3000, 2000)
    for length in lengths:
        fitting = [u for u, m in module.UNITS.items() if 1.2 <= m * length / module.LEG_SHARE <= 2.2]
        assert len(fitting) <= 1
    monkeypatch.setitem(module.UNITS, "foot/20", 0.0155)
    with pytest.raises(MotionFileError, match=r"exactly one unit.*unit="):
        Source("clip.bvh").metres_by_stature(60.0)


def test_the_root_of_a_robots_table_is_a_unit_quaternion(tmp_path):
    path = tmp_path / "robot.csv"
    path.write_text("0,0,0.8,1.004,0,0,0,0.1\n" * 3)
    assert np.allclose(np.linalg.norm(read_motion(path, fps=30).qpos[:, 3:7], axis=1), 1.0)  # rounded, and made whole
    path.write_text("0,0,0.8,1,0,0,0,0.1\n" + "0,0,0.8,1.05,0,0,0,0.1\n")
    with pytest.raises(MotionFileError, match=r"frame 2, columns 4 to 7: found norm 1\.05"):
        read_motion(path, fps=30)
