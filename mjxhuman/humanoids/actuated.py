"""The actuated humanoid: position servos on every joint, contact points, and nothing else that collides.

The set-up is the one that stays finite at 120 Hz under any position targets: the damping of each servo is passive joint
damping, which the implicit integrator always sees, and only the spring torque is capped. With gain and damping both in
a capped actuator, damping becomes explicit and blows up (dt * kd / inertia is about 10 for a wrist).
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable

import mujoco
import numpy as np

from mjxhuman.humanoids import geometry
from mjxhuman.humanoids.address import BodyAddress, body_address
from mjxhuman.humanoids.humanoid import SMPL_BODIES, Humanoid
from mjxhuman.humanoids.record import BodyRecord
from mjxhuman.humanoids.registry import SMPL
from mjxhuman.humanoids.servos import Servos, add_servos, make_servos
from mjxhuman.humanoids.smpl import FRICTION
from mjxhuman.humanoids.tuning import STOCK, Tuning
from mjxhuman.humanoids.twins import to_ball

#: Physics steps per second; four per control step at 30 Hz.
PHYSICS_HZ = 120

#: Newton iterations and line-search steps. With 100 and 50, the mean pelvis height of 256 bodies after two seconds of
#: random targets differs by 0.2 mm and the speed does not; with 3 and 6 by 18 mm, and with 1 and 4 bodies explode.
ITERATIONS, LS_ITERATIONS = 6, 8

#: Share of a capsule's radius that counts when bodies of a person collide. Flesh gives way and recorded bodies are not
#: exactly this one: recorded walks overlap its full-size knees by up to 37 mm at each step, which would trip it.
SELF_RADIUS = 0.6

#: Pairs of bodies that may not pass through each other (and their mirror images), out of ``capsules.PAIRS``: legs, arms
#: against trunk and legs. About half of those: each pair costs time in every step, rare ones most of it.
_SELF_PAIRS = (
    ("L_Hip", "R_Hip"), ("L_Hip", "R_Knee"), ("L_Knee", "R_Knee"), ("L_Ankle", "R_Ankle"), ("L_Toe", "R_Toe"),
    ("L_Elbow", "Torso"), ("L_Elbow", "Chest"), ("L_Wrist", "Torso"), ("L_Wrist", "Chest"),
    ("L_Elbow", "Pelvis"), ("L_Wrist", "Pelvis"), ("L_Hand", "Pelvis"), ("L_Hand", "Head"),
    ("L_Elbow", "L_Hip"), ("L_Wrist", "L_Hip"), ("L_Hand", "L_Hip"), ("L_Hand", "R_Hip"), ("L_Hand", "L_Knee"),
    ("L_Elbow", "R_Elbow"), ("L_Wrist", "R_Wrist"), ("L_Hand", "R_Hand"),
)  # fmt: skip

#: Bodies, without side, whose drawn shapes may rest on the floor.
_SKIN = ("Pelvis", "Torso", "Spine", "Chest", "Head", "Hip", "Shoulder", "Wrist", "Hand")

_CONTACTS = ("full", "feet")


@dataclasses.dataclass(frozen=True, eq=False)
class Actuated:
    """An actuated model of a humanoid. Compared and hashed by identity; ``actuated_humanoid`` caches.

    In ``model`` the body has the coordinates of ``humanoid``, and three actuators per ball joint, in the order of the
    bodies, then x, y, z, or one per hinge. Control ``u`` is a target rotation vector (rad, child's axes) or angle; the
    torque is ``clip(kp * e, -cap, cap) - kd * w`` with e = u - r, r the joint's rotation vector or angle and w its
    angular velocity. Errors of ball joints are shifted by whole turns to within half a turn of 0 on each axis, as
    MuJoCo does.
    """

    humanoid: Humanoid
    model: mujoco.MjModel  # the body, and what ``scene`` added
    address: BodyAddress  # of the body in ``model``
    record: BodyRecord  # of the body
    servos: Servos
    contacts: str  # "full" or "feet"
    tuning: Tuning
    spec: mujoco.MjSpec  # what ``model`` was compiled from

    @property
    def nu(self) -> int:
        """Number of actuators."""
        return self.address.nu

    @property
    def kp(self) -> np.ndarray:
        """Gains of the springs (nu,), N m/rad."""
        return self.servos.kp

    @property
    def kd(self) -> np.ndarray:
        """Damping of the joints (nu,), N m s/rad."""
        return self.servos.kd

    @property
    def cap(self) -> np.ndarray:
        """Caps of the springs (nu,), N m."""
        return self.servos.cap

    @property
    def facts(self) -> dict[str, str]:
        """What files state of it, beside the humanoid: ``contacts``, and ``tuning`` as text."""
        return {"contacts": self.contacts, "tuning": self.tuning.text()}

    def describe(self) -> str:
        """Bodies with their servos, contact candidates and the size of the constraint problem, for people."""
        model, human = self.model, self.humanoid
        lines = [f"{human.description}: nq {model.nq}, nv {model.nv}, nu {model.nu}, {1 / model.opt.timestep:.0f} Hz"]
        width = max(len(name) for name in (human.body_names[1], *self.servos.joints))
        lines.append(f"{'joint':{width}s} {'mass kg':>8s} {'kp':>6s} {'kd':>5s} {'cap N m':>8s}")
        lines.append(f"{human.body_names[1]:{width}s} {model.body_mass[1]:8.2f}   free")
        for joint, name in enumerate(self.servos.joints):
            mass = model.body_mass[human.model.jnt_bodyid[joint + 1]]
            servo = joint * self.servos.axes
            numbers = f"{self.kp[servo]:6.0f} {self.kd[servo]:5.3g} {self.cap[servo]:8.0f}"
            lines.append(f"{name:{width}s} {mass:8.2f} {numbers}")
        geoms = geometry.contact_pairs(model)
        floor = model.geom("floor").id
        on_floor = [model.geom(b if a == floor else a).name for a, b in geoms if floor in (a, b)]
        others = [(model.geom(a).name, model.geom(b).name) for a, b in geoms if floor not in (a, b)]
        rows = 2 * (int(model.pair_dim[0]) - 1) if model.opt.cone == mujoco.mjtCone.mjCONE_PYRAMIDAL else 3
        lines.append(f"floor contacts ({len(on_floor)}): " + ", ".join(on_floor))
        lines.append(f"self contacts ({len(others)}): " + ", ".join(f"{a} - {b}" for a, b in others))
        lines.append(
            f"at most {len(geoms)} contacts, {rows * len(geoms)} constraint rows; Newton, "
            f"{model.opt.iterations} iterations, {model.opt.ls_iterations} line-search steps"
        )
        return "\n".join(lines)


def actuated_humanoid(
    humanoid: Humanoid,
    contacts: str = "full",
    self_contacts: bool = True,
    iterations: int = ITERATIONS,
    tuning: Tuning = STOCK,
    scene: Callable[[mujoco.MjSpec], None] | None = None,
) -> Actuated:
    """The actuated model of a humanoid that the registry knows; equal arguments return the same object.

    Of SMPL's topology, gains, damping and caps scale with weight times stature, so that a child is not a giant's
    strength in small. A robot's limits of torque, angle and its friction are those of its model.

    Args:
        humanoid: SMPL's hinges are converted to ball joints (``to_ball``); use ``Actuated.humanoid`` for coordinates.
        contacts: what may touch the floor: "feet", spheres in the corners of the soles, SMPL's six per foot; "full",
            the points of ``Humanoid.contacts`` on the rest of the body as well.
        self_contacts: whether legs, arms and trunk keep out of each other; a short list of capsule pairs of SMPL's
            topology, none of robots.
        iterations: of the contact solver. Engine "jax" has forward-mode derivatives with any number and reverse mode
            with 1 alone; then a step in contact is rough, and so are its slopes, and violent targets may make it fail.
        tuning: changes to the record's servos and soles.
        scene: adds objects to the description of the finished body, behind it, and the pairs of geoms that may touch:
            the plane is named "floor", the body's geoms are those that ``describe`` lists. Told apart by identity.

    Raises:
        ValueError: a body without a record or one whose joints it cannot drive (``make_servos``), unknown ``contacts``,
            or a scene that adds actuators or sits between the body and its coordinates.
    """
    if contacts not in _CONTACTS:
        raise ValueError(f"contacts: expected one of {_CONTACTS}, found {contacts!r}")
    if humanoid.is_smpl and humanoid.layout != "ball":
        humanoid = to_ball(humanoid)
    return _actuated(humanoid, contacts, self_contacts, iterations, tuning, scene)


@functools.lru_cache(maxsize=64)
def _actuated(
    humanoid: Humanoid,
    contacts: str,
    self_contacts: bool,
    iterations: int,
    tuning: Tuning,
    scene: Callable[[mujoco.MjSpec], None] | None,
) -> Actuated:
    record = humanoid.known
    servos = make_servos(humanoid, record)
    factors = np.array([tuning.factors(record.unsided(name)) for name in servos.joints])
    gain, damping, cap = np.repeat(factors, servos.axes, axis=0).T
    servos = dataclasses.replace(servos, kp=gain * servos.kp, kd=damping * servos.kd, cap=cap * servos.cap)
    spec = humanoid.spec.copy()
    _set_options(spec, iterations)
    add_servos(spec, humanoid, servos, record.armature)
    _add_floor_contacts(spec, humanoid, contacts, tuning.sole_radius)
    if tuning.skin and contacts == "full":
        _add_skin_contacts(spec)
    if self_contacts and humanoid.capsules is not None:
        _add_self_contacts(spec, humanoid)
    if scene is not None:
        scene(spec)
    model = spec.compile()
    address = body_address(model, humanoid.body_names[1])
    if model.nu != address.nu or address != address.alone:
        raise ValueError(f"scene: expected objects behind the body and no actuators, found {address} of {model.nu}")
    return Actuated(humanoid, model, address, record, servos, contacts, tuning, spec)


def randomized_models(
    actuated: Actuated,
    count: int,
    seed: int,
    friction: tuple[float, float] = (0.7, 1.3),
    mass: tuple[float, float] = (0.9, 1.1),
    gain: tuple[float, float] = (0.9, 1.1),
) -> list[mujoco.MjModel]:
    """Models of the same body for domain randomisation (``make_simulator(variants=...)``).

    Args:
        actuated: the body.
        count: how many models.
        seed: of NumPy's generator; equal arguments give equal models.
        friction, mass, gain: lowest and highest factor, drawn uniformly: one for the friction of all contacts, one for
            mass and inertia of each body, one for the gain and damping of each actuated joint (left and right differ).

    Raises:
        ValueError: a range that is not ``0 < low <= high``.
    """
    for name, (low, high) in (("friction", friction), ("mass", mass), ("gain", gain)):
        if not 0 < low <= high:
            raise ValueError(f"{name}: expected 0 < low <= high, found {(low, high)}")
    rng, models = np.random.default_rng(seed), []
    body = actuated.address
    for _ in range(count):
        model = copy.copy(actuated.model)
        grip = rng.uniform(*friction)
        model.pair_friction[:, :2] *= grip
        model.geom_friction[:, 0] *= grip  # of the objects of a scene
        factor = rng.uniform(*mass, 1 + body.nbody)[1:]  # the first would be the world's
        model.body_mass[body.bodies] *= factor
        model.body_inertia[body.bodies] *= factor[:, None]
        axes = actuated.servos.axes
        strength = np.repeat(rng.uniform(*gain, body.nu // axes), axes)
        model.actuator_gainprm[body.ctrl, 0] *= strength
        model.actuator_biasprm[body.ctrl, 1] *= strength
        model.dof_damping[body.joint_qvel] *= strength
        mujoco.mj_setConst(model, mujoco.MjData(model))  # what MuJoCo derives from masses
        models.append(model)
    return models


def _set_options(spec: mujoco.MjSpec, iterations: int) -> None:
    """Solver and integrator, and no collisions but those of explicit pairs."""
    option = spec.option
    option.timestep = 1.0 / PHYSICS_HZ
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.solver, option.cone = mujoco.mjtSolver.mjSOL_NEWTON, mujoco.mjtCone.mjCONE_PYRAMIDAL
    option.iterations, option.ls_iterations = iterations, LS_ITERATIONS
    for geom in spec.geoms:
        geom.contype, geom.conaffinity = 0, 0
    for old in (*spec.actuators, *spec.pairs, *spec.excludes, *spec.keys):
        spec.delete(old)


def _add_floor_contacts(spec: mujoco.MjSpec, humanoid: Humanoid, contacts: str, sole_radius: float) -> None:
    """Spheres at the humanoid's contact points, each paired with the floor."""
    points, floor = humanoid.contacts, _floor(spec)
    assert points is not None  # of every body with a record
    for i, body in enumerate(points.body_id):
        name, offset, radius = humanoid.body_names[body], points.offset[i], float(points.radius[i])
        count = int(np.sum(points.body_id[:i] == body))
        if points.is_foot[i] and radius == 0.0:
            if humanoid.is_smpl and name.endswith("Toe") and count < 2:
                continue  # the rear corners of a toe box lie at the front corners of the ankle's
            offset, radius = _inside(humanoid.model, int(body), offset, sole_radius)
        elif contacts == "feet" and not points.is_foot[i]:
            continue
        sphere = _add_geom(spec, f"{name}_contact{count}", name, offset, offset, radius)
        _add_pair(spec, floor, sphere)


def _add_skin_contacts(spec: mujoco.MjSpec) -> None:
    """The drawn shapes of bodies that lie, roll and lean, each paired with the floor; models without them have none.

    The points of ``Humanoid.contacts`` are few and lie inside: on them a back sinks in by centimetres between two.
    """
    floor = _floor(spec)
    for geom in spec.geoms:
        body, drawn, _ = geom.name.partition("_skin")
        if drawn and SMPL.unsided(body) in _SKIN:
            _add_pair(spec, floor, geom.name)


def _floor(spec: mujoco.MjSpec) -> str:
    """Name of the plane the body stands on; one at z = 0 is added to a model without."""
    planes = [g for g in spec.worldbody.geoms if g.type == mujoco.mjtGeom.mjGEOM_PLANE]
    if not planes:
        planes = [
            spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=(0, 0, 0.05), contype=0, conaffinity=0)
        ]
    planes[0].name = "floor"
    return "floor"


