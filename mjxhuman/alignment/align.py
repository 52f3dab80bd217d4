"""A motion and a scene brought together: what should touch touches, and nothing is inside another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.interpolate import PchipInterpolator

from mjxhuman.alignment.contacts import PartContact, checked_contacts, find_contacts, resting_contacts
from mjxhuman.alignment.first_order import METHODS as FIRST_ORDER
from mjxhuman.alignment.legs import legs_of, limbs_of, with_legs
from mjxhuman.alignment.look import Unknowns
from mjxhuman.alignment.measure import TOLERANCE, ContactFit, fit_of, misplaced, whole_body_depth, worst
from mjxhuman.alignment.problem import AlignmentProblem, has_surface, make_problem, stack, tiles_of
from mjxhuman.alignment.skin import Skin, skin_of
from mjxhuman.alignment.solve import solve
from mjxhuman.alignment.views import views_of
from mjxhuman.math import quaternion
from mjxhuman.physics.batching import cores
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.scenes.sdf import check_poses
from mjxhuman.scenes.types import Scene
from mjxhuman.types import Camera, Motion

METHODS = ("ours", *FIRST_ORDER)
#: Frames of a motion that are looked at; between them the correction is a spline.
FRAMES = 24
#: Frames that are looked at besides where the body is deep between them, how often, and s within which such a frame
#: stands for others: a correction that changes between neighbours would jerk.
_MORE, _AGAIN, _NEAR = 8, 2, 0.15
#: m, a motion that moves less is one pose.
_STILL = 1e-3
#: m, what is farther from what one sits on, once one sits, is taken not to touch it.
_TOUCH = 0.02
#: Frames whose whole skin is measured at once: 20 MB.
_FRAMES = 512
#: Scenes per call of the compiled program.
_BLOCK = 8

Contacts = Sequence[PartContact | tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Alignment:
    """Result of ``align``."""

    motion: Motion
    scene: Scene
    penetration: float  # m, the greater of the contacts' depths along their directions and of ``depths``
    gap: float  # m, the greatest of the contacts' gaps
    contacts: tuple[ContactFit, ...]
    converged: bool  # penetration and gap at most 5 mm, each contact on the right side and over its surface
    valid: bool  # converged, with objects whose pieces stand for their meshes, none in another or under the floor
    reason: str  # why not
    depths: np.ndarray  # (T,) m, of the whole body in each frame, to the nearest side of an object
    shift: np.ndarray  # (T, 3) m, by which the person was moved
    moved: np.ndarray  # (O, 2) m, by which the objects were


class AlignmentCase(NamedTuple):
    """A motion, a scene and the frames, skin and contacts that are looked at."""

    motion: Motion
    scene: Scene
    skin: Skin
    frames: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    contacts: tuple[PartContact, ...]
    camera: Camera | None = None


def align(
    motion: Motion, scene: Scene, *, method: str = "ours", contacts: Contacts | None = None, seed: int = 0,
    yaw: bool = False, scale: bool = False, legs: bool = False, camera: Camera | None = None,
) -> Alignment:  # fmt: skip
    """The motion and the scene, moved so that the body touches the objects and does not penetrate them.

    Args:
      motion: of a body of SMPL's topology. A clip has one pose of each object and a correction of the person in time.
      scene: poses ``(O, 7)``; objects keep their height.
      method: "ours"; "paper" and "smooth", the losses of HSImul3R (arXiv 2603.15612) and a joint form of them.
      contacts: which part (``skin.PARTS``) touches which object, and when; None: parts nearer than 10 cm. Of what is
        sat on, other parts than the pelvis touch it only if they are within 2 cm once the pelvis is on it.
      seed: no method draws anything today.
      yaw, scale: let free objects turn about the vertical and change their size, "ours" only.
      legs: let hips and knees turn, so that feet that are on the ground are on the floor afterwards, "ours" only.
      camera: one or several, of one frame or the motion's, in which the motion is where it was seen: the person then
        moves along the lines of sight rather than across, "ours" only.

    Raises:
      ValueError: a body without parts, a scene without objects, with two of one name or with a batch of poses, numbers
        that are not finite, a contact or method that is not there, a camera of another number of frames.
    """
    return align_many(
        [motion],
        [scene],
        method=method,
        contacts=[contacts],
        seed=seed,
        yaw=yaw,
        scale=scale,
        legs=legs,
        cameras=[camera],
    )[0]


def align_many(
    motions: Sequence[Motion], scenes: Sequence[Scene], *, method: str = "ours",
    contacts: Sequence[Contacts | None] | None = None, seed: int = 0, yaw: bool = False, scale: bool = False,
    legs: bool = False, cameras: Sequence[Camera | None] | None = None,
) -> list[Alignment]:  # fmt: skip
    """``align`` of many pairs in one compiled program; results do not depend on what else is in the batch.

    Raises:
      ValueError: as ``align``, or sequences of different lengths.
    """
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, found {method!r}")
    free = tuple(name for name, on in (("yaw", yaw), ("scale", scale), ("legs", legs)) if on)
    given = [None] * len(motions) if contacts is None else contacts
    seen = [None] * len(motions) if cameras is None else cameras
    known = [*free, *(["a camera"] if any(camera is not None for camera in seen) else [])]
    if method != "ours" and known:
        raise ValueError(f"method: expected 'ours' for {' and '.join(known)}, found {method!r}")
    if not len(motions) == len(scenes) == len(given) == len(seen):
        counts = f"{len(motions)}, {len(scenes)}, {len(given)}, {len(seen)}"
        raise ValueError(f"expected as many scenes, contacts and cameras as motions, found {counts}")
    cases = [
        case_of(motion, scene, own)._replace(camera=camera)
        for motion, scene, own, camera in zip(motions, scenes, given, seen, strict=True)
    ]
    tried = [_seats_first(case) if own is None else case for case, own in zip(cases, given, strict=True)]
    solutions = _solve(tried, method, free)
    results = [_finish(case, found) for case, found in zip(tried, solutions, strict=True)]

    def again(changed: dict[int, AlignmentCase], better: Callable[[AlignmentCase, Alignment, Alignment], bool]) -> None:
        for i, found in zip(changed, _solve(list(changed.values()), method, free), strict=True):
            result = _finish(changed[i], found)
            if better(changed[i], result, results[i]):
                results[i], tried[i] = result, changed[i]

    again(_with_what_touches(cases, tried, solutions), lambda case, new, _: _holds(case, new))
    for _ in range(_AGAIN if method == "ours" else 0):
        again(_looking_between(tried, results), lambda _, new, old: new.penetration < old.penetration)
    return results


def _with_what_touches(
    cases: Sequence[AlignmentCase], tried: Sequence[AlignmentCase], solutions: Sequence[Unknowns | None]
) -> dict[int, AlignmentCase]:
    """Cases with more contacts than were tried: those that the solution without them makes."""
    more = {}
    for i, (case, without) in enumerate(zip(cases, tried, strict=True)):
        if len(without.contacts) < len(case.contacts):
            fits = _finish(case, solutions[i]).contacts
            kept = tuple(fit.contact for fit in fits if fit.contact in without.contacts or _touches(fit))
            if len(kept) > len(without.contacts):
                more[i] = case._replace(contacts=kept)
    return more


def _looking_between(cases: Sequence[AlignmentCase], results: Sequence[Alignment]) -> dict[int, AlignmentCase]:
    """Cases with more frames to look at: where the body is deep between those in which all is well."""
    more = {}
    for i, (case, result) in enumerate(zip(cases, results, strict=True)):
        if not _holds(case, result):
            continue
        deep = result.depths > TOLERANCE
        runs = np.split(np.arange(len(deep)), np.flatnonzero(np.diff(deep)) + 1)
        peaks = [int(run[result.depths[run].argmax()]) for run in runs if deep[run[0]]]
        if peaks:
            peaks = sorted(peaks, key=lambda frame: -result.depths[frame])[:_MORE]
            apart = np.abs(case.frames[:, None] - np.array(peaks)).min(1) * case.motion.dt
            kept = (apart > _NEAR) | np.isin(case.frames, case.frames[[0, -1]])
            frames = np.union1d(case.frames[kept], peaks)
            if not all(contact.during(frames).any() for contact in case.contacts):  # one is shorter than that
                frames = np.union1d(case.frames, peaks)
            more[i] = _at(case, frames)
    return more


def _holds(case: AlignmentCase, result: Alignment) -> bool:
    """Whether all is well in the frames that were looked at."""
    deep = result.depths[case.frames].max() > TOLERANCE
    return bool(result.contacts) and not worst(result.contacts) and not deep


def _at(case: AlignmentCase, frames: np.ndarray) -> AlignmentCase:
    """The case looked at in other frames."""
    pos, quat = (np.asarray(x)[frames] for x in (case.motion.body_pos, case.motion.body_quat))
    points, normals = case.skin.posed(pos, quat)
    return case._replace(frames=frames, points=points, normals=normals)


def _seats_first(case: AlignmentCase) -> AlignmentCase:
    """A case with those of its contacts that do not follow from who sits on what."""
    seats = {contact.object for contact in case.contacts if contact.part == "Pelvis"}
    kept = tuple(c for c in case.contacts if c.part == "Pelvis" or c.object not in seats)
    return case._replace(contacts=kept)


def _touches(fit: ContactFit) -> bool:
    return fit.opposed and max(fit.gap, fit.depth) <= _TOUCH


def case_of(motion: Motion, scene: Scene, contacts: Contacts | None) -> AlignmentCase:
    """What is to be aligned, checked. Raises ValueError as ``align``."""
    if not scene.objects or np.shape(scene.poses) != (len(scene.objects), 7):
        raise ValueError(
            f"scene: expected objects and poses (O, 7), found {len(scene.objects)} and {np.shape(scene.poses)}"
        )
    check_poses(scene)
    if twice := sorted({name for name in scene.names if scene.names.count(name) > 1}):
        raise ValueError(f"scene: expected objects of different names, found several of {twice[0]!r}")
    if np.ndim(motion.qpos) != 2 or not motion.num_frames:
        raise ValueError(f"motion: expected one of (T, nq), found {np.shape(motion.qpos)}")
    if not all(np.isfinite(np.asarray(x)).all() for x in (motion.qpos, motion.body_pos, motion.body_quat)):
        raise ValueError("motion: expected finite numbers, found others")
    skin = skin_of(motion.humanoid)
    count = motion.num_frames
    travel = np.ptp(np.asarray(motion.body_pos), axis=0).max()
    frames = np.unique(np.linspace(0, count - 1, 1 if travel < _STILL else min(FRAMES, count)).astype(int))
    pos, quat = np.asarray(motion.body_pos), np.asarray(motion.body_quat)
    if contacts is not None:
        table = checked_contacts(contacts, scene, skin)
    elif len(frames) > 1:
        table = resting_contacts(scene, skin, pos, quat, frames)
    else:
        near = find_contacts(scene, skin, *skin.posed(pos[frames], quat[frames]))
        table = tuple(dataclasses.replace(contact, stop=count) for contact in near)
    frames = _with_ends(frames, table)
    points, normals = skin.posed(pos[frames], quat[frames])
    if contacts is None:
        table = tuple(c for c in table if c.during(frames).any())
        table = tuple(c for c in table if has_surface(c, scene, skin, points, normals, frames))
    for contact in table:
        if not contact.during(frames).any():
            raise ValueError(f"contacts: {contact.part}: expected frames below {count}, found {contact.start}")
    return AlignmentCase(motion, scene, skin, frames, points, normals, table)


def _with_ends(frames: np.ndarray, contacts: Sequence[PartContact]) -> np.ndarray:
    """Frames to look at, the nearest moved to those in which contacts begin and end."""
    moved, free = frames.copy(), np.ones(len(frames), bool)
    free[[0, -1]] = False
    for frame in (x for c in contacts for x in (c.start, frames[-1] if c.stop is None else c.stop - 1)):
        nearest = int(np.abs(frames - frame).argmin())
        if free[nearest]:
            moved[nearest], free[nearest] = frame, False
    return np.unique(moved)


def problem_of(case: AlignmentCase) -> AlignmentProblem:
    """The arrays of a case."""
    interval = case.motion.dt * np.diff(case.frames, prepend=case.frames[0] - 1)
    limbs, legs = limbs_of(case.motion.humanoid), legs_of(case.motion, case.frames)
    views = views_of(case.motion, case.frames, case.camera)
    return make_problem(
        case.scene, case.skin, case.points, case.normals, case.contacts, case.frames, interval, limbs, legs, views
    )


def _solve(cases: Sequence[AlignmentCase], method: str, free: tuple[str, ...]) -> list[Unknowns | None]:
    """Unknowns of each case; None where nothing touches."""
    touching = [i for i, case in enumerate(cases) if case.contacts]
    problems = [problem_of(cases[i]) for i in touching]
    if method == "ours" or not touching:
        found = _least_squares(problems, [cases[i] for i in touching], free)
    else:
        found = FIRST_ORDER[method](problems)
    solutions: list[Unknowns | None] = [None] * len(cases)
    for i, unknowns in zip(touching, found, strict=True):
        solutions[i] = unknowns
    return solutions


def _least_squares(
    problems: Sequence[AlignmentProblem], cases: Sequence[AlignmentCase], free: tuple[str, ...]
) -> list[Unknowns]:
    """Unknowns of each problem, on all cores, in groups of one layout."""
    parts = [tuple(tiles_of(case.skin).part.tolist()) for case in cases]
    results: dict[int, Unknowns] = {}
    for part in sorted(set(parts)):
        rows = [i for i, p in enumerate(parts) if p == part]
        batch = stack([problems[i] for i in rows])
        size = 1 if len(rows) == 1 else _BLOCK
        blocks = [np.resize(rows_, size) for rows_ in np.array_split(np.arange(len(rows)), -(-len(rows) // size))]

        def run(block: np.ndarray, batch: Any = batch, part: tuple[int, ...] = part) -> Unknowns:
            found, _ = solve(jax.tree.map(lambda x: x[block], batch), part, free)
            return {name: np.asarray(x, np.float64) for name, x in found.items()}

        first = run(blocks[0])  # compiles
        with ThreadPoolExecutor(cores()) as pool:
            solved = [first, *pool.map(run, blocks[1:])]
        for block, values in zip(blocks, solved, strict=True):
            for at, row in enumerate(block):
                results[rows[row]] = {name: x[at] for name, x in values.items()}
    return [results[i] for i in range(len(problems))]


def _finish(case: AlignmentCase, unknowns: Unknowns | None) -> Alignment:
    count, objects = case.motion.num_frames, len(case.scene.objects)
    shift, moved, scene, angles = np.zeros((count, 3)), np.zeros((objects, 2)), case.scene, None
    if unknowns is not None:
        shift = _in_time(case, unknowns["person"])
        angles = _in_time(case, unknowns["legs"]) if "legs" in unknowns else None
        free = np.array([thing.free for thing in case.scene.objects])
        moved = unknowns["object"][:objects] * free[:, None]
        own = {name: x[:objects] for name, x in unknowns.items() if name in ("object", "yaw", "scale")}
        scene = _moved_scene(case.scene, own, moved)
    points, normals = case.points + shift[case.frames, None], case.normals
    if angles is None:
        motion = _moved_motion(case.motion, shift)
    else:
        motion = with_legs(case.motion, shift, angles)
        points, normals = case.skin.posed(*(np.asarray(x)[case.frames] for x in (motion.body_pos, motion.body_quat)))
    fits = tuple(fit_of(c, scene, case.skin, points, normals, case.frames) for c in case.contacts)
    depths = _depths(case, motion, scene)
    depth = max([float(depths.max()), *(fit.depth for fit in fits)])
    gap = max([fit.gap for fit in fits], default=float("inf"))
    reason = worst(fits)
    if not fits:
        reason = "contacts: expected a part nearer than 0.10 m to an object, found none: name the contacts"
    elif not reason and depth > TOLERANCE:
        reason = f"body: expected a depth of at most {TOLERANCE} m, found {depth:.3f}"
    converged = not reason
    unfit = next((f"{thing.name}: {thing.unfit}" for thing in scene.objects if thing.unfit), "") or misplaced(scene)
    return Alignment(
        motion, scene, depth, gap, fits, converged, converged and not unfit, reason or unfit, depths, shift, moved
    )


def _depths(case: AlignmentCase, motion: Motion, scene: Scene) -> np.ndarray:
    """Depth in m of the whole body in each frame ``(T,)``; of a pose that is held, of one frame for all."""
    pos, quat = np.asarray(motion.body_pos), np.asarray(motion.body_quat)
    if len(case.frames) == 1:
        return np.repeat(whole_body_depth(scene, case.skin.posed(pos[case.frames], quat[case.frames])[0]), len(pos))
    blocks = [slice(first, first + _FRAMES) for first in range(0, len(pos), _FRAMES)]
    return np.concatenate([whole_body_depth(scene, case.skin.posed(pos[b], quat[b])[0]) for b in blocks])


def _in_time(case: AlignmentCase, values: np.ndarray) -> np.ndarray:
    """Values at the frames looked at, and padding after them, in all frames: a cubic spline, never beyond them."""
    values, count = values[: len(case.frames)], case.motion.num_frames
    return PchipInterpolator(case.frames, values)(np.arange(count)) if len(values) > 1 else np.repeat(values, count, 0)


def _moved_scene(scene: Scene, unknowns: Unknowns, moved: np.ndarray) -> Scene:
    poses = np.array(scene.poses, np.float64)
    poses[:, :2] += moved
    things = list(scene.objects)
    for i, thing in enumerate(things):
        if thing.free and "yaw" in unknowns:
            half = 0.5 * unknowns["yaw"][i]
            poses[i, 3:] = quaternion.multiply(np.array([np.cos(half), 0, 0, np.sin(half)]), poses[i, 3:])
        if thing.free and "scale" in unknowns:
            things[i] = resized(thing, float(np.exp(unknowns["scale"][i])))
    return dataclasses.replace(scene, objects=tuple(things), poses=poses)


def resized(thing: Any, factor: float) -> Any:
    """A ``SceneObject`` of another size and the same mass."""
    planes = np.concatenate([thing.parts.planes[..., :3], factor * thing.parts.planes[..., 3:]], -1)
    return thing.replace(
        mesh=thing.mesh.replace(vertices=thing.mesh.vertices * factor),
        parts=thing.parts.replace(vertices=thing.parts.vertices * factor, planes=planes),
        points=thing.points * factor, com=thing.com * factor, inertia=thing.inertia * factor**2,
    )  # fmt: skip


def _moved_motion(motion: Motion, shift: np.ndarray) -> Motion:
    root = int(motion.humanoid.model.jnt_qposadr[0])
    qpos = np.array(motion.qpos)
    qpos[:, root : root + 3] += shift.astype(qpos.dtype)
    if np.ptp(shift, axis=0).max() > 0:
        return motion_from_qpos(
            motion.humanoid, qpos, motion.fps, valid=motion.valid, provenance=motion.provenance
        )  # fmt: skip
    return dataclasses.replace(motion, qpos=qpos, body_pos=_shifted_bodies(motion, shift))


def _shifted_bodies(motion: Motion, shift: np.ndarray) -> np.ndarray:
    pos = np.array(motion.body_pos)
    pos[:, 1:] += shift[:, None].astype(pos.dtype)  # body 0 is the world
    return pos
