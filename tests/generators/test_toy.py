"""All parts of post-training together, on a flow of two blobs in the plane: the reward is to be in the right one."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import optax
import pytest
from flax import linen as nn

from mjxhuman.generators import flow
from mjxhuman.generators.adapters import Dense, init_adapter, mixed, variables
from mjxhuman.generators.blocks import sinusoid
from mjxhuman.generators.objectives.advantages import advantages
from mjxhuman.generators.objectives.guards import diversity
from mjxhuman.generators.objectives.nft import NFTConfig, nft_loss, old_decay
from mjxhuman.generators.objectives.reward_gradient import reward_loss

pytestmark = pytest.mark.compiled

PATH, BATCH = flow.levels(8), 128


class Field(nn.Module):
    """A velocity in the plane."""

    @nn.compact
    def __call__(self, x, s):
        s = jnp.broadcast_to(s, x.shape[:1])
        x = jnp.concatenate([x, sinusoid(10.0 * s, 16)], -1)
        for i in range(2):
            x = nn.silu(Dense(64, name=f"hidden_{i}")(x))
        return Dense(2, name="out")(x)


NET = Field()


def predict(params, adapter, x, s):
    return NET.apply(variables(params, adapter), x, s)


def reward_of(x):
    return jax.nn.sigmoid(4.0 * x[..., 0])


@pytest.fixture(scope="module")
def params():
    """Trained on two blobs at x = -1 and x = 1."""
    optimizer = optax.adam(3e-3)
    params = NET.init(jax.random.key(0), jnp.zeros((1, 2)), jnp.zeros(1))["params"]

    def step(carry, key):
        params, state = carry
        side, spread, noise, level = jax.random.split(key, 4)
        x0 = 0.25 * jax.random.normal(spread, (BATCH, 2))
        x0 = x0.at[:, 0].add(jnp.where(jax.random.bernoulli(side, 0.5, (BATCH,)), 1.0, -1.0))
        e, s = jax.random.normal(noise, (BATCH, 2)), jax.random.uniform(level, (BATCH,))

        def loss(params):
            return jnp.mean(jnp.square(predict(params, None, flow.mix(x0, e, s), s) - flow.velocity(x0, e)))

        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return (optax.apply_updates(params, updates), state), None

    keys = jax.random.split(jax.random.key(1), 1500)
    (params, _), _ = jax.jit(lambda c: jax.lax.scan(step, c, keys))((params, optimizer.init(params)))
    return params


def samples(params, adapter, key, count=1024, last=None):
    return flow.euler(functools.partial(predict, params, adapter), jax.random.normal(key, (count, 2)), PATH, last=last)


@jax.jit
def judged(params, adapter):
    x = samples(params, adapter, jax.random.key(99))
    return jnp.mean(x[:, 0] > 0), diversity(x[:256], jnp.zeros(256, jnp.int32))


def trained(params, epoch, count):
    adapter = init_adapter(params, jax.random.key(2), rank=8)
    state = (adapter, adapter, optax.adam(2e-3).init(adapter))
    state, _ = jax.jit(lambda s: jax.lax.scan(epoch, s, jnp.arange(count)))(state)
    return state[0]


def test_the_old_policy_draws_both_sides(params):
    share, _ = judged(params, init_adapter(params, jax.random.key(2), rank=8))
    assert 0.4 < share < 0.6


def test_nft_moves_samples_to_where_the_reward_is(params):
    config, levels = NFTConfig(nft_beta=0.5, kl_weight=1e-3), jnp.asarray(PATH[:-1])

    def epoch(state, number):
        new, old, moments = state
        draw, noise, level = jax.random.split(jax.random.fold_in(jax.random.key(3), number), 3)
        x0 = samples(params, old, draw, BATCH)
        found = advantages(reward_of(x0), jnp.zeros(BATCH, jnp.int32), jnp.ones(BATCH, bool), 1)
        s = jax.random.choice(level, levels, (BATCH,))  # of those that the sampler visits
        x = flow.mix(x0, jax.random.normal(noise, x0.shape), s)

        def loss(new):
            current, before, base = (predict(params, a, x, s) for a in (new, old, None))
            return nft_loss(current, before, base, x0, x, s, found.value, jnp.ones(BATCH, bool), config)[0]

        updates, moments = optax.adam(2e-3).update(jax.grad(loss)(new), moments)
        new = optax.apply_updates(new, updates)
        return (new, mixed(old, new, old_decay(number + 1, "linear")), moments), None

    share, spread = judged(params, trained(params, epoch, 80))
    assert share > 0.85 and spread > 0.2


def test_the_gradient_of_the_reward_does_so_too(params):
    def epoch(state, number):
        new, old, moments = state
        key = jax.random.fold_in(jax.random.key(4), number)
        base = samples(params, None, key, BATCH)

        def loss(new):
            x0 = samples(params, new, key, BATCH, last=2)
            return reward_loss(reward_of(x0), x0, base, jnp.ones(BATCH, bool), 0.02)[0]

        updates, moments = optax.adam(2e-3).update(jax.grad(loss)(new), moments)
        return (optax.apply_updates(new, updates), old, moments), None

    share, spread = judged(params, trained(params, epoch, 80))
    assert share > 0.85 and spread > 0.2
