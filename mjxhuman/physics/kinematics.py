"""Forward kinematics, body velocities, centre of mass and momentum, frames on the last axis.

Pure functions specialised to a ``Tree`` while tracing. Vectors are in world axes; sums along the tree run from the
root body's origin, so that float32 keeps its accuracy far from the world's origin. Body 0 is the world.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mjxhuman.physics import joints
from mjxhuman.physics.arrays import (
    apply,
    apply_transposed,
    components,
    cross,
    join,
    keep,
    matrices,
    put_rows,
    take_rows,
)
from mjxhuman.physics.tree import BodyParams, Tree
from mjxhuman.types import Array


class Frames(NamedTuple):
    """Intermediate geometry that velocities and forces share."""

    rotation: Float[Array, "B 3 3 N"]  # from body to world axes
    offset: Float[Array, "B 3 N"]  # m, world axes, from the parent's origin to the body's; roots: from the common one
    place: Float[Array, "B 3 N"]  # m, world axes, from the common origin to the body's origin
    origin: Float[Array, "3 N"]  # m, world: the common origin, that of the tree's root body


class Poses(NamedTuple):
    """World poses of all bodies, with the coordinates they came from and what else follows from these."""

    pos: Float[Array, "B 3 N"]  # m, origin of each body frame
    quat: Float[Array, "B 4 N"]  # wxyz
    at: joints.JointCoordinates
    frames: Frames


def chain_sum(tree: Tree, x: Array) -> Array:
    """Sum of ``x`` (B, ..., N) over each body and its ancestors, by pointer jumping; the world's row must be zero."""
    x = keep(x)
    once: tuple[int, ...] = tree.parents  # ancestor 3^k generations up
    while any(once):
        twice = tuple(once[b] for b in once)
        x = keep(x + take_rows(x, once) + take_rows(x, twice) if any(twice) else x + take_rows(x, once))
        once = tuple(once[b] for b in twice)
    return x


def subtree_sum(tree: Tree, x: Array) -> Array:
    """Sum of ``x`` (B, ..., N) over each body and its descendants.

    A subtree is a range of body ids, put together from sums over windows of 1, 2, 4, ... bodies.
    """
    count = tree.nbody
    x = keep(x)
    start = list(range(count))
    total = None
    width = 1
    while width < 2 * count:
        chosen = [s if size & width else -1 for s, size in zip(start, tree.sizes, strict=True)]
        if any(s >= 0 for s in chosen):
            padded = jnp.concatenate([x, jnp.zeros_like(x[:1])])
            part = take_rows(padded, [len(x) if s < 0 else s for s in chosen])
            total = part if total is None else total + part
        start = [s + (size & width) for s, size in zip(start, tree.sizes, strict=True)]
        if len(x) <= width:
            break
        x = keep(x[:-width] + x[width:])
        width *= 2
    assert total is not None
    return total


def _multiply(p: Array, q: Array) -> Array:
    pw, px, py, pz = components(p)
    qw, qx, qy, qz = components(q)
    return join(
        [
            pw * qw - px * qx - py * qy - pz * qz,
            pw * qx + px * qw + py * qz - pz * qy,
            pw * qy - px * qz + py * qw + pz * qx,
            pw * qz + px * qy - py * qx + pz * qw,
        ]
    )


def _world_quats(tree: Tree, quat: Array) -> Array:
    """Quaternions (B, 4, N) from those relative to the parent."""
    quat = keep(quat)
    for jump in tree.jumps:
        quat = keep(_multiply(take_rows(quat, jump), quat))
    return quat


def _frames(tree: Tree, origins: Array, quat: Array) -> Frames:
    rotation = keep(matrices(quat))
    origin = origins[tree.root]
    # the world has the identity rotation, so that a root's origin is left as it is; counted from the common origin
    is_root = np.asarray([b > 0 and p == 0 for b, p in enumerate(tree.parents)])[:, None, None]
    offset = apply(parent_rows(tree, rotation), origins) - jnp.where(is_root, origin, 0)
    return Frames(rotation, offset, chain_sum(tree, offset), origin)


