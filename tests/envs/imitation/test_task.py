"""The tracking task: where episodes start, what they see and are paid for, and how they end."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from humanoids.test_address import add_box

from mjxhuman.envs.env import Env, State
from mjxhuman.envs.imitation.config import ImitationConfig, task_config
from mjxhuman.envs.imitation.events import Start, perturb, push
from mjxhuman.envs.imitation.reference import feed_forward, nearest_turn, stance
from mjxhuman.envs.imitation.task import STYLE_FRAMES, Imitation, make_imitation
from mjxhuman.envs.imitation.terms import OBSERVATIONS, REWARDS
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.math import rotation
from mjxhuman.physics.engines.base import Engine, PhysicsState, scan
from mjxhuman.physics.simulate import Simulator, make_simulator
from mjxhuman.rewards.tracking import body_distance, imitation_reward

pytestmark = pytest.mark.compiled

SIZE = 8
KEYS = jax.random.split(jax.random.key(0), SIZE)
RESIDUAL = ImitationConfig(
    action="residual", action_scale=0.5,
    groups={"state": ("compact", "previous_action"), "privileged_state": ("proprioception",)},
    rewards={"imitation": {}, "power": {"weight": 1e-5}, "action_rate": {"weight": 0.1}},
    starts={"heading": {"largest": 2 * np.pi}}, style=True,
)  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class FaultyEngine:
    """The engine below, which gives up on bodies that move up faster than 50 m/s, as engines do on huge states."""

    below: Engine

    def advance(self, variant: jax.Array, state: PhysicsState, ctrl: jax.Array) -> PhysicsState:
        stepped = self.below.advance(variant, state, ctrl)
        return PhysicsState(*(jnp.where(state.qvel[:, 2:3] > 50.0, jnp.nan, x) for x in stepped))

    def rollout(self, variant: jax.Array, state: PhysicsState, ctrl: jax.Array) -> PhysicsState:
        return scan(self, variant, state, ctrl)


@pytest.fixture(scope="module")
def simulator(humanoid) -> Simulator:
    plain = make_simulator(actuated_humanoid(humanoid), "c")
    return dataclasses.replace(plain, backend=FaultyEngine(plain.backend))


@pytest.fixture(scope="module")
def env(library, simulator) -> Imitation:
    return make_imitation(library, simulator, RESIDUAL)


@dataclasses.dataclass(frozen=True)
class Programs:
    """The environment's methods, compiled once for all tests; environments that differ in arrays share them."""

    reset: Callable[..., State]
    start: Callable[..., State]
    step: Callable[..., State]


@pytest.fixture(scope="module")
def run() -> Programs:
    return Programs(
        jax.jit(lambda env, rng: env.reset(rng)),
        jax.jit(lambda env, *where: env.start(*where)),
        jax.jit(lambda env, state, action: env.step(state, action)),
    )


def near_the_end(env: Imitation, run: Programs, left: int) -> State:
    """Episodes on both clips in turn, so many steps before the last frame."""
    clip = jnp.arange(SIZE, dtype=jnp.int32) % 2
    return run.start(env, KEYS, clip, env.library.length[clip] - 1 - left, jnp.zeros(SIZE))


def all_finite(tree: Any) -> bool:
    return all(np.all(np.isfinite(x)) for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating))


def test_sizes(env, library, simulator):
    assert isinstance(env, Env)
    assert env.action_size == 69
    assert env.observation_sizes == {"state": 256 + 69, "privileged_state": 358, "amp": STYLE_FRAMES * 196}
    assert make_imitation(library, simulator, ImitationConfig()).observation_sizes == {"state": 358 + 576}
    every = ImitationConfig(groups={"state": tuple(OBSERVATIONS)}, rewards={name: {} for name in REWARDS})
    assert make_imitation(library, simulator, every).observation_sizes["state"] > 934


