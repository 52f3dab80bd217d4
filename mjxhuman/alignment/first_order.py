"""The losses of HSImul3R (arXiv 2603.15612) by gradient descent, to compare with: as printed, and in one joint form.

``paper``: Eq. 3 where the part is apart from the object and Eq. 4 where it touches or is inside; positions only. The
paper states no optimiser, weights or steps: Adam, 500 steps, rate 0.01 falling to 1e-4 along a cosine. ``smooth``: one
loss without a switch, from eight starts: nearest samples within a dead zone of 5 mm, depth of the part and of the rest
of the body, soles under the floor, anchors.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mjxhuman.alignment.look import Unknowns, placed
from mjxhuman.alignment.problem import AlignmentProblem, stack
from mjxhuman.types import Array

STEPS, RATE, LAST = 500, 0.01, 1e-4
#: Weights of the joint loss: nearness, depth, floor, anchors; share of the rest of the body; dead zone and its
#: softness, m; samples and share of the part that are nearest; anchors of person and object, m.
_NEAR, _DEEP, _FLOOR, _ANCHOR, _REST, _DEAD, _SOFT = 1.0, 10.0, 10.0, 0.01, 0.3, 0.005, 0.002
_SAMPLES, _SHARE, _PERSON, _OBJECT = 64, 0.2, 0.1, 0.2
#: One in so many points of the rest of the body is looked for in the objects.
_THINNED = 4


def _world(problem: AlignmentProblem, unknowns: Unknowns) -> tuple[Array, Array, Array]:
    """Normals and offsets of all planes, and the objects' samples, in the world."""
    place, turn, _ = placed(problem, unknowns)
    owner = problem.piece_object
    normal = jnp.einsum("kij,kfj->kfi", turn[owner], problem.planes[..., :3])
    samples = jnp.einsum("oij,osj->osi", turn, problem.samples) + place[:, None]
    return normal, problem.planes[..., 3] + jnp.einsum("kfi,ki->kf", normal, place[owner]), samples


def _height(points: Array, normal: Array, offset: Array) -> Array:
    """Signed distance of points ``(..., 3)`` by planes: the largest of a piece, the smallest of the pieces.

    Which plane that is does not change with a small step, so that only it is differentiated.
    """
    fixed = jax.lax.stop_gradient((points, normal, offset))
    x = [fixed[0][..., i] for i in range(3)]
    faces, start = normal.shape[1], jnp.zeros(points.shape[:-1], jnp.int32)

    def piece(best: tuple[Array, Array], one: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], None]:
        n, d, k = one
        most, which = jnp.full_like(x[0], -jnp.inf), start
        for f in range(faces):  # face by face: nothing of faces times points is stored
            height = n[f, 0] * x[0] + n[f, 1] * x[1] + n[f, 2] * x[2] - d[f]
            which = jnp.where(height > most, k * faces + f, which)
            most = jnp.maximum(height, most)
        return (jnp.minimum(most, best[0]), jnp.where(most < best[0], which, best[1])), None

    pieces = jnp.arange(len(offset), dtype=jnp.int32)
    (_, plane), _ = jax.lax.scan(piece, (jnp.full_like(x[0], jnp.inf), start), (*fixed[1:], pieces))
    return jnp.sum(normal.reshape(-1, 3)[plane] * points, -1) - offset.reshape(-1)[plane]


def _nearest(body: Array, samples: Array) -> tuple[Array, Array]:
    """Distances ``(T, S)`` of samples ``(S, 3)`` to the nearest of points ``(T, M, 3)``, and ``(T, M)`` of points to
    the nearest sample; of all pairs only those are differentiated."""
    apart = sum(
        (jax.lax.stop_gradient(body[..., :, None, i]) - jax.lax.stop_gradient(samples[:, i])) ** 2 for i in range(3)
    )
    point = jnp.take_along_axis(body, jnp.argmin(apart, 1)[..., None], 1)
    ways = point - samples, body - samples[jnp.argmin(apart, 2)]
    return tuple(jnp.sqrt(jnp.sum(way**2, -1) + 1e-12) for way in ways)  # type: ignore[return-value]


