"""Kinematics and dynamics of a humanoid for arrays with any leading axes.

NumPy or JAX arrays go through ``map_frames`` (blocks on all cores); inside ``jit``, ``vmap`` and ``grad`` the same pure
functions are called directly.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.physics import dynamics, kinematics
from mjxhuman.physics.batching import map_frames
from mjxhuman.physics.motion import flat_frames, humanoid_tree, unflat_frames
from mjxhuman.physics.tree import BodyParams, Tree
from mjxhuman.types import Array

#: Frames per block of inverse dynamics: twice the usual number, because its blocks take little longer than their call.
_BLOCK = 512


def _checked(humanoid: Humanoid, **fields: tuple[Any, int]) -> tuple[list[Any], tuple[int, ...]]:
    """The arrays as floating point of one type, and their common leading axes."""
    arrays, lead = [], None
    for name, (value, size) in fields.items():
        x = value if isinstance(value, (np.ndarray, jax.Array)) else np.asarray(value)
        if x.ndim == 0 or x.shape[-1] != size or (lead is not None and x.shape[:-1] != lead):
            axes = "..." if lead is None else ", ".join(str(n) for n in lead)
            raise ValueError(
                f"{name}: expected shape ({axes}{', ' if axes else ''}{size}) for humanoid {humanoid.name!r} "
                f"({humanoid.layout} joints, nq {humanoid.nq}, nv {humanoid.nv}), found {tuple(x.shape)}"
            )
        lead = x.shape[:-1]
        arrays.append(x)
    kinds = [np.dtype(jax.dtypes.canonicalize_dtype(x.dtype)) for x in arrays]
    kind = jnp.result_type(*kinds, np.float32)
    if not jnp.issubdtype(kind, jnp.floating):
        raise ValueError(f"{', '.join(fields)}: expected real numbers, found {kind}")
    # float64 without x64 mode is left to the blocks, which convert side by side
    return [x if k == np.dtype(kind) else x.astype(kind) for x, k in zip(arrays, kinds, strict=True)], lead or ()


def _apply(fn: Callable[..., Any], humanoid: Humanoid, arrays: list[Any], lead: tuple[int, ...], **options: Any) -> Any:
    """``fn(tree, params, *arrays)`` with frames last, for arrays ``(*lead, n)``."""
    tree, params = humanoid_tree(humanoid, jax.dtypes.canonicalize_dtype(arrays[0].dtype))
    traced = any(isinstance(x, jax.core.Tracer) for x in arrays)
    if not traced and jax.default_backend() == "cpu":
        arrays = [np.asarray(x) for x in arrays]  # turned around without a copy
    flat = [flat_frames(x) for x in arrays]
    if traced:
        results = fn(tree, params, *flat)
    elif 0 in lead:
        shapes = jax.eval_shape(functools.partial(fn, tree), params, *flat)
        results = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    else:
        results = map_frames(functools.partial(fn, tree), (params,), tuple(flat), **options)
    return jax.tree.map(lambda x: unflat_frames(x, lead), results)


def _poses(tree: Tree, params: BodyParams, qpos: Array) -> tuple[Array, Array]:
    poses = kinematics.poses(tree, params, qpos)
    return poses.pos, poses.quat


def forward_kinematics(humanoid: Humanoid, qpos: ArrayLike) -> tuple[Float[Array, "*b B 3"], Float[Array, "*b B 4"]]:
    """World poses of all bodies.

    Args:
      humanoid: the body.
      qpos: ``(..., nq)`` in MuJoCo's convention; quaternions are normalised.

    Returns:
      Origins ``(..., B, 3)`` in metres and quaternions ``(..., B, 4)``, wxyz, of the body frames; body 0 is the world.

    Raises:
      ValueError: wrong shape or type, naming the field, what was expected and what was found.
    """
    arrays, lead = _checked(humanoid, qpos=(qpos, humanoid.nq))
    return _apply(_poses, humanoid, arrays, lead)


def inverse_dynamics(humanoid: Humanoid, qpos: ArrayLike, qvel: ArrayLike, qacc: ArrayLike) -> Float[Array, "*b nv"]:
    """Generalized forces that a motion takes without contacts: mass matrix times qacc plus bias.

    The bias is Coriolis, centrifugal and gravity; rotor inertia (armature) is part of the mass matrix; joint damping
    and stiffness are not included. Equal to MuJoCo's ``mj_mulM(qacc) + qfrc_bias``.

    Args:
      humanoid: the body.
      qpos: ``(..., nq)`` in MuJoCo's convention.
      qvel: ``(..., nv)``; free joint linear in world axes, angular in body axes.
      qacc: ``(..., nv)``, likewise.

    Returns:
      ``(..., nv)`` N and N m: of a free joint the force in world axes and the moment in body axes that an external
      wrench must supply, of other joints their forces and torques. float64 if the inputs are and JAX's x64 mode is on.
      A NumPy array for concrete inputs on a CPU.

    Raises:
      ValueError: wrong shape or type, naming the field, what was expected and what was found.
    """
    arrays, lead = _checked(humanoid, qpos=(qpos, humanoid.nq), qvel=(qvel, humanoid.nv), qacc=(qacc, humanoid.nv))
    return _apply(dynamics.inverse_dynamics, humanoid, arrays, lead, block=_BLOCK)
