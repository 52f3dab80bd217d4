"""How tall the subject of a motion is, and how long the segments: the built-in body is scaled uniformly to it."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from mjxhuman.physics.motion import MIN_FRAMES
from mjxhuman.retarget.alignment import Joints
from mjxhuman.retarget.chain import INDEX, Chain

#: Share of the shank in the estimate from a skeleton; the rest is leg plus trunk.
_SHANK = 0.4
#: Hip-to-ankle length of capture skeletons relative to SMPL's at equal stature: SMPL's hip joints lie low. Mean of the
#: CMU, Xia, Bandai Namco and DeepMimic skeletons; 1.08 by the segment shares of Drillis & Contini (1966).
_LEG_BIAS = 1.05
#: A trunk this much shorter than the legs, relative to the body's, has lost a bone in an export or is a caricature's.
_SHORT_TRUNK = 0.8

#: Segment -> length between anatomical joint centres as a share of stature, mean of women and men, and the standard
#: deviation (relative) of an estimate of stature from it: people differ in proportion by about 3 %, and markers tell
#: hips and ankles better than mid shoulders (a girdle moves), elbows and wrists. Legs: Drillis & Contini (1966), hip
#: 0.530, ankle 0.039 of stature. Trunk (mid hips to mid shoulders) and arms (shoulder, elbow, wrist): de Leva (1996),
#: table 4, 0.4979 and 0.5155 m, 0.5394 and 0.5506 m of 1.735 and 1.741 m.
SHARES = {"legs": (0.491, 0.03), "trunk": (0.2915, 0.04), "arms": (0.3136, 0.05)}
#: Joint centres come from markers in the frames in which the subject stands tallest, this share of them: skin slides
#: least there. An arm is down within 45 degrees of hanging: one that is raised takes the shoulder with it.
_TALL, _DOWN = 0.2, 0.7
#: Standard deviation (relative) of a stature from a capture skeleton, whose joints are where its author put them.
_SKELETON_SPREAD = 0.05


@dataclasses.dataclass(frozen=True)
class Size:
    """A subject's size as the joints tell it."""

    stature: float  # m
    spread: float  # m, standard deviation
    lengths: dict[str, tuple[float, float]]  # segment -> length and its standard deviation, m

    def sentences(self) -> tuple[str, str]:
        """The estimate in words."""
        parts = ", ".join(f"{name} {x * 100:.1f} +- {s * 100:.1f}" for name, (x, s) in self.lengths.items())
        return (
            f"subject's stature estimated at {self.stature:.2f} m (standard deviation {self.spread:.2f} m)",
            f"segment lengths, mean of both sides, cm: {parts}",
        )


def size(joints: Joints, chain: Chain, *, anatomical: bool) -> Size:
    """Stature and segment lengths.

    Args:
      joints: SMPL joint -> ``(T, 3)`` m. chain: any body of usual proportions.
      anatomical: the joints are joint centres of a person, from markers; else those of a skeleton somebody made.

    Raises:
      ValueError: the legs have no length.
    """
    used = _tallest(joints) if anatomical else joints
    lengths = _lengths(used)
    if not all(np.isfinite(lengths[name][0]) and lengths[name][0] > 0 for name in ("thigh", "shank")):
        raise ValueError("stature: expected shanks of positive length, found none in the source's joints")
    if not anatomical:
        stature = _by_skeleton(joints, chain)
        return Size(stature, _SKELETON_SPREAD * stature, lengths)
    legs = lengths["thigh"][0] + lengths["shank"][0]
    arms = sum(lengths[name][0] for name in ("upper arm", "forearm") if name in lengths)
    seen = {"legs": legs, "trunk": lengths["trunk"][0]} | ({"arms": arms} if "forearm" in lengths else {})
    weight = {name: SHARES[name][1] ** -2 for name in seen}
    total = sum(weight.values())
    stature = float(np.exp(sum(weight[name] * np.log(x / SHARES[name][0]) for name, x in seen.items()) / total))
    return Size(stature, stature * total**-0.5, lengths)


def leg_length(joints: Joints) -> float:
    """Thigh and shank (m) of a subject's joint centres, mean of both sides."""
    lengths = _lengths(_tallest(joints), ("thigh", "shank"))
    return lengths["thigh"][0] + lengths["shank"][0]


