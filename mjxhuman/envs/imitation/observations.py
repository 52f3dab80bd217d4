"""What a policy sees: PHC's observation sets, and a compact one for small policies.

All are pure functions of body states (``types.BodyState``: *upright* frames, see ``upright``) and joint
coordinates, with leading batch axes ``*b``. Positions are relative to the root and turned into its heading frame, so
nothing depends on where the body stands or faces. Parity with ``ZhengyiLuo/PHC`` (``phc/env/tasks/humanoid.py``,
``humanoid_im.py``, ``humanoid_amp.py``) in its released configuration is tested.

A rotation is written as six numbers: the x and the z column of its matrix (PHC's *tan-norm*). Everything is computed
on component planes: turning by the heading is a rotation in the plane, not a product of quaternions.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from mjxhuman.humanoids.registry import SMPL
from mjxhuman.types import BodyState

# Sizes for SMPL's 24 bodies and 23 ball joints; those of another body follow from its record.
PROPRIOCEPTION_SIZE = 358
TASK_SIZE = 576  # per time step
KEYPOINT_TASK_SIZE = 216  # per time step
AMP_SIZE = 196
COMPACT_SIZE = 256

#: Joints (of SMPL's 23, the root left out) that the AMP discriminator sees: not toes and hands.
AMP_JOINTS = tuple(row - 1 for row in SMPL.rows(SMPL.style_joints or SMPL.tracked[1:]))
#: Bodies whose positions the AMP discriminator sees, in PHC's order.
AMP_KEY_BODIES = SMPL.rows(SMPL.style_key)
#: Bodies whose position error the compact set holds.
COMPACT_KEY_BODIES = SMPL.rows(SMPL.key)
#: Factor on joint velocities in the compact set, which brings their spread near that of the angles.
JOINT_VELOCITY_SCALE = 0.1

Planes = tuple[Array, ...]


def _planes(x: Array) -> Planes:
    return tuple(x[..., i] for i in range(x.shape[-1]))


def _flat(planes: Planes) -> Array:
    """Components ``(*b, n)`` interleaved as ``(*b, n * len(planes))``."""
    x = jnp.stack(planes, -1)
    return x.reshape(*x.shape[:-2], -1)


def upright(body_quat: Array, smpl_frame: ArrayLike = (1.0, 0.0, 0.0, 0.0)) -> Array:
    """Rotations of PHC's upright body frames from those of a humanoid's bodies, ``(..., 4)`` wxyz world.

    In the T-pose facing +x an upright frame coincides with the world's: ``q * conj(smpl_frame) * conj(UPRIGHT)`` with
    the frame ``humanoid.smpl_frame`` of the humanoid's bodies, identity for our own (``humanoids.smpl.UPRIGHT``).
    """
    f, g, h, k = np.asarray(smpl_frame, float)
    a, b, c, d = 0.5 * (f - g - h - k), -0.5 * (f + g - h + k), -0.5 * (f + g + h - k), -0.5 * (f - g + h + k)
    w, x, y, z = _planes(body_quat)
    return jnp.stack(
        [
            a * w - b * x - c * y - d * z,
            b * w + a * x + d * y - c * z,
            c * w - d * x + a * y + b * z,
            d * w + c * x - b * y + a * z,
        ],
        -1,
    )


def heading(root_rot: Array) -> tuple[Array, Array]:
    """Cosine and sine ``(*b)`` of the yaw of the root's x axis; (1, 0) where that axis is vertical."""
    w, x, y, z = _planes(root_rot)
    ahead, left = 1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z)
    square = ahead * ahead + left * left
    vertical = square < 1e-20
    scale = 1.0 / jnp.sqrt(jnp.where(vertical, 1.0, square))
    return jnp.where(vertical, 1.0, ahead * scale), jnp.where(vertical, 0.0, left * scale)


def heading_quat(root_rot: Array) -> Array:
    """The heading as a quaternion ``(*b, 4)`` wxyz: the rotation about +z by the yaw of the root's x axis."""
    cosine, sine = heading(root_rot)
    yaw = jnp.arctan2(sine, cosine)
    zero = jnp.zeros_like(yaw)
    return jnp.stack([jnp.cos(0.5 * yaw), zero, zero, jnp.sin(0.5 * yaw)], -1)


def heading_quat_inverse(root_rot: Array) -> Array:
    """Inverse of ``heading_quat``."""
    return heading_quat(root_rot) * jnp.array([1.0, 1.0, 1.0, -1.0])


def _turn(facing: tuple[Array, Array], x: Array, y: Array, z: Array) -> Planes:
    """World vectors in the heading frame."""
    cosine, sine = facing
    return cosine * x + sine * y, cosine * y - sine * x, z


def in_heading(state: BodyState, vectors: Array) -> Array:
    """World vectors ``(*b, n, 3)`` in the heading frame of the body."""
    return jnp.stack(_turn(_facing(state.rot[..., 0, :]), *_planes(vectors)), -1)


