"""Residuals of a clip, and what they add to its normal equations.

A residual is one function of the chain's pose in one frame, or in two or three consecutive ones, and of that frame's
row of data; it returns an error per point or joint. Its derivatives come from automatic differentiation unless it
brings a block written out by hand. Frames are unknowns of their own and share three more (``SHARED``), so the normal
equations are block pentadiagonal with a border (``math.banded``), whatever residuals there are.

Errors times weights are in standard deviations; a kernel lets those that lie far off lose their say (Geman and McClure
1987).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jaxlie
import numpy as np
from jax import Array

from mjxhuman.math import banded
from mjxhuman.retarget.chain import ANCESTOR, JOINTS
from mjxhuman.retarget.pose import forward, skew

#: Unknowns of a frame: root, then one rotation vector per joint.
UNKNOWNS = 3 + 3 * JOINTS
#: The unknowns all frames share.
SHARED = ("log scale", "log focal length", "floor height")
SCALE, FOCAL, FLOOR = range(3)


class Path(NamedTuple):
    """The unknowns of T frames."""

    root: Array  # (T, 3) m
    local: Array  # (T, 22, 4)
    shared: Array  # (3,)


class BodyPoints(NamedTuple):
    """P points fixed to bodies."""

    body: Array  # (P,) int
    point: Array  # (P, 3) m at scale one, in that body's frame


class ChainPose(NamedTuple):
    """The chain in one frame, and what all frames share: what a residual is a function of."""

    root: Array  # (3,) m
    local: Array  # (22, 4)
    pos: Array  # (22, 3) m, world
    quat: Array  # (22, 4) world
    scale: Array  # () of the body
    focal: Array  # () factor on the focal lengths given
    floor: Array  # () m, height
    sets: Mapping[str, BodyPoints]

    def place(self, body: Any, point: Any) -> Array:
        """World place (..., 3) m of points (..., 3) m at scale one that are fixed to bodies (...)."""
        return self.pos[body] + jaxlie.SO3(self.quat[body]).apply(self.scale * point)

    def points(self, name: str) -> Array:
        """World places (P, 3) m of the problem's points of that name."""
        return self.place(*self.sets[name])


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("weight", "rows", "kernel", "common"), meta_fields=("value", "span", "block"),
)  # fmt: skip
@dataclasses.dataclass(frozen=True, eq=False)
class Residual:
    """One kind of residual; T frames.

    Attributes:
      value: ``value(pose, row)``, an array (..., k): errors of any number of things, each a vector of k. With ``span``
        2 it is called as ``value(before, pose, row)``, with 3 ``value(before, pose, after, row)``; with ``common`` it
        gets that as the last argument. A function of a module: programs are compiled per function.
      weight: (T,) or (T, ...), 1 / standard deviation. 0 where there is nothing to say.
      rows: arrays (T, ...), any pytree of them: the data of each frame.
      kernel: standard deviations at which an error loses its say.
      common: arrays that all frames share.
      span: 1 for frame t; 2 for t and t + 1, the row being that of t; 3 for t - 1, t and t + 1.
      block: adds the same to the normal equations as automatic differentiation would, faster.
    """

    value: Callable[..., Array]
    weight: Any
    rows: Any = None
    kernel: Any = np.inf
    common: Any = None
    span: int = 1
    block: Callable[[Posed, Residual], Part] | None = None

    def frames(self, index: Any) -> Residual:
        """The same on some of the frames."""
        cut = lambda x: np.asarray(x)[index]  # noqa: E731
        return dataclasses.replace(self, weight=cut(self.weight), rows=jax.tree.map(cut, self.rows))

    def robust(self, square: Array) -> tuple[Array, Array]:
        """Costs of squared errors under the kernel, and the factor on errors and derivatives."""
        ratio = 1.0 / (1.0 + square / jnp.maximum(self.kernel * self.kernel, 1e-12))
        return square * ratio, ratio


class ClipProblem(NamedTuple):
    """What is asked of a path: T frames, all arrays."""

    offsets: Array  # (22, 3) m at scale one
    points: Mapping[str, BodyPoints]
    residuals: tuple[Residual, ...]
    shared: Array  # (3,) prior mean
    shared_precision: Array  # (3,) 1/variance
    segment: Array  # (T,) int, which independent part a frame belongs to; consecutive

    def frames(self, index: Any) -> ClipProblem:
        """The same problem on some of the frames."""
        return self._replace(residuals=tuple(r.frames(index) for r in self.residuals), segment=self.segment[index])

    def pose(self, root: Array, local: Array, shared: Array) -> ChainPose:
        """The chain in one frame."""
        scale = jnp.exp(shared[SCALE])
        pos, quat = forward(scale * self.offsets, root, local)
        return ChainPose(root, local, pos, quat, scale, jnp.exp(shared[FOCAL]), shared[FLOOR], self.points)


