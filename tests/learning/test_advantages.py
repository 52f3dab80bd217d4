"""Advantages against hand-worked numbers and a plain loop."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.learning.advantages import advantages
from mjxhuman.learning.update import standardized


def test_hand_worked_numbers() -> None:
    # One environment, gamma 0.5, lambda 0.5 (trace decays by 0.25 per step).
    # step  reward  value  next   end
    #  0      1       2      4     -        delta = 1 + 0.5 * 4 - 2 = 1
    #  1      2       4      8    failure   delta = 2 + 0       - 4 = -2     (nothing afterwards)
    #  2      3       6      2     -        delta = 3 + 0.5 * 2 - 6 = -2
    #  3      4       2     10    time-out  delta = 4 + 0.5 * 10 - 2 = 7     (bootstrapped)
    #  4      0       1      6     -        delta = 0 + 0.5 * 6 - 1 = 2
    # backwards: A4 = 2; A3 = 7 (cut); A2 = -2 + 0.25 * 7 = -0.25; A1 = -2 (cut); A0 = 1 + 0.25 * -2 = 0.5
    column = lambda *numbers: jnp.asarray(numbers, jnp.float32)[:, None]  # noqa: E731
    advantage, returns = advantages(
        column(1, 2, 3, 4, 0), column(2, 4, 6, 2, 1), column(4, 8, 2, 10, 6),
        column(0, 1, 0, 1, 0) > 0, column(0, 0, 0, 1, 0) > 0, gamma=0.5, gae_lambda=0.5,
    )  # fmt: skip
    np.testing.assert_allclose(advantage[:, 0], [0.5, -2.0, -0.25, 7.0, 2.0])
    np.testing.assert_allclose(returns[:, 0], [2.5, 2.0, 5.75, 9.0, 3.0])


def test_a_plain_loop_agrees() -> None:
    rng = np.random.default_rng(0)
    steps, envs, gamma, gae_lambda = 40, 7, 0.99, 0.95
    reward, value, following = rng.normal(size=(3, steps, envs)).astype(np.float32)
    done = rng.random((steps, envs)) < 0.2
    truncation = done & (rng.random((steps, envs)) < 0.5)
    expected = np.zeros((steps, envs))
    for e in range(envs):
        later = 0.0
        for t in reversed(range(steps)):
            worth = 0.0 if done[t, e] and not truncation[t, e] else float(following[t, e])
            later = float(reward[t, e]) + gamma * worth - float(value[t, e]) + (
                0.0 if done[t, e] else gamma * gae_lambda * later
            )  # fmt: skip
            expected[t, e] = later
    found, returns = advantages(reward, value, following, done, truncation, gamma=gamma, gae_lambda=gae_lambda)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(returns, expected + value, atol=1e-5)


def test_lambda_one_sums_discounted_rewards() -> None:
    reward = jnp.ones((3, 1))
    value = jnp.asarray([[5.0], [-1.0], [2.0]])
    following = jnp.asarray([[-1.0], [2.0], [8.0]])
    none = jnp.zeros((3, 1), bool)
    _, returns = advantages(reward, value, following, none, none, gamma=0.5, gae_lambda=1.0)
    np.testing.assert_allclose(returns[:, 0], [1 + 0.5 + 0.25 + 1.0, 1 + 0.5 + 2.0, 1 + 4.0])


def test_groups_have_zero_mean_and_unit_variance_each_and_few_samples_are_not_blown_up():
    rng = np.random.default_rng(0)
    group = jnp.asarray(np.repeat([0, 7, 70_000], [4000, 4000, 2]), jnp.float32)
    scale, shift = np.where(group == 0, 10.0, 0.1), np.where(group == 0, 5.0, -1.0)
    raw = jnp.asarray(shift + scale * rng.standard_normal(8002), jnp.float32)
    found = np.asarray(standardized(raw, None, group))
    for number in (0, 7):
        assert np.mean(found[group == number]) == pytest.approx(0.0, abs=0.05)
    assert np.std(found[group == 0]) == pytest.approx(1.0, abs=0.02)
    assert 0.05 < np.std(found[group == 7]) < 1.0  # 32 imagined samples of the batch's variance weigh on it
    assert np.abs(found[-2:]).max() < 1.0
    whole = np.asarray(standardized(raw, None))
    assert np.mean(whole) == pytest.approx(0.0, abs=1e-3) and np.std(whole) == pytest.approx(1.0, abs=1e-3)
