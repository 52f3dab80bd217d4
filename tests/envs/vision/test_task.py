"""What a policy that follows videos sees and what it cannot, what it is paid for, and what its expert says."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.envs.imitation import ImitationConfig, make_imitation, task_config
from mjxhuman.envs.vision import VisionConfig, make_expert, make_vision, make_visual_library
from mjxhuman.envs.vision.terms import OBSERVATIONS, REWARDS, VisualMoment
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.physics.simulate import make_simulator

pytestmark = pytest.mark.compiled

SIZE = 6
KEYS = jax.random.split(jax.random.key(0), SIZE)
SEES = ("compact", "feed_forward", "preview", "video_features", "features_ahead", "root_orientation", "rays",
        "ray_confidence", "rays_weighted", "view", "estimate_depth", "own_state", "previous_action")  # fmt: skip
CONFIG = VisionConfig(
    action="residual", action_scale=0.5, smoothing=0.5,
    groups={"state": SEES, "privileged_state": ("compact",), "expert": ("expert",)},
    observations={"rays": {"delay": 1}},
    rewards={"imitation": {}, "reprojection": {}},
    starts={"heading": {"largest": 2 * np.pi}, "from_estimate": {"share": 0.5}}, terminations=(), auto_reset=False,
)  # fmt: skip
TEACHER = ImitationConfig(
    action="residual", action_scale=1.0, smoothing=0.8, joint_scale=(("Head", 0.0),),
    groups={"state": ("compact", "previous_action")},
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Programs:
    start: object
    step: object
    reset: object


def asks(obs):
    """What an expert might say: of its error, and of what it did last."""
    state = obs["state"]
    return 0.3 * jnp.tanh(state[..., 151 : 151 + 66]) + 0.1 * state[..., -66:]


@pytest.fixture(scope="module")
def simulator(humanoid):
    return make_simulator(actuated_humanoid(humanoid), "c")


@pytest.fixture(scope="module")
def visual(library, simulator, tracks):
    return make_visual_library(library, simulator, tracks)


@pytest.fixture(scope="module")
def env(library, simulator, visual):
    teacher = make_expert(jax.tree_util.Partial(asks), TEACHER)
    return make_vision(library, simulator, CONFIG, visual, teacher, keep_lead=0.5)


@pytest.fixture(scope="module")
def run():
    return Programs(
        jax.jit(lambda env, *where, **how: env.start(*where, **how)),
        jax.jit(lambda env, state, action: env.step(state, action)),
        jax.jit(lambda env, rng: env.reset(rng)),
    )


@pytest.fixture(scope="module")
def begun(env, run):
    """Episodes on both clips and both views, in the middle."""
    clip = jnp.arange(SIZE, dtype=jnp.int32) % 2
    view = (jnp.arange(SIZE, dtype=jnp.int32) // 2) % 2
    return run.start(env, KEYS, clip, jnp.full(SIZE, 12, jnp.int32), jnp.zeros(SIZE), view=view)


def test_sizes_are_those_of_the_released_observation(env, library, simulator, visual):
    sizes = env.observation_sizes
    assert sizes["expert"] == 69 and sizes["privileged_state"] == 256
    released = ("proprioception", "video_features", "root_orientation", "rays", "ray_confidence")
    other = make_vision(library, simulator, dataclasses.replace(CONFIG, groups={"state": released}), visual)
    assert other.observation_sizes["state"] == 924 - 512 + visual.sight.features.shape[-1]
    assert task_config(CONFIG.facts(), VisionConfig) == CONFIG


def test_nothing_of_the_truth_reaches_the_policy(env, run, begun):
    """Other clips, other tables, the same videos: the policy sees the same, and its actions do the same."""
    wrong = jax.tree.map(lambda x: jnp.flip(x, 0) if x.dtype == jnp.float32 else x, (env.library, env.table))
    library = dataclasses.replace(env.library, qpos=wrong[0].qpos, qvel=wrong[0].qvel, torque=wrong[0].torque)
    other = dataclasses.replace(env, library=library, table=wrong[1])
    again = run.start(other, KEYS, begun.task.clip, begun.task.frame, jnp.zeros(SIZE), view=begun.task.view)
    np.testing.assert_array_equal(again.obs["state"], begun.obs["state"])
    action = jax.random.uniform(jax.random.key(3), (SIZE, 69), minval=-0.3, maxval=0.3)
    quiet = jax.tree.map(lambda x: x, begun)
    one, two = run.step(env, quiet, action), run.step(other, again, action)
    np.testing.assert_array_equal(one.sim.qpos, two.sim.qpos)
    np.testing.assert_array_equal(one.final_obs["state"], two.final_obs["state"])
    # the critic, the reward and the expert do see it
    assert np.abs(one.final_obs["privileged_state"] - two.final_obs["privileged_state"]).max() > 0.1
    assert np.abs(one.final_obs["expert"] - two.final_obs["expert"]).max() > 0.01
    assert np.abs(one.reward - two.reward).max() > 0.01


def test_critic_and_reward_see_the_truth_where_the_video_has_it(env, run, begun):
    """Carried farther by 0.2 and 0.1 m, the truth is so much farther away, and what the policy sees stays."""
    visual = dataclasses.replace(env.visual, carried=env.visual.carried + jnp.array([0.2, -0.1, 0.0]))
    other = dataclasses.replace(env, visual=visual)
    again = run.start(other, KEYS, begun.task.clip, begun.task.frame, jnp.zeros(SIZE), view=begun.task.view)
    np.testing.assert_array_equal(again.obs["state"], begun.obs["state"])
    off = again.obs["privileged_state"] - begun.obs["privileged_state"]
    places = off[:, -27:].reshape(SIZE, 9, 3)  # root and key bodies of ``compact``
    np.testing.assert_allclose(jnp.linalg.norm(places, axis=-1), np.hypot(0.2, 0.1), atol=1e-5)
    np.testing.assert_allclose(places[..., 2], 0.0, atol=1e-5)
    np.testing.assert_allclose(off[:, :-27], 0.0, atol=1e-5)
    still = jnp.zeros((SIZE, 69))
    one, two = run.step(env, begun, still), run.step(other, again, still)
    assert np.abs(two.reward - one.reward).min() > 1e-3


def test_heading_changes_no_observation(env, run, begun):
    """World, camera and clip turned together."""
    turned = run.start(env, KEYS, begun.task.clip, begun.task.frame, jnp.linspace(0.3, 3.0, SIZE), view=begun.task.view)
    for name, seen in begun.obs.items():
        np.testing.assert_allclose(turned.obs[name], seen, atol=2e-4, err_msg=name)
    assert np.abs(turned.sim.qpos[:, :2] - begun.sim.qpos[:, :2]).max() > 0.1


def test_the_expert_answers_for_the_targets_that_were_applied(env, run, begun):
    """Whoever acts: its smoothed last action is what the last targets were beside the clip's own."""
    action = jax.random.uniform(jax.random.key(4), (SIZE, 69), minval=-0.3, maxval=0.3)
    after = run.step(env, begun, action)
    driven, task = TEACHER.driven(env.simulator.actuated), begun.task
    row = env.library.index(task.clip, task.frame)
    for state, last in ((begun, None), (after, action)):
        told = env.visual.table.control[task.view, row]
        before = jnp.zeros((SIZE, 66))
        if last is not None:
            applied = told + 0.5 * 0.5 * last
            before = jnp.clip((applied - env.table.control[row])[:, driven], -1.0, 1.0)
            row, told = row + 1, env.visual.table.control[task.view, row + 1]
        asked = asks({"state": jnp.concatenate([state.obs["privileged_state"], before], -1)})
        target = env.table.control[row].at[:, driven].add(0.8 * before + 0.2 * asked)
        carry = 0.0 if last is None else 0.5 * 0.5 * 0.5 * last
        np.testing.assert_allclose(state.obs["expert"], (target - told - carry) / 0.5, atol=1e-4)


