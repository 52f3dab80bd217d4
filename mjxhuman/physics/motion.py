"""From a path in qpos to a ``Motion``: velocities, accelerations and body poses in one convention."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math import timeseries
from mjxhuman.physics import kinematics
from mjxhuman.physics.batching import CPU_OPTIONS, map_frames
from mjxhuman.physics.coordinates import Coordinates, coordinates
from mjxhuman.physics.tree import BodyParams, Tree, make_tree
from mjxhuman.physics.windows import over_windows
from mjxhuman.runs.traced import TracedProgram
from mjxhuman.types import Array, Motion, Provenance

#: Fewest frames a motion may have: one regression window at 30 Hz and what remains for scoring.
MIN_FRAMES = 3


@functools.lru_cache(maxsize=256)
def humanoid_tree(humanoid: Humanoid, dtype: Any = np.dtype(np.float32)) -> tuple[Tree, BodyParams]:
    """``make_tree`` of a humanoid's model, cached by the humanoid's identity."""
    return make_tree(humanoid.model, dtype)


def _derivatives(coords: Coordinates, radius: int, qpos: Array, valid: Array, dt: Array) -> tuple[Array, Array]:
    """qvel and qacc ``(T, nv)`` of a clip ``(T, nq)``."""
    velocity, acceleration = timeseries.derivatives(coords.tangent, qpos.T, valid, dt, radius=radius)
    return velocity.T, acceleration.T


_derivatives_program = TracedProgram(_derivatives, 2, CPU_OPTIONS)


def velocities_accelerations(
    humanoid: Humanoid, qpos: Float[Array, "*b T nq"], valid: Bool[Array, "*b T"], fps: float
) -> tuple[Float[Array, "*b T nv"], Float[Array, "*b T nv"]]:
    """qvel and qacc ``(*b, T, nv)`` of a path ``(*b, T, nq)``.

    Manifold differences (quaternion logarithm, body-local angular) with the filter of ``mjxhuman.math.timeseries``.
    """
    dt = 1.0 / fps
    radius = timeseries.window_radius(dt)
    coords = coordinates(humanoid.model)
    lead, step = qpos.shape[:-1], np.asarray(dt, qpos.dtype)
    if isinstance(qpos, jax.core.Tracer) or isinstance(valid, jax.core.Tracer):
        fit = functools.partial(_derivatives, coords, radius, dt=step)
        results = jax.vmap(fit)(qpos.reshape(-1, *qpos.shape[-2:]), jnp.asarray(valid).reshape(-1, lead[-1]))
    else:
        rows = np.asarray(qpos).reshape(-1, qpos.shape[-1])
        results = over_windows(
            lambda part, known: _derivatives_program(coords, radius, part, known, step), rows, np.asarray(valid), radius
        )
    return tuple(jnp.asarray(x).reshape(*lead, x.shape[-1]) for x in results)  # type: ignore[return-value]


def _body_states(tree: Tree, params: BodyParams, qpos: Array, qvel: Array) -> tuple[Array, Array, Array, Array]:
    poses = kinematics.poses(tree, params, qpos)
    angvel, linvel = kinematics.velocities(tree, params, poses, qvel)
    return poses.pos, poses.quat, linvel, angvel


def motion_from_qpos(
    humanoid: Humanoid,
    qpos: ArrayLike,
    fps: float,
    *,
    valid: ArrayLike | None = None,
    qvel: ArrayLike | None = None,
    provenance: Provenance | None = None,
) -> Motion:
    """A ``Motion`` from a path in the humanoid's coordinates.

    Args:
      humanoid: the body whose coordinates these are.
      qpos: ``(T, nq)`` or ``(B, T, nq)``, NumPy or JAX; at least 3 frames. Quaternions are normalised.
      fps: frames per second.
      valid: ``(T,)`` or ``(B, T)`` bool; frames with NaN are invalid on top of it.
      qvel: ``(T, nv)`` or ``(B, T, nv)`` where they are known, from a simulation; None: fitted to the path.
      provenance: where it came from.

    Raises:
      ValueError: wrong shape or frame rate, naming the field, what was expected and what was found.
    """
    qpos = jnp.asarray(qpos, dtype=jnp.result_type(float) if not hasattr(qpos, "dtype") else None)
    if qpos.ndim not in (2, 3) or qpos.shape[-1] != humanoid.nq:
        raise ValueError(
            f"qpos: expected shape (T, {humanoid.nq}) or (B, T, {humanoid.nq}) for humanoid "
            f"{humanoid.name!r} ({humanoid.layout} joints), found {tuple(qpos.shape)}"
        )
    if qpos.shape[-2] < MIN_FRAMES:
        raise ValueError(f"qpos: expected at least {MIN_FRAMES} frames, found {qpos.shape[-2]}")
    if not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"fps: expected a positive number, found {fps}")
    qpos = qpos if jnp.issubdtype(qpos.dtype, jnp.floating) else qpos.astype(jnp.result_type(float))
    finite = jnp.all(jnp.isfinite(qpos), -1)
    mask = finite if valid is None else finite & jnp.asarray(valid, bool)
    rest = jnp.asarray(humanoid.model.qpos0, qpos.dtype)
    qpos = coordinates(humanoid.model).normalize(jnp.where(finite[..., None], qpos, rest))
    fitted, qacc = velocities_accelerations(humanoid, qpos, mask, fps)
    qvel = fitted if qvel is None else jnp.asarray(qvel, qpos.dtype)
    if qvel.shape != fitted.shape:
        raise ValueError(f"qvel: expected shape {fitted.shape}, found {qvel.shape}")
    return assemble(humanoid, qpos, qvel, qacc, mask, 1.0 / fps, provenance or Provenance())


def flat_frames(x: Any) -> Any:
    """``(*b, T, n)`` as ``(n, frames)``: a view for NumPy, traceable for JAX."""
    return x.reshape(-1, x.shape[-1]).T


def unflat_frames(x: Any, lead: tuple[int, ...]) -> Any:
    """The inverse: ``(..., frames)`` as ``(*lead, ...)``."""
    xp = np if isinstance(x, np.ndarray) else jnp
    return xp.moveaxis(x, -1, 0).reshape(*lead, *x.shape[:-1])


def assemble(
    humanoid: Humanoid,
    qpos: Float[Array, "*b T nq"],
    qvel: Float[Array, "*b T nv"],
    qacc: Float[Array, "*b T nv"],
    valid: Bool[Array, "*b T"],
    dt: float,
    provenance: Provenance,
) -> Motion:
    """A ``Motion`` of given coordinates, velocities and accelerations: body poses and velocities are filled in."""
    tree, params = humanoid_tree(humanoid, qpos.dtype)
    lead = qpos.shape[:-1]

    if isinstance(qpos, jax.core.Tracer):
        states = _body_states(tree, params, flat_frames(qpos), flat_frames(qvel))
    else:
        arrays = (flat_frames(np.asarray(qpos)), flat_frames(np.asarray(qvel)))
        states = map_frames(functools.partial(_body_states, tree), (params,), arrays)
    pos, quat, linvel, angvel = (unflat_frames(x, lead) for x in states)
    return Motion(
        qpos=qpos, qvel=qvel, qacc=qacc, body_pos=pos, body_quat=quat, body_linvel=linvel, body_angvel=angvel,
        valid=valid, dt=dt, humanoid=humanoid, provenance=provenance,
    )  # fmt: skip


def resample(motion: Motion, fps: float) -> Motion:
    """The motion at another frame rate: slerp for rotations, linear for the rest; derivatives are taken anew.

    Controls belong to one frame rate and are left behind.
    """
    coords = coordinates(motion.humanoid.model)
    times = timeseries.resample_times(motion.num_frames, motion.fps, fps)
    low = np.floor(times).astype(int)
    high = np.minimum(low + 1, motion.num_frames - 1)
    qpos, known = motion.qpos, jnp.asarray(motion.valid)
    if qpos.ndim == 2:
        new = coords.resample(qpos, motion.fps, fps)
    else:
        new = jax.vmap(lambda q: coords.resample(q, motion.fps, fps))(qpos)
    return motion_from_qpos(
        motion.humanoid, new, fps, valid=known[..., low] & known[..., high], provenance=motion.provenance
    )
