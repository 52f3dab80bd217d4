"""What keeps rewards from being bought."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from mjxhuman.generators.objectives.guards import diversity, floored


def test_who_moves_less_than_the_floor_is_paid_less():
    reward, base = jnp.full(4, 0.8), jnp.array([2.0, 2.0, 2.0, 0.0])
    found = floored(reward, jnp.array([2.5, 0.9, 0.0, 0.0]), base)
    np.testing.assert_allclose(found, [0.8, 0.4, 0.0, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(floored(reward, jnp.zeros(4), base, 0.0), reward)


def test_diversity_is_the_mean_distance_within_a_prompt():
    x = np.array([[0.0, 0.0], [3.0, 4.0], [100.0, 0.0], [100.0, 1.0], [7.0, 7.0]], np.float32)
    np.testing.assert_allclose(diversity(jnp.asarray(x), jnp.array([0, 0, 1, 1, 2])), 3.0, rtol=1e-6)
    assert np.isnan(diversity(jnp.asarray(x), jnp.arange(5)))
