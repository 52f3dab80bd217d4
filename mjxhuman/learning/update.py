"""PPO's second half: from a roll-out to a batch, the loss of a minibatch, epochs of minibatches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from mjxhuman.learning.advantages import advantages
from mjxhuman.learning.algorithm import Metrics, pmean
from mjxhuman.learning.config import PPOConfig
from mjxhuman.learning.faults import first_true
from mjxhuman.learning.networks import Networks, Params, entropy, kl_divergence, log_prob
from mjxhuman.learning.normalization import normalize, standardize, unstandardize, update_statistics
from mjxhuman.learning.rollout import Normalizer, Rollout

#: Most groups told apart in ``standardized``; beyond, several share one.
_GROUPS = 1 << 16
#: Samples of the whole batch that each group's mean and variance count besides its own.
_PRIOR = 32.0

LEARNING_RATE_STEP = 1.5  # factor of the adaptive learning rate (rsl_rl)


@struct.dataclass
class Batch:
    """Samples of one iteration, (B, ...): what the loss needs, already normalised.

    Attributes:
        obs, critic_obs: normalised; critic_obs is None where the critic sees what the actor sees.
        action, mean: what was done, and the mean of the policy that did it.
        log_prob: log density of the action under that policy.
        advantage: zero mean, unit variance (``standardized``). target: of the critic's output.
        raw: observation groups that extra losses ask for, as the environment gave them.
    """

    obs: jax.Array
    critic_obs: jax.Array | None
    action: jax.Array
    mean: jax.Array
    log_prob: jax.Array
    advantage: jax.Array
    target: jax.Array
    raw: dict[str, jax.Array] = struct.field(default_factory=dict)


#: (networks, parameters, minibatch, key) -> loss () for minimisation, and its parts to log.
MinibatchLoss = Callable[[Networks, Params, Batch, jax.Array], tuple[jax.Array, Metrics]]


@struct.dataclass
class Learner:
    """What minibatches change: parameters, the optimiser's state, and the learning rate () float32."""

    params: Params
    opt_state: Any
    learning_rate: jax.Array


def optimizer(config: PPOConfig) -> optax.GradientTransformation:
    """Clip the norm, then Adam's direction; the learning rate is applied in ``update``."""
    return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), optax.scale_by_adam(eps=1e-8))


def prepare(
    networks: Networks,
    config: PPOConfig,
    params: Params,
    normalizer: Normalizer,
    rollout: Rollout,
    axis: str | None,
    raw: Sequence[str] = (),
) -> tuple[Batch, Normalizer, Metrics]:
    """The batch of an iteration, the statistics for the next one, and metrics of value and advantage.

    ``raw`` names the observation groups that the batch keeps as they are.
    """
    groups = ("state", config.critic_obs)
    seen = {k: normalize(normalizer.obs[k], rollout.obs[k], config.obs_clip) for k in dict.fromkeys(groups)}
    value = unstandardize(normalizer.value, networks.value(params, seen[config.critic_obs]))
    advantage, returns = advantages(
        config.reward_scale * rollout.reward, value, rollout.next_value, rollout.done, rollout.truncation,
        gamma=config.gamma, gae_lambda=config.gae_lambda,
    )  # fmt: skip
    obs = {k: update_statistics(normalizer.obs[k], rollout.obs[k], axis) for k in seen}
    value_statistics = update_statistics(normalizer.value, returns, axis)
    after = Normalizer(obs, value_statistics if config.normalize_value else normalizer.value)
    group = rollout.metrics["_group"] if config.group_advantages else None
    _, log_std = networks.policy(params, seen["state"][0, :1])
    batch = Batch(
        obs=seen["state"],
        critic_obs=None if config.critic_obs == "state" else seen[config.critic_obs],
        action=rollout.action,
        mean=rollout.mean,
        log_prob=log_prob(rollout.action, rollout.mean, log_std),
        advantage=standardized(advantage, axis, group),
        target=standardize(after.value, returns),
        raw={name: rollout.obs[name] for name in raw},
    )
    unexplained = pmean(jnp.mean(jnp.square(advantage)), axis) / (jnp.square(value_spread(returns, axis)) + 1e-8)
    metrics = {"value/mean": pmean(jnp.mean(value), axis), "value/explained": 1.0 - unexplained}
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch), after, metrics


