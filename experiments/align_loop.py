"""One scene's residuals as functions of a vector, for solvers that go scene by scene: the peer of the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from mjxhuman.alignment.align import case_of, problem_of
from mjxhuman.alignment.contacts import PartContact
from mjxhuman.alignment.look import look
from mjxhuman.alignment.problem import AlignmentProblem, stack, tiles_of
from mjxhuman.alignment.solve import residuals, start_of, starts_of
from mjxhuman.scenes.types import Scene
from mjxhuman.types import Array, Motion

Solver = tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray], np.ndarray]


def scene_residuals(motion: Motion, scene: Scene, contacts: Sequence[PartContact | tuple[str, str]]) -> Solver:
    """Residuals ``(R,)`` and their slopes ``(R, U)`` at unknowns ``(U,)``, and the starts ``(S, U)``."""
    case = case_of(motion, scene, contacts)
    problem = jax.tree.map(lambda x: x[0], stack([problem_of(case)]))
    part = tuple(tiles_of(case.skin).part.tolist())
    first = start_of(problem)
    vector, unravel = ravel_pytree(first)

    value, slope = _programs(part, len(vector), unravel)
    starts = np.stack([ravel_pytree(first | {"person": first["person"] + s})[0] for s in starts_of(problem)])

    def function(x: np.ndarray) -> np.ndarray:
        return np.asarray(value(problem, jnp.asarray(x, jnp.float32)), np.float64)

    def jacobian(x: np.ndarray) -> np.ndarray:
        return np.asarray(slope(problem, jnp.asarray(x, jnp.float32)), np.float64)

    return function, jacobian, starts.astype(np.float64)


_PROGRAMS: dict[tuple[tuple[int, ...], int], tuple[Callable[..., Array], Callable[..., Array]]] = {}


def _programs(
    part: tuple[int, ...], count: int, unravel: Callable[[Array], dict[str, Array]]
) -> tuple[Callable[..., Array], Callable[..., Array]]:
    def at(problem: AlignmentProblem, x: Array) -> Array:
        unknowns = unravel(x)
        return residuals(problem, jax.lax.stop_gradient(look(problem, part, unknowns)), unknowns)

    if (part, count) not in _PROGRAMS:
        _PROGRAMS[part, count] = jax.jit(at), jax.jit(jax.jacfwd(at, argnums=1))
    return _PROGRAMS[part, count]
