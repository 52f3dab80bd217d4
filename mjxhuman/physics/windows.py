"""Functions of the frames around each frame, over any number of clips: one compiled program, a thread per core.

Clips are laid one after the other with gaps that no window crosses, and cut into overlapping pieces of one length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool

from mjxhuman.physics.batching import run_blocks

#: Frames that one call takes: its temporaries fit a core's cache.
CHUNK = 512


def bucket(frames: int) -> int:
    """Lengths are padded to powers of two from 64, so that a new length seldom needs a new program."""
    return max(64, 1 << (frames - 1).bit_length())


def apart(shape: tuple[int, ...], reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Clips of a shape ``(*b, T)`` one after the other, with gaps in between and at both ends that no window crosses.

    Returns:
      Of each place the flat frame that is there, or any, and whether it is a frame, not a gap.
    """
    frames, clips = shape[-1], int(np.prod(shape[:-1], dtype=int))
    index = np.full((clips, frames + reach + 1), -1)
    index[:, :frames] = np.arange(clips * frames).reshape(clips, frames)
    index = np.concatenate([np.full(2 * reach + 1, -1), index.ravel(), np.full(reach, -1)])
    return np.maximum(index, 0), index >= 0


def over_windows(
    program: Callable[[Any, np.ndarray], Any], arrays: Any, valid: Bool[np.ndarray, "*b T"], reach: int
) -> Any:
    """Apply a function of frames and their neighbours to all frames of clips.

    Args:
      program: takes a pytree of ``(size, ...)`` and ``(size,)`` bool, which places are valid frames; returns a pytree
        of ``(size, ...)`` that at no place depends on frames farther than twice ``reach`` away.
      arrays: pytree of ``(N, ...)``, NumPy, the frames of all clips.
      valid: of N frames; others take no part in any window.

    Returns:
      The pytree of results ``(N, ...)``, NumPy.
    """
    index, frame = apart(valid.shape, reach)
    known, gap = valid.reshape(-1)[index] & frame, 2 * reach + 1
    most = max(CHUNK, bucket(4 * gap))
    size = most if len(index) > most else bucket(len(index))
    inner = size - 2 * gap
    rows, treedef = jax.tree.flatten(arrays)
    joined: list[np.ndarray] = []
    shape: list[Any] = []

    def run(start: int) -> None:
        places = np.minimum(np.arange(start, start + size), len(index) - 1)
        part = jax.tree.unflatten(treedef, [row[index[places]] for row in rows])
        use = known[places] & (np.arange(start, start + size) < len(index))
        results, tree = jax.tree.flatten(program(part, use))
        if not shape:
            shape.append(tree)
            joined.extend(np.empty((valid.size, *x.shape[1:]), x.dtype) for x in results)
        mine = slice(gap, min(gap + inner, len(index) - start))
        keep_places = np.flatnonzero(frame[start + mine.start : start + mine.stop]) + mine.start
        for whole, result in zip(joined, results, strict=True):
            whole[index[start + keep_places]] = np.asarray(result)[keep_places]

    run_blocks(run, range(0, len(index) - gap, inner))
    return shape[0].unflatten(joined)
