"""How sampled controls improve a plan: pure arrays, no simulator.

Offsets of a horizon are piecewise linear between knots. Two rules turn the samples' outcomes into the next plan:

* ``gauss_newton``: the differences of all samples give the slope of the residuals along the sampled directions, and one
  damped Gauss-Newton step is taken in their span: the update of ensemble Kalman inversion (Iglesias, Law and Stuart
  2013, Inverse Problems 29), with Levenberg's damping. It uses what every sample says about every body at every step.
* ``softmax``: the average of the samples, weighted by their cost: model predictive path integral control (Williams et
  al. 2017, ICRA), with the cost in units of its spread (DIAL-MPC, Xue et al. 2024).
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mjxhuman.types import Array

#: Levenberg damping, as a share of the mean curvature along the sampled directions.
DAMPING = 0.1
#: Softmax temperature, in standard deviations of the samples' costs.
TEMPERATURE = 0.3


def knot_basis(horizon: int, spacing: int) -> Float[np.ndarray, "H K"]:
    """Weights of the knots, ``spacing`` steps apart, in each step of a horizon: linear interpolation."""
    count = -(-horizon // spacing) + 1
    place = np.arange(horizon) / spacing
    return np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(count)))


def draw(
    generator: np.random.Generator, count: int, basis: Float[np.ndarray, "H K"], scale: Float[np.ndarray, " nu"]
) -> Float[np.ndarray, "count H nu"]:
    """Perturbations of a horizon, the first zero; ``scale`` is the deviation of a knot."""
    knots = generator.standard_normal((count, basis.shape[1], scale.size)) * scale
    knots[0] = 0.0
    return np.einsum("hk,nkj->nhj", basis, knots)


@partial(jax.jit, static_argnames="damping")
def gauss_newton(residual: Float[Array, "n D"], *, damping: float = DAMPING) -> Float[Array, " n"]:
    """Share of each sample's perturbation in the step; the first is the plan's.

    A sample whose outcome is violent (a fall) says which way not to go, but not how steep it is: however far its
    residuals are from the plan's, it counts as if by twice the median.
    """
    change = residual[1:] - residual[:1]
    size = jnp.sum(change * change, 1)
    trust = jax.lax.rsqrt(1.0 + size / (4.0 * jnp.median(size) + 1e-9))
    slope = change * trust[:, None]
    curvature = slope @ slope.T
    count = len(slope)
    curvature = curvature + (damping * jnp.trace(curvature) / count + 1e-6) * jnp.eye(count, dtype=residual.dtype)
    share = -trust * jnp.linalg.solve(curvature, slope @ residual[0])
    return jnp.concatenate([jnp.zeros(1, share.dtype), share])


@partial(jax.jit, static_argnames="temperature")
def softmax(residual: Float[Array, "n D"], *, temperature: float = TEMPERATURE) -> Float[Array, " n"]:
    """Share of each sample's perturbation in the average."""
    cost = jnp.sum(residual * residual, 1)
    return jax.nn.softmax(-(cost - jnp.min(cost)) / (temperature * jnp.std(cost) + 1e-9))


#: The rules by name.
RULES = {"gauss_newton": gauss_newton, "softmax": softmax}
