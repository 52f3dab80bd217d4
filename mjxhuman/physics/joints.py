"""Motion across the joints of each body, and its transpose: from wrenches to joint forces.

Everything here is local to a body: rotation, velocity and acceleration relative to the parent body, in the child's
axes. Bodies with the same joint pattern are computed together as (bodies, frames) components. A body's joints act in
MuJoCo's order, each in the frame that the earlier ones have moved; ``F`` below is the frame before a joint, ``r`` the
joint's position, the same in the frames before and after.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from mjxhuman.physics import sparse
from mjxhuman.physics.arrays import components, join, keep, put_rows, sin_cos, take_rows
from mjxhuman.physics.sparse import ZERO, Component, Vector
from mjxhuman.physics.tree import BodyParams, Group, Tree


class Step(NamedTuple):
    """One joint of a group at its current coordinate."""

    kind: str
    quat: Vector | None  # rotation from the frame after the joint to the one before; None for slides
    axis: Vector | None  # unit axis of a hinge or slide, the same in both frames
    anchor: Vector  # joint position r in the body frame
    shift: Component  # slide coordinate
    plane: tuple[Array, Array, int] | None  # cosine and sine of a hinge's angle about the axis with this index

    def back(self, v: Vector) -> Vector:
        """Components in the frame after the joint of a vector given in the frame before it."""
        if self.plane is None:
            return sparse.rotate_inverse(self.quat, v)
        c, s, k = self.plane
        return self._turn(v, c, s, k)

    def forth(self, v: Vector) -> Vector:
        """Components in the frame before the joint of a vector given in the frame after it."""
        if self.plane is None:
            return sparse.rotate(self.quat, v)
        c, s, k = self.plane
        return self._turn(v, c, -s, k)

    @staticmethod
    def _turn(v: Vector, c: Array, s: Array, k: int) -> Vector:
        i, j = (k + 1) % 3, (k + 2) % 3
        out = list(v)
        out[i] = sparse.add(sparse.mul(v[i], c), sparse.mul(v[j], s))
        out[j] = sparse.sub(sparse.mul(v[j], c), sparse.mul(v[i], s))
        return out


def _dofs(x: Array, group: Group, k: int, count: int) -> list[Array]:
    """The ``count`` coordinates of the group's joint ``k``, each (K, N)."""
    return [take_rows(x, [row + i for row in group.dof_rows[k]]) for i in range(count)]


def normalized(parts: list[Array]) -> list[Array]:
    """A quaternion scaled to unit length; the identity where its length is below 1e-15, as in MuJoCo."""
    square = parts[0] ** 2 + parts[1] ** 2 + parts[2] ** 2 + parts[3] ** 2
    tiny = square < 1e-30
    inverse = keep(1 / jnp.sqrt(jnp.where(tiny, 1, square)))
    return [jnp.where(tiny, 1.0 if i == 0 else 0.0, p * inverse) for i, p in enumerate(parts)]


class JointCoordinates(NamedTuple):
    """Joint coordinates and the sines and cosines of all hinges, rows as in ``Tree.hinges``, (H, N)."""

    qpos: Array  # (nq, N)
    sin_half: Array
    cos_half: Array
    sin: Array
    cos: Array


def joint_coordinates(tree: Tree, params: BodyParams, qpos: Array) -> JointCoordinates:
    """Sines and cosines, once for all uses."""
    s, c = keep(sin_cos(0.5 * (take_rows(qpos, tree.hinges) - take_rows(params.qpos0, tree.hinges))))
    return JointCoordinates(qpos, s, c, *keep((2 * s * c, 1 - 2 * s * s)))


