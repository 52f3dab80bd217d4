"""Markers of the usual sets and key points of pose estimators: the body each sits on and its nominal place there."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from mjxhuman.data.joint_names import marker_bodies, marker_word, plain_name, smpl_joint_map
from mjxhuman.data.keypoint_names import canonical_name
from mjxhuman.retarget.chain import INDEX, Chain

#: Stature (m) of the body the landmark offsets refer to.
_STATURE = 1.71

#: Landmark -> (joint it is near, offset (m) from that joint in SMPL's T-pose axes on the left side: x left, y up,
#: z forward). Own estimates from bony-landmark anatomy: hip centre 3 cm medial of, 7 cm below and 5 cm behind the
#: anterior iliac spine (Bell et al. 1990), half widths of knee (5 cm) and ankle (3.5 cm), palms down in the T-pose.
_LANDMARKS: dict[str, tuple[str, tuple[float, float, float]]] = {
    "asis": ("Hip", (0.035, 0.075, 0.055)),
    "psis": ("Hip", (-0.025, 0.100, -0.095)),
    "sacrum": ("Pelvis", (0.0, 0.005, -0.105)),
    "mid asis": ("Pelvis", (0.0, -0.015, 0.050)),
    "knee lateral": ("Knee", (0.050, 0.0, 0.0)),
    "knee medial": ("Knee", (-0.050, 0.0, 0.0)),
    "fibula head": ("Knee", (0.045, -0.050, -0.020)),
    "malleolus lateral": ("Ankle", (0.037, -0.005, -0.005)),
    "malleolus medial": ("Ankle", (-0.035, 0.005, 0.005)),
    "heel": ("Ankle", (0.0, -0.035, -0.065)),
    "toe": ("Toe", (-0.010, 0.015, 0.030)),
    "fifth metatarsal": ("Toe", (0.045, 0.0, -0.025)),
    "big toe": ("Toe", (-0.025, 0.005, 0.070)),
    "small toe": ("Toe", (0.045, 0.0, 0.020)),
    "acromion": ("Shoulder", (0.0, 0.050, 0.005)),
    "shoulder front": ("Shoulder", (0.010, 0.010, 0.050)),
    "shoulder back": ("Shoulder", (0.010, 0.010, -0.050)),
    "c7": ("Neck", (0.0, 0.010, -0.060)),
    "clavicle": ("Neck", (0.0, -0.060, 0.075)),
    "clavicle side": ("Neck", (0.025, -0.055, 0.075)),
    "sternum": ("Neck", (0.0, -0.130, 0.110)),
    "sternum side": ("Neck", (0.025, -0.080, 0.090)),
    "mid back": ("Neck", (0.0, -0.120, -0.095)),
    "elbow lateral": ("Elbow", (0.0, 0.035, 0.0)),
    "elbow medial": ("Elbow", (0.0, -0.035, 0.0)),
    "wrist": ("Wrist", (0.0, 0.020, 0.0)),
    "wrist radius": ("Wrist", (0.0, 0.0, 0.030)),
    "wrist ulna": ("Wrist", (0.0, 0.0, -0.030)),
    "head": ("Head", (0.0, 0.16, 0.02)),
    "nose": ("Head", (0.0, 0.06, 0.13)),
    "neck": ("Neck", (0.0, 0.0, 0.0)),
    "cheek": ("Head", (0.065, 0.04, 0.06)),
}
#: Spellings (side, separators and "_study" removed) of each landmark in the marker sets that ``marker_bodies`` knows.
_SPELLINGS = {
    "asis": "asis asi", "mid asis": "midasis", "psis": "psis psi", "sacrum": "s2 sacr sacrum midpsis",
    "knee lateral": "knee kne lknee latcon lfc lfcv", "knee medial": "mknee medcon mfc mfcv", "fibula head": "fh",
    "malleolus lateral": "ankle ank lankle latmal lmal lmalv", "malleolus medial": "mankle medmal mmal mmalv",
    "heel": "calc cal heel hee", "toe": "toe mt1 1meta meta1 toe1", "fifth metatarsal": "5meta mt5 meta5",
    "big toe": "bigtoe", "small toe": "smalltoe toe5", "acromion": "shoulder should sho acr",
    "shoulder front": "ash ashv", "shoulder back": "psh pshv", "c7": "c7", "clavicle": "clav midclavicle",
    "clavicle side": "clavicle", "sternum": "strn", "sternum side": "sternum", "mid back": "t8 t10 maxkif",
    "elbow lateral": "elbow elb lel elbowlat lelbow", "elbow medial": "mel elbowmed melbow", "wrist": "wrist",
    "wrist radius": "wristradius faradius wra lwrist", "wrist ulna": "wristulna faulna wrb mwrist", "head": "head",
    "nose": "nose", "neck": "neck", "cheek": "cheec cheek",
}  # fmt: skip
_BY_SPELLING = {word: landmark for landmark, words in _SPELLINGS.items() for word in words.split()}
#: What a name without a side means: one marker in the middle of a pair.
_MIDDLE = {"psis": "sacrum", "asis": "mid asis"}

#: Key point -> (body it moves with, joint it is near, offset from that joint, standard deviation of its place in m);
#: stature and axes as above. Limb joints are where detectors see them, in the middle of the limb; hips are near the
#: trochanters, 3 cm to the side of and above SMPL's hip joints, which lie low and close (distance of triangulated
#: BODY_25B hips 0.20 m, of hips and shoulders 0.50 m). The rest are own estimates from the surface of a mean head
#: (0.20 m deep, 0.15 m wide, eyes half way up), a shoe and a hand.
_KEYPOINTS: dict[str, tuple[str, str, tuple[float, float, float], float]] = {
    "Hip": ("Pelvis", "Hip", (0.032, 0.030, 0.0), 0.02),
    "Knee": ("Hip", "Knee", (0.0, 0.0, 0.0), 0.02),
    "Ankle": ("Knee", "Ankle", (0.0, 0.0, 0.005), 0.02),
    "Shoulder": ("Thorax", "Shoulder", (0.0, 0.0, 0.0), 0.02),
    "Elbow": ("Shoulder", "Elbow", (0.0, 0.0, 0.0), 0.02),
    "Wrist": ("Elbow", "Wrist", (0.0, 0.0, 0.0), 0.02),
    "BigToe": ("Toe", "Toe", (-0.025, -0.005, 0.065), 0.02),
    "SmallToe": ("Toe", "Toe", (0.045, -0.010, 0.030), 0.02),
    "FootIndex": ("Toe", "Toe", (0.0, -0.005, 0.060), 0.02),
    "Heel": ("Ankle", "Ankle", (0.0, -0.035, -0.055), 0.02),
    "MidHip": ("Pelvis", "Pelvis", (0.0, -0.061, -0.006), 0.02),
    "MidShoulder": ("Chest", "Neck", (0.0, -0.060, 0.0), 0.02),
    "UpperNeck": ("Neck", "Neck", (0.0, 0.030, 0.020), 0.03),
    "HeadTop": ("Head", "Head", (0.0, 0.185, 0.0), 0.03),
    "Nose": ("Head", "Head", (0.0, 0.055, 0.120), 0.02),
    "Eye": ("Head", "Head", (0.032, 0.090, 0.095), 0.02),
    "EyeInner": ("Head", "Head", (0.018, 0.090, 0.098), 0.02),
    "EyeOuter": ("Head", "Head", (0.046, 0.090, 0.085), 0.02),
    "Ear": ("Head", "Head", (0.075, 0.070, 0.010), 0.02),
    "Mouth": ("Head", "Head", (0.025, 0.015, 0.100), 0.02),
    "Index": ("Wrist", "Hand", (0.010, 0.0, 0.030), 0.03),
    "Pinky": ("Wrist", "Hand", (-0.005, 0.0, -0.030), 0.03),
    "Thumb": ("Wrist", "Hand", (-0.040, -0.010, 0.045), 0.03),
}

#: Standard deviations (m) of the place of a landmark, a joint centre and a marker of unknown place.
_LANDMARK_PRIOR, _CENTRE_PRIOR, _CLUSTER_PRIOR = 0.025, 0.02, 1.0


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a marker sits on the body as far as its name tells."""

    name: str
    column: int  # index into the file's points
    body: str
    joint: str  # joint it is near; "" for an unknown place on the body
    landmark: str  # key of the landmark table, "centre" of a joint, or ""
    point: np.ndarray  # (3,) m, body frame
    prior: float  # m, standard deviation


