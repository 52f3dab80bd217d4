"""Proximal policy optimisation (Schulman et al. 2017): collect, advantages, update as one program.

``PPO`` is the algorithm for ``trainer.train``. Defaults of its configuration are those of the PHC tracker on a GPU.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from mjxhuman.envs import Env
from mjxhuman.learning.algorithm import Algorithm, Metrics
from mjxhuman.learning.amp import AMP
from mjxhuman.learning.config import PPOConfig
from mjxhuman.learning.extras import Extra, check_groups
from mjxhuman.learning.faults import Fault, curriculum_fault
from mjxhuman.learning.networks import Networks, Params, averaged
from mjxhuman.learning.normalization import new_statistics, update_statistics
from mjxhuman.learning.policy import Policy
from mjxhuman.learning.rollout import Actors, Normalizer, Rollout, adapt, collect, rollout_metrics, start
from mjxhuman.learning.update import Learner, MinibatchLoss, gradient_norms, keys_for, optimizer, prepare, update


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
        extras: the states of what learns beside PPO, by name.
        average: the policy's parameters, averaged over iterations; None without.
    """

    iteration: jax.Array
    learner: Learner
    normalizer: Normalizer
    rng: jax.Array
    actors: Actors
    curriculum: Any = None
    extras: dict[str, Any] = struct.field(default_factory=dict)
    average: Params | None = None


@dataclasses.dataclass(frozen=True)
class WarmUp:
    """The first iterations, in which extras alone teach the policy, and the critic learns to judge it.

    Attributes:
        iterations: so many. settle: iterations after them in which extras that know of it rest as well, and the critic
            catches up with a policy that stays what it is.
        first, last: the learning rate goes from one to the other, geometrically; then it is that of the configuration,
            or goes on where the KL divergence steers it.
    """

    iterations: int
    settle: int = 0
    first: float = 5e-4
    last: float = 1e-4

    def rate(self, iteration: jax.Array) -> jax.Array:
        """Learning rate in an iteration, ()."""
        share = jnp.clip(iteration / max(self.iterations, 1), 0.0, 1.0)
        return jnp.asarray(self.first * (self.last / self.first) ** share, jnp.float32)


