"""Rotations of the SMPL bodies from another skeleton: by its rest pose where that stands, else by its joint positions.

A source rotates its bones relative to its own rest pose; SMPL relative to the T-pose. They agree up to one constant
rotation per body, ``global_smpl(t) = global_source(t) * constant``. If the source's rest pose is a standing person
(T-pose, A-pose, arms down), the constant is SMPL's own rotation in that pose: trunk and head upright, each limb swung
the shortest way onto the source's bone. Exports whose rest pose is no pose (every bone along its own axis) get the
constant from the clip: positions alone give a rotation for every body (bend planes give the twist of thighs and upper
arms; what positions cannot show, as pronation, is taken as neutral on average), and the constant is the mean
difference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mjxhuman.math import quaternion
from mjxhuman.retarget.chain import BODIES, INDEX, UPRIGHT, Chain

_X, _Y, _Z = np.eye(3)
#: Joints without which no pose can be told.
REQUIRED = ("L_Hip", "R_Hip", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle", "L_Shoulder", "R_Shoulder")
_BEND = np.deg2rad([10.0, 30.0])  # below the first the bend plane says nothing about a limb's twist, above all
#: Bodies whose rotation positions tell well, and how far (rad, median of the clip) a source's may be from that.
_CHECKED = ("Pelvis", "Chest", "L_Hip", "R_Hip", "L_Knee", "R_Knee")
_DISAGREE = np.deg2rad(40.0)

Joints = dict[str, np.ndarray]  # SMPL joint -> (T, 3) m


def own_names(names: Sequence[str]) -> str:
    """The end of a message about joints that are not known."""
    listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f" among {listed}; expected them, or the argument joints= (a JSON map of names)" if names else ""


def check_joints(joints: Joints, what: str, names: Sequence[str] = ()) -> None:
    """Raise a ValueError that names what is missing or mirrored.

    Args:
      joints: SMPL joint -> ``(T, 3)``. what: the source in words, for the message. names: its own names.
    """
    missing = [name for name in REQUIRED if name not in joints]
    if missing:
        raise ValueError(
            f"{what}: cannot be retargeted without the joints {', '.join(missing)}; found "
            f"{', '.join(joints) or 'no joint of a known name'}{own_names(names)}"
        )
    left = quaternion.unit(joints["L_Hip"] - joints["R_Hip"])
    signs = []
    for side in "LR":
        thigh = quaternion.unit(joints[f"{side}_Knee"] - joints[f"{side}_Hip"])
        shank = quaternion.unit(joints[f"{side}_Ankle"] - joints[f"{side}_Knee"])
        signs.append(np.sum(np.cross(thigh, shank) * left, -1))  # a knee bends about the left
        if f"{side}_Toe" in joints:
            foot = quaternion.unit(joints[f"{side}_Toe"] - joints[f"{side}_Ankle"])
            signs.append(-np.sum(np.cross(shank, foot) * left, -1))
    evidence = np.concatenate(signs)
    evidence = evidence[np.abs(evidence) > 0.5]
    if evidence.size and np.mean(evidence < 0) > 0.6:
        raise ValueError(
            f"{what}: mirrored body: toes and knees point backwards in {np.mean(evidence < 0):.0%} of the frames that "
            "show it, so left and right are swapped or one axis is flipped"
        )


def rotations_from_positions(joints: Joints, chain: Chain) -> np.ndarray:
    """Global rotations ``(T, 24, 4)`` of the SMPL bodies that best fit joint positions, in closed form."""
    rest = {name: chain.rest[INDEX[name]] for name in joints}
    hips = lambda j: j["L_Hip"] - j["R_Hip"]  # noqa: E731
    shoulders = lambda j: j["L_Shoulder"] - j["R_Shoulder"]  # noqa: E731
    frames = len(joints["L_Hip"])
    quat = np.tile(np.array([1.0, 0.0, 0.0, 0.0]), (frames, 24, 1))
    pelvis = _two_vectors(hips(rest), _trunk_up(rest), hips(joints), _trunk_up(joints))
    chest = _two_vectors(shoulders(rest), _trunk_up(rest), shoulders(joints), _trunk_up(joints))
    quat[:, INDEX["Pelvis"]], quat[:, INDEX["Chest"]] = pelvis, chest
    quat[:, INDEX["Torso"]] = quaternion.interpolate(pelvis, chest, 1 / 3)
    quat[:, INDEX["Spine"]] = quaternion.interpolate(pelvis, chest, 2 / 3)
    head = chest
    if "Head" in joints and "Neck" in joints:
        bone = rest["Head"] - rest["Neck"]
        head = quaternion.multiply(
            quaternion.between(quaternion.rotate(chest, bone), joints["Head"] - joints["Neck"]), chest
        )
    quat[:, INDEX["Neck"]], quat[:, INDEX["Head"]] = quaternion.interpolate(chest, head, 0.5), head
    for side in "LR":
        _limbs(quat, joints, rest, side)
    return quat


def _limbs(quat: np.ndarray, joints: Joints, rest: Joints, side: str) -> None:
    """Fill in one side's leg and arm; the trunk must be there."""
    hip, knee, ankle, toe = (f"{side}_{name}" for name in ("Hip", "Knee", "Ankle", "Toe"))
    quat[:, INDEX[hip]], quat[:, INDEX[knee]] = _limb(quat[:, 0], joints, rest, (hip, knee, ankle), _X, 1.0)
    foot = quat[:, INDEX[knee]]
    if toe in joints:
        bone = joints[toe] - joints[ankle]
        foot = _two_vectors(rest[toe] - rest[ankle], _X, bone, quaternion.rotate(foot, _X))
    quat[:, INDEX[ankle]] = quat[:, INDEX[toe]] = foot
    thorax, shoulder, elbow, wrist, hand = (f"{side}_{n}" for n in ("Thorax", "Shoulder", "Elbow", "Wrist", "Hand"))
    chest = quat[:, INDEX["Chest"]]
    quat[:, INDEX[thorax]] = chest
    upper = lower = chest
    if elbow in joints and wrist in joints:
        # an elbow bends about -y on the left, +y on the right
        sign = -1.0 if side == "L" else 1.0
        upper, lower = _limb(chest, joints, rest, (shoulder, elbow, wrist), _Y, sign)
    elif elbow in joints:
        bone = quaternion.rotate(chest, rest[elbow] - rest[shoulder])
        upper = lower = quaternion.multiply(quaternion.between(bone, joints[elbow] - joints[shoulder]), chest)
    quat[:, INDEX[shoulder]] = upper
    for name in (elbow, wrist, hand):
        quat[:, INDEX[name]] = lower