def _inside(model: mujoco.MjModel, body: int, corner: np.ndarray, most: float) -> tuple[np.ndarray, float]:
    """Centre (3,) and radius (at most ``most``, m) of the sphere that touches the faces of a box next to a corner."""
    geom = geometry.collision_geom(model, body)
    rotation = geometry.geom_rotation(model, geom)
    centre = model.geom_pos[geom] + rotation @ model.geom_aabb[geom, :3]
    radius = min(most, float(model.geom_aabb[geom, 3:].min()))
    return corner - radius * rotation @ np.sign(rotation.T @ (corner - centre)), radius


def _add_self_contacts(spec: mujoco.MjSpec, humanoid: Humanoid) -> None:
    """One capsule for each body of the list of pairs; pairs that overlap in the T-pose already are left out."""
    capsules, added = humanoid.capsules, {}
    assert capsules is not None
    wanted = {frozenset(pair) for pair in _self_pairs()}
    for pair, overlap in zip(capsules.pairs, capsules.rest_overlap, strict=True):
        names = [SMPL_BODIES[i] for i in pair]
        if frozenset(names) not in wanted or overlap > 0:
            continue
        for name, i in zip(names, pair, strict=True):
            if name not in added:
                ends = capsules.ends[i]
                radius = SELF_RADIUS * float(capsules.radius[i])
                added[name] = _add_geom(spec, f"{name}_capsule", name, ends[0], ends[1], radius)
        _add_pair(spec, added[names[0]], added[names[1]])


def _self_pairs() -> list[tuple[str, str]]:
    """The pairs and their mirror images."""
    return [pair for a, b in _SELF_PAIRS for pair in ((a, b), (SMPL.mirrored(a), SMPL.mirrored(b)))]


def _add_geom(spec: mujoco.MjSpec, name: str, body: str, start: np.ndarray, end: np.ndarray, radius: float) -> str:
    """An invisible, massless sphere or capsule that collides in explicit pairs only; returns its name."""
    common = {"name": name, "contype": 0, "conaffinity": 0, "mass": 0.0, "group": 4, "rgba": (0.9, 0.3, 0.2, 0.5)}
    geometry.add_primitive(spec.body(body), geometry.Primitive(np.array([start, end]), radius), **common)
    return name


def _add_pair(spec: mujoco.MjSpec, first: str, second: str) -> None:
    sliding, torsional, rolling = FRICTION
    spec.add_pair(geomname1=first, geomname2=second, condim=3, friction=(sliding, sliding, torsional, rolling, rolling))
