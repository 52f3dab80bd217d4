"""The tracking task in one place: tables of what is seen, is paid for, ends an episode and happens to the body."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import jax.numpy as jnp
import numpy as np

from mjxhuman.envs.imitation.events import EVENTS, STARTS
from mjxhuman.envs.imitation.terms import OBSERVATIONS, REWARDS, TERMINATIONS
from mjxhuman.envs.terms import Event, Observation, Reward, Termination, check_names, entries, without_chance
from mjxhuman.humanoids.actuated import Actuated
from mjxhuman.types import Array

#: The tables of a configuration: field -> kind of its entries, and the terms that they may name.
TABLES: dict[str, tuple[Any, dict[str, Any]]] = {
    "observations": (Observation, OBSERVATIONS),
    "rewards": (Reward, REWARDS),
    "terminations": (Termination, TERMINATIONS),
    "starts": (Event, STARTS),
    "events": (Event, EVENTS),
}

Table = Mapping[str, Mapping[str, Any]]
C = TypeVar("C", bound="ImitationConfig")


@dataclasses.dataclass(frozen=True)
class ImitationConfig:
    """The task's choices. Tables map names to values (``envs.terms``); here they are kept as entries, with defaults.

    The values that can be set are those of the entries' kinds and the parameters of the functions in
    ``envs.imitation.terms`` and ``envs.imitation.events``.
    """

    #: The terms that there are: those of ``TABLES``; tasks derived from this one know more.
    tables: ClassVar[Mapping[str, tuple[Any, Mapping[str, Any]]]] = TABLES

    action: str = "absolute"  # PHC's targets, scale * action; or "residual": around the reference pose
    action_scale: float = np.pi  # rad of target per unit of action (PHC: pi; around the reference about 0.5 is enough)
    joint_scale: tuple[
        tuple[str, float], ...
    ] = ()  # factors on it, ("Hip", 1.0), for joints that balance; 0: no action
    smoothing: float = 0.0  # share of the last offset kept each step: exploration that lasts long enough to matter
    #: Observations of each group, in order: "state" is what the policy sees (PHC: 358 + 576 numbers),
    #: "privileged_state" a critic that sees something else, other groups are for extra losses.
    groups: Any = dataclasses.field(default_factory=lambda: {"state": ("proprioception", "imitation_task")})
    observations: Any = ()  # table; needs only those that are noisy or late, or go by a name of their own
    rewards: Any = dataclasses.field(default_factory=lambda: {"imitation": {"weight": 1.0}, "power": {"weight": 5e-4}})
    terminations: Any = dataclasses.field(default_factory=lambda: {"any_body": {"distance": 0.25}})  # empty: never
    starts: Any = ()  # table: what differs between an episode's start and the clip's frame
    events: Any = ()  # table: what happens to the body between steps
    style: bool = False  # windows of AMP observations as group "amp"
    auto_reset: bool = True
    random_start: bool = True  # False: every episode starts on the clip's first frame
    uniform_share: float = 0.5  # of starts drawn without regard to difficulty
    favour: str = "failing"  # the other starts: where most episodes fail, or "learnable", where about half do
    memory: float = 0.99  # of the failure statistics, per iteration

    def __post_init__(self) -> None:
        if not 0.0 <= self.smoothing < 1.0:
            raise ValueError(f"smoothing: expected a share in [0, 1), found {self.smoothing}")
        if self.action not in ("absolute", "residual"):
            raise ValueError(f"action: expected 'absolute' or 'residual', found {self.action!r}")
        check_names("favour", (self.favour,), ("failing", "learnable"))
        groups = tuple((group, tuple(names)) for group, names in dict(self.groups).items() if names)
        if "state" not in dict(groups):
            raise ValueError("groups: expected at least one observation in the group 'state', found none")
        object.__setattr__(self, "groups", groups)
        for field, (kind, terms) in self.tables.items():
            object.__setattr__(self, field, entries(kind, getattr(self, field), terms, field))
        seen = _seen(self.observations, groups, self.tables["observations"][1])
        object.__setattr__(self, "observations", seen)

    def scales(self, actuated: Actuated) -> np.ndarray:
        """Radians of target per unit of action, (nu,): ``action_scale`` times the factor of the joint.

        Raises:
            ValueError: a factor for a joint that the body does not have.
        """
        factor = dict(self.joint_scale)
        names = [actuated.record.unsided(joint) for joint in actuated.servos.joints]
        check_names("joint_scale", tuple(factor), frozenset(names))
        return self.action_scale * np.repeat([factor.get(name, 1.0) for name in names], actuated.servos.axes)

    def driven(self, actuated: Actuated) -> np.ndarray:
        """Axes that actions move, (action_size,) int: those whose scale is not 0."""
        return np.flatnonzero(self.scales(actuated))

    def smoothed(self, before: Array, action: Array) -> Array:
        """What an action amounts to after clipping to [-1, 1] and smoothing over time, (*b, action_size)."""
        return self.smoothing * before + (1.0 - self.smoothing) * jnp.clip(action, -1.0, 1.0)

    def offset(self, actuated: Actuated, action: Array) -> Array:
        """rad (*b, nu) by which smoothed actions (*b, action_size) move the targets of the servos."""
        driven = self.driven(actuated)
        offset = jnp.asarray(self.scales(actuated)[driven], action.dtype) * action
        if len(driven) == actuated.nu:
            return offset
        return jnp.zeros((*action.shape[:-1], actuated.nu), action.dtype).at[..., driven].set(offset)

    def facts(self) -> dict[str, Any]:
        """JSON-ready; ``task_config`` makes the configuration of it."""
        facts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        facts["groups"] = dict(self.groups)
        return facts | {field: {e.name: e.values() for e in getattr(self, field)} for field in self.tables}

    def plain(self, **changes: Any) -> ImitationConfig:
        """The task of an evaluation: the policy and the clip, nothing random. Noise, ``starts`` and ``events`` are off;
        observations that come late still do, because the policy has learned with that."""
        calm = {"observations": without_chance(self.observations), "starts": (), "events": (), "random_start": False}
        return dataclasses.replace(self, **{**calm, **changes})


def _seen(
    observations: Sequence[Observation], groups: Sequence[tuple[str, Sequence[str]]], terms: Mapping[str, Any]
) -> tuple[Observation, ...]:
    """The entries that groups name, in that order; exact and in time where nothing else was said."""
    known = {entry.name: entry for entry in observations}
    names = dict.fromkeys(name for _, group in groups for name in group)
    plain = entries(Observation, {name: {} for name in names if name not in known}, terms, "groups")
    known |= {entry.name: entry for entry in plain}
    return tuple(known[name] for name in names)


def task_config(facts: Mapping[str, Any], kind: type[C] = ImitationConfig) -> C:  # type: ignore[assignment]
    """The configuration of a policy file's facts, of this version or of those before observations were tables.

    Args:
        kind: of the task.

    Raises:
        ValueError: unknown fields, terms or values; those that there are are named.
    """
    values = {name: _hashable(value) for name, value in facts.items()}
    if "groups" not in values:
        values = _from_names(values)
    known = [field.name for field in dataclasses.fields(kind)]
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"expected fields among {', '.join(known)}, found {unknown}")
    return kind(**values)


def _from_names(old: dict[str, Any]) -> dict[str, Any]:
    """Facts of versions that had a name and one number for each term, and fields for pushes and heading."""
    values = dict(old)
    groups = {"state": values.pop("state_terms", None), "privileged_state": values.pop("critic_terms", None)}
    if groups["state"] is not None:
        values["groups"] = {group: names for group, names in groups.items() if names}
    if "reward" in values:
        values["rewards"] = {name: {"weight": weight} for name, weight in values.pop("reward")}
    if "termination" in values:
        values["terminations"] = {name: {"distance": limit} for name, limit in values.pop("termination")}
    if values.pop("random_heading", False):
        values["starts"] = {"heading": {"largest": 2 * np.pi}}
    rate, speed = values.pop("push_rate", 0.0), values.pop("push_speed", 0.5)
    if rate > 0:
        values["events"] = {"push": {"rate": rate, "speed": speed}}
    return values


def _hashable(value: Any) -> Any:
    """JSON's lists as the tuples that configurations hold."""
    if isinstance(value, Mapping):
        return {name: _hashable(item) for name, item in value.items()}
    return tuple(_hashable(item) for item in value) if isinstance(value, list) else value
