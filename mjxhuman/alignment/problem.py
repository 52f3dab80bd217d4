"""What is to be aligned as padded arrays: one layout for many scenes, so that one program solves them together."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import jax
import numpy as np
from flax import struct
from jaxtyping import Bool, Float, Int

from mjxhuman.alignment.contacts import ENTER, PartContact
from mjxhuman.alignment.legs import Legs
from mjxhuman.alignment.skin import FEET, Skin
from mjxhuman.alignment.views import Views
from mjxhuman.math import quaternion
from mjxhuman.scenes.types import Parts, Scene, SceneObject
from mjxhuman.types import Array

#: Points of a tile: a piece of one part's skin, of which the deepest point counts.
TILE = 24
#: Faces of a piece for the solver; how far it may bulge without the others, m, and how far where it has no face at all.
FACES, _BULGE, _FAR = 24, 0.001, 10.0
#: A place of an object may carry a part where their normals oppose each other by this much.
OPPOSED = -0.7
#: Places that may carry, per contact; how far from the part they are looked for, on a grid of which step, and how much
#: farther than the nearest they may be, m.
_PARTNERS, _REACH, _GRID, _AROUND = 96, 0.6, 0.025, 0.25
#: Points of a patch.
_PATCH = 64
#: Largest radius that must be level below a part, m, how level, m, and the share of it that must be.
_DISC, _FLAT, _FULL = 0.10, 0.02, 0.95
#: A disc so many times as wide tells a seat from a broad armrest: this much of the greatest share must be level. And
#: the cosine of the slope that a seat may have.
_WIDER, _MOST, _LEVEL = 1.7, 0.7, 0.866
#: Samples of an object that must not be in another.
_OWN_SAMPLES = 256


@struct.dataclass
class AlignmentProblem:
    """One scene and one body. ``T`` frames, ``J`` tiles, ``P`` parts, ``C`` contacts, ``M`` points of
    a patch; ``*b`` is there where problems are stacked."""

    points: Float[Array, "*b T J 3 N"]  # m, world: the skin in tiles
    balls: Float[Array, "*b T J 4"]  # m, middle and radius of what holds each tile
    limb: Int[Array, "*b J"]  # of each tile: ``legs.LIMBS``, 0 for the rest
    legs: Legs
    views: Views
    stands: Bool[Array, "*b T 2"]  # feet that are on the ground
    frame: Bool[Array, "*b T"]  # frames that count
    side: Float[Array, "*b T P 3"]  # unit: where the side of a part that carries load faces
    planes: Float[Array, "*b K F 4"]  # of all objects' pieces, in their objects' frames
    piece_object: Int[Array, "*b K"]
    poses: Float[Array, "*b O 7"]
    free: Bool[Array, "*b O"]  # objects that may be moved
    held: Bool[Array, "*b P O"]  # the object is on the bearing side of the part
    sat: Float[Array, "*b T O 3"]  # side of the pelvis where it sits on the object, else 0: no part is pushed that way
    samples: Float[Array, "*b O S 3"]  # m, of the objects' surfaces
    active: Bool[Array, "*b T C"]
    contact_object: Int[Array, "*b C"]
    patch: Float[Array, "*b T C M 3"]  # m, world: bearing points of the contact's part
    patch_limb: Int[Array, "*b C M"]
    partner_points: Float[Array, "*b C R 3"]  # m, object frame
    partner_normals: Float[Array, "*b C R 3"]
    interval: Float[Array, "*b T"]  # s from the frame before


@dataclasses.dataclass(frozen=True)
class Tiles:
    """How a skin is cut into tiles."""

    index: np.ndarray  # (J, TILE) int into the skin's points; the last of a part repeat
    part: np.ndarray  # (J,) int


@functools.lru_cache(maxsize=32)
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
    """Planes ``(K, FACES, 4)`` of each piece of an object, those first without which the others would bulge most.

    Faces that the others imply to ``_BULGE`` are left out; the last repeats.
    """
    result = []
    own = np.asarray(parts.mask, bool)
    for corners, planes in zip(np.asarray(parts.vertices)[own], np.asarray(parts.planes)[own], strict=True):
        normals, offsets = planes[:, :3], planes[:, 3]
        on = np.abs(corners @ normals.T - offsets) < 1e-6  # (V, F)
        middles = (on.T @ corners) / np.maximum(on.sum(0), 1)[:, None]
        chosen = [int(np.argmax(normals[:, axis] * sign)) for axis in range(3) for sign in (1, -1)]
        chosen = list(dict.fromkeys(chosen))
        while len(chosen) < FACES:
            slope = normals @ normals[chosen].T
            room = (offsets[chosen] - middles @ normals[chosen].T) / np.where(slope > 1e-3, slope, np.nan)
            bulge = np.nanmin(np.where(np.isnan(room), _FAR, room), 1)
            if bulge.max() < _BULGE:
                break
            chosen.append(int(bulge.argmax()))
        chosen += chosen[-1:] * (FACES - len(chosen))
        result.append(planes[chosen])
    return np.stack(result)


def make_problem(
    scene: Scene,
    skin: Skin,
    points: np.ndarray,
    normals: np.ndarray,
    contacts: Sequence[PartContact],
    frames: np.ndarray,
    interval: np.ndarray,
    limbs: np.ndarray,
    legs: Legs,
    views: Views,
) -> AlignmentProblem:
    """The problem of one scene, not padded.

    Args:
      scene: poses ``(O, 7)``.
      skin: of the body.
      points, normals: ``(T, N, 3)`` of its skin at the frames looked at.
      contacts: at least one.
      frames: ``(T,)`` their numbers in the motion, in which the contacts count time.
      interval: ``(T,)`` s from the frame before.
      limbs: ``(B,)`` the limb of each body.
      legs, views: at those frames.
    """
    tiles, names = tiles_of(skin), list(scene.names)
    bearing = [(skin.part == p) & skin.bearing for p in range(len(skin.names))]
    side = np.stack([_unit(normals[:, own].mean(1)) for own in bearing], 1)
    pieces = [outer_planes(thing.parts) for thing in scene.objects]
    poses = np.asarray(scene.poses, np.float64)
    held = np.zeros((len(skin.names), len(names)), bool)
    rows, sat = [], np.zeros((len(points), len(names), 3))
    for contact in contacts:
        part, which = skin.names.index(contact.part), names.index(contact.object)
        held[part, which] = True
        if contact.part == "Pelvis":  # whoever sits on a thing has the back of thighs and trunk towards it
            held[[skin.names.index(name) for name in ("L_Thigh", "R_Thigh", "Back")], which] = True
            sat[:, which] = side[:, part]
        on, own = contact.during(frames), _patch_of(bearing[part])
        patch, at = points[:, own], _typical(on, side[:, part])
        partners = _partners_of(contact, scene.objects[which], poses[which], patch[at], side[at, part])
        rows.append((on, which, patch, limbs[skin.body[own]], *partners))
    active, objects, patches, patch_limbs, partner_points, partner_normals = zip(*rows, strict=True)
    samples = np.stack([_evenly(np.asarray(thing.points), _OWN_SAMPLES) for thing in scene.objects])
    tiled = points[:, tiles.index]  # (T, J, N, 3)
    middle = 0.5 * (tiled.min(2) + tiled.max(2))
    radius = np.linalg.norm(tiled - middle[:, :, None], axis=-1).max((0, 2))  # of all frames: rounding may differ
    balls = np.concatenate([middle, np.broadcast_to(radius[:, None], (*middle.shape[:2], 1))], -1)
    return AlignmentProblem(
        points=np.swapaxes(tiled, 2, 3), balls=balls, limb=limbs[skin.body[tiles.index[:, 0]]], legs=legs, views=views,
        stands=_standing(skin, points), frame=np.ones(len(points), bool), side=side, planes=np.concatenate(pieces),
        piece_object=np.repeat(np.arange(len(pieces)), [len(p) for p in pieces]), poses=poses,
        free=np.array([thing.free for thing in scene.objects]), held=held, sat=sat, samples=samples,
        active=np.stack(active, 1), contact_object=np.array(objects), patch=np.stack(patches, 1),
        patch_limb=np.stack(patch_limbs),
        partner_points=np.stack(partner_points), partner_normals=np.stack(partner_normals),
        interval=np.asarray(interval, np.float64),
    )  # fmt: skip


#: Sizes that arrays are padded to: frames, objects, contacts, pieces, cameras.
_SIZES = {
    "T": (1, 8, 24, 32, 40), "O": (1, 2, 4, 8), "C": (1, 2, 4, 8, 16), "K": (4, 6, 8, 12, 16, 24, 32, 48, 64),
    "V": (0, 1, 2, 4),
}  # fmt: skip


def stack(problems: Sequence[AlignmentProblem]) -> AlignmentProblem:
    """Problems with one leading axis, float32, padded to one layout; what is added changes no solution."""
    shapes = {"T": (0, "points"), "O": (0, "poses"), "C": (0, "contact_object"), "K": (0, "planes")}
    most = max(problem.views.weight.shape[1] for problem in problems)
    size = {"V": next((n for n in _SIZES["V"] if n >= most), most)}
    for axis, (i, name) in shapes.items():
        most = max(np.shape(getattr(problem, name))[i] for problem in problems)
        size[axis] = next((n for n in _SIZES[axis] if n >= most), most)
    padded = [_pad(problem, size) for problem in problems]
    faces = max(len(np.unique(plane, axis=0)) for p in padded for plane in p.planes)
    faces = next(n for n in (6, 8, 12, 16, FACES) if n >= faces)
    padded = [dataclasses.replace(p, planes=p.planes[:, :faces]) for p in padded]

    def together(*arrays: np.ndarray) -> np.ndarray:
        array = np.stack(arrays)
        return array.astype(np.float32) if array.dtype == np.float64 else array

    return jax.tree.map(together, *padded)


def _pad(problem: AlignmentProblem, size: dict[str, int]) -> AlignmentProblem:
    def more(x: np.ndarray, axis: int, count: int, keep: bool = True) -> np.ndarray:
        """Copies of the first, or zeros, up to a count."""
        extra = np.take(x, np.zeros(count - x.shape[axis], int), axis)
        return np.concatenate([x, extra if keep else np.zeros_like(extra)], axis)

    t, o, c, k, v = (size[axis] for axis in "TOCKV")
    views = problem.views
    seen = [
        np.concatenate([x, np.zeros((len(x), v - x.shape[1], *x.shape[2:]))], 1)
        for x in (views.rows, views.uv, views.weight)
    ]
    rows, uv, weight = (more(x, 0, t, False) for x in seen)
    away = np.concatenate([problem.samples, np.full((o - len(problem.samples), *problem.samples.shape[1:]), 1e3)])
    return dataclasses.replace(
        problem,
        points=more(problem.points, 0, t), balls=more(problem.balls, 0, t), stands=more(problem.stands, 0, t, False),
        legs=jax.tree.map(lambda x: more(x, 0, t), problem.legs),
        views=Views(rows, uv, weight, more(views.joints, 0, t), views.limb), frame=more(problem.frame, 0, t, False),
        side=more(problem.side, 0, t),
        planes=more(problem.planes, 0, k), piece_object=more(problem.piece_object, 0, k),
        poses=more(problem.poses, 0, o), free=more(problem.free, 0, o, False),
        held=more(problem.held, 1, o), sat=more(more(problem.sat, 1, o), 0, t), samples=away,
        active=more(more(problem.active, 1, c, False), 0, t, False), contact_object=more(problem.contact_object, 0, c),
        patch=more(more(problem.patch, 1, c), 0, t), patch_limb=more(problem.patch_limb, 0, c),
        partner_points=more(problem.partner_points, 0, c), partner_normals=more(problem.partner_normals, 0, c),
        interval=more(problem.interval, 0, t),
    )  # fmt: skip


class NoSurfaceError(ValueError):
    """Nothing of an object faces the part of the body that is to touch it."""


def has_surface(
    contact: PartContact, scene: Scene, skin: Skin, points: np.ndarray, normals: np.ndarray, frames: np.ndarray
) -> bool:
    """Whether anything of a contact's object faces its part while it lasts; arguments as those of ``make_problem``."""
    own, which = (skin.part == skin.names.index(contact.part)) & skin.bearing, scene.names.index(contact.object)
    sides = _unit(normals[:, own].mean(1))
    at = _typical(contact.during(frames), sides)
    patch, pose = points[at, _patch_of(own)], np.asarray(scene.poses[which], np.float64)
    try:
        _partners_of(contact, scene.objects[which], pose, patch, sides[at])
    except NoSurfaceError:
        return False
    return True


