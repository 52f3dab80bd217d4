"""``mjxhuman run``: the launchers, wherever they lie."""

from __future__ import annotations

import argparse
import ast
import runpy
import sys
from pathlib import Path

import mjxhuman.version

#: What a launcher ends with.
_START = 'if __name__ == "__main__":'


def run(args: argparse.Namespace) -> int:
    """Run a launcher with the arguments after its name, or list them."""
    package, folder = home()
    known = launchers(folder)
    if args.name is None:
        print("\n".join(listing(known)))
        return 0
    if args.name not in known:
        raise ValueError(f"NAME: expected one of {', '.join(known)}, found {args.name!r}")
    sys.argv = [f"mjxhuman run {args.name}", *args.arguments]
    runpy.run_module(f"{package}.{args.name}", run_name="__main__", alter_sys=True)
    return 0


def home() -> tuple[str, Path]:
    """Package and folder of the launchers: beside this package in a checkout, inside it where it is installed."""
    package = Path(mjxhuman.version.__file__).resolve().parent
    inside, beside = package / "experiments", package.parent / "experiments"
    if inside.is_dir():
        return "mjxhuman.experiments", inside
    if beside.is_dir() and (package.parent / "pyproject.toml").is_file():
        sys.path.insert(0, str(package.parent))
        return "experiments", beside
    raise ImportError(f"the launchers are missing: neither {inside} nor {beside} is there")


def launchers(folder: Path) -> dict[str, str]:
    """Names of the launchers in a folder, and the first sentence of each."""
    found = {}
    for path in sorted(folder.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if _START in text:
            doc = " ".join((ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].split())
            found[path.stem] = doc.split("; see ")[0].rstrip(".")
    return found


def listing(known: dict[str, str]) -> list[str]:
    """The launchers as lines of help."""
    width = max(map(len, known))
    return [
        "mjxhuman run NAME --help                            what it does, and every value with its comment",
        "mjxhuman run NAME --config.KEY=VALUE ...            set values of its configuration",
        "mjxhuman run NAME --config=CONFIG[:VARIANT] ...     another configuration, by name or file",
        "",
        *(f"  {name.ljust(width)}  {sentence}" for name, sentence in known.items()),
    ]
