"""The losses against hand-worked numbers, gradients, and PPO on a toy task."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import point_mass, small_config, small_ppo

from mjxhuman.learning import ppo, update
from mjxhuman.learning.networks import log_prob
from mjxhuman.learning.policy import Policy
from mjxhuman.learning.rollout import collect

pytestmark = pytest.mark.compiled


def batch_of(networks: object, params: object, size: int = 12, critic: int | None = None) -> update.Batch:
    rng = np.random.default_rng(2)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    obs = draw(size, 6)
    mean, log_std = networks.policy(params, obs)
    action = mean + jnp.exp(log_std) * draw(size, 2)
    old = mean + 0.05 * draw(size, 2)
    return update.Batch(
        obs, None if critic is None else draw(size, critic), action, old, log_prob(action, old, log_std),
        draw(size), draw(size),
    )  # fmt: skip


def test_the_loss_is_the_written_formula() -> None:
    config = small_config(entropy_coef=0.3, bounds_coef=2.0, critic_coef=4.0)
    networks = ppo.make_networks(point_mass(), config)
    params = networks.init(jax.random.key(0))
    params["actor"]["out"]["bias"] = jnp.asarray([1.3, -0.2])  # one mean beyond its bound
    batch = batch_of(networks, params)
    mean, log_std = (np.asarray(x, np.float64) for x in networks.policy(params, batch.obs))
    sigma = np.exp(log_std)
    expected = dict.fromkeys(("actor", "critic", "bounds", "kl", "clipped"), 0.0)
    value = np.asarray(networks.value(params, batch.obs))
    for i in range(12):
        new = sum(
            -0.5 * ((batch.action[i, d] - mean[i, d]) / sigma[d]) ** 2 - log_std[d] - 0.5 * math.log(2 * math.pi)
            for d in range(2)
        )
        ratio = math.exp(new - batch.log_prob[i])
        kept = min(max(ratio, 0.8), 1.2)
        expected["actor"] -= min(ratio * batch.advantage[i], kept * batch.advantage[i]) / 12
        expected["critic"] += (value[i] - batch.target[i]) ** 2 / 12
        expected["bounds"] += sum(max(abs(mean[i, d]) - 1, 0) ** 2 for d in range(2)) / 12
        expected["kl"] += sum(0.5 * ((batch.mean[i, d] - mean[i, d]) / sigma[d]) ** 2 for d in range(2)) / 12
        expected["clipped"] += (abs(ratio - 1) > 0.2) / 12
    loss, metrics = update.ppo_loss(params, networks, config, batch, jnp.asarray(log_std, jnp.float32))
    for name in ("actor", "critic", "bounds"):
        assert float(metrics[f"loss/{name}"]) == pytest.approx(float(expected[name]), rel=1e-4), name
    assert float(metrics["policy/kl"]) == pytest.approx(float(expected["kl"]), rel=1e-3)
    assert float(metrics["policy/clipped"]) == pytest.approx(expected["clipped"])
    assert 0 < expected["clipped"] < 1
    assert expected["bounds"] > 0.05
    spread = 2 * (-1.0 + 0.5 * math.log(2 * math.pi * math.e))
    total = expected["actor"] + 4 * expected["critic"] + 2 * expected["bounds"] - 0.3 * spread
    assert float(loss) == pytest.approx(float(total), rel=1e-4)


def test_a_hand_worked_clip() -> None:
    # One sample, one action component of interest: ratio 1.5 with advantage 2 counts as 1.2 * 2; with advantage -2 the
    # unclipped -3 is smaller and counts. The gradient of the clipped case is zero.
    config = small_config(critic_coef=0.0, bounds_coef=0.0)
    networks = ppo.make_networks(point_mass(), config)
    params = networks.init(jax.random.key(0))
    batch = jax.tree.map(lambda x: x[:1], batch_of(networks, params))
    mean, log_std = networks.policy(params, batch.obs)
    batch = dataclasses.replace(batch, log_prob=log_prob(batch.action, mean, log_std) - math.log(1.5))
    for advantage, expected in ((2.0, -2.4), (-2.0, 3.0)):
        batch = dataclasses.replace(batch, advantage=jnp.asarray([advantage]))
        (loss, _), gradient = jax.value_and_grad(update.ppo_loss, has_aux=True)(
            params, networks, config, batch, log_std
        )
        assert float(loss) == pytest.approx(expected, rel=1e-5)
        assert (float(optax_norm(gradient)) == 0.0) == (advantage > 0)


def optax_norm(tree: object) -> jax.Array:
    return jnp.sqrt(sum(jnp.sum(jnp.square(x)) for x in jax.tree.leaves(tree)))


@pytest.mark.parametrize("critic_obs", ["state", "privileged_state"])
def test_gradients_reach_every_parameter(critic_obs: str) -> None:
    config = small_config(critic_obs=critic_obs, learn_std=True, entropy_coef=0.01)
    networks = ppo.make_networks(point_mass(privileged=True), config)
    params = networks.init(jax.random.key(0))
    batch = batch_of(networks, params, 64, None if critic_obs == "state" else 8)
    gradient, _ = jax.grad(update.ppo_loss, has_aux=True)(params, networks, config, batch, params["log_std"])
    leaves = jax.tree_util.tree_leaves_with_path(gradient)
    assert len(leaves) == 13
    for path, leaf in leaves:
        assert bool(jnp.all(jnp.any(leaf != 0, axis=-1))), jax.tree_util.keystr(path)


def test_adaptive_learning_rate_follows_the_divergence() -> None:
    config = small_config(desired_kl=0.01, learning_rate_range=(1e-4, 2e-3))
    params = {"w": jnp.ones(3)}
    learner = update.Learner(params, update.optimizer(config).init(params), jnp.float32(1e-3))
    rates = {
        kl: float(update.step(config, learner, {"w": jnp.ones(3)}, {"policy/kl": jnp.float32(kl)})[0].learning_rate)
        for kl in (0.1, 0.01, 0.001)
    }
    assert rates == pytest.approx({0.1: 1e-3 / 1.5, 0.01: 1e-3, 0.001: 1.5e-3})
    fast = dataclasses.replace(learner, learning_rate=jnp.float32(1.9e-3))
    after, _ = update.step(config, fast, {"w": jnp.ones(3)}, {"policy/kl": jnp.float32(0.0)})
    assert float(after.learning_rate) == pytest.approx(2e-3)
    np.testing.assert_allclose(after.params["w"], 1 - 2e-3, rtol=1e-4)  # Adam's first step is the rate itself


def test_ppo_follows_the_target() -> None:
    env = point_mass(privileged=True)
    config = small_config(num_envs=256, minibatch_size=1024, critic_obs="privileged_state")
    algorithm = ppo.PPO(config)
    state = algorithm.init(env)
    iteration = jax.jit(algorithm.iteration, donate_argnums=0)
    first: dict[str, float] = {}
    for _ in range(80):
        state, metrics, fault = jax.block_until_ready(iteration(state, env))
        first = first or {k: float(v) for k, v in metrics.items()}
    assert not bool(fault.found)
    assert first["distance"] > 0.8
    assert evaluated_distance(algorithm.policy(state, env), env) < 0.15
    assert float(state.curriculum) > 1.1  # the environment adapted while training
    assert float(env.curriculum) == 1.0


def evaluated_distance(policy: Policy, env: object) -> float:
    """Mean distance over the second half of new episodes, acting without noise."""

    @jax.jit
    def episode(key: jax.Array) -> jax.Array:
        def step(now: object, _: None) -> tuple[object, jax.Array]:
            now = env.step(now, policy(now.obs))
            return now, now.metrics["distance"]

        return jax.lax.scan(step, env.reset(jax.random.split(key, 128)), None, length=39)[1]

    return float(jnp.mean(episode(jax.random.key(5))[20:]))


def test_the_batch_takes_time_outs_and_statistics_from_the_rollout() -> None:
    config = small_config()
    env = point_mass()
    networks = ppo.make_networks(env, config)
    state = ppo.PPO(config).init(env)
    actors, rollout, _ = jax.jit(
        lambda state, env: collect(
            networks, ("state", "state"), state.learner.params, state.normalizer, 5.0, env, state.actors,
            jax.random.key(3), 45,
        )
    )(state, env)  # fmt: skip
    ended = np.asarray(rollout.done)
    assert ended[39].sum() > 40  # most live until the time-out at step 40
    np.testing.assert_array_equal(rollout.metrics["episode/length"][39][ended[39]], 40)
    assert set(np.unique(np.asarray(actors.length))) <= set(range(41))
    whole = np.flatnonzero(~ended[:39].any(0) & ended[39])[0]
    returned = rollout.metrics["episode/return"][39, whole]
    np.testing.assert_allclose(returned, rollout.reward[:40, whole].sum(), rtol=1e-5)
    # The value after each step is that of the next observation, except where an episode ended.
    batch, after, _ = update.prepare(networks, config, state.learner.params, state.normalizer, rollout, None)
    value = networks.value(state.learner.params, batch.obs.reshape(45, 64, 6))
    alive = ~ended[:-1]
    np.testing.assert_allclose(np.asarray(rollout.next_value)[:-1][alive], np.asarray(value)[1:][alive], atol=1e-4)
    assert not np.allclose(np.asarray(rollout.next_value)[:-1][~alive], np.asarray(value)[1:][~alive], atol=1e-3)
    assert float(after.obs["state"].count) == 64 + 64 * 45
    assert float(jnp.mean(batch.advantage)) == pytest.approx(0.0, abs=1e-5)
    assert float(jnp.std(batch.advantage)) == pytest.approx(1.0, abs=1e-4)
    assert float(jnp.std(batch.target)) == pytest.approx(1.0, abs=1e-3)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"minibatch_size: expected a divisor of .* = 1024, found 300"):
        small_config(minibatch_size=300)
    with pytest.raises(ValueError, match=r"activation: expected one of silu, .*, found 'gelu'"):
        small_config(activation="gelu")
    with pytest.raises(ValueError, match="expected the group 'privileged_state', the environment has state"):
        small_ppo(critic_obs="privileged_state").init(point_mass())


def test_exploration_and_steps_are_annealed_and_parameters_averaged() -> None:
    env = point_mass()
    config = small_config(learn_std=True, log_std=-1.0, anneal=10, desired_kl=0.03, average=0.9)
    kl, spread = zip(*(config.annealed(jnp.asarray(i)) for i in (0, 5, 10, 20)))
    np.testing.assert_allclose(kl, [0.03, math.sqrt(0.03 * 0.008), 0.008, 0.008], rtol=1e-5)
    np.testing.assert_allclose(spread, [-1.0, -1.75, -2.5, -2.5])
    algorithm = ppo.PPO(config)
    state = dataclasses.replace(algorithm.init(env), iteration=jnp.asarray(100, jnp.int32))
    before = jax.tree.map(np.asarray, state.average)
    after, metrics, _ = jax.jit(algorithm.iteration)(state, env)
    assert np.max(after.learner.params["log_std"]) <= -2.5 + 1e-6
    assert float(metrics["policy/log_std"]) <= -2.5 + 1e-6
    shipped = algorithm.policy(after, env).params["actor"]
    latest = after.learner.params["actor"]
    expected = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, before, latest)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), shipped, expected)
    assert np.abs(latest["out"]["kernel"] - shipped["out"]["kernel"]).max() > 1e-4
