"""What the rewards on batches share: what comes with the samples, and one ``Scores`` of all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mjxhuman.rewards.feasibility import AXES
from mjxhuman.types import Scores


def frame_rates(
    name: str, samples: str, count: int, fps: float | Sequence[float], prompts: Sequence[str] | None
) -> list[float]:
    """The frame rate of each of ``count`` samples, from one for all or one of each.

    Args:
      name: the batch's, for errors ("videos"). samples: what there are ``count`` of.
      prompts: checked to be as many, and not used.

    Raises:
      ValueError: another number of rates or prompts, a rate that is not positive.
    """
    rates = [float(fps)] * count if np.ndim(fps) == 0 else [float(x) for x in fps]  # type: ignore[union-attr,arg-type]
    if len(rates) != count or (prompts is not None and len(prompts) != count):
        others = f"{len(rates)} rates" if len(rates) != count else f"{len(prompts or ())} prompts"
        raise ValueError(f"{name}: found {count} {samples} and {others}, expected as many of each")
    for i, rate in enumerate(rates):
        if not (np.isfinite(rate) and rate > 0):
            raise ValueError(f"fps: expected positive numbers of frames per second, found {rate} for {name}[{i}]")
    return rates


def reason_of(error: Exception) -> str:
    """What an error says, for ``Scores.reason``."""
    return str(error) or type(error).__name__


def stacked(items: Sequence[Scores | str], reward: str) -> Scores:
    """One ``Scores`` of all samples; NaN where a sample has no score or not this term.

    Args:
      items: of each its score, or why there is none.
    """
    scored = [item for item in items if isinstance(item, Scores)]
    terms = list(dict.fromkeys(name for item in scored for name in item.terms))

    def column(read: Callable[[Scores], Any]) -> np.ndarray:
        return np.array([np.nan if isinstance(item, str) else float(read(item)) for item in items], np.float32)

    return Scores(
        total=column(lambda s: s.total),
        axes={axis: column(lambda s, axis=axis: s.axes[axis]) for axis in AXES},  # type: ignore[misc]
        terms={term: column(lambda s, term=term: s.terms.get(term, np.nan)) for term in terms},  # type: ignore[misc]
        frames={},
        valid=np.array([isinstance(item, Scores) for item in items], bool),
        reason=tuple(item if isinstance(item, str) else "" for item in items),
        reward=reward,
        humanoid=scored[0].humanoid if scored else "",
    )
