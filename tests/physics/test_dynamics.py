"""Kinematics and inverse dynamics against C MuJoCo, on states that are not at rest."""

from __future__ import annotations

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mjxhuman.physics import dynamics, kinematics
from mjxhuman.physics.arrays import cross
from mjxhuman.physics.tree import make_tree

pytestmark = pytest.mark.compiled

COUNT = 200


@functools.partial(jax.jit, static_argnums=0)
def everything(tree, params, qpos, qvel, qacc):
    """All public functions in one program, frames first."""
    qpos, qvel, qacc = qpos.T, qvel.T, qacc.T
    poses = kinematics.poses(tree, params, qpos)
    vel = kinematics.velocities(tree, params, poses, qvel)
    wrenches = dynamics.body_wrenches(tree, params, poses, vel, qvel, qacc)
    linear, angular = kinematics.momentum(tree, params, poses, vel)
    found = {
        "force": dynamics.generalized_forces(tree, params, poses, wrenches, qacc),
        "product": dynamics.mass_matrix_product(tree, params, poses, qacc),
        "pos": poses.pos,
        "quat": poses.quat,
        "angvel": vel[0],
        "linvel": vel[1],
        "com": kinematics.centre_of_mass(tree, params, poses),
        "momentum": linear,
        "angular": angular,
        "moment": dynamics.joint_moments(tree, params, poses, wrenches),
        "external_force": jnp.sum(wrenches.force, 0),
        "external_torque": jnp.sum(wrenches.torque, 0),
        "com_acc": dynamics.com_acceleration(params, wrenches),
    }
    return jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), found)


def solve(model: mujoco.MjModel, states, dtype) -> dict[str, np.ndarray]:
    with jax.enable_x64(dtype == np.float64):
        tree, params = make_tree(model, dtype)
        found = everything(tree, params, *(x.astype(dtype) for x in states))
        assert found["force"].dtype == dtype
        return {name: np.asarray(x) for name, x in found.items()}


MODELS = ["mixed_model", "hinge_model", "ball_model", "g1_model"]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 3e-6)], ids=["f64", "f32"])
def test_parity_with_mujoco(name: str, dtype, tolerance: float, request, states, ask) -> None:
    model = request.getfixturevalue(name)
    given = states(model, COUNT)
    answers = ask(model, given)
    found = solve(model, given, dtype)
    for field in answers._fields:
        want = getattr(answers, field)
        np.testing.assert_allclose(found[field], want, rtol=0, atol=tolerance * np.abs(want).max(), err_msg=field)


def test_golden_inverse_dynamics(shared: Path, hinge_model: mujoco.MjModel) -> None:
    golden = np.load(shared / "data/golden/inverse_dynamics/free.npz")
    given = [golden[name] for name in ("qpos", "qvel", "qacc")]
    double = solve(hinge_model, given, np.float64)
    for field, want in (("force", golden["force"]), ("product", golden["M_qacc"])):
        scale = np.abs(golden["force"]).max(-1, keepdims=True)
        np.testing.assert_array_less(np.abs(double[field] - want) / scale, 1e-9, err_msg=field)
    np.testing.assert_allclose(double["pos"], golden["xpos"], atol=1e-12)
    np.testing.assert_allclose(double["com"], golden["subtree_com"], atol=1e-12)
    np.testing.assert_allclose(double["quat"], golden["xquat"], atol=1e-6)
    np.testing.assert_allclose(double["angvel"], golden["body_velocity"][..., :3], atol=1e-5)
    np.testing.assert_allclose(double["linvel"], golden["body_velocity"][..., 3:], atol=1e-5)

    single = solve(hinge_model, given, np.float32)
    per_dof = np.abs(golden["force"]).max(0)
    np.testing.assert_array_less(np.abs(single["force"] - golden["force"]) / per_dof, 1e-5)
    np.testing.assert_allclose(single["pos"], golden["xpos"], atol=1e-5)


