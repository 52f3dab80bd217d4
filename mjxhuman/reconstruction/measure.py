"""What is measured of a simulated motion against the estimate and the rays; NumPy, per frame."""

from __future__ import annotations

import numpy as np

from mjxhuman.math import quaternion
from mjxhuman.math.timeseries import runs
from mjxhuman.reconstruction.methods import LOST_SECONDS
from mjxhuman.reconstruction.sight import Sight, on_body, perpendiculars
from mjxhuman.rewards.tracking import FAILURE_DISTANCE
from mjxhuman.tracking import metrics
from mjxhuman.types import Motion


def bodies_of(motion: Motion) -> np.ndarray:
    """Places ``(T, J, 3)`` m of the tracked bodies."""
    return np.asarray(motion.body_pos, np.float64)[:, motion.humanoid.tracked_ids]


def distances(motion: Motion, estimate: Motion) -> np.ndarray:
    """Mean distance ``(T,)`` m of the judged bodies."""
    known = motion.humanoid.known
    return metrics.body_distances(bodies_of(motion), bodies_of(estimate), known.rows(known.evaluated))


def lost(motion: Motion, estimate: Motion) -> tuple[int, int] | None:
    """From when on a body is lost, and when that is certain, in frames; None: it is not.

    Lost is a body that for ``LOST_SECONDS`` is on average farther than 0.5 m from the estimate (PHC's criterion of
    failure), or whose head is lower than half its stature where the estimate's is not.
    """
    names = motion.humanoid.body_names
    off = distances(motion, estimate) > FAILURE_DISTANCE
    if "Head" in names:
        head = names.index("Head")
        low, there = (np.asarray(m.body_pos)[:, head, 2] < 0.5 * m.humanoid.stature for m in (motion, estimate))
        off |= low & ~there
    least = max(1, round(LOST_SECONDS * motion.fps))
    return next(((first, first + least) for first, stop in runs(off) if stop - first >= least), None)


def points_seen(sight: Sight, motion: Motion) -> np.ndarray:
    """The points that detectors see, on the body of a motion, ``(T, K, 3)`` m."""
    pos, quat = (np.moveaxis(np.asarray(x, np.float32)[:, 1:], 0, -1) for x in (motion.body_pos, motion.body_quat))
    return np.moveaxis(np.asarray(on_body(sight, pos, quat)), -1, 0)


def residuals(sight: Sight, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Distances ``(V, K, T)`` of points from their rays in m, and in pixels of the picture."""
    points = np.moveaxis(points_seen(sight, motion), 0, -1)
    off = np.linalg.norm(np.asarray(perpendiculars(sight, points)), axis=2)
    local, ahead = (
        np.einsum("vijt,vkjt->vkit", sight.axes, x) for x in (points[None] - sight.origin[:, None], sight.ray)
    )
    flat = [x[:, :, :2] / np.maximum(x[:, :, 2:], 0.05) for x in (local, ahead)]
    return off, np.linalg.norm(flat[0] - flat[1], axis=2) * sight.focal[:, None]


def reprojection(sight: Sight, motion: Motion) -> np.ndarray:
    """px ``(T,)``, median over the points seen in all views; NaN where none was."""
    pixels = np.where(sight.weight > 0, residuals(sight, motion)[1], np.nan).reshape(-1, motion.num_frames)
    found, some = np.full(motion.num_frames, np.nan), np.isfinite(pixels).any(0)
    found[some] = np.nanmedian(pixels[:, some], axis=0)
    return found


def soles(motion: Motion) -> np.ndarray:
    """Lowest points ``(T, P, 3)`` m of the spheres in which the body may touch the floor."""
    contacts = motion.humanoid.contacts
    assert contacts is not None, "bodies of SMPL's topology have them"
    pos, quat = (np.asarray(x, np.float64)[:, contacts.body_id] for x in (motion.body_pos, motion.body_quat))
    return pos + quaternion.rotate(quat, contacts.offset) - np.asarray(contacts.radius)[:, None] * [0.0, 0.0, 1.0]


def lowest(motion: Motion) -> np.ndarray:
    """Height ``(T,)`` m of the lowest of them over the floor."""
    return soles(motion)[..., 2].min(1)


def slide(motion: Motion, estimate: Motion, known: np.ndarray) -> np.ndarray:
    """mm per frame of the points of feet that stand in the estimate (WHAM's criterion), in known frames (T,); flat."""
    feet = np.asarray(motion.humanoid.contacts.is_foot, bool)
    moved, there = (soles(m)[:, feet] for m in (motion, estimate))
    return np.concatenate([np.zeros(0), *(metrics.foot_sliding(moved[a:b], there[a:b]) for a, b in runs(known))])


def jitter(motion: Motion, known: np.ndarray) -> np.ndarray:
    """10 m/s^3 of the tracked bodies in known frames (T,), flat."""
    pos = bodies_of(motion)
    parts = [metrics.jitter(pos[a:b], motion.fps).ravel() for a, b in runs(known) if b - a > 3]
    return np.concatenate([np.zeros(0), *parts])
