"""Cases of the interaction benchmark: people who sit on built-in furniture, and what perturbs the reconstruction.

The truth of a case is a seated pose and the furniture under it. What a reconstruction would hand over is the truth with
the person displaced, its joints off and the objects at another scale. Everything is drawn from the case's seed.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import mujoco
import numpy as np

import mjxhuman
from mjxhuman.alignment.seated import seated
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.scenes.types import Scene, SceneObject
from mjxhuman.types import Motion

#: Kinds with a seat, and those whose seat is narrow.
SEATS, NARROW = ("chair", "bench", "sofa", "stool"), ("stool",)
DAMAGES = ("missing_leg", "short_leg", "tilt", "bumps", "noise")
#: Arguments of ``alignment.seated``.
POSES: tuple[dict[str, Any], ...] = (
    {}, {"lean": 15.0}, {"knee": 75.0}, {"crossed": True}, {"lean": -8.0, "apart": 15.0}
)  # fmt: skip
#: m from a seat's front edge back to the middle of the buttocks.
BACK = 0.22
#: m, deviations of the person's place; rad, of each joint axis; half width of the factor on the objects' size.
PLACE, HEIGHT, JOINTS, SCALE = 0.05, 0.04, 0.03, 0.1


@dataclasses.dataclass(frozen=True)
class HsiCase:
    """One line of the manifest."""

    name: str
    kind: str
    object_seed: int  # objects, not cases, belong to a split
    damage: str | None
    pose: dict[str, Any]  # of ``alignment.seated``
    table: bool  # whether a table stands before the person
    difficulty: str  # "easy", "medium" or "hard" (HSImul3R has the words; the rule is in ``difficulty_of``)
    split: str  # "train" or "test"
    seed: int

    @property
    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return dataclasses.asdict(self)


class Posed(NamedTuple):
    """A person and a scene."""

    motion: Motion
    scene: Scene


def difficulty_of(kind: str, pose: dict[str, Any], table: bool) -> str:
    """Hard: two objects. Medium: a narrow seat, or a pose that leans or crosses its legs. Easy: all others."""
    if table:
        return "hard"
    return "medium" if kind in NARROW or pose.get("crossed") or abs(pose.get("lean", 0.0)) > 10 else "easy"


def manifest(count: int, objects: int, seed: int) -> list[HsiCase]:
    """``count`` cases on ``objects`` objects, half of them damaged; a fifth of the objects is for tests alone."""
    rng = np.random.default_rng(seed)
    tests = set(rng.permutation(objects)[: max(1, objects // 5)].tolist())
    cases = []
    for i in range(count):
        number = i % objects
        kind, turn = SEATS[number % len(SEATS)], number // len(SEATS)
        damage = DAMAGES[turn // 2 % len(DAMAGES)] if turn % 2 else None
        pose, table = POSES[int(rng.integers(len(POSES)))], bool(rng.random() < 1 / 3)
        cases.append(HsiCase(
            f"case{i:03d}", kind, number, damage, pose, table, difficulty_of(kind, pose, table),
            "test" if number in tests else "train", int(rng.integers(2**31)),
        ))  # fmt: skip
    return cases


def truth(case: HsiCase) -> Posed:
    """The case as it should be reconstructed."""
    scene = mjxhuman.make_furniture(case.kind, case.object_seed, case.damage)
    height, front = seat_of(scene.objects[0])
    motion = seated(mjxhuman.load_humanoid("smpl"), height, **case.pose)
    qpos = np.array(motion.qpos)
    qpos[:, 0] += front - BACK
    motion = motion_from_qpos(motion.humanoid, qpos, motion.fps, provenance=motion.provenance)
    if case.table:
        table = mjxhuman.make_furniture("table", case.object_seed).objects[0]
        reach = float(np.max(np.asarray(motion.body_pos)[0, :, 0])) + 0.05
        low = float(np.min(np.asarray(table.points)[:, 0]))
        poses = np.concatenate([scene.poses, [[reach - low, 0, 0, 1, 0, 0, 0]]])
        scene = dataclasses.replace(scene, objects=(*scene.objects, table), poses=poses)
    return Posed(motion, scene)


def seat_of(thing: SceneObject) -> tuple[float, float]:
    """Height of an object's seat and the x of its front edge, m: the largest level surface at 0.3 to 0.65 m.

    Raises:
        ValueError: no such surface.
    """
    points, normals = np.asarray(thing.points), np.asarray(thing.normals)
    level = points[(normals[:, 2] > 0.9) & (points[:, 2] > 0.3) & (points[:, 2] < 0.65)]
    if len(level) < 10:
        raise ValueError(f"{thing.name}: expected a seat at 0.3 to 0.65 m, found none")
    height = float(np.median(level[:, 2]))
    return height, float(np.max(level[np.abs(level[:, 2] - height) < 0.03, 0]))


def perturbed(case: HsiCase, true: Posed) -> Posed:
    """What a reconstruction hands over."""
    rng = np.random.default_rng([case.seed, 1])
    motion, model = true.motion, true.motion.humanoid.model
    step = np.concatenate([
        rng.normal(0, PLACE, 2), rng.normal(0, HEIGHT, 1), np.zeros(3), rng.normal(0, JOINTS, model.nv - 6)
    ])  # fmt: skip
    qpos = np.asarray(motion.qpos[0], np.float64).copy()
    mujoco.mj_integratePos(model, qpos, step, 1.0)
    moved = motion_from_qpos(motion.humanoid, np.tile(qpos, (motion.num_frames, 1)).astype(np.float32), motion.fps)
    factor = rng.uniform(1 - SCALE, 1 + SCALE)
    objects = tuple(scaled(o, factor) for o in true.scene.objects)
    return Posed(moved, dataclasses.replace(true.scene, objects=objects))


def scaled(thing: SceneObject, factor: float) -> SceneObject:
    """An object of another size and the same mass."""
    parts, mesh = thing.parts, thing.mesh
    planes = np.concatenate([parts.planes[..., :3], factor * parts.planes[..., 3:]], -1)
    return dataclasses.replace(
        thing,
        mesh=dataclasses.replace(mesh, vertices=factor * mesh.vertices),
        parts=dataclasses.replace(parts, vertices=factor * parts.vertices, planes=planes),
        points=factor * thing.points, com=factor * thing.com, inertia=factor**2 * thing.inertia,
    )  # fmt: skip
