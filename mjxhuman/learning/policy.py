"""A trained policy by itself: what it sees to what it does, and the one file that it is shipped in."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct, traverse_util

from mjxhuman.learning.array_files import nested, read_arrays, write_arrays
from mjxhuman.learning.networks import Networks, Params
from mjxhuman.learning.normalization import Statistics, normalize

FORMAT = "mjxhuman-policy"
VERSION = 1
STATISTICS = ("mean", "var", "count")
#: The layer that sees the observations.
_FIRST = "hidden_0"


@struct.dataclass
class Policy:
    """Deterministic policy: the mean of the Gaussian.

    Attributes:
        params: of the networks; the critic's may be missing.
        statistics: of the actor's observations.
        networks: shapes. clip: bound of normalised observations.
    """

    params: Params
    statistics: Statistics
    networks: Networks = struct.field(pytree_node=False)
    clip: float = struct.field(pytree_node=False)

    def __call__(self, obs: Mapping[str, jax.Array]) -> jax.Array:
        """Actions (*b, n) for observation groups; the group "state" (*b, m) is used."""
        seen = normalize(self.statistics, obs["state"], self.clip)
        return self.networks.policy(self.params, seen)[0]

    def widened(self, seen: Statistics) -> Policy:
        """The same policy in the first of more numbers (n,), whose statistics are those of ``seen``; it acts as before,
        whatever the others are."""
        own, more = self.statistics.mean.shape[0], seen.mean.shape[0]
        if own >= more:
            return self
        mean, var = (jnp.concatenate([getattr(self.statistics, k), getattr(seen, k)[own:]]) for k in ("mean", "var"))
        first = {**self.params["actor"][_FIRST]}
        first["kernel"] = jnp.pad(first["kernel"], ((0, more - own), (0, 0)))
        return dataclasses.replace(
            self,
            params={**self.params, "actor": {**self.params["actor"], _FIRST: first}},
            statistics=Statistics(mean, var, self.statistics.count),
            networks=dataclasses.replace(self.networks, observation=(more, self.networks.observation[1])),
        )

    def into(self, params: Params) -> Params:
        """Parameters of a training with those that act from here.

        Raises:
            ValueError: they are of another network (the first array that differs).
        """
        own, given = _acting(params), _acting(self.params)
        for name in sorted({*own, *given}):
            a, b = (None if name not in x else x[name].shape for x in (own, given))
            if a != b:
                raise ValueError(f"start: params/{name}: expected shape {a} of this training, found {b} in the policy")
        return traverse_util.unflatten_dict(traverse_util.flatten_dict(params, sep="/") | given, sep="/")


def save_policy(path: str | os.PathLike[str], policy: Policy, meta: Mapping[str, Any]) -> None:
    """Write a policy as one compressed ``.npz``, without what only training needs.

    Args:
        path: the file.
        policy: what to save.
        meta: JSON-ready facts for whoever loads it: humanoid, observation set, action mode, configuration, how it was
            trained.
    """
    arrays = {f"params/{k}": np.asarray(v) for k, v in _acting(policy.params).items()}
    arrays |= {f"statistics/{k}": np.asarray(getattr(policy.statistics, k)) for k in STATISTICS}
    networks = dataclasses.asdict(policy.networks)
    header = {"format": FORMAT, "version": VERSION, "networks": networks, "clip": policy.clip, "meta": dict(meta)}
    write_arrays(path, arrays, header)


def load_policy(path: str | os.PathLike[str], expect: Mapping[str, Any] | None = None) -> tuple[Policy, dict[str, Any]]:
    """A policy from its file, and its facts.

    Args:
        path: file of ``save_policy``.
        expect: facts that must hold, for example {"humanoid": "smpl"}.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a policy, of another format version, incomplete, or a fact differs (file and field are named).
    """
    arrays, header = read_arrays(path, "policy", FORMAT, VERSION)
    if missing := [k for k in STATISTICS if f"statistics/{k}" not in arrays]:
        raise ValueError(f"{path}: expected the arrays statistics/mean, /var and /count, {', '.join(missing)} missing")
    meta = header["meta"]
    for name, value in (expect or {}).items():
        if meta.get(name) != value:
            raise ValueError(f"{path}: {name}: expected {value!r}, the policy was trained with {meta.get(name)!r}")
    shapes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in header["networks"].items()}
    known = [field.name for field in dataclasses.fields(Networks)]
    if set(shapes) != set(known):
        raise ValueError(f"{path}: networks: expected the fields {', '.join(known)}, found {', '.join(shapes)}")
    policy = Policy(
        params=nested(arrays, "params"),
        statistics=Statistics(*(jnp.asarray(arrays[f"statistics/{k}"]) for k in STATISTICS)),
        networks=Networks(**shapes),
        clip=header["clip"],
    )
    _check_arrays(path, policy)
    return policy, meta


def _acting(params: Params) -> dict[str, Any]:
    """The parameters that acting needs, by path: not those of critic and discriminator."""
    flat = traverse_util.flatten_dict(params, sep="/")
    return {name: value for name, value in flat.items() if name.startswith(("actor/", "log_std"))}


def _check_arrays(path: str | os.PathLike[str], policy: Policy) -> None:
    """Every array that the networks need is there, with its shape."""
    wanted = jax.eval_shape(policy.networks.init, jax.random.key(0))
    wanted = {k: v.shape for k, v in _acting(wanted).items()}
    found = {k: v.shape for k, v in _acting(policy.params).items()}
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            raise ValueError(f"{path}: params/{name}: expected shape {wanted.get(name)}, found {found.get(name)}")
