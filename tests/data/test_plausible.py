"""A file whose conventions its own motion contradicts: read as the motion says, or refused with the flag that helps."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.data import MotionFileError, read_motion
from mjxhuman.data.smpl import SMPL_PELVIS
from mjxhuman.data.source import up_rotation
from mjxhuman.math.quaternion import conjugate, multiply
from mjxhuman.types import SMPL_JOINTS

WALK = Path(__file__).parents[2] / "examples" / "walk.bvh"


@pytest.fixture(scope="module")
def walk():
    return read_motion(WALK)


def said(motion) -> str:
    return "\n".join(motion.provenance.conventions)


@pytest.fixture
def make_smpl(walk, tmp_path):
    """Writes the walk with AMASS's keys in a world with another up axis, its translation in another unit."""

    def make(up: str = "z", scale: float = 1.0, rate: float = 30.0, lying: bool = False) -> Path:
        turn = up_rotation(up).T @ (Rotation.from_euler("y", -90, degrees=True).as_matrix() if lying else np.eye(3))
        index = [walk.names.index(name) for name in SMPL_JOINTS[:22]]
        parents = [walk.names[walk.parents[i]] if walk.parents[i] >= 0 else "" for i in index]
        quats = walk.joint_quat.copy()
        quats[..., 1:] = quats[..., 1:] @ up_rotation("y")  # in the axes of SMPL's rest pose
        local = {
            name: quats[:, i] if not parent else multiply(conjugate(quats[:, walk.names.index(parent)]), quats[:, i])
            for name, i, parent in zip(SMPL_JOINTS[:22], index, parents, strict=True)
        }
        turns = {name: Rotation.from_quat(q, scalar_first=True) for name, q in local.items()}
        turns["Pelvis"] = Rotation.from_matrix(turn @ up_rotation("y")) * turns["Pelvis"]
        poses = np.concatenate([turns[name].as_rotvec() for name in SMPL_JOINTS[:22]], axis=1)
        poses = np.pad(poses, ((0, 0), (0, 156 - poses.shape[1])))
        if lying:
            poses[:, 3:] = 0.0
            poses[:, 3 * 16 + 2] = np.sin(np.arange(len(poses)) / 5)  # an arm moves
        place = walk.joint_pos[:, 0] if not lying else np.tile([0.0, 0.0, 0.15], (len(poses), 1))
        trans = scale * (place @ up_rotation(up)) - np.array(SMPL_PELVIS)
        path = tmp_path / "clip.npz"
        np.savez(path, poses=poses, trans=trans, mocap_framerate=np.array(rate), betas=np.zeros(16))
        return path

    return make


@pytest.mark.parametrize("up", ["x", "y", "-y", "-z"])
def test_smpl_in_another_world(make_smpl, up):
    right = read_motion(make_smpl())
    assert "is up: the body" not in said(right)
    motion = read_motion(make_smpl(up))
    assert f"{up} is up: the body does not stand along z" in said(motion) and "--up" in said(motion)
    np.testing.assert_allclose(motion.transl[:, 2], right.transl[:, 2], atol=0.3)  # the template's pelvis is not turned
    assert np.ptp(motion.transl[:, 2]) < 0.1 < 2.0 < np.ptp(motion.transl[:, :2], axis=0).max()


def test_who_lies_is_left_lying(make_smpl):
    motion = read_motion(make_smpl(lying=True))
    assert " is up: the body" not in said(motion)


def test_the_callers_axis_is_kept_and_doubted(make_smpl):
    motion = read_motion(make_smpl("y"), up="z")
    assert "doubtful: the body does not stand along z in the clip, but along y" in said(motion)
    assert np.ptp(motion.transl[:, 2]) > 2.0


@pytest.mark.parametrize(("scale", "unit"), [(100.0, "0.01"), (1000.0, "0.001")])
def test_translation_in_another_unit(make_smpl, scale, unit):
    right, motion = read_motion(make_smpl()), read_motion(make_smpl(scale=scale))
    assert f"1 length unit is {unit} m" in said(motion) and "--unit" in said(motion)
    np.testing.assert_allclose(np.ptp(motion.transl, axis=0), np.ptp(right.transl, axis=0), rtol=1e-6)
    assert np.abs(read_motion(make_smpl(scale=scale), unit="m").transl).max() > 20.0


def test_repeated_frames_are_said(make_smpl):
    path = make_smpl()
    with np.load(path) as file:
        arrays = dict(file)
    assert "repeat" not in said(read_motion(path))
    for index, text in ((np.repeat(np.arange(75), 2), "15 Hz stored at 30"), (np.r_[0:30, 29, 29, 30:75], "dropped")):
        held = {key: arrays[key][index] if key in ("poses", "trans") else arrays[key] for key in arrays}
        np.savez(path, **held)
        assert text in said(read_motion(path)) and "repeat the one before" in said(read_motion(path))


def test_translation_that_no_unit_explains(make_smpl):
    with pytest.raises(MotionFileError, match=r"moves at .* m/s, expected at most 13 m/s, or the argument unit="):
        read_motion(make_smpl(scale=1e6))


def bvh_in(tmp_path, walk_text: str, matrix: np.ndarray) -> Path:
    """The walk's BVH with the whole clip, not its rest pose, turned by ``matrix``."""
    head, rows = walk_text.split("MOTION\n")
    lines = rows.splitlines()
    values = np.array([[float(x) for x in line.split()] for line in lines[2:]])
    values[:, :3] = values[:, :3] @ matrix.T
    order = "ZYX"
    root = Rotation.from_matrix(matrix) * Rotation.from_euler(order, values[:, 3:6], degrees=True)
    values[:, 3:6] = root.as_euler(order, degrees=True)
    path = tmp_path / "clip.bvh"
    table = "\n".join(" ".join(f"{x:.6f}" for x in row) for row in values)
    path.write_text(head + "MOTION\n" + "\n".join(lines[:2]) + "\n" + table + "\n")
    return path


