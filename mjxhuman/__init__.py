"""Human motion in, physics out.

    import mjxhuman
    motion = mjxhuman.load_motion("walk.bvh")
    scores = mjxhuman.score(motion)
    print(scores.total, scores.axes, scores.terms)

Names load on first use, so importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mjxhuman.version import __version__

if TYPE_CHECKING:
    from mjxhuman.alignment import Alignment, align
    from mjxhuman.generators.motion.generator import load_generator
    from mjxhuman.generators.motion.post_train import post_train
    from mjxhuman.humanoids import Humanoid, load_humanoid
    from mjxhuman.interaction import Outcome, simulate_scene
    from mjxhuman.physics import inverse_dynamics
    from mjxhuman.physics.analysis import analyse
    from mjxhuman.physics.motion import motion_from_qpos, resample
    from mjxhuman.planning import Plan, plan
    from mjxhuman.reconstruction import Reconstruction, reconstruct
    from mjxhuman.recovery.load import load_motion
    from mjxhuman.rewards.score import score
    from mjxhuman.scenes import load_scene
    from mjxhuman.scenes.furniture.make import make_furniture
    from mjxhuman.scenes.sdf import signed_distance
    from mjxhuman.scenes.stability import stability
    from mjxhuman.scoring.motions import motion_reward
    from mjxhuman.types import BodyMotion, Dynamics, Motion, Provenance, Scores

_HOME = {
    "Alignment": "mjxhuman.alignment",
    "align": "mjxhuman.alignment",
    "load_generator": "mjxhuman.generators.motion.generator",
    "post_train": "mjxhuman.generators.motion.post_train",
    "Humanoid": "mjxhuman.humanoids",
    "load_humanoid": "mjxhuman.humanoids",
    "Outcome": "mjxhuman.interaction",
    "simulate_scene": "mjxhuman.interaction",
    "inverse_dynamics": "mjxhuman.physics",
    "analyse": "mjxhuman.physics.analysis",
    "motion_from_qpos": "mjxhuman.physics.motion",
    "resample": "mjxhuman.physics.motion",
    "Plan": "mjxhuman.planning",
    "plan": "mjxhuman.planning",
    "Reconstruction": "mjxhuman.reconstruction",
    "reconstruct": "mjxhuman.reconstruction",
    "load_motion": "mjxhuman.recovery.load",
    "make_furniture": "mjxhuman.scenes.furniture.make",
    "score": "mjxhuman.rewards.score",
    "load_scene": "mjxhuman.scenes",
    "signed_distance": "mjxhuman.scenes.sdf",
    "stability": "mjxhuman.scenes.stability",
    "motion_reward": "mjxhuman.scoring.motions",
    "BodyMotion": "mjxhuman.types",
    "Dynamics": "mjxhuman.types",
    "Motion": "mjxhuman.types",
    "Provenance": "mjxhuman.types",
    "Scores": "mjxhuman.types",
}

__all__ = [
    "Alignment", "BodyMotion", "Dynamics", "Humanoid", "Motion", "Outcome", "Plan", "Provenance",
    "Reconstruction", "Scores", "__version__",
    "align", "analyse", "inverse_dynamics", "load_generator", "load_humanoid", "load_motion", "load_scene",
    "make_furniture", "motion_from_qpos", "motion_reward", "plan", "post_train", "reconstruct", "resample", "score",
    "signed_distance", "simulate_scene", "stability",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mjxhuman' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
