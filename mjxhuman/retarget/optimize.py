"""Batched inverse kinematics: per frame, the pose of the SMPL chain that best explains a list of residuals.

Every frame is its own nonlinear least-squares problem in 69 unknowns (root shift, one turn per joint in body axes about
its current rotation), solved by Levenberg-Marquardt. Frames do not see each other: nothing is filtered in time. The
tree makes the normal equations cheap: what is fixed to a body adds a 6 x 6 matrix by its turn and shift, these are
summed over the bodies beyond each joint, and a pair of joints of which one carries the other gets one product (the
composite-rigid-body algorithm, Featherstone 2008, chapter 6, with information in place of inertia). It runs in float64
on the host, where nothing has to be compiled; frames that are done leave the block.

Where to start: every eighth frame is solved first, and what had to be changed there, interpolated in time, is where
the others begin.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import threadpoolctl
from scipy.linalg.lapack import dposv as posv
from scipy.spatial.transform import Rotation

from mjxhuman.math import quaternion
from mjxhuman.retarget.chain import ANCESTOR, JOINTS, Chain
from mjxhuman.retarget.residuals import PosedFrames, PosePart, PoseResidual, cross, points_residual

#: Frames that are solved together: their temporaries stay in the cache.
_BLOCK = 48
MAX_STEPS = 30
#: Every so many frames are solved first, until a step is smaller than this (rad, m).
_STRIDE, _ROUGHLY = 8, 0.1
#: Damping (1/rad^2, 1/m^2): at first and at least, and its factor after a step that helped or did not.
_DAMPING, _LEAST, _BETTER, _WORSE = 1e-2, 1e-6, 0.1, 10.0
UNKNOWNS = 3 + 3 * JOINTS
_DIAGONAL = np.arange(UNKNOWNS)
#: Which joint carries which, or is it: (66, 66) by their turns.
_CARRIES = np.kron(ANCESTOR.T, np.ones((3, 3)))
#: Rows and columns of the joints' own 3 x 3 blocks, flat.
_BLOCK_ROWS, _BLOCK_COLUMNS = (
    x.ravel() for x in np.broadcast_arrays(*(3 + 3 * np.arange(JOINTS)[:, None, None] + y for y in np.ogrid[:3, :3]))
)


@dataclasses.dataclass
class Problem:
    """A clip's inverse kinematics problem, NumPy; T frames, K points."""

    chain: Chain
    body: np.ndarray  # (K,) int, index into BODIES
    point: np.ndarray  # (K, 3) m, body frame
    target: np.ndarray  # (T, K, 3) m
    weight: np.ndarray  # (T, K) 1/m
    origin: np.ndarray  # (T, 3) m, where the pelvis starts
    base: np.ndarray  # (T, 22, 4) local rotations to start from
    residuals: tuple[PoseResidual, ...]  # besides the points

    def frames(self, index: np.ndarray) -> Problem:
        """The same problem on some of the frames."""
        cut = {name: getattr(self, name)[index] for name in ("target", "weight", "origin", "base")}
        return dataclasses.replace(self, **cut, residuals=tuple(r.frames(index) for r in self.residuals))

    def listed(self) -> tuple[PoseResidual, ...]:
        """All residuals, the points first."""
        return points_residual(self.body, self.point, self.target, self.weight), *self.residuals


@dataclasses.dataclass
class FittedPoses:
    """Solution: pelvis position and local rotations."""

    root: np.ndarray  # (T, 3) m
    local: np.ndarray  # (T, 22, 4)
    steps: np.ndarray  # (T,) iterations used


def solve(problem: Problem, tolerance: float = 1e-4, *, warm: bool = False) -> FittedPoses:
    """Solve every frame of a problem.

    Args:
      problem: at least one frame; ``base`` and ``origin`` say where to start.
      tolerance: rad and m; a frame is done when a step is smaller.
      warm: the start is near the solution.
    """
    frames = len(problem.weight)
    if frames == 0:
        raise ValueError("retargeting needs at least one frame, found 0")
    # on a busy machine BLAS threads wait for one another
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        if not warm and frames >= 2 * _STRIDE:
            few = np.unique(np.r_[np.arange(0, frames, _STRIDE), frames - 1])
            problem = started(problem, few, _solve_blocks(problem.frames(few), _ROUGHLY))
        return _solve_blocks(problem, tolerance)


def started(problem: Problem, index: np.ndarray, poses: FittedPoses) -> Problem:
    """The problem with its start moved by what had to be changed in the frames ``index``, interpolated in time."""
    change = quaternion.multiply(quaternion.conjugate(problem.base[index]), poses.local)
    change = Rotation.from_quat(change.reshape(-1, 4), scalar_first=True).as_rotvec().reshape(len(index), -1)
    change = np.concatenate([poses.root - problem.origin[index], change], 1)
    frames = np.arange(len(problem.base))
    after = np.clip(np.searchsorted(index, frames), min(1, len(index) - 1), len(index) - 1)
    before = np.maximum(after - 1, 0)
    share = np.clip((frames - index[before]) / np.maximum(index[after] - index[before], 1), 0.0, 1.0)[:, None]
    change = (1.0 - share) * change[before] + share * change[after]
    return dataclasses.replace(problem, origin=problem.origin + change[:, :3], base=_turned(problem.base, change))