class MarkerSet:
    """The usable points of a file, as a list of places and as arrays."""

    def __init__(self, places: list[Place]) -> None:
        self.places = places
        self.names = [place.name for place in places]
        self.column = np.array([place.column for place in places], int)  # (K,)
        self.body = np.array([INDEX[place.body] for place in places], int)  # (K,)
        self.point = np.array([place.point for place in places]).reshape(-1, 3)  # (K, 3) m
        self.prior = np.array([place.prior for place in places])  # (K,) m

    def near(self, joint: str) -> list[int]:
        """Indices of the markers that are near a joint."""
        return [k for k, place in enumerate(self.places) if place.joint == joint]


def marker_set(names: tuple[str, ...], chain: Chain) -> MarkerSet:
    """Bodies and nominal places of a file's markers; unknown ones are left out."""
    centres = {names[i]: joint for joint, i in smpl_joint_map(names).items()}
    bodies = marker_bodies(names)
    return MarkerSet(
        [_place(name, k, bodies[name], centres.get(name), chain) for k, name in enumerate(names) if name in bodies]
    )


def keypoint_set(names: tuple[str, ...], chain: Chain) -> MarkerSet:
    """Bodies and nominal places of a pose estimator's points; unknown ones (fingers, outline of the face) are left out.

    Args:
      names: in any of the spellings of ``canonical_name``.
    """
    found = []
    for column, name in enumerate(names):
        name = canonical_name(name)
        side = name[0] if name[0] in "LR" and name[1:] in _KEYPOINTS else ""
        if name[len(side) :] not in _KEYPOINTS:
            continue
        body, joint, offset, prior = _KEYPOINTS[name[len(side) :]]
        body, joint = (f"{side}_{x}" if f"{side}_{x}" in INDEX else x for x in (body, joint))
        mirror = np.array([-1.0, 1.0, 1.0]) if side == "R" else np.ones(3)
        point = _from_body(body, joint, chain) + mirror * offset * (chain.stature / _STATURE)
        found.append(Place(name, column, body, joint, name[len(side) :], point, prior))
    return MarkerSet(found)


