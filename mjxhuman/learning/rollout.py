"""Collecting experience: one scan of policy and environment, with a record of the first number that is not finite."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from mjxhuman.envs import Env, State
from mjxhuman.learning.networks import Networks, Params
from mjxhuman.learning.normalization import Statistics, normalize, unstandardize


@struct.dataclass
class Actors:
    """The environments and what their running episodes have gathered, (*b)."""

    state: State
    returned: jax.Array  # sum of rewards
    length: jax.Array  # steps, int32


@struct.dataclass
class Normalizer:
    """Statistics of each observation group that a network sees, and of the critic's targets."""

    obs: dict[str, Statistics]
    value: Statistics


@struct.dataclass
class Rollout:
    """T steps of N environments; arrays (T, N, ...).

    Attributes:
        obs: raw observations before each step, the groups that actor and critic see.
        action, mean: what was done, and the policy's mean.
        next_value: the critic's value, in units of reward, of the state each step led to (before automatic resets).
        reward, done, truncation, metrics: of the environment; metrics has "episode/return" and "episode/length" too.
        amp: style windows after each step (before automatic resets), None without an adversarial reward.
    """

    obs: dict[str, jax.Array]
    action: jax.Array
    mean: jax.Array
    next_value: jax.Array
    reward: jax.Array
    done: jax.Array
    truncation: jax.Array
    metrics: dict[str, jax.Array]
    amp: jax.Array | None


@struct.dataclass
class Fault:
    """Where numbers stopped being finite.

    Attributes:
        step: term -> step of the roll-out at which it was first not finite in any environment, () int32, -1 for never;
            terms are, in causal order: what the policy saw ("obs.state"), "action", leaves of the physics state after
            the step ("sim.qpos"), metrics, "reward", what the step led to ("final_obs.state"); then the update's
            metrics, counted in minibatches.
        found: any of them was not finite, () bool.
        state, action: of all environments before the first such step (meaningless unless found).
        bad: environments that it happened in, (N,) bool.
    """

    step: dict[str, jax.Array]
    found: jax.Array
    state: State
    action: jax.Array
    bad: jax.Array


def start(env: Env, keys: jax.Array) -> Actors:
    """First episodes, one for each key (*b)."""
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
    amp: bool = False,
) -> tuple[Actors, Rollout, Fault]:
    """Act ``steps`` times in every environment.

    Args:
        networks, params, normalizer: the policy; ``clip`` bounds normalised observations.
        groups: observation groups of actor and critic.
        env: environment; actors: where its episodes are.
        rng: one key, for the noise of the actions.
        steps: length T of the roll-out.
        amp: keep the style windows.
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
        fault = _first(fault, jnp.any(bad), state, action, bad)
        out = Rollout(
            obs={name: state.obs[name] for name in dict.fromkeys(groups)},
            action=action,
            mean=mean,
            next_value=next_value,
            reward=after.reward,
            done=after.done,
            truncation=after.truncation,
            metrics={**after.metrics, "episode/return": returned, "episode/length": length.astype(jnp.float32)},
            amp=after.final_obs["amp"] if amp else None,
        )
        again = Actors(after, jnp.where(after.done, 0.0, returned), jnp.where(after.done, 0, length))
        return (again, fault), (out, terms)

    none = _no_fault(actors.state, networks.action_size)
    (actors, fault), (rollout, terms) = jax.lax.scan(step, (actors, none), jax.random.split(rng, steps))
    steps_of = {name: first_true(flags) for name, flags in terms.items()}
    return actors, rollout, dataclasses.replace(fault, step=steps_of)


def not_finite(state: State, action: jax.Array, after: State) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Which environments (*b), and which terms () of a step hold numbers that are not finite, in causal order."""
    named = {**{f"obs.{name}": x for name, x in state.obs.items()}, "action": action}
    for path, leaf in jax.tree_util.tree_leaves_with_path(after.sim):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            named["sim" + jax.tree_util.keystr(path)] = leaf
    named |= {**after.metrics, "reward": after.reward}
    named |= {f"final_obs.{name}": x for name, x in after.final_obs.items()}
    batch = after.done.ndim
    flags = {k: jnp.any(~jnp.isfinite(v), axis=tuple(range(batch, v.ndim))) for k, v in named.items()}
    return jnp.any(jnp.stack(list(flags.values())), axis=0), {k: jnp.any(v) for k, v in flags.items()}


def first_true(flags: jax.Array) -> jax.Array:
    """Index of the first true entry of (T,) flags, -1 if none."""
    return jnp.where(jnp.any(flags), jnp.argmax(flags), -1).astype(jnp.int32)


def _no_fault(state: State, action_size: int) -> Fault:
    none = jnp.zeros_like(state.done)
    return Fault({}, jnp.zeros((), bool), state, jnp.zeros((*none.shape, action_size), jnp.float32), none)


def _first(fault: Fault, found: jax.Array, state: State, action: jax.Array, bad: jax.Array) -> Fault:
    """Keep the state before the first fault; ``cond`` copies it only then."""
    new = Fault({}, jnp.ones((), bool), state, action, bad)
    return jax.lax.cond(found & ~fault.found, lambda: new, lambda: fault)
