"""Shape of the built-in body: where its 24 joints sit and what volumes stand for its flesh.

Lengths in metres for a body of stature ``DEFAULT_STATURE``, in SMPL's frames (x left, y up, z forward; T-pose).
The numbers are the mean of the left and the mirrored right half of the 24-body humanoid of the mean SMPL shape that is
common in physics-based character control (PHC, SMPLSim), rounded to 0.1 mm; the trunk lies in the plane x = 0.
Three things differ from it: the halves are equal, so that both soles are level; the head is a capsule whose top is
the crown, so that stature means what a stadiometer shows; masses come from ``segments.py`` instead of densities.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mjxhuman.humanoids.record import mirrored
from mjxhuman.types import SMPL_JOINTS, SMPL_PARENTS


def _depth_first(joint: int) -> dict[str, str | None]:
    """The bodies from a joint of SMPL's tree on, parents first and one limb after the other."""
    found = {SMPL_JOINTS[joint]: SMPL_JOINTS[SMPL_PARENTS[joint]] if joint else None}
    for child in np.flatnonzero(np.array(SMPL_PARENTS) == joint):
        found |= _depth_first(int(child))
    return found


#: Depth-first order of the bodies in the model, and each one's parent.
BODY_PARENTS = _depth_first(0)

# joint positions in the parent's frame; right side by reflection
_OFFSETS = {
    "L_Hip": (0.0686, -0.0910, -0.0056), "L_Knee": (0.0363, -0.3789, -0.0067), "L_Ankle": (-0.0147, -0.3982, -0.0430),
    "L_Toe": (0.0259, -0.0520, 0.1213), "Torso": (0.0, 0.1090, -0.0267), "Spine": (0.0, 0.1352, 0.0011),
    "Chest": (0.0, 0.0529, 0.0254), "Neck": (0.0, 0.2139, -0.0429), "Head": (0.0, 0.0650, 0.0513),
    "L_Thorax": (0.0803, 0.1203, -0.0364), "L_Shoulder": (0.0935, 0.0316, -0.0090),
    "L_Elbow": (0.2567, -0.0131, -0.0245), "L_Wrist": (0.2523, 0.0084, -0.0034), "L_Hand": (0.0843, -0.0072, -0.0126),
}  # fmt: skip

# capsules: (start, end, radius); a sphere has equal ends
_CAPSULES = {
    "Pelvis": ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0942),
    "L_Hip": ((0.0073, -0.0758, -0.0014), (0.0290, -0.3032, -0.0054), 0.0611),
    "L_Knee": ((-0.0030, -0.0797, -0.0086), (-0.0118, -0.3186, -0.0344), 0.0541),
    "Torso": ((0.0, 0.0608, 0.0005), (0.0, 0.0743, 0.0006), 0.0769),
    "Spine": ((0.0, 0.0238, 0.0114), (0.0, 0.0291, 0.0140), 0.0755),
    "Chest": ((0.0, 0.0682, -0.0173), (0.0, 0.0833, -0.0212), 0.1002),
    "Neck": ((0.0, 0.0130, 0.0103), (0.0, 0.0520, 0.0411), 0.0436),
    "Head": ((0.0, 0.0400, 0.0030), (0.0, 0.1081, 0.0030), 0.0900),
    "L_Thorax": ((0.0187, 0.0063, -0.0018), (0.0748, 0.0252, -0.0072), 0.0516),
    "L_Shoulder": ((0.0513, -0.0027, -0.0049), (0.2054, -0.0105, -0.0196), 0.0524),
    "L_Elbow": ((0.0505, 0.0017, -0.0007), (0.2018, 0.0067, -0.0027), 0.0407),
    "L_Wrist": ((0.0169, -0.0014, -0.0026), (0.0675, -0.0057, -0.0102), 0.0322),
}

