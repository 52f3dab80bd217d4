"""Distances and normals of surfaces against what is known of them, brute force and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from scipy.spatial import cKDTree

from mjxhuman.scenes import FRICTION, HeightField, Nearest, Plane, Surfaces
from mjxhuman.scenes.surface import Surface, checked, height_below, is_upright, measure, split

pytestmark = pytest.mark.compiled


def steps(spacing=0.02, rise=0.17, going=0.28, count=4):
    """A flight of stairs along x that begins at x = 0, risers one cell wide."""
    x = np.arange(round((count + 1) * going / spacing)) * spacing
    heights = rise * np.clip(np.floor(x / going + 1e-9), 0, count)
    return HeightField(np.stack([heights] * 2, 1), np.array([0.0, -1.0]), np.float64(spacing))


def hills(seed=0, size=12, spacing=0.05):
    heights = np.random.default_rng(seed).normal(size=(size, size)) * 0.01
    return HeightField(heights, np.array([-0.3, -0.3]), np.float64(spacing), friction=np.float64(0.5))


def test_the_level_floor_is_the_height_and_holds_no_numbers():
    points = np.random.default_rng(0).normal(size=(5, 4, 3))
    found = measure(Plane(), points)
    np.testing.assert_array_equal(found.distance, points[..., 2])
    np.testing.assert_array_equal(found.normal, np.broadcast_to([0, 0, 1], points.shape))
    assert found.friction == FRICTION
    assert jax.tree.leaves(Plane()) == [] and is_upright(Plane()) and not is_upright(Plane(normal=np.ones(3)))


def test_a_plane_is_known_in_closed_form():
    points = np.random.default_rng(0).normal(size=(50, 3))
    normal, point = np.array([1.0, -2.0, 3.0]), np.array([0.1, 0.2, 0.3])
    found = measure(Plane(point, normal, np.float64(0.3)), points)
    unit = normal / np.linalg.norm(normal)
    np.testing.assert_allclose(found.distance, (points - point) @ unit, atol=1e-12)
    np.testing.assert_allclose(found.normal, np.broadcast_to(unit, points.shape), atol=1e-12)
    assert found.friction == 0.3
    np.testing.assert_allclose(measure(Plane(point), points).distance, points[:, 2] - 0.3)


@pytest.mark.parametrize(
    "surface", [hills(), Surfaces((Plane(normal=np.array([0.1, 0.0, 1.0])), hills()))], ids=["hills", "both"]
)
def test_the_axis_of_components_may_lie_anywhere(surface):
    points = jnp.asarray(np.random.default_rng(0).uniform(-0.2, 0.2, (6, 5, 3)))
    last = surface.nearest(points)
    first = surface.nearest(jnp.moveaxis(points, -1, 1), 1)
    np.testing.assert_array_equal(first.distance, last.distance)
    np.testing.assert_array_equal(jnp.moveaxis(first.normal, 1, -1), last.normal)


def test_hills_are_as_far_as_the_nearest_of_a_dense_cloud_of_their_points():
    field = hills()
    fine = np.linspace(-0.3, 0.25, 1401)  # 0.4 mm apart
    x, y = np.meshgrid(fine, fine, indexing="ij")
    i, j = (np.clip(np.floor((c + 0.3) / 0.05).astype(int), 0, 10) for c in (x, y))
    u, v = (x + 0.3) / 0.05 - i, (y + 0.3) / 0.05 - j
    h = np.asarray(field.heights)
    z = (h[i, j] * (1 - u) + h[i + 1, j] * u) * (1 - v) + (h[i, j + 1] * (1 - u) + h[i + 1, j + 1] * u) * v
    cloud = cKDTree(np.stack([x, y, z], -1).reshape(-1, 3))
    rng = np.random.default_rng(3)
    points = np.concatenate([rng.uniform(-0.2, 0.15, (300, 2)), rng.uniform(-0.05, 0.05, (300, 1))], 1)
    found = measure(field, points)
    brute, _ = cloud.query(points)
    column = z[np.searchsorted(fine, points[:, 0]), np.searchsorted(fine, points[:, 1])]
    np.testing.assert_allclose(np.abs(found.distance), brute, atol=3e-4)
    clear = np.abs(points[:, 2] - column) > 1e-3
    np.testing.assert_array_equal((found.distance < 0)[clear], (points[:, 2] < column)[clear])
    np.testing.assert_allclose(np.linalg.norm(found.normal, axis=-1), 1.0, atol=1e-12)


@pytest.mark.parametrize(
    ("point", "distance", "normal"),
    [
        ((0.40, 0.17 + 0.003), 0.003, (0, 1)),  # over the middle of the first tread
        ((0.40, 0.17 - 0.010), -0.010, (0, 1)),  # in it
        ((0.535, 0.17 + 0.000), 0.000, (0, 1)),  # the tip of a foot, 5 mm before the next riser
        ((0.530, 0.17 + 0.100), 0.0216, (-1, 0)),  # high before that riser
        ((0.265, 0.17 + 0.000), 0.0149, (-1, 0)),  # overhanging the nosing: beside the riser, not on the tread
        ((0.262, 0.17 + 0.020), None, None),  # aside of the edge and above it
    ],
)
def test_treads_carry_and_edges_do_not(point, distance, normal):
    """Stairs in x: risers are the cells that end at multiples of the going, 0.26-0.28, 0.54-0.56 ..."""
    stairs = steps()
    found = measure(stairs, [point[0], 0.0, point[1]])
    corner = np.array([0.28, 0.17])
    if distance is None:
        away = np.array(point) - corner
        assert found.distance == pytest.approx(np.linalg.norm(away), abs=1e-9)
        np.testing.assert_allclose(found.normal, [away[0], 0, away[1]] / np.linalg.norm(away), atol=1e-9)
        return
    # a riser leans by one cell in its height
    assert found.distance == pytest.approx(distance, abs=1e-4)
    assert found.normal @ [normal[0], 0, normal[1]] > 0.99


@pytest.mark.parametrize(
    "surface",
    [Plane(np.array([0, 0, 0.1]), np.array([0.2, 0.1, 1.0])), hills(), Surfaces((Plane(), hills(), steps()))],
    ids=["plane", "hills", "surfaces"],
)
def test_the_gradient_of_the_distance_is_the_normal(surface, x64):
    rng = np.random.default_rng(5)
    points = jnp.asarray(np.concatenate([rng.uniform(-0.2, 0.2, (200, 2)), rng.uniform(-0.03, 0.03, (200, 1))], 1))
    slope = jax.grad(lambda p: surface.nearest(p).distance.sum())(points)
    normal = surface.nearest(points).normal
    h = 1e-7
    ends = [[surface.nearest(points + s * h * e).distance for e in np.eye(3)] for s in (1, -1)]
    finite = (jnp.stack(ends[0], -1) - jnp.stack(ends[1], -1)) / (2 * h)
    smooth = np.abs(np.linalg.norm(finite, axis=-1) - 1) < 1e-2  # not astride two cells, or of two surfaces
    assert smooth.mean() > 0.97
    np.testing.assert_allclose(slope[smooth], finite[smooth], atol=2e-3)
    np.testing.assert_allclose(normal[smooth], finite[smooth], atol=2e-2)


def test_beyond_its_grid_a_height_field_goes_on_level():
    heights = np.array([[0.1, 0.1, 0.1], [0.2, 0.2, 0.2]])
    found = measure(HeightField(heights, np.zeros(2), np.float64(0.1)), [[-3.0, 9.0, 0.15], [3.0, -9.0, 0.15]])
    np.testing.assert_allclose(found.distance, [0.05, -0.05], atol=1e-9)
    np.testing.assert_allclose(found.normal, np.broadcast_to([0, 0, 1], (2, 3)), atol=1e-9)


def test_a_surface_can_be_fitted_to_points(x64):
    """Distances are differentiable in the numbers of the surface, under jit and vmap."""
    heights = jnp.zeros((4, 4))

    @jax.jit
    def miss(h, points):
        field = HeightField(h, np.zeros(2), np.float64(0.1))
        return jnp.sum(jax.vmap(lambda p: field.nearest(p).distance ** 2)(points))

    points = jnp.asarray([[0.1, 0.1, 0.02], [0.25, 0.15, -0.01]])
    slope = jax.grad(miss)(heights, points)
    step = 1e-6 * jax.random.normal(jax.random.key(0), heights.shape)
    finite = (miss(heights + step, points) - miss(heights - step, points)) / 2
    assert float(jnp.sum(slope * step)) == pytest.approx(float(finite), rel=1e-5)
    assert np.count_nonzero(slope) == 5


def test_of_several_surfaces_the_nearest_counts():
    block = HeightField(np.full((6, 6), 0.3), np.array([1.0, 1.0]), np.float64(0.1), friction=np.float64(0.4))
    outside = block.replace(heights=np.pad(block.heights[1:-1, 1:-1], 1, constant_values=-1.0))
    both = Surfaces((Plane(), outside))
    found = measure(both, [[0.0, 0.0, 0.05], [1.25, 1.25, 0.31], [1.25, 1.25, 0.29], [1.25, 0.97, 0.02]])
    np.testing.assert_allclose(found.distance, [0.05, 0.01, -0.01, 0.02], atol=1e-9)
    np.testing.assert_allclose(found.normal, np.broadcast_to([0, 0, 1], (4, 3)), atol=1e-9)
    np.testing.assert_allclose(found.friction, [FRICTION, 0.4, 0.4, FRICTION])


def test_what_is_no_surface_is_refused():
    assert checked(None) == Plane() and isinstance(checked(hills()), Surface)
    with pytest.raises(ValueError, match=r"surface: expected an object with nearest\(points, axis\), found 0.1"):
        checked(0.1)
    with pytest.raises(ValueError, match="at least one part"):
        checked(Surfaces(()))
    with pytest.raises(ValueError, match=r"Plane.normal: expected finite numbers, found nan"):
        checked(Surfaces((Plane(normal=np.array([0, np.nan, 1])),)))
    with pytest.raises(ValueError, match=r"heights \(X, Y\) of at least 2 x 2.*found \(3,\)"):
        measure(HeightField(np.zeros(3), np.zeros(2), np.float64(1)), np.zeros(3))

    class Bump:
        def nearest(self, points, axis=-1):
            return Nearest(split(points, axis)[2], points, 1.0)

    with pytest.raises(ValueError, match="expected numbers in a pytree, found Bump"):
        checked(Bump())
    checked(struct.dataclass(Bump)())


def test_heights_are_where_a_vertical_line_meets_the_surface_first():
    ramp = Plane(np.array([0.0, 0.0, 0.2]), np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_allclose(height_below(ramp, [[0.5, 3.0], [-1.0, 0.0]], 5.0), [0.7, -0.8], atol=1e-6)
    x = np.array([-0.5, 0.4, 0.55, 0.6, 5.0])  # before, on the first tread, within its riser, on the second, beyond
    found = height_below(Surfaces((Plane(), steps())), np.stack([x, 0 * x], 1), 3.0)
    np.testing.assert_allclose(found, [0.0, 0.17, 0.255, 0.34, 0.68], atol=1e-4)
    assert np.isnan(height_below(Plane(np.array([0.0, 0.0, -90.0])), np.zeros(2), 1.0))
