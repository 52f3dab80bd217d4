"""Planning a short motion on the real body: it is tracked, it can be replayed, it is the same each time."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.envs.clips import make_library
from mjxhuman.envs.imitation import make_imitation
from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.humanoids.tuning import LIGHT
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.physics.simulate import make_simulator
from mjxhuman.planning import PRESETS, Plan, Planner, plan, search
from mjxhuman.planning.reference import make_reference, remarks
from mjxhuman.planning.search import Search, Settings, Snapshot
from mjxhuman.recovery.load import load_motion
from mjxhuman.tracking.disturbance import Disturbance
from mjxhuman.tracking.evaluate import roll_out
from mjxhuman.tracking.tracker import load_tracker

pytestmark = pytest.mark.compiled

#: Small enough for a second or two of a core.
SMALL = Settings(samples=12, improvements=2, horizon=8)


@pytest.fixture(scope="module")
def walk(humanoid):
    """The first 1.4 s of the built-in walk."""
    clip = load_builtin_clip("walk")
    return motion_from_qpos(humanoid, clip.qpos[: int(1.4 * clip.fps)], clip.fps)


@pytest.fixture(scope="module")
def planner(humanoid) -> Planner:
    return Planner(actuated_humanoid(humanoid, tuning=LIGHT), SMALL)


@pytest.fixture(scope="module")
def planned(planner, walk) -> Plan:
    return planner(walk, progress=False)


def test_a_walk_is_tracked(planned, walk):
    assert planned.tracked
    assert planned.lost_at is None
    assert planned.error_local_mm <= planned.error_global_mm < 60.0
    assert planned.ctrl.shape == (planned.motion.num_frames - 1, 69)
    assert planned.samples >= 12 * 8 * 2 * (len(planned.ctrl) // 2)
    assert 1.0 < planned.torque < 100.0
    assert bool(planned.scores.valid)
    millimetres, degrees = planned.distance
    assert millimetres == pytest.approx(planned.error_global_mm)
    assert 0.0 < degrees < 20.0


def test_feed_forward_alone_loses_what_the_plan_keeps(planner, walk):
    """What the search adds: with next to no noise the same body drifts away from the same walk."""
    still = Planner(planner.simulator.actuated, dataclasses.replace(SMALL, noise=1e-6, retries=0))
    assert still(walk, progress=False).error_global_mm > 2.0 * planner(walk, progress=False).error_global_mm


def test_replay_in_plain_mujoco_is_the_same_motion_bit_for_bit(planned):
    np.testing.assert_array_equal(np.asarray(planned.replay().qpos), np.asarray(planned.motion.qpos))


def test_same_seed_same_bits_other_seed_other_plan(planner, planned, walk):
    again, other = planner(walk, progress=False), planner(walk, seed=1, progress=False)
    np.testing.assert_array_equal(again.ctrl, planned.ctrl)
    assert np.abs(other.ctrl - planned.ctrl).max() > 1e-3


def test_save_and_load(planned, tmp_path):
    planned.save(tmp_path / "walk.npz")
    loaded = Plan.load(tmp_path / "walk.npz")
    np.testing.assert_array_equal(loaded.ctrl, planned.ctrl)
    np.testing.assert_array_equal(np.asarray(loaded.replay().qpos), np.asarray(planned.motion.qpos))
    for name in ("tracked", "error_global_mm", "torque", "samples", "preset", "seed"):
        assert getattr(loaded, name) == getattr(planned, name)


def test_a_plan_is_a_motion_with_controls_that_play_it_back(planned, humanoid, tmp_path):
    """What ``load_motion`` reads of it makes an environment whose zero action repeats the motion."""
    planned.save(tmp_path / "walk.npz")
    motion = load_motion(tmp_path / "walk.npz", humanoid)
    np.testing.assert_allclose(np.asarray(motion.qpos), np.asarray(planned.motion.qpos), atol=1e-6)
    np.testing.assert_allclose(np.asarray(motion.qvel), planned.qvel, atol=1e-5)
    tracker = load_tracker("reference", humanoid=humanoid)
    simulator = make_simulator(planned.actuated)
    env = make_imitation(make_library([motion], 30.0), simulator, tracker.config)
    [(_, qpos, _, _, whole)] = roll_out(env, tracker.policy)
    assert whole == motion.num_frames
    np.testing.assert_allclose(qpos[:15], np.asarray(motion.qpos)[:15], atol=1e-3)
    with pytest.raises(
        ValueError, match=r"found plans for bodies of tuning .*light.*, expected the simulator's, .*stock"
    ):
        make_imitation(make_library([motion], 30.0), tracker.simulator, tracker.config)
    with pytest.raises(ValueError, match=r"humanoid: found a plan of smpl, 1.71 m.*expected one of smpl, 1.20 m"):
        load_motion(tmp_path / "walk.npz", load_humanoid("smpl", stature=1.2))


def test_the_reference_costs_nothing(planner, walk):
    """A state on the reference with no offsets has no residual but the horizon's own motion."""
    search = Search(planner.simulator, SMALL)
    reference = make_reference(planned_motion(planner, walk), planner.simulator)
    rows = np.arange(1, 9)
    qpos, qvel = reference.qpos[rows][None], reference.qvel[rows][None]
    cost, _ = search.judge(np.repeat(qpos, 3, 0), np.repeat(qvel, 3, 0), np.zeros((3, 8, 69)), reference.window(0, 8))
    np.testing.assert_allclose(np.asarray(cost), 0.0, atol=1e-8)


