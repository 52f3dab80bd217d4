"""Ways to make a motion physically wrong, each with a severity: what demo, tests and rankings share.

Every function takes a path in ball-joint coordinates of an SMPL-topology humanoid and returns a damaged path:
``damage(take, severity, rng) -> qpos (T', nq)``. Up is against the gravity of the humanoid's model. ``DAMAGES`` lists
them with three severities in rising order, in the unit that the name of the kind states. A kind that needs something
the clip does not have (a flight phase, say) raises ``NotApplicable``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from mjxhuman.humanoids.humanoid import SMPL_BODIES, Humanoid
from mjxhuman.math.timeseries import runs, smoothstep
from mjxhuman.physics.flight import measure_gravity
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.scenes.surface import Surface, measure


class NotApplicable(ValueError):
    """The clip lacks what this kind of damage acts on."""


@dataclasses.dataclass(frozen=True)
class Take:
    """What is damaged: a path ``qpos (T, nq)`` in float64, and what carries it (None: the level floor)."""

    humanoid: Humanoid
    qpos: np.ndarray
    fps: float
    surface: Surface | None = None


Damage = Callable[[Take, float, np.random.Generator], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of damage: its function, its severities in rising order and their unit."""

    apply: Damage
    severities: tuple[float, ...]
    unit: str


def _quat_slice(humanoid: Humanoid, body: str) -> slice:
    """Where the ball joint of ``body`` (or the root's rotation) lies in qpos."""
    model = humanoid.model
    index = humanoid.smpl_body_ids[SMPL_BODIES.index(body)]  # type: ignore[index]
    start = int(model.jnt_qposadr[model.body_jntadr[index]])
    return slice(start + 3, start + 7) if body == "Pelvis" else slice(start, start + 4)


def _rotations(qpos: np.ndarray, where: slice) -> Rotation:
    return Rotation.from_quat(qpos[:, where][:, [1, 2, 3, 0]])


def _store(qpos: np.ndarray, where: slice, rotation: Rotation) -> None:
    qpos[:, where] = rotation.as_quat()[:, [3, 0, 1, 2]]


def _ramp(frames: int, fps: float, seconds: float = 0.3) -> np.ndarray:
    """0..1 rise at the start and fall at the end, smooth, so that a pose offset adds no jump of its own."""
    t = np.arange(frames) / fps
    length = min(seconds, 0.25 * frames / fps)
    return smoothstep(np.minimum(t, t[-1] - t) / max(length, 1e-6))


