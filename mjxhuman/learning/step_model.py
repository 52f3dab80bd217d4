"""A network that predicts one control step, fitted to simulated steps, so that a learner can differentiate through it.

What it sees and predicts is the environment's business (``StepDynamics``). Its error is taken over windows in which it
goes on from its own predictions, because that is how it is used.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import struct, traverse_util
from jaxtyping import Bool, Float

from mjxhuman.learning.array_files import nested, read_arrays, write_arrays
from mjxhuman.learning.networks import ACTIVATIONS, Params, apply
from mjxhuman.learning.normalization import Statistics, new_statistics, normalize, update_statistics

FORMAT = "mjxhuman-step-model"
VERSION = 1
#: Arrays of a file besides those of the network.
_NUMBERS = ("inputs/mean", "inputs/var", "inputs/count", "outputs", "error")
#: Bound of normalised inputs.
_CLIP = 10.0
#: Least scale of an output, in its own unit.
_LEAST = 1e-6

#: Physical states, any pytree with leading axes ``*b``.
Phase = Any


class StepDynamics(Protocol):
    """What an environment says of its physics as numbers: functions of phases and controls with leading axes ``*b``."""

    def inputs(self, phase: Phase, ctrl: jax.Array) -> jax.Array:
        """What a step depends on, (*b, n)."""
        ...

    def outputs(self, before: Phase, after: Phase) -> jax.Array:
        """What a step did, (*b, m); near 0 where everything goes on as it was."""
        ...

    def apply(self, before: Phase, outputs: jax.Array) -> Phase:
        """The phase that such outputs lead to: the inverse of ``outputs``."""
        ...

    def difference(self, a: Phase, b: Phase) -> jax.Array:
        """From a to b, (*b, k): how far a prediction is off."""
        ...


@struct.dataclass
class SimulatedStep:
    """Simulated control steps, leading axes ``*b``: the last axis but that of the numbers is time where it matters.

    Attributes:
        before, after: phases. ctrl: what was done.
        joined: this step goes on where the one before it in time ended (no reset, no push between them).
    """

    before: Phase
    ctrl: Float[jax.Array, "*b nu"]
    after: Phase
    joined: Bool[jax.Array, "*b"]


@struct.dataclass
class StepModelState:
    """Parameters of the network and units of what goes in and out."""

    params: Params
    inputs: Statistics
    outputs: Float[jax.Array, " m"]  # one standard deviation
    error: Float[jax.Array, " k"]  # of the difference left where everything goes on as it was

    def like(self, other: StepModelState) -> StepModelState:
        """These numbers, checked to be those of another one's network.

        Raises:
            ValueError: the first array that differs is named.
        """
        own, wanted = _arrays(self), _arrays(other)
        for name in sorted({*own, *wanted}):
            a, b = (None if name not in x else np.shape(x[name]) for x in (own, wanted))
            if a != b:
                raise ValueError(f"step model: {name}: expected shape {b} of this training, found {a}")
        return self


class ResidualMLP(nn.Module):
    """Dense layers (*b, n) -> (*b, out) whose equal neighbours are skipped around; near 0 at first."""

    hidden: Sequence[int]
    out: int
    activation: str = "silu"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layers."""
        for i, size in enumerate(self.hidden):
            new = ACTIVATIONS[self.activation](nn.Dense(size, name=f"hidden_{i}")(x))
            x = new + x if i > 0 and x.shape[-1] == size else new
        return nn.Dense(self.out, kernel_init=nn.initializers.normal(1e-3), name="out")(x)