def planned_motion(planner: Planner, motion):
    """The motion at the planner's rate."""
    from mjxhuman.tracking.evaluate import usable

    return usable(motion, planner.humanoid, planner.fps, "walk")


def test_bad_input_is_named(planner, walk, tmp_path):
    with pytest.raises(ValueError, match=r"preset: expected one of fast, default, reactive, best, found 'slow'"):
        plan(walk, preset="slow")
    child = load_humanoid("smpl", stature=1.2)
    with pytest.raises(ValueError, match=r"expected a motion of the simulated body \(smpl, 1.71 m"):
        planner(motion_from_qpos(child, walk.qpos, walk.fps), progress=False)
    with pytest.raises(FileNotFoundError, match=r"none.npz: no such file"):
        Plan.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", x=1)
    with pytest.raises(ValueError, match=r"other.npz: expected a plan"):
        Plan.load(tmp_path / "other.npz")
    facts = np.array('{"plan": 3}')
    np.savez(tmp_path / "bare.npz", facts=facts, qpos=0, qvel=0, ctrl=0, start_qpos=0, start_qvel=0)
    with pytest.raises(ValueError, match=r"bare.npz: facts: expected result, .* found no result"):
        Plan.load(tmp_path / "bare.npz")
    with pytest.raises(ValueError, match=r"at least 5 valid frames in a row at 30 Hz, found [0-4]$"):
        planner(motion_from_qpos(planner.humanoid, walk.qpos, walk.fps, valid=np.arange(len(walk.qpos)) == 8))
    assert set(PRESETS) == {"fast", "default", "reactive", "best"}


