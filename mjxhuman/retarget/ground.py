"""Where the floor of a clip is: the loader's declared step that puts it at z = 0.

Policies:

``none``    the file's own floor.
``lowest``  the lowest contact point of the clip is at 0: nothing is ever under the floor, one bad frame lifts all.
``stance``  the height that most stance frames agree on is at 0 (the default): the middle of the shortest half of the
            heights of the lowest sole point. Stance: that point moves slower than 0.3 m/s and lies within 0.1 m of the
            lowest decile of such points. A clip whose feet carry it in less than half of the slow frames (crawl, roll,
            lying) uses the lowest point of the whole body instead. A floor that slopes by up to 3 degrees along a path
            of a metre or more is levelled first: laboratory floors are level, capture volumes are often not.
``plane``   a plane of any slope up to 15 degrees is fitted to the sole points of the stance frames and turned and
            shifted to z = 0; for sources whose vertical is not quite vertical.

Heights are those of the contact points of the humanoid (the real sole), not of joints. They count from the level floor,
or vertically from a surface (``scenes.surface``) where one is given: the clip is then moved up or down only, and there
is no "plane".
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import quaternion
from mjxhuman.options import GROUNDS
from mjxhuman.physics.contact_points import REACH
from mjxhuman.scenes import Surface
from mjxhuman.scenes.surface import FALL, height_below
from mjxhuman.types import Motion

POLICIES = GROUNDS
#: A point slower than this stands (m/s); feet in stance creep a little in any capture.
STANCE_SPEED = 0.3
_BAND = 0.10  # m above the lowest decile of slow points
_LEAST = 3  # frames
_HEADROOM = 2.0  # m over the clip from which a surface is looked for: files may have it that much too low
_FEET_BAND = 0.05  # m: feet this near the body's lowest point carry it
_FEET_SHARE = 0.5  # of the slow frames that the feet must carry, else the whole body decides
_TILT_LIMIT = np.deg2rad(15.0)
#: When a slope counts: stance frames, spread of their points (m), tilt (rad), share of the median misfit left.
_SLOPE_FRAMES, _SLOPE_SPREAD, _SLOPE_TILT, _SLOPE_GAIN = 20, 1.0, np.deg2rad([0.3, 3.0]), 0.6


@dataclasses.dataclass(frozen=True)
class Ground:
    """A rigid move of the world: rotate by ``quat`` about the origin, then shift z by ``offset`` (m)."""

    policy: str
    offset: float
    quat: np.ndarray  # (4,)
    sentence: str
    stance: np.ndarray  # (T,) bool, frames that the policy used or would use


def contact_heights(humanoid: Humanoid, body_pos: np.ndarray, body_quat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest points of the contact spheres ``(T, P, 3)`` m, and which of the P belong to the feet.

    Args:
      body_pos: ``(T, B, 3)`` m. body_quat: ``(T, B, 4)``; B MuJoCo bodies, the world included.
    """
    contacts = humanoid.contacts
    if contacts is None:
        raise ValueError(f"humanoid {humanoid.name!r} has no contact points: only ground='none' is possible")
    body = contacts.body_id
    points = body_pos[:, body] + quaternion.rotate(body_quat[:, body], contacts.offset)
    points[..., 2] -= contacts.radius
    return points, contacts.is_foot


def on_floor(motion: Motion) -> tuple[Motion, float]:
    """A motion moved to the height at which it stands on z = 0 (policy ``stance``), and by how much it was moved, m.

    One that stands within the reach of contact is left where it is. Frames that are not valid have no say.

    Raises:
      ValueError: no valid frame, or a body without contact points.
    """
    valid = np.asarray(motion.valid, bool)
    if not valid.any():
        raise ValueError("motion: expected valid frames to tell its height from, found none")
    poses = (np.asarray(x, np.float64)[valid] for x in (motion.body_pos, motion.body_quat))
    points, is_foot = contact_heights(motion.humanoid, *poses)
    offset = find_ground(points, is_foot, motion.fps, "stance", np.array([1.0, 0.0, 0.0, 0.0])).offset
    if abs(offset) <= REACH:
        return motion, 0.0
    qpos, body_pos = np.array(motion.qpos), np.array(motion.body_pos)
    qpos[..., 2] += offset
    body_pos[..., 1:, 2] += offset
    return dataclasses.replace(motion, qpos=qpos, body_pos=body_pos), offset