def test_an_episode_starts_in_the_state_of_its_reference(env, run):
    state = run.reset(env, KEYS)
    task = state.task
    assert len(np.unique(task.frame)) > SIZE // 2 and set(np.asarray(task.clip)) == {0, 1}
    qpos, qvel = env.reference(task.clip, task.frame, task.heading)
    body, reference = env.body_state(state.sim.qpos, state.sim.qvel), env.body_state(qpos, qvel)
    assert np.max(np.mean(body_distance(body.pos, reference.pos), -1)) < 1e-3
    np.testing.assert_allclose(imitation_reward(body, reference)[0], 1.0, atol=1e-4)
    assert not np.any(state.done) and not np.any(state.reward) and not np.any(task.steps)
    # and the clip's own numbers, turned by the episode's heading
    row = np.asarray(env.library.index(task.clip, task.frame))
    np.testing.assert_allclose(state.sim.qpos[:, 7:], env.library.qpos[row, 7:], atol=1e-6)
    np.testing.assert_allclose(state.sim.qpos[:, 2], env.library.qpos[row, 2], atol=1e-6)
    turned = rotation.rotate(rotation.from_axis_angle(jnp.array([0.0, 0, 1]), task.heading), env.library.qvel[row, :3])
    np.testing.assert_allclose(state.sim.qvel[:, :3], turned, atol=1e-5)
    assert np.std(task.heading) > 0.5


def test_a_step_moves_the_reference_on_and_follows_it(env, run):
    """The feed-forward servo without a policy stays within millimetres for one step."""
    state = run.reset(env, KEYS)
    after = run.step(env, state, jnp.zeros((SIZE, 69)))
    going = ~np.asarray(after.done)
    np.testing.assert_array_equal(after.task.frame[going], state.task.frame[going] + 1)
    np.testing.assert_array_equal(after.task.steps[going], 1)
    assert np.max(after.metrics["error"]) < 0.02
    assert np.all(after.metrics["reward/imitation"] > 0.6) and np.all(after.metrics["reward/imitation"] <= 1.0)
    assert np.all(after.metrics["reward/power"] == 0.0)  # the first steps after a reset are free
    terms = sum(after.metrics[f"reward/{name}"] for name in ("imitation", "power", "action_rate"))
    np.testing.assert_allclose(after.reward, terms, rtol=1e-6)
    assert set(after.metrics) == set(state.metrics)
    assert not np.allclose(after.sim.qpos, state.sim.qpos, atol=1e-4)


def test_time_is_up_at_the_end_of_the_clip(env, run):
    state = near_the_end(env, run, 2)
    zero = jnp.zeros((SIZE, 69))
    before = run.step(env, state, zero)
    assert not np.any(before.done)
    after = run.step(env, before, zero)
    assert np.all(after.done) and np.all(after.truncation) and not np.any(after.metrics["failed"])
    assert np.all(after.metrics["error"] < 0.1)


