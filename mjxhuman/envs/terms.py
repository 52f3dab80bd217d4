"""The lines of a task: observations, rewards, terminations and events, each a function with parameters under a name.

A *term* is a plain function whose first argument is what an environment knows at some moment (its ``Moment``); its
keyword parameters with defaults can be set in the task's configuration. Environments keep their terms in tables by
name, which ``register`` adds to. A configuration is a table too, from names to values::

    rewards={"imitation": {"weight": 1.0, "k_vel": 0.2}, "slip": {"weight": 0.5, "term": "foot_slip"}}

``entries`` checks it and makes ``TermEntry`` objects of it, complete with defaults. The rest of this module is what
environments do with them; it knows no environment.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Float, Key

from mjxhuman.envs.env import Observations, split
from mjxhuman.types import Array

F = TypeVar("F", bound=Callable[..., Any])
E = TypeVar("E", bound="TermEntry")
Term = Callable[..., Any]
Past = dict[str, Float[Array, "*b _ _"]]  # the latest values of delayed observations by name: steps, latest first


def register(table: dict[str, Term]) -> Callable[[F], F]:
    """A decorator that adds a function to a table of terms under its own name."""

    def add(function: F) -> F:
        table[function.__name__] = function
        return function

    return add


@dataclasses.dataclass(frozen=True)
class TermEntry:
    """One line of a task: a name, a function and its parameters."""

    name: str
    function: Term
    params: tuple[tuple[str, Any], ...] = ()

    def __call__(self, *known: Any) -> Any:
        """The term's value for what is known at a moment."""
        return self.function(*known, **dict(self.params))

    def values(self) -> dict[str, Any]:
        """What ``entries`` makes this entry of, JSON-ready; the function by the name it is registered under."""
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)[3:]}
        term = {} if self.function.__name__ == self.name else {"term": self.function.__name__}
        return {**term, **own, **dict(self.params)}


@dataclasses.dataclass(frozen=True)
class Observation(TermEntry):
    """``function(moment) -> (*b, n)``, as a sensor reports it: late and not exactly.

    Noise is drawn anew in each step and independently for each number.
    """

    noise: float = 0.0  # standard deviation, in the observation's unit
    uniform: bool = False  # the noise is uniform (within sqrt(3) times its deviation) instead of Gaussian
    delay: int = 0  # control steps by which it comes late; at the start the first value is seen so long

    def __post_init__(self) -> None:
        if self.noise < 0:
            raise ValueError(f"{self.name}.noise: expected 0 or more, found {self.noise}")
        if not (isinstance(self.delay, int) and self.delay >= 0):
            raise ValueError(f"{self.name}.delay: expected a whole number of control steps, found {self.delay!r}")


@dataclasses.dataclass(frozen=True)
class Reward(TermEntry):
    """``function(moment) -> (*b)``."""

    weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class Termination(TermEntry):
    """``function(moment) -> (*b)`` bool: the episode has failed."""


@dataclasses.dataclass(frozen=True)
class Event(TermEntry):
    """``function(what it changes, keys (*b), simulator) ->`` the same, changed; unchanged where its numbers are 0."""


def entries(
    kind: type[E], table: Mapping[str, Any] | Sequence[E], terms: Mapping[str, Term], label: str
) -> tuple[E, ...]:
    """Entries of a kind from a table name -> values, complete with defaults.

    Args:
        kind: of the entries.
        table: the values of each entry: fields of ``kind``, parameters of its function, and "term", the function or its
            name where that is not the entry's. Entries are taken as they are.
        terms: functions by name.
        label: for messages.

    Raises:
        ValueError: an unknown term or parameter; those that there are are named.
    """
    if not isinstance(table, Mapping):
        return tuple(table)
    return tuple(_entry(kind, name, values, terms, label) for name, values in table.items())


