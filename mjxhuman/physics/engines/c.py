"""C MuJoCo, float64, a batch of states at a time on a pool of threads, called from compiled JAX programs."""

from __future__ import annotations

import collections
import threading
from collections.abc import Sequence

import jax
import mujoco
import numpy as np
from jax import Array
from mujoco.batch import Batch

#: Batches of this many sizes are kept (their threads and MjData; a few MB each), the least recently used goes.
_KEPT = 6

_STATE = ("qpos", "qvel", "qacc_warmstart")
_COUNT = 1  # which of the two integers of a warning is the number of times it was raised


class CEngine:
    """Steps states with ``mujoco.batch``: the state of every environment goes in and comes out, nothing is kept.

    A callback from XLA's threads may only handle NumPy. A lock makes calls from several devices or threads one by one.
    """

    def __init__(self, models: Sequence[mujoco.MjModel], substeps: int, threads: int) -> None:
        self._models, self._substeps, self._threads = tuple(models), substeps, threads
        self._lock = threading.Lock()
        self._batches: collections.OrderedDict[int, Batch] = collections.OrderedDict()

    def advance(self, qpos: Array, qvel: Array, warmstart: Array, ctrl: Array) -> tuple[Array, Array, Array]:
        """See ``Simulator.advance``: (n, nq), (n, nv), (n, nv) and (n, nu) in, the first three out."""
        shapes = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (qpos, qvel, warmstart))
        return jax.pure_callback(self._step, shapes, qpos, qvel, warmstart, ctrl, vmap_method="broadcast_all")

    def _step(self, *arrays: Array) -> tuple[np.ndarray, ...]:
        inputs = [np.asarray(x) for x in arrays]
        lead = inputs[0].shape[:-1]
        rows = [x.reshape(-1, x.shape[-1]) for x in inputs]
        failed = ~np.logical_and.reduce([np.isfinite(x).all(axis=1) for x in rows])
        with self._lock:
            batch = self._batch(len(failed))
            batch.bind("time")[:] = 0.0
            for name, x in zip((*_STATE, "ctrl"), rows, strict=True):
                batch.bind(name)[:] = x
                batch.bind(name)[failed] = 0.0
            batch.warning[:] = 0
            batch.step(nstep=self._substeps)
            found = [batch.bind(name).astype(inputs[0].dtype) for name in _STATE]
            # MuJoCo puts a state it cannot step back to the rest pose and counts a warning: return NaN instead
            failed |= np.any(batch.warning[..., _COUNT] != 0, axis=1)
        for x in found:
            x[failed] = np.nan
        return tuple(x.reshape(*lead, -1) for x in found)

    def _batch(self, size: int) -> Batch:
        if size in self._batches:
            self._batches.move_to_end(size)
            return self._batches[size]
        batch = Batch(self._models[0], size, min(self._threads, max(1, size)))
        if len(self._models) > 1:
            batch.set_models([self._models[i % len(self._models)] for i in range(size)])
        self._batches[size] = batch
        if len(self._batches) > _KEPT:
            self._batches.popitem(last=False)
        return batch
