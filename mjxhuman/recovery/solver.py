"""Whole-clip least squares: the path of the SMPL chain that best explains all residuals over all frames.

Where ``retarget.optimize`` solves every frame of a marker clip on its own, pixels need time: a camera does not see
depth, points vanish and jump, and what a frame cannot tell its neighbours do. So all frames are unknowns of one problem
(``equations``). Levenberg-Marquardt on the tangent space; the normal equations are block pentadiagonal with a border,
so a step costs the same per frame whatever the length.

Frames may be cut into segments that do not see each other (single frames, even); each then has its own damping, and the
shared unknowns must be held.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import jaxlie
import numpy as np
from jax import Array

from mjxhuman.math import banded, quaternion
from mjxhuman.physics.batching import CPU_OPTIONS, exclusive
from mjxhuman.recovery.equations import UNKNOWNS, ClipProblem, Path, Residual, System, linearise
from mjxhuman.retarget.chain import JOINTS

#: Clips are padded to one of these lengths.
LENGTHS = (32, 64, 128, 256, 512)
#: Damping is relative to the curvature, which may vanish (twist of a straight limb): at least this, 1/m^2 or 1/rad^2.
_LEAST_CURVATURE = 10.0
_LONGEST_TURN = 0.5  # rad, of a joint in one step
_OVERLAP = 64  # frames that two windows of a long clip share


@dataclasses.dataclass
class Solution:
    """What ``solve_clip`` found, NumPy."""

    path: Path
    cost: np.ndarray  # (T,) squared standard deviations
    steps: int


def solve_clip(problem: ClipProblem, start: Path, *, max_steps: int = 30, tolerance: float = 1e-3) -> Solution:
    """Solve a clip, or several segments of frames.

    Args:
      problem, start: NumPy; T at most ``LENGTHS[-1]``.
      max_steps: Levenberg-Marquardt steps.
      tolerance: a segment is done when an accepted step lowers its cost by less than this share.

    Raises:
      ValueError: too many frames, or a residual with data for another number of them.
    """
    count = len(start.root)
    if count > LENGTHS[-1]:
        raise ValueError(f"solve_clip: expected at most {LENGTHS[-1]} frames, found {count}")
    length = next(size for size in LENGTHS if size >= count)
    extra = length - count
    along = lambda x: np.pad(x, [(0, extra)] + [(0, 0)] * (np.ndim(x) - 1), mode="edge")  # noqa: E731
    padded = problem._replace(
        residuals=tuple(_prepared(residual, problem.segment, extra) for residual in problem.residuals),
        segment=np.concatenate([problem.segment, np.full(extra, length - 1)]),
    )
    initial = Path(along(start.root), along(start.local), np.asarray(start.shared, float))
    asked = np.arange(length) < count
    with exclusive():
        found = _solve(padded, initial, asked, np.asarray(max_steps), np.asarray(tolerance))
        path, cost, steps = jax.tree.map(np.asarray, found)
    local = path.local[:count] / np.linalg.norm(path.local[:count], axis=-1, keepdims=True)
    return Solution(Path(path.root[:count], local, path.shared), cost[:count], int(steps))


def _prepared(residual: Residual, segment: np.ndarray, extra: int) -> Residual:
    """Padded by ``extra`` frames, and silent where its frames are not all of one segment."""
    count = len(segment)
    for name, part in (("weight", residual.weight), ("rows", residual.rows)):
        for x in jax.tree.leaves(part):
            if np.shape(x)[:1] != (count,):
                raise ValueError(
                    f"residual {residual.value.__name__}: {name}: expected one entry for each of {count} frames along "
                    f"the first axis, found shape {np.shape(x)}"
                )
    pad = lambda x, mode: np.pad(x, [(0, extra)] + [(0, 0)] * (np.ndim(x) - 1), mode=mode)  # noqa: E731
    ahead = (residual.span - 1) // 2
    first, last = np.arange(count) - ahead, np.arange(count) + residual.span - 1 - ahead
    inside = (first >= 0) & (last < count)
    inside &= segment[np.maximum(first, 0)] == segment[np.minimum(last, count - 1)]
    weight = np.where(inside.reshape(-1, *[1] * (np.ndim(residual.weight) - 1)), residual.weight, 0.0)
    return dataclasses.replace(
        residual, weight=pad(weight, "constant"), rows=jax.tree.map(lambda x: pad(x, "edge"), residual.rows),
        kernel=np.asarray(residual.kernel, float),
    )  # fmt: skip


def solve_long(problem: ClipProblem, start: Path, steps: int) -> Path:
    """Solve a clip of any length, in overlapping windows where it is longer than the solver takes.

    Neighbouring windows are blended over their overlap; the shared unknowns are the windows' medians.
    """
    count, longest = len(start.root), LENGTHS[-1]
    if count <= longest:
        return solve_clip(problem, start, max_steps=steps).path
    parts = -(-(count - _OVERLAP) // (longest - _OVERLAP))
    first = np.round(np.linspace(0, count - longest, parts)).astype(int)
    root, local, shared = np.array(start.root), np.array(start.local), []
    for n, begin in enumerate(first):
        window = slice(begin, begin + longest)
        part = Path(start.root[window], start.local[window], start.shared)
        path = solve_clip(problem.frames(window), part, max_steps=steps).path
        share = np.ones(longest)
        if n:
            overlap = first[n - 1] + longest - begin
            share[:overlap] = np.linspace(0.0, 1.0, overlap)
        root[window] += share[:, None] * (path.root - root[window])
        local[window] = quaternion.interpolate(local[window], path.local, share[:, None, None])
        shared.append(path.shared)
    return Path(root, local, np.median(shared, axis=0))


@functools.partial(jax.jit, compiler_options=CPU_OPTIONS)
def _solve(
    problem: ClipProblem, start: Path, asked: Array, max_steps: Array, tolerance: Array
) -> tuple[Path, Array, Array]:
    segment = problem.segment
    length = segment.shape[0]
    per_segment = lambda x: jax.ops.segment_sum(x, segment, length)  # noqa: E731

    def step(carry: tuple) -> tuple:
        path, system, damping, done, count = carry
        change, shared = _newton_step(system, damping)
        new_path = retract(path, change, shared)
        new = linearise(new_path, problem)
        prior = prior_cost(path, problem), prior_cost(new_path, problem)
        old_cost, new_cost = per_segment(system.cost), per_segment(new.cost)
        # the shared unknowns belong to the one segment there is, or are held
        old_cost, new_cost = old_cost.at[0].add(prior[0]), new_cost.at[0].add(prior[1])
        better = (new_cost < old_cost) & ~done
        small = better & (old_cost - new_cost < tolerance * old_cost)
        stuck = ~better & (per_segment(damping) / jnp.maximum(per_segment(jnp.ones(length)), 1.0) > 1e6)
        take = better[segment]
        path = Path(
            jnp.where(take[:, None], new_path.root, path.root),
            jnp.where(take[:, None, None], new_path.local, path.local),
            jnp.where(better[0], new_path.shared, path.shared),
        )
        system = _choose(take, better[0], new, system)
        damping = jnp.where(take, jnp.maximum(0.2 * damping, 1e-7), 6.0 * damping)
        return path, system, damping, done | small | stuck, count + 1

    used = per_segment(jnp.where(asked, 1.0, 0.0)) > 0
    first = (start, linearise(start, problem), jnp.full(length, 1e-2), ~used, jnp.zeros((), jnp.int32))
    go_on = lambda carry: (~jnp.all(carry[3])) & (carry[4] < max_steps)  # noqa: E731
    path, system, _, _, count = jax.lax.while_loop(go_on, step, first)
    return path, system.cost, count


def _choose(take: Array, take_shared: Array, new: System, old: System) -> System:
    def pick(a: Array, b: Array) -> Array:
        return jnp.where(take.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return System(
        pick(new.cost, old.cost), banded.Banded(*map(pick, new.matrix, old.matrix)), pick(new.border, old.border),
        jnp.where(take_shared, new.corner, old.corner), pick(new.gradient, old.gradient),
        jnp.where(take_shared, new.gradient_shared, old.gradient_shared),
    )  # fmt: skip


def _newton_step(system: System, damping: Array) -> tuple[Array, Array]:
    diagonal = jnp.diagonal(system.matrix.diagonal, axis1=1, axis2=2)
    extra = damping[:, None] * (diagonal + _LEAST_CURVATURE)
    matrix = system.matrix._replace(diagonal=system.matrix.diagonal + extra[:, :, None] * jnp.eye(UNKNOWNS))
    corner = system.corner + damping[0] * jnp.diag(jnp.diagonal(system.corner))
    return banded.solve_bordered(matrix, system.border, corner, -system.gradient, -system.gradient_shared)


def retract(path: Path, change: Array, shared: Array) -> Path:
    """The path after a change ``(T, n)`` of its frames, turns cut to a longest one, and of what they share ``(3,)``."""
    rotvec = change[:, 3:].reshape(-1, JOINTS, 3)
    size = jnp.sqrt(jnp.sum(rotvec * rotvec, -1, keepdims=True) + 1e-12)
    turn = jaxlie.SO3.exp(rotvec * jnp.minimum(1.0, _LONGEST_TURN / size))
    local = (jaxlie.SO3(path.local) @ turn).wxyz
    return Path(path.root + change[:, :3], local / jnp.linalg.norm(local, axis=-1, keepdims=True), path.shared + shared)


def prior_cost(path: Path, problem: ClipProblem) -> Array:
    """Of the shared unknowns, squared standard deviations."""
    return jnp.sum(problem.shared_precision * jnp.square(path.shared - problem.shared))