# boxes: (centre, half sizes)
_BOXES = {
    "L_Ankle": ((0.0223, -0.0207, 0.0249), (0.0483, 0.0471, 0.0858)),
    "L_Toe": ((-0.0036, 0.0050, 0.0238), (0.0479, 0.0208, 0.0495)),
    "L_Hand": ((0.0478, 0.0, -0.0069), (0.0577, 0.0161, 0.0542)),
}

MIRROR = np.array([-1.0, 1.0, 1.0])


@dataclasses.dataclass(frozen=True, eq=False)
class Volume:
    """A capsule (``half`` None) from ``start`` to ``end``, or an axis-aligned box with equal ends at its centre."""

    start: np.ndarray  # (3,) m, body frame
    end: np.ndarray  # (3,) m
    radius: float  # m, 0 for a box
    half: np.ndarray | None = None  # (3,) m

    @property
    def centre(self) -> np.ndarray:
        """Middle of the volume in the body frame, (3,) m."""
        return 0.5 * (self.start + self.end)

    def transformed(self, scale: np.ndarray | float, girth: float, flip: bool = False) -> Volume:
        """Ends scaled by ``scale`` (per axis or uniform), thickness by ``girth``, reflected in x = 0 if ``flip``."""
        sign = MIRROR if flip else np.ones(3)
        half = None if self.half is None else self.half * girth
        return Volume(self.start * scale * sign, self.end * scale * sign, self.radius * girth, half)


@dataclasses.dataclass(frozen=True, eq=False)
class Proportions:
    """Joint offsets in the parent frame (the pelvis: (0, 0, 0)) and one volume per body, left-right symmetric."""

    offsets: dict[str, np.ndarray]
    volumes: dict[str, Volume]

    @property
    def sole(self) -> float:
        """Height of the sole relative to the pelvis joint in the T-pose, m (negative)."""
        foot = self.volumes["L_Ankle"]
        assert foot.half is not None
        return float(self.position("L_Ankle")[1] + foot.centre[1] - foot.half[1])

    @property
    def crown(self) -> float:
        """Height of the crown relative to the pelvis joint in the T-pose, m."""
        head = self.volumes["Head"]
        return float(self.position("Head")[1] + max(head.start[1], head.end[1]) + head.radius)

    @property
    def stature(self) -> float:
        """Sole to crown in the T-pose, m."""
        return self.crown - self.sole

    def position(self, body: str) -> np.ndarray:
        """Joint position relative to the pelvis in the T-pose, (3,) m."""
        parent = BODY_PARENTS[body]
        return np.zeros(3) if parent is None else self.position(parent) + self.offsets[body]


def _table() -> Proportions:
    offsets = {"Pelvis": np.zeros(3)} | {body: np.array(x) for body, x in _OFFSETS.items()}
    volumes = {body: Volume(np.array(a), np.array(b), r) for body, (a, b, r) in _CAPSULES.items()}
    volumes |= {body: Volume(np.array(c), np.array(c), 0.0, np.array(h)) for body, (c, h) in _BOXES.items()}
    for body in BODY_PARENTS:
        if body.startswith("R_"):
            left = "L_" + body[2:]
            offsets[body] = offsets[left] * MIRROR
            volumes[body] = volumes[left].transformed(1.0, 1.0, flip=True)
    return Proportions(offsets, volumes)


_TABLE = _table()

#: Stature of the table's body, m: 0.936 m from sole to pelvis joint, 0.774 m from there to the crown.
DEFAULT_STATURE = round(_TABLE.stature, 4)


def scaled(stature: float = DEFAULT_STATURE) -> Proportions:
    """The table's body scaled uniformly to ``stature`` (m)."""
    s = stature / DEFAULT_STATURE
    offsets = {body: x * s for body, x in _TABLE.offsets.items()}
    return Proportions(offsets, {body: v.transformed(s, s) for body, v in _TABLE.volumes.items()})


