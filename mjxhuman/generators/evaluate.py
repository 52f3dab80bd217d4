"""A policy beside the base: what both make of prompts with the same noise."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjxhuman.generators.adapters import Adapter
from mjxhuman.generators.finetune import PostTraining
from mjxhuman.generators.objectives.guards import diversity
from mjxhuman.generators.rewards import rewards_of
from mjxhuman.types import Array


class HeldOut:
    """Judges adapters of a training by prompts that need not be its own.

    Args:
        training: of the adapters. prompts, samples: how many of each are sampled. seed: of their noise.
    """

    def __init__(self, training: PostTraining, prompts: Sequence[str], samples: int, seed: int = 0) -> None:
        self.training, self.samples = training, samples
        self.asked = [prompt for prompt in prompts for _ in range(samples)]
        self._keys = jax.random.split(jax.random.key(seed), len(self.asked))

    @functools.cached_property
    def base(self) -> dict[str, Any]:
        """What the frozen weights make: see ``measure``, and the latents."""
        return self._measured(None)

    def measure(self, adapter: Adapter | None) -> dict[str, float]:
        """Of an adapter's samples: ``valid`` (share), means of ``total`` and of the reward's parts over those, and
        beside the base's of the same noise ``motion`` (by ``PostTraining.amount``, the lowest of its measures) and
        ``diversity`` as shares, ``kl``, the mean squared distance of the latents. NaN where nothing is valid, or moves
        in the base."""
        found = self.base if adapter is None else self._measured(adapter)
        latents, moves, spread = (found[name] for name in ("latents", "moves", "spread"))
        beside = {
            "motion": np.min(moves / self.base["moves"]), "diversity": spread / self.base["spread"],
            "kl": float(jnp.mean(jnp.square(latents - self.base["latents"]))),
        }  # fmt: skip
        return {**found["told"], **{name: float(x) for name, x in beside.items()}}

    def _measured(self, adapter: Adapter | None) -> dict[str, Any]:
        run = self.training
        latents, _ = run.sample(adapter, self.asked, self._keys)
        made = run.generator.decode(latents)
        found = rewards_of(run.reward, made, self.asked)
        use = np.asarray(found.valid)
        scores = {"total": found.total, **found.parts}
        told = {name: float(np.mean(np.asarray(x)[use])) if use.any() else np.nan for name, x in scores.items()}
        moves = np.nan if run.amount is None else np.asarray(run.amount(made))[use].mean(0)
        grouped: Array = latents.reshape(-1, self.samples, latents[0].size)
        return {"latents": latents, "moves": moves, "spread": diversity(grouped), "told": {"valid": use.mean()} | told}
