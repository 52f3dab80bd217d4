"""A body and the objects of a scene in one model: the body first, then the objects, on one floor.

    composed = compose(humanoid, scene)
    simulator = make_simulator(composed.actuated)

Scenes that are to run side by side in one program are padded to one ``Layout``: the same number of objects, pieces and
pairs of geoms. What a scene has less is there all the same, a kilometre away from everything.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from mjxhuman.humanoids.actuated import Actuated, actuated_humanoid
from mjxhuman.humanoids.flesh import flesh_of
from mjxhuman.humanoids.geometry import Primitive, add_primitive
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.scenes.types import Scene, SceneObject
from mjxhuman.types import Array

#: m above its object that a piece is kept which pads it, times the object's number: no two of them can meet.
FAR = 1e3
#: m, margin of the pairs of such pieces with the floor, which they would reach if their object turned over: contacts
#: are found nearer than a pair's margin. Not that of all their pairs, as MuJoCo is slow to pass over a negative one.
OFF = -1e6
#: Bit of what a body touches objects with, in ``contype``, and of objects, in ``conaffinity``: hundreds of geoms that
#: MuJoCo need not look at one by one, as it does with pairs. The contacts, and their order, are those of pairs.
TOUCH = 1
#: N s/m and N m s/rad that hold an object which a scene lacks where it is: it sinks by a micrometre in ten seconds.
_HELD = 1e8
#: m, half size of the boxes that such an object is made of.
_STUB = 0.05
#: Contacts that MJX keeps, the deepest; it would solve for every pair there is. C MuJoCo does not look at it.
MJX_CONTACTS = 96


@dataclasses.dataclass(frozen=True)
class Layout:
    """What scenes that run side by side have in common."""

    free: int  # objects that can move,
    fixed: int  # and that cannot
    pieces: int  # convex pieces of each object
    boxes: bool  # whether every piece is a box: simpler geoms, and the only ones that differ between scenes under MJX
    corners: int  # vertices of all pieces together, where they are hulls

    def slots(self, scene: Scene) -> tuple[int, ...]:
        """Which of the layout's objects each of the scene's is, (O,): first those that move.

        Raises:
            ValueError: the layout does not hold the scene.
        """
        free = [i for i, o in enumerate(scene.objects) if o.free]
        fixed = [i for i, o in enumerate(scene.objects) if not o.free]
        most = max((len(o.parts.mask) for o in scene.objects), default=0)
        if len(free) > self.free or len(fixed) > self.fixed or most > self.pieces:
            raise ValueError(
                f"scene: expected at most {self.free} free and {self.fixed} fixed objects of {self.pieces} pieces, "
                f"found {len(free)} and {len(fixed)} of {most}"
            )
        if self.boxes and not all(as_boxes(o) is not None for o in scene.objects):
            raise ValueError("scene: expected boxes, as the layout's other scenes have, found other pieces")
        slots = {i: k for k, i in enumerate(free)} | {i: self.free + k for k, i in enumerate(fixed)}
        return tuple(slots[i] for i in range(len(scene.objects)))


@dataclasses.dataclass(frozen=True, eq=False)
class Composed:
    """A body among the objects of a scene. ``O`` objects, in the scene's order."""

    actuated: Actuated
    scene: Scene
    bodies: tuple[int, ...]  # (O,) MuJoCo's numbers of the objects' bodies

    @property
    def floor(self) -> int:
        """Number of the floor's geom."""
        return int(self.actuated.model.geom("floor").id)

    def poses(self, qpos: Array) -> np.ndarray:
        """Where the objects are, ``(*b, O, 7)`` m and wxyz, in states ``(*b, nq)``."""
        qpos = np.asarray(qpos)
        still = np.asarray(self.scene.poses, qpos.dtype)
        rows = [self._joint(body) for body in self.bodies]
        found = [still[o] if a is None else qpos[..., a[0] : a[0] + 7] for o, a in enumerate(rows)]
        return np.stack([np.broadcast_to(x, (*qpos.shape[:-1], 7)) for x in found], -2)

    def velocities(self, qvel: Array) -> np.ndarray:
        """Velocities ``(*b, O, 6)`` of the objects: linear in m/s, world; angular in rad/s, object's axes."""
        qvel = np.asarray(qvel)
        rows = [self._joint(body) for body in self.bodies]
        found = [np.zeros((*qvel.shape[:-1], 6), qvel.dtype) if a is None else qvel[..., a[1] : a[1] + 6] for a in rows]
        return np.stack(found, -2)

    def start(
        self, qpos: Array, qvel: Array | None = None, poses: Array | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The whole state, ``(*b, nq)`` and ``(*b, nv)`` in float64, with the body in the given one.

        Args:
            qpos, qvel: the body's ``(*b, nq)`` and ``(*b, nv)``; None: at rest.
            poses: of the objects ``(*b, O, 7)``; None: those of the scene.
        """
        model, at = self.actuated.model, self.actuated.address
        qpos = np.asarray(qpos, np.float64)
        whole = np.tile(model.qpos0, (*qpos.shape[:-1], 1))
        speed = np.zeros((*qpos.shape[:-1], model.nv))
        whole[..., at.qpos] = qpos
        if qvel is not None:
            speed[..., at.qvel] = qvel
        for o, body in enumerate(self.bodies):
            joint = self._joint(body)
            if poses is not None and joint is not None:
                whole[..., joint[0] : joint[0] + 7] = np.asarray(poses)[..., o, :]
        return whole, speed

    def _joint(self, body: int) -> tuple[int, int] | None:
        """Where a free object's coordinates and velocities begin."""
        model = self.actuated.model
        joint = int(model.body_jntadr[body])
        return None if joint < 0 else (int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint]))


