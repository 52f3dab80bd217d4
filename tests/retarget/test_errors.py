"""What cannot be retargeted says why."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_sources import as_points, as_skeleton, moving_pose

from mjxhuman.data import QposMotion, save_motion
from mjxhuman.humanoids import load_humanoid
from mjxhuman.recovery.load import load_motion
from mjxhuman.retarget import retarget_motion
from mjxhuman.retarget.chain import chain_of


@pytest.fixture(scope="module")
def source(humanoid):
    chain = chain_of(humanoid)
    return as_skeleton(chain, *moving_pose(chain, 12))


def test_missing_joints_are_named(source):
    names = tuple({"LeftLeg": "Femur", "RightArm": "Upper"}.get(name, name) for name in source.names)
    with pytest.raises(ValueError, match="joints L_Hip, R_Hip, L_Knee"):
        retarget_motion(source.replace(names=names))
    shoulderless = tuple("Thing" if name == "RightArm" else name for name in source.names)
    with pytest.raises(ValueError, match="without the joints R_Shoulder"):
        retarget_motion(source.replace(names=shoulderless))


def test_swapped_sides_are_noticed(source):
    def swap(name: str) -> str:
        return name.replace("Left", "#").replace("Right", "Left").replace("#", "Right")

    with pytest.raises(ValueError, match="mirrored body"):
        retarget_motion(source.replace(names=tuple(swap(name) for name in source.names)))


def test_flipped_axis_is_noticed(source):
    flip = np.array([1.0, -1.0, 1.0])
    with pytest.raises(ValueError, match="mirrored body"):
        retarget_motion(source.replace(joint_pos=source.joint_pos * flip, rest_pos=source.rest_pos * flip))


def test_unknown_markers():
    with pytest.raises(ValueError, match="none of the points is a marker of a known name; found a, b"):
        retarget_motion(as_points(["a", "b"], np.zeros((5, 2, 3)), "markers"))


@pytest.mark.parametrize("frames", [1, 2])
def test_too_short(source, frames):
    short = source.replace(
        joint_pos=source.joint_pos[:frames], joint_quat=source.joint_quat[:frames], valid=source.valid[:frames]
    )
    with pytest.raises(ValueError, match=f"at least 3 frames, found {frames}"):
        retarget_motion(short)


def test_no_valid_frame(source):
    with pytest.raises(ValueError, match="no valid frame"):
        retarget_motion(source.replace(valid=np.zeros(12, bool)))


def test_unknown_policy(source):
    with pytest.raises(ValueError, match="ground: expected one of none, lowest, stance, plane, found 'flat'"):
        retarget_motion(source, ground="flat")


def test_a_robot_is_no_target(source, shared):
    robot = load_humanoid(shared / "data" / "reference_mjcf" / "g1_bm_no_mesh_box_feet.xml")
    with pytest.raises(ValueError, match="SMPL's topology"):
        retarget_motion(source, robot)


def test_joint_coordinates_go_straight_through(humanoid, tmp_path):
    qpos = np.tile(humanoid.model.qpos0, (10, 1))
    qpos[:, 0] += np.linspace(0.0, 0.1, 10)
    qpos[:, 2] += 0.5
    path = save_motion(tmp_path / "a.npz", QposMotion(qpos=qpos, fps=30.0, humanoid={"name": "smpl", "stature": 1.6}))
    motion = load_motion(path)
    assert motion.humanoid.stature == 1.6 and motion.provenance.ground == "none"
    np.testing.assert_allclose(motion.qpos, qpos, atol=1e-6)
    unnamed = save_motion(tmp_path / "b.npz", QposMotion(qpos=qpos, fps=30.0, humanoid={}))
    with pytest.raises(ValueError, match="expected the argument humanoid="):
        load_motion(unnamed)
    assert load_motion(unnamed, humanoid).num_frames == 10
    with pytest.raises(ValueError, match=r"b\.npz: qpos: expected shape"):
        load_motion(unnamed, load_humanoid("smpl", layout="hinge"))
