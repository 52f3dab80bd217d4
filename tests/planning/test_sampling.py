"""The two rules that turn samples into a better plan, without a simulator."""

from __future__ import annotations

import numpy as np
import pytest

from mjxhuman.planning import sampling


def test_basis_interpolates_between_knots():
    basis = sampling.knot_basis(horizon=9, spacing=4)
    assert basis.shape == (9, 4)
    np.testing.assert_allclose(basis.sum(1), 1.0)
    np.testing.assert_allclose(basis[[0, 4, 8]], np.eye(4)[:3], atol=1e-12)
    np.testing.assert_allclose(basis[5], [0, 0.75, 0.25, 0])


def test_first_sample_is_the_plan_itself():
    basis = sampling.knot_basis(8, 4)
    tried = sampling.draw(np.random.default_rng(0), 5, basis, np.array([0.1, 0.0]))
    assert tried.shape == (5, 8, 2)
    assert not tried[0].any()
    assert tried[1:, :, 0].any()
    assert not tried[:, :, 1].any()  # a joint of no scale is left alone


def linear_problem(unknowns: int, samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Residuals (n, D) of samples (n, unknowns) about a plan, of a linear problem; and its matrix."""
    generator = np.random.default_rng(1)
    matrix, at_plan = generator.normal(size=(30, unknowns)), generator.normal(size=30)
    tried = 0.1 * generator.normal(size=(samples, unknowns))
    tried[0] = 0.0
    return at_plan + tried @ matrix.T, tried, matrix


def test_gauss_newton_solves_a_linear_problem_in_one_step():
    residual, tried, matrix = linear_problem(unknowns=4, samples=20)
    step = np.asarray(sampling.gauss_newton(residual, damping=1e-6)) @ tried
    best, *_ = np.linalg.lstsq(matrix, -residual[0], rcond=None)
    np.testing.assert_allclose(step, best, rtol=2e-3, atol=2e-4)


def test_gauss_newton_finds_the_best_of_the_sampled_directions():
    """Fewer samples than unknowns: the least squares solution within their span."""
    residual, tried, matrix = linear_problem(unknowns=25, samples=9)
    step = np.asarray(sampling.gauss_newton(residual, damping=1e-7)) @ tried
    directions = tried[1:]
    share, *_ = np.linalg.lstsq(matrix @ directions.T, -residual[0], rcond=None)
    np.testing.assert_allclose(step, share @ directions, rtol=5e-3, atol=1e-3)


def test_the_influence_of_a_sample_that_falls_is_bounded():
    residual, tried, _ = linear_problem(unknowns=4, samples=20)
    step = np.asarray(sampling.gauss_newton(residual)) @ tried
    fallen = []
    for size in (1e3, 1e6):
        violent = residual.copy()
        violent[7] += size
        fallen.append(np.asarray(sampling.gauss_newton(violent)) @ tried)
    np.testing.assert_allclose(fallen[0], fallen[1], rtol=0.02, atol=0.02 * np.linalg.norm(step))
    assert np.linalg.norm(fallen[1]) < 2 * np.linalg.norm(step)


def test_softmax_prefers_what_costs_less():
    residual = np.array([[2.0], [1.0], [3.0]])
    share = np.asarray(sampling.softmax(residual))
    assert share.sum() == pytest.approx(1.0)
    assert share.argmax() == 1
    assert share.argmin() == 2