class Part(NamedTuple):
    """What a residual adds to the normal equations; the gradient has the sign of a residual. None adds nothing."""

    cost: Array  # (T,)
    gradient: Array  # (T, n)
    diagonal: Array | None = None  # (T, n, n) block (t, t)
    first: Array | None = None  # (T, n, n) block (t, t - 1)
    second: Array | None = None  # (T, n, n) block (t, t - 2)
    joints: tuple[Array, Array | None, Array | None] | None = None  # (T, 23, 3, 3): the same by root and joint
    border: Array | None = None  # (T, n, 3)
    corner: Array | None = None  # (3, 3)
    gradient_shared: Array | None = None  # (3,)


class System(NamedTuple):
    """Cost and normal equations at a path."""

    cost: Array  # (T,)
    matrix: banded.Banded
    border: Array  # (T, n, 3)
    corner: Array  # (3, 3)
    gradient: Array  # (T, n)
    gradient_shared: Array  # (3,)


class Posed:
    """Kinematics of a whole path, for blocks written out by hand; while a program is traced."""

    def __init__(self, path: Path, problem: ClipProblem) -> None:
        self.path, self.problem = path, problem
        self.scale, self.focal = jnp.exp(path.shared[SCALE]), jnp.exp(path.shared[FOCAL])
        scaled = self.scale * problem.offsets
        self.pos, quat = jax.vmap(forward, in_axes=(None, 0, 0))(scaled, path.root, path.local)
        self.world = jaxlie.SO3(quat).as_matrix()  # (T, 22, 3, 3)
        self._points: dict[str, tuple[Array, Array]] = {}

    def points(self, name: str) -> tuple[Array, Array]:
        """World places ``(T, P, 3)`` of the problem's points of that name, and their derivative ``(T, P, 3, n)``."""
        if name not in self._points:
            body, point = self.problem.points[name]
            places = self.place(body, point)
            # computed once, not again inside everything that reads it
            self._points[name] = jax.lax.optimization_barrier((places, self.turns(body, places)))
        return self._points[name]

    def place(self, body: Array, point: Array) -> Array:
        """World places ``(T, P, 3)`` of points fixed to bodies."""
        return self.pos[:, body] + jnp.einsum("tpij,pj->tpi", self.world[:, body], self.scale * point)

    def turns(self, body: Array, places: Array) -> Array:
        """Derivative ``(T, P, 3, n)`` of world places by root and body-frame turns of the joints."""
        above = jnp.asarray(ANCESTOR, places.dtype)[body]  # (P, 22)
        arm = (places[:, :, None] - self.pos[:, None]) * above[:, :, None]
        turning = -jnp.einsum("tpjxy,tjya->tpxja", skew(arm), self.world)
        shape = places.shape[:2]
        shift = jnp.broadcast_to(jnp.eye(3, dtype=places.dtype), (*shape, 3, 3))
        return jnp.concatenate([shift, turning.reshape(*shape, 3, 3 * JOINTS)], -1)


def linearise(path: Path, problem: ClipProblem) -> System:
    """Cost and normal equations: each residual by its block or automatically, and the prior of what frames share."""
    clip = Posed(path, problem)
    parts = [(residual.block or automatic)(clip, residual) for residual in problem.residuals]
    length = len(path.root)

    def total(name: str, shape: tuple[int, ...]) -> Array:
        given = [x for part in parts if (x := getattr(part, name)) is not None]
        return functools.reduce(jnp.add, given) if given else jnp.zeros(shape)

    def blocks(name: str, lag: int) -> Array:
        own = [x for part in parts if part.joints is not None and (x := part.joints[lag]) is not None]
        dense = total(name, (length, UNKNOWNS, UNKNOWNS))
        return _add_joint_blocks(dense, functools.reduce(jnp.add, own)) if own else dense

    pull = problem.shared_precision
    matrix = banded.Banded(blocks("diagonal", 0), blocks("first", 1), blocks("second", 2))
    return System(
        cost=total("cost", (length,)), matrix=matrix, border=total("border", (length, UNKNOWNS, len(SHARED))),
        corner=total("corner", (len(SHARED),) * 2) + jnp.diag(pull), gradient=total("gradient", (length, UNKNOWNS)),
        gradient_shared=total("gradient_shared", (len(SHARED),)) + pull * (path.shared - problem.shared),
    )  # fmt: skip


