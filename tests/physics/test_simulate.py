"""Forward simulation: every engine, states in and out, failures."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mjxhuman
from mjxhuman.humanoids.actuated import actuated_humanoid, randomized_models
from mjxhuman.math import rotation
from mjxhuman.physics.simulate import SimState, Simulator, make_simulator

with_warp = pytest.mark.skipif(importlib.util.find_spec("warp") is None, reason="warp-lang is not installed")
OTHER_ENGINES = [pytest.param("jax", marks=pytest.mark.slow), pytest.param("warp", marks=[pytest.mark.slow, with_warp])]


@pytest.fixture(scope="module")
def actuated():
    return actuated_humanoid(mjxhuman.load_humanoid("smpl"))


@pytest.fixture(scope="module")
def sim(actuated) -> Simulator:
    return make_simulator(actuated, "c")


def targets(seed: int, shape: tuple[int, ...], std: float) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(0, std, (*shape, 69)), jnp.float32)


def roll(sim: Simulator, state: SimState, ctrl: jax.Array) -> SimState:
    """All states of a path, time first."""
    return jax.jit(lambda s, u: jax.lax.scan(lambda s, u: (sim.advance(s, u),) * 2, s, u)[1])(state, ctrl)


def bodies(sim: Simulator, count: int, height: float = 0.0, speed: float = 0.0) -> SimState:
    """Bodies in random poses (the first in the T-pose), ``height`` above where they stand."""
    rng, model = np.random.default_rng(7), sim.actuated.model
    qpos = np.tile(model.qpos0, (count, 1))
    for q in qpos[1:]:
        step = rng.normal(0, 0.3, model.nv)
        step[:3] = 0
        mujoco.mj_integratePos(model, q, step, 1.0)
    qpos[:, 2] += height
    return sim.init(qpos, rng.normal(0, speed, (count, model.nv)))


def same(a: SimState, b: SimState) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@pytest.mark.parametrize("std", [0.3, 1.0, 2.0])
def test_ten_seconds_of_random_targets_stay_finite(sim, std):
    path = roll(sim, bodies(sim, 8), targets(0, (300, 8), std))
    assert np.isfinite(path.qpos).all()
    assert np.isfinite(path.qvel).all()
    assert np.abs(path.qvel[..., :3]).max() < 30
    np.testing.assert_allclose(path.time[-1], 10.0, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("std", [0.3, 2.0])
def test_ten_seconds_of_random_targets_stay_finite_in_mjx(actuated, std):
    sim = make_simulator(actuated, "jax")
    path = roll(sim, bodies(sim, 8), targets(0, (300, 8), std))
    assert np.isfinite(path.qpos).all()


@pytest.mark.parametrize("engine", OTHER_ENGINES)
def test_engines_agree_in_the_air(actuated, sim, engine):
    other = make_simulator(actuated, engine)
    ctrl = targets(1, (8, 16), 0.5)
    start = bodies(sim, 16, height=5.0, speed=0.5)
    expected, found = roll(sim, start, ctrl), roll(other, start, ctrl)
    np.testing.assert_allclose(found.qpos, expected.qpos, atol=2e-5)
    np.testing.assert_allclose(found.qvel, expected.qvel, atol=5e-4)


@pytest.mark.parametrize("engine", OTHER_ENGINES)
def test_engines_agree_while_standing_firmly(actuated, sim, engine):
    """Twelve steps from all sole corners pressed into the floor, before float32 makes a corner lift a step earlier."""
    other = make_simulator(actuated, engine)
    start = sim.init(np.tile(actuated.model.qpos0 - 0.002 * (np.arange(99) == 2), (16, 1)))
    ctrl = targets(1, (3, 16), 0.02)
    difference = np.abs(roll(other, start, ctrl).qpos - roll(sim, start, ctrl).qpos).max(axis=(0, 2))
    assert np.quantile(difference, 0.8) < 5e-5
    assert difference.max() < 3e-3


@pytest.mark.parametrize("engine", OTHER_ENGINES)
def test_engines_fall_alike(actuated, sim, engine):
    """Pelvis heights after a second of random targets: same mean and spread within the error of 64 samples."""
    other = make_simulator(actuated, engine)
    heights = []
    for s in (sim, other):
        path = roll(s, s.init(np.tile(actuated.model.qpos0, (64, 1))), targets(2, (30, 64), 0.3))
        heights.append(np.asarray(path.qpos[-1, :, 2]))
    error = np.hypot(*(h.std() / np.sqrt(64) for h in heights))
    assert abs(heights[0].mean() - heights[1].mean()) < 3 * error
    np.testing.assert_allclose(heights[0].std(), heights[1].std(), rtol=0.4)
    assert heights[0].mean() < 0.9  # they do fall


@pytest.mark.parametrize("engine", ["c", *OTHER_ENGINES])
def test_variants_are_the_models_they_were_made_of(actuated, engine):
    models = randomized_models(actuated, 3, seed=0)
    ctrl = jnp.tile(targets(3, (2, 1), 0.3), (1, 6, 1))
    start = bodies(make_simulator(actuated, "c"), 1, height=-0.002)
    start = jax.tree.map(lambda x: jnp.tile(x, (6,) + (1,) * (x.ndim - 1)), start)
    found = roll(make_simulator(actuated, engine, variants=models), start, ctrl)
    assert len(np.unique(np.asarray(found.qvel[-1, :, 10]).round(4))) == 3
    for i, model in enumerate(models):
        alone = roll(make_simulator(actuated, "c", variants=[model]), start, ctrl)
        np.testing.assert_allclose(found.qpos[-1, i], alone.qpos[-1, i], atol=5e-5)
        np.testing.assert_allclose(found.qpos[-1, i + 3], alone.qpos[-1, i], atol=5e-5)


def test_repeats_bit_for_bit_and_alone_as_among_others(sim):
    start, ctrl = bodies(sim, 8, speed=1.0), targets(4, (20, 8), 0.5)
    path = roll(sim, start, ctrl)
    assert same(path, roll(sim, start, ctrl))
    alone = roll(sim, jax.tree.map(lambda x: x[5:6], start), ctrl[:, 5:6])
    assert same(jax.tree.map(lambda x: x[:, 5:6], path), alone)


def test_nothing_is_remembered_between_calls(sim):
    """A second path advanced in between, and steps taken backwards in order, change nothing."""
    start, ctrl = bodies(sim, 4), targets(5, (6, 4), 0.5)
    advance = jax.jit(sim.advance)
    states = [start]
    for u in ctrl:
        advance(bodies(sim, 4, height=1.0, speed=2.0), -u)
        states.append(advance(states[-1], u))
    for k in reversed(range(6)):
        assert same(advance(states[k], ctrl[k]), states[k + 1])


def test_any_leading_axes_and_vmap(sim):
    start, ctrl = bodies(sim, 8, speed=1.0), targets(6, (8,), 0.5)
    flat = jax.jit(sim.advance)(start, ctrl)
    folded = jax.tree.map(lambda x: x.reshape(2, 4, *x.shape[1:]), (start, ctrl))
    for step in (sim.advance, jax.vmap(sim.advance), jax.vmap(jax.vmap(sim.advance))):
        found = jax.jit(step)(*folded)
        assert found.qpos.shape == (2, 4, 99)
        assert same(jax.tree.map(lambda x: x.reshape(8, *x.shape[2:]), found), flat)
    single = sim.advance(*jax.tree.map(lambda x: x[3], (start, ctrl)))
    assert same(single, jax.tree.map(lambda x: x[3], flat))


def test_calls_from_several_threads(sim):
    ctrl = targets(7, (10, 4), 0.5)
    starts = [bodies(sim, 4, speed=0.1 * i) for i in range(4)]
    expected = [roll(sim, s, ctrl) for s in starts]
    found: dict[int, SimState] = {}

    def work(i: int) -> None:
        found[i] = jax.block_until_ready(roll(sim, starts[i], ctrl))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(same(found[i], expected[i]) for i in range(4))


def test_large_batches_do_not_block(sim):
    """Arguments of megabytes are copied by threads of their own: no deadlock with a busy program."""
    start = sim.init(jnp.tile(sim.actuated.model.qpos0, (2048, 1)))
    last = roll(sim, start, jnp.zeros((3, 2048, 69)))
    assert np.isfinite(jax.block_until_ready(last).qpos).all()


def test_a_state_that_cannot_be_stepped_is_nan_and_the_others_go_on(sim, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its warnings to MUJOCO_LOG.TXT
    qvel = np.zeros((3, 75), np.float32)
    qvel[1, 10] = 1e12
    state = sim.init(jnp.tile(sim.actuated.model.qpos0, (3, 1)), qvel)
    path = roll(sim, state, targets(0, (3, 3), 0.1))
    for x in (path.qpos, path.qvel, path.warmstart):
        bad = np.isnan(np.asarray(x))
        assert bad[:, 1].all()
        assert not bad[:, [0, 2]].any()


def test_joint_coordinates_and_torques_are_those_of_the_engine(actuated, sim):
    start, ctrl = bodies(sim, 4), targets(8, (4,), 2.0)
    rotvec, torque = sim.joint_pos(start.qpos), sim.torque(start, ctrl)
    data = mujoco.MjData(actuated.model)
    for i in range(4):
        data.qpos[:], data.ctrl[:] = start.qpos[i], ctrl[i]
        mujoco.mj_forward(actuated.model, data)
        np.testing.assert_allclose(rotvec[i], data.actuator_length, atol=1e-5)
        np.testing.assert_allclose(torque[i], data.actuator_force, atol=1e-2)
    at_cap = np.abs(torque) == actuated.cap.astype(np.float32)
    assert 0.1 < at_cap.mean() < 0.9


def test_a_push_changes_the_momentum(actuated, sim):
    start = bodies(sim, 1, height=5.0)
    impulse = jnp.array([60.0, -20.0, 0.0])
    pushed = start.replace(qvel=start.qvel.at[:, :3].add(impulse / actuated.humanoid.mass))
    ctrl = sim.joint_pos(start.qpos)
    difference = sim.advance(pushed, ctrl).qpos[0, :3] - sim.advance(start, ctrl).qpos[0, :3]
    np.testing.assert_allclose(difference, impulse / actuated.humanoid.mass * sim.dt, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_mjx_is_differentiable(mode):
    """Slopes of the pose after four physics steps along changes of targets and velocities, in air and contact."""
    iterations = 1 if mode == "reverse" else 6
    actuated = actuated_humanoid(mjxhuman.load_humanoid("smpl"), "feet", self_contacts=False, iterations=iterations)
    sim, rng = make_simulator(actuated, "jax"), np.random.default_rng(1)
    x, weights = jnp.asarray(rng.normal(0, 0.05, 144), jnp.float32), jnp.asarray(rng.normal(size=99), jnp.float32)
    directions = rng.normal(0, 1, (3, 144)).astype(np.float32)

    def value(x: jax.Array, height: float) -> jax.Array:
        start = jnp.asarray(actuated.model.qpos0, jnp.float32).at[2].add(height)
        return jnp.sum(weights * sim.advance(sim.init(start, x[69:]), x[:69]).qpos)

    run = jax.jit(value)
    if mode == "reverse":
        slope = jax.jit(lambda x, d, h: jnp.sum(d * jax.grad(value)(x, h)))
    else:
        slope = jax.jit(lambda x, d, h: jax.jvp(lambda x: value(x, h), (x,), (d,))[1])
    eps = 3e-4
    for height in (2.0, -0.001):
        found = [slope(x, d, height) for d in directions]
        expected = [(run(x + eps * d, height) - run(x - eps * d, height)) / (2 * eps) for d in directions]
        np.testing.assert_allclose(found, expected, rtol=0.02, atol=5e-3)


def test_bad_arguments_are_named(actuated, sim, monkeypatch):
    with pytest.raises(ValueError, match=r"engine: expected one of .* found 'bullet'"):
        make_simulator(actuated, "bullet")
    with pytest.raises(ValueError, match="control_hz: expected a divisor of the physics rate 120, found 50"):
        make_simulator(actuated, control_hz=50)
    with pytest.raises(ValueError, match=r"qpos: expected shape \(2, 99\), found \(2, 76\)"):
        sim.init(np.zeros((2, 76)))
    with pytest.raises(ValueError, match=r"ctrl: expected shape \(2, 69\), found \(3, 69\)"):
        sim.advance(bodies(sim, 2), jnp.zeros((3, 69)))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"warp-lang: pip install 'mjxhuman\[warp\]'"):
        make_simulator(actuated, "warp")


def test_the_fastest_engine_is_the_default(actuated):
    assert jax.default_backend() != "cpu" or make_simulator(actuated).engine == "c"
    assert make_simulator(actuated, control_hz=60).substeps == 2


def test_rotations_near_a_half_turn_keep_their_sign(sim):
    vectors = np.random.default_rng(0).normal(size=(23, 3))
    vectors *= 3.1 / np.linalg.norm(vectors, axis=1, keepdims=True)
    quat = np.asarray(rotation.exp(vectors)) * np.where(np.arange(23) % 2, 1, -1)[:, None]
    qpos = np.concatenate([np.zeros(7), quat.ravel()])
    np.testing.assert_allclose(sim.joint_pos(jnp.asarray(qpos, jnp.float32)), vectors.ravel(), atol=1e-5)


@pytest.mark.parametrize("engine", ["c", *OTHER_ENGINES])
def test_a_horizon_in_one_call_is_repeated_advance_bit_for_bit(actuated, engine):
    sim = make_simulator(actuated, engine, variants=randomized_models(actuated, 2, seed=0))
    start = bodies(sim, 6, speed=1.0)
    ctrl = targets(9, (6, 12), 0.5)
    path = jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), roll(sim, start, jnp.moveaxis(ctrl, 1, 0)))
    found = jax.jit(sim.rollout)(start, ctrl)
    assert found.qpos.shape == (6, 12, 99) and found.time.shape == (6, 12)
    np.testing.assert_allclose(found.time, path.time, atol=1e-6)
    assert same(found.replace(time=0), path.replace(time=0))
    folded = jax.tree.map(lambda x: x.reshape(2, 3, *x.shape[1:]), (start, ctrl))
    again = jax.tree.map(lambda x: x.reshape(6, *x.shape[2:]), sim.rollout(*folded))
    assert same(found, again) or engine != "c"


def test_a_horizon_from_numpy_is_mujocos_own_in_float64(actuated, sim):
    rng, model = np.random.default_rng(0), actuated.model
    qpos, ctrl = np.tile(model.qpos0, (3, 1)), rng.normal(0, 0.5, (3, 10, 69))
    qvel = rng.normal(0, 0.5, (3, model.nv))
    found = sim.backend.rollout_host(qpos, qvel, np.zeros((3, model.nv)), ctrl)
    for i in range(3):
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = qpos[i], qvel[i]
        for step in range(10):
            data.ctrl[:] = ctrl[i, step]
            for _ in range(sim.substeps):
                mujoco.mj_step(model, data)
            for x, expected in zip(found, (data.qpos, data.qvel, data.qacc_warmstart), strict=True):
                np.testing.assert_array_equal(x[i, step], expected)
    one = sim.backend.rollout_host(qpos[:1], qvel[:1], np.zeros((1, model.nv)), ctrl, found)
    assert one is found  # one state for all samples, into the arrays of before
    assert np.array_equal(found[0][0], sim.backend.rollout_host(qpos, qvel, np.zeros((3, model.nv)), ctrl)[0][0])
    assert not np.array_equal(found[0][1], found[0][0])


def test_a_sample_is_nan_from_the_step_that_failed(actuated, sim, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its warnings to MUJOCO_LOG.TXT
    ctrl = np.array(targets(0, (3, 6), 0.1))
    ctrl[1, 2, 5] = np.nan
    start = bodies(sim, 3)
    start = start.replace(qvel=start.qvel.at[2, 10].set(1e12))
    found = sim.rollout(start, jnp.asarray(ctrl))
    bad = np.isnan(np.asarray(found.qpos)).all(-1)
    assert bad.tolist() == [[False] * 6, [False] * 2 + [True] * 4, [True] * 6]
    assert np.array_equal(np.isnan(np.asarray(found.qvel)).any(-1), bad)
    calm = sim.rollout(jax.tree.map(lambda x: x[:1], start), jnp.asarray(ctrl[:1]))
    assert same(calm, jax.tree.map(lambda x: x[:1], found))


def test_a_horizon_of_another_shape_is_named(sim):
    for shape in ((2, 69), (3, 4, 69), (2, 4, 68)):
        with pytest.raises(ValueError, match=r"ctrl: expected shape \(2, 'steps', 69\), found"):
            sim.rollout(bodies(sim, 2), jnp.zeros(shape))
