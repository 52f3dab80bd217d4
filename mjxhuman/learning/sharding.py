"""Training on several devices and hosts: each device steps its share of the environments and takes its share of every
minibatch; gradients, statistics and metrics are averaged, so that parameters stay the same everywhere.

The program is the one of ``ppo`` under ``shard_map``: a physics engine that is called back from it runs once per
device, on that device's environments. Random numbers depend on the number of devices, but not on how many processes
they belong to. On a CPU, wait for every iteration: unawaited programs with collectives can block each other.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mjxhuman.envs import Env
from mjxhuman.learning.amp import Buffer
from mjxhuman.learning.config import PPOConfig
from mjxhuman.learning.ppo import Iteration, Metrics, TrainState, iteration_body
from mjxhuman.learning.rollout import Fault

Tree = TypeVar("Tree")
AXIS = "devices"
EVERYWHERE, SPLIT = PartitionSpec(), PartitionSpec(AXIS)


def make_mesh() -> Mesh:
    """All devices of all processes in a row (``jax.distributed.initialize`` comes first where there are several)."""
    return jax.make_mesh((jax.device_count(),), (AXIS,), axis_types=(jax.sharding.AxisType.Auto,))


def train_state_specs(train: TrainState) -> TrainState:
    """What of a train state is split over the devices: environments, and the rows of the adversarial buffers."""
    specs = jax.tree.map(lambda _: EVERYWHERE, train)
    amp = None
    if train.amp is not None:
        amp = dataclasses.replace(specs.amp, replay=_rows_split(specs.amp.replay), demos=_rows_split(specs.amp.demos))
    return dataclasses.replace(specs, actors=jax.tree.map(lambda _: SPLIT, train.actors), amp=amp)


def _rows_split(buffer: Buffer) -> Buffer:
    spec: Any = SPLIT
    return dataclasses.replace(buffer, data=spec)


def shard(train: TrainState, mesh: Mesh) -> TrainState:
    """Lay a train state, the same in every process, over the devices.

    Raises:
        ValueError: the environments cannot be divided among the devices.
    """
    return place(train, mesh, train_state_specs(train))


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


def local(leaf: jax.Array) -> np.ndarray:
    """The rows of an array that this process's devices hold, in order."""
    rows = {shard.index[0].start or 0 if shard.index else 0: shard.data for shard in leaf.addressable_shards}
    parts = [np.asarray(rows[start]) for start in sorted(rows)]
    return np.concatenate(parts) if parts[0].ndim else parts[0]


def check_divisible(config: PPOConfig, devices: int) -> None:
    """Everything that is split can be split evenly.

    Raises:
        ValueError: naming the number that cannot.
    """
    sizes = {"num_envs": config.num_envs, "minibatch_size": config.minibatch_size}
    if config.amp is not None:
        names = ("batch_size", "replay_size", "replay_add", "demo_size", "demo_add")
        sizes |= {f"amp.{name}": getattr(config.amp, name) for name in names}
    for name, size in sizes.items():
        if size % devices:
            raise ValueError(f"PPOConfig.{name}: expected a multiple of the {devices} devices, found {size}")


def make_sharded_iteration(env: Env, config: PPOConfig, mesh: Mesh, train: TrainState) -> Iteration:
    """As ``ppo.make_iteration``, over the devices of ``mesh``; ``train`` gives the structure.

    The arguments of the program must have gone through ``shard`` and ``replicate``.
    """
    check_divisible(config, mesh.size)
    body = iteration_body(env, config, AXIS)

    def iteration(train: TrainState, env: Env) -> tuple[TrainState, Metrics, Fault]:
        train, metrics, fault = body(train, env)
        found = jax.lax.pmax(fault.found.astype(jnp.int32), AXIS) > 0
        steps = {name: _earliest(step) for name, step in fault.step.items()}
        return train, metrics, dataclasses.replace(fault, found=found, step=steps)

    specs = train_state_specs(train)
    everywhere, split = cast("tuple[Any, Any]", (EVERYWHERE, SPLIT))
    fault_specs = Fault(step=everywhere, found=everywhere, state=split, action=split, bad=split)
    program = jax.shard_map(
        iteration, mesh=mesh, in_specs=(specs, EVERYWHERE), out_specs=(specs, EVERYWHERE, fault_specs), check_vma=False
    )
    return jax.jit(program, donate_argnums=0)


def _earliest(step: jax.Array) -> jax.Array:
    """The smallest of the devices' numbers that is not negative; -1 if all are."""
    never = jnp.iinfo(jnp.int32).max
    first = jax.lax.pmin(jnp.where(step < 0, never, step), AXIS)
    return jnp.where(first == never, -1, first)
