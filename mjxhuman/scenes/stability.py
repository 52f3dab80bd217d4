"""Does furniture stand? Each object is dropped on the floor, alone, from many starts, and judged by two rules.

    stability(make_furniture("chair", damage="missing_leg")).stable

A start lets the object go 1 mm above a level floor in its given pose, tilted by 1 degree at most (half-normal,
standard deviation 1/3 degree), turned by any yaw, with friction x0.7-1.3 and mass x0.8-1.2, for 5 s at steps of 4 and
of 2 ms. What it did at the finer step counts (1 and 0.5 ms say the same, docs/scenes.md); where the other step says
otherwise of the object, the verdict is borderline. The rules:

- ``strict``: over the last half second it leans less than 5 degrees from the pose given and moves at less than
  0.05 m/s and 0.5 rad/s, and it ends within 5 cm of where it was put, in at least 90 % of the starts.
- ``dso``: it leans less than 20 degrees in the end, in at least half of them (the threshold of DSO, ICCV 2025, without
  what its script counts besides: yaw is no lean, no clock but the simulation's decides, pieces are not one hull).

The same seed gives the same bits on any number of threads and on slow machines.
"""

from __future__ import annotations

import dataclasses
from collections import deque

import numpy as np
from mujoco.batch import Batch

from mjxhuman.math import quaternion
from mjxhuman.math.statistics import wilson_interval
from mjxhuman.scenes.compose import objects_alone
from mjxhuman.scenes.margin import edge_distance, static_margin
from mjxhuman.scenes.objects import MASSES
from mjxhuman.scenes.types import Parts, Scene, SceneObject, resting

#: Seconds of a drop, simulated; seconds of a step, in which every start is run; m above the floor.
SECONDS, STEPS, HEIGHT = 5.0, (0.004, 0.002), 1e-3
#: Greatest tilt of a start in degrees, three standard deviations; ranges of the factors of friction and mass. That
#: tilts are normal and not even was chosen after seeing built-in furniture judged by both (docs/scenes.md).
TILT, FRICTIONS, MASS_FACTORS = 1.0, (0.7, 1.3), (0.8, 1.2)
#: Seconds over which a state at rest is judged, and between two looks at it.
WINDOW, LOOK = 0.5, 0.1
GRAVITY = 9.81


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a start must do to stand, and the share of starts that must."""

    share: float
    tilt: float  # degrees
    drift: float = np.inf  # m
    speed: float = np.inf  # m/s
    spin: float = np.inf  # rad/s

    def stands(self, drops: Drops) -> np.ndarray:
        """Which starts stand, (D,)."""
        return (
            (drops.tilt < self.tilt)
            & (drops.drift < self.drift)
            & (drops.speed < self.speed)
            & (drops.spin < self.spin)
        )


RULES = {"strict": Rule(0.9, 5.0, 0.05, 0.05, 0.5), "dso": Rule(0.5, 20.0)}


@dataclasses.dataclass(frozen=True, eq=False)
class Drops:
    """What D starts of one object came to at one step; the greatest over the last half second."""

    tilt: np.ndarray  # (D,) degrees from the pose given, whatever the yaw
    drift: np.ndarray  # (D,) m, horizontally
    speed: np.ndarray  # (D,) m/s of the centre of mass
    spin: np.ndarray  # (D,) rad/s
    start: np.ndarray  # (D, 7) poses
    rest: np.ndarray  # (D, 7) poses at the end
    seconds: np.ndarray  # (D,) simulated
    finite: bool  # no simulation diverged
    coarse: Drops | None = None  # the same starts at the other of ``STEPS``


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What one rule says of one object."""

    stable: bool
    rate: float  # share of starts that stand
    interval: tuple[float, float]  # of the rate, Wilson, 95 %
    borderline: bool  # the steps' verdicts differ, or starts do and the interval holds rates of both verdicts


