"""People among furniture: a motion and a scene in one simulation, and what becomes of them."""

from mjxhuman.interaction.outcome import Record, Thresholds, Verdict, judge
from mjxhuman.interaction.simulate import Noise, Outcome, simulate_scene

__all__ = ["Noise", "Outcome", "Record", "Thresholds", "Verdict", "judge", "simulate_scene"]