def steps(params: BodyParams, at: JointCoordinates, group: Group) -> list[Step]:
    """The joints of a group."""
    qpos = at.qpos
    out = []
    for k, joint in enumerate(group.joints):
        rows = group.qpos_rows[k]
        anchor: Vector = ZERO
        if not joint.at_origin:
            anchor = components(take_rows(params.joint_pos, group.joint_ids[k]))
        if joint.kind in ("free", "ball"):
            first = 3 if joint.kind == "free" else 0
            quat = normalized([take_rows(qpos, [r + first + i for r in rows]) for i in range(4)])
            out.append(Step(joint.kind, quat, None, anchor, None, None))
            continue
        unit: list[Component] = [None, None, None]
        if joint.axis >= 0:
            unit[joint.axis] = jnp.ones((), qpos.dtype)
        else:
            unit = list(components(take_rows(params.joint_axis, group.joint_ids[k])))
        if joint.kind == "slide":
            shift = take_rows(qpos, rows) - take_rows(params.qpos0, rows)
            out.append(Step("slide", None, unit, anchor, shift, None))
            continue
        s, c, sine, cosine = (take_rows(x, group.hinge_rows[k]) for x in at[1:])
        plane = (cosine, sine, joint.axis) if joint.axis >= 0 else None
        out.append(Step("hinge", [c, *sparse.scale(unit, s)], unit, anchor, None, plane))
    return out


def _dense(v: Vector, count: int, frames: int, like: Array) -> Array:
    shape = (count, frames)
    return join([jnp.zeros(shape, like.dtype) if x is None else jnp.broadcast_to(x, shape) for x in v])


def local_poses(tree: Tree, params: BodyParams, at: JointCoordinates) -> tuple[Array, Array]:
    """Each body's pose relative to its parent: origin (B, 3, N) in the parent's axes and quaternion (B, 4, N).

    A body on a free joint has its world pose. The world has the identity.
    """
    qpos = at.qpos
    frames = qpos.shape[-1]
    one = jnp.ones((1, frames), qpos.dtype)
    origins: list[tuple[tuple[int, ...], Array]] = [((0,), jnp.zeros((1, 3, frames), qpos.dtype))]
    quats: list[tuple[tuple[int, ...], Array]] = [((0,), join([one, 0 * one, 0 * one, 0 * one]))]
    for group in tree.groups:
        count = len(group.bodies)
        place: Vector = components(take_rows(params.body_pos, group.bodies))
        quat: Vector | None = components(take_rows(params.body_quat, group.bodies)) if group.rotated else None
        for step in steps(params, at, group):
            if step.kind == "free":
                place = [take_rows(qpos, [r + i for r in group.qpos_rows[0]]) for i in range(3)]
                quat = step.quat
            elif step.kind == "slide":
                assert step.axis is not None
                place = sparse.vadd(place, sparse.rotate(quat, sparse.scale(step.axis, step.shift)))
            else:
                anchored = sparse.vadd(place, sparse.rotate(quat, step.anchor))
                assert step.quat is not None
                quat = sparse.multiply(quat, step.quat)
                place = sparse.vsub(anchored, sparse.rotate(quat, step.anchor))
        if quat is None:
            quat = [one[0], None, None, None]
        origins.append((group.bodies, _dense(place, count, frames, qpos)))
        quats.append((group.bodies, _dense(quat, count, frames, qpos)))
    return put_rows(tree.nbody, origins), put_rows(tree.nbody, quats)


class LocalMotion(NamedTuple):
    """Motion of every body relative to its parent, in the child's axes, (B, 3, N) each.

    ``linvel`` and ``linacc`` are those of the body's origin, and None if no origin moves in its parent. A free body's
    angular part is its own; its linear part is left out here (it is given in world axes).
    """

    angvel: Array
    angacc: Array | None
    linvel: Array | None
    linacc: Array | None


class _Rates(NamedTuple):
    w: Vector
    wd: Vector
    u: Vector
    a: Vector


def _point(r: Vector, x: _Rates) -> tuple[Vector, Vector]:
    """Velocity and acceleration of the point ``r`` fixed in the moving frame."""
    turn = sparse.cross(x.w, r)
    return sparse.vadd(x.u, turn), sparse.vadd(x.a, sparse.cross(x.wd, r), sparse.cross(x.w, turn))


