"""Signed distance to furniture: exact outside its convex pieces and inside each, with the way out. JAX.

Inside, the distance is the largest over the faces of a piece and the smallest over the pieces: at seams between pieces
it is short of the depth in their union, and its sign is right. Outside it is the distance to the nearest face, edge or
corner: a convex piece is never nearer than the plane of any of its faces, so only the face that the point is highest
above can hold the nearest point in its interior; failing that an edge does. Faces and edges are walked one by one, all
points at once: on a CPU 10 to 50 times as fast as arrays of all faces and points, in no more memory than the points.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import ArrayLike
from jaxtyping import Float, Int
from scipy.spatial import ConvexHull

from mjxhuman.math import rotation
from mjxhuman.scenes.surface import Nearest, Surfaces
from mjxhuman.scenes.types import Parts, Scene, SceneObject
from mjxhuman.types import Array

#: Faces or edges in one fused step.
UNROLL = 5
#: Between triangles whose normals differ by less than this (1 - cosine), an edge is a diagonal of one face.
FLAT = 1e-12
#: By how much the length of a quaternion may differ from 1: distances are off by twice as much of the way to a point.
UNIT = 1e-3


class Closest(NamedTuple):
    """What is nearest to each point."""

    distance: Float[Array, "*b N"]  # m, negative inside
    normal: Float[Array, "*b N 3"]  # unit, world axes: the gradient of ``distance``
    object: Int[Array, "*b N"]  # index into ``scene.objects``


@struct.dataclass
class Hulls:
    """Convex pieces as distances need them. Copies of a piece, face or edge change nothing: they pad batches."""

    planes: Float[Array, "K F 4"]  # outward unit normal and offset in m
    edges: Float[Array, "K E 2 3"]  # m, both ends


def hulls_of(parts: Parts) -> Hulls:
    """The pieces of an object, on the host.

    Raises:
      ValueError: the arrays are traced (make the hulls outside of jit), have a batch axis, or hold no piece.
    """
    if any(isinstance(x, jax.core.Tracer) for x in (parts.vertices, parts.planes, parts.mask)):
        raise ValueError("parts: expected arrays, found traced values: make the Hulls outside jit and pass them in")
    vertices, planes = np.asarray(parts.vertices, np.float64), np.asarray(parts.planes, np.float64)
    mask = np.asarray(parts.mask, bool)
    if vertices.ndim != 3 or not mask.any():
        raise ValueError(f"parts: expected (K, V, 3) with one piece or more, found {vertices.shape}, {mask.sum()}")
    edges = [_edges(piece) for piece in vertices[mask]]
    most = max(len(e) for e in edges)
    return Hulls(planes[mask], np.stack([np.concatenate([e, np.repeat(e[-1:], most - len(e), 0)]) for e in edges]))


def _edges(corners: np.ndarray) -> np.ndarray:
    """Edges ``(E, 2, 3)`` of the hull of points, without the diagonals of flat faces."""
    hull = ConvexHull(corners)
    beside: dict[tuple[int, int], list[int]] = {}
    for face, triangle in enumerate(hull.simplices):
        for pair in itertools.combinations(sorted(triangle.tolist()), 2):
            beside.setdefault(pair, []).append(face)
    normals = hull.equations[:, :3]
    kept = [pair for pair, (a, *b) in beside.items() if not b or 1 - normals[a] @ normals[b[0]] > FLAT]
    return corners[np.array(kept)]


@jax.jit
def nearest(hulls: Hulls, points: Float[Array, "*b 3"]) -> tuple[Float[Array, "*b"], Float[Array, "*b 3"]]:
    """Signed distance in m and outward normal at points in the object's frame; the normal is the gradient.

    At a place of equal distances (a medial plane) it is that of one of the sides.
    """
    points = jnp.asarray(points)
    fixed = jax.lax.stop_gradient(points)
    x = (fixed[..., 0], fixed[..., 1], fixed[..., 2])
    start = jax.lax.stop_gradient(hulls.edges[:, :, 0])
    along = jax.lax.stop_gradient(hulls.edges[:, :, 1]) - start
    segments = jnp.concatenate([start, along, along / jnp.sum(jnp.square(along), -1, keepdims=True)], -1)
    tables = (jnp.asarray(jax.lax.stop_gradient(hulls.planes), points.dtype), jnp.asarray(segments, points.dtype))
    none = (jnp.full_like(x[0], jnp.inf), *(jnp.zeros_like(x[0]) for _ in range(3)))
    (distance, *normal), _ = jax.lax.scan(lambda best, piece: (_nearer(_piece(*piece, x), best), None), none, tables)
    way = jnp.stack(normal, -1)
    # what is nearest does not move along the normal when the point does
    return distance + jnp.sum(way * (points - fixed), -1), way


Field: TypeAlias = tuple[Array, ...]  # a number and the vector that goes with it: four arrays (*b)


def _nearer(one: Field, other: Field) -> Field:
    less = one[0] < other[0]
    return tuple(jnp.where(less, u, v) for u, v in zip(one, other, strict=True))


def _piece(planes: Array, segments: Array, x: Field) -> Field:
    """Distance and normal of one piece."""
    none = (jnp.full_like(x[0], jnp.inf), *(jnp.zeros_like(x[0]) for _ in range(3)))

    def depth(best: Field, plane: Array) -> tuple[Field, None]:
        down = plane[3] - (x[0] * plane[0] + x[1] * plane[1] + x[2] * plane[2])
        return _nearer((down, *(jnp.broadcast_to(plane[i], down.shape) for i in range(3))), best), None

    (down, *face), _ = jax.lax.scan(depth, none, planes, unroll=UNROLL)
    foot = [x[i] + down * face[i] for i in range(3)]

    def beyond(most: Array, plane: Array) -> tuple[Array, None]:
        return jnp.maximum(most, foot[0] * plane[0] + foot[1] * plane[1] + foot[2] * plane[2] - plane[3]), None

    outside, _ = jax.lax.scan(beyond, -none[0], planes, unroll=UNROLL)

    def apart(best: Field, segment: Array) -> tuple[Field, None]:
        p = [x[i] - segment[i] for i in range(3)]
        share = jnp.clip(p[0] * segment[6] + p[1] * segment[7] + p[2] * segment[8], 0, 1)
        p = [p[i] - share * segment[3 + i] for i in range(3)]
        return _nearer((p[0] * p[0] + p[1] * p[1] + p[2] * p[2], *p), best), None

    (square, *edge), _ = jax.lax.scan(apart, none, segments, unroll=UNROLL)
    length = jnp.sqrt(square)
    rounding = 8 * jnp.finfo(down.dtype).eps * (1 + jnp.abs(x[0]) + jnp.abs(x[1]) + jnp.abs(x[2]))
    on_face = (down >= 0) | (outside <= rounding) | (length <= rounding)
    scale = 1 / jnp.where(on_face, 1, length)
    return (
        jnp.where(on_face, -down, length),
        *(jnp.where(on_face, u, v * scale) for u, v in zip(face, edge, strict=True)),
    )


@struct.dataclass
class ObjectSurface:
    """A piece of furniture as a surface that carries a body."""

    hulls: Hulls
    pose: Float[Array, "7"]  # m and wxyz: object to world
    friction: Float[Array, ""]

    def nearest(self, points: Float[Array, "..."], axis: int = -1) -> Nearest:
        """See ``Surface.nearest``."""
        x = jnp.moveaxis(jnp.asarray(points), axis, -1)
        distance, normal = _in_world(self.hulls, jnp.asarray(self.pose, x.dtype), x)
        return Nearest(distance, jnp.moveaxis(normal, -1, axis), jnp.asarray(self.friction, x.dtype))


def object_surface(thing: SceneObject, pose: ArrayLike) -> ObjectSurface:
    """The surface of an object at a pose (7,), m and wxyz."""
    return ObjectSurface(hulls_of(thing.parts), jnp.asarray(pose), thing.friction)


def scene_surface(scene: Scene) -> Surfaces:
    """The floor and all objects of a scene, one surface. Raises ValueError where the poses have a batch axis."""
    if np.ndim(scene.poses) != 2:
        raise ValueError(f"scene: expected poses (O, 7) of one scene, found {np.shape(scene.poses)}")
    return Surfaces((scene.floor, *(object_surface(o, p) for o, p in zip(scene.objects, scene.poses, strict=True))))


@jax.jit
def _in_world(hulls: Hulls, pose: Array, x: Array) -> tuple[Array, Array]:
    distance, normal = nearest(hulls, rotation.rotate_inverse(pose[..., 3:], x - pose[..., :3]))
    return distance, rotation.rotate(pose[..., 3:], normal)


def check_poses(scene: Scene) -> None:
    """Raises ValueError where the poses are not ``(*b, O, 7)``, finite, with unit quaternions; traced: by shape."""
    shape = np.shape(scene.poses)
    if shape[-2:] != (len(scene.objects), 7):
        raise ValueError(f"scene: expected poses (*b, {len(scene.objects)}, 7), found {shape}")
    if isinstance(scene.poses, jax.core.Tracer):
        return
    poses = np.asarray(scene.poses, np.float64)
    if not np.isfinite(poses).all():
        raise ValueError("scene: poses: expected finite numbers, found others")
    length = np.linalg.norm(poses[..., 3:], axis=-1)
    if np.abs(length - 1).max() > UNIT:
        found = f"{length.min():g} to {length.max():g}"
        raise ValueError(f"scene: poses: expected unit quaternions, found lengths of {found}")


def by_object(scene: Scene, points: ArrayLike) -> tuple[Float[Array, "*b O N"], Float[Array, "*b O N 3"]]:
    """Signed distance in m to each object alone, and the normal there; arguments as for ``closest``.

    Raises:
      ValueError: the scene has no object, its objects are traced, points are not ``(*b, N, 3)``, or poses are not
        ``(*b, O, 7)``, finite, with unit quaternions.
    """
    x = jnp.asarray(points)
    if x.ndim < 2 or x.shape[-1] != 3 or not scene.objects:
        raise ValueError(f"points: expected (*b, N, 3) in a scene with objects, found {x.shape}, {len(scene.objects)}")
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)
    check_poses(scene)
    batch = np.shape(scene.poses)[:-2]
    if any(1 not in (a, b) and a != b for a, b in zip(batch[::-1], x.shape[-3::-1], strict=False)):
        raise ValueError(f"points: expected axes that go with those of the poses, found {x.shape} and {batch}")
    poses = jnp.asarray(scene.poses, x.dtype)
    found = [_in_world(hulls_of(o.parts), poses[..., i, None, :], x) for i, o in enumerate(scene.objects)]
    return jnp.stack([d for d, _ in found], -2), jnp.stack([n for _, n in found], -3)


def closest(scene: Scene, points: ArrayLike) -> Closest:
    """Distance, normal and which object, at points ``(*b, N, 3)`` m in the world; axes of ``scene.poses`` broadcast.

    Points that are not finite have no distance: NaN.
    Differentiable by points and poses; the objects must be arrays, not traced. The floor is no object.
    """
    distance, normal = by_object(scene, points)
    which = jnp.argmin(distance, -2)
    return Closest(
        jnp.take_along_axis(distance, which[..., None, :], -2)[..., 0, :],
        jnp.take_along_axis(normal, which[..., None, :, None], -3)[..., 0, :, :],
        which,
    )


def signed_distance(scene: Scene, points: ArrayLike) -> Float[Array, "*b N"]:
    """Distance in m of points ``(*b, N, 3)`` to the nearest object, negative inside: see ``closest``."""
    return closest(scene, points).distance
