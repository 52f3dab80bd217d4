"""Low-rank adapters beside frozen weights, in memory."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from mjxhuman.generators import adapters
from mjxhuman.generators.adapters import Dense, init_adapter, variables


class Toy(nn.Module):
    """Two layers, of which the second has no bias."""

    @nn.compact
    def __call__(self, x):
        x = nn.tanh(Dense(6, name="blocks_0")(x))
        return Dense(2, use_bias=False, name="head")(x)


@pytest.fixture(scope="module")
def params():
    return Toy().init(jax.random.key(0), jnp.zeros((1, 4)))["params"]


def drawn(params, rank=3, alpha=6.0, **options):
    adapter = init_adapter(params, jax.random.key(1), rank=rank, alpha=alpha, **options)
    keys = iter(jax.random.split(jax.random.key(2), 9))
    return adapter.replace(
        weights=jax.tree.map(lambda x: 0.3 * jax.random.normal(next(keys), x.shape), adapter.weights)
    )


X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


def test_a_new_adapter_changes_nothing_and_a_trained_one_does_what_merging_does(params):
    new = init_adapter(params, jax.random.key(1), rank=3)
    np.testing.assert_array_equal(Toy().apply(variables(params, new), X), Toy().apply({"params": params}, X))
    adapter = drawn(params)
    found = Toy().apply(variables(params, adapter), X)
    assert np.abs(found - Toy().apply({"params": params}, X)).max() > 0.1
    np.testing.assert_allclose(found, Toy().apply({"params": adapters.merged(params, adapter)}, X), atol=1e-5)


def test_alpha_over_rank_scales_what_is_added(params):
    adapter = drawn(params)
    twice = adapter.replace(alpha=2 * adapter.alpha)
    for path, added in adapters.difference(adapter).items():
        layer = adapter.layers[path]
        np.testing.assert_allclose(added, 2.0 * layer["B"] @ layer["A"], rtol=1e-6)
        np.testing.assert_allclose(adapters.difference(twice)[path], 2 * added, rtol=1e-6)
    np.testing.assert_allclose(adapters.size(twice), 2 * adapters.size(adapter), rtol=1e-6)


def test_patterns_choose_layers(params):
    assert set(drawn(params, patterns=("blocks_*",)).layers) == {("blocks_0",)}
    with pytest.raises(ValueError, match="one of blocks_0, head, found 'tail'"):
        init_adapter(params, jax.random.key(0), rank=1, patterns=("tail",))
    with pytest.raises(ValueError, match="rank: expected 1 or more"):
        init_adapter(params, jax.random.key(0), rank=0)


def test_mixing_is_that_of_the_matrices(params):
    old, new = drawn(params), init_adapter(params, jax.random.key(1), rank=3, alpha=6.0)
    mixed = adapters.mixed(old, new, 0.25)
    for a, b, c in zip(*(jax.tree.leaves(x.weights) for x in (old, new, mixed)), strict=True):
        np.testing.assert_allclose(c, 0.25 * a + 0.75 * b, rtol=1e-6)


def test_small_updates_of_an_adapter_beside_bfloat16_weights_add_up(params):
    """T3: a thousand updates of 1e-5 move a weight of 0.03 as in float64."""
    rough = jax.tree.map(lambda x: x.astype(jnp.bfloat16), params)
    adapter = init_adapter(rough, jax.random.key(0), rank=2)
    adapter = adapter.replace(weights=jax.tree.map(lambda x: jnp.full_like(x, 0.03), adapter.weights))
    optimizer = optax.sgd(1.0)
    state = optimizer.init(adapter)
    grads = jax.tree.map(lambda x: jnp.full_like(x, 1e-5), adapter)

    def step(carry, _):
        adapter, state = carry
        updates, state = optimizer.update(grads, state, adapter)
        return (optax.apply_updates(adapter, updates), state), None

    (adapter, _), _ = jax.lax.scan(step, (adapter, state), length=1000)
    for leaf in jax.tree.leaves(adapter.weights):
        assert leaf.dtype == jnp.float32
        np.testing.assert_allclose(leaf - 0.03, -0.01, rtol=0.01)
    out = Toy().apply(variables(rough, adapter), X.astype(jnp.bfloat16))
    assert out.dtype == jnp.bfloat16
