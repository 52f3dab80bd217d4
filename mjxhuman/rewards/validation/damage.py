"""Ways to make a motion physically wrong, each with a severity: what demo, tests and rankings share.

Every function takes a path in ball-joint coordinates of an SMPL-topology humanoid and returns a damaged path:
``damage(humanoid, qpos (T, nq), fps, severity, rng) -> qpos (T', nq)``. ``DAMAGES`` lists them with three severities in
rising order, in the unit that the name of the kind states. A kind that needs something the clip does not have (a
flight phase, say) raises ``NotApplicable``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.humanoids.humanoid import SMPL_BODIES, Humanoid
from mjxhuman.physics.motion import motion_from_qpos


class NotApplicable(ValueError):
    """The clip lacks what this kind of damage acts on."""


Damage = Callable[[Humanoid, np.ndarray, float, float, np.random.Generator], np.ndarray]


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
    edge = np.clip(np.minimum(t, t[-1] - t) / max(length, 1e-6), 0, 1)
    return edge * edge * (3 - 2 * edge)


def float_up(humanoid: Humanoid, qpos: np.ndarray, fps: float, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Lift the whole clip by ``severity`` metres."""
    out = qpos.copy()
    out[:, 2] += severity
    return out


def sink(humanoid: Humanoid, qpos: np.ndarray, fps: float, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Lower the whole clip by ``severity`` metres."""
    out = qpos.copy()
    out[:, 2] -= severity
    return out


def skate(humanoid: Humanoid, qpos: np.ndarray, fps: float, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Let the whole clip drift in a random horizontal direction at ``severity`` m/s."""
    out = qpos.copy()
    heading = rng.uniform(0, 2 * np.pi)
    t = np.arange(len(qpos))[:, None] / fps
    out[:, :2] += severity * t * np.array([np.cos(heading), np.sin(heading)])
    return out


def jitter_root(
    humanoid: Humanoid, qpos: np.ndarray, fps: float, severity: float, rng: np.random.Generator
) -> np.ndarray:
    """White noise on the root: ``severity`` metres, and 1.5 radians per metre on its rotation."""
    out = qpos.copy()
    out[:, :3] += rng.normal(size=(len(qpos), 3)) * severity
    where = _quat_slice(humanoid, "Pelvis")
    noise = Rotation.from_rotvec(rng.normal(size=(len(qpos), 3)) * 1.5 * severity)
    _store(out, where, _rotations(qpos, where) * noise)
    return out


def jitter_pose(
    humanoid: Humanoid, qpos: np.ndarray, fps: float, severity: float, rng: np.random.Generator
) -> np.ndarray:
    """White noise of ``severity`` radians on every joint rotation."""
    out = qpos.copy()
    for body in SMPL_BODIES[1:22]:
        where = _quat_slice(humanoid, body)
        noise = Rotation.from_rotvec(rng.normal(size=(len(qpos), 3)) * severity)
        _store(out, where, _rotations(qpos, where) * noise)
    return out


def teleport(humanoid: Humanoid, qpos: np.ndarray, fps: float, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Two sudden horizontal steps of ``severity`` metres, at one and two thirds of the clip."""
    out = qpos.copy()
    for start in (len(qpos) // 3, 2 * len(qpos) // 3):
        heading = rng.uniform(0, 2 * np.pi)
        out[start:, :2] += severity * np.array([np.cos(heading), np.sin(heading)])
    return out


def speed_up(humanoid: Humanoid, qpos: np.ndarray, fps: float, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Play ``severity`` times too fast at the same frame rate."""
    from mjxhuman.physics.coordinates import coordinates

    if (len(qpos) - 1) / (fps * severity) < 0.4:
        raise NotApplicable(f"{len(qpos) / fps:.2f} s are too short to be played {severity:g} times faster")
    return np.asarray(coordinates(humanoid.model).resample(qpos, fps * severity, fps))


def flights(humanoid: Humanoid, qpos: np.ndarray, fps: float) -> list[tuple[int, int]]:
    """First and last frame of the phases in which the body is free of the floor for at least 0.08 s."""
    motion = motion_from_qpos(humanoid, qpos, fps)
    contacts = humanoid.contacts
    assert contacts is not None
    pos = np.asarray(motion.body_pos)[:, contacts.body_id]
    quat = np.asarray(motion.body_quat)[:, contacts.body_id]
    local = np.broadcast_to(contacts.offset, pos.shape)
    turned = Rotation.from_quat(quat.reshape(-1, 4)[:, [1, 2, 3, 0]]).apply(local.reshape(-1, 3)).reshape(pos.shape)
    lowest = (pos[..., 2] + turned[..., 2] - contacts.radius).min(-1)
    mass = humanoid.model.body_mass
    com = np.asarray(jnp.einsum("b,tbi->ti", mass / mass.sum(), motion.body_pos))
    falling = np.gradient(np.gradient(com[:, 2], 1 / fps), 1 / fps) < -5.0
    free = (lowest > 0.03) & falling
    edges = np.flatnonzero(np.diff(np.concatenate([[0], free.astype(int), [0]])))
    spans = [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]
    return [(a, b) for a, b in spans if b - a + 1 >= max(2, round(0.08 * fps))]


def _longest_flight(humanoid: Humanoid, qpos: np.ndarray, fps: float) -> tuple[int, int]:
    spans = flights(humanoid, qpos, fps)
    if not spans:
        raise NotApplicable("the body is never in flight")
    return max(spans, key=lambda s: s[1] - s[0])


def freeze_in_flight(
    humanoid: Humanoid, qpos: np.ndarray, fps: float, severity: float, rng: np.random.Generator
) -> np.ndarray:
    """Stop time for ``severity`` seconds in the middle of the longest flight."""
    a, b = _longest_flight(humanoid, qpos, fps)
    middle, count = (a + b) // 2, max(1, round(severity * fps))
    return np.concatenate([qpos[: middle + 1], np.repeat(qpos[middle : middle + 1], count, 0), qpos[middle + 1 :]])


def hover(humanoid: Humanoid, qpos: np.ndarray, fps: float, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Stretch the longest flight in time by the factor ``severity``: the body comes down too late."""
    from mjxhuman.physics.coordinates import coordinates

    a, b = _longest_flight(humanoid, qpos, fps)
    a, b = max(a - 1, 0), min(b + 1, len(qpos) - 1)
    slow = np.asarray(coordinates(humanoid.model).resample(qpos[a : b + 1], fps, fps * severity))
    return np.concatenate([qpos[:a], slow, qpos[b + 1 :]])


def limb_through_body(
    humanoid: Humanoid, qpos: np.ndarray, fps: float, severity: float, rng: np.random.Generator
) -> np.ndarray:
    """Swing an arm straight down and ``severity`` radians past the body's side, into the trunk."""
    out = qpos.copy()
    side = rng.choice(["L", "R"])
    sign = -1.0 if side == "L" else 1.0
    amount = _ramp(len(qpos), fps)
    hanging = Rotation.from_rotvec([0, 0, sign * (np.pi / 2 - 0.1 + severity)])
    for body, target in ((f"{side}_Shoulder", hanging), (f"{side}_Elbow", Rotation.identity())):
        where = _quat_slice(humanoid, body)
        start = _rotations(qpos, where)
        _store(out, where, start * Rotation.from_rotvec((start.inv() * target).as_rotvec() * amount[:, None]))
    return out


def bend_backwards(
    humanoid: Humanoid, qpos: np.ndarray, fps: float, severity: float, rng: np.random.Generator
) -> np.ndarray:
    """Bend a knee or an elbow ``severity`` radians the wrong way."""
    out = qpos.copy()
    body = str(rng.choice(["L_Knee", "R_Knee", "L_Elbow", "R_Elbow"]))
    axis = {"L_Knee": [-1, 0, 0], "R_Knee": [-1, 0, 0], "L_Elbow": [0, 1, 0], "R_Elbow": [0, -1, 0]}[body]
    where = _quat_slice(humanoid, body)
    start = _rotations(qpos, where)
    target = Rotation.from_rotvec(np.array(axis) * severity)
    amount = _ramp(len(qpos), fps)[:, None]
    _store(out, where, start * Rotation.from_rotvec((start.inv() * target).as_rotvec() * amount))
    return out


def lean(humanoid: Humanoid, qpos: np.ndarray, fps: float, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Tilt the whole body by ``severity`` radians about a horizontal axis through the point below the pelvis."""
    out = qpos.copy()
    heading = rng.uniform(0, 2 * np.pi)
    tilt = Rotation.from_rotvec(severity * np.array([np.cos(heading), np.sin(heading), 0.0]))
    pivot = out[:, :3] * np.array([1.0, 1.0, 0.0])
    out[:, :3] = pivot + tilt.apply(out[:, :3] - pivot)
    where = _quat_slice(humanoid, "Pelvis")
    _store(out, where, tilt * _rotations(qpos, where))
    return out


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
}


def apply(name: str, humanoid: Humanoid, qpos: np.ndarray, fps: float, severity: float, seed: int = 0) -> np.ndarray:
    """The damaged path of kind ``name``. Raises KeyError for an unknown kind, NotApplicable where the clip lacks it."""
    if name not in DAMAGES:
        raise KeyError(f"damage: expected one of {sorted(DAMAGES)}, found {name!r}")
    rng = np.random.default_rng(seed)
    return DAMAGES[name].apply(humanoid, np.asarray(qpos, np.float64), fps, severity, rng)
