"""Array helpers of the physics core: arrays are ``(rows, components, frames)``, the frame axis last.

Measured on a CPU: XLA fuses a gather of whole rows by constant indices into its consumer at no cost, while a
concatenation of many slices becomes one kernel per slice. Few, wide kernels keep the compile time short as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

_JAX_VERSION = tuple(int(part) for part in jax.__version__.split(".")[:2])

# Least-maximum-error polynomials on [-pi/2, pi/2] in x^2 (own fit by Lawson's iteration); absolute error of the exact
# polynomial below 8e-9 (sine) and 3e-10 (cosine), far less than one unit in the last place of float32.
_SIN = (2.608932622698323e-06, -1.9811112735915724e-04, 8.333088167117315e-03, -0.16666660462365637)
_COS = (
    -2.6077104999312916e-07,
    2.4761886229084857e-05,
    -1.3888403507861474e-03,
    4.166664072803413e-02,
    -0.4999999954955671,
)
# pi in three parts of 8, 10 and 24 bits: the first two products are exact below 2^14 half turns
_PI = (3.140625, 0.0009670257568359375, 6.277114152908325e-07)


def take_rows(x: Array, index: Sequence[int]) -> Array:
    """``x[index]`` for static indices."""
    index = tuple(index)
    if index == tuple(range(x.shape[0])):
        return x
    dims = lax.GatherDimensionNumbers(tuple(range(1, x.ndim)), (0,), (0,))
    start = np.asarray(index, np.int32)[:, None]
    mode = lax.GatherScatterMode.PROMISE_IN_BOUNDS
    return lax.gather(x, start, dims, (1, *x.shape[1:]), mode=mode)


def put_rows(count: int, pieces: Sequence[tuple[Sequence[int], Array]]) -> Array:
    """Array of ``count`` rows whose rows ``index`` are those of ``array`` for each piece; other rows are zero."""
    arrays = [array for _, array in pieces]
    source = {row: k for k, row in enumerate(row for index, _ in pieces for row in index)}
    if len(source) < count:
        arrays.append(jnp.zeros((1, *arrays[0].shape[1:]), arrays[0].dtype))
    whole = arrays[0] if len(arrays) == 1 else lax.concatenate(arrays, 0)
    return take_rows(whole, [source.get(row, len(source)) for row in range(count)])


def component(x: Array, i: int) -> Array:
    """Component ``i`` of (K, C, N) as (K, N)."""
    return lax.index_in_dim(x, i, axis=1, keepdims=False)


def components(x: Array) -> list[Array]:
    """All components of (K, C, N), each (K, N)."""
    return [component(x, i) for i in range(x.shape[1])]


def join(parts: Sequence[Array]) -> Array:
    """The inverse of ``components``; parts may broadcast against each other."""
    shape = jnp.broadcast_shapes(*(p.shape for p in parts))
    return lax.concatenate([jnp.broadcast_to(p, shape)[:, None] for p in parts], 1)


def _keep(x: Array) -> Array:
    # jax 0.10 drops the barrier before it fuses; writing the first row in place also ends a kernel
    if _JAX_VERSION < (0, 11):
        if not x.shape[0]:
            return x
        return lax.dynamic_update_slice(x, lax.slice_in_dim(x, 0, 1, axis=0), (0,) * x.ndim)
    return lax.optimization_barrier(x)


def keep(x: Any) -> Any:
    """The same arrays, computed once: keeps the compiler from repeating their computation inside each consumer.

    Without it a chain of sums along the tree is repeated a thousandfold. Arrays have at least one axis.
    """
    return jax.tree.map(_keep, x)


def dot(a: Array, b: Array) -> Array:
    """Inner product (K, 1, N) of (K, 3, N) arrays."""
    return a[:, :1] * b[:, :1] + a[:, 1:2] * b[:, 1:2] + a[:, 2:] * b[:, 2:]


def along(v: Array, axis: Array | None) -> Array:
    """Component (..., N) of vectors (..., 3, N) along unit vectors of a shape that broadcasts; None is +z."""
    if axis is None:
        return v[..., 2, :]
    return v[..., 0, :] * axis[..., 0, :] + v[..., 1, :] * axis[..., 1, :] + v[..., 2, :] * axis[..., 2, :]


def across_square(v: Array, axis: Array | None) -> Array:
    """Squared length (..., N) of what is across unit vectors in vectors (..., 3, N); None is +z."""
    if axis is None:
        return v[..., 0, :] * v[..., 0, :] + v[..., 1, :] * v[..., 1, :]
    flat = v - along(v, axis)[..., None, :] * axis
    return jnp.sum(flat * flat, -2)


def double_cross(w: Array, v: Array) -> Array:
    """w x (w x v) of (K, 3, N) arrays."""
    return w * dot(w, v) - v * dot(w, w)


def cross(a: Array, b: Array) -> Array:
    """Cross product of (K, 3, N) arrays."""
    a0, a1, a2 = components(a)
    b0, b1, b2 = components(b)
    return join([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0])


def apply(matrix: Array, v: Array) -> Array:
    """Matrix (K, 3, 3, N) times vector (K, 3, N)."""
    return sum(matrix[:, :, j] * v[:, j : j + 1] for j in range(3))  # type: ignore[return-value]


def apply_transposed(matrix: Array, v: Array) -> Array:
    """Transposed matrix (K, 3, 3, N) times vector (K, 3, N)."""
    return sum(matrix[:, i] * v[:, i : i + 1] for i in range(3))  # type: ignore[return-value]


def matrices(quat: Array) -> Array:
    """Rotation matrices (K, 3, 3, N) of unit quaternions (K, 4, N)."""
    w, x, y, z = components(quat)
    xx, yy, zz, xy, xz, yz, wx, wy, wz = x * x, y * y, z * z, x * y, x * z, y * z, w * x, w * y, w * z
    flat = join(
        [
            1 - 2 * (yy + zz), 2 * (xy - wz), 2 * (xz + wy),
            2 * (xy + wz), 1 - 2 * (xx + zz), 2 * (yz - wx),
            2 * (xz - wy), 2 * (yz + wx), 1 - 2 * (xx + yy),
        ]
    )  # fmt: skip
    return flat.reshape(flat.shape[0], 3, 3, flat.shape[-1])


@jax.custom_jvp
def sin_cos(x: Array) -> tuple[Array, Array]:
    """Sine and cosine without branches.

    In float32 a polynomial after Cody-Waite reduction by multiples of pi, absolute error below 2.5e-7 for
    ``|x| < 2000``; other types use the library. On a CPU the library's pair costs more than the rest of a body.
    """
    if x.dtype != jnp.float32:
        return jnp.sin(x), jnp.cos(x)
    turns = jnp.round(x * np.float32(1 / np.pi))
    r = ((x - turns * np.float32(_PI[0])) - turns * np.float32(_PI[1])) - turns * np.float32(_PI[2])
    sign = 1 - 2 * jnp.abs(turns - 2 * jnp.round(0.5 * turns))
    u = r * r
    s, c = np.float32(_SIN[0]), np.float32(_COS[0])
    for k in _SIN[1:]:
        s = s * u + np.float32(k)
    for k in _COS[1:]:
        c = c * u + np.float32(k)
    return sign * (r + r * (u * s)), sign * (1 + u * c)


@sin_cos.defjvp
def _sin_cos_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    s, c = sin_cos(x)
    return (s, c), (c * dx, -s * dx)
