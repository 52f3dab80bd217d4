"""Alignment by damped least squares on contacts that know their direction. JAX.

Every step finds anew what touches what (``look``). Unknowns are the person's place in each frame, the objects' places
and, where asked for, their turns about the vertical, their sizes, and the person's legs. Cameras, where they are known,
hold the person to the lines of sight (``views``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from mjxhuman.alignment.legs import ANGLES, LIMBS, beyond_ranges
from mjxhuman.alignment.look import SLACK, Pushes, Unknowns, limbs, look, placed
from mjxhuman.alignment.problem import AlignmentProblem
from mjxhuman.alignment.views import pixel_errors
from mjxhuman.math import rotation
from mjxhuman.physics.batching import CPU_OPTIONS
from mjxhuman.types import Array

#: m at which a residual is 1: a contact's gap or depth, its excess aside, penetration, soles under the floor, and how
#: far person and objects may be from where they were seen.
GAP, SLIDE, DEPTH, FLOOR, PERSON, OBJECT = 0.005, 0.02, 0.004, 0.01, 0.15, 0.20
#: Correction of the person that changes by this much per second weighs 1; yaw in rad; logarithm of the scale.
DRIFT, YAW, SCALE = 0.20, 0.17, 0.05
#: Turn of a leg's joint, rad, and its change per second; height of a sole that stands, or by which who stands on
#: the feet alone is moved, m, and where that loses its say.
LEG, SWAY, SOLE, HANGING = 0.5, 0.5, 0.01, 0.03
#: m, the step of a joint counts as if the limb were so long.
_LEVER = 0.4
#: Steps from every start, none longer than this, m; starts that are followed further, by steps that shrink to this, m.
STEPS, STEP, KEPT, FINE_STEPS, LAST = 14, 0.05, 2, 16, 0.002
_DAMPING = 1e-3
#: SMPL's axis that people face along.
_FORWARD = np.array([0.0, 0.0, 1.0])
#: One in so many samples of an object is looked for in the others.
_THINNED = 4
#: Starts: as given, lifted, and lifted and shifted to each side, m.
_STARTS = np.array(
    [[0, 0, 0], [0, 0, 0.10], [0.12, 0, 0.10], [-0.12, 0, 0.10], [0, 0.12, 0.10], [0, -0.12, 0.10]]
)  # fmt: skip
#: m over the middle of what may carry the parts in contact, further starts.
_OVER = np.array([[0, 0, 0.03], [0, 0, 0.12]])
#: m before the person, further starts where legs turn, lifted too: on a seat that is high for their legs people sit
#: near its front edge, so that thighs slope down and soles are on the floor.
_AHEAD = (0.12, 0.20)


def start_of(problem: AlignmentProblem, free: tuple[str, ...] = ()) -> Unknowns:
    """Unknowns that change nothing; ``free`` of "yaw", "scale" and "legs" are among them."""
    frames, objects = problem.points.shape[0], problem.poses.shape[0]
    shapes = {"yaw": (objects,), "scale": (objects,), "legs": (frames, 2, ANGLES)}
    shapes = {"person": (frames, 3), "object": (objects, 2)} | {name: shapes[name] for name in free}
    return {name: jnp.zeros(shape, problem.points.dtype) for name, shape in shapes.items()}


def residuals(problem: AlignmentProblem, pushes: Pushes, unknowns: Unknowns) -> Array:
    """All residuals, a vector."""
    return jnp.concatenate([row.reshape(-1) for rows in _residuals(problem, pushes, unknowns) for row in rows])


def _residuals(problem: AlignmentProblem, pushes: Pushes, unknowns: Unknowns) -> tuple[list[Array], list[Array]]:
    """Those of the frames ``(T, ...)`` or, of changes between them, ``(T - 1, ...)``; those of none."""
    place, turn, size = placed(problem, unknowns)
    person, on, body = unknowns["person"], problem.contact_object, limbs(problem, unknowns)
    frame = problem.frame.astype(person.dtype)[:, None]
    active = problem.active.astype(person.dtype) * frame

    def world(x: Array, which: Array) -> Array:
        return size[which, None] * jnp.einsum("...ij,...j->...i", turn[which], x) + place[which]

    normal = jnp.einsum("tjab,tjb->tja", turn[pushes.owner], pushes.face[..., :3])
    offset = size[pushes.owner] * pushes.face[..., 3] + jnp.sum(normal * place[pushes.owner], -1)
    height = jnp.sum(normal * body.points(pushes.deep, problem.limb), -1) - offset
    up = jnp.einsum("cab,tcb->tca", turn[on], pushes.up)
    gap = jnp.sum(up * (body.points(pushes.touch, pushes.touch_limb) - world(pushes.ground, on)), -1)
    aside = jnp.mean(body.points(problem.patch, problem.patch_limb), 2) - world(pushes.seat, on)
    aside = aside - up * jnp.sum(up * aside, -1, keepdims=True)
    alone = jnp.any(problem.stands, 1) & ~jnp.any(problem.active, 1)  # feet carry all of the weight
    length = jnp.sqrt(jnp.sum(aside**2, -1, keepdims=True) + 1e-12)
    low = body.points(pushes.low, problem.limb)[..., 2]
    rows = [
        -height * pushes.inside * frame / DEPTH,
        jnp.minimum(low, 0) * frame / FLOOR,
        gap * active / GAP,
        aside * jnp.maximum(1 - SLACK / length, 0) * active[..., None] / SLIDE,
        person * frame / PERSON,
        jnp.diff(person, axis=0) * frame[1:] / (DRIFT * problem.interval[1:, None]),
        _short_of(person[:, 2]) * alone * frame[:, 0] / SOLE,
        *([pixel_errors(problem.views, body) * frame[..., None, None]] if problem.views.weight.size else []),
        *(_legs(problem, unknowns["legs"], low) if "legs" in unknowns else []),
    ]
    objects = [
        unknowns["object"] / OBJECT,
        *(unknowns[name] / unit for name, unit in (("yaw", YAW), ("scale", SCALE)) if name in unknowns),
        *([_objects_apart(problem, place, turn, size) / DEPTH] if len(problem.poses) > 1 else []),
    ]
    return rows, objects


class _Jacobian:
    """The slope of residuals, few directions at a time.

    What belongs to a frame depends on the unknowns of that frame and of the one before, and on the objects. So a number
    of all even frames, or of all odd ones, is moved at once, and each residual tells of whose it is (Curtis, Powell and
    Reid 1974, IMA J Appl Math 13).
    """

    def __init__(self, problem: AlignmentProblem, tile_part: tuple[int, ...], like: Unknowns) -> None:
        frames = problem.points.shape[0]
        rows = jax.eval_shape(lambda x: _residuals(problem, look(problem, tile_part, x), x), like)
        ofs = [
            np.broadcast_to(np.arange(x.shape[0]).reshape(-1, *[1] * (x.ndim - 1)) + (frames - x.shape[0]), x.shape)
            for x in rows[0]
        ]
        row = np.concatenate([*(x.reshape(-1) for x in ofs), *(np.full(x.size, -1) for x in rows[1])])
        frame, colour, colours = {}, {}, 0
        for name, x in like.items():
            own = np.prod(x.shape[1:], dtype=int) if name in ("person", "legs") else 0
            each = np.arange(x.size)
            frame[name] = (each // own if own else np.full(x.size, -1)).reshape(x.shape)
            colour[name] = (colours + (each % own * 2 + each // own % 2 if own else each)).reshape(x.shape)
            colours += 2 * own if own else x.size
        at, self.colour = (np.concatenate([x.reshape(-1) for x in jax.tree.leaves(tree)]) for tree in (frame, colour))
        self.known = (at[:, None] < 0) | (at[:, None] == row) | (at[:, None] == row - 1)  # (unknowns, residuals)
        self.directions = (self.colour == np.arange(colours)[:, None]).astype(np.float32)

    def __call__(self, pull: Callable[[Array], Array]) -> Array:
        """``(unknowns, residuals)``."""
        return jax.vmap(pull)(jnp.asarray(self.directions))[self.colour] * self.known


def _legs(problem: AlignmentProblem, angles: Array, low: Array) -> list[Array]:
    """Soles that stood stand; joints within their ranges, as they were, and changing slowly."""
    frame = problem.frame.astype(low.dtype)[:, None, None]
    feet = [1 + i for i, names in enumerate(LIMBS) if any("Toe" in name for name in names)]
    sole = jnp.stack([jnp.min(jnp.where(problem.limb == foot, low, jnp.inf), 1) for foot in feet], 1)
    return [
        _short_of(sole) * problem.stands * frame[..., 0] / SOLE,
        beyond_ranges(problem.legs, angles) * frame[..., None],
        angles * frame / LEG,
        jnp.diff(angles, axis=0) * frame[1:] / (SWAY * problem.interval[1:, None, None]),
    ]


def _short_of(height: Array) -> Array:
    """Height in m that has less and less of a say beyond ``HANGING``."""
    return height / jnp.sqrt(1 + (height / HANGING) ** 2)


def starts_of(problem: AlignmentProblem, free: tuple[str, ...] = ()) -> Array:
    """Where the person is moved to before the first step, m ``(S, 3)``."""
    ahead = [_ahead(problem, distance) for distance in _AHEAD if "legs" in free]
    return jnp.stack([*jnp.asarray(_STARTS, problem.points.dtype), *(_over(problem) + _OVER), *ahead])


def _over(problem: AlignmentProblem) -> Array:
    """What brings the parts in contact to the middle of the places that may carry them, in the mean, m ``(3,)``."""
    place, turn, _ = placed(problem, start_of(problem))
    on = problem.contact_object
    places = jnp.mean(jnp.einsum("cij,crj->cri", turn[on], problem.partner_points), 1) + place[on]
    away = places - jnp.mean(problem.patch, 2)  # (T, C, 3)
    share = problem.active.astype(away.dtype) * problem.frame[:, None]
    return jnp.einsum("tci,tc->i", away, share) / jnp.maximum(jnp.sum(share), 1.0)


def _ahead(problem: AlignmentProblem, distance: float) -> Array:
    """A start ``(3,)`` so far before the person, as the pelvis faces in the mean of frames with contacts, lifted."""
    forward = rotation.rotate(problem.legs.turns[:, 0, 0], jnp.asarray(_FORWARD))
    way = jnp.mean(forward * jnp.any(problem.active, 1)[:, None], 0).at[2].set(0)
    return distance * way / jnp.maximum(jnp.linalg.norm(way), 1e-6) + _STARTS[1]


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
    jacobian = _Jacobian(problem, tile_part, like)
    lever = ravel_pytree({name: jnp.full_like(x, _LEVER if name == "legs" else 1) for name, x in like.items()})[0]

    def step(state: tuple[Array, Array, Array], limit: Array) -> tuple[tuple[Array, Array, Array], None]:
        x, best, least = state
        pushes = look(problem, tile_part, unravel(x))
        r, pull = jax.linearize(lambda y: residuals(problem, pushes, unravel(y)), x)
        cost = 0.5 * jnp.sum(r**2)
        better = cost < least
        best, least = jnp.where(better, x, best), jnp.where(better, cost, least)
        rows = jacobian(pull)
        square = rows @ rows.T
        damped = square + _DAMPING * jnp.diag(jnp.diag(square)) + 1e-6 * jnp.eye(len(x), dtype=x.dtype)
        move = -_solve_positive(damped, rows @ r)
        move = move * jnp.minimum(1, limit / jnp.maximum(jnp.max(jnp.abs(lever * move)), 1e-9))
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


@functools.partial(jax.jit, static_argnums=(1, 2), compiler_options=CPU_OPTIONS)
def solve(problem: AlignmentProblem, tile_part: tuple[int, ...], free: tuple[str, ...] = ()) -> tuple[Unknowns, Array]:
    """Unknowns of the cheapest start of ``starts_of``, and what each costs at first ``(S,)``, of B problems.

    Args:
      problem: every array with an axis of scenes in front.
      tile_part: part of each tile.
      free: "yaw" and "scale" where objects may turn about the vertical and change their size, "legs" where hips and
        knees may turn.
    """

    def one(problem: AlignmentProblem) -> tuple[Unknowns, Array]:
        like = start_of(problem, free)
        vector, unravel = ravel_pytree(like)
        first = jax.vmap(lambda start: ravel_pytree(like | {"person": like["person"] + start})[0])
        descend = functools.partial(_descend, problem, tile_part, like)
        found, costs = jax.vmap(functools.partial(descend, np.full(STEPS, STEP)))(first(starts_of(problem, free)))
        kept = found[jnp.argsort(costs)[:KEPT]]
        found, last = jax.vmap(functools.partial(descend, np.geomspace(STEP, LAST, FINE_STEPS)))(kept)
        return unravel(found[jnp.argmin(last)].astype(vector.dtype)), costs

    return jax.lax.map(one, problem)