def test_golden_mass_matrix(shared: Path, hinge_model: mujoco.MjModel, x64: None) -> None:
    golden = np.load(shared / "data/golden/inverse_dynamics/free.npz")
    tree, params = make_tree(hinge_model, np.float64)

    @jax.jit
    def matrix(qpos):
        columns = jnp.broadcast_to(qpos[:, None], (tree.nq, tree.nv))
        poses = kinematics.poses(tree, params, columns)
        return dynamics.mass_matrix_product(tree, params, poses, jnp.eye(tree.nv))

    for qpos, want in zip(golden["qpos"], golden["mass_matrix"], strict=False):
        np.testing.assert_allclose(matrix(qpos), want, atol=1e-12 * np.abs(want).max())


def test_sums_and_moments_agree_with_generalized_forces(ball_model: mujoco.MjModel, states, x64: None) -> None:
    given = states(ball_model, COUNT)
    found = solve(ball_model, given, np.float64)
    force = found["force"]
    scale = np.abs(force).max()
    np.testing.assert_allclose(found["external_force"], force[:, :3], atol=1e-12 * scale)
    np.testing.assert_allclose(found["moment"][:, 1], force[:, 3:6], atol=1e-12 * scale)
    rotor = 0.01 * given.qacc[:, 6:]
    np.testing.assert_allclose(found["moment"][:, 2:].reshape(COUNT, -1), force[:, 6:] - rotor, atol=1e-12 * scale)
    weight = ball_model.body_mass.sum() * ball_model.opt.gravity
    np.testing.assert_allclose(
        found["com_acc"] * ball_model.body_mass.sum(), found["external_force"] + weight, atol=1e-9
    )


def test_contact_forces_enter_between_the_steps(small_model: mujoco.MjModel, states, x64: None) -> None:
    """A force at a point of the foot changes the joint forces by its Jacobian's transpose."""
    tree, params = make_tree(small_model, np.float64)
    given = states(small_model, 3)
    local, push = np.array([0.1, 0.02, -0.03]), np.array([30.0, -20.0, 500.0])
    foot = small_model.nbody - 1
    points, change = [], []
    data = mujoco.MjData(small_model)
    for qpos in given.qpos:
        data.qpos[:] = qpos
        mujoco.mj_kinematics(small_model, data)
        mujoco.mj_comPos(small_model, data)
        points.append(data.xpos[foot] + data.xmat[foot].reshape(3, 3) @ local)
        jacobian = np.zeros((3, small_model.nv))
        mujoco.mj_jac(small_model, data, jacobian, None, points[-1], foot)
        change.append(jacobian.T @ push)

    @jax.jit
    def forces(qpos, qvel, qacc, point):
        poses = kinematics.poses(tree, params, qpos)
        vel = kinematics.velocities(tree, params, poses, qvel)
        wrenches = dynamics.body_wrenches(tree, params, poses, vel, qvel, qacc)
        moment = cross((point - wrenches.origin)[None], jnp.asarray(push)[None, :, None])[0]
        loaded = wrenches._replace(
            force=wrenches.force.at[foot].add(-push[:, None]), torque=wrenches.torque.at[foot].add(-moment)
        )
        return [dynamics.generalized_forces(tree, params, poses, w, qacc).T for w in (wrenches, loaded)]

    free, held = forces(*(x.T for x in given), np.array(points).T)
    np.testing.assert_allclose(held, free - np.array(change), atol=1e-10)


def test_accuracy_does_not_fade_far_from_the_origin(small_model: mujoco.MjModel, states, ask) -> None:
    given = states(small_model, COUNT)
    given.qpos[:, :2] += 1000.0
    want = ask(small_model, given).force
    found = solve(small_model, given, np.float32)["force"]
    np.testing.assert_allclose(found, want, atol=3e-6 * np.abs(want).max())


def test_a_zero_quaternion_is_the_identity_as_in_mujoco(small_model: mujoco.MjModel, states, ask) -> None:
    given = states(small_model, COUNT)
    given.qpos[:, 3:7] = 0
    given.qpos[:, 7:11] = 0
    want = ask(small_model, given)
    found = solve(small_model, given, np.float32)
    np.testing.assert_allclose(found["quat"], want.quat, atol=1e-6)
    np.testing.assert_allclose(found["force"], want.force, atol=3e-6 * np.abs(want.force).max())
