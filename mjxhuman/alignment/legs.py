"""Legs that fit another seat: hips and knees turn, feet keep how they lie in the world.

A body falls into limbs that move as rigid bodies: each side's thigh, shank and foot, and the rest. Thighs turn about
their hip joints, shanks with them and about the knee's own axis, and feet are carried along without turning, which is
what ankles are for. The ranges of joints are those of recovery and retargeting.
"""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import mujoco
import numpy as np
from flax import struct
from jaxlie import SO3
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import quaternion, rotation
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.retarget.chain import BODIES, RANGE_HIGH, RANGE_INDEX, RANGE_LOW, RANGE_SIGMA
from mjxhuman.retarget.pose import chord
from mjxhuman.types import Array, Motion

#: Limbs: the rest, then a thigh, shank and foot of each side.
LIMBS = (("L_Hip",), ("L_Knee",), ("L_Ankle", "L_Toe"), ("R_Hip",), ("R_Knee",), ("R_Ankle", "R_Toe"))
#: Per leg: the turn of the thigh about the world's axes and the flexion of the knee, rad.
ANGLES = 4
#: Flexion -x, rotation y and abduction z of the left hip, rad: 120, 45 and 45 degrees (American Academy of Orthopaedic
#: Surgeons, Joint Motion, 1965), of which the pelvis, which SMPL holds upright in people who sit, gives 20 of flexion.
_HIP = ((-2.45, -0.8, -0.8), (0.5, 0.8, 0.8))
_FORWARD = np.array([1.0, 0.0, 0.0])  # SMPL's axis of a knee


@struct.dataclass
class Legs:
    """The legs of a body at T frames."""

    joints: Float[Array, "*b T 2 3 3"]  # m, world: hip, knee, ankle
    turns: Float[Array, "*b T 2 4 4"]  # wxyz, SMPL's frames to the world: pelvis, thigh, shank, foot


@struct.dataclass
class Placement:
    """Where the limbs go: ``turn x + move``; without turns the body moves as one."""

    turn: Float[Array, "T L 3 3"] | None
    move: Float[Array, "T L 3"]  # m

    def points(self, x: Array, limb: Array) -> Array:
        """World places ``(T, ..., 3)`` of points ``(T, ..., 3)`` on limbs ``(...)``, or ``(T, ...)`` of each frame."""
        if self.turn is None:
            return x + self.move[:, 0].reshape(-1, *(1,) * (x.ndim - 2), 3)
        frame = jnp.arange(len(x)).reshape(-1, *(1,) * (x.ndim - 2))
        turn, move = self.turn[frame, limb], self.move[frame, limb]
        return jnp.einsum("t...ij,t...j->t...i", turn, x) + move


def limbs_of(humanoid: Humanoid) -> np.ndarray:
    """The limb of each body ``(B,)``, 0 for the rest."""
    limb = np.zeros(humanoid.model.nbody, int)
    for i, names in enumerate(LIMBS):
        limb[[humanoid.body_names.index(name) for name in names]] = i + 1
    return limb


def legs_of(motion: Motion, frames: np.ndarray) -> Legs:
    """The legs at frames ``(T,)`` of a motion of SMPL's topology, float64."""
    names, frame = motion.humanoid.body_names, motion.humanoid.smpl_frame
    pos, quat = (np.asarray(x, np.float64)[frames] for x in (motion.body_pos, motion.body_quat))
    chain = [[names.index(n) for n in ("Pelvis", *(f"{s}_{j}" for j in ("Hip", "Knee", "Ankle")))] for s in "LR"]
    return Legs(pos[:, [c[1:] for c in chain]], quaternion.multiply(quat[:, chain], quaternion.conjugate(frame)))


def placement(legs: Legs, person: Array, angles: Array | None) -> Placement:
    """Limbs of a person moved by ``person (T, 3)`` m, legs changed by ``angles (T, 2, ANGLES)``."""
    if angles is None:
        return Placement(None, person[:, None])
    thigh, shank = _turned(legs, angles)
    thigh, shank = rotation.to_matrix(thigh), rotation.to_matrix(shank)
    hip, knee, ankle = legs.joints[:, :, 0], legs.joints[:, :, 1], legs.joints[:, :, 2]
    about = lambda turn, x: jnp.einsum("tsij,tsj->tsi", turn, x)  # noqa: E731
    bent = hip + about(thigh, knee - hip)
    end = bent + about(shank, ankle - knee)
    still = jnp.broadcast_to(jnp.eye(3, dtype=person.dtype), thigh.shape)
    turn = jnp.stack([thigh, shank, still], 2).reshape(len(person), -1, 3, 3)
    move = jnp.stack([hip - about(thigh, hip), bent - about(shank, knee), end - ankle], 2).reshape(len(person), -1, 3)
    turn = jnp.concatenate([still[:, :1], turn], 1)
    return Placement(turn, jnp.concatenate([jnp.zeros_like(person)[:, None], move], 1) + person[:, None])