def common_layout(scenes: Sequence[Scene], pieces: int = 0) -> Layout:
    """The least layout that holds all of these scenes, with at least so many pieces per object.

    Raises:
        ValueError: no scenes, or a batch of poses in one.
    """
    if not scenes:
        raise ValueError("scenes: expected at least one, found none")
    for scene in scenes:
        if np.shape(scene.poses) != (len(scene.objects), 7):
            expected = (len(scene.objects), 7)
            raise ValueError(f"poses: expected {expected} of a scene's objects, found {np.shape(scene.poses)}")
    everything = [o for scene in scenes for o in scene.objects]
    boxes = all(as_boxes(o) is not None for o in everything)
    free = max(sum(o.free for o in s.objects) for s in scenes)
    fixed = max(sum(not o.free for o in s.objects) for s in scenes)
    pieces = max(pieces, *(len(o.parts.mask) for o in everything)) if everything else 0
    corners = 0 if boxes else max(_corners(s, free + fixed, pieces) for s in scenes)
    return Layout(free, fixed, pieces, boxes, corners)


def compose(humanoid: Humanoid, scene: Scene, layout: Layout | None = None, **options: Any) -> Composed:
    """The actuated body among a scene's objects.

    The body touches objects with the capsules of its flesh (``flesh.flesh_of``), with feet and head by the spheres that
    touch the floor. Objects touch the floor and each other.

    Args:
        humanoid: as for ``actuated_humanoid``.
        scene: its objects and where they are.
        layout: to pad to; None: the scene's own.
        options: of ``actuated_humanoid``.

    Raises:
        ValueError: a scene that the layout does not hold.
    """
    layout = layout or common_layout([scene])
    slots = layout.slots(scene)
    furnish = None if not (layout.free + layout.fixed) else lambda spec: _furnish(spec, humanoid, scene, layout)
    actuated = actuated_humanoid(humanoid, scene=furnish, **options)
    return Composed(actuated, scene, tuple(int(actuated.model.body(f"object{slot}").id) for slot in slots))


def compose_all(humanoid: Humanoid, scenes: Sequence[Scene], **options: Any) -> tuple[Composed, ...]:
    """``compose`` for scenes that run side by side: ``make_simulator(c[0].actuated, variants=[x.actuated.model ...])``.

    Raises:
        ValueError: no scenes, or a batch of poses in one.
    """
    layout = common_layout(scenes)
    return tuple(compose(humanoid, scene, layout, **options) for scene in scenes)


def objects_alone(scene: Scene, timestep: float, layout: Layout | None = None) -> mujoco.MjModel:
    """The objects of a scene on their floor, and nobody: free objects' coordinates in the order of the scene."""
    spec = mujoco.MjSpec()
    spec.option.timestep, spec.option.integrator = timestep, mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(0, 0, 0.05), contype=0, conaffinity=0)
    add_objects(spec, scene, layout or common_layout([scene]))
    return spec.compile()


