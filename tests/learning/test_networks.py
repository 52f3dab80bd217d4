"""Networks, the Gaussian between them and the actions, running statistics."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from mjxhuman.learning.networks import Networks, entropy, kl_divergence, log_prob
from mjxhuman.learning.normalization import (
    new_statistics,
    normalize,
    standardize,
    unstandardize,
    update_statistics,
)

RNG = np.random.default_rng(1)


def networks(learn_std: bool = False) -> Networks:
    return Networks((5, 7), 3, (16, 8), (12,), "silu", -1.0, learn_std)


def test_the_first_policy_hardly_moves_and_the_critic_sees_its_own_group() -> None:
    net = networks()
    params = net.init(jax.random.key(0))
    mean, log_std = net.policy(params, jnp.asarray(RNG.normal(size=(64, 5)), jnp.float32))
    assert mean.shape == (64, 3)
    assert 0 < float(jnp.abs(mean).max()) < 0.05
    np.testing.assert_array_equal(log_std, [-1.0] * 3)
    assert "log_std" not in params
    value = net.value(params, jnp.asarray(RNG.normal(size=(4, 6, 7)), jnp.float32))
    assert value.shape == (4, 6)
    assert float(jnp.std(value)) > 0.1


def test_a_learned_deviation_is_a_parameter() -> None:
    net = networks(learn_std=True)
    params = net.init(jax.random.key(0))
    params["log_std"] = jnp.asarray([0.1, 0.2, 0.3])
    np.testing.assert_allclose(net.policy(params, jnp.zeros((2, 5)))[1], [0.1, 0.2, 0.3])


def test_hidden_layers_are_written_out() -> None:
    net = networks()
    params = net.init(jax.random.key(3))
    x = RNG.normal(size=(2, 5)).astype(np.float32)
    h = x
    for name in ("hidden_0", "hidden_1"):
        h = h @ np.asarray(params["actor"][name]["kernel"]) + np.asarray(params["actor"][name]["bias"])
        h = h / (1 + np.exp(-h))
    expected = h @ np.asarray(params["actor"]["out"]["kernel"])
    np.testing.assert_allclose(net.policy(params, x)[0], expected, atol=1e-6)


def test_the_density_is_the_gaussian_one() -> None:
    action, mean = RNG.normal(size=(2, 10, 3))
    log_std = np.asarray([-1.0, 0.2, 0.7])
    expected = stats.norm(mean, np.exp(log_std)).logpdf(action).sum(-1)
    np.testing.assert_allclose(
        log_prob(jnp.asarray(action), jnp.asarray(mean), jnp.asarray(log_std)), expected, rtol=1e-5
    )
    np.testing.assert_allclose(entropy(jnp.asarray(log_std)), stats.norm(0, np.exp(log_std)).entropy().sum(), rtol=1e-6)


def test_the_divergence_is_the_mean_log_ratio() -> None:
    old = (jnp.asarray([[0.1, -0.2]]), jnp.asarray([-0.5, 0.1]))
    new = (jnp.asarray([[0.3, 0.1]]), jnp.asarray([-0.3, -0.2]))
    samples = old[0] + jnp.exp(old[1]) * jax.random.normal(jax.random.key(0), (200_000, 2))
    ratio = log_prob(samples, *old) - log_prob(samples, *new)
    np.testing.assert_allclose(kl_divergence(old, new)[0], ratio.mean(), atol=5e-3)
    np.testing.assert_allclose(kl_divergence(old, old), 0.0, atol=1e-7)


def test_statistics_of_batches_are_those_of_all_samples() -> None:
    samples = RNG.normal([1.0, -20.0, 300.0], [0.1, 3.0, 50.0], size=(60, 4, 3)).astype(np.float32)
    statistics = new_statistics((3,))
    for part in np.split(samples, [1, 7, 30]):
        statistics = update_statistics(statistics, part)
    flat = samples.reshape(-1, 3)
    np.testing.assert_allclose(statistics.mean, flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(statistics.var, flat.var(0), rtol=1e-4)
    assert float(statistics.count) == 240
    seen = normalize(statistics, flat, 5.0)
    np.testing.assert_allclose(seen.std(0), 1.0, rtol=1e-2)
    assert float(jnp.abs(normalize(statistics, flat + 1e4, 5.0)).max()) == 5.0
    np.testing.assert_allclose(unstandardize(statistics, standardize(statistics, flat)), flat, rtol=1e-4, atol=1e-3)


def test_statistics_of_a_scalar() -> None:
    statistics = update_statistics(new_statistics(), jnp.asarray([[1.0, 3.0], [5.0, 7.0]]))
    assert float(statistics.mean) == 4.0
    assert float(statistics.var) == pytest.approx(5.0)
