"""A flow of two blobs in the plane: a generator small enough to be post-trained in a test."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from mjxhuman.generators import flow
from mjxhuman.generators.adapters import Dense, variables
from mjxhuman.generators.base import LatentRollout
from mjxhuman.generators.blocks import sinusoid
from mjxhuman.generators.finetune import FinetuneOptions
from mjxhuman.generators.objectives.nft import NFTConfig
from mjxhuman.generators.rewards import Rewards


class Field(nn.Module):
    """A velocity in the plane."""

    @nn.compact
    def __call__(self, x, s):
        x = jnp.concatenate([x, sinusoid(10.0 * s, 16)], -1)
        for i in range(2):
            x = nn.silu(Dense(48, name=f"hidden_{i}")(x))
        return Dense(2, name="out")(x)


@dataclasses.dataclass(frozen=True, eq=False)
class Blobs:
    """A generator of points; its condition is not used."""

    params: dict
    noise_levels: np.ndarray = dataclasses.field(default_factory=lambda: flow.levels(6, 2.0))
    adapter_targets = ("*",)

    def condition(self, prompts):
        return jnp.asarray([[float(len(p))] for p in prompts])

    def velocity(self, params, adapter, x, s, cond):
        return Field().apply(variables(params, adapter), x, s)

    def rollout(self, params, adapter, rng, cond, last=None):
        noise = jax.vmap(lambda key: jax.random.normal(key, (2,)))(rng)
        field = lambda x, s: self.velocity(params, adapter, x, jnp.full(len(x), s), cond)  # noqa: E731
        x = flow.euler(field, noise, self.noise_levels, last=last)
        return LatentRollout(x, jnp.asarray(self.noise_levels))

    def decode(self, latents):
        return latents


@functools.cache
def trained():
    """Blobs at x = -1 and x = 1."""
    optimizer = optax.adam(3e-3)
    params = Field().init(jax.random.key(0), jnp.zeros((1, 2)), jnp.zeros(1))["params"]

    def step(carry, key):
        params, state = carry
        side, spread, noise, level = jax.random.split(key, 4)
        x0 = 0.25 * jax.random.normal(spread, (128, 2))
        x0 = x0.at[:, 0].add(jnp.where(jax.random.bernoulli(side, 0.5, (128,)), 1.0, -1.0))
        e, s = jax.random.normal(noise, (128, 2)), jax.random.uniform(level, (128,))

        def loss(params):
            found = Field().apply({"params": params}, flow.mix(x0, e, s), s)
            return jnp.mean(jnp.square(found - flow.velocity(x0, e)))

        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return (optax.apply_updates(params, updates), state), None

    start = (params, optimizer.init(params))
    (params, _), _ = jax.jit(lambda c: jax.lax.scan(step, c, jax.random.split(jax.random.key(1), 1000)))(start)
    return Blobs(params)


PROMPTS = ("left and right", "up and down", "anything", "something")
OPTIONS = FinetuneOptions(
    groups=2, samples=32, micro_batch=32, passes=2, rank=8, rate=3e-3, nft=NFTConfig(nft_beta=0.5, kl_weight=1e-3)
)


def right(points, prompts):
    """Better the farther to the right."""
    worth = 1.0 / (1.0 + np.exp(-4.0 * points[:, 0]))
    return Rewards(worth, np.ones(len(points), bool), {"height": points[:, 1]})
