"""Flow matching on windows of motion: the loss and the step, one program."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Bool, Float, Key

from mjxhuman.generators import flow
from mjxhuman.generators.base import Params
from mjxhuman.generators.motion.network import SIZES, MotionTransformer
from mjxhuman.types import Array


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """What decides the result besides the clips.

    Attributes:
        size: of the network, a name in ``network.SIZES``. frames: of a window. windows, steps: of the training.
        rate: learning rate at its highest, after a warm-up and before a cosine. decay: of weights.
        average: share of the past in the average of the weights that is kept as the result.
        drop: share of windows that are seen without their caption, so that samples can be guided away from it.
        spread, middle: levels are ``sigmoid(middle + spread * normal)`` (Esser et al. 2024, arXiv 2403.03206).
    """

    size: str = "cpu"
    frames: int = 60
    windows: int = 64
    steps: int = 8000
    rate: float = 1e-3
    decay: float = 1e-4
    average: float = 0.999
    drop: float = 0.1
    spread: float = 1.0
    middle: float = 0.0

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise ValueError(f"training.size: expected one of {', '.join(SIZES)}, found {self.size!r}")
        for name in ("frames", "windows", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"training.{name}: expected 1 or more, found {getattr(self, name)}")
        if not 0 <= self.drop < 1:
            raise ValueError(f"training.drop: expected a share in [0, 1), found {self.drop}")


class Window(NamedTuple):
    """B windows of T frames, features standardised."""

    x: Float[Array, "B T n"]
    valid: Bool[Array, "B T"]
    text: Float[Array, "B 1 m"]


class TrainingState(NamedTuple):
    """Of a run."""

    params: Params
    average: Params
    optimizer: Any
    done: Array  # () int, steps


def optimizer(options: TrainingOptions) -> optax.GradientTransformation:
    """AdamW with a warm-up and a cosine, gradients no longer than 1."""
    warm = max(1, min(options.steps // 20, 1000))
    schedule = optax.warmup_cosine_decay_schedule(0.0, options.rate, warm, max(options.steps, warm + 1))
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=options.decay))


def begin(params: Params, options: TrainingOptions) -> TrainingState:
    """A fresh run."""
    start = optimizer(options).init(params)
    return TrainingState(params, jax.tree.map(jnp.copy, params), start, jnp.zeros((), jnp.int32))


def loss(params: Params, window: Window, rng: Key[Array, ""], options: TrainingOptions) -> Array:
    """Mean squared error () of the velocity, over the frames that are there."""
    level, noise, kept = jax.random.split(rng, 3)
    count = len(window.x)
    s = jax.nn.sigmoid(options.middle + options.spread * jax.random.normal(level, (count,)))
    e = jax.random.normal(noise, window.x.shape, window.x.dtype)
    text = window.text * (jax.random.uniform(kept, (count, 1, 1)) >= options.drop)
    found = MotionTransformer(SIZES[options.size]).apply(
        {"params": params}, flow.mix(window.x, e, s), s, text, window.valid
    )
    error = jnp.mean(jnp.square(found - flow.velocity(window.x, e)), -1)
    return jnp.sum(error * window.valid) / jnp.sum(window.valid)


@functools.partial(jax.jit, static_argnums=3, donate_argnums=0)
def learn(
    state: TrainingState, window: Window, rng: Key[Array, ""], options: TrainingOptions
) -> tuple[TrainingState, dict[str, Array]]:
    """One step."""
    value, slope = jax.value_and_grad(loss)(state.params, window, rng, options)
    change, memory = optimizer(options).update(slope, state.optimizer, state.params)
    params = optax.apply_updates(state.params, change)
    past = jnp.minimum(options.average, (1.0 + state.done) / (10.0 + state.done))
    average = jax.tree.map(lambda a, b: past * a + (1.0 - past) * b, state.average, params)
    found = {"loss": value, "gradient_norm": optax.tree.norm(slope)}
    return TrainingState(params, average, memory, state.done + 1), found


judge = functools.partial(jax.jit, static_argnums=3)(loss)