def _typical(on: np.ndarray, sides: np.ndarray) -> int:
    """Which of the frames ``on (T,)`` has the side of a part, of ``sides (T, 3)``, as it is in the mean."""
    rows = np.flatnonzero(on)
    return int(rows[np.argmax(sides[rows] @ sides[rows].mean(0))])


def _patch_of(bearing: np.ndarray) -> np.ndarray:
    """``_PATCH`` points of the side of a part that carries load, of ``bearing (N,)``."""
    own = np.flatnonzero(bearing)
    return np.resize(own, _PATCH) if len(own) < _PATCH else _evenly(own, _PATCH)


def _partners_of(
    contact: PartContact, thing: SceneObject, pose: np.ndarray, patch: np.ndarray, side: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``_partners`` of a patch ``(M, 3)`` in the world; only what is level carries a pelvis."""
    turn = quaternion.conjugate(pose[3:])
    up = quaternion.rotate(turn, np.array([0.0, 0.0, 1.0])) if contact.part == "Pelvis" else None
    return _partners(thing, quaternion.rotate(turn, patch - pose[:3]), quaternion.rotate(turn, side), up)


def _standing(skin: Skin, points: np.ndarray) -> np.ndarray:
    """Feet ``(T, 2)`` that are on the ground: no more than ``ENTER`` over the lowest that a foot comes to."""
    feet = [skin.part == skin.names.index(name) for name in FEET]
    low = np.stack([points[:, own, 2].min(1) for own in feet], 1)
    return low < low.min() + ENTER


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _evenly(x: np.ndarray, count: int) -> np.ndarray:
    return x[np.linspace(0, len(x) - 1, count).astype(int)]


def _partners(
    thing: SceneObject, patch: np.ndarray, side: np.ndarray, up: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Points and normals ``(S, 3)`` of an object that may carry a patch ``(M, 3)`` facing ``side``, in its frame.

    They are what a grid of lines along ``side`` meets first. Where a part rests there is as much level surface as the
    part is wide: rims, rungs and armrests do not carry a pelvis, nor does what slopes by more than 30 degrees from
    ``up``, where it is given: backrests.

    Raises:
      NoSurfaceError: nothing of the object faces the part.
    """
    parts = thing.parts
    planes = np.asarray(parts.planes, np.float64)[np.asarray(parts.mask, bool)]
    corners = np.asarray(parts.vertices, np.float64)[np.asarray(parts.mask, bool)].reshape(-1, 3)
    middle = patch.mean(0)
    across = np.linalg.svd(side[None])[2][1:]  # two axes across the side
    low, high = ((corners - middle) @ across.T).min(0), ((corners - middle) @ across.T).max(0)
    axes = [np.arange(max(low[i], -_REACH), min(high[i], _REACH) + _GRID, _GRID) for i in (0, 1)]
    flat = np.stack(np.meshgrid(*axes, indexing="ij"), -1)  # (X, Y, 2) m
    low_side = ((corners - middle) @ side).min()
    start = middle + flat @ across + low_side * side
    level, normal = np.full(flat.shape[:2], np.inf), np.zeros((*flat.shape[:2], 3))
    for faces in planes:  # what a line meets first, piece by piece
        slope = faces[:, :3] @ side
        room = (faces[:, 3] - faces[:, :3] @ (middle + low_side * side))[:, None, None]
        aside = faces[:, :3] @ across.T
        room = room - aside[:, 0, None, None] * axes[0][:, None] - aside[:, 1, None, None] * axes[1]
        front, back = slope < -1e-9, slope > 1e-9
        enter = room[front] / slope[front, None, None]
        leave = (room[back] / slope[back, None, None]).min(0)
        face, first = enter.argmax(0), enter.max(0)
        met = (first < leave) & (first < level) & (room[~front & ~back] >= 0).all(0)
        level[met], normal[met] = first[met], faces[front, :3][face[met]]
    facing = np.isfinite(level) & (normal @ side < OPPOSED)
    if up is not None:
        facing &= normal @ up > _LEVEL
    if not facing.any():
        raise NoSurfaceError(f"contacts: {thing.name}: expected a surface that faces the part, found none")
    places = start + np.where(facing, level, 0.0)[..., None] * side
    disc = min(_DISC, float(np.sqrt(((patch - middle) ** 2).sum(1).mean())))
    rise = np.where(facing, level, 0.0), normal @ side, [normal @ way for way in across]
    share, wide = (_level_around(rise, facing, radius) for radius in (disc, _WIDER * disc))
    fit = facing & (share >= min(_FULL, share[facing].max()))
    fit &= wide >= _MOST * wide[fit].max()
    points, normals, away = places[fit], normal[fit], np.linalg.norm(flat, axis=-1)[fit]
    near = np.flatnonzero(away <= away.min() + _AROUND)
    chosen = near[np.linspace(0, len(near) - 1, _PARTNERS).astype(int)]
    return points[chosen], normals[chosen]


def _level_around(rise: tuple[np.ndarray, np.ndarray, list[np.ndarray]], there: np.ndarray, disc: float) -> np.ndarray:
    """Share of the disc of a radius in m around each node ``(X, Y)`` of a grid that is level with it.

    Args:
      rise: how far along the side the surface is at each node, m, and the components of its normal along the side and
        across it.
    """
    level, along, across = rise
    steps = int(disc / _GRID)
    reach = range(-steps, steps + 1)
    x, y = there.shape
    wide, exists = np.pad(level, steps), np.pad(there, steps)
    flat, count = np.zeros((x, y)), 0
    for i, j in ((i, j) for i in reach for j in reach if np.hypot(i, j) * _GRID <= disc):
        rows, columns = slice(steps + i, steps + i + x), slice(steps + j, steps + j + y)
        above = (wide[rows, columns] - level) * along + _GRID * (i * across[0] + j * across[1])
        flat += exists[rows, columns] & (np.abs(above) < _FLAT)
        count += 1
    return flat / count
