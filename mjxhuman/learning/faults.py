"""Numbers that are not finite: found inside the compiled iteration, named, and kept with the states before them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjxhuman.envs import State
from mjxhuman.runs import atomic_write


class NotFinite(FloatingPointError):
    """A number of the training stopped being finite; the message names it and the file with the states."""


@struct.dataclass
class Fault:
    """Where numbers stopped being finite.

    Attributes:
        step: term -> step of the roll-out at which it was first not finite in any environment, () int32, -1 for never;
            terms are, in causal order: what the policy saw ("obs.state"), "action", leaves of the physics state after
            the step ("sim.qpos"), metrics, "reward", what the step led to ("final_obs.state").
        update: the same of terms computed after the roll-out, counted in minibatches.
        found: any of the roll-out's was not finite, () bool.
        state, action: of all environments before the first such step (meaningless unless found); None where an
            algorithm does not keep them.
        bad: environments that it happened in, (N,) bool.
    """

    step: dict[str, jax.Array]
    update: dict[str, jax.Array]
    found: jax.Array
    state: State | None
    action: jax.Array | None
    bad: jax.Array | None


def metrics_fault(metrics: Mapping[str, jax.Array]) -> Fault:
    """Which of an iteration's metrics () are not finite, for an algorithm that keeps no states."""
    wrong = {name: first_true(~jnp.isfinite(value)[None]) for name, value in metrics.items()}
    return Fault({}, wrong, jnp.zeros((), bool), None, None, None)


def no_fault(state: State, action_size: int) -> Fault:
    """Nothing wrong yet, with room for the states (*b)."""
    none = jnp.zeros_like(state.done)
    return Fault({}, {}, jnp.zeros((), bool), state, jnp.zeros((*none.shape, action_size), jnp.float32), none)


def first_fault(fault: Fault, state: State, action: jax.Array, bad: jax.Array) -> Fault:
    """Keep the state before the first fault; ``cond`` copies it only then."""
    new = Fault({}, {}, jnp.ones((), bool), state, action, bad)
    return jax.lax.cond(jnp.any(bad) & ~fault.found, lambda: new, lambda: fault)


def not_finite(state: State, action: jax.Array, after: State) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Which environments (*b), and which terms () of a step hold numbers that are not finite, in causal order."""
    named = {**{f"obs.{name}": x for name, x in state.obs.items()}, "action": action}
    for path, leaf in jax.tree_util.tree_leaves_with_path(after.sim):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            named["sim" + jax.tree_util.keystr(path)] = leaf
    named |= {**after.metrics, "reward": after.reward}
    named |= {f"final_obs.{name}": x for name, x in after.final_obs.items()}
    batch = after.done.ndim
    flags = {k: jnp.any(~jnp.isfinite(v), axis=tuple(range(batch, v.ndim))) for k, v in named.items()}
    return jnp.any(jnp.stack(list(flags.values())), axis=0), {k: jnp.any(v) for k, v in flags.items()}


def first_true(flags: jax.Array) -> jax.Array:
    """Index of the first true entry of (T,) flags, -1 if none."""
    return jnp.where(jnp.any(flags), jnp.argmax(flags), -1).astype(jnp.int32)


def curriculum_fault(curriculum: Any) -> dict[str, jax.Array]:
    """{"curriculum": 0 if it holds numbers that are not finite, else -1}; empty without a curriculum."""
    leaves = [x for x in jax.tree.leaves(curriculum) if jnp.issubdtype(x.dtype, jnp.floating)]
    if not leaves:
        return {}
    return {"curriculum": first_true(jnp.any(jnp.stack([jnp.any(~jnp.isfinite(x)) for x in leaves]))[None])}


def first_wrong(fault: Fault) -> tuple[str, str, list[str]] | None:
    """The term that went wrong first, where ("step 3"), and the names of the others; None if all is finite.

    First is the earliest step of the roll-out, within it causes; what is computed after the roll-out comes last.
    """
    steps, update = ({k: int(v) for k, v in jax.device_get(x).items()} for x in (fault.step, fault.update))
    wrong = [(0, step, _rank(name), name) for name, step in steps.items() if step >= 0]
    wrong += [(1, step, _rank(name), name) for name, step in update.items() if step >= 0]
    if not wrong:
        return None
    late, step, _, term = min(wrong)
    return term, f"{'minibatch' if late else 'step'} {step}", [name for *_, name in wrong if name != term]


def _rank(name: str) -> int:
    """Place of a term in the order in which a step computes them (the names of a jitted dict come back sorted)."""
    places = {"obs.": 0, "action": 1, "sim": 2, "final_obs.": 5}
    if name == "reward":
        return 4
    return next((place for start, place in places.items() if name.startswith(start)), 3)  # 3: metrics


def dump_fault(path: Path, fault: Fault) -> Path | None:
    """Write the states before the fault, of the environments that it happened in (of all if it was in the update).

    Of several processes each writes its own environments. None where the algorithm does not keep the states.
    """
    if fault.bad is None or fault.action is None:
        return None
    bad = local(fault.bad)
    chosen = np.flatnonzero(bad) if bad.any() else np.arange(bad.size)
    arrays = {"environment": chosen, "action": local(fault.action)[chosen]}
    for key_path, leaf in jax.tree_util.tree_leaves_with_path(fault.state):
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        arrays["state" + jax.tree_util.keystr(key_path)] = local(leaf)[chosen]
    with atomic_write(path, "wb") as file:
        np.savez_compressed(file, **arrays)
    return path


def local(leaf: jax.Array) -> np.ndarray:
    """The rows of an array that this process's devices hold, in order."""
    rows = {shard.index[0].start or 0 if shard.index else 0: shard.data for shard in leaf.addressable_shards}
    parts = [np.asarray(rows[start]) for start in sorted(rows)]
    return np.concatenate(parts) if parts[0].ndim else parts[0]
