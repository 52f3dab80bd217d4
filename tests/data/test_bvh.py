"""BVH: kinematics against matrices multiplied by hand, conventions found or asked for, errors that name them."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.data import MotionFileError, read_motion
from mjxhuman.types import SkeletonMotion


def joint(motion, name, frame=0):
    return motion.joint_pos[frame, motion.names.index(name)]


def test_standing_body(make_bvh):
    motion = read_motion(make_bvh())
    assert isinstance(motion, SkeletonMotion)
    assert motion.fps == 30.0
    # y up, facing z, left x in centimetres -> z up, facing x, left y in metres
    np.testing.assert_allclose(joint(motion, "LeftFoot"), [0.0, 0.09, 0.96 - 0.88], atol=1e-9)
    np.testing.assert_allclose(joint(motion, "Head"), [0.02, 0.0, 0.96 + 0.59], atol=1e-9)
    np.testing.assert_allclose(motion.joint_quat[..., 0], 1.0)
    np.testing.assert_allclose(
        motion.rest_pos - motion.rest_pos[0], motion.joint_pos[0] - motion.joint_pos[0, 0], atol=1e-9
    )
    assert motion.names[-1] == "RightHand_end"
    assert all(parent < child for child, parent in enumerate(motion.parents))
    assert any("0.033333 s is read as 30 Hz" in sentence for sentence in motion.provenance.conventions)
    assert any(sentence.startswith("y is up") for sentence in motion.provenance.conventions)
    assert any("only cm gives a stature" in sentence for sentence in motion.provenance.conventions)


@pytest.mark.parametrize("order", ["ZYX", "ZXY", "YXZ", "XYZ", "XZY", "YZX"])
def test_channel_order(make_bvh, order):
    hips, leg = (20.0, -35.0, 50.0), (10.0, 60.0, -15.0)
    channels = " ".join(f"{axis}rotation" for axis in order)
    motion = read_motion(make_bvh({"Hips": hips, "LeftUpLeg": leg}, channels=channels))

    def matrix(angles):
        product = np.eye(3)
        for axis, angle in zip(order, np.radians(angles)):
            c, s = np.cos(angle), np.sin(angle)
            product = (
                product
                @ {
                    "X": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
                    "Y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
                    "Z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
                }[axis]
            )
        return product

    upper, thigh = matrix(hips), matrix(hips) @ matrix(leg)
    knee = np.array([0, 96, 0]) + upper @ [9, -5, 0] + thigh @ [0, -42, 0]
    np.testing.assert_allclose(joint(motion, "LeftLeg"), knee[[2, 0, 1]] / 100, atol=1e-6)
    to_world = np.eye(3)[[2, 0, 1]]
    quat = motion.joint_quat[0, motion.names.index("LeftUpLeg")]
    np.testing.assert_allclose(
        Rotation.from_quat(quat[[1, 2, 3, 0]]).as_matrix(), to_world @ thigh @ to_world.T, atol=1e-6
    )


@pytest.mark.parametrize(
    ("scale", "unit"), [(0.01, "m"), (1.0, "cm"), (10.0, "mm"), (0.39370079, "inch"), (0.177165, "asf")]
)
def test_unit_by_stature(make_bvh, scale, unit):
    motion = read_motion(make_bvh(scale=scale))
    np.testing.assert_allclose(joint(motion, "LeftLeg"), [0.0, 0.09, 0.49], atol=1e-5)
    assert any(f"only {unit} gives" in sentence for sentence in motion.provenance.conventions)


def test_no_unit_fits(make_bvh):
    path = make_bvh(scale=4.0)
    with pytest.raises(MotionFileError, match="unit="):
        read_motion(path)
    motion = read_motion(path, unit=0.0025)
    np.testing.assert_allclose(joint(motion, "LeftLeg"), [0.0, 0.09, 0.49], atol=1e-5)
    assert any("as the caller says" in sentence for sentence in motion.provenance.conventions)


@pytest.mark.parametrize(("order", "up"), [((0, 1, 2), "y"), ((2, 0, 1), "z"), ((1, 2, 0), "x")])
def test_up_axis_by_rest_pose(make_bvh, order, up):
    motion = read_motion(make_bvh(order=order))
    assert any(sentence.startswith(f"{up} is up") for sentence in motion.provenance.conventions)
    np.testing.assert_allclose(joint(motion, "LeftFoot"), [0.0, 0.09, 0.08], atol=1e-9)


def test_callers_up_wins(make_bvh):
    motion = read_motion(make_bvh(), up="z")
    np.testing.assert_allclose(joint(motion, "LeftFoot"), [0.09, 0.08, 0.0], atol=1e-9)
    assert "z is up as the caller says" in motion.provenance.conventions


def test_lying_body_keeps_the_rest_poses_axis(make_bvh):
    motion = read_motion(make_bvh({"Hips": (0.0, 0.0, -90.0)}, root=(0, 10, 0)))
    assert abs(joint(motion, "Head")[2] - 0.1) < 0.05
    assert any(sentence.startswith("y is up") for sentence in motion.provenance.conventions)


def test_rest_pose_that_does_not_stand(make_bvh):
    """A leg that points upwards at rest: the clip's average decides, and where it cannot, the flag is named."""
    path = make_bvh({"LeftUpLeg": (0, 0, 180), "RightUpLeg": (0, 0, 180)})
    text = path.read_text().replace("OFFSET 0.000000 -42.000000", "OFFSET 0.000000 42.000000")
    path.write_text(text.replace("OFFSET 0.000000 -41.000000", "OFFSET 0.000000 41.000000"))
    motion = read_motion(path)
    assert any("the rest pose does not stand" in sentence for sentence in motion.provenance.conventions)
    np.testing.assert_allclose(joint(motion, "LeftFoot"), [0.0, 0.09, 0.08], atol=1e-6)
    path.write_text(path.read_text().replace("0.000000 96.000000 0.000000 0.000000 0.000000 0.000000",
                                             "0.000000 96.000000 0.000000 0.000000 0.000000 45.000000"))  # fmt: skip
    with pytest.raises(MotionFileError, match="up="):
        read_motion(path)