def add_objects(spec: mujoco.MjSpec, scene: Scene, layout: Layout) -> None:
    """Add a scene's objects behind whatever a description holds; they touch its "floor" and each other.

    Bodies are named "object0", "object1", ..., first those that move. What has ``TOUCH`` in its ``contype`` touches
    them, too, with their friction.
    """
    slots = dict(zip(layout.slots(scene), range(len(scene.objects)), strict=True))
    groups: list[list[tuple[str, bool, float]]] = []
    corners = 0
    for slot in range(layout.free + layout.fixed):
        index = slots.get(slot)
        thing = None if index is None else scene.objects[index]
        pose = np.array([1e3 + 10 * slot, 0, 1, 1, 0, 0, 0]) if index is None else np.asarray(scene.poses)[index]
        body = spec.worldbody.add_body(name=f"object{slot}", pos=pose[:3], quat=pose[3:])
        _add_inertia(body, thing, slot < layout.free)
        geoms, used = _add_pieces(spec, body, thing, layout, slot)
        groups.append(geoms)
        corners += used
    if not layout.boxes and groups:
        _add_filler(spec, layout.corners - corners)
    for number, geoms in enumerate(groups):
        for geom in geoms:
            if number < layout.free:
                _add_pair(spec, ("floor", True, geom[2]), geom)
            for other in (g for group in groups[: min(number, layout.free)] for g in group):  # one of them moves
                _add_pair(spec, other, geom)


def _add_pair(spec: mujoco.MjSpec, first: tuple[str, bool, float], second: tuple[str, bool, float]) -> None:
    """Let two geoms touch, with the mean of their frictions."""
    friction = 0.5 * (first[2] + second[2])
    spec.add_pair(
        geomname1=first[0], geomname2=second[0], condim=3, friction=(friction, friction, 0.005, 0.0001, 0.0001),
        margin=OFF if first[0] == "floor" and not second[1] else 0.0,
    )  # fmt: skip


def as_boxes(thing: SceneObject) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Centres (K, 3), half sizes (K, 3) and rotations (K, 3, 3) of an object's pieces; None where one is no box."""
    vertices = np.asarray(thing.parts.vertices, np.float64)
    if vertices.shape[1] != 8:
        return None
    centre = vertices.mean(1)
    axes = []
    for planes in np.asarray(thing.parts.planes, np.float64):
        normals: list[np.ndarray] = []
        for normal in planes[:, :3]:
            if all(abs(normal @ n) < 1 - 1e-6 for n in normals):
                normals.append(normal)
        turn = np.array(normals)
        if turn.shape != (3, 3) or not np.allclose(turn @ turn.T, np.eye(3), atol=1e-6):
            return None
        turn[2] *= np.sign(np.linalg.det(turn))
        axes.append(turn.T)
    rotation = np.array(axes)
    local = (vertices - centre[:, None]) @ rotation
    half = np.abs(local).max(1)
    return (centre, half, rotation) if np.allclose(np.abs(local), half[:, None], atol=1e-6) else None


def _furnish(spec: mujoco.MjSpec, humanoid: Humanoid, scene: Scene, layout: Layout) -> None:
    """Objects, and what of the body touches them."""
    skin = _skin_geoms(spec, humanoid)
    add_objects(spec, scene, layout)
    spec.stat.extent, spec.stat.center = humanoid.model.stat.extent, humanoid.model.stat.center  # of what is looked at
    spec.add_numeric(name="max_contact_points", data=[MJX_CONTACTS], size=1)
    for name in skin:
        spec.geom(name).contype = TOUCH


def _skin_geoms(spec: mujoco.MjSpec, humanoid: Humanoid) -> list[str]:
    """Names of the geoms with which a body touches objects; adds the capsules."""
    found, names, flesh = [], humanoid.body_names, flesh_of(humanoid)
    for number, (body, *shape) in enumerate(flesh):
        found.append(f"{names[body]}_flesh{number}")
        add_primitive(
            spec.body(names[body]), Primitive(*shape), name=found[-1], contype=0, conaffinity=0, mass=0.0, group=4,
            rgba=(0.9, 0.3, 0.2, 0.5),
        )  # fmt: skip
    covered = {names[body] for body, *_ in flesh}
    spheres = [p.geomname2 for p in spec.pairs if p.geomname1 == "floor" and "_contact" in p.geomname2]
    return found + [s for s in spheres if s.split("_contact")[0] not in covered]