@dataclasses.dataclass(frozen=True)
class StepModel:
    """The network for an environment's dynamics."""

    dynamics: StepDynamics
    hidden: tuple[int, ...]
    precision: str = "float32"  # of the network's numbers; its parameters stay in float32

    def init(self, rng: jax.Array, steps: SimulatedStep) -> StepModelState:
        """A fresh network in the units of simulated steps (*b)."""
        seen = self.dynamics.inputs(steps.before, steps.ctrl)
        did = self.dynamics.outputs(steps.before, steps.after)
        left = self.dynamics.difference(self.dynamics.apply(steps.before, jnp.zeros_like(did)), steps.after)
        rows = tuple(range(did.ndim - 1))
        params = self._network(did.shape[-1]).init(rng, seen[:1])["params"]
        inputs = update_statistics(new_statistics(seen.shape[-1:]), seen)
        return StepModelState(
            params, inputs, jnp.std(did, rows) + _LEAST, jnp.sqrt(jnp.mean(jnp.square(left), rows)) + _LEAST
        )

    def seen(self, state: StepModelState, steps: SimulatedStep) -> StepModelState:
        """With more steps (*b) in the statistics of what goes in: a policy that learns leaves the first ones behind."""
        inputs = update_statistics(state.inputs, self.dynamics.inputs(steps.before, steps.ctrl))
        return dataclasses.replace(state, inputs=inputs)

    def __call__(self, state: StepModelState, phase: Phase, ctrl: jax.Array) -> Phase:
        """The phase (*b) after a control step."""
        seen = normalize(state.inputs, self.dynamics.inputs(phase, ctrl), _CLIP)
        outputs = apply(self._network(state.outputs.shape[0]), state.params, seen, self.precision) * state.outputs
        return self.dynamics.apply(phase, outputs)

    def loss(self, state: StepModelState, steps: SimulatedStep) -> jax.Array:
        """Mean error () over windows of steps (T, B), each from its first phase on, up to where it is interrupted.

        ``sqrt(1 + e^2) - 1`` of each difference in its unit: one violent fall counts as if it were merely far off.
        """

        def step(carry: tuple[Phase, jax.Array], now: SimulatedStep) -> tuple[tuple[Phase, jax.Array], Any]:
            phase, going = carry
            going = going & now.joined
            phase = self(state, phase, now.ctrl)
            off = self.dynamics.difference(phase, now.after) / state.error
            error = jnp.mean(jnp.sqrt(1.0 + jnp.square(off)) - 1.0, -1)
            return (phase, going), (jnp.where(going, error, 0.0), going)

        first = jax.tree.map(lambda x: x[0], steps)
        steps = dataclasses.replace(steps, joined=steps.joined.at[0].set(True))
        _, (error, counted) = jax.lax.scan(step, (first.before, jnp.ones_like(first.joined)), steps)
        return jnp.sum(error) / jnp.sum(counted)

    def _network(self, out: int) -> ResidualMLP:
        return ResidualMLP(self.hidden, out)


def save_step_model(path: str | os.PathLike[str], state: StepModelState, facts: Mapping[str, Any]) -> None:
    """Write a step model as one compressed ``.npz``.

    Args:
        facts: JSON-ready, of the body that it has learned and of how.
    """
    write_arrays(path, _arrays(state), {"format": FORMAT, "version": VERSION, "facts": dict(facts)})


def load_step_model(path: str | os.PathLike[str]) -> tuple[StepModelState, dict[str, Any]]:
    """A step model from its file, and its facts.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a step model, of another version, or incomplete (file and field are named).
    """
    arrays, header = read_arrays(path, "step model", FORMAT, VERSION)
    if missing := [name for name in _NUMBERS if name not in arrays]:
        raise ValueError(f"{path}: expected the arrays {', '.join(_NUMBERS)}, {', '.join(missing)} missing")
    numbers = {name: jnp.asarray(arrays[name]) for name in _NUMBERS}
    inputs = Statistics(**{field.name: numbers[f"inputs/{field.name}"] for field in dataclasses.fields(Statistics)})
    return StepModelState(nested(arrays, "params"), inputs, numbers["outputs"], numbers["error"]), header["facts"]


def _arrays(state: StepModelState) -> dict[str, Any]:
    """By name."""
    flat = traverse_util.flatten_dict({"params": state.params}, sep="/")
    inputs = {f"inputs/{field.name}": getattr(state.inputs, field.name) for field in dataclasses.fields(Statistics)}
    return {**flat, **inputs, "outputs": state.outputs, "error": state.error}
