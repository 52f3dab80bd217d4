"""Host-level batching: any number of frames through one compiled program of a fixed block size.

On a CPU a block of some hundred frames keeps its temporaries in the second-level cache, and one thread per core runs
blocks side by side. XLA's own parallelism inside a block is switched off: its kernels take microseconds, and handing
them out to threads costs more than they do (measured on 2 cores with jax 0.10.2, 0.11.2 and 0.12.0: 1.1 instead of
1.8-2.0 microseconds of processor time per frame of inverse dynamics). Threads were chosen over several host devices
with ``shard_map`` because the latter must be set up before JAX starts. On an accelerator one large call is best.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import threadpoolctl
from jax.experimental.layout import Layout, with_layout_constraint

from mjxhuman.runs.traced import TracedProgram

#: Frames per block on a CPU and on an accelerator.
CPU_BLOCK, DEVICE_BLOCK = 256, 65536
#: Calls of at most this many frames use this smaller block, so that one short clip does not pay for a large one.
SMALL_BLOCK = 128

#: Options of the compiler for programs that threads run side by side on a CPU. No program may hand parts of itself to
#: XLA's thread pool: two at once that wait there for their parts block each other for good (seen with jax 0.10.2).
CPU_OPTIONS = {"xla_disable_hlo_passes": "cpu-parallel-task-assigner", "xla_cpu_multi_thread_eigen": False}


#: Two programs of linear algebra at once can block each other for good, also when two threads load files: seen with
#: jax 0.10.2, which waits there for the thread pool it runs in.
_ONE_AT_A_TIME = threading.Lock()


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """For running a compiled least-squares program: alone, in float64, its small matrices on one
    BLAS thread each.

    On a busy machine BLAS threads wait for one another: factoring 69 unknowns then takes fifty times as long.
    """
    import scipy.linalg  # noqa: F401  # JAX calls its BLAS, which must be there to be held to one thread

    with _ONE_AT_A_TIME, jax.enable_x64(True), threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield


@functools.lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=cores(), thread_name_prefix="mjxhuman")


def run_blocks(run: Callable[[int], Any], starts: Sequence[int]) -> list[Any]:
    """``run(start)`` for every block: the first one here, which compiles, the others on one thread per core."""
    starts = list(starts)
    results: list[Any] = [None] * len(starts)
    if not starts:
        return results
    results[0] = run(starts[0])
    double = bool(jax.config.read("jax_enable_x64"))  # set by the thread, not inherited by the pool's
    tickets = itertools.count(1)

    def work() -> None:
        with jax.enable_x64(double):
            while (k := next(tickets)) < len(starts):
                results[k] = run(starts[k])

    helpers = [_pool().submit(work) for _ in range(min(cores(), len(starts) - 1) - 1)]
    try:
        work()
    finally:
        for k in tickets:  # after an error or an interrupt nobody starts another block
            if k >= len(starts):
                break
        for helper in helpers:
            if not helper.cancel():  # one that has not started has nothing left to do
                helper.result()
    return results


def _rows_first(x: Any) -> Any:
    """The frame axis first, in memory too: left to itself XLA reads the caller's order with a stride everywhere."""
    if x.ndim < 2:
        return x
    return jnp.moveaxis(with_layout_constraint(x, Layout(tuple(range(x.ndim)))), -1, 0)


def _frames_last(x: Any) -> Any:
    if x.ndim < 2:
        return x
    return with_layout_constraint(jnp.moveaxis(x, 0, -1), Layout(tuple(range(x.ndim))))


class _Where(NamedTuple):
    """How the leaves of the arrays come: which have their frames first, and their tree."""

    flips: tuple[bool, ...]
    treedef: Any


@functools.lru_cache(maxsize=256)
def _block_program(func: Callable[..., Any], static: tuple[Any, ...], keywords: tuple[Any, ...]) -> Callable[..., Any]:
    """Program of one block: arrays that come frames first are turned around inside, results leave frames first."""

    def program(where: _Where, constants: tuple[Any, ...], first: list[Any], last: list[Any]) -> Any:
        turned, straight = iter(first), iter(last)
        leaves = [_frames_last(next(turned)) if flip else next(straight) for flip in where.flips]
        return jax.tree.map(_rows_first, func(*static, *constants, *where.treedef.unflatten(leaves), **dict(keywords)))

    return TracedProgram(program, 1, CPU_OPTIONS, (func, static, keywords))