def _limb(
    parent: np.ndarray, joints: Joints, rest: Joints, names: tuple[str, str, str], hinge: np.ndarray, sign: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations of the two bones of a limb whose middle joint bends about ``sign * hinge`` (body axes)."""
    first, middle, last = names
    upper, lower = joints[middle] - joints[first], joints[last] - joints[middle]
    rest_upper, rest_lower = rest[middle] - rest[first], rest[last] - rest[middle]
    swing = quaternion.multiply(quaternion.between(quaternion.rotate(parent, rest_upper), upper), parent)
    normal = np.cross(quaternion.unit(upper), quaternion.unit(lower))
    bend = np.arctan2(np.linalg.norm(normal, axis=-1), np.sum(quaternion.unit(upper) * quaternion.unit(lower), -1))
    share = np.clip((bend - _BEND[0]) / (_BEND[1] - _BEND[0]), 0.0, 1.0)[:, None]
    axis = (1 - share) * quaternion.rotate(swing, hinge) + share * sign * quaternion.unit(normal)
    first_quat = _two_vectors(rest_upper, hinge, upper, axis)
    return first_quat, _two_vectors(rest_lower, hinge, lower, quaternion.rotate(first_quat, hinge))


def _two_vectors(d: np.ndarray, e: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Rotation that turns ``d`` to ``u`` and, about it, ``e`` as near as possible to ``v``."""
    return quaternion.multiply(quaternion.from_axes(u, v, 0, 1), quaternion.conjugate(quaternion.from_axes(d, e, 0, 1)))


def _trunk_up(joints: Joints) -> np.ndarray:
    """Direction from between the hips to between the shoulders."""
    low = 0.5 * (joints["L_Hip"] + joints["R_Hip"])
    return quaternion.unit(0.5 * (joints["L_Shoulder"] + joints["R_Shoulder"]) - low)


def standing_rest(rest: Joints) -> bool:
    """Whether a rest pose (SMPL joint -> ``(1, 3)``, z up) is a person who stands: legs down, trunk up, any arms."""
    down = [rest[f"{s}_{b}"] - rest[f"{s}_{a}"] for s in "LR" for a, b in (("Hip", "Knee"), ("Knee", "Ankle"))]
    legs = all(-quaternion.unit(bone)[0, 2] > 0.7 for bone in down)
    lateral = quaternion.unit(rest["L_Hip"] - rest["R_Hip"])[0]
    across = quaternion.unit(rest["L_Shoulder"] - rest["R_Shoulder"])[0]
    return bool(legs and _trunk_up(rest)[0, 2] > 0.7 and abs(lateral[2]) < 0.3 and lateral @ across > 0.7)


def align_to_rest(rest: Joints, chain: Chain) -> np.ndarray:
    """SMPL's global rotations ``(24, 4)`` in the source's standing rest pose."""
    left = np.mean([rest["L_Hip"] - rest["R_Hip"], rest["L_Shoulder"] - rest["R_Shoulder"]], axis=0)[0] * [1, 1, 0]
    upright = quaternion.multiply(quaternion.between(_Y, left), UPRIGHT)
    quat = np.tile(upright, (1, 24, 1))
    body = {name: chain.rest[INDEX[name]] for name in rest}
    for side in "LR":
        trunk = quat.copy()
        _limbs(quat, rest, body, side)
        # limbs that reach the rest pose by swing alone: a slightly bent rest elbow is no reason to twist the arm
        for proximal, middle, distal in (("Hip", "Knee", "Ankle"), ("Shoulder", "Elbow", "Wrist")):
            a, b, c = (f"{side}_{name}" for name in (proximal, middle, distal))
            previous = trunk[:, INDEX[a]]
            for start, end in ((a, b), (b, c)):
                if end in rest:
                    bone = quaternion.rotate(previous, body[end] - body[start])
                    previous = quaternion.multiply(quaternion.between(bone, rest[end] - rest[start]), previous)
                quat[:, INDEX[start]] = previous
        wrist = quat[:, INDEX[f"{side}_Elbow"]]
        quat[:, INDEX[f"{side}_Wrist"]] = quat[:, INDEX[f"{side}_Hand"]] = wrist
        foot = _rest_foot(quat[:, INDEX[f"{side}_Knee"]], rest, body, side, upright)
        quat[:, INDEX[f"{side}_Ankle"]] = quat[:, INDEX[f"{side}_Toe"]] = foot
    return quat[0]


def _rest_foot(shank: np.ndarray, rest: Joints, body: Joints, side: str, upright: np.ndarray) -> np.ndarray:
    """A foot stands flat on the floor in the rest pose, except that it rolls with a splayed leg (Acclaim skeletons)."""
    level = np.array([1.0, 1.0, 0.0])
    ankle, toe = f"{side}_Ankle", f"{side}_Toe"
    ahead, own = quaternion.rotate(upright, _Z)[None], _Z
    if toe in rest and np.linalg.norm((rest[toe] - rest[ankle]) * level) > 0.03:
        ahead, own = (rest[toe] - rest[ankle]) * level, (body[toe] - body[ankle]) * np.array([1.0, 0.0, 1.0])
    return _two_vectors(own, _X, ahead, quaternion.rotate(shank, _X))


def skeleton_rotations(turns: Joints, rest: Joints, joints: Joints, chain: Chain) -> tuple[np.ndarray, str]:
    """Global rotations ``(T, 24, 4)`` of the SMPL bodies, and in a sentence where they come from.

    The constants are taken from the rest pose, from the clip, or the rotations from positions alone, in this order: the
    first whose trunk, thighs and shanks agree with the joint positions. Files exist whose rotations do not refer to
    their rest pose, and some whose rotations and positions do not fit at all.

    Args:
      turns: SMPL body -> ``(T, 4)`` world rotation of the source's bone relative to its rest pose.
      rest: SMPL joint -> ``(1, 3)`` m, rest pose, z up.
      joints: SMPL joint -> ``(T, 3)`` m.
      chain: the body to align.
    """
    guess = rotations_from_positions(joints, chain)
    if standing_rest(rest):
        quat = _apply(turns, align_to_rest(rest, chain))
        if _agree(quat, guess):
            return quat, "bone rotations aligned in the file's rest pose"
    constant = np.tile(np.array([1.0, 0.0, 0.0, 0.0]), (24, 1))
    for name, q in turns.items():
        constant[INDEX[name]] = quaternion.mean(quaternion.multiply(quaternion.conjugate(q), guess[:, INDEX[name]]))
    quat = _apply(turns, constant)
    if _agree(quat, guess):
        return quat, "bone rotations aligned to the joint positions over the clip: the rest pose is not their reference"
    return guess, "bone rotations from the joint positions alone: the file's rotations do not fit its positions"


def _agree(quat: np.ndarray, guess: np.ndarray) -> bool:
    rows = [INDEX[name] for name in _CHECKED]
    turn = quaternion.angle(quaternion.multiply(quaternion.conjugate(guess[:, rows]), quat[:, rows]))
    return bool((np.median(turn, axis=0) < _DISAGREE).all())


def _apply(turns: Joints, constant: np.ndarray) -> np.ndarray:
    """Global rotations ``(T, 24, 4)`` of the SMPL bodies; those the source does not have follow their neighbours."""
    frames = len(next(iter(turns.values())))
    known = {name: quaternion.multiply(q, constant[INDEX[name]]) for name, q in turns.items()}
    result = np.empty((frames, 24, 4))
    trunk = ["Pelvis", "Torso", "Spine", "Chest"]
    last = "Chest" if "Chest" in known else next(name for name in ("Spine", "Torso", "Pelvis") if name in known)
    for body in BODIES + ("L_Hand", "R_Hand"):
        if body in known:
            q = known[body]
        elif body in trunk:
            q = _between_trunk(known, trunk, body, last)
        elif body == "Neck":
            chest = result[:, INDEX["Chest"]]
            q = quaternion.interpolate(chest, known["Head"], 0.5) if "Head" in known else chest
        else:
            parent = {"Head": "Neck", "Thorax": "Chest", "Wrist": "Elbow", "Hand": "Wrist", "Toe": "Ankle"}
            name = body.split("_")[-1]
            above = parent[name]
            side = body[:2] if "_" in body and above != "Chest" else ""
            q = result[:, INDEX[side + above]]
        result[:, INDEX[body]] = q
    return result


def _between_trunk(known: dict[str, np.ndarray], trunk: list[str], body: str, last: str) -> np.ndarray:
    """Trunk bodies between two known ones turn in equal shares; those above the last known one follow it."""
    place = trunk.index(body)
    below = max(i for i in range(place) if trunk[i] in known)
    above = [i for i in range(place + 1, len(trunk)) if trunk[i] in known]
    if not above:
        return known[last]
    share = (place - below) / (above[0] - below)
    return quaternion.interpolate(known[trunk[below]], known[trunk[above[0]]], share)
