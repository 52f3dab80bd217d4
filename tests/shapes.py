"""Array shapes in types, checked while the tests run: `Float[Array, "*b T nq"]` is then more than a comment.

An import hook puts jaxtyping with beartype on the public functions and methods of the modules that state shapes. One
axis name is one size within a call. A pytree that passes such a border is checked field by field, with axis names of
its own; not where it is built, because JAX builds pytrees of anything (shapes, devices, None) in its transformations.
Other types are mypy's matter, and wrong values that of the functions' own messages.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.abc
import importlib.machinery
import inspect
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import beartype
import beartype.vale
import jaxtyping
import numpy as np

#: Modules without shapes of their own, whose functions take or return pytrees that have them.
_BORDERS = ("mjxhuman.planning.planner", "mjxhuman.recovery.load", "mjxhuman.rewards.score")


def install() -> None:
    """From here on, what is imported of the package checks its shapes."""
    root = Path(__file__).resolve().parents[1]
    found = [path for path in (root / "mjxhuman").rglob("*.py") if "from jaxtyping" in path.read_text("utf-8")]
    names = {".".join(path.relative_to(root).with_suffix("").parts) for path in found}
    sys.meta_path.insert(0, _Finder(names.union(_BORDERS)))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, names: set[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name in self.names else None
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                run(module)
                _check(module, module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _check(owner: Any, module: types.ModuleType) -> None:
    """Check the public functions of a module and the methods of its classes."""
    for name, value in list(vars(owner).items()):
        if getattr(value, "__module__", None) != module.__name__ or (name.startswith("_") and name != "__call__"):
            continue
        if inspect.isfunction(value):
            setattr(owner, name, checked(value))
        elif inspect.isclass(value) and owner is module and not getattr(value, "_is_protocol", False):
            _check(value, module)


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with those arguments and results checked whose types state shapes."""
    hints = _hints(function)
    hints = {name: _with_fields(hint) for name, hint in hints.items()}
    hints = {name: hint for name, hint in hints.items() if _states_shapes(hint)}
    if not hints:
        return function
    strict = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    strict.__kwdefaults__, strict.__annotations__ = function.__kwdefaults__, hints
    strict = beartype.beartype(strict)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with jaxtyping.jaxtyped("context"):
            return strict(*args, **kwargs)

    return call


def fields_fit(tree: Any) -> bool:
    """Whether the arrays of a pytree have the shapes that its fields state.

    Raises:
        TypeError: naming the first field that has not.
    """
    with jaxtyping.jaxtyped("context"):
        for name, kinds in _fields(type(tree)).items():
            value = getattr(tree, name)
            for entry in value.values() if isinstance(value, dict) else (value,):
                entry = np.asarray(entry) if isinstance(entry, np.generic) else entry  # an array without axes
                if not isinstance(entry, kinds):
                    found = f"{getattr(entry, 'dtype', type(entry))}{getattr(entry, 'shape', '')}"
                    raise TypeError(f"{type(tree).__name__}.{name}: expected {kinds}, found {found}")
    return True


def _hints(thing: Any) -> dict[str, Any]:
    """Its types; none where they name what only type checkers import."""
    try:
        return typing.get_type_hints(thing)
    except NameError:
        return {}


@functools.cache
def _fields(kind: type) -> dict[str, tuple[type, ...]]:
    """What the fields of a pytree that state shapes may be; of tables by name what an entry may be."""
    if not (dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")):
        return {}
    hints = {name: typing.get_args(hint)[1] if _is(hint, dict) else hint for name, hint in _hints(kind).items()}
    parts = {name: typing.get_args(hint) if _is(hint, *_UNION) else (hint,) for name, hint in hints.items()}
    return {name: kinds for name, kinds in parts.items() if any(map(_states_shapes, kinds))}


def _with_fields(hint: Any) -> Any:
    """The hint, such that pytrees of that type are checked by their fields."""
    if _is(hint, *_UNION):
        return typing.Union[tuple(map(_with_fields, typing.get_args(hint)))]  # noqa: UP007
    if isinstance(hint, type) and hint.__module__.startswith("mjxhuman") and _fields(hint):
        return typing.Annotated[hint, beartype.vale.Is[fields_fit]]
    return hint


_UNION = (typing.Union, types.UnionType)


def _is(hint: Any, *origins: Any) -> bool:
    return typing.get_origin(hint) in origins


def _states_shapes(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return _is(hint, typing.Annotated) or any(map(_states_shapes, typing.get_args(hint)))
