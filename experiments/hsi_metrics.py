"""What the interaction benchmark measures of a case, and the table over cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from mjxhuman.alignment.skin import skin_of
from mjxhuman.interaction import Outcome
from mjxhuman.math import quaternion
from mjxhuman.math.statistics import bootstrap_interval, clustered_interval
from mjxhuman.tracking import metrics
from mjxhuman.types import Motion

from .hsi_cases import Posed, distances

Row = Mapping[str, Any]

DIFFICULTIES = ("easy", "medium", "hard")
#: m: what counts as inside, and as touching; farthest along a contact's direction that is looked at.
INSIDE, TOUCHING, THROUGH = 0.01, 0.02, 0.15
#: Of the true objects' largest extent: surfaces nearer than this agree (DSO, arXiv 2503.22677: 0.05 of a unit cube).
NEAR = 0.05
#: Means over cases in which they are known.
MEANS = (
    "depth_m", "directional_m", "contact_f1", "contact_distance_cm", "chamfer_cm", "f_score", "w_mpjpe_cm",
    "pa_mpjpe_cm", "displacement_m", "tilt_deg", "internal_load_bw",
)  # fmt: skip


def measured(true: Posed, given: Posed, outcome: Outcome) -> dict[str, Any]:
    """The numbers of one case."""
    near, wanted = (distances(p.scene, _skin(p.motion)[0]) for p in (given, true))
    touching, expected = (touched(x, p.motion) for x, p in ((near, given), (wanted, true)))
    apart, f_score = surfaces(given, true)
    row: dict[str, Any] = {
        "type": outcome.type, "types": list(outcome.types), "half": outcome.half, "double": outcome.double,
        "valid": outcome.valid, "reason": outcome.reason, "depth_m": max(0.0, -float(near.min())),
        "inside": float(np.mean(near.min(0) < 0)), "directional_m": directional(given, expected),
        "contact_f1": 2 * len(set(touching) & set(expected)) / max(1, len(touching) + len(expected)),
        "contact_distance_cm": 100 * float(np.mean([max(0.0, _least(near, given.motion, c)) for c in expected]))
        if expected else None, "chamfer_cm": 100 * apart, "f_score": f_score,
        **{name: outcome.numbers.get(name) for name in ("displacement_m", "tilt_deg", "internal_load_bw")},
    }  # fmt: skip
    if outcome.motion is not None:
        ids = true.motion.humanoid.tracked_ids
        last, want = (np.asarray(m.body_pos, float)[-1:, ids] for m in (outcome.motion, true.motion))
        row["w_mpjpe_cm"] = float(metrics.mpjpe(last, want).mean()) / 10
        row["pa_mpjpe_cm"] = float(metrics.pa_mpjpe(last, want).mean()) / 10
    return row


def _skin(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Points and normals of the last frame's skin (N, 3)."""
    return skin_of(motion.humanoid).posed(np.asarray(motion.body_pos)[-1], np.asarray(motion.body_quat)[-1])


def _least(distance: np.ndarray, motion: Motion, contact: tuple[int, int]) -> float:
    return float(distance[contact[1], skin_of(motion.humanoid).part == contact[0]].min())


def touched(distance: np.ndarray, motion: Motion) -> list[tuple[int, int]]:
    """Which parts of the body touch which objects."""
    pairs = [(part, o) for part in range(len(skin_of(motion.humanoid).names)) for o in range(len(distance))]
    return [pair for pair in pairs if _least(distance, motion, pair) < TOUCHING]


def directional(posed: Posed, contacts: Sequence[tuple[int, int]]) -> float:
    """Depth in m of the deepest point of any of these parts in its object, along the way in which the part bears.

    Depth to the nearest side is at most half a plate's thickness; this is how far back out it is.
    """
    skin = skin_of(posed.motion.humanoid)
    points, normals = _skin(posed.motion)
    deepest = 0.0
    for part, which in contacts:
        own = (skin.part == part) & skin.bearing
        side = normals[own].mean(0)
        side /= np.linalg.norm(side)
        thing, pose = posed.scene.objects[which], np.asarray(posed.scene.poses, np.float64)[which]
        planes = np.asarray(thing.parts.planes, np.float64)[np.asarray(thing.parts.mask, bool)]
        turn = quaternion.conjugate(pose[3:])
        at, way = quaternion.rotate(turn, points[own] - pose[:3]), quaternion.rotate(turn, -side)
        slope = planes[..., :3] @ way  # (K, F)
        room = planes[..., 3] - np.einsum("kfi,ni->nkf", planes[..., :3], at)
        inside = (room > 0).all(-1)  # (N, K)
        with np.errstate(divide="ignore", invalid="ignore"):
            out = np.where(slope > 1e-9, room / slope, np.inf).min(-1)
        deepest = max(deepest, float(np.where(inside, out, 0.0).max(initial=0.0)))
    return min(deepest, THROUGH)