@pytest.mark.slow
def test_what_the_policy_sees_of_motion_is_the_estimate(env, library, simulator, visual, run, begun):
    """The group "state" is what tracking the estimate as if it were the clip would see."""
    view, clip = begun.task.view, begun.task.clip
    told = dataclasses.replace(library, qpos=visual.qpos[0], qvel=visual.qvel[0])
    table = jax.tree.map(lambda x: x[0], visual.table)
    config = ImitationConfig(action="residual", groups={"state": SEES[:3]})
    tracking = make_imitation(library, simulator, config)
    tracking = dataclasses.replace(tracking, library=told, table=table)
    seen = jax.jit(lambda env, *where: env.start(*where))(tracking, KEYS, clip, begun.task.frame).obs["state"]
    first = np.asarray(view) == 0
    np.testing.assert_allclose(begun.obs["state"][first][:, : seen.shape[-1]], seen[first], atol=1e-4)


@pytest.mark.slow
def test_a_body_led_by_the_expert_goes_where_the_expert_alone_takes_it(env, run, begun, library, simulator):
    config = dataclasses.replace(TEACHER, terminations=(), rewards={"imitation": {}})
    alone = make_imitation(library, simulator, config)
    start, step = jax.jit(lambda e, *w: e.start(*w)), jax.jit(lambda e, s, a: e.step(s, a))
    clip, frame = begun.task.clip, begun.task.frame
    body = begun.sim.qpos, begun.sim.qvel
    own = start(alone, KEYS, clip, frame, jnp.zeros(SIZE), body)
    visual = dataclasses.replace(env.visual, carried=jnp.zeros_like(env.visual.carried))
    led = run.start(dataclasses.replace(env, visual=visual), KEYS, clip, frame, body=body, view=begun.task.view)
    for _ in range(3):
        own = step(alone, own, asks(own.obs))
        wanted = led.obs["expert"] / (1.0 - CONFIG.smoothing)
        assert np.abs(wanted).max() < 1.0  # within reach
        led = run.step(dataclasses.replace(env, visual=visual), led, wanted)
        np.testing.assert_allclose(led.sim.qpos, own.sim.qpos, atol=2e-4)
        np.testing.assert_allclose(led.obs["privileged_state"], own.obs["state"][:, :256], atol=2e-2)


