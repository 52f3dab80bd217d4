"""Symmetric systems of equations whose unknowns come in blocks along time, each coupled with the two before it.

The normal equations of a fit whose residuals see at most three consecutive frames (an acceleration) have this shape:
block pentadiagonal, plus a few unknowns that all frames share. Block Cholesky factors it in time linear in the number
of frames. Differentiable, but meant for Gauss-Newton steps.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.linalg import solve_triangular


class Banded(NamedTuple):
    """Lower half of a symmetric block pentadiagonal matrix: T blocks of n unknowns."""

    diagonal: Array  # (T, n, n) block (t, t)
    first: Array  # (T, n, n) block (t, t - 1); the first row is not read
    second: Array  # (T, n, n) block (t, t - 2); the first two rows are not read


def solve(matrix: Banded, rhs: Array) -> Array:
    """Solution ``(T, n, m)`` of a positive definite system with right sides ``rhs (T, n, m)``; NaN if it is not."""
    n = rhs.shape[1]
    zero, eye = jnp.zeros((n, n), rhs.dtype), jnp.eye(n, dtype=rhs.dtype)
    none = jnp.zeros(rhs.shape[1:], rhs.dtype)

    def down(carry: tuple, row: tuple) -> tuple[tuple, tuple]:
        (factor1, coupling1, y1), (factor2, y2) = carry  # of the frame before, and of the one before that
        diagonal, first, second, b = row
        far = solve_triangular(factor2, second.T, lower=True).T
        near = solve_triangular(factor1, (first - far @ coupling1.T).T, lower=True).T
        factor = jnp.linalg.cholesky(diagonal - near @ near.T - far @ far.T)
        y = solve_triangular(factor, b - near @ y1 - far @ y2, lower=True)
        return ((factor, near, y), (factor1, y1)), (factor, near, far, y)

    start = ((eye, zero, none), (eye, none))
    first = jnp.asarray(matrix.first).at[0].set(0.0)
    second = jnp.asarray(matrix.second).at[:2].set(0.0)
    _, (factor, near, far, y) = jax.lax.scan(down, start, (matrix.diagonal, first, second, rhs))

    def up(carry: tuple, row: tuple) -> tuple[tuple, Array]:
        (x1, near1, far1), (x2, far2) = carry  # of the frame after, and of the one after that
        factor, near, far, y = row
        x = solve_triangular(factor, y - near1.T @ x1 - far2.T @ x2, lower=True, trans=1)
        return ((x, near, far), (x1, far1)), x

    start = ((none, zero, zero), (none, zero))
    _, x = jax.lax.scan(up, start, (factor, near, far, y), reverse=True)
    return x


def solve_bordered(matrix: Banded, border: Array, corner: Array, rhs: Array, rhs_shared: Array) -> tuple[Array, Array]:
    """The same with s unknowns that every block is coupled with, by Schur complement.

    Args:
      border: ``(T, n, s)`` coupling of each block with the shared unknowns. corner: ``(s, s)``.
      rhs: ``(T, n)``. rhs_shared: ``(s,)``.

    Returns:
      ``x (T, n)`` and the shared unknowns ``(s,)``.
    """
    both = solve(matrix, jnp.concatenate([rhs[..., None], border], -1))
    x, response = both[..., 0], both[..., 1:]
    reduced = corner - jnp.einsum("tns,tnr->sr", border, response)
    shared = jnp.linalg.solve(reduced, rhs_shared - jnp.einsum("tns,tn->s", border, x))
    return x - response @ shared, shared
