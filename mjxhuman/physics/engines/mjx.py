"""MuJoCo in JAX: MJX's own physics, which is differentiable, or MuJoCo Warp on NVIDIA GPUs. Float32."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jax import Array

from mjxhuman.physics.engines.base import PhysicsState, scan
from mjxhuman.physics.engines.room import contact_room

if TYPE_CHECKING:
    from mujoco.mjx import Data, Model

#: States beyond this are failures, as in MuJoCo (``mjMAXVAL``).
_HUGE = 1e10

#: Arrays of a model or state larger than this are not written into a program where they hold one number throughout.
_LARGE = 1024


@functools.cache
def load_mjx() -> ModuleType:
    """The module ``mujoco.mjx``; importing it takes a second, and it prints that Warp is missing where it is."""
    with contextlib.redirect_stdout(io.StringIO()):
        from mujoco import mjx
    return mjx


def require_warp() -> None:
    """Raise ImportError if the package that compiles MuJoCo Warp is missing."""
    if importlib.util.find_spec("warp") is None:
        raise ImportError("engine 'warp': expected the package warp-lang: pip install 'mjxhuman[warp]'; found none")


def _quiet(model: Model) -> Model:
    """The model without a printed line each time the contact solver uses all of its few iterations."""
    from mujoco.mjx.third_party.mujoco_warp import OverflowType

    return model.tree_replace({"opt._impl.warn_overflow": int(OverflowType.ALL & ~OverflowType.ITERATIONS)})


class MjxEngine:
    """Steps states with ``mjx.step``; ``implementation`` is "jax" (differentiable) or "warp".

    MJX's derivative of a servo's length is zero where its ball joint is at exactly no rotation: differentiate at a pose
    a little off the T-pose.
    """

    def __init__(self, models: Sequence[mujoco.MjModel], substeps: int, implementation: str) -> None:
        if implementation == "warp":
            require_warp()
        self._models, self._substeps, self._implementation = tuple(models), substeps, implementation

    def advance(self, variant: Array, state: PhysicsState, ctrl: Array) -> PhysicsState:
        """See ``Engine.advance``."""
        mjx = load_mjx()
        with jax.ensure_compile_time_eval():
            pick, data = self._model, self._data(len(ctrl))

        def one(variant: Array, state: PhysicsState, ctrl: Array) -> PhysicsState:
            model = pick(variant)
            d = data().replace(qpos=state.qpos, qvel=state.qvel, qacc_warmstart=state.warmstart, ctrl=ctrl)
            d, _ = jax.lax.scan(lambda d, _: (mjx.step(model, d), None), d, None, self._substeps)
            found = PhysicsState(d.qpos, d.qvel, d.qacc_warmstart)
            fine = functools.reduce(jnp.logical_and, [jnp.all(jnp.abs(x) < _HUGE) for x in found])
            return PhysicsState(*(jnp.where(fine, x, jnp.nan) for x in found))

        return jax.vmap(one)(variant, state, ctrl)

    def rollout(self, variant: Array, state: PhysicsState, ctrl: Array) -> PhysicsState:
        """See ``Engine.rollout``: one scan."""
        return scan(self, variant, state, ctrl)

    @functools.cached_property
    def _model(self) -> Callable[[Array], Model]:
        """From the number of a variant to its model, which shares the arrays that all variants agree on."""
        mjx = load_mjx()
        placed = [mjx.put_model(m, impl=self._implementation) for m in self._models]
        if self._implementation == "warp":
            placed = [_quiet(p) for p in placed]
        elif self._models[0].nhfield == 0:  # sizes that MJX keeps for height fields, by which it tells models apart
            sizes = placed[0]._impl.geom_rbound_hfield
            placed = [p.tree_replace({"_impl.geom_rbound_hfield": sizes}) for p in placed]
        flat = [jax.tree.flatten(p) for p in placed]
        if len({structure for _, structure in flat}) != 1:
            raise ValueError("variants: expected models that differ in numbers alone, found other sizes or options")
        columns = [[np.asarray(x) for x in leaves] for leaves in zip(*(leaves for leaves, _ in flat), strict=True)]
        shared = [c[0] if all(np.array_equal(c[0], x) for x in c[1:]) else None for c in columns]
        stacked = [None if s is not None else jnp.asarray(np.stack(c)) for s, c in zip(shared, columns, strict=True)]

        def pick(variant: Array) -> Model:
            leaves = [jnp.asarray(s) if x is None else x[variant] for s, x in zip(shared, stacked, strict=True)]
            return jax.tree.unflatten(flat[0][1], leaves)

        return pick

    def _data(self, size: int) -> Callable[[], Data]:
        """Makes MJX's data of one environment out of ``size``, in which every field but the state is a scratch area."""
        sizes = {}
        if self._implementation == "warp":
            room = contact_room(self._models[0])
            sizes = {"naconmax": size * room.mean, "njmax": room.rows}
        data = load_mjx().make_data(self._models[0], impl=self._implementation, **sizes)
        leaves, structure = jax.tree.flatten(data)
        fields = [np.asarray(x) for x in leaves]

        def build() -> Data:
            filled = [
                jnp.full(x.shape, x.flat[0], x.dtype) if x.size > _LARGE and np.all(x == x.flat[0]) else jnp.asarray(x)
                for x in fields
            ]
            return jax.tree.unflatten(structure, filled)

        return build
