"""Hull distances against scipy's ConvexHull, brute force over directions, and finite differences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.spatial import ConvexHull

from mjxhuman.math import polygon

pytestmark = pytest.mark.compiled

hull_distance = jax.jit(polygon.hull_distance, static_argnames="axis")
signed_hull_distance = jax.jit(polygon.signed_hull_distance, static_argnames="axis")


def reference(point: np.ndarray, points: np.ndarray) -> float:
    """Signed distance by facets and edges of scipy's hull (at least three points, not collinear)."""
    hull = ConvexHull(points)
    heights = hull.equations[:, :2] @ point + hull.equations[:, 2]
    if heights.max() < 0:
        return float(heights.max())
    return min(segment(point, points[i], points[j]) for i, j in hull.simplices)


def segment(point: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    t = np.clip((point - a) @ (b - a) / max((b - a) @ (b - a), 1e-300), 0, 1)
    return float(np.linalg.norm(point - a - t * (b - a)))


@pytest.mark.parametrize("count", [3, 4, 16, 36])
def test_matches_scipy_hull(x64: None, count: int) -> None:
    rng = np.random.default_rng(count)
    points = rng.normal(size=(200, count, 2))
    query = rng.normal(size=(200, 2))
    mask = rng.random((200, count)) < 0.7
    mask[:, :3] = True
    expected = np.array([reference(p, c[m]) for p, c, m in zip(query, points, mask, strict=True)])
    assert (expected < 0).sum() > 5 and (expected > 0).sum() > 5
    found = signed_hull_distance(query, points, mask)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(hull_distance(query, points, mask), np.maximum(expected, 0), rtol=1e-11, atol=1e-13)


def test_sole_rectangles_in_float32() -> None:
    """Two feet with 8 points each, a regular arrangement full of parallel edges and collinear points."""
    sole = np.array([[x, y] for x in (0.0, 0.08, 0.16, 0.24) for y in (-0.04, 0.04)])
    rng = np.random.default_rng(1)
    points = np.concatenate([sole + [0.0, 0.1], sole + [0.1, -0.1]])
    query = rng.uniform(-0.4, 0.6, size=(500, 2))
    expected = np.array([reference(p, points) for p in query])
    found = signed_hull_distance(
        query.astype(np.float32), np.tile(points, (500, 1, 1)).astype(np.float32), np.ones((500, 16), bool)
    )
    np.testing.assert_allclose(found, expected, atol=2e-7)


def test_batch_last_layout_is_the_same(x64: None) -> None:
    rng = np.random.default_rng(2)
    points, query, mask = rng.normal(size=(3, 5, 6, 2)), rng.normal(size=(3, 5, 2)), rng.random((3, 5, 6)) < 0.6
    first = signed_hull_distance(query, points, mask)
    last = signed_hull_distance(
        np.moveaxis(query, -1, 0), np.moveaxis(points, (-2, -1), (0, 1)), np.moveaxis(mask, -1, 0), axis=0
    )
    assert first.shape == (3, 5)
    np.testing.assert_array_equal(first, last)
    with pytest.raises(ValueError, match="axis"):
        hull_distance(query, points, mask, axis=1)


def test_few_and_collinear_points(x64: None) -> None:
    points = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    cases = [
        ([0, 0, 0, 0], [3.0, 4.0], 7.0),  # nothing counts: the sentinel
        ([1, 0, 0, 0], [3.0, 4.0], 5.0),  # a point
        ([1, 1, 0, 0], [1.0, 0.5], 0.5),  # a segment, beside
        ([1, 1, 0, 0], [5.0, 4.0], 5.0),  # a segment, beyond its end
        ([0, 0, 1, 1], [1.0, 2.0], 2.0),  # two equal points
        ([1, 1, 1, 1], [1.0, -0.5], 0.5),  # collinear, beside
        ([1, 1, 1, 1], [4.0, 0.0], 2.0),  # collinear and on their line, beyond the end
        ([1, 1, 1, 1], [0.5, 0.0], 0.0),  # on the segment
    ]
    for mask, query, expected in cases:
        found = signed_hull_distance(np.array(query), points, np.array(mask, bool), empty=7.0)
        assert float(found) == pytest.approx(expected, abs=1e-15), (mask, query)


def test_points_that_do_not_count_may_hold_anything(x64: None) -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [np.nan, np.inf]])
    mask = np.array([True, True, True, False])
    query = np.array([0.2, 0.2])
    value, gradient = jax.value_and_grad(signed_hull_distance)(query, points, mask)
    assert float(value) == pytest.approx(-0.2)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("radius", [0.3, 3.0])
def test_nearly_flat_and_repeated_corners(x64: None, radius: float) -> None:
    """Points that differ from a square's sides by rounding, and repeated corners: no edge of the hull may get lost."""
    rng = np.random.default_rng(5)
    t = rng.random(28)
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    sides = np.concatenate(
        [a + (b - a) * t[7 * i : 7 * i + 7, None] for i, (a, b) in enumerate(zip(square, np.roll(square, -1, 0)))]
    )
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    points = np.concatenate([square, square, sides]) @ turn.T
    angle = rng.uniform(0, 2 * np.pi, 300)
    query = radius * np.stack([np.cos(angle), np.sin(angle)], -1)
    box = query @ turn
    outside = np.linalg.norm(np.maximum(np.abs(box) - 1, 0), axis=-1)
    expected = np.where(outside > 0, outside, np.max(np.abs(box), axis=-1) - 1)
    order = rng.permutation(len(points))
    found = signed_hull_distance(query, np.tile(points[order], (300, 1, 1)), np.ones((300, len(points)), bool))
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_gradient(x64: None) -> None:
    """Reverse = finite difference outside an edge, outside a corner and inside; finite where the distance is 0."""
    points = jnp.array([[0.0, 0.0], [1.0, 0.1], [0.9, 1.0], [0.1, 0.8]])
    mask = jnp.ones(4, bool)
    for query in ([0.5, -0.3], [-0.2, -0.4], [0.45, 0.3]):
        check_grads(
            lambda q, p: signed_hull_distance(q, p, mask), (jnp.array(query), points), order=1, rtol=1e-6, eps=1e-6
        )
    for query in ([0.0, 0.0], [0.5, 0.05]):
        assert np.isfinite(jax.grad(signed_hull_distance)(jnp.array(query), points, mask)).all()
