"""The pytrees of scenes: convex pieces, objects, and objects in a room. Shapes, units and frames; no algorithms.

Axes beside those of ``mjxhuman.types``: ``O`` objects, ``K`` convex pieces of an object, ``V`` vertices and ``F`` faces
of a piece, ``P`` samples of a surface. Metres, kilograms, z up, quaternions wxyz. An object's own frame has its axes as
the file has them, brought to z up, and its origin on the floor it stands on, below the centre of its bounding box.
"""

from __future__ import annotations

import numpy as np
from flax import struct
from jaxtyping import Bool, Float, Int

from mjxhuman.scenes.surface import Plane, Surface
from mjxhuman.types import Array, Provenance

#: Points that stand for an object's surface (the number of InterMimic, arXiv 2502.20390).
SURFACE_SAMPLES = 1024


@struct.dataclass
class Parts:
    """Convex pieces that together are an object for the simulator, in the object's frame.

    A point x is inside piece k where ``planes[k, :, :3] @ x <= planes[k, :, 3]`` for all faces. Pieces with fewer faces
    than F repeat their last one; all have V vertices, each a corner of the hull, so that every object of a batch has
    one layout (``mujoco.batch.set_models``). Pieces beyond an object's own are copies of the first with mask False.
    """

    vertices: Float[Array, "*b K V 3"]  # m
    planes: Float[Array, "*b K F 4"]  # outward unit normal, and its offset in m
    mask: Bool[Array, "*b K"]


@struct.dataclass
class Mesh:
    """Triangles, in the frame of whatever holds them; counter-clockwise seen from outside."""

    vertices: Float[Array, "N 3"]  # m
    faces: Int[Array, "M 3"]


@struct.dataclass
class SceneObject:
    """A piece of furniture or anything rigid that people touch."""

    mesh: Mesh  # what the eye sees, and what ``parts`` are checked against
    parts: Parts  # what the simulator sees
    points: Float[Array, "P 3"]  # m, spread evenly over the mesh's area
    normals: Float[Array, "P 3"]  # outward, of ``points``
    mass: Float[Array, ""]  # kg
    com: Float[Array, "3"]  # m, centre of mass of the pieces' union
    inertia: Float[Array, "3 3"]  # kg m^2 about ``com``, object's axes
    friction: Float[Array, ""]  # Coulomb coefficient of its surface
    name: str = struct.field(pytree_node=False)
    kind: str = struct.field(pytree_node=False, default="")  # "chair", "table", ...; "" where not known
    free: bool = struct.field(pytree_node=False, default=True)  # False: fixed to the world
    unfit: str = struct.field(pytree_node=False, default="")  # why the pieces do not stand for the mesh; "" if they do
    provenance: Provenance = struct.field(pytree_node=False, default=Provenance())


@struct.dataclass
class Scene:
    """Objects in a room. Leading axes of ``poses`` are a batch: the same objects in other places."""

    objects: tuple[SceneObject, ...]
    poses: Float[Array, "*b O 7"]  # m and wxyz: object to world
    floor: Surface = Plane()
    provenance: Provenance = struct.field(pytree_node=False, default=Provenance())

    @property
    def names(self) -> tuple[str, ...]:
        """The objects' names."""
        return tuple(o.name for o in self.objects)


def resting(objects: tuple[SceneObject, ...]) -> np.ndarray:
    """Poses ``(O, 7)`` of objects that stand at the origin as their files have them."""
    return np.tile([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], (len(objects), 1))