def test_losing_the_reference_is_a_failure(env, run):
    """Bodies thrown sideways at 20 m/s are farther than 0.25 m off after a step; the first step forgives."""
    clip = jnp.arange(SIZE, dtype=jnp.int32) % 2
    state = run.start(env, KEYS, clip, jnp.full(SIZE, 5), jnp.zeros(SIZE))
    thrown = state.sim.replace(qvel=state.sim.qvel.at[: SIZE // 2, 1].add(20.0))
    first = run.step(env, state.replace(sim=thrown), jnp.zeros((SIZE, 69)))
    assert not np.any(first.done) and np.all(first.metrics["error"][: SIZE // 2] > 0.3)
    after = run.step(env, first, jnp.zeros((SIZE, 69)))
    assert np.asarray(after.done).tolist() == [True] * 4 + [False] * 4
    assert not np.any(after.truncation)
    np.testing.assert_array_equal(after.metrics["failed"], after.done)
    np.testing.assert_array_equal(after.metrics["_segment"], env.library.segment_of[env.library.index(clip, 6)])


def test_a_failure_on_the_last_frame_is_no_time_out(env, run):
    state = near_the_end(env, run, 2)
    thrown = state.sim.replace(qvel=state.sim.qvel.at[0, 1].add(20.0))
    after = run.step(env, state.replace(sim=thrown), jnp.zeros((SIZE, 69)))
    after = run.step(env, after, jnp.zeros((SIZE, 69)))
    assert np.all(after.done)
    assert np.asarray(after.truncation).tolist() == [False] + [True] * 7


def test_what_ended_begins_anew_on_a_fresh_clip_and_frame(env, run):
    """``final_obs`` is what an environment without automatic resets sees; ``obs`` and state are those of a start."""
    manual = dataclasses.replace(env, config=dataclasses.replace(RESIDUAL, auto_reset=False))
    state = near_the_end(env, run, 1)
    # half of them one frame earlier: those go on
    half = jnp.arange(SIZE) % 4 < 2
    early = near_the_end(env, run, 5)
    state = jax.tree.map(lambda a, b: jnp.where(half.reshape(-1, *[1] * (a.ndim - 1)), a, b), state, early)
    action = jax.random.uniform(jax.random.key(1), (SIZE, 69), minval=-0.2, maxval=0.2)
    after, kept = run.step(env, state, action), run.step(manual, state, action)
    np.testing.assert_array_equal(after.done, half)
    for name, seen in kept.obs.items():
        np.testing.assert_allclose(after.final_obs[name], seen, atol=1e-5, err_msg=name)
        np.testing.assert_array_equal(kept.final_obs[name], seen)
        new = np.max(np.abs(after.obs[name] - after.final_obs[name]), -1) > 1e-3
        np.testing.assert_array_equal(new, half, err_msg=name)
    np.testing.assert_allclose(after.reward, kept.reward, atol=1e-5)
    ended = np.asarray(half)
    assert not np.any(after.task.steps[ended]) and np.all(after.task.steps[~ended] == 1)
    assert len(set(zip(np.asarray(after.task.clip)[ended], np.asarray(after.task.frame)[ended]))) > 1
    again = run.start(env, after.rng, after.task.clip, after.task.frame, after.task.heading)
    for name, seen in again.obs.items():
        np.testing.assert_allclose(after.obs[name][ended], seen[ended], atol=1e-5, err_msg=name)
    # without automatic resets the clip's end stays the end
    assert np.all(kept.task.frame[ended] == env.library.length[kept.task.clip[ended]] - 1)
    stays = run.step(manual, kept, action)
    assert np.all(stays.done[ended]) and np.all(stays.task.frame[ended] > kept.task.frame[ended])


def test_a_physics_that_gives_up_is_a_failure(env, run):
    """The state before it is judged; nothing that is not finite reaches the learner, and the episode starts anew."""
    state = run.reset(env, KEYS)
    broken = state.sim.replace(qvel=state.sim.qvel.at[2, 2].set(60.0))
    after = run.step(env, state.replace(sim=broken), jnp.full((SIZE, 69), 0.1))
    assert np.asarray(after.metrics["diverged"]).tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    assert after.done[2] and not after.truncation[2] and after.metrics["failed"][2] == 1.0
    assert all_finite((after.obs, after.final_obs, after.reward, after.metrics, after.sim))
    assert after.task.steps[2] == 0
    assert all_finite(run.step(env, after, jnp.zeros((SIZE, 69))))


def test_turning_the_scene_changes_nothing_that_is_seen(env, run):
    """A metre above the floor; on it, the pyramids that stand for friction cones have directions."""
    clip, frame = jnp.arange(SIZE, dtype=jnp.int32) % 2, 3 * jnp.arange(SIZE, dtype=jnp.int32)
    action = jax.random.uniform(jax.random.key(2), (SIZE, 69), minval=-0.3, maxval=0.3)
    ahead = run.start(env, KEYS, clip, frame, jnp.zeros(SIZE))
    turned = run.start(env, KEYS, clip, frame, jnp.linspace(0.5, 6.0, SIZE))
    assert np.max(np.abs(ahead.sim.qpos[:, :2] - turned.sim.qpos[:, :2])) > 0.1
    for name in ahead.obs:
        np.testing.assert_allclose(turned.obs[name], ahead.obs[name], atol=1e-4, err_msg=name)
    lifted = [s.replace(sim=s.sim.replace(qpos=s.sim.qpos.at[:, 2].add(1.0))) for s in (ahead, turned)]
    ahead, turned = (run.step(env, s, action) for s in lifted)
    for name in ahead.obs:
        np.testing.assert_allclose(turned.final_obs[name], ahead.final_obs[name], atol=2e-3, err_msg=name)
    np.testing.assert_allclose(turned.reward, ahead.reward, atol=1e-4)


def test_the_last_action_is_seen_clipped(env, run):
    state = run.reset(env, KEYS)
    assert not np.any(state.obs["state"][:, 256:])
    action = jnp.linspace(-2.0, 2.0, SIZE)[:, None] * jnp.ones(69)
    after = run.step(env, state, action)
    np.testing.assert_allclose(after.final_obs["state"][:, 256:], jnp.clip(action, -1, 1), atol=1e-6)
    np.testing.assert_allclose(
        after.metrics["reward/action_rate"], -0.1 * jnp.clip(action, -1, 1)[:, 0] ** 2, atol=1e-6
    )


def test_style_windows_at_the_start_are_the_clips_past(env, run):
    """Latest first; before the clip's first frame that one is repeated."""
    clip, frame = jnp.zeros(SIZE, jnp.int32), jnp.array([40, 39, 38, 31, 2, 1, 0, 0])
    window = run.start(env, KEYS, clip, frame, jnp.zeros(SIZE)).obs["amp"].reshape(SIZE, STYLE_FRAMES, 196)
    np.testing.assert_allclose(window[0, 1:], window[1, :-1], atol=1e-5)
    np.testing.assert_allclose(window[0, 2:], window[2, :-2], atol=1e-5)
    np.testing.assert_allclose(window[0, 9], window[3, 0], atol=1e-5)
    np.testing.assert_allclose(window[4, 1], window[5, 0], atol=1e-5)
    np.testing.assert_allclose(window[4, 2:], jnp.broadcast_to(window[6, 0], (8, 196)), atol=1e-5)
    assert np.max(np.abs(window[0, 0] - window[0, 1])) > 0.01
    np.testing.assert_allclose(window[0, 0, 0], env.library.qpos[env.library.start[0] + 40, 2], atol=1e-5)  # height


def test_style_windows_take_the_simulated_body(env, run):
    state = run.reset(env, KEYS)
    after = run.step(env, state, 0.3 * jnp.ones((SIZE, 69)))
    old = state.obs["amp"].reshape(SIZE, STYLE_FRAMES, 196)
    new = after.final_obs["amp"].reshape(SIZE, STYLE_FRAMES, 196)
    np.testing.assert_array_equal(new[:, 1:], old[:, :-1])
    assert np.all(np.max(np.abs(new[:, 0] - old[:, 0]), -1) > 1e-3)


def test_demonstrations_are_windows_of_the_clips(env, run):
    shown = jax.jit(lambda env, key: env.demonstrations(key, 32))(env, jax.random.key(3))
    assert shown.shape == (32, STYLE_FRAMES * 196) and all_finite(shown)
    heights = np.unique(np.asarray(env.library.qpos[:, 2]))
    nearest = np.min(np.abs(np.asarray(shown[:, :1]) - heights), -1)
    np.testing.assert_allclose(nearest, 0.0, atol=1e-5)


@pytest.mark.slow
def test_vmap_and_native_batch_agree(env, run):
    state = run.reset(env, KEYS)
    action = jax.random.uniform(jax.random.key(4), (SIZE, 69), minval=-0.3, maxval=0.3)
    native = run.step(env, state, action)
    mapped = jax.jit(lambda env, s, a: jax.vmap(env.step)(s, a))(env, state, action)
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(native), jax.tree.leaves(mapped)):
        if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            np.testing.assert_allclose(a, b, atol=2e-4, rtol=1e-4, err_msg=jax.tree_util.keystr(path))


@pytest.fixture(scope="module")
def troubled(library, simulator) -> Imitation:
    """Absolute targets, a push of up to 3 m/s in each step, and observations that are late or inexact."""
    groups = {"state": ("late", "previous_action"), "privileged_state": ("blurred", "compact")}
    table = {"late": {"term": "compact", "delay": 2}, "blurred": {"term": "compact", "noise": 0.5, "uniform": True}}
    config = ImitationConfig(
        groups=groups, observations=table, terminations={}, events={"push": {"rate": 30.0, "speed": 3.0}},
        auto_reset=False,
    )  # fmt: skip
    return make_imitation(library, simulator, config)


@pytest.mark.slow
def test_pushes_change_the_velocity(troubled, simulator, run):
    """With one push per step each body gets its own kick."""
    pushed = troubled
    clip, frame = jnp.zeros(SIZE, jnp.int32), jnp.full(SIZE, 20)
    state = run.start(pushed, KEYS, clip, frame, jnp.zeros(SIZE))
    after = run.step(pushed, state, jnp.zeros((SIZE, 69)))
    travelled = np.asarray(after.sim.qpos[:, :2] - state.sim.qpos[:, :2])
    assert np.all(np.std(travelled, axis=0) > 0.02)  # kicks of up to 3 m/s move the root by up to 0.1 m in a step
    assert np.max(np.abs(travelled)) < 0.2
    assert all_finite(after)
    rare = jax.vmap(lambda key: jax.random.split(key, 200))(KEYS)
    sim = dataclasses.replace(state.sim, qvel=jnp.zeros((SIZE, 200, 75)))
    assert push(sim, rare, simulator) is sim  # the default is no pushes
    kicked = np.any(np.asarray(push(sim, rare, simulator, rate=3.0).qvel) != 0, -1)
    assert np.mean(kicked) == pytest.approx(0.1, abs=0.03)  # 3 pushes per 30 steps


def test_zero_residual_is_feed_forward_control(env, run):
    """Springs at the pose halfway through the step give the torque of the clip; actions come on top."""
    state = run.reset(env, KEYS)
    task, actuated = state.task, env.simulator.actuated
    target = env.target(task, jnp.zeros((SIZE, 69)))
    a, b = (env.library.index(task.clip, task.frame + k) for k in (0, 1))
    first, last = (env.simulator.joint_pos(env.library.qpos[i]) for i in (a, b))
    middle = np.asarray(0.5 * (first + nearest_turn(last, first)))
    torque = np.asarray(0.5 * (env.library.torque[a] + env.library.torque[b]))
    damping = actuated.kd * np.asarray(0.5 * (env.library.qvel[a] + env.library.qvel[b]))[:, 6:]
    np.testing.assert_allclose(actuated.kp * (np.asarray(target) - middle), torque + damping, atol=0.05)
    moved = env.target(task, jnp.full((SIZE, 69), -0.4)) - target
    np.testing.assert_allclose(moved, np.broadcast_to(-0.4 * RESIDUAL.scales(actuated), (SIZE, 69)), atol=1e-5)


def test_absolute_targets_are_the_scaled_action(env, run):
    state = run.reset(env, KEYS)
    config = ImitationConfig(action="absolute", joint_scale=(("Hip", 0.5),))
    absolute = dataclasses.replace(env, config=config)
    target = np.asarray(absolute.target(state.task, jnp.full((SIZE, 69), 0.5)))
    hips = np.repeat([name.endswith("Hip") for name in env.simulator.actuated.humanoid.body_names[2:]], 3)
    np.testing.assert_allclose(target[:, ~hips], 0.5 * np.pi, rtol=1e-6)
    np.testing.assert_allclose(target[:, hips], 0.25 * np.pi, rtol=1e-6)


@pytest.mark.slow
def test_means_of_rotation_vectors_across_half_a_turn():
    near = jnp.array([[0.0, 0.0, 3.1, 0.2, 0.0, 0.0]])
    far = jnp.array([[0.0, 0.0, -3.1, 0.3, 0.0, 0.0]])
    closer = nearest_turn(far, near)
    np.testing.assert_allclose(closer, [[0.0, 0.0, 2 * np.pi - 3.1, 0.3, 0.0, 0.0]], atol=1e-5)
    same = lambda a, b: np.abs(np.sum(np.asarray(rotation.exp(a)) * np.asarray(rotation.exp(b)), -1))  # noqa: E731
    np.testing.assert_allclose(same(closer.reshape(2, 3), far.reshape(2, 3)), 1.0, atol=1e-6)
    assert all_finite(jax.grad(lambda x: jnp.sum(nearest_turn(x, near)))(jnp.zeros((1, 6))))


def test_the_curriculum_learns_where_episodes_fail(env, run):
    """Failures on the jump alone raise its share of the starts; time-outs do not count."""
    jump = int(env.library.segment_of[env.library.start[1] + 35])
    walk = int(env.library.segment_of[env.library.start[0] + 35])
    steps = 300
    segment = jnp.where(jnp.arange(steps)[:, None] % 2 == 0, walk, jump) * jnp.ones((1, SIZE))
    done = jnp.arange(steps)[:, None] % 10 < 2
    rollout = {
        "_segment": segment.astype(jnp.float32),
        "done": jnp.broadcast_to(done, segment.shape),
        "truncation": done & (segment == walk),
    }
    state = run.reset(env, KEYS)
    adapted, same = env.adapt(state, rollout)
    assert same is state
    assert float(adapted.curriculum.visits.sum()) == steps * SIZE
    assert (
        float(adapted.curriculum.failures[jump]) == steps / 10 * SIZE and float(adapted.curriculum.failures[walk]) == 0
    )
    many = jax.random.split(jax.random.key(5), 4000)
    starts = [env.library.draw(many, e.curriculum.probability(env.library, 0.5))[0] for e in (env, adapted)]
    assert np.mean(starts[1]) > np.mean(starts[0]) + 0.05


def test_episodes_may_start_on_first_frames_only(library, simulator, run):
    env = make_imitation(
        library, simulator, ImitationConfig(random_start=False, groups={"state": ("previous_action",)})
    )
    state = run.reset(env, KEYS)
    assert not np.any(state.task.frame) and not np.any(state.task.heading)
    assert set(np.asarray(state.task.clip)) == {0, 1}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("action", "sideways", "action: expected 'absolute' or 'residual', found 'sideways'"),
        (
            "groups",
            {"privileged_state": ("compact",)},
            "groups: expected at least one observation in the group 'state'",
        ),
        ("groups", {"state": ("colour",)}, "groups: expected one of .*compact, .*, found 'colour'"),
        (
            "observations",
            {"compact": {"blur": 1.0}},
            "observations.compact: expected values among noise, .* found blur",
        ),
        ("observations", {"compact": {"noise": -1.0}}, "compact.noise: expected 0 or more, found -1.0"),
        ("observations", {"compact": {"delay": 0.5}}, "compact.delay: expected a whole number of control steps"),
        ("rewards", {"applause": {}}, "rewards: expected one of action_rate, .*, found 'applause'"),
        (
            "rewards",
            {"imitation": {"k_speed": 1}},
            "rewards.imitation: expected values among weight, .*k_vel.* k_speed",
        ),
        ("rewards", {"imitation": 1.0}, "rewards.imitation: expected values by their names, found 1.0"),
        ("terminations", {"boredom": {}}, "terminations: expected one of any_body, .*mean_body, found 'boredom'"),
        ("starts", {"push": {}}, "starts: expected one of heading, perturb, found 'push'"),
        ("events", {"push": {"force": 1}}, "events.push: expected values among rate, speed, found force"),
        ("smoothing", 1.0, r"smoothing: expected a share in \[0, 1\), found 1.0"),
    ],
)
def test_a_wrong_setting_is_named(field, value, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        ImitationConfig(**{field: value})


def test_a_configuration_survives_a_policy_file():
    """Kernels, noise and names of one's own come back as they were, from JSON."""
    config = ImitationConfig(
        groups={"state": ("blurred", "previous_action")}, joint_scale=(("Hip", 0.5),),
        observations={"blurred": {"term": "compact", "noise": 0.1, "delay": 2}},
        rewards={"imitation": {"k_vel": 1.0}, "power": {"weight": 1e-5}}, events={"push": {"rate": 1.0}},
    )  # fmt: skip
    facts = json.loads(json.dumps(config.facts()))
    assert task_config(facts) == config
    assert dict(config.rewards[0].params)["k_vel"] == 1.0 and facts["rewards"]["imitation"]["k_pos"] == 100.0
    assert task_config(facts) != dataclasses.replace(config, rewards={"imitation": {"k_vel": 1.1}})
    plain = config.plain()
    assert (plain.observations[0].noise, plain.observations[0].delay) == (0.0, 2)
    assert plain.events == plain.starts == ()


def test_facts_of_earlier_versions_mean_the_same():
    """Policy files with names and one number per term, and fields for pushes and heading."""
    old = {
        "action": "residual", "state_terms": ["compact", "previous_action"], "critic_terms": ["proprioception"],
        "reward": [["imitation", 1.0], ["power", 1e-5], ["action_rate", 0.1]], "termination": [["mean_body", 0.3]],
        "random_heading": True, "push_rate": 0.2, "push_speed": 0.7, "style": True, "action_scale": 0.5,
    }  # fmt: skip
    expected = dataclasses.replace(
        RESIDUAL, terminations={"mean_body": {"distance": 0.3}}, events={"push": {"rate": 0.2, "speed": 0.7}}
    )
    assert task_config(old) == expected
    with pytest.raises(ValueError, match=r"expected fields among action, .*, found \['colour'\]"):
        task_config({**old, "colour": "red"})


def test_episodes_may_start_off_the_clip(env):
    """Each axis within its bounds, the root only upwards, rotations by as much as was asked for; the rest untouched."""
    row = env.library.index(jnp.zeros(SIZE, jnp.int32), jnp.arange(SIZE) + 10)
    exact = Start(jnp.zeros(SIZE), env.library.qpos[row], env.library.qvel[row])
    assert perturb(exact, KEYS, env.simulator) is exact
    sizes = {"position": 0.1, "orientation": 0.2, "joints": 0.05, "linear_velocity": 0.3, "joint_velocity": 0.4}
    off = perturb(exact, KEYS, env.simulator, **sizes)
    shift = np.asarray(off.qpos[:, :3] - exact.qpos[:, :3])
    assert np.max(np.abs(shift)) <= 0.1 and np.all(np.std(shift, 0) > 0.02) and np.min(shift[:, 2]) >= 0
    turn = rotation.log(rotation.multiply(rotation.conjugate(exact.qpos[:, 3:7]), off.qpos[:, 3:7]))
    assert 0.1 < np.max(np.abs(turn)) <= 0.2 + 1e-5
    bend = np.asarray(env.simulator.joint_pos(off.qpos) - env.simulator.joint_pos(exact.qpos))
    assert 0.03 < np.max(np.abs(bend)) < 0.08
    speed = np.abs(np.asarray(off.qvel - exact.qvel))
    assert np.all(speed[:, 3:6] == 0) and 0.2 < np.max(speed[:, :3]) <= 0.3 and 0.35 < np.max(speed[:, 6:]) <= 0.4
    np.testing.assert_allclose(np.linalg.norm(off.qpos[:, 7:].reshape(SIZE, 23, 4), axis=-1), 1.0, atol=1e-5)


def test_what_is_seen_can_be_late_and_inexact(troubled, run):
    """Against the same term without either: the values of two steps ago, and noise of the deviation asked for."""
    clip, frame = jnp.zeros(SIZE, jnp.int32), jnp.full(SIZE, 20)
    seen = [run.start(troubled, KEYS, clip, frame, jnp.zeros(SIZE))]
    for _ in range(3):
        seen.append(run.step(troubled, seen[-1], jnp.full((SIZE, 69), 0.1)))
    late = [np.asarray(s.obs["state"][:, :256]) for s in seen]
    blurred, exact = (np.stack([s.obs["privileged_state"][:, i : i + 256] for s in seen]) for i in (0, 256))
    for i in range(4):
        np.testing.assert_array_equal(late[i], exact[max(0, i - 2)])
    assert np.all(np.max(np.abs(exact[1:] - exact[:-1]), -1) > 1e-3)
    noise = blurred - exact
    assert np.std(noise) == pytest.approx(0.5, rel=0.03) and np.max(np.abs(noise)) <= 0.5 * 3**0.5 + 1e-4
    assert np.abs(np.triu(np.corrcoef(noise.reshape(4 * SIZE, -1)), 1)).max() < 0.35
    calm = dataclasses.replace(troubled, config=troubled.config.plain())
    assert calm.config.observations[0].delay == 2
    assert jax.eval_shape(calm.reset, KEYS).task.past["late"].shape == (SIZE, 2, 256)


def test_what_does_not_fit_the_simulator_is_refused(library, simulator):
    with pytest.raises(ValueError, match=r"joint_scale: expected one of Ankle, Chest, .*, found 'Tail'"):
        make_imitation(library, simulator, ImitationConfig(joint_scale=(("Tail", 0.5),)))
    with pytest.raises(ValueError, match="clips: expected 30 Hz, the control rate, found 60 Hz"):
        make_imitation(dataclasses.replace(library, fps=60.0), simulator, RESIDUAL)
    with pytest.raises(ValueError, match="clips: expected nq 99 of the simulated humanoid, found 76"):
        make_imitation(dataclasses.replace(library, qpos=library.qpos[:, :76]), simulator, RESIDUAL)


@pytest.mark.slow
def test_a_box_far_away_changes_nothing_bit_for_bit(env, library, run, humanoid):
    with_box = make_simulator(actuated_humanoid(humanoid, scene=add_box), "c")
    with_box = dataclasses.replace(with_box, backend=FaultyEngine(with_box.backend))
    other = make_imitation(library, with_box, RESIDUAL)
    states = [run.reset(e, KEYS) for e in (env, other)]
    action = jax.random.uniform(jax.random.key(3), (20, SIZE, 69), minval=-1.0, maxval=1.0)
    for step in action:
        states = [run.step(e, state, step) for e, state in zip((env, other), states)]
        plain, boxed = states
        for name in ("final_obs", "reward", "done", "truncation", "metrics", "task"):
            for a, b in zip(jax.tree.leaves(getattr(plain, name)), jax.tree.leaves(getattr(boxed, name))):
                np.testing.assert_array_equal(a, b, err_msg=name)
        for a, b in zip(with_box.body(boxed.sim), (plain.sim.qpos, plain.sim.qvel)):
            np.testing.assert_array_equal(a, b)
        # XLA may fuse the first observation of an episode otherwise beside another size of state: rounding of float32
        started = np.asarray(plain.task.steps) == 0
        for a, b in zip(*(map(np.asarray, jax.tree.leaves(state.obs)) for state in states)):
            np.testing.assert_array_equal(a[~started], b[~started])
            np.testing.assert_allclose(a[started], b[started], rtol=0, atol=2e-6)
    box = boxed.sim.qpos[:, 99:]
    np.testing.assert_allclose(box[:, :2], [[50.0, 0.0]] * SIZE)
    started = np.asarray(boxed.task.steps) == 0
    np.testing.assert_allclose(box[started, 2], 1.0)  # a new episode puts it back
    assert np.all(box[~started, 2] < 1.0)


def test_the_table_holds_what_kinematics_and_feed_forward_compute(env):
    clip, frame = jnp.array([0, 1, 1]), jnp.array([3, 10, 10_000])
    angle = jnp.array([0.0, 1.0, -2.0])
    humanoid = env.simulator.actuated.humanoid
    found = jax.jit(lambda env, *at: env.reference_stance(*at))(env, clip, frame, angle)
    expected = jax.jit(lambda env, *at: stance(humanoid, *env.reference(*at)))(env, clip, frame, angle)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=2e-5), found, expected)
    row = env.library.index(clip, frame)
    target = jax.jit(lambda env: feed_forward(env.library, env.simulator, clip, frame))(env)
    np.testing.assert_allclose(env.table.control[row], target, atol=1e-5)
    np.testing.assert_allclose(env.table.joint_pos[row], env.simulator.joint_pos(env.library.qpos[row]), atol=1e-6)


