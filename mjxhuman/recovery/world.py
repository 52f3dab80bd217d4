"""What people of one film share: which way is up, the floor they stand on, the camera that sees them.

One camera that stands still cannot tell a person's size from the distance, so each is fitted at the usual stature
first, and stands on a floor of his own: higher or lower than it is, by as much as he is smaller or taller. Who shares
a floor is put on one: people whose floors come together at statures that people have. Their distances from the camera
are then as consistent as the floor is flat; the size of the whole scene still rests on the usual stature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mjxhuman.math import quaternion
from mjxhuman.recovery.equations import FLOOR
from mjxhuman.recovery.feet import floor_height
from mjxhuman.recovery.fitting import STATURE_SPREAD, Draft, Fit, grown, revise, turned, untangled
from mjxhuman.recovery.judgement import judge
from mjxhuman.recovery.vertical import Carried, find_vertical
from mjxhuman.retarget.ground import Ground
from mjxhuman.retarget.motion import Placed, find_grounds

#: Standard deviation of the height (m) of the floor that one person is found to stand on, of a vertical (rad) that was
#: found and of one that was given, and standard deviations at which a person loses the say about the others' floor.
_FLOOR_ERROR, _FOUND_TILT, _GIVEN_TILT, _KERNEL = 0.05, 0.03, 0.005, 3.0
#: Statures (m) that people have, from a child of two to the tallest.
_STATURES = (0.85, 2.1)
_LOWEST_CAMERA = 0.2  # m over the floor: from lower, the floor says nothing about sizes
_SAME_FLOOR = 0.3  # m between floors whose heights are known for sure, within which they are one
_UP = np.array([0.0, 0.0, 1.0])


class Footing(NamedTuple):
    """What a person stands on."""

    floor: float  # m
    shared: bool = False  # whether others stand on it
    factor: float = 1.0  # by which the person is larger, and farther, than the fit has it


def revised(fits: Sequence[Fit], settle: str | None = None) -> list[Draft]:
    """The next drafts of people whose fits are known: sides, vertical, floor, then as ``revise``."""
    fits = _levelled([untangled(fit) for fit in fits])
    focal = _focal(fits)
    return [
        revise(
            grown(fit, foot.factor) if foot.shared else fit, foot.floor, known=foot.shared, focal=focal, settle=settle
        )
        for fit, foot in zip(fits, footings(fits), strict=True)
    ]


def _levelled(fits: list[Fit]) -> list[Fit]:
    """The world turned about its origin so that up is where balance and floor say, if nobody knows."""
    draft = fits[0].draft
    if "gravity" not in draft.estimate:
        return fits
    people = [Carried(f.centre_of_mass(), f.soles(), f.stature, f.seen.seen.any(1)) for f in _sure(fits)]
    up = find_vertical(people, draft.seen.fps, quaternion.rotate(draft.turn, _UP))
    turn = quaternion.between(up, _UP)
    return [turned(fit, turn) for fit in fits]


def _sure(fits: Sequence[Fit]) -> list[Fit]:
    """People of whom any frame is valid; all, if none is."""
    return [fit for fit in fits if judge(fit)[0].any()] if len(fits) > 1 and _weights(fits).any() else list(fits)


def _weights(fits: Sequence[Fit]) -> np.ndarray:
    """Valid frames of each."""
    return np.array([float(judge(fit)[0].sum()) for fit in fits])


def _focal(fits: Sequence[Fit]) -> float | None:
    """The factor on the focal length that people of one film agree on; None where it is given, or one person's own."""
    if len(fits) == 1 or "focal" not in fits[0].draft.estimate:
        return None
    weights = _weights(fits) + 1e-9
    return float(np.exp(np.average([np.log(fit.focal) for fit in fits], weights=weights)))


