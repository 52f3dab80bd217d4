"""Whole-clip least squares: the path of the SMPL chain that best explains pixels and 3D landmarks over all frames.

Where ``optimize`` solves every frame of a marker clip on its own, pixels need time: a camera does not see depth, points
vanish and jump, and what a frame cannot tell its neighbours do. So all frames are unknowns of one problem, coupled by
accelerations (three frames) and by feet that stay where they stand (two), and share three unknowns: the body's scale,
the focal length, the height of the floor. Levenberg-Marquardt on the tangent space; the
normal equations are block pentadiagonal with a border (``math.banded``), so a step costs the same per frame whatever
the length. Derivatives are written out as in ``optimize``. Robust by re-weighting: the Geman-McClure kernel.

Residuals are in standard deviations. Frames may be cut into segments that do not see each other (single frames, even);
each then has its own damping, and the shared unknowns must be held.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jaxlie
import numpy as np
from jax import Array

from mjxhuman.math import banded
from mjxhuman.math.camera import NEAREST
from mjxhuman.physics.batching import CPU_OPTIONS, exclusive
from mjxhuman.retarget.chain import (
    ANCESTOR,
    JOINTS,
    POINT_BUCKET,
    RANGE_HIGH,
    RANGE_INDEX,
    RANGE_LOW,
    RANGE_SIGMA,
    chord,
    forward,
    skew,
)

#: Clips are padded to one of these lengths.
LENGTHS = (32, 64, 128, 256, 512)
#: Unknowns of a frame: root, then one rotation vector per joint.
UNKNOWNS = 3 + 3 * JOINTS
#: The unknowns all frames share.
SHARED = ("log scale", "log focal length", "floor height")
#: Damping is relative to the curvature, which may vanish (twist of a straight limb): at least this, 1/m^2 or 1/rad^2.
_LEAST_CURVATURE = 10.0
#: Standard deviations at which a sole's height or step loses its say.
_SOLE_SCALE = 3.0
_LONGEST_TURN = 0.5  # rad, of a joint in one step
_SCALE, _FOCAL, _FLOOR = range(3)


class Frames(NamedTuple):
    """What each frame asks for; T frames, V views, K points, F points of the soles."""

    view: Array  # (T, V, 3, 4) world to camera axes, m
    lens: Array  # (T, V, 4) focal lengths and principal point fx, fy, cx, cy of the ideal (undistorted) image, px
    uv: Array  # (T, V, K, 2) px in the ideal image
    weight: Array  # (T, V, K) 1/px; 0 where a point is not seen
    landmark: Array  # (T, K, 3) m at scale one, world axes, relative to the anchor
    landmark_weight: Array  # (T, K) 1/m
    bend: Array  # (T,) weight of the acceleration about the frame; 0 at both ends of a segment
    touch: Array  # (T, F) 0..1, how surely a sole point is on the floor
    hold: Array  # (T, F) 0..1, how surely it stays where it is until the next frame
    segment: Array  # (T,) int, which independent part a frame belongs to; consecutive


class Body(NamedTuple):
    """What all frames have in common: runtime arrays, so that another body or detector compiles nothing."""

    offsets: Array  # (22, 3) m at scale one
    body: Array  # (K,) int
    point: Array  # (K, 3) m, in that body's frame
    anchor: Array  # (3,) m, pelvis frame: where the landmarks' origin is
    foot_body: Array  # (F,) int
    foot: Array  # (F, 3) m
    reference: Array  # (22, 4) neutral local rotations; the pelvis' is not read
    reference_weight: Array  # (22, 3) 1/rad
    bend_weight: Array  # (23, 3) root in 1/m, joints in 1/rad: of second differences
    floor_weight: Array  # () 1/m, of touching and of being under the floor
    hold_weight: Array  # () 1/m, of a step between frames
    pixel_scale: Array  # () standard deviations at which a pixel residual loses its say
    landmark_scale: Array  # ()
    shared: Array  # (3,) prior mean
    shared_precision: Array  # (3,) 1/variance


class Path(NamedTuple):
    """The unknowns."""

    root: Array  # (T, 3) m
    local: Array  # (T, 22, 4)
    shared: Array  # (3,)


class _System(NamedTuple):
    """Cost and normal equations at a path; the gradient has the sign of a residual."""

    cost: Array  # (T,)
    matrix: banded.Banded
    border: Array  # (T, n, 3)
    corner: Array  # (3, 3)
    gradient: Array  # (T, n)
    gradient_shared: Array  # (3,)


_Part = dict[str, Array]  #: what one kind of residual adds: fields of ``_System``, ``diagonal``, ``first``, ``second``


@dataclasses.dataclass
class Fit:
    """Solution of ``solve_clip``, NumPy."""

    path: Path
    cost: np.ndarray  # (T,) squared standard deviations
    steps: int


def solve_clip(frames: Frames, body: Body, start: Path, *, max_steps: int = 30, tolerance: float = 1e-3) -> Fit:
    """Solve a clip, or several segments of frames.

    Args:
      frames, body, start: NumPy; T at most ``LENGTHS[-1]``.
      max_steps: Levenberg-Marquardt steps.
      tolerance: a segment is done when an accepted step lowers its cost by less than this share.

    Raises:
      ValueError: too many frames.
    """
    count, points = len(frames.uv), frames.uv.shape[2]
    if count > LENGTHS[-1]:
        raise ValueError(f"solve_clip: expected at most {LENGTHS[-1]} frames, found {count}")
    length = next(size for size in LENGTHS if size >= count)
    extra, more = length - count, -points % POINT_BUCKET
    along = lambda x, mode="edge": np.pad(x, [(0, extra)] + [(0, 0)] * (x.ndim - 1), mode=mode)  # noqa: E731
    wide = lambda x, axis: np.pad(x, [(0, more if k == axis else 0) for k in range(x.ndim)])  # noqa: E731
    empty = lambda x: along(x, "constant")  # noqa: E731
    padded = Frames(
        view=along(frames.view), lens=along(frames.lens), uv=wide(along(frames.uv), 2),
        weight=wide(empty(frames.weight), 2), landmark=wide(along(frames.landmark), 1),
        landmark_weight=wide(empty(frames.landmark_weight), 1), bend=empty(frames.bend), touch=empty(frames.touch),
        hold=empty(frames.hold), segment=np.concatenate([frames.segment, np.full(extra, length - 1)]),
    )  # fmt: skip
    padded_body = body._replace(body=wide(body.body.astype(np.int32), 0), point=wide(body.point, 0))
    initial = Path(along(start.root), along(start.local), np.asarray(start.shared, float))
    with exclusive():
        found = _solve(padded, padded_body, initial, np.asarray(max_steps), np.asarray(tolerance))
        path, cost, steps = jax.tree.map(np.asarray, found)
    local = path.local[:count] / np.linalg.norm(path.local[:count], axis=-1, keepdims=True)
    return Fit(Path(path.root[:count], local, path.shared), cost[:count], int(steps))


@functools.partial(jax.jit, compiler_options=CPU_OPTIONS)
def _solve(frames: Frames, body: Body, start: Path, max_steps: Array, tolerance: Array) -> tuple[Path, Array, Array]:
    length = frames.segment.shape[0]
    per_segment = lambda x: jax.ops.segment_sum(x, frames.segment, length)  # noqa: E731

    def step(carry: tuple) -> tuple:
        path, system, damping, done, count = carry
        change, shared = _newton_step(system, damping)
        new_path = _retract(path, change, shared)
        new = _linearise(new_path, frames, body)
        prior = _prior_cost(path, body), _prior_cost(new_path, body)
        old_cost, new_cost = per_segment(system.cost), per_segment(new.cost)
        # the shared unknowns belong to the one segment there is, or are held
        old_cost, new_cost = old_cost.at[0].add(prior[0]), new_cost.at[0].add(prior[1])
        better = (new_cost < old_cost) & ~done
        small = better & (old_cost - new_cost < tolerance * old_cost)
        stuck = ~better & (per_segment(damping) / jnp.maximum(per_segment(jnp.ones(length)), 1.0) > 1e6)
        take = better[frames.segment]
        path = Path(
            jnp.where(take[:, None], new_path.root, path.root),
            jnp.where(take[:, None, None], new_path.local, path.local),
            jnp.where(better[0], new_path.shared, path.shared),
        )
        system = _choose(take, better[0], new, system)
        damping = jnp.where(take, jnp.maximum(0.2 * damping, 1e-7), 6.0 * damping)
        return path, system, damping, done | small | stuck, count + 1

    used = per_segment(jnp.sum(frames.weight, (1, 2)) + jnp.sum(frames.landmark_weight, 1)) > 0
    first = (start, _linearise(start, frames, body), jnp.full(length, 1e-2), ~used, jnp.zeros((), jnp.int32))
    go_on = lambda carry: (~jnp.all(carry[3])) & (carry[4] < max_steps)  # noqa: E731
    path, system, _, _, count = jax.lax.while_loop(go_on, step, first)
    return path, system.cost, count


def _choose(take: Array, take_shared: Array, new: _System, old: _System) -> _System:
    def pick(a: Array, b: Array) -> Array:
        return jnp.where(take.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return _System(
        pick(new.cost, old.cost), banded.Banded(*map(pick, new.matrix, old.matrix)), pick(new.border, old.border),
        jnp.where(take_shared, new.corner, old.corner), pick(new.gradient, old.gradient),
        jnp.where(take_shared, new.gradient_shared, old.gradient_shared),
    )  # fmt: skip


def _newton_step(system: _System, damping: Array) -> tuple[Array, Array]:
    diagonal = jnp.diagonal(system.matrix.diagonal, axis1=1, axis2=2)
    extra = damping[:, None] * (diagonal + _LEAST_CURVATURE)
    matrix = system.matrix._replace(diagonal=system.matrix.diagonal + extra[:, :, None] * jnp.eye(UNKNOWNS))
    corner = system.corner + damping[0] * jnp.diag(jnp.diagonal(system.corner))
    return banded.solve_bordered(matrix, system.border, corner, -system.gradient, -system.gradient_shared)


def _retract(path: Path, change: Array, shared: Array) -> Path:
    rotvec = change[:, 3:].reshape(-1, JOINTS, 3)
    size = jnp.sqrt(jnp.sum(rotvec * rotvec, -1, keepdims=True) + 1e-12)
    turn = jaxlie.SO3.exp(rotvec * jnp.minimum(1.0, _LONGEST_TURN / size))
    local = (jaxlie.SO3(path.local) @ turn).wxyz
    return Path(path.root + change[:, :3], local / jnp.linalg.norm(local, axis=-1, keepdims=True), path.shared + shared)


def _prior_cost(path: Path, body: Body) -> Array:
    return jnp.sum(body.shared_precision * jnp.square(path.shared - body.shared))


class _Pose(NamedTuple):
    """Forward kinematics of a path."""

    pos: Array  # (T, 22, 3) m
    world: Array  # (T, 22, 3, 3)


def _pose(path: Path, body: Body) -> _Pose:
    scaled = jnp.exp(path.shared[_SCALE]) * body.offsets
    pos, quat = jax.vmap(forward, in_axes=(None, 0, 0))(scaled, path.root, path.local)
    return _Pose(pos, jaxlie.SO3(quat).as_matrix())


def _place(pose: _Pose, scale: Array, body: Array, point: Array) -> Array:
    """World places ``(T, P, 3)`` of points fixed to bodies."""
    return pose.pos[:, body] + jnp.einsum("tpij,pj->tpi", pose.world[:, body], scale * point)


def _jacobian(pose: _Pose, body: Array, points: Array) -> Array:
    """Derivative ``(T, P, 3, n)`` of the world places of points by root and body-frame turns of the joints."""
    above = jnp.asarray(ANCESTOR, points.dtype)[body]  # (P, 22)
    arm = (points[:, :, None] - pose.pos[:, None]) * above[:, :, None]
    turning = -jnp.einsum("tpjxy,tjya->tpxja", skew(arm), pose.world)
    shape = points.shape[:2]
    shift = jnp.broadcast_to(jnp.eye(3, dtype=points.dtype), (*shape, 3, 3))
    return jnp.concatenate([shift, turning.reshape(*shape, 3, 3 * JOINTS)], -1)


def _linearise(path: Path, frames: Frames, body: Body) -> _System:
    """Cost and normal equations: pixels, landmarks, priors and floor frame by frame, then what couples frames."""
    pose = _pose(path, body)
    scale = jnp.exp(path.shared[_SCALE])
    points = _place(pose, scale, body.body, body.point)
    # computed once, not again inside everything that reads it
    points, turns = jax.lax.optimization_barrier((points, _jacobian(pose, body.body, points)))
    parts = [
        _pixels(path, frames, body, points, turns),
        _landmarks(pose, scale, frames, body, points, turns),
        _priors(path, body),
        _soles(pose, path, scale, frames, body),
        _accelerations(path, frames, body),
    ]
    pull = body.shared_precision
    shared = {"corner": jnp.diag(pull), "gradient_shared": pull * (path.shared - body.shared)}
    total = {}
    for name in (*_System._fields[:1], "diagonal", "first", "second", *_System._fields[2:]):
        total[name] = functools.reduce(jnp.add, [part[name] for part in (*parts, shared) if name in part])
    matrix = banded.Banded(total.pop("diagonal"), total.pop("first"), total.pop("second"))
    return _System(matrix=matrix, **total)


def _robust(square: Array, scale: Array) -> tuple[Array, Array]:
    """Cost and weight of squared residuals under the Geman-McClure kernel (Geman and McClure 1987)."""
    ratio = 1.0 / (1.0 + square / jnp.maximum(scale * scale, 1e-12))
    return square * ratio, ratio * ratio


def _pixels(path: Path, frames: Frames, body: Body, points: Array, turns: Array) -> _Part:
    rotation = frames.view[..., :3]
    seen = jnp.einsum("tvij,tkj->tvki", rotation, points) + frames.view[:, :, None, :, 3]
    depth = jnp.maximum(seen[..., 2], NEAREST)
    focal = jnp.exp(path.shared[_FOCAL]) * frames.lens[:, :, None, :2]
    ideal = seen[..., :2] / depth[..., None]
    residual = frames.weight[..., None] * (focal * ideal + frames.lens[:, :, None, 2:] - frames.uv)
    cost, share = _robust(jnp.sum(residual * residual, -1), body.pixel_scale)
    strength = frames.weight * jnp.sqrt(share)  # (T, V, K)
    residual = residual * jnp.sqrt(share)[..., None]
    # d pixel / d world point, in the units of the residual
    ahead = jnp.where(seen[..., 2] > NEAREST, 1.0, 0.0)
    gain = (strength / depth)[..., None] * focal
    by_camera = gain[..., None] * jnp.concatenate(
        [jnp.broadcast_to(jnp.eye(2), (*ideal.shape, 2)), -(ideal * ahead[..., None])[..., None]], -1
    )
    by_point = jnp.einsum("tvkij,tvjl->tvkil", by_camera, rotation)
    # and by the shared unknowns: the points grow about the root
    growth = points - path.root[:, None]
    by_scale = jnp.einsum("tvkij,tkj->tvki", by_point, growth)[..., None]
    by_focal = (strength[..., None] * focal * ideal)[..., None]
    by_shared = jnp.concatenate([by_scale, by_focal, jnp.zeros_like(by_scale)], -1)
    information = jnp.einsum("tvkia,tvkib->tkab", by_point, by_point)
    force = jnp.einsum("tvkia,tvki->tka", by_point, residual)
    mixed = jnp.einsum("tvkia,tvkis->tkas", by_point, by_shared)
    return {
        "cost": jnp.sum(cost, (1, 2)),
        "diagonal": _gram(turns, jnp.einsum("tkab,tkbn->tkan", information, turns)),
        "border": _gram(turns, mixed), "corner": jnp.einsum("tvkia,tvkib->ab", by_shared, by_shared),
        "gradient": jnp.einsum("tkan,tka->tn", turns, force),
        "gradient_shared": jnp.einsum("tvkis,tvki->s", by_shared, residual),
    }  # fmt: skip


def _gram(a: Array, b: Array) -> Array:
    """``(T, n, m)`` products of ``(T, P, 3, n)`` and ``(T, P, 3, m)`` summed over points and axes."""
    rows = lambda x: x.reshape(x.shape[0], -1, x.shape[-1])  # noqa: E731
    return jnp.swapaxes(rows(a), 1, 2) @ rows(b)


def _landmarks(pose: _Pose, scale: Array, frames: Frames, body: Body, points: Array, turns: Array) -> _Part:
    pelvis = jnp.zeros(1, jnp.int32)
    anchor = _place(pose, scale, pelvis, body.anchor[None])
    relative = turns - _jacobian(pose, pelvis, anchor)
    weight = frames.landmark_weight
    residual = weight[..., None] * ((points - anchor) / scale - frames.landmark)
    cost, share = _robust(jnp.sum(residual * residual, -1), body.landmark_scale)
    slope = (jnp.sqrt(share) * weight / scale)[..., None, None] * relative
    residual = residual * jnp.sqrt(share)[..., None]
    return {
        "cost": jnp.sum(cost, 1), "diagonal": _gram(slope, slope),
        "gradient": jnp.einsum("tkan,tka->tn", slope, residual),
    }  # fmt: skip


def _joint_blocks(blocks: Array) -> Array:
    """``(T, n, n)`` with the given ``(T, 23, 3, 3)`` on its diagonal: root, joints."""
    length = blocks.shape[0]
    index = jnp.arange(1 + JOINTS)
    full = jnp.zeros((length, 1 + JOINTS, 3, 1 + JOINTS, 3))
    return full.at[:, index, :, index].set(jnp.swapaxes(blocks, 0, 1)).reshape(length, UNKNOWNS, UNKNOWNS)


def _priors(path: Path, body: Body) -> _Part:
    """Neutral pose and the soft ranges of ``optimize``."""
    turn, turn_map = chord(jaxlie.SO3(body.reference), jaxlie.SO3(path.local))
    residual = body.reference_weight * turn
    slope = body.reference_weight[:, :, None] * turn_map
    bent, bent_map = chord(jaxlie.SO3.identity(), jaxlie.SO3(path.local[:, RANGE_INDEX]))
    over, under = jnp.maximum(bent - RANGE_HIGH, 0.0), jnp.minimum(bent - RANGE_LOW, 0.0)
    beyond = (over + under) / RANGE_SIGMA
    beyond_slope = jnp.where((beyond != 0)[..., None], bent_map / RANGE_SIGMA, 0.0)
    blocks = jnp.einsum("tjxa,tjxb->tjab", slope, slope)
    blocks = blocks.at[:, RANGE_INDEX].add(jnp.einsum("tjxa,tjxb->tjab", beyond_slope, beyond_slope))
    force = jnp.einsum("tjxa,tjx->tja", slope, residual)
    force = force.at[:, RANGE_INDEX].add(jnp.einsum("tjxa,tjx->tja", beyond_slope, beyond))
    length = len(force)
    cost = jnp.sum(residual * residual, (1, 2)) + jnp.sum(beyond * beyond, (1, 2))
    return {
        "cost": cost, "diagonal": _joint_blocks(jnp.concatenate([jnp.zeros((length, 1, 3, 3)), blocks], 1)),
        "gradient": jnp.concatenate([jnp.zeros((length, 3)), force.reshape(length, -1)], 1),
    }  # fmt: skip


def _soles(pose: _Pose, path: Path, scale: Array, frames: Frames, body: Body) -> _Part:
    """Sole points: not under the floor, on it where they touch, and in place where they hold; robust, since floors have
    steps and feet that seem to stand may slide."""
    points = _place(pose, scale, body.foot_body, body.foot)
    turns = _jacobian(pose, body.foot_body, points)
    growth = points - path.root[:, None]
    height = points[..., 2] - path.shared[_FLOOR]
    under = (height < 0).astype(height.dtype)
    strength = body.floor_weight * jnp.sqrt(frames.touch + (1.0 - frames.touch) * under)
    cost, share = _robust(jnp.square(strength * height), jnp.asarray(_SOLE_SCALE))
    strength = strength * jnp.sqrt(share)
    residual = strength * height
    slope = strength[..., None] * turns[:, :, 2]
    by_shared = jnp.zeros((*height.shape, len(SHARED)))
    by_shared = by_shared.at[..., _SCALE].set(strength * growth[..., 2]).at[..., _FLOOR].set(-strength)
    diagonal = jnp.einsum("tfm,tfn->tmn", slope, slope)
    border = jnp.einsum("tfn,tfs->tns", slope, by_shared)
    corner = jnp.einsum("tfr,tfs->rs", by_shared, by_shared)
    gradient = jnp.einsum("tfn,tf->tn", slope, residual)
    gradient_shared = jnp.einsum("tfs,tf->s", by_shared, residual)
    # steps between frames: blocks (t, t), (t + 1, t + 1) and (t + 1, t)
    hold = body.hold_weight * jnp.sqrt(frames.hold[:-1])[..., None]
    step_cost, share = _robust(jnp.sum(jnp.square(hold * (points[1:] - points[:-1])), -1), jnp.asarray(_SOLE_SCALE))
    hold = hold * jnp.sqrt(share)[..., None]
    step = hold * (points[1:] - points[:-1])
    before, after = -hold[..., None] * turns[:-1], hold[..., None] * turns[1:]
    by_scale = hold * (growth[1:] - growth[:-1])
    diagonal = diagonal.at[:-1].add(_gram(before, before)).at[1:].add(_gram(after, after))
    first = jnp.zeros_like(diagonal).at[1:].set(_gram(after, before))
    border = border.at[:-1, :, _SCALE].add(jnp.einsum("tfan,tfa->tn", before, by_scale))
    border = border.at[1:, :, _SCALE].add(jnp.einsum("tfan,tfa->tn", after, by_scale))
    gradient = gradient.at[:-1].add(jnp.einsum("tfan,tfa->tn", before, step))
    gradient = gradient.at[1:].add(jnp.einsum("tfan,tfa->tn", after, step))
    return {
        "cost": jnp.sum(cost, 1).at[:-1].add(jnp.sum(step_cost, 1)), "diagonal": diagonal, "first": first,
        "border": border, "corner": corner.at[_SCALE, _SCALE].add(jnp.sum(by_scale * by_scale)), "gradient": gradient,
        "gradient_shared": gradient_shared.at[_SCALE].add(jnp.sum(by_scale * step)),
    }  # fmt: skip


def _accelerations(path: Path, frames: Frames, body: Body) -> _Part:
    """Second differences of the root's place and of the joints' turns, about frames 1 ... T - 2."""
    turn = (jaxlie.SO3(path.local[:-1]).inverse() @ jaxlie.SO3(path.local[1:])).log()  # (T - 1, 22, 3)
    move = jnp.concatenate([jnp.diff(path.root, axis=0)[:, None], turn], 1)  # (T - 1, 23, 3)
    weight = jnp.sqrt(frames.bend[1:-1])[:, None, None] * body.bend_weight
    residual = weight * jnp.diff(move, axis=0)
    # d turn = end (change of the later frame) - begin (change of the earlier one), Sola et al. 2018, equation 144
    cross = skew(turn)
    square = jnp.einsum("tjab,tjbc->tjac", cross, cross)
    eye = jnp.eye(3)
    end = eye + 0.5 * cross + square / 12.0
    root = jnp.broadcast_to(eye, (len(turn), 1, 3, 3))
    end, begin = (jnp.concatenate([root, x], 1) for x in (end, jnp.swapaxes(end, -1, -2)))
    by = [
        weight[..., None] * begin[:-1],
        -weight[..., None] * (begin[1:] + end[:-1]),
        weight[..., None] * end[1:],
    ]  # the frames t - 1, t, t + 1
    product = lambda a, b: jnp.einsum("tjxa,tjxb->tjab", by[a], by[b])  # noqa: E731
    length = len(path.root)
    blocks, gradient = jnp.zeros((length, 1 + JOINTS, 3, 3)), jnp.zeros((length, 1 + JOINTS, 3))
    near, far = jnp.zeros_like(blocks), jnp.zeros_like(blocks)
    for k in range(3):
        here = slice(k, length - 2 + k)
        blocks = blocks.at[here].add(product(k, k))
        gradient = gradient.at[here].add(jnp.einsum("tjxa,tjx->tja", by[k], residual))
    near = near.at[1:-1].add(product(1, 0)).at[2:].add(product(2, 1))
    far = far.at[2:].set(product(2, 0))
    cost = jnp.zeros(length).at[1:-1].set(jnp.sum(residual * residual, (1, 2)))
    return {
        "cost": cost, "diagonal": _joint_blocks(blocks), "first": _joint_blocks(near), "second": _joint_blocks(far),
        "gradient": gradient.reshape(length, UNKNOWNS),
    }  # fmt: skip
