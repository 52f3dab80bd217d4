"""Intervals of what was counted."""

from __future__ import annotations

import collections
import math
from collections.abc import Hashable, Sequence

import numpy as np

#: Standard normal quantile of 97.5 %: intervals that hold the truth in 95 of 100 cases.
Z95 = 1.959964


def wilson_interval(successes: float, trials: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a rate (Wilson 1927, JASA 22:209); (0, 1) where nothing was tried.

    Numbers need not be whole: see ``clustered_interval``.

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


def clustered_interval(hits: Sequence[bool], groups: Sequence[Hashable], z: float = Z95) -> tuple[float, float]:
    """Wilson's interval of a rate whose trials come in groups that are alike, several on one object for example.

    It is that of as many independent trials as have the variance of the mean over groups (Korn and Graubard 1998,
    Survey Methodology 24:193), at most as many as there are trials. Where all or none succeeded nothing is known of how
    alike they are, and each group counts as one trial.

    Raises:
      ValueError: another number of groups than of trials.
    """
    if len(hits) != len(groups):
        raise ValueError(f"groups: expected one for each of {len(hits)} trials, found {len(groups)}")
    if not hits:
        return 0.0, 1.0
    count, rate = len(hits), sum(hits) / len(hits)
    excess: collections.Counter[Hashable] = collections.Counter()
    for hit, group in zip(hits, groups, strict=True):
        excess[group] += hit - rate  # type: ignore[assignment]
    if rate in (0.0, 1.0) or len(excess) < 2:
        return wilson_interval(rate * len(excess), len(excess), z)
    variance = len(excess) / (len(excess) - 1) * sum(x * x for x in excess.values()) / count**2
    independent = min(count, rate * (1 - rate) / variance) if variance else count
    return wilson_interval(rate * independent, independent, z)


def bootstrap_interval(
    values: Sequence[float], groups: Sequence[Hashable], seed: int = 0, draws: int = 2000
) -> tuple[float, float]:
    """95 % interval of a mean whose values come in groups that are alike: percentiles of the bootstrap over groups
    (Efron and Tibshirani 1993, 13.3; Davison and Hinkley 1997, 3.8); (NaN, NaN) of nothing.

    Raises:
      ValueError: another number of groups than of values.
    """
    if len(values) != len(groups):
        raise ValueError(f"groups: expected one for each of {len(values)} values, found {len(groups)}")
    if not len(values):
        return math.nan, math.nan
    number: dict[Hashable, int] = {}
    own = [number.setdefault(group, len(number)) for group in groups]
    total, count = np.bincount(own, np.asarray(values, float)), np.bincount(own)
    drawn = np.random.default_rng(seed).integers(len(total), size=(draws, len(total)))
    low, high = np.percentile(total[drawn].sum(1) / count[drawn].sum(1), [2.5, 97.5])
    return float(low), float(high)
