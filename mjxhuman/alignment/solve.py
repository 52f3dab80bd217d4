"""Alignment by damped least squares on contacts that know their direction. JAX.

Every step finds anew what touches what: for each contact the deepest point of its patch and the sample of the object
below it; for each part and convex piece the face that the part is least far behind, the same for all its points, and
for each tile of skin the deepest point behind such a face and within its piece. The side of a plate belongs to the
part as a whole: points beyond its middle do not slip out at its back. Faces that would push a part the way it rests are
no choice where the object is held to be on that side, nor any that would push down who sits on the object.
"""

from __future__ import annotations

import functools
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from mjxhuman.alignment.problem import AlignmentProblem
from mjxhuman.math import rotation
from mjxhuman.physics.batching import CPU_OPTIONS
from mjxhuman.types import Array

#: m (and s, rad) at which a residual is 1: a contact's gap or depth, its tangential excess and where that begins,
#: penetration, soles under the floor, and how far person and objects may be from where they were seen.
GAP, SLIDE, SLACK, DEPTH, FLOOR, PERSON, OBJECT = 0.005, 0.02, 0.03, 0.004, 0.01, 0.15, 0.20
#: Correction of the person that changes by this much per second weighs 1; yaw in rad; logarithm of the scale.
DRIFT, YAW, SCALE = 0.20, 0.17, 0.05
#: Steps from every start, none longer than this, m; starts that are followed further, by steps that shrink to this, m.
STEPS, STEP, KEPT, FINE_STEPS, LAST = 14, 0.05, 2, 16, 0.002
_DAMPING = 1e-3
#: One in so many samples of an object is looked for in the others.
_THINNED = 4
#: Cosine above which a face would push a part the way that it rests.
_WRONG = 0.5
#: Faces that oppose the chosen one by this much do not bound what is behind it.
_BEHIND = -0.5
#: Starts: as given, lifted, and lifted and shifted to each side, m.
STARTS = np.array(
    [[0, 0, 0], [0, 0, 0.10], [0.12, 0, 0.10], [-0.12, 0, 0.10], [0, 0.12, 0.10], [0, -0.12, 0.10]]
)  # fmt: skip

Unknowns: TypeAlias = dict[str, Array]


class Pushes(NamedTuple):
    """What a step looks at, per frame: points and planes that its residuals are made of."""

    deep: Array  # (T, J, 3) m, the deepest point of each tile, before the person is moved
    face: Array  # (T, J, 4) the plane it is behind, frame of its object
    owner: Array  # (T, J) int, that object
    inside: Array  # (T, J) 1 where it is
    low: Array  # (T, J) m, height of the tile's lowest point, before
    touch: Array  # (T, C, 3) m, the point of each contact's patch that is deepest
    ground: Array  # (T, C, 3) and the sample below it, object's frame
    up: Array  # (T, C, 3) its normal
    middle: Array  # (T, C, 3) m, of the patch
    seat: Array  # (T, C, 3) the sample nearest below the middle, object's frame


def start_of(problem: AlignmentProblem, yaw: bool, scale: bool) -> Unknowns:
    """Unknowns that change nothing."""
    frames, objects = problem.points.shape[0], problem.poses.shape[0]
    dtype = problem.points.dtype
    unknowns = {"person": jnp.zeros((frames, 3), dtype), "object": jnp.zeros((objects, 2), dtype)}
    if yaw:
        unknowns["yaw"] = jnp.zeros(objects, dtype)
    if scale:
        unknowns["scale"] = jnp.zeros(objects, dtype)
    return unknowns


def placed(problem: AlignmentProblem, unknowns: Unknowns) -> tuple[Array, Array, Array]:
    """Position ``(O, 3)``, rotation ``(O, 3, 3)`` and scale ``(O,)`` of the objects."""
    free = problem.free.astype(problem.points.dtype)
    place = problem.poses[:, :3] + jnp.pad(unknowns["object"] * free[:, None], ((0, 0), (0, 1)))
    quat = problem.poses[:, 3:]
    if "yaw" in unknowns:
        half = 0.5 * unknowns["yaw"] * free
        zero = jnp.zeros_like(half)
        quat = rotation.multiply(jnp.stack([jnp.cos(half), zero, zero, jnp.sin(half)], -1), quat)
    size = jnp.exp(unknowns["scale"] * free) if "scale" in unknowns else jnp.ones_like(free)
    return place, rotation.to_matrix(quat), size


