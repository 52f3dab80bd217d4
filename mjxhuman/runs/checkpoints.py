"""Checkpoints of a training run, written by Orbax: complete or absent, the last few and the best.

A checkpoint is a pytree of arrays (typed random keys included) under a step number, and a dict of facts that whoever
continues from it must share. Both are compared before anything is restored, and every difference is named.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

Tree = TypeVar("Tree")
MARGIN = 1.2  # free space asked for, in sizes of the arrays; Orbax writes little besides
BEST = "score"


class CheckpointMismatch(ValueError):
    """A checkpoint belongs to another configuration, environment or network."""


class Checkpoints:
    """The checkpoints of one folder.

    Args:
        folder: where they lie; made if missing.
        keep: the last so many are kept, and the best.
    """

    def __init__(self, folder: str | os.PathLike[str], keep: int = 3):
        import orbax.checkpoint as ocp
        from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

        logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax reports every step of its work there
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        best = BestN(get_metric_fn=lambda metrics: metrics[BEST], n=1, keep_checkpoints_without_metrics=False)
        options = ocp.CheckpointManagerOptions(
            enable_async_checkpointing=False,
            cleanup_tmp_directories=True,
            best_fn=lambda metrics: metrics[BEST],
            preservation_policy=AnyPreservationPolicy([LatestN(n=keep), best]),
        )
        self._args = ocp.args
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    @property
    def steps(self) -> list[int]:
        """Steps of the complete checkpoints, ascending."""
        return sorted(self._manager.all_steps())

    @property
    def best(self) -> int | None:
        """Step of the best-scored checkpoint; None if none was scored."""
        return self._manager.best_step()

    def is_best(self, score: float | None) -> bool:
        """Whether a checkpoint of this score would be the best (a tie goes to the newer)."""
        if score is None or self.best is None:
            return score is not None
        return score >= self._manager.metrics(self.best)[BEST]

    def save(self, step: int, tree: Any, facts: Mapping[str, Any], score: float | None = None) -> None:
        """Write a checkpoint; it is on disk when this returns.

        Args:
            step: its number.
            tree: pytree of arrays.
            facts: JSON-ready; what a continuation must share (configuration, sizes, versions of formats).
            score: higher is better.

        Raises:
            OSError: it cannot be written (a full disk); the earlier checkpoints are untouched.
        """
        tree = _without_keys(tree)
        need = int(MARGIN * sum(leaf.nbytes for leaf in jax.tree.leaves(tree)))
        free = shutil.disk_usage(self.folder).free
        if free < need:
            raise self._unwritten(step, f"needs {need / 1e6:.1f} MB, the disk has {free / 1e6:.1f} MB free")
        items = self._args.Composite(
            state=self._args.StandardSave(tree), facts=self._args.JsonSave({**facts, "arrays": _layout(tree)})
        )
        try:
            self._manager.save(step, args=items, metrics=None if score is None else {BEST: float(score)}, force=True)
            self._manager.wait_until_finished()
        except Exception as error:  # a full disk shows as OSError, ValueError or Orbax's own, as the file system has it
            raise self._unwritten(step, str(error).splitlines()[0][:300]) from error

    def restore(self, like: Tree, facts: Mapping[str, Any], step: int | None = None) -> tuple[int, Tree]:
        """The latest checkpoint, or the one of ``step``, and its number.

        Args:
            like: pytree whose structure, shapes, types and placement on devices the result takes.
            facts: what this run holds true; must equal the facts saved.
            step: which; None for the latest.

        Raises:
            FileNotFoundError: there is none.
            CheckpointMismatch: facts or arrays differ; each difference is named.
        """
        step = self._manager.latest_step() if step is None else step
        if step is None or step not in self._manager.all_steps():
            raise FileNotFoundError(f"{self.folder}: expected a checkpoint{'' if step is None else f' {step}'}, found "
                                    f"{self.steps or 'none'}")  # fmt: skip
        saved = dict(self._manager.restore(step, args=self._args.Composite(facts=self._args.JsonRestore()))["facts"])
        template = _without_keys(like)
        here = {**_json_like(facts), "arrays": _layout(template)}
        if different := differences(saved, here):
            raise CheckpointMismatch(
                f"{self.folder / str(step)}: this checkpoint was made with other settings:\n  " + "\n  ".join(different)
            )
        args = self._args.Composite(state=self._args.StandardRestore(template))
        try:
            restored = self._manager.restore(step, args=args)["state"]
        except ValueError as error:  # fields without arrays come or go between versions
            found, *_ = str(error).partition("If this mismatch")  # Orbax's advice to its callers
            raise CheckpointMismatch(
                f"{self.folder / str(step)}: this checkpoint was written by a version of the program whose training "
                f"state has other fields: begin a new folder, or continue with that version. {found.strip()}"
            ) from error
        return step, _with_keys(restored, like)

    def close(self) -> None:
        """Release Orbax's threads."""
        self._manager.close()

    def _unwritten(self, step: int, why: str) -> OSError:
        kept = f"the checkpoints {self.steps} are intact" if self.steps else "no earlier checkpoint exists"
        return OSError(errno.ENOSPC, f"checkpoint {step} was not written: {why}; {kept}", str(self.folder))


def differences(saved: Mapping[str, Any], here: Mapping[str, Any], prefix: str = "") -> list[str]:
    """One line for each entry of two nested dicts that differs: "name: saved ..., here ..."."""
    lines = []
    for key in sorted({*saved, *here}, key=str):
        a, b = saved.get(key, "(absent)"), here.get(key, "(absent)")
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            lines += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key}: saved {a!r}, here {b!r}")
    return lines


def _json_like(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as JSON gives them back: tuples as lists."""
    import json

    return json.loads(json.dumps(facts))


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _without_keys(tree: Any) -> Any:
    """Random keys as the plain integers they are made of."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, tree)


def _with_keys(tree: Any, like: Tree) -> Tree:
    """The arrays of ``tree`` in the structure of ``like``; integers become keys where ``like`` has keys."""

    def wrap(leaf: Any, model: Any) -> Any:
        return jax.random.wrap_key_data(leaf, impl=jax.random.key_impl(model)) if _is_key(model) else leaf

    return jax.tree.map(wrap, tree, like)


def _layout(tree: Any) -> dict[str, str]:
    """Path -> "float32 (3, 4)" of every array."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): f"{np.dtype(leaf.dtype).name} {tuple(leaf.shape)}" for path, leaf in leaves}
