"""What lost a clip its score, when, and what usually causes it: one line of advice per clip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mjxhuman.math.timeseries import longest_run, runs
from mjxhuman.physics.flight import clearance, measure_gravity
from mjxhuman.report import glossary
from mjxhuman.rewards.feasibility import AXES
from mjxhuman.rewards.score import ERROR_UNITS
from mjxhuman.rewards.validation import reference
from mjxhuman.types import Motion, Scores

#: A total from which nothing is said about causes, and a sub-score below which a frame has lost something.
FINE, LOST = 0.95, 0.8
#: Seconds of good frames between two bad stretches that are told as one.
PAUSE = 0.3

#: What a sub-score that is lost looks like, of the median error of the frames that lost it, and its usual cause.
CAUSES: dict[str, tuple[Callable[[float], str], str]] = {
    "joint_speed": (lambda x: f"joints turn {1 + x:.1f} times as fast as people can", "try --fps, or filter noise"),
    "joint_limit": (lambda x: f"joints bend {np.rad2deg(x):.0f} deg too far", "is the skeleton mapped right?"),
    "self_penetration": (lambda x: f"body parts overlap by {100 * x:.0f} cm", "is the body thicker than the subject?"),
    "leap": (lambda x: f"the body leaps {100 * x:.0f} cm between frames", "a cut, a swapped marker or dropped frames"),
    "foot_slip": (lambda x: f"what carries the body slides at {x:.1f} m/s", "is the root path right (--fps, --unit)?"),
    "ground_penetration": (lambda x: f"sinks {100 * x:.0f} cm into the floor", "try --ground stance"),
    "floating": (lambda x: f"needs {x:.1f} body weights that nothing gives", "a chair or a step that is not there?"),
    "balance": (lambda x: f"is {100 * x:.0f} cm out of balance", "is the floor level (--ground plane)?"),
    "torque": (lambda x: f"joints need {1 + x:.1f} times the strength of people", "try --fps, or filter noise"),
    "ground_reaction": (lambda x: f"{x:.1f} body weights come from nowhere", "try --fps, or filter noise"),
    "power": (lambda x: f"takes {x:.0f} W/kg", "try --fps, or filter noise"),
    "flight": (lambda x: f"flights show a speed wrong by {1 + x:.1f} times", "try --retime auto"),
}


def advice(scores: Scores, motion: Motion | None = None) -> str:
    """The total among clean clips, and what lost most, when, with its usual cause; "" for what has no such score.

    Args:
      scores: of one clip, with frames; of feasibility.
      motion: the clip, for its height over the floor and its time.
    """
    total = float(np.asarray(scores.total))
    if scores.reward != "feasibility" or not np.isfinite(total):
        return ""
    line = f"total {total:.2f}, higher than {reference.percentile('total', total):.0f} % of clean clips"
    if total >= FINE or not set(AXES) <= set(scores.axes) or "total" not in scores.frames:
        return line
    axis = min(AXES, key=lambda name: float(scores.axes[name]))
    known = [name for name in AXES[axis] if name in scores.frames]
    name = min(known, key=lambda n: float(np.nanmean(scores.frames[n])))
    said, hint = _cause(name, scores, motion)
    when = "" if motion is None or name == "flight" else _when(np.asarray(scores.frames[name]), motion)
    lost = f"{glossary.entry(axis).label.lower()} lost most ({float(scores.axes[axis]):.2f})"
    return f"{line}; {lost}: {said}{when}: {hint}"


def _cause(name: str, scores: Scores, motion: Motion | None) -> tuple[str, str]:
    """What is wrong, with its amount, and what to try."""
    quality = np.asarray(scores.frames[name])
    bad = quality < LOST if (quality < LOST).any() else quality <= np.nanmin(quality)
    error = float(np.median(np.asarray(scores.frames[f"{name}_{ERROR_UNITS[name]}"])[bad]))
    said, hint = CAUSES[name]
    if motion is not None and motion.humanoid.contacts is not None:
        if name == "flight" and (sentence := measure_gravity(motion).sentence(motion.fps)):
            return sentence, hint
        height = float(np.median(clearance(motion)[bad]))
        if name == "floating" and height > 0.03:
            return f"floats {100 * height:.0f} cm over the floor", "try --ground stance"
    return said(error), hint


def _when(quality: np.ndarray, motion: Motion) -> str:
    """Where the longest bad stretch of a sub-score ``(T,)`` is."""
    bad = quality < LOST
    if not bad.any():
        return ""
    for first, stop in runs(~bad):
        if first > 0 and stop < len(bad) and (stop - first) * motion.dt < PAUSE:
            bad[first:stop] = True
    first, stop = longest_run(bad)
    if stop - first > 0.8 * np.isfinite(quality).sum():
        return " throughout"
    return f" from {first * motion.dt:.1f} to {stop * motion.dt:.1f} s"
