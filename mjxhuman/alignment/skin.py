"""Points on a body's skin: what furniture meets of it, sampled once, moved by its kinematics."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import mujoco
import numpy as np

from mjxhuman.humanoids import geometry
from mjxhuman.humanoids.flesh import Flesh, flesh_of
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.humanoids.proportions import DEFAULT_STATURE
from mjxhuman.humanoids.skin import SKIN_GROUP
from mjxhuman.math import quaternion

#: Parts of a body that touch things, and SMPL's bodies that they are made of.
PARTS = {
    "Pelvis": ("Pelvis",), "L_Thigh": ("L_Hip",), "R_Thigh": ("R_Hip",),
    "Back": ("Torso", "Spine", "Chest", "L_Thorax", "R_Thorax"), "Head": ("Neck", "Head"),
    "L_Shank": ("L_Knee",), "R_Shank": ("R_Knee",), "L_Foot": ("L_Ankle", "L_Toe"), "R_Foot": ("R_Ankle", "R_Toe"),
    "L_Arm": ("L_Shoulder",), "R_Arm": ("R_Shoulder",), "L_Forearm": ("L_Elbow",), "R_Forearm": ("R_Elbow",),
    "L_Hand": ("L_Wrist", "L_Hand"), "R_Hand": ("R_Wrist", "R_Hand"),
}  # fmt: skip
#: Those that stand.
FEET = ("L_Foot", "R_Foot")

#: The side of a part that carries load, in SMPL's rest pose (x left, y up, z forward; arms out, palms down): people sit
#: on the back and under side of the pelvis and the back of the thighs, lean on their back, stand on soles.
_SIDES = {
    "Pelvis": (0.0, -1.0, -0.5), "Thigh": (0.0, 0.0, -1.0), "Back": (0.0, 0.0, -1.0), "Head": (0.0, 0.0, -1.0),
    "Shank": (0.0, 0.0, -1.0), "Foot": (0.0, -1.0, 0.0), "Arm": (0.0, -1.0, 0.0), "Forearm": (0.0, -1.0, 0.0),
    "Hand": (0.0, -1.0, 0.0),
}  # fmt: skip
#: m from the hip joint at ``DEFAULT_STATURE``: nearer than this the drawn thigh is buttock, and counts to the pelvis.
_BUTTOCK = 0.10
#: A point is on that side where its normal is within 60 degrees of it.
_ON_SIDE = 0.5
#: Points of a skin; each of a part's shapes has its share by area.
COUNT = 1536
_GOLDEN = np.pi * (3 - np.sqrt(5))


@dataclasses.dataclass(frozen=True, eq=False)
class Skin:
    """N points with outward normals, fixed to bodies, ordered by part."""

    body: np.ndarray  # (N,) int, MuJoCo body id
    offset: np.ndarray  # (N, 3) m, body frame
    normal: np.ndarray  # (N, 3) unit, body frame
    part: np.ndarray  # (N,) int, index into ``names``
    bearing: np.ndarray  # (N,) bool, on the side of its part that carries load
    names: tuple[str, ...]  # of the parts

    def posed(self, body_pos: np.ndarray, body_quat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points ``(*f, N, 3)`` m and normals in the world, of body poses ``(*f, B, 3)`` m and ``(*f, B, 4)`` wxyz."""
        quat = np.asarray(body_quat, np.float64)[..., self.body, :]
        place = np.asarray(body_pos, np.float64)[..., self.body, :]
        return place + quaternion.rotate(quat, self.offset), quaternion.rotate(quat, self.normal)


@functools.lru_cache(maxsize=32)
def skin_of(humanoid: Humanoid, count: int = COUNT) -> Skin:
    """The skin of a body of SMPL's topology; cached by the humanoid's identity.

    Shapes are the capsules that furniture meets (``flesh.flesh_of``), or the ellipsoids that they lie in, else what is
    drawn, and where a model draws nothing what collides.

    Raises:
      ValueError: not of SMPL topology, or a part has no shape.
    """
    if humanoid.smpl_body_ids is None or humanoid.smpl_frame is None:
        raise ValueError(f"humanoid {humanoid.name!r}: expected a body of SMPL's topology, which has parts by name")
    model, names, flesh = humanoid.model, tuple(PARTS), flesh_of(humanoid)
    shapes: list[tuple[int, int, np.ndarray, np.ndarray, float]] = []  # part, body, dense points, normals, area
    for part, members in enumerate(PARTS.values()):
        for body in (humanoid.body_names.index(name) for name in members if name in humanoid.body_names):
            surfaces = _surfaces(model, body, [capsule for capsule in flesh if capsule.body == body])
            shapes += [(part, body, *surface) for surface in surfaces]
        if not shapes or shapes[-1][0] != part:
            raise ValueError(f"humanoid {humanoid.name!r}: {names[part]}: expected a shape, found none")
    whole = sum(area for *_, area in shapes)
    rows = []
    for part, body, points, normals, area in shapes:
        chosen = _spread(points, max(8, round(count * area / whole)))
        side = quaternion.rotate(
            quaternion.conjugate(humanoid.smpl_frame), np.array(_SIDES[names[part].split("_")[-1]])
        )
        bearing = normals[chosen] @ (side / np.linalg.norm(side)) > _ON_SIDE
        full = np.ones(len(chosen), int)
        buttock = np.linalg.norm(points[chosen], axis=1) < _BUTTOCK * humanoid.stature / DEFAULT_STATURE
        belongs = np.where(buttock & names[part].endswith("Thigh"), names.index("Pelvis"), part)
        rows.append((body * full, points[chosen], normals[chosen], belongs, bearing))
    body, offset, normal, belongs, bearing = (np.concatenate(column) for column in zip(*rows, strict=True))
    order = np.argsort(belongs, kind="stable")
    return Skin(body[order], offset[order], normal[order], belongs[order], bearing[order], names)


