"""Flow matching on windows of motion: the loss and the step, one program."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Bool, Float, Key

from mjxhuman.generators import flow
from mjxhuman.generators.base import Params
from mjxhuman.generators.motion.features import Scale
from mjxhuman.generators.motion.joints import joint_motion
from mjxhuman.generators.motion.network import SIZES, MotionTransformer
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.types import Array

#: Error of a joint's position (m) and velocity (m/s) that weighs as much as that of a feature by its deviation.
PLACE, SPEED = 0.1, 0.5
#: Noise level below which errors of joints count no more for being smaller.
_LEAST = 0.3


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """What decides the result besides the clips.

    Attributes:
        size: of the network, a name in ``network.SIZES``. frames: of a window. windows, steps: of the training.
        rate: learning rate at its highest, after a warm-up and before a cosine. decay: of weights.
        average: share of the past in the average of the weights that is kept as the result.
        drop: share of windows that are seen without their caption, so that samples can be guided away from it.
        joints: weight of what the error means for places and velocities of the joints (``joint_error``); 0: none.
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
    joints: float = 0.1
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


@struct.dataclass
class Body:
    """What standardised features stand for."""

    mean: Float[Array, " n"]
    deviation: Float[Array, " n"]
    humanoid: Humanoid = struct.field(pytree_node=False)
    fps: float = struct.field(pytree_node=False)

    @staticmethod
    def of(humanoid: Humanoid, scale: Scale, fps: float) -> Body:
        """Of a generator."""
        return Body(jnp.asarray(scale.mean), jnp.asarray(scale.deviation), humanoid, fps)

    def joints(self, x: Float[Array, "B T n"]) -> tuple[Array, Array]:
        """``joint_motion`` of standardised features."""
        return joint_motion(self.humanoid, x * self.deviation + self.mean, self.fps)


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


def loss(
    params: Params, window: Window, rng: Key[Array, ""], body: Body, options: TrainingOptions
) -> tuple[Array, dict[str, Array]]:
    """Mean squared error () of the velocity, over the frames that are there, and what it means for the joints; both."""
    level, noise, kept = jax.random.split(rng, 3)
    count = len(window.x)
    s = jax.nn.sigmoid(options.middle + options.spread * jax.random.normal(level, (count,)))
    e = jax.random.normal(noise, window.x.shape, window.x.dtype)
    text = window.text * (jax.random.uniform(kept, (count, 1, 1)) >= options.drop)
    x = flow.mix(window.x, e, s)
    found = MotionTransformer(SIZES[options.size]).apply({"params": params}, x, s, text, window.valid)
    error = jnp.mean(jnp.square(found - flow.velocity(window.x, e)), -1)
    parts = {"features": jnp.sum(error * window.valid) / jnp.sum(window.valid)}
    total = parts["features"]
    if options.joints:
        parts["joints"] = joint_error(window, flow.to_data(x, found, s), s, body)
        total = total + options.joints * parts["joints"]
    return total, {"loss": total, **parts}


def joint_error(window: Window, x0: Float[Array, "B T n"], s: Float[Array, " B"], body: Body) -> Array:
    """Mean squared error () of joints, in ``PLACE`` and ``SPEED``, of data that was predicted at levels ``s``.

    Small errors of rotations add up along a leg to a foot that slides (the geometric losses of MDM, Tevet et al. 2023,
    arXiv 2209.14916, eq. 3-5). Divided by the level, as the error of the data is the level times that of the velocity;
    weighed by ``(1 - s)^2``, because what is predicted of much noise is a mean, and the joints of a mean are not the
    mean of joints.
    """
    weight = jnp.square((1.0 - s) / jnp.maximum(s, _LEAST))[:, None]
    total = jnp.zeros(())
    there = window.valid, window.valid[:, 1:]
    for a, b, valid, unit in zip(body.joints(x0), body.joints(window.x), there, (PLACE, SPEED), strict=True):
        error = jnp.mean(jnp.square((a - b) / unit), (-1, -2)) * weight
        total += jnp.sum(error * valid) / jnp.maximum(jnp.sum(valid), 1)
    return total


@functools.partial(jax.jit, static_argnums=4, donate_argnums=0)
def learn(
    state: TrainingState, window: Window, rng: Key[Array, ""], body: Body, options: TrainingOptions
) -> tuple[TrainingState, dict[str, Array]]:
    """One step."""
    slope, told = jax.grad(loss, has_aux=True)(state.params, window, rng, body, options)
    change, memory = optimizer(options).update(slope, state.optimizer, state.params)
    params = optax.apply_updates(state.params, change)
    past = jnp.minimum(options.average, (1.0 + state.done) / (10.0 + state.done))
    average = jax.tree.map(lambda a, b: past * a + (1.0 - past) * b, state.average, params)
    found = {**told, "gradient_norm": optax.tree.norm(slope)}
    return TrainingState(params, average, memory, state.done + 1), found


@functools.partial(jax.jit, static_argnums=4)
def judge(
    params: Params, window: Window, rng: Key[Array, ""], body: Body, options: TrainingOptions
) -> dict[str, Array]:
    """The loss of weights, and its parts."""
    return loss(params, window, rng, body, options)[1]