@dataclasses.dataclass(frozen=True, eq=False)
class Stability:
    """Whether an object stands. Of a scene with several: the figures of the least stable, and ``objects``."""

    name: str
    rule: str  # that ``stable``, ``rate``, ``interval`` and ``borderline`` are by
    stable: bool  # False where not ``valid``
    rate: float  # NaN where not ``valid``
    interval: tuple[float, float]
    tilt: float  # degrees, median of the starts
    drift: float  # m, median of the starts
    valid: bool  # False: no verdict, and ``reason`` says why
    reason: str
    borderline: bool
    margin: float  # m, ``static_margin``
    verdicts: dict[str, Verdict]  # by rule
    drops: Drops | None
    objects: tuple[Stability, ...] = ()


def stability(scene: Scene, drops: int = 16, seed: int = 0, rule: str = "strict", *, threads: int = 0) -> Stability:
    """Drop each object of a scene on a level floor, alone and as if it were free.

    Args:
      scene: objects in the poses in which they should stand; where they are does not matter.
      drops: number of starts D.
      seed: of the starts, which are the same for all objects.
      rule: ``strict`` or ``dso``; both are computed.
      threads: 0 for all CPUs; no figure depends on it.

    Raises:
      ValueError: no object, a batch of poses, or an argument that is not one of those above.
    """
    if rule not in RULES:
        raise ValueError(f"rule: expected one of {', '.join(RULES)}, found {rule!r}")
    for name, value, least in (("drops", drops, 1), ("seed", seed, 0), ("threads", threads, 0)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name}: expected a whole number of {least} or more, found {value!r}")
    poses = np.asarray(scene.poses, np.float64)
    if not scene.objects or poses.shape != (len(scene.objects), 7):
        raise ValueError(f"scene: expected objects with a pose (7,) each, found {len(scene.objects)} and {poses.shape}")
    found = tuple(_judge(o, p, drops, seed, rule, threads) for o, p in zip(scene.objects, poses, strict=True))
    worst = min(found, key=lambda s: (s.valid, s.stable, s.rate))
    return dataclasses.replace(worst, objects=found)


def drop(thing: SceneObject, pose: np.ndarray, drops: int, seed: int, threads: int = 0, early: bool = True) -> Drops:
    """Simulate D starts of one object; what they came to at the finer step.

    Args:
      early: leave a start that lies still in a hollow of its energy ten times deeper than its motion, and too slow to
        cross any rule's threshold in the time left: it can change no verdict. False runs all of them to the end.
    """
    batch, groups = bare_batch(thing, pose, drops, seed, threads)
    qpos = batch.bind("qpos")
    watch = _Watch(thing, qpos.copy(), np.asarray(pose, np.float64)[3:])
    for look in range(1, round(SECONDS / LOOK) + 1):
        for step, group in zip(STEPS, groups, strict=True):
            ids = group[~watch.done[group]]
            if len(ids):
                states = batch.rollout(round(LOOK / step), record=("qpos", "qvel"), ids=ids)
                watch.look(ids, states["qpos"], states["qvel"], look * LOOK)
        if early:
            watch.leave(SECONDS - look * LOOK)
        if watch.done.all():
            break
    finite = not np.any(batch.warning[..., 1]) and bool(np.isfinite(qpos).all())
    return watch.result(drops, finite)


def bare_batch(
    thing: SceneObject, pose: np.ndarray, drops: int, seed: int, threads: int = 0
) -> tuple[Batch, np.ndarray]:
    """The starts of one object, ready to be stepped, and which simulations have which of ``STEPS`` (len(STEPS), D)."""
    start, friction, mass = _starts(thing, pose, drops, seed)
    mask = np.asarray(thing.parts.mask)
    own = Parts(*(np.asarray(x)[mask] for x in (thing.parts.vertices, thing.parts.planes, thing.parts.mask)))
    alone = (dataclasses.replace(thing, parts=own, free=True),)
    model = objects_alone(Scene(objects=alone, poses=resting(alone)), STEPS[0])
    batch = Batch(model, len(STEPS) * drops, threads)
    timestep = batch.expand("opt.timestep")
    timestep[:] = np.repeat(STEPS, drops).reshape(timestep.shape)
    batch.expand("pair_friction")[:, :, :2] = np.tile(friction, len(STEPS))[:, None, None]
    for field in ("body_mass", "body_inertia"):
        values = batch.expand(field)
        values *= np.tile(mass, len(STEPS)).reshape(-1, *[1] * (values.ndim - 1))
    batch.set_const()
    batch.bind("qpos")[:] = np.tile(start, (len(STEPS), 1))
    return batch, np.arange(len(STEPS) * drops).reshape(len(STEPS), drops)