def _add_inertia(body: mujoco.MjsBody, thing: SceneObject | None, free: bool) -> None:
    if free:
        joint = body.add_freejoint()
        if thing is None:
            joint.damping = (_HELD, 0.0, 0.0)
    mass, com, inertia = (
        (
            1.0,
            np.array([0.0, 0.0, _STUB]),
            np.eye(3),
        )  # beside its origin, as real ones: MuJoCo stores the other kind apart
        if thing is None
        else (float(thing.mass), np.asarray(thing.com), np.asarray(thing.inertia))
    )
    body.explicitinertial, body.mass, body.ipos = True, mass, com
    body.fullinertia = [*np.diag(inertia), inertia[0, 1], inertia[0, 2], inertia[1, 2]]


def _add_pieces(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, thing: SceneObject | None, layout: Layout, slot: int
) -> tuple[list[tuple[str, bool, float]], int]:
    """The pieces of an object, the layout's number of them, and how many corners they have as hulls."""
    friction = 1.0 if thing is None else float(thing.friction)
    common = {
        "contype": 0, "conaffinity": TOUCH, "condim": 3, "priority": 1, "friction": (friction, 0.005, 0.0001),
        "mass": 0.0, "group": 1, "rgba": (0.72, 0.6, 0.45, 1.0),
    }  # fmt: skip
    mask = np.zeros(1, bool) if thing is None else np.asarray(thing.parts.mask)
    boxes = None if thing is None else as_boxes(thing) if layout.boxes else None
    found, corners = [], 0
    for k in range(layout.pieces):
        label, own = f"object{slot}_piece{k}", k if k < len(mask) and mask[k] else 0
        place = np.array([0.0, 0.0, 0.0 if k < len(mask) and mask[k] else FAR * (1 + slot)])
        found.append((label, bool(k < len(mask) and mask[k]), friction))
        if layout.boxes and boxes is None:
            body.add_geom(name=label, type=mujoco.mjtGeom.mjGEOM_BOX, pos=place, size=3 * (_STUB,), **common)
        elif boxes is not None:
            quat = np.zeros(4)
            mujoco.mju_mat2Quat(quat, boxes[2][own].ravel())
            pos, size = boxes[0][own] + place, boxes[1][own]
            body.add_geom(name=label, type=mujoco.mjtGeom.mjGEOM_BOX, pos=pos, size=size, quat=quat, **common)
        else:
            points = _hull(thing, own)
            corners += len(points)
            spec.add_mesh(name=label, uservert=points.ravel(), inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX)
            body.add_geom(name=label, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=label, pos=place, **common)
    return found, corners


def _hull(thing: SceneObject | None, piece: int) -> np.ndarray:
    """Corners (V, 3) of a piece; of an object that is missing those of a cube."""
    if thing is None:
        return _STUB * np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij"), -1).reshape(8, 3)
    return np.asarray(thing.parts.vertices, np.float64)[piece]


def _corners(scene: Scene, objects: int, pieces: int) -> int:
    """Vertices of all hulls of a scene, padding included."""
    own = sum(int(np.shape(o.parts.vertices)[1]) * pieces for o in scene.objects)
    return own + 8 * pieces * (objects - len(scene.objects)) + _FILLER


#: Corners of the least mesh that fills a scene up.
_FILLER = 4


def _add_filler(spec: mujoco.MjSpec, corners: int) -> None:
    """A mesh that no geom shows: MuJoCo's data has room for the faces of all meshes, 2 V - 4 of each hull.

    Raises:
        ValueError: less than the least mesh is left.
    """
    if corners < _FILLER:
        raise ValueError(f"scene: expected at most as many corners as the layout, found {_FILLER - corners} more")
    golden = np.pi * (3.0 - np.sqrt(5.0)) * np.arange(corners)  # points all over a sphere: no four in a plane
    height = 1.0 - (2.0 * np.arange(corners) + 1.0) / corners
    across = np.sqrt(1.0 - height**2)
    points = np.stack([across * np.cos(golden), across * np.sin(golden), height], -1)
    spec.add_mesh(name="filler", uservert=points.ravel(), inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX)
