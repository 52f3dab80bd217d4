"""SuperTrack on the point mass: what its step model learns, the policy that improves through it, its replay buffer."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from toy import DT, PointMass, Task, point_mass

from mjxhuman.envs import State, auto_reset
from mjxhuman.learning.policy import save_policy
from mjxhuman.learning.step_model import SimulatedStep, StepModel, load_step_model, save_step_model
from mjxhuman.learning.supertrack import Replay, SuperTrack, SuperTrackConfig
from mjxhuman.learning.trainer import TrainOptions, train

pytestmark = pytest.mark.compiled

CONFIG = SuperTrackConfig(
    num_envs=32, unroll_length=16, chunks=128, recent=64, model_hidden=(64, 64), model_updates=16, model_batch=64,
    updates=8, batch=64, horizon=12, learning_rate=3e-3, model_learning_rate=3e-3, warm_up=5, actor_hidden=(64, 64),
)  # fmt: skip


class Phase(NamedTuple):
    """Position and velocity (*b, 2)."""

    position: jax.Array
    velocity: jax.Array


class Moved(NamedTuple):
    """A step's physics."""

    before: Phase
    ctrl: jax.Array
    after: Phase


class PointDynamics:
    """What a network sees of the point mass."""

    def inputs(self, phase: Phase, ctrl: jax.Array) -> jax.Array:
        return jnp.concatenate([phase.velocity, ctrl], -1)

    def outputs(self, before: Phase, after: Phase) -> jax.Array:
        return jnp.concatenate([after.position - before.position, after.velocity - before.velocity], -1)

    def apply(self, before: Phase, outputs: jax.Array) -> Phase:
        return Phase(before.position + outputs[..., :2], before.velocity + outputs[..., 2:])

    def difference(self, a: Phase, b: Phase) -> jax.Array:
        return self.outputs(a, b)


