"""Block pentadiagonal systems against the dense solution."""

from __future__ import annotations

import numpy as np
import pytest

from mjxhuman.math import banded

FRAMES, N, SHARED = 7, 4, 3


@pytest.fixture
def system(x64):
    """A dense positive definite matrix with the structure, cut into blocks."""
    rng = np.random.default_rng(0)
    rows = np.zeros((0, FRAMES * N + SHARED))
    for t in range(FRAMES - 2):
        part = np.zeros((6, FRAMES * N + SHARED))
        part[:, t * N : (t + 3) * N] = rng.normal(size=(6, 3 * N))
        part[:, FRAMES * N :] = rng.normal(size=(6, SHARED))
        rows = np.concatenate([rows, part])
    dense = rows.T @ rows + 0.1 * np.eye(FRAMES * N + SHARED)
    block = dense[: FRAMES * N, : FRAMES * N].reshape(FRAMES, N, FRAMES, N)
    take = lambda k: np.stack([block[t, :, max(t - k, 0)] for t in range(FRAMES)])  # noqa: E731
    return dense, banded.Banded(take(0), take(1), take(2)), rng


def test_solves_the_banded_system(system):
    dense, matrix, rng = system
    inner = dense[: FRAMES * N, : FRAMES * N]
    rhs = rng.normal(size=(FRAMES, N, 2))
    x = banded.solve(banded.Banded(*map(np.asarray, matrix)), rhs)
    np.testing.assert_allclose(np.asarray(x).reshape(-1, 2), np.linalg.solve(inner, rhs.reshape(-1, 2)), atol=1e-9)


def test_solves_with_shared_unknowns(system):
    dense, matrix, rng = system
    rhs = rng.normal(size=FRAMES * N + SHARED)
    border = dense[: FRAMES * N, FRAMES * N :].reshape(FRAMES, N, SHARED)
    corner = dense[FRAMES * N :, FRAMES * N :]
    x, shared = banded.solve_bordered(matrix, border, corner, rhs[: FRAMES * N].reshape(FRAMES, N), rhs[FRAMES * N :])
    want = np.linalg.solve(dense, rhs)
    np.testing.assert_allclose(np.asarray(x).ravel(), want[: FRAMES * N], atol=1e-9)
    np.testing.assert_allclose(shared, want[FRAMES * N :], atol=1e-9)


def test_an_indefinite_matrix_gives_nan(system):
    _, matrix, rng = system
    x = banded.solve(matrix._replace(diagonal=-matrix.diagonal), rng.normal(size=(FRAMES, N, 1)))
    assert np.isnan(x).any()
