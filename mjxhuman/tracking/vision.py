"""Policies that follow videos: from a file, and judged by the recorded motion that was filmed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mjxhuman.envs.vision import Vision, VisionConfig
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.learning.agents import Agent
from mjxhuman.learning.policy import Policy
from mjxhuman.physics.simulate import Simulator
from mjxhuman.tracking.evaluate import Tracked, judge, roll_out
from mjxhuman.tracking.tracker import Tracker, load_kind, tracker_facts
from mjxhuman.types import Motion

#: The policy that is part of the package, as ``docs/vision.md`` tells of it.
SHIPPED_VISION = Path(__file__).parent / "shipped" / "vision.npz"

_KIND = "vision"


def load_vision(
    path: str | os.PathLike[str] | None = None, engine: str | None = None, humanoid: Humanoid | None = None
) -> Tracker:
    """A policy that follows videos; ``facts["features"]`` says those of which network it has learned with.

    Args:
        path: the file, or the folder of a training run; None: ``SHIPPED_VISION``.
        engine, humanoid: as of ``load_tracker``.

    Raises:
        FileNotFoundError, ValueError: as ``load_tracker``.
    """
    tracker = load_kind(SHIPPED_VISION if path is None else path, _KIND, VisionConfig, engine, humanoid)
    if not isinstance(tracker.facts.get("features"), str):
        raise ValueError(f"{tracker.path}: features: expected a name, found {tracker.facts.get('features')!r}")
    return tracker


def vision_facts(simulator: Simulator, config: VisionConfig, features: str) -> dict[str, Any]:
    """JSON-ready facts of a policy file from which ``load_vision`` builds body, engine and task anew."""
    return tracker_facts(simulator, config) | {"kind": _KIND, "features": features}


def check_features(tracker: Tracker, found: str) -> None:
    """Raise ValueError where a policy has learned with the features of another network."""
    if found != tracker.facts["features"]:
        raise ValueError(
            f"{tracker.path}: features: expected those that the policy has learned with, "
            f"{tracker.facts['features']!r}, found {found!r}"
        )


def evaluate_vision(
    env: Vision, policy: Policy | Agent, clips: Sequence[Motion], names: Sequence[str], view: int, score: bool = False
) -> Iterator[Tracked]:
    """Follow one video of each clip from its first frame to its last, from where the video has the body.

    Args:
        env: with these clips, at the control rate. view: which of their videos.

    Yields:
        As ``evaluate``: errors against the recorded motion, where it was and not carried.
    """
    seen = dataclasses.replace(env.only(view), expert=None, keep_lead=0.0)
    for found in roll_out(seen, policy):
        yield judge(names[found.clip], clips[found.clip], found.qpos, found.effort, found.whole, score)
