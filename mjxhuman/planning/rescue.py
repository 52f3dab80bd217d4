"""A policy as far as it holds, and a planner from the last good state where it is lost."""

from __future__ import annotations

import jax
import numpy as np

from mjxhuman.envs.clips import make_library
from mjxhuman.envs.imitation import make_imitation
from mjxhuman.planning.planner import Planner, driven
from mjxhuman.planning.reference import make_reference
from mjxhuman.planning.search import LOST, Snapshot
from mjxhuman.tracking.evaluate import Tracked, judge, roll_out, usable
from mjxhuman.tracking.tracker import Tracker
from mjxhuman.types import Motion


def rescue(
    tracker: Tracker, planner: Planner, motion: Motion, name: str, *, seed: int = 0, score: bool = True
) -> tuple[Tracked, float | None]:
    """Follow a motion with a policy; where it is lost, a planner takes over and goes on to the end.

    It takes over ``Settings.back`` before the last frame in which the bodies were close (``search.LOST``); where it is
    lost as well, it tries again from twice as far back, at last from the start.

    Args:
        tracker: the policy.
        planner: of the tracker's body.
        motion: of the tracker's humanoid.
        name: for the result.
        seed: of the planner.
        score: whether to score both motions.

    Returns:
        The whole motion, and from when on (s) it is the planner's; None: the policy held to the end.

    Raises:
        ValueError: a planner of another body, or a motion as in ``tracking.evaluate.usable``.
    """
    if planner.simulator.actuated is not tracker.simulator.actuated:
        raise ValueError("planner: expected one of the tracker's body, found one of another")
    clip = usable(driven(motion), tracker.humanoid, tracker.fps, name)
    env = make_imitation(make_library([clip], tracker.fps), tracker.simulator, tracker.config)
    (found,) = roll_out(env, tracker.policy)
    alone = judge(name, clip, found.qpos, found.effort, found.whole, score)
    failed = alone.result.failed_frame
    if failed is None:
        return alone, None
    reference, good = make_reference(clip, planner.simulator), _last_close(alone, min(failed, found.whole))
    back = round(planner.search.settings.back * planner.fps)
    while True:
        first = max(0, good - back)
        start = Snapshot(np.float64(found.qpos[first]), np.float64(found.qvel[first]), np.zeros(found.qvel.shape[1]))
        rest = reference.after(first)
        qpos, effort, whole = planner.simulated(rest, planner.search.run(rest, seed, start=start))
        effort = jax.tree.map(lambda x, y, n=first: np.concatenate([x[:n], y]), found.effort, effort)
        whole, qpos = first + whole, np.concatenate([found.qpos[:first], qpos])
        both = judge(name, clip, qpos, effort, whole, score=False)
        if both.result.success or first == 0:
            return (judge(name, clip, qpos, effort, whole, score) if score else both), first / planner.fps
        back *= 2


def _last_close(tracked: Tracked, before: int) -> int:
    """The last frame before one in which the judged bodies are close to the reference."""
    body = tracked.motion.humanoid
    simulated, wanted = (
        np.asarray(m.body_pos, np.float64)[:before, body.tracked_ids] for m in (tracked.motion, tracked.reference)
    )
    off = np.linalg.norm(simulated - wanted, axis=-1)[:, list(body.known.rows(body.known.evaluated))].mean(-1)
    close = np.flatnonzero(off <= LOST)
    return int(close[-1]) if close.size else 0
