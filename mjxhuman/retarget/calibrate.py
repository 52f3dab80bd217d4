"""Where the source's points sit on the body: constant offsets, estimated in turns with the poses."""

from __future__ import annotations

import dataclasses

import numpy as np

from mjxhuman.math import quaternion
from mjxhuman.retarget.chain import forward_clip
from mjxhuman.retarget.optimize import FittedPoses, Problem, solve, started

#: Frames the offsets are estimated on, spread evenly over the clip: enough for a mean.
FRAMES = 96
#: Steps (rad, m) after which the poses of a round are good enough; Gauss-Newton leaves about their square.
_TOLERANCE = 1e-2


def points_in_bodies(problem: Problem, poses: FittedPoses) -> tuple[np.ndarray, np.ndarray]:
    """The targets in their bodies' frames ``(T, K, 3)`` m, and the fitted points in the world ``(T, K, 3)`` m."""
    pos, quat = forward_clip(problem.chain, poses.root, poses.local)
    own = quat[:, problem.body]
    seen = quaternion.rotate(quaternion.conjugate(own), problem.target - pos[:, problem.body])
    return seen, pos[:, problem.body] + quaternion.rotate(own, problem.point)


def calibrate(problem: Problem, seen: np.ndarray, rounds: int, prior: np.ndarray | float) -> Problem:
    """The problem with the offset of every point moved to where its target is on average, started near its solution.

    Args:
      problem: points at their nominal place; a point without weight takes no part in the poses and is placed by them.
      seen: ``(T, K)`` bool, which targets exist.
      rounds: one or more, of solving poses and re-estimating offsets.
      prior: standard deviation (m) of an offset about its nominal place, scalar or ``(K,)``; the mean is drawn towards
        the nominal place as much as one observation of 1 cm per ten frames would draw it.
    """
    frames = len(problem.target)
    index = np.unique(np.linspace(0, frames - 1, min(FRAMES, frames)).round().astype(int))
    part = problem.frames(index)
    nominal = problem.point
    seen_weight = seen[index].astype(float)
    count = seen_weight.sum(0)[:, None]
    pull = 0.1 * len(index) * (0.01 / np.broadcast_to(np.asarray(prior, float), (len(nominal),)))[:, None] ** 2
    for k in range(rounds):
        poses = solve(part, tolerance=_TOLERANCE, warm=k > 0)
        places, _ = points_in_bodies(part, poses)
        total = np.einsum("tk,tki->ki", seen_weight, places)
        point = (total + pull * nominal) / np.maximum(count + pull, 1e-9)
        part = dataclasses.replace(part, point=point, base=poses.local, origin=poses.root)
    return dataclasses.replace(started(problem, index, poses), point=part.point)