@pytest.mark.slow
def test_the_expert_leads_ever_fewer_episodes(env, run):
    state = run.reset(env, KEYS)
    assert np.all(state.task.led) and set(np.asarray(state.task.view)) == {0, 1}
    led = run.step(env, state, jnp.zeros((SIZE, 69)))
    free = dataclasses.replace(state, task=dataclasses.replace(state.task, led=~state.task.led))
    free = run.step(env, free, jnp.zeros((SIZE, 69)))
    assert np.abs(led.sim.qpos - free.sim.qpos).max() > 1e-5
    counts = {name: jnp.zeros((1, SIZE)) for name in state.metrics} | {
        "done": jnp.zeros((1, SIZE), bool), "truncation": jnp.zeros((1, SIZE), bool)
    }  # fmt: skip
    after, _ = env.adapt(state, counts)
    assert float(after.curriculum.lead) == 0.5 and float(after.adapt(state, counts)[0].curriculum.lead) == 0.25


def test_the_true_motion_is_carried_to_where_the_video_has_it(visual, library, simulator, tracks):
    """On the floor, and smoothly."""
    off = np.asarray(visual.qpos - library.qpos)[..., :3]
    assert np.abs(off[..., :2]).max() > 0.01 and not np.any(visual.carried[..., 2])
    np.testing.assert_allclose(visual.carried[..., :2], off[..., :2], atol=1e-3)  # these estimates are off by constants
    assert not np.any(make_visual_library(library, simulator, tracks, carry=False).carried)