@dataclasses.dataclass(frozen=True)
class PPO(Algorithm[TrainState]):
    """PPO, with whatever else learns in the same steps.

    Attributes:
        config: its numbers; ``config.amp`` adds the adversarial reward.
        extras: other losses and rewards, see ``learning.extras``.
        weight: of PPO's own loss beside theirs; 0 leaves the teaching to them.
        warm_up: iterations in which they teach the policy alone, while the critic learns.
        start: a policy to begin with instead of a random one, which may see only the first of the observed numbers. The
            critic begins anew.
    """

    config: PPOConfig
    extras: tuple[Extra, ...] = ()
    weight: float = 1.0
    warm_up: WarmUp | None = None
    start: Policy | None = dataclasses.field(default=None, compare=False, repr=False)
    name = "ppo"

    @property
    def batch_size(self) -> int:
        """Samples per iteration."""
        return self.config.batch_size

    @property
    def beside(self) -> tuple[Extra, ...]:
        """All that learns beside PPO."""
        config = self.config
        return self.extras if config.amp is None else (AMP(config.amp, config.obs_clip), *self.extras)

    def facts(self) -> dict[str, Any]:
        """The configuration, and what there is besides."""
        facts = dataclasses.asdict(self.config)
        if self.extras:
            facts |= {"extras": {extra.name: extra.facts() for extra in self.extras}, "weight": self.weight}
        if self.warm_up is not None:
            facts["warm_up"] = dataclasses.asdict(self.warm_up)
        return facts

    def init(self, env: Env, seed: int = 0) -> TrainState:
        """A train state before its first iteration; the statistics have seen the first observations.

        Raises:
            ValueError: the environment lacks an observation group that something sees, or ``start`` is of another
                network.
        """
        state = jax.jit(self.fresh)(env, jax.random.key(seed))
        # A copy, because iterations give the train state's arrays away and the environment's must stay.
        return dataclasses.replace(state, curriculum=jax.tree.map(jnp.copy, getattr(env, "curriculum", None)))

    def fresh(self, env: Env, rng: jax.Array) -> TrainState:
        """The train state of ``init`` without the curriculum, to be jitted."""
        config = self.config
        rng, network_rng, reset_rng = jax.random.split(rng, 3)
        params, states = make_networks(env, config).init(network_rng), {}
        for extra in self.beside:
            rng, extra_rng = jax.random.split(rng)
            own, states[extra.name] = extra.init(env, extra_rng)
            check_groups(extra, env)
            if own is not None:
                params[extra.name] = own
        actors = start(env, jax.random.split(reset_rng, config.num_envs))
        obs = {
            name: update_statistics(new_statistics((env.observation_sizes[name],)), actors.state.obs[name])
            for name in dict.fromkeys(("state", config.critic_obs))
        }
        if self.start is not None:
            begun = self.start.widened(obs["state"])
            params, obs["state"] = begun.into(params), begun.statistics
        return TrainState(
            iteration=jnp.zeros((), jnp.int32),
            learner=Learner(params, optimizer(config).init(params), jnp.asarray(config.learning_rate, jnp.float32)),
            normalizer=Normalizer(obs, new_statistics()),
            rng=rng,
            actors=actors,
            extras=states,
            average=jax.tree.map(jnp.copy, params["actor"]) if config.average else None,
        )

    def iteration(self, state: TrainState, env: Env, axis: str | None = None) -> tuple[TrainState, Metrics, Fault]:
        """Collect, take the advantages, update, and let the environment adapt.

        Wait for the result (``jax.block_until_ready``) before the next call.
        """
        train, config, networks = state, self.config, make_networks(env, self.config)
        rng, *keys = jax.random.split(train.rng, 4)
        if axis is not None:
            keys = [jax.random.fold_in(key, jax.lax.axis_index(axis)) for key in keys]
        act_rng, extra_rng, update_rng = keys
        if train.curriculum is not None:
            env = dataclasses.replace(env, curriculum=train.curriculum)  # type: ignore[type-var]
        raw = tuple(dict.fromkeys(name for extra in self.beside for name in extra.groups))
        final = tuple(dict.fromkeys(name for extra in self.beside for name in extra.final_groups))
        params = train.learner.params
        actors, collected, fault = collect(
            networks, ("state", config.critic_obs), params, train.normalizer, config.obs_clip, env, train.actors,
            act_rng, config.unroll_length, raw, final,
        )  # fmt: skip
        extras, rollout, losses, extra_metrics = self._share(train, collected, env, extra_rng, axis)
        batch, normalizer, value_metrics = prepare(networks, config, params, train.normalizer, rollout, axis, raw)
        if self.extras:
            own = dict(zip([extra.name for extra in self.extras], losses[-len(self.extras) :], strict=True))
            extra_metrics |= gradient_norms(networks, config, params, batch, own, extra_rng, axis)
        desired_kl, most_spread = config.annealed(train.iteration)
        learner, desired_kl, actor_weight = self._warm(train, desired_kl)
        learner, update_metrics, update_fault = update(
            networks, config, learner, batch, update_rng, axis, losses, self.weight, desired_kl, actor_weight
        )
        if config.learn_std:
            spread = jnp.minimum(learner.params["log_std"], most_spread)
            learner = dataclasses.replace(learner, params={**learner.params, "log_std": spread})
            update_metrics["policy/log_std"] = jnp.mean(spread)
        env, actors_state = adapt(env, actors.state, collected, axis)
        after = TrainState(
            iteration=train.iteration + 1,
            learner=learner,
            normalizer=normalizer,
            rng=rng,
            actors=dataclasses.replace(actors, state=actors_state),
            curriculum=getattr(env, "curriculum", None),
            extras=extras,
            average=None
            if train.average is None
            else averaged(train.average, learner.params["actor"], train.iteration, config.average),
        )
        metrics = {**rollout_metrics(collected, axis), **extra_metrics, **value_metrics, **update_metrics}
        late = {**update_fault, **curriculum_fault(after.curriculum)}
        return after, metrics, dataclasses.replace(fault, update=late)

    def _warm(self, train: TrainState, desired_kl: jax.Array) -> tuple[Learner, jax.Array, jax.Array | float]:
        """The learner at an iteration's learning rate, the KL divergence aimed at, the weight of the actor's loss."""
        if self.warm_up is None:
            return train.learner, desired_kl, 1.0
        warm = train.iteration < self.warm_up.iterations + self.warm_up.settle
        constant = self.config.desired_kl == 0
        rate = jnp.asarray(self.config.learning_rate, jnp.float32) if constant else train.learner.learning_rate
        rate = jnp.where(warm, self.warm_up.rate(train.iteration), rate)
        learner = dataclasses.replace(train.learner, learning_rate=rate)
        return learner, jnp.where(warm, 0.0, desired_kl), jnp.where(warm, 0.0, 1.0)

    def _share(
        self, train: TrainState, rollout: Rollout, env: Env, rng: jax.Array, axis: str | None
    ) -> tuple[dict[str, Any], Rollout, list[MinibatchLoss], Metrics]:
        """What the extras make of a roll-out: their states, the roll-out with their rewards, losses and metrics."""
        states, losses, metrics = {}, [], {}
        for extra, key in zip(self.beside, keys_for(rng, len(self.beside)), strict=True):
            share = extra.share(train.learner.params, train.extras[extra.name], rollout, env, key, axis)
            if share.reward is not None:
                rollout = dataclasses.replace(rollout, reward=share.reward)
            states[extra.name] = share.state
            losses.append(share.loss)
            metrics |= share.metrics
        return states, rollout, losses, metrics

    def policy(self, state: TrainState, env: Env) -> Policy:
        """The mean action, its arrays on the host."""
        params = dict(state.learner.params)
        if state.average is not None:
            params["actor"] = state.average
        params, statistics = jax.device_get((params, state.normalizer.obs["state"]))
        return Policy(params, statistics, make_networks(env, self.config), self.config.obs_clip)

    def split(self, state: TrainState) -> TrainState:
        """The environments, and what the extras split of theirs."""
        whole: TrainState = jax.tree.map(lambda _: False, state)
        actors = jax.tree.map(lambda _: True, state.actors)
        extras = {extra.name: extra.split(state.extras[extra.name]) for extra in self.beside}
        return dataclasses.replace(whole, actors=actors, extras=extras)

    def check_devices(self, devices: int) -> None:
        """Environments, minibatches and samples of the extras can be split evenly."""
        sizes = {"num_envs": self.config.num_envs, "minibatch_size": self.config.minibatch_size}
        for extra in self.beside:
            sizes |= extra.sizes()
        for name, size in sizes.items():
            if size % devices:
                raise ValueError(f"PPOConfig.{name}: expected a multiple of the {devices} devices, found {size}")


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
