"""Skeletons whose names no table knows: by topology, by the caller's map, or refused with what would help."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mjxhuman.data import MotionFileError, read_motion, smpl_joint_map
from mjxhuman.data.joint_names import recognise_skeleton
from mjxhuman.data.topology import joints_by_topology
from mjxhuman.retarget.skeleton import read_joints

WALK = Path(__file__).parents[2] / "examples" / "walk.bvh"
SIDED = {"Hip", "Knee", "Ankle", "Toe", "Thorax", "Shoulder", "Elbow", "Wrist"}


def renamed(tmp_path: Path, rename) -> Path:
    """The walk's BVH with other names."""
    text = re.sub(r"(ROOT|JOINT) (\S+)", lambda match: f"{match[1]} {rename(match[2])}", WALK.read_text())
    path = tmp_path / "renamed.bvh"
    path.write_text(text)
    return path


def check_places(motion, least: int) -> None:
    """Every joint that is mapped is where the walk has it."""
    right = read_motion(WALK)
    expected, found = smpl_joint_map(right.names), smpl_joint_map(motion.names)
    assert {f"{side}_{name}" for side in "LR" for name in SIDED - {"Thorax"}} | {"Pelvis"} <= set(found)
    assert len(found) >= least
    for joint, index in found.items():
        if joint[2:] in SIDED or joint == "Pelvis":
            np.testing.assert_allclose(motion.joint_pos[:, index], right.joint_pos[:, expected[joint]], atol=1e-9)


@pytest.mark.parametrize("style", ["gauche_L{}", "{}.L", "L_arm_{}", "ossoL{}"])
def test_by_topology_with_sides_in_the_names(tmp_path, style):
    numbers = {}

    def rename(name):
        side, bare = (name[0], name[2:]) if name[1:2] == "_" else ("", name)
        number = numbers.setdefault(bare, f"b{len(numbers)}")
        return style.format(number).replace("L", side) if side else f"m{number}"

    motion = read_motion(renamed(tmp_path, rename))
    check_places(motion, 20)
    said = "\n".join(motion.provenance.conventions)
    assert "joints by the skeleton's topology" in said and "--joints" in said


def test_topology_without_sides_uses_the_toes():
    motion = read_motion(WALK)
    names = [f"bone{i}" for i in range(len(motion.names))]
    found = joints_by_topology(names, motion.parents, motion.rest_pos)
    expected = smpl_joint_map(motion.names)
    assert found["L_Knee"] == expected["L_Knee"] and found["R_Wrist"] == expected["R_Wrist"]


def test_no_body_no_topology():
    parents = [-1, *range(14)]
    assert (
        joints_by_topology([f"b{i}" for i in range(15)], parents, np.random.default_rng(0).normal(size=(15, 3))) == {}
    )


