"""The whole-clip solver: derivatives against automatic ones, recovery, segments, padding."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from synthetic_sources import moving_pose

from mjxhuman.math import camera, quaternion
from mjxhuman.recovery import solver
from mjxhuman.retarget.chain import chain_of, forward_clip

K = np.array([[1200.0, 0.0, 640.0], [0.0, 1200.0, 360.0], [0.0, 0.0, 1.0]])


@pytest.fixture(scope="module")
def chain(humanoid):
    return chain_of(humanoid)


def make_clip(chain, frames: int = 40, views: int = 2, noise: float = 0.15, path=None):
    """The 22 joints seen by cameras around the walker; starts from a disturbed path."""
    rng = np.random.default_rng(5)
    root, local = moving_pose(chain, frames) if path is None else path
    pos, quat = forward_clip(chain, root, local)
    where = [camera.look_at([4.0 * np.cos(a), 4.0 * np.sin(a), 1.6], [0.0, 0.0, 0.9]) for a in (0.4, 2.0, 4.0)]
    pixels = np.stack([np.asarray(camera.project(pos[:, :22], K, w, np.zeros(4))[0]) for w in where[:views]], 1)
    view = np.stack([np.linalg.inv(np.asarray(w, float))[:3] for w in where[:views]])
    bend = np.ones(frames)
    bend[[0, -1]] = 0.0
    anchor = pos[:, :1] + quaternion.rotate(quat[:, :1], np.array([0.0, -0.06, 0.0]))
    foot = np.array([[0.0, -0.05, 0.1], [0.0, -0.05, -0.05]])
    given = solver.Frames(
        view=np.tile(view, (frames, 1, 1, 1)), lens=np.tile([1200.0, 1200.0, 640.0, 360.0], (frames, views, 1)),
        uv=pixels.astype(float), weight=np.full((frames, views, 22), 0.2), landmark=pos[:, :22] - anchor,
        landmark_weight=np.full((frames, 22), 5.0), bend=bend, touch=np.zeros((frames, 2)),
        hold=np.zeros((frames, 2)), segment=np.zeros(frames, int),
    )  # fmt: skip
    body = solver.Body(
        offsets=chain.offsets[:22], body=np.arange(22), point=np.zeros((22, 3)), anchor=np.array([0.0, -0.06, 0.0]),
        foot_body=np.array([7, 8]), foot=foot, reference=np.tile([1.0, 0.0, 0.0, 0.0], (22, 1)),
        reference_weight=np.full((22, 3), 0.03),
        bend_weight=np.full((23, 3), 1e-2), floor_weight=np.array(0.0),
        hold_weight=np.array(0.0), pixel_scale=np.array(100.0), landmark_scale=np.array(100.0), shared=np.zeros(3),
        shared_precision=np.full(3, 1e12),
    )  # fmt: skip
    turn = rng.normal(0.0, noise, (frames, 22, 3))
    length = np.linalg.norm(turn, axis=-1, keepdims=True)
    quats = np.concatenate([np.cos(length / 2), np.sin(length / 2) * turn / length], -1)
    start = solver.Path(root + rng.normal(0.0, 0.05, root.shape), quaternion.multiply(local, quats), np.zeros(3))
    return given, body, start, root, local, pos


def heavy(given, body, start):
    """The same with every residual in play and every shared unknown away from its prior."""
    rng = np.random.default_rng(1)
    frames = len(given.bend)
    given = given._replace(touch=rng.uniform(0, 1, (frames, 2)), hold=rng.uniform(0, 1, (frames, 2)))
    body = body._replace(
        floor_weight=np.array(5.0), hold_weight=np.array(7.0),
        bend_weight=np.full((23, 3), 3.0), reference_weight=np.full((22, 3), 0.7), pixel_scale=np.array(6.0),
        landmark_scale=np.array(2.0),
        shared_precision=np.array([30.0, 20.0, 40.0]),
    )  # fmt: skip
    return given, body, start._replace(shared=np.array([0.1, -0.05, 0.7]))


def moved(start, flat):
    n, frames = solver.UNKNOWNS, len(start.root)
    return solver._retract(start, flat[: frames * n].reshape(frames, n), flat[frames * n :])


def slopes(function, size: int, step: float = 1e-5):
    """Central differences of a function of a change along three random directions, and the directions."""
    directions = np.random.default_rng(0).normal(size=(3, size))
    return directions, [(function(step * v) - function(-step * v)) / (2 * step) for v in directions]


def test_the_gradient_is_that_of_the_cost(chain, x64):
    frames = 3
    given, body, start, *_ = make_clip(chain, frames)
    given, body, start = jax.tree.map(jnp.asarray, heavy(given, body, start))
    linearise = jax.jit(solver._linearise)
    system = linearise(start, given, body)
    own = np.concatenate([np.ravel(system.gradient), system.gradient_shared])

    def cost(flat):
        path = moved(start, flat)
        return 0.5 * float(jnp.sum(linearise(path, given, body).cost) + solver._prior_cost(path, body))

    directions, numeric = slopes(cost, len(own))
    # the inverse of the exponential's derivative is cut after its second order
    np.testing.assert_allclose(directions @ own, numeric, rtol=1e-4, atol=1e-4 * np.abs(own).max())


def test_the_normal_matrix_is_the_curvature_where_residuals_vanish(chain, x64):
    """A body that stands still exactly where it is seen: the change of the gradient is the matrix."""
    frames = 3
    given, body, _, root, local, _ = make_clip(chain, frames)
    local = local.copy()
    local[:] = local[0]
    local[:, solver.RANGE_INDEX] = [1.0, 0.0, 0.0, 0.0]  # well inside the soft ranges
    root = np.tile(root[:1], (frames, 1))
    given, body, *_ = make_clip(chain, frames, path=(root, local))
    given = given._replace(hold=np.tile([[0.5, 1.0]], (frames, 1)))
    body = body._replace(
        reference_weight=np.zeros((22, 3)), bend_weight=np.full((23, 3), 2.0), shared_precision=np.full(3, 3.0),
        hold_weight=np.array(4.0),
    )  # fmt: skip
    still = solver.Path(root, local, np.zeros(3))
    given, body, still = jax.tree.map(jnp.asarray, (given, body, still))
    linearise = jax.jit(solver._linearise)
    system = linearise(still, given, body)
    size, n, more = frames * solver.UNKNOWNS, solver.UNKNOWNS, len(solver.SHARED)
    dense = np.zeros((size + more, size + more))
    for t in range(frames):
        for k, blocks in enumerate(system.matrix):
            if t >= k:
                dense[t * n : (t + 1) * n, (t - k) * n : (t - k + 1) * n] = blocks[t]
    dense[size:, :size] = np.asarray(system.border).reshape(size, more).T
    dense[size:, size:] = system.corner
    dense = np.tril(dense) + np.tril(dense, -1).T

    def gradient(flat):
        at = linearise(moved(still, flat), given, body)
        return np.concatenate([np.ravel(at.gradient), at.gradient_shared])

    directions, numeric = slopes(gradient, size + more)
    for v, want in zip(directions, numeric, strict=True):
        np.testing.assert_allclose(dense @ v, want, atol=1e-4 * np.abs(want).max())


def test_two_views_recover_the_motion_and_the_scale(chain):
    given, body, start, _, _, pos = make_clip(chain, 40)
    body = body._replace(shared_precision=np.array([1.0, 1e12, 1e12]))
    start = start._replace(shared=np.array([0.08, 0, 0]))
    found = solver.solve_clip(given._replace(landmark_weight=given.landmark_weight * 0), body, start, tolerance=1e-6)
    assert abs(found.path.shared[0]) < 3e-3
    own, _ = forward_clip(chain, found.path.root, found.path.local)
    assert np.linalg.norm(own - pos, axis=-1)[:, :20].max() < 5e-3


def test_segments_do_not_see_each_other(chain):
    given, body, start, *_ = make_clip(chain, 20)
    alone = given._replace(bend=np.zeros(20), segment=np.arange(20))
    both = solver.solve_clip(alone, body, start)
    part = jax.tree.map(lambda x: x[5:9], alone)._replace(segment=np.arange(4))
    few = solver.solve_clip(part, body, solver.Path(start.root[5:9], start.local[5:9], start.shared))
    np.testing.assert_allclose(few.path.root, both.path.root[5:9], atol=1e-6)
    np.testing.assert_allclose(few.cost, both.cost[5:9], rtol=1e-4, atol=1e-6)


def test_outliers_lose_their_say(chain):
    """A wrist that jumps by 250 px in one of two views for three frames."""
    given, body, start, _, _, pos = make_clip(chain, 30)
    uv = given.uv.copy()
    uv[7:10, 0, 20] += 250.0
    given = given._replace(uv=uv, landmark_weight=given.landmark_weight * 0)
    error = []
    for scale in (1e6, 4.0):
        found = solver.solve_clip(given, body._replace(pixel_scale=np.array(scale)), start, tolerance=1e-5)
        own, _ = forward_clip(chain, found.path.root, found.path.local)
        error.append(np.linalg.norm(own - pos, axis=-1)[:, :21].max())
    assert error[0] > 0.1
    assert error[1] < 0.02


def test_too_many_frames_are_an_error(chain):
    given, body, start, *_ = make_clip(chain, 20)
    many = lambda x: np.concatenate([x] * 30)  # noqa: E731
    with pytest.raises(ValueError, match="at most 512 frames, found 600"):
        solver.solve_clip(
            jax.tree.map(many, given), body, solver.Path(many(start.root), many(start.local), start.shared)
        )