def look(problem: AlignmentProblem, tile_part: tuple[int, ...], unknowns: Unknowns) -> Pushes:
    """What touches what."""
    place, turn, size = placed(problem, unknowns)
    owner = problem.piece_object
    normal = jnp.einsum("kij,kfj->kfi", turn[owner], problem.planes[..., :3])
    offset = size[owner, None] * problem.planes[..., 3] + jnp.einsum("kfi,ki->kf", normal, place[owner])
    points = problem.points + unknowns["person"][:, None, None]
    depth, piece, face = _deepest(points, normal, offset, problem, owner, tile_part)
    at = jnp.argmax(depth, -1)  # (T, J)
    piece, face, inside = (jnp.take_along_axis(x, at[..., None], -1)[..., 0] for x in (piece, face, depth))
    touch = _contacts(problem, place, turn, size, unknowns["person"])
    return Pushes(
        deep=jnp.take_along_axis(problem.points, at[..., None, None], 2)[:, :, 0],
        face=problem.planes[piece, face], owner=owner[piece], inside=(inside > 0).astype(points.dtype),
        low=jnp.min(problem.points[..., 2], -1), **touch,
    )  # fmt: skip


def _deepest(
    points: Array, normal: Array, offset: Array, problem: AlignmentProblem, owner: Array, tile_part: tuple[int, ...]
) -> tuple[Array, Array, Array]:
    """Depth ``(T, J, M)`` of points behind the chosen face of the piece they are deepest in; that piece and face."""
    count = normal.shape[1]
    x = jnp.moveaxis(points, (3, 2), (0, 1))  # (3, M, T, J)
    spans = [[j for j, p in enumerate(tile_part) if p == part] for part in range(problem.side.shape[1])]
    tile = np.array(tile_part)
    none = jnp.full(x.shape[1:], -jnp.inf, x.dtype)

    def piece(best: tuple[Array, Array, Array], one: tuple[Array, ...]) -> tuple[tuple[Array, Array, Array], None]:
        n, d, which, k = one
        # face by face, so that nothing of faces times points is ever stored
        heights = [n[f, 0] * x[0] + n[f, 1] * x[1] + n[f, 2] * x[2] - d[f] for f in range(count)]  # (M, T, J)
        least = jnp.stack([jnp.min(height, 0) for height in heights])
        apart = jnp.stack([jnp.min(least[..., s[0] : s[-1] + 1], -1) for s in spans], -1)  # (F, T, P)
        wrong = problem.held[:, which] & (jnp.einsum("fi,tpi->ftp", n, problem.side) > _WRONG)
        wrong = wrong | (jnp.einsum("fi,ti->ft", n, problem.sat[:, which]) > _WRONG)[..., None]
        face = jnp.argmax(jnp.where(wrong, -jnp.inf, apart), 0)[:, tile]  # (T, J)
        bounds = (n @ n.T)[face] >= _BEHIND  # (T, J, F)
        beyond, chosen = none, jnp.zeros_like(none)
        for f, height in enumerate(heights):
            beyond = jnp.maximum(beyond, jnp.where(bounds[..., f], height, -jnp.inf))
            chosen = jnp.where(face == f, height, chosen)
        deep = jnp.where(beyond < 0, -chosen, 0)
        more = deep > best[0]
        face = jnp.broadcast_to(face, deep.shape)
        return (jnp.where(more, deep, best[0]), jnp.where(more, k, best[1]), jnp.where(more, face, best[2])), None

    shape = x.shape[1:]
    start = (jnp.zeros(shape, x.dtype), jnp.zeros(shape, jnp.int32), jnp.zeros(shape, jnp.int32))
    found, _ = jax.lax.scan(piece, start, (normal, offset, owner, jnp.arange(len(owner), dtype=jnp.int32)))
    return tuple(jnp.moveaxis(y, 0, -1) for y in found)  # type: ignore[return-value]


