"""Motion as a network sees it: numbers per frame that know neither where the person is nor which way it goes.

In order: root height (m), root velocity ahead and to the left (m/s) and yaw rate (rad/s), both to the next frame; then
six numbers of each rotation, the first two columns of its matrix (Zhou et al. 2019, arXiv 1812.07035): of the root
without its heading, and of the joints in the order of qpos. 148 numbers for SMPL's topology. Differentiable both ways.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mjxhuman.envs.imitation.observations import heading, upright
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import rotation
from mjxhuman.physics.coordinates import Coordinates, coordinates
from mjxhuman.types import Array

#: Numbers of a frame before the rotations.
_PLAIN = 4
#: Of them, those that lead to the next frame.
RATES = slice(1, _PLAIN)
#: Least standard deviations: m, m/s twice, rad/s, and of rotations. What hardly moves must not become noise.
FLOORS = (0.01, 0.05, 0.05, 0.05, 0.02)


def feature_size(humanoid: Humanoid) -> int:
    """Numbers per frame.

    Raises:
        ValueError: joints that are no ball joints, or no free root.
    """
    return _PLAIN + 6 * len(_ball(humanoid).quat_q)


def to_features(humanoid: Humanoid, qpos: Float[Array, "*b T nq"], fps: float) -> Float[Array, "*b T n"]:
    """Features of a motion of two frames or more; velocities of the last frame are those of the one before.

    Raises:
        ValueError: a body with other joints than ball joints, or a single frame.
    """
    at = _ball(humanoid)
    if qpos.shape[-2] < 2:
        raise ValueError(f"qpos: expected two frames or more, found {qpos.shape[-2]}")
    place, quats = at.scalars(qpos), at.quats(qpos)
    cosine, sine = heading(_facing(humanoid, quats[..., 0, :]))
    step = jnp.diff(place[..., :2], axis=-2) * fps
    c, s = cosine[..., :-1], sine[..., :-1]
    ahead, left = c * step[..., 0] + s * step[..., 1], c * step[..., 1] - s * step[..., 0]
    turn = jnp.arctan2(c * sine[..., 1:] - s * cosine[..., 1:], c * cosine[..., 1:] + s * sine[..., 1:]) * fps
    rates = jnp.stack([ahead, left, turn], -1)
    rates = jnp.concatenate([rates, rates[..., -1:, :]], -2)
    matrices = rotation.to_matrix(quats)
    matrices = matrices.at[..., 0, :, :].set(_spun(matrices[..., 0, :, :], cosine, -sine))
    columns = jnp.swapaxes(matrices[..., :2], -1, -2)
    return jnp.concatenate([place[..., 2:], rates, columns.reshape(*columns.shape[:-3], -1)], -1)


def from_features(
    humanoid: Humanoid,
    features: Float[Array, "*b T n"],
    fps: float,
    start: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Float[Array, "*b T nq"]:
    """qpos of a motion that starts at x, y (m) with a yaw (rad): ``to_features`` backwards, for any features.

    Raises:
        ValueError: a body with other joints than ball joints, or another number of features.
    """
    at = _ball(humanoid)
    if features.shape[-1] != (size := feature_size(humanoid)):
        raise ValueError(f"features: expected {size} per frame for {humanoid.name!r}, found {features.shape[-1]}")
    rates = features[..., :-1, RATES] / fps
    yaw = _summed(rates[..., 2], start[2])
    cosine, sine = jnp.cos(yaw), jnp.sin(yaw)
    c, s = cosine[..., :-1], sine[..., :-1]
    ahead, left = rates[..., 0], rates[..., 1]
    x, y = _summed(c * ahead - s * left, start[0]), _summed(s * ahead + c * left, start[1])
    columns = features[..., _PLAIN:].reshape(*features.shape[:-1], -1, 2, 3)
    matrices = _orthonormal(columns[..., 0, :], columns[..., 1, :])
    matrices = matrices.at[..., 0, :, :].set(_spun(matrices[..., 0, :, :], cosine, sine))
    return at.join(rotation.from_matrix(matrices), jnp.stack([x, y, features[..., 0]], -1))


@dataclasses.dataclass(frozen=True, eq=False)
class Scale:
    """Mean and deviation of each feature ``(n,)``: what networks see has zero mean and unit variance over the clips."""

    mean: Float[np.ndarray, " n"]
    deviation: Float[np.ndarray, " n"]

    @staticmethod
    def of(features: Float[np.ndarray, "F n"]) -> Scale:
        """Of all frames of the training clips, deviations not below ``FLOORS``."""
        floors = np.concatenate([FLOORS[:_PLAIN], np.full(features.shape[-1] - _PLAIN, FLOORS[-1])])
        return Scale(features.mean(0), np.maximum(features.std(0), floors))

    def to_unit(self, features: Array) -> Array:
        """Standardised features."""
        return (features - self.mean) / self.deviation

    def from_unit(self, x: Array) -> Array:
        """Features of standardised ones."""
        return x * self.deviation + self.mean


def _ball(humanoid: Humanoid) -> Coordinates:
    at = coordinates(humanoid.model)
    if len(at.scalar_q) != 3 or at.scalar_q != (0, 1, 2):
        raise ValueError(f"humanoid {humanoid.name!r}: expected a free root and ball joints, found other joints")
    return at


def _facing(humanoid: Humanoid, root_quat: Array) -> Array:
    """The root in PHC's upright frame, whose x axis shows ahead."""
    if humanoid.smpl_frame is not None:
        root_quat = rotation.multiply(root_quat, rotation.conjugate(jnp.asarray(humanoid.smpl_frame, root_quat.dtype)))
    return upright(root_quat)


def _spun(matrix: Array, cosine: Array, sine: Array) -> Array:
    """Matrices ``(*b, 3, 3)`` turned about the vertical."""
    c, s = cosine[..., None], sine[..., None]
    x, y = matrix[..., 0, :], matrix[..., 1, :]
    return jnp.stack([c * x - s * y, s * x + c * y, matrix[..., 2, :]], -2)


def _summed(steps: Array, start: float) -> Array:
    """Running sums ``(*b, T)`` of ``(*b, T - 1)`` steps."""
    first = jnp.full((*steps.shape[:-1], 1), start, steps.dtype)
    return jnp.concatenate([first, start + jnp.cumsum(steps, -1)], -1)


def _orthonormal(a: Array, b: Array) -> Array:
    """Rotation matrices whose first column is along ``a`` and whose second is in the plane of both."""

    def unit(x: Array) -> Array:
        return x / jnp.sqrt(jnp.sum(jnp.square(x), -1, keepdims=True) + 1e-12)

    first = unit(a)
    second = unit(b - jnp.sum(first * b, -1, keepdims=True) * first)
    return jnp.stack([first, second, rotation.cross(first, second)], -1)