def surfaces(given: Posed, true: Posed) -> tuple[float, float]:
    """Mean distance in m between the surfaces of the objects and of the true ones, both ways, and their F-score."""
    clouds = []
    for posed in (given, true):
        pairs = zip(posed.scene.objects, np.asarray(posed.scene.poses, np.float64), strict=True)
        clouds.append(np.concatenate([quaternion.rotate(p[3:], np.asarray(o.points, float)) + p[:3] for o, p in pairs]))
    ways = [cKDTree(a).query(b)[0] for a, b in (clouds, clouds[::-1])]
    near = NEAR * np.ptp(clouds[1], axis=0).max()
    shares = [float(np.mean(way < near)) for way in ways]
    return float(np.mean([way.mean() for way in ways])), 2 * shares[0] * shares[1] / max(sum(shares), 1e-9)


def table(rows: Sequence[Row], seed: int) -> dict[str, dict[str, Any]]:
    """A record of numbers for each method."""
    found: dict[str, dict[str, Any]] = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        deep = [row["depth_m"] > INSIDE for row in mine]
        found[method] = {
            "cases": len(mine), "stability_hsi": share(mine), "interval": interval(mine),
            "by_difficulty": {d: share([r for r in mine if r["difficulty"] == d]) for d in DIFFICULTIES},
            "intervals": {d: interval([r for r in mine if r["difficulty"] == d]) for d in DIFFICULTIES},
            "intact": share([r for r in mine if not r["damage"]]), "damaged": share([r for r in mine if r["damage"]]),
            "test_objects": share([r for r in mine if r["split"] == "test"]),
            "half": share(mine, "half"), "double": share(mine, "double"),
            "types": {str(kind): sum(r["type"] == kind for r in mine) for kind in range(5)},
            "unfit": sum(not r["valid"] for r in mine), "sp3d": float(np.mean(deep)),
            "sp3d_interval": clustered_interval(deep, [r["object"] for r in mine]),
            "sp3d_points": mean(r["inside"] for r in mine),
            "directional_max_m": max(r["directional_m"] for r in mine),
            **{name: mean(r.get(name) for r in mine) for name in MEANS},
            "over": {
                other: difference(rows, method, other, seed)
                for other in dict.fromkeys(row["method"] for row in rows)
                if other != method
            },
        }  # fmt: skip
    return found


def share(rows: Sequence[Row], column: str = "type") -> float | None:
    """Share of type 4; None of nothing."""
    return float(np.mean([row[column] == 4 for row in rows])) if rows else None


def interval(rows: Sequence[Row]) -> tuple[float, float]:
    """Of that share, 95 %, for other cases on other objects: cases on one object are alike."""
    return clustered_interval([row["type"] == 4 for row in rows], [row["object"] for row in rows])


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of those that are known; None of nothing."""
    known = [v for v in values if v is not None and np.isfinite(v)]
    return float(np.mean(known)) if known else None


def difference(rows: Sequence[Row], method: str, other: str, seed: int) -> list[float] | None:
    """Gain in stable cases over another method: itself, and the 95 % interval of a paired bootstrap over objects."""
    stable = {(r["method"], r["name"]): float(r["type"] == 4) for r in rows}
    objects = {r["name"]: r["object"] for r in rows}
    both = [name for m, name in stable if m == method and (other, name) in stable]
    if not both:
        return None
    gains = [stable[method, name] - stable[other, name] for name in both]
    return [float(np.mean(gains)), *bootstrap_interval(gains, [objects[name] for name in both], seed)]
