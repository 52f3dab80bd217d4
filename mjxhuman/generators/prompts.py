"""Lists of prompts, and which of them an epoch trains on."""

from __future__ import annotations

import collections
import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def load_prompts(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Prompts of a text file, one a line; blank lines and those that begin with "#" are left out.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no text in UTF-8, no prompt, or the same one twice (both lines are named).
    """
    lines: dict[str, int] = {}
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected text in UTF-8, found others at byte {error.start}") from None
    for number, line in enumerate(text.splitlines(), 1):
        prompt = " ".join(line.split())
        if not prompt or prompt.startswith("#"):
            continue
        if prompt in lines:
            raise ValueError(
                f"{path}: line {number}: expected each prompt once, found {prompt!r} of line {lines[prompt]}"
            )
        lines[prompt] = number
    if not lines:
        raise ValueError(f"{path}: expected prompts, one a line, found none")
    return tuple(lines)


def file_names(prompts: Sequence[str]) -> tuple[str, ...]:
    """A file name without suffix for each prompt, of its words; prompts that would share one are numbered."""
    stems = [re.sub(r"[^\w]+", "_", prompt.lower()).strip("_")[:60] for prompt in prompts]
    shared = {stem for stem, count in collections.Counter(stems).items() if count > 1}
    return tuple(f"{stem}_{i}" if stem in shared else stem for i, stem in enumerate(stems))


@dataclasses.dataclass(frozen=True)
class PromptSampler:
    """Which prompts each epoch trains on: a new order of all of them each time they are used up.

    An epoch of n groups has n different prompts where there are so many, and none comes again before all have been. It
    follows from seed and epoch alone, so that every process and every resumed run draws the same.
    """

    count: int  # prompts
    groups: int  # of an epoch
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1 or self.groups < 1:
            raise ValueError(f"prompts: expected one or more, and groups, found {self.count} and {self.groups}")

    def epoch(self, number: int) -> np.ndarray:
        """Indices (groups,) of the prompts of an epoch, from 0."""
        first, last = number * self.groups, (number + 1) * self.groups
        orders = np.concatenate(self._orders(first // self.count, (last - 1) // self.count))
        start = first % self.count
        return orders[start : start + self.groups]

    def _orders(self, first: int, last: int) -> list[np.ndarray]:
        """The orders of some rounds. What the epoch that reaches into a round has had of the one before comes last in
        it, so that it has nothing twice unless there are fewer prompts than groups."""
        orders: list[np.ndarray] = []
        for turn in range(last + 1):
            order = np.random.default_rng((self.seed, turn)).permutation(self.count)
            carried = turn * self.count % self.groups
            if orders and carried and self.groups <= self.count:
                had = np.isin(order, orders[-1][self.count - carried :])
                order = np.concatenate([order[~had], order[had]])
            orders = [*orders, order] if turn > first else [order]
        return orders
