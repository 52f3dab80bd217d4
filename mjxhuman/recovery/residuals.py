"""The residuals of a recovery: pixels, 3D landmarks, neutral pose, ranges of joints, soles on the floor and in place,
accelerations.

Each is written twice: as a function of a pose, which says what it is, and as a block of the normal equations, which is
an order of magnitude faster than differentiating it; a test holds them equal. ``problem_of`` puts the list together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import jaxlie
import numpy as np
from jax import Array

from mjxhuman.math.camera import NEAREST
from mjxhuman.recovery.equations import (
    FLOOR,
    SCALE,
    SHARED,
    UNKNOWNS,
    BodyPoints,
    ChainPose,
    ClipProblem,
    Part,
    Posed,
    Residual,
    gram,
)
from mjxhuman.retarget.chain import (
    JOINTS,
    POINT_BUCKET,
    RANGE_HIGH,
    RANGE_INDEX,
    RANGE_LOW,
    RANGE_SIGMA,
)
from mjxhuman.retarget.pose import chord
from mjxhuman.scenes.surface import Plane, Surface

#: Standard deviations at which a sole's height or step loses its say.
_SOLE_SCALE = 3.0
_PELVIS = 0
_UP = np.array([0.0, 0.0, 1.0])
#: Names of the problem's points.
SEEN, SOLES = "seen", "soles"


class Evidence(NamedTuple):
    """What each frame asks for; T frames, V views, K points, F points of the soles. NumPy."""

    view: Any  # (T, V, 3, 4) world to camera axes, m
    lens: Any  # (T, V, 4) focal lengths and principal point fx, fy, cx, cy of the ideal (undistorted) image, px
    uv: Any  # (T, V, K, 2) px in the ideal image
    weight: Any  # (T, V, K) 1/px; 0 where a point is not seen
    landmark: Any  # (T, K, 3) m at scale one, world axes, relative to the anchor; None without an encoder that has them
    landmark_weight: Any  # (T, K) 1/m
    touch: Any  # (T, F) 0..1, how surely a sole point is on the floor
    hold: Any  # (T, F) 0..1, how surely it stays where it is until the next frame


class Subject(NamedTuple):
    """What all frames have in common: body, priors, tolerances. NumPy."""

    offsets: Any  # (22, 3) m at scale one
    body: Any  # (K,) int
    point: Any  # (K, 3) m, in that body's frame
    anchor: Any  # (3,) m, pelvis frame: where the landmarks' origin is
    foot_body: Any  # (F,) int
    foot: Any  # (F, 3) m
    reference: Any  # (22, 4) neutral local rotations; the pelvis' is not read
    reference_weight: Any  # (22, 3) 1/rad
    bend_weight: Any  # (23, 3) root in 1/m, joints in 1/rad: of second differences
    floor_weight: Any  # () 1/m, of touching and of being under the floor
    hold_weight: Any  # () 1/m, of a step between frames
    pixel_scale: Any  # () standard deviations at which a pixel residual loses its say
    landmark_scale: Any  # ()
    shared: Any  # (3,) prior mean
    shared_precision: Any  # (3,) 1/variance


def problem_of(
    evidence: Evidence, subject: Subject, extra: Sequence[Residual] = (), surface: Surface | None = None
) -> ClipProblem:
    """The problem of one person on a surface (None: level): the residuals of this module, and any others. One segment.

    The points are padded to a multiple of ``POINT_BUCKET``, so that another detector compiles nothing.
    """
    count, more = len(evidence.uv), -evidence.uv.shape[2] % POINT_BUCKET
    wide = lambda x, axis: np.pad(x, [(0, more if k == axis else 0) for k in range(np.ndim(x))])  # noqa: E731
    always = np.ones(count)
    residuals = [
        Residual(
            pixels, wide(evidence.weight, 2), (evidence.view, evidence.lens, wide(evidence.uv, 2)),
            kernel=subject.pixel_scale, block=_pixels,
        ),
        Residual(neutral, always, common=(subject.reference, subject.reference_weight), block=_neutral),
        Residual(ranges, always / RANGE_SIGMA, block=_ranges),
        Residual(
            on_floor, always * subject.floor_weight, evidence.touch, np.array(_SOLE_SCALE), surface or Plane(),
            block=_on_floor,
        ),
        Residual(
            in_place, subject.hold_weight * np.sqrt(evidence.hold), kernel=np.array(_SOLE_SCALE), span=2,
            block=_in_place,
        ),
        Residual(accelerations, always, common=subject.bend_weight, span=3, block=_accelerations),
        *extra,
    ]  # fmt: skip
    if evidence.landmark is not None:
        weight, rows = wide(evidence.landmark_weight, 1), wide(evidence.landmark, 1)
        residuals.insert(1, Residual(landmarks, weight, rows, subject.landmark_scale, subject.anchor, block=_landmarks))
    seen = BodyPoints(wide(np.asarray(subject.body, np.int32), 0), wide(subject.point, 0))
    soles = BodyPoints(np.asarray(subject.foot_body, np.int32), subject.foot)
    return ClipProblem(
        subject.offsets, {SEEN: seen, SOLES: soles}, tuple(residuals), subject.shared, subject.shared_precision,
        np.zeros(count, int),
    )  # fmt: skip


def pixels(pose: ChainPose, row: tuple[Array, Array, Array]) -> Array:
    """Sightings ``(V, K, 2)`` px: where the points are in the image, minus where they were seen."""
    view, lens, uv = row
    seen = jnp.einsum("vij,kj->vki", view[..., :3], pose.points(SEEN)) + view[:, None, :, 3]
    ideal = seen[..., :2] / jnp.maximum(seen[..., 2:], NEAREST)
    return pose.focal * lens[:, None, :2] * ideal + lens[:, None, 2:] - uv


def _pixels(clip: Posed, residual: Residual) -> Part:
    (view, lens, uv), weight = residual.rows, residual.weight
    points, turns = clip.points(SEEN)
    rotation = view[..., :3]
    seen = jnp.einsum("tvij,tkj->tvki", rotation, points) + view[:, :, None, :, 3]
    depth = jnp.maximum(seen[..., 2], NEAREST)
    focal = clip.focal * lens[:, :, None, :2]
    ideal = seen[..., :2] / depth[..., None]
    error = weight[..., None] * (focal * ideal + lens[:, :, None, 2:] - uv)
    cost, share = residual.robust(jnp.sum(error * error, -1))
    strength = weight * share  # (T, V, K)
    error = error * share[..., None]
    # d pixel / d world point, in the units of the residual
    ahead = jnp.where(seen[..., 2] > NEAREST, 1.0, 0.0)
    gain = (strength / depth)[..., None] * focal
    by_camera = gain[..., None] * jnp.concatenate(
        [jnp.broadcast_to(jnp.eye(2), (*ideal.shape, 2)), -(ideal * ahead[..., None])[..., None]], -1
    )
    by_point = jnp.einsum("tvkij,tvjl->tvkil", by_camera, rotation)
    # and by the shared unknowns: the points grow about the root
    growth = points - clip.path.root[:, None]
    by_scale = jnp.einsum("tvkij,tkj->tvki", by_point, growth)[..., None]
    by_focal = (strength[..., None] * focal * ideal)[..., None]
    by_shared = jnp.concatenate([by_scale, by_focal, jnp.zeros_like(by_scale)], -1)
    information = jnp.einsum("tvkia,tvkib->tkab", by_point, by_point)
    force = jnp.einsum("tvkia,tvki->tka", by_point, error)
    mixed = jnp.einsum("tvkia,tvkis->tkas", by_point, by_shared)
    return Part(
        cost=jnp.sum(cost, (1, 2)), gradient=jnp.einsum("tkan,tka->tn", turns, force),
        diagonal=gram(turns, jnp.einsum("tkab,tkbn->tkan", information, turns)), border=gram(turns, mixed),
        corner=jnp.einsum("tvkia,tvkib->ab", by_shared, by_shared),
        gradient_shared=jnp.einsum("tvkis,tvki->s", by_shared, error),
    )  # fmt: skip


def landmarks(pose: ChainPose, landmark: Array, anchor: Array) -> Array:
    """3D landmarks ``(K, 3)`` m at scale one, relative to the anchor in the pelvis."""
    return (pose.points(SEEN) - pose.place(_PELVIS, anchor)) / pose.scale - landmark


def _landmarks(clip: Posed, residual: Residual) -> Part:
    points, turns = clip.points(SEEN)
    pelvis, weight = jnp.full(1, _PELVIS), residual.weight
    anchor = clip.place(pelvis, residual.common[None])
    relative = turns - clip.turns(pelvis, anchor)
    error = weight[..., None] * ((points - anchor) / clip.scale - residual.rows)
    cost, share = residual.robust(jnp.sum(error * error, -1))
    slope = (share * weight / clip.scale)[..., None, None] * relative
    error = error * share[..., None]
    return Part(jnp.sum(cost, 1), jnp.einsum("tkan,tka->tn", slope, error), gram(slope, slope))


def neutral(pose: ChainPose, row: None, common: tuple[Array, Array]) -> Array:
    """Turns ``(22, 3)`` of the joints against the neutral pose, already weighted about each axis."""
    reference, weight = common
    return weight * chord(jaxlie.SO3(reference), jaxlie.SO3(pose.local))[0]


def _neutral(clip: Posed, residual: Residual) -> Part:
    reference, weight = residual.common
    turn, turn_map = chord(jaxlie.SO3(reference), jaxlie.SO3(clip.path.local))
    ahead = residual.weight[:, None, None]
    return _by_joint(ahead * weight * turn, ahead[..., None] * weight[:, :, None] * turn_map)


def ranges(pose: ChainPose, row: None) -> Array:
    """How far (P, 3) rad the hinge-like joints are turned beyond their soft ranges."""
    return _beyond(chord(jaxlie.SO3.identity(), jaxlie.SO3(pose.local[RANGE_INDEX]))[0])


def _beyond(turn: Array) -> Array:
    return jnp.maximum(turn - RANGE_HIGH, 0.0) + jnp.minimum(turn - RANGE_LOW, 0.0)


def _ranges(clip: Posed, residual: Residual) -> Part:
    turn, turn_map = chord(jaxlie.SO3.identity(), jaxlie.SO3(clip.path.local[:, RANGE_INDEX]))
    ahead = residual.weight[:, None, None]
    error = ahead * _beyond(turn)
    return _by_joint(error, jnp.where((error != 0)[..., None], turn_map * ahead[..., None], 0.0), RANGE_INDEX)


def _by_joint(error: Array, slope: Array, joints: np.ndarray | slice = slice(None)) -> Part:
    """Errors ``(T, J, 3)`` of single joints and their derivatives ``(T, J, 3, 3)`` by the joints' turns."""
    length = len(error)
    blocks, force = jnp.zeros((length, JOINTS, 3, 3)), jnp.zeros((length, JOINTS, 3))
    blocks = blocks.at[:, joints].add(jnp.einsum("tjxa,tjxb->tjab", slope, slope))
    force = force.at[:, joints].add(jnp.einsum("tjxa,tjx->tja", slope, error))
    return Part(
        cost=jnp.sum(error * error, (1, 2)),
        gradient=jnp.concatenate([jnp.zeros((length, 3)), force.reshape(length, -1)], 1),
        joints=(jnp.concatenate([jnp.zeros((length, 1, 3, 3)), blocks], 1), None, None),
    )


