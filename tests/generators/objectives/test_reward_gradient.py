"""The gradient of the reward through the sampler."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.generators import flow
from mjxhuman.generators.objectives.reward_gradient import finite, reward_loss

NOISE = np.random.default_rng(3).normal(size=(5, 3))
PATH = flow.levels(6)


def sample(weight, last=None):
    return flow.euler(lambda x, s: jnp.tanh(x @ weight) * (1.0 + s), jnp.asarray(NOISE), PATH, last=last)


def loss(weight, last=None):
    x0 = sample(weight, last)
    reward = -jnp.sum(jnp.square(x0 - 1.0), -1)
    return reward_loss(reward, x0, jnp.zeros_like(x0), jnp.ones(5, bool), 0.1)[0]


WEIGHT = 0.5 * np.random.default_rng(0).normal(size=(3, 3))


def test_through_all_steps_it_is_that_of_finite_differences(x64):
    found = jax.grad(loss)(WEIGHT, 6)
    rng = np.random.default_rng(1)
    for _ in range(3):
        way = rng.normal(size=(3, 3))
        difference = (loss(WEIGHT + 1e-6 * way) - loss(WEIGHT - 1e-6 * way)) / 2e-6
        np.testing.assert_allclose(jnp.sum(found * way), difference, rtol=1e-6)
    np.testing.assert_allclose(found, jax.grad(loss)(WEIGHT), rtol=1e-12)


def test_through_the_last_steps_the_first_count_as_given(x64):
    """The value stays; the gradient is that of the last two steps alone."""
    assert loss(WEIGHT, 2) == loss(WEIGHT)
    before = NOISE
    for now, after in itertools.pairwise(PATH[:5]):
        before = before + (after - now) * jnp.tanh(before @ WEIGHT) * (1.0 + now)

    def rest(weight):
        x = before
        for now, after in itertools.pairwise(PATH[4:]):
            x = x + (after - now) * jnp.tanh(x @ weight) * (1.0 + now)
        return reward_loss(-jnp.sum(jnp.square(x - 1.0), -1), x, jnp.zeros_like(x), jnp.ones(5, bool), 0.1)[0]

    found = jax.grad(loss)(WEIGHT, 2)
    np.testing.assert_allclose(found, jax.grad(rest)(WEIGHT), rtol=1e-9)
    assert np.abs(found - jax.grad(loss)(WEIGHT)).max() > 1e-3
    for last in (0, 7):
        with pytest.raises(ValueError, match="last: expected 1 to 6 steps"):
            sample(WEIGHT, last)


def test_what_is_not_valid_changes_nothing():
    x0 = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)
    reward, valid = np.array([0.1, np.nan, 0.3, 0.2], np.float32), np.array([True, False, True, True])
    bad = np.where(valid[:, None], x0, np.nan)
    found, parts = reward_loss(reward, bad, np.zeros_like(x0), valid, 0.5)
    wanted, alone = reward_loss(reward[valid], x0[valid], np.zeros_like(x0[valid]), np.ones(3, bool), 0.5)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    np.testing.assert_allclose(parts["loss/kl"], alone["loss/kl"], rtol=1e-6)


def test_gradients_that_are_not_finite_are_left_out_and_counted():
    gradients = jnp.array([[1.0, 2.0], [np.nan, 0.0], [3.0, np.inf]])
    found, count = finite(gradients)
    np.testing.assert_array_equal(found, [[1, 2], [0, 0], [0, 0]])
    assert int(count) == 2
