"""The chain as JAX sees it: a frame's pose, forward kinematics, rotation errors. ``chain`` is the same for the host."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import jaxlie
from jax import Array

from mjxhuman.math import rotation
from mjxhuman.retarget.chain import LEVELS, PARENTS


class Pose(NamedTuple):
    """The chain in one frame: what a residual is a function of."""

    root: Array  # (3,) m
    local: Array  # (22, 4)
    pos: Array  # (22, 3) m, world
    quat: Array  # (22, 4) world

    def place(self, body: Any, point: Any) -> Array:
        """World place (..., 3) m of points (..., 3) m that are fixed to bodies (...)."""
        return self.pos[body] + rotation.rotate(self.quat[body], point)


def forward(offsets: Array, root: Array, local: Array) -> tuple[Array, Array]:
    """Joint positions ``(22, 3)`` and global rotations ``(22, 4)`` of one frame.

    Args:
      offsets: ``(22, 3)`` m. root: ``(3,)`` m, pelvis. local: ``(22, 4)``; the first is the root's global rotation.
    """
    pos: list[Array] = [root] + [root] * (len(PARENTS) - 1)
    quat: list[Array] = [local[0]] + [local[0]] * (len(PARENTS) - 1)
    for level in LEVELS:
        parent_quat = jaxlie.SO3(jnp.stack([quat[PARENTS[j]] for j in level]))
        parent_pos = jnp.stack([pos[PARENTS[j]] for j in level])
        level_quat = (parent_quat @ jaxlie.SO3(local[level])).wxyz
        level_pos = parent_pos + parent_quat.apply(offsets[level])
        for k, j in enumerate(level):
            pos[j], quat[j] = level_pos[k], level_quat[k]
    return jnp.stack(pos), jnp.stack(quat)


def chord(reference: jaxlie.SO3, rotation: jaxlie.SO3) -> tuple[Array, Array]:
    """``2 sin(angle / 2) axis`` (..., 3) from reference to rotation in the rotation's body frame, and its derivative
    (..., 3, 3) with respect to a body-frame rotation."""
    q = (reference.inverse() @ rotation).wxyz
    q = jnp.where(q[..., :1] < 0, -q, q)
    w, v = q[..., 0, None, None], q[..., 1:]
    return 2.0 * v, w * jnp.eye(3, dtype=q.dtype) + skew(v)


def skew(v: Array) -> Array:
    """Matrix (..., 3, 3) of the cross product with ``v`` (..., 3)."""
    x, y, z = v[..., 0], v[..., 1], v[..., 2]
    zero = jnp.zeros_like(x)
    return jnp.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*v.shape[:-1], 3, 3)
