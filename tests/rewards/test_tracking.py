"""The imitation reward and the failure criteria against PHC's own."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.rewards import tracking
from mjxhuman.rewards.tracking import BodyState


def wxyz(q: np.ndarray) -> jnp.ndarray:
    return jnp.asarray(q[..., [3, 0, 1, 2]])


@pytest.fixture(scope="module")
def golden(shared):
    folder = shared / "data" / "golden" / "phc_observations"
    return {name: dict(np.load(folder / f"{name}.npz")) for name in ("inputs", "outputs")}


def body_state(inputs: dict, prefix: str) -> BodyState:
    pos, rot, vel, angvel = (inputs[f"{prefix}{k}"] for k in ("pos", "rot", "vel", "ang_vel"))
    return BodyState(jnp.asarray(pos), wxyz(rot), jnp.asarray(vel), jnp.asarray(angvel))


def test_imitation_reward(golden):
    inputs, outputs = golden["inputs"], golden["outputs"]
    state, reference = body_state(inputs, "body_"), body_state(inputs, "rwd_ref_body_")
    total, terms = jax.jit(tracking.imitation_reward)(state, reference)
    np.testing.assert_allclose(total, outputs["im_reward"], atol=1e-5)
    raw = np.stack([terms[k] for k in ("pos", "rot", "vel", "angvel")], -1)
    np.testing.assert_allclose(raw, outputs["im_reward_raw"], atol=1e-5)
    np.testing.assert_allclose(total[:4], 1.0, atol=1e-5)  # the first four are their own reference
    assert total[-1] < 0.1


def test_power(golden):
    inputs, outputs = golden["inputs"], golden["outputs"]
    late = jnp.full(64, 4)  # PHC: from the fourth step on
    found = tracking.power_penalty(jnp.asarray(inputs["torque"]), jnp.asarray(inputs["dof_vel"]), late)
    np.testing.assert_allclose(found, outputs["power_reward_0p0005"], rtol=2e-6)
    np.testing.assert_array_equal(tracking.power_penalty(inputs["torque"], inputs["dof_vel"], late - 1), 0.0)


@pytest.mark.parametrize("use_mean", [True, False])
@pytest.mark.parametrize("distance", [0.25, 0.5])
def test_termination(golden, use_mean, distance):
    inputs, outputs = golden["inputs"], golden["outputs"]
    assert np.array_equal(tracking.RESET_BODIES, inputs["reset_body_ids"])
    found = tracking.has_lost_reference(
        jnp.asarray(inputs["body_pos"]),
        jnp.asarray(inputs["reset_ref_body_pos"]),
        jnp.asarray(inputs["reset_progress"]),
        distance=distance,
        use_mean=use_mean,
    )
    expected = outputs[f"terminated_mean{int(use_mean)}_d{distance:g}"].astype(bool)
    np.testing.assert_array_equal(found, expected)
    assert expected.any() == (not use_mean or distance < 0.5) and not expected.all()
    reset = outputs[f"reset_mean{int(use_mean)}_d{distance:g}"].astype(bool)
    np.testing.assert_array_equal(np.asarray(found) | inputs["reset_pass_time"], reset)


def test_failure_is_the_mean_over_all_but_toes_and_hands():
    pos = jnp.zeros((3, 24, 3))
    ends = [i for i, name in enumerate(tracking.BODIES) if name.endswith(("_Toe", "_Hand"))]
    assert len(ends) == 4 and sorted((*ends, *tracking.EVAL_BODIES)) == list(range(24))
    other = pos.at[0, ends].set(9.0)  # not judged
    other = other.at[1, 0, 0].set(20 * 0.5 - 1e-3)  # one body carries the whole mean, just within
    other = other.at[2, 0, 0].set(20 * 0.5 + 1e-3)
    np.testing.assert_array_equal(tracking.has_failed(other, pos), [False, False, True])


def test_rotation_distance(x64):
    axis = np.array([0.48, -0.6, 0.64])
    angles = np.array([0.0, 1e-9, 1e-4, 1.0, np.pi - 1e-6, np.pi])
    q = jnp.asarray(np.concatenate([np.cos(angles / 2)[:, None], np.sin(angles / 2)[:, None] * axis], -1))
    one = jnp.broadcast_to(jnp.array([1.0, 0, 0, 0]), q.shape)
    np.testing.assert_allclose(tracking.rotation_distance(q, one), angles, atol=1e-12)
    np.testing.assert_allclose(tracking.rotation_distance(one, -q), angles, atol=1e-12)


def test_gradients_are_finite_on_the_reference():
    rot = jnp.broadcast_to(jnp.array([1.0, 0, 0, 0]), (2, 24, 4))
    state = BodyState(jnp.zeros((2, 24, 3)), rot, jnp.zeros((2, 24, 3)), jnp.zeros((2, 24, 3)))
    gradient = jax.grad(lambda s: jnp.sum(tracking.imitation_reward(s, state)[0]))(state)
    for x in jax.tree.leaves(gradient):
        assert np.all(np.isfinite(x))