@struct.dataclass
class Imaginable(PointMass):
    """The point mass, with what SuperTrack asks of an environment; the reward has a slope everywhere."""

    advance: Callable[[Phase, jax.Array], Phase] | None = struct.field(pytree_node=False, default=None)

    @property
    def dynamics(self) -> PointDynamics:
        return PointDynamics()

    def move(self, task: Task, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        if self.advance is None:
            return super().move(task, action)
        return tuple(self.advance(Phase(task.position, task.velocity), jnp.clip(action, -1, 1)))

    def ended(self, state: State, action: jax.Array) -> tuple[State, Moved]:
        """A step before an automatic reset."""
        old = state.task
        task = Task(*self.move(old, action), old.phase + 0.1, old.step + 1)
        distance = jnp.linalg.norm(self.target(task.phase) - task.position + 1e-6, axis=-1)
        timeout = task.step >= 40
        metrics = {"distance": distance, "episode/success": jnp.ones_like(distance), "_place": task.phase}
        state = dataclasses.replace(
            state, task=task, obs=self.observe(task), final_obs=self.observe(task), reward=-jnp.log1p(distance**2),
            done=timeout, truncation=timeout, metrics=metrics,
        )  # fmt: skip
        before = Phase(old.position, old.velocity)
        return state, Moved(before, jnp.clip(action, -1, 1), Phase(task.position, task.velocity))

    def transition(self, state: State, action: jax.Array) -> tuple[State, Moved]:
        state, moved = self.ended(state, action)
        return auto_reset(state, self.reset(state.rng)), moved

    def step(self, state: State, action: jax.Array) -> State:
        return self.ended(state, action)[0] if self.advance else self.transition(state, action)[0]

    def resumed(self, rng: jax.Array, phase: Phase, task: Task) -> State:
        task = dataclasses.replace(task, position=phase.position, velocity=phase.velocity)
        return dataclasses.replace(self.reset(rng), obs=self.observe(task), task=task)

    def imagined(self, advance: Callable[[Phase, jax.Array], Phase]) -> Imaginable:
        return dataclasses.replace(self, advance=advance)

    def adapt(self, state: State, rollout: dict[str, jax.Array]) -> tuple[PointMass, State]:
        return self, state


ENV = Imaginable(jnp.float32(1.0), jnp.float32(1.0))
ALGORITHM = SuperTrack(CONFIG)


@pytest.fixture(scope="module")
def iteration():
    return jax.jit(ALGORITHM.iteration)


@pytest.fixture(scope="module")
def runs(iteration) -> tuple[list[Any], list[dict[str, float]]]:
    """States and metrics of 80 iterations."""
    state, metrics = ALGORITHM.init(ENV, 0), []
    states = [state]
    for _ in range(80):
        state, found, fault = iteration(state, ENV)
        assert all(int(x) < 0 for x in fault.update.values())
        states.append(state)
        metrics.append({name: float(x) for name, x in found.items()})
    return states, metrics


def test_the_model_learns_and_the_policy_through_it(runs):
    _, metrics = runs
    assert metrics[-1]["model/error"] < 0.1 * metrics[0]["model/error"]
    first, last = (np.mean([x["distance"] for x in metrics[part]]) for part in (slice(0, 5), slice(-5, None)))
    assert last < 0.5 * first
    assert metrics[-1]["reward"] > metrics[0]["reward"]
    assert metrics[-1]["imagined/reward"] > -1.0


def test_only_the_model_learns_at_first_and_the_policy_is_averaged(runs):
    states, metrics = runs

    def same(a: Any, b: Any) -> bool:
        return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))

    assert same(states[CONFIG.warm_up].actor, states[0].actor)
    assert not same(states[CONFIG.warm_up + 1].actor, states[0].actor)
    assert not same(states[1].model.params, states[0].model.params)
    assert metrics[CONFIG.warm_up - 1]["policy/gradient_norm"] == 0 < metrics[CONFIG.warm_up]["policy/gradient_norm"]
    shipped = ALGORITHM.policy(states[-1], ENV)
    assert same(shipped.params["actor"], states[-1].average) and not same(states[-1].average, states[-1].actor)
    assert shipped(ENV.observe(states[-1].actors.state.task)).shape == (CONFIG.num_envs, 2)


def test_learning_rates_are_annealed():
    config = dataclasses.replace(CONFIG, anneal=10, final_rate=0.01)
    rates = [float(config.rate(2.0, jnp.int32(i))) for i in (0, 5, 10, 20)]
    np.testing.assert_allclose(rates, [2.0, 0.2, 0.02, 0.02], rtol=1e-5)
    assert float(CONFIG.rate(2.0, jnp.int32(1000))) == 2.0


