"""A surface given as a grid of heights, bilinear between them: terrain, steps, scanned floors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Float

from mjxhuman.scenes.surface import FRICTION, Nearest, split
from mjxhuman.types import Array

#: Rounds of exact line minimisation, along x and then y, after one Gauss-Newton step: exact on cells that slope along
#: one axis (floors, steps), and 1e-3 of a cell on cells twisted by one in one.
SWEEPS = 2
#: Cells; nearer than this to the surface the direction to the nearest point is rounding, and the cell's normal counts.
CLOSE = 1e-3


@struct.dataclass
class HeightField:
    """Heights at the nodes of a regular grid, bilinear in each cell; beyond the grid its border goes on level.

    The distance is that to the nearest point of the cells around, not the height over the point's own column: beside a
    riser (one cell wide, so choose a ``spacing`` of 1-2 cm for steps) a foot is as far from the riser as it is, and one
    that hangs over an edge is not carried by it. At an edge the normal is the direction from it, else the cell's own.
    Cells farther than ``rings`` away are not looked at: a distance above ``rings * spacing`` may be too large.
    """

    heights: Float[Array, "X Y"]  # m, at x = origin[0] + i spacing, y = origin[1] + j spacing; at least 2 x 2
    origin: Float[Array, "2"]  # m, x and y of heights[0, 0]
    spacing: Float[Array, ""]  # m
    friction: Float[Array, ""] | None = None  # None: ``FRICTION``
    rings: int = struct.field(pytree_node=False, default=1)

    def nearest(self, points: Float[Array, "..."], axis: int = -1) -> Nearest:
        """See ``Surface.nearest``.

        Raises:
          ValueError: ``heights`` or ``origin`` has another shape, or ``rings`` is negative.
        """
        points = jnp.asarray(points)
        heights, origin, spacing = (jnp.asarray(x, points.dtype) for x in (self.heights, self.origin, self.spacing))
        if heights.ndim != 2 or min(heights.shape) < 2 or origin.shape != (2,) or spacing.shape or self.rings < 0:
            raise ValueError(
                "HeightField: expected heights (X, Y) of at least 2 x 2, origin (2,), spacing () and rings >= 0, found "
                f"{heights.shape}, {origin.shape}, {spacing.shape} and {self.rings}"
            )
        x, y, z = split(points, axis)
        # lengths in cells from here on
        x, y, z = (x - origin[0]) / spacing, (y - origin[1]) / spacing, z / spacing
        column, row = (jax.lax.stop_gradient(jnp.floor(c)) for c in (x, y))
        steps = np.arange(-self.rings, self.rings + 2)
        nodes = _nodes(heights, column, row, steps) / spacing
        cells = steps[:-1].reshape((-1,) + (1,) * x.ndim).astype(points.dtype)
        x, y = x - column - cells[:, None], y - row - cells[None, :]  # in each cell's own coordinates, 0..1
        gap, slope = _apart(x, y, z, nodes)
        below = z < _height(x, y, nodes)[self.rings, self.rings]
        gap, slope = _nearest_cell(gap, slope)
        distance, normal = _signed(gap, slope, below)
        friction = FRICTION if self.friction is None else jnp.asarray(self.friction, points.dtype)
        return Nearest(distance * spacing, jnp.stack(normal, axis), friction)


def _nodes(heights: Array, column: Array, row: Array, steps: np.ndarray) -> Array:
    """Heights ``(K, K, *b)`` of the nodes around each cell ``(*b)``; indices beyond the grid mean its border."""
    shape = (-1,) + (1,) * column.ndim
    i = jnp.clip(column + steps.reshape(shape), 0, heights.shape[0] - 1).astype(jnp.int32)
    j = jnp.clip(row + steps.reshape(shape), 0, heights.shape[1] - 1).astype(jnp.int32)
    return heights[i[:, None], j[None, :]]


def _coefficients(nodes: Array) -> tuple[Array, Array, Array, Array]:
    """Of ``h + b u + c v + e u v``, the height in each cell, ``(C, C, *b)`` each."""
    h, b, c = nodes[:-1, :-1], nodes[1:, :-1], nodes[:-1, 1:]
    return h, b - h, c - h, nodes[1:, 1:] - b - c + h


def _height(u: Array, v: Array, nodes: Array) -> Array:
    h, b, c, e = _coefficients(nodes)
    return h + b * u + (c + e * u) * v


def _apart(x: Array, y: Array, z: Array, nodes: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """From the nearest point of each cell to the point, three arrays ``(C, C, *b)``, and the two slopes there."""
    h, b, c, e = _coefficients(nodes)
    u, v = jnp.clip(x, 0, 1), jnp.clip(y, 0, 1)
    p, q, over = b + e * v, c + e * u, z - _height(u, v, nodes)
    along, across = x - u + p * over, y - v + q * over
    scale = 1 / (1 + p * p + q * q)
    u = jnp.clip(u + ((1 + q * q) * along - p * q * across) * scale, 0, 1)
    v = jnp.clip(v + ((1 + p * p) * across - p * q * along) * scale, 0, 1)
    for _ in range(SWEEPS):  # along either axis a cell is a straight line
        p = b + e * v
        u = jnp.clip((x + p * (z - h - c * v)) / (1 + p * p), 0, 1)
        q = c + e * u
        v = jnp.clip((y + q * (z - h - b * u)) / (1 + q * q), 0, 1)
    return (x - u, y - v, z - _height(u, v, nodes)), (b + e * v, c + e * u)


def _nearest_cell(gap: tuple[Array, ...], slope: tuple[Array, ...]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    flat = [x.reshape(-1, *x.shape[2:]) for x in jnp.broadcast_arrays(*gap, *slope)]
    best = jnp.argmin(flat[0] ** 2 + flat[1] ** 2 + flat[2] ** 2, 0)[None]
    chosen = [jnp.take_along_axis(x, best, 0)[0] for x in flat]
    return tuple(chosen[:3]), tuple(chosen[3:])


def _signed(gap: tuple[Array, ...], slope: tuple[Array, ...], below: Array) -> tuple[Array, list[Array]]:
    """Signed distance in cells and the three components of the normal."""
    scale = jax.lax.rsqrt(1 + slope[0] ** 2 + slope[1] ** 2)
    face = [-slope[0] * scale, -slope[1] * scale, scale]
    out = gap[0] * face[0] + gap[1] * face[1] + gap[2] * face[2]
    square = gap[0] ** 2 + gap[1] ** 2 + gap[2] ** 2
    # from an edge the nearest point lies aside of the cell's normal
    edge = (square - out * out > 1e-4 * square) & (square > CLOSE * CLOSE)
    length = jnp.where(below, -1.0, 1.0) * jnp.sqrt(jnp.where(edge, square, 1.0))
    return jnp.where(edge, length, out), [jnp.where(edge, g / length, f) for g, f in zip(gap, face, strict=True)]
