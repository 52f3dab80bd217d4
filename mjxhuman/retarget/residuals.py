"""The residuals of retargeting: points, rotations against the source's, a neutral pose, soft ranges of the joints.

A residual is one function of a frame's pose and of that frame's row of data. Its derivatives come from automatic
differentiation unless it brings a block; the four of this module bring one, written for the host, and a test holds
them equal. Errors times weights are in standard deviations. A rotation error is the chord ``2 sin(angle / 2) * axis``,
smooth up to half a turn.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mjxhuman.math import quaternion, rotation
from mjxhuman.retarget.chain import (
    ANCESTOR,
    JOINTS,
    LEVELS,
    PARENTS,
    RANGE_HIGH,
    RANGE_INDEX,
    RANGE_LOW,
    RANGE_SIGMA,
    Chain,
)

if TYPE_CHECKING:  # JAX's kinematics take a second to import, and only residuals without a block need them
    from mjxhuman.retarget.pose import Pose


@dataclasses.dataclass(frozen=True, eq=False)
class PoseResidual:
    """One kind of residual; T frames.

    Attributes:
      value: ``value(pose, row)``, an array (..., k): errors of any number of things, each a vector of k. With
        ``common`` it gets that as the last argument. A function of a module: a program is compiled per function.
      weight: (T,) or (T, ...), 1 / standard deviation. 0 where there is nothing to say.
      rows: arrays (T, ...), any pytree of them: the data of each frame.
      common: arrays that all frames share.
      block: adds the same to the normal equations as automatic differentiation would, faster.
    """

    value: Callable[..., Array]
    weight: np.ndarray
    rows: Any = None
    common: Any = None
    block: Callable[[PosedFrames, PoseResidual], PosePart] | None = None

    def frames(self, index: np.ndarray) -> PoseResidual:
        """The same on some of the frames."""
        cut = lambda x: np.asarray(x)[index]  # noqa: E731
        return dataclasses.replace(self, weight=cut(self.weight), rows=jax.tree.map(cut, self.rows))


class PosePart(NamedTuple):
    """What a residual adds to the normal equations; the gradient has the sign of a residual. None adds nothing.

    ``bodies`` is for what is fixed to a body: information (T, 22, 6, 6) and gradient (T, 22, 6) by its turn and shift,
    world axes, about the world's origin. ``joints`` is for a joint's own turn in body axes: (T, 22, 3, 3), (T, 22, 3).
    ``dense`` is by all unknowns: (T, 69, 69), (T, 69).
    """

    cost: np.ndarray  # (T,)
    bodies: tuple[np.ndarray, np.ndarray] | None = None
    joints: tuple[np.ndarray, np.ndarray] | None = None
    dense: tuple[np.ndarray, np.ndarray] | None = None


class PosedFrames:
    """Kinematics of some frames, for blocks."""

    def __init__(self, chain: Chain, root: np.ndarray, local: np.ndarray) -> None:
        self.chain, self.root, self.local = chain, root, local
        self.quat = np.empty_like(local)  # (T, 22, 4) world
        self.quat[:, 0] = local[:, 0]
        for level in LEVELS:
            self.quat[:, level] = quaternion.multiply(self.quat[:, PARENTS[level]], local[:, level])
        self.world = matrices(self.quat)  # (T, 22, 3, 3)
        bones = np.einsum("tjab,jb->tja", self.world[:, PARENTS[1:]], chain.offsets[1:JOINTS])
        self.pos = np.concatenate([root[:, None], root[:, None] + ANCESTOR[1:, 1:] @ bones], 1)  # (T, 22, 3)


def points(pose: Pose, target: Array, common: tuple[Array, Array]) -> Array:
    """Points ``(K, 3)`` m fixed to bodies, minus where they were seen."""
    return pose.place(*common) - target


def points_residual(body: np.ndarray, point: np.ndarray, target: np.ndarray, weight: np.ndarray) -> PoseResidual:
    """Points ``point`` (K, 3) m of bodies ``body`` (K,) that were seen at ``target`` (T, K, 3)."""
    return PoseResidual(points, weight, target, (body, point), _points)


def _points(posed: PosedFrames, residual: PoseResidual) -> PosePart:
    body, point = residual.common
    place = posed.pos[:, body] + np.einsum("tkab,kb->tka", posed.world[:, body], point)
    strength = residual.weight * residual.weight
    error = place - residual.rows
    force = strength[..., None] * error
    # second moments of the points, gathered by body
    load = strength[..., None] * place
    moments = [strength[..., None], load, (load[..., None] * place[..., None, :]).reshape(*strength.shape, 9)]
    gather = (np.arange(JOINTS)[:, None] == body).astype(place.dtype)
    total = gather @ np.concatenate([*moments, cross(place, force, -1), force], -1)  # (T, 22, 1 + 3 + 9 + 6)
    square = total[..., 4:13].reshape(*total.shape[:2], 3, 3)
    information = np.zeros((*total.shape[:2], 6, 6))
    trace = np.trace(square, axis1=-2, axis2=-1)[..., None, None]
    information[..., :3, :3] = trace * np.eye(3) - square
    information[..., :3, 3:] = skew(total[..., 1:4])
    information[..., 3:, :3] = -information[..., :3, 3:]
    information[..., 3:, 3:] = total[..., :1, None] * np.eye(3)
    return PosePart(np.einsum("tka,tka->t", force, error), bodies=(information, total[..., 13:]))


def turned(pose: Pose, reference: Array, weight: Array) -> Array:
    """World rotations ``(22, 3)`` of the bodies against the source's, already weighted about each axis."""
    return weight * _chord(rotation.multiply(rotation.conjugate(reference), pose.quat))


