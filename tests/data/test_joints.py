"""Joint positions: order, unit by stature, rate and up axis from the file or the caller."""

import numpy as np
import pytest

from mjxhuman.data import SMPL_JOINTS, MotionFileError, read_motion


def standing(joints=22, frames=3):
    """A figure in metres, y up: legs of 0.8 m, everything else somewhere above."""
    pos = np.zeros((frames, joints, 3))
    pos[..., 1] = 1.2
    for side, x in (("L", 0.1), ("R", -0.1)):
        for joint, height in (("Hip", 0.9), ("Knee", 0.5), ("Ankle", 0.1)):
            pos[:, SMPL_JOINTS.index(f"{side}_{joint}")] = (x, height, 0.0)
    return pos


@pytest.mark.parametrize("joints", [22, 24])
@pytest.mark.parametrize("unit", [1.0, 100.0])
def test_npy(tmp_path, joints, unit):
    path = tmp_path / "clip.npy"
    np.save(path, (standing(joints) * unit).astype(np.float32))
    if joints == 24:  # 22 are HumanML3D's
        with pytest.raises(MotionFileError, match="fps="):
            read_motion(path, up="y")
        with pytest.raises(MotionFileError, match="up="):
            read_motion(path, fps=20)
    motion = read_motion(path, fps=20, up="y")
    assert (motion.kind, motion.fps, motion.names) == ("joints", 20.0, SMPL_JOINTS[:joints])
    np.testing.assert_allclose(motion.pos[0, 1], [0.0, 0.1, 0.9], atol=1e-6)
    assert any("SMPL's order" in sentence for sentence in motion.provenance.conventions)


def test_npz_with_rate_and_up(tmp_path):
    path = tmp_path / "clip.npz"
    np.savez(path, joints=standing()[..., [2, 0, 1]], fps=np.array(20), up=np.array("z"))
    motion = read_motion(path)
    np.testing.assert_allclose(motion.pos[0, 1], [0.0, 0.1, 0.9])


def test_nan_is_invalid(tmp_path):
    pos = standing()
    pos[1, 15, 0] = np.nan  # one coordinate is enough
    np.save(tmp_path / "clip.npy", pos)
    motion = read_motion(tmp_path / "clip.npy", fps=20, up="y")
    assert not motion.valid[1, 15] and motion.valid.sum() == 65
    assert np.isfinite(motion.pos).all()


@pytest.mark.parametrize(
    ("array", "named"),
    [
        (np.zeros((3, 23, 3)), r"shape \(3, 23, 3\)"),
        (np.zeros((0, 22, 3)), "shape"),
        (np.zeros((3, 66)), "22 or 24"),
        (np.full((3, 22, 3), np.nan), "without NaN"),
        (standing() * 3, "unit="),
        (np.zeros((3, 22, 3)), "unit="),
        (np.zeros((3, 22, 3), complex), "real numbers"),
        (np.array([None, 1]), "never loaded"),
    ],
)
def test_errors(tmp_path, array, named):
    np.save(tmp_path / "clip.npy", array, allow_pickle=True)
    with pytest.raises(MotionFileError, match=named):
        read_motion(tmp_path / "clip.npy", fps=20, up="y")


def test_one_frame_of_another_size_does_not_decide_the_unit(tmp_path):
    pos = standing(frames=9)
    pos[4] *= 100.0
    np.save(tmp_path / "clip.npy", pos)
    motion = read_motion(tmp_path / "clip.npy", fps=20, up="y")
    np.testing.assert_allclose(motion.pos[0, 1], [0.0, 0.1, 0.9], atol=1e-6)
