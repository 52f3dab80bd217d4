"""Forward simulation: every engine, states in and out, failures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxhuman
from mjxhuman.humanoids.simulated import simulated_humanoid
from mjxhuman.physics.simulate import make_simulator


@pytest.fixture(scope="module")
def sim():
    return make_simulator(simulated_humanoid(mjxhuman.load_humanoid("smpl")), engine="c")


def random_targets(sim, seed, steps, envs, std):
    return jnp.asarray(np.random.default_rng(seed).normal(0, std, (steps, envs, sim.simulated.nu)), jnp.float32)


def roll(sim, state, targets):
    return jax.jit(lambda s, u: jax.lax.scan(lambda s, u: (sim.advance(s, u),) * 2, s, u))(state, targets)


@pytest.mark.parametrize("std", [0.3, 1.0, 2.0])
def test_ten_seconds_of_random_targets_stay_finite(sim, std):
    state = sim.init(jnp.tile(sim.simulated.model.qpos0, (8, 1)))
    last, path = roll(sim, state, random_targets(sim, 0, 300, 8, std))
    assert bool(jnp.all(jnp.isfinite(path.qpos))) and bool(jnp.all(jnp.isfinite(path.qvel)))
    np.testing.assert_allclose(last.time, 10.0, atol=1e-3)


def test_a_state_that_cannot_be_stepped_is_nan_and_the_others_go_on(sim):
    qvel = np.zeros((3, sim.simulated.model.nv), np.float32)
    qvel[1, 10] = 1e12
    state = sim.init(jnp.tile(sim.simulated.model.qpos0, (3, 1)), qvel)
    last, _ = roll(sim, state, random_targets(sim, 0, 2, 3, 0.1))
    bad = np.isnan(np.asarray(last.qpos)).all(-1)
    assert bad.tolist() == [False, True, False]
    assert np.isfinite(np.asarray(last.qpos)[[0, 2]]).all()
