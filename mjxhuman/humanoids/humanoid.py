"""What a humanoid is: a MuJoCo model plus the facts about a human body that MuJoCo has no place for."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import mujoco
import numpy as np

from mjxhuman.humanoids.record import BodyRecord
from mjxhuman.math import quaternion
from mjxhuman.types import SMPL_JOINTS

#: SMPL's 24 joints in SMPL order, under PHC's body names.
SMPL_BODIES = SMPL_JOINTS


@dataclasses.dataclass(frozen=True, eq=False)
class ContactPoints:
    """Spheres fixed to bodies whose lowest points may carry load: the candidates of the contact solve.

    P points in F groups (contact bodies; the two feet come first). All arrays are NumPy.
    """

    body_id: np.ndarray  # (P,) int, MuJoCo body id
    offset: np.ndarray  # (P, 3) m, sphere centre in the body frame
    radius: np.ndarray  # (P,) m; 0 for a point on the sole itself
    group: np.ndarray  # (P,) int, index into ``group_names``
    group_names: tuple[str, ...]  # ("L_Foot", "R_Foot", ...)
    is_foot: np.ndarray  # (P,) bool


@dataclasses.dataclass(frozen=True, eq=False)
class Capsules:
    """Segments with a radius that stand for the body's volume, and the pairs that must not overlap."""

    body_id: np.ndarray  # (C,) int
    ends: np.ndarray  # (C, 2, 3) m, body frame; both ends equal for a sphere
    radius: np.ndarray  # (C,) m
    pairs: np.ndarray  # (Q, 2) int, indices of capsules
    rest_overlap: np.ndarray  # (Q,) m, overlap in the T-pose that is anatomy, not penetration (0 where they are apart)


@dataclasses.dataclass(frozen=True, eq=False)
class RangeOfMotion:
    """Anatomical joint ranges on clinical angles.

    Clinical joint k is the rotation of ``distal`` relative to ``proximal`` (both SMPL-frame body rotations), written as
    three angles in the decomposition ``order``; angle i must lie in ``[low, high]``. Chains such as the whole spine are
    one joint. ``order`` is an intrinsic Euler order such as "XZY", or one of swing and twist for joints of large range
    (shoulder, hip): see ``mjxhuman.math.clinical.clinical_angles``, which computes them.
    """

    names: tuple[str, ...]  # (K,) "L_Knee", "Spine", ...
    proximal: np.ndarray  # (K,) MuJoCo body id
    distal: np.ndarray  # (K,) MuJoCo body id
    order: tuple[str, ...]  # (K,) for example "XZY" or "swing-y"
    low: np.ndarray  # (K, 3) rad
    high: np.ndarray  # (K, 3) rad
    angle_names: tuple[tuple[str, str, str], ...]  # (K, 3) for example ("flexion", "abduction", "rotation")


