"""How far human joints turn: clinical ranges of the whole joint, and what of them MuJoCo's hinges can hold.

Signs in SMPL's frames (x left, y up, z forward), left side: knee flexion +x, hip flexion -x, plantarflexion +x, trunk
and neck flexion +x, elbow flexion -y, arm raised sideways +z, hip abduction +z; the right side has y and z reversed.

The limits are the far end of what is published for passive motion and for trained people, so that dancers, gymnasts
and martial artists pass and a joint bent the wrong way does not. Sources, named per row:

* AAOS: American Academy of Orthopaedic Surgeons, Joint Motion (1965), average active range.
* N&W: Norkin and White, Measurement of Joint Motion.
* Kapandji: The Physiology of the Joints, active and passive range.
* wide: no norm for this angle; room for the way motion capture and SMPL fits split a rotation between neighbours.

The narrower table listed (and not used) in the code of PhyMotion, arXiv 2605.14269, lies inside all of these.

Decompositions: the legs' hinge-like joints, spine and neck flex first and turn last about the long axis, singular only
at +-90 degrees of side bending; the elbow flexes about y and the wrist about z first, singular at a carrying angle or
deviation of +-90. Shoulder and hip reach further than any Euler order allows (arm down and overhead, or arm
forward, are singular in turn), so they are swing and twist: of the femur from the T-pose, singular only where the
thigh points straight up; of the humerus from 45 degrees in front of the T-pose, the middle of its reach, singular only
where the arm points backwards through the trunk.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mjxhuman.humanoids.humanoid import SMPL_BODIES, RangeOfMotion
from mjxhuman.humanoids.record import mirrored


class Angle(NamedTuple):
    """One clinical angle of the left side: range in degrees."""

    name: str
    low: float
    high: float


class ClinicalJoint(NamedTuple):
    """A clinical joint of the left side or the middle of the body."""

    name: str
    proximal: str
    distal: str
    order: str
    angles: tuple[Angle, Angle, Angle]


JOINTS = (
    # flexion 145 and extension 30 passive (Kapandji; AAOS 120, 30), a dancer's 45; abduction 45 (AAOS), side split 90
    # and more; adduction 30 (AAOS) in flexion; rotation 60 out, 40 in (Kapandji), a dancer's turnout 70
    ClinicalJoint("L_Hip", "Pelvis", "L_Hip", "swing-y",
          (Angle("extension", -150, 45), Angle("abduction", -50, 105), Angle("external rotation", -70, 80))),
    # flexion 135 active (AAOS), 160 sitting on the heels (Kapandji); extension to -10 (N&W); flexed tibia 30 in and
    # 45 out (Kapandji); valgus: wide, SMPL fits to clean mocap reach 34
    ClinicalJoint("L_Knee", "L_Hip", "L_Knee", "XZY",
          (Angle("flexion", -10, 165), Angle("valgus", -35, 35), Angle("external rotation", -40, 50))),
    # plantarflexion 50 (AAOS, N&W), pointed foot 80; dorsiflexion 20 (AAOS), loaded in a deep squat 45; eversion 15-20,
    # inversion 35 (AAOS) to 50 passive; rotation: wide
    ClinicalJoint("L_Ankle", "L_Knee", "L_Ankle", "XZY",
          (Angle("plantarflexion", -50, 80), Angle("eversion", -55, 35), Angle("abduction", -55, 55))),
    # extension 90 passive, flexion 45 (Kapandji; AAOS great toe 70, 45); the rest: wide
    ClinicalJoint("L_Toe", "L_Ankle", "L_Toe", "XZY",
          (Angle("flexion", -95, 55), Angle("tilt", -30, 30), Angle("rotation", -30, 30))),
    # lumbar and thoracic together: flexion 105, extension 60, side 40, rotation 40 (Kapandji); a gymnast's back bend 85
    ClinicalJoint("Spine", "Pelvis", "Chest", "XZY",
          (Angle("flexion", -85, 115), Angle("right bending", -60, 60), Angle("left rotation", -65, 65))),
    # cervical: flexion 40, extension 75, side 35-45, rotation 80-90 (Kapandji, N&W); with upper thoracic joints more
    ClinicalJoint("Neck", "Chest", "Head", "XZY",
          (Angle("flexion", -90, 80), Angle("right bending", -60, 60), Angle("left rotation", -95, 95))),
    # horizontal flexion 130-140 and extension 40-50 from the T-pose (AAOS, Kapandji), that is 95 and 95 from the plane
    # 45 degrees in front of it, and 65 degrees of swing more with the arm down and back; raised 90 and back (bridge);
    # rotation 90 each way (AAOS), thrower's 110-180, plus the turn that a swing brings along (Codman)
    ClinicalJoint("L_Shoulder", "Chest", "L_Shoulder", "scapular-left",
          (Angle("horizontal extension", -110, 125), Angle("elevation", -115, 120),
           Angle("internal rotation", -170, 130))),
    # flexion 150 (AAOS), 160 passive (Kapandji); hyperextension 10 (N&W); carrying angle 5-15 (Kapandji), but wide,
    # SMPL fits to clean mocap reach 48; pronation and supination 80-90 each (AAOS)
    ClinicalJoint("L_Elbow", "L_Shoulder", "L_Elbow", "YZX",
          (Angle("extension", -165, 12), Angle("carrying", -55, 55), Angle("pronation", -100, 100))),
    # flexion 80-85 and extension 70-85 active (AAOS, Kapandji), 90-95 passive; radial 20, ulnar 30 (AAOS), 45 passive;
    # SMPL fits put part of the forearm's 90 degrees of pronation here
    ClinicalJoint("L_Wrist", "L_Elbow", "L_Wrist", "ZYX",
          (Angle("extension", -100, 100), Angle("ulnar deviation", -50, 60), Angle("pronation", -95, 95))),
)  # fmt: skip


def _mirrored(joint: ClinicalJoint) -> ClinicalJoint:
    """The right-hand joint: rotations about y and z change sign, about x they do not."""
    axes = {"scapular-left": "YZX", "swing-y": "XZY"}.get(joint.order, joint.order)
    order = joint.order.replace("left", "right")
    angles = tuple(a if x == "X" else Angle(a.name, -a.high, -a.low) for a, x in zip(joint.angles, axes, strict=True))
    return joint._replace(
        name=mirrored(joint.name), proximal=mirrored(joint.proximal), distal=mirrored(joint.distal), order=order,
        angles=angles,  # type: ignore[arg-type]
    )  # fmt: skip


def all_joints() -> list[ClinicalJoint]:
    """The 16 clinical joints: left and middle ones as listed, then the right ones."""
    return [*JOINTS, *(_mirrored(j) for j in JOINTS if j.name.startswith("L_"))]


#: Bodies that share a clinical joint, and the share of its range that each may use alone in a hinge model.
_CHAINS = {"Torso": ("Spine", 0.5), "Spine": ("Spine", 0.5), "Chest": ("Spine", 0.5), "Neck": ("Neck", 0.6),
           "Head": ("Neck", 0.6)}  # fmt: skip

# what three hinges x, y, z hold of joints whose clinical angles they cannot express, left side, degrees
_HINGES = {
    "L_Hip": ((-150, 60), (-85, 85), (-60, 105)), "L_Thorax": ((-45, 45), (-45, 45), (-30, 60)),
    "L_Shoulder": ((-180, 180),) * 3, "L_Elbow": ((-180, 180),) * 3, "L_Hand": ((-30, 30), (-30, 30), (-100, 45)),
}  # fmt: skip


def hinge_ranges() -> dict[str, np.ndarray]:
    """Ranges (3, 2) in radians of the hinges x, y, z of each body but the root.

    Clinical Euler angles go to the hinge of their axis, whatever the order; each body of spine and neck gets a share of
    the chain's range; shoulder and elbow are left free, since the XYZ Euler angles of ordinary arm poses, whose middle
    angle stays within +-90 degrees, reach +-180.
    """
    ranges = {}
    joints = {j.distal: j for j in JOINTS if len(j.order) == 3}
    by_name = {j.name: j for j in JOINTS}
    for body in SMPL_BODIES[1:]:
        left = "L_" + body[2:] if body.startswith("R_") else body
        if left in _HINGES:
            table = np.array(_HINGES[left], float)
        else:
            name, share = _CHAINS.get(left, (None, 1.0))
            joint = by_name[name] if name else joints[left]
            table = np.empty((3, 2))
            table[["XYZ".index(letter) for letter in joint.order]] = [
                [share * a.low, share * a.high] for a in joint.angles
            ]
        if body.startswith("R_"):
            table[1:] = -table[1:, ::-1]
        ranges[body] = np.deg2rad(table)
    return ranges


def range_of_motion(body_ids: dict[str, int]) -> RangeOfMotion:
    """The ranges for a model whose 24 SMPL-named bodies have these MuJoCo body ids."""
    joints = all_joints()
    return RangeOfMotion(
        names=tuple(j.name for j in joints),
        proximal=np.array([body_ids[j.proximal] for j in joints]),
        distal=np.array([body_ids[j.distal] for j in joints]),
        order=tuple(j.order for j in joints),
        low=np.deg2rad([[a.low for a in j.angles] for j in joints]),
        high=np.deg2rad([[a.high for a in j.angles] for j in joints]),
        angle_names=tuple(tuple(a.name for a in j.angles) for j in joints),  # type: ignore[misc]
    )
