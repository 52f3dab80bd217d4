"""The MuJoCo part ("v3") of the published PhyMotion reward, bug for bug: its contact and dynamic axes.

After ``score_trajectory`` in ``astrolabe/scorers/video/smpl_feasibility.py`` of the repository h6kplus/PhyMotion,
commit 78f9544. Arrays: components first, time last, see ``time``. What the formulas get wrong is kept: the
root never turns (its angular velocity is 0), Euler angles jump by 2 pi, the ground reaction acts at the pelvis, the
floor is the lowest origin of a foot body over the clip, foot contact needs the stillness that slip would measure, and
balance enters both axes.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from mjxhuman.math.polygon import hull_distance
from mjxhuman.rewards.phymotion.time import Clip, backward_difference, central_accelerations, mean, norm, total

#: Bodies whose origins stand for the feet, in the order of the arrays below.
FOOT_BODIES = ("L_Ankle", "L_Toe", "R_Ankle", "R_Toe")
#: N m per hinge, by the body's name without its side.
TORQUE_LIMITS = {
    "Hip": 400.0, "Knee": 300.0, "Ankle": 200.0, "Toe": 100.0, "Torso": 200.0, "Spine": 200.0, "Chest": 200.0,
    "Neck": 100.0, "Head": 100.0, "Thorax": 150.0, "Shoulder": 150.0, "Elbow": 100.0, "Wrist": 50.0, "Hand": 30.0,
}  # fmt: skip
DEFAULT_TORQUE_LIMIT = 100.0
CONTACT_HEIGHT, CONTACT_SPEED = 0.02, 0.05  # m, m/s
RATIO_LOW, RATIO_HIGH = 0.6, 1.75  # speed of a foot relative to the root, by the root's speed
SLIP_RANGE, PENETRATION_RANGE, BALANCE_RANGE = 0.05, 0.05, 0.5  # m
MAX_VERTICAL, MAX_HORIZONTAL = 3.0, 0.5  # body weights
WORK_RANGE = 10000.0  # J
NO_SUPPORT = 1.0  # m, distance that stands for a frame without contact


class Contact(NamedTuple):
    """Contact axis and what it is made of."""

    score: Array  # (*b) 0..1
    v_slip: Array  # (*b)
    v_pen: Array  # (*b)
    v_float: Array  # (*b)
    v_bal: Array  # (*b)
    foot_speed: Array  # (4, *b, T) m/s
    touching: Array  # (4, *b, T) bool
    slip: Array  # (4, *b, T) m
    penetration: Array  # (4, *b, T) m
    ratio: Array  # (4, *b, T) speed relative to the root by the root's speed
    floating: Array  # (4, *b, T) bool
    support_distance: Array  # (*b, T) m


class Dynamic(NamedTuple):
    """Dynamic axis and what it is made of."""

    score: Array  # (*b) 0..1
    s_tau: Array  # (*b)
    s_grf: Array  # (*b)
    s_met: Array  # (*b)
    s_bal: Array  # (*b)
    met: Array  # (*b) J
    v_grf_vert: Array  # (*b) fraction of frames
    v_grf_horiz: Array  # (*b) fraction of frames
    v_tau: Array  # (H, *b) fraction of frames per hinge
    over_torque: Array  # (H, *b, T) bool
    over_vertical: Array  # (*b, T) bool
    over_horizontal: Array  # (*b, T) bool
    work: Array  # (*b, T) J


def velocities(qpos: Array, clip: Clip) -> tuple[Array, Array]:
    """qvel and qacc (6 + H, *b, T) of a free root and H hinges, qpos (7 + H, *b, T), as the released code takes them.

    Backward differences of the position and of the hinge angles without unwrapping, 0 at frame 0; the root's angular
    velocity is 0; accelerations are central differences of these, end frames copied.
    """
    linear, hinges = backward_difference(qpos[:3], clip), backward_difference(qpos[7:], clip)
    qvel = jnp.concatenate([linear, jnp.zeros_like(linear), hinges])
    return qvel, central_accelerations(qvel, clip)


def contact(feet: Array, root: Array, com: Array, clip: Clip) -> Contact:
    """Contact axis.

    Args:
        feet: (4, 3, *b, T) m, origins of ``FOOT_BODIES`` above the lowest of them in the clip.
        root: (3, *b, T) m, position of the root.
        com: (3, *b, T) m, centre of mass.
        clip: which frames count.
    """
    height = feet[:, 2]
    foot_velocity, root_velocity = backward_difference(feet, clip), backward_difference(root, clip)
    foot_speed = norm(foot_velocity, axis=1)
    touching = (height < CONTACT_HEIGHT) & (foot_speed < CONTACT_SPEED)

    slip = jnp.where(touching, foot_speed, 0.0) / clip.rate
    penetration = jnp.maximum(-height, 0.0)
    # four bodies are summed, and two divided by
    v_slip = jnp.clip(total(jnp.sum(slip, axis=0), clip) / (2.0 * clip.length) / SLIP_RANGE, 0.0, 1.0)
    v_pen = jnp.clip(total(jnp.sum(penetration, axis=0), clip) / (2.0 * clip.length) / PENETRATION_RANGE, 0.0, 1.0)

    ratio = norm(foot_velocity - root_velocity, axis=1) / (norm(root_velocity, axis=0) + 1e-6)
    floating = (ratio < RATIO_LOW) | (ratio > RATIO_HIGH)
    v_float = jnp.mean(mean(floating, clip), axis=0)

    distance = support_distance(com[:2], feet[:, :2], touching)
    v_bal = mean(jnp.clip(distance, 0.0, BALANCE_RANGE) / BALANCE_RANGE, clip)
    score = jnp.clip(1.0 - 0.25 * (v_slip + v_pen + v_float + v_bal), 0.0, 1.0)
    return Contact(
        score, v_slip, v_pen, v_float, v_bal, foot_speed, touching, slip, penetration, ratio, floating, distance
    )


def support_distance(point: Array, feet: Array, touching: Array) -> Array:
    """Distance (...) from ``point`` (2, ...) to the hull of the touching ``feet`` (K, 2, ...); 1 m where none touches.

    Three or more feet in one place, or in a line that goes exactly through the point, count as supporting it.
    """
    distance = hull_distance(point, feet, touching, axis=0, empty=NO_SUPPORT)
    x, y = feet[:, 0], feet[:, 1]
    cross = (x[None] - x[:, None]) * (point[1] - y)[:, None] - (y[None] - y[:, None]) * (point[0] - x)[:, None]
    on_line = jnp.all((cross == 0) | ~(touching[:, None] & touching[None]), axis=(0, 1))
    return jnp.where(on_line & (jnp.sum(touching, axis=0) >= 3), 0.0, distance)


def dynamic(qfrc: Array, qvel: Array, limits: Array, body_weight: Array, v_bal: Array, clip: Clip) -> Dynamic:
    """Dynamic axis.

    Args:
        qfrc: (6 + H, *b, T) N and N m, generalized forces of the motion without any contact force.
        qvel: (6 + H, *b, T) from ``velocities``.
        limits: (H) N m, torque limit of each hinge.
        body_weight: () N.
        v_bal: (*b) from ``contact``.
        clip: which frames count.
    """
    over_vertical = qfrc[2] > MAX_VERTICAL * body_weight
    over_horizontal = norm(qfrc[:2], axis=0) > MAX_HORIZONTAL * body_weight
    v_grf_vert, v_grf_horiz = mean(over_vertical, clip), mean(over_horizontal, clip)
    s_grf = 1.0 - 0.5 * (v_grf_vert + v_grf_horiz)

    torque = jnp.abs(qfrc[6:])
    over_torque = torque > limits.reshape(-1, *(1,) * (torque.ndim - 1))
    v_tau = mean(over_torque, clip)
    s_tau = 1.0 - jnp.mean(v_tau, axis=0)

    work = jnp.sum(torque * jnp.abs(qvel[6:]), axis=0) / clip.rate
    met = total(work, clip)
    s_met = jnp.maximum(1.0 - met / WORK_RANGE, 0.0)
    s_bal = 1.0 - v_bal
    score = jnp.clip((s_tau + s_grf + s_met + s_bal) / 4.0, 0.0, 1.0)
    return Dynamic(
        score, s_tau, s_grf, s_met, s_bal, met, v_grf_vert, v_grf_horiz, v_tau,
        over_torque, over_vertical, over_horizontal, work,
    )  # fmt: skip
