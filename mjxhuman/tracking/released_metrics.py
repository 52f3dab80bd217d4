"""The metrics of PhysHMR's release, by its definitions, to stand beside its tables (``physhmr``: ``visualize.py``).

They are not the field's: ``wa_mpjpe`` is an error after one rigid alignment of all frames and a shift of each window,
acceleration and velocity are the root's, the height's *variance* knows nothing of a constant error, and clips that are
lost are left out of every mean. ``tracking.metrics`` has the standard ones. NumPy in float64; the release measures on
SMPL's vertices and joints regressed from them, here on any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from mjxhuman.tracking import metrics

#: mm of ``pa_mpjpe`` beyond which a clip is left out.
DROPPED = 100.0
#: Share of the frames, those whose lowest point is lowest, over which its variance is taken.
LOWEST = 0.25


def released(pred: ArrayLike, target: ArrayLike, pred_feet: ArrayLike, feet: ArrayLike) -> dict[str, float]:
    """The metrics of one clip.

    Args:
        pred, target: joints ``(T, J, 3)`` m, the root first; z up. pred_feet, feet: points on the feet ``(T, F, 3)`` m,
            the lowest of which is the lowest of the body.

    Returns:
        ``pa_mpjpe_mm``, ``mpjpe_mm`` (root-relative), ``wa_mpjpe_mm``, ``foot_slide_mm`` (per frame; NaN where nothing
        stands), ``height_variance_mm2``, ``acceleration_mm`` and ``velocity_mm`` (per frame).
    """
    p, q, soles = (np.asarray(x, np.float64) for x in (pred, target, pred_feet))
    _, rotation, shift = metrics.procrustes(p.reshape(-1, 3), q.reshape(-1, 3), scale=False)
    p = p @ rotation.T + shift
    windows = np.arange(len(p)) // metrics.SEGMENT * metrics.SEGMENT
    moved = p + (q[windows, :1] - p[windows, :1])
    low = np.sort(soles[..., 2].min(1))[: max(1, round(LOWEST * len(soles)))]
    slid = metrics.foot_sliding(pred_feet, feet)
    found = {
        "pa_mpjpe_mm": metrics.pa_mpjpe(p, q).mean(), "mpjpe_mm": metrics.mpjpe(p, q, (0,)).mean(),
        "wa_mpjpe_mm": metrics.mpjpe(moved, q).mean(), "foot_slide_mm": slid.mean() if slid.size else np.nan,
        "height_variance_mm2": 1e6 * low.var(), "acceleration_mm": _root_error(p, q, 2),
        "velocity_mm": _root_error(p, q, 1),
    }  # fmt: skip
    return {name: float(value) for name, value in found.items()}


def _root_error(pred: np.ndarray, target: np.ndarray, order: int) -> float:
    off = np.diff(pred[:, 0], n=order, axis=0) - np.diff(target[:, 0], n=order, axis=0)
    return float(1000.0 * np.linalg.norm(off, axis=-1).mean())


def released_means(clips: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over the clips that are not dropped, and ``success_rate``, their share."""
    kept = [clip for clip in clips if clip["pa_mpjpe_mm"] <= DROPPED]
    values = {name: [clip[name] for clip in kept if np.isfinite(clip[name])] for name in (clips[0] if clips else ())}
    means = {name: float(np.mean(some)) if some else float("nan") for name, some in values.items()}
    return {"success_rate": len(kept) / max(len(clips), 1), **means}