def standardized(advantage: jax.Array, axis: str | None, group: jax.Array | None = None) -> jax.Array:
    """Advantages with zero mean and unit variance over the batch, or in each group (numbers of the same shape).

    A group's variance is mixed with that of the batch as if ``_PRIOR`` more samples of it had been seen, so that a few
    samples are not blown up.
    """
    center = pmean(jnp.mean(advantage), axis)
    variance = pmean(jnp.mean(jnp.square(advantage - center)), axis)
    if group is None:
        return (advantage - center) / (jnp.sqrt(variance) + 1e-8)
    of = group.astype(jnp.int32)

    def total(x: jax.Array) -> jax.Array:
        summed = jnp.zeros(_GROUPS, x.dtype).at[of % _GROUPS].add(x)
        return summed if axis is None else jax.lax.psum(summed, axis)

    count = total(jnp.ones_like(advantage)) + _PRIOR
    mean = ((total(advantage) + _PRIOR * center) / count)[of % _GROUPS]
    spread = ((total(jnp.square(advantage - mean)) + _PRIOR * variance) / count)[of % _GROUPS]
    return (advantage - mean) / (jnp.sqrt(spread) + 1e-8)


def value_spread(returns: jax.Array, axis: str | None) -> jax.Array:
    """Standard deviation () of the returns over all devices."""
    mean = pmean(jnp.mean(returns), axis)
    return jnp.sqrt(pmean(jnp.mean(jnp.square(returns - mean)), axis))


def ppo_loss(
    params: Params,
    networks: Networks,
    config: PPOConfig,
    batch: Batch,
    old_log_std: jax.Array,
    actor_weight: jax.Array | float = 1.0,
) -> tuple[jax.Array, Metrics]:
    """Loss () of a minibatch and its parts, for minimisation; ``actor_weight`` is that of the actor's part.

    actor:  -mean min(r A, clip(r, 1 - c, 1 + c) A), r the ratio of new to old probability (Schulman et al. 2017, eq. 7)
    critic: mean (V - target)^2;  bounds: mean over samples of the sum over actions of max(|mean| - 1, 0)^2
    """
    mean, log_std = networks.policy(params, batch.obs)
    value = networks.value(params, batch.obs if batch.critic_obs is None else batch.critic_obs)
    ratio = jnp.exp(log_prob(batch.action, mean, log_std) - batch.log_prob)
    clipped = jnp.clip(ratio, 1 - config.clip, 1 + config.clip)
    actor = -jnp.mean(jnp.minimum(ratio * batch.advantage, clipped * batch.advantage))
    critic = jnp.mean(jnp.square(value - batch.target))
    bounds = jnp.mean(jnp.sum(jnp.square(jnp.maximum(jnp.abs(mean) - 1.0, 0.0)), axis=-1))
    spread = entropy(log_std)
    loss = (
        actor_weight * actor + config.critic_coef * critic + config.bounds_coef * bounds - config.entropy_coef * spread
    )
    metrics = {
        "loss/actor": actor,
        "loss/critic": critic,
        "loss/bounds": bounds,
        "policy/entropy": spread,
        "policy/kl": jnp.mean(kl_divergence((batch.mean, old_log_std), (mean, log_std))),
        "policy/clipped": jnp.mean((jnp.abs(ratio - 1) > config.clip).astype(jnp.float32)),
    }
    return loss, metrics