def on_floor(pose: ChainPose, touch: Array, surface: Surface) -> Array:
    """Distances (F, 1) m of sole points that touch the surface, or are under it; robust, since floors have steps.

    The surface is lifted by the height of the floor.
    """
    distance = surface.nearest(pose.points(SOLES) - pose.floor * _UP).distance
    return (_pressed(touch, distance) * distance)[:, None]


def _pressed(touch: Array, distance: Array) -> Array:
    return jnp.sqrt(touch + (1.0 - touch) * (distance < 0))


def _on_floor(clip: Posed, residual: Residual) -> Part:
    points, turns = clip.points(SOLES)
    growth = points - clip.path.root[:, None]
    distance, normal, _ = residual.common.nearest(points - clip.path.shared[FLOOR] * _UP)
    strength = residual.weight[:, None] * _pressed(residual.rows, distance)
    cost, share = residual.robust(jnp.square(strength * distance))
    strength = strength * share
    error, outward = strength * distance, strength[..., None] * normal
    slope = jnp.einsum("tfx,tfxn->tfn", outward, turns)
    by_shared = jnp.zeros((*distance.shape, len(SHARED)))
    by_shared = by_shared.at[..., SCALE].set(jnp.sum(outward * growth, -1)).at[..., FLOOR].set(-outward[..., 2])
    return Part(
        cost=jnp.sum(cost, 1), gradient=jnp.einsum("tfn,tf->tn", slope, error), diagonal=gram(slope, slope),
        border=gram(slope, by_shared), corner=jnp.einsum("tfr,tfs->rs", by_shared, by_shared),
        gradient_shared=jnp.einsum("tfs,tf->s", by_shared, error),
    )  # fmt: skip