@pytest.mark.slow
def test_half_of_the_episodes_start_where_the_video_has_the_body(env, run):
    state = run.reset(env, jax.random.split(jax.random.key(5), SIZE))
    row = env.library.index(state.task.clip, state.task.frame)
    true = np.abs(np.asarray(state.sim.qpos[:, 7:] - env.library.qpos[row][:, 7:])).max(1) < 1e-5
    told = np.abs(np.asarray(state.sim.qpos[:, 7:] - env.visual.qpos[state.task.view, row][:, 7:])).max(1) < 1e-5
    assert np.all(true ^ told) and true.any() and told.any()
    place = np.asarray(state.sim.qpos[:, 2] - env.library.qpos[row][:, 2])
    assert np.all(np.abs(place[true]) < 1e-5)


def moment(env, visual) -> VisualMoment:
    """Bodies on the clips' frames, seen a frame ahead; what these terms do not look at is left out."""
    row, view = jnp.arange(10, 10 + SIZE), jnp.arange(SIZE) % 2
    body = jax.tree.map(lambda x: x[row], env.table.stance.body)
    sight = jax.tree.map(lambda x: x[view, row + 1], visual.sight)
    stance, zero = jax.tree.map(lambda x: x[row], env.table.stance), jnp.zeros((SIZE, 69))
    joints = ("joint_pos", "target_joint_pos", "joint_vel", "target_joint_vel", "feed_forward", "torque", "action",
              "previous_action")  # fmt: skip
    return VisualMoment(
        body=body, reference=body, target=body, balance=stance, reference_balance=stance, target_balance=stance,
        **dict.fromkeys(joints, zero), steps=jnp.zeros(SIZE, jnp.int32), record=env.record, ahead=lambda _: stance,
        eye=sight.origin[:, 0], sight=dataclasses.replace(sight, features=sight.features.astype(jnp.float32)),
        carried=jnp.full((SIZE, 3), 0.1), wanted=None, joints=visual.joints, sight_ahead=lambda _: sight,
    )  # fmt: skip


def test_rays_say_nothing_of_depth_and_vanish_on_the_ray(env, visual):
    m = moment(env, visual)
    rows = jnp.asarray(m.record.rows(m.joints))
    direction = m.sight.direction[:, 0]
    foot = m.sight.origin + 2.5 * direction
    on = dataclasses.replace(m, body=m.body._replace(pos=m.body.pos.at[:, rows].set(foot)))
    assert np.abs(OBSERVATIONS["rays"](on)).max() < 1e-5
    farther = m.body.pos.at[:, rows].add(0.4 * direction)
    moved = dataclasses.replace(m, body=m.body._replace(pos=farther))
    for name in ("rays", "rays_weighted"):
        np.testing.assert_allclose(OBSERVATIONS[name](moved), OBSERVATIONS[name](m), atol=1e-5)
    assert np.abs(OBSERVATIONS["rays"](m)).max() > 0.01
    # weighted: nothing where the detector is unsure, at most a metre
    off = OBSERVATIONS["rays_weighted"](m).reshape(SIZE, 12, 3)
    unsure = np.asarray(m.sight.confidence)[:, 0] < 0.3
    assert unsure.any() and not np.any(off[unsure]) and np.all(np.linalg.norm(off, axis=-1) <= 1.0)


