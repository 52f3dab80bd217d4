"""What learns beside PPO: distillation from a teacher, rewards of its own, and several at once."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import called_back, point_mass, small_config, small_ppo, style_config

from mjxhuman.learning import amp
from mjxhuman.learning.extras import Extra, Loss, Share
from mjxhuman.learning.ppo import PPO

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def teacher():
    """A policy that does something: the last layer of an untrained one, enlarged."""
    algorithm = small_ppo(critic_obs="privileged_state")
    policy = algorithm.policy(algorithm.init(point_mass(privileged=True), seed=7), point_mass(privileged=True))
    out = policy.params["actor"]["out"]
    actor = {**policy.params["actor"], "out": {**out, "kernel": 40.0 * out["kernel"]}}
    return jax.tree.map(jnp.asarray, policy.replace(params={"actor": actor}))


def imitate(networks, params, batch, teacher):
    mean, _ = networks.policy(params, batch.obs)
    error = jnp.mean(jnp.square(mean - teacher({"state": batch.raw["privileged_state"][:, :6]})))
    return 10.0 * error, {"teacher/error": error}


def test_a_student_learns_from_what_its_teacher_sees(teacher):
    """DAgger: the student acts, the teacher says what it would have done; PPO's own loss is off."""
    env = point_mass(privileged=True)
    extra = Loss("teacher", imitate, state=teacher, groups=("privileged_state",))
    algorithm = PPO(small_config(bounds_coef=0.0, learning_rate=3e-3), extras=(extra,), weight=0.0)
    state = algorithm.init(env)
    critic = jax.device_get(state.learner.params["critic"])
    iteration = jax.jit(algorithm.iteration, donate_argnums=0)
    errors = []
    for _ in range(30):
        state, metrics, fault = jax.block_until_ready(iteration(state, env))
        errors.append(float(metrics["teacher/error"]))
    assert not bool(fault.found) and int(fault.update["teacher/error"]) == -1
    assert errors[0] > 0.01 and np.mean(errors[-5:]) < 0.5 * errors[0]
    jax.tree.map(np.testing.assert_array_equal, critic, jax.device_get(state.learner.params["critic"]))
    assert set(algorithm.facts()["extras"]) == {"teacher"} and algorithm.facts()["weight"] == 0.0
    assert not teacher.statistics.mean.is_deleted()  # the run has copies of the teacher's arrays to give away


@dataclasses.dataclass(frozen=True)
class Bonus(Extra):
    """A constant reward more, and a count of the iterations."""

    amount: float
    name = "bonus"

    def init(self, env, rng):
        return None, jnp.zeros(())

    def share(self, params, state, rollout, env, rng, axis):
        reward = rollout.reward + self.amount
        return Share(state + 1, lambda networks, params, batch, rng: (jnp.zeros(()), {}), reward, {"bonus": state})


@pytest.mark.slow
def test_several_learn_side_by_side():
    env, algorithm = called_back(), PPO(small_config(amp=style_config()), extras=(Bonus(100.0),))
    state = algorithm.init(env)
    assert set(state.extras) == {amp.NAME, "bonus"} and set(state.learner.params) == {"actor", "critic", amp.NAME}
    split = algorithm.split(state)
    assert split.extras[amp.NAME].replay.data and not split.extras[amp.NAME].replay.count and not split.extras["bonus"]
    iteration = jax.jit(algorithm.iteration, donate_argnums=0)
    for done in range(2):
        state, metrics, _ = jax.block_until_ready(iteration(state, env))
        assert float(metrics["bonus"]) == done and float(metrics["reward"]) < 1.0
    assert float(state.extras["bonus"]) == 2.0
    assert float(state.normalizer.value.mean) > 100.0  # the critic's targets hold both rewards


def test_an_unseen_group_is_refused():
    extra = Loss("teacher", imitate, groups=("privileged_state",))
    with pytest.raises(ValueError, match="teacher: expected the observation group 'privileged_state', the environment"):
        PPO(small_config(), extras=(extra,)).init(point_mass())
