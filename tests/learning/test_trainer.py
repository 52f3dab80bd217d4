"""Training runs: continued after a kill, stopped by NaN, refused with other settings."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from toy import PointMass, point_mass, small_ppo

from mjxhuman.envs import State
from mjxhuman.learning.faults import Fault, NotFinite, first_wrong
from mjxhuman.learning.policy import load_policy
from mjxhuman.learning.trainer import TrainOptions, train
from mjxhuman.runs import read_json_lines
from mjxhuman.runs.checkpoints import CheckpointMismatch, Checkpoints

pytestmark = pytest.mark.compiled

ITERATIONS = 24
TOY = {"task": "point mass"}


def run_toy(folder: Path, iterations: int = ITERATIONS, every: int = 3) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("run_toy.py")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(script), str(folder), str(iterations), str(every)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    _, stderr = process.communicate(timeout=400)
    assert process.returncode == 0, stderr.decode()


def checkpoint_arrays(folder: Path) -> dict[str, np.ndarray]:
    state = small_ppo().init(point_mass())
    shared = json.loads((folder / "run.json").read_text())["config"]
    step, state = Checkpoints(folder / "checkpoints").restore(state, shared)
    assert step == ITERATIONS
    leaves = jax.tree_util.tree_leaves_with_path(state)
    keys = jax.dtypes.prng_key
    return {
        jax.tree_util.keystr(path): np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, keys) else x)
        for path, x in leaves
    }


def learned(folder: Path) -> list[dict]:
    records = [dict(record) for record in read_json_lines(folder / "metrics.jsonl")]
    return [{k: v for k, v in record.items() if not k.startswith("speed/")} for record in records]


@pytest.mark.slow
def test_a_killed_run_continues_bit_for_bit(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(run_toy(whole))
    for lines in (5, 13):
        process = run_toy(killed)
        while not (killed / "metrics.jsonl").exists() or len(learned(killed)) < lines:
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(run_toy(killed))
    expected, found = checkpoint_arrays(whole), checkpoint_arrays(killed)
    assert expected.keys() == found.keys()
    assert len(expected) > 40
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert learned(killed) == learned(whole)
    sessions = json.loads((killed / "run.json").read_text())["sessions"]
    assert sessions[0]["iteration"] == 0
    assert all(s["iteration"] > 0 for s in sessions[1:])
    assert len(sessions) == 3


def test_sigterm_ends_a_run_with_a_checkpoint(tmp_path: Path) -> None:
    process = run_toy(tmp_path, iterations=100_000, every=0)
    while not (tmp_path / "metrics.jsonl").exists() or len(learned(tmp_path)) < 3:
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    finish(process)
    assert Checkpoints(tmp_path / "checkpoints").steps == [learned(tmp_path)[-1]["step"]]


def options(folder: Path, iterations: int, **changes: object) -> TrainOptions:
    return TrainOptions(str(folder), iterations, **{"tensorboard": False, "quiet": True, **changes})


def test_other_settings_are_named_and_refused(tmp_path: Path) -> None:
    train(point_mass(), small_ppo(), options(tmp_path, 1), facts=TOY)
    before = (tmp_path / "run.json").read_text()
    with pytest.raises(CheckpointMismatch, match=r"ppo\.gamma: saved 0\.99, here 0\.9\n") as error:
        train(point_mass(), small_ppo(gamma=0.9), options(tmp_path, 2), seed=1, facts={"task": "other"})
    assert "env.task: saved 'point mass', here 'other'" in str(error.value)
    assert "seed: saved 0, here 1" in str(error.value)
    with pytest.raises(CheckpointMismatch, match=r"sizes\.observations\.privileged_state"):
        train(point_mass(privileged=True), small_ppo(), options(tmp_path, 2), facts=TOY)
    assert (tmp_path / "run.json").read_text() == before
    assert int(train(point_mass(), small_ppo(), options(tmp_path, 2), facts=TOY).iteration) == 2


@struct.dataclass
class Poisoned(PointMass):
    """Its reward is not a number for targets in one part of the circle."""

    def step(self, state: State, action: jax.Array) -> State:
        after = super().step(state, action)
        bad = (state.task.phase > 1.0) & (state.task.phase < 1.2) & (state.task.step >= 1)
        metrics = {**after.metrics, "distance": jnp.where(bad, jnp.nan, after.metrics["distance"])}
        return dataclasses.replace(after, metrics=metrics, reward=jnp.where(bad, jnp.nan, after.reward))


def test_not_a_number_stops_the_run_and_is_named(tmp_path: Path) -> None:
    env = Poisoned(jnp.float32(1.0), jnp.float32(1.0))
    with pytest.raises(NotFinite, match=r"iteration 1: 'distance' is not finite \(first at step 1;") as error:
        train(env, small_ppo(), options(tmp_path, 5), facts=TOY)
    with np.load(tmp_path / "not_finite_1.npz") as dump:
        phase = dump["state.task.phase"]
        assert dump["environment"].shape == phase.shape == dump["action"].shape[:1]
        assert 0 < phase.size < 64
        assert np.all((phase > 1.0) & (phase < 1.2))
    assert str(tmp_path / "not_finite_1.npz") in str(error.value)
    assert Checkpoints(tmp_path / "checkpoints").steps == []


@struct.dataclass
class BadStart(PointMass):
    """Its new episodes begin with what is not a number."""

    def reset(self, rng: jax.Array) -> State:
        state = super().reset(rng)
        return dataclasses.replace(state, obs={"state": jnp.full_like(state.obs["state"], jnp.inf)})


def test_what_causes_it_is_named_not_what_follows(tmp_path: Path) -> None:
    env = BadStart(jnp.float32(1.0), jnp.float32(1.0))
    with pytest.raises(NotFinite, match=r"'obs\.state' is not finite \(first at step 0; also: action"):
        train(env, small_ppo(), options(tmp_path, 5), facts=TOY)


def test_a_loss_that_is_not_a_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFinite, match=r"'(loss|policy)/\w+' is not finite \(first at minibatch"):
        train(point_mass(), small_ppo(learning_rate=1e30, max_grad_norm=1e30), options(tmp_path, 5), facts=TOY)


def test_evaluation_scores_choose_what_is_kept(tmp_path: Path) -> None:
    seen = []

    def evaluate(policy: object, iteration: int) -> dict[str, float]:
        seen.append(iteration)
        return {"score": {2: 5.0, 4: 1.0, 6: 2.0, 8: 3.0}[iteration]}

    train(
        point_mass(), small_ppo(), options(tmp_path, 8, evaluate_every=2, keep=2, checkpoint_every=1),
        facts=TOY, evaluate=evaluate,
    )  # fmt: skip
    assert seen == [2, 4, 6, 8]
    assert Checkpoints(tmp_path / "checkpoints").steps == [2, 7, 8]
    assert load_policy(tmp_path / "best.npz")[1]["iteration"] == 2
    assert load_policy(tmp_path / "policy.npz")[1]["iteration"] == 8


def fault_of(step: dict[str, int], update: dict[str, int]) -> Fault:
    arrays = ({name: jnp.int32(at) for name, at in terms.items()} for terms in (step, update))
    return Fault(*arrays, jnp.bool_(True), None, None, None)


def test_the_first_wrong_term_is_the_earliest_then_the_first_computed() -> None:
    steps = {"action": -1, "sim.qpos": 5, "reward/position": 4, "reward": 4, "final_obs.state": 4}
    term, where, others = first_wrong(fault_of(steps, {"loss/actor": 0}))
    assert (term, where) == ("reward/position", "step 4")
    assert sorted(others) == ["final_obs.state", "loss/actor", "reward", "sim.qpos"]
    term, where, _ = first_wrong(fault_of({"action": -1}, {"loss/critic": 3, "loss/actor": 2}))
    assert (term, where) == ("loss/actor", "minibatch 2")
    assert first_wrong(fault_of({"action": -1}, {"loss/actor": -1})) is None