def _paper(problem: AlignmentProblem, unknowns: Unknowns) -> Array:
    normal, offset, world = _world(problem, unknowns)
    loss = jnp.zeros(())
    on = problem.contact_object
    for c in range(len(on)):
        body = problem.patch[:, c] + unknowns["person"][:, None]  # (T, M, 3)
        height = _height(body, normal, offset)
        samples, points = _nearest(body, world[on[c]])
        eq3 = jnp.mean(samples, -1) + jnp.mean(points, -1)
        eq4 = jnp.mean(jnp.maximum(-height, 0), -1)
        use = problem.active[:, c]
        loss = loss + jnp.sum(jnp.where(use, jnp.where(jnp.min(height, -1) > 0, eq3, eq4), 0))
    return loss


def _smooth(problem: AlignmentProblem, unknowns: Unknowns) -> Array:
    normal, offset, world = _world(problem, unknowns)
    on = problem.contact_object
    everything = jnp.swapaxes(problem.points, 2, 3) + unknowns["person"][:, None, None]
    depth = jnp.maximum(-_height(everything[..., ::_THINNED, :], normal, offset), 0)
    frame = problem.frame.astype(depth.dtype)
    loss = _DEEP * _REST * jnp.sum(jnp.mean(depth, (1, 2)) * frame)
    low = jnp.minimum(jnp.min(everything[..., 2], (1, 2)) + 0.01, 0)
    loss = loss + _FLOOR * jnp.sum(-low * frame)

    def dead(x: Array) -> Array:
        return _SOFT * jax.nn.softplus((x - _DEAD) / _SOFT)

    for c in range(len(on)):
        body = problem.patch[:, c] + unknowns["person"][:, None]
        samples, points = _nearest(body, world[on[c]])
        samples = -jax.lax.top_k(-samples, _SAMPLES)[0]
        points = -jax.lax.top_k(-points, max(1, int(_SHARE * body.shape[1])))[0]
        inside = jnp.mean(jnp.maximum(-_height(body, normal, offset), 0), -1)
        near = jnp.mean(dead(samples), -1) + jnp.mean(dead(points), -1)
        loss = loss + jnp.sum(jnp.where(problem.active[:, c], _NEAR * near + _DEEP * inside, 0))
    person = jnp.sum(jnp.mean(jnp.sum(unknowns["person"] ** 2, -1) * frame)) / _PERSON**2
    return loss + _ANCHOR * (person + jnp.sum(unknowns["object"] ** 2) / _OBJECT**2)


_LOSSES: dict[str, Callable[..., Array]] = {"paper": _paper, "smooth": _smooth}


@functools.partial(jax.jit, static_argnums=(0,))
def _descend(name: str, problem: AlignmentProblem, starts: Unknowns) -> Unknowns:
    """The cheapest end of starts ``(S, ...)`` of one problem."""
    loss = functools.partial(_LOSSES[name], problem)
    adam = optax.adam(optax.cosine_decay_schedule(RATE, STEPS, LAST / RATE))

    def one(start: Unknowns) -> tuple[Unknowns, Array]:
        def step(state: tuple[Unknowns, optax.OptState], _: None) -> tuple[tuple[Unknowns, optax.OptState], None]:
            at, memory = state
            update, memory = adam.update(jax.grad(loss)(at), memory)
            return (optax.apply_updates(at, update), memory), None

        (end, _), _ = jax.lax.scan(step, (start, adam.init(start)), None, length=STEPS)
        return end, loss(end)

    ends, costs = jax.vmap(one)(starts)
    return jax.tree.map(lambda x: x[jnp.argmin(costs)], ends)


def _run(name: str, problems: Sequence[AlignmentProblem]) -> list[Unknowns]:
    batch = stack(problems)
    frames, objects = batch.points.shape[1], batch.poses.shape[1]
    person, thing = np.zeros((1, 1, 3)), np.zeros((1, 1, 2))
    if name == "smooth":
        shifts = [(0, 0), (0.05, 0), (-0.05, 0), (0, 0.05)]
        person = np.array([[[0, 0, lift]] for _ in shifts for lift in (0.0, 0.1)])
        thing = np.array([[shift] for shift in shifts for _ in (0, 1)])
    starts = {
        "person": jnp.asarray(np.repeat(person, frames, 1), jnp.float32),
        "object": jnp.asarray(np.repeat(thing, objects, 1), jnp.float32),
    }
    ones = [jax.tree.map(operator.itemgetter(i), batch) for i in range(len(problems))]
    found = [_descend(name, one, starts) for one in ones]
    return [{key: np.asarray(x, np.float64) for key, x in one.items()} for one in found]


METHODS: dict[str, Callable[[Sequence[AlignmentProblem]], list[Unknowns]]] = {
    name: functools.partial(_run, name) for name in _LOSSES
}
