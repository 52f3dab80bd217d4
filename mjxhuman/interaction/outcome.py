"""What became of a person among furniture: one of four outcomes, judged from recorded states alone.

    1  an object does not come to rest under gravity, nobody touching it
    2  with the person it, or the person, does not come to rest, or is lost
    3  all is at rest, but the person uses nothing: no contact that the motion asks for
    4  at rest and in use

decided in this order (HSImul3R, arXiv 2603.15612, which gives no thresholds; ``Limits`` states ours). A start in
which the person is inside an object has no outcome. A body wedged between seat and backrest rests as well, pressed by
many times its weight: that is an outcome of type 2.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from flax import struct
from jaxtyping import Bool, Float

from mjxhuman.math import quaternion
from mjxhuman.types import Array

#: s at the end of a recording over which a person among objects is judged, and objects alone.
LAST, LAST_ALONE = 1.0, 0.5
#: No outcome; those with one are 1 to 4.
UNFIT = 0


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is at rest, lost, or in use."""

    alone_turn: float = 20.0  # degrees from its pose, of an object alone (DSO, arXiv 2503.22677)
    alone_drift: float = 0.05  # m, horizontally
    alone_speed: float = 0.05  # m/s
    tilt: float = 20.0  # degrees from where an object stood before the person came
    displacement: float = 0.3  # m
    speed: float = 0.1  # m/s, mean over the last second
    spin: float = 0.5  # rad/s, mean over the last second
    joint_error: float = 0.5  # m, mean over the bodies
    internal_load: float = 2.0  # body weights, sum of the normal forces on the person; 1 is somebody who just rests
    contact_distance: float = 0.02  # m
    contact_force: float = 2.0  # N (HDMI, arXiv 2509.16757)
    contact_share: float = 0.8  # of the last second
    seat_share: float = 0.2  # of body weight that objects carry where the motion sits
    start_depth: float = 0.01  # m in an object

    def relaxed(self, factor: float) -> Limits:
        """Easier to meet by a factor: what may be at most is multiplied, what must be at least is divided."""
        at_least = {"contact_force": self.contact_force / factor, "seat_share": min(1.0, self.seat_share / factor)}
        at_least["contact_share"] = min(1.0, self.contact_share / factor)
        at_most = {f.name: factor * getattr(self, f.name) for f in dataclasses.fields(self)}
        return Limits(**{**at_most, "internal_load": 1.0 + factor * (self.internal_load - 1.0), **at_least})


LIMITS = Limits()


@struct.dataclass
class Recording:
    """What was recorded of one trial. S frames of the objects alone, T of all; O objects; P pairs in contact.

    The pairs are those of a body and an object that the motion brings together: near each other in its last frame.
    """

    alone: Float[Array, "S O 7"]  # m and wxyz
    alone_speed: Float[Array, "S O"]  # m/s
    poses: Float[Array, "T O 7"]
    speed: Float[Array, "T O"]  # m/s
    spin: Float[Array, "T O"]  # rad/s
    joint_error: Float[Array, " T"]  # m, mean distance of the bodies to the motion; inf where the simulation broke down
    pelvis_down: Bool[Array, " T"]  # whether the floor carries the pelvis
    squeeze: Float[Array, " T"]  # body weights, sum of the normal forces on the person
    carried: Float[Array, " T"]  # body weights, what the objects carry
    distance: Float[Array, "T P"]  # m
    pressed: Float[Array, "T P"]  # N
    start_depth: Float[Array, ""]  # m, of the person in an object as the motion and the scene have them
    sits: bool = struct.field(pytree_node=False)  # whether the motion ends on an object
    lies: bool = struct.field(pytree_node=False)  # whether it ends with the pelvis on the floor
    dt: float = struct.field(pytree_node=False)  # s per frame


@dataclasses.dataclass(frozen=True)
class Judgement:
    """Type, what decided it, and the numbers that were compared with the thresholds."""

    type: int  # 1 to 4, or ``UNFIT``
    reason: str
    numbers: dict[str, float]


