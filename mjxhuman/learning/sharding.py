"""Training on several devices and hosts: each device steps its share of the environments and takes its share of every
minibatch; gradients, statistics and metrics are averaged, so that parameters stay the same everywhere.

The program is the algorithm's own under ``shard_map``: a physics engine that is called back from it runs once per
device, on that device's environments. Random numbers depend on the number of devices, but not on how many processes
they belong to. On a CPU, wait for every iteration: unawaited programs with collectives can block each other.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from mjxhuman.envs import Env
from mjxhuman.learning.algorithm import Algorithm, Iteration, Metrics
from mjxhuman.learning.faults import Fault
from mjxhuman.runs.devices import AXIS, EVERYWHERE, SPLIT, place

Tree = TypeVar("Tree")


def state_specs(algorithm: Algorithm[Tree], state: Tree) -> Any:
    """Where the arrays of a training's state lie: split over the devices by rows, or everywhere."""
    return jax.tree.map(lambda rows: SPLIT if rows else EVERYWHERE, algorithm.split(state))


def shard(algorithm: Algorithm[Tree], state: Tree, mesh: Mesh) -> Tree:
    """Lay a training's state, the same in every process, over the devices."""
    return place(state, mesh, state_specs(algorithm, state))


def make_sharded_iteration(algorithm: Algorithm[Tree], mesh: Mesh, state: Tree) -> Iteration[Tree]:
    """The algorithm's iteration, jitted, over the devices of ``mesh``; ``state`` gives the structure.

    The arguments of the program must have gone through ``shard`` and ``replicate``.

    Raises:
        ValueError: what is split cannot be divided among the devices.
    """
    algorithm.check_devices(mesh.size)

    def iteration(state: Tree, env: Env) -> tuple[Tree, Metrics, Fault]:
        state, metrics, fault = algorithm.iteration(state, env, AXIS)
        found = jax.lax.pmax(fault.found.astype(jnp.int32), AXIS) > 0
        step, update = ({name: _earliest(at) for name, at in terms.items()} for terms in (fault.step, fault.update))
        return state, metrics, dataclasses.replace(fault, found=found, step=step, update=update)

    specs = state_specs(algorithm, state)
    everywhere, split = cast("tuple[Any, Any]", (EVERYWHERE, SPLIT))
    fault_specs = Fault(step=everywhere, update=everywhere, found=everywhere, state=split, action=split, bad=split)
    program = jax.shard_map(
        iteration, mesh=mesh, in_specs=(specs, EVERYWHERE), out_specs=(specs, EVERYWHERE, fault_specs), check_vma=False
    )
    return jax.jit(program, donate_argnums=0)


def _earliest(step: jax.Array) -> jax.Array:
    """The smallest of the devices' numbers that is not negative; -1 if all are."""
    never = jnp.iinfo(jnp.int32).max
    first = jax.lax.pmin(jnp.where(step < 0, never, step), AXIS)
    return jnp.where(first == never, -1, first)
