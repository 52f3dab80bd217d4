"""Every real file there is: it loads, stands on its feet, is a human's size, and its left is on its left."""

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.data import MotionFileError, marker_bodies, read_motion, smpl_joint_map
from mjxhuman.data.deepmimic import HUMANOID3D, read_character
from mjxhuman.data.source import Source, up_rotation
from mjxhuman.types import SMPL_JOINTS, BodyMotion, PointMotion, SkeletonMotion

BVH = ("cmu_bvh", "cmu_bvh_cc", "mass_bvh", "artefact_pairs", "noncommercial")
#: folder, height of the ankle's lowest decile: the joint, not the sole. 03_* stands on terrain that is not in the data.
CLIPS = ("cmu_amc/02", "cmu_amc/07", "cmu_amc/131", "deepmimic", *BVH)


def files(shared, folder, pattern):
    found = sorted((shared / "data" / folder).rglob(pattern))
    if not found:
        pytest.skip(f"no {pattern} in {folder}")
    return [path for path in found if "character" not in path.name]


def skeletons(shared, folder):
    pattern = "*.amc" if "amc" in folder else "*.txt" if folder == "deepmimic" else "*.bvh"
    for path in files(shared, folder, pattern):
        yield path, read_motion(path)


@pytest.mark.parametrize("folder", [*CLIPS, "cmu_amc/03"])
def test_skeletons_load(shared, folder):
    for path, motion in skeletons(shared, folder):
        assert isinstance(motion, SkeletonMotion), path
        assert np.isfinite(motion.joint_pos).all() and np.isfinite(motion.joint_quat).all(), path
        np.testing.assert_allclose(np.linalg.norm(motion.joint_quat, axis=-1), 1.0, atol=1e-9, err_msg=str(path))
        assert len(smpl_joint_map(motion.names)) >= 15, path
        assert motion.fps in (16, 24, 30, 60, 120), path
        assert motion.provenance.conventions, path


@pytest.mark.parametrize("folder", CLIPS)
def test_feet_are_near_the_floor(shared, folder):
    for path, motion in skeletons(shared, folder):
        joints = smpl_joint_map(motion.names)
        lowest = motion.joint_pos[:, list(joints.values()), 2].min(axis=1)
        # raw network output in artefact_pairs sinks by up to 0.1 m; two MASS clips float by 0.07 m
        assert -0.1 < np.percentile(lowest, 10) < 0.13, path


@pytest.mark.parametrize("folder", CLIPS)
def test_bone_lengths_are_constant_and_human(shared, folder):
    for path, motion in skeletons(shared, folder):
        joints = smpl_joint_map(motion.names)
        for side in "LR":
            chain = [motion.joint_pos[:, joints[f"{side}_{joint}"]] for joint in ("Hip", "Knee", "Ankle")]
            thigh, shank = (np.linalg.norm(a - b, axis=-1) for a, b in itertools.pairwise(chain))
            assert np.ptp(thigh) < 1e-3 and np.ptp(shank) < 1e-3, path
            assert 0.32 < thigh[0] < 0.52 and 0.32 < shank[0] < 0.52, path


def test_walkers_are_not_mirrored(shared):
    """Walking forward, the left hip is to the left of the right one: along up x forward."""
    walks = ["cmu_amc/02/02_01.amc", "cmu_amc/07/07_12.amc", "cmu_bvh_cc/007_04.bvh", "mass_bvh/walk.bvh",
             "noncommercial/bandai_namco/dataset-1_walk_normal_001.bvh", "deepmimic/humanoid3d_walk.txt"]  # fmt: skip
    walks += ["grf/opencap_subject4/walking1_markers.trc", "grf/arnold_synthetic_s18/walk2_markers.trc"]
    for name in walks:
        motion = read_motion(shared / "data" / name)
        joints = smpl_joint_map(motion.names)
        pos = motion.joint_pos if isinstance(motion, SkeletonMotion) else motion.pos
        if isinstance(motion, PointMotion):
            pos = pos[motion.valid[:, [joints["L_Hip"], joints["R_Hip"]]].all(axis=1)]
        forward = pos[-1, joints["L_Hip"]] - pos[0, joints["L_Hip"]]
        left = np.cross([0, 0, 1], forward / np.linalg.norm(forward))
        across = (pos[:, joints["L_Hip"]] - pos[:, joints["R_Hip"]]) @ left
        assert (across > 0.03).all(), name


def test_cmu_stature(shared):
    """Standing height of the head bone's end (the middle of the head) of the walkers."""
    for name in ("02/02_01", "07/07_01"):
        motion = read_motion(shared / "data" / "cmu_amc" / f"{name}.amc")
        assert 1.5 < np.median(motion.joint_pos[:, motion.names.index("head_end"), 2]) < 1.7


