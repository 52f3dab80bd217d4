"""A whole task of one's own: a cart shall stop at a mark. What it knows is its own ``Moment``; what is seen, paid for
and ends an episode are entries as in the package's task, and PPO trains it as it trains any environment."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from toy import small_ppo

from mjxhuman.envs import auto_reset, first_state, split
from mjxhuman.envs.terms import Observation, Reward, Termination, entries, failed, observe, rewarded
from mjxhuman.learning.trainer import TrainOptions, train

TERMS = {
    "range": lambda m: jnp.stack([m.offset], -1),
    "speed": lambda m: jnp.stack([m.speed], -1),
    "near": lambda m, width=0.5: jnp.exp(-jnp.square(m.offset / width)),
    "gone": lambda m, distance=2.0: jnp.abs(m.offset) > distance,
}
SEEN = entries(Observation, {"range": {"noise": 0.02, "delay": 1}, "speed": {}}, TERMS, "observations")
PAID = entries(Reward, {"near": {"weight": 1.0, "width": 0.3}}, TERMS, "rewards")
ENDS = entries(Termination, {"gone": {"distance": 1.5}}, TERMS, "terminations")
GROUPS = {"state": ("range", "speed")}


@struct.dataclass
class Moment:
    offset: jax.Array  # (*b) m
    speed: jax.Array  # (*b) m/s
    steps: jax.Array  # (*b)


@struct.dataclass
class Cart:
    action_size = 1
    observation_sizes = {"state": 2}  # noqa: RUF012

    def reset(self, rng):
        rng, draw, noise = split(rng, 3)
        start = jax.vmap(lambda key: jax.random.uniform(key, (2,), minval=-1.0))(draw)
        moment = Moment(start[:, 0], start[:, 1], jnp.zeros(start.shape[0]))
        obs, past = observe(GROUPS, SEEN, moment, noise)
        return first_state(rng, obs, task=(moment, past), metrics=("near",))

    def step(self, state, action):
        (m, past), (rng, noise) = state.task, split(state.rng)
        m = Moment(m.offset + 0.1 * m.speed, m.speed + 0.1 * jnp.clip(action[:, 0], -1, 1), m.steps + 1)
        obs, past = observe(GROUPS, SEEN, m, noise, past)
        paid, lost, late = rewarded(PAID, m), failed(ENDS, m, jnp.zeros_like(state.done)), m.steps >= 50
        state = dataclasses.replace(state, rng=rng, obs=obs, task=(m, past), done=lost | late, truncation=late & ~lost)
        state = dataclasses.replace(state, reward=sum(paid.values()), metrics=paid)
        return auto_reset(state, self.reset(rng))


def test_it_trains(tmp_path):
    state = train(Cart(), small_ppo(), TrainOptions(str(tmp_path), 1, tensorboard=False, quiet=True))
    assert int(state.iteration) == 1 and np.all(np.asarray(state.normalizer.obs["state"].var) > 0.05)
