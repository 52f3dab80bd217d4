"""What touches what, found anew at every step of alignment. JAX.

For each contact the deepest point of its patch and the sample of the object below it; for each part and convex piece
the face that the part is least far behind, the same for all its points, and for each tile of skin the deepest point
behind such a face and within its piece. The side of a plate belongs to the part as a whole: points beyond its middle do
not slip out at its back. Faces that would push a part the way it rests are no choice where the object is held to be on
that side, nor any that would push down who sits on the object.

Only parts with a tile whose ball reaches into a piece are looked at, a pair of part and piece at a time.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mjxhuman.alignment.legs import Placement, placement
from mjxhuman.alignment.problem import AlignmentProblem
from mjxhuman.math import rotation
from mjxhuman.types import Array

#: Cosine above which a face would push a part the way that it rests.
_WRONG = 0.5
#: Faces that oppose the chosen one by this much do not bound what is behind it.
_BEHIND = -0.5
#: m, the middle of a part may be so far beside the places that carry it without cost.
SLACK = 0.03

Unknowns: TypeAlias = dict[str, Array]


class Pushes(NamedTuple):
    """What a step looks at, per frame: points and planes that its residuals are made of."""

    deep: Array  # (T, J, 3) m, the deepest point of each tile, before the person is moved
    face: Array  # (T, J, 4) the plane it is behind, frame of its object
    owner: Array  # (T, J) int, that object
    inside: Array  # (T, J) 1 where it is
    low: Array  # (T, J, 3) m, the tile's lowest point, before
    touch: Array  # (T, C, 3) m, the point of each contact's patch that is deepest
    touch_limb: Array  # (T, C) int, the limb it is on
    ground: Array  # (T, C, 3) and the sample below it, object's frame
    up: Array  # (T, C, 3) its normal
    seat: Array  # (T, C, 3) the sample nearest below the patch's middle, object's frame


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


def limbs(problem: AlignmentProblem, unknowns: Unknowns) -> Placement:
    """Where the limbs of the person go."""
    return placement(problem.legs, unknowns["person"], unknowns.get("legs"))


def look(problem: AlignmentProblem, tile_part: tuple[int, ...], unknowns: Unknowns) -> Pushes:
    """What touches what."""
    place, turn, size = placed(problem, unknowns)
    body = limbs(problem, unknowns)
    owner = problem.piece_object
    normal = jnp.einsum("kij,kfj->kfi", turn[owner], problem.planes[..., :3])
    offset = size[owner, None] * problem.planes[..., 3] + jnp.einsum("kfi,ki->kf", normal, place[owner])
    depth, at, piece, face = _deepest(problem, body, normal, offset, tile_part)
    pick = lambda index: jnp.take_along_axis(problem.points, index[..., None, None], 3)[..., 0]  # noqa: E731
    rise = problem.points[:, :, 2]
    if body.turn is not None:  # what is lowest when the limb is turned
        rise = jnp.einsum("tji,tjin->tjn", body.turn[:, problem.limb, 2], problem.points)
    return Pushes(
        deep=pick(at), face=problem.planes[piece, face], owner=owner[piece], inside=(depth > 0).astype(rise.dtype),
        low=pick(jnp.argmin(rise, -1)), **_contacts(problem, body, place, turn, size),
    )  # fmt: skip


def _tables(tile_part: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Tiles of each part ``(P, W)``, the last repeats; where each tile is in that table, flat ``(J,)``."""
    part = np.array(tile_part)
    own = [np.flatnonzero(part == p) for p in range(part.max() + 1)]
    wide = max(len(tiles) for tiles in own)
    table = np.stack([np.concatenate([tiles, np.repeat(tiles[-1:], wide - len(tiles))]) for tiles in own])
    return table, part * wide + np.arange(len(part)) - np.searchsorted(part, part)


