"""A new way to learn: evolution strategies (Salimans et al. 2017). An algorithm says where it starts, what an iteration
does and which policy it has by then; the trainer gives it logs, evaluations, checkpoints and continuation."""

import dataclasses

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from toy import point_mass

from mjxhuman.learning.algorithm import Algorithm
from mjxhuman.learning.faults import metrics_fault
from mjxhuman.learning.networks import Networks
from mjxhuman.learning.normalization import new_statistics
from mjxhuman.learning.policy import Policy, load_policy
from mjxhuman.learning.trainer import TrainOptions, train
from mjxhuman.runs import read_json_lines

LINEAR = Networks((6, 6), 2, (), (), "tanh", log_std=0.0, learn_std=False)


@dataclasses.dataclass(frozen=True)
class EvolutionStrategies(Algorithm):
    rate: float = 0.3
    name = "evolution"
    batch_size = 128 * 40  # a population of 128, each lives for 40 control steps
    facts = dataclasses.asdict

    def init(self, env, seed):
        return {"actor": LINEAR.init(jax.random.key(seed))["actor"], "rng": jax.random.key(seed + 1)}

    def policy(self, state, env):
        return Policy({"actor": state["actor"]}, new_statistics((6,)), LINEAR, clip=5.0)

    def iteration(self, state, env, axis=None):
        rng, noise_rng, reset_rng = jax.random.split(state["rng"], 3)
        center, unravel = ravel_pytree(state["actor"])
        noise = jax.random.normal(noise_rng, (128, center.size))
        act = jax.vmap(lambda weights, obs: self.policy({"actor": unravel(weights)}, env)(obs))

        def step(now, _):
            now = env.step(now, act(center + 0.3 * noise, now.obs))
            return now, now.reward

        reward = jax.lax.scan(step, env.reset(jax.random.split(reset_rng, 128)), length=40)[1].mean(0)
        better = (reward - reward.mean()) / reward.std()
        after = {"actor": unravel(center + self.rate * better @ noise / 128), "rng": rng}
        return after, {"reward": reward.mean()}, metrics_fault({"reward": reward.mean()})


def test_evolution_learns_and_continues_where_it_stopped(tmp_path):
    for folder, iterations in (("stopped", 10), ("stopped", 30), ("whole", 30)):
        options = TrainOptions(str(tmp_path / folder), iterations, tensorboard=False, quiet=True)
        train(point_mass(), EvolutionStrategies(), options)
    (stopped, _), (whole, facts) = (load_policy(tmp_path / folder / "policy.npz") for folder in ("stopped", "whole"))
    jax.tree.map(np.testing.assert_array_equal, stopped.params, whole.params)
    assert facts["evolution"] == {"rate": 0.3}
    rewards = [line["reward"] for line in read_json_lines(tmp_path / "whole" / "metrics.jsonl")]
    assert rewards[-1] > 1.5 * rewards[0]