def _across(axis: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random unit vector (3,) across a unit vector."""
    heading = rng.uniform(0, 2 * np.pi)
    turn = Rotation.from_quat([-axis[1], axis[0], 0.0, 1.0 + axis[2]] if axis[2] > -1 else [1.0, 0.0, 0.0, 0.0])
    return turn.apply([np.cos(heading), np.sin(heading), 0.0])


def float_up(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Lift the whole clip by ``severity`` metres."""
    out = take.qpos.copy()
    out[:, :3] += severity * take.humanoid.up
    return out


def sink(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Lower the whole clip by ``severity`` metres."""
    out = take.qpos.copy()
    out[:, :3] -= severity * take.humanoid.up
    return out


def skate(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Let the whole clip drift along the surface at ``severity`` m/s, in a random direction."""
    out = take.qpos.copy()
    t = np.arange(len(take.qpos))[:, None] / take.fps
    out[:, :3] += severity * t * _across(measure(take.surface, take.qpos[0, :3]).normal, rng)
    return out


def jitter_root(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """White noise on the root: ``severity`` metres, and 1.5 radians per metre on its rotation."""
    out = take.qpos.copy()
    out[:, :3] += rng.normal(size=(len(take.qpos), 3)) * severity
    where = _quat_slice(take.humanoid, "Pelvis")
    noise = Rotation.from_rotvec(rng.normal(size=(len(take.qpos), 3)) * 1.5 * severity)
    _store(out, where, _rotations(take.qpos, where) * noise)
    return out


def jitter_pose(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """White noise of ``severity`` radians on every joint rotation."""
    out = take.qpos.copy()
    for body in SMPL_BODIES[1:22]:
        where = _quat_slice(take.humanoid, body)
        noise = Rotation.from_rotvec(rng.normal(size=(len(take.qpos), 3)) * severity)
        _store(out, where, _rotations(take.qpos, where) * noise)
    return out


def teleport(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Two sudden horizontal steps of ``severity`` metres, at one and two thirds of the clip."""
    out = take.qpos.copy()
    for start in (len(take.qpos) // 3, 2 * len(take.qpos) // 3):
        out[start:, :3] += severity * _across(take.humanoid.up, rng)
    return out


def speed_up(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Play ``severity`` times too fast at the same frame rate."""
    from mjxhuman.physics.coordinates import coordinates

    if (len(take.qpos) - 1) / (take.fps * severity) < 0.4:
        raise NotApplicable(f"{len(take.qpos) / take.fps:.2f} s are too short to be played {severity:g} times faster")
    return np.asarray(coordinates(take.humanoid.model).resample(take.qpos, take.fps * severity, take.fps))


def flights(humanoid: Humanoid, qpos: np.ndarray, fps: float, surface: Surface | None = None) -> list[tuple[int, int]]:
    """First and last frame of the phases in which the body is free of the surface for at least 0.08 s."""
    motion = motion_from_qpos(humanoid, qpos, fps)
    contacts = humanoid.contacts
    assert contacts is not None
    pos = np.asarray(motion.body_pos)[:, contacts.body_id]
    quat = np.asarray(motion.body_quat)[:, contacts.body_id]
    local = np.broadcast_to(contacts.offset, pos.shape)
    turned = Rotation.from_quat(quat.reshape(-1, 4)[:, [1, 2, 3, 0]]).apply(local.reshape(-1, 3)).reshape(pos.shape)
    lowest = (measure(surface, pos + turned).distance - contacts.radius).min(-1)
    com = humanoid.centre_of_mass(np.asarray(motion.body_pos), np.asarray(motion.body_quat))
    falling = np.gradient(np.gradient(com @ humanoid.up.astype(com.dtype), 1 / fps), 1 / fps) < -5.0
    free = (lowest > 0.03) & falling
    return [(a, b - 1) for a, b in runs(free) if b - a >= max(2, round(0.08 * fps))]


def _longest_flight(take: Take) -> tuple[int, int]:
    spans = flights(take.humanoid, take.qpos, take.fps, take.surface)
    if not spans:
        raise NotApplicable("the body is never in flight")
    return max(spans, key=lambda s: s[1] - s[0])


def freeze_in_flight(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Stop time for ``severity`` seconds in the middle of the longest flight."""
    a, b = _longest_flight(take)
    middle, count = (a + b) // 2, max(1, round(severity * take.fps))
    still = np.repeat(take.qpos[middle : middle + 1], count, 0)
    return np.concatenate([take.qpos[: middle + 1], still, take.qpos[middle + 1 :]])


def hover(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Stretch the longest flight in time by the factor ``severity``: the body comes down too late."""
    from mjxhuman.physics.coordinates import coordinates

    a, b = _longest_flight(take)
    a, b = max(a - 1, 0), min(b + 1, len(take.qpos) - 1)
    stretch = coordinates(take.humanoid.model).resample(take.qpos[a : b + 1], take.fps, take.fps * severity)
    return np.concatenate([take.qpos[:a], np.asarray(stretch), take.qpos[b + 1 :]])


def limb_through_body(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Swing an arm straight down and ``severity`` radians past the body's side, into the trunk."""
    out = take.qpos.copy()
    side = rng.choice(["L", "R"])
    sign = -1.0 if side == "L" else 1.0
    amount = _ramp(len(take.qpos), take.fps)
    hanging = Rotation.from_rotvec([0, 0, sign * (np.pi / 2 - 0.1 + severity)])
    for body, target in ((f"{side}_Shoulder", hanging), (f"{side}_Elbow", Rotation.identity())):
        where = _quat_slice(take.humanoid, body)
        start = _rotations(take.qpos, where)
        _store(out, where, start * Rotation.from_rotvec((start.inv() * target).as_rotvec() * amount[:, None]))
    return out


def bend_backwards(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Bend a knee or an elbow ``severity`` radians the wrong way."""
    out = take.qpos.copy()
    body = str(rng.choice(["L_Knee", "R_Knee", "L_Elbow", "R_Elbow"]))
    axis = {"L_Knee": [-1, 0, 0], "R_Knee": [-1, 0, 0], "L_Elbow": [0, 1, 0], "R_Elbow": [0, -1, 0]}[body]
    where = _quat_slice(take.humanoid, body)
    start = _rotations(take.qpos, where)
    target = Rotation.from_rotvec(np.array(axis) * severity)
    amount = _ramp(len(take.qpos), take.fps)[:, None]
    _store(out, where, start * Rotation.from_rotvec((start.inv() * target).as_rotvec() * amount))
    return out


def lean(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Tilt the whole body by ``severity`` radians about a horizontal axis, as far below the pelvis as the surface."""
    out = take.qpos.copy()
    tilt = Rotation.from_rotvec(severity * _across(take.humanoid.up, rng))
    pivot = out[:, :3] - measure(take.surface, out[:, :3]).distance[:, None] * take.humanoid.up
    out[:, :3] = pivot + tilt.apply(out[:, :3] - pivot)
    where = _quat_slice(take.humanoid, "Pelvis")
    _store(out, where, tilt * _rotations(take.qpos, where))
    return out


def slow_motion(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Play a clip with a flight ``severity`` times too slowly at the same frame rate."""
    motion = motion_from_qpos(take.humanoid, take.qpos, take.fps)
    if not measure_gravity(motion, take.surface).flights:
        raise NotApplicable("no flight is long and high enough to show gravity")
    return _resampled(take, np.arange(0.0, len(take.qpos) - 1 + 1e-9, 1.0 / severity))


def time_warp(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Let time run unevenly: the speed swings by the share ``severity`` about the right one, once a second."""
    t = np.arange(len(take.qpos)) / take.fps
    shift = severity / (2 * np.pi) * np.sin(2 * np.pi * t + rng.uniform(0, 2 * np.pi))
    return _resampled(take, np.clip((t + shift) * take.fps, 0, len(t) - 1))


def pop(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Move the whole body by ``severity`` metres in one frame, in the middle of the clip, in a random direction."""
    out = take.qpos.copy()
    step = rng.normal(size=3)
    out[len(out) // 2, :3] += severity * step / np.linalg.norm(step)
    return out


def over_filter(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth root and joints with a Gaussian of ``severity`` seconds: crisp motion turns into treacle."""
    out = take.qpos.copy()
    width = severity * take.fps
    out[:, :3] = gaussian_filter1d(out[:, :3], width, axis=0, mode="nearest")
    for body in SMPL_BODIES[:22]:
        where = _quat_slice(take.humanoid, body)
        smooth = gaussian_filter1d(_continuous(out[:, where]), width, axis=0, mode="nearest")
        out[:, where] = smooth / np.linalg.norm(smooth, axis=1, keepdims=True)
    return out


def shrink_path(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Take the share ``severity`` of its way from the root: the same steps lead less far, as on ice."""
    up = take.humanoid.up
    way = take.qpos[:, :3] - take.qpos[0, :3]
    along = way - np.outer(way @ up, up)
    if np.ptp(along, axis=0).max() < 0.5:
        raise NotApplicable(f"the root goes {np.ptp(along, axis=0).max():.2f} m; expected half a metre or more")
    out = take.qpos.copy()
    out[:, :3] -= severity * along
    return out


def tilt_floor(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Turn the whole world by ``severity`` radians about a horizontal axis under the middle of the clip."""
    out = take.qpos.copy()
    tilt = Rotation.from_rotvec(severity * _across(take.humanoid.up, rng))
    pivot = out[:, :3].mean(0)
    pivot = pivot - measure(take.surface, pivot).distance * take.humanoid.up
    out[:, :3] = pivot + tilt.apply(out[:, :3] - pivot)
    where = _quat_slice(take.humanoid, "Pelvis")
    _store(out, where, tilt * _rotations(take.qpos, where))
    return out


def roll_pelvis(take: Take, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Roll pelvis and trunk ``severity`` radians to a side, over legs that keep their directions."""
    out = take.qpos.copy()
    where = _quat_slice(take.humanoid, "Pelvis")
    start = _rotations(take.qpos, where)
    roll = Rotation.from_rotvec(
        [0.0, 0.0, float(rng.choice([-1.0, 1.0])) * severity]
    )  # about the body's own z, forward
    _store(out, where, start * roll)
    for hip in ("L_Hip", "R_Hip"):
        joint = _quat_slice(take.humanoid, hip)
        _store(out, joint, roll.inv() * _rotations(take.qpos, joint))
    return out


def _resampled(take: Take, frames: np.ndarray) -> np.ndarray:
    """The path at fractional frame numbers ``(T',)``, by cubic splines: it gains no corners."""
    out = take.qpos.copy()
    for body in SMPL_BODIES:
        where = _quat_slice(take.humanoid, body)
        out[:, where] = _continuous(out[:, where])
    return CubicSpline(np.arange(len(out)), out)(frames)  # quaternions are normalised when a motion is made of them


def _continuous(quats: np.ndarray) -> np.ndarray:
    """Quaternions ``(T, 4)`` with the signs that make them a continuous path."""
    flips = np.where(np.sum(quats[1:] * quats[:-1], 1) < 0, -1.0, 1.0)
    return quats * np.cumprod(np.concatenate([[1.0], flips]))[:, None]


DAMAGES: dict[str, Kind] = {
    "float": Kind(float_up, (0.05, 0.1, 0.25), "m"),
    "sink": Kind(sink, (0.05, 0.1, 0.2), "m"),
    "skate": Kind(skate, (0.3, 0.8, 1.5), "m/s"),
    "jitter_root": Kind(jitter_root, (0.01, 0.02, 0.04), "m"),
    "jitter_pose": Kind(jitter_pose, (0.025, 0.05, 0.1), "rad"),
    "teleport": Kind(teleport, (0.25, 0.5, 1.0), "m"),
    "speed_up": Kind(speed_up, (3.0, 4.0, 5.0), "times"),
    "freeze_in_flight": Kind(freeze_in_flight, (0.2, 0.5, 1.0), "s"),
    "hover": Kind(hover, (2.0, 3.0, 5.0), "times"),
    "limb_through_body": Kind(limb_through_body, (0.3, 0.4, 0.5), "rad"),
    "bend_backwards": Kind(bend_backwards, (0.3, 0.6, 1.0), "rad"),
    "lean": Kind(lean, (0.2, 0.35, 0.5), "rad"),
    "slow_motion": Kind(slow_motion, (1.5, 2.0, 3.0), "times"),
    "time_warp": Kind(time_warp, (0.4, 0.6, 0.8), "of the speed"),
    "pop": Kind(pop, (0.05, 0.1, 0.2), "m"),
    "over_filter": Kind(over_filter, (0.05, 0.1, 0.2), "s"),
    "shrink_path": Kind(shrink_path, (0.15, 0.3, 0.5), "of the way"),
    "tilt_floor": Kind(tilt_floor, (0.035, 0.07, 0.14), "rad"),
    "roll_pelvis": Kind(roll_pelvis, (0.1, 0.2, 0.35), "rad"),
}

#: Kinds that leave a motion which a body could also have made: many clips do not show them (docs/reward.md). They are
#: ranked, but are no example of what a score sees.
SUBTLE = ("time_warp", "over_filter", "shrink_path", "tilt_floor", "roll_pelvis")


def apply(
    name: str,
    humanoid: Humanoid,
    qpos: np.ndarray,
    fps: float,
    severity: float,
    seed: int = 0,
    surface: Surface | None = None,
) -> np.ndarray:
    """The damaged path of kind ``name``, on ``surface`` (default the level floor).

    Raises:
      KeyError: unknown kind.
      NotApplicable: the clip lacks what this kind of damage acts on.
    """
    if name not in DAMAGES:
        raise KeyError(f"damage: expected one of {sorted(DAMAGES)}, found {name!r}")
    rng = np.random.default_rng(seed)
    return DAMAGES[name].apply(Take(humanoid, np.asarray(qpos, np.float64), fps, surface), severity, rng)
