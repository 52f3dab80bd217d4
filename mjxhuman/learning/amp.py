"""Adversarial motion priors (Peng et al. 2021): a reward for moving like the demonstrations, as an add-on to PPO.

A discriminator learns to tell windows of the agent's motion from windows of real motion; what it takes for real is
rewarded. Values are those of PHC. Its parameters live beside actor and critic and are trained in the same steps.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from mjxhuman.envs import Env
from mjxhuman.learning.algorithm import Metrics, pmean
from mjxhuman.learning.config import AMPConfig
from mjxhuman.learning.extras import Extra, Share
from mjxhuman.learning.networks import MLP, Networks, Params, apply
from mjxhuman.learning.normalization import Statistics, new_statistics, normalize, update_statistics
from mjxhuman.learning.rollout import Rollout
from mjxhuman.learning.update import Batch, MinibatchLoss

NAME = "discriminator"  # its place in the parameters
LOWEST = 1e-4  # of 1 - sigmoid(D): the reward ends at -log of it


@struct.dataclass
class Buffer:
    """A ring of samples (size, n); ``count`` () of them are filled, ``cursor`` () is written next."""

    data: jax.Array
    count: jax.Array
    cursor: jax.Array

    def add(self, rows: jax.Array) -> Buffer:
        """Write rows (m, n), m <= size, over the oldest."""
        size, new = self.data.shape[0], rows.shape[0]
        data = self.data.at[(self.cursor + jnp.arange(new)) % size].set(rows)
        return Buffer(data, jnp.minimum(self.count + new, size), (self.cursor + new) % size)

    def sample(self, rng: jax.Array, n: int) -> jax.Array:
        """``n`` rows drawn with replacement from the filled part."""
        return self.data[jax.random.randint(rng, (n,), 0, self.count)]


@struct.dataclass
class AMPState:
    """The statistics of style windows, and the windows remembered."""

    statistics: Statistics
    replay: Buffer
    demos: Buffer


def new_buffer(size: int, n: int) -> Buffer:
    """An empty buffer."""
    return Buffer(jnp.zeros((size, n), jnp.float32), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def init_amp(config: AMPConfig, env: Any, rng: jax.Array) -> tuple[Params, AMPState]:
    """Parameters of the discriminator, and buffers of which the demonstrations' is full.

    Raises:
        ValueError: the environment has no style windows or no demonstrations.
    """
    size = env.observation_sizes.get("amp")
    if size is None or not hasattr(env, "demonstrations"):
        raise ValueError(
            "adversarial reward: expected an environment with the observation group 'amp' and the method "
            f"'demonstrations', found the groups {', '.join(env.observation_sizes)}"
        )
    network_rng, demo_rng = jax.random.split(rng)
    params = _network(config).init(network_rng, jnp.zeros((1, size)))["params"]
    demos = env.demonstrations(demo_rng, config.demo_size)
    statistics = update_statistics(new_statistics((size,)), demos)
    buffer = new_buffer(config.demo_size, size).add(demos)
    return params, AMPState(statistics, new_buffer(config.replay_size, size), buffer)


def style_reward(config: AMPConfig, params: Params, state: AMPState, windows: jax.Array, clip: float) -> jax.Array:
    """-log(max(1 - sigmoid(D), 1e-4)) * reward_scale of windows (*b, n), shape (*b)."""
    logit = discriminate(config, params, normalize(state.statistics, windows, clip))
    return -jnp.log(jnp.maximum(1.0 - jax.nn.sigmoid(logit), LOWEST)) * config.reward_scale


def remember(
    config: AMPConfig, state: AMPState, windows: jax.Array, env: Any, rng: jax.Array, axis: str | None, devices: int
) -> AMPState:
    """The state with some of this roll-out's windows (m, n) and new demonstrations; statistics of both.

    The statistics returned are for the next iteration; use those of ``state`` until then.
    """
    pick_rng, demo_rng = jax.random.split(rng)
    chosen = windows[jax.random.randint(pick_rng, (config.replay_add // devices,), 0, windows.shape[0])]
    demos = env.demonstrations(demo_rng, config.demo_add // devices)
    statistics = update_statistics(state.statistics, jnp.concatenate([chosen, demos]), axis)
    return AMPState(statistics, state.replay.add(chosen), state.demos.add(demos))


def discriminator_loss(
    config: AMPConfig, params: Params, statistics: Statistics, agent: jax.Array, demo: jax.Array, clip: float
) -> tuple[jax.Array, Metrics]:
    """Binary cross-entropy with the penalties, and its parts; agent and demo are raw windows (*, n)."""
    agent, demo = normalize(statistics, agent, clip), normalize(statistics, demo, clip)
    agent_logit = discriminate(config, params, agent)
    demo_logit, pull_back = jax.vjp(lambda x: discriminate(config, params, x), demo)
    (slope,) = pull_back(jnp.ones_like(demo_logit))  # of each sample's output at that sample
    told_apart = 0.5 * (
        jnp.mean(optax.sigmoid_binary_cross_entropy(agent_logit, jnp.zeros_like(agent_logit)))
        + jnp.mean(optax.sigmoid_binary_cross_entropy(demo_logit, jnp.ones_like(demo_logit)))
    )
    steepness = jnp.mean(jnp.sum(jnp.square(slope), axis=-1))
    kernels = {name: jnp.sum(jnp.square(layer["kernel"])) for name, layer in params.items()}
    loss = (
        told_apart
        + config.gradient_penalty * steepness
        + config.logit_decay * kernels["out"]
        + config.weight_decay * sum(kernels.values())
    )
    metrics = {
        "amp/loss": told_apart,
        "amp/gradient": steepness,
        "amp/agent_accuracy": jnp.mean((agent_logit < 0).astype(jnp.float32)),
        "amp/demo_accuracy": jnp.mean((demo_logit > 0).astype(jnp.float32)),
    }
    return loss, metrics


def minibatch_loss(
    config: AMPConfig, statistics: Statistics, state: AMPState, windows: jax.Array, clip: float, devices: int
) -> MinibatchLoss:
    """The discriminator's loss on samples of the roll-out, replay and demonstrations."""
    size = config.batch_size // devices

    def loss(_: Networks, params: Params, batch: Batch, rng: jax.Array) -> tuple[jax.Array, Metrics]:
        now_rng, past_rng, demo_rng = jax.random.split(rng, 3)
        now = windows[jax.random.randint(now_rng, (size,), 0, windows.shape[0])]
        agent = jnp.concatenate([now, state.replay.sample(past_rng, size)])
        value, metrics = discriminator_loss(
            config, params[NAME], statistics, agent, state.demos.sample(demo_rng, size), clip
        )
        return config.coef * value, metrics

    return loss