@dataclasses.dataclass(frozen=True, eq=False)
class Humanoid:
    """A MuJoCo model and its anatomy. Compared and hashed by identity; ``load_humanoid`` caches.

    The tables refer to MuJoCo body ids of ``model`` (0 is the world). A body that is not of SMPL topology (a robot) has
    contact points if it has a record, and no other tables: it can be simulated and tracked, and has no feasibility
    score. One without a record has kinematics and dynamics alone.
    """

    name: str
    model: mujoco.MjModel
    spec: mujoco.MjSpec  # what ``model`` was compiled from; copy it before adding actuators or geoms
    layout: str  # "ball", "hinge" (three hinges x, y, z per body) or "mixed"
    stature: float  # m
    mass: float  # kg
    body_names: tuple[str, ...]  # (B,) including the world
    smpl_body_ids: np.ndarray | None  # (24,) body id of each SMPL joint, SMPL order
    smpl_frame: np.ndarray | None  # (4,) wxyz: q_body = q_smpl * smpl_frame for world rotations; identity for ours
    contacts: ContactPoints | None
    capsules: Capsules | None
    range_of_motion: RangeOfMotion | None
    torque_limit: np.ndarray | None  # (B, 3, 2) N m, lowest (negative) and highest per body axis of each body's joint
    speed_limit: np.ndarray | None  # (B,) rad/s, relative angular speed clean motion stays below
    record: BodyRecord | None = None  # what ``registry`` knows of this body
    source: str | None = None  # path of the MJCF it was read from

    def __repr__(self) -> str:
        return (
            f"Humanoid({self.description}, {self.layout} joints, {self.nbody - 1} bodies, nq {self.nq}, nv {self.nv})"
        )

    @property
    def nq(self) -> int:
        """Number of position coordinates."""
        return int(self.model.nq)

    @property
    def nv(self) -> int:
        """Number of velocity coordinates."""
        return int(self.model.nv)

    @property
    def nbody(self) -> int:
        """Number of bodies, the world included."""
        return int(self.model.nbody)

    @property
    def weight(self) -> float:
        """Body weight in N under the model's gravity."""
        return self.mass * float(np.linalg.norm(self.model.opt.gravity))

    @property
    def up(self) -> np.ndarray:
        """Unit vector ``(3,)`` against the model's gravity, world axes; +z where there is none."""
        gravity = np.array(self.model.opt.gravity, float)
        strength = float(np.linalg.norm(gravity))
        return -gravity / strength + 0.0 if strength else np.array([0.0, 0.0, 1.0])

    def centre_of_mass(
        self, body_pos: np.ndarray, body_quat: np.ndarray, bodies: Sequence[int] | None = None, scale: float = 1.0
    ) -> np.ndarray:
        """Centre of mass ``(*f, 3)`` m, on the host, of poses ``(*f, B, 3)`` m and ``(*f, B, 4)`` wxyz, world.

        Args:
            body_pos, body_quat: of the body frames.
            bodies: MuJoCo ids of those that are given; default all of the model, the world included.
            scale: factor on the body's size.
        """
        ids = slice(None) if bodies is None else np.asarray(bodies)
        share = self.model.body_mass[ids] / self.model.body_mass[ids].sum()
        return np.einsum(
            "b,...bi->...i", share, body_pos + quaternion.rotate(body_quat, scale * self.model.body_ipos[ids])
        )

    def with_gravity(self, gravity: Sequence[float]) -> Humanoid:
        """The same body where gravity is ``(3,)`` m/s^2 in world axes; equal arguments return the same object.

        Raises:
            ValueError: not three finite numbers.
        """
        values = np.asarray(gravity, float)
        if values.shape != (3,) or not np.isfinite(values).all():
            raise ValueError(f"gravity: expected three finite numbers, found {gravity!r}")
        return _under_gravity(self, tuple(values.tolist()))

    @property
    def root_height(self) -> float:
        """Height (m) of the root above the floor when the body stands."""
        stated = self.record.root_height if self.record is not None else None
        return float(self.model.qpos0[2]) if stated is None else stated

    @property
    def origin(self) -> dict[str, str]:
        """Arguments of ``load_humanoid`` that find it again, options aside: its name, and the file it was read from."""
        if self.source is None:
            return {"name": self.name}
        robot = self.record is not None and not self.is_smpl
        return {"name": self.known.name, "mjcf": self.source} if robot else {"name": self.source}

    @property
    def known(self) -> BodyRecord:
        """The body's record.

        Raises:
            ValueError: it has none.
        """
        if self.record is None:
            raise ValueError(
                f"humanoid {self.name!r}: expected a body that the registry knows (humanoids.registry.register), "
                f"found {self.nbody - 1} bodies it does not"
            )
        return self.record

    @property
    def tracked_ids(self) -> tuple[int, ...]:
        """MuJoCo ids of the bodies that are tracked. Raises ValueError as ``known``."""
        return tuple(self.body_names.index(name) for name in self.known.tracked)

    @property
    def is_smpl(self) -> bool:
        """Whether the model has the 24 bodies of SMPL's topology."""
        return self.smpl_body_ids is not None

    @property
    def description(self) -> str:
        """Name, stature and mass, for results: scores depend on the body."""
        return f"{self.name}, {self.stature:.2f} m, {self.mass:.1f} kg"


@functools.lru_cache(maxsize=64)
def _under_gravity(humanoid: Humanoid, gravity: tuple[float, float, float]) -> Humanoid:
    spec = humanoid.spec.copy()
    spec.option.gravity = gravity
    return dataclasses.replace(humanoid, spec=spec, model=spec.compile())
