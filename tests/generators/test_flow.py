"""Paths, conversions and samplers of flow matching, against a flow whose velocity is known exactly."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.generators import flow

MEAN, STD = 1.5, 0.4


def field(x, s):
    """The exact velocity of data from a Gaussian: E[e - x0 | x_s], of jointly Gaussian variables."""
    s = flow.along(s, x)
    spread = (1 - s) ** 2 * STD**2 + s**2
    off = x - (1 - s) * MEAN
    return s / spread * off - (MEAN + (1 - s) * STD**2 / spread * off)


@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0])
def test_mixing_conditioning_and_conversion_use_one_level(x64, shift):
    """T14: with the exact velocity, the predicted data is its exact mean at every level of every shift."""
    x0, noise = np.random.default_rng(0).normal(size=(2, 7, 3))
    for s in flow.levels(8, shift)[:-1]:
        x = flow.mix(x0, noise, s)
        v = flow.velocity(x0, noise)
        np.testing.assert_allclose(flow.to_data(x, v, s), x0, atol=1e-12)
        np.testing.assert_allclose(flow.to_noise(x, v, s), noise, atol=1e-12)
        np.testing.assert_allclose(flow.from_data(x, x0, s), v, atol=1e-11)
        spread = (1 - s) ** 2 * STD**2 + s**2
        mean = MEAN + (1 - s) * STD**2 / spread * (x - (1 - s) * MEAN)
        np.testing.assert_allclose(flow.to_data(x, field(jnp.asarray(x), s), s), mean, atol=1e-12)


def test_levels_of_a_batch_broadcast():
    x0, noise = np.random.default_rng(1).normal(size=(2, 4, 3, 2)).astype(np.float32)
    s = np.array([0.0, 0.3, 0.6, 1.0], np.float32)
    mixed = flow.mix(x0, noise, s)
    np.testing.assert_allclose(mixed[0], x0[0], atol=1e-6)
    np.testing.assert_allclose(mixed[3], noise[3], atol=1e-6)
    np.testing.assert_allclose(mixed[1], 0.7 * x0[1] + 0.3 * noise[1], atol=1e-6)


def test_levels_are_those_of_the_shift():
    np.testing.assert_allclose(flow.levels(4, 5.0), [1.0, 0.9375, 0.8333333333, 0.625, 0.0], atol=1e-9)  # Wan's four


def errors(sampler, counts):
    noise = jax.random.normal(jax.random.key(0), (64,), jnp.float64)
    exact = MEAN + STD * noise  # the flow of Gaussians is affine
    return [float(jnp.max(jnp.abs(sampler(field, noise, flow.levels(n)) - exact))) for n in counts]


def test_samplers_converge_at_their_order(x64):
    first, second = errors(flow.euler, (40, 80))
    assert 1.8 < first / second < 2.2
    coarse, fine = errors(flow.unipc, (40, 80))
    assert coarse / fine > 3.5 and fine < 0.05 * second


@pytest.mark.parametrize("steps", [4, 10, 20])
@pytest.mark.parametrize("name", ["euler", "unipc"])
def test_trajectories_end_where_those_of_diffusers_do(shared, x64, name, steps):
    """At its levels and, for the condition, its time steps, which it cuts to whole numbers for UniPC."""
    golden = np.load(shared / "data" / "golden" / "diffusers_wan_tiny" / "schedulers.npz")
    sigmas, times = (golden[f"{name}_shift5_n{steps}_{kind}"] for kind in ("sigmas", "timesteps"))
    path = np.append(sigmas[: len(times)], 0.0).astype(np.float64)
    table = jnp.asarray(times, jnp.float64)

    def analytic(x, s):
        time = table[jnp.argmin(jnp.abs(jnp.asarray(path[:-1]) - s))]
        return x @ golden["field_A"].T + golden["field_b"] * jnp.sin(3 * time / 1000)

    found = getattr(flow, name)(analytic, jnp.asarray(golden["x_init"], jnp.float64), path)
    np.testing.assert_allclose(found, golden[f"{name}_traj_n{steps}"][-1], atol=2e-5)


def test_a_sampler_of_few_steps_draws_from_the_distribution():
    noise = jax.random.normal(jax.random.key(1), (4096,))

    def certain(x, s):  # data that is one point: its prediction is right at every level, so one step is enough
        return flow.from_data(x, jnp.full_like(x, MEAN), jnp.asarray(s))

    np.testing.assert_allclose(flow.renoised(certain, noise, flow.levels(1), jax.random.key(2)), MEAN, atol=1e-5)
    drawn = flow.renoised(field, noise, flow.levels(60), jax.random.key(2))
    assert abs(float(jnp.mean(drawn)) - MEAN) < 0.05 and 0.2 < float(jnp.std(drawn)) < STD + 0.05


@pytest.mark.parametrize("path", [[1.0], [0.0, 1.0], [1.0, 0.5], [1.2, 0.0], [1.0, 0.5, 0.5, 0.0]])
def test_levels_that_do_not_go_down_to_data_are_refused(path):
    with pytest.raises(ValueError, match="expected at least two that go down"):
        flow.euler(field, jnp.zeros(3), path)


def test_impossible_schedules_are_refused():
    with pytest.raises(ValueError, match="steps >= 1"):
        flow.levels(0)
