"""Advantages within groups, against the published trainers and by what they must not see."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.generators.objectives.advantages import advantages, preference


def of(rewards, group, valid=None):
    group = np.asarray(group)
    valid = np.ones(len(group), bool) if valid is None else np.asarray(valid)
    return advantages(jnp.asarray(rewards), jnp.asarray(group), jnp.asarray(valid), int(group.max()) + 1)


@pytest.mark.parametrize("k", range(4))
def test_parity_with_the_published_statistics(shared, x64, k):
    golden = np.load(shared / "data" / "golden" / "diffusion_nft_loss" / "nft.npz")
    found = of(golden[f"adv{k}_rewards"], golden[f"adv{k}_prompt_ids"])
    np.testing.assert_allclose(found.value, golden[f"adv{k}_g1"], atol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_groups_without_spread_and_single_samples_have_no_advantage(x64, dtype):
    """T8, also where rewards differ by rounding alone."""
    rewards = np.array([0.3, 0.3 * (1 + 1e-7), 0.3, 0.1, 0.9, 0.7], dtype)
    found = of(rewards, [0, 0, 0, 1, 1, 2])
    np.testing.assert_array_equal(np.asarray(found.value)[[0, 1, 2, 5]], 0.0)
    np.testing.assert_allclose(found.value[3], -found.value[4], rtol=1e-5)
    assert found.value[3] < 0
    assert (int(found.groups), int(found.flat)) == (3, 1)


def test_what_is_not_valid_has_no_part():
    """T5: neither in means nor in deviations, whatever its reward is."""
    rewards, group = np.array([0.1, 0.5, 0.3, 0.8], np.float32), [0, 0, 1, 1]
    alone = of(rewards, group)
    for bad in (np.nan, np.inf, 1e9):
        found = of([*rewards, bad, bad], [*group, 0, 2], [True] * 4 + [False] * 2)
        np.testing.assert_array_equal(found.value[:4], alone.value)
        np.testing.assert_array_equal(found.value[4:], 0.0)
        assert (int(found.groups), float(found.spread)) == (2, float(alone.spread))
    assert np.isfinite(of([np.nan, 0.2], [0, 0]).value).all()  # a reward that is no number is not valid either


def test_preferences_are_bounded():
    np.testing.assert_allclose(preference(np.array([-9.0, -5.0, 0.0, 2.5, 9.0]), 5.0), [0, 0, 0.5, 0.75, 1])