def test_rays_of_several_cameras_count_by_their_confidence(env, visual, library, simulator, tracks):
    """The two views of every clip as two cameras of one video; what only the second one sees is told by it."""
    both = [[dataclasses.replace(clip[0], others=(clip[1].rays,))] for clip in tracks]
    together = make_visual_library(library, simulator, both)
    assert together.sight.origin.shape[1:] == (library.qpos.shape[0], 2, 3)
    row = jnp.arange(10, 10 + SIZE)
    one, other = (jax.tree.map(lambda x, v=v: x[v, row + 1], visual.sight) for v in (0, 1))
    sight = jax.tree.map(lambda x: x[0, row + 1], together.sight)
    m = moment(env, visual)
    sure = np.stack([np.asarray(s.confidence)[:, 0] for s in (one, other)])
    for name, counted in (("rays", sure), ("rays_weighted", np.where(sure < 0.3, 0.0, sure))):
        alone = [OBSERVATIONS[name](dataclasses.replace(m, sight=s)).reshape(SIZE, 12, 3) for s in (one, other)]
        found = OBSERVATIONS[name](dataclasses.replace(m, sight=sight)).reshape(SIZE, 12, 3)
        weight = (counted / np.maximum(counted.sum(0), 1e-9))[..., None]
        np.testing.assert_allclose(found, (weight * np.stack(alone)).sum(0), atol=1e-4)
    np.testing.assert_array_equal(OBSERVATIONS["ray_confidence"](dataclasses.replace(m, sight=sight)), sure.max(0))
    hidden = dataclasses.replace(sight, confidence=sight.confidence.at[:, 0].set(0.0))
    seen = OBSERVATIONS["rays"](dataclasses.replace(m, sight=hidden))
    np.testing.assert_allclose(seen, OBSERVATIONS["rays"](dataclasses.replace(m, sight=other)), atol=1e-4)
    with pytest.raises(ValueError, match="expected 2 cameras as of the first clip, found 1"):
        make_visual_library(library, simulator, [both[0], tracks[1][:1]])


def test_view_and_depth_tell_what_rays_do_not(env, visual):
    """A body that the estimate has 0.2 m farther away along the view."""
    m = moment(env, visual)
    direction = m.eye - m.body.pos[:, 0]
    direction = direction / jnp.linalg.norm(direction, axis=-1, keepdims=True)
    reference = m.body._replace(pos=m.body.pos - 0.2 * direction[:, None])
    told = OBSERVATIONS["estimate_depth"](dataclasses.replace(m, reference=reference))
    np.testing.assert_allclose(told[:, 0], 0.2, atol=1e-5)
    assert np.all(told[:, 1] > 0.01)
    np.testing.assert_allclose(np.linalg.norm(OBSERVATIONS["view"](m), axis=-1), 1.0, atol=1e-5)


def test_reprojection_pays_for_what_the_camera_sees(env, visual):
    """All of it on the true motion, wherever that was carried; the same for a body nearer to the camera."""
    m = moment(env, visual)
    true = m.body._replace(pos=m.body.pos - 0.1)
    nearer = true._replace(pos=true.pos + 0.3 * (m.eye[:, None] - true.pos) / 3.0)
    for body, least, most in ((true, 1.0, 1.0), (nearer, 1.0, 1.0), (m.body, 0.02, 0.9)):
        paid = REWARDS["reprojection"](dataclasses.replace(m, body=body))
        assert np.all(paid > least - 1e-4) and np.all(paid < most + 1e-4)


def test_terms_of_videos_need_videos(library, simulator):
    with pytest.raises(ValueError, match="groups: expected one of"):
        ImitationConfig(groups={"state": ("rays",)})
    plain = make_imitation(library, simulator, VisionConfig(groups={"state": ("rays",)}))
    with pytest.raises(ValueError, match="rays: expected an environment with videos"):
        _ = plain.observation_sizes


def test_tracks_that_do_not_fit_are_refused(library, simulator, tracks):
    shorter = dataclasses.replace(tracks[1][0], estimate=tracks[1][0].estimate[1:])
    other = dataclasses.replace(tracks[1][0], feature_name="another network's")
    for wrong, message in (
        ([tracks[0]], "expected views of 2 clips"), ([tracks[0], tracks[1][:1]], "expected 2 views"),
        ([tracks[0], [shorter, shorter]], "expected an estimate of"), ([tracks[0], [other, other]], "another network"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            make_visual_library(library, simulator, wrong)


def test_the_policy_may_not_see_the_expert(library, simulator, visual):
    env = make_vision(library, simulator, VisionConfig(groups={"state": ("expert",)}), visual,
                      make_expert(jax.tree_util.Partial(asks), TEACHER))  # fmt: skip
    with pytest.raises(ValueError, match="another group than 'state'"):
        _ = env.observation_sizes