def find_ground(
    points: np.ndarray,
    is_foot: np.ndarray,
    fps: float,
    policy: str,
    level: np.ndarray | None = None,
    surface: Surface | None = None,
) -> Ground:
    """The move that a policy asks for.

    Args:
      points: ``(T, P, 3)`` m, from ``contact_heights``. is_foot: ``(P,)``. fps: frames per second.
      level: (4,) the turn that levels the world, where others tell it: only a height is looked for.

      surface: what the motion happens on, where the file has it sideways; None is the level floor.

    Raises:
      ValueError: unknown policy, no plane can be fitted, or nothing of the surface lies below the clip.
    """
    if policy not in POLICIES:
        raise ValueError(f"ground: expected one of {', '.join(POLICIES)}, found {policy!r}")
    identity = np.array([1.0, 0.0, 0.0, 0.0]) if level is None else level
    points = points if level is None else quaternion.rotate(level, points)
    if surface is not None:
        if policy == "plane":
            raise ValueError("ground: expected none, lowest or stance on a surface, found 'plane'")
        points, level = heights_over(surface, points), identity
    stance, who = stance_frames(points, is_foot, fps)
    if policy == "none":
        return Ground(policy, 0.0, identity, "ground: as in the file", stance)
    if policy == "lowest":
        height = float(points[..., 2].min())
        return Ground(
            policy, -height, identity, f"ground: lowest contact point of the clip at 0, moved {-height:+.3f} m", stance
        )
    used = is_foot if who == "feet" else np.ones(len(is_foot), bool)
    if policy == "plane" and level is None:
        return _plane(points[:, used], stance, who)
    where = _lowest_points(points[:, used])[stance]
    quat, tilt = _small_slope(where) if level is None else (level, 0.0)
    height = shortest_half((where if level is not None else quaternion.rotate(quat, where))[:, 2])
    sloping = f"floor of the file slopes by {np.rad2deg(tilt):.1f} deg: levelled; " if tilt else ""
    sentence = (
        f"ground: {sloping}height of the lowest point of the {who} over {int(stance.sum())} stance frames (middle of "
        f"their shortest half) at 0, moved {-height:+.3f} m"
    )
    return Ground(policy, -height, quat, sentence, stance)


def heights_over(surface: Surface, points: np.ndarray) -> np.ndarray:
    """The points ``(T, P, 3)`` m with their heights over the surface, vertically; far above where there is none."""
    top = float(points[..., 2].max()) + _HEADROOM
    below = height_below(surface, points[..., :2], top)
    if not np.isfinite(below).any():
        raise ValueError(f"ground: nothing of the surface lies below the clip within {_HEADROOM + FALL:.0f} m of it")
    height = np.where(np.isfinite(below), points[..., 2] - below, FALL)
    return np.concatenate([points[..., :2], height[..., None]], -1)