def _columns(w: Array, x: Array, y: Array, z: Array) -> Planes:
    """x and z column of the matrix of a unit quaternion."""
    return (
        1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
        2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y),
    )  # fmt: skip


def _turned_columns(facing: tuple[Array, Array], rot: Array) -> Planes:
    """Both columns in the heading frame."""
    c = _columns(*_planes(rot))
    return (*_turn(facing, *c[:3]), *_turn(facing, *c[3:]))


def tan_norm(q: Array) -> Array:
    """Six numbers ``(..., 6)`` of a rotation ``(..., 4)`` wxyz: the x, then the z column of its matrix."""
    return jnp.stack(_columns(*_planes(q)), -1)


def _rotvec_columns(rotvec: Array) -> Planes:
    """x and z column of the matrix of a rotation vector (Rodrigues), exact to float32 at the identity."""
    x, y, z = _planes(rotvec)
    square = x * x + y * y + z * z
    small = square < 1e-4
    angle = jnp.sqrt(jnp.where(small, 1.0, square))
    a = jnp.where(small, 1.0 - square / 6.0, jnp.sin(angle) / angle)
    half = jnp.sin(0.5 * angle) / angle  # of 2 sin^2(angle / 2), which does not cancel as 1 - cos does
    b = jnp.where(small, 0.5 - square / 24.0, 2.0 * half * half)
    return (
        1.0 - b * (y * y + z * z), a * z + b * x * y, b * x * z - a * y,
        a * y + b * x * z, b * y * z - a * x, 1.0 - b * (x * x + y * y),
    )  # fmt: skip


def _facing(root_rot: Array) -> tuple[Array, Array]:
    """The heading with an axis for bodies."""
    cosine, sine = heading(root_rot)
    return cosine[..., None], sine[..., None]


def proprioception(state: BodyState) -> Array:
    """PHC's self observation ``(*b, 358)`` (``compute_humanoid_observations_smpl_max``).

    In order: root height 1; positions relative to the root of the other 23 bodies 69; rotations of all bodies 144;
    linear velocities 72; angular velocities 72; all but the height in the heading frame.
    """
    facing = _facing(state.rot[..., 0, :])
    offset = state.pos[..., 1:, :] - state.pos[..., :1, :]
    return jnp.concatenate(
        [
            state.pos[..., 0, 2:],
            _flat(_turn(facing, *_planes(offset))),
            _flat(_turned_columns(facing, state.rot)),
            _flat(_turn(facing, *_planes(state.vel))),
            _flat(_turn(facing, *_planes(state.angvel))),
        ],
        -1,
    )


def imitation_task(state: BodyState, reference: BodyState) -> Array:
    """PHC's task observation v6 ``(*b, 576)``: what separates the body from the next reference frame.

    In order, for all 24 bodies, in the heading frame of ``state``: difference of positions 72, of rotations 144
    (reference times inverse of the body's), of linear and of angular velocities 72 each, reference positions relative
    to the root 72, reference rotations 144. Shapes broadcast: for T future frames pass ``state`` with a time axis of 1.
    """
    facing = _facing(state.rot[..., 0, :])
    return jnp.concatenate(
        [
            _flat(_turn(facing, *_planes(reference.pos - state.pos))),
            _flat(_turned_difference(facing, reference.rot, state.rot)),
            _flat(_turn(facing, *_planes(reference.vel - state.vel))),
            _flat(_turn(facing, *_planes(reference.angvel - state.angvel))),
            _flat(_turn(facing, *_planes(reference.pos - state.pos[..., :1, :]))),
            _flat(_turned_columns(facing, reference.rot)),
        ],
        -1,
    )


def _turned_difference(facing: tuple[Array, Array], p: Array, q: Array) -> Planes:
    """Columns of ``H^-1 (p q^-1) H``: turning by H moves the rotation's axis."""
    w, x, y, z = _difference(p, q)
    return _columns(w, *_turn(facing, x, y, z))


def _difference(p: Array, q: Array) -> Planes:
    """``p * conj(q)``: the world rotation that leads from ``q`` to ``p``."""
    pw, px, py, pz = _planes(p)
    qw, qx, qy, qz = _planes(q)
    return (
        pw * qw + px * qx + py * qy + pz * qz,
        px * qw - pw * qx - py * qz + pz * qy,
        py * qw - pw * qy + px * qz - pz * qx,
        pz * qw - pw * qz - px * qy + py * qx,
    )


