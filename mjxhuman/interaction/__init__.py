"""People among furniture: a motion and a scene in one simulation, and what becomes of them."""

from mjxhuman.interaction.outcome import Judgement, Limits, Recording, judge
from mjxhuman.interaction.seat import find_sitting, fit_seat
from mjxhuman.interaction.simulate import Noise, Outcome, simulate_scene

__all__ = [
    "Judgement", "Limits", "Noise", "Outcome", "Recording", "find_sitting", "fit_seat", "judge", "simulate_scene",
]  # fmt: skip
