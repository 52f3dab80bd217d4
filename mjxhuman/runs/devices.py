"""Several devices: a row of them, and arrays that lie on all of them or are split over them."""

from __future__ import annotations

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Tree = TypeVar("Tree")
AXIS = "devices"
EVERYWHERE, SPLIT = PartitionSpec(), PartitionSpec(AXIS)


def make_mesh() -> Mesh:
    """All devices of all processes in a row (``jax.distributed.initialize`` comes first where there are several)."""
    return jax.make_mesh((jax.device_count(),), (AXIS,), axis_types=(jax.sharding.AxisType.Auto,))


def replicate(tree: Tree, mesh: Mesh) -> Tree:
    """Copy a pytree, the same in every process, to every device; for the environment."""
    return place(tree, mesh, jax.tree.map(lambda _: EVERYWHERE, tree))


def place(tree: Tree, mesh: Mesh, specs: Any) -> Tree:
    """Lay every array out as its spec says; each process holds the whole array and gives its devices their parts."""

    def put(leaf: Any, spec: PartitionSpec) -> jax.Array:
        sharding = NamedSharding(mesh, spec)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            bits = put(jax.random.key_data(leaf), spec)
            return jax.random.wrap_key_data(bits, impl=jax.random.key_impl(leaf))
        whole = np.asarray(leaf)
        return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

    return jax.tree.map(put, tree, specs)
