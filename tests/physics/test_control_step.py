"""One control step as numbers: outputs that lead back, inputs that do not know where a body stands and faces."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from humanoids.test_address import add_box

from mjxhuman.humanoids.actuated import Actuated, actuated_humanoid
from mjxhuman.math import rotation
from mjxhuman.physics.control_step import ControlStep, Phase, StepEngine
from mjxhuman.physics.coordinates import coordinates
from mjxhuman.physics.engines.base import PhysicsState
from mjxhuman.physics.simulate import make_simulator

COUNT = 6
CTRL = jnp.asarray(np.random.default_rng(1).normal(0, 0.3, (COUNT, 69)), jnp.float32)


@pytest.fixture(scope="module")
def actuated(humanoid) -> Actuated:
    return actuated_humanoid(humanoid)


@pytest.fixture(scope="module")
def step(actuated) -> ControlStep:
    return ControlStep(make_simulator(actuated, "c"))


@pytest.fixture(scope="module")
def before(actuated) -> Phase:
    rng, model = np.random.default_rng(0), actuated.model
    qpos = np.tile(model.qpos0, (COUNT, 1))
    for q in qpos:
        mujoco.mj_integratePos(model, q, rng.normal(0, 0.4, model.nv), 1.0)
    return Phase(jnp.asarray(qpos, jnp.float32), jnp.asarray(rng.normal(0, 1.0, (COUNT, model.nv)), jnp.float32))


@pytest.fixture(scope="module")
def after(step, before) -> Phase:
    sim = step.simulator
    return Phase(*sim.body(sim.advance(sim.init(*before), CTRL)))


def moved(actuated: Actuated, phase: Phase) -> Phase:
    """The same body elsewhere, turned about the vertical."""
    turn = rotation.from_axis_angle(jnp.array([0.0, 0.0, 1.0]), jnp.float32(2.0))
    at = actuated.address.alone
    place = rotation.rotate(turn, phase.qpos[:, at.root_pos]) + jnp.array([3.0, -2.0, 0.0])
    quat = rotation.multiply(turn, phase.qpos[:, at.root_quat])
    linvel = rotation.rotate(turn, phase.qvel[:, at.root_linvel])
    return Phase(
        jnp.concatenate([place, quat, phase.qpos[:, 7:]], -1), jnp.concatenate([linvel, phase.qvel[:, 3:]], -1)
    )


def test_outputs_lead_to_where_the_simulation_went(actuated, step, before, after):
    led = step.apply(before, step.outputs(before, after))
    off = coordinates(actuated.humanoid.model).tangent(after.qpos.T, led.qpos.T)
    np.testing.assert_allclose(off, 0, atol=2e-5)
    np.testing.assert_allclose(led.qvel, after.qvel, atol=2e-5)
    np.testing.assert_allclose(step.difference(led, after), 0, atol=2e-5)
    rest = step.apply(before, jnp.zeros((COUNT, 2 * actuated.model.nv)))
    expected = np.array(before.qpos, float)
    for q, v in zip(expected, np.asarray(before.qvel, float), strict=True):
        mujoco.mj_integratePos(actuated.model, q, v, step.simulator.dt)
    quat = coordinates(actuated.humanoid.model).tangent(expected.T, rest.qpos.T)
    np.testing.assert_allclose(quat, 0, atol=2e-5)


def test_difference_is_what_mujoco_says(actuated, step, before, after):
    found = np.asarray(step.difference(before, after))
    for a, b, row in zip(np.asarray(before.qpos, float), np.asarray(after.qpos, float), found, strict=True):
        tangent = np.empty(actuated.model.nv)
        mujoco.mj_differentiatePos(actuated.model, tangent, 1.0, a, b)
        np.testing.assert_allclose(row[: actuated.model.nv], tangent, atol=2e-5)
    np.testing.assert_allclose(found[:, actuated.model.nv :], after.qvel - before.qvel, atol=1e-6)


def test_place_and_heading_make_no_difference(actuated, step, before, after):
    there, then = moved(actuated, before), moved(actuated, after)
    np.testing.assert_allclose(step.inputs(there, CTRL), step.inputs(before, CTRL), atol=1e-4)
    np.testing.assert_allclose(step.outputs(there, then), step.outputs(before, after), atol=1e-4)
    led = step.apply(there, step.outputs(before, after))
    np.testing.assert_allclose(step.difference(led, then), 0, atol=1e-4)


def test_contact_points_are_mujocos(actuated, step, before):
    """Heights and velocities of the spheres paired with the floor, against mj_forward and mj_objectVelocity."""
    model, data = actuated.model, mujoco.MjData(actuated.model)
    floor = int(np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)[0])
    pairs = zip(model.pair_geom1, model.pair_geom2, strict=True)
    geoms = [int(b if a == floor else a) for a, b in pairs if floor in (a, b)]
    inputs, some = np.asarray(step.inputs(before, CTRL)), 0
    count = len(geoms)
    height, touch = inputs[:, -5 * count : -4 * count], inputs[:, -4 * count : -3 * count]
    for i in range(COUNT):
        data.qpos[:], data.qvel[:] = before.qpos[i], before.qvel[i]
        mujoco.mj_forward(model, data)
        expected = data.geom_xpos[geoms, 2] - model.geom_size[geoms, 0]
        np.testing.assert_allclose(height[i], np.clip(expected / 0.3, -1, 1), atol=1e-4)
        np.testing.assert_allclose(touch[i], 1 / (1 + np.exp(expected / 0.01)), atol=1e-3)
        near = expected < 0.0
        some += near.sum()
        speed = np.array([_velocity(model, data, geom) for geom in geoms])
        seen = np.linalg.norm(inputs[i, -3 * count :].reshape(count, 3), axis=1)
        share = 1 / (1 + np.exp((expected - 0.03) / 0.02))
        np.testing.assert_allclose(seen[near], (np.linalg.norm(speed, axis=1) * share)[near], rtol=1e-3, atol=1e-3)
    assert some > 5


def _velocity(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> np.ndarray:
    found = np.empty(6)
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_GEOM, geom, found, 0)
    return found[3:]


def test_slopes_are_finite_where_nothing_moves(actuated, step):
    rest = Phase(jnp.asarray(actuated.model.qpos0, jnp.float32)[None], jnp.zeros((1, actuated.model.nv)))

    def total(phase: Phase, ctrl: jax.Array) -> jax.Array:
        seen = step.inputs(phase, ctrl)
        led = step.apply(phase, seen[..., : 2 * actuated.model.nv])
        return sum(jnp.sum(x) for x in led)

    for slope in jax.tree.leaves(jax.grad(total, (0, 1))(rest, jnp.zeros((1, 69)))):
        assert np.all(np.isfinite(slope))


def test_objects_and_bodies_without_a_floor_are_refused(actuated, humanoid):
    boxed = actuated_humanoid(humanoid, scene=add_box)
    with pytest.raises(ValueError, match=r"expected the body alone, nq 99, found nq 106 with objects"):
        ControlStep(make_simulator(boxed, "c"))
    afloat = dataclasses.replace(make_simulator(actuated, "c"))
    spec = mujoco.MjSpec.from_string(
        "<mujoco><worldbody><body><freejoint/><geom size='1'/></body></worldbody></mujoco>"
    )
    bare = dataclasses.replace(actuated, model=spec.compile())
    with pytest.raises(ValueError, match="expected"):
        ControlStep(dataclasses.replace(afloat, actuated=bare))


def test_a_function_as_an_engine_is_called_step_by_step(before):
    engine = StepEngine(lambda phase, ctrl: Phase(phase.qpos + 1.0, phase.qvel + ctrl[:, :1]))
    state = PhysicsState(*before, jnp.ones_like(before.qvel))
    ctrl = jnp.stack([CTRL, 2 * CTRL], 1)
    states = engine.rollout(jnp.zeros(COUNT, int), state, ctrl)
    np.testing.assert_allclose(states.qpos[:, 1], before.qpos + 2.0, rtol=1e-6)
    np.testing.assert_allclose(states.qvel[:, 1], before.qvel + 3 * CTRL[:, :1], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(states.warmstart[:, 0], state.warmstart)
