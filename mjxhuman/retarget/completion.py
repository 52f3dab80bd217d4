"""Marker sets without some of the joints: what stands in for them, as further points of the motion.

Knees without condyles come from how thigh and shank move about each other (``centres.functional_centre``), ankles
without malleoli from the other landmarks of the foot. A set without a trunk (treadmill running is often published so)
gets one that stands on the pelvis: forces and balance then hold for a body that does not bend, and the notes say so.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mjxhuman.math import quaternion
from mjxhuman.retarget import stature
from mjxhuman.retarget.alignment import Joints
from mjxhuman.retarget.centres import functional_centre
from mjxhuman.retarget.chain import INDEX, Chain
from mjxhuman.retarget.landmarks import MarkerSet, marker_set
from mjxhuman.retarget.markers import seen_joints
from mjxhuman.types import PointMotion

#: Thigh's share of the line from hip to ankle in a straight leg (Drillis & Contini 1966: 0.245 and 0.246 of stature).
_THIGH = 0.5
#: Share of the frames with the straightest legs in which the knee is guessed on that line.
_STRAIGHT = 0.1
#: Upper arm's share of an arm from shoulder to wrist (de Leva 1996).
_UPPER_ARM = 0.51
_WORDS = {"Knee": "KJC", "Ankle": "AJC", "Shoulder": "SJC", "Elbow": "EJC", "Wrist": "WJC"}


def completed(motion: PointMotion, chain: Chain) -> tuple[PointMotion, tuple[str, ...]]:
    """The motion with a point for each joint that only its neighbours tell, and what was done, in sentences.

    Args:
      motion: markers, z up, metres. chain: the default body.
    """
    markers = marker_set(motion.names, chain)
    joints = seen_joints(motion, markers, chain)
    if not {"L_Hip", "R_Hip"} <= joints.keys():
        return motion, ()
    pos, valid = np.asarray(motion.pos, np.float64), np.asarray(motion.valid, bool)
    found: Joints = {}
    notes = []
    for side in "LR":
        ankle, knee = f"{side}_Ankle", f"{side}_Knee"
        if ankle not in joints and (place := _on_foot(ankle, markers, pos, valid, chain)) is not None:
            found[ankle] = joints[ankle] = place
            notes.append(f"{ankle}: from the other markers of the foot")
        if knee not in joints and ankle in joints:
            place = _between(side, markers, pos, valid, joints)
            if place is not None:
                found[knee] = joints[knee] = place
                notes.append(f"{knee}: functional centre of the markers of thigh and shank")
    if "L_Shoulder" not in joints and "R_Shoulder" not in joints and {"L_Ankle", "R_Ankle"} <= joints.keys():
        found |= _upright_trunk(joints, chain)
        notes.append("no marker of the trunk: it is taken to stand on the pelvis, the arms hang")
    if not found:
        return motion, ()
    names = tuple(f"{name[0]}{_WORDS[name[2:]]}" for name in found)
    more = np.stack(list(found.values()), 1)
    shown = np.ones(more.shape[:2], bool) & valid.any(-1)[:, None]
    motion = dataclasses.replace(
        motion, pos=np.concatenate([pos, more], 1), valid=np.concatenate([valid, shown], 1),
        names=(*motion.names, *names),
    )  # fmt: skip
    return motion, tuple(notes)


def _rows(markers: MarkerSet, body: str, valid: np.ndarray) -> list[int]:
    """The markers of a body that are seen in most frames."""
    return [k for k, place in enumerate(markers.places) if place.body == body and valid[:, place.column].mean() > 0.5]


def _on_foot(
    ankle: str, markers: MarkerSet, pos: np.ndarray, valid: np.ndarray, chain: Chain
) -> np.ndarray | None:  # fmt: skip
    """The ankle from three landmarks of the foot or more, by the rigid fit of their nominal places."""
    rows = [k for k in _rows(markers, ankle, valid) if markers.places[k].joint]
    if len(rows) < 3:
        return None
    nominal, seen = markers.point[rows], pos[:, markers.column[rows]]
    turn = quaternion.kabsch(nominal - nominal.mean(0), seen - seen.mean(1, keepdims=True), np.ones(len(rows)))
    return seen.mean(1) - quaternion.rotate(turn, nominal.mean(0))


def _between(
    side: str, markers: MarkerSet, pos: np.ndarray, valid: np.ndarray, joints: Joints
) -> np.ndarray | None:  # fmt: skip
    """The knee between the markers of thigh and shank."""
    columns = [markers.column[_rows(markers, f"{side}_{body}", valid)] for body in ("Hip", "Knee")]
    hip, ankle = joints[f"{side}_Hip"], joints[f"{side}_Ankle"]
    seen = valid[:, np.concatenate(columns)].all(1)
    reach = np.where(seen, np.linalg.norm(ankle - hip, axis=-1), 0.0)
    straight = seen & (reach >= np.quantile(reach[seen], 1.0 - _STRAIGHT)) if seen.any() else seen
    guess = hip + _THIGH * (ankle - hip)
    return functional_centre(pos[:, columns[0]], pos[:, columns[1]], seen, guess, straight)


def _upright_trunk(joints: Joints, chain: Chain) -> Joints:
    """Shoulders over the pelvis and hanging arms, as long as the legs let expect."""
    left = joints["L_Hip"] - joints["R_Hip"]
    legs = stature.leg_length(joints)
    up = np.broadcast_to([0.0, 0.0, 1.0], left.shape)
    lateral = quaternion.unit(left * np.array([1.0, 1.0, 0.0]))
    ahead = np.cross(lateral, up)
    middle = 0.5 * (joints["L_Hip"] + joints["R_Hip"])
    low, high = (0.5 * (chain.rest[INDEX[f"L_{x}"]] + chain.rest[INDEX[f"R_{x}"]]) for x in ("Hip", "Shoulder"))
    size = legs * stature.SHARES["trunk"][0] / stature.SHARES["legs"][0] / np.linalg.norm(high - low)
    arm = legs * stature.SHARES["arms"][0] / stature.SHARES["legs"][0]
    place = {}
    for side in "LR":
        x, y, z = size * (chain.rest[INDEX[f"{side}_Shoulder"]] - low)
        shoulder = middle + x * lateral + y * up + z * ahead
        place[f"{side}_Shoulder"] = shoulder
        place[f"{side}_Elbow"], place[f"{side}_Wrist"] = shoulder - _UPPER_ARM * arm * up, shoulder - arm * up
    return place