def _turned(local: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Local rotations ``(T, 22, 4)`` after the turns in a change ``(T, 69)`` of the unknowns."""
    half = 0.5 * change[:, 3:].reshape(-1, JOINTS, 3)
    angle = np.sqrt(np.sum(half * half, -1, keepdims=True))
    turn = np.concatenate([np.cos(angle), np.sinc(angle / np.pi) * half], -1)
    local = quaternion.multiply(local, turn)
    return local / np.sqrt(np.sum(local * local, -1, keepdims=True))


def _solve_blocks(problem: Problem, tolerance: float) -> FittedPoses:
    frames = len(problem.weight)
    blocks = [np.arange(start, min(start + _BLOCK, frames)) for start in range(0, frames, _BLOCK)]
    found = [_solve_block(problem.frames(index), tolerance) for index in blocks]
    return FittedPoses(*(np.concatenate(x) for x in zip(*found, strict=True)))


def _solve_block(problem: Problem, tolerance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    root, local = problem.origin.copy(), problem.base.copy()
    residuals = problem.listed()
    cost, matrix, gradient = normal_equations(PosedFrames(problem.chain, root, local), residuals)
    damping, steps = np.full(len(root), _DAMPING), np.zeros(len(root), int)
    todo = np.arange(len(root))
    for _ in range(MAX_STEPS):
        steps[todo] += 1
        change = _step(matrix[todo], damping[todo], gradient[todo])
        new_root, new_local = root[todo] + change[:, :3], _turned(local[todo], change)
        last = np.abs(change).max(1) < tolerance
        root[todo[last]], local[todo[last]] = new_root[last], new_local[last]
        todo, new_root, new_local = todo[~last], new_root[~last], new_local[~last]
        if not todo.size:
            break
        new = normal_equations(PosedFrames(problem.chain, new_root, new_local), [r.frames(todo) for r in residuals])
        better = new[0] <= cost[todo]
        taken = todo[better]
        root[taken], local[taken] = new_root[better], new_local[better]
        cost[taken], matrix[taken], gradient[taken] = (x[better] for x in new)
        damping[todo] = np.maximum(damping[todo] * np.where(better, _BETTER, _WORSE), _LEAST)
    return root, local, steps


def _step(matrix: np.ndarray, damping: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Damped Gauss-Newton steps ``(T, 69)``; of the matrices the upper triangle is read. Overwrites them."""
    matrix[:, _DIAGONAL, _DIAGONAL] += damping[:, None]
    change = np.empty_like(gradient)
    for k in range(len(matrix)):
        _, change[k], failed = posv(matrix[k].T, -gradient[k], lower=1, overwrite_a=1)
        if failed:
            raise ValueError("retargeting: a point or weight is not finite")
    return change


def normal_equations(
    posed: PosedFrames, residuals: tuple[PoseResidual, ...] | list[PoseResidual]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cost ``(T,)``, matrix ``(T, 69, 69)`` (its upper triangle) and gradient ``(T, 69)`` of some frames: each residual
    by its block or automatically."""
    parts = [_part(posed, residual) for residual in residuals]
    frames = len(posed.root)
    bodies = [part.bodies for part in parts if part.bodies is not None]
    below = ANCESTOR.T
    information = (below @ sum(x for x, _ in bodies).reshape(frames, JOINTS, 36)).reshape(frames, JOINTS, 6, 6)
    force = below @ sum(x for _, x in bodies)
    # a joint turns what is beyond it about its own place: turn and shift (6) by its turn in body axes (3)
    motion = np.concatenate([posed.world, cross(posed.pos[..., None], posed.world, 2)], 2)
    load = information @ motion
    matrix = np.zeros((frames, UNKNOWNS, UNKNOWNS))
    flat = lambda x: np.swapaxes(x, 1, 2).reshape(frames, -1, 3 * JOINTS)  # noqa: E731
    turns = matrix[:, 3:, 3:]
    np.matmul(np.swapaxes(flat(motion), 1, 2), flat(load), out=turns)
    turns *= _CARRIES
    matrix[:, :3, 3:] = flat(load[:, :, 3:])
    matrix[:, :3, :3] = information[:, 0, 3:, 3:]
    gradient = np.concatenate([force[:, 0, 3:], np.einsum("tjxa,tjx->tja", motion, force).reshape(frames, -1)], 1)
    for part in parts:
        if part.joints is not None:
            own, force = part.joints
            matrix[:, _BLOCK_ROWS, _BLOCK_COLUMNS] += own.reshape(frames, -1)
            gradient[:, 3:] += force.reshape(frames, -1)
        if part.dense is not None:
            matrix, gradient = matrix + part.dense[0], gradient + part.dense[1]
    return sum(part.cost for part in parts), matrix, gradient


def _part(posed: PosedFrames, residual: PoseResidual) -> PosePart:
    if residual.block is not None:
        return residual.block(posed, residual)
    from mjxhuman.retarget.automatic import automatic

    return automatic(posed, residual)
