"""The whole-clip solver: derivatives against automatic ones, recovery, segments, padding."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recovery.problems import heavy, make_clip

from mjxhuman.recovery import equations, solver
from mjxhuman.recovery.residuals import problem_of
from mjxhuman.retarget.chain import RANGE_INDEX, chain_of, forward_clip

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def chain(humanoid):
    return chain_of(humanoid)


def prepared(problem):
    return problem._replace(residuals=tuple(solver._prepared(r, problem.segment, 0) for r in problem.residuals))


def moved(start, flat):
    n, frames = equations.UNKNOWNS, len(start.root)
    return solver.retract(start, flat[: frames * n].reshape(frames, n), flat[frames * n :])


def slopes(function, size: int, step: float = 1e-5):
    """Central differences of a function of a change along three random directions, and the directions."""
    directions = np.random.default_rng(0).normal(size=(3, size))
    return directions, [(function(step * v) - function(-step * v)) / (2 * step) for v in directions]


def test_the_gradient_is_that_of_the_cost(chain, x64):
    frames = 3
    given, body, start, *_ = make_clip(chain, frames)
    given, body, start = heavy(given, body, start)
    problem = prepared(problem_of(given, body))
    linearise = jax.jit(equations.linearise)
    system = linearise(start, problem)
    own = np.concatenate([np.ravel(system.gradient), system.gradient_shared])

    def cost(flat):
        path = moved(start, flat)
        return 0.5 * float(jnp.sum(linearise(path, problem).cost) + solver.prior_cost(path, problem))

    directions, numeric = slopes(cost, len(own))
    np.testing.assert_allclose(directions @ own, numeric, rtol=1e-6, atol=1e-8 * np.abs(own).max())


def test_the_normal_matrix_is_the_curvature_where_residuals_vanish(chain, x64):
    """A body that stands still exactly where it is seen: the change of the gradient is the matrix."""
    frames = 3
    given, body, _, root, local, _ = make_clip(chain, frames)
    local = local.copy()
    local[:] = local[0]
    local[:, RANGE_INDEX] = [1.0, 0.0, 0.0, 0.0]  # well inside the soft ranges
    root = np.tile(root[:1], (frames, 1))
    given, body, *_ = make_clip(chain, frames, path=(root, local))
    given = given._replace(hold=np.tile([[0.5, 1.0]], (frames, 1)))
    body = body._replace(
        reference_weight=np.zeros((22, 3)), bend_weight=np.full((23, 3), 2.0), shared_precision=np.full(3, 3.0),
        hold_weight=np.array(4.0),
    )  # fmt: skip
    still = equations.Path(root, local, np.zeros(3))
    problem = prepared(problem_of(given, body))
    linearise = jax.jit(equations.linearise)
    system = linearise(still, problem)
    size, n, more = frames * equations.UNKNOWNS, equations.UNKNOWNS, len(equations.SHARED)
    dense = np.zeros((size + more, size + more))
    for t in range(frames):
        for k, blocks in enumerate(system.matrix):
            if t >= k:
                dense[t * n : (t + 1) * n, (t - k) * n : (t - k + 1) * n] = blocks[t]
    dense[size:, :size] = np.asarray(system.border).reshape(size, more).T
    dense[size:, size:] = system.corner
    dense = np.tril(dense) + np.tril(dense, -1).T

    def gradient(flat):
        at = linearise(moved(still, flat), problem)
        return np.concatenate([np.ravel(at.gradient), at.gradient_shared])

    directions, numeric = slopes(gradient, size + more)
    for v, want in zip(directions, numeric, strict=True):
        np.testing.assert_allclose(dense @ v, want, atol=1e-4 * np.abs(want).max())


def test_two_views_recover_the_motion_and_the_scale(chain):
    given, body, start, _, _, pos = make_clip(chain, 40)
    body = body._replace(shared_precision=np.array([1.0, 1e12, 1e12]))
    start = start._replace(shared=np.array([0.08, 0, 0]))
    found = solver.solve_clip(problem_of(given._replace(landmark=None), body), start, tolerance=1e-6)
    assert abs(found.path.shared[0]) < 3e-3
    own, _ = forward_clip(chain, found.path.root, found.path.local)
    assert np.linalg.norm(own - pos, axis=-1)[:, :20].max() < 5e-3


def test_segments_do_not_see_each_other(chain):
    given, body, start, *_ = make_clip(chain, 20)
    alone = problem_of(given._replace(landmark=None), body)._replace(segment=np.arange(20))
    both = solver.solve_clip(alone, start)
    part = alone.frames(slice(5, 9))._replace(segment=np.arange(4))
    few = solver.solve_clip(part, equations.Path(start.root[5:9], start.local[5:9], start.shared))
    np.testing.assert_allclose(few.path.root, both.path.root[5:9], atol=1e-6)
    np.testing.assert_allclose(few.cost, both.cost[5:9], rtol=1e-4, atol=1e-6)


def test_padding_changes_nothing(chain, monkeypatch):
    """A clip that ends with its soles under a floor whose height is free: frames that are not there do not press."""
    given, body, start, *_ = make_clip(chain, 32)
    body = body._replace(floor_weight=np.array(20.0), shared_precision=np.array([1e12, 1e12, 1e-4]))
    problem = problem_of(given._replace(landmark=None, touch=np.full((32, 2), 0.1)), body)
    start = start._replace(shared=np.array([0.0, 0.0, 0.3]))
    exact = solver.solve_clip(problem, start)
    monkeypatch.setattr(solver, "LENGTHS", (64,))
    padded = solver.solve_clip(problem, start)
    np.testing.assert_allclose(padded.path.shared, exact.path.shared, atol=1e-8)
    np.testing.assert_allclose(padded.path.root, exact.path.root, atol=1e-8)


def test_outliers_lose_their_say(chain):
    """A wrist that jumps by 250 px in one of two views for three frames."""
    given, body, start, _, _, pos = make_clip(chain, 30)
    uv = given.uv.copy()
    uv[7:10, 0, 20] += 250.0
    given = given._replace(uv=uv, landmark=None)
    error = []
    for scale in (1e6, 4.0):
        problem = problem_of(given, body._replace(pixel_scale=np.array(scale)))
        found = solver.solve_clip(problem, start, tolerance=1e-5)
        own, _ = forward_clip(chain, found.path.root, found.path.local)
        error.append(np.linalg.norm(own - pos, axis=-1)[:, :21].max())
    assert error[0] > 0.1
    assert error[1] < 0.02


def test_what_does_not_fit_is_an_error(chain):
    given, body, start, *_ = make_clip(chain, 20)
    problem = problem_of(given, body)
    index = np.tile(np.arange(20), 30)
    with pytest.raises(ValueError, match="at most 512 frames, found 600"):
        solver.solve_clip(problem.frames(index), equations.Path(start.root[index], start.local[index], start.shared))
    for name, change in (
        ("weight", {"weight": np.ones(19)}),
        ("rows", {"weight": np.ones(20), "rows": np.ones((1, 3))}),
    ):
        odd = equations.Residual(lambda pose, row: pose.root, **change)
        with pytest.raises(ValueError, match=f"{name}: expected one entry for each of 20 frames"):
            solver.solve_clip(problem_of(given, body, [odd]), start)
