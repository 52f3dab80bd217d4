"""MuJoCo in JAX: MJX's own physics, which is differentiable, or MuJoCo Warp on NVIDIA GPUs. Float32."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jax import Array

#: MuJoCo Warp's room for contacts: of all environments together (per environment, on average) and of any single one.
#: Standing takes 12; of 60 bodies at rest after a fall none had more than 7, of bodies in random motion more than 12.
MEAN_CONTACTS, MAX_CONTACTS = 20, 40

#: States beyond this are failures, as in MuJoCo (``mjMAXVAL``).
_HUGE = 1e10

#: Arrays of a model or state larger than this are not written into a program where they hold one number throughout.
_LARGE = 1024


@functools.cache
def load_mjx() -> Any:
    """The module ``mujoco.mjx``; importing it takes a second, and it prints that Warp is missing where it is."""
    with contextlib.redirect_stdout(io.StringIO()):
        from mujoco import mjx
    return mjx


def require_warp() -> None:
    """Raise ImportError if the package that compiles MuJoCo Warp is missing."""
    if importlib.util.find_spec("warp") is None:
        raise ImportError("engine 'warp': expected the package warp-lang: pip install 'mjxhuman[warp]'; found none")


def _quiet(model: Any) -> Any:
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

    def advance(
        self, variant: Array, qpos: Array, qvel: Array, warmstart: Array, ctrl: Array
    ) -> tuple[Array, Array, Array]:
        """See ``CEngine.advance``: the same in, the same out."""
        mjx = load_mjx()
        with jax.ensure_compile_time_eval():
            pick, data = self._model, self._data(len(qpos))

        def one(variant: Array, qpos: Array, qvel: Array, warmstart: Array, ctrl: Array) -> tuple[Array, ...]:
            model = pick(variant)
            state = data().replace(qpos=qpos, qvel=qvel, qacc_warmstart=warmstart, ctrl=ctrl)
            state, _ = jax.lax.scan(lambda d, _: (mjx.step(model, d), None), state, None, self._substeps)
            found = (state.qpos, state.qvel, state.qacc_warmstart)
            fine = functools.reduce(jnp.logical_and, [jnp.all(jnp.abs(x) < _HUGE) for x in found])
            return tuple(jnp.where(fine, x, jnp.nan) for x in found)

        return jax.vmap(one)(variant, qpos, qvel, warmstart, ctrl)  # type: ignore[return-value]

    @functools.cached_property
    def _model(self) -> Callable[[Array], Any]:
        """From the number of a variant to its model, which shares the arrays that all variants agree on."""
        mjx = load_mjx()
        placed = [mjx.put_model(m, impl=self._implementation) for m in self._models]
        if self._implementation == "warp":
            placed = [_quiet(p) for p in placed]
        flat = [jax.tree.flatten(p) for p in placed]
        if len({structure for _, structure in flat}) != 1:
            raise ValueError("variants: expected models that differ in numbers alone, found other sizes or options")
        columns = [[np.asarray(x) for x in leaves] for leaves in zip(*(leaves for leaves, _ in flat), strict=True)]
        shared = [c[0] if all(np.array_equal(c[0], x) for x in c[1:]) else None for c in columns]
        stacked = [None if s is not None else jnp.asarray(np.stack(c)) for s, c in zip(shared, columns, strict=True)]

        def pick(variant: Array) -> Any:
            leaves = [jnp.asarray(s) if s is not None else x[variant] for s, x in zip(shared, stacked, strict=True)]
            return jax.tree.unflatten(flat[0][1], leaves)

        return pick

    def _data(self, size: int) -> Callable[[], Any]:
        """Makes MJX's data of one environment out of ``size``, in which every field but the state is a scratch area."""
        room = {}
        if self._implementation == "warp":
            rows = 4 * min(MAX_CONTACTS, self._models[0].npair)
            room = {"naconmax": size * min(MEAN_CONTACTS, self._models[0].npair), "njmax": rows}
        data = load_mjx().make_data(self._models[0], impl=self._implementation, **room)
        leaves, structure = jax.tree.flatten(data)
        fields = [np.asarray(x) for x in leaves]

        def build() -> Any:
            filled = [
                jnp.full(x.shape, x.flat[0], x.dtype) if x.size > _LARGE and np.all(x == x.flat[0]) else jnp.asarray(x)
                for x in fields
            ]
            return jax.tree.unflatten(structure, filled)

        return build