@functools.lru_cache(maxsize=256)
def _plain_program(func: Callable[..., Any], static: tuple[Any, ...], keywords: tuple[Any, ...]) -> Callable[..., Any]:
    return jax.jit(functools.partial(func, *static, **dict(keywords)))


def map_frames(
    fn: Callable[..., Any], constants: tuple[Any, ...], arrays: tuple[Any, ...], *, block: int = CPU_BLOCK
) -> Any:
    """Apply ``fn(*constants, *blocks)`` to blocks of frames and join the results.

    One program is compiled per function, whatever the number of frames; the last block is filled up with its last
    frame. Arrays given as transposed views of ``(N, ...)`` are read as they lie in memory.

    Args:
      fn: a function, or ``functools.partial`` of one with hashable arguments (the static ones). It takes and returns
        pytrees of arrays whose last axis is the frame axis, and treats frames independently.
      constants: pytrees passed whole to every call.
      arrays: pytrees of arrays ``(..., N)``, NumPy or JAX.
      block: frames per block on a CPU, for calls of more than ``SMALL_BLOCK`` frames.

    Returns:
      The pytree of results ``(..., N)``: NumPy arrays (views of frames-first memory) on a CPU, else JAX arrays.

    Raises:
      ValueError: the arrays differ in their number of frames, or there is none.
    """
    base, static, keywords = fn, (), ()  # type: Any, tuple[Any, ...], tuple[Any, ...]
    if isinstance(fn, functools.partial):
        base, static, keywords = fn.func, fn.args, tuple(sorted(fn.keywords.items()))
    leaves, treedef = jax.tree.flatten(arrays)
    counts = {x.shape[-1] for x in leaves}
    if len(counts) != 1 or counts == {0}:
        raise ValueError(f"arrays: expected one number of frames, at least 1, on the last axes; found {sorted(counts)}")
    count = counts.pop()
    if jax.default_backend() != "cpu":
        return _on_device(_plain_program(base, static, keywords), constants, leaves, treedef, count)
    size = SMALL_BLOCK if count <= SMALL_BLOCK else block
    program = _block_program(base, static, keywords)
    return _on_cpu(program, constants, [np.asarray(x) for x in leaves], treedef, count, size)


def _on_cpu(
    program: Callable[..., Any], constants: Any, leaves: list[np.ndarray], treedef: Any, count: int, size: int
) -> Any:
    rows = [np.moveaxis(x, -1, 0) for x in leaves]
    flips = tuple(x.ndim > 1 and row.flags.c_contiguous and x.strides[-1] != x.itemsize for x, row in zip(leaves, rows))
    where = _Where(flips, treedef)
    if count > size:
        constants = jax.device_put(constants)  # once, not with every block
    joined: list[np.ndarray] = []
    shape: list[Any] = []

    def run(start: int) -> None:
        stop = min(start + size, count)
        parts = [row[start:stop] if flip else x[..., start:stop] for x, row, flip in zip(leaves, rows, flips)]
        if stop - start < size:
            fill = size - (stop - start)
            parts = [
                np.concatenate([p, np.repeat(p[-1:], fill, 0)])
                if flip
                else np.concatenate([p, np.repeat(p[..., -1:], fill, -1)], -1)
                for p, flip in zip(parts, flips)
            ]
        first = [p for p, flip in zip(parts, flips) if flip]
        last = [p for p, flip in zip(parts, flips) if not flip]
        results, tree = jax.tree.flatten(program(where, constants, first, last))
        if not shape:
            shape.append(tree)
            joined.extend(np.empty((count, *x.shape[1:]), x.dtype) for x in results)
        for whole, result in zip(joined, results, strict=True):
            whole[start:stop] = np.asarray(result)[: stop - start]

    run_blocks(run, range(0, count, size))
    return shape[0].unflatten([np.moveaxis(x, 0, -1) for x in joined])


def _on_device(program: Callable[..., Any], constants: Any, leaves: list[Any], treedef: Any, count: int) -> Any:
    size = min(DEVICE_BLOCK, max(SMALL_BLOCK, 1 << (count - 1).bit_length()))
    results = []
    for start in range(0, count, size):
        parts = [jnp.asarray(x[..., start : start + size]) for x in leaves]
        fill = size - parts[0].shape[-1]
        if fill:
            parts = [jnp.pad(p, [(0, 0)] * (p.ndim - 1) + [(0, fill)], mode="edge") for p in parts]
        results.append(program(*constants, *treedef.unflatten(parts)))
    return jax.tree.map(lambda *x: jnp.concatenate(x, -1)[..., :count], *results)
