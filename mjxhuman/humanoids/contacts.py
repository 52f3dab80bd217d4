"""Where a body may rest on the floor: sole corners and spheres on the rest of it, derived from the model."""

from __future__ import annotations

import dataclasses
import functools

import mujoco
import numpy as np

from mjxhuman.humanoids import geometry
from mjxhuman.humanoids.humanoid import ContactPoints, Humanoid
from mjxhuman.humanoids.proportions import DEFAULT_STATURE
from mjxhuman.humanoids.record import BodyRecord
from mjxhuman.humanoids.skin import THIGH

# (group, body, which end of its volume: 0 near the joint, 1 far, 0.5 the middle)
_PLAN = (
    ("L_Hand", "L_Wrist", 0.0), ("L_Hand", "L_Hand", 1.0), ("R_Hand", "R_Wrist", 0.0), ("R_Hand", "R_Hand", 1.0),
    ("L_Forearm", "L_Elbow", 0.0), ("R_Forearm", "R_Elbow", 0.0),
    ("L_Shank", "L_Knee", 0.0), ("L_Shank", "L_Knee", 1.0), ("R_Shank", "R_Knee", 0.0), ("R_Shank", "R_Knee", 1.0),
    ("Pelvis", "Pelvis", 0.5), ("Pelvis", "L_Hip", 0.0), ("Pelvis", "R_Hip", 0.0),
    ("Back", "Torso", 0.5), ("Back", "Chest", 0.5), ("Back", "L_Shoulder", 0.0), ("Back", "R_Shoulder", 0.0),
    ("Head", "Head", 0.0), ("Head", "Head", 1.0),
)  # fmt: skip

_FEET = (("L_Foot", ("L_Ankle", "L_Toe")), ("R_Foot", ("R_Ankle", "R_Toe")))

#: Distance from the middle of a body part to its skin at ``DEFAULT_STATURE``, m. Trunk and thigh volumes of this family
#: of models are drawn 30-40 % too thin, so that they do not collide, but a body that sits or lies rests on its real
#: surface. A few per cent under half the chest, waist and buttock depth (0.24, 0.22, 0.24 m) of adults (ANSUR, means of
#: women and men), flesh being soft; of the thighs that of the skin.
SURFACE_RADIUS = {"Pelvis": 0.110, "Torso": 0.100, "Chest": 0.110, "L_Hip": THIGH[0][1], "R_Hip": THIGH[0][1]}


def contact_points(
    model: mujoco.MjModel, body_ids: dict[str, int], stature: float, up: np.ndarray, forward: np.ndarray
) -> ContactPoints:
    """Contact candidates of an SMPL-named model: 35 points in 11 groups, the feet first.

    A foot with box soles has the four bottom corners of its Ankle box (heel inner and outer edge, ball inner and outer
    edge) and of its Toe box; one of capsules or spheres has their ends. The rest are spheres at the ends of the
    volumes of hands (palm heel, fingertips), forearms (elbow), shanks (knee, ankle), pelvis (with both buttocks), back
    (with both shoulders) and head, not thinner than ``SURFACE_RADIUS``.

    Args:
        model: compiled model.
        body_ids: MuJoCo body id of each of the 24 names.
        stature: m, scales ``SURFACE_RADIUS``.
        up, forward: T-pose directions in the body frames, (3,).
    """
    rows: list[tuple[str, int, np.ndarray, float]] = []
    for group, bodies in _FEET:
        for name in bodies:
            body = body_ids[name]
            geom = geometry.collision_geom(model, body)
            if geometry.is_box(model, geom):
                rows += [(group, body, c, 0.0) for c in geometry.lowest_corners(model, geom, up, forward)]
            else:
                ends, radius = geometry.inner_capsule(model, geom)
                rows += [(group, body, c, radius) for c in ends]
    for group, name, where in _PLAN:
        body = body_ids[name]
        ends, radius = geometry.inner_capsule(model, geometry.collision_geom(model, body))
        radius = max(radius, SURFACE_RADIUS.get(name, 0.0) * stature / DEFAULT_STATURE)
        rows.append((group, body, (1.0 - where) * ends[0] + where * ends[1], radius))
    return _points(rows, tuple(group for group, _ in _FEET))


@functools.lru_cache(maxsize=256)
def furniture_points(humanoid: Humanoid) -> ContactPoints | None:
    """Where a body may rest on furniture: its points, and the undersides of those of SMPL's topology.

    On the floor nobody's buttocks carry without the thighs' ends, which are among the points. A seat carries at the
    ischial tuberosities, under the hip joints, and along the thighs as far as it reaches: spheres of the flesh's
    thickness about the hip joints and the middles of the thighs.
    """
    points = humanoid.contacts
    if points is None or not humanoid.is_smpl:
        return points
    size, names = humanoid.stature / DEFAULT_STATURE, list(points.group_names)
    rows = []
    for side in "LR":
        thigh, knee = (humanoid.body_names.index(f"{side}_{joint}") for joint in ("Hip", "Knee"))
        middle = 0.5 * np.array(humanoid.model.body_pos[knee])
        rows.append((names.index("Pelvis"), thigh, 0.0 * middle, SURFACE_RADIUS[f"{side}_Hip"] * size))
        rows.append((len(names), thigh, middle, THIGH[1][1] * size))
        names.append(f"{side}_Thigh")
    group, body, offset, radius = (np.array(column) for column in zip(*rows, strict=True))
    return dataclasses.replace(
        points,
        body_id=np.concatenate([points.body_id, body]),
        offset=np.concatenate([points.offset, offset]),
        radius=np.concatenate([points.radius, radius]),
        group=np.concatenate([points.group, group]),
        group_names=tuple(names),
        is_foot=np.concatenate([points.is_foot, np.zeros(len(rows), bool)]),
    )


def record_points(model: mujoco.MjModel, record: BodyRecord) -> ContactPoints:
    """Contact candidates of a body from its record: the feet, each a group of its body's name, then the others.

    A box or mesh gives its four lowest corners in the rest pose, a sphere or capsule its ends.

    Raises:
        ValueError: one of the bodies has no geom that collides; it is named.
    """
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    rows: list[tuple[str, int, np.ndarray, float]] = []
    for group, name in (*((foot, foot) for foot in record.feet), *record.contacts):
        body = model.body(name).id
        to_body = data.xmat[body].reshape(3, 3).T
        for geom in geometry.collision_geoms(model, body):
            if geometry.is_box(model, geom):
                corners = geometry.lowest_corners(model, geom, to_body[:, 2], to_body[:, 0])
                rows += [(group, body, corner, 0.0) for corner in corners]
            else:
                ends, radius = geometry.inner_capsule(model, geom)
                points = ends[:1] if np.allclose(*ends) else ends
                rows += [(group, body, end, radius) for end in points]
    return _points(rows, record.feet)


def _points(rows: list[tuple[str, int, np.ndarray, float]], feet: tuple[str, ...]) -> ContactPoints:
    """Rows of (group, body, offset, radius) as arrays."""
    names = tuple(dict.fromkeys(group for group, *_ in rows))
    return ContactPoints(
        body_id=np.array([body for _, body, _, _ in rows]),
        offset=np.array([offset for _, _, offset, _ in rows]),
        radius=np.array([radius for *_, radius in rows]),
        group=np.array([names.index(group) for group, *_ in rows]),
        group_names=names,
        is_foot=np.array([group in feet for group, *_ in rows]),
    )
