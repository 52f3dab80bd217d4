"""What keeps rewards from being bought."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from mjxhuman.generators.objectives.guards import Bounds, diversity, floored


def test_who_moves_less_than_the_floor_is_paid_less():
    reward, base = jnp.full(4, 0.8), jnp.array([2.0, 2.0, 2.0, 0.0])
    found = floored(reward, jnp.array([2.5, 0.9, 0.0, 0.0]), base)
    np.testing.assert_allclose(found, [0.8, 0.4, 0.0, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(floored(reward, jnp.zeros(4), base, 0.0), reward)


def test_the_measure_that_is_given_up_most_counts():
    """And little motion of the base is not asked for."""
    reward, base = jnp.ones(3), jnp.array([[1.0, 2.0], [1.0, 2.0], [1.0, 0.02]])
    moves = jnp.array([[0.9, 0.9], [0.45, 9.0], [1.0, 0.0]])
    np.testing.assert_allclose(floored(reward, moves, base), [0.5, 0.5, 0.0], rtol=1e-6)
    found = floored(reward, moves, base, 0.9, 0.1)
    np.testing.assert_allclose(found, [1.0 / 1.9, 0.55, 0.1 / 0.118], rtol=1e-6)


def test_diversity_is_the_mean_distance_within_a_prompt():
    x = np.array([[[0.0, 0.0], [3.0, 4.0]], [[100.0, 0.0], [100.0, 1.0]]], np.float32)
    np.testing.assert_allclose(diversity(jnp.asarray(x)), 3.0, rtol=1e-6)
    assert np.isnan(diversity(jnp.asarray(x[:, :1])))


def test_the_bound_that_is_left_is_named():
    well = {"motion": 0.9, "diversity": 0.85, "kl": 0.02}
    bounds = Bounds(motion=0.8, diversity=0.8, kl=0.1)
    assert bounds.left(well) == "" and Bounds().left({"motion": 0.0, "diversity": 0.0, "kl": 9.0}) == ""
    assert bounds.left(well | {"motion": 0.7}) == "motion: expected at least 0.8 of the base's, found 0.700"
    assert bounds.left(well | {"diversity": 0.7}).startswith("diversity: expected at least 0.8")
    assert bounds.left(well | {"kl": 0.2}) == "kl: expected at most 0.1, found 0.2000"
    for name in well:
        assert bounds.left(well | {name: float("nan")}).startswith(f"{name}: ") and not Bounds().left(
            well | {name: float("nan")}
        )
