"""Proximal policy optimisation (Schulman et al. 2017): collect, advantages, update as one jitted program.

``init`` makes the train state, ``make_iteration`` the program. Defaults are those of the PHC tracker on a GPU.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from mjxhuman.envs import Env, State
from mjxhuman.learning.amp import NAME, AMPConfig, ExtraLoss, init_amp, minibatch_loss, remember, style_reward
from mjxhuman.learning.networks import ACTIVATIONS, Networks
from mjxhuman.learning.normalization import new_statistics, update_statistics
from mjxhuman.learning.rollout import Actors, Fault, Normalizer, Rollout, collect, first_true, start
from mjxhuman.learning.update import Learner, Metrics, optimizer, pmean, prepare, update

PHC_HIDDEN = (2048, 1536, 1024, 1024, 512, 512)


@dataclasses.dataclass(frozen=True)
class PPOConfig:
    """What PPO learns with. Sizes count samples over all devices.

    Attributes:
        num_envs: environments. unroll_length: steps of each per iteration.
        num_epochs: passes over the batch of num_envs * unroll_length samples. minibatch_size: samples per gradient.
        gamma, gae_lambda: discount, and decay of the advantage's trace, per control step.
        learning_rate: of Adam; where ``desired_kl`` is above 0 only the first one: it is then divided or multiplied
            by 1.5 after each minibatch whose KL divergence is above twice or below half of it, within
            ``learning_rate_range`` (rsl_rl).
        clip: the probability ratio counts within 1 +- clip.
        critic_coef, entropy_coef, bounds_coef: weights of the losses; bounds: squares of the mean beyond +-1.
        max_grad_norm: the gradient of all parameters together is scaled down to this norm.
        log_std: logarithm of the standard deviation of the actions. learn_std: adapt it, per action component.
        actor_hidden, critic_hidden, activation: the networks.
        critic_obs: observation group of the critic; the actor sees "state".
        obs_clip: bound of normalised observations.
        normalize_value: the critic predicts the return in units of its running standard deviation.
        reward_scale: factor on the reward.
        amp: the adversarial style reward, None without.
    """

    num_envs: int = 3072
    unroll_length: int = 32
    num_epochs: int = 6
    minibatch_size: int = 16384
    gamma: float = 0.99
    gae_lambda: float = 0.95
    learning_rate: float = 2e-5
    desired_kl: float = 0.0
    learning_rate_range: tuple[float, float] = (1e-5, 1e-2)
    clip: float = 0.2
    critic_coef: float = 5.0
    entropy_coef: float = 0.0
    bounds_coef: float = 10.0
    max_grad_norm: float = 50.0
    log_std: float = -2.9
    learn_std: bool = False
    actor_hidden: tuple[int, ...] = PHC_HIDDEN
    critic_hidden: tuple[int, ...] = PHC_HIDDEN
    activation: str = "silu"
    critic_obs: str = "state"
    obs_clip: float = 5.0
    normalize_value: bool = True
    reward_scale: float = 1.0
    amp: AMPConfig | None = None

    def __post_init__(self) -> None:
        for name in ("learning_rate_range", "actor_hidden", "critic_hidden"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("num_envs", "unroll_length", "num_epochs", "minibatch_size"):
            if not (isinstance(getattr(self, name), int) and getattr(self, name) > 0):
                raise ValueError(f"PPOConfig.{name}: expected a positive integer, found {getattr(self, name)!r}")
        if self.batch_size % self.minibatch_size:
            raise ValueError(
                f"PPOConfig.minibatch_size: expected a divisor of num_envs * unroll_length = {self.batch_size}, "
                f"found {self.minibatch_size}"
            )
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"PPOConfig.activation: expected one of {', '.join(ACTIVATIONS)}, found {self.activation!r}"
            )

    @property
    def batch_size(self) -> int:
        """Samples per iteration."""
        return self.num_envs * self.unroll_length


@struct.dataclass
class TrainState:
    """Everything that training changes; what a checkpoint holds.

    Attributes:
        iteration: iterations done, () int32.
        learner: parameters of actor and critic, Adam's state, learning rate.
        normalizer: running statistics.
        rng: one key, replaced each iteration.
        actors: the environments, leading axis num_envs.
        curriculum: the environment's, None if it has none.
        amp: the adversarial reward's discriminator and buffers, None without.
    """

    iteration: jax.Array
    learner: Learner
    normalizer: Normalizer
    rng: jax.Array
    actors: Actors
    curriculum: Any = None
    amp: Any = None


Iteration = Callable[[TrainState, Env], tuple[TrainState, Metrics, Fault]]


def make_networks(env: Env, config: PPOConfig) -> Networks:
    """Shapes of the networks for an environment.

    Raises:
        ValueError: the environment lacks an observation group that actor or critic sees.
    """
    sizes = env.observation_sizes
    for group in ("state", config.critic_obs):
        if group not in sizes:
            raise ValueError(f"observations: expected the group {group!r}, the environment has {', '.join(sizes)}")
    return Networks(
        observation=(sizes["state"], sizes[config.critic_obs]),
        action_size=env.action_size,
        actor_hidden=config.actor_hidden,
        critic_hidden=config.critic_hidden,
        activation=config.activation,
        log_std=config.log_std,
        learn_std=config.learn_std,
    )


def init(env: Env, config: PPOConfig, seed: int = 0) -> TrainState:
    """A train state before its first iteration; the statistics have seen the first observations."""
    state = jax.jit(fresh, static_argnums=1)(env, config, jax.random.key(seed))
    # A copy, because iterations give the train state's arrays away and the environment's must stay.
    return dataclasses.replace(state, curriculum=jax.tree.map(jnp.copy, getattr(env, "curriculum", None)))


def fresh(env: Env, config: PPOConfig, rng: jax.Array) -> TrainState:
    """The train state of ``init`` without the curriculum, to be jitted."""
    rng, network_rng, reset_rng = jax.random.split(rng, 3)
    params = make_networks(env, config).init(network_rng)
    amp = None
    if config.amp is not None:
        rng, amp_rng = jax.random.split(rng)
        params[NAME], amp = init_amp(config.amp, env, amp_rng)
    actors = start(env, jax.random.split(reset_rng, config.num_envs))
    obs = {
        name: update_statistics(new_statistics((env.observation_sizes[name],)), actors.state.obs[name])
        for name in dict.fromkeys(("state", config.critic_obs))
    }
    return TrainState(
        iteration=jnp.zeros((), jnp.int32),
        learner=Learner(params, optimizer(config).init(params), jnp.asarray(config.learning_rate, jnp.float32)),
        normalizer=Normalizer(obs, new_statistics()),
        rng=rng,
        actors=actors,
        amp=amp,
    )


def make_iteration(env: Env, config: PPOConfig) -> Iteration:
    """The jitted program ``iteration(train_state, env) -> (train_state, metrics, fault)``.

    ``train_state`` is donated: its arrays are gone afterwards. ``metrics`` are scalars, ``fault`` says where numbers
    stopped being finite. Wait for the result (``jax.block_until_ready``) before the next call.
    """
    return jax.jit(iteration_body(env, config), donate_argnums=0)


def iteration_body(env: Env, config: PPOConfig, axis: str | None = None) -> Iteration:
    """The iteration before jit. With ``axis`` it is one device's share of it, inside a ``shard_map``."""
    networks = make_networks(env, config)

    def iteration(train: TrainState, env: Any) -> tuple[TrainState, Metrics, Fault]:
        rng, *keys = jax.random.split(train.rng, 4)
        if axis is not None:
            keys = [jax.random.fold_in(key, jax.lax.axis_index(axis)) for key in keys]
        act_rng, amp_rng, update_rng = keys
        if train.curriculum is not None:
            env = dataclasses.replace(env, curriculum=train.curriculum)
        actors, collected, fault = collect(
            networks, ("state", config.critic_obs), train.learner.params, train.normalizer, config.obs_clip, env,
            train.actors, act_rng, config.unroll_length, config.amp is not None,
        )  # fmt: skip
        train, rollout, extra, style_metrics = style(config, train, collected, env, amp_rng, axis)
        batch, normalizer, value_metrics = prepare(
            networks, config, train.learner.params, train.normalizer, rollout, axis
        )
        learner, update_metrics, update_fault = update(networks, config, train.learner, batch, update_rng, axis, extra)
        env, state = adapt(env, actors.state, collected, axis)
        train = dataclasses.replace(
            train,
            iteration=train.iteration + 1,
            learner=learner,
            normalizer=normalizer,
            rng=rng,
            actors=dataclasses.replace(actors, state=state),
            curriculum=getattr(env, "curriculum", None),
        )
        metrics = {**rollout_metrics(collected, axis), **style_metrics, **value_metrics, **update_metrics}
        return (
            train,
            metrics,
            dataclasses.replace(fault, step={**fault.step, **update_fault, **curriculum_fault(train.curriculum)}),
        )

    return iteration