def test_the_capture_point_lies_ahead_of_a_moving_body(env):
    """By its velocity times the time constant of the pendulum, about 0.3 s for a standing body."""
    humanoid = env.simulator.actuated.humanoid
    qpos = jnp.asarray(humanoid.model.qpos0, jnp.float32)
    moving = jnp.zeros(humanoid.model.nv).at[1].set(0.5)
    found = jax.jit(lambda qpos, qvel: stance(humanoid, qpos, qvel))(qpos, moving)
    ahead = np.asarray(found.capture_point - found.com[:2])
    assert ahead[0] == pytest.approx(0.0, abs=1e-5)
    assert ahead[1] == pytest.approx(0.5 * np.sqrt(float(found.com[2]) / 9.81), rel=1e-3)


def test_an_expert_moves_some_joints_and_sees_balance_and_what_is_to_come(library, simulator, run):
    still = tuple((name, 0.0) for name in ("Toe", "Thorax", "Shoulder", "Elbow", "Wrist", "Hand", "Neck", "Head"))
    config = ImitationConfig(
        action="residual", action_scale=0.5, joint_scale=still,
        groups={"state": ("balance_error", "feed_forward", "preview", "previous_action")},
        rewards={"capture_point": {"k": 50.0}}, favour="learnable", auto_reset=False, random_start=False,
    )  # fmt: skip
    env = make_imitation(library, simulator, config)
    assert env.action_size == 27
    state = run.start(env, KEYS[:2], jnp.array([0, 1]), jnp.array([20, 20]))
    assert state.obs["state"].shape == (2, 7 + 69 + 2 * 10 * 3 + 27)
    balance, ahead = state.obs["state"][:, :7], state.obs["state"][:, 76:136].reshape(2, 2, 10, 3)
    root = env.table.stance.body.pos[env.library.index(jnp.arange(2)[:, None], 20 + jnp.array([0, 5, 10])), 0, 2]
    np.testing.assert_allclose(ahead[:, :, 0, 2], root[:, 1:] - root[:, :1], atol=1e-5)
    assert np.abs(balance[:, :3]).max() < 0.1 and np.abs(balance[:, 5:]).max() > 0.01
    moved = env.target(state.task, jnp.ones((2, 27))) - env.target(state.task, jnp.zeros((2, 27)))
    assert int(np.sum(np.asarray(moved[0]) != 0)) == 27
    np.testing.assert_allclose(moved[moved != 0], 0.5, atol=1e-5)
    after = run.step(env, state, jnp.zeros((2, 27)))
    assert np.all(np.asarray(after.reward) > 0.9)  # one step from the reference's state
