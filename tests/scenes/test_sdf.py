"""Signed distances against trimesh's closest points and against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import ConvexHull

import mjxhuman
from mjxhuman.math import quaternion
from mjxhuman.scenes.convex import box_corners, pack
from mjxhuman.scenes.sdf import by_object, closest, hulls_of, nearest, object_surface, scene_surface
from mjxhuman.scenes.surface import Surface, checked, measure
from mjxhuman.scenes.types import Mesh, Scene, SceneObject, resting

pytestmark = pytest.mark.compiled

STOOL = [box_corners([0.2, 0.2, 0.02], [0, 0, 0.43])] + [
    box_corners([0.02, 0.02, 0.205], [x, y, 0.205]) for x in (-0.17, 0.17) for y in (-0.17, 0.17)
]


def blobs(count=5, corners=32, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        x = rng.normal(size=(corners, 3))
        x *= rng.uniform(0.05, 0.2, 3) / np.linalg.norm(x, axis=1)[:, None]
        yield x + rng.uniform(-0.3, 0.3, 3)


def thing(pieces, name="stool"):
    mesh = Mesh(np.zeros((0, 3)), np.zeros((0, 3), int))
    mass, none = np.float64(5.0), np.zeros((0, 3))
    return SceneObject(mesh, pack(pieces), none, none, mass, np.zeros(3), np.eye(3), np.float64(0.6), name)


def truth(pieces, points):
    """Distance by brute force over triangles, the sign by the planes of Qhull."""
    trimesh = pytest.importorskip("trimesh")
    best = np.full(len(points), np.inf)
    for piece in pieces:
        hull = ConvexHull(piece)
        count = len(hull.simplices)
        triangles = np.tile(piece[hull.simplices], (len(points), 1, 1))
        near = trimesh.triangles.closest_point(triangles, np.repeat(points, count, 0)).reshape(-1, count, 3)
        apart = np.linalg.norm(near - points[:, None], axis=-1).min(1)
        inside = np.max(points @ hull.equations[:, :3].T + hull.equations[:, 3], 1) <= 0
        best = np.minimum(best, np.where(inside, -apart, apart))
    return best


@pytest.mark.parametrize("pieces", [STOOL, list(blobs())], ids=["boxes", "hulls"])
def test_the_distance_is_that_of_a_brute_force_over_triangles(pieces):
    rng = np.random.default_rng(0)
    about = np.concatenate(pieces) + rng.normal(size=(len(np.concatenate(pieces)), 3)) * 0.02
    inner = rng.dirichlet(np.ones(8), (len(pieces), 20)) @ np.stack([piece[:8] for piece in pieces])
    points = np.concatenate([rng.uniform(-0.6, 0.6, (1000, 3)) + [0, 0, 0.2], about, inner.reshape(-1, 3), *pieces])
    with jax.enable_x64(True):
        distance, normal = nearest(hulls_of(pack(pieces)), points)
    np.testing.assert_allclose(distance, truth(pieces, points), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(normal, axis=-1), 1, atol=1e-9)
    assert (np.asarray(distance) < 0).sum() > 50
    single = nearest(hulls_of(pack(pieces)), jnp.asarray(points, jnp.float32))[0]
    np.testing.assert_allclose(single, distance, atol=2e-6)


def test_the_gradient_is_the_finite_difference_at_faces_edges_corners_inside_and_at_zero():
    scene = Scene((thing(STOOL), thing(list(blobs()), "blobs")), np.stack([_pose(0.3, 0.4), _pose(-0.9, -1.0)]))
    local = np.array([
        [0.05, 0.02, 0.5], [0.05, 0.02, 0.45], [0.05, 0.02, 0.44],  # above a face, at d = 0, inside
        [0.3, 0.02, 0.5], [0.3, 0.25, 0.5], [-0.171, 0.17, 0.2], [0.0, 0.0, 0.2],
    ])  # fmt: skip
    points = quaternion.rotate(scene.poses[0, 3:], local) + scene.poses[0, :3]
    points = np.concatenate([points, np.random.default_rng(1).uniform(-1.4, 1.0, (200, 3))])
    with jax.enable_x64(True):
        found = closest(scene, points)
        distance, back = jax.vjp(lambda x: mjxhuman.signed_distance(scene, x), jnp.asarray(points))
        gradient = back(jnp.ones_like(distance))[0]
        moved = points + 1e-6 * np.stack([np.eye(3), -np.eye(3)]).reshape(6, 1, 3)
        ends = np.asarray(jax.lax.map(lambda x: mjxhuman.signed_distance(scene, x), moved)).reshape(2, 3, -1)
    np.testing.assert_allclose(gradient, found.normal, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(gradient, axis=-1), 1, atol=1e-9)
    slope = ((ends[0] - ends[1]) / 2e-6).T
    np.testing.assert_allclose(slope, gradient, atol=2e-5)
    np.testing.assert_allclose(
        found.distance[:5], [0.05, 0, -0.01, np.hypot(0.1, 0.05), np.linalg.norm([0.1, 0.05, 0.05])]
    )
    assert set(np.asarray(found.object)) == {0, 1}


def _pose(x, turn):
    return np.array([x, 0.2, 0.0, np.cos(turn / 2), 0.0, 0.0, np.sin(turn / 2)])


def test_poses_may_be_a_batch_and_padding_changes_nothing():
    stool, points = thing(STOOL), np.random.default_rng(0).uniform(-0.5, 0.5, (3, 20, 3))
    poses = np.stack([_pose(0.1 * i, 0.3 * i) for i in range(3)])[:, None]
    together = closest(Scene((stool,), poses), points)
    for i in range(3):
        alone = closest(Scene((stool,), poses[i]), points[i])
        np.testing.assert_array_equal(together.distance[i], alone.distance)
    huge = pack([*STOOL, *[99.0 * box_corners([1, 1, 1])] * 27])  # but for the mask, everything would be inside
    wide = stool.replace(parts=huge.replace(mask=np.arange(32) < 5))
    np.testing.assert_array_equal(closest(Scene((wide,), poses), points).distance, together.distance)
    apart, _ = by_object(Scene((stool, stool), np.concatenate([poses, poses], 1)), points)
    assert apart.shape == (3, 2, 20)


def test_the_pose_moves_the_distance_as_the_normal_says():
    points = jnp.asarray([[0.05, 0.02, 0.6], [0.4, 0.3, 0.6]])
    scene = Scene((thing(STOOL),), resting((thing(STOOL),)))
    slope = jax.jacobian(lambda p: mjxhuman.signed_distance(scene.replace(poses=p), points))(jnp.asarray(scene.poses))
    np.testing.assert_allclose(slope[:, 0, :3], -closest(scene, points).normal, atol=1e-6)


def test_furniture_is_a_surface_that_stands_on_its_floor():
    scene = Scene((thing(STOOL),), _pose(1.0, 0.5)[None])
    surface = checked(scene_surface(scene))
    assert isinstance(object_surface(scene.objects[0], scene.poses[0]), Surface)
    found = measure(surface, [[1.0, 0.2, 0.46], [0.0, 0.0, 0.02]])
    np.testing.assert_allclose(found.distance, [0.01, 0.02])
    np.testing.assert_allclose(found.normal, [[0, 0, 1], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(found.friction, [0.6, 0.8])
    turned = measure(surface, [[1.4, 0.2, 0.46], [0.0, 0.0, 0.02]])
    first = surface.nearest(jnp.asarray([[1.4, 0.0], [0.2, 0.0], [0.46, 0.02]]), 0)
    np.testing.assert_allclose(jnp.moveaxis(first.normal, 0, -1), turned.normal, atol=1e-6)


@pytest.mark.parametrize(
    "ask",
    [
        lambda scene: mjxhuman.signed_distance(scene, np.zeros(3)),
        lambda scene: mjxhuman.signed_distance(Scene((), np.zeros((0, 7))), np.zeros((1, 3))),
        lambda scene: scene_surface(scene.replace(poses=scene.poses[None])),
        lambda scene: mjxhuman.signed_distance(scene.replace(poses=np.zeros((2, 7))), np.zeros((1, 3))),
        lambda scene: mjxhuman.signed_distance(scene.replace(poses=1.01 * scene.poses), np.zeros((1, 3))),
        lambda scene: mjxhuman.signed_distance(scene.replace(poses=scene.poses * np.nan), np.zeros((1, 3))),
        lambda scene: mjxhuman.signed_distance(scene.replace(poses=scene.poses[[[0]] * 4]), np.zeros((3, 5, 3))),
        lambda scene: jax.jit(mjxhuman.signed_distance)(scene, np.zeros((1, 3))),
    ],
    ids=["points", "objects", "poses", "count", "length", "nan", "axes", "traced"],
)
def test_what_has_no_distance_is_refused(ask):
    with pytest.raises(ValueError, match="expected"):
        ask(Scene((thing(STOOL),), _pose(1.0, 0.5)[None]))


def test_whole_numbers_are_points_and_what_is_not_finite_has_no_distance():
    scene = Scene((thing(STOOL),), _pose(1.0, 0.5)[None])
    np.testing.assert_array_equal(
        mjxhuman.signed_distance(scene, [[1, 0, 1]]), mjxhuman.signed_distance(scene, [[1.0, 0.0, 1.0]])
    )
    assert np.isnan(mjxhuman.signed_distance(scene, [[np.nan, 0.0, 0.0], [np.inf, 0.0, 0.0]])).all()
