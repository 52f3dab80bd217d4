"""What a MuJoCo model's kinematics and dynamics need: a hashable topology and a pytree of numbers.

``Tree`` holds everything that changes the program (parents, joint kinds, which numbers are exactly zero or one) and is
a static argument of jitted functions; ``BodyParams`` holds the numbers and is an ordinary argument. Bodies of another
stature or mass with the same topology share one compiled program.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import mujoco
import numpy as np
from flax import struct
from jaxtyping import Float

from mjxhuman.types import Array

_KINDS = {
    int(mujoco.mjtJoint.mjJNT_FREE): "free",
    int(mujoco.mjtJoint.mjJNT_BALL): "ball",
    int(mujoco.mjtJoint.mjJNT_HINGE): "hinge",
    int(mujoco.mjtJoint.mjJNT_SLIDE): "slide",
}
_POS_SIZE = {"free": 7, "ball": 4, "hinge": 1, "slide": 1}
_DOF_SIZE = {"free": 6, "ball": 3, "hinge": 1, "slide": 1}
_IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])


class Joint(NamedTuple):
    """The static part of a joint."""

    kind: str  # "free", "ball", "hinge" or "slide"
    axis: int  # 0, 1, 2: the axis is exactly x, y, z of the body; -1: read it from ``BodyParams.joint_axis``
    at_origin: bool  # the joint's position is exactly the body's origin


class Group(NamedTuple):
    """Bodies whose joints follow the same pattern, so that they are computed together. Tuples run over the bodies."""

    joints: tuple[Joint, ...]
    rotated: bool  # some body is rotated relative to its parent in the rest pose
    bodies: tuple[int, ...]
    joint_ids: tuple[tuple[int, ...], ...]  # [joint of the pattern][body]
    qpos_rows: tuple[tuple[int, ...], ...]  # [joint of the pattern][body], first row of each joint
    dof_rows: tuple[tuple[int, ...], ...]  # [joint of the pattern][body], first row of each joint
    hinge_rows: tuple[tuple[int, ...], ...]  # [joint of the pattern][body], place in ``Tree.hinges``; () if no hinge

    @property
    def moves(self) -> bool:
        """Whether the body's origin moves relative to its parent (slides, joints off the origin)."""
        return any(j.kind == "slide" or (j.kind != "free" and not j.at_origin) for j in self.joints)


@dataclasses.dataclass(frozen=True)
class Tree:
    """Topology of a model. Two models of the same structure give equal trees with equal hashes.

    Body 0 is the world; a body's index is its MuJoCo id. ``root`` is the body on the world that carries the first
    moving one: the common reference point of wrenches is its origin.
    """

    nq: int
    nv: int
    parents: tuple[int, ...]  # (B,), the world's is 0; parents come before their children
    jumps: tuple[tuple[int, ...], ...]  # [k][body]: ancestor 2^k generations up, 0 beyond the root
    sizes: tuple[int, ...]  # (B,) bodies in each subtree, which are b, b + 1, ..., b + sizes[b] - 1
    groups: tuple[Group, ...]
    hinges: tuple[int, ...]  # qpos row of every hinge, in the order of the groups
    root: int
    has_armature: bool
    upright: bool  # gravity has no part along x or y and does not pull upwards

    @property
    def nbody(self) -> int:
        """Number of bodies B, the world included."""
        return len(self.parents)

    @property
    def moves(self) -> bool:
        """Whether any body's origin moves relative to its parent."""
        return any(g.moves for g in self.groups)

    @property
    def free_roots(self) -> tuple[Group, ...]:
        """The groups that hang on free joints (none or one)."""
        return tuple(g for g in self.groups if g.joints and g.joints[0].kind == "free")


@struct.dataclass
class BodyParams:
    """The numbers of a model. The last axis is the frame axis: 1 for constants, N for a different body per frame."""

    body_pos: Float[Array, "B 3 1"]  # m, in the parent's frame
    body_quat: Float[Array, "B 4 1"]  # wxyz, relative to the parent
    body_ipos: Float[Array, "B 3 1"]  # m, centre of mass in the body frame
    inertia: Float[Array, "B 6 1"]  # kg m^2 about the centre of mass, body axes: xx, yy, zz, xy, xz, yz
    mass: Float[Array, "B 1 1"]  # kg
    joint_pos: Float[Array, "J 3 1"]  # m, in the body frame
    joint_axis: Float[Array, "J 3 1"]  # unit vector in the body frame
    qpos0: Float[Array, "nq 1"]  # reference position: hinge and slide coordinates count from here
    armature: Float[Array, "nv 1"]  # kg m^2 or kg, rotor inertia
    gravity: Float[Array, "1 3 1"]  # m/s^2, world


def _check(model: mujoco.MjModel) -> None:
    if model.nbody < 2 or model.nv == 0:
        raise ValueError(f"model: expected at least one body that moves, found nbody={model.nbody}, nv={model.nv}")
    if model.nmocap:
        raise ValueError(
            f"model: mocap bodies are not supported (their pose is not part of qpos), found {model.nmocap}"
        )
    if model.nflex:
        raise ValueError(f"model: flexes are not supported, found {model.nflex}")
    if model.ntendon and np.any(model.tendon_armature):
        names = [model.tendon(i).name or str(i) for i in np.flatnonzero(model.tendon_armature)]
        raise ValueError(f"model: tendon armature couples joints and is not supported, found it on tendons {names}")