def style(
    config: PPOConfig, train: TrainState, rollout: Rollout, env: Any, rng: jax.Array, axis: str | None
) -> tuple[TrainState, Rollout, ExtraLoss | None, Metrics]:
    """With an adversarial reward: the roll-out with both rewards weighed, and the discriminator's loss."""
    if config.amp is None:
        return train, rollout, None, {}
    amp, clip = config.amp, config.obs_clip
    devices = 1 if axis is None else jax.lax.axis_size(axis)
    reward = style_reward(amp, train.learner.params[NAME], train.amp, rollout.amp, clip)
    windows = rollout.amp.reshape(-1, rollout.amp.shape[-1])
    after = remember(amp, train.amp, windows, env, rng, axis, devices)
    extra = minibatch_loss(amp, train.amp.statistics, after, windows, clip, devices)
    both = amp.task_weight * rollout.reward + amp.style_weight * reward
    metrics = {"reward/style": pmean(jnp.mean(reward), axis)}
    return dataclasses.replace(train, amp=after), dataclasses.replace(rollout, reward=both), extra, metrics


def rollout_metrics(rollout: Rollout, axis: str | None) -> Metrics:
    """Means over the roll-out; names "episode/..." over the episodes that ended in it (NaN where none did)."""
    ended = rollout.done.astype(jnp.float32)
    share = pmean(jnp.mean(ended), axis)
    metrics = {"reward": pmean(jnp.mean(rollout.reward), axis), "episode/ended": share}
    for name, values in {**rollout.metrics, "episode/timeout": rollout.truncation}.items():
        if name.startswith("_"):
            continue
        if name.startswith("episode/"):
            metrics[name] = pmean(jnp.mean(jnp.where(rollout.done, values, 0.0)), axis) / share
        else:
            metrics[name] = pmean(jnp.mean(values), axis)
    return metrics


def curriculum_fault(curriculum: Any) -> dict[str, jax.Array]:
    """{"curriculum": 0 if it holds numbers that are not finite, else -1}; empty without a curriculum."""
    leaves = [x for x in jax.tree.leaves(curriculum) if jnp.issubdtype(x.dtype, jnp.floating)]
    if not leaves:
        return {}
    return {"curriculum": first_true(jnp.any(jnp.stack([jnp.any(~jnp.isfinite(x)) for x in leaves]))[None])}


def adapt(env: Env, state: State, rollout: Rollout, axis: str | None) -> tuple[Env, State]:
    """Let the environment adapt its curriculum to the roll-out of all devices, if it wants to."""
    if not hasattr(env, "adapt"):
        return env, state
    seen = {
        **rollout.metrics, "reward": rollout.reward, "done": rollout.done, "truncation": rollout.truncation,
    }  # fmt: skip
    if axis is not None:
        seen = jax.tree.map(lambda x: jax.lax.all_gather(x, axis, axis=1, tiled=True), seen)
    return env.adapt(state, seen)
