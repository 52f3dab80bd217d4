"""Controls that make a simulated body perform a motion, found by sampling in the simulator."""

from mjxhuman.planning.planner import PRESETS, Planner, default_planner, plan
from mjxhuman.planning.result import Plan
from mjxhuman.planning.search import Settings

__all__ = ["PRESETS", "Plan", "Planner", "Settings", "default_planner", "plan"]
