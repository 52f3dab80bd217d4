"""What is to be aligned as padded arrays: one layout for many scenes, so that one program solves them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
from flax import struct
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from mjxhuman.alignment.contacts import PartContact
from mjxhuman.alignment.skin import Skin
from mjxhuman.math import quaternion
from mjxhuman.scenes.types import Parts, Scene
from mjxhuman.types import Array

#: Points of a tile: a piece of one part's skin, of which the deepest point counts.
TILE = 24
#: Faces of a piece for the solver: those that differ most in direction, pushed out to hold all corners.
FACES = 16
#: Faces whose normals are nearer than this (cosine, 4 degrees) are one.
_SAME_FACE = 0.9976
#: A sample of an object may carry a part where their normals oppose each other by this much.
OPPOSED = -0.7
#: Samples that may carry, per contact, and how far from the part they are looked for, m.
_PARTNERS, _REACH = 96, 0.6
#: Points of a patch.
_PATCH = 64
#: Largest radius that must be flat below a part, m, how flat, m, and the share of it that an edge may cut off.
_DISC, _FLAT, _FULL = 0.10, 0.02, 0.9
#: Samples of an object that must not be in another.
_OWN_SAMPLES = 256


@struct.dataclass
class AlignmentProblem:
    """One scene and one body. ``T`` frames, ``J`` tiles, ``P`` parts, ``C`` contacts, ``M`` points of
    a patch; ``*b`` is there where problems are stacked."""

    points: Float[Array, "*b T J N 3"]  # m, world: the skin in tiles
    frame: Bool[Array, "*b T"]  # frames that count
    side: Float[Array, "*b T P 3"]  # unit: where the side of a part that carries load faces
    planes: Float[Array, "*b K F 4"]  # of all objects' pieces, in their objects' frames
    piece_object: Int[Array, "*b K"]
    poses: Float[Array, "*b O 7"]
    free: Bool[Array, "*b O"]  # objects that may be moved
    held: Bool[Array, "*b P O"]  # the object is on the bearing side of the part
    samples: Float[Array, "*b O S 3"]  # m, of the objects' surfaces
    active: Bool[Array, "*b T C"]
    contact_object: Int[Array, "*b C"]
    patch: Float[Array, "*b T C M 3"]  # m, world: bearing points of the contact's part
    partner_points: Float[Array, "*b C R 3"]  # m, object frame
    partner_normals: Float[Array, "*b C R 3"]
    interval: Float[Array, "*b"]  # s between frames


@dataclasses.dataclass(frozen=True)
class Tiles:
    """How a skin is cut into tiles."""

    index: np.ndarray  # (J, TILE) int into the skin's points; the last of a part repeat
    part: np.ndarray  # (J,) int


def tiles_of(skin: Skin) -> Tiles:
    """Tiles of points that lie together, of one part each."""
    index, part = [], []
    for p in range(len(skin.names)):
        own = np.flatnonzero(skin.part == p)
        for body in np.unique(skin.body[own]):
            rows = own[skin.body[own] == body]
            long = np.argmax(np.ptp(skin.offset[rows], axis=0))
            rows = rows[np.argsort(skin.offset[rows, long], kind="stable")]
            for tile in np.array_split(rows, -(-len(rows) // TILE)):
                index.append(np.concatenate([tile, np.repeat(tile[-1:], TILE - len(tile))]))
                part.append(p)
    return Tiles(np.stack(index), np.array(part))


def outer_planes(parts: Parts) -> np.ndarray:
    """At most ``FACES`` planes ``(K, FACES, 4)`` around each piece of an object; the last repeats."""
    result = []
    for corners, planes in zip(
        np.asarray(parts.vertices)[parts.mask], np.asarray(parts.planes)[parts.mask], strict=True
    ):
        normals = planes[:, :3]
        chosen = [int(np.argmax(np.abs(normals).max(1)))]
        near = normals @ normals[chosen[0]]
        while near.min() < _SAME_FACE and len(chosen) < FACES:
            chosen.append(int(near.argmin()))
            near = np.maximum(near, normals @ normals[chosen[-1]])
        chosen += chosen[-1:] * (FACES - len(chosen))
        result.append(np.concatenate([normals[chosen], (corners @ normals[chosen].T).max(0)[:, None]], 1))
    return np.stack(result)


def make_problem(
    scene: Scene,
    skin: Skin,
    points: np.ndarray,
    normals: np.ndarray,
    contacts: Sequence[PartContact],
    frames: np.ndarray,
    interval: float,
) -> AlignmentProblem:
    """The problem of one scene, not padded.

    Args:
      scene: poses ``(O, 7)``.
      skin: of the body.
      points, normals: ``(T, N, 3)`` of its skin at the frames looked at.
      contacts: at least one.
      frames: ``(T,)`` their numbers in the motion, in which the contacts count time.
      interval: s between them.
    """
    tiles, names = tiles_of(skin), list(scene.names)
    bearing = [(skin.part == p) & skin.bearing for p in range(len(skin.names))]
    side = np.stack([_unit(normals[:, own].mean(1)) for own in bearing], 1)
    pieces = [outer_planes(thing.parts) for thing in scene.objects]
    poses = np.asarray(scene.poses, np.float64)
    held = np.zeros((len(skin.names), len(names)), bool)
    rows = []
    for contact in contacts:
        part, which = skin.names.index(contact.part), names.index(contact.object)
        held[part, which] = True
        if contact.part == "Pelvis":  # whoever sits on a thing has the back of thighs and trunk towards it
            held[[skin.names.index(name) for name in ("L_Thigh", "R_Thigh", "Back")], which] = True
        on = (frames >= contact.start) & (frames < (np.inf if contact.stop is None else contact.stop))
        own = np.flatnonzero(bearing[part])
        patch = points[:, np.resize(own, _PATCH) if len(own) < _PATCH else _evenly(own, _PATCH)]
        first = int(np.argmax(on))
        turn = quaternion.conjugate(poses[which, 3:])
        place = quaternion.rotate(turn, patch[first] - poses[which, :3])
        partners = _partners(scene.objects[which], place, quaternion.rotate(turn, side[first, part]))
        rows.append((on, which, patch, *partners))
    active, objects, patches, partner_points, partner_normals = zip(*rows, strict=True)
    samples = np.stack([_evenly(np.asarray(thing.points), _OWN_SAMPLES) for thing in scene.objects])
    return AlignmentProblem(
        points=points[:, tiles.index], frame=np.ones(len(points), bool), side=side, planes=np.concatenate(pieces),
        piece_object=np.repeat(np.arange(len(pieces)), [len(p) for p in pieces]), poses=poses,
        free=np.array([thing.free for thing in scene.objects]), held=held, samples=samples,
        active=np.stack(active, 1), contact_object=np.array(objects), patch=np.stack(patches, 1),
        partner_points=np.stack(partner_points), partner_normals=np.stack(partner_normals),
        interval=np.float64(interval),
    )  # fmt: skip


#: Sizes that arrays are padded to: frames, objects, contacts, pieces.
_SIZES = {"T": (1, 8, 24), "O": (1, 2, 4, 8), "C": (1, 2, 4, 8, 16), "K": (4, 6, 8, 12, 16, 24, 32, 48, 64)}


def stack(problems: Sequence[AlignmentProblem]) -> AlignmentProblem:
    """Problems with one leading axis, float32, padded to one layout; what is added changes no solution."""
    shapes = {"T": (0, "points"), "O": (0, "poses"), "C": (0, "contact_object"), "K": (0, "planes")}
    size = {}
    for axis, (i, name) in shapes.items():
        most = max(np.shape(getattr(problem, name))[i] for problem in problems)
        size[axis] = next((n for n in _SIZES[axis] if n >= most), most)
    padded = [_pad(problem, size) for problem in problems]
    few = all((p.planes[:, 7:] == p.planes[:, 7:8]).all() for p in padded)
    padded = [dataclasses.replace(p, planes=p.planes[:, :8]) for p in padded] if few else padded

    def together(*arrays: np.ndarray) -> np.ndarray:
        array = np.stack(arrays)
        return array.astype(np.float32) if array.dtype == np.float64 else array

    return jax.tree.map(together, *padded)


def _pad(problem: AlignmentProblem, size: dict[str, int]) -> AlignmentProblem:
    def more(x: np.ndarray, axis: int, count: int, keep: bool = True) -> np.ndarray:
        """Copies of the first, or zeros, up to a count."""
        extra = np.take(x, np.zeros(count - x.shape[axis], int), axis)
        return np.concatenate([x, extra if keep else np.zeros_like(extra)], axis)

    t, o, c, k = (size[axis] for axis in "TOCK")
    away = np.concatenate([problem.samples, np.full((o - len(problem.samples), *problem.samples.shape[1:]), 1e3)])
    return dataclasses.replace(
        problem,
        points=more(problem.points, 0, t), frame=more(problem.frame, 0, t, False), side=more(problem.side, 0, t),
        planes=more(problem.planes, 0, k), piece_object=more(problem.piece_object, 0, k),
        poses=more(problem.poses, 0, o), free=more(problem.free, 0, o, False),
        held=more(problem.held, 1, o), samples=away,
        active=more(more(problem.active, 1, c, False), 0, t, False), contact_object=more(problem.contact_object, 0, c),
        patch=more(more(problem.patch, 1, c), 0, t),
        partner_points=more(problem.partner_points, 0, c), partner_normals=more(problem.partner_normals, 0, c),
    )  # fmt: skip


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _evenly(x: np.ndarray, count: int) -> np.ndarray:
    return x[np.linspace(0, len(x) - 1, count).astype(int)]


def _partners(thing, patch: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples and normals ``(S, 3)`` of an object that may carry a patch ``(M, 3)`` facing ``side``, object's frame.

    Where a part rests there is as much surface as the part is wide: rims, rungs and armrests do not carry a pelvis.

    Raises:
      ValueError: nothing of the object faces the part.
    """
    points, normals = np.asarray(thing.points, np.float64), np.asarray(thing.normals, np.float64)
    facing = normals @ side < OPPOSED
    if not facing.any():
        raise ValueError(f"contacts: {thing.name}: expected a surface that faces the part, found none")
    points, normals = points[facing], normals[facing]
    across = points - (points @ side)[:, None] * side
    middle = patch.mean(0) - (patch.mean(0) @ side) * side
    spread = patch - (patch @ side)[:, None] * side - middle
    disc = min(_DISC, float(np.sqrt((spread**2).sum(1).mean())))
    around = cKDTree(across).query_ball_point(across, disc)
    level = points @ side
    room = np.array([(np.abs(level[near] - level[i]) < _FLAT).sum() for i, near in enumerate(around)])
    fit = room >= _FULL * np.percentile(room, 95)
    away = np.linalg.norm(across - middle, axis=1)
    fit &= away <= max(_REACH, away[fit].min() + 0.1)
    chosen = np.resize(_evenly(np.flatnonzero(fit), min(_PARTNERS, int(fit.sum()))), _PARTNERS)
    return points[chosen], normals[chosen]
