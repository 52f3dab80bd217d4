"""Environments under the protocols of other libraries, judged by those libraries' own checkers and wrappers."""

from __future__ import annotations

import importlib
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import LIMIT, point_mass

from mjxhuman.envs.adapters import brax_env, brax_trainers, gymnasium_env, gymnasium_vector_env
from mjxhuman.envs.imitation import ImitationConfig, make_imitation
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.physics.simulate import make_simulator

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def imitation(library, humanoid):
    config = ImitationConfig(
        action="residual", action_scale=0.5, groups={"state": ("compact",)}, rewards={"imitation": {}}
    )
    return make_imitation(library, make_simulator(actuated_humanoid(humanoid), "c"), config)


@pytest.fixture
def gymnasium():
    return pytest.importorskip("gymnasium", reason="the extra 'gym' is not installed")


@pytest.fixture
def training():
    pytest.importorskip("brax", reason="the extra 'brax' is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("brax.envs.wrappers.training")


def check(gymnasium, env) -> None:
    """gymnasium's own checker; it warns of unbounded observations, which ours are."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*value is -?infinity")
        warnings.filterwarnings("ignore", message=".*not have a .spec|.*spec")
        importlib.import_module("gymnasium.utils.env_checker").check_env(env)


def test_gymnasium_checks_the_tracking_task(gymnasium, imitation):
    env = gymnasium_env(imitation)
    check(gymnasium, env)
    assert env.observation_space.shape == (256,) and env.action_space.shape == (69,)
    obs, info = env.reset(seed=0)
    again, _ = env.reset(seed=0)
    other, _ = env.reset()
    np.testing.assert_array_equal(obs, again)
    assert np.abs(obs - other).max() > 1e-3 and info == {}
    _, reward, terminated, truncated, info = env.step(np.zeros(69, np.float32))
    assert not terminated and not truncated and 0.5 < reward <= 1.0
    assert info["error"] < 0.05 and "_segment" not in info


def test_gymnasium_episodes_end(gymnasium):
    env = gymnasium_env(point_mass())
    check(gymnasium, env)
    env.reset(seed=1)
    for step in range(1, 41):
        obs, _, terminated, truncated, _ = env.step(np.zeros(2))
        assert truncated == (step == 40) and not terminated
    assert obs.shape == (6,)
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset first"):
        env.step(np.zeros(2))
    env.reset()
    while not terminated:
        obs, _, terminated, truncated, info = env.step(np.ones(2))
        assert not truncated
    assert info["distance"] > LIMIT
    np.testing.assert_allclose(np.linalg.norm(obs[:2]), info["distance"], rtol=1e-5)  # seen after the step, not a reset


def test_gymnasium_vector_env(gymnasium):
    env = gymnasium_vector_env(point_mass(), 5)
    assert isinstance(env, gymnasium.vector.VectorEnv) and env.num_envs == 5
    obs, _ = env.reset(seed=3)
    np.testing.assert_array_equal(obs, env.reset(seed=3)[0])
    assert obs in env.observation_space and len(np.unique(obs[:, 0])) == 5
    for _ in range(39):
        obs, reward, terminated, truncated, infos = env.step(np.zeros((5, 2), np.float32))
        assert not np.any(terminated | truncated) and "final_obs" not in infos
    obs, reward, terminated, truncated, infos = env.step(np.zeros((5, 2), np.float32))
    assert truncated.all() and not terminated.any() and reward.shape == (5,)
    assert infos["_final_obs"].all() and infos["distance"].shape == (5,) and infos["_distance"].all()
    final = np.stack(infos["final_obs"])
    np.testing.assert_allclose(np.linalg.norm(final[:, :2], axis=-1), infos["distance"], rtol=1e-5)
    assert np.all(np.abs(obs - final).max(-1) > 1e-3)
    wrapped = gymnasium.wrappers.vector.RecordEpisodeStatistics(env)
    wrapped.reset(seed=4)
    for _ in range(40):
        *_, infos = wrapped.step(np.zeros((5, 2), np.float32))
    assert infos["episode"]["l"].tolist() == [40] * 5


def test_brax_wrappers(training):
    """EpisodeWrapper, VmapWrapper and AutoResetWrapper around the toy: what brax's trainers make of an environment."""
    env = training.wrap(brax_env(point_mass(privileged=True)), episode_length=15)
    assert env.observation_size == {"state": 6, "privileged_state": 8} and env.action_size == 2
    first = jax.jit(env.reset)(jax.random.split(jax.random.PRNGKey(0), 4))
    assert {name: x.shape for name, x in first.obs.items()} == {"state": (4, 6), "privileged_state": (4, 8)}

    def advance(state, _):
        state = env.step(state, jnp.zeros((4, 2)))
        return state, (state.done, state.info["truncation"], state.reward, state.obs["state"])

    state, (done, truncation, reward, obs) = jax.jit(lambda s: jax.lax.scan(advance, s, None, 31))(first)
    np.testing.assert_array_equal(np.flatnonzero(done[:, 0]) + 1, [15, 30])
    np.testing.assert_array_equal(truncation, done)
    assert np.all(reward > 0) and np.all(reward <= 1.0)
    np.testing.assert_allclose(obs[14], first.obs["state"], atol=1e-6)  # brax's own reset: the first state again
    assert set(state.metrics) == {"distance", "episode/success"}


def test_brax_steps_as_the_environment_does(training):
    env = point_mass()
    adapted = brax_env(env)
    assert adapted.observation_size == 6
    key = jax.random.key(7)
    ours, theirs = env.reset(key[None]), adapted.reset(jax.random.key_data(key))
    step, brax_step = jax.jit(env.step), jax.jit(adapted.step)
    for count in range(1, 42):
        ours, theirs = step(ours, jnp.full((1, 2), 0.1)), brax_step(theirs, jnp.full(2, 0.1))
        np.testing.assert_allclose(theirs.obs, ours.obs["state"][0], atol=1e-6)
        np.testing.assert_allclose(theirs.reward, ours.reward[0], atol=1e-6)
        assert float(theirs.done) == float(theirs.info["time_out"]) == (count == 40)


def brax_learns(algorithm: str, **options) -> list[float]:
    """Rewards per episode while brax's trainer learns the toy, at most 40."""
    train = importlib.import_module(f"brax.training.agents.{algorithm}.train").train
    seen: list[float] = []
    train(
        environment=brax_env(point_mass()), episode_length=40, num_evals=3, num_eval_envs=32, seed=1,
        normalize_observations=True, progress_fn=lambda _, m: seen.append(float(m["eval/episode_reward"])), **options,
    )  # fmt: skip
    return seen


def test_brax_ars_learns(training):
    rewards = brax_learns("ars", num_timesteps=200_000, number_of_directions=16, top_directions=8)
    assert rewards[-1] > 1.5 * rewards[0] and rewards[-1] > 20.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        ("ppo", {"num_timesteps": 60_000, "num_envs": 64, "batch_size": 64, "num_minibatches": 8, "unroll_length": 10,
                 "num_updates_per_batch": 4, "learning_rate": 1e-3, "entropy_cost": 1e-3, "discounting": 0.95}),
        ("apg", {"policy_updates": 60, "num_envs": 32, "horizon_length": 20}),
    ],
)  # fmt: skip
def test_brax_trainers_learn(training, algorithm, options):
    """Those that JAX has taken a function from."""
    before = hasattr(jax, "device_put_replicated")
    with brax_trainers():
        rewards = brax_learns(algorithm, **options)
    assert rewards[-1] > 2.0 * rewards[0]
    assert hasattr(jax, "device_put_replicated") == before


