"""Tables of numbers: whose quaternion is first, rows of names, commas and semicolons; HumanML3D's arrays."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.data import MotionFileError, read_motion
from mjxhuman.data.joints import features_to_joints
from mjxhuman.data.source import up_rotation
from mjxhuman.types import SMPL_JOINTS

WALK = Path(__file__).parents[2] / "examples" / "walk.bvh"


def robot(yaw: float, speed: float = 1.0, tilt: float = 3.0) -> np.ndarray:
    """(60, 12) at 30 Hz, root quaternion wxyz: forward along its x axis."""
    t = np.arange(60) / 30
    turn = Rotation.from_euler("ZY", np.column_stack([np.full(60, yaw), tilt * np.sin(5 * t)]), degrees=True)
    ahead = np.array([np.cos(np.radians(yaw)), np.sin(np.radians(yaw)), 0.0])
    place = speed * t[:, None] * ahead + [0, 0, 0.8]
    return np.column_stack([place, turn.as_quat(scalar_first=True), 0.1 * np.sin(np.outer(t, range(5)))])


@pytest.mark.parametrize("yaw", [0, 60, 90, 180, -120])
@pytest.mark.parametrize("order", ["wxyz", "xyzw"])
@pytest.mark.parametrize("names", [False, True])
def test_order_of_the_quaternion(tmp_path, yaw, order, names):
    qpos = robot(yaw)
    stored = qpos.copy()
    if order == "xyzw":
        stored[:, 3:7] = qpos[:, [4, 5, 6, 3]]
    header = ",".join(["root_x", "root_y", "root_z", "q0", "q1", "q2", "q3", *"abcde"]) if names else ""
    path = tmp_path / "robot.csv"
    np.savetxt(path, stored, delimiter=",", header=header, comments="", fmt="%.8f")
    motion = read_motion(path, fps=30)
    assert f"root quaternion {order} (" in "\n".join(motion.provenance.conventions)
    np.testing.assert_allclose(motion.qpos, qpos, atol=1e-6)


def test_the_callers_order_wins(tmp_path):
    path = tmp_path / "robot.csv"
    np.savetxt(path, robot(0), delimiter=",")
    motion = read_motion(path, fps=30, quaternion="xyzw")
    np.testing.assert_allclose(motion.qpos[:, 3], robot(0)[:, 6], atol=1e-9)


@pytest.mark.parametrize(("separator", "decimal"), [(",", "."), (";", ","), (";", "."), ("\t", ",")])
def test_separators_of_trc(make_trc, separator, decimal):
    points = np.random.default_rng(0).uniform(0, 1800, size=(5, 3, 3))
    points[2, 1] = np.nan
    path = make_trc(points, ["C7", "R.ASIS", "L.ASIS"])
    right = read_motion(path)
    lines = path.read_text().splitlines()
    lines = [line.replace(".", decimal) if i not in (0, 3) else line for i, line in enumerate(lines)]
    path.write_text("\n".join(line.replace("\t", separator) for line in lines) + "\n")
    motion = read_motion(path)
    assert motion.names == right.names and motion.fps == right.fps
    np.testing.assert_array_equal(motion.valid, right.valid)
    np.testing.assert_allclose(motion.pos, right.pos, atol=1e-12)


def test_opensim_tables_are_recognised_with_commas(tmp_path):
    path = tmp_path / "ik.mot"
    path.write_text("Coordinates,,\nversion=1,,\nendheader,,\ntime,pelvis_tx,a\n0,1,2\n")
    with pytest.raises(MotionFileError, match="OpenSim table"):
        read_motion(path)


@pytest.mark.parametrize(
    ("name", "head", "match"),
    [
        ("a.fbx", b"Kaydara FBX Binary  \x00\x1a\x00", "FBX.*\\.bvh"),
        ("a.fbx", b"; FBX 7.4.0 project file\n", "FBX.*\\.bvh"),
    ],
)
def test_what_is_not_read_says_what_to_export(tmp_path, name, head, match):
    (tmp_path / name).write_bytes(head)
    with pytest.raises(MotionFileError, match=match):
        read_motion(tmp_path / name)


@pytest.fixture(scope="module")
def joints():
    """(T, 22, 3) m, y up, at 20 Hz or so."""
    walk = read_motion(WALK)
    return walk.joint_pos[:, [walk.names.index(name) for name in SMPL_JOINTS[:22]]] @ up_rotation("y")


@pytest.mark.parametrize("up", ["y", "z"])
def test_humanml3d_joints_have_defaults(tmp_path, joints, up):
    np.save(tmp_path / "000001.npy", joints @ up_rotation("y").T @ up_rotation(up))
    motion = read_motion(tmp_path / "000001.npy")
    assert motion.fps == 20
    np.testing.assert_allclose(motion.pos[..., 2], joints[..., 1], atol=1e-9)


def test_humanml3d_features(tmp_path, joints):
    """Features made as the data set defines them give the joints back, up to the place and heading of frame 1."""
    across = joints[:, 1] - joints[:, 2]
    forward = np.cross([0.0, 1.0, 0.0], -across)
    heading = np.arctan2(forward[:, 0], forward[:, 2])
    heading = np.unwrap(heading)
    back = Rotation.from_euler("y", -heading[:, None])
    root = joints[:, 0] * [1, 0, 1]
    features = np.zeros((len(joints), 263))
    features[:-1, 0] = -np.diff(heading) / 2
    step = back[1:].apply(np.diff(root, axis=0))
    features[:-1, 1], features[:-1, 2] = step[:, 0], step[:, 2]
    features[:, 3] = joints[:, 0, 1]
    local = joints[:, 1:] - root[:, None]
    features[:, 4:67] = np.stack([b.apply(p) for b, p in zip(back, local, strict=True)]).reshape(len(joints), 63)
    first = Rotation.from_euler("y", -heading[0])
    expected = first.apply((joints - root[0]).reshape(-1, 3)).reshape(joints.shape)
    np.testing.assert_allclose(features_to_joints(features), expected, atol=1e-9)
    np.save(tmp_path / "a.npy", features)
    assert read_motion(tmp_path / "a.npy").pos.shape == joints.shape
