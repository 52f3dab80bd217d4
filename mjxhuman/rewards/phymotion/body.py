"""What the published PhyMotion reward measures on a body: coordinates in, everything its axes are computed from out."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jax import Array, lax

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.physics import dynamics, kinematics
from mjxhuman.physics.arrays import apply, matrices, take_rows
from mjxhuman.physics.batching import CPU_BLOCK
from mjxhuman.physics.motion import humanoid_tree
from mjxhuman.physics.tree import BodyParams, Tree
from mjxhuman.rewards.phymotion import joints as on_joints
from mjxhuman.rewards.phymotion import mujoco as on_mujoco
from mjxhuman.rewards.phymotion.time import Clip


class Bodies(NamedTuple):
    """Topology and the bodies the reward looks at (static)."""

    tree: Tree
    joints: tuple[int, ...]  # SMPL's 24, SMPL order
    feet: tuple[int, ...]  # ``mujoco.FOOT_BODIES``
    soles: tuple[int, ...]  # body of each sole point: the left foot's, then as many of the right foot


class Numbers(NamedTuple):
    """The numbers of a body."""

    params: BodyParams
    torque_limit: Array  # (H) N m, per hinge
    body_weight: Array  # () N
    sole_offset: Array  # (2 P, 3, 1) m, body frame
    sole_radius: Array  # (2 P, 1) m, 0 for the corners of a flat sole
    foot_box: Array  # (4, 4, 3, 1) m, boxes around the volumes of ``Bodies.feet``: centre and three half axes


class Measured(NamedTuple):
    """Input of the axes: components first, then clips, time last."""

    qvel: Array  # (6 + H, *b, T)
    qacc: Array  # (6 + H, *b, T)
    qfrc: Array  # (6 + H, *b, T) N and N m: generalized forces of the motion without contact forces
    root: Array  # (3, *b, T) m, above the lowest origin of a foot body in the clip
    com: Array  # (3, *b, T) m, likewise
    feet: Array  # (4, 3, *b, T) m, origins of the foot bodies, likewise
    joints: Array  # (24, 3, *b, T) m, above the lowest corner of the feet at frame 0
    soles: Array  # (2, P, 3, *b, T) m, likewise


class Axes(NamedTuple):
    """The parts of the reward: the two scorers' axes under the names of their quantities."""

    kinematic: on_joints.Kinematic
    contact: on_mujoco.Contact
    dynamic: on_mujoco.Dynamic
    old_contact: on_joints.ContactV1
    old_dynamic: on_joints.DynamicV1

    @property
    def combined(self) -> Array:
        """``phymotion_combined`` (*b), the published reward."""
        return (self.kinematic.score + self.contact.score + self.dynamic.score) / 3.0

    @property
    def overall(self) -> Array:
        """``overall`` (*b), the older score ``smpl_physics_score``."""
        return (self.kinematic.score + self.old_contact.score + self.old_dynamic.score) / 3.0


@functools.lru_cache(maxsize=32)
def make_body(humanoid: Humanoid, dtype: Any) -> tuple[Bodies, Numbers]:
    """The reward's view of a humanoid with hinges.

    Raises:
        ValueError: the humanoid is not of SMPL topology, or has other joints than a free root and hinges.
    """
    model, contacts = humanoid.model, humanoid.contacts
    if humanoid.smpl_body_ids is None or contacts is None:
        raise ValueError(f"humanoid {humanoid.name!r}: phymotion needs SMPL's 24 bodies, which this model lacks")
    if model.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE or np.any(model.jnt_type[1:] != mujoco.mjtJoint.mjJNT_HINGE):
        raise ValueError(f"humanoid {humanoid.name!r}: expected a free root and hinges, found {humanoid.layout} joints")
    feet = tuple(humanoid.body_names.index(name) for name in on_mujoco.FOOT_BODIES)
    left, right = (np.flatnonzero(contacts.is_foot & (contacts.group == side)) for side in (0, 1))
    if len(left) != len(right):
        raise ValueError(
            f"humanoid {humanoid.name!r}: {len(left)} sole points left, {len(right)} right; expected as many"
        )
    soles = np.concatenate([left, right])
    soles = soles[np.argsort([feet.index(b) for b in contacts.body_id[soles]], kind="stable")]  # foot body by foot body
    tree, params = humanoid_tree(humanoid, dtype)
    bodies = Bodies(
        tree=tree,
        joints=tuple(int(b) for b in humanoid.smpl_body_ids),
        feet=feet,
        soles=tuple(int(b) for b in contacts.body_id[soles]),
    )
    limits = [torque_limit(model.joint(j).name) for j in range(1, model.njnt)]
    numbers = Numbers(
        params=params,
        torque_limit=np.asarray(limits, dtype),
        body_weight=np.asarray(model.body_mass.sum() * np.linalg.norm(model.opt.gravity), dtype),
        sole_offset=contacts.offset[soles].astype(dtype)[..., None],
        sole_radius=contacts.radius[soles].astype(dtype)[..., None],
        foot_box=np.stack([_box(model, body) for body in feet]).astype(dtype)[..., None],
    )
    return bodies, numbers