def in_place(pose: ChainPose, after: ChainPose, row: None) -> Array:
    """Steps (F, 3) m of sole points that stand; robust, since feet that seem to stand may slide."""
    return after.points(SOLES) - pose.points(SOLES)


def _in_place(clip: Posed, residual: Residual) -> Part:
    points, turns = clip.points(SOLES)
    growth = points - clip.path.root[:, None]
    hold, step = residual.weight[:-1, :, None], points[1:] - points[:-1]
    cost, share = residual.robust(jnp.sum(jnp.square(hold * step), -1))
    hold = hold * share[..., None]
    error = hold * step
    before, after = -hold[..., None] * turns[:-1], hold[..., None] * turns[1:]
    by_scale = hold * (growth[1:] - growth[:-1])
    length = len(points)
    diagonal = jnp.zeros((length, UNKNOWNS, UNKNOWNS)).at[:-1].add(gram(before, before)).at[1:].add(gram(after, after))
    push = lambda by, what: jnp.einsum("tfan,tfa->tn", by, what)  # noqa: E731
    border = jnp.zeros((length, UNKNOWNS, len(SHARED)))
    border = border.at[:-1, :, SCALE].add(push(before, by_scale)).at[1:, :, SCALE].add(push(after, by_scale))
    gradient = jnp.zeros((length, UNKNOWNS)).at[:-1].add(push(before, error)).at[1:].add(push(after, error))
    return Part(
        cost=jnp.zeros(length).at[:-1].add(jnp.sum(cost, 1)), gradient=gradient, diagonal=diagonal,
        first=jnp.zeros_like(diagonal).at[1:].set(gram(after, before)), border=border,
        corner=jnp.zeros((len(SHARED),) * 2).at[SCALE, SCALE].add(jnp.sum(by_scale * by_scale)),
        gradient_shared=jnp.zeros(len(SHARED)).at[SCALE].add(jnp.sum(by_scale * error)),
    )  # fmt: skip


