"""The feasibility reward: three axes, twelve sub-scores, each in [0, 1], per frame and per clip.

Each sub-score maps a physical error x to a quality 1 / (1 + max(0, x - tolerance) / scale): 1 within the tolerance, one
half a scale beyond it, never quite 0, so that worse is always lower. An axis is the product of its sub-scores, frame by
frame, and the total is the geometric mean of the three axes. The product is what keeps one defect from buying off
another: a frame that is neither supported nor in free fall loses its whole contact axis, whatever its slip or balance
would be; the geometric mean keeps one axis from buying off another.

Ten sub-scores judge frames on their own; two (``leap``, ``flight``) need the frames around (``rewards.clip``, which
also says how frames enter the value of a clip). Constants are published physiology or accuracy of measurement
(see ``Config``); none was fitted to damaged motion.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mjxhuman.physics.anatomy import Anatomy, AnatomyParams
from mjxhuman.physics.contact_dynamics import Support, external_support, support
from mjxhuman.physics.contact_points import Bearing, BodyKinematics, body_kinematics
from mjxhuman.physics.tree import BodyParams, Tree
from mjxhuman.rewards import contact, dynamic, kinematic
from mjxhuman.scenes.surface import Surface
from mjxhuman.types import Array


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """An error still accepted, and the further error that halves the quality, both in the term's unit."""

    accept: float
    scale: float

    def quality(self, error: Array, hard: bool = False) -> Array:
        """Quality in [0, 1] of a non-negative error; ``hard`` counts only whether it is accepted."""
        if hard:
            return (error <= self.accept).astype(error.dtype)
        xp: Any = jnp if isinstance(error, jax.core.Tracer) else np
        return 1.0 / (1.0 + xp.maximum(error - self.accept, 0.0) / self.scale)


@dataclasses.dataclass(frozen=True)
class Config:
    """Tolerances of the sub-scores. Hashable: a change compiles anew.

    Sources: joint placement by optical mocap is good to 1-2 cm and a few degrees (Della Croce et al. 2005, Gait Posture
    21:226); residual forces of up to 5 % of the peak and moments of 1 % of force times height of the centre of mass are
    normal in inverse dynamics from mocap and plates (Hicks et al. 2015, J Biomech Eng 137:020905), twice that without
    plates; peak ground reaction is 2.5-3 body weights in running and 4-5 in landings and take-offs of trained jumpers
    (McNitt-Gray 1993, J Biomech 26:1037); whole-body power peaks at 50-70 W/kg in maximal vertical jumps (Bosco et al.
    1983, Eur J Appl Physiol 50:273).
    """

    joint_speed: Tolerance = Tolerance(0.0, 0.5)  # excess over the limits, in limits
    joint_limit: Tolerance = Tolerance(0.0, 0.3)  # rad beyond range plus margin, summed
    self_penetration: Tolerance = Tolerance(0.0, 0.03)  # m beyond margin, summed over pairs
    foot_slip: Tolerance = Tolerance(0.1, 0.4)  # m/s, load-weighted
    ground_penetration: Tolerance = Tolerance(0.015, 0.03)  # m
    floating: Tolerance = Tolerance(0.1, 0.3)  # body weights
    balance: Tolerance = Tolerance(0.02, 0.06)  # m of centre-of-pressure offset
    torque: Tolerance = Tolerance(0.0, 1.0)  # limits beyond strength, summed
    ground_reaction: Tolerance = Tolerance(0.1, 0.4)  # body weights
    power: Tolerance = Tolerance(60.0, 60.0)  # W/kg
    leap: Tolerance = Tolerance(0.01, 0.02)  # m of the centre of mass from one frame to the next
    flight: Tolerance = Tolerance(0.1, 0.5)  # times too fast or too slow, less one
    limit_margin: float = 0.035  # rad, 2 degrees; the ranges themselves are the passive ones
    penetration_margin: float = 0.02  # m, soft tissue
    peak_reaction: float = 5.0  # body weights


#: Keeps the geometric mean differentiable where an axis is 0.
TINY = 1e-9

AXES: dict[str, tuple[str, ...]] = {
    "kinematic": ("joint_speed", "joint_limit", "self_penetration", "leap"),
    "contact": ("foot_slip", "ground_penetration", "floating", "balance"),
    "dynamic": ("torque", "ground_reaction", "power", "flight"),
}


def errors(
    state: BodyKinematics, s: Support, params: BodyParams, anatomy: Anatomy, numbers: AnatomyParams, config: Config
) -> dict[str, Float[Array, " N"]]:
    """The physical error behind each sub-score, in the unit that ``Config`` states."""
    angles = kinematic.clinical_angles(state, anatomy, numbers)
    return {
        "joint_speed": kinematic.joint_speed(s.joint_speed, numbers),
        "joint_limit": kinematic.joint_limit(angles, numbers, config.limit_margin),
        "self_penetration": kinematic.self_penetration(state, anatomy, numbers, config.penetration_margin),
        "foot_slip": contact.slip_speed(s),
        "ground_penetration": contact.penetration_depth(s),
        "floating": contact.unsupported(s),
        "balance": contact.imbalance(s),
        "torque": dynamic.overload(dynamic.torque_ratio(s, numbers)),
        "ground_reaction": dynamic.ground_reaction(s, config.peak_reaction),
        "power": dynamic.positive_power(s) / jnp.sum(params.mass),
    }


def frame_errors(
    tree: Tree,
    anatomy: Anatomy,
    config: Config,
    params: BodyParams,
    numbers: AnatomyParams,
    surface: Surface,
    qpos: Float[Array, "nq N"],
    qvel: Float[Array, "nv N"],
    qacc: Float[Array, "nv N"],
    bears: Bearing | None = None,
) -> dict[str, Any]:
    """Errors of independent frames, frames on the last axis.

    Returns ``errors``, what is behind the ten sub-scores of single frames and ``external_support``, ``com (3, N)`` m
    and ``clear (N,)`` m, the distance of the lowest point from the surface. Pure and differentiable.
    """
    state = body_kinematics(tree, params, qpos, qvel)
    s = support(tree, params, anatomy, numbers, surface, state, qvel, qacc, bears)
    raw = errors(state, s, params, anatomy, numbers, config)
    raw["external_support"] = external_support(s)
    return {"errors": raw, "com": s.com, "clear": jnp.min(s.touch.distance, 0)}


def qualities(raw: dict[str, Any], config: Config, hard: bool = False) -> dict[str, Any]:
    """Sub-scores, axes and ``total`` of errors of any shape, NumPy or JAX."""
    names = [name for axis in AXES.values() for name in axis]
    scores = {name: getattr(config, name).quality(raw[name], hard) for name in names}
    for axis, members in AXES.items():
        scores[axis] = _product([scores[n] for n in members])
    scores["total"] = total_of([scores[a] for a in AXES])
    return scores


def total_of(axes: list[Any]) -> Any:
    """Geometric mean of the axes."""
    return (_product(axes) * (1.0 - TINY) + TINY) ** (1.0 / len(axes))


def _product(factors: list[Any]) -> Any:
    out = factors[0]
    for f in factors[1:]:
        out = out * f
    return out