def _contacts(problem: AlignmentProblem, place: Array, turn: Array, size: Array, person: Array) -> dict[str, Array]:
    on = problem.contact_object
    local = turn[on], place[on], size[on]

    def into(x: Array) -> Array:  # (T, C, ..., 3) world to the contact's object
        extra = (1,) * (x.ndim - 3)
        apart = (x - local[1].reshape(-1, *extra, 3)) / local[2].reshape(-1, *extra, 1)
        return jnp.einsum("cji,tc...j->tc...i", local[0], apart)

    patch = into(problem.patch + person[:, None, None])  # (T, C, M, 3)
    middle = jnp.mean(patch, 2)
    up = problem.partner_normals  # (C, S, 3)
    apart = patch[..., None, :] - problem.partner_points[:, None]  # (T, C, M, S, 3)
    along = jnp.sum(apart * up[:, None], -1)
    across = jnp.sum(apart * apart, -1) - along**2
    sample = jnp.argmin(across, -1)
    gap = jnp.take_along_axis(along, sample[..., None], -1)[..., 0]
    aside = jnp.take_along_axis(across, sample[..., None], -1)[..., 0]
    over = aside < (2 * SLACK) ** 2
    gap = jnp.where(over | ~jnp.any(over, -1, keepdims=True), gap, jnp.inf)
    deepest = jnp.argmin(gap, -1)[..., None]  # (T, C, 1)
    below = jnp.take_along_axis(sample, deepest, -1)
    apart = middle[:, :, None] - problem.partner_points
    square = jnp.sum(apart**2, -1) - jnp.sum(apart * up, -1) ** 2
    nearest = jnp.argmin(square, -1)[..., None]
    pick = lambda table, index: jnp.take_along_axis(table[None], index[..., None], 2)[:, :, 0]  # noqa: E731
    return {
        "touch": jnp.take_along_axis(problem.patch, deepest[..., None], 2)[:, :, 0],
        "ground": pick(problem.partner_points, below), "up": pick(up, below),
        "middle": jnp.mean(problem.patch, 2), "seat": pick(problem.partner_points, nearest),
    }  # fmt: skip


def residuals(problem: AlignmentProblem, pushes: Pushes, unknowns: Unknowns) -> Array:
    """All residuals, a vector."""
    place, turn, size = placed(problem, unknowns)
    person, on = unknowns["person"], problem.contact_object
    frame = problem.frame.astype(person.dtype)[:, None]
    active = problem.active.astype(person.dtype) * frame

    def world(x: Array, which: Array) -> Array:
        return size[which, None] * jnp.einsum("...ij,...j->...i", turn[which], x) + place[which]

    normal = jnp.einsum("tjab,tjb->tja", turn[pushes.owner], pushes.face[..., :3])
    offset = size[pushes.owner] * pushes.face[..., 3] + jnp.sum(normal * place[pushes.owner], -1)
    height = jnp.sum(normal * (pushes.deep + person[:, None]), -1) - offset
    up = jnp.einsum("cab,tcb->tca", turn[on], pushes.up)
    gap = jnp.sum(up * (pushes.touch + person[:, None] - world(pushes.ground, on)), -1)
    aside = pushes.middle + person[:, None] - world(pushes.seat, on)
    aside = aside - up * jnp.sum(up * aside, -1, keepdims=True)
    length = jnp.sqrt(jnp.sum(aside**2, -1, keepdims=True) + 1e-12)
    rows = [
        -height * pushes.inside * frame / DEPTH,
        jnp.minimum(pushes.low + person[:, 2:], 0) * frame / FLOOR,
        gap * active / GAP,
        aside * jnp.maximum(1 - SLACK / length, 0) * active[..., None] / SLIDE,
        person * frame / PERSON,
        jnp.diff(person, axis=0) * frame[1:] / (DRIFT * problem.interval),
        unknowns["object"] / OBJECT,
        *(unknowns[name] / unit for name, unit in (("yaw", YAW), ("scale", SCALE)) if name in unknowns),
        *([_objects_apart(problem, place, turn, size) / DEPTH] if len(problem.poses) > 1 else []),
    ]
    return jnp.concatenate([row.reshape(-1) for row in rows])


