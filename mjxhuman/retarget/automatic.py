"""Normal equations of a residual without a block, by automatic differentiation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mjxhuman.math import rotation
from mjxhuman.physics.batching import CPU_OPTIONS, exclusive
from mjxhuman.retarget.chain import JOINTS
from mjxhuman.retarget.pose import Pose, forward
from mjxhuman.retarget.residuals import PosedFrames, PosePart, PoseResidual

#: Frames are padded to a multiple of this, so that one program serves blocks of all sizes.
_BUCKET = 32


def automatic(posed: PosedFrames, residual: PoseResidual) -> PosePart:
    """What a residual adds, differentiated by JAX in float64."""
    frames = len(posed.root)
    index = np.minimum(np.arange(-(-frames // _BUCKET) * _BUCKET), frames - 1)
    cut = lambda x: np.asarray(x)[index]  # noqa: E731
    rows = jax.tree.map(cut, residual.rows)
    with exclusive():
        run = _program(residual.value, residual.common is not None)
        offsets = posed.chain.offsets[:JOINTS]
        found = run(cut(posed.root), cut(posed.local), cut(residual.weight), rows, residual.common, offsets)
        cost, gradient, information = (np.asarray(x)[:frames] for x in found)
    return PosePart(cost, dense=(information, gradient))


@functools.lru_cache(maxsize=32)
def _program(value: Callable[..., Array], has_common: bool) -> Callable[..., tuple[Array, Array, Array]]:
    def errors(change: Array, root: Array, local: Array, weight: Array, row: Any, common: Any, offsets: Array) -> Array:
        turned = rotation.multiply(local, rotation.exp(change[3:].reshape(JOINTS, 3)))
        root = root + change[:3]
        found = value(Pose(root, turned, *forward(offsets, root, turned)), row, *((common,) if has_common else ()))
        found = jnp.atleast_1d(found)
        return (weight.reshape(*weight.shape, *[1] * (found.ndim - weight.ndim)) * found).ravel()

    def frame(*args: Any) -> tuple[Array, Array, Array]:
        zero = jnp.zeros(3 + 3 * JOINTS)
        jacobian = jax.jacrev if jax.eval_shape(errors, zero, *args).size < zero.size else jax.jacfwd
        error, slope = errors(zero, *args), jacobian(errors)(zero, *args)
        return jnp.sum(error * error), slope.T @ error, slope.T @ slope

    return jax.jit(jax.vmap(frame, in_axes=(0, 0, 0, 0, None, None)), compiler_options=CPU_OPTIONS)
