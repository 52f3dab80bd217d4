"""``simulate_scene``: a motion and a scene in, what becomes of person and furniture out."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter

import jax
import mujoco
import numpy as np

from mjxhuman.alignment.measure import misplaced
from mjxhuman.interaction.controllers import Controller, controller_named
from mjxhuman.interaction.outcome import LIMITS, UNFIT, Judgement, Limits, Recording, judge, judge_alone
from mjxhuman.math import quaternion
from mjxhuman.math.statistics import wilson_interval
from mjxhuman.physics.loads import Loads, scene_loads
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.planning.planner import driven
from mjxhuman.scenes.compose import Composed, Layout, common_layout, compose, objects_alone
from mjxhuman.scenes.convex import BUCKETS
from mjxhuman.scenes.sdf import Hulls, scene_surface
from mjxhuman.scenes.stability import unfit
from mjxhuman.scenes.surface import Plane, Surfaces
from mjxhuman.scenes.types import Scene
from mjxhuman.tracking.evaluate import usable
from mjxhuman.tracking.tracker import Tracker
from mjxhuman.types import Motion

#: s for which the objects settle before the person comes.
SETTLE = 1.0
#: Frames that a motion is at least made to have.
_LEAST = 5
_GRAVITY = 9.81


@dataclasses.dataclass(frozen=True)
class Noise:
    """What differs between the trials of a scene (the randomisation of HSImul3R's reinforcement learning)."""

    friction: tuple[float, float] = (0.7, 1.3)  # factors on that of all objects
    mass: tuple[float, float] = (0.8, 1.2)  # factors on that of all objects
    offset: float = 0.02  # m, half width of each object's place, horizontally
    yaw: float = 3.0  # degrees, half width
    joints: float = 0.02  # rad, deviation of each joint axis at the start

    def scene(self, scene: Scene, generator: np.random.Generator) -> Scene:
        """The scene with other places, masses and frictions of its free objects."""
        friction, mass = generator.uniform(*self.friction), generator.uniform(*self.mass)
        poses, things = np.array(scene.poses, np.float64), []
        for pose, thing in zip(poses, scene.objects, strict=True):
            place, yaw = (
                generator.uniform(-self.offset, self.offset, 2),
                np.deg2rad(generator.uniform(-1, 1) * self.yaw),
            )
            things.append(dataclasses.replace(thing, friction=friction * thing.friction))
            if thing.free:
                pose[:2] += place
                pose[3:] = quaternion.multiply(np.array([np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]), pose[3:])
                things[-1] = dataclasses.replace(things[-1], mass=mass * thing.mass, inertia=mass * thing.inertia)
        return dataclasses.replace(scene, objects=tuple(things), poses=poses)

    def body(self, model: mujoco.MjModel, qpos: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """A body's coordinates (nq,) with other joint angles."""
        changed, step = qpos.copy(), np.zeros(model.nv)
        step[6:] = generator.normal(0.0, self.joints, model.nv - 6)
        mujoco.mj_integratePos(model, changed, step, 1.0)
        return changed


NOISE = Noise()


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a person among objects. What was recorded is that of the trial that is shown."""

    type: int  # 1 to 4, of most trials (see ``outcome``); 0: no outcome
    valid: bool  # whether there is an outcome,
    reason: str  # why not, or what decided it
    numbers: dict[str, float]  # what was compared with the thresholds
    types: tuple[int, ...]  # of each trial
    half: int  # type with thresholds half as wide,
    double: int  # and twice as wide
    motion: Motion | None  # simulated; None where no person came in
    reference: Motion | None  # what was to be performed, the last frame held
    loads: Loads | None  # per frame: which body carries how much on which object
    object_pose: np.ndarray  # (T, O, 7) m and wxyz; where no person came in those of the objects alone
    scene: Scene

    @property
    def stable(self) -> bool:
        """Whether it is type 4."""
        return self.type == 4

    @property
    def interval(self) -> tuple[float, float]:
        """Of the share of trials of type 4 (Wilson, 95 %)."""
        return wilson_interval(self.types.count(4), len(self.types))


def simulate_scene(
    motion: Motion,
    scene: Scene,
    *,
    tracker: str | os.PathLike[str] | Tracker | Controller | None = None,
    hold: float = 3.0,
    seed: int = 0,
    trials: int = 3,
    noise: Noise | None = NOISE,
    thresholds: Limits = LIMITS,
) -> Outcome:
    """Let a person perform a motion among objects, hold its last frame, and judge what became of both.

    The objects settle alone for a second. Then the person appears in the motion's first state.

    Args:
        motion: of SMPL's topology or a body of the tracker's; a single pose is a motion of equal frames.
        scene: objects on a level floor.
        tracker: what drives the body. None: servos play the motion, blind to what the body does; "planner" or
            "planner:PRESET" searches controls in the simulator; a policy, its file, or a name, as ``load_tracker``.
        hold: s that the last frame is held.
        seed: of the trials' noise and of the planner; equal arguments give equal outcomes.
        trials: how many; the type of most counts, of equally many the lower.
        noise: what differs between trials; None: nothing, and one trial.
        thresholds: of the outcome.

    Raises:
        ValueError: a scene without objects, on another floor, or with a batch of poses; a motion with too few valid
            frames, or that the tracker's body does not have.
        FileNotFoundError: no such policy.
    """
    _check(scene, hold, trials)
    controller = tracker if isinstance(tracker, Controller) else controller_named(tracker)
    if reason := unfit_scene(scene):
        return _without(reason, scene)
    motion = held(_fitted(motion, controller), hold)
    layout = common_layout([scene])
    drawn = [scene] if noise is None else [noise.scene(scene, np.random.default_rng([seed, k])) for k in range(trials)]
    alone = [settle(s, layout, motion.dt) for s in drawn]
    if all(judge_alone(*a, motion.dt, thresholds.relaxed(2.0)) is not None for a in alone):
        return _fallen(alone, motion.dt, thresholds, scene)
    scenes = [dataclasses.replace(s, poses=poses[-1]) for s, (poses, _) in zip(drawn, alone, strict=True)]
    options = {"contacts": controller.contacts, "tuning": controller.tuning}
    composed = [compose(motion.humanoid, s, layout, **options) for s in scenes]
    first = np.asarray(motion.qpos[0], np.float64)
    model = motion.humanoid.model
    poses = [
        first if noise is None else noise.body(model, first, np.random.default_rng([seed, k, 1]))
        for k in range(len(composed))
    ]
    begun = [c.start(q, np.asarray(motion.qvel[0])) for c, q in zip(composed, poses, strict=True)]
    start = tuple(np.array(x) for x in zip(*begun, strict=True))
    path = controller.drive(composed, motion, start, carrier_of(scene), seed)  # type: ignore[arg-type]
    wanted = _wanted(compose(motion.humanoid, scene, layout, **options), motion)
    results = []
    for k, c in enumerate(composed):
        qpos, qvel, ctrl = path.qpos[k], path.qvel[k], path.ctrl[k]
        loads = scene_loads(c, qpos, qvel, ctrl)
        did = motion_from_qpos(
            motion.humanoid, _whole(qpos[:, c.actuated.address.qpos]), motion.fps, valid=np.isfinite(qpos).all(1),
            provenance=motion.provenance.with_(format="simulated"),
        )  # fmt: skip
        record = _record(c, alone[k], qpos, qvel, loads, did, motion, wanted)
        results.append((record, loads, did, c.poses(qpos)))
    return _outcome(results, thresholds, motion, scene)


def unfit_scene(scene: Scene) -> str:
    """Why nothing can be said about a scene, whoever comes in; "" if something can.

    Objects whose pieces do not stand for their meshes, of 1 g or 1 t, under the floor, or in each other.
    """
    found = [(o.name, unfit(o, p).removeprefix("unfit: ")) for o, p in zip(scene.objects, scene.poses, strict=True)]
    reasons = [f"{name}: {why}" for name, why in found if why] or list(filter(None, [misplaced(scene)]))
    return "unfit: " + "; ".join(reasons) if reasons else ""


def carrier_of(scene: Scene) -> Surfaces:
    """What carries the person, with hulls padded by copies so that furniture of all kinds shares few programs."""
    floor, *objects = scene_surface(scene).parts
    return Surfaces((floor, *(o.replace(hulls=_padded(o.hulls)) for o in objects)))  # type: ignore[attr-defined]


def _padded(hulls: Hulls) -> Hulls:
    """Pieces to the next of ``BUCKETS``; faces and edges to those of a box, or of a hull of 32 corners, or more."""
    pieces, faces, edges = hulls.planes.shape[0], hulls.planes.shape[1], hulls.edges.shape[1]
    sizes = [(pieces, (*BUCKETS, pieces)), (faces, (6, 60, faces)), (edges, (12, 90, edges))]
    # the last one again and again
    k, f, e = (np.minimum(np.arange(next(s for s in among if s >= n)), n - 1) for n, among in sizes)
    return Hulls(np.asarray(hulls.planes)[k][:, f], np.asarray(hulls.edges)[k][:, e])


def held(motion: Motion, seconds: float) -> Motion:
    """The motion, and its last frame for so long after it."""
    qpos = np.asarray(motion.qpos)
    extra = max(round(seconds * motion.fps), _LEAST - len(qpos), 0)
    if not extra:
        return motion
    qpos = np.concatenate([qpos, np.repeat(qpos[-1:], extra, 0)])
    return motion_from_qpos(motion.humanoid, qpos, motion.fps, provenance=motion.provenance)


def settle(scene: Scene, layout: Layout, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """The objects alone for ``SETTLE`` s: poses (S, O, 7), first and last included, and speeds (S, O) m/s."""
    steps = max(1, round(dt / 0.004))
    model = objects_alone(scene, dt / steps, layout)
    data, poses, speeds = mujoco.MjData(model), [], []
    bodies = [model.body(f"object{slot}").id for slot in layout.slots(scene)]
    for _ in range(round(SETTLE / dt) + 1):
        mujoco.mj_kinematics(model, data)
        poses.append(np.concatenate([data.xpos[bodies], data.xquat[bodies]], 1))
        speeds.append([_speed(model, data, body) for body in bodies])
        mujoco.mj_step(model, data, steps)
    return np.array(poses), np.array(speeds)


def _speed(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> float:
    start = int(model.body_dofadr[body])
    return 0.0 if start < 0 else float(np.linalg.norm(data.qvel[start : start + 3]))


def _check(scene: Scene, hold: float, trials: int) -> None:
    if not isinstance(scene, Scene) or not scene.objects:
        raise ValueError(f"scene: expected a Scene with objects, found {type(scene).__name__} without")
    if not isinstance(scene.floor, Plane) or jax.tree.leaves(scene.floor):
        raise ValueError(f"scene: floor: expected the level floor z = 0, found {scene.floor}")
    if not (hold >= 0 and np.isfinite(hold)):
        raise ValueError(f"hold: expected seconds >= 0, found {hold}")
    if trials < 1:
        raise ValueError(f"trials: expected at least 1, found {trials}")


def _fitted(motion: Motion, controller: Controller) -> Motion:
    """The motion in the joints and at the rate that are driven."""
    own = getattr(getattr(controller, "tracker", None), "humanoid", None)
    motion = driven(motion)
    if motion.num_frames < _LEAST:
        motion = held(motion, 0.0)
    return usable(motion, own or motion.humanoid, controller.fps, motion.provenance.path or "motion")


def _whole(qpos: np.ndarray) -> np.ndarray:
    """Coordinates whose frames after a breakdown repeat the last one before it."""
    whole = np.isfinite(qpos).all(1)
    return qpos if whole.all() else qpos[np.minimum(np.arange(len(qpos)), np.argmin(whole) - 1)]


@dataclasses.dataclass(frozen=True)
class _Wanted:
    """What the motion asks of the scene, as both are given."""

    pairs: np.ndarray  # (P, 2) bodies and objects within ``Limits.contact_distance`` of each other in the last frame
    depth: float  # m, of the person in an object in the first frame
    sits: bool
    lies: bool


def _wanted(composed: Composed, motion: Motion) -> _Wanted:
    ends = [composed.start(np.asarray(motion.qpos[i], np.float64)) for i in (0, -1)]
    qpos, qvel = (np.array(x) for x in zip(*ends, strict=True))
    loads = scene_loads(composed, qpos, qvel, np.zeros((2, composed.actuated.nu)))
    near = loads.distance[-1] < LIMITS.contact_distance
    record, names = motion.humanoid.known, motion.humanoid.body_names[1:]
    seat = [i for i, name in enumerate(names) if record.unsided(name) in ("Pelvis", "Hip")]
    return _Wanted(
        np.argwhere(near), max(0.0, -float(loads.distance[0].min(initial=np.inf))),
        bool(near[seat].any()), bool(loads.floor_normal[-1, 0] > 0),
    )  # fmt: skip


def _record(
    composed: Composed,
    alone: tuple[np.ndarray, np.ndarray],
    qpos: np.ndarray,
    qvel: np.ndarray,
    loads: Loads,
    did: Motion,
    motion: Motion,
    wanted: _Wanted,
) -> Recording:
    weight, ids = _GRAVITY * motion.humanoid.mass, motion.humanoid.tracked_ids
    off = np.linalg.norm(np.asarray(did.body_pos)[:, ids] - np.asarray(motion.body_pos)[:, ids], axis=-1).mean(1)
    speed = composed.velocities(qvel)
    pairs = tuple(wanted.pairs.T)
    return Recording(
        alone=alone[0], alone_speed=alone[1], poses=composed.poses(qpos),
        speed=np.linalg.norm(speed[..., :3], axis=-1), spin=np.linalg.norm(speed[..., 3:], axis=-1),
        joint_error=np.where(np.isfinite(qpos).all(1), off, np.inf), pelvis_down=loads.floor_normal[:, 0] > 0,
        squeeze=loads.squeeze / weight, carried=loads.objects[..., 2].sum((1, 2)) / weight,
        distance=loads.distance[:, pairs[0], pairs[1]], pressed=loads.normal[:, pairs[0], pairs[1]],
        start_depth=np.array(wanted.depth), sits=wanted.sits, lies=wanted.lies, dt=motion.dt,
    )  # fmt: skip


def _outcome(
    results: list[tuple[Recording, Loads, Motion, np.ndarray]], thresholds: Limits, motion: Motion, scene: Scene
) -> Outcome:
    """The type of most trials, and the first of them."""
    kinds = [[judge(r[0], thresholds.relaxed(factor)) for r in results] for factor in (1.0, 0.5, 2.0)]
    verdicts: list[Judgement] = kinds[0]
    types = [tuple(v.type for v in row) for row in kinds]
    most, half, double = (_majority(row) for row in types)
    shown = types[0].index(most)
    _, loads, did, poses = results[shown]
    return Outcome(
        type=most, valid=most != UNFIT, reason=verdicts[shown].reason, numbers=verdicts[shown].numbers, types=types[0],
        half=half, double=double, motion=did, reference=motion, loads=loads, object_pose=poses, scene=scene,
    )  # fmt: skip


def _fallen(alone: list[tuple[np.ndarray, np.ndarray]], dt: float, thresholds: Limits, scene: Scene) -> Outcome:
    """The outcome of objects that do not stand in any trial, by any threshold: nobody needs to come in."""
    verdict = judge_alone(*alone[0], dt, thresholds)
    assert verdict is not None
    return Outcome(
        type=1, valid=True, reason=verdict.reason, numbers=verdict.numbers, types=(1,) * len(alone), half=1, double=1,
        motion=None, reference=None, loads=None, object_pose=alone[0][0], scene=scene,
    )  # fmt: skip


def _majority(types: tuple[int, ...]) -> int:
    counted = Counter(types)
    return min(counted, key=lambda kind: (-counted[kind], kind))


def _without(reason: str, scene: Scene) -> Outcome:
    """The outcome of a scene that is not simulated."""
    return Outcome(
        type=UNFIT, valid=False, reason=reason, numbers={}, types=(), half=UNFIT, double=UNFIT, motion=None,
        reference=None, loads=None, object_pose=np.asarray(scene.poses)[None], scene=scene,
    )  # fmt: skip
