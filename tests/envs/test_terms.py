"""Entries of a task: made of tables, seen late and inexactly, paid, ended, and happening one after the other."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.envs.env import split
from mjxhuman.envs.terms import (
    Event,
    Observation,
    Reward,
    Term,
    Termination,
    entries,
    failed,
    happen,
    observe,
    parameters,
    register,
    rewarded,
    without_chance,
)

TERMS: dict[str, Term] = {}
KEYS = jax.random.split(jax.random.key(0), 500)


@register(TERMS)
def place(m, scale: float = 1.0):
    return scale * m[..., None]


@register(TERMS)
def near(m, width: float = 1.0):
    return jnp.exp(-jnp.square(m / width))


@register(TERMS)
def above(m, limit: float = 2.0):
    return m > limit


@register(TERMS)
def shift(subject, rng, simulator, by: float = 0.0):
    return subject + by * jax.vmap(lambda key: jax.random.uniform(key))(rng)


def test_a_table_becomes_entries_with_all_their_values():
    (near_one, wide) = entries(Reward, {"near": {"weight": 2}, "wide": {"term": "near", "width": 3}}, TERMS, "rewards")
    assert parameters(near) == {"width": 1.0}
    assert near_one.values() == {"weight": 2, "width": 1.0}
    assert wide.values() == {"term": "near", "weight": 1.0, "width": 3}
    assert entries(Reward, {"wide": wide.values()}, TERMS, "rewards") == (wide,)
    assert entries(Reward, (near_one, wide), TERMS, "rewards") == (near_one, wide)
    mine = entries(Reward, {"mine": {"term": lambda m: 2.0 * m, "weight": 0.5}}, TERMS, "rewards")
    assert float(rewarded(mine, jnp.array([3.0]))["mine"][0]) == 3.0
    assert hash(wide) == hash(entries(Reward, {"wide": wide.values()}, TERMS, "rewards")[0])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"far": {}}, "rewards: expected one of above, near, place, shift, found 'far'"),
        ({"mine": {"term": "far"}}, "rewards: expected one of above, .*, found 'far'"),
        ({"near": {"height": 1, "depth": 2}}, "rewards.near: expected values among weight, width, found depth, height"),
        ({"near": 1.0}, "rewards.near: expected values by their names, found 1.0"),
    ],
)
def test_what_is_not_there_is_named(table, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        entries(Reward, table, TERMS, "rewards")


def test_rewards_are_weighed_and_terminations_joined():
    m = jnp.array([0.0, 1.0, 5.0])
    paid = rewarded(entries(Reward, {"near": {"weight": 2.0, "width": 2.0}}, TERMS, ""), m)
    np.testing.assert_allclose(paid["near"], 2.0 * np.exp(-np.square([0.0, 0.5, 2.5])), rtol=1e-6)
    ends = entries(Termination, {"above": {}, "high": {"term": "above", "limit": 0.5}}, TERMS, "")
    assert failed(ends, m, jnp.array([True, False, False])).tolist() == [True, True, True]
    assert failed(ends[:1], m, jnp.zeros(3, bool)).tolist() == [False, False, True]
    assert failed((), m, jnp.zeros(3, bool)).tolist() == [False, False, False]


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_what_comes_late_is_the_value_of_so_many_steps_ago(delay):
    table = entries(Observation, {"late": {"term": "place", "delay": delay}, "place": {"scale": 2.0}}, TERMS, "")
    groups, past, seen = {"state": ("place", "late"), "critic": ("place",)}, None, []
    for step in range(6):
        obs, past = observe(groups, table, jnp.array([step, 10.0 + step]), KEYS[:2], past)
        seen.append(obs["state"])
        np.testing.assert_array_equal(obs["critic"], obs["state"][:, :1])
    expected = [[[2 * s, max(0, s - delay)], [2 * (10 + s), 10 + max(0, s - delay)]] for s in range(6)]
    np.testing.assert_array_equal(seen, expected)
    assert (past == {}) if delay == 0 else past["late"].shape == (2, delay, 1)


@pytest.mark.parametrize(("uniform", "bound"), [(False, np.inf), (True, 0.2 * 3**0.5)])
def test_noise_has_the_deviation_asked_for_and_no_mean(uniform, bound):
    table = entries(Observation, {"place": {"noise": 0.2, "uniform": uniform}, "twin": {"term": "place"}}, TERMS, "")
    m, groups = jnp.zeros((500, 40)), {"a": ("place",), "b": ("place", "twin")}

    def wide(m):
        return m

    table = tuple(type(e)(e.name, wide, (), e.noise, e.uniform) for e in table)
    obs, _ = observe(groups, table, m, KEYS)
    assert np.std(obs["a"]) == pytest.approx(0.2, rel=0.02) and abs(np.mean(obs["a"])) < 0.01
    largest = float(np.max(np.abs(obs["a"])))
    assert largest <= bound + 1e-6 and (uniform or largest > 0.2 * 3**0.5)
    np.testing.assert_array_equal(obs["b"][:, :40], obs["a"])  # one sensor, whoever sees it
    assert not np.any(obs["b"][:, 40:])
    again, _ = observe(groups, table, m, split(KEYS)[0])
    assert abs(np.corrcoef(np.ravel(again["a"]), np.ravel(obs["a"]))[0, 1]) < 0.03
    two = (table[0], dataclasses.replace(table[0], name="other"))
    both, _ = observe({"a": ("place", "other")}, two, m, KEYS)
    assert abs(np.corrcoef(np.ravel(both["a"][:, :40]), np.ravel(both["a"][:, 40:]))[0, 1]) < 0.03
    calm, _ = observe(groups, without_chance(table), m, KEYS)
    assert not np.any(calm["a"])


def test_events_happen_one_after_the_other_each_with_chances_of_its_own():
    both = entries(Event, {"shift": {"by": 1.0}, "again": {"term": "shift", "by": 10.0}}, TERMS, "events")
    first = happen(both[:1], jnp.zeros(500), KEYS, None)
    sum_of_both = happen(both, jnp.zeros(500), KEYS, None)
    assert float(first.min()) >= 0.0 and float(first.max()) <= 1.0 and float(sum_of_both.max()) > 9.0
    assert float(jnp.var(sum_of_both)) == pytest.approx((1 + 100) / 12, rel=0.1)  # of equal draws it would be 121 / 12
    np.testing.assert_array_equal(happen((), first, KEYS, None), first)