def judge_alone(
    poses: Float[Array, "S O 7"], speed: Float[Array, "S O"], dt: float, thresholds: Limits = LIMITS
) -> Judgement | None:
    """The outcome of objects that did not come to rest on their own; None: they did."""
    last, limit = slice(-max(1, round(LAST_ALONE / dt)), None), thresholds
    turn = quaternion.angle(quaternion.multiply(poses[-1, :, 3:], quaternion.conjugate(poses[0, :, 3:])))
    n = {
        "alone_turn_deg": np.rad2deg(_most(turn)),
        "alone_drift_m": _most(np.linalg.norm(poses[-1, :, :2] - poses[0, :, :2], axis=-1)),
        "alone_speed": _most(speed[last].max(0)),
    }
    found = _first(
        (n["alone_turn_deg"] < limit.alone_turn, 1, "an object turns by {alone_turn_deg:.0f} degrees on its own"),
        (n["alone_drift_m"] < limit.alone_drift, 1, "an object moves by {alone_drift_m:.2f} m on its own"),
        (n["alone_speed"] < limit.alone_speed, 1, "an object alone still moves at {alone_speed:.2f} m/s"),
    )
    return found and Judgement(found[0], found[1].format(**n), n)


def judge(record: Recording, thresholds: Limits = LIMITS) -> Judgement:
    """The outcome of a trial."""
    if (fell := judge_alone(record.alone, record.alone_speed, record.dt, thresholds)) is not None:
        return fell
    n, limit = _numbers(record, thresholds), thresholds
    found = _first(
        (
            n["start_depth_m"] <= limit.start_depth,
            UNFIT,
            "unfit start: the person is {start_depth_m:.3f} m in an object",
        ),
        (np.isfinite(n["joint_error_m"]), 2, "the simulation broke down"),
        (n["tilt_deg"] < limit.tilt, 2, "an object ends tilted by {tilt_deg:.0f} degrees"),
        (n["displacement_m"] < limit.displacement, 2, "an object ends {displacement_m:.2f} m from where it stood"),
        (n["speed"] < limit.speed, 2, "an object moves at {speed:.2f} m/s in the last second"),
        (n["spin"] < limit.spin, 2, "an object turns at {spin:.2f} rad/s in the last second"),
        (n["joint_error_m"] < limit.joint_error, 2, "the person ends {joint_error_m:.2f} m from the motion"),
        (record.lies or not n["pelvis_down"], 2, "the person ends on the floor"),
        (n["internal_load_bw"] <= limit.internal_load, 2, "the person is wedged: {internal_load_bw:.1f} body weights"),
        (record.distance.shape[1] > 0, 3, "the motion touches no object"),
        (n["contact_share"] >= limit.contact_share, 3, "contact in {contact_share:.0%} of the last second"),
        (not record.sits or n["carried_bw"] >= limit.seat_share, 3, "objects carry {carried_bw:.2f} body weights"),
    )
    kind, reason = found or (4, "at rest, objects carry {carried_bw:.2f} body weights")
    return Judgement(kind, reason.format(**n), n)


def _first(*tests: tuple[bool | np.bool_, int, str]) -> tuple[int, str] | None:
    return next(((kind, reason) for passed, kind, reason in tests if not passed), None)


def _numbers(record: Recording, thresholds: Limits) -> dict[str, float]:
    last = slice(-max(1, round(LAST / record.dt)), None)
    moved = np.linalg.norm(record.poses[-1, :, :3] - record.poses[0, :, :3], axis=-1)
    touching = (record.distance[last] < thresholds.contact_distance) | (record.pressed[last] > thresholds.contact_force)
    numbers = {
        "start_depth_m": record.start_depth,
        "tilt_deg": np.rad2deg(_most(_lean(record.poses[-1], record.poses[0]))), "displacement_m": _most(moved),
        "speed": _most(record.speed[last].mean(0)), "spin": _most(record.spin[last].mean(0)),
        "joint_error_m": record.joint_error[last].mean(),
        "pelvis_down": np.mean(record.pelvis_down[last]) > 0.5,
        "internal_load_bw": record.squeeze[last].mean(),
        "contact_share": touching.any(1).mean(), "carried_bw": record.carried[last].mean(),
    }  # fmt: skip
    return {name: float(value) for name, value in numbers.items()}


def _lean(pose: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Angle in rad between an object's vertical axes of two poses, (O,)."""
    up = [quaternion.rotate(x[:, 3:], np.array([0.0, 0.0, 1.0])) for x in (pose, before)]
    return np.arctan2(np.linalg.norm(np.cross(*up), axis=-1), np.sum(up[0] * up[1], -1))


def _most(values: np.ndarray) -> float:
    return float(np.max(values, initial=0.0))