def _entry(kind: type[E], name: str, values: Mapping[str, Any], terms: Mapping[str, Term], label: str) -> E:
    if not isinstance(values, Mapping):
        raise ValueError(f"{label}.{name}: expected values by their names, found {values!r}")
    given = dict(values)
    term = given.pop("term", name)
    if not callable(term):
        check_names(label, (term,), terms)
        term = terms[term]
    own = [field.name for field in dataclasses.fields(kind)[3:]]
    params = parameters(term)
    if unknown := sorted(set(given) - {*own, *params}):
        known = ", ".join([*own, *params]) or "none"
        raise ValueError(f"{label}.{name}: expected values among {known}, found {', '.join(unknown)}")
    fields = {key: given.pop(key) for key in own if key in given}
    return kind(name, term, tuple({**params, **given}.items()), **fields)


def parameters(term: Term) -> dict[str, Any]:
    """What can be set of a term, with its defaults."""
    found = inspect.signature(term).parameters.values()
    return {p.name: p.default for p in found if p.default is not inspect.Parameter.empty}


def check_names(label: str, names: Sequence[str], known: Sequence[str] | Mapping[str, Any] | frozenset[str]) -> None:
    """Raise ValueError for a name that is not known, saying which are."""
    for name in names:
        if name not in known:
            raise ValueError(f"{label}: expected one of {', '.join(sorted(known))}, found {name!r}")


def observe(
    groups: Mapping[str, Sequence[str]],
    observations: Sequence[Observation],
    moment: Any,
    rng: Key[Array, "*b"],
    past: Past | None = None,
) -> tuple[Observations, Past]:
    """What is seen at a moment: the entries of each group, one after the other.

    Args:
        groups: names of entries, in order, by the group's name.
        observations: the entries.
        moment: what their functions take.
        rng: keys for the noise.
        past: as the moment before returned it; None at an episode's start.

    Returns:
        Groups, and the values that delayed entries keep for later.
    """
    used = dict.fromkeys(name for names in groups.values() for name in names)
    chosen = [entry for entry in observations if entry.name in used]
    seen, kept = {}, {}
    for entry, key in zip(chosen, split(rng, len(chosen))):
        value = entry(moment)
        if entry.delay:
            now = value[..., None, :]
            before = jnp.repeat(now, entry.delay, -2) if past is None else past[entry.name]
            value, kept[entry.name] = before[..., -1, :], jnp.concatenate([now, before[..., :-1, :]], -2)
        seen[entry.name] = value + noise(entry, key, value) if entry.noise else value
    return {group: jnp.concatenate([seen[name] for name in names], -1) for group, names in groups.items()}, kept


def noise(entry: Observation, rng: Key[Array, "*b"], value: Float[Array, "*b n"]) -> Float[Array, "*b n"]:
    """What an entry's noise adds to a value."""
    bound = 3.0**0.5

    def draw(key: Array) -> Array:
        if entry.uniform:
            return jax.random.uniform(key, value.shape[-1:], value.dtype, -bound, bound)
        return jax.random.normal(key, value.shape[-1:], value.dtype)

    return entry.noise * jnp.vectorize(draw, signature="()->(n)")(rng)


def rewarded(rewards: Sequence[Reward], moment: Any) -> dict[str, Array]:
    """The weighted rewards (*b) by name; what is paid is their sum."""
    return {entry.name: entry.weight * entry(moment) for entry in rewards}


def failed(terminations: Sequence[Termination], moment: Any, already: Array) -> Array:
    """Where an episode has failed (*b), by one of the terms or ``already``."""
    return functools.reduce(jnp.logical_or, (entry(moment) for entry in terminations), already)


def happen(events: Sequence[Event], subject: Any, rng: Array, simulator: Any) -> Any:
    """What the events make of a subject, one after the other, for keys (*b)."""
    keys = split(rng, len(events)) if len(events) > 1 else (rng,)
    for entry, key in zip(events, keys):
        subject = entry(subject, key, simulator)
    return subject


def without_chance(observations: Sequence[Observation]) -> tuple[Observation, ...]:
    """The same observations without noise; what comes late still does, because that is part of the task."""
    return tuple(dataclasses.replace(entry, noise=0.0) for entry in observations)