def accelerations(before: ChainPose, pose: ChainPose, after: ChainPose, row: None, weight: Array) -> Array:
    """Second differences (23, 3) of the root's place and of the joints' turns, already weighted."""
    turn = lambda a, b: (jaxlie.SO3(a.local).inverse() @ jaxlie.SO3(b.local)).log()  # noqa: E731
    move = lambda a, b: jnp.concatenate([(b.root - a.root)[None], turn(a, b)])  # noqa: E731
    return weight * (move(pose, after) - move(before, pose))


def _accelerations(clip: Posed, residual: Residual) -> Part:
    local, root = clip.path.local, clip.path.root
    step = jaxlie.SO3(local[:-1]).inverse() @ jaxlie.SO3(local[1:])
    move = jnp.concatenate([jnp.diff(root, axis=0)[:, None], step.log()], 1)  # (T - 1, 23, 3)
    weight = residual.weight[1:-1, None, None] * residual.common
    error = weight * jnp.diff(move, axis=0)
    # d turn = end (change of the later frame) - begin (change of the earlier one), Sola et al. 2018, equation 144
    end = step.jlog()
    eye = jnp.broadcast_to(jnp.eye(3), (len(end), 1, 3, 3))
    end, begin = (jnp.concatenate([eye, x], 1) for x in (end, jnp.swapaxes(end, -1, -2)))
    by = [
        weight[..., None] * begin[:-1],
        -weight[..., None] * (begin[1:] + end[:-1]),
        weight[..., None] * end[1:],
    ]  # the frames t - 1, t, t + 1
    product = lambda a, b: jnp.einsum("tjxa,tjxb->tjab", by[a], by[b])  # noqa: E731
    length = len(root)
    blocks, gradient = jnp.zeros((length, 1 + JOINTS, 3, 3)), jnp.zeros((length, 1 + JOINTS, 3))
    near, far = jnp.zeros_like(blocks), jnp.zeros_like(blocks)
    for k in range(3):
        here = slice(k, length - 2 + k)
        blocks = blocks.at[here].add(product(k, k))
        gradient = gradient.at[here].add(jnp.einsum("tjxa,tjx->tja", by[k], error))
    near = near.at[1:-1].add(product(1, 0)).at[2:].add(product(2, 1))
    far = far.at[2:].set(product(2, 0))
    cost = jnp.zeros(length).at[1:-1].set(jnp.sum(error * error, (1, 2)))
    return Part(cost, gradient.reshape(length, UNKNOWNS), joints=(blocks, near, far))
