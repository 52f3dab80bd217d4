"""Facts read off the geoms of a model: one capsule inside each body's volume, the corners of a foot's sole."""

from __future__ import annotations

from typing import Any, NamedTuple

import mujoco
import numpy as np


class Primitive(NamedTuple):
    """A capsule in a body's frame; a sphere where both ends agree. The first end is the nearer to the body origin."""

    ends: np.ndarray  # (2, 3) m
    radius: float  # m


def collision_geom(model: mujoco.MjModel, body: int) -> int:
    """Id of the largest geom of ``body`` that can collide.

    Raises:
        ValueError: the body has no such geom; it is named.
    """
    return max(collision_geoms(model, body), key=lambda g: float(model.geom_rbound[g]))


def collision_geoms(model: mujoco.MjModel, body: int) -> list[int]:
    """Ids of the geoms of ``body`` that can collide.

    Raises:
        ValueError: the body has none; it is named.
    """
    start, count = model.body_geomadr[body], model.body_geomnum[body]
    geoms = [g for g in range(start, start + count) if model.geom_contype[g] or model.geom_conaffinity[g]]
    if not geoms:
        raise ValueError(f"body {model.body(body).name!r} has no colliding geom to take its volume from")
    return geoms


def contact_pairs(model: mujoco.MjModel) -> list[tuple[int, int]]:
    """Geoms that may touch: the explicit pairs, then those of different bodies whose masks meet."""
    explicit = [(int(a), int(b)) for a, b in zip(model.pair_geom1, model.pair_geom2, strict=True)]
    meet = (model.geom_contype[:, None] & model.geom_conaffinity) != 0
    meet = (meet | meet.T) & (model.geom_bodyid[:, None] != model.geom_bodyid)
    return explicit + [(int(a), int(b)) for a, b in np.argwhere(np.triu(meet))]


def geom_rotation(model: mujoco.MjModel, geom: int) -> np.ndarray:
    """Rotation matrix (3, 3) from the geom's to its body's frame."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, model.geom_quat[geom])
    return matrix.reshape(3, 3)


def inner_capsule(model: mujoco.MjModel, geom: int) -> Primitive:
    """The capsule inside a geom, in its body's frame.

    Spheres and capsules stay as they are. A box, ellipsoid, cylinder or mesh (its bounding box) becomes the capsule of
    its length whose radius is its smallest half size.
    """
    kind, centre = mujoco.mjtGeom(model.geom_type[geom]), np.array(model.geom_pos[geom])
    rotation = geom_rotation(model, geom)
    if kind in (mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_CAPSULE):
        radius, half = float(model.geom_size[geom, 0]), float(model.geom_size[geom, 1])
        half = 0.0 if kind == mujoco.mjtGeom.mjGEOM_SPHERE else half
        axis = rotation[:, 2]
    else:
        centre, sizes = _bounding_box(model, geom)
        longest = int(np.argmax(sizes))
        radius = float(np.min(sizes))
        half = float(sizes[longest]) - radius
        axis = rotation[:, longest]
    ends = np.array([centre - half * axis, centre + half * axis])
    if np.linalg.norm(ends[1]) < np.linalg.norm(ends[0]):
        ends = ends[::-1].copy()
    return Primitive(ends, radius)


def add_primitive(node: mujoco.MjsBody, shape: Primitive, **options: Any) -> None:
    """Add a capsule, or a sphere where its ends agree, to a body of a description."""
    ends, size = shape.ends, (shape.radius, 0.0, 0.0)
    if np.allclose(*ends):
        node.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, pos=ends[0], size=size, **options)
    else:
        node.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=ends.ravel(), size=size, **options)


def _bounding_box(model: mujoco.MjModel, geom: int) -> tuple[np.ndarray, np.ndarray]:
    """Centre in the body frame and half sizes along the geom's axes, (3,) m each."""
    local, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
    return model.geom_pos[geom] + geom_rotation(model, geom) @ local, np.array(half)


def lowest_corners(model: mujoco.MjModel, geom: int, up: np.ndarray, forward: np.ndarray) -> np.ndarray:
    """The four lowest corners of a geom's bounding box, body frame, (4, 3) m: rear pair first, then the front pair.

    ``up`` and ``forward`` are unit vectors in the body frame, (3,).
    """
    centre, half = _bounding_box(model, geom)
    signs = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij"), -1).reshape(8, 3)
    corners = centre + (signs * half) @ geom_rotation(model, geom).T
    low = corners[np.argsort(corners @ up, kind="stable")[:4]]
    return low[np.argsort(low @ forward, kind="stable")]


def is_box(model: mujoco.MjModel, geom: int) -> bool:
    """Whether the geom has flat faces: a box or a mesh."""
    return mujoco.mjtGeom(model.geom_type[geom]) in (mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_MESH)