def _place(name: str, column: int, body: str, centre: str | None, chain: Chain) -> Place:
    if centre is not None:
        return Place(name, column, body, centre, "centre", _from_body(body, centre, chain), _CENTRE_PRIOR)
    side, landmark = _landmark(plain_name(name), body)
    if landmark is None:
        middle = 0.5 * _from_body(body, _child(body), chain)
        return Place(name, column, body, "", "", middle, _CLUSTER_PRIOR)
    joint, offset = _LANDMARKS[landmark]
    joint = side + joint if side + joint in INDEX else joint
    mirror = np.array([-1.0, 1.0, 1.0]) if side == "R_" else np.ones(3)
    point = _from_body(body, joint, chain) + mirror * offset * (chain.stature / _STATURE)
    return Place(name, column, body, joint, landmark, point, _LANDMARK_PRIOR)


def _from_body(body: str, joint: str, chain: Chain) -> np.ndarray:
    return chain.rest[INDEX[joint]] - chain.rest[INDEX[body]]


def _landmark(plain: str, body: str) -> tuple[str, str | None]:
    side, word = marker_word(plain)
    landmark = _BY_SPELLING.get(word)
    if side or landmark is None:
        return f"{side}_", landmark
    return "", None if body.startswith(("L_", "R_")) else _MIDDLE.get(landmark, landmark)


def _child(body: str) -> str:
    """The next joint along a limb, for the rough place of a marker on it."""
    order = ("Hip", "Knee", "Ankle", "Toe"), ("Shoulder", "Elbow", "Wrist", "Hand")
    for chain in order:
        for a, b in itertools.pairwise(chain):
            if body[2:] == a:
                return body[:2] + b
    return body