@pytest.mark.parametrize("up", ["x", "z", "-y", "-z"])
def test_rest_pose_and_clip_of_two_worlds(tmp_path, walk, up):
    motion = read_motion(bvh_in(tmp_path, WALK.read_text(), up_rotation(up).T @ up_rotation("y")))
    assert f"{up} is up: the body does not stand along y in the clip, but along {up}" in said(motion)
    np.testing.assert_allclose(motion.joint_pos[..., 2], walk.joint_pos[..., 2], atol=1e-4)


@pytest.mark.parametrize(
    ("text", "rate"), [("30", 30), ("120", 120), ("33.3333", 30), ("8.33333", 120), ("16.667", 60)]
)
def test_frame_time_that_is_a_rate_or_milliseconds(make_bvh, text, rate):
    motion = read_motion(make_bvh(frame_time=text))
    assert motion.fps == rate and f"frame rate {rate} Hz" in said(motion) and "--fps" in said(motion)


@pytest.mark.parametrize("text", ["50", "7", "3600", "0.0001"])
def test_frame_time_that_two_readings_or_none_explain(make_bvh, text):
    path = make_bvh(frame_time=text)
    with pytest.raises(MotionFileError, match=r"frame rate.*or the argument fps="):
        read_motion(path)
    assert read_motion(path, fps=50).fps == 50


@pytest.mark.parametrize(("cm", "unit", "stature"), [(1.0, "cm", 1.7), (0.66 / 2.54, "inch", 1.12), (0.6, "cm", 1.0)])
def test_children(make_bvh, cm, unit, stature):
    """A leg of 83 cm belongs to an adult of 1.69 m."""
    motion = read_motion(make_bvh(scale=cm))
    leg = np.linalg.norm(
        motion.rest_pos[motion.names.index("LeftLeg")] - motion.rest_pos[motion.names.index("LeftUpLeg")]
    )
    assert leg * 83 / 42 / 0.491 == pytest.approx(stature, rel=0.02)
    assert f"only {unit} gives" in said(motion)


def test_a_toddler_is_no_giant(make_bvh):
    """0.83 m in centimetres would be 2.1 m in inches: neither is certain."""
    with pytest.raises(MotionFileError, match=r"cm: 0.\d* m.*inch: 2.* or the argument unit="):
        read_motion(make_bvh(scale=0.49))
    assert "as the caller says" in said(read_motion(make_bvh(scale=0.49), unit="cm"))


@pytest.mark.parametrize(("says", "metres"), [("mm", 1.0), ("cm", 1.0), ("m", 1000.0), ("mm", 100.0)])
def test_trc_whose_unit_is_not_what_it_says(make_trc, walk, says, metres):
    names = ("LHJC", "RHJC", "LKJC", "RKJC", "LAJC", "RAJC", "LSJC", "RSJC")
    joints = ("L_Hip", "R_Hip", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle", "L_Shoulder", "R_Shoulder")
    points = walk.joint_pos[:, [walk.names.index(joint) for joint in joints]]
    motion = read_motion(make_trc(points @ up_rotation("y") * metres, names, unit=says, rate="30"))
    assert "with the unit of the file" in said(motion) and "--unit" in said(motion)
    np.testing.assert_allclose(motion.pos[..., 2], points[..., 2], atol=1e-2)


@pytest.mark.parametrize("up", ["z", "x"])
def test_trc_in_another_world(make_trc, walk, up):
    names = ("LASI", "RASI", "SACR", "LKNE", "RKNE", "LANK", "RANK", "LHEE", "RHEE", "LTOE", "RTOE", "C7", "CLAV")
    joints = (
        "L_Hip",
        "R_Hip",
        "Pelvis",
        "L_Knee",
        "R_Knee",
        *("L_Ankle", "R_Ankle") * 2,
        "L_Toe",
        "R_Toe",
        "Neck",
        "Neck",
    )
    points = walk.joint_pos[:, [walk.names.index(joint) for joint in joints]]
    motion = read_motion(make_trc(points @ up_rotation(up) * 1e3, names, rate="30"))
    assert f"{up} is up: the body does not stand along y in the clip, but along {up}" in said(motion)
    np.testing.assert_allclose(motion.pos, points, atol=1e-4)


def test_displacements_in_place_of_positions(make_bvh):
    """Six channels on every joint, with or without the OFFSET in the position."""
    path = make_bvh(frames=3)
    right = read_motion(path)
    text = path.read_text().replace("CHANNELS 3 Z", "CHANNELS 6 Xposition Yposition Zposition Z")
    head, rows = text.split("MOTION\n")
    lines = rows.splitlines()
    joints = head.count("CHANNELS")
    values = np.array([[float(x) for x in line.split()] for line in lines[2:]])
    values = np.insert(values, np.repeat(np.arange(6, 3 + 3 * joints, 3), 3), 0.0, axis=1)
    table = "\n".join(" ".join(f"{x:.6f}" for x in row) for row in values)
    path.write_text(head + "MOTION\n" + "\n".join(lines[:2]) + "\n" + table + "\n")
    motion = read_motion(path)
    assert "displacements from the OFFSET" in said(motion)
    np.testing.assert_allclose(motion.joint_pos, right.joint_pos, atol=1e-9)