def test_root_position_replaces_offset(make_bvh):
    motion = read_motion(make_bvh(root_offset=(0, 96, 0), root=(0, 96, 50)))
    np.testing.assert_allclose(joint(motion, "Hips"), [0.5, 0.0, 0.96], atol=1e-9)


def test_root_position_relative_to_offset(make_bvh):
    motion = read_motion(make_bvh(root_offset=(0, 96, 0), root=(0, 1, 50)))
    np.testing.assert_allclose(joint(motion, "Hips"), [0.5, 0.0, 0.97], atol=1e-9)
    assert any("relative to its OFFSET" in sentence for sentence in motion.provenance.conventions)


def test_position_channels_of_other_joints(make_bvh):
    path = make_bvh()
    lines = path.read_text().splitlines()
    index = next(i for i, line in enumerate(lines) if "JOINT LeftUpLeg" in line) + 3
    lines[index] = lines[index].replace("3 Z", "6 Xposition Yposition Zposition Z")
    rows = [row.split() for row in lines[-3:]]
    lines[-3:] = [" ".join([*row[:6], "11", "-5", "0", *row[6:]]) for row in rows]
    path.write_text("\n".join(lines))
    np.testing.assert_allclose(joint(read_motion(path), "LeftLeg"), [0.0, 0.11, 0.49], atol=1e-9)


def test_t_pose_before_the_motion_is_left_out(make_bvh):
    path = make_bvh(frames=6)
    lines = path.read_text().splitlines()
    arms = ["LeftArm", "RightArm"]
    names = [line.split()[-1] for line in lines if "JOINT" in line or "ROOT" in line]
    for i in range(len(lines) - 5, len(lines)):
        row = lines[i].split()
        row[0] = str(300 + i)
        for arm, angle in zip(arms, (-80, 80)):
            row[3 + 3 * names.index(arm)] = str(angle)
        lines[i] = " ".join(row)
    path.write_text("\n".join(lines))
    motion = read_motion(path)
    assert len(motion.joint_pos) == len(motion.valid) == 5
    assert any("T-pose" in sentence for sentence in motion.provenance.conventions)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("0.0083", 120), (".0083333", 120), ("0.016667", 60), ("0.04", 25), ("0.0123", 1 / 0.0123), ("1e-2", 100)],
)
def test_frame_time(make_bvh, text, rate):
    assert read_motion(make_bvh(frame_time=text)).fps == pytest.approx(rate, rel=1e-9)


def test_callers_rate_wins_and_is_recorded(make_bvh):
    motion = read_motion(make_bvh(), fps=60)
    assert motion.fps == 60.0
    assert "frame rate 60 Hz as the caller says, although the file says 30 Hz" in motion.provenance.conventions


def test_frame_time_zero_needs_the_flag(make_bvh):
    path = make_bvh(frame_time="0")
    with pytest.raises(MotionFileError, match="fps="):
        read_motion(path)
    assert read_motion(path, fps=50).fps == 50.0


def test_one_frame(make_bvh):
    assert read_motion(make_bvh(frames=1)).joint_pos.shape[0] == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.replace("Frames: 3", "Frames: 4"), "3 lines of numbers.*Frames: 4"),
        (lambda t: t.replace("Frames: 3", "Frames: 2"), "more than 2 lines"),
        (lambda t: t.replace("Frames: 3", "Frames: 0"), "MOTION"),
        (lambda t: t.replace("Frames: 3", "Frames: many"), "Frames"),
        (lambda t: t.replace("0.000000 96.000000", "nan 96.000000"), "frame 1.*not finite"),
        (lambda t: t.replace("0.000000 96.000000", "zero 96.000000"), "frame 1: found 'zero'"),
        (lambda t: t.replace("0.000000 96.000000", "\xa0 96.000000"), "frame 1"),
        (lambda t: t.rstrip()[:-9] + "\n", "frame 3: found 56 numbers, expected 57"),
        (lambda t: t[: t.index("MOTION")], "no line MOTION"),
        (lambda t: t.replace("CHANNELS 3", "CHANNELS 4", 1), "CHANNELS"),
        (lambda t: t.replace("Xrotation", "Wrotation", 1), "CHANNELS"),
        (lambda t: t.replace("OFFSET 9.0", "OFFSET x", 1), "joint LeftUpLeg, OFFSET"),
        (lambda t: t.replace("}", "", 1), "HIERARCHY|line"),
        (lambda t: t.replace("}", "} }", 1), "line"),
        (lambda t: t.replace("JOINT LeftLeg", "JOINT LeftFoot"), "two joints named LeftFoot"),
        (lambda t: t.replace("JOINT LeftLeg", "ROOT LeftLeg"), "exactly one ROOT"),
    ],
)  # fmt: skip
def test_errors_name_the_field(make_bvh, change, named):
    path = make_bvh()
    path.write_text(change(path.read_text()))
    with pytest.raises(MotionFileError, match=named) as caught:
        read_motion(path)
    assert str(path) in str(caught.value)


@pytest.mark.slow
def test_a_million_frames(make_bvh):
    path = make_bvh()
    head, _, _ = path.read_text().partition("Frames:")
    row = path.read_text().splitlines()[-1]
    path.write_text(f"{head}Frames: 1000000\nFrame Time: 0.01\n" + (row + "\n") * 1_000_000)
    assert read_motion(path).joint_pos.shape == (1_000_000, 23, 3)
