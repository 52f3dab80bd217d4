"""The methods that ``experiments.benchmark_vision`` compares: what each makes of a list of videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

METHODS = ("truth", "fit", "fit+track", "fit+plan", "policy", "policy+plan", "zero")


@dataclasses.dataclass(frozen=True)
class Video:
    """One video of one clip."""

    clip: int
    view: int
    truth: Any  # Motion, T frames
    track: Any  # VisualTrack


def fits(videos: Sequence[Video]) -> list[Any]:
    """The estimates as motions."""
    from mjxhuman.physics.motion import motion_from_qpos

    return [
        motion_from_qpos(v.truth.humanoid, np.asarray(v.track.estimate), v.truth.fps, provenance=v.truth.provenance)
        for v in videos
    ]


def tracked(videos: Sequence[Video], tracker: Any) -> list[Any]:
    """What a tracker makes of the estimates."""
    from mjxhuman.tracking.evaluate import evaluate

    names = [str(k) for k in range(len(videos))]
    found = {t.result.name: t.motion for t in evaluate(tracker, fits(videos), names, score=False)}
    return [found[name] for name in names]


def planned(videos: Sequence[Video], preset: str) -> list[Any]:
    """What the planner makes of the estimates."""
    from mjxhuman.planning import Planner
    from mjxhuman.planning.planner import actuated_for

    planner = Planner(actuated_for(videos[0].truth.humanoid), preset)
    names = [str(k) for k in range(len(videos))]
    found = {t.result.name: t.motion for t in planner.evaluate(fits(videos), names, score=False)}
    return [found[name] for name in names]


def seen(videos: Sequence[Video], tracker: Any) -> list[Any]:
    """What a policy that sees the videos makes of them."""
    from mjxhuman.envs.clips import make_library
    from mjxhuman.envs.vision import make_vision, make_visual_library
    from mjxhuman.tracking.vision import check_features, evaluate_vision

    check_features(tracker, videos[0].track.feature_name)
    estimates = fits(videos)  # every video is a clip of its own; the truth is not needed to follow it
    library = make_library(estimates, tracker.fps)
    visual = make_visual_library(library, tracker.simulator, [[v.track] for v in videos], carry=False)
    env = make_vision(library, tracker.simulator, tracker.config, visual)
    names = [str(k) for k in range(len(videos))]
    found = {t.result.name: t.motion for t in evaluate_vision(env, tracker.policy, estimates, names, 0)}
    return [found[name] for name in names]


def watched(videos: Sequence[Video], policy: str | None, combined: Callable[[Any], Any] | None = None) -> list[Any]:
    """What a policy makes of the videos, and of those where it loses the body what another method does with it.

    Args:
        policy: its file; None: the shipped one. combined: a method of ``reconstruction.methods`` out of the policy's.
    """
    from mjxhuman.physics.motion import motion_from_qpos
    from mjxhuman.planning.search import Snapshot
    from mjxhuman.reconstruction.combined import leaves
    from mjxhuman.reconstruction.estimate import Estimate
    from mjxhuman.reconstruction.methods import Moved
    from mjxhuman.reconstruction.vision import PolicyMethod, cut_track
    from mjxhuman.tracking.vision import load_vision

    found = seen(videos, load_vision(policy))
    if combined is None:
        return found
    watcher, none = PolicyMethod(policy), np.zeros(0)

    class Watched:
        """The policy on one video."""

        name, humanoid, simulator = watcher.name, watcher.humanoid, watcher.simulator

        def __init__(self, track: Any) -> None:
            self._track = track

        def follow(self, estimate: Any, start: Any, seed: int) -> Any:
            frames = slice(estimate.first, estimate.first + estimate.motion.num_frames)
            told = cut_track(self._track, frames, np.asarray(estimate.motion.qpos))
            return watcher.watch(told, estimate.motion, start)

    for k, (video, fit) in enumerate(zip(videos, fits(videos), strict=True)):
        if leaves(Moved(np.asarray(found[k].qpos), none, none), fit) is not None:
            camera: Any = None  # rays come with the track
            qpos, qvel = (np.asarray(x[0], np.float64) for x in (fit.qpos, fit.qvel))
            start, method = Snapshot(qpos, qvel, np.zeros_like(qvel)), combined(Watched(video.track))
            moved = method.follow(Estimate(fit, None, camera, None, None), start, 0)
            found[k] = motion_from_qpos(fit.humanoid, _held(moved.qpos, fit.num_frames), fit.fps)
    return found


def retried(videos: Sequence[Video], policy: str | None, tries: int) -> list[Any]:
    """What a policy makes of the videos, from other starts where it loses the body."""
    from mjxhuman.reconstruction.combined import Retried

    return watched(videos, policy, None if tries == 1 else lambda method: Retried(method, tries))


def handed_over(videos: Sequence[Video], policy: str | None, preset: str) -> list[Any]:
    """What a policy makes of the videos, with the planner where it loses the body."""
    from mjxhuman.reconstruction.combined import Handover
    from mjxhuman.reconstruction.methods import PlannerMethod

    planner = PlannerMethod(preset)
    return watched(videos, policy, lambda method: Handover(method, planner))


def _held(qpos: np.ndarray, frames: int) -> np.ndarray:
    """So many frames of it, the last one repeated."""
    return np.concatenate([qpos, np.repeat(qpos[-1:], frames - len(qpos), 0)])


def movers(given: Any) -> dict[str, Callable[[Sequence[Video]], list[Any]]]:
    """The methods that are asked for, by name.

    Raises:
        ValueError: an unknown one.
    """
    from mjxhuman.tracking.tracker import load_tracker

    if unknown := sorted(set(given.methods) - set(METHODS)):
        raise ValueError(f"--methods: expected some of {', '.join(METHODS)}, found {', '.join(unknown)}")
    known: dict[str, Callable[[Sequence[Video]], list[Any]]] = {
        "truth": lambda videos: [v.truth for v in videos], "fit": fits,
        "fit+track": lambda v: tracked(v, load_tracker(given.expert or None)),
        "fit+plan": lambda v: planned(v, given.preset),
        "policy": lambda v: retried(v, given.policy or None, given.tries),
        "policy+plan": lambda v: handed_over(v, given.policy or None, given.preset),
        "zero": lambda v: tracked(v, load_tracker("zero")),
    }  # fmt: skip
    return {name: known[name] for name in METHODS if name in given.methods}