def test_a_file_whose_arrays_are_of_another_body_is_refused(planned, tmp_path):
    planned.save(tmp_path / "walk.npz")
    with np.load(tmp_path / "walk.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "short.npz", **(arrays | {"ctrl": arrays["ctrl"][:, :60]}))
    with pytest.raises(ValueError, match=r"short.npz: ctrl: found shape \(\d+, 60\), expected \(\d+, 69\)"):
        Plan.load(tmp_path / "short.npz")


@pytest.mark.slow
def test_where_the_body_is_lost_the_search_goes_back(planner, walk, monkeypatch):
    """Calling a body lost early makes it go back; what is carried out in the end is one unbroken simulation."""
    monkeypatch.setattr(search, "LOST", 0.025)
    frames: list[int] = []
    found = Search(planner.simulator, dataclasses.replace(SMALL, back=0.2, retries=2))
    reference = make_reference(planned_motion(planner, walk), planner.simulator)
    trail = found.run(reference, 0, frames.append)
    steps = reference.frames - 1
    assert min(np.diff(frames)) < 0, "it never went back"
    assert len(trail.ctrl) == steps and len(trail.states) == len(trail.offsets) == steps + 1
    engine = planner.simulator.backend
    start = trail.states[0]
    again, _, _ = engine.rollout_host(
        start.qpos[None], start.qvel[None], start.warmstart[None], np.array(trail.ctrl)[None]
    )
    np.testing.assert_array_equal(again[0], [state.qpos for state in trail.states[1:]])


@pytest.mark.slow
def test_a_second_pass_starts_from_the_first(planner, walk):
    """With no noise left to search with, a second pass repeats what the first one found."""
    reference = make_reference(planned_motion(planner, walk), planner.simulator)
    one = Search(planner.simulator, SMALL).run(reference, 0)
    around = np.array(one.ctrl) - reference.ctrl[: len(one.ctrl)]
    still = Search(planner.simulator, dataclasses.replace(SMALL, noise=0.0, retries=0, decay=1.0, horizon=8))
    two = still._pass(reference, one.states[0], np.random.default_rng(0), around, lambda frame: None)
    np.testing.assert_allclose(two.ctrl, one.ctrl, atol=1e-9)


@pytest.mark.slow
def test_the_same_search_runs_on_mjx(humanoid, walk):
    """Engine "jax" under the planner, for a third of a second: other rounding, the same kind of plan."""
    tiny = Settings(samples=6, improvements=1, horizon=4)
    body = actuated_humanoid(humanoid, contacts="feet", self_contacts=False, tuning=LIGHT)
    short = motion_from_qpos(humanoid, walk.qpos[:20], walk.fps)
    found = Planner(body, tiny, engine="jax")(short, progress=False)
    assert found.tracked and found.error_global_mm < 60.0


@pytest.fixture(scope="module")
def controller(planner) -> Planner:
    """The same search in closed loop."""
    made = Planner(planner.simulator.actuated, SMALL, closed_loop=True)
    made.simulator, made.search = planner.simulator, planner.search
    return made


def test_closed_loop_control_holds_where_a_replayed_plan_is_carried_away(planner, controller, walk):
    """The same pushes on both. A plan under a push is its own controls, followed by whatever they lead to."""
    push = Disturbance(push=0.6, seed=1)
    (replayed,), (held,) = (p.evaluate([walk], ["walk"], score=False, disturbance=push) for p in (planner, controller))
    assert held.result.success
    assert held.result.mpjpe_g < 0.7 * replayed.result.mpjpe_g
    assert controller.facts["kind"] == "mpc" and 0.1 < controller.facts["processor_seconds_per_second"] < 100.0


def test_control_without_a_disturbance_can_be_replayed(controller, walk):
    found = controller(walk, progress=False)
    np.testing.assert_array_equal(np.asarray(found.replay().qpos), np.asarray(found.motion.qpos))


def test_a_push_changes_the_velocity_of_the_root_and_is_not_foreseen(planner, walk):
    reference = make_reference(planned_motion(planner, walk), planner.simulator)
    search_, start = planner.search, Snapshot(reference.qpos[0], reference.qvel[0], np.zeros(75))
    ctrl, pushes = reference.ctrl[:4], np.zeros((4, 2))
    pushes[2] = (0.5, -0.25)
    calm, pushed = search_.follow(ctrl, start), search_.follow(ctrl, start, pushes)
    np.testing.assert_array_equal(pushed.states[2].qpos, calm.states[2].qpos)
    moved = (pushed.states[3].qpos - calm.states[3].qpos)[:2] * 30.0
    np.testing.assert_allclose(moved, (0.5, -0.25), atol=0.1)
    one, two = (
        search_.control(reference, 0, start, p) for p in (None, np.pad(pushes, ((0, reference.frames), (0, 0))))
    )
    np.testing.assert_array_equal(one.ctrl[:4], two.ctrl[:4])  # planned before the push
    assert np.abs(one.ctrl[4] - two.ctrl[4]).max() > 1e-4  # and after it


def test_what_no_body_can_do_is_said(planner, walk):
    """The walk 12 cm in the floor, a walk on air, and a walk with one leg through the other; and the walk itself."""
    good = planned_motion(planner, walk)
    body, simulator = planner.simulator.actuated, planner.simulator

    def said(qpos: np.ndarray) -> str:
        return " ".join(remarks(make_reference(motion_from_qpos(planner.humanoid, qpos, 30.0), simulator), body))

    assert said(np.asarray(good.qpos)) == ""
    for height, what in (
        (-0.12, r"overlaps the floor by up to 1[1-9] cm"),
        (0.4, r"nothing touches the floor from 0.00"),
    ):
        moved = np.array(good.qpos)
        moved[:, 2] += height
        assert re.search(what, said(moved))
    crossed = np.array(good.qpos)
    hip = slice(*(7 + 4 * (planner.humanoid.body_names.index("L_Hip") - 2) + k for k in (0, 4)))
    crossed[:, hip] = Rotation.from_rotvec([0.0, 0.0, -0.6]).as_quat(scalar_first=True)
    assert "overlaps itself by up to" in said(crossed)


def test_an_engine_that_breaks_down_loses_nothing_of_what_was_done(planner, walk, monkeypatch):
    """From the tenth step on every simulation ends in NaN: the plan holds the ten steps before."""
    found = Search(planner.simulator, dataclasses.replace(SMALL, retries=1, back=0.1))
    futures, reached = found._futures, []

    def broken(state, ctrl):
        states = futures(state, ctrl)
        if len(ctrl) == 1 and len(reached) >= 10:
            return tuple(np.full_like(x, np.nan) for x in states)
        reached.extend([0] * (len(ctrl) == 1))
        return states

    monkeypatch.setattr(found, "_futures", broken)
    monkeypatch.setattr(planner, "search", found)
    plan_ = planner(walk, progress=False)
    assert not plan_.tracked and plan_.lost_at == pytest.approx(8 / 30, abs=3 / 30)
    assert np.isfinite(np.asarray(plan_.motion.qpos)).all() and np.isfinite(plan_.error_global_mm)
    assert plan_.motion.num_frames == plan_.reference.num_frames


def test_a_body_without_servos_is_refused(humanoid):
    with pytest.raises(ValueError, match=r"body: expected one with servos \(actuated_humanoid\), found Humanoid"):
        Planner(humanoid)