def poses(tree: Tree, params: BodyParams, qpos: Float[Array, "nq N"]) -> Poses:
    """World poses of the body frames at ``qpos`` (nq, N), quaternions normalised as MuJoCo does."""
    at = joints.joint_coordinates(tree, params, qpos)
    origins, local = joints.local_poses(tree, params, at)
    quat = _world_quats(tree, local)
    f = _frames(tree, origins, quat)
    is_body = np.arange(tree.nbody)[:, None, None] > 0
    return Poses(f.place + jnp.where(is_body, f.origin, 0), quat, at, f)


def free_rows(tree: Tree, x: Array, like: Array) -> Array:
    """(B, 3, N) linear coordinates of free joints in ``x`` (nv, N), zero for other bodies."""
    pieces = []
    for group in tree.free_roots:
        rows = group.dof_rows[0]
        pieces.append((group.bodies, join([take_rows(x, [r + i for r in rows]) for i in range(3)])))
    return put_rows(tree.nbody, pieces) if pieces else jnp.zeros_like(like)


def velocities(
    tree: Tree, params: BodyParams, poses: Poses, qvel: Float[Array, "nv N"]
) -> tuple[Float[Array, "B 3 N"], Float[Array, "B 3 N"]]:
    """Angular velocity and velocity of the origin of every body, (B, 3, N) each, world axes, at ``qvel`` (nv, N)."""
    f = poses.frames
    local = joints.local_motion(tree, params, poses.at, qvel)
    angvel = chain_sum(tree, apply(f.rotation, local.angvel))
    step = cross(parent_rows(tree, angvel), f.offset) + free_rows(tree, qvel, angvel)
    if local.linvel is not None:
        step = step + apply(f.rotation, local.linvel)
    return angvel, chain_sum(tree, step)


def com_offsets(params: BodyParams, f: Frames) -> Array:
    """(B, 3, N) m, world axes: from each body's origin to its centre of mass."""
    return apply(f.rotation, params.body_ipos)


def centre_of_mass(tree: Tree, params: BodyParams, poses: Poses) -> Float[Array, "3 N"]:
    """Centre of mass of all bodies, (3, N) m, world."""
    f = poses.frames
    weighted = params.mass * (f.place + com_offsets(params, f))
    return f.origin + jnp.sum(weighted[1:], 0) / jnp.sum(params.mass[1:], 0)


def momentum(
    tree: Tree, params: BodyParams, poses: Poses, velocity: tuple[Float[Array, "B 3 N"], Float[Array, "B 3 N"]]
) -> tuple[Float[Array, "3 N"], Float[Array, "3 N"]]:
    """Linear momentum (3, N) kg m/s and angular momentum about the centre of mass (3, N) kg m^2/s, world axes.

    ``velocity`` is what ``velocities`` returns.
    """
    f = poses.frames
    angvel, linvel = velocity
    arm = com_offsets(params, f)
    total = jnp.sum(params.mass[1:], 0)
    com = jnp.sum((params.mass * (f.place + arm))[1:], 0) / total
    com_vel = linvel + cross(angvel, arm)
    linear = jnp.sum((params.mass * com_vel)[1:], 0)
    mean_vel = linear / total
    orbital = params.mass * cross(f.place + arm - com, com_vel - mean_vel)
    spin = apply(f.rotation, inertia_times(params, apply_transposed(f.rotation, angvel)))
    return linear, jnp.sum((orbital + spin)[1:], 0)


def inertia_times(params: BodyParams, v: Array) -> Array:
    """Inertia tensors about the centres of mass times ``v`` (B, 3, N), body axes."""
    xx, yy, zz, xy, xz, yz = components(params.inertia)
    x, y, z = components(v)
    return join([xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z])


def parent_rows(tree: Tree, x: Array) -> Array:
    """``x`` (B, ..., N) of each body's parent; the world's is its own."""
    return take_rows(x, tree.parents)
