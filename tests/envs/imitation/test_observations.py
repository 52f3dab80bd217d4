"""Observation sets against PHC's own, and their symmetries."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.envs.imitation import observations
from mjxhuman.math import rotation
from mjxhuman.rewards.tracking import BodyState

pytestmark = pytest.mark.compiled


def wxyz(q: np.ndarray) -> jnp.ndarray:
    return jnp.asarray(q[..., [3, 0, 1, 2]])


@pytest.fixture(scope="module")
def golden(shared):
    folder = shared / "data" / "golden" / "phc_observations"
    return {name: dict(np.load(folder / f"{name}.npz")) for name in ("inputs", "outputs", "quaternions")}


def body_state(inputs: dict, prefix: str = "body_", suffix: str = "") -> BodyState:
    pos, rot, vel, angvel = (inputs[f"{prefix}{k}{suffix}"] for k in ("pos", "rot", "vel", "ang_vel"))
    return BodyState(jnp.asarray(pos), wxyz(rot), jnp.asarray(vel), jnp.asarray(angvel))


def random_state(rng: np.random.Generator, batch: int = 5) -> BodyState:
    rot = rng.normal(size=(batch, 24, 4))
    return BodyState(
        jnp.asarray(rng.normal(size=(batch, 24, 3))),
        jnp.asarray(rot / np.linalg.norm(rot, axis=-1, keepdims=True)),
        jnp.asarray(rng.normal(size=(batch, 24, 3))),
        jnp.asarray(rng.normal(size=(batch, 24, 3))),
    )


def random_joints(rng: np.random.Generator, batch: int = 5) -> jnp.ndarray:
    return jnp.asarray(rng.normal(size=(batch, 69)))


def close(found, expected, velocities: slice | None = None):
    """2e-5 everywhere, 1e-4 on velocities."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    tolerance = np.full(found.shape[-1], 2e-5)
    if velocities is not None:
        tolerance[velocities] = 1e-4
    assert np.all(np.abs(found - expected) <= tolerance), np.abs(found - expected).max()


def test_proprioception(golden):
    found = observations.proprioception(body_state(golden["inputs"]))
    assert found.shape == (64, observations.PROPRIOCEPTION_SIZE)
    close(found, golden["outputs"]["self_obs_smpl_max__up_local1_height1"], slice(214, None))
    close(found[:, 1:], golden["outputs"]["self_obs_smpl_max__up_local1_height0"], slice(213, None))


@pytest.mark.parametrize("steps", [1, 3])
def test_task(golden, steps):
    state = jax.tree.map(lambda x: x[:, None], body_state(golden["inputs"]))
    reference = body_state(golden["inputs"], "ref_body_", f"_T{steps}")
    found = observations.imitation_task(state, reference)
    assert found.shape == (64, steps, observations.TASK_SIZE)
    expected = golden["outputs"][f"im_obs_v6_T{steps}__up"].reshape(64, steps, -1)
    close(found, expected, slice(216, 360))
    found = observations.keypoint_task(state, reference)
    assert found.shape == (64, steps, observations.KEYPOINT_TASK_SIZE)
    close(found, golden["outputs"][f"im_obs_v7_T{steps}__up"].reshape(64, steps, -1), slice(72, 144))


def test_amp(golden):
    inputs, outputs = golden["inputs"], golden["outputs"]
    state, joints = body_state(inputs), (jnp.asarray(inputs["dof_pos"]), jnp.asarray(inputs["dof_vel"]))
    assert np.array_equal(observations.AMP_KEY_BODIES, inputs["key_body_ids"])
    assert np.array_equal(np.add.outer(3 * np.array(observations.AMP_JOINTS), range(3)).ravel(), inputs["dof_subset"])
    found = observations.amp(state, *joints)
    assert found.shape == (64, observations.AMP_SIZE)
    close(found, outputs["amp_obs_smpl__up"], slice(7, 13))
    close(
        observations.amp(state, *joints, joints=tuple(range(23))),
        outputs["self_obs_smpl__up_local1_height1"],
        slice(7, 13),
    )


def test_quaternions(golden):
    g = golden["quaternions"]
    a = wxyz(g["in_a"])
    for name, function in (
        ("calc_heading_quat", observations.heading_quat),
        ("calc_heading_quat_inv", observations.heading_quat_inverse),
        ("remove_base_rot", observations.upright),
    ):
        np.testing.assert_allclose(function(a), wxyz(g[name]), atol=2e-5, err_msg=name)
    np.testing.assert_allclose(observations.tan_norm(a), g["quat_to_tan_norm"], atol=2e-5)
    cosine, sine = observations.heading(a)
    np.testing.assert_allclose(jnp.arctan2(sine, cosine), g["calc_heading"], atol=2e-5)


def test_upright_frames_of_any_humanoid(x64):
    """q_body = q_smpl * smpl_frame: bodies have one upright frame in every model."""
    q = random_state(np.random.default_rng(3)).rot
    frame = rotation.normalize(jnp.array([0.3, -0.4, 0.1, 0.9]))
    plain = observations.upright(q)
    np.testing.assert_allclose(observations.upright(rotation.multiply(q, frame), frame), plain, atol=1e-12)
    np.testing.assert_allclose(observations.upright(jnp.full(4, 0.5)), [1, 0, 0, 0], atol=1e-12)


