"""Rewards that cost seconds a sample: each goes through stages of workers, here or on a Ray cluster.

    stages = [WorkStage("encode", make_encoder, workers=8), WorkStage("score", make_scorer, workers=0)]
    with RewardService(stages, backend="ray") as reward:
        PostTraining(generator, prompts, reward, options)

The first stage gets ``(what was decoded of one sample, its prompt)``; the last one returns ``Scores`` or a number.
Order and results do not depend on the number of workers; a sample that fails twice is invalid (``runs.workers``).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import jax
import numpy as np

from mjxhuman.generators.rewards import Rewards, joined
from mjxhuman.runs.workers import Pipeline, Ticket, WorkResult, WorkStage
from mjxhuman.types import Scores


class RewardService:
    """A ``rewards.Reward`` whose samples are judged one by one by workers; they start at the first sample.

    Args:
        stages, backend: as ``runs.workers.Pipeline``. at_once: micro-batches of a training that are judged at the same
            time, so that workers do not wait for the last sample of each.
    """

    def __init__(self, stages: Sequence[WorkStage], backend: str = "local", at_once: int = 4) -> None:
        self.at_once = at_once
        self._pipeline = Pipeline(stages, backend)

    def submit(self, made: Any, prompts: Sequence[str]) -> Ticket:
        """Hand over what a generator decoded, (N, ...) in every array, and the prompt of each; returns at once."""
        made = jax.tree.map(np.asarray, made)  # off the device: nothing there grows with what waits
        return self._pipeline.submit(
            (jax.tree.map(lambda x, i=i: x[i], made), prompt) for i, prompt in enumerate(prompts)
        )

    def collect(self, ticket: Ticket) -> Rewards:
        """What the samples are worth, in their order; waits for the last one."""
        return joined([_rewards(outcome) for outcome in self._pipeline.collect(ticket)])

    def __call__(self, made: Any, prompts: Sequence[str]) -> Rewards:
        """See ``rewards.Reward``."""
        return self.collect(self.submit(made, prompts))

    def close(self) -> None:
        """End the workers."""
        self._pipeline.close()

    def __enter__(self) -> RewardService:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _rewards(outcome: WorkResult) -> Rewards:
    """Of one sample."""
    if outcome.error:
        return Rewards(np.full(1, np.nan, np.float32), np.zeros(1, bool), errors=(outcome.error,))
    value, parts = outcome.value, {}
    if isinstance(value, Scores):
        parts = {name: np.asarray(x, np.float32).reshape(1) for name, x in value.axes.items()}
        valid, value = np.asarray(value.valid).reshape(1), value.total
    else:
        valid = np.isfinite(np.asarray(value, float)).reshape(1)
    return Rewards(np.asarray(value, np.float32).reshape(1), valid, parts)
