"""Markers and key points: from them to joints and rotations, as if a skeleton had been recorded.

A marker is fixed to a body at an unknown constant offset, solved for together with the poses. Anatomical landmarks
(iliac spines, epicondyles, malleoli, heel, ...) start from their place on the default body, known to two or three
centimetres, joint centres from the joint; both are then refined from the clip. Markers of unknown place (clusters on
thigh and shank) take no part in the first solve and follow their body afterwards. The chain that is fitted has the
subject's own proportions of thigh, shank, trunk and arms, or it would fold its spine and bend its knees to reach the
markers; the result is then retargeted to the humanoid as any other skeleton is.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mjxhuman.math import quaternion
from mjxhuman.retarget import stature
from mjxhuman.retarget.alignment import Joints, check_joints, rotations_from_positions
from mjxhuman.retarget.calibrate import calibrate
from mjxhuman.retarget.centres import regression_hips
from mjxhuman.retarget.chain import BODIES, INDEX, Chain, chain_from_offsets, forward_clip, local_rotations
from mjxhuman.retarget.extremities import flatten_feet, settle
from mjxhuman.retarget.landmarks import MarkerSet, marker_set
from mjxhuman.retarget.optimize import Problem, solve
from mjxhuman.retarget.residuals import neutral_residual, ranges_residual
from mjxhuman.retarget.skeleton import POINTS, ChainMotion
from mjxhuman.types import PointMotion

#: Standard deviations (m) of a measured point about the body once its offset is known, elsewhere and on the feet.
_POINT_SIGMA, _FOOT_SIGMA = 0.010, 0.005
#: Standard deviation (rad) of a joint about the neutral pose, about its x, y, z axes: what no marker shows stays there.
#: The spine bends evenly, and stiffly enough not to fold where the subject's trunk is shorter than the body's; knees
#: bend about x and elbows about y.
_NEUTRAL = {
    "Pelvis": (30.0, 30.0, 30.0), "Hip": (3.0, 3.0, 3.0), "Knee": (3.0, 0.2, 0.1), "Ankle": (1.0, 0.5, 0.5),
    "Toe": (0.15, 0.15, 0.15), "Torso": (0.12, 0.12, 0.12), "Spine": (0.12, 0.12, 0.12), "Chest": (0.12, 0.12, 0.12),
    "Neck": (0.25, 0.25, 0.25), "Head": (0.25, 0.25, 0.25), "Thorax": (0.2, 0.2, 0.2), "Shoulder": (3.0, 3.0, 3.0),
    "Elbow": (1.0, 3.0, 0.15), "Wrist": (0.15, 0.15, 0.15),
}  # fmt: skip


def read_markers(motion: PointMotion, chain: Chain, what: str) -> tuple[Joints, MarkerSet]:
    """Approximate joint centres, for the body's size and the starting pose, and the marker set.

    Raises:
      ValueError: no joint centre or landmark for a joint without which no pose can be told, or a mirrored body.
    """
    markers = marker_set(motion.names, chain)
    joints = seen_joints(motion, markers, chain)
    if not joints:
        raise ValueError(
            f"{what}: none of the points is a marker of a known name; found {', '.join(motion.names[:12])}"
            f"{', ...' if len(motion.names) > 12 else ''}"
        )
    check_joints(joints, what)
    return joints, markers


def seen_joints(motion: PointMotion, markers: MarkerSet, chain: Chain) -> Joints:
    """The joints of which there is a centre or a landmark, ``(T, 3)`` m each."""
    pos = np.asarray(motion.pos, np.float64)[:, markers.column]
    valid = np.asarray(motion.valid, bool)[:, markers.column]
    pos = _fill(pos, valid)
    joints: Joints = {}
    pelvis = _pelvis_hips(markers, pos, valid, chain)
    for side in ("L_", "R_"):
        for joint in ("Hip", "Knee", "Ankle", "Toe", "Shoulder", "Elbow", "Wrist"):
            found = _joint_centre(side + joint, markers, pos, valid, chain, joints, pelvis)
            if found is not None:
                joints[side + joint] = found
    return joints


def _fill(pos: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Missing points by linear interpolation in time, for starting poses only."""
    out, frames = pos.copy(), np.arange(len(pos))
    for k in range(pos.shape[1]):
        seen = valid[:, k]
        if seen.any() and not seen.all():
            for axis in range(3):
                out[:, k, axis] = np.interp(frames, frames[seen], pos[seen, k, axis])
    return out


def _pelvis_hips(markers: MarkerSet, pos: np.ndarray, valid: np.ndarray, chain: Chain) -> dict[str, np.ndarray] | None:
    """Hip joints from the pelvis markers: by regression on its spines, else by a rigid fit of nominal places."""
    spines = {
        key: [k for k, place in enumerate(markers.places) if place.landmark in names and valid[:, k].any()]
        for key, names in {"asis": ("asis",), "psis": ("psis", "sacrum")}.items()
    }
    sides = {markers.names[k]: k for k in spines["asis"]}
    if len(sides) == 2 and spines["psis"]:
        left, right = sorted(sides.values(), key=lambda k: -markers.point[k, 0])
        return regression_hips((pos[:, left], pos[:, right]), pos[:, spines["psis"]].mean(1))
    rows = [
        k
        for k, place in enumerate(markers.places)
        if place.body == "Pelvis" and place.joint and place.landmark != "centre" and valid[:, k].any()
    ]
    if len(rows) < 3:
        return None
    nominal, seen = markers.point[rows], pos[:, rows]
    turn = quaternion.kabsch(nominal - nominal.mean(0), seen - seen.mean(1, keepdims=True), np.ones(len(rows)))
    return {
        f"{s}_Hip": seen.mean(1) + quaternion.rotate(turn, chain.rest[INDEX[f"{s}_Hip"]] - nominal.mean(0))
        for s in "LR"
    } | {
        "left": quaternion.rotate(turn, np.array([1.0, 0.0, 0.0])),
        "up": quaternion.rotate(turn, np.array([0.0, 1.0, 0.0])),
    }