def every_observation(state, reference, joint_rotvec, joint_vel, ref_joint_rotvec):
    return {
        "proprioception": observations.proprioception(state),
        "imitation_task": observations.imitation_task(state, reference),
        "keypoint_task": observations.keypoint_task(state, reference),
        "amp": observations.amp(state, joint_rotvec, joint_vel),
        "compact": observations.compact(state, joint_rotvec, joint_vel, reference, ref_joint_rotvec),
    }


def test_turning_and_moving_the_scene_changes_nothing(x64):
    rng = np.random.default_rng(0)
    state, reference = random_state(rng), random_state(rng)
    joints = [random_joints(rng) for _ in range(3)]
    yaw = rotation.from_axis_angle(jnp.array([0.0, 0.0, 1.0]), 2.1)

    def moved(s: BodyState) -> BodyState:
        rotate = lambda v: rotation.rotate(yaw[None, None], v)  # noqa: E731
        shift = jnp.array([3.0, -7.0, 0.0])
        return BodyState(
            rotate(s.pos) + shift, rotation.multiply(yaw[None, None], s.rot), rotate(s.vel), rotate(s.angvel)
        )

    before = every_observation(state, reference, *joints)
    after = every_observation(moved(state), moved(reference), *joints)
    for name in before:
        np.testing.assert_allclose(before[name], after[name], atol=1e-9, err_msg=name)
    assert before["compact"].shape == (5, observations.COMPACT_SIZE)


def test_a_body_on_its_reference_sees_no_difference(x64):
    rng = np.random.default_rng(1)
    state, joint = random_state(rng), random_joints(rng)
    task = observations.imitation_task(state, state)
    identity = np.tile([1.0, 0, 0, 0, 0, 1.0], 24)
    np.testing.assert_allclose(task[:, :72], 0.0, atol=1e-12)
    np.testing.assert_allclose(task[:, 72:216], np.tile(identity, (5, 1)), atol=1e-12)
    np.testing.assert_allclose(task[:, 216:360], 0.0, atol=1e-12)
    np.testing.assert_allclose(task[:, 363:432], observations.proprioception(state)[:, 1:70], atol=1e-12)
    np.testing.assert_allclose(task[:, 432:], observations.proprioception(state)[:, 70:214], atol=1e-12)
    small = observations.compact(state, joint, joint, state, joint)
    np.testing.assert_allclose(small[:, 151:], 0.0, atol=1e-12)


def test_compact_holds_the_differences_it_names(x64):
    """A root turned by a known rotation vector and moved bodies show up in their places, in the heading frame."""
    rng = np.random.default_rng(2)
    state, joint = random_state(rng, 1), random_joints(rng, 1)
    inverse = observations.heading_quat_inverse(state.rot[:, 0])
    turn, shift = jnp.array([[0.3, -0.2, 0.5]]), jnp.asarray(rng.normal(size=(1, 24, 3)))
    rot = state.rot.at[:, 0].set(rotation.multiply(rotation.exp(turn), state.rot[:, 0]))
    reference = BodyState(state.pos + shift, -rot, state.vel + 2 * shift, state.angvel - shift)
    found = observations.compact(state, joint, 10 * joint, reference, joint + 0.25)
    local = lambda v: np.asarray(rotation.rotate(inverse[:, None], v))  # noqa: E731
    np.testing.assert_allclose(found[:, 13:82], joint)
    np.testing.assert_allclose(found[:, 82:151], joint)
    np.testing.assert_allclose(found[:, 151:220], 0.25)
    np.testing.assert_allclose(found[:, 220:223], local(turn[:, None])[:, 0], atol=1e-12)
    np.testing.assert_allclose(found[:, 223:226], 2 * local(shift)[:, 0], atol=1e-12)
    np.testing.assert_allclose(found[:, 226:229], -local(shift)[:, 0], atol=1e-12)
    np.testing.assert_allclose(found[:, 229:232], local(shift)[:, 0], atol=1e-12)
    key = np.array(observations.COMPACT_KEY_BODIES)
    np.testing.assert_allclose(found[:, 232:], local(shift)[:, key].reshape(1, -1), atol=1e-12)


def test_gradients_are_finite_at_singular_poses():
    """Identity rotations, a root on its reference, and a root whose x axis is vertical."""
    still = BodyState(*(jnp.zeros((3, 24, n)) for n in (3, 4, 3, 3)))
    vertical = jnp.array([2**-0.5, 0.0, -(2**-0.5), 0.0])
    rot = jnp.broadcast_to(jnp.array([1.0, 0, 0, 0]), (3, 24, 4)).at[1, 0].set(vertical).at[2, 0].set(-vertical)
    state, joint = still._replace(rot=rot), jnp.zeros((3, 69))

    def total(s, q):
        return sum(jnp.sum(x) for x in every_observation(s, state, q, q, joint).values())

    for x in jax.tree.leaves(jax.grad(total, argnums=(0, 1))(state, joint)):
        assert np.all(np.isfinite(x))
