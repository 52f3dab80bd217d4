"""Reward, failure and success of tracking a reference motion, as PHC defines them.

Everything is a function of body states: one simulator step ``(*b, J, ...)`` against the reference at the same time.
J is 24 for SMPL's topology; which bodies count for what is in the body's record (``humanoids.registry``), and defaults
here are SMPL's.
Parity with ``ZhengyiLuo/PHC`` (``phc/env/tasks/humanoid_im.py``, ``phc/learning/im_amp.py``) is tested.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
from jaxtyping import Bool, Float, Real

from mjxhuman.humanoids.registry import SMPL
from mjxhuman.types import Array, BodyState

#: Names of SMPL's 24 bodies in MuJoCo order, the world left out; PHC's order.
BODIES = SMPL.tracked
#: Those whose distance to the reference ends an episode: all but ankles and toes (20).
RESET_BODIES = SMPL.rows(SMPL.reset)
#: Those over which success is judged: all but toes and hands (20).
EVAL_BODIES = SMPL.rows(SMPL.evaluated)
#: m; a clip counts as failed where the mean distance of the ``EVAL_BODIES`` exceeds this in any frame.
FAILURE_DISTANCE = 0.5
#: Steps after a reset in which a reward for power would judge the reset, not the policy.
POWER_GRACE_STEPS = 3


@dataclasses.dataclass(frozen=True)
class ImitationReward:
    """Weights and kernel scales of PHC's imitation reward (PHC ``env_im.yaml``, ``reward_specs``)."""

    w_pos: float = 0.5
    w_rot: float = 0.3
    w_vel: float = 0.1
    w_angvel: float = 0.1
    k_pos: float = 100.0  # 1/m^2
    k_rot: float = 10.0  # 1/rad^2
    k_vel: float = 0.1  # s^2/m^2
    k_angvel: float = 0.1  # s^2/rad^2


def imitation_reward(
    state: BodyState, reference: BodyState, config: ImitationReward = ImitationReward()
) -> tuple[Float[Array, "*b"], dict[str, Float[Array, "*b"]]]:
    """``sum_i w_i exp(-k_i e_i)`` in 0..1, and its four kernels.

    Errors are means of squares: of position, velocity and angular velocity over bodies *and* coordinates (which makes
    the kernels three times softer than squared distances would), of the rotation angle over bodies.

    Returns:
      the reward and ``{"pos", "rot", "vel", "angvel"}``, each in 0..1 before its weight.
    """
    c = config
    terms = {
        "pos": jnp.exp(-c.k_pos * _mean_square(reference.pos - state.pos)),
        "rot": jnp.exp(-c.k_rot * jnp.mean(jnp.square(rotation_distance(reference.rot, state.rot)), -1)),
        "vel": jnp.exp(-c.k_vel * _mean_square(reference.vel - state.vel)),
        "angvel": jnp.exp(-c.k_angvel * _mean_square(reference.angvel - state.angvel)),
    }
    total = c.w_pos * terms["pos"] + c.w_rot * terms["rot"] + c.w_vel * terms["vel"] + c.w_angvel * terms["angvel"]
    return total, terms


def _mean_square(x: Array) -> Array:
    return jnp.mean(jnp.square(x), (-2, -1))


def rotation_distance(p: Float[Array, "*b 4"], q: Float[Array, "*b 4"]) -> Float[Array, "*b"]:
    """Angle in [0, pi] between the rotations of unit quaternions, wxyz; well conditioned everywhere."""
    pw, px, py, pz = (p[..., i] for i in range(4))
    qw, qx, qy, qz = (q[..., i] for i in range(4))
    w = pw * qw + px * qx + py * qy + pz * qz
    x = px * qw - pw * qx + pz * qy - py * qz
    y = py * qw - pw * qy + px * qz - pz * qx
    z = pz * qw - pw * qz + py * qx - px * qy
    square = x * x + y * y + z * z
    zero = square < 1e-24  # the root has no derivative there
    return 2.0 * jnp.arctan2(jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, square))), jnp.abs(w))


def power_penalty(
    torque: Float[Array, "*b nu"], joint_vel: Float[Array, "*b nu"], step: Real[Array, "*b"], coefficient: float = 5e-4
) -> Float[Array, "*b"]:
    """``-coefficient * sum |torque * velocity|``, zero in the first steps after a reset.

    Args:
      torque: N m.
      joint_vel: rad/s, same order.
      step: control steps since the reset.
      coefficient: per W. PHC: 5e-4; 5e-5 when it tunes its composer.
    """
    power = jnp.sum(jnp.abs(torque * joint_vel), -1)
    return jnp.where(step <= POWER_GRACE_STEPS, 0.0, -coefficient * power)


def body_distance(
    pos: Float[Array, "*b J 3"], ref_pos: Float[Array, "*b J 3"], bodies: tuple[int, ...] = EVAL_BODIES
) -> Float[Array, "*b K"]:
    """Distance in m of each of the K ``bodies`` to its reference."""
    delta = (pos - ref_pos)[..., jnp.asarray(bodies), :]
    return jnp.sqrt(jnp.sum(jnp.square(delta), -1))


def has_lost_reference(
    pos: Float[Array, "*b J 3"],
    ref_pos: Float[Array, "*b J 3"],
    step: Real[Array, "*b"],
    *,
    distance: float = 0.25,
    use_mean: bool = False,
    bodies: tuple[int, ...] = RESET_BODIES,
) -> Bool[Array, "*b"]:
    """Early termination: a body, or with ``use_mean`` the mean of all, is farther off than ``distance``.

    Never in the first step after a reset (``step <= 1``). PHC trains with 0.25 m and any body, and evaluates with the
    mean (``has_failed``).
    """
    off = body_distance(pos, ref_pos, bodies)
    lost = jnp.mean(off, -1) > distance if use_mean else jnp.any(off > distance, -1)
    return lost & (step > 1)


def has_failed(
    pos: Float[Array, "*b J 3"], ref_pos: Float[Array, "*b J 3"], bodies: tuple[int, ...] = EVAL_BODIES
) -> Bool[Array, "*b"]:
    """PHC's failure criterion of evaluation, per frame: mean distance of ``bodies`` above 0.5 m.

    A clip is a success if no frame fails.
    """
    return jnp.mean(body_distance(pos, ref_pos, bodies), -1) > FAILURE_DISTANCE
