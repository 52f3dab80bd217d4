"""C MuJoCo, float64, a batch of states at a time on a pool of threads, called from compiled JAX programs."""

from __future__ import annotations

import collections
import dataclasses
import threading
from collections.abc import Sequence

import jax
import mujoco
import numpy as np
from jax import Array
from mujoco.batch import Batch

#: Batches of this many sizes are kept (their threads and MjData, a few MB each); the least recently used goes.
_KEPT = 6

_STATE = ("qpos", "qvel", "qacc_warmstart")
_COUNT = 1  # which of the two integers of a warning is the number of times it was raised


@dataclasses.dataclass
class _Slot:
    """The batch of one size, and which model each of its simulations runs."""

    batch: Batch
    variant: np.ndarray | None = None


class CEngine:
    """Steps states with ``mujoco.batch``: every environment's state goes in and comes out, nothing else is kept.

    A callback from XLA's threads may only handle NumPy. A lock takes calls from several devices or threads one by one.
    """

    def __init__(self, models: Sequence[mujoco.MjModel], substeps: int, threads: int) -> None:
        self._models, self._substeps, self._threads = tuple(models), substeps, threads
        self._lock = threading.Lock()
        self._slots: collections.OrderedDict[int, _Slot] = collections.OrderedDict()

    def advance(
        self, variant: Array, qpos: Array, qvel: Array, warmstart: Array, ctrl: Array
    ) -> tuple[Array, Array, Array]:
        """The state (qpos (n, nq), qvel (n, nv), warmstart (n, nv)) a control step later; NaN where that failed.

        ``variant`` (n,) int says which model each environment runs; ``ctrl`` is (n, nu).
        """
        shapes = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (qpos, qvel, warmstart))
        arguments = (variant[:, None], qpos, qvel, warmstart, ctrl)
        return jax.pure_callback(self._step, shapes, *arguments, vmap_method="broadcast_all")

    def _step(self, *arrays: Array) -> tuple[np.ndarray, ...]:
        inputs = [np.asarray(x) for x in arrays]
        lead, dtype = inputs[1].shape[:-1], inputs[1].dtype
        variant, *rows = (x.reshape(-1, x.shape[-1]) for x in inputs)
        failed = ~np.logical_and.reduce([np.isfinite(x).all(axis=1) for x in rows])
        with self._lock:
            batch = self._batch(variant[:, 0])
            batch.bind("time")[:] = 0.0
            for name, x in zip((*_STATE, "ctrl"), rows, strict=True):
                field = batch.bind(name)
                field[:] = x
                field[failed] = 0.0
            batch.warning[:] = 0
            batch.step(nstep=self._substeps)
            found = [batch.bind(name).astype(dtype) for name in _STATE]
            # MuJoCo puts a state it cannot step back to the rest pose and counts a warning: return NaN instead
            failed |= np.any(batch.warning[..., _COUNT] != 0, axis=1)
        for x in found:
            x[failed] = np.nan
        return tuple(x.reshape(*lead, x.shape[-1]) for x in found)

    def _batch(self, variant: np.ndarray) -> Batch:
        """The batch of this size, its simulations running the given models."""
        size = len(variant)
        slot = self._slots.pop(size, None) or _Slot(Batch(self._models[0], size, max(1, min(self._threads, size))))
        self._slots[size] = slot
        if len(self._slots) > _KEPT:
            self._slots.popitem(last=False)
        if len(self._models) > 1 and not np.array_equal(slot.variant, variant):
            slot.batch.set_models([self._models[i] for i in variant])
            slot.variant = variant.copy()
        return slot.batch
