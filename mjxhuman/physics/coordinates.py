"""Which entries of qpos are rotations: tangent offsets, resampling and normalisation of MuJoCo coordinates."""

from __future__ import annotations

import dataclasses
import functools

import jax.numpy as jnp
import mujoco
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from mjxhuman.math import rotation, timeseries


@dataclasses.dataclass(frozen=True)
class Coordinates:
    """Addresses of quaternions and plain scalars in qpos (``*_q``) and qvel (``*_v``). Hashable."""

    nq: int
    nv: int
    quat_q: tuple[int, ...]
    quat_v: tuple[int, ...]
    scalar_q: tuple[int, ...]
    scalar_v: tuple[int, ...]

    def quats(self, qpos: ArrayLike) -> Array:
        """The quaternions ``(..., Q, 4)`` of ``(..., nq)``."""
        index = np.asarray(self.quat_q, int)[:, None] + np.arange(4)
        return jnp.asarray(qpos)[..., index]

    def scalars(self, qpos: ArrayLike) -> Array:
        """The plain coordinates ``(..., S)`` of ``(..., nq)``."""
        return jnp.asarray(qpos)[..., np.asarray(self.scalar_q, int)]

    def join(self, quats: ArrayLike, scalars: ArrayLike) -> Array:
        """qpos ``(..., nq)`` from its quaternions and plain coordinates."""
        quats, scalars = jnp.asarray(quats), jnp.asarray(scalars)
        flat = jnp.concatenate([scalars, quats.reshape(*quats.shape[:-2], -1)], -1)
        order = np.empty(self.nq, int)
        order[np.asarray(self.scalar_q, int)] = np.arange(len(self.scalar_q))
        quat_index = (np.asarray(self.quat_q, int)[:, None] + np.arange(4)).reshape(-1)
        order[quat_index] = len(self.scalar_q) + np.arange(quat_index.size)
        return flat[..., order]

    def tangent(self, q0: Array, q1: Array) -> Array:
        """Offset ``(nv, T)`` from q0 to q1 ``(nq, T)``, ``mj_differentiatePos`` with dt = 1: rotations body-local."""
        rows = np.asarray(self.quat_q, int)[:, None] + np.arange(4)
        turn = rotation.log(rotation.multiply(rotation.conjugate(q0[rows], 1), q1[rows], 1), 1)
        plain = np.asarray(self.scalar_q, int)
        flat = jnp.concatenate([q1[plain] - q0[plain], turn.reshape(-1, turn.shape[-1])])
        order = np.empty(self.nv, int)
        order[np.asarray(self.scalar_v, int)] = np.arange(len(self.scalar_v))
        turn_index = (np.asarray(self.quat_v, int)[:, None] + np.arange(3)).reshape(-1)
        order[turn_index] = len(self.scalar_v) + np.arange(turn_index.size)
        return flat[order]

    def displaced(self, qpos: ArrayLike, step: ArrayLike) -> Array:
        """qpos ``(..., nq)`` moved by tangent offsets ``(..., nv)``, ``mj_integratePos`` with dt = 1."""
        step = jnp.asarray(step)
        turn = rotation.exp(step[..., np.asarray(self.quat_v, int)[:, None] + np.arange(3)])
        scalars = self.scalars(qpos) + step[..., np.asarray(self.scalar_v, int)]
        return self.join(rotation.multiply(self.quats(qpos), turn), scalars)

    def normalize(self, qpos: ArrayLike) -> Array:
        """qpos with unit quaternions."""
        return self.join(rotation.normalize(self.quats(qpos)), self.scalars(qpos))

    def resample(self, qpos: ArrayLike, source_fps: float, target_fps: float) -> Array:
        """``(T, nq)`` at another frame rate: slerp for rotations, linear for the rest."""
        times = timeseries.resample_times(jnp.asarray(qpos).shape[0], source_fps, target_fps)
        return self.join(
            timeseries.sample_slerp(self.quats(qpos), times), timeseries.sample_linear(self.scalars(qpos), times)
        )


@functools.lru_cache(maxsize=64)
def coordinates(model: mujoco.MjModel) -> Coordinates:
    """The coordinate addresses of a model, cached by model identity."""
    quat_q, quat_v, scalar_q, scalar_v = [], [], [], []
    free, ball = int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_BALL)
    for kind, adr_q, adr_v in zip(model.jnt_type, model.jnt_qposadr, model.jnt_dofadr, strict=True):
        q, v = int(adr_q), int(adr_v)
        if kind == free:
            scalar_q += [q, q + 1, q + 2]
            scalar_v += [v, v + 1, v + 2]
            q, v = q + 3, v + 3
        if kind in (free, ball):
            quat_q.append(q)
            quat_v.append(v)
        else:
            scalar_q.append(q)
            scalar_v.append(v)
    return Coordinates(model.nq, model.nv, tuple(quat_q), tuple(quat_v), tuple(scalar_q), tuple(scalar_v))
