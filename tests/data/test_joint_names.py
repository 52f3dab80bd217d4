"""Name tables: every skeleton and marker set is recognised as itself, left stays left."""

import pytest

from mjxhuman.data.joint_names import (
    SKELETONS,
    SMPL_JOINTS,
    marker_bodies,
    recognise_skeleton,
    smpl_joint_map,
)
from mjxhuman.types import SMPL_PARENTS


@pytest.mark.parametrize("skeleton", list(SKELETONS))
def test_skeleton_recognises_itself(skeleton):
    names = list(SKELETONS[skeleton])
    found = smpl_joint_map(names)
    assert recognise_skeleton(names) == skeleton
    assert {SKELETONS[skeleton][names[index]] for index in found.values()} == set(found)
    assert set(found) == set(SKELETONS[skeleton].values())


@pytest.mark.parametrize("skeleton", list(SKELETONS))
def test_sides_are_not_mixed(skeleton):
    for source, joint in SKELETONS[skeleton].items():
        if joint[:2] in ("L_", "R_"):
            assert source.replace("_", "")[0] == joint[0].lower() or source[-1] == joint[0].lower()


def test_smpl_topology():
    assert len(SMPL_JOINTS) == len(SMPL_PARENTS) == 24
    assert all(parent < joint for joint, parent in enumerate(SMPL_PARENTS))
    assert [SMPL_JOINTS[SMPL_PARENTS[SMPL_JOINTS.index(name)]] for name in ("L_Thorax", "Head", "R_Hand")] == [
        "Chest",
        "Neck",
        "R_Wrist",
    ]


@pytest.mark.parametrize(
    ("names", "skeleton"),
    [
        ("Hips Spine Spine1 Neck Head LeftUpLeg LeftLeg LeftFoot RightUpLeg RightLeg RightFoot", "Mixamo, LAFAN1"),
        (
            "Hips LowerBack Spine Spine1 Neck Neck1 Head LeftUpLeg LeftLeg LeftFoot RightUpLeg RightLeg RightFoot",
            "CMU MotionBuilder BVH",
        ),
        ("Hips LeftHip LeftKnee LeftAnkle RightHip RightKnee RightAnkle", "CMU BVH"),
        ("box lid handle", None),
        ("lfemur ltibia lfoot", None),
    ],
)
def test_recognition(names, skeleton):
    assert recognise_skeleton(names.split()) == skeleton


def test_prefixes_are_ignored():
    for prefix in ("mixamorig:", "Character1_", "model:"):
        names = [
            prefix + name
            for name in ("Hips", "LeftUpLeg", "LeftLeg", "LeftFoot", "RightUpLeg", "RightLeg", "RightFoot")
        ]
        assert smpl_joint_map(names)["R_Ankle"] == 6


def test_same_word_different_joint():
    legs = ["LeftLeg", "LeftFoot", "RightUpLeg", "RightLeg", "RightFoot"]
    motion_builder = ["Hips", "Spine", "LeftUpLeg", *legs, "LeftShoulder", "LeftArm"]
    cmu = ["Hips", "Chest", "LeftHip", "LeftKnee", "LeftAnkle", "RightHip", "RightKnee", "RightAnkle", "LeftShoulder"]
    assert smpl_joint_map(motion_builder)["L_Thorax"] == motion_builder.index("LeftShoulder")
    assert smpl_joint_map(cmu)["L_Shoulder"] == cmu.index("LeftShoulder")


@pytest.mark.parametrize(
    ("marker", "body"),
    [
        ("L.ASIS", "Pelvis"), ("r_thigh3", "R_Hip"), ("L_knee", "L_Hip"), ("r_ankle", "R_Knee"), ("r_calc", "R_Ankle"),
        ("L_5meta_study", "L_Ankle"), ("RxLatMal", "R_Knee"), ("LxShould", "L_Thorax"), ("maxkif", "Chest"),
        ("Psis", "Pelvis"), ("LLFC", "L_Hip"), ("LMMAL", "L_Knee"), ("RFAradius", "R_Elbow"), ("LWRA", "L_Elbow"),
        ("R.Biceps", "R_Shoulder"), ("LHJC", "L_Hip"), ("RAJC", "R_Ankle"), ("RBigToe", "R_Toe"), ("Nose", "Head"),
        ("L_lwrist_study", "L_Elbow"), ("LFHD", "Head"), ("C7", "Chest"), ("S2", "Pelvis"), ("RLMALv", "R_Knee"),
    ],
)  # fmt: skip
def test_marker_body(marker, body):
    assert marker_bodies([marker]) == {marker: body}


def test_unknown_marker_is_left_out():
    assert marker_bodies(["*12", "wand", "C7"]) == {"C7": "Chest"}


def test_joint_centres_take_the_joint_not_the_segment():
    names = ["RKnee", "RKJC", "RHip", "RHJC", "LElbow"]
    centres = smpl_joint_map(names)
    assert centres == {"R_Hip": 3, "R_Knee": 1, "L_Elbow": 4}
    assert marker_bodies(names)["LElbow"] == "L_Elbow"


def test_every_marker_of_the_real_sets_has_a_body(shared):
    for path in sorted((shared / "data").rglob("*.trc")):
        names = [name for name in path.read_text().splitlines()[3].split("\t")[2:] if name.strip()]
        assert set(marker_bodies(names)) == set(names), path