def _objects_apart(problem: AlignmentProblem, place: Array, turn: Array, size: Array) -> Array:
    """Depth in m ``(O,)`` of each object's deepest sample in another object's pieces."""
    count, owner = len(place), problem.piece_object
    samples = problem.samples[:, ::_THINNED]
    world = size[:, None, None] * jnp.einsum("oij,osj->osi", turn, samples) + place[:, None]
    local = (world[:, :, None] - place) / size[:, None]
    local = jnp.einsum("qji,osqj->osqi", turn, local)[:, :, owner]  # (O, S, K, 3)
    height = jnp.max(jnp.einsum("kfi,oski->oskf", problem.planes[..., :3], local) - problem.planes[..., 3], -1)
    other = owner != jnp.arange(count)[:, None]
    return -jnp.minimum(jnp.min(jnp.where(other[:, None], height, jnp.inf), (1, 2)), 0)


def _descend(
    problem: AlignmentProblem, tile_part: tuple[int, ...], like: Unknowns, limits: np.ndarray, first: Array
) -> tuple[Array, Array]:
    """The cheapest place on a path of damped steps from ``first (U,)``, none longer than its limit, and its cost."""
    unravel = ravel_pytree(like)[1]

    def step(state: tuple[Array, Array, Array], limit: Array) -> tuple[tuple[Array, Array, Array], None]:
        x, best, least = state
        pushes = look(problem, tile_part, unravel(x))
        r, pull = jax.linearize(lambda y: residuals(problem, pushes, unravel(y)), x)
        cost = 0.5 * jnp.sum(r**2)
        better = cost < least
        best, least = jnp.where(better, x, best), jnp.where(better, cost, least)
        rows = jax.vmap(pull)(jnp.eye(len(x), dtype=x.dtype))  # (unknowns, residuals)
        square = rows @ rows.T
        damped = square + _DAMPING * jnp.diag(jnp.diag(square)) + 1e-6 * jnp.eye(len(x), dtype=x.dtype)
        move = -_solve_positive(damped, rows @ r)
        move = move * jnp.minimum(1, limit / jnp.maximum(jnp.max(jnp.abs(move)), 1e-9))
        return (x + move, best, least), None

    start = (first, first, jnp.asarray(jnp.inf, first.dtype))
    (_, best, least), _ = jax.lax.scan(step, start, jnp.asarray(limits, first.dtype))
    return best, least


def _solve_positive(matrix: Array, vector: Array) -> Array:
    """Solution of a small positive definite system by elimination: no library call that threads would wait for."""
    count = len(vector)

    def eliminate(table: Array, i: Array) -> tuple[Array, None]:
        pivot = table[i] / table[i, i]
        table = table - table[:, i, None] * pivot
        return table.at[i].set(pivot), None

    table, _ = jax.lax.scan(eliminate, jnp.concatenate([matrix, vector[:, None]], 1), jnp.arange(count))
    return table[:, -1]


@functools.partial(jax.jit, static_argnums=(1, 2, 3), compiler_options=CPU_OPTIONS)
def solve(
    problem: AlignmentProblem, tile_part: tuple[int, ...], yaw: bool = False, scale: bool = False
) -> tuple[Unknowns, Array]:
    """Unknowns of the cheapest of ``STARTS``, and what each costs at first ``(S,)``, of problems with a leading axis B.

    Args:
      problem: every array with an axis of scenes in front.
      tile_part: part of each tile.
      yaw, scale: whether objects may turn about the vertical and change their size.
    """

    def one(problem: AlignmentProblem) -> tuple[Unknowns, Array]:
        like = start_of(problem, yaw, scale)
        vector, unravel = ravel_pytree(like)
        lifts = [ravel_pytree(like | {"person": like["person"] + lift})[0] for lift in STARTS]
        descend = functools.partial(_descend, problem, tile_part, like)
        found, costs = jax.vmap(functools.partial(descend, np.full(STEPS, STEP)))(jnp.stack(lifts))
        kept = found[jnp.argsort(costs)[:KEPT]]
        found, last = jax.vmap(functools.partial(descend, np.geomspace(STEP, LAST, FINE_STEPS)))(kept)
        return unravel(found[jnp.argmin(last)].astype(vector.dtype)), costs

    return jax.lax.map(one, problem)