def _spread(points: np.ndarray, count: int) -> np.ndarray:
    """Indices of ``count`` points, each the farthest from those before it."""
    chosen, apart = [0], np.full(len(points), np.inf)
    for _ in range(count - 1):
        apart = np.minimum(apart, np.sum((points - points[chosen[-1]]) ** 2, 1))
        chosen.append(int(apart.argmax()))
    return np.array(chosen)


def _is_shape(model: mujoco.MjModel, geom: int) -> bool:
    kinds = (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_HFIELD)
    return model.geom_type[geom] not in kinds and (
        model.geom_group[geom] == SKIN_GROUP or model.geom_contype[geom] or model.geom_conaffinity[geom]
    )


def _surfaces(
    model: mujoco.MjModel, body: int, flesh: Sequence[Flesh]
) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Points ``(N, 3)`` m, normals and area of each shape of a body; of capsules without what lies in the others."""
    geoms = [g for g in range(model.ngeom) if model.geom_bodyid[g] == body and _is_shape(model, g)]
    drawn = [g for g in geoms if model.geom_group[g] == SKIN_GROUP]
    if not flesh or any(model.geom_type[g] == mujoco.mjtGeom.mjGEOM_ELLIPSOID for g in drawn):
        yield from (_surface(model, g) for g in drawn or geoms)
        return
    for number, (_, ends, radius) in enumerate(flesh):
        long = float(np.linalg.norm(ends[1] - ends[0]))
        turn = quaternion.between(np.array([0.0, 0.0, 1.0]), (ends[1] - ends[0]) / long if long else np.eye(3)[2])
        points, normals, area = _capsule(radius, long / 2, 4096)
        points, normals = quaternion.rotate(turn, points) + ends.mean(0), quaternion.rotate(turn, normals)
        outside = np.ones(len(points), bool)
        for _, other, thick in (c for i, c in enumerate(flesh) if i != number):
            bone = other[1] - other[0]
            share = np.clip((points - other[0]) @ bone / max(bone @ bone, 1e-12), 0, 1)
            outside &= np.linalg.norm(points - other[0] - share[:, None] * bone, axis=1) > thick
        yield points[outside], normals[outside], area * float(outside.mean())


def _surface(model: mujoco.MjModel, geom: int, count: int = 4096) -> tuple[np.ndarray, np.ndarray, float]:
    """Points ``(count, 3)`` m spread evenly over a geom's surface in a spiral, normals, and the area in m^2."""
    kind, size = mujoco.mjtGeom(model.geom_type[geom]), model.geom_size[geom]
    if kind in (mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_ELLIPSOID):
        half = np.full(3, size[0]) if kind == mujoco.mjtGeom.mjGEOM_SPHERE else size
        points, normals, area = _ellipsoid(half, count)
    elif kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        points, normals, area = _capsule(size[0], size[1], count)
    else:  # boxes, and the bounding boxes of what else there is
        half = size if kind == mujoco.mjtGeom.mjGEOM_BOX else model.geom_aabb[geom, 3:]
        points, normals, area = _box(half, count)
        points = points + (0 if kind == mujoco.mjtGeom.mjGEOM_BOX else model.geom_aabb[geom, :3])
    turn = geometry.geom_rotation(model, geom)
    return points @ turn.T + model.geom_pos[geom], normals @ turn.T, area


def _ellipsoid(half: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    z = 1 - (2 * np.arange(4 * count) + 1) / (4 * count)
    around = _GOLDEN * np.arange(4 * count)
    unit = np.stack([np.sqrt(1 - z * z) * np.cos(around), np.sqrt(1 - z * z) * np.sin(around), z], 1)
    normal = unit / half
    stretch = np.linalg.norm(normal, axis=1)  # of the area, times the volume
    share = np.cumsum(stretch) / stretch.sum()
    chosen = np.searchsorted(share, (np.arange(count) + 0.5) / count)
    area = 4 * np.pi * float(np.prod(half)) * float(stretch.mean())
    return unit[chosen] * half, normal[chosen] / stretch[chosen, None], area


def _capsule(radius: float, half: float, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    z = (half + radius) * (1 - (2 * np.arange(count) + 1) / count)  # a slice has one area, of the caps as of the middle
    cap = np.clip(z, -half, half)
    across = np.sqrt(np.maximum(radius**2 - (z - cap) ** 2, 0))
    around = _GOLDEN * np.arange(count)
    points = np.stack([across * np.cos(around), across * np.sin(around), z], 1)
    return points, (points - cap[:, None] * [0, 0, 1]) / radius, 4 * np.pi * radius * (half + radius)


def _box(half: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    areas = np.repeat(4 * np.prod(half) / half, 2)
    points, normals = [], []
    for face, n in enumerate(np.diff(np.round(np.cumsum([0, *areas]) / areas.sum() * count)).astype(int)):
        axis, sign = face // 2, 1 - 2 * (face % 2)
        flat = np.stack([(np.arange(n) + 0.5) / max(n, 1), np.arange(n) * 0.6180339887498949 % 1], 1) * 2 - 1
        point = np.empty((n, 3))
        point[:, [i for i in range(3) if i != axis]], point[:, axis] = flat, sign
        points.append(point * half)
        normals.append(np.tile(sign * np.eye(3)[axis], (n, 1)))
    return np.concatenate(points), np.concatenate(normals), float(areas.sum())
