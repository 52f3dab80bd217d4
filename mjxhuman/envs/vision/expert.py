"""A policy that sees the true motion says what it would do in the states that another one visits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from flax import struct
from jaxtyping import Float

from mjxhuman.envs.imitation.config import ImitationConfig
from mjxhuman.envs.imitation.terms import Moment
from mjxhuman.envs.terms import without_chance
from mjxhuman.humanoids.actuated import Actuated
from mjxhuman.types import Array


@struct.dataclass
class Expert:
    """A tracker's policy and the task it was trained for; ``make_expert`` builds it."""

    policy: Callable[[Mapping[str, Array]], Array]  # a pytree: groups of observations -> actions
    config: ImitationConfig = struct.field(pytree_node=False)

    def target(
        self,
        actuated: Actuated,
        m: Moment,
        applied: Float[Array, "*b nu"],
        control: Float[Array, "*b nu"],
    ) -> Float[Array, "*b nu"]:
        """rad, where the expert would let the servos pull.

        What it remembers of itself, its smoothed last action, is the one that would have led to the targets that were
        applied, whoever chose them: those targets less the clip's feed-forward of that step, in units of its actions.

        Args:
            m: with the true motion as reference. applied: targets of the last step.
            control: the true motion's feed-forward targets of the last step.
        """
        config = self.config
        driven = config.driven(actuated)
        residual = config.action == "residual"
        before = (applied - control if residual else applied)[..., driven]
        scales = jnp.asarray(config.scales(actuated)[driven], before.dtype)
        before = jnp.where(m.steps[..., None] > 0, jnp.clip(before / scales, -1.0, 1.0), 0.0)
        known = dataclasses.replace(m, action=before)
        entries = {entry.name: entry for entry in without_chance(config.observations)}
        seen = [entries[name](known) for name in dict(config.groups)["state"]]
        action = config.smoothed(before, self.policy({"state": jnp.concatenate(seen, -1)}))
        offset = config.offset(actuated, action)
        return m.feed_forward + offset if residual else offset


def make_expert(policy: Callable[[Mapping[str, Array]], Array], config: ImitationConfig) -> Expert:
    """An expert of a tracker's policy and task.

    Raises:
        ValueError: observations that come late: what it saw before is not known in states that others visit.
    """
    used: Any = dict(config.groups)["state"]
    if late := [entry.name for entry in config.observations if entry.delay and entry.name in used]:
        raise ValueError(f"expert: expected observations without delay, found {', '.join(late)}")
    return Expert(policy, config)
