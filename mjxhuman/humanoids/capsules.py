"""Volumes for self-penetration: one capsule per body and the pairs that can meet in human motion."""

from __future__ import annotations

import itertools

import mujoco
import numpy as np

from mjxhuman.humanoids import geometry
from mjxhuman.humanoids.humanoid import SMPL_BODIES, Capsules
from mjxhuman.humanoids.record import mirrored


def _both_sides(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs and their mirror images, each unordered pair once."""
    both = pairs + [(mirrored(a), mirrored(b)) for a, b in pairs]
    return list(dict.fromkeys(tuple(sorted(pair, key=SMPL_BODIES.index)) for pair in both))  # type: ignore[misc]


def _candidates() -> list[tuple[str, str]]:
    arm = ("L_Elbow", "L_Wrist", "L_Hand")
    other_arm = ("R_Shoulder", "R_Elbow", "R_Wrist", "R_Hand")
    pairs = list(itertools.product(arm, ("Pelvis", "Torso", "Chest", "Head")))
    pairs += itertools.product(("L_Shoulder", *arm), other_arm)
    pairs.remove(("L_Shoulder", "R_Shoulder"))
    pairs += [("L_Shoulder", "Torso"), ("L_Hand", "L_Shoulder")]
    pairs += itertools.product(arm, ("L_Hip", "R_Hip"))
    pairs += itertools.product(("L_Wrist", "L_Hand"), ("L_Knee", "R_Knee"))
    pairs += [("L_Hip", "R_Hip"), ("L_Hip", "R_Knee"), ("L_Knee", "R_Knee"), ("L_Hip", "R_Ankle")]
    pairs += itertools.product(("L_Ankle", "L_Toe"), ("R_Ankle", "R_Toe"))
    pairs += [("L_Hip", "Chest"), ("L_Knee", "Chest"), ("L_Knee", "Torso"), ("L_Knee", "Head")]
    return _both_sides(pairs)


#: Pairs of bodies that are tested: arms against trunk, head, legs and each other, legs against each other, chest and
#: head. None is parent and child, grandparent and grandchild, or excluded from the model's own collisions.
PAIRS: tuple[tuple[str, str], ...] = tuple(_candidates())


def segment_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Least distance (m) between two segments given by their ends, (2, 3) each."""
    u, v, w = a[1] - a[0], b[1] - b[0], a[0] - b[0]
    uu, uv, vv, uw, vw = u @ u, u @ v, v @ v, u @ w, v @ w
    best = np.inf
    options = [(s, None) for s in (0.0, 1.0)] + [(None, t) for t in (0.0, 1.0)]
    if uu * vv - uv**2 > 1e-12 * uu * vv and uu * vv > 0:
        s, t = (uv * vw - vv * uw) / (uu * vv - uv**2), (uu * vw - uv * uw) / (uu * vv - uv**2)
        if 0 <= s <= 1 and 0 <= t <= 1:
            options.append((s, t))
    for s, t in options:
        if t is None:
            t = np.clip((uv * s + vw) / vv, 0, 1) if vv > 0 else 0.0
        elif s is None:
            s = np.clip((uv * t - uw) / uu, 0, 1) if uu > 0 else 0.0
        best = min(best, float(np.linalg.norm(w + s * u - t * v)))
    return best


def body_capsules(model: mujoco.MjModel, body_ids: dict[str, int], rest: np.ndarray) -> Capsules:
    """Capsules of an SMPL-named model, in SMPL's body order, with the overlaps its T-pose already has.

    Args:
        model: compiled model whose bodies' axes are parallel in the T-pose.
        body_ids: MuJoCo body id of each of the 24 names.
        rest: body origins of the T-pose in body axes, (B, 3) m.
    """
    volumes = [geometry.inner_capsule(model, geometry.collision_geom(model, body_ids[b])) for b in SMPL_BODIES]
    pairs = np.array([[SMPL_BODIES.index(a), SMPL_BODIES.index(b)] for a, b in PAIRS])
    overlap = []
    for i, j in pairs:
        a, b = (volumes[k].ends + rest[body_ids[SMPL_BODIES[k]]] for k in (i, j))
        overlap.append(max(0.0, volumes[i].radius + volumes[j].radius - segment_distance(a, b)))
    return Capsules(
        body_id=np.array([body_ids[b] for b in SMPL_BODIES]),
        ends=np.array([v.ends for v in volumes]),
        radius=np.array([v.radius for v in volumes]),
        pairs=pairs,
        rest_overlap=np.array(overlap),
    )