def keypoint_task(state: BodyState, reference: BodyState) -> Array:
    """PHC's task observation v7 ``(*b, 216)``: differences of positions and of linear velocities, reference positions
    relative to the root. The reference's rotations and angular velocities take no part."""
    facing = _facing(state.rot[..., 0, :])
    return jnp.concatenate(
        [
            _flat(_turn(facing, *_planes(reference.pos - state.pos))),
            _flat(_turn(facing, *_planes(reference.vel - state.vel))),
            _flat(_turn(facing, *_planes(reference.pos - state.pos[..., :1, :]))),
        ],
        -1,
    )


def amp(
    state: BodyState,
    joint_pos: Array,
    joint_vel: Array,
    joints: tuple[int, ...] = AMP_JOINTS,
    key: tuple[int, ...] = AMP_KEY_BODIES,
    axes: int = 3,
) -> Array:
    """What the AMP discriminator sees of one frame, ``(*b, 196)`` (``build_amp_observations_smpl``).

    In order: root height 1, root rotation without heading 6, root linear and angular velocity 3 each, rotations of
    ``joints`` as six numbers 114 (of hinges the angles), their velocities 57, positions of four key bodies 12.

    Args:
      state: of the bodies.
      joint_pos: ``(*b, 69)`` rotation vectors of the 23 joints in body order; with ``axes`` 1 angles of hinges.
      joint_vel: ``(*b, 69)`` rad/s.
      joints: which of the 23; with all of them this is PHC's ``compute_humanoid_observations_smpl`` (232).
      key: rows of the key bodies.
      axes: numbers per joint.
    """
    facing = _facing(state.rot[..., 0, :])
    chosen = jnp.asarray(joints)
    lead = joint_pos.shape[:-1]
    turned = joint_pos.reshape(*lead, -1, axes)[..., chosen, :]
    velocity = joint_vel.reshape(*lead, -1, axes)[..., chosen, :]
    offset = (state.pos - state.pos[..., :1, :])[..., jnp.asarray(key), :]
    return jnp.concatenate(
        [
            _root(facing, state),
            _flat(_rotvec_columns(turned)) if axes == 3 else turned[..., 0],
            velocity.reshape(*lead, -1),
            _flat(_turn(facing, *_planes(offset))),
        ],
        -1,
    )


def _root(facing: tuple[Array, Array], state: BodyState) -> Array:
    """Height, rotation without heading, linear and angular velocity of the root ``(*b, 13)``."""
    return jnp.concatenate(
        [
            state.pos[..., 0, 2:],
            _flat(_turned_columns(facing, state.rot[..., :1, :])),
            _flat(_turn(facing, *_planes(state.vel[..., :1, :]))),
            _flat(_turn(facing, *_planes(state.angvel[..., :1, :]))),
        ],
        -1,
    )


def compact(
    state: BodyState,
    joint_pos: Array,
    joint_vel: Array,
    reference: BodyState,
    ref_joint_pos: Array,
    key: tuple[int, ...] = COMPACT_KEY_BODIES,
) -> Array:
    """A small set for small policies ``(*b, 256)``; a policy of joint targets needs little more.

    In order: root height 1, root rotation without heading 6, root velocities 6, joint rotation vectors 69, joint
    velocities times 0.1 69; then towards the next reference frame, as differences in the heading frame: joint rotation
    vectors 69, root rotation vector 3, root velocities 6, root position 3, positions of eight key bodies 24.

    Args:
      state, reference: of the bodies now, and of the reference one step ahead.
      joint_pos, ref_joint_pos: ``(*b, 69)`` rotation vectors of the 23 joints in body order; angles of hinges.
      joint_vel: ``(*b, 69)`` rad/s.
      key: rows of the key bodies.
    """
    facing = _facing(state.rot[..., 0, :])
    root_turn = _rotvec(*_difference(reference.rot[..., :1, :], state.rot[..., :1, :]))
    rows = jnp.asarray((0, *key))
    delta = reference.pos[..., rows, :] - state.pos[..., rows, :]
    return jnp.concatenate(
        [
            _root(facing, state),
            joint_pos,
            JOINT_VELOCITY_SCALE * joint_vel,
            ref_joint_pos - joint_pos,
            _flat(_turn(facing, *root_turn)),
            _flat(_turn(facing, *_planes(reference.vel[..., :1, :] - state.vel[..., :1, :]))),
            _flat(_turn(facing, *_planes(reference.angvel[..., :1, :] - state.angvel[..., :1, :]))),
            _flat(_turn(facing, *_planes(delta))),
        ],
        -1,
    )


def _rotvec(w: Array, x: Array, y: Array, z: Array) -> Planes:
    """Rotation vector of a unit quaternion, by the shorter way; smooth at the identity."""
    flip = jnp.where(w < 0, -1.0, 1.0)
    square = x * x + y * y + z * z
    small = square < 1e-6
    sine = jnp.sqrt(jnp.where(small, 1.0, square))
    scale = flip * jnp.where(small, 2.0 + square / 3.0, 2.0 * jnp.arctan2(sine, flip * w) / sine)
    return scale * x, scale * y, scale * z