def test_what_follows_the_end_of_an_imagined_episode_counts_for_nothing(runs):
    """Episodes that end with the next step: twelve imagined ones are worth what one is."""
    state = runs[0][-1]
    task = state.replay.task
    late = dataclasses.replace(
        state,
        replay=dataclasses.replace(state.replay, task=dataclasses.replace(task, step=jnp.full_like(task.step, 39))),
    )
    found = []
    for horizon in (1, 12):
        algorithm = SuperTrack(dataclasses.replace(CONFIG, updates=1, horizon=horizon, imagined_noise=0.0))
        improve = jax.jit(lambda s, a=algorithm: a._improve(ENV, a._networks(ENV), s, s.model, s.replay, s.rng, 1e-3))
        found.append(improve(late)[2]["imagined/reward"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_iterations_repeat_bit_for_bit(iteration, runs):
    states, _ = runs
    again, _, _ = iteration(states[7], ENV)
    for name in ("actor", "model", "replay", "average", "statistics"):
        for x, y in zip(*(jax.tree.leaves(getattr(s, name)) for s in (again, states[8])), strict=True):
            np.testing.assert_array_equal(x, y)


def test_a_run_begins_with_a_policy_and_is_continued(tmp_path: Path, runs):
    learned = ALGORITHM.policy(runs[0][-1], ENV)
    algorithm = SuperTrack(CONFIG, learned)
    started = algorithm.init(ENV, 1)
    np.testing.assert_array_equal(started.actor["out"]["kernel"], learned.params["actor"]["out"]["kernel"])
    np.testing.assert_array_equal(started.statistics.mean, learned.statistics.mean)
    options = TrainOptions(str(tmp_path), 2, tensorboard=False, quiet=True)
    train(ENV, algorithm, options)
    longer = train(ENV, algorithm, dataclasses.replace(options, iterations=3))
    straight = train(ENV, algorithm, dataclasses.replace(options, iterations=3, folder=str(tmp_path / "straight")))
    for x, y in zip(jax.tree.leaves(longer.actor), jax.tree.leaves(straight.actor), strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_run_leaves_its_step_model_for_others_to_begin_with(tmp_path: Path):
    options = TrainOptions(str(tmp_path), 2, tensorboard=False, quiet=True)
    learned = train(ENV, ALGORITHM, options, facts={"humanoid": "point"}).model
    model, facts = load_step_model(tmp_path / "step_model.npz")
    assert facts["humanoid"] == "point" and facts["iteration"] == 2
    begun = SuperTrack(CONFIG, model=model).init(ENV, 7)
    for x, y in zip(jax.tree.leaves(begun.model), jax.tree.leaves(learned), strict=True):
        np.testing.assert_array_equal(x, y)
    smaller = SuperTrack(dataclasses.replace(CONFIG, model_hidden=(64,)), model=model)
    with pytest.raises(ValueError, match=r"params/hidden_1/bias: expected shape None of this training, fou"):
        smaller.init(ENV)


def test_files_that_are_no_step_models_are_named(tmp_path: Path, runs):
    path = tmp_path / "m.npz"
    save_policy(path, ALGORITHM.policy(runs[0][-1], ENV), {})
    with pytest.raises(ValueError, match=r"m\.npz: format: expected 'mjxhuman-step-model', found 'mjxhuman-policy'"):
        load_step_model(path)
    save_step_model(path, runs[0][-1].model, {})
    with np.load(path) as file:
        np.savez(path, **{name: file[name] for name in file.files if name != "error"})
    with pytest.raises(ValueError, match=r"m\.npz: expected the arrays inputs/mean, .*, error missing"):
        load_step_model(path)


def test_the_buffer_keeps_the_newest_and_windows_stay_inside():
    """Chunks of four steps that carry their number."""

    def chunk(number: int) -> tuple[SimulatedStep, jax.Array]:
        x = jnp.full((2, 4, 1), float(number)) + 0.1 * jnp.arange(4.0)[:, None]
        return SimulatedStep(x, x, x, jnp.ones((2, 4), bool)), x

    zero = jnp.zeros((), jnp.int32)
    room = jax.tree.map(lambda x: jnp.zeros((6, *x.shape[1:]), x.dtype), chunk(0))
    replay = Replay(room[0], room[1], zero, zero)
    for number in range(1, 3):
        replay = replay.added(*chunk(number))
    assert int(replay.filled) == 4
    steps, task = replay.windows(jax.random.key(0), 500, 2)
    assert set(np.floor(np.unique(steps.before)).tolist()) == {1.0, 2.0}  # never the room that is empty
    for number in range(3, 6):
        replay = replay.added(*chunk(number))
    steps, task = replay.windows(jax.random.key(1), 500, 3)
    np.testing.assert_array_equal(steps.before, task)
    np.testing.assert_allclose(np.diff(steps.before[..., 0], axis=0), 0.1, atol=1e-5)
    assert set(np.floor(np.unique(steps.before)).tolist()) == {3.0, 4.0, 5.0}
    newest, _ = replay.windows(jax.random.key(2), 500, 3, recent=2)
    assert set(np.floor(np.unique(newest.before)).tolist()) == {5.0}


def test_errors_count_up_to_an_interruption():
    """Everything but the first step is exact; the second goes on elsewhere."""
    model = StepModel(PointDynamics(), (8,))
    at = jnp.zeros((3, 1, 2))
    jump = at.at[1:].set(5.0)
    steps = SimulatedStep(Phase(jump, at), at, Phase(jump, at), jnp.array([[False], [False], [True]]))
    state = model.init(jax.random.key(0), steps)
    state = dataclasses.replace(state, error=jnp.ones(4))
    alone = model.loss(state, steps)
    first = jax.tree.map(lambda x: x[:1], steps)
    np.testing.assert_allclose(alone, model.loss(state, first), rtol=1e-5)
    together = model.loss(state, dataclasses.replace(steps, joined=jnp.ones((3, 1), bool)))
    assert float(together) > 1.0


def test_units_are_those_of_the_steps():
    rng = np.random.default_rng(0)
    velocity = jnp.asarray(rng.normal(0, 2.0, (2000, 2)), jnp.float32)
    ctrl = jnp.asarray(rng.normal(0, 1.0, (2000, 2)), jnp.float32)
    before = Phase(jnp.zeros((2000, 2)), velocity)
    after = Phase(DT * velocity, velocity + 0.5 * ctrl)
    state = StepModel(PointDynamics(), (8,)).init(
        jax.random.key(0), SimulatedStep(before, ctrl, after, jnp.ones(2000, bool))
    )
    np.testing.assert_allclose(state.outputs, [0.2, 0.2, 0.5, 0.5], rtol=0.1)
    np.testing.assert_allclose(jnp.sqrt(state.inputs.var), [2.0, 2.0, 1.0, 1.0], rtol=0.1)


def test_lower_precision_is_of_the_network_alone(runs):
    state, _ = runs
    model, steps = state[-1].model, jax.tree.map(lambda x: x[0], state[-1].replay.steps)
    full, lower = (StepModel(ENV.dynamics, CONFIG.model_hidden, name) for name in ("float32", "bfloat16"))
    found, expected = (
        ENV.dynamics.outputs(steps.before, x(model, steps.before, steps.ctrl)) for x in (lower, full)
    )  # fmt: skip
    assert found.dtype == jnp.float32
    assert 0 < jnp.std(found - expected) < 0.03 * jnp.std(expected)  # bfloat16 has eight bits
    grads = jax.grad(lambda p: lower.loss(dataclasses.replace(model, params=p), steps))(model.params)
    assert {x.dtype for x in jax.tree.leaves(grads)} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"chunks": 300}, "chunks: expected a multiple of num_envs = 128, found 300"),
        ({"chunks": 0}, "chunks: expected a multiple of num_envs = 128, found 0"),
        ({"model_window": 17}, "model_window: expected 1 to unroll_length = 16, found 17"),
        ({"num_envs": 0}, "num_envs: expected 1 or more, found 0"),
        ({"updates": 0}, "updates: expected 1 or more, found 0"),
        ({"noise": (0.0, 0.2)}, "noise: expected two deviations above 0, found (0.0, 0.2)"),
        ({"noise": (0.2, 0.1)}, "noise: expected two deviations above 0, found (0.2, 0.1)"),
        ({"final_rate": 0.0}, "final_rate: expected a share above 0, found 0.0"),
        ({"model_precision": "float8"}, "model_precision: expected float32 or bfloat16, found 'float8'"),
        ({"recent": 9000}, "recent: expected 1 to chunks = 8192, found 9000"),
    ],
)
def test_settings_that_do_not_fit(values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        SuperTrackConfig(**values)


def test_an_environment_that_cannot_be_imagined_is_refused():
    with pytest.raises(ValueError, match="expected an environment with dynamics, transition, resumed, imagined"):
        ALGORITHM.init(point_mass(), 0)
