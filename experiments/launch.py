"""How every launcher starts: its help, its configuration found beside the code, wrong keys named in one line.

A configuration is named as ``NAME``, ``NAME:VARIANT`` or the path of a file of one's own (``FILE.py:VARIANT``); each of
its values is set by ``--config.KEY=VALUE``.
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags, logging
from ml_collections import config_dict, config_flags

from mjxhuman.options import ClipOptions, ScoreOptions, helps

WRONG_USAGE = 2
#: Beside this package in a checkout, and where it is installed.
CONFIGS = Path(__file__).resolve().parents[1] / "configs"


class UsageError(ValueError):
    """What is wrong with a command line, in one line."""


def launch(main: Callable[[Sequence[str]], int | None], config: str = "") -> NoReturn:
    """Read the command line, run ``main`` with what is left of it, and exit with its code.

    Args:
        main: of the launcher; its module's docstring is the help. Flags are in ``flags.FLAGS``.
        config: name of the default configuration, which becomes the flag ``config``; "" for none.
    """
    try:
        path, values = _take_config(config) if config else ("", None)
        if {"--help", "-h", "-help", "--helpshort", "--helpfull"} & set(sys.argv[1:]):
            print(help_of(main, values, path))
            sys.exit(0)
        app.run(main, flags_parser=_parse)
    except UsageError as error:
        print(f"{Path(inspect.getfile(main)).stem}: {error}", file=sys.stderr)
        sys.exit(WRONG_USAGE)
    sys.exit(0)  # for the type checker: app.run exits


def _take_config(default: str) -> tuple[str, config_dict.ConfigDict]:
    """Define the flag ``config``; what the command line names is replaced by the path of its file."""
    arguments = [re.sub("^-config", "--config", argument) for argument in sys.argv[1:]]
    if "--config" in arguments[:-1]:
        at = arguments.index("--config")
        arguments[at : at + 2] = [f"--config={arguments[at + 1]}"]
    named = [argument for argument in arguments if argument.startswith("--config=")]
    path, values = load_config(named[-1].partition("=")[2] if named else default)
    check_keys(values, arguments)
    sys.argv[1:] = [f"--config={path}", *(argument for argument in arguments if argument not in named)]
    config_flags.DEFINE_config_file("config", None, "what to do, and where to write it")
    return path, values


def _parse(argv: Sequence[str]) -> list[str]:
    logging.set_verbosity(logging.WARNING)  # JAX logs each backend it does not find
    try:
        return flags.FLAGS(argv)
    except (flags.Error, TypeError, ValueError) as error:
        raise UsageError(f"{' '.join(str(error).split())} (--help lists what can be set)") from None


def available() -> list[str]:
    """Names of the configurations that come with the launchers."""
    return sorted(path.stem for path in CONFIGS.glob("[!_]*.py"))


def load_config(given: str) -> tuple[str, config_dict.ConfigDict]:
    """A configuration and the file (with its variant) it comes from.

    Args:
        given: "NAME", "FILE.py", either with ":VARIANT".

    Raises:
        UsageError: no such file or variant.
    """
    where, _, variant = given.partition(":")
    path = Path(where)
    if not path.is_file():
        path = CONFIGS / Path(where).with_suffix(".py").name
        if not path.is_file() or Path(where).parent.name not in ("", "configs"):
            raise UsageError(f"--config: expected a file or one of {', '.join(available())}, found {where!r}")
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if variant and not inspect.signature(module.get_config).parameters:
        raise UsageError(f"--config: {path.name} has no variants, found {variant!r}")
    try:
        values = module.get_config(*filter(None, [variant]))
    except ValueError as error:
        raise UsageError(f"--config: {error}") from None
    return f"{path.resolve()}:{variant}" if variant else str(path.resolve()), values


def check_keys(values: config_dict.ConfigDict, arguments: Sequence[str]) -> None:
    """Every ``--config.KEY`` is there.

    Raises:
        UsageError: one is not; the message names what is.
    """
    for argument in arguments:
        found = re.match(r"--?(?:no)?config\.([\w.\[\]]+)", argument)
        if found is None:
            continue
        at: Any = values
        for depth, key in enumerate(found[1].split(".")):
            if not isinstance(at, config_dict.ConfigDict):  # an unset group takes what it is given
                break
            if key.partition("[")[0] not in at:
                parent = ".".join(["config", *found[1].split(".")[:depth]])
                near = difflib.get_close_matches(key, list(at), 1)
                hint = f"; did you mean --{parent}.{near[0]}?" if near else ""
                raise UsageError(f"--config.{found[1]}: {parent} has {', '.join(sorted(at))}{hint}")
            at = at.get(key)


def named_motions(inputs: str) -> list[Path]:
    """The files that a configuration names; what folders hold besides is said on stderr.

    Raises:
        FileNotFoundError: as ``find_motions``.
    """
    from mjxhuman.data.folders import find_motions

    found = find_motions(inputs)
    if said := str(found):
        print(said, file=sys.stderr)
    return found.files


def help_of(main: Callable[..., Any], values: config_dict.ConfigDict | None, path: str) -> str:
    """The docstring of a launcher, its flags, and the values of its configuration with their comments."""
    module = sys.modules[main.__module__]
    lines = [inspect.cleandoc(module.__doc__ or "")]
    own = [flag for flag in flags.FLAGS.get_flags_for_module(module) if flag.name != "config"]
    if own:
        lines += ["", "Flags:"]
        lines += _table([(f"--{flag.name}={flag.default_as_str or ''}", flag.help or "") for flag in own])
    if values is not None:
        lines += ["", f"Values (--config.KEY=VALUE) of {path}; other configurations: {', '.join(available())}:"]
        lines += _table(described(values, path.partition(".py")[0] + ".py"))
    return "\n".join(lines)


def described(values: config_dict.ConfigDict, path: str) -> list[tuple[str, str]]:
    """Each value as "key=value" and the comment beside it in the file, or the help of the option it is."""
    text = Path(path).read_text(encoding="utf-8")
    comments = dict(re.findall(r"^ *config\.([\w.]+) = .*?  # (.*)$", text, re.MULTILINE))
    comments = helps(ScoreOptions) | {f"reading.{key}": text for key, text in helps(ClipOptions).items()} | comments
    rows = []
    for key, value in _flat(values):
        shown = "" if value is None else value if isinstance(value, str) else repr(value)
        rows.append((f"{key}={shown}", comments.get(key, "")))
    return rows


def _flat(values: config_dict.ConfigDict, prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key in values:
        value = values[key]
        inner = isinstance(value, config_dict.ConfigDict) and len(value)
        rows += _flat(value, f"{prefix}{key}.") if inner else [(prefix + key, value)]
    return rows


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = min(max(len(left) for left, _ in rows), 34)
    return [f"  {left.ljust(width)}  {right}".rstrip() for left, right in rows]
