"""Low-rank adapters: small trained matrices beside frozen weights (LoRA, Hu et al. 2021, arXiv 2106.09685).

A network made of ``Dense`` computes ``y = W x + b + (alpha / r) B (A x)`` where it is given an adapter::

    adapter = init_adapter(params, rng, rank=16)                  # B is zero: nothing has changed yet
    y = network.apply(variables(params, adapter), x)

Adapters are pytrees of float32, whatever type the weights are kept in: small updates would round away in bfloat16.
Several, that of the old policy and that of the new one, share one set of weights in one program.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct, traverse_util
from jaxtyping import Float, Key

from mjxhuman.types import Array

Params = Mapping[str, Any]
#: Names of modules as in ``params``, from the outermost inwards.
Path = tuple[str, ...]


class Dense(nn.Module):
    """A linear layer ``(*b, n) -> (*b, features)``, with an adapter where the variables hold one for it."""

    features: int
    use_bias: bool = True
    kernel_init: Callable[..., jax.Array] = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer; the result has the type of ``x``."""
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features))
        y = x @ kernel.astype(x.dtype)
        if self.use_bias:
            y = y + self.param("bias", nn.initializers.zeros, (self.features,)).astype(x.dtype)
        if self.has_variable("adapter", "A"):
            a, b = self.get_variable("adapter", "A"), self.get_variable("adapter", "B")
            y = y + ((x.astype(a.dtype) @ a.T) @ b.T).astype(x.dtype)
        return y


@struct.dataclass
class Adapter:
    """Matrices ``A (r, n)`` and ``B (features, r)`` of some layers, nested as in the parameters."""

    weights: dict[str, Any]
    alpha: float = struct.field(pytree_node=False)
    rank: int = struct.field(pytree_node=False)

    @property
    def layers(self) -> dict[Path, dict[str, Float[Array, "_ _"]]]:
        """``{"A", "B"}`` by the path of the layer."""
        found: dict[Path, dict[str, Any]] = {}
        for path, value in traverse_util.flatten_dict(self.weights).items():
            found.setdefault(path[:-1], {})[path[-1]] = value
        return found


def targets(params: Params, patterns: Sequence[str] = ("*",)) -> list[Path]:
    """Paths of the layers with a kernel matrix whose names, joined by ".", match one of some patterns.

    Raises:
        ValueError: a pattern that matches no layer.
    """
    kernels = [
        path[:-1] for path, x in traverse_util.flatten_dict(params).items() if path[-1] == "kernel" and x.ndim == 2
    ]
    names = {".".join(path): path for path in kernels}
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise ValueError(f"adapter: expected a pattern for one of {', '.join(names)}, found {pattern!r}")
    return [path for name, path in names.items() if any(fnmatch.fnmatchcase(name, p) for p in patterns)]


def init_adapter(
    params: Params, rng: Key[Array, ""], *, rank: int, alpha: float | None = None, patterns: Sequence[str] = ("*",)
) -> Adapter:
    """An adapter that changes nothing yet: A uniform as PEFT draws it (within 1 / sqrt(n)), B zero.

    Args:
        params: of the network. rng: one key, for A. rank: r. alpha: None: the rank. patterns: as of ``targets``.

    Raises:
        ValueError: a rank below 1, or a pattern that matches no layer.
    """
    if rank < 1:
        raise ValueError(f"adapter: rank: expected 1 or more, found {rank}")
    flat = traverse_util.flatten_dict(params)
    weights: dict[Path, Any] = {}
    for i, path in enumerate(targets(params, patterns)):
        wide, features = flat[*path, "kernel"].shape
        bound = wide**-0.5
        weights[*path, "A"] = jax.random.uniform(jax.random.fold_in(rng, i), (rank, wide), jnp.float32, -bound, bound)
        weights[*path, "B"] = jnp.zeros((features, rank), jnp.float32)
    return Adapter(traverse_util.unflatten_dict(weights), float(rank if alpha is None else alpha), rank)


def variables(params: Params, adapter: Adapter | None) -> dict[str, Any]:
    """What ``apply`` of a network of ``Dense`` takes."""
    if adapter is None:
        return {"params": params}
    scaled = jax.tree_util.tree_map_with_path(
        lambda path, x: adapter.alpha / adapter.rank * x if path[-1].key == "B" else x, adapter.weights
    )
    return {"params": params, "adapter": scaled}


def difference(adapter: Adapter) -> dict[Path, Float[Array, "features n"]]:
    """``(alpha / r) B A`` by the path of the layer: what is added to its weight matrix."""
    scale = adapter.alpha / adapter.rank
    return {path: scale * layer["B"] @ layer["A"] for path, layer in adapter.layers.items()}


def merged(params: Params, adapter: Adapter) -> dict[str, Any]:
    """Parameters that do without the adapter what the network does with it, but for rounding to their type."""
    flat = traverse_util.flatten_dict(params)
    for path, added in difference(adapter).items():
        kernel = flat[*path, "kernel"]
        flat[*path, "kernel"] = (kernel.astype(jnp.float32) + added.T).astype(kernel.dtype)
    merged: dict[str, Any] = traverse_util.unflatten_dict(flat)
    return merged


def mixed(old: Adapter, new: Adapter, keep: Array | float) -> Adapter:
    """``keep`` of one adapter and the rest of another of the same layers."""
    return dataclasses.replace(
        old, weights=jax.tree.map(lambda a, b: keep * a + (1 - keep) * b, old.weights, new.weights)
    )


def size(adapter: Adapter) -> Array:
    """Frobenius norm () of all that the adapter adds, over all layers."""
    return jnp.sqrt(sum((jnp.sum(jnp.square(x)) for x in difference(adapter).values()), jnp.zeros(())))
