"""Losses and the training step of the lifter: one JAX program that draws windows and learns from them."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from mjxhuman.encoders.lifter_network import Heads, Params, init, rotations, say

from .lifter_clips import RATE
from .lifter_samples import Sample


@dataclasses.dataclass(frozen=True)
class Options:
    """What decides the result besides clips and augmentation."""

    causal: bool = False
    width: int = 160  # of the layers
    windows: int = 32  # of each step
    frames: int = 48  # of a window
    steps: int = 2400
    rate: float = 1.5e-3  # learning rate at its highest
    decay: float = 0.01  # of weights
    average: float = 0.998  # share of the past in the average of parameters that is shipped
    velocity: float = 0.2  # weight of the speeds' error, per m/s
    turns: float = 0.15  # of rotations
    variance: float = 0.02  # of the likelihood
    contact: float = 0.02  # of contacts and exchanged sides


class State(NamedTuple):
    """Of a run."""

    params: Params
    average: Params
    optimizer: Any
    done: Array  # () int, steps


def optimizer(options: Options) -> optax.GradientTransformation:
    """AdamW with a warm-up and a cosine."""
    warm = max(1, options.steps // 20)
    rate = optax.warmup_cosine_decay_schedule(
        0.0, options.rate, warm, max(options.steps, warm + 1), 0.02 * options.rate
    )
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, weight_decay=options.decay))


def begin(options: Options, seed: int) -> State:
    """A fresh run."""
    params = init(jax.random.key(seed), options.width)
    return State(params, jax.tree.map(jnp.copy, params), optimizer(options).init(params), jnp.zeros((), jnp.int32))


def errors(said: Heads, sample: Sample) -> dict[str, Array]:
    """Losses, each a mean."""
    off = said.points - sample.points
    distance = jnp.linalg.norm(off, axis=-1)
    square = jax.lax.stop_gradient(jnp.sum(off * off, -1)) / 3.0
    likelihood = 0.5 * (said.log_variance + square * jnp.exp(-said.log_variance))
    entropy = lambda logit, truth: optax.sigmoid_binary_cross_entropy(logit, truth.astype(jnp.float32))  # noqa: E731
    stands = sample.stands[:, None, None]
    return {
        "points": distance.mean(), "flat": jnp.abs(off).mean() * 3.0,
        "velocity": jnp.linalg.norm(off[:, 1:] - off[:, :-1], axis=-1).mean() * RATE,
        "turns": jnp.abs(rotations(said.turns) - sample.turns).mean() * 9.0,
        "variance": likelihood.mean(),
        "contact": (entropy(said.contact, sample.contact) * stands).sum()
        / jnp.maximum(said.contact[0].size * stands.sum(), 1.0),
        "exchanged": entropy(said.exchanged, sample.exchanged).mean(),
    }  # fmt: skip


def loss(params: Params, sample: Sample, options: Options) -> tuple[Array, dict[str, Array]]:
    """What is made small, and its parts."""
    found = errors(say(params, sample.seen.features, options.causal), sample)
    total = (
        found["flat"] + options.velocity * found["velocity"] + options.turns * found["turns"]
        + options.variance * found["variance"] + options.contact * (found["contact"] + found["exchanged"])
    )  # fmt: skip
    return total, found


@functools.partial(jax.jit, static_argnums=2, donate_argnums=0)
def learn(state: State, sample: Sample, options: Options) -> tuple[State, dict[str, Array]]:
    """One step."""
    slope, found = jax.grad(loss, has_aux=True)(state.params, sample, options)
    change, memory = optimizer(options).update(slope, state.optimizer, state.params)
    params = optax.apply_updates(state.params, change)
    past = jnp.minimum(options.average, (1.0 + state.done) / (10.0 + state.done))
    average = jax.tree.map(lambda a, b: past * a + (1.0 - past) * b, state.average, params)
    return State(params, average, memory, state.done + 1), found


@functools.partial(jax.jit, static_argnums=2)
def judge(params: Params, sample: Sample, causal: bool) -> dict[str, Array]:
    """Errors on windows, distances in mm."""
    found = errors(say(params, sample.seen.features, causal), sample)
    return {**found, "points_mm": 1e3 * found["points"]}
