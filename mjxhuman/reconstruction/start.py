"""The state a simulation starts in: the fit's first frame, or one near it from which the body stands better.

A fit from one camera leans by a few degrees along the view and stands a little above or below the floor, and a body put
there falls. So half a second is simulated from several starts, and the one whose points stay nearest to the rays is
taken.
"""

from __future__ import annotations

import numpy as np

from mjxhuman.math import quaternion
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.planning.search import LOST, Snapshot
from mjxhuman.reconstruction.estimate import Estimate
from mjxhuman.reconstruction.measure import distances, lowest, residuals
from mjxhuman.reconstruction.methods import Method
from mjxhuman.tracking.evaluate import MIN_FRAMES
from mjxhuman.types import Motion

#: rad by which bodies are leant along the view, and s for which each start is tried.
LEAN, TRIAL = np.deg2rad(3.0), 0.5
#: m above or below the floor within which a body is put on it: what is farther off jumps, or is wrong otherwise.
NEAR_FLOOR = 0.1
#: m beyond which it does not matter how far a point is off its ray.
_FAR = 0.3


def start_state(estimate: Estimate, method: Method, seed: int) -> Snapshot:
    """Where the simulation of an estimate starts."""
    motion = estimate.motion
    first = Snapshot(
        np.asarray(motion.qpos[0], np.float64), np.asarray(motion.qvel[0], np.float64), np.zeros(motion.qvel.shape[-1])
    )
    frames = min(motion.num_frames, round(TRIAL * motion.fps) + 1)
    if estimate.sight is None or frames < MIN_FRAMES:
        return first
    trial, found = estimate.cut(0, frames), []
    assert trial.sight is not None
    starts = candidates(first, estimate)
    for start in starts:
        path = method.follow(trial, start, seed)
        if len(path.qpos) < frames:
            found.append(np.inf)
            continue
        moved = motion_from_qpos(motion.humanoid, path.qpos, motion.fps)
        off, _ = residuals(trial.sight, moved)
        stands = float(distances(moved, trial.motion)[-1] <= LOST)
        weight = trial.sight.weight
        found.append(float((weight * np.minimum(off, _FAR)).sum() / max(weight.sum(), 1e-6)) + _FAR * (1.0 - stands))
    return starts[int(np.argmin(found))] if np.isfinite(found).any() else first


def candidates(first: Snapshot, estimate: Estimate) -> list[Snapshot]:
    """The fit's own state; on the floor; and there leant towards the camera and away from it."""
    assert estimate.sight is not None
    on_floor = _grounded(first, estimate.motion)
    ahead = np.asarray(estimate.sight.ray[0, :, :, 0], float).mean(0)[:2]
    length = float(np.linalg.norm(ahead))
    if length < 0.1:  # the camera looks down: no direction to lean in
        return [first, on_floor]
    across = np.array([-ahead[1], ahead[0], 0.0]) / length
    leant = [_grounded(_leant(on_floor, across, angle), estimate.motion) for angle in (-LEAN, LEAN)]
    return [first, on_floor, *leant]


def _leant(state: Snapshot, axis: np.ndarray, angle: float) -> Snapshot:
    """Turned about a horizontal axis through the floor below the root."""
    turn = np.array([np.cos(angle / 2), *(np.sin(angle / 2) * axis)])
    qpos, qvel = state.qpos.copy(), state.qvel.copy()
    foot = np.array([qpos[0], qpos[1], 0.0])
    qpos[:3] = foot + quaternion.rotate(turn, qpos[:3] - foot)
    qpos[3:7] = quaternion.multiply(turn, qpos[3:7])
    qvel[:3] = quaternion.rotate(turn, qvel[:3])
    return Snapshot(qpos, qvel, state.warmstart)


def _grounded(state: Snapshot, motion: Motion) -> Snapshot:
    """With the lowest point of the body on the floor, where it is near it."""
    height = float(lowest(motion_from_qpos(motion.humanoid, np.repeat(state.qpos[None], MIN_FRAMES, 0), motion.fps))[0])
    qpos = state.qpos.copy()
    qpos[2] -= height if abs(height) < NEAR_FLOOR else 0.0
    return Snapshot(qpos, state.qvel, state.warmstart)
