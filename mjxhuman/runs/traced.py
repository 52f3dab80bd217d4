"""Programs that later processes run without tracing them again.

JAX's own cache (``compile_cache``) is asked with a program that has been traced and lowered: Python works through every
operation of it in each new process, which takes longer than to score a short clip. Inside ``traces_kept`` a
``TracedProgram`` keeps what it traced (``jax.export``: StableHLO, portable, nothing that is executed when it is read)
in the cache's folder, by the hash of all that decides it: the package's source, the version of JAX, the static
arguments, the shapes and types of the others. What cannot be hashed, as a class from outside the package, is not kept.

Only the command line does so: who changes constants of modules in Python, in a launcher or a notebook, must get what
they changed, and no hash of the source sees it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import hashlib
import importlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from mjxhuman.runs.compile_cache import cache_folder
from mjxhuman.runs.files import atomic_write

_PACKAGE = __name__.partition(".")[0]
#: Traces that are kept, the last used ones: about 0.1 MB each.
MOST = 500
#: Annotations that JAX does not promise to read in later versions: the version is part of the hash.
_CHECKS = (export.DisabledSafetyCheck.custom_call("LayoutConstraint"),)

_PLAIN: dict[str, Callable[..., Any]] = {"list": list, "tuple": tuple}

_folder: Path | None = None


class _Unknown(Exception):
    """Something that says nothing of itself which another process could be sure of."""


@contextlib.contextmanager
def traces_kept() -> Iterator[None]:
    """Inside, programs traced by this process are kept, and those kept by earlier ones are used (on a CPU)."""
    global _folder
    before, root = _folder, cache_folder()
    _folder = None if root is None else root / "traced"
    try:
        yield
    finally:
        _folder = before


class TracedProgram:
    """``jax.jit`` of a function whose first arguments are static, kept where ``traces_kept`` says so.

    Args:
        function: of static arguments, hashable, followed by pytrees of arrays.
        static: how many are static.
        options: of the compiler.
        identity: what decides what the function does, where its name does not: of a closure what it closes over.
    """

    def __init__(
        self, function: Callable[..., Any], static: int, options: dict[str, Any], identity: tuple[Any, ...] = ()
    ) -> None:
        self._function, self._static, self._options = function, static, options
        self._identity = identity or (function,)
        self._jit = jax.jit(function, static_argnums=tuple(range(static)), compiler_options=options)
        self._known: dict[Any, tuple[Callable[..., Any], Any] | None] = {}
        self._lock = threading.Lock()

    def __call__(self, *args: Any) -> Any:
        """The function's result."""
        if _folder is None or jax.default_backend() != "cpu":
            return self._jit(*args)
        static, (leaves, treedef) = args[: self._static], jax.tree.flatten(args[self._static :])
        shapes = tuple((x.shape, x.dtype) for x in leaves)
        key = (static, treedef, shapes, jax.config.read("jax_enable_x64"))
        with self._lock:
            if key not in self._known:
                self._known[key] = self._found(_folder, key, leaves)
            known = self._known[key]
        if known is None:
            return self._jit(*args)
        call, out = known
        return out.unflatten(call(*leaves))

    def _found(self, folder: Path, key: tuple[Any, ...], leaves: list[Any]) -> tuple[Callable[..., Any], Any] | None:
        """The program on flat arguments and the tree of its results; None for one that cannot be kept."""
        try:
            said = _spelt((_source(), jax.__version__, jax.lib.__version__, self._identity, key))
            path = folder / hashlib.sha256(said.encode()).hexdigest()
            try:
                tree, program = _read(path)
                out, exported = _tree_of(json.loads(tree)), export.deserialize(program)
            except (OSError, ValueError):  # there is none, or a damaged one
                out, exported = self._traced(key[0], key[1], leaves)
                _write(path, json.dumps(_tree_said(out)).encode(), bytes(exported.serialize()))
        except _Unknown:
            return None
        return jax.jit(exported.call, compiler_options=self._options), out

    def _traced(self, static: tuple[Any, ...], treedef: Any, given: list[Any]) -> tuple[Any, export.Exported]:
        found: list[Any] = []

        def flat(*leaves: Any) -> list[Any]:
            results, tree = jax.tree.flatten(self._function(*static, *treedef.unflatten(leaves)))
            found.append(tree)
            return results

        exported = export.export(jax.jit(flat, compiler_options=self._options), disabled_checks=_CHECKS)(*given)
        return found[0], exported


