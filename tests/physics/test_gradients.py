"""Forward mode = reverse mode = finite differences, also at identity rotations and zero velocity."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mjxhuman.physics import dynamics, kinematics
from mjxhuman.physics.tree import make_tree

pytestmark = pytest.mark.compiled


def outputs(tree, params):
    """All of kinematics and dynamics as one vector per frame, (K, N)."""

    def fn(qpos, qvel, qacc):
        poses = kinematics.poses(tree, params, qpos)
        vel = kinematics.velocities(tree, params, poses, qvel)
        wrenches = dynamics.body_wrenches(tree, params, poses, vel, qvel, qacc)
        parts = [
            *poses[:2], *vel, *kinematics.momentum(tree, params, poses, vel),
            kinematics.centre_of_mass(tree, params, poses),
            dynamics.generalized_forces(tree, params, poses, wrenches, qacc),
            dynamics.joint_moments(tree, params, poses, wrenches),
            dynamics.mass_matrix_product(tree, params, poses, qacc),
        ]  # fmt: skip
        return jnp.concatenate([x.reshape(-1, x.shape[-1]) for x in parts])

    return fn


def frames(model: mujoco.MjModel, states) -> list[np.ndarray]:
    """Two random states, the reference pose at rest, and the reference pose with every hinge at 0 and moving."""
    given = states(model, 4)
    given.qpos[2:] = model.qpos0
    given.qpos[3, 7:11] = [1, 0, 0, 0]
    given.qvel[2], given.qacc[2] = 0, 0
    return [np.ascontiguousarray(x.T) for x in given]


def check(model: mujoco.MjModel, states) -> None:
    tree, params = make_tree(model, np.float64)
    fn = outputs(tree, params)
    at = frames(model, states)
    rng = np.random.default_rng(1)
    along = tuple(rng.normal(size=x.shape) for x in at)
    weights = rng.normal(size=jax.eval_shape(fn, *at).shape)

    @jax.jit
    def all_three(at, along, weights):
        _, forward = jax.jvp(fn, at, along)
        _, pull = jax.vjp(fn, *at)
        reverse = sum(jnp.sum(g * d, 0) for g, d in zip(pull(weights), along, strict=True))
        return jnp.sum(weights * forward, 0), reverse

    forward, reverse = all_three(tuple(at), along, weights)
    evaluate = jax.jit(fn)
    step = 1e-5
    ends = [evaluate(*(x + s * step * d for x, d in zip(at, along, strict=True))) for s in (1, -1)]
    difference = np.sum(weights * (ends[0] - ends[1]) / (2 * step), 0)
    assert np.all(np.isfinite(forward))
    np.testing.assert_allclose(reverse, forward, rtol=1e-10)
    np.testing.assert_allclose(difference, forward, rtol=1e-6, atol=1e-7 * np.abs(forward).max())


def test_gradients(small_model: mujoco.MjModel, states, x64: None) -> None:
    check(small_model, states)


@pytest.mark.slow
def test_gradients_of_every_joint_kind(mixed_model: mujoco.MjModel, states, x64: None) -> None:
    check(mixed_model, states)


def test_gradients_are_finite_in_float32_at_rest(small_model: mujoco.MjModel) -> None:
    tree, params = make_tree(small_model)
    qpos = jnp.asarray(small_model.qpos0, jnp.float32)[:, None]
    zero = jnp.zeros((tree.nv, 1))
    loss = jax.jit(jax.grad(lambda *x: jnp.sum(dynamics.inverse_dynamics(tree, params, *x) ** 2), (0, 1, 2)))
    for gradient in loss(qpos, zero, zero):
        assert np.all(np.isfinite(gradient))


def test_gradient_with_respect_to_the_body(small_model: mujoco.MjModel, states, x64: None) -> None:
    """The numbers of the body are differentiable: forces are linear in the masses and inertias together."""
    tree, params = make_tree(small_model, np.float64)
    given = [x.T for x in states(small_model, 2)]
    heavier = params.replace(mass=params.mass * 1.5, inertia=params.inertia * 1.5, armature=params.armature * 1.5)
    along = jax.tree.map(lambda a, b: b - a, params, heavier)
    fn = jax.jit(lambda p: jax.jvp(lambda q: dynamics.inverse_dynamics(tree, q, *given), (p,), (along,)))
    force, slope = fn(params)
    np.testing.assert_allclose(slope, 0.5 * force, rtol=1e-9, atol=1e-9)
