"""What an engine is: physics that steps a batch of states, one control step or a whole horizon at a time."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from mjxhuman.types import Array


class PhysicsState(NamedTuple):
    """What the next step depends on, of n environments; with a time axis ``(n, H, ...)`` where a horizon is meant."""

    qpos: Float[Array, "n *h nq"]
    qvel: Float[Array, "n *h nv"]
    warmstart: Float[Array, "n *h nv"]  # the last acceleration: where the contact solver starts


class Engine(Protocol):
    """Pure: nothing is remembered between calls. ``variant`` says which model each environment runs."""

    def advance(self, variant: Int[Array, " n"], state: PhysicsState, ctrl: Float[Array, "n nu"]) -> PhysicsState:
        """The state a control step later under the controls; NaN where it could not be stepped."""
        ...

    def rollout(self, variant: Int[Array, " n"], state: PhysicsState, ctrl: Float[Array, "n H nu"]) -> PhysicsState:
        """The states (n, H, ...) after each of H control steps, as of repeated ``advance``.

        NaN from the step on that failed.
        """
        ...


def scan(engine: Engine, variant: Array, state: PhysicsState, ctrl: Array) -> PhysicsState:
    """``rollout`` made of ``advance``, as one scan."""

    def step(state: PhysicsState, ctrl: Array) -> tuple[PhysicsState, PhysicsState]:
        after = engine.advance(variant, state, ctrl)
        return after, after

    _, states = jax.lax.scan(step, state, jnp.moveaxis(ctrl, 1, 0))
    return PhysicsState(*(jnp.moveaxis(x, 0, 1) for x in states))
