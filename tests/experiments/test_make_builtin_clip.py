"""The tables and curves behind the built-in clips."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.builtin import pose, walk
from experiments.builtin.jump import Jump
from experiments.builtin.walk import CYCLE, Walk


def soles(humanoid, qpos) -> np.ndarray:
    """World positions (16, 3, T) of the sole points."""
    where = jax.jit(lambda q: pose.contact_forces(humanoid, q, 60.0, slice(None)).touch.point)
    return np.asarray(where(qpos))[: 2 * pose.SOLE_POINTS]


def test_the_series_reproduce_the_tables(humanoid):
    problem = Walk(humanoid)
    for name, gap in problem.deviations(jnp.asarray(problem.start())).items():
        assert np.abs(gap).max() < 0.1, name


def test_the_jump_starts_with_still_soles_on_the_floor_and_a_flight(humanoid):
    problem = Jump(humanoid)
    qpos = problem.qpos(jnp.asarray(problem.start()))
    sole = soles(humanoid, qpos)
    lowest = sole[..., 2, :].min(0)
    flight = (problem.time > 1.1) & (problem.time < 1.38)
    assert np.abs(lowest[(problem.time < 1.0) | (problem.time > 1.5)]).max() < 0.01
    assert lowest[flight].max() == pytest.approx(9.81 * 0.36**2 / 8, abs=0.01)
    assert np.ptp(sole[4:6, 0].mean(0)) < 0.01


def test_the_tables_are_periodic_and_keep_the_symmetry():
    phase = np.linspace(0, 1, 9)
    for name in (*walk.TABLES, *walk.WAVES):
        np.testing.assert_allclose(walk.table(name, phase), walk.table(name, phase + 1.0), atol=1e-9)
        if name not in walk.TABLES:
            sign = 1.0 if name in walk.EVEN else -1.0
            np.testing.assert_allclose(walk.table(name, phase + 0.5), sign * walk.table(name, phase), atol=1e-9)


def test_half_a_cycle_later_the_pose_is_mirrored(humanoid):
    problem = Walk(humanoid)
    x = problem.start() + np.random.default_rng(0).normal(size=problem.size)
    a, b = (np.asarray(problem.path(jnp.asarray(x), np.array([float(k)]))) for k in (5, 5 + CYCLE // 2))
    step = walk.SPEED * CYCLE / 2 / walk.FPS
    np.testing.assert_allclose(b[0, :3], a[0, :3] * [1, -1, 1] + [step, 0, 0], atol=1e-5)
    names, model = humanoid.body_names, humanoid.model

    def quat(q: np.ndarray, body: str) -> np.ndarray:
        start = model.jnt_qposadr[model.body_jntadr[names.index(body)]]
        return q[0, start : start + 4]

    mirror = np.array([1, 1, -1, -1])
    for body in ("L_Hip", "L_Knee", "L_Ankle", "L_Shoulder", "L_Elbow"):
        np.testing.assert_allclose(quat(b, "R_" + body[2:]), quat(a, body) * mirror, atol=1e-5)
    np.testing.assert_allclose(quat(b, "Chest"), quat(a, "Chest") * mirror, atol=1e-5)


def test_standing_soles_are_flat_on_the_floor_at_clinical_zero(humanoid):
    """Thigh, shank and foot upright: the angles of the skeleton's rest pose are taken into account."""
    zero = {name: jnp.zeros(7) for name in (*walk.TABLES, *walk.WAVES)}
    height = float(humanoid.model.qpos0[2])
    qpos = pose.coordinates(humanoid, jnp.tile(jnp.array([0.0, 0.0, height]), (7, 1)), zero, zero, zero)
    sole = soles(humanoid, qpos)
    assert np.ptp(sole[:, 2]) < 1e-5
    assert np.abs(sole[:, 2]).max() < 0.01
