"""Feet: where the soles are on a body, when they stand, and the height of the floor under them."""

from __future__ import annotations

import numpy as np

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import quaternion
from mjxhuman.math.timeseries import fall
from mjxhuman.retarget.ground import find_ground
from mjxhuman.scenes.surface import Surface, measure

#: Sole points touch when slower than the first (m/s) and nearer to the floor than the first (m), surely not beyond the
#: second.
_SLOW, _NEAR = (0.2, 0.5), (0.05, 0.12)
#: A foot that touches before and after so many s at places so near (m) touched all the while.
_GAP, _SAME_PLACE = 0.4, 0.1


def sole_points(humanoid: Humanoid) -> tuple[np.ndarray, np.ndarray]:
    """SMPL bodies (F,) and points (F, 3) m, in SMPL's frames, of the sole."""
    contacts = humanoid.contacts
    assert contacts is not None and humanoid.smpl_body_ids is not None
    rows = np.flatnonzero(contacts.is_foot)
    index = {int(body): k for k, body in enumerate(humanoid.smpl_body_ids)}
    point = quaternion.rotate(np.asarray(humanoid.smpl_frame, float), contacts.offset[rows])
    point[:, 1] -= contacts.radius[rows]
    return np.array([index[int(b)] for b in contacts.body_id[rows]]), point


def touching(soles: np.ndarray, floor: float, fps: float, surface: Surface | None = None) -> np.ndarray:
    """How surely (T, F), 0..1, each sole point ``(T, F, 3)`` m touches a surface lifted to some height (m)."""
    radius = max(1, round(0.05 * fps))
    index = np.arange(len(soles))
    after, before = np.minimum(index + radius, len(soles) - 1), np.maximum(index - radius, 0)
    speed = np.linalg.norm(soles[after] - soles[before], axis=-1) * fps / np.maximum(after - before, 1)[:, None]
    distance = measure(surface, soles - [0.0, 0.0, floor]).distance
    return bridged(fall(speed, _SLOW) * fall(distance, _NEAR), soles, fps)


def bridged(touch: np.ndarray, soles: np.ndarray, fps: float) -> np.ndarray:
    """Touch ``(T, F)`` without short gaps: a point that is back where it was has not left, a detection had."""
    inside = np.zeros((len(touch) + 1, touch.shape[1]))
    for lag in range(2, min(int(_GAP * fps), len(touch) - 1) + 1):
        back = np.linalg.norm(soles[lag:] - soles[:-lag], axis=-1) < _SAME_PLACE
        gap = back & (touch[lag:] > 0.5) & (touch[:-lag] > 0.5)
        inside[: len(gap)] += gap
        inside[lag : lag + len(gap)] -= gap
    return np.where(inside.cumsum(0)[:-1] > 0, 1.0, touch)


def floor_height(soles: np.ndarray, fps: float) -> float:
    """Height (m) of the floor under sole points ``(T, F, 3)``, as the grounding policy "stance" finds it."""
    return -find_ground(soles, np.ones(soles.shape[1], bool), fps, "stance").offset