def _turned(legs: Legs, angles: Array) -> tuple[Array, Array]:
    """World rotations ``(T, 2, 4)`` that thigh and shank make."""
    thigh = rotation.exp(angles[..., :3])
    knee = jnp.broadcast_to(jnp.asarray(_FORWARD, angles.dtype), angles[..., :3].shape)
    knee = rotation.rotate(legs.turns[:, :, 2], knee)
    return thigh, rotation.multiply(thigh, rotation.exp(knee * angles[..., 3:]))


def beyond_ranges(legs: Legs, angles: Array) -> Array:
    """How far ``(T, 2, 3, 3)`` hip, knee and ankle are turned beyond their ranges, or farther beyond than they were, in
    units of ``RANGE_SIGMA``, about x, y and z."""
    low, high = (jnp.asarray(x, angles.dtype) for x in _ranges())
    thigh, shank = _turned(legs, angles)
    pelvis, foot = legs.turns[:, :, 0], legs.turns[:, :, 3]
    before = _chords(pelvis, legs.turns[:, :, 1], legs.turns[:, :, 2], foot)
    after = _chords(
        pelvis, rotation.multiply(thigh, legs.turns[:, :, 1]), rotation.multiply(shank, legs.turns[:, :, 2]), foot
    )
    low, high = jnp.minimum(low, before), jnp.maximum(high, before)
    return (jnp.maximum(after - high, 0) + jnp.minimum(after - low, 0)) / RANGE_SIGMA


def _chords(*turns: Array) -> Array:
    """Turns ``(T, 2, 3, 3)`` of each body against the one before."""
    return jnp.stack([chord(SO3(a), SO3(b))[0] for a, b in itertools.pairwise(turns)], 2)


def _ranges() -> tuple[np.ndarray, np.ndarray]:
    """Chords ``(2, 3, 3)`` of hip, knee and ankle of each side: low and high."""
    rows = [
        [RANGE_INDEX.tolist().index(BODIES.index(f"{side}_{joint}")) for joint in ("Knee", "Ankle")] for side in "LR"
    ]
    low, high = 2 * np.sin(0.5 * np.array(_HIP))
    mirror = np.array([1.0, -1.0, -1.0])
    hips = [
        np.stack([low, np.minimum(low * mirror, high * mirror)]),
        np.stack([high, np.maximum(low * mirror, high * mirror)]),
    ]
    lows, highs = (
        np.concatenate([hip[:, None], table[rows]], 1) for hip, table in zip(hips, (RANGE_LOW, RANGE_HIGH), strict=True)
    )
    return lows, highs


def with_legs(motion: Motion, shift: np.ndarray, angles: np.ndarray) -> Motion:
    """The motion with its root moved by ``shift (T, 3)`` m and legs changed by ``angles (T, 2, ANGLES)``."""
    humanoid = motion.humanoid
    model, names = humanoid.model, humanoid.body_names
    quat = np.asarray(motion.body_quat, np.float64)
    legs = legs_of(motion, np.arange(motion.num_frames))
    qpos = np.array(motion.qpos)
    root = int(model.jnt_qposadr[0])
    qpos[:, root : root + 3] += shift.astype(qpos.dtype)
    for side, name in enumerate("LR"):
        pelvis, *bodies = [names.index(n) for n in ("Pelvis", *(f"{name}_{j}" for j in ("Hip", "Knee", "Ankle")))]
        thigh = _exp(angles[:, side, :3])
        axis = quaternion.rotate(legs.turns[:, side, 2], _FORWARD)
        shank = quaternion.multiply(thigh, _exp(axis * angles[:, side, 3:]))
        world = [quat[:, pelvis], quaternion.multiply(thigh, quat[:, bodies[0]])]
        world += [quaternion.multiply(shank, quat[:, bodies[1]]), quat[:, bodies[2]]]
        for body, parent, own in zip(bodies, world[:-1], world[1:], strict=True):
            _put(model, qpos, body, quaternion.multiply(quaternion.conjugate(parent), own))
    return motion_from_qpos(humanoid, qpos, motion.fps, valid=motion.valid, provenance=motion.provenance)


def _exp(vector: np.ndarray) -> np.ndarray:
    return Rotation.from_rotvec(vector).as_quat(scalar_first=True)


def _put(model: mujoco.MjModel, qpos: np.ndarray, body: int, turn: np.ndarray) -> None:
    """Write rotations ``(T, 4)`` of a body against its parent into its coordinates, nearest to those that are there."""
    address = int(model.jnt_qposadr[model.body_jntadr[body]])
    if model.jnt_type[model.body_jntadr[body]] == mujoco.mjtJoint.mjJNT_BALL:
        sign = np.where(np.sum(turn * qpos[:, address : address + 4], -1, keepdims=True) < 0, -1.0, 1.0)
        qpos[:, address : address + 4] = sign * turn
        return
    angles = Rotation.from_quat(turn, scalar_first=True).as_euler("XYZ")
    whole = 2 * np.pi * np.round((qpos[:, address : address + 3] - angles) / (2 * np.pi))
    qpos[:, address : address + 3] = angles + whole
