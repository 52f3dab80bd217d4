"""Post-training by rewards: the epochs of DiffusionNFT over any ``generators.base.Generator``.

An epoch samples the old policy on groups of prompts, scores the samples, tells good from bad within each prompt, and
draws the current policy towards the good ones. Everything random follows from seed, epoch and sample, so that a run
that is continued is the one that was not stopped.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding
from jaxtyping import Int

from mjxhuman.generators import flow
from mjxhuman.generators.adapters import Adapter, init_adapter, mixed, size
from mjxhuman.generators.base import Generator
from mjxhuman.generators.objectives.advantages import Advantages, advantages
from mjxhuman.generators.objectives.guards import floored, least
from mjxhuman.generators.objectives.nft import NFTConfig, average_decay, nft_loss, old_decay
from mjxhuman.generators.objectives.reward_gradient import GradientConfig
from mjxhuman.generators.prompts import PromptSampler
from mjxhuman.generators.rewards import NothingValidError, Reward, Rewards, joined, rewards_of
from mjxhuman.runs.devices import EVERYWHERE, SPLIT, make_mesh, place, replicate
from mjxhuman.types import Array


@dataclasses.dataclass(frozen=True)
class FinetuneOptions:
    """Of a run.

    Attributes:
        groups: prompts of an epoch. samples: of each prompt, which are compared with each other.
        passes: over the samples of an epoch, an update of the weights each.
        micro_batch: samples whose gradient is taken together; those of a pass are added up.
        levels: noise levels that each sample is seen at in a pass, drawn from those that the roll-out visits.
        rank, alpha: of the adapter. rate, decay: of AdamW; gradients are no longer than 1.
        old: how the old policy follows after an epoch (``objectives.nft.old_decay``).
        motion_floor: rewards of samples that move less than this share of what the base does with the same prompt and
            noise are lowered in proportion (``objectives.guards.floored``); 0: none are, and the base is not sampled.
        still: how much motion is as good as none, in the unit of ``amount``.
        nft, gradient: the objectives, of which a training has one (``gradient.RewardGradient`` the other).
    """

    groups: int = 16
    samples: int = 8
    passes: int = 1
    micro_batch: int = 32
    levels: int = 2
    rank: int = 16
    alpha: float | None = None
    rate: float = 3e-4
    decay: float = 1e-4
    old: str | float = "linear"
    motion_floor: float = 0.0
    still: float = 0.0
    nft: NFTConfig = dataclasses.field(default_factory=NFTConfig)
    gradient: GradientConfig = dataclasses.field(default_factory=GradientConfig)

    def __post_init__(self) -> None:
        for name in ("groups", "samples", "passes", "micro_batch", "levels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, found {getattr(self, name)}")
        if self.groups * self.samples % self.micro_batch:
            raise ValueError(
                f"micro_batch: expected a divisor of the {self.groups * self.samples} samples of an epoch (groups x "
                f"samples), found {self.micro_batch}"
            )

    @property
    def count(self) -> int:
        """Samples of an epoch."""
        return self.groups * self.samples


class FinetuneState(NamedTuple):
    """Of a run."""

    current: Adapter
    old: Adapter
    average: Adapter  # for evaluation
    optimizer: Any
    epoch: Int[Array, ""]
    updates: Int[Array, ""]


class PostTraining:
    """The epochs of a run; programs are compiled once. Where this process has several devices, samples are split over
    them.

    Args:
        generator: to be changed. prompts: that it learns with. reward: of its samples. seed: of everything drawn.
        amount: how much each of what was decoded moves, ``(N,)`` or by several measures ``(N, M)``, for
            ``FinetuneOptions.motion_floor``.

    Raises:
        ValueError: a motion floor without ``amount``; a micro-batch that several devices cannot divide.
    """

    def __init__(
        self,
        generator: Generator,
        prompts: Sequence[str],
        reward: Reward,
        options: FinetuneOptions,
        seed: int = 0,
        amount: Callable[[Any], np.ndarray] | None = None,
    ) -> None:
        if options.motion_floor and amount is None:
            raise ValueError("motion_floor: expected a measure of motion beside it, found none")
        self.generator, self.prompts, self.reward, self.options = generator, tuple(prompts), reward, options
        self.amount = amount
        self.sampler = PromptSampler(len(self.prompts), options.groups, seed)
        self._key = jax.random.key(seed)
        self._optimizer = optax.chain(
            optax.clip_by_global_norm(1.0), optax.adamw(options.rate, weight_decay=options.decay)
        )
        if jax.process_count() > 1:
            raise ValueError(f"post-training: expected one process, found {jax.process_count()}")
        self._mesh = make_mesh() if jax.device_count() > 1 else None
        if self._mesh is not None and options.micro_batch % self._mesh.size:
            raise ValueError(
                f"micro_batch: expected a multiple of the {self._mesh.size} devices, found {options.micro_batch}"
            )
        self._rollout, self._update = jax.jit(generator.rollout), jax.jit(self._updated)

    def init(self) -> FinetuneState:
        """Adapters that change nothing yet."""
        o, key = self.options, jax.random.fold_in(self._key, 0)
        patterns = self.generator.adapter_targets
        adapter = init_adapter(self.generator.params, key, rank=o.rank, alpha=o.alpha, patterns=patterns)
        zero = jnp.zeros((), jnp.int32)
        state = FinetuneState(adapter, adapter, adapter, self._optimizer.init(adapter), zero, zero)
        return state if self._mesh is None else replicate(state, self._mesh)

    def epoch(self, state: FinetuneState) -> tuple[FinetuneState, dict[str, float]]:
        """One epoch, and what is to be logged of it.

        Raises:
            NothingValidError: no sample has a reward. ValueError: rewards of another shape.
        """
        number = int(state.epoch)
        asked, group = self.asked(number)
        keys, key = self.keys(number)
        latents, cond, worth, lost = self.judged(state.old, asked, keys)
        found = advantages(jnp.asarray(worth.total), jnp.asarray(group), jnp.asarray(worth.valid), self.options.groups)
        logged: dict[str, Any] = {}
        for i in range(self.options.passes):
            rng = jax.random.fold_in(key, 1 + i)
            state, logged = self._update(state, latents, cond, found.value, jnp.asarray(worth.valid), rng)
        followed = mixed(state.old, state.current, old_decay(state.updates, self.options.old))
        state = state._replace(old=followed, epoch=state.epoch + 1)
        return state, {**_summary(worth, found, asked), **lost, **{name: float(x) for name, x in logged.items()}}

    def asked(self, epoch: int) -> tuple[list[str], Int[np.ndarray, " N"]]:
        """The prompt of each sample of an epoch, and its group."""
        group = np.repeat(np.arange(self.options.groups), self.options.samples)
        return [self.prompts[i] for i in self.sampler.epoch(epoch)[group]], group

    def keys(self, epoch: int) -> tuple[Array, Array]:
        """Of the noise of an epoch's samples ``(N,)``, and of everything else."""
        key = jax.random.fold_in(self._key, 1 + epoch)
        return jax.random.split(jax.random.fold_in(key, 0), self.options.count), key

    def sample(self, adapter: Adapter | None, asked: Sequence[str], keys: Array) -> tuple[Array, Any]:
        """Latents ``(N, ...)`` of a policy, in micro-batches, and their conditions."""
        cond = self.generator.condition(asked)
        rolled = functools.partial(self._rollout, self.generator.params, adapter)
        return jnp.concatenate([rolled(*part).latents for part in self.micro_batches(keys, cond)]), cond

    def micro_batches(self, *arrays: Any) -> Iterator[Any]:
        """Rows of pytrees ``(N, ...)`` that are computed together, split over the devices where they can be."""
        rows = self.options.micro_batch
        for first in range(0, len(jax.tree.leaves(arrays)[0]), rows):
            part = jax.tree.map(lambda x, first=first: x[first : first + rows], arrays)
            if self._mesh is not None:
                spec = EVERYWHERE if len(jax.tree.leaves(part)[0]) % self._mesh.size else SPLIT
                part = place(part, self._mesh, jax.tree.map(lambda _, spec=spec: spec, part))
            yield part

    def stepped(self, state: FinetuneState, slope: Adapter) -> tuple[FinetuneState, dict[str, Array]]:
        """A step of the optimizer, and norms for the log."""
        change, memory = self._optimizer.update(slope, state.optimizer, state.current)
        current, updates = optax.apply_updates(state.current, change), state.updates + 1
        average = mixed(state.average, current, average_decay(updates))
        new = state._replace(current=current, average=average, optimizer=memory, updates=updates)
        return new, {"gradient_norm": optax.tree.norm(slope), "adapter_norm": size(current)}

    def judged(
        self, adapter: Adapter | None, asked: Sequence[str], keys: Array
    ) -> tuple[Array, Any, Rewards, dict[str, float]]:
        """What ``sample`` returns, with rewards and the shares that have none for one reason or another. While one
        micro-batch is judged the next ones are sampled.

        Raises:
            NothingValidError: none has a reward. ValueError: rewards of another shape.
        """
        cond, latents, asking = self.generator.condition(asked), [], []
        with futures.ThreadPoolExecutor(getattr(self.reward, "at_once", 1)) as pool:
            for part, rows in self.micro_batches(keys, np.arange(len(asked))):
                some = [asked[i] for i in rows]
                latents.append(self.sample(adapter, some, part)[0])
                asking.append(pool.submit(self._worth, latents[-1], some, part))
            found = [one.result() for one in asking]
        worth, finite = joined([one for one, _ in found]), np.concatenate([one for _, one in found])
        if not worth.valid.any():
            why = "; ".join(worth.errors[:3]) or ("the reward refuses them" if finite.any() else "they are not finite")
            raise NothingValidError(f"reward: expected a sample with a reward in an epoch, found none: {why}")
        lost = {"not_finite": 1 - finite.mean(), "no_reward": (finite & ~worth.valid).mean()}
        return jnp.concatenate(latents), cond, worth, {f"invalid/{name}": float(x) for name, x in lost.items()}

    def _worth(self, latents: Array, asked: Sequence[str], keys: Array) -> tuple[Rewards, np.ndarray]:
        """Rewards of the latents of a micro-batch, and which of them are finite."""
        finite = np.isfinite(np.asarray(latents).reshape(len(latents), -1)).all(1)
        made = self.generator.decode(jnp.where(flow.along(jnp.asarray(finite), latents) > 0, latents, 0.0))
        found = rewards_of(self.reward, made, asked)
        total, parts = found.total, dict(found.parts)
        if self.options.motion_floor and self.amount is not None:
            still = self.generator.decode(self.sample(None, asked, keys)[0])
            base, moves = np.asarray(self.amount(still)), np.asarray(self.amount(made))
            total = np.asarray(floored(total, moves, base, self.options.motion_floor, self.options.still))
            parts |= {"motion": np.asarray(least(moves / np.maximum(base, 1e-9))), "unfloored": found.total}
        return Rewards(total, finite & found.valid & np.isfinite(total), parts, found.errors), finite

    def _updated(
        self, state: FinetuneState, latents: Array, cond: Any, advantage: Array, valid: Array, rng: Array
    ) -> tuple[FinetuneState, dict[str, Array]]:
        """One pass over the samples of an epoch: gradients of micro-batches added up, then one step."""
        o = self.options
        order, draw = jax.random.split(rng)
        rows = jnp.tile(jax.random.permutation(order, o.count), o.levels).reshape(-1, o.micro_batch)
        share = 1.0 / rows.shape[0]

        def part(total: Adapter, at: tuple[Array, Array]) -> tuple[Adapter, dict[str, Array]]:
            index, key = at
            chosen = jax.tree.map(lambda x: x[index], (latents, cond, advantage, valid))
            if self._mesh is not None:
                chosen = jax.lax.with_sharding_constraint(chosen, NamedSharding(self._mesh, SPLIT))
            (_, told), slope = jax.value_and_grad(self._loss, has_aux=True)(state.current, state.old, *chosen, key)
            return jax.tree.map(lambda a, b: a + share * b, total, slope), told

        zero = jax.tree.map(jnp.zeros_like, state.current)
        slope, told = jax.lax.scan(part, zero, (rows, jax.random.split(draw, len(rows))))
        new, norms = self.stepped(state, slope)
        return new, {**jax.tree.map(jnp.mean, told), **norms}

    def _loss(
        self, current: Adapter, old: Adapter, x0: Array, cond: Any, advantage: Array, valid: Array, rng: Array
    ) -> tuple[Array, dict[str, Array]]:
        """The objective of a micro-batch, each sample noised to one of the levels that the roll-out visits."""
        level, noise = jax.random.split(rng)
        visited = jnp.asarray(self.generator.noise_levels[:-1], x0.dtype)
        s = jax.random.choice(level, visited, (len(x0),))
        x0 = jnp.where(flow.along(valid, x0) > 0, x0, 0.0)
        x = flow.mix(x0, jax.random.normal(noise, x0.shape, x0.dtype), s)
        predict = functools.partial(self.generator.velocity, self.generator.params)
        new, before, base = (predict(adapter, x, s, cond) for adapter in (current, old, None))
        return nft_loss(new, before, base, x0, x, s, advantage, valid, self.options.nft)


def _summary(worth: Rewards, found: Advantages, asked: Sequence[str]) -> dict[str, float]:
    """Numbers of an epoch's samples, means over those that are valid."""
    use = worth.valid
    numbers = {
        "reward": float(worth.total[use].mean()), "reward_spread": float(found.spread),
        "invalid": float(1.0 - use.mean()), "prompts": float(len(set(asked))), "flat_groups": float(found.flat),
    }  # fmt: skip
    parts = {f"reward/{name}": float(np.asarray(x)[use].mean()) for name, x in worth.parts.items()}
    return numbers | parts