RIGS = {
    "PFNN": "hip lfemur ltibia lfoot rfemur rtibia rfoot lowerback thorax upperneck head lhumerus lradius lhand",
    "Biped": "Bip01 Bip01_L_Thigh Bip01_L_Calf Bip01_L_Foot Bip01_R_Thigh Bip01_R_Calf Bip01_R_Foot Bip01_Spine",
    "Biped with blanks": "Bip001 Bip001_Pelvis Bip001.L.Thigh Bip001.L.Calf Bip001.L.Foot Bip001.R.Thigh Bip001.R.Calf "
    "Bip001.R.Foot Bip001.Spine",
    "Unreal": "root pelvis spine_01 spine_02 spine_03 thigh_l calf_l foot_l ball_l thigh_r calf_r foot_r ball_r neck",
    "Rigify": "spine spine.001 spine.002 spine.003 spine.004 spine.006 thigh.L shin.L foot.L thigh.R shin.R foot.R",
    "Rigify, deforming": "DEF-spine DEF-thigh.L DEF-shin.L DEF-foot.L DEF-thigh.R DEF-shin.R DEF-foot.R DEF-spine.001",
    "Unity": "Hips Spine Chest LeftUpperLeg LeftLowerLeg LeftFoot RightUpperLeg RightLowerLeg RightFoot LeftUpperArm",
    "VRM": "Root J_Bip_C_Hips J_Bip_C_Spine J_Bip_L_UpperLeg J_Bip_L_LowerLeg J_Bip_L_Foot J_Bip_R_UpperLeg "
    "J_Bip_R_LowerLeg J_Bip_R_Foot",
    "Xsens": "Hips Chest Chest2 Chest3 Chest4 LeftHip LeftKnee LeftAnkle RightHip RightKnee RightAnkle LeftCollar",
    "Xsens segments": "Pelvis L5 L3 T12 T8 RightUpperLeg RightLowerLeg RightFoot LeftUpperLeg LeftLowerLeg LeftFoot",
    "Motive": "Hip Ab Chest Neck Head LShoulder LUArm LFArm LHand LThigh LShin LFoot RThigh RShin RFoot",
    "Rokoko": "Hips Spine1 Spine2 LeftThigh LeftShin LeftFoot RightThigh RightShin RightFoot LeftArm LeftForeArm",
    "Noitom": "Hips RightUpLeg RightLeg RightFoot LeftUpLeg LeftLeg LeftFoot Spine Spine1 Spine2 Spine3 Neck Head",
    "a subject's prefix": "Actor_1_Hips Actor_1_Spine Actor_1_LeftUpLeg Actor_1_LeftLeg Actor_1_LeftFoot "
    "Actor_1_RightUpLeg Actor_1_RightLeg Actor_1_RightFoot",
}


@pytest.mark.parametrize("rig", list(RIGS))
def test_rigs(rig):
    names = RIGS[rig].split()
    assert recognise_skeleton(names) is not None
    found = smpl_joint_map(names)
    assert {"Pelvis", "L_Hip", "R_Hip", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle"} <= set(found)
    assert all(names[i].lower().strip("j_bipc").rstrip("_") for i in found.values())


def test_map_of_the_callers(tmp_path):
    path = renamed(tmp_path, lambda name: {"Pelvis": "root", "L_Hip": "a", "R_Hip": "b"}.get(name, name))
    mapping = tmp_path / "map.json"
    mapping.write_text(json.dumps({"Pelvis": "root", "L_Hip": "a", "R_Hip": "b", "L_Toe": None}))
    motion = read_motion(path, joints=mapping)
    found = smpl_joint_map(motion.names)
    assert motion.names[found["L_Hip"]] == "L_Hip" and "L_Toe" not in found
    assert "map.json says" in "\n".join(motion.provenance.conventions)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "no JSON"),
        ("[]", "found list"),
        ('{"Hip": "Pelvis"}', "Hip: found a name that is not SMPL's"),
        ('{"L_Hip": "hüfte"}', "expected null or a joint of .*renamed.bvh: Pelvis, L_Hip"),
    ],
)
def test_maps_that_do_not_fit(tmp_path, content, match):
    mapping = tmp_path / "map.json"
    mapping.write_text(content)
    with pytest.raises(MotionFileError, match=match) as error:
        read_motion(renamed(tmp_path, str), joints=mapping)
    assert "map.json" in str(error.value)


def test_what_is_not_recognised_names_all_ways(tmp_path):
    path = tmp_path / "box.bvh"
    path.write_text(
        "HIERARCHY\nROOT box\n{\nOFFSET 0 0 0\nCHANNELS 3 Xposition Yposition Zposition\nJOINT lid\n{\nOFFSET 0 1 0\n"
        "CHANNELS 1 Xrotation\nEnd Site\n{\nOFFSET 0 1 0\n}\n}\n}\nMOTION\nFrames: 3\nFrame Time: 0.01\n"
        + "0 0 0 0\n"
        * 3
    )
    with pytest.raises(MotionFileError, match=r"box, lid, lid_end.*Mixamo, LAFAN1.*the argument joints="):
        read_motion(path)
    with pytest.raises(ValueError, match=r"among box, lid, lid_end; expected them, or the argument joints="):
        read_joints(read_motion(path, up="y", unit="m"), str(path))