def _deepest(
    problem: AlignmentProblem, body: Placement, normal: Array, offset: Array, tile_part: tuple[int, ...]
) -> tuple[Array, Array, Array, Array]:
    """For each tile ``(T, J)`` the greatest depth behind the chosen face of a piece; which point, piece and face."""
    tiles, back = _tables(tile_part)
    tiles = jnp.asarray(tiles)
    (pieces, faces), owner = normal.shape[:2], problem.piece_object
    middle = body.points(problem.balls[..., :3], problem.limb)
    reach = [middle @ normal[:, f].T - offset[:, f] for f in range(faces)]  # (T, J, K)
    near = functools.reduce(jnp.maximum, reach) < problem.balls[..., 3:]
    near = jnp.any(near[:, tiles], 2)  # (T, P, K)

    def frame(points: Array, side: Array, sat: Array, near: Array, turn: Array | None, move: Array) -> list[Array]:
        def pair(state: Any) -> Any:
            left, *best = state
            at = jnp.argmax(left)
            p, k = at // pieces, at % pieces
            x, n, d, which = points[tiles[p]], normal[k], offset[k], owner[k]  # (W, 3, N)
            limb = problem.limb[tiles[p]]
            if turn is None:
                x = x + move[0][:, None]
            else:
                x = jnp.einsum("wij,wjn->win", turn[limb], x) + move[limb][..., None]
            x = jnp.moveaxis(x, (1, 2), (0, 1))  # (3, N, W)
            height = n[:, 0, None, None] * x[0] + n[:, 1, None, None] * x[1] + n[:, 2, None, None] * x[2]
            height = height - d[:, None, None]  # (F, N, W)
            apart = jnp.min(_least(height), -1)
            wrong = (problem.held[p, which] & (n @ side[p] > _WRONG)) | (n @ sat[which] > _WRONG)
            face = jnp.argmax(jnp.where(wrong, -jnp.inf, apart))
            bounds = n @ n[face] >= _BEHIND
            beyond = jnp.max(jnp.where(bounds[:, None, None], height, -jnp.inf), 0)
            depth = jnp.where(beyond < 0, -height[face], 0)  # (N, W)
            most = jnp.max(depth, 0)
            new = most, jnp.min(jnp.where(depth == most, jnp.arange(len(depth))[:, None], len(depth)), 0), k, face
            more = new[0] > best[0][p]
            best = [old.at[p].set(jnp.where(more, x, old[p])) for old, x in zip(best, new, strict=True)]
            return left.at[at].set(False), *best

        none = jnp.zeros(tiles.shape, jnp.int32)
        start = near.reshape(-1), jnp.zeros(tiles.shape, points.dtype), none, none, none
        _, *best = jax.lax.while_loop(lambda state: jnp.any(state[0]), pair, start)
        return [x.reshape(-1)[back] for x in best]

    turn = None if body.turn is None else 0
    return jax.vmap(frame, in_axes=(0, 0, 0, 0, turn, 0))(  # type: ignore[return-value]
        problem.points, problem.side, problem.sat, near, body.turn, body.move
    )


def _least(x: Array) -> Array:
    """Minimum over the second axis of ``(F, N, W)`` by halves, which a processor does many at a time."""
    while x.shape[1] > 1:
        half = x.shape[1] // 2
        x = jnp.concatenate([jnp.minimum(x[:, :half], x[:, half : 2 * half]), x[:, 2 * half :]], 1)
    return x[:, 0]


def _contacts(problem: AlignmentProblem, body: Placement, place: Array, turn: Array, size: Array) -> dict[str, Array]:
    on = problem.contact_object
    local = turn[on], place[on], size[on]

    def into(x: Array) -> Array:  # (T, C, ..., 3) world to the contact's object
        extra = (1,) * (x.ndim - 3)
        apart = (x - local[1].reshape(-1, *extra, 3)) / local[2].reshape(-1, *extra, 1)
        return jnp.einsum("cji,tc...j->tc...i", local[0], apart)

    patch = into(body.points(problem.patch, problem.patch_limb))  # (T, C, M, 3)
    up = problem.partner_normals  # (C, S, 3)
    across, along, sample = _below(jnp.concatenate([patch, jnp.mean(patch, 2, keepdims=True)], 2), problem)
    over = across[..., :-1] < (2 * SLACK) ** 2
    gap = jnp.where(over | ~jnp.any(over, -1, keepdims=True), along[..., :-1], jnp.inf)
    deepest = jnp.argmin(gap, -1)[..., None]  # (T, C, 1)
    below, nearest = jnp.take_along_axis(sample, deepest, -1), sample[..., -1:]
    pick = lambda table, index: jnp.take_along_axis(table[None], index[..., None], 2)[:, :, 0]  # noqa: E731
    return {
        "touch": jnp.take_along_axis(problem.patch, deepest[..., None], 2)[:, :, 0],
        "touch_limb": jnp.take_along_axis(problem.patch_limb[None], deepest, 2)[..., 0],
        "ground": pick(problem.partner_points, below), "up": pick(up, below),
        "seat": pick(problem.partner_points, nearest),
    }  # fmt: skip


def _below(points: Array, problem: AlignmentProblem) -> tuple[Array, Array, Array]:
    """For points ``(T, C, M, 3)`` in their objects' frames the sample with the nearest normal: the square of their
    distance to that line, how far along it they are, m, and which it is."""
    x = [points[..., i] for i in range(3)]

    def sample(best: Any, one: Any) -> tuple[Any, None]:
        place, up, index = one  # (C, 3), (C, 3): one by one, so that all points are a vector
        apart = [x[i] - place[:, i, None] for i in range(3)]
        along = apart[0] * up[:, 0, None] + apart[1] * up[:, 1, None] + apart[2] * up[:, 2, None]
        across = apart[0] * apart[0] + apart[1] * apart[1] + apart[2] * apart[2] - along * along
        less = across < best[0]
        new = across, along, jnp.broadcast_to(index, across.shape)
        return tuple(jnp.where(less, u, v) for u, v in zip(new, best, strict=True)), None

    start = jnp.full_like(x[0], jnp.inf), jnp.zeros_like(x[0]), jnp.zeros(x[0].shape, jnp.int32)
    tables = [jnp.swapaxes(table, 0, 1) for table in (problem.partner_points, problem.partner_normals)]
    found, _ = jax.lax.scan(sample, start, (*tables, jnp.arange(len(tables[0]), dtype=jnp.int32)), unroll=8)
    return found  # type: ignore[return-value]
