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
from mjxhuman.learning.amp import NAME, ExtraLoss, init_amp, minibatch_loss, remember, style_reward
from mjxhuman.learning.config import PPOConfig
from mjxhuman.learning.networks import Networks
from mjxhuman.learning.normalization import new_statistics, update_statistics
from mjxhuman.learning.rollout import Actors, Fault, Normalizer, Rollout, collect, first_true, start
from mjxhuman.learning.update import Learner, Metrics, optimizer, pmean, prepare, update


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