def footings(fits: Sequence[Fit]) -> list[Footing]:
    """What each of the people stands on, in a world that is level."""
    if fits[0].draft.floor is not None:
        return [Footing(float(fit.path.shared[FLOOR])) for fit in fits]
    own = np.array([floor_height(fit.soles(), fit.seen.fps) for fit in fits])
    alone = [Footing(float(height)) for height in own]
    view = fits[0].seen.view[:, 0]
    eye = float(-np.einsum("ti,ti->t", view[..., 2], view[..., 3]).mean())
    weights = _weights(fits)
    used = np.flatnonzero((weights > 0) & (eye - own > _LOWEST_CAMERA))
    draft = fits[0].draft
    if draft.size_told or "stature" not in draft.estimate:
        used = np.flatnonzero(weights > 0)
        middle = _weighted_median(own[used], weights[used]) if used.size else 0.0
        used = used[np.abs(own[used] - middle) < _SAME_FLOOR]
        if used.size < 2:
            return alone
        floor = float(np.average(own[used], weights=weights[used]))
        return [Footing(floor, True) if k in used else foot for k, foot in enumerate(alone)]
    if used.size < 2:
        return alone
    scales = np.array([fits[k].scale for k in used])
    usual = np.array([fits[k].draft.humanoid.stature for k in used])
    place = np.array([fits[k].path.root[judge(fits[k])[0], :2].mean(0) for k in used])
    apart = np.linalg.norm(place - np.average(place, axis=0, weights=weights[used]), axis=-1)
    errors = np.hypot(_FLOOR_ERROR, (_FOUND_TILT if "gravity" in draft.estimate else _GIVEN_TILT) * apart)
    height, factors, agrees = common_height(eye - own[used], errors, weights[used], usual, scales)
    if agrees.sum() < 2:
        return alone
    for k, factor, one in zip(used, factors, agrees, strict=True):
        if one:
            alone[k] = Footing(eye - height, True, float(factor))
    return alone


def _weighted_median(x: np.ndarray, weight: np.ndarray) -> float:
    order = np.argsort(x)
    share = np.cumsum(weight[order]) / weight.sum()
    return float(x[order][np.searchsorted(share, 0.5)])


def common_height(
    heights: np.ndarray, errors: np.ndarray, weights: np.ndarray, usual: np.ndarray, scales: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """The camera's height over a floor that people share.

    Each is seen at a stature from which the camera's height over the own floor follows in proportion. The height is
    found at which the statures are most likely: near the usual one, and those that are not at least statures that
    people have (a child among adults, rather than a giant among people).

    Args:
      heights: (N,) m, of the camera over each one's floor. errors: (N,) m, their standard deviations. weights: (N,).
      usual: (N,) m, statures before anything is known. scales: (N,) on them, at which the heights were found.

    Returns:
      The height in m, the factors (N,) on the scales, cautious where the floor is found less well than statures are
      known, and who (N,) bool can stand on that floor.
    """
    logs, error = np.log(heights / scales), errors / heights
    spread = np.hypot(STATURE_SPREAD, error)
    tried = np.linspace(logs.min(), logs.max(), 401)
    scale = tried[:, None] - logs
    square = (scale / spread) ** 2
    statures = usual * np.exp(scale)
    impossible = (statures < _STATURES[0]) | (statures > _STATURES[1])
    cost = np.where(impossible, _KERNEL**2, square / (1.0 + square / _KERNEL**2))
    best = int(np.argmin(cost @ weights))
    caution = STATURE_SPREAD**2 / (STATURE_SPREAD**2 + error**2)
    factors = np.exp(caution * (scale[best] - np.log(scales)))
    return float(np.exp(tried[best])), factors, ~impossible[best]


def grounded(people: Sequence[tuple[Fit, Placed, np.ndarray]], policy: str) -> list[tuple[Ground, Ground]]:
    """The moves that put each person's path, and the camera that sees it, on the floor.

    Who shares a floor shares the camera over it, and is let down or lifted by the centimetres that the own fit leaves;
    others are level with them, on a floor of their own.

    Args:
      people: fit, placed path and valid frames ``(T,)`` of each.
    """
    bodies = [(fit.draft.humanoid, placed, valid) for fit, placed, valid in people]
    fps = people[0][0].seen.fps
    if len(people) == 1:
        return [(found, found) for found in find_grounds(bodies, fps, policy)]
    shared = [fit.draft.shares_floor or fit.draft.floor is not None for fit, _, _ in people]
    together = [body for body, one in zip(bodies, shared, strict=True) if one]
    common = find_grounds(together, fps, policy)[0] if together else None
    level = np.array([1.0, 0.0, 0.0, 0.0]) if common is None else common.quat
    moves = []
    for body, one in zip(bodies, shared, strict=True):
        (own,) = find_grounds([body], fps, policy, level)
        moves.append((own, common if one and common is not None else own))
    return moves
