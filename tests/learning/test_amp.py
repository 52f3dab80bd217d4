"""The adversarial reward: losses by hand, buffers, and a toy whose style is learned from demonstrations alone."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from toy import point_mass, small_ppo

from mjxhuman.envs import State, auto_reset, first_state, split
from mjxhuman.learning import amp
from mjxhuman.learning.normalization import new_statistics

pytestmark = pytest.mark.compiled

STYLE = jnp.asarray([0.5, -0.3])  # the velocity that the demonstrations have


@struct.dataclass
class Drifter:
    """Its action is a velocity; windows are the last two velocities; no reward of its own."""

    style: jax.Array

    @property
    def action_size(self) -> int:
        return 2

    @property
    def observation_sizes(self) -> dict[str, int]:
        return {"state": 2, "amp": 4}

    def reset(self, rng: jax.Array) -> State:
        rng, draw = split(rng)
        velocity = jax.vmap(lambda key: jax.random.normal(key, (2,)))(draw)
        obs = {"state": velocity, "amp": jnp.concatenate([velocity, velocity], -1)}
        return first_state(rng, obs, task=jnp.zeros(rng.shape, jnp.int32), metrics=("error",))

    def step(self, state: State, action: jax.Array) -> State:
        velocity = jnp.clip(action, -1, 1)
        error = jnp.linalg.norm(velocity - self.style, axis=-1)
        stepped = dataclasses.replace(
            state,
            task=state.task + 1,
            obs={"state": velocity, "amp": jnp.concatenate([state.obs["state"], velocity], -1)},
            reward=jnp.zeros_like(error),
            done=state.task >= 20,
            truncation=state.task >= 20,
            metrics={"error": error},
        )
        return auto_reset(stepped, self.reset(state.rng))

    def demonstrations(self, rng: jax.Array, n: int) -> jax.Array:
        return jnp.tile(self.style, 2) + 0.1 * jax.random.normal(rng, (n, 4))


def test_a_style_is_learned_from_demonstrations_alone() -> None:
    env = Drifter(STYLE)
    style = amp.AMPConfig(
        hidden=(32, 32), batch_size=128, replay_size=2000, replay_add=200, demo_size=1000, demo_add=100,
        task_weight=0.0, style_weight=1.0, gradient_penalty=0.2,
    )  # fmt: skip
    algorithm = small_ppo(amp=style, gamma=0.9, log_std=-1.5)
    state = algorithm.init(env)
    iteration = jax.jit(algorithm.iteration, donate_argnums=0)
    history = []
    for _ in range(100):
        state, metrics, fault = jax.block_until_ready(iteration(state, env))
        history.append({name: float(value) for name, value in metrics.items()})
    assert not bool(fault.found)
    assert history[0]["error"] > 0.55
    assert np.mean([h["error"] for h in history[-10:]]) < 0.35  # noise of the actions alone: 0.28
    assert history[0]["reward"] == 0.0  # the environment's own is logged as it is
    assert all(h["reward/style"] > 0 for h in history)
    assert int(state.extras[amp.NAME].replay.count) == 2000
    assert float(state.extras[amp.NAME].demos.count) == 1000


def test_the_loss_is_the_written_formula() -> None:
    config = amp.AMPConfig(hidden=(3,), gradient_penalty=0.7, logit_decay=0.5, weight_decay=0.25)
    w1 = np.asarray([[1.0, -1.0, 0.5], [0.2, 0.3, -0.4]], np.float32)
    w2 = np.asarray([[0.6], [-0.5], [0.9]], np.float32)
    params = {
        "hidden_0": {"kernel": jnp.asarray(w1), "bias": jnp.asarray([0.1, 0.2, 0.3])},
        "out": {"kernel": jnp.asarray(w2), "bias": jnp.asarray([0.05])},
    }
    statistics = dataclasses.replace(new_statistics((2,)), var=jnp.full(2, 1.0 - 1e-5))  # normalises to itself
    agent = np.asarray([[0.3, -0.7], [-1.2, 0.4]], np.float32)
    demo = np.asarray([[0.9, 0.1], [-0.3, -0.5], [1.5, 2.0]], np.float32)

    def logit_and_slope(x: np.ndarray) -> tuple[float, np.ndarray]:
        h = x @ w1 + [0.1, 0.2, 0.3]
        return float((np.maximum(h, 0) @ w2)[0] + 0.05), w1 @ ((h > 0) * w2[:, 0])

    cross = np.mean([math.log(1 + math.exp(logit_and_slope(x)[0])) for x in agent]) / 2
    cross += np.mean([math.log(1 + math.exp(-logit_and_slope(x)[0])) for x in demo]) / 2
    steep = np.mean([np.sum(logit_and_slope(x)[1] ** 2) for x in demo])
    expected = cross + 0.7 * steep + 0.5 * np.sum(w2**2) + 0.25 * (np.sum(w1**2) + np.sum(w2**2))
    loss, metrics = amp.discriminator_loss(config, params, statistics, agent, demo, 5.0)
    assert float(metrics["amp/loss"]) == pytest.approx(cross, rel=1e-5)
    assert float(metrics["amp/gradient"]) == pytest.approx(steep, rel=1e-5)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    state = amp.AMPState(statistics, amp.new_buffer(1, 2), amp.new_buffer(1, 2))
    rewards = amp.style_reward(config, params, state, jnp.asarray(agent), 5.0)
    for x, reward in zip(agent, rewards, strict=True):
        d = logit_and_slope(x)[0]
        assert float(reward) == pytest.approx(-2 * math.log(1 - 1 / (1 + math.exp(-d))), rel=1e-5)


def test_the_style_reward_is_bounded() -> None:
    config = amp.AMPConfig(hidden=(2,))
    params = {
        "hidden_0": {"kernel": jnp.ones((1, 2)), "bias": jnp.zeros(2)},
        "out": {"kernel": 100 * jnp.ones((2, 1)), "bias": jnp.zeros(1)},
    }
    state = amp.AMPState(new_statistics((1,)), amp.new_buffer(1, 1), amp.new_buffer(1, 1))
    reward = amp.style_reward(config, params, state, jnp.asarray([[5.0]]), 5.0)
    assert float(reward[0]) == pytest.approx(-2 * math.log(1e-4))


def test_a_buffer_keeps_the_newest_and_samples_what_is_filled() -> None:
    buffer = amp.new_buffer(5, 1)
    buffer = buffer.add(jnp.asarray([[1.0], [2.0], [3.0]]))
    assert int(buffer.count) == 3
    assert set(np.asarray(buffer.sample(jax.random.key(0), 200)).ravel()) == {1.0, 2.0, 3.0}
    buffer = buffer.add(jnp.asarray([[4.0], [5.0], [6.0], [7.0]]))
    assert sorted(np.asarray(buffer.data).ravel()) == [3.0, 4.0, 5.0, 6.0, 7.0]
    assert set(np.asarray(buffer.sample(jax.random.key(0), 300)).ravel()) == {3.0, 4.0, 5.0, 6.0, 7.0}


def test_an_environment_without_style_windows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected an environment with the observation group 'amp'.*found the groups"):
        small_ppo(amp=amp.AMPConfig()).init(point_mass())
    with pytest.raises(ValueError, match=r"AMPConfig\.demo_add: expected 1 to demo_size = 10, found 20"):
        amp.AMPConfig(demo_size=10, demo_add=20)
