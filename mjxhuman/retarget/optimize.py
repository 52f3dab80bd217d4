"""Batched inverse kinematics: per frame, the pose of the SMPL chain that best explains points and orientations.

Every frame is its own nonlinear least-squares problem in 69 unknowns (root shift, one rotation vector per joint about
its starting rotation: jaxlie's exponential map is the retraction), solved by optimistix' Levenberg-Marquardt under
``vmap``. Frames are cut into blocks of a fixed number, the last one padded by repeating its last frame, so that one
compiled program per point count (a multiple of 32) serves clips of every length, in bounded memory. Frames do not see
each other: nothing is filtered in time, and padding cannot change a result.

Residuals are in units of their standard deviation: points (m), each joint's rotation against a reference (global, the
source's; or local, a neutral pose), and soft ranges of the hinge-like joints. A rotation error is the chord
``2 sin(angle / 2) * axis``, smooth up to half a turn. The derivative is written out as a tree sum: forward mode through
the kinematics costs ten times as much on a CPU. It all runs in float64: in float32 rounding hides the last decreases
from the step control, which then takes four times the iterations and leaves noise that accelerations would show.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jaxlie
import lineax
import numpy as np
import optimistix
from jax import Array

from mjxhuman.physics.batching import CPU_OPTIONS, exclusive
from mjxhuman.retarget.chain import (
    ANCESTOR,
    JOINTS,
    POINT_BUCKET,
    RANGE_HIGH,
    RANGE_INDEX,
    RANGE_LOW,
    RANGE_SIGMA,
    Chain,
    chord,
    forward,
    skew,
)

#: Frames per call of the compiled program, on a CPU and on an accelerator.
CPU_BLOCK, DEVICE_BLOCK = 128, 4096
MAX_STEPS = 30


class Frame(NamedTuple):
    """What one frame asks for; a leading frame axis in a batch."""

    base: Array  # (22, 4) local rotations the unknown rotation vectors are relative to
    target: Array  # (K, 3) m, relative to the frame's origin
    weight: Array  # (K,) 1/m; 0 where a point is missing
    reference: Array  # (22, 4) wanted rotations, global or local


class Shared(NamedTuple):
    """What all frames have in common: runtime arrays, so that a new body or marker set compiles nothing."""

    offsets: Array  # (22, 3) m
    body: Array  # (K,) int, body each point is fixed to
    point: Array  # (K, 3) m, in that body's frame
    reference_weight: Array  # (22, 3) 1/rad, about the body's own axes
    reference_is_local: Array  # (22,) bool: relative to the parent instead of the world


@dataclasses.dataclass
class Problem:
    """A clip's inverse kinematics problem, NumPy; T frames, K points.

    ``origin`` ``(T, 3)`` m is subtracted from the targets and is where the pelvis starts.
    """

    chain: Chain
    body: np.ndarray  # (K,) int, index into BODIES
    point: np.ndarray  # (K, 3) m, body frame
    target: np.ndarray  # (T, K, 3) m
    weight: np.ndarray  # (T, K) 1/m
    origin: np.ndarray  # (T, 3) m
    base: np.ndarray  # (T, 22, 4)
    reference: np.ndarray  # (T, 22, 4)
    reference_weight: np.ndarray  # (22, 3) 1/rad
    reference_is_local: np.ndarray  # (22,) bool

    def frames(self, index: np.ndarray) -> Problem:
        """The same problem on some of the frames."""
        cut = {name: getattr(self, name)[index] for name in ("target", "weight", "origin", "base", "reference")}
        return dataclasses.replace(self, **cut)


@dataclasses.dataclass
class FittedPoses:
    """Solution: pelvis position and local rotations, and the cost in squared standard deviations."""

    root: np.ndarray  # (T, 3) m
    local: np.ndarray  # (T, 22, 4)
    cost: np.ndarray  # (T,)
    steps: np.ndarray  # (T,) iterations used


def solve(problem: Problem, tolerance: float = 1e-4) -> FittedPoses:
    """Solve every frame of a problem, starting each at ``base`` and ``origin``.

    Args:
      problem: at least one frame.
      tolerance: rad and standard deviations; a frame is done when neither pose nor residuals change by more.
    """
    frames, points = problem.weight.shape
    if frames == 0:
        raise ValueError("retargeting needs at least one frame, found 0")
    padded = POINT_BUCKET * max(1, -(-points // POINT_BUCKET))
    shared = _shared(problem, padded - points)
    block = CPU_BLOCK if jax.default_backend() == "cpu" else DEVICE_BLOCK
    relative = problem.target - problem.origin[:, None]

    def run(start: int) -> tuple[np.ndarray, ...]:
        index = np.minimum(np.arange(start, start + block), frames - 1)
        pad = ((0, 0), (0, padded - points))
        frame = Frame(
            base=problem.base[index],
            target=np.pad(relative[index], (*pad, (0, 0))),
            weight=np.pad(problem.weight[index], pad),
            reference=problem.reference[index],
        )
        count = min(block, frames - start)
        with exclusive():
            return tuple(np.asarray(x)[:count] for x in _solve_block(frame, shared, np.asarray(tolerance)))

    parts = [run(start) for start in range(0, frames, block)]
    shift, local, cost, steps = (np.concatenate(x) for x in zip(*parts, strict=True))
    local /= np.linalg.norm(local, axis=-1, keepdims=True)
    return FittedPoses(root=problem.origin + shift, local=local, cost=cost, steps=steps)


def _shared(problem: Problem, extra: int) -> Shared:
    return Shared(
        offsets=problem.chain.offsets[:JOINTS],
        body=np.pad(problem.body.astype(np.int32), (0, extra)),
        point=np.pad(problem.point, ((0, extra), (0, 0))),
        reference_weight=problem.reference_weight,
        reference_is_local=problem.reference_is_local,
    )


class _Solver(optimistix.AbstractGaussNewton):
    """Levenberg-Marquardt as in optimistix, with a step rule for problems that start close to the solution.

    The stock rule needs 99 % of the predicted decrease before it weakens the damping, which keeps the soft directions
    (references) creeping; half is enough here. Normal equations instead of QR: half the time, and the references keep
    them well conditioned.
    """

    rtol: Any
    atol: Any
    norm: Callable = optimistix.max_norm
    descent: optimistix.AbstractDescent = optimistix.DampedNewtonDescent(lineax.Normal(lineax.Cholesky()))
    search: optimistix.AbstractSearch = optimistix.ClassicalTrustRegion(high_cutoff=0.5, high_constant=10.0)
    verbose: Callable = lambda **_: None


@functools.partial(jax.jit, compiler_options=CPU_OPTIONS)
def _solve_block(frame: Frame, shared: Shared, tolerance: Array) -> tuple[Array, Array, Array, Array]:
    return jax.vmap(_solve_frame, in_axes=(0, None, None))(frame, shared, tolerance)


def _solve_frame(frame: Frame, shared: Shared, tolerance: Array) -> tuple[Array, Array, Array, Array]:
    solver = _Solver(rtol=tolerance, atol=tolerance)
    start = jnp.zeros(3 + 3 * JOINTS, frame.target.dtype)
    found = optimistix.least_squares(
        lambda y, args: _residual(y, *args), solver, start, args=(frame, shared), max_steps=MAX_STEPS, throw=False
    )
    y = found.value
    local = (jaxlie.SO3(frame.base) @ jaxlie.SO3.exp(y[3:].reshape(JOINTS, 3))).wxyz
    return y[:3], local, jnp.sum(jnp.square(_residual(y, frame, shared))), found.stats["num_steps"]


@jax.custom_jvp
def _residual(y: Array, frame: Frame, shared: Shared) -> Array:
    """Residual vector (3 K + 66 + 3 per hinge,), in standard deviations."""
    return _evaluate(y, frame, shared)[0]


@_residual.defjvp
def _residual_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    value, tangent_map = _evaluate(*primals)
    return value, tangent_map(tangents[0])  # only y is ever differentiated


def _evaluate(y: Array, frame: Frame, shared: Shared) -> tuple[Array, Callable[[Array], Array]]:
    """Residual, and its directional derivative as a function of a change of ``y``."""
    delta = y[3:].reshape(JOINTS, 3)
    local = jaxlie.SO3(frame.base) @ jaxlie.SO3.exp(delta)
    pos, quat = forward(shared.offsets, y[:3], local.wxyz)
    arm = jaxlie.SO3(quat[shared.body]).apply(shared.point)
    points = pos[shared.body] + arm
    by_local = shared.reference_is_local[:, None]
    turn, turn_map = chord(jaxlie.SO3(frame.reference), jaxlie.SO3(jnp.where(by_local, local.wxyz, quat)))
    hinge, hinge_map = chord(jaxlie.SO3.identity(), jaxlie.SO3(local.wxyz[RANGE_INDEX]))
    above, below = hinge > RANGE_HIGH, hinge < RANGE_LOW
    beyond = jnp.where(above, hinge - RANGE_HIGH, 0.0) + jnp.where(below, hinge - RANGE_LOW, 0.0)
    value = jnp.concatenate(
        [
            (frame.weight[:, None] * (points - frame.target)).ravel(),
            (shared.reference_weight * turn).ravel(),
            (beyond / RANGE_SIGMA).ravel(),
        ]
    )
    world = jaxlie.SO3(quat).as_matrix()
    spin = right_jacobian(delta)
    inner_map = shared.reference_weight[:, :, None] * turn_map
    active = jnp.where(above | below, 1.0 / RANGE_SIGMA, 0.0)
    ancestor = jnp.asarray(ANCESTOR, y.dtype)

    def tangent_map(dy: Array) -> Array:
        own = jnp.einsum("jab,jb->ja", spin, dy[3:].reshape(JOINTS, 3))  # turn of each joint, body axes
        axes = jnp.einsum("jab,jb->ja", world, own)  # the same in world axes
        # a body turns with the sum of its ancestors' turns, and moves as a rigid body about each of them
        total = ancestor @ jnp.concatenate([axes, jnp.cross(axes, pos)], -1)
        turning, shift = total[:, :3], total[:, 3:]
        moved = dy[:3] + jnp.cross(turning[shared.body], points) - shift[shared.body]
        turned = jnp.where(by_local, own, jnp.einsum("jba,jb->ja", world, turning))
        bent = jnp.einsum("jab,jb->ja", hinge_map, own[RANGE_INDEX])
        return jnp.concatenate(
            [
                (frame.weight[:, None] * moved).ravel(),
                jnp.einsum("jab,jb->ja", inner_map, turned).ravel(),
                (active * bent).ravel(),
            ]
        )

    return value, tangent_map


def right_jacobian(delta: Array) -> Array:
    """d exp(delta) as body-frame rotation; Sola et al., "A micro Lie theory", 2018, equation 143."""
    square = jnp.sum(delta * delta, -1)[..., None, None]
    small = square < 1e-4
    angle = jnp.sqrt(jnp.where(small, 1.0, square))
    first = jnp.where(small, 0.5 - square / 24.0, (1.0 - jnp.cos(angle)) / (angle * angle))
    second = jnp.where(small, 1.0 / 6.0 - square / 120.0, (angle - jnp.sin(angle)) / (angle * angle * angle))
    cross = skew(delta)
    return jnp.eye(3, dtype=delta.dtype) - first * cross + second * (cross @ cross)
