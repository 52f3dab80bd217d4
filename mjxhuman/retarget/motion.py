"""From a file's motion to a ``Motion``: choose the body, map or fit, ground, report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import quaternion
from mjxhuman.physics.motion import MIN_FRAMES, motion_from_qpos
from mjxhuman.retarget import quality
from mjxhuman.retarget.chain import Chain, chain_of, forward_clip
from mjxhuman.retarget.direct import continuous, qpos_from_smpl
from mjxhuman.retarget.ground import POLICIES, Ground, contact_heights, find_ground, heights_over, move
from mjxhuman.retarget.residuals import PoseResidual
from mjxhuman.runs.progress import busy
from mjxhuman.scenes import Surface
from mjxhuman.types import BodyMotion, Motion, PointMotion, SkeletonMotion

#: A given body within this share of the estimated stature is taken as the subject's own: nothing is scaled.
SAME_SIZE = 0.02

FileMotion = BodyMotion | SkeletonMotion | PointMotion


@dataclasses.dataclass
class Placed:
    """A pose path on the chain before grounding, and what is known about how it came about."""

    root: np.ndarray  # (T, 3) m
    local: np.ndarray  # (T, J, 4) SMPL frames; the first is the root's global rotation
    notes: list[str]
    residuals: quality.Residuals | None = None
    kind: str = ""
    feet: dict[str, tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=dict)  # source and fitted (T, 3)


def retarget_motion(
    source: FileMotion,
    humanoid: Humanoid | None = None,
    *,
    ground: str = "stance",
    residuals: Sequence[PoseResidual] = (),
    surface: Surface | None = None,
) -> Motion:
    """Put a motion on a humanoid of SMPL topology.

    The same skeleton (``BodyMotion``) is mapped directly. Other skeletons (``SkeletonMotion``) and markers or joint
    positions (``PointMotion``) are fitted by batched least squares (``mjxhuman.retarget.optimize``); every frame on its
    own, the source's frame rate kept, nothing filtered.

    Args:
      source: one clip, no batch axes, z up, metres; at least 3 frames.
      humanoid: the body; None takes the built-in one with ball joints at the subject's stature, estimated from the
        source's segments to 1 cm (SMPL parameters: the default body). On a body more than 2 % taller or shorter than
        the subject, positions are scaled about the floor's origin by the ratio of statures, and the provenance says so.
      ground: "none", "lowest", "stance" or "plane", see ``mjxhuman.retarget.ground``.
      residuals: what else is known about the poses of the fit, in the source's world.
      surface: what the motion happens on, where it lies sideways in the file; the body is grounded on it. None is the
        level floor.

    Returns:
      The motion; ``provenance.retarget`` holds the residual report in sentences, ``provenance.ground`` and
      ``ground_offset`` the grounding.

    Raises:
      ValueError: too few frames, missing, unknown or mirrored joints, a humanoid of another topology, unknown policy,
        residuals for a motion that is not fitted.
    """
    return retarget_with_report(source, humanoid, ground=ground, residuals=residuals, surface=surface)[0]


def retarget_with_report(
    source: FileMotion,
    humanoid: Humanoid | None = None,
    *,
    ground: str = "stance",
    residuals: Sequence[PoseResidual] = (),
    surface: Surface | None = None,
) -> tuple[Motion, dict[str, Any]]:
    """As ``retarget_motion``, with the full report.

    The report has ``body`` (name, stature, mass), ``scale``, ``notes``, ``residuals`` (per point: median, 95th
    percentile and maximum of the error in mm, constant offset, distance), ``median_mm``, ``p95_mm``, ``distance_mm``,
    ``limit_hits`` (share of frames per clinical joint), ``floor`` (mm) and ``slip_added`` (m/s per foot point).
    """
    what = source.provenance.path or f"the given {type(source).__name__}"
    if ground not in POLICIES:
        raise ValueError(f"ground: expected one of {', '.join(POLICIES)}, found {ground!r}")
    valid = _checked(source, what)
    if isinstance(source, BodyMotion):
        if residuals:
            raise ValueError(f"{what}: residuals: expected none for SMPL parameters, which are not fitted")
        humanoid, placed, scale = _direct(source, humanoid)
    elif isinstance(source, SkeletonMotion | PointMotion):
        with busy(f"fitting a body to {what}"):
            humanoid, placed, scale = _fitted(source, humanoid, what, residuals)
    else:
        raise TypeError(f"expected a BodyMotion, SkeletonMotion or PointMotion, found {type(source).__name__}")
    (found,) = find_grounds([(humanoid, placed, valid)], source.fps, ground, surface=surface)
    return place(humanoid, placed, valid, source, scale, found, surface)


def retarget_together(
    sources: Sequence[BodyMotion], humanoid: Humanoid | None = None, *, ground: str = "stance"
) -> list[Motion | ValueError]:
    """Put people of one world on a humanoid each, in that world: the floor that levels it is found from all of them.

    Each is then let down or lifted onto the floor: whoever says how far people are from a camera says it less well than
    how they are turned. Alone it is ``retarget_motion``.

    Args:
      sources: the same frames of everyone. humanoid, ground: as ``retarget_motion`` takes them.

    Returns:
      Of each the motion, or why there is none.

    Raises:
      ValueError: as ``retarget_motion`` for the humanoid and the policy.
    """
    if ground not in POLICIES:
        raise ValueError(f"ground: expected one of {', '.join(POLICIES)}, found {ground!r}")
    results: list[Motion | ValueError | None] = [None] * len(sources)
    people = []
    for k, source in enumerate(sources):
        try:
            valid = _checked(source, source.provenance.path or "the given BodyMotion")
        except ValueError as error:
            results[k] = error
        else:
            people.append((k, *_direct(source, humanoid), valid))
    level = _common_level([(body, placed, valid) for _, body, placed, _, valid in people], sources[0].fps, ground)
    for k, body, placed, scale, valid in people:
        (found,) = find_grounds([(body, placed, valid)], sources[k].fps, ground, level)
        if level is not None and (tilt := np.rad2deg(quaternion.angle(level))) > 0.05:
            said = f"floor that {len(people)} people share slopes by {tilt:.1f} deg: levelled; {found.sentence}"
            found = dataclasses.replace(found, sentence=said)
        results[k] = place(body, placed, valid, sources[k], scale, found)[0]
    return [found for found in results if found is not None]


def _common_level(people: Sequence[tuple[Humanoid, Placed, np.ndarray]], fps: float, policy: str) -> np.ndarray | None:
    """The turn (4,) that levels the floor of several people, each of whom shows how it slopes, not how high it is where
    the others are; None of fewer than two."""
    if len(people) < 2:
        return None
    in_place = []
    for body, placed, valid in people:
        (own,) = find_grounds([(body, placed, valid)], fps, policy, np.array([1.0, 0.0, 0.0, 0.0]))
        middle = np.array([*placed.root[valid, :2].mean(0), -own.offset])
        in_place.append((body, dataclasses.replace(placed, root=placed.root - middle), valid))
    return find_grounds(in_place, fps, policy)[0].quat


def place(
    humanoid: Humanoid, placed: Placed, valid: np.ndarray, source: Any, scale: float, found: Ground,
    surface: Surface | None = None,
) -> tuple[Motion, dict[str, Any]]:  # fmt: skip
    """Ground a pose path and make it a motion with its report; ``source`` gives frame rate and provenance."""
    root, placed.local[:, 0] = move(found, placed.root, placed.local[:, 0])
    qpos = qpos_from_smpl(humanoid, root, continuous(placed.local))
    motion = motion_from_qpos(humanoid, qpos, source.fps, valid=valid)
    report = _report(humanoid, motion, placed, found, scale, source.fps, surface)
    provenance = source.provenance.with_(
        ground=found.policy,
        ground_offset=found.offset,
        retarget=(_body_sentence(report), *quality.sentences(report), found.sentence),
    )
    return dataclasses.replace(motion, provenance=provenance), report


def _checked(source: FileMotion, what: str) -> np.ndarray:
    """Valid frames ``(T,)``; raises for batches, short clips and clips without a valid frame."""
    valid = np.asarray(source.valid, bool)
    if isinstance(source, PointMotion):
        valid = valid.any(-1) if valid.ndim == 2 else valid
    if valid.ndim != 1:
        raise ValueError(f"{what}: expected one clip without batch axes, found valid of shape {valid.shape}")
    if len(valid) < MIN_FRAMES:
        raise ValueError(f"{what}: expected at least {MIN_FRAMES} frames, found {len(valid)}")
    if not valid.any():
        raise ValueError(f"{what}: no valid frame")
    return valid


def _held(x: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """``(T, ...)`` in float64 with invalid frames replaced by the last valid one before (or the first)."""
    x = np.asarray(x, np.float64)
    if valid.all():
        return x
    index = np.where(valid, np.arange(len(valid)), -1)
    index = np.maximum.accumulate(index)
    return x[np.where(index < 0, int(np.argmax(valid)), index)]


def _direct(source: BodyMotion, humanoid: Humanoid | None) -> tuple[Humanoid, Placed, float]:
    notes = ["SMPL's local rotations are the joint coordinates, the pelvis joint is the root"]
    own = load_humanoid("smpl")
    humanoid = own if humanoid is None else humanoid
    if source.betas.size:
        notes.append(
            "betas not used: without the body model's file their proportions are unknown, the default body stands in"
        )
    scale = _scale(own.stature, humanoid)
    valid = np.asarray(source.valid, bool)
    root = _held(source.transl, valid) * scale
    turns = np.concatenate([np.asarray(source.global_orient)[:, None], np.asarray(source.body_pose)], 1)
    return humanoid, Placed(root, quaternion.unit(_held(turns, valid)), notes), scale


def _scale(stature: float, humanoid: Humanoid) -> float:
    ratio = humanoid.stature / stature
    return 1.0 if abs(ratio - 1.0) <= SAME_SIZE else ratio


def _fitted(
    source: SkeletonMotion | PointMotion, humanoid: Humanoid | None, what: str, residuals: Sequence[PoseResidual]
) -> tuple[Humanoid, Placed, float]:
    from mjxhuman.retarget import calibrate, completion, markers, optimize, skeleton, stature

    default = chain_of(load_humanoid("smpl"))
    source = _without_gaps(source)
    marker_set = None
    notes: tuple[str, ...] = ()
    is_markers = isinstance(source, PointMotion) and not skeleton.is_smpl_array(source)
    if is_markers:
        source, notes = completion.completed(cast(PointMotion, source), default)
        joints, _ = markers.read_markers(source, default, what)
    else:
        joints = skeleton.read_joints(source, what)
    subject = stature.size(joints, default, anatomical=is_markers)
    estimate = subject.stature
    humanoid = load_humanoid("smpl", stature=round(estimate, 2)) if humanoid is None else humanoid
    scale = _scale(round(estimate, 2), humanoid)
    chain = chain_of(humanoid)
    source = _scaled(source, scale)
    joints = {name: x * scale for name, x in joints.items()}
    if isinstance(source, SkeletonMotion):
        fit = skeleton.read_skeleton(source, joints, chain)
    elif is_markers:
        joints, _ = markers.read_markers(source, chain, what)
        fit, marker_set = markers.fit_markers(source, joints, chain)
    else:
        fit = skeleton.read_points(joints, chain)
    problem, names = skeleton.build_problem(fit, chain)
    problem = calibrate.calibrate(problem, problem.weight > 0, 3, skeleton.OFFSET_PRIOR)
    problem = dataclasses.replace(problem, residuals=(*problem.residuals, *residuals))
    poses = optimize.solve(problem, warm=not residuals)
    placed = Placed(poses.root, poses.local, [*subject.sentences(), *notes, *fit.sentences])
    own, fitted = calibrate.points_in_bodies(problem, poses)
    placed.feet = {n: (problem.target[:, k], fitted[:, k]) for k, n in enumerate(names) if n.endswith(("Ankle", "Toe"))}
    if marker_set is None:
        placed.kind, placed.residuals = "joints", _joint_residuals(problem, names, chain, own)
    else:
        placed.kind, placed.residuals = (
            "markers",
            _marker_residuals(cast(PointMotion, source), marker_set, chain, poses),
        )
    return humanoid, placed, scale


def _without_gaps(source: SkeletonMotion | PointMotion) -> SkeletonMotion | PointMotion:
    if isinstance(source, PointMotion):
        return source
    valid = np.asarray(source.valid, bool)
    return dataclasses.replace(
        source, joint_pos=_held(source.joint_pos, valid), joint_quat=_held(source.joint_quat, valid)
    )


def _scaled(source: SkeletonMotion | PointMotion, scale: float) -> SkeletonMotion | PointMotion:
    if scale == 1.0:
        return source
    if isinstance(source, PointMotion):
        return dataclasses.replace(source, pos=np.asarray(source.pos) * scale)
    return dataclasses.replace(
        source, joint_pos=np.asarray(source.joint_pos) * scale, rest_pos=np.asarray(source.rest_pos) * scale
    )


def _joint_residuals(problem: Any, names: list[str], chain: Chain, own: np.ndarray) -> quality.Residuals:
    from mjxhuman.retarget.chain import INDEX

    nominal = chain.rest[[INDEX[name] for name in names]] - chain.rest[problem.body]
    return quality.Residuals(
        tuple(names),
        np.linalg.norm(own - problem.point, axis=-1),
        np.linalg.norm(problem.point - nominal, axis=-1),
        np.linalg.norm(own - nominal, axis=-1),
    )


def _marker_residuals(source: PointMotion, markers: Any, chain: Chain, poses: Any) -> quality.Residuals:
    """Markers against their mean place on the final body: the fit in between had other proportions."""
    from mjxhuman.retarget.markers import marker_set

    pos, quat = forward_clip(chain, poses.root, poses.local)
    target = np.asarray(source.pos, np.float64)[:, markers.column]
    seen = np.asarray(source.valid, bool)[:, markers.column]
    own = quaternion.rotate(quaternion.conjugate(quat[:, markers.body]), target - pos[:, markers.body])
    own = np.where(seen[..., None], own, np.nan)
    place = np.zeros((own.shape[1], 3))
    for k in np.flatnonzero(seen.any(0)):
        place[k] = np.nanmean(own[:, k], axis=0)
    nominal = marker_set(source.names, chain).point
    return quality.Residuals(
        tuple(markers.names), np.linalg.norm(own - place, axis=-1), np.linalg.norm(place - nominal, axis=-1),
        np.zeros((len(own), 0)),
    )  # fmt: skip


def find_grounds(
    people: Sequence[tuple[Humanoid, Placed, np.ndarray]],
    fps: float,
    policy: str,
    level: np.ndarray | None = None,
    surface: Surface | None = None,
) -> list[Ground]:
    """The one move of the world that puts people who share a floor on it; each with the frames that stand for it.

    Args:
      people: body, pose path and valid frames ``(T,)`` of each. level, surface: as ``find_ground`` takes
        them.
    """
    points = []
    for humanoid, placed, valid in people:
        pos, quat = forward_clip(chain_of(humanoid), placed.root, placed.local[:, :22])
        ids = np.asarray(humanoid.smpl_body_ids)
        body_pos, body_quat = np.zeros((len(pos), humanoid.nbody, 3)), np.zeros((len(pos), humanoid.nbody, 4))
        body_pos[:, ids], body_quat[:, ids] = pos, quaternion.multiply(quat, np.asarray(humanoid.smpl_frame))
        own, is_foot = contact_heights(humanoid, body_pos, body_quat)
        points.append(own[valid])
    found = find_ground(np.concatenate(points), is_foot, fps, policy, level, surface)
    ends = np.cumsum([len(own) for own in points])[:-1]
    grounds = []
    for (_, _, valid), used in zip(people, np.split(found.stance, ends), strict=True):
        stance = np.zeros(len(valid), bool)
        stance[valid] = used
        grounds.append(dataclasses.replace(found, stance=stance))
    return grounds


def _report(
    humanoid: Humanoid,
    motion: Motion,
    placed: Placed,
    ground: Ground,
    scale: float,
    fps: float,
    surface: Surface | None,
) -> dict[str, Any]:
    valid = np.asarray(motion.valid)
    quat = np.asarray(motion.body_quat, np.float64)[valid]
    points, is_foot = contact_heights(humanoid, np.asarray(motion.body_pos, np.float64)[valid], quat)
    if surface is not None:
        points = heights_over(surface, points)
    report: dict[str, Any] = {
        "body": {"name": humanoid.name, "stature": humanoid.stature, "mass": humanoid.mass},
        "scale": scale,
        "notes": placed.notes,
        "limit_hits": quality.limit_hits(humanoid, quat),
        "floor": quality.floor_rows(points, is_foot, dataclasses.replace(ground, stance=ground.stance[valid])),
        "slip_added": {n: quality.slip_added(a[valid], b[valid], fps) for n, (a, b) in placed.feet.items()},
    }
    if placed.residuals is not None:
        used = dataclasses.replace(
            placed.residuals, error=placed.residuals.error[valid], distance=placed.residuals.distance[valid]
        )
        error = used.error[np.isfinite(used.error)] * 1e3
        report |= {
            "kind": placed.kind,
            "residuals": quality.residual_rows(used),
            "median_mm": float(np.median(error)),
            "p95_mm": float(np.percentile(error, 95)),
        }
        if used.distance.size:
            report["distance_mm"] = float(np.median(used.distance) * 1e3)
    return report


def _body_sentence(report: dict[str, Any]) -> str:
    body = report["body"]
    line = f"body {body['name']}: stature {body['stature']:.2f} m, mass {body['mass']:.1f} kg"
    if report["scale"] != 1.0:
        line += (
            f"; positions scaled by {report['scale']:.3f} to its size, so flight is no longer ballistic under gravity"
        )
    return line
