"""Feet, toes and hands: what a source tells badly or not at all and the floor tells well.

All functions work on global rotations ``(T, 24, 4)`` of the SMPL bodies, in place.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import minimum_filter1d

from mjxhuman.math import quaternion
from mjxhuman.math.timeseries import fall
from mjxhuman.retarget.chain import INDEX, Chain

#: A foot whose ankle and toe are this near their low level (m) and this slow (m/s) stands flat; how far (rad) a rest
#: pose's ankle angle may be off.
_FLAT_HEIGHT, _FLAT_SPEED, _FLAT_LIMIT = 0.02, 0.3, np.deg2rad(45.0)
_FLAT_FRAMES = 5
#: Heights (m) of the toe joint over its low level, and of the wrist over the floor: below the first the floor decides
#: how toes and hand lie, above the second the source.
_TOE_NEAR, _HAND_NEAR = (0.02, 0.08), (0.10, 0.25)
_HALF_STRIDE = 0.6  # s
#: Furthest extension (rad) of toes and wrist under load.
_TOE_LIMIT, _HAND_LIMIT = np.deg2rad(60.0), np.deg2rad(85.0)
#: A wrist that never turns by more than this (rad) has no rotation in the source.
_RIGID = np.deg2rad(2.0)


def floor_height(joints: dict[str, np.ndarray]) -> float:
    """Rough floor height (m): a low percentile of the lowest joint, less the height of a toe joint above its sole."""
    lowest = np.min([x[:, 2] for x in joints.values()], axis=0)
    return float(np.percentile(lowest, 10)) - 0.02


def flatten_feet(quat: np.ndarray, joints: dict[str, np.ndarray], fps: float) -> tuple[str, ...]:
    """Turn each foot by a constant so that its sole is level where it stands flat.

    The rest pose tells the ankle angle only as well as its author drew it. Frames count where ankle and toe are both
    near their own low level and slow (only low, if there are too few); the median sole normal there becomes vertical. A
    foot that never stands keeps its angle.
    """
    sentences = []
    for side in "LR":
        low, slow = np.ones((2, len(quat)), bool)
        for name in (f"{side}_Ankle", f"{side}_Toe"):
            if name in joints:
                pos = joints[name]
                speed = np.linalg.norm(np.gradient(pos, axis=0), axis=-1) * fps
                low &= pos[:, 2] < np.percentile(pos[:, 2], 10) + _FLAT_HEIGHT
                slow &= speed < _FLAT_SPEED
        foot = quat[:, INDEX[f"{side}_Ankle"]]
        least = max(_FLAT_FRAMES, 0.02 * len(quat))
        stands = low & slow if (low & slow).sum() >= least else low  # feet that skate never stand still
        if stands.sum() < least:
            sentences.append(f"{side} foot: never stands flat, ankle angle as the source has it")
            continue
        up_in_foot = quaternion.rotate(quaternion.conjugate(foot[stands]), np.array([0.0, 0.0, 1.0]))
        normal = quaternion.unit(np.median(up_in_foot, axis=0))
        turn = quaternion.between(np.array([0.0, 1.0, 0.0]), normal)
        angle = float(quaternion.angle(turn))
        if angle > _FLAT_LIMIT:
            sentences.append(f"{side} foot: {np.rad2deg(angle):.0f} deg off level where it stands, left as it is")
            continue
        for name in (f"{side}_Ankle", f"{side}_Toe"):
            quat[:, INDEX[name]] = quaternion.multiply(quat[:, INDEX[name]], turn)
        sentences.append(f"{side} foot: levelled by {np.rad2deg(angle):.0f} deg")
    return tuple(sentences)


def settle(quat: np.ndarray, joints: dict[str, np.ndarray], chain: Chain, fps: float) -> tuple[str, ...]:
    """Lay toes level on the floor while the heel rises, and hands on the palm where the wrist is down.

    A foot rolls off over its toe joint; sources whose toes do not turn, or turn at random, would drive them
    centimetres into the floor. Hands are touched only where the source's wrists never turn.

    Args:
      quat: feet already levelled. joints: SMPL joint -> ``(T, 3)`` m. chain: gives the toe joint where it is missing.
    """
    floor = floor_height(joints)
    notes = ["toes kept level near the floor"]
    for side in "LR":
        ankle, toe = INDEX[f"{side}_Ankle"], INDEX[f"{side}_Toe"]
        foot = quat[:, ankle]
        place = joints.get(f"{side}_Toe")
        if place is None:
            place = joints[f"{side}_Ankle"] + quaternion.rotate(foot, chain.offsets[toe])
        near = fall(place[:, 2] - _local_level(place[:, 2], fps), _TOE_NEAR)
        ahead, above = (
            quaternion.rotate(foot, axis)[:, 2] for axis in (np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0]))
        )
        # turning by -angle about x brings the toes' forward axis to the level
        extension = np.clip(np.arctan2(-ahead, above), 0.0, _TOE_LIMIT)
        level = quaternion.multiply(foot, quaternion.about(np.array([1.0, 0.0, 0.0]), -extension))
        quat[:, toe] = quaternion.interpolate(quat[:, toe], level, near[:, None])
    wrists = [_settle_hand(quat, joints, side, floor) for side in "LR"]
    if any(wrists):
        notes.append("wrists do not turn in the source: hands laid on the palm where the wrist is near the floor")
    return tuple(notes)


def _local_level(height: np.ndarray, fps: float) -> np.ndarray:
    """Low level ``(T,)`` of a foot's height: the lowest within half a stride, as capture floors may slope.

    At most 10 cm over the clip's low level, so that a long flight is no floor.
    """
    window = 2 * round(_HALF_STRIDE * fps) + 1
    lowest = minimum_filter1d(height, window, mode="nearest")
    return np.minimum(lowest, np.percentile(height, 10) + 0.10)


def _settle_hand(quat: np.ndarray, joints: dict[str, np.ndarray], side: str, floor: float) -> bool:
    elbow, wrist = INDEX[f"{side}_Elbow"], INDEX[f"{side}_Wrist"]
    local = quaternion.multiply(quaternion.conjugate(quat[:, elbow]), quat[:, wrist])
    turn = quaternion.angle(quaternion.multiply(quaternion.conjugate(quaternion.mean(local)), local))
    if f"{side}_Wrist" not in joints or turn.max() > _RIGID:
        return False
    near = fall(joints[f"{side}_Wrist"][:, 2] - floor, _HAND_NEAR)
    sign = 1.0 if side == "L" else -1.0
    forearm = quat[:, elbow]
    fingers = quaternion.rotate(forearm, np.array([sign, 0.0, 0.0]))[:, 2]
    back = quaternion.rotate(forearm, np.array([0.0, 1.0, 0.0]))[:, 2]
    extension = np.clip(np.arctan2(-fingers, back), 0.0, _HAND_LIMIT)
    level = quaternion.multiply(forearm, quaternion.about(np.array([0.0, 0.0, sign]), extension))
    for name in (wrist, INDEX[f"{side}_Hand"]):
        quat[:, name] = quaternion.interpolate(quat[:, name], level, near[:, None])
    return bool(near.any())