def _starts(thing: SceneObject, pose: np.ndarray, drops: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses (D, 7), frictions (D,) and factors of mass (D,)."""
    rng = np.random.default_rng(seed)
    toward, yaw = rng.uniform(0, 2 * np.pi, (2, drops))
    lean = np.radians(TILT * np.minimum(np.abs(rng.normal(0, 1 / 3, drops)), 1.0))
    friction = float(thing.friction) * rng.uniform(*FRICTIONS, drops)
    mass = rng.uniform(*MASS_FACTORS, drops)
    axis = np.stack([np.cos(toward), np.sin(toward), np.zeros(drops)], 1)
    tilted = quaternion.multiply(_turn(axis, lean), quaternion.unit(np.asarray(pose, np.float64)[3:]))
    quats = quaternion.multiply(_turn(np.array([[0.0, 0.0, 1.0]]), yaw), tilted)
    lowest = quaternion.rotate(quats[:, None], _corners(thing)[None])[..., 2].min(1)
    at = np.stack([np.zeros(drops), np.zeros(drops), HEIGHT - lowest], 1)
    return np.concatenate([at, quats], 1), friction, mass


def _turn(axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    return np.concatenate([np.cos(angle / 2)[:, None], np.sin(angle / 2)[:, None] * axis], 1)


def _corners(thing: SceneObject) -> np.ndarray:
    """Corners of all pieces (n, 3)."""
    return np.asarray(thing.parts.vertices, np.float64)[np.asarray(thing.parts.mask)].reshape(-1, 3)


class _Watch:
    """Follows the states of n simulations of one object, and says which may be left."""

    def __init__(self, thing: SceneObject, start: np.ndarray, upright: np.ndarray) -> None:
        self._com, self._corners = np.asarray(thing.com, np.float64), _corners(thing)
        self._reach = float(np.linalg.norm(self._corners - self._com, axis=1).max())
        self._start = start
        self._up = quaternion.rotate(quaternion.conjugate(quaternion.unit(upright)), np.array([0.0, 0.0, 1.0]))
        count = len(start)
        self.state, self.seconds, self.done = start.copy(), np.zeros(count), np.zeros(count, bool)
        looks = round(WINDOW / LOOK)
        self._seen = [deque([np.full(3, np.inf)] * looks, looks) for _ in range(count)]  # tilt, speed, spin

    def look(self, ids: np.ndarray, qpos: np.ndarray, qvel: np.ndarray, now: float) -> None:
        """Take in the states ``(n, steps, 7)`` and velocities ``(n, steps, 6)`` since the last look."""
        quat = qpos[..., 3:7]
        up = quaternion.rotate(quaternion.conjugate(quat), np.array([0.0, 0.0, 1.0]))
        tilt = np.degrees(np.arctan2(np.linalg.norm(np.cross(up, self._up), axis=-1), up @ self._up))
        speed = np.linalg.norm(qvel[..., :3] + quaternion.rotate(quat, np.cross(qvel[..., 3:], self._com)), axis=-1)
        most = np.stack([tilt, speed, np.linalg.norm(qvel[..., 3:], axis=-1)], -1).max(1)
        for i, row in zip(ids, most, strict=True):
            self._seen[i].append(row)
        self.state[ids], self.seconds[ids] = qpos[:, -1], now

    def leave(self, left: float) -> None:
        """Mark the simulations as done whose verdicts are settled with ``left`` seconds to go."""
        tilt, speed, spin = self._worst()
        drift = self._drift()
        sure = ~self.done
        for rule in RULES.values():
            sure &= np.abs(tilt - rule.tilt) > np.degrees(spin) * left
            sure &= np.abs(drift - rule.drift) > speed * left
            sure &= (speed < rule.speed) & (spin < rule.spin)
        fastest = speed + spin * self._reach
        for i in np.flatnonzero(sure):
            self.done[i] = 10 * fastest[i] ** 2 / (2 * GRAVITY) < self._hollow(self.state[i])

    def result(self, drops: int, finite: bool) -> Drops:
        tilt, speed, spin, drift, seconds = (
            x.reshape(len(STEPS), drops) for x in (*self._worst(), self._drift(), self.seconds)
        )
        start, rest = (x.reshape(len(STEPS), drops, 7) for x in (self._start, self.state.copy()))
        coarse, fine = (
            Drops(tilt[i], drift[i], speed[i], spin[i], start[i], rest[i], seconds[i], finite) for i in (0, -1)
        )
        return dataclasses.replace(fine, coarse=coarse)

    def _worst(self) -> np.ndarray:
        """Tilt, speed and spin (3, n), the greatest of the window."""
        return np.array([np.max(seen, axis=0) for seen in self._seen]).T

    def _drift(self) -> np.ndarray:
        return np.linalg.norm(self.state[:, :2] - self._start[:, :2], axis=1)

    def _hollow(self, pose: np.ndarray) -> float:
        """m by which the centre of mass must rise before the object tips over an edge of what it stands on."""
        corners = quaternion.rotate(pose[3:], self._corners)
        com = quaternion.rotate(pose[3:], self._com)
        low = corners[:, 2].min()
        margin = edge_distance(corners[corners[:, 2] < low + 1e-3, :2], com[:2])
        height = com[2] - low
        return float(np.hypot(margin, height) - height) if margin > 0 else 0.0


def _judge(thing: SceneObject, pose: np.ndarray, drops: int, seed: int, rule: str, threads: int) -> Stability:
    reason = unfit(thing, pose)
    found = None if reason else drop(thing, pose, drops, seed, threads)
    if found is not None and not found.finite:
        found, reason = None, "the simulation diverged"
    margin = np.nan if found is None else static_margin(thing, pose)
    if found is None:
        nothing = Verdict(False, np.nan, (0.0, 1.0), False)
        return Stability(
            thing.name, rule, False, np.nan, (0.0, 1.0), np.nan, np.nan, False, reason, False, margin,
            dict.fromkeys(RULES, nothing), None,
        )  # fmt: skip
    verdicts = {name: _verdict(each, found) for name, each in RULES.items()}
    mine = verdicts[rule]
    return Stability(
        thing.name, rule, mine.stable, mine.rate, mine.interval, float(np.median(found.tilt)),
        float(np.median(found.drift)), True, _reason(RULES[rule], found), mine.borderline, margin, verdicts, found,
    )  # fmt: skip


def unfit(thing: SceneObject, pose: np.ndarray) -> str:
    """Why there can be no verdict; "" if there can."""
    if thing.unfit:
        return f"unfit: {thing.unfit}"
    numbers = (pose, thing.parts.vertices, thing.com, thing.inertia, thing.mass, thing.friction)
    if not all(np.isfinite(np.asarray(x, np.float64)).all() for x in numbers):
        return "unfit: expected finite numbers, found others"
    if not MASSES[0] <= float(thing.mass) <= MASSES[1]:
        return f"unfit: mass: expected {MASSES[0]:g} to {MASSES[1]:g} kg, found {float(thing.mass):g}"
    return ""


def _verdict(rule: Rule, drops: Drops) -> Verdict:
    stands = rule.stands(drops)
    count, total = int(stands.sum()), len(stands)
    low, high = wilson_interval(count, total)
    stable = count >= rule.share * total
    other = stable if drops.coarse is None else int(rule.stands(drops.coarse).sum()) >= rule.share * total
    unsure = 0 < count < total and low < rule.share <= high
    return Verdict(stable, count / total, (low, high), unsure or other != stable)


def _reason(rule: Rule, drops: Drops) -> str:
    """How many starts stand, and what the others do."""
    stands = rule.stands(drops)
    said = [f"stands in {stands.sum()} of {len(stands)} drops"]
    leans = drops.tilt >= rule.tilt
    slides = ~leans & (drops.drift >= rule.drift)
    moves = ~leans & ~slides & ~stands
    for which, what in ((leans, "falls or leans over"), (slides, "slides away"), (moves, "does not come to rest")):
        if which.any():
            said.append(f"{what} in {which.sum()}")
    return ", ".join(said)
