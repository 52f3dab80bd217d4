"""Known SMPL motions through other skeletons, joint positions and markers, and back."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_sources import as_points, as_skeleton, moving_pose, rotation_error

from mjxhuman.humanoids import load_humanoid
from mjxhuman.math import quaternion
from mjxhuman.retarget import retarget_motion, retarget_with_report
from mjxhuman.retarget.chain import BODIES, INDEX, chain_of, forward_clip
from mjxhuman.retarget.landmarks import marker_set

LIMBS = ("L_Hip", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle", "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist")


@pytest.fixture(scope="module")
def chain(humanoid):
    return chain_of(humanoid)


@pytest.fixture(scope="module")
def pose(chain):
    return moving_pose(chain)


@pytest.fixture(scope="module")
def truth(chain, pose):
    return forward_clip(chain, *pose)


def body_states(motion):
    ids = motion.humanoid.smpl_body_ids
    return np.asarray(motion.body_pos, float)[:, ids], np.asarray(motion.body_quat, float)[:, ids]


@pytest.mark.parametrize(("arms_down", "yaw"), [(0.0, 0.0), (75.0, 200.0)])
def test_skeleton_with_other_names_and_rest_pose(humanoid, chain, pose, truth, arms_down, yaw):
    source = as_skeleton(chain, *pose, arms_down=arms_down, yaw=yaw)
    motion, report = retarget_with_report(source, humanoid, ground="none")
    pos, quat = body_states(motion)
    assert np.abs(pos - truth[0])[:, : len(BODIES)].max() < 2e-3
    for name in LIMBS:
        # the shortest swing from the T-pose to hanging arms is known up to a small twist of the arm
        limit = 10.0 if arms_down and name.split("_")[1] in ("Shoulder", "Elbow", "Wrist") else 1.0
        assert rotation_error(quat[:, INDEX[name]], truth[1][:, INDEX[name]]).max() < limit, name
    assert report["median_mm"] < 1.0 and report["scale"] == 1.0
    assert "bone rotations aligned in the file's rest pose" in motion.provenance.retarget


def test_rotations_that_do_not_refer_to_the_rest_pose(humanoid, chain, pose, truth):
    """Every bone's rotation is off by its own constant: trunk and limbs still come out from positions and the clip."""
    source = as_skeleton(chain, *pose)
    rng = np.random.default_rng(0)
    constant = quaternion.unit(rng.normal(size=(22, 4)))
    source = source.replace(joint_quat=quaternion.multiply(source.joint_quat, constant))
    motion = retarget_motion(source, humanoid, ground="none")
    assert any("over the clip" in line for line in motion.provenance.retarget)
    pos, _ = body_states(motion)
    error = np.linalg.norm(pos - truth[0], axis=-1)
    for name in LIMBS:
        assert np.median(error[:, INDEX[name]]) < 0.03, name


def test_own_joint_positions(humanoid, truth):
    source = as_points(list(BODIES), truth[0][:, :22], "joints")
    motion, report = retarget_with_report(source, humanoid, ground="none")
    pos, _ = body_states(motion)
    assert np.linalg.norm(pos - truth[0], axis=-1)[:, :22].max() < 0.02
    assert report["median_mm"] < 3.0 and report["kind"] == "joints"


MARKERS = (
    "LASI", "RASI", "LPSI", "RPSI", "C7", "CLAV", "STRN", "LSHO", "RSHO", "LELB", "RELB", "LWRA", "LWRB", "RWRA",
    "RWRB", "LTHI", "RTHI", "LKNE", "RKNE", "LTIB", "RTIB", "LANK", "RANK", "LHEE", "RHEE", "LTOE", "RTOE", "LMT5",
    "RMT5", "LUPA", "RUPA", "LFRM", "RFRM", "MYSTERY",
)  # fmt: skip


def marker_source(chain, truth, seed: int = 1):
    """Plug-in-Gait-like markers, each up to 2 cm from its nominal place; clusters and one unknown name anywhere."""
    rng = np.random.default_rng(seed)
    markers = marker_set(MARKERS, chain)
    point = markers.point + rng.uniform(-0.02, 0.02, markers.point.shape)
    cluster = [k for k, place in enumerate(markers.places) if not place.landmark]
    point[cluster] += rng.uniform(-0.06, 0.06, (len(cluster), 3))
    pos = truth[0][:, markers.body] + quaternion.rotate(truth[1][:, markers.body], point)
    unknown = np.ones((len(pos), 1, 3))
    return as_points([*markers.names, "MYSTERY"], np.concatenate([pos, unknown], 1), "markers"), markers


def test_markers_of_uncertain_place(humanoid, chain, truth):
    source, markers = marker_source(chain, truth)
    valid = np.array(source.valid)
    valid[20:30, markers.names.index("LKNE")] = False
    source = source.replace(valid=valid, pos=np.where(valid[..., None], source.pos, 0.0))
    motion, report = retarget_with_report(source, humanoid, ground="none")
    pos, quat = body_states(motion)
    assert report["kind"] == "markers" and report["median_mm"] < 8.0
    assert any("MYSTERY" in line for line in motion.provenance.retarget)
    assert np.isfinite(np.asarray(motion.qpos)).all()
    for name in ("Pelvis", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle", "L_Shoulder", "R_Elbow"):
        assert np.median(np.linalg.norm(pos - truth[0], axis=-1)[:, INDEX[name]]) < 0.035, name
    for name in ("Pelvis", "Chest", "L_Hip", "R_Hip", "L_Knee", "L_Shoulder"):
        assert np.median(rotation_error(quat[:, INDEX[name]], truth[1][:, INDEX[name]])) < 12.0, name


@pytest.mark.parametrize("factor", [0.9, 1.12])
def test_default_body_has_the_subjects_stature(humanoid, factor):
    tall = load_humanoid("smpl", stature=round(humanoid.stature * factor, 2))
    chain = chain_of(tall)
    motion = retarget_motion(as_skeleton(chain, *moving_pose(chain, 30)))
    assert motion.humanoid.stature == pytest.approx(tall.stature, abs=0.011)
    assert motion.humanoid.layout == "ball"


def test_a_body_of_another_size_scales_positions_and_says_so(humanoid, chain, pose):
    small = load_humanoid("smpl", stature=round(0.8 * humanoid.stature, 2))
    motion, report = retarget_with_report(as_skeleton(chain, *pose), small, ground="none")
    ratio = small.stature / humanoid.stature
    assert report["scale"] == pytest.approx(ratio, abs=0.01)
    assert "no longer ballistic" in motion.provenance.retarget[0]
    np.testing.assert_allclose(np.asarray(motion.qpos)[:, :2], pose[0][:, :2] * ratio, atol=0.01)


def test_invalid_frames_stay_invalid_and_disturb_nothing(humanoid, chain, pose):
    source = as_skeleton(chain, *pose)
    clean = retarget_motion(source, humanoid, ground="none")
    valid = np.ones(len(source.valid), bool)
    valid[[0, 40, 41]] = False
    pos, quat = np.array(source.joint_pos), np.array(source.joint_quat)
    pos[~valid], quat[~valid] = np.nan, np.nan
    motion = retarget_motion(source.replace(joint_pos=pos, joint_quat=quat, valid=valid), humanoid, ground="none")
    assert (np.asarray(motion.valid) == valid).all()
    np.testing.assert_allclose(np.asarray(motion.qpos)[valid], np.asarray(clean.qpos)[valid], atol=5e-3)
