"""Which joint of which skeleton, and which marker of which marker set, belongs to which SMPL joint.

A skeleton is recognised by its own joint names: the table that explains the legs and most other joints wins, so the
same word may mean different joints in different skeletons (``LeftShoulder`` is the collar bone in motion-capture
exports and the shoulder in the CMU BVH files; ``LeftFoot`` is the ankle).
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from mjxhuman.types import SMPL_JOINTS

_LEGS = ("L_Hip", "R_Hip", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle")


def _table(middle: dict[str, str], sides: dict[str, str], left: str, right: str) -> Mapping[str, str]:
    """Source name -> SMPL joint; ``sides`` has ``{}`` where the source puts its word for the side."""
    table = {source.lower(): joint for source, joint in middle.items()}
    for source, joint in sides.items():
        table[source.format(left).lower()] = "L_" + joint
        table[source.format(right).lower()] = "R_" + joint
    return MappingProxyType(table)


#: Source joint -> SMPL joint, lower case, prefixes of the exporting program (``mixamorig:``, ``Character1_``,
#: ``CC_Base_``) removed. A joint named after a bone is where that bone starts. Spine joints are paired by their height
#: above the pelvis, since their number differs.
SKELETONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        # lwrist is the distal half of the forearm (its only degree of freedom is the twist): the wrist starts lhand
        "CMU ASF": _table(
            {"root": "Pelvis", "hip": "Pelvis", "upperback": "Torso", "thorax": "Spine", "upperneck": "Neck",
             "head": "Head"},
            {"{}femur": "Hip", "{}tibia": "Knee", "{}foot": "Ankle", "{}toes": "Toe", "{}clavicle": "Thorax",
             "{}humerus": "Shoulder", "{}radius": "Elbow", "{}hand": "Wrist", "{}fingers": "Hand"},
            "l", "r",
        ),
        "CMU BVH": _table(
            {"Hips": "Pelvis", "Chest": "Torso", "Chest2": "Spine", "Neck": "Neck", "Head": "Head"},
            {"{}Hip": "Hip", "{}Knee": "Knee", "{}Ankle": "Ankle", "{}Toe": "Toe", "{}Collar": "Thorax",
             "{}Shoulder": "Shoulder", "{}Elbow": "Elbow", "{}Wrist": "Wrist"},
            "Left", "Right",
        ),
        "CMU MotionBuilder BVH": _table(
            {"Hips": "Pelvis", "Spine": "Torso", "Spine1": "Spine", "Neck1": "Neck", "Head": "Head"},
            {"{}UpLeg": "Hip", "{}Leg": "Knee", "{}Foot": "Ankle", "{}ToeBase": "Toe", "{}Shoulder": "Thorax",
             "{}Arm": "Shoulder", "{}ForeArm": "Elbow", "{}Hand": "Wrist", "{}HandIndex1": "Hand"},
            "Left", "Right",
        ),
        "CMU Daz BVH": _table(
            {"hip": "Pelvis", "abdomen": "Torso", "chest": "Spine", "neck": "Neck", "head": "Head"},
            {"{}Thigh": "Hip", "{}Shin": "Knee", "{}Foot": "Ankle", "{}Collar": "Thorax", "{}Shldr": "Shoulder",
             "{}ForeArm": "Elbow", "{}Hand": "Wrist"},
            "l", "r",
        ),
        "Mixamo, LAFAN1": _table(
            {"Hips": "Pelvis", "Spine": "Torso", "Spine1": "Spine", "Spine2": "Chest", "Neck": "Neck", "Head": "Head"},
            {"{}UpLeg": "Hip", "{}Leg": "Knee", "{}Foot": "Ankle", "{}ToeBase": "Toe", "{}Toe": "Toe",
             "{}Shoulder": "Thorax", "{}Arm": "Shoulder", "{}ForeArm": "Elbow", "{}Hand": "Wrist",
             "{}HandMiddle1": "Hand"},
            "Left", "Right",
        ),
        "Bandai Namco": _table(
            {"Hips": "Pelvis", "Spine": "Torso", "Chest": "Spine", "Neck": "Neck", "Head": "Head"},
            {"UpperLeg_{}": "Hip", "LowerLeg_{}": "Knee", "Foot_{}": "Ankle", "Toes_{}": "Toe",
             "Shoulder_{}": "Thorax", "UpperArm_{}": "Shoulder", "LowerArm_{}": "Elbow", "Hand_{}": "Wrist"},
            "L", "R",
        ),
        "iClone": _table(
            {"Hip": "Pelvis", "Spine01": "Torso", "Spine02": "Spine", "NeckTwist01": "Neck", "Head": "Head"},
            {"{}_Thigh": "Hip", "{}_Calf": "Knee", "{}_Foot": "Ankle", "{}_ToeBase": "Toe", "{}_Clavicle": "Thorax",
             "{}_Upperarm": "Shoulder", "{}_Forearm": "Elbow", "{}_Hand": "Wrist", "{}_Mid1": "Hand"},
            "L", "R",
        ),
        "3ds Max Biped": _table(
            {"Bip": "Pelvis", "Pelvis": "Pelvis", "Spine": "Torso", "Spine1": "Spine", "Spine2": "Chest",
             "Neck": "Neck", "Head": "Head"},
            {"{}_Thigh": "Hip", "{}_Calf": "Knee", "{}_Foot": "Ankle", "{}_Toe0": "Toe", "{}_Clavicle": "Thorax",
             "{}_UpperArm": "Shoulder", "{}_Forearm": "Elbow", "{}_Hand": "Wrist", "{}_Finger2": "Hand"},
            "L", "R",
        ),
        "Unreal": _table(
            {"pelvis": "Pelvis", "spine_01": "Torso", "spine_02": "Spine", "spine_03": "Chest", "neck_01": "Neck",
             "head": "Head"},
            {"thigh_{}": "Hip", "calf_{}": "Knee", "foot_{}": "Ankle", "ball_{}": "Toe", "clavicle_{}": "Thorax",
             "upperarm_{}": "Shoulder", "lowerarm_{}": "Elbow", "hand_{}": "Wrist", "middle_01_{}": "Hand"},
            "l", "r",
        ),
        "Unreal 5": _table(
            {"pelvis": "Pelvis", "spine_01": "Torso", "spine_03": "Spine", "spine_05": "Chest", "neck_01": "Neck",
             "neck_02": "Neck", "head": "Head"},
            {"thigh_{}": "Hip", "calf_{}": "Knee", "foot_{}": "Ankle", "ball_{}": "Toe", "clavicle_{}": "Thorax",
             "upperarm_{}": "Shoulder", "lowerarm_{}": "Elbow", "hand_{}": "Wrist", "middle_01_{}": "Hand"},
            "l", "r",
        ),
        # the metarig calls the pelvis "spine"; rigs made by hand often have a bone of that name and fewer spine bones
        "Blender Rigify": _table(
            {"spine": "Pelvis", "spine_001": "Torso", "spine_002": "Spine", "spine_003": "Chest",
             "spine_004": "Neck", "spine_006": "Head"},
            {"thigh_{}": "Hip", "shin_{}": "Knee", "foot_{}": "Ankle", "toe_{}": "Toe", "shoulder_{}": "Thorax",
             "upper_arm_{}": "Shoulder", "forearm_{}": "Elbow", "hand_{}": "Wrist", "f_middle_01_{}": "Hand"},
            "l", "r",
        ),
        "Blender": _table(
            {"pelvis": "Pelvis", "hips": "Pelvis", "spine": "Torso", "spine_001": "Spine", "chest": "Spine",
             "neck": "Neck", "head": "Head"},
            {"thigh_{}": "Hip", "shin_{}": "Knee", "foot_{}": "Ankle", "toe_{}": "Toe", "shoulder_{}": "Thorax",
             "upper_arm_{}": "Shoulder", "forearm_{}": "Elbow", "hand_{}": "Wrist"},
            "l", "r",
        ),
        "Unity": _table(
            {"Hips": "Pelvis", "Spine": "Torso", "Chest": "Spine", "UpperChest": "Chest", "Neck": "Neck",
             "Head": "Head"},
            {"{}UpperLeg": "Hip", "{}LowerLeg": "Knee", "{}Foot": "Ankle", "{}Toes": "Toe", "{}Shoulder": "Thorax",
             "{}UpperArm": "Shoulder", "{}LowerArm": "Elbow", "{}Hand": "Wrist", "{}MiddleProximal": "Hand"},
            "Left", "Right",
        ),
        "VRM": _table(
            {"C_Hips": "Pelvis", "C_Spine": "Torso", "C_Chest": "Spine", "C_UpperChest": "Chest", "C_Neck": "Neck",
             "C_Head": "Head"},
            {"{}_UpperLeg": "Hip", "{}_LowerLeg": "Knee", "{}_Foot": "Ankle", "{}_ToeBase": "Toe",
             "{}_Shoulder": "Thorax", "{}_UpperArm": "Shoulder", "{}_LowerArm": "Elbow", "{}_Hand": "Wrist",
             "{}_Middle1": "Hand"},
            "L", "R",
        ),
        "Xsens MVN": _table(
            {"Hips": "Pelvis", "Chest": "Torso", "Chest3": "Spine", "Chest4": "Chest", "Neck": "Neck",
             "Head": "Head"},
            {"{}Hip": "Hip", "{}Knee": "Knee", "{}Ankle": "Ankle", "{}Toe": "Toe", "{}Collar": "Thorax",
             "{}Shoulder": "Shoulder", "{}Elbow": "Elbow", "{}Wrist": "Wrist"},
            "Left", "Right",
        ),
        "Xsens MVN segments": _table(
            {"Pelvis": "Pelvis", "L5": "Torso", "T12": "Spine", "T8": "Chest", "Neck": "Neck", "Head": "Head"},
            {"{}UpperLeg": "Hip", "{}LowerLeg": "Knee", "{}Foot": "Ankle", "{}Toe": "Toe", "{}Shoulder": "Thorax",
             "{}UpperArm": "Shoulder", "{}ForeArm": "Elbow", "{}Hand": "Wrist"},
            "Left", "Right",
        ),
        "Motive": _table(
            {"Hip": "Pelvis", "Ab": "Torso", "Chest": "Spine", "Neck": "Neck", "Head": "Head"},
            {"{}Thigh": "Hip", "{}Shin": "Knee", "{}Foot": "Ankle", "{}Toe": "Toe", "{}Shoulder": "Thorax",
             "{}UArm": "Shoulder", "{}FArm": "Elbow", "{}Hand": "Wrist", "{}Middle1": "Hand"},
            "L", "R",
        ),
        "Rokoko": _table(
            {"Hips": "Pelvis", "Spine1": "Torso", "Spine2": "Spine", "Spine3": "Chest", "Spine4": "Chest",
             "Neck": "Neck", "Head": "Head"},
            {"{}Thigh": "Hip", "{}Shin": "Knee", "{}Foot": "Ankle", "{}Toe": "Toe", "{}Shoulder": "Thorax",
             "{}Arm": "Shoulder", "{}ForeArm": "Elbow", "{}Hand": "Wrist", "{}Finger3Proximal": "Hand"},
            "Left", "Right",
        ),
        "Noitom": _table(
            {"Hips": "Pelvis", "Spine": "Torso", "Spine1": "Spine", "Spine2": "Spine", "Spine3": "Chest",
             "Neck": "Neck", "Head": "Head"},
            {"{}UpLeg": "Hip", "{}Leg": "Knee", "{}Foot": "Ankle", "{}Shoulder": "Thorax", "{}Arm": "Shoulder",
             "{}ForeArm": "Elbow", "{}Hand": "Wrist", "{}InHandMiddle": "Hand"},
            "Left", "Right",
        ),
        "DeepMimic": _table(
            {"root": "Pelvis", "chest": "Spine", "neck": "Neck"},
            {"{}_hip": "Hip", "{}_knee": "Knee", "{}_ankle": "Ankle", "{}_shoulder": "Shoulder", "{}_elbow": "Elbow",
             "{}_wrist": "Wrist"},
            "left", "right",
        ),
        "SMPL": _table(
            {"pelvis": "Pelvis", "torso": "Torso", "spine": "Spine", "chest": "Chest", "spine1": "Torso",
             "spine2": "Spine", "spine3": "Chest", "neck": "Neck", "head": "Head"},
            {"{}_hip": "Hip", "{}_knee": "Knee", "{}_ankle": "Ankle", "{}_toe": "Toe", "{}_foot": "Toe",
             "{}_thorax": "Thorax", "{}_collar": "Thorax", "{}_shoulder": "Shoulder", "{}_elbow": "Elbow",
             "{}_wrist": "Wrist", "{}_hand": "Hand"},
            "L", "R",
        ),
        "SMPL long names": _table(
            {"pelvis": "Pelvis", "spine1": "Torso", "spine2": "Spine", "spine3": "Chest", "neck": "Neck",
             "head": "Head"},
            {"{}_hip": "Hip", "{}_knee": "Knee", "{}_ankle": "Ankle", "{}_foot": "Toe", "{}_collar": "Thorax",
             "{}_shoulder": "Shoulder", "{}_elbow": "Elbow", "{}_wrist": "Wrist", "{}_hand": "Hand"},
            "left", "right",
        ),
        # a keypoint detector's neck and head are points of the surface, not joints: see marker_bodies
        "BODY_25 keypoints": _table(
            {}, {"{}Hip": "Hip", "{}Knee": "Knee", "{}Ankle": "Ankle", "{}Shoulder": "Shoulder", "{}Elbow": "Elbow",
                 "{}Wrist": "Wrist"},
            "L", "R",
        ),
        "joint centres of a marker set": _table(
            {}, {"{}HJC": "Hip", "{}_HJC": "Hip", "{}KJC": "Knee", "{}AJC": "Ankle", "{}SJC": "Shoulder",
                 "{}EJC": "Elbow", "{}WJC": "Wrist"},
            "L", "R",
        ),
    }
)  # fmt: skip

_PREFIX = re.compile(r"^(?:.*[:|]|character\d*_|cc_base_|j_bip_|bip\d*_|mixamorig\d*_?|(?:def|org)_)")
_SEPARATORS = re.compile(r"[ .-]")


def plain_name(name: str) -> str:
    """Lower case, ``_`` between the parts, without the exporting program's prefix and the ``_study`` of augmented
    markers."""
    plain = _SEPARATORS.sub("_", name.strip().lower())
    if re.fullmatch(r"bip\d*", plain):
        return "bip"
    return _PREFIX.sub("", plain).removesuffix("_study")


def plain_names(names: Sequence[str]) -> list[str]:
    """``plain_name`` of each; where no table knows them, without a prefix that all but the first share."""
    plain = [plain_name(name) for name in names]
    if len(plain) < 8 or _known(plain):
        return plain
    shared = os.path.commonprefix(plain[1:])  # noqa: RUF071 - of words, no paths
    shared = shared[: shared.rfind("_") + 1]
    return [name.removeprefix(shared) for name in plain] if shared else plain


def _known(plain: Sequence[str]) -> bool:
    joints = [{table.get(name) for name in plain} for table in SKELETONS.values()]
    return any(set(_LEGS) <= found for found in joints)


def recognise_skeleton(names: Sequence[str]) -> str | None:
    """The key of ``SKELETONS`` that explains most of these joints, legs included; None if none has both legs."""
    plain = set(plain_names(names))
    best, best_size = None, 0
    for skeleton, table in SKELETONS.items():
        found = [source for source in table if source in plain]
        joints = {table[source] for source in found}
        if set(_LEGS) <= joints and len(found) > best_size:
            best, best_size = skeleton, len(found)
    return best


def smpl_joint_map(names: Sequence[str]) -> dict[str, int]:
    """SMPL joint -> index into ``names`` of the joint at (nearly) the same place, in SMPL order.

    For skeletons, and for points that are joint centres (keypoints, ``RHJC``). Joints the source does not have are
    left out. A skeleton that is not recognised gives the joint centres among the names, which may be none.
    """
    return dict(_joint_map(tuple(names)))


@functools.lru_cache(256)
def _joint_map(names: tuple[str, ...]) -> dict[str, int]:
    skeleton = recognise_skeleton(names)
    points = ("joint centres of a marker set", "BODY_25 keypoints")
    tables = [SKELETONS[key] for key in (points if skeleton is None or skeleton in points else (skeleton,))]
    found: dict[str, int] = {}
    for table in tables:
        for index, name in enumerate(plain_names(names)):
            joint = table.get(name)
            if joint is not None:
                found.setdefault(joint, index)
    return {joint: found[joint] for joint in SMPL_JOINTS if joint in found}


#: Marker name without side and separators -> SMPL body; "{}" stands for the side. The segments are those of the
#: OpenSim models the marker sets belong to (gait2392/Rajagopal marker sets, Plug-in Gait): condyles lie on the thigh,
#: malleoli on the shank, metatarsal heads on the rear foot, the wrist on the forearm.
_SIDED_MARKERS: Mapping[str, str] = MappingProxyType(
    {
        name: body
        for body, names in {
            "Pelvis": "asis asi psis psi ilcrest",
            "{}_Hip": "hjc hjcreg hip th1 th2 th3 th4 th5 thigh thigh1 thigh2 thigh3 thigh4 thigh5 thi "
            "knee kne mknee lknee latcon medcon lfc mfc lfcv mfcv kneejoint",
            "{}_Knee": "kjc fh sh1 sh2 sh3 sh4 shank shankantsup tb1 tb2 tb3 tib tibia ankle ank mankle lankle latmal "
            "medmal lmal mmal lmalv mmalv anklejoint",
            "{}_Ankle": "ajc calc cal heel hee toe toe1 toe5 mt1 mt5 5meta 1meta meta1 meta5",
            "{}_Toe": "bigtoe smalltoe",
            "{}_Thorax": "shoulder should sho acr ash psh ashv pshv",
            "Chest": "clavicle sternum scap bak",
            "{}_Shoulder": "sjc biceps humerus upa ua ua1 ua2 ua3 elbow elb lel mel lelbow melbow elbowlat elbowmed",
            "{}_Elbow": "ejc forearm frm fasuperior faradius faulna wrist wristradius wristulna lwrist mwrist wra wrb",
            "{}_Wrist": "wjc hand fin mcp2 mcp5",
            "Head": "head fhd bhd cheec cheek eye ear temple",
        }.items()
        for name in names.split()
    }
)
_MIDDLE_MARKERS: Mapping[str, str] = MappingProxyType(
    {
        "s2": "Pelvis", "sacr": "Pelvis", "sacrum": "Pelvis", "psis": "Pelvis", "midasis": "Pelvis",
        "midpsis": "Pelvis", "midhip": "Pelvis", "pelvis": "Pelvis", "c7": "Chest", "t8": "Chest", "t10": "Chest",
        "clav": "Chest", "strn": "Chest", "midclavicle": "Chest", "maxkif": "Chest", "neck": "Neck", "head": "Head",
        "nose": "Head",
    }
)  # fmt: skip
#: Other spellings of marker names, side and separators removed -> the word of the tables above: the calibrated
#: anatomical system (Cappozzo et al. 1995; Leardini et al. 2007), treadmill running sets (Fukuchi et al. 2017),
#: Qualisys, BTS, and plain words.
_OTHER_SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        other: word
        for word, others in {
            "asis": "ias antsupiliac", "psis": "ips postsupiliac", "ilcrest": "iliaccrest ic icr ict",
            "thigh": "gtr gt ftc trochanter greatertrochanter", "tib": "tt ttc tibialtuberosity tubercle",
            "lknee": "fle lfe kneelat kneelateral latknee lateralknee kneeout lkn klat latepicondyle lateralepicondyle",
            "mknee": "fme mfe kneemed kneemedial medknee medialknee kneein mkn kmed medepicondyle medialepicondyle",
            "fh": "hf fax fibulahead headoffibula",
            "lankle": "fal lm anklelat anklelateral latankle lateralankle ankleout lateralmalleolus malleoluslateral",
            "mankle": "tam mm anklemed anklemedial medankle medialankle anklein medialmalleolus malleolusmedial",
            "heel": "fcc heeltop heelbottom heellateral calcaneus hel", "bigtoe": "hallux dp1 toetip hlx",
            "mt1": "fm1 met1 1mt mth1 1mth firstmetatarsal", "mt5": "fm5 met5 5mt mth5 5mth fifthmetatarsal",
            "toe": "fm2 mt2 met2 2mt mth2 2meta", "acr": "caj acromion acromium sae",
            "lel": "hle elblat latelbow elbowlateral lateralelbow elbowout",
            "mel": "hme elbmed medelbow elbowmedial medialelbow elbowin",
            "wristradius": "rsp radialstyloid wristlateral wristlat",
            "wristulna": "usp ulnarstyloid wristmedial wristmed",
            "c7": "cv7", "clav": "sjn jugularnotch suprasternale", "strn": "sxs xiphoid xiph",
            "t8": "tv8", "t10": "tv10",
        }.items()
        for other in others.split()
    }
)  # fmt: skip
#: What the first letters of an unknown marker's name say: a cluster's.
_CLUSTERS = (("thigh", "thigh"), ("thi", "thigh"), ("shank", "shank"), ("calf", "shank"), ("tib", "tib"))
_SIDE = re.compile(r"^(left|right|[lr]x(?=[a-z])|[lr])[ ._-]?(.+)$")
_SIDE_BEHIND = re.compile(r"^(.+?)[ ._-]?(left|right|[lr])$")


def marker_bodies(names: Sequence[str]) -> dict[str, str]:
    """Marker name -> SMPL body it moves with; unknown markers are left out.

    A marker whose name is also in ``smpl_joint_map(names)`` sits at that joint's centre (offset 0 in the body of that
    joint); of the others only the body is known and the offset must be solved for.
    """
    centres = {names[index]: joint for joint, index in smpl_joint_map(names).items()}
    bodies: dict[str, str] = {}
    for name in names:
        body = centres.get(name) or _marker_body(plain_name(name))
        if body is not None:
            bodies[name] = body
    return bodies


def _marker_body(plain: str) -> str | None:
    side, word = marker_word(plain)
    if not side:
        return _MIDDLE_MARKERS.get(word)
    body = _SIDED_MARKERS.get(word)
    return None if body is None else body.format(side)


def marker_word(plain: str) -> tuple[str, str]:
    """Side ("L", "R" or "") and word of the tables of a marker, from its ``plain_name``; an unknown word is returned as
    it is."""
    squeezed = _squeezed(plain)
    if _table_word(squeezed) in _MIDDLE_MARKERS:
        return "", _table_word(squeezed)
    ahead, behind = _SIDE.match(plain), _SIDE_BEHIND.match(plain)
    readings = [] if ahead is None else [(ahead[1][0].upper(), _squeezed(ahead[2]))]
    if behind is not None and _table_word(squeezed) not in _SIDED_MARKERS:  # "heel" is no left "hee"
        readings.append((behind[2][0].upper(), _squeezed(behind[1])))
    for side, word in readings:
        if _table_word(word) in _SIDED_MARKERS:
            return side, _table_word(word)
    for side, word in readings:
        for start, cluster in _CLUSTERS:
            if word.startswith(start):
                return side, cluster
    return readings[0] if ahead is not None else ("", squeezed)


def _squeezed(text: str) -> str:
    return re.sub(r"[ ._-]", "", text)


def _table_word(word: str) -> str:
    return _OTHER_SPELLINGS.get(word, word)
