"""What a trainer needs of a generator, whatever it generates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from flax import struct
from jaxtyping import Float, Key

from mjxhuman.generators.adapters import Adapter
from mjxhuman.types import Array

#: Frozen weights, and what conditions a batch: pytrees.
Params = Mapping[str, Any]
Condition = Any


@struct.dataclass
class LatentRollout:
    """What a policy sampled: latents ``(B, ...)`` and the noise levels ``(n,)`` that led to them, the last 0."""

    latents: Float[Array, "B ..."]
    levels: Float[Array, " n"]


class Generator(Protocol):
    """A conditional flow-matching model. All functions are pure; ``params`` and ``adapter`` are pytrees."""

    @property
    def params(self) -> Params:
        """The frozen weights."""
        ...

    @property
    def noise_levels(self) -> Float[np.ndarray, " n"]:
        """Levels that ``rollout`` visits, from 1 down to 0."""
        ...

    @property
    def adapter_targets(self) -> tuple[str, ...]:
        """Patterns of the layers that an adapter changes (``adapters.targets``)."""
        ...

    def condition(self, prompts: Sequence[str]) -> Condition:
        """What the network is told by prompts, with a leading axis ``B``. Raises ValueError: not a prompt."""
        ...

    def velocity(self, params: Params, adapter: Adapter | None, x: Array, s: Array, cond: Condition) -> Array:
        """The velocity ``(B, ...)`` at ``x (B, ...)`` and levels ``s (B,)`` (``flow``)."""
        ...

    def rollout(
        self, params: Params, adapter: Adapter | None, rng: Key[Array, " B"], cond: Condition, last: int | None = None
    ) -> LatentRollout:
        """Samples from noise of keys ``(B,)``: each depends on its own key and condition alone. Gradients go through
        the ``last`` steps alone (``flow.euler``); None: through all."""
        ...

    def decode(self, latents: Array) -> Any:
        """What latents stand for: coordinates of motions, videos."""
        ...
