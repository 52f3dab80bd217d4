"""Intervals of what was counted."""

from __future__ import annotations

import math

#: Standard normal quantile of 97.5 %: intervals that hold the truth in 95 of 100 cases.
Z95 = 1.959964


def wilson_interval(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a rate (Wilson 1927, JASA 22:209); (0, 1) where nothing was tried.

    Raises:
      ValueError: not 0 <= successes <= trials.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes: expected 0 to {trials}, found {successes}")
    if not trials:
        return 0.0, 1.0
    rate, square = successes / trials, z * z / trials
    centre = (rate + square / 2) / (1 + square)
    half = math.sqrt(rate * (1 - rate) * square + square * square / 4) / (1 + square)
    return max(0.0, centre - half), min(1.0, centre + half)