def _add_joint_blocks(dense: Array, blocks: Array) -> Array:
    """``(T, n, n)`` with ``(T, 23, 3, 3)`` added on its diagonal: root, joints."""
    index = jnp.arange(1 + JOINTS)
    shaped = dense.reshape(-1, 1 + JOINTS, 3, 1 + JOINTS, 3)
    return shaped.at[:, index, :, index].add(jnp.swapaxes(blocks, 0, 1)).reshape(dense.shape)


def gram(a: Array, b: Array) -> Array:
    """``(T, n, m)`` products of ``(T, ..., n)`` and ``(T, ..., m)`` summed over the axes between."""
    rows = lambda x: x.reshape(x.shape[0], -1, x.shape[-1])  # noqa: E731
    return jnp.swapaxes(rows(a), 1, 2) @ rows(b)


def automatic(clip: Posed, residual: Residual) -> Part:
    """What a residual adds, by automatic differentiation: reverse mode where it has fewer errors than unknowns."""
    span, ahead, path = residual.span, (residual.span - 1) // 2, clip.path
    length = len(path.root)
    count = length - span + 1
    window = lambda x: jnp.stack([x[k : k + count] for k in range(span)], 1)  # noqa: E731
    weight, rows = jax.tree.map(lambda x: x[ahead : ahead + count], (residual.weight, residual.rows))
    constants = () if residual.common is None else (residual.common,)

    def weighted(change: Array, root: Array, local: Array, weight: Array, row: Any) -> tuple[Array, Array]:
        own, shared = change[:-3].reshape(span, UNKNOWNS), path.shared + change[-3:]
        turned = (jaxlie.SO3(local) @ jaxlie.SO3.exp(own[:, 3:].reshape(span, JOINTS, 3))).wxyz
        poses = [clip.problem.pose(root[k] + own[k, :3], turned[k], shared) for k in range(span)]
        value = jnp.atleast_1d(residual.value(*poses, row, *constants))
        value = weight.reshape(*weight.shape, *[1] * (value.ndim - weight.ndim)) * value
        value = value.reshape(-1, value.shape[-1])
        return value, value

    def derive(*frame: Any) -> tuple[Array, Array]:
        zero = jnp.zeros(span * UNKNOWNS + len(SHARED))
        size = jax.eval_shape(weighted, zero, *frame)[0].size
        jacobian = jax.jacrev if size < zero.size else jax.jacfwd
        slope, value = jacobian(weighted, has_aux=True)(zero, *frame)
        return value, slope

    value, slope = jax.vmap(derive)(window(path.root), window(path.local), weight, rows)  # (N, P, k), (N, P, k, all)
    cost, share = residual.robust(jnp.sum(value * value, -1))
    value, slope = value * share[..., None], slope * share[..., None, None]
    by = [slope[..., k * UNKNOWNS : (k + 1) * UNKNOWNS] for k in range(span)]
    lags = [jnp.zeros((length, UNKNOWNS, UNKNOWNS)) for _ in range(span)]
    gradient, border = jnp.zeros((length, UNKNOWNS)), jnp.zeros((length, UNKNOWNS, len(SHARED)))
    for k in range(span):
        here = slice(k, k + count)
        gradient = gradient.at[here].add(jnp.einsum("tpxn,tpx->tn", by[k], value))
        border = border.at[here].add(gram(by[k], slope[..., -3:]))
        for lag in range(k + 1):
            lags[lag] = lags[lag].at[here].add(gram(by[k], by[k - lag]))
    return Part(
        cost=jnp.zeros(length).at[ahead : ahead + count].set(jnp.sum(cost, 1)), gradient=gradient, diagonal=lags[0],
        first=lags[1] if span > 1 else None, second=lags[2] if span > 2 else None, border=border,
        corner=jnp.einsum("tpxr,tpxs->rs", slope[..., -3:], slope[..., -3:]),
        gradient_shared=jnp.einsum("tpxs,tpx->s", slope[..., -3:], value),
    )  # fmt: skip