def turned_residual(reference: np.ndarray, weight: np.ndarray) -> PoseResidual:
    """World rotations against ``reference`` (T, 22, 4), with ``weight`` (22, 3) 1/rad about the body's own axes."""
    return PoseResidual(turned, np.ones(len(reference)), reference, weight, _turned)


def _turned(posed: PosedFrames, residual: PoseResidual) -> PosePart:
    turn, slope = chord(quaternion.multiply(quaternion.conjugate(residual.rows), posed.quat))
    weight = residual.weight[:, None, None] * residual.common
    error = weight * turn
    by_world = (weight[..., None] * slope) @ np.swapaxes(posed.world, -1, -2)
    information, gradient = np.zeros((*turn.shape[:2], 6, 6)), np.zeros((*turn.shape[:2], 6))
    information[..., :3, :3] = np.swapaxes(by_world, -1, -2) @ by_world
    gradient[..., :3] = np.einsum("tjxa,tjx->tja", by_world, error)
    return PosePart(np.einsum("tja,tja->t", error, error), bodies=(information, gradient))


def neutral(pose: Pose, row: None, weight: Array) -> Array:
    """Turns ``(22, 3)`` of the joints from the T-pose, already weighted about each axis."""
    return weight * _chord(pose.local)


def neutral_residual(frames: int, weight: np.ndarray) -> PoseResidual:
    """Joints held at the T-pose, with ``weight`` (22, 3) 1/rad."""
    return PoseResidual(neutral, np.ones(frames), common=weight, block=_neutral)


def _neutral(posed: PosedFrames, residual: PoseResidual) -> PosePart:
    turn, slope = chord(posed.local)
    weight = residual.weight[:, None, None] * residual.common
    return _by_joint(weight * turn, weight[..., None] * slope)


def ranges(pose: Pose, row: None) -> Array:
    """How far (P, 3) rad the hinge-like joints are turned beyond their soft ranges."""
    turn = _chord(pose.local[RANGE_INDEX])
    return jnp.maximum(turn - RANGE_HIGH, 0.0) + jnp.minimum(turn - RANGE_LOW, 0.0)


def ranges_residual(frames: int) -> PoseResidual:
    """The soft ranges of knees, ankles, toes and elbows."""
    return PoseResidual(ranges, np.full(frames, 1.0 / RANGE_SIGMA), block=_ranges)


def _ranges(posed: PosedFrames, residual: PoseResidual) -> PosePart:
    turn, slope = chord(posed.local[:, RANGE_INDEX])
    beyond = np.maximum(turn - RANGE_HIGH, 0.0) + np.minimum(turn - RANGE_LOW, 0.0)
    ahead = residual.weight[:, None, None]
    return _by_joint(ahead * beyond, np.where(beyond != 0, ahead, 0.0)[..., None] * slope, RANGE_INDEX)


def _by_joint(error: np.ndarray, slope: np.ndarray, joints: np.ndarray | slice = slice(None)) -> PosePart:
    """Errors ``(T, J, 3)`` of single joints and their derivatives ``(T, J, 3, 3)`` by the joints' turns."""
    information, gradient = np.zeros((len(error), JOINTS, 3, 3)), np.zeros((len(error), JOINTS, 3))
    information[:, joints] = np.swapaxes(slope, -1, -2) @ slope
    gradient[:, joints] = np.einsum("tjxa,tjx->tja", slope, error)
    return PosePart(np.einsum("tja,tja->t", error, error), joints=(information, gradient))


def chord(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``2 sin(angle / 2) axis`` (..., 3) of rotations, and its derivative (..., 3, 3) by a turn in body axes."""
    q = np.where(q[..., :1] < 0, -q, q)
    slope = skew(q[..., 1:])
    slope[..., [0, 1, 2], [0, 1, 2]] = q[..., :1]
    return 2.0 * q[..., 1:], slope


def _chord(q: Array) -> Array:
    return 2.0 * jnp.where(q[..., :1] < 0, -q, q)[..., 1:]


def skew(v: np.ndarray) -> np.ndarray:
    """Matrix (..., 3, 3) of the cross product with ``v`` (..., 3)."""
    m = np.zeros((*v.shape, 3))
    m[..., [2, 0, 1], [1, 2, 0]] = v
    m[..., [1, 2, 0], [2, 0, 1]] = -v
    return m


def matrices(q: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of unit quaternions."""
    w, x, y, z = np.moveaxis(q, -1, 0)
    m = np.empty((*w.shape, 3, 3))
    m[..., 0, 0], m[..., 0, 1], m[..., 0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    m[..., 1, 0], m[..., 1, 1], m[..., 1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    m[..., 2, 0], m[..., 2, 1], m[..., 2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
    return m


def cross(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
    """Cross product along an axis; NumPy's own spends most of its time on checks."""
    a0, a1, a2 = np.moveaxis(a, axis, 0)
    b0, b1, b2 = np.moveaxis(b, axis, 0)
    return np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis)