def _tallest(joints: Joints) -> Joints:
    """Of the frames with both arms down, if there are any, those in which the legs reach furthest from hip to ankle."""
    reach = sum(np.linalg.norm(joints[f"{s}_Hip"] - joints[f"{s}_Ankle"], axis=-1) for s in "LR")
    down = np.ones(len(reach), bool)
    for side in "LR":
        if f"{side}_Elbow" in joints:
            bone = joints[f"{side}_Elbow"] - joints[f"{side}_Shoulder"]
            down &= bone[:, 2] < -_DOWN * np.linalg.norm(bone, axis=-1)
    down |= down.sum() < MIN_FRAMES
    tall = down & (reach >= np.percentile(reach[down], 100.0 * (1.0 - _TALL)))
    return {name: x[tall] for name, x in joints.items()}


def _lengths(joints: Joints, only: tuple[str, ...] = ()) -> dict[str, tuple[float, float]]:
    """Median lengths of both sides, and the standard deviation of their mean: half the difference of the sides, and
    how much each varies over the frames."""
    paths = {"thigh": ("Hip", "Knee"), "shank": ("Knee", "Ankle"), "foot": ("Ankle", "Toe")}
    paths |= {"upper arm": ("Shoulder", "Elbow"), "forearm": ("Elbow", "Wrist")}
    found = {}
    for name, (a, b) in paths.items():
        if (not only or name in only) and all(f"{side}_{joint}" in joints for side in "LR" for joint in (a, b)):
            each = [np.linalg.norm(joints[f"{s}_{b}"] - joints[f"{s}_{a}"], axis=-1) for s in "LR"]
            middle = [float(np.median(x)) for x in each]
            varies = [float(1.4826 * np.median(np.abs(x - m))) for x, m in zip(each, middle, strict=True)]
            found[name] = (sum(middle) / 2, float(np.hypot(0.5 * (middle[0] - middle[1]), np.mean(varies))))
    if only:
        return found
    trunk = _trunk_lengths(joints)
    found["trunk"] = (float(np.median(trunk)), float(1.4826 * np.median(np.abs(trunk - np.median(trunk)))))
    return found


def segment_ratios(joints: Joints, chain: Chain) -> dict[str, float]:
    """Lengths of segments relative to the chain's: "thigh", "shank", "legs" (both), "trunk" (hips to shoulders) and,
    where the joints are there, "arms" (shoulder-elbow-wrist).

    Args:
      joints: SMPL joint -> ``(T, 3)`` m; medians over the frames, means over the sides.
    """
    rest = {name: chain.rest[INDEX[name]][None] for name in joints}
    names = {"thigh": ("Hip", "Knee"), "shank": ("Knee", "Ankle"), "legs": ("Hip", "Knee", "Ankle")}
    if all(f"{side}_{name}" in joints for side in "LR" for name in ("Shoulder", "Elbow", "Wrist")):
        names["arms"] = ("Shoulder", "Elbow", "Wrist")
    ratios = {key: _length(joints, path) / _length(rest, path) for key, path in names.items()}
    return ratios | {"trunk": float(np.median(_trunk_lengths(joints)) / np.median(_trunk_lengths(rest)))}


def _by_skeleton(joints: Joints, chain: Chain) -> float:
    """Stature (m): the chain's, times a weighted geometric mean of two ratios.

    The shank, whose ends every skeleton defines alike; and leg plus trunk, in which the height of the hip joint, on
    which they differ, cancels (legs alone, corrected, where the trunk is not usable).
    """
    ratios = segment_ratios(joints, chain)
    rest = {name: chain.rest[INDEX[name]][None] for name in joints}
    legs, trunk = _length(rest, ("Hip", "Knee", "Ankle")), float(_trunk_lengths(rest)[0])
    total = (ratios["legs"] * legs + ratios["trunk"] * trunk) / (legs + trunk)
    if ratios["trunk"] < _SHORT_TRUNK * ratios["legs"]:
        total = ratios["legs"] / _LEG_BIAS
    return float(chain.stature * ratios["shank"] ** _SHANK * total ** (1.0 - _SHANK))


def _length(joints: Joints, path: tuple[str, ...]) -> float:
    bones = [
        np.median(np.linalg.norm(joints[f"{side}_{b}"] - joints[f"{side}_{a}"], axis=-1))
        for side in "LR"
        for a, b in itertools.pairwise(path)
    ]
    return float(sum(bones)) / 2


def _trunk_lengths(joints: Joints) -> np.ndarray:
    """From between the hips to between the shoulders, ``(T,)`` m."""
    low, high = (joints[f"L_{name}"] + joints[f"R_{name}"] for name in ("Hip", "Shoulder"))
    return np.linalg.norm(high - low, axis=-1) / 2