def update(
    networks: Networks,
    config: PPOConfig,
    learner: Learner,
    batch: Batch,
    rng: jax.Array,
    axis: str | None,
    extras: Sequence[MinibatchLoss] = (),
    weight: float = 1.0,
    desired_kl: jax.Array | float | None = None,
    actor_weight: jax.Array | float = 1.0,
) -> tuple[Learner, Metrics, dict[str, jax.Array]]:
    """``num_epochs`` passes over shuffled minibatches, each minimising PPO's loss times ``weight`` and the extra ones.

    ``desired_kl`` stands for the configuration's where that is annealed (0: the learning rate stays), ``actor_weight``
    is that of the actor's part of PPO's loss.

    Returns:
        The learner, means of the minibatches' metrics, and term -> index of the first minibatch in which it was not
        finite (-1: never).
    """
    samples = batch.advantage.shape[0]
    minibatches = config.batch_size // config.minibatch_size
    _, old_log_std = networks.policy(learner.params, batch.obs[:1])

    def objective(params: Params, part: Batch, key: jax.Array) -> tuple[jax.Array, Metrics]:
        loss, metrics = ppo_loss(params, networks, config, part, old_log_std, actor_weight)
        loss = weight * loss
        for extra, extra_key in zip(extras, keys_for(key, len(extras)), strict=True):
            added, more = extra(networks, params, part, extra_key)
            loss, metrics = loss + added, {**metrics, **more}
        return loss, metrics

    def minibatch(learner: Learner, now: tuple[Batch, jax.Array]) -> tuple[Learner, Metrics]:
        grads, metrics = pmean(jax.grad(objective, has_aux=True)(learner.params, *now), axis)
        return step(config, learner, grads, metrics, desired_kl)

    def epoch(learner: Learner, key: jax.Array) -> tuple[Learner, Metrics]:
        order_rng, extra_rng = jax.random.split(key)
        order = jax.random.permutation(order_rng, samples)
        parts = jax.tree.map(lambda x: x[order].reshape(minibatches, -1, *x.shape[1:]), batch)
        return jax.lax.scan(minibatch, learner, (parts, jax.random.split(extra_rng, minibatches)))

    learner, metrics = jax.lax.scan(epoch, learner, jax.random.split(rng, config.num_epochs))
    metrics = {name: values.reshape(-1) for name, values in metrics.items()}
    fault = {name: first_true(~jnp.isfinite(values)) for name, values in metrics.items()}
    means = {name: jnp.mean(values) for name, values in metrics.items()}
    return learner, {**means, "policy/learning_rate": learner.learning_rate}, fault


def gradient_norms(
    networks: Networks,
    config: PPOConfig,
    params: Params,
    batch: Batch,
    losses: Mapping[str, MinibatchLoss],
    rng: jax.Array,
    axis: str | None,
) -> Metrics:
    """Norms of the gradients of PPO's loss and of others, by name, with respect to the actor, before an update.

    Of one minibatch's samples, evenly from the whole batch.
    """
    part = jax.tree.map(lambda x: x[:: config.batch_size // config.minibatch_size], batch)
    _, log_std = networks.policy(params, part.obs[:1])

    def ppo(networks: Networks, params: Params, part: Batch, rng: jax.Array) -> tuple[jax.Array, Metrics]:
        return ppo_loss(params, networks, config, part, log_std)

    found = {}
    for name, loss in {"ppo": ppo, **losses}.items():

        def of(actor: Params, loss: MinibatchLoss = loss) -> jax.Array:
            return loss(networks, {**params, "actor": actor}, part, rng)[0]

        found[f"gradient/{name}"] = optax.tree.norm(pmean(jax.grad(of)(params["actor"]), axis))
    return found


def keys_for(rng: jax.Array, n: int) -> list[jax.Array]:
    """A key for each of ``n``; a single one gets the key itself."""
    return [rng][:n] if n < 2 else list(jax.random.split(rng, n))


def step(
    config: PPOConfig, learner: Learner, grads: Params, metrics: Metrics, desired_kl: jax.Array | float | None = None
) -> tuple[Learner, Metrics]:
    """One step of Adam, and of the adaptive learning rate where it is on."""
    direction, opt_state = optimizer(config).update(grads, learner.opt_state, learner.params)
    rate = learner.learning_rate
    if config.desired_kl > 0:
        aim = config.desired_kl if desired_kl is None else desired_kl
        too_far, too_near = metrics["policy/kl"] > 2 * aim, metrics["policy/kl"] < aim / 2
        factor = jnp.where(too_far, 1 / LEARNING_RATE_STEP, jnp.where(too_near, LEARNING_RATE_STEP, 1.0))
        rate = jnp.where(aim > 0, jnp.clip(rate * factor, *config.learning_rate_range), rate)
    params = jax.tree.map(lambda p, d: p - rate * d, learner.params, direction)
    return Learner(params, opt_state, rate), {**metrics, "loss/gradient_norm": optax.tree.norm(grads)}