def test_a_removed_function_of_jax_is_lent():
    with brax_trainers():
        found = jax.device_put_replicated({"a": jnp.arange(3.0)}, jax.local_devices())["a"]
    np.testing.assert_array_equal(found, np.tile(np.arange(3.0), (len(jax.local_devices()), 1)))
    assert len(found.sharding.device_set) == len(jax.local_devices())


@pytest.mark.slow
def test_brax_runs_the_tracking_task(training, imitation):
    env = training.wrap(brax_env(imitation), episode_length=20)
    state = jax.jit(env.reset)(jax.random.split(jax.random.PRNGKey(0), 3))
    step = jax.jit(env.step)
    for _ in range(5):
        state = step(state, jnp.zeros((3, 69)))
        assert np.all(np.isfinite(state.obs)) and np.all(state.reward > 0.3)
    assert state.info["steps"].tolist() == [5.0] * 3


@pytest.mark.parametrize(
    ("adapt", "package", "extra"), [(gymnasium_env, "gymnasium", "gym"), (brax_env, "brax", "brax")]
)
def test_a_missing_package_is_named(monkeypatch, adapt, package, extra):
    def missing(name, *args, **kwargs):
        raise ImportError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=rf"pip install 'mjxhuman\[{extra}\]' \(missing: {package}"):
        adapt(point_mass())
