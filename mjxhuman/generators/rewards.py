"""What samples of a generator are worth, and a reward that may refuse some of them, or raise at them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from mjxhuman.types import Array


@dataclasses.dataclass(frozen=True, eq=False)
class Rewards:
    """What a reward says of N samples."""

    total: Float[np.ndarray, " N"]
    valid: Bool[np.ndarray, " N"]  # the others have no part in anything
    parts: dict[str, Float[np.ndarray, " N"]] = dataclasses.field(default_factory=dict)  # for the log
    errors: tuple[str, ...] = ()  # what was raised at samples that are invalid, each once


#: (what a generator decoded, the prompt of each sample) -> what they are worth. An attribute ``at_once`` says how many
#: calls it takes at the same time, where that is more than one.
Reward = Callable[[Any, Sequence[str]], Rewards]


class DifferentiableReward(Protocol):
    """A ``Reward`` that JAX can differentiate."""

    def __call__(self, made: Any, prompts: Sequence[str]) -> Rewards:
        """See ``Reward``."""
        ...

    def graded(self, made: Any) -> tuple[Float[Array, " N"], Bool[Array, " N"]]:
        """Totals, differentiable by what was decoded, and which of them are valid."""
        ...


class Weighted:
    """Several rewards as one: the sum of each times its weight, valid where all are. Each is a part by its name, and
    its own parts are ``name/part``.

    Args:
        rewards: by name, with weights.

    Raises:
        ValueError: none.
    """

    def __init__(self, rewards: Mapping[str, tuple[Reward, float]]) -> None:
        if not rewards:
            raise ValueError("reward: expected at least one, found none")
        self.rewards = dict(rewards)
        if all(hasattr(reward, "graded") for reward, _ in rewards.values()):
            self.graded = self._graded

    def __call__(self, made: Any, prompts: Sequence[str]) -> Rewards:
        """See ``Reward``."""
        total, valid = np.zeros(len(prompts), np.float32), np.ones(len(prompts), bool)
        parts, errors = {}, []
        for name, (reward, weight) in self.rewards.items():
            found = rewards_of(reward, made, prompts)
            total, valid = total + weight * found.total, valid & found.valid
            parts |= {name: found.total, **{f"{name}/{part}": x for part, x in found.parts.items()}}
            errors += found.errors
        return Rewards(total, valid, parts, tuple(dict.fromkeys(errors)))

    def _graded(self, made: Any) -> tuple[Array, Array]:
        """See ``DifferentiableReward``; there where all of them are."""
        found = [(*reward.graded(made), weight) for reward, weight in self.rewards.values()]  # type: ignore[attr-defined]
        totals = [weight * jnp.where(valid, total, 0.0) for total, valid, weight in found]
        return sum(totals[1:], totals[0]), jnp.stack([valid for _, valid, _ in found]).all(0)


class NothingValidError(ValueError):
    """No sample of an epoch has a reward: there is nothing to learn from."""


def rewards_of(reward: Reward, made: Any, prompts: Sequence[str]) -> Rewards:
    """Rewards of N samples. A reward that raises is asked again sample by sample, so that one of them, which is
    invalid, does not spoil the others.

    Raises:
        ValueError: a reward of another shape, by name.
    """
    try:
        found = reward(made, prompts)
    except Exception as error:
        if len(prompts) == 1:
            return Rewards(np.zeros(1, np.float32), np.zeros(1, bool), errors=(f"{type(error).__name__}: {error}",))
        ones = [jax.tree.map(lambda x, i=i: x[i : i + 1], made) for i in range(len(prompts))]
        return joined([rewards_of(reward, one, [prompt]) for one, prompt in zip(ones, prompts, strict=True)])
    for name, x in {"total": found.total, "valid": found.valid, **found.parts}.items():
        if np.shape(x) != (len(prompts),):
            raise ValueError(f"reward: {name}: expected ({len(prompts)},), found {np.shape(x)}")
    parts = {name: np.asarray(x, np.float32) for name, x in found.parts.items()}
    return Rewards(np.asarray(found.total, np.float32), np.asarray(found.valid, bool), parts, found.errors)


def joined(found: Sequence[Rewards]) -> Rewards:
    """Rewards one after the other; parts that some lack are NaN there."""
    names = dict.fromkeys(name for one in found for name in one.parts)
    total, valid = (np.concatenate([np.asarray(getattr(one, name)) for one in found]) for name in ("total", "valid"))
    lacking = [np.full(len(one.total), np.nan) for one in found]
    parts = {
        name: np.concatenate([one.parts.get(name, none) for one, none in zip(found, lacking, strict=True)])
        for name in names
    }
    return Rewards(total, valid, parts, tuple(dict.fromkeys(error for one in found for error in one.errors)))