def _joint_centre(
    name: str, markers: MarkerSet, pos: np.ndarray, valid: np.ndarray, chain: Chain, joints: Joints,
    pelvis: dict[str, np.ndarray] | None,
) -> np.ndarray | None:  # fmt: skip
    """A joint from its own centre, else from the mean of its landmarks, moved by their nominal offset in the pelvis'
    axes for the leg, downwards for the shoulder."""
    rows = [k for k in markers.near(name) if valid[:, k].any()]
    centre = [k for k in rows if markers.places[k].landmark == "centre"]
    if centre:
        return pos[:, centre[0]]
    if name.endswith("_Hip"):
        return None if pelvis is None else pelvis[name]
    rows = [k for k in rows if markers.places[k].landmark not in ("fibula head", "heel")]
    if not rows:
        return None
    offset = np.mean([markers.point[k] - (chain.rest[INDEX[name]] - chain.rest[markers.body[k]]) for k in rows], axis=0)
    mean = pos[:, rows].mean(1)
    if name.endswith(("_Knee", "_Ankle")) and "L_Hip" in joints and (pelvis is not None or "R_Hip" in joints):
        left = pelvis["left"] if pelvis is not None else quaternion.unit(joints["L_Hip"] - joints["R_Hip"])
        return mean - offset[0] * left
    if name.endswith("_Shoulder") and pelvis is not None:
        return mean - offset[1] * pelvis["up"]
    return mean


def fit_markers(motion: PointMotion, joints: Joints, chain: Chain) -> tuple[ChainMotion, MarkerSet]:
    """Joints and rotations of a marker motion, by inverse kinematics on a chain of the subject's proportions.

    Args:
      motion: in metres, z up. joints: from ``read_markers``. chain: of the humanoid.
    """
    own = proportioned(chain, stature.segment_ratios(joints, chain))
    markers = marker_set(motion.names, own)
    seen = np.asarray(motion.valid, bool)[:, markers.column]
    full = _build_problem(motion, joints, markers, own)
    known = np.array([bool(place.joint) for place in markers.places])
    spread = np.where(known, np.hypot(markers.prior, _POINT_SIGMA), np.inf)
    first = calibrate(dataclasses.replace(full, weight=seen / spread), seen, 1, markers.prior)
    problem = calibrate(dataclasses.replace(first, weight=full.weight), seen, 3, markers.prior)
    poses = solve(problem, warm=True)
    pos, quat = forward_clip(own, poses.root, poses.local)
    found = {name: pos[:, INDEX[name]] for name in BODIES if name.split("_")[-1] in POINTS}
    sentences = (*flatten_feet(quat, found, motion.fps), *settle(quat, found, chain, motion.fps))
    unused = [name for name in motion.names if name not in markers.names]
    notes = [f"{len(markers.names)} of {len(motion.names)} points used; their places on the body solved from the clip"]
    if unused:
        notes.append(f"points of unknown names left out: {', '.join(unused)}")
    return ChainMotion(found, quat, True, (*notes, *sentences)), markers


def proportioned(chain: Chain, ratios: dict[str, float]) -> Chain:
    """The chain with thighs, shanks, trunk and arms scaled each by its own ratio, within a quarter of the chain's."""
    groups = {
        "thigh": ("Knee",), "shank": ("Ankle",), "arms": ("Elbow", "Wrist", "Hand"),
        "trunk": ("Torso", "Spine", "Chest", "Neck", "Thorax", "Shoulder"),
    }  # fmt: skip
    offsets = chain.offsets.copy()
    for group, names in groups.items():
        for name, index in INDEX.items():
            if name.split("_")[-1] in names:
                offsets[index] *= np.clip(ratios.get(group, 1.0), 0.8, 1.25)
    return chain_from_offsets(offsets, chain.stature)


def _build_problem(motion: PointMotion, joints: Joints, markers: MarkerSet, chain: Chain) -> Problem:
    """All points at their full weight; local rotations are held softly at the neutral pose."""
    pos = np.asarray(motion.pos, np.float64)[:, markers.column]
    valid = np.asarray(motion.valid, bool)[:, markers.column]
    quat = rotations_from_positions(joints, chain)
    hips = 0.5 * (joints["L_Hip"] + joints["R_Hip"])
    rest_hips = 0.5 * (chain.rest[INDEX["L_Hip"]] + chain.rest[INDEX["R_Hip"]])
    foot = np.isin(markers.body, [INDEX["L_Ankle"], INDEX["R_Ankle"]])
    neutral = np.array([_NEUTRAL[name.split("_")[-1]] for name in BODIES])
    return Problem(
        chain=chain, body=markers.body, point=markers.point, target=np.where(valid[..., None], pos, 0.0),
        weight=valid * np.where(foot, 1.0 / _FOOT_SIGMA, 1.0 / _POINT_SIGMA),
        origin=hips - quaternion.rotate(quat[:, 0], rest_hips), base=local_rotations(quat),
        residuals=(neutral_residual(len(pos), 1.0 / neutral), ranges_residual(len(pos))),
    )  # fmt: skip
