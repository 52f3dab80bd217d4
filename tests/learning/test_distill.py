"""Distillation before PPO and beside it, on the point mass with an expert that knows the way."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from toy import PointMass, Task, small_config

from mjxhuman.envs import State
from mjxhuman.learning.distill import Distillation
from mjxhuman.learning.ppo import PPO, WarmUp

pytestmark = pytest.mark.compiled

WARM, SETTLE, OVER = 12, 4, 500
END = 2 * WARM + SETTLE
DISTILLATION = Distillation(alone=100.0, warm_up=WARM, settle=SETTLE, first=10.0, last=0.0, over=OVER)
ALGORITHM = PPO(small_config(), extras=(DISTILLATION,), warm_up=WarmUp(WARM, SETTLE, 3e-3, 1e-3))


@struct.dataclass
class Taught(PointMass):
    """The point mass, and what somebody would do who moves it well: pulls it to its target and brakes."""

    @property
    def observation_sizes(self) -> dict[str, int]:
        return {"state": 6, "expert": 2}

    def observe(self, task: Task) -> dict[str, jax.Array]:
        state = super().observe(task)["state"]
        return {"state": state, "expert": jnp.clip(4.0 * state[..., 2:4] - 0.8 * state[..., 4:], -1.0, 1.0)}

    def adapt(self, state: State, rollout: dict[str, jax.Array]) -> tuple[PointMass, State]:
        return self, state  # rewards of all iterations are of the same task


ENV = Taught(jnp.float32(1.0), jnp.float32(1.0))


@pytest.fixture(scope="module")
def iteration():
    return jax.jit(ALGORITHM.iteration)


def begun(first):
    """A new run that takes itself to be at an iteration."""
    state = ALGORITHM.init(ENV)
    return dataclasses.replace(state, iteration=jnp.int32(first), extras={"distill": jnp.int32(first)})


@pytest.fixture(scope="module")
def runs(iteration):
    """Metrics of distillation alone and then with PPO, and of PPO alone: one program, which counts its iterations."""

    def run(first: int, count: int) -> list[dict[str, float]]:
        state, found = begun(first), []
        for _ in range(count):
            state, metrics, fault = jax.block_until_ready(iteration(state, ENV))
            assert not bool(fault.found)
            found.append({name: float(x) for name, x in metrics.items()})
        return found

    return run(0, END), run(1000, END)


def test_an_expert_teaches_faster_than_rewards_and_rewards_go_on_from_there(runs):
    taught, alone = runs
    reward = lambda run, first: np.mean([x["reward"] for x in run[first : first + 4]])  # noqa: E731
    assert reward(taught, WARM - 4) > reward(alone, WARM - 4) + 0.05
    assert reward(taught, END - 4) > reward(taught, WARM - 4) - 0.02
    assert reward(taught, END - 4) > reward(alone, END - 4)
    assert taught[WARM - 1]["distill/error"] < 0.3 * taught[0]["distill/error"]


def test_the_critic_learns_while_the_expert_teaches_and_both_gradients_are_logged(runs):
    taught, alone = runs
    assert taught[WARM + SETTLE - 1]["loss/critic"] < 0.5 * taught[0]["loss/critic"]
    rates = [x["policy/learning_rate"] for x in taught]
    assert rates[0] == pytest.approx(3e-3) and rates[WARM - 1] < 1.2e-3 and rates[-1] == pytest.approx(1e-3)
    weights = [x["distill/weight"] for x in taught]
    assert weights[: WARM + SETTLE + 1] == [100.0] * WARM + [0.0] * SETTLE + [10.0] and 9.7 < weights[-1] < 9.9
    assert alone[0]["distill/weight"] == 0.0  # long after
    assert all(x["gradient/ppo"] > 0 for x in taught) and alone[0]["gradient/distill"] == 0.0
    assert taught[0]["gradient/distill"] > taught[0]["gradient/ppo"]


def test_rewards_move_no_policy_before_its_turn(iteration):
    """While the critic settles, neither expert nor rewards teach the actor; after that they do."""
    for first, moves in ((WARM, False), (WARM + SETTLE, True)):
        before = begun(first)
        after = jax.block_until_ready(iteration(before, ENV))[0]
        moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), before.learner.params, after.learner.params)
        assert (max(jax.tree.leaves(moved["actor"])) > 1e-6) == moves
        assert max(jax.tree.leaves(moved["critic"])) > 1e-6


def test_settings_are_checked_and_part_of_the_run():
    for wrong in ({"rate": 0.0}, {"rate": 1.5}, {"first": -1.0}):
        with pytest.raises(ValueError, match=f"Distillation.{next(iter(wrong))}: expected"):
            Distillation(**wrong)
    facts = ALGORITHM.facts()
    assert facts["extras"]["distill"]["alone"] == 100.0 and facts["warm_up"]["settle"] == SETTLE
    assert "warm_up" not in PPO(small_config()).facts()