def shortest_half(x: np.ndarray) -> float:
    """Middle of the shortest interval that holds half of the values: the centre with the least median distance.

    Rousseeuw's least median of squares in one dimension (1984): where most stance heights agree, whatever heel strikes,
    push-offs and frames in the air do on either side.
    """
    x = np.sort(x)
    half = len(x) // 2 + 1
    width = x[half - 1 :] - x[: len(x) - half + 1]
    best = np.flatnonzero(width <= width.min() + 1e-6)
    start = best[len(best) // 2]  # of several equally short ones the middle one
    return float(0.5 * (x[start] + x[start + half - 1]))


def stance_frames(points: np.ndarray, is_foot: np.ndarray, fps: float) -> tuple[np.ndarray, str]:
    """Frames ``(T,)`` in which the body stands on something at floor level, and on what: "feet" or "body".

    Without any slow frame (a clip that is all flight), the frames whose lowest point is in the lowest decile.
    """
    sole, lowest = points[:, is_foot, 2].min(1), points[..., 2].min(1)
    body_slow = _slow(points, fps)
    feet_slow = _slow(points[:, is_foot], fps) & (sole < lowest + _FEET_BAND)
    if feet_slow.sum() >= max(_LEAST, _FEET_SHARE * (feet_slow | body_slow).sum()):
        return _at_level(sole, feet_slow), "feet"
    if body_slow.sum() >= _LEAST:
        return _at_level(lowest, body_slow), "body"
    return lowest <= np.percentile(lowest, 10), "body"


def _slow(points: np.ndarray, fps: float) -> np.ndarray:
    """Frames ``(T,)`` in which the lowest of the points ``(T, P, 3)`` is slower than ``STANCE_SPEED``."""
    frames, last = np.arange(len(points)), len(points) - 1
    which = np.argmin(points[..., 2], axis=1)
    after, before = np.minimum(frames + 1, last), np.maximum(frames - 1, 0)
    step = np.linalg.norm(points[after, which] - points[before, which], axis=-1)
    return step * fps / np.maximum(after - before, 1) < STANCE_SPEED


def _at_level(height: np.ndarray, slow: np.ndarray) -> np.ndarray:
    return slow & (height < np.percentile(height[slow], 10) + _BAND)


def _lowest_points(points: np.ndarray) -> np.ndarray:
    """The lowest of the points ``(T, P, 3)`` in every frame, ``(T, 3)``."""
    return points[np.arange(len(points)), np.argmin(points[..., 2], axis=1)]


def _level(where: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Rotation (4,) that levels a plane through points ``(N, 3)`` which slopes along horizontal ``directions`` (D, 2)
    only, its tilt (rad), and the misfits (N,) m; two robust reweightings."""
    centre = where.mean(0)
    design = np.column_stack([(where[:, :2] - centre[:2]) @ directions.T, np.ones(len(where))])
    weight = np.ones(len(where))
    for _ in range(3):
        solution = np.linalg.lstsq(design * weight[:, None], where[:, 2] * weight, rcond=None)[0]
        misfit = where[:, 2] - design @ solution
        weight = 1.0 / np.sqrt(1.0 + (misfit / 0.02) ** 2)
    slope = solution[:-1] @ directions
    quat = quaternion.between(np.array([-slope[0], -slope[1], 1.0]), np.array([0.0, 0.0, 1.0]))
    return quat, float(quaternion.angle(quat)), misfit


def _small_slope(where: np.ndarray) -> tuple[np.ndarray, float]:
    """The levelling of a capture floor that is off by a degree or two; the identity where nothing clear shows it.

    Only along directions in which the stance points spread over a metre, only from 0.3 to 3 degrees, and only if it
    takes away at least 40 % of the points' median distance to their floor.
    """
    identity = np.array([1.0, 0.0, 0.0, 0.0])
    if len(where) < _SLOPE_FRAMES:
        return identity, 0.0
    flat = where[:, :2] - where[:, :2].mean(0)
    axes = np.linalg.svd(flat, full_matrices=False)[2]
    spread = np.subtract(*np.percentile(flat @ axes.T, [95, 5], axis=0))
    axes = axes[spread > _SLOPE_SPREAD]
    if not len(axes):
        return identity, 0.0
    quat, tilt, misfit = _level(where, axes)
    level = np.median(np.abs(where[:, 2] - shortest_half(where[:, 2])))
    better = np.median(np.abs(misfit - shortest_half(misfit))) < _SLOPE_GAIN * level
    return (quat, tilt) if better and _SLOPE_TILT[0] < tilt < _SLOPE_TILT[1] else (identity, 0.0)


def _plane(points: np.ndarray, stance: np.ndarray, who: str) -> Ground:
    where = _lowest_points(points)[stance]
    flat = where[:, :2] - where[:, :2].mean(0)
    spread = np.linalg.svd(flat, compute_uv=False) / np.sqrt(len(flat))
    if len(where) < _LEAST or spread[-1] < 0.02:
        raise ValueError(
            f"ground='plane': {len(where)} stance points that spread {spread[-1]:.3f} m across their line cannot "
            "carry a plane (at least 3 points, 0.02 m); use ground='stance'"
        )
    quat, tilt, _ = _level(where, np.eye(2))
    if tilt > _TILT_LIMIT:
        raise ValueError(
            f"ground='plane': the stance points lie on a plane tilted by {np.rad2deg(tilt):.0f} deg, expected a floor "
            f"within {np.rad2deg(_TILT_LIMIT):.0f} deg of level; check the up axis"
        )
    height = shortest_half(quaternion.rotate(quat, where)[:, 2])
    sentence = (
        f"ground: plane through the lowest points of the {who} in {len(where)} stance frames, turned "
        f"{np.rad2deg(tilt):.1f} deg and moved {-height:+.3f} m"
    )
    return Ground("plane", -height, quat, sentence, stance)


def move(ground: Ground, root: np.ndarray, root_quat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root positions ``(T, 3)`` and rotations ``(T, 4)`` in the moved world."""
    return quaternion.rotate(ground.quat, root) + np.array([0.0, 0.0, ground.offset]), quaternion.multiply(
        ground.quat, root_quat
    )