def torque_limit(joint: str) -> float:
    """N m, by a hinge's name such as ``L_Hip_x`` or ``Torso_y``."""
    part = joint.rsplit("_", 1)[0].split("_", 1)[-1]
    return on_mujoco.TORQUE_LIMITS.get(part, on_mujoco.DEFAULT_TORQUE_LIMIT)


def _box(model: mujoco.MjModel, body: int) -> np.ndarray:
    """Centre and half axes (4, 3) m of the box around a body's largest geom, in the body's frame."""
    geoms = range(model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body])
    geom = max(geoms, key=lambda g: float(model.geom_rbound[g]))
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, model.geom_quat[geom])
    rotation = matrix.reshape(3, 3)
    centre, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
    return np.concatenate([(model.geom_pos[geom] + rotation @ centre)[None], half[:, None] * rotation.T])


class _Frames(NamedTuple):
    """What independent frames give."""

    qfrc: Array  # (6 + H, N)
    com: Array  # (3, N)
    pos: Array  # (B, 3, N)
    soles: Array  # (2 P, 3, N)
    lowest: Array  # (N) height of the lowest corner of the feet


def _measure_frames(bodies: Bodies, numbers: Numbers, qpos: Array, qvel: Array, qacc: Array) -> _Frames:
    tree, params = bodies.tree, numbers.params
    poses = kinematics.poses(tree, params, qpos)
    velocity = kinematics.velocities(tree, params, poses, qvel)
    wrenches = dynamics.body_wrenches(tree, params, poses, velocity, qvel, qacc)
    qfrc = dynamics.generalized_forces(tree, params, poses, wrenches, qacc)
    soles, lowest = [], []
    for k, body in enumerate(bodies.feet):
        rotation, pos = matrices(poses.quat[body : body + 1]), poses.pos[body : body + 1]
        rows = [i for i, b in enumerate(bodies.soles) if b == body]
        soles.append(pos + apply(rotation, take_rows(numbers.sole_offset, rows)))
        height = jnp.sum(rotation[:, 2] * numbers.foot_box[k], axis=1)  # of the centre, and half the extent per axis
        lowest.append(pos[0, 2] + height[0] - jnp.sum(jnp.abs(height[1:]), axis=0))
    points = jnp.concatenate(soles)
    points = jnp.stack([points[:, 0], points[:, 1], points[:, 2] - numbers.sole_radius], axis=1)
    com = kinematics.centre_of_mass(tree, params, poses)
    return _Frames(qfrc, com, poses.pos, points, jnp.min(jnp.stack(lowest), axis=0))


def _in_blocks(bodies: Bodies, numbers: Numbers, arrays: list[Array]) -> _Frames:
    """``_measure_frames`` of arrays (rows, N); on a CPU long clips go block by block, to stay in its cache."""
    frames = arrays[0].shape[-1]
    if frames <= CPU_BLOCK or frames % CPU_BLOCK or jax.default_backend() != "cpu":
        return _measure_frames(bodies, numbers, *arrays)
    blocks = [jnp.moveaxis(x.reshape(-1, frames // CPU_BLOCK, CPU_BLOCK), 1, 0) for x in arrays]
    found = lax.map(lambda block: _measure_frames(bodies, numbers, *block), blocks)
    return _Frames(*(jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:-1], frames) for x in found))


def measure(bodies: Bodies, numbers: Numbers, qpos: Array, clip: Clip) -> Measured:
    """Everything the axes need, from hinge coordinates ``qpos`` (7 + H, *b, T)."""
    qvel, qacc = on_mujoco.velocities(qpos, clip)
    shape = qpos.shape[1:]
    found = _in_blocks(bodies, numbers, [x.reshape(x.shape[0], -1) for x in (qpos, qvel, qacc)])
    qfrc, com, pos, soles, lowest = (x.reshape(*x.shape[:-1], *shape) for x in found)
    feet = take_rows(pos, bodies.feet)
    floor = jnp.min(jnp.where(clip.valid, jnp.min(feet[:, 2], axis=0), jnp.inf), axis=-1)
    up = jnp.asarray([0.0, 0.0, 1.0], qpos.dtype).reshape(3, *(1,) * len(shape))
    above_floor, above_ground = up * floor[..., None], up * lowest[..., :1]
    return Measured(
        qvel=qvel,
        qacc=qacc,
        qfrc=qfrc,
        root=qpos[:3] - above_floor,
        com=com - above_floor,
        feet=feet - above_floor,
        joints=take_rows(pos, bodies.joints) - above_ground,
        soles=soles.reshape(2, -1, 3, *shape) - above_ground,
    )


def axes(numbers: Numbers, measured: Measured, clip: Clip) -> Axes:
    """All axes of the measured quantities."""
    m = measured
    kinematic = on_joints.kinematic(m.joints, clip)
    contact = on_mujoco.contact(m.feet, m.root, m.com, clip)
    dynamic = on_mujoco.dynamic(m.qfrc, m.qvel, numbers.torque_limit, numbers.body_weight, contact.v_bal, clip)
    old_contact = on_joints.contact(m.joints, m.soles, clip)
    old_dynamic = on_joints.dynamic(m.joints, old_contact.contact, clip)
    return Axes(kinematic, contact, dynamic, old_contact, old_dynamic)
