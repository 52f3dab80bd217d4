"""Collecting experience: one scan of policy and environment, and what the learner and its log take from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Bool, Float, Int, Key

from mjxhuman.envs import Env, State
from mjxhuman.learning.algorithm import Metrics, pmean
from mjxhuman.learning.faults import Fault, first_fault, first_true, no_fault, not_finite
from mjxhuman.learning.networks import Networks, Params
from mjxhuman.learning.normalization import Statistics, normalize, unstandardize


@struct.dataclass
class Actors:
    """The environments and what their running episodes have gathered."""

    state: State
    returned: Float[jax.Array, "*b"]  # sum of rewards
    length: Int[jax.Array, "*b"]  # steps


@struct.dataclass
class Normalizer:
    """Statistics of each observation group that a network sees, and of the critic's targets."""

    obs: dict[str, Statistics]
    value: Statistics


@struct.dataclass
class Rollout:
    """T steps of N environments.

    Attributes:
        obs: raw observations before each step, the groups that actor, critic and extras see.
        action, mean: what was done, and the policy's mean.
        next_value: the critic's value, in units of reward, of the state each step led to (before automatic resets).
        reward, done, truncation, metrics: of the environment; metrics has "episode/return" and "episode/length" too.
        final_obs: groups after each step (before automatic resets) that extras ask for.
    """

    obs: dict[str, Float[jax.Array, "T N _"]]
    action: Float[jax.Array, "T N a"]
    mean: Float[jax.Array, "T N a"]
    next_value: Float[jax.Array, "T N"]
    reward: Float[jax.Array, "T N"]
    done: Bool[jax.Array, "T N"]
    truncation: Bool[jax.Array, "T N"]
    metrics: dict[str, Float[jax.Array, "T N"]]
    final_obs: dict[str, Float[jax.Array, "T N _"]]


def start(env: Env, keys: Key[jax.Array, "*b"]) -> Actors:
    """First episodes, one for each key."""
    state = env.reset(keys)
    return Actors(state, jnp.zeros_like(state.reward), jnp.zeros(keys.shape, jnp.int32))


def collect(
    networks: Networks,
    groups: tuple[str, str],
    params: Params,
    normalizer: Normalizer,
    clip: float,
    env: Env,
    actors: Actors,
    rng: jax.Array,
    steps: int,
    kept: Sequence[str] = (),
    final: Sequence[str] = (),
) -> tuple[Actors, Rollout, Fault]:
    """Act ``steps`` times in every environment.

    Args:
        networks, params, normalizer: the policy; ``clip`` bounds normalised observations.
        groups: observation groups of actor and critic.
        env: environment; actors: where its episodes are.
        rng: one key, for the noise of the actions.
        steps: length T of the roll-out.
        kept: other observation groups to keep; final: groups to keep of what each step led to.
    """
    actor_group, critic_group = groups

    def step(carry: tuple[Actors, Fault], key: jax.Array) -> tuple[tuple[Actors, Fault], Any]:
        actors, fault = carry
        state = actors.state
        seen = normalize(normalizer.obs[actor_group], state.obs[actor_group], clip)
        mean, log_std = networks.policy(params, seen)
        action = mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape, mean.dtype)
        after = env.step(state, action)
        judged = normalize(normalizer.obs[critic_group], after.final_obs[critic_group], clip)
        next_value = unstandardize(normalizer.value, networks.value(params, judged))
        returned, length = actors.returned + after.reward, actors.length + 1
        bad, terms = not_finite(state, action, after)
        fault = first_fault(fault, state, action, bad)
        out = Rollout(
            obs={name: state.obs[name] for name in dict.fromkeys((*groups, *kept))},
            action=action,
            mean=mean,
            next_value=next_value,
            reward=after.reward,
            done=after.done,
            truncation=after.truncation,
            metrics={**after.metrics, "episode/return": returned, "episode/length": length.astype(jnp.float32)},
            final_obs={name: after.final_obs[name] for name in final},
        )
        again = Actors(after, jnp.where(after.done, 0.0, returned), jnp.where(after.done, 0, length))
        return (again, fault), (out, terms)

    none = no_fault(actors.state, networks.action_size)
    (actors, fault), (rollout, terms) = jax.lax.scan(step, (actors, none), jax.random.split(rng, steps))
    steps_of = {name: first_true(flags) for name, flags in terms.items()}
    return actors, rollout, dataclasses.replace(fault, step=steps_of)


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
