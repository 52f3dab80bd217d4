"""The gradient of the reward, on a flow of two blobs in the plane whose reward is in the right one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
import pytest
from blobs import Field, trained

from mjxhuman.generators import flow
from mjxhuman.generators.adapters import init_adapter, variables
from mjxhuman.generators.objectives.guards import diversity
from mjxhuman.generators.objectives.reward_gradient import reward_loss

pytestmark = pytest.mark.compiled

PATH, BATCH = flow.levels(8), 128


def samples(params, adapter, key, count=1024, last=None):
    def field(x, s):
        return Field().apply(variables(params, adapter), x, jnp.full(len(x), s))

    return flow.euler(field, jax.random.normal(key, (count, 2)), PATH, last=last)


def test_samples_move_to_where_the_reward_is_and_stay_apart():
    params, optimizer = trained().params, optax.adam(2e-3)

    @jax.jit
    def judged(adapter):
        x = samples(params, adapter, jax.random.key(99))
        return jnp.mean(x[:, 0] > 0), diversity(x[None, :256])

    def epoch(state, number):
        adapter, moments = state
        key = jax.random.fold_in(jax.random.key(4), number)
        base = samples(params, None, key, BATCH)

        def loss(adapter):
            x0 = samples(params, adapter, key, BATCH, last=2)
            return reward_loss(jax.nn.sigmoid(4.0 * x0[..., 0]), x0, base, jnp.ones(BATCH, bool), 0.02)[0]

        updates, moments = optimizer.update(jax.grad(loss)(adapter), moments)
        return (optax.apply_updates(adapter, updates), moments), None

    adapter = init_adapter(params, jax.random.key(2), rank=8)
    assert 0.4 < judged(adapter)[0] < 0.6
    (adapter, _), _ = jax.jit(lambda s: jax.lax.scan(epoch, s, jnp.arange(80)))((adapter, optimizer.init(adapter)))
    share, spread = judged(adapter)
    assert share > 0.85 and spread > 0.2