def skeleton_stature(positions: dict[str, np.ndarray]) -> float:
    """Stature (m) that a skeleton of these T-pose joint positions stands for: table stature times the size ratio.

    Size is the summed length of both legs' and the trunk's bones, which does not depend on how a file models the head
    or the soles. ``positions`` holds (3,) m for the bodies of ``BODY_PARENTS`` in any common frame.
    """
    bones = ["L_Knee", "L_Ankle", "R_Knee", "R_Ankle", "Torso", "Spine", "Chest", "Neck"]
    size = sum(float(np.linalg.norm(positions[b] - positions[str(BODY_PARENTS[b])])) for b in bones)
    table = sum(float(np.linalg.norm(_TABLE.offsets[b])) for b in bones)
    return DEFAULT_STATURE * size / table


def from_joints(positions: dict[str, np.ndarray], stature: float, sole: float, girth: float) -> Proportions:
    """A body with given T-pose joint positions (SMPL frames, m), symmetrised, with the table's volumes fitted to it.

    Args:
        positions: (3,) m for each of the 24 bodies, any common origin.
        stature: m, sole to crown.
        sole: m, height (y) of the lowest point of the feet in the coordinates of ``positions``.
        girth: ratio of the body's thickness to the table's.

    Volumes stretch along their bone with the bone's length and across it with ``girth``; boxes of feet and hands
    scale with the foot's or hand's bone, the foot's height with the height of the ankle joint over the sole.
    """
    offsets = {"Pelvis": np.zeros(3)}
    for body, parent in BODY_PARENTS.items():
        if parent is None:
            continue
        x = positions[body] - positions[parent]
        if body[:2] in ("L_", "R_"):
            x = 0.5 * (x + MIRROR * (positions[mirrored(body)] - positions[mirrored(parent)]))
        else:
            x = x * np.array([0.0, 1.0, 1.0])
        offsets[body] = x
    volumes = {}
    result = Proportions(offsets, volumes)
    ankle = result.position("L_Ankle")[1] - (sole - positions["Pelvis"][1])  # ankle joint over the sole
    for body, volume in _TABLE.volumes.items():
        along = _stretch(body, offsets)
        if body[2:] in ("Ankle", "Toe"):
            volumes[body] = _foot_box(body, volume, offsets, along, ankle)
        elif volume.half is not None:
            volumes[body] = Volume(volume.start * along, volume.end * along, 0.0, volume.half * along)
        else:
            volumes[body] = volume.transformed(along, girth)
    head = volumes["Head"]
    lift = stature - result.stature  # put the crown where the stature says
    up = np.array([0.0, lift, 0.0])
    volumes["Head"] = Volume(head.start + 0.5 * up, head.end + up, head.radius)
    return result


def _stretch(body: str, offsets: dict[str, np.ndarray]) -> float:
    """Length of the bone that ``body`` spans relative to the table; toes, hands and head use the bone they end."""
    child = {"Pelvis": "Torso", "Chest": "Neck"}.get(body)
    child = child or next((b for b, p in BODY_PARENTS.items() if p == body), body)
    return float(np.linalg.norm(offsets[child]) / np.linalg.norm(_TABLE.offsets[child]))


def _foot_box(body: str, volume: Volume, offsets: dict[str, np.ndarray], along: float, ankle: float) -> Volume:
    """Foot box with its bottom on the sole, ``ankle`` metres below the ankle joint, and its top scaled alike."""
    assert volume.half is not None
    drop = 0.0 if body.endswith("Ankle") else float(offsets["L_Toe"][1])
    table_drop = 0.0 if body.endswith("Ankle") else _OFFSETS["L_Toe"][1]
    table_ankle = _TABLE.position("L_Ankle")[1] - _TABLE.sole
    bottom = -ankle - drop
    table_top = table_ankle + table_drop + volume.centre[1] + volume.half[1]  # of the box, over the sole
    height = table_top * ankle / table_ankle
    centre = volume.centre * along
    centre[1] = bottom + 0.5 * height
    half = volume.half * along
    half[1] = 0.5 * height
    return Volume(centre, centre, 0.0, half)