@dataclasses.dataclass(frozen=True)
class AMP(Extra):
    """The adversarial reward beside PPO; ``clip`` bounds normalised windows."""

    config: AMPConfig
    clip: float
    name = NAME
    final_groups = ("amp",)

    def init(self, env: Env, rng: jax.Array) -> tuple[Params, AMPState]:
        """See ``init_amp``."""
        return init_amp(self.config, env, rng)

    def share(
        self, params: Params, state: AMPState, rollout: Rollout, env: Env, rng: jax.Array, axis: str | None
    ) -> Share:
        """Both rewards weighed, the discriminator's loss, and the windows remembered."""
        config, clip, seen = self.config, self.clip, rollout.final_obs["amp"]
        devices = 1 if axis is None else jax.lax.axis_size(axis)
        reward = style_reward(config, params[NAME], state, seen, clip)
        windows = seen.reshape(-1, seen.shape[-1])
        after = remember(config, state, windows, env, rng, axis, devices)
        loss = minibatch_loss(config, state.statistics, after, windows, clip, devices)
        both = config.task_weight * rollout.reward + config.style_weight * reward
        return Share(after, loss, both, {"reward/style": pmean(jnp.mean(reward), axis)})

    def split(self, state: AMPState) -> AMPState:
        """The rows of both buffers."""
        whole: AMPState = jax.tree.map(lambda _: False, state)
        rows: dict[str, Any] = {"data": True}
        replay, demos = (dataclasses.replace(x, **rows) for x in (whole.replay, whole.demos))
        return dataclasses.replace(whole, replay=replay, demos=demos)

    def sizes(self) -> dict[str, int]:
        """Samples drawn and kept."""
        names = ("batch_size", "replay_size", "replay_add", "demo_size", "demo_add")
        return {f"amp.{name}": getattr(self.config, name) for name in names}


def discriminate(config: AMPConfig, params: Params, x: jax.Array) -> jax.Array:
    """Logits (*b) of normalised windows (*b, n): above 0 is taken for real."""
    return apply(_network(config), params, x)[..., 0]


def _network(config: AMPConfig) -> MLP:
    def uniform(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -1.0, 1.0)

    return MLP(config.hidden, 1, "relu", uniform)
