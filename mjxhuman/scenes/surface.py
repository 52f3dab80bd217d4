"""Surfaces that carry a body: how far a point is from one, which way is out, and how rough it is.

A surface is a pytree with one method, ``nearest``. Everything that asks for the floor asks it: the contact solve and
its terms, damage, metrics and the report. ``Plane()``, the level floor z = 0, is the default; it holds no numbers, so
the compiler sees the constants it would see if no other surface existed.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import ArrayLike
from jaxtyping import Float

from mjxhuman.types import Array

#: Coulomb friction: rubber-soled shoes on dry floors, 0.7-1.0 (Redfern et al. 2001, Ergonomics 44:1138).
FRICTION = 0.8
#: Metres that ``height_below`` looks down, and the steps it takes: a riser of 10 in 1 is then met within 0.1 mm.
FALL, FALL_STEPS = 20.0, 128


class Nearest(NamedTuple):
    """The place of a surface that is nearest to each point; ``*b`` are the points' axes without the components."""

    distance: Float[Array, "*b"]  # m, negative inside
    normal: Float[Array, "..."]  # of the points' shape: unit vector out of the surface, world axes
    friction: Float[Array, "..."] | float  # Coulomb coefficient, broadcasts against ``distance``


@runtime_checkable
class Surface(Protocol):
    """What a surface must do. It must also be a pytree of its numbers (``flax.struct.dataclass``, a named tuple)."""

    def nearest(self, points: Float[Array, "..."], axis: int = -1) -> Nearest:
        """Distance, normal and friction at points of any shape, m, world axes; ``axis`` holds their x, y, z.

        The distance is differentiable and its gradient is the normal: the true distance near the surface, where loads
        are decided, and no less than the truth elsewhere.
        """
        ...


def split(points: Array, axis: int) -> tuple[Array, Array, Array]:
    """x, y and z of points, without the axis that held them."""
    return tuple(jax.lax.index_in_dim(points, i, axis, keepdims=False) for i in range(3))  # type: ignore[return-value]


@struct.dataclass
class Plane:
    """A half space. What is None is static: ``Plane()`` is the floor z = 0, and costs what the constant would."""

    point: Float[Array, "3"] | None = None  # m, any point of it; None: the origin
    normal: Float[Array, "3"] | None = None  # out of the plane, of any length but 0; None: exactly +z
    friction: Float[Array, ""] | None = None  # None: ``FRICTION``

    def nearest(self, points: Float[Array, "..."], axis: int = -1) -> Nearest:
        """See ``Surface.nearest``."""
        points = jnp.asarray(points)
        xyz = split(points, axis)
        friction = FRICTION if self.friction is None else jnp.asarray(self.friction, points.dtype)
        origin = None if self.point is None else jnp.asarray(self.point, points.dtype)
        if self.normal is None:
            up = [jnp.zeros_like(xyz[2]), jnp.zeros_like(xyz[2]), jnp.ones_like(xyz[2])]
            return Nearest(xyz[2] if origin is None else xyz[2] - origin[2], jnp.stack(up, axis), friction)
        n = jnp.asarray(self.normal, points.dtype)
        n = n / jnp.sqrt(jnp.sum(n * n))
        apart = xyz if origin is None else [x - origin[i] for i, x in enumerate(xyz)]
        distance = apart[0] * n[0] + apart[1] * n[1] + apart[2] * n[2]
        return Nearest(distance, jnp.stack([jnp.broadcast_to(n[i], distance.shape) for i in range(3)], axis), friction)


@struct.dataclass
class Surfaces:
    """Several surfaces as one: at each point the nearest of them counts, or the one it is deepest inside."""

    parts: tuple[Surface, ...]

    def nearest(self, points: Float[Array, "..."], axis: int = -1) -> Nearest:
        """See ``Surface.nearest``."""
        first, *others = (part.nearest(points, axis) for part in self.parts)
        distance, normal, friction = first
        for other in others:
            nearer = other.distance < distance
            distance = jnp.where(nearer, other.distance, distance)
            normal = jnp.where(jnp.expand_dims(nearer, axis), other.normal, normal)
            friction = jnp.where(nearer, other.friction, friction)
        return Nearest(distance, normal, friction)


def is_upright(surface: Surface) -> bool:
    """Whether every normal is exactly +z by structure, whatever the numbers: a program may then leave normals out."""
    return isinstance(surface, Plane) and surface.normal is None


def checked(surface: Surface | None) -> Surface:
    """The surface; ``Plane()`` for None.

    Raises:
      ValueError: it has no ``nearest``, or its numbers are not numbers, not finite, or (``Surfaces``) none.
    """
    if surface is None:
        return Plane()
    if isinstance(surface, type) or not isinstance(surface, Surface):
        raise ValueError(f"surface: expected an object with nearest(points, axis), found {surface!r}")
    if isinstance(surface, Surfaces):
        if not surface.parts:
            raise ValueError("surface: expected at least one part, found Surfaces(())")
        for part in surface.parts:
            checked(part)
    for path, leaf in jax.tree_util.tree_leaves_with_path(surface):
        if isinstance(leaf, jax.core.Tracer):
            continue
        name = f"{type(surface).__name__}{jax.tree_util.keystr(path)}"
        values = np.asarray(leaf) if isinstance(leaf, (np.ndarray, np.generic, jax.Array, int, float)) else None
        if values is None or not np.issubdtype(values.dtype, np.number):
            raise ValueError(f"surface: {name}: expected numbers in a pytree, found {type(leaf).__name__}")
        if not np.isfinite(values).all():
            raise ValueError(f"surface: {name}: expected finite numbers, found {values[~np.isfinite(values)][0]}")
    return surface


def measure(surface: Surface | None, points: ArrayLike) -> Nearest:
    """``nearest`` of points ``(..., 3)`` on the host: NumPy arrays in float64. None is the level floor."""
    points = np.asarray(points, np.float64)
    if surface is None:
        return Nearest(points[..., 2], np.broadcast_to([0.0, 0.0, 1.0], points.shape), FRICTION)
    with jax.enable_x64(True):
        found = checked(surface).nearest(jnp.asarray(points))
        return Nearest(*(np.asarray(x) for x in found))


def height_below(surface: Surface, xy: ArrayLike, top: float) -> np.ndarray:
    """Height in m ``(...)`` at which a vertical line over ``xy (..., 2)`` first meets the surface below z = ``top``.

    Where nothing is met within ``FALL`` metres the height is NaN.
    """
    with jax.enable_x64(True):
        z = np.asarray(_fall(checked(surface), jnp.asarray(xy, jnp.float64), top))
    return np.where(z > top - FALL, z, np.nan)


@jax.jit
def _fall(surface: Surface, xy: Array, top: float) -> Array:
    def step(_: Array, z: Array) -> Array:
        near = surface.nearest(jnp.concatenate([xy, z[..., None]], -1)).distance
        return jnp.maximum(z - near, top - FALL)  # no surface is nearer than the nearest

    return jax.lax.fori_loop(0, FALL_STEPS, step, jnp.full(xy.shape[:-1], top, xy.dtype))
