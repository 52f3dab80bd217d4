import mujoco
import mujoco.batch
import numpy as np
import pytest
from scipy.spatial import ConvexHull

from mjxhuman.scenes.convex import box_corners
from mjxhuman.scenes.decomposition.hulls import VERTICES, with_corners

TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]


def _cylinder(radius: float, height: float, sides: int) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = radius * np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.concatenate([np.insert(ring, 2, z, axis=1) for z in (0.0, height)])


def _ball(radius: float, count: int) -> np.ndarray:
    points = np.random.default_rng(0).normal(size=(count, 3))
    return radius * points / np.linalg.norm(points, axis=1, keepdims=True)


SHAPES = {
    "seat": box_corners([0.22, 0.22, 0.02], [0.0, 0.0, 0.45]),
    "thin plate": box_corners([0.6, 0.4, 0.002], [1.0, -2.0, 0.7]),
    "leg": box_corners([0.02, 0.02, 0.22], [0.2, 0.2, 0.22]),
    "turned leg": box_corners([0.02, 0.02, 0.3], [0.2, 0.2, 0.22], TURN),
    "tetrahedron": np.array([[0, 0, 0], [0.3, 0, 0], [0, 0.2, 0], [0.1, 0.1, 0.2]]),
    "flat pyramid": np.array([[-1, -1, 0], [1, -1, 0], [-1, 1, 0], [1, 1, 0], [0, 0, 0.2]]) * 0.3,
    "cylinder": _cylinder(0.15, 0.45, 64),
    "column of few sides": _cylinder(0.03, 0.4, 13),
    "ball": _ball(0.2, 300),
    "pebble": _ball(0.004, 20),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_hull_gets_the_corners_asked_for_and_keeps_its_shape(name):
    points = SHAPES[name]
    corners, left = with_corners(points)
    assert corners.shape == (VERTICES, 3)
    assert len(ConvexHull(corners).vertices) == VERTICES
    given = ConvexHull(points).equations
    assert (corners @ given[:, :3].T + given[:, 3]).max() < 1e-4  # raised by less than a tenth of a millimetre
    got = ConvexHull(corners).equations
    out = (points @ got[:, :3].T + got[:, 3]).max()
    assert out == pytest.approx(left, abs=1e-9)
    if len(ConvexHull(points).vertices) <= VERTICES:
        assert left < 1e-6
        assert corners[:, 2].min() == points[:, 2].min() or name == "turned leg"  # what it stands on stays as it is
    np.testing.assert_allclose(corners.min(0), points.min(0), atol=1e-4)
    np.testing.assert_allclose(corners.max(0), points.max(0), atol=1e-4)


def test_of_too_many_corners_all_that_stay_are_given_and_the_top_loses_least():
    ball = SHAPES["ball"]
    corners, _ = with_corners(ball)
    assert (np.linalg.norm(corners[:, None] - ball[None], axis=2).min(1) == 0).all()
    planes = ConvexHull(corners).equations
    out = (ball @ planes[:, :3].T + planes[:, 3]).max(1)
    assert out[ball[:, 2] > 0.1].max() < 0.8 * out[ball[:, 2] < -0.1].max()


def test_what_is_to_be_kept_stays():
    ball = SHAPES["ball"]
    keep = ball[np.argsort(ball[:, 0])[100:120]]
    corners, _ = with_corners(ball, keep=keep)
    assert (np.linalg.norm(corners[:, None] - keep[None], axis=2).min(0) == 0).all()
    without, _ = with_corners(ball)
    assert (np.linalg.norm(without[:, None] - keep[None], axis=2).min(0) > 0).any()


def test_corners_that_rounding_could_take_are_given_up_even_where_the_number_fits():
    bump = np.array([[0.0, 0.0, 0.1 + 1e-9]])
    corners, lost = with_corners(np.concatenate([box_corners([0.1, 0.1, 0.1], [0, 0, 0]), bump]), 9)
    assert len(corners) == 9 and lost < 1e-8
    margins = [
        (hull[:, :3] @ corners[i] + hull[:, 3]).max()
        for i, hull in enumerate(ConvexHull(np.delete(corners, i, 0)).equations for i in range(9))
    ]
    assert min(margins) >= 2.0**-23 * 0.2


def test_points_in_a_plane_are_no_hull():
    with pytest.raises(ValueError, match="span a volume"):
        with_corners(box_corners([0.2, 0.1, 0.0]))


def _model(pieces: list[np.ndarray]) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[5, 5, 0.1])
    body = spec.worldbody.add_body(pos=[0, 0, 0.5], explicitinertial=True, mass=5.0)
    body.ipos, body.inertia = [0.01, 0.01, 0.2], [0.2, 0.2, 0.2]
    body.add_freejoint()
    for i, piece in enumerate(pieces):
        inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
        spec.add_mesh(name=f"m{i}", uservert=piece.ravel(), inertia=inertia)
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=f"m{i}")
    return spec.compile()


def test_mujoco_runs_different_hulls_in_one_batch():
    pieces = {name: with_corners(points)[0] for name, points in SHAPES.items()}
    names = list(pieces)
    models = [_model([pieces[names[(i + k) % len(names)]] for k in range(3)]) for i in range(len(names))]
    for model in models:
        assert set(model.mesh_vertnum) == {VERTICES}
        assert set(model.mesh_facenum) == {2 * VERTICES - 4}
        graph = model.mesh_graph[np.add.outer(model.mesh_graphadr, [0, 1])]
        np.testing.assert_array_equal(graph, [[VERTICES, 2 * VERTICES - 4]] * 3)
    batch = mujoco.batch.Batch(models[0], nsim=len(models), nthread=1)
    batch.set_models(models)
    qpos = batch.bind("qpos")
    for _ in range(200):
        batch.step()
    for i, model in enumerate(models):
        data = mujoco.MjData(model)
        for _ in range(200):
            mujoco.mj_step(model, data)
        np.testing.assert_array_equal(data.qpos, qpos[i])