def _joint(model: mujoco.MjModel, j: int) -> Joint:
    kind = _KINDS[int(model.jnt_type[j])]
    axis = -1
    if kind in ("hinge", "slide"):
        hit = [k for k in range(3) if np.array_equal(model.jnt_axis[j], np.eye(3)[k])]
        axis = hit[0] if hit else -1
    return Joint(kind, axis, kind in ("free", "slide") or not np.any(model.jnt_pos[j]))


def _groups(model: mujoco.MjModel) -> tuple[Group, ...]:
    patterns: dict[tuple[Any, ...], list[int]] = {}
    for b in range(1, model.nbody):
        first, count = int(model.body_jntadr[b]), int(model.body_jntnum[b])
        joints = tuple(_joint(model, j) for j in range(first, first + count))
        free = any(j.kind == "free" for j in joints)
        rotated = not free and not np.array_equal(model.body_quat[b], _IDENTITY)
        patterns.setdefault((joints, rotated), []).append(b)
    groups, hinges = [], 0
    for (joints, rotated), bodies in patterns.items():
        ids = tuple(tuple(int(model.body_jntadr[b]) + k for b in bodies) for k in range(len(joints)))
        qpos_rows = tuple(tuple(int(model.jnt_qposadr[j]) for j in row) for row in ids)
        dof_rows = tuple(tuple(int(model.jnt_dofadr[j]) for j in row) for row in ids)
        hinge_rows: tuple[tuple[int, ...], ...] = ()
        for joint in joints:
            count = len(bodies) if joint.kind == "hinge" else 0
            hinge_rows += (tuple(range(hinges, hinges + count)),)
            hinges += count
        groups.append(Group(joints, rotated, tuple(bodies), ids, qpos_rows, dof_rows, hinge_rows))
    return tuple(groups)


def _jumps(parents: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    jumps = [parents]
    while any(jumps[-1]):
        jumps.append(tuple(jumps[-1][p] for p in jumps[-1]))
    return tuple(jumps[:-1])


def _sizes(parents: tuple[int, ...]) -> tuple[int, ...]:
    sizes = [1] * len(parents)
    for b in range(len(parents) - 1, 0, -1):
        sizes[parents[b]] += sizes[b]
    return tuple(sizes)


def _inertia(model: mujoco.MjModel) -> np.ndarray:
    """Inertia tensors (B, 6) about the centres of mass, rotated from principal to body axes."""
    out = np.zeros((model.nbody, 6))
    for b in range(model.nbody):
        matrix = np.zeros(9)
        mujoco.mju_quat2Mat(matrix, model.body_iquat[b])
        axes = matrix.reshape(3, 3)
        full = axes @ np.diag(model.body_inertia[b]) @ axes.T
        out[b] = full[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    return out


def make_tree(model: mujoco.MjModel, dtype: Any = np.float32) -> tuple[Tree, BodyParams]:
    """Split a MuJoCo model into its static topology and its numbers.

    Any tree of free, ball, hinge and slide joints is supported, also several joints per body. Joint damping,
    stiffness and limits, actuators, contacts and constraints are not part of it.

    Args:
        model: the compiled model.
        dtype: floating-point type of the numbers.

    Returns:
        The topology, hashable and comparable, and the numbers as NumPy arrays of ``dtype``.

    Raises:
        ValueError: the model has no moving body, mocap bodies, flexes or tendons with armature.
    """
    _check(model)
    parents = tuple(int(p) for p in model.body_parentid)
    groups = _groups(model)
    gravity = np.zeros(3) if model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_GRAVITY else model.opt.gravity
    tree = Tree(
        nq=int(model.nq),
        nv=int(model.nv),
        parents=parents,
        jumps=_jumps(parents),
        sizes=_sizes(parents),
        groups=groups,
        hinges=tuple(
            row for g in groups for k, j in enumerate(g.joints) if j.kind == "hinge" for row in g.qpos_rows[k]
        ),
        root=int(model.body_rootid[model.dof_bodyid[0]]),
        has_armature=bool(np.any(model.dof_armature)),
        upright=bool(not np.any(gravity[:2]) and gravity[2] <= 0),
    )

    def column(x: np.ndarray) -> np.ndarray:
        return np.asarray(x, dtype=dtype)[..., None]

    params = BodyParams(
        body_pos=column(model.body_pos),
        body_quat=column(model.body_quat),
        body_ipos=column(model.body_ipos),
        inertia=column(_inertia(model)),
        mass=column(model.body_mass[:, None]),
        joint_pos=column(model.jnt_pos),
        joint_axis=column(model.jnt_axis),
        qpos0=column(model.qpos0),
        armature=column(model.dof_armature),
        gravity=column(gravity[None]),
    )
    return tree, params
