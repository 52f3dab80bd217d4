"""C MuJoCo, float64, a batch of states at a time on a pool of threads; from compiled JAX programs or from NumPy."""

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

from mjxhuman.physics.engines.base import PhysicsState

#: Batches of this many sizes are kept (their threads and MjData, a few MB each); the least recently used goes.
_KEPT = 6

_STATE = ("qpos", "qvel", "qacc_warmstart")
#: What the layout of MuJoCo's data depends on.
_SIZES = ("nq", "nv", "nu", "na", "nbody", "njnt", "ngeom", "npair", "neq", "ntree", "nsensordata", "nbvh", "nC", "nM")
_COUNT = 1  # which of the two integers of a warning is the number of times it was raised

States = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclasses.dataclass
class _Slot:
    """The batch of one size, and which model each of its simulations runs."""

    batch: Batch
    variant: np.ndarray | None = None


def same_layout(models: Sequence[mujoco.MjModel]) -> tuple[mujoco.MjModel, ...]:
    """The models, all of one size, so that a batch may mix them; ``mujoco.rollout`` mixes others to nonsense.

    Raises:
        ValueError: models of different sizes.
    """
    for i, model in enumerate(models[1:], start=1):
        for name in _SIZES:
            if (found := getattr(model, name)) != (expected := getattr(models[0], name)):
                raise ValueError(
                    f"variants: expected models of one layout, found {name} {expected} and, of number {i}, {found}; "
                    "compose scenes with one Layout (scenes.compose.compose_all)"
                )
    return tuple(models)


class CEngine:
    """Steps states with ``mujoco.batch``: every environment's state goes in and comes out, nothing else is kept.

    A callback from XLA's threads may only handle NumPy. A lock takes calls from several devices or threads one by one.
    """

    def __init__(self, models: Sequence[mujoco.MjModel], substeps: int, threads: int) -> None:
        self._models, self._substeps, self._threads = same_layout(models), substeps, threads
        self._lock = threading.Lock()
        self._slots: collections.OrderedDict[int, _Slot] = collections.OrderedDict()

    def advance(self, variant: Array, state: PhysicsState, ctrl: Array) -> PhysicsState:
        """See ``Engine.advance``."""
        states = self.rollout(variant, state, ctrl[:, None])
        return PhysicsState(*(x[:, 0] for x in states))

    def rollout(self, variant: Array, state: PhysicsState, ctrl: Array) -> PhysicsState:
        """See ``Engine.rollout``. One callback; the state is rounded to its type at every control step."""
        n, horizon, _ = ctrl.shape
        shapes = tuple(jax.ShapeDtypeStruct((n, horizon, x.shape[-1]), x.dtype) for x in state)
        arguments = (variant[:, None], *state, ctrl)
        return PhysicsState(*jax.pure_callback(self._callback, shapes, *arguments, vmap_method="broadcast_all"))

    def rollout_host(
        self,
        qpos: np.ndarray,
        qvel: np.ndarray,
        warmstart: np.ndarray,
        ctrl: np.ndarray,
        out: States | None = None,
        variant: np.ndarray | None = None,
    ) -> States:
        """``rollout`` of NumPy arrays in float64, for callers that sit in a loop on the host.

        Args:
            qpos, qvel, warmstart: (n, nq), (n, nv), (n, nv), or with n = 1 one state for all samples.
            ctrl: (n, H, nu).
            out: arrays (n, H, nq), (n, H, nv), (n, H, nv) of float64 to write into; None makes new ones.
            variant: (n,) which model each sample runs; None: ``i % number of variants``.

        Returns:
            ``out``: the coordinates, velocities and warm starts after each control step.
        """
        n, horizon, _ = ctrl.shape
        model = self._models[0]
        if out is None:
            out = (np.empty((n, horizon, model.nq)), *(np.empty((n, horizon, model.nv)) for _ in range(2)))
        self._run(np.arange(n) % len(self._models) if variant is None else variant, (qpos, qvel, warmstart), ctrl, out)
        return out

    def _callback(self, *arrays: Array) -> States:
        variant, *state, ctrl = (np.asarray(x) for x in arrays)
        lead, horizon, dtype = ctrl.shape[:-2], ctrl.shape[-2], state[0].dtype
        rows = [x.reshape(-1, x.shape[-1]) for x in state]
        out = tuple(np.empty((len(x), horizon, x.shape[-1]), dtype) for x in rows)
        self._run(variant.reshape(-1), rows, ctrl.reshape(-1, *ctrl.shape[-2:]), out)
        return tuple(x.reshape(*lead, horizon, x.shape[-1]) for x in out)  # type: ignore[return-value]

    def _run(
        self, variant: np.ndarray, state: Sequence[np.ndarray], ctrl: np.ndarray, out: Sequence[np.ndarray]
    ) -> None:
        """Write the states after every control step to ``out``, whose type they are rounded to between the steps."""
        lost = ~np.isfinite(ctrl).all(-1)  # (n, H)
        failed = ~np.logical_and.reduce([np.isfinite(x).all(-1) for x in state]) | np.zeros(len(ctrl), bool)
        with self._lock:
            batch = self._batch(variant)
            fields, control = [batch.bind(name) for name in _STATE], batch.bind("ctrl")
            batch.bind("time")[:] = 0.0
            for field, x in zip(fields, state, strict=True):
                field[:] = x
            for step in range(ctrl.shape[1]):
                control[:] = ctrl[:, step]
                failed |= lost[:, step]
                for field in (*fields, control) if failed.any() else ():
                    field[failed] = 0.0
                batch.warning[:] = 0
                batch.step(nstep=self._substeps)
                # MuJoCo puts a state it cannot step back to the rest pose and counts a warning: return NaN instead
                failed |= np.any(batch.warning[..., _COUNT] != 0, axis=1)
                for field, x in zip(fields, out, strict=True):
                    x[:, step] = field
                    x[failed, step] = np.nan
                    field[:] = x[:, step]

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