def _cross_joint(step: Step, x: _Rates, rate: Vector, acc: Vector) -> _Rates:
    """Rates after a joint whose own relative velocity is ``rate`` and acceleration ``acc``, as vectors."""
    if step.kind == "slide":
        assert step.axis is not None
        shift = sparse.scale(step.axis, step.shift)
        u, a = _point(shift, x)
        coriolis = sparse.cross(x.w, rate)
        return _Rates(x.w, x.wd, sparse.vadd(u, rate), sparse.vadd(a, coriolis, coriolis, acc))
    u, a = _point(step.anchor, x)
    w = step.back(x.w)
    wd = sparse.vadd(step.back(x.wd), sparse.cross(w, rate), acc)
    w = sparse.vadd(w, rate)
    after = _Rates(w, wd, ZERO, ZERO)
    turn_u, turn_a = _point(step.anchor, after)
    return _Rates(w, wd, sparse.vsub(step.back(u), turn_u), sparse.vsub(step.back(a), turn_a))


def local_motion(
    tree: Tree, params: BodyParams, at: JointCoordinates, qvel: Array | None, qacc: Array | None = None
) -> LocalMotion:
    """Relative velocities and accelerations at ``qvel`` and ``qacc`` (nv, N); None is rest, without its cost."""
    qpos = at.qpos
    frames = qpos.shape[-1]
    pieces: tuple[list, ...] = ([], [], [], [])
    for group in tree.groups:
        x = _Rates(ZERO, ZERO, ZERO, ZERO)
        for k, step in enumerate(steps(params, at, group)):
            first, count = {"free": (3, 6), "ball": (0, 3)}.get(step.kind, (0, 1))
            rate: Vector = ZERO if qvel is None else _dofs(qvel, group, k, count)[first:]
            acc: Vector = ZERO if qacc is None else _dofs(qacc, group, k, count)[first:]
            if step.axis is not None:
                rate = sparse.scale(step.axis, rate[0])
                acc = sparse.scale(step.axis, acc[0])
            x = _cross_joint(step, x, rate, acc)
        for piece, v in zip(pieces, x, strict=True):
            if any(part is not None for part in v):
                piece.append((group.bodies, _dense(v, len(group.bodies), frames, qpos)))

    def whole(piece: list) -> Array:
        return put_rows(tree.nbody, piece) if piece else jnp.zeros((tree.nbody, 3, frames), qpos.dtype)

    w, wd, u, a = pieces
    angacc = None if qacc is None else whole(wd)
    linacc = whole(a) if qacc is not None and tree.moves else None
    return LocalMotion(whole(w), angacc, whole(u) if tree.moves else None, linacc)


def project(
    tree: Tree, params: BodyParams, at: JointCoordinates, force: Array, torque: Array, free_force: Array
) -> Array:
    """Generalized forces (nv, N) of each body's subtree wrench: the transpose of ``local_motion``.

    Args:
        force: (B, 3, N) force in the body's axes; only used where joints are off the origin or slide.
        torque: (B, 3, N) moment about the body's origin, in the body's axes.
        free_force: (B, 3, N) force in world axes, for free joints.
    """
    pieces = []
    for group in tree.groups:
        t: Vector = components(take_rows(torque, group.bodies))
        f: Vector = components(take_rows(force, group.bodies)) if group.moves else ZERO
        for k, step in reversed(list(enumerate(steps(params, at, group)))):
            rows = group.dof_rows[k]
            values: list[Component]
            if step.kind == "slide":
                assert step.axis is not None
                values = [sparse.dot(step.axis, f)]
                t = sparse.vadd(t, sparse.cross(sparse.scale(step.axis, step.shift), f))
            else:
                t = sparse.vsub(t, sparse.cross(step.anchor, f))
                values = list(t) if step.axis is None else [sparse.dot(step.axis, t)]
                if step.kind == "free":
                    values = [*components(take_rows(free_force, group.bodies)), *values]
                else:
                    t, f = step.forth(t), step.forth(f)
                    t = sparse.vadd(t, sparse.cross(step.anchor, f))
            for i, value in enumerate(values):
                assert value is not None, "a moment about every axis"
                pieces.append(([row + i for row in rows], value))
    return put_rows(tree.nv, pieces)
