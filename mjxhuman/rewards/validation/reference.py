"""Where a clip stands among clean motion capture: percentiles of scores, for reading results, never part of a score.

The table is made by ``experiments.robustness`` from a folder of clean clips and stored beside this module; it names the
clips' sources and holds numbers only.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

import numpy as np

PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)


@functools.lru_cache(maxsize=1)
def table() -> dict[str, Any]:
    """``{"sources": [...], "clips": n, "percentiles": [...], "values": {name: [...]}}``."""
    return json.loads(resources.files("mjxhuman.rewards.validation").joinpath("reference.json").read_text())


def percentile(name: str, value: float) -> float:
    """Share in percent of clean clips that score lower than ``value`` on an axis, a sub-score or ``total``.

    Interpolated between the tabulated percentiles, 0 below the first and 100 above the last.

    Raises:
      KeyError: no such score in the table.
    """
    reference = table()
    if name not in reference["values"]:
        raise KeyError(f"reference: expected one of {sorted(reference['values'])}, found {name!r}")
    return float(np.interp(value, reference["values"][name], reference["percentiles"], left=0.0, right=100.0))


def sentence(total: float) -> str:
    """Where a clip's total stands, as a sentence for reports; empty for a total that is not a number."""
    if not np.isfinite(total):
        return ""
    share = percentile("total", total)
    return f"The total is higher than that of {share:.0f} % of {table()['clips']} clean motion-capture clips."
