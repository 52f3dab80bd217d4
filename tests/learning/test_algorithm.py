"""An algorithm that is not PPO: what a run does with the least that one has to say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from toy import point_mass

from mjxhuman.learning.algorithm import Algorithm
from mjxhuman.learning.faults import NotFinite, metrics_fault
from mjxhuman.learning.networks import Networks
from mjxhuman.learning.normalization import new_statistics
from mjxhuman.learning.policy import Policy
from mjxhuman.learning.trainer import TrainOptions, train
from mjxhuman.runs.checkpoints import CheckpointMismatch

LINEAR = Networks((6, 6), 2, (), (), "tanh", 0.0, False)


@dataclasses.dataclass(frozen=True)
class Countdown(Algorithm):
    """Its state is a number that shrinks by one; its metric is the root of it."""

    first: float = 2.0
    name = "countdown"
    batch_size = 10
    facts = dataclasses.asdict

    def init(self, env, seed):
        return {"left": jnp.float32(self.first)}

    def iteration(self, state, env, axis=None):
        left = state["left"] - 1.0
        metrics = {"root": jnp.sqrt(left), "left": left}
        return {"left": left}, metrics, metrics_fault(metrics)

    def policy(self, state, env):
        return Policy(LINEAR.init(jax.random.key(0)), new_statistics((6,)), LINEAR, 5.0)


def options(folder: Path, iterations: int) -> TrainOptions:
    return TrainOptions(str(folder), iterations, checkpoint_every=1, tensorboard=False, quiet=True)


def test_a_run_continues_stops_at_what_is_not_finite_and_refuses_others(tmp_path: Path) -> None:
    assert float(train(point_mass(), Countdown(), options(tmp_path, 1))["left"]) == 1.0
    with pytest.raises(NotFinite, match=r"iteration 3: 'root' is not .*: nothing\)\. States before it: not kept"):
        train(point_mass(), Countdown(), options(tmp_path, 5))
    assert not list(tmp_path.glob("not_finite*"))
    with pytest.raises(CheckpointMismatch, match=r"countdown\.first: saved 2\.0, here 3\.0"):
        train(point_mass(), Countdown(3.0), options(tmp_path, 5))


def test_what_does_not_say_how_it_is_split_trains_on_one_device() -> None:
    Countdown().check_devices(1)
    assert jax.tree.leaves(Countdown().split({"a": jnp.zeros(3)})) == [False]
    with pytest.raises(ValueError, match="countdown: expected one device to train on, found 2"):
        Countdown().check_devices(2)