def test_same_subject_in_amc_and_bvh(shared):
    """Subject 131 as ASF and as BVH: the same legs, arms and lower spine."""
    asf = read_motion(shared / "data/cmu_amc/131/131_04.amc")
    bvh = read_motion(shared / "data/cmu_bvh/131_01.bvh")
    lengths = []
    for motion in (asf, bvh):
        rest, joints = motion.rest_pos, smpl_joint_map(motion.names)
        pairs = [
            (f"{s}_{a}", f"{s}_{b}")
            for s in "LR"
            for a, b in (("Hip", "Knee"), ("Knee", "Ankle"), ("Ankle", "Toe"), ("Shoulder", "Elbow"))
        ]
        pairs += [("Pelvis", "Torso"), ("Torso", "Spine"), ("Pelvis", "L_Hip")]
        lengths.append([np.linalg.norm(rest[joints[a]] - rest[joints[b]]) for a, b in pairs])
    np.testing.assert_allclose(lengths[0], lengths[1], atol=2e-4)


@pytest.mark.parametrize(
    ("golden", "clip"),
    [("03_cmu_02_01_walk", "cmu_amc/02/02_01.amc"), ("05_cmu_131_04", "cmu_amc/131/131_04.amc")],
)
def test_rotations_against_another_implementation(shared, golden, clip):
    """An independent ASF/AMC reader made SMPL parameters of these clips: every fourth frame, from some start."""
    with np.load(shared / "data/golden/phymotion_reward" / f"{golden}.npz") as file:
        root, pose = file["global_orient"], file["body_pose"].reshape(-1, 21, 3)
    motion = read_motion(shared / "data" / clip)
    joints, turn = smpl_joint_map(motion.names), Rotation.from_matrix(up_rotation("y"))

    def world(joint, start):
        quats = motion.joint_quat[start * 4 :: 4, joints[joint]][: len(root), [1, 2, 3, 0]]
        return turn.inv() * Rotation.from_quat(quats) * turn

    starts = range(len(motion.joint_quat) // 4 - len(root) + 1)
    expected = Rotation.from_rotvec(root)
    errors = [(expected.inv() * world("Pelvis", start)).magnitude().max() for start in starts]
    start = int(np.argmin(errors))
    assert errors[start] < 1e-6
    for parent, child in (("Pelvis", "L_Hip"), ("L_Hip", "L_Knee"), ("R_Knee", "R_Ankle"), ("L_Shoulder", "L_Elbow")):
        local = world(parent, start).inv() * world(child, start)
        given = Rotation.from_rotvec(pose[:, SMPL_JOINTS.index(child) - 1])
        assert (local.inv() * given).magnitude().max() < 1e-6


def test_t_pose_of_the_reexported_clip(shared):
    motion = read_motion(shared / "data/cmu_bvh_cc/007_04.bvh")
    steps = np.linalg.norm(np.diff(motion.joint_pos[:, list(smpl_joint_map(motion.names).values())], axis=0), axis=-1)
    assert len(motion.joint_pos) == 224 and steps.max() < 0.1


def test_incomplete_last_frame(shared):
    assert len(read_motion(shared / "data/cmu_amc/07/07_12.amc").joint_pos) == 244


def test_deepmimic_skeleton_is_the_published_one(shared):
    table = read_character(Source(shared / "data/deepmimic/humanoid3d_character.txt"))
    assert table == dict(HUMANOID3D)


def test_markers_load(shared):
    for path in files(shared, "grf", "*.trc") + files(shared, "keypoints", "*.trc"):
        motion = read_motion(path)
        assert isinstance(motion, PointMotion)
        heights = motion.pos[..., 2][motion.valid]
        assert -0.02 < heights.min() < 0.05 and 1.4 < heights.max() < 2.3, path
        assert motion.valid.mean() > 0.7, path
        assert set(marker_bodies(motion.names)) == set(motion.names), path
        keypoints = "pose2sim" in str(path) and "LSTM" not in path.name
        assert motion.kind == ("joints" if keypoints else "markers"), path


def test_smpl_files_load(shared):
    dance = read_motion(shared / "data/smpl_format/aistpp_gBR_sBM_cAll_d04_mBR0_ch01_f0_479.npz")
    assert isinstance(dance, BodyMotion)
    assert dance.transl.shape == (480, 3) and dance.fps == 60.0
    run = read_motion(shared / "data/smpl_format/glamr_running_f0_100.npz", fps=30)
    assert isinstance(run, BodyMotion)
    assert 0.8 < run.transl[:, 2].min() < run.transl[:, 2].max() < 1.0
    for motion in (dance, run):  # the pelvis's y axis, up in the rest pose, stays up
        root = Rotation.from_quat(motion.global_orient[:, [1, 2, 3, 0]])
        assert root.apply([0, 1, 0])[:, 2].min() > 0.6
    forward = Rotation.from_quat(run.global_orient[:, [1, 2, 3, 0]]).apply([0, 0, 1])
    velocity = np.diff(run.transl, axis=0)
    assert (np.sum(velocity * forward[1:], axis=1) > 0).all()  # runs where it looks


def test_qpos_tables_load(shared):
    for path in files(shared, "g1_motions", "*.csv"):
        assert read_motion(path, fps=30).qpos.shape[1] == 36


def test_pickles_are_refused(shared):
    for path in files(shared, "amp_npy", "*.npy") + files(shared, "noncommercial/reallusion_ase", "*.npy"):
        with pytest.raises(MotionFileError, match="never loaded"):
            read_motion(path)