def _read(path: Path) -> tuple[bytes, bytearray]:
    """A trace: the tree of its results and the program.

    Raises:
        OSError, ValueError: there is none, or it is damaged.
    """
    checksum, tree, program = path.read_bytes().split(b"\n", 2)
    if checksum != _checksum(tree, program):
        raise ValueError(f"{path}: damaged")
    path.touch()
    return tree, bytearray(program)


def _checksum(tree: bytes, program: bytes) -> bytes:
    return hashlib.sha256(tree + b"\n" + program).hexdigest().encode()


def _write(path: Path, tree: bytes, program: bytes) -> None:
    """Write a trace, and remove those that were not used for longest where there are too many."""
    with contextlib.suppress(OSError):
        with atomic_write(path, "wb") as file:
            file.write(b"\n".join([_checksum(tree, program), tree, program]))
        others = sorted(path.parent.iterdir(), key=lambda p: p.stat().st_mtime)
        for old in others[:-MOST]:
            old.unlink(missing_ok=True)


@functools.cache
def _source() -> str:
    """Hash of the package's source."""
    root = Path(__file__).parents[1]
    files = sorted(root.rglob("*.py"))
    if not files:
        raise _Unknown(root)
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(root)}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _spelt(x: Any) -> str:
    """What decides a program, in words that are equal only for equal things.

    Raises:
        _Unknown: functions and classes from outside the package, and objects of other kinds than those below.
    """
    if x is None or (isinstance(x, bool | int | float | str) and type(x).__module__ == "builtins"):
        return repr(x)
    if isinstance(x, type) or (callable(x) and hasattr(x, "__qualname__")):
        if x.__module__.partition(".")[0] not in (_PACKAGE, "jax", "jaxlib", "builtins") or "<" in x.__qualname__:
            raise _Unknown(x)
        return f"{x.__module__}:{x.__qualname__}"
    if isinstance(x, np.dtype):
        return f"dtype {x.name}"
    if isinstance(x, np.ndarray | np.generic) and x.dtype != object:
        return f"{x.dtype.name}{x.shape}{x.tobytes().hex()}"
    if isinstance(x, jax.tree_util.PyTreeDef):
        node = x.node_data()
        return "*" if node is None and x.num_leaves else f"tree{_spelt((node, *x.children()))}"
    if isinstance(x, enum.Enum):
        return f"{_spelt(type(x))}{x.name}"
    if isinstance(x, tuple | list):
        return f"{_spelt(type(x))}({','.join(map(_spelt, x))})"
    if isinstance(x, dict):
        return f"{{{','.join(f'{_spelt(k)}:{_spelt(v)}' for k, v in x.items())}}}"
    if dataclasses.is_dataclass(x):
        return f"{_spelt(type(x))}({_spelt([(f.name, getattr(x, f.name)) for f in dataclasses.fields(x)])})"
    raise _Unknown(x)


def _tree_said(tree: Any) -> Any:
    """The tree of a program's results for JSON: dictionaries, tuples, lists and named tuples of the package.

    Raises:
        _Unknown: other nodes.
    """
    if tree.num_leaves == 0:
        return None
    if tree.num_nodes == 1:
        return "*"
    kind, keys = tree.node_data()
    if kind is dict and not all(isinstance(key, str) for key in keys):
        raise _Unknown(keys)
    if kind not in (dict, tuple, list) and not (issubclass(kind, tuple) and hasattr(kind, "_fields")):
        raise _Unknown(kind)
    return [_spelt(kind), keys if kind is dict else None, [_tree_said(child) for child in tree.children()]]


def _tree_of(said: Any) -> Any:
    """The inverse of ``_tree_said``."""

    def example(said: Any) -> Any:
        if said is None or said == "*":
            return None if said is None else 0
        name, keys, children = said
        module, _, kind = name.partition(":")
        values = [example(child) for child in children]
        if module == "builtins":
            return dict(zip(keys, values, strict=True)) if kind == "dict" else _PLAIN[kind](values)
        return getattr(importlib.import_module(module), kind)(*values)

    return jax.tree.structure(example(said))
