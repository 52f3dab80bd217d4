"""What a vision policy sees, is paid for and starts from: terms beside those of ``envs.imitation``.

They are functions of a ``VisualMoment``, in tables that ``VisionConfig`` knows besides the others. In the group "state"
every term, those of ``envs.imitation.terms`` included, sees the *estimate* in the place of the reference: ``compact``
and ``imitation_task`` are then differences to the whole-clip fit, ``feed_forward`` its inverse dynamics. Other groups,
rewards and terminations see the true motion.

All is in the heading frame of the simulated body and, unless said otherwise, of the frame one control step ahead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Float

from mjxhuman.encoders.lifting import ray_offsets
from mjxhuman.envs.imitation import observations
from mjxhuman.envs.imitation.events import Start, turned
from mjxhuman.envs.imitation.terms import Moment, compact
from mjxhuman.envs.terms import Term, register
from mjxhuman.envs.vision.library import VisualFrame
from mjxhuman.math import rotation
from mjxhuman.physics.simulate import Simulator
from mjxhuman.types import Array

OBSERVATIONS: dict[str, Term] = {}
REWARDS: dict[str, Term] = {}
STARTS: dict[str, Term] = {}


@struct.dataclass
class VisualMoment(Moment):
    """What is known right after a control step, the video included."""

    eye: Float[Array, "*b 3"]  # m, where the first camera is at the present time
    sight: VisualFrame  # of the frame one control step later
    carried: Float[Array, "*b 3"]  # m, by which the true motion was moved to where the video has it
    wanted: Float[Array, "*b actions"] | None  # what the expert would do, see ``expert``
    joints: tuple[str, ...] = struct.field(pytree_node=False)  # of the rays
    sight_ahead: Callable[[int], VisualFrame] = struct.field(pytree_node=False)  # so many control steps later


@struct.dataclass
class VisualStart(Start):
    """How an episode is about to start, and where its video has the body."""

    view: Array  # (*b) int
    led: Array  # (*b) bool, the expert acts in this episode
    estimate_qpos: Array  # (*b, nq), not turned by ``heading``
    estimate_qvel: Array  # (*b, nv)


def visual(m: Moment, term: str) -> VisualMoment:
    """A moment with a video.

    Raises:
        ValueError: there is none.
    """
    if not isinstance(m, VisualMoment):
        raise ValueError(f"{term}: expected an environment with videos (envs.vision), found one of recorded motion")
    return m


def _perpendiculars(m: VisualMoment) -> Array:
    """From the rays of each camera to the simulated joints, ``(*b, C, J, 3)`` m, in the heading frame."""
    joints = m.body.pos[..., None, jnp.asarray(m.record.rows(m.joints)), :]
    seen = m.sight
    return ray_offsets(joints, seen.origin, seen.origin[..., None, :] + seen.direction, m.body.rot[..., :1, :])


def _mean_of_cameras(off: Array, sure: Array) -> Array:
    """Perpendiculars ``(*b, C, J, 3)`` by confidence ``(*b, C, J)``, flat ``(*b, 3 J)``; of one camera as they are."""
    if off.shape[-3] > 1:
        weight = sure + 1e-6
        off = jnp.sum(weight[..., None] * off, -3, keepdims=True) / jnp.sum(weight, -2, keepdims=True)[..., None]
    return off.reshape(*off.shape[:-3], -1)


@register(OBSERVATIONS)
def video_features(m: Moment) -> Array:
    """Of the lifter, or of the network that the library's features are of (512 for the lifter's)."""
    return visual(m, "video_features").sight.features


@register(OBSERVATIONS)
def features_ahead(m: Moment, steps: tuple[int, ...] = (3, 6)) -> Array:
    """The same of frames so many control steps later."""
    ahead = visual(m, "features_ahead").sight_ahead
    return jnp.concatenate([ahead(count).features for count in steps], -1)


@register(OBSERVATIONS)
def root_orientation(m: Moment) -> Array:
    """Six numbers of the root orientation that the network says, from the simulated heading."""
    inverse = observations.heading_quat_inverse(m.body.rot[..., 0, :])
    return observations.tan_norm(rotation.multiply(inverse, visual(m, "root_orientation").sight.root_quat))


@register(OBSERVATIONS)
def rays(m: Moment) -> Array:
    """m from each ray to its simulated joint, perpendicular to the ray (PhysHMR's, 36 for 12 joints); of several
    cameras the mean by confidence."""
    m = visual(m, "rays")
    return _mean_of_cameras(_perpendiculars(m), m.sight.confidence)


@register(OBSERVATIONS)
def ray_confidence(m: Moment) -> Array:
    """Of each ray, 0..1, relative to the detector's usual; of several cameras the highest."""
    return jnp.max(visual(m, "ray_confidence").sight.confidence, -2)


@register(OBSERVATIONS)
def rays_weighted(m: Moment, least: float = 0.3, most: float = 1.0) -> Array:
    """``rays`` times their confidence: at most ``most`` m long, nothing where the confidence is below ``least``."""
    m = visual(m, "rays_weighted")
    off, sure = _perpendiculars(m), m.sight.confidence
    length = rotation.safe_norm(off)[..., None]
    off = off * jnp.minimum(1.0, most / jnp.maximum(length, 1e-6))
    sure = jnp.where(sure < least, 0.0, sure)
    return _mean_of_cameras(sure[..., None] * off, sure)


def _view(m: VisualMoment) -> tuple[Array, Array]:
    """Unit direction ``(*b, 3)`` from the simulated root to the camera, world axes, and the distance ``(*b, 1)`` m."""
    arm = m.eye - m.body.pos[..., 0, :]
    distance = jnp.maximum(rotation.safe_norm(arm)[..., None], 1e-3)
    return arm / distance, distance


@register(OBSERVATIONS)
def view(m: Moment) -> Array:
    """Unit direction from the root to the (first) camera, which tells what perpendiculars leave open (3)."""
    direction, _ = _view(visual(m, "view"))
    return observations.in_heading(m.body, direction[..., None, :])[..., 0, :]


@register(OBSERVATIONS)
def estimate_depth(m: Moment, most: float = 0.5, share: float = 0.025) -> Array:
    """m by which the estimate's root is farther from the camera than the simulated one, within ``most``, now; and its
    standard deviation, ``share`` of the distance (2).

    A camera tells distance by size, so its error is a share of it. In groups that see the truth it is the truth's.
    """
    m = visual(m, "estimate_depth")
    direction, distance = _view(m)
    off = -jnp.sum((m.reference.pos[..., 0, :] - m.body.pos[..., 0, :]) * direction, -1, keepdims=True)
    return jnp.concatenate([jnp.clip(off, -most, most), share * distance], -1)


@register(OBSERVATIONS)
def own_state(m: Moment) -> Array:
    """What ``compact`` holds of the simulated body alone: root, joints and their velocities (151)."""
    alone = dataclasses.replace(m, target=m.body, target_joint_pos=m.joint_pos)
    return compact(alone)[..., : 13 + 2 * m.joint_pos.shape[-1]]


@register(OBSERVATIONS)
def expert(m: Moment) -> Array:
    """What must be added by the smoothed action, in units of it, so that the targets become the expert's.

    For losses (``learning.distill``); the group "state" has none of it.

    Raises:
        ValueError: an environment without an expert, or the group "state".
    """
    wanted = visual(m, "expert").wanted
    if wanted is None:
        raise ValueError("expert: expected an environment with an expert, and another group than 'state'")
    return wanted


@register(REWARDS)
def reprojection(m: Moment, scale: float = 0.1) -> Array:
    """Mean of exp(-e^2 / scale^2) over the joints, e (m) from the camera's ray through the true joint; by confidence.

    ``scale`` in m. How far away along the view the body is does not matter.
    """
    m = visual(m, "reprojection")
    rows = jnp.asarray(m.record.rows(m.joints))
    ahead = m.reference.pos[..., rows, :] - (m.carried + m.eye)[..., None, :]
    ahead = ahead / jnp.maximum(rotation.safe_norm(ahead)[..., None], 1e-6)
    arm = m.body.pos[..., rows, :] - m.eye[..., None, :]
    off = arm - jnp.sum(arm * ahead, -1, keepdims=True) * ahead
    weight = m.sight.confidence[..., 0, :] + 1e-6
    kernel = jnp.exp(-jnp.sum(jnp.square(off), -1) / scale**2)
    return jnp.sum(weight * kernel, -1) / jnp.sum(weight, -1)


@register(STARTS)
def from_estimate(start: Start, rng: Array, simulator: Simulator, share: float = 0.5) -> Start:
    """Start a share of the episodes where the video has the body, with its errors.

    Raises:
        ValueError: an environment without videos.
    """
    if not isinstance(start, VisualStart):
        raise ValueError("from_estimate: expected an environment with videos (envs.vision)")
    if share <= 0:
        return start
    drawn = jnp.vectorize(lambda key: jax.random.uniform(key, ()), signature="()->()")(rng)[..., None]
    qpos, qvel = turned(simulator, start.estimate_qpos, start.estimate_qvel, start.heading)
    return dataclasses.replace(
        start, qpos=jnp.where(drawn < share, qpos, start.qpos), qvel=jnp.where(drawn < share, qvel, start.qvel)
    )
