"""Cases of the interaction benchmark: people who use furniture, and what perturbs their reconstruction.

The truth of a case is a person at rest on the furniture as it stands: half of it is damaged, and all of it is let
settle first. The person is posed by rule, set down on the furniture, and for poses (not clips) what the simulator then
holds without noise is the truth, if that comes to rest. What a reconstruction hands over is the truth with the person
displaced, joints off, the objects of another size and as upright as their files have them. Everything is drawn from
the case's seed.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import mujoco
import numpy as np

import mjxhuman
from mjxhuman.alignment.align import resized
from mjxhuman.alignment.seated import seated
from mjxhuman.alignment.skin import skin_of
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.interaction import poses
from mjxhuman.interaction.place import joined
from mjxhuman.interaction.simulate import carrier_of, settle
from mjxhuman.math import quaternion
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.scenes.compose import common_layout
from mjxhuman.scenes.furniture.make import named_furniture
from mjxhuman.scenes.types import Scene
from mjxhuman.types import Motion

from .align_scenes import facing_x

DAMAGES = ("missing_leg", "short_leg", "tilt", "bumps", "noise")
SEVERITIES = (0.3, 0.5, 0.7)
#: Arguments of ``alignment.seated``.
SEATED: dict[str, dict[str, Any]] = {
    "upright": {}, "forward": {"lean": 15.0}, "feet_back": {"knee": 100.0}, "wide": {"apart": 15.0},
    "crossed": {"crossed": True},
}  # fmt: skip
#: What each kind of furniture is used for. Names ending in "_clip" are motions, others the pose that they end in.
USES: dict[str, tuple[str, ...]] = {
    "chair": (*SEATED, "lean_back", "lean_back", "lean_back_clip"), "stool": tuple(u for u in SEATED if u != "crossed"),
    "bench": (*SEATED, "lie", "lie"), "sofa": (*SEATED, "lean_back", "lean_back"),
    "table": ("lean_on_table", "lie"), "steps": ("step_on",),
}  # fmt: skip
KINDS = tuple(USES)
#: Uses of two parts of the body beyond the feet, or of a narrow support; kinds that are one.
MEDIUM, NARROW = ("crossed", "lean_back", "lean_back_clip", "lean_on_table", "step_on"), ("stool",)
#: m from a seat's front edge back to the middle of the buttocks; from the head to the middle of who lies.
BACK, LYING = 0.22, 0.05
#: m, deviations of the person's place; rad, of each joint axis; factor on the objects' size, either way.
PLACE, HEIGHT, JOINTS, SCALE = 0.05, 0.04, 0.03, (0.05, 0.10)
#: m from the near edge of a table to the wrists of who leans on it; height under which legs are under a table.
EDGE, KNEES = 0.15, 0.50
#: m over the furniture from which who is set down starts; s that the truth is let come to rest.
LIFT, REST = 0.005, 2.0
#: s of the motion to leaning back, before which somebody sits down.
CLIP = 2.2


@dataclasses.dataclass(frozen=True)
class HsiCase:
    """One line of the manifest."""

    name: str
    object: str  # as ``make_furniture`` names it, or a file
    kind: str
    damage: str  # "" if intact
    use: str  # one of ``USES``
    table: bool  # whether a table stands before the person
    difficulty: str  # "easy", "medium" or "hard"
    split: str  # "train" or "test": of the object
    seed: int

    @property
    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return dataclasses.asdict(self)

    @property
    def clip(self) -> bool:
        """Whether it is a whole motion."""
        return self.use.endswith("_clip")


class Posed(NamedTuple):
    """A person and a scene."""

    motion: Motion
    scene: Scene


def difficulty_of(kind: str, use: str, table: bool) -> str:
    """By HSImul3R's words (easy, medium, hard by complexity), as counted here.

    Hard: two objects, or nothing under the feet. Medium: two parts of the body beyond the feet, one foot off the
    ground, or a narrow support. Easy: all others.
    """
    if table or use == "lie":
        return "hard"
    return "medium" if kind in NARROW or use in MEDIUM else "easy"


def objects_of(count: int, files: str = "") -> list[tuple[str, str, str]]:
    """Furniture as (name, kind, damage): ``count`` built-in ones, half of them damaged, and the files of a folder."""
    found = []
    for number in range(count):
        kind, turn = KINDS[number % len(KINDS)], number // len(KINDS)
        harm = f"{DAMAGES[turn // 2 % len(DAMAGES)]}:{SEVERITIES[turn // 2 % len(SEVERITIES)]}" if turn % 2 else ""
        found.append((f"{kind}:{number}" + (f":{harm}" if harm else ""), kind, harm.partition(":")[0]))
    for path in sorted(Path(files).iterdir()) if files else []:
        if path.is_dir() or path.suffix == ".obj":
            found.append((str(path), mjxhuman.load_scene(path).objects[0].kind, ""))
    return found


def manifest(count: int, objects: int, seed: int, files: str = "") -> list[HsiCase]:
    """``count`` cases on ``objects`` objects, half of them damaged; a fifth of the objects is for tests alone.

    Args:
      files: a folder with furniture, for which there are cases, too; "" for none.
    """
    rng = np.random.default_rng(seed)
    things = objects_of(objects, files)
    tests = set(rng.permutation(len(things))[: max(1, len(things) // 5)].tolist())
    cases = []
    for i in range(count):
        number = i % len(things)
        name, kind, damage = things[number]
        use = USES[kind][int(rng.integers(len(USES[kind])))]
        table = bool(rng.random() < 1 / 3) and use in SEATED
        cases.append(HsiCase(
            f"case{i:03d}", name, kind, damage, use, table, difficulty_of(kind, use, table),
            "test" if number in tests else "train", int(rng.integers(2**31)),
        ))  # fmt: skip
    return cases


@functools.lru_cache(maxsize=256)
def furniture(name: str) -> Scene:
    """Furniture alone, at the origin and facing +x, as its file has it."""
    scene = named_furniture(name) or facing_x(mjxhuman.load_scene(name))
    return turned(scene, np.pi) if scene.objects[0].kind == "steps" else scene  # those are climbed towards -x


def turned(scene: Scene, yaw: float) -> Scene:
    """The scene with all objects turned about the vertical through the origin."""
    turn = np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])
    poses_ = np.array(scene.poses, np.float64)
    poses_[:, :3] = quaternion.rotate(turn, poses_[:, :3])
    poses_[:, 3:] = quaternion.multiply(turn, poses_[:, 3:])
    return dataclasses.replace(scene, poses=poses_)


def standing(scene: Scene) -> Scene:
    """The scene with its objects where they come to rest alone; those that fall stay as they are."""
    poses_, _ = settle(scene, common_layout([scene]), 1 / 30)
    end, still = poses_[-1], np.array(scene.poses, np.float64)
    up = [quaternion.rotate(x[:, 3:], np.array([0.0, 0.0, 1.0])) for x in (end, still)]
    stands = np.sum(up[0] * up[1], -1) > np.cos(np.radians(20.0))  # ``interaction.LIMITS.alone_turn``
    return dataclasses.replace(scene, poses=np.where(stands[:, None], end, still))


def moved(scene: Scene, x: float) -> Scene:
    """The scene with all objects moved along x."""
    poses_ = np.array(scene.poses, np.float64)
    poses_[:, 0] += x
    return dataclasses.replace(scene, poses=poses_)


def level_of(
    scene: Scene, low: float, high: float, along: float = np.inf, across: float = np.inf, least: int = 5
) -> np.ndarray:
    """Places (n, 3) of the first object that face up between two heights, with |x| and |y| up to limits in m.

    Raises:
        ValueError: there are fewer than ``least``.
    """
    thing, pose = scene.objects[0], np.asarray(scene.poses, np.float64)[0]
    points = quaternion.rotate(pose[3:], np.asarray(thing.points, np.float64)) + pose[:3]
    up = quaternion.rotate(pose[3:], np.asarray(thing.normals, np.float64))[:, 2]
    x, y, z = np.abs(points).T
    found = points[(up > 0.9) & (z > low) & (z < high) & (x < along) & (y < across)]
    if len(found) < least:
        raise ValueError(f"{thing.name}: expected a level surface at {low} to {high} m, found none")
    return found


def seat_of(scene: Scene) -> tuple[float, float]:
    """Height in m of the seat where people sit, and the x of its front edge: armrests are beside the middle."""
    level = level_of(scene, 0.3, 0.65, across=0.2)
    level = level[np.abs(level[:, 2] - np.median(level[:, 2])) < 0.06]
    front = float(level[:, 0].max())
    used = level[np.abs(level[:, 0] - front + BACK) < 0.1]
    return float(np.median((used if len(used) else level)[:, 2])), front


class Place(NamedTuple):
    """A person, and how furniture at the origin is turned (rad) and then moved along x (m) to be where it is used."""

    motion: Motion
    yaw: float
    x: float

    def scene(self, alone: Scene) -> Scene:
        """The furniture there."""
        return moved(turned(alone, self.yaw), self.x)


def _seated(use: str, body: Humanoid, scene: Scene) -> Place:
    height, front = seat_of(scene)
    if use == "lean_back_clip":  # from the seat on: nobody balances by servos alone
        motion = _last(poses.leaning_back(body, height), CLIP)
    elif use == "lean_back":
        motion = _last(poses.leaning_back(body, height))
    else:
        motion = seated(body, height, **SEATED[use])
    return Place(motion, 0.0, BACK - front)


def _on_table(use: str, body: Humanoid, scene: Scene) -> Place:
    top = level_of(scene, 0.55, 1.1)
    motion = _last(poses.leaning_on_table(body, float(np.median(top[:, 2]))))
    wrist = float(np.asarray(motion.body_pos)[0, motion.humanoid.body_names.index("L_Wrist"), 0])
    return Place(motion, 0.0, wrist - EDGE - float(top[:, 0].min()))


def _on_step(use: str, body: Humanoid, scene: Scene) -> Place:
    tread = level_of(scene, 0.1, 0.25)
    motion = poses.stepping_on(body, float(np.median(tread[:, 2])))
    return Place(_last(motion), 0.0, 0.25 - float(tread[:, 0].min()))


def _lying(use: str, body: Humanoid, scene: Scene) -> Place:
    height = float(np.median(level_of(scene, 0.3, 1.1, along=0.2, across=0.3)[:, 2]))
    return Place(_last(poses.lying(body, height)), np.pi / 2, -LYING)


_PLACES: dict[str, Callable[[str, Humanoid, Scene], Place]] = {
    "lean_on_table": _on_table, "step_on": _on_step, "step_on_clip": _on_step, "lie": _lying
}  # fmt: skip


def _last(motion: Motion, seconds: float = 0.0) -> Motion:
    """The end of a motion, at least three frames; 0: its last frame, held."""
    qpos = np.asarray(motion.qpos)[-max(1, round(seconds * motion.fps)) :]
    qpos = qpos if seconds else np.tile(qpos, (3, 1))
    return motion_from_qpos(motion.humanoid, qpos, motion.fps, provenance=motion.provenance)


def shifted(motion: Motion, by: np.ndarray) -> Motion:
    """The motion somewhere else."""
    qpos = np.array(motion.qpos)
    qpos[:, :3] += by
    return motion_from_qpos(motion.humanoid, qpos, motion.fps, provenance=motion.provenance)


def set_down(posed: Posed) -> Posed:
    """The person moved forward out of backrests, then up or down until ``LIFT`` above what is below, at the end."""
    skin = skin_of(posed.motion.humanoid)
    points, _ = skin.posed(np.asarray(posed.motion.body_pos)[-1], np.asarray(posed.motion.body_quat)[-1])
    back = np.isin(skin.part, [skin.names.index(name) for name in ("Back", "Head")])
    by = np.zeros(3)
    for _ in range(6):
        by[0] += max(0.0, LIFT - float(distances(posed.scene, points + by)[:, back].min()))
    for _ in range(6):
        by[2] += LIFT - float(distances(posed.scene, points + by).min())
    return posed._replace(motion=shifted(posed.motion, by))


def distances(scene: Scene, points: np.ndarray) -> np.ndarray:
    """Signed distance in m of points (N, 3) to each object, (O, N)."""
    surfaces = carrier_of(scene).parts[1:]
    return np.stack([np.asarray(s.nearest(points.astype(np.float32)).distance) for s in surfaces])


def truth(case: HsiCase) -> tuple[Posed, Scene]:
    """The case as it should be reconstructed, and the scene with objects as upright as their files have them.

    The person is set down on the furniture where that comes to rest. Of a pose, what the simulator makes of it in
    ``REST`` seconds without noise is the truth, if that is of type 4.
    """
    alone, body = furniture(case.object), mjxhuman.load_humanoid("smpl")
    rest = standing(alone)
    try:
        place = _PLACES.get(case.use, _seated)(case.use, body, rest)
    except ValueError:  # what fell has no surface at that height any more
        rest = alone
        place = _PLACES.get(case.use, _seated)(case.use, body, rest)
    scene, upright = place.scene(rest), place.scene(alone)
    if case.table:
        table = _before(place.motion, furniture(f"table:{case.seed % 1000}"))
        scene, upright = joined([scene, table]), joined([upright, table])
    posed = set_down(Posed(place.motion, scene))
    if not case.clip:
        found = mjxhuman.simulate_scene(posed.motion, posed.scene, hold=REST, noise=None, trials=1)
        if found.stable and found.motion is not None:
            posed = Posed(_last(found.motion), dataclasses.replace(posed.scene, poses=found.object_pose[-1]))
    return posed, upright


def _before(motion: Motion, table: Scene) -> Scene:
    """The table before somebody's knees."""
    points, _ = skin_of(motion.humanoid).posed(np.asarray(motion.body_pos)[0], np.asarray(motion.body_quat)[0])
    reach = float(points[points[:, 2] > KNEES, 0].max()) + 0.03
    return moved(table, reach - float(np.asarray(table.objects[0].points)[:, 0].min()))


def perturbed(case: HsiCase, true: Posed, upright: Scene) -> Posed:
    """What a reconstruction hands over."""
    rng = np.random.default_rng([case.seed, 1])
    motion, model = true.motion, true.motion.humanoid.model
    step = np.concatenate([
        rng.normal(0, PLACE, 2), rng.normal(0, HEIGHT, 1), np.zeros(3), rng.normal(0, JOINTS, model.nv - 6)
    ])  # fmt: skip
    qpos = np.array(motion.qpos, np.float64)
    for frame in qpos:
        mujoco.mj_integratePos(model, frame, step, 1.0)
    factor = 1 + rng.choice([-1, 1]) * rng.uniform(*SCALE)
    objects = tuple(resized(o, factor) for o in upright.objects)
    away = motion_from_qpos(motion.humanoid, qpos.astype(np.float32), motion.fps, provenance=motion.provenance)
    return Posed(away, dataclasses.replace(upright, objects=objects))
