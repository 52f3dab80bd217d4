"""Furniture as a text names it: built in, or a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mjxhuman.options import FURNITURE, FurnitureOptions, takes
from mjxhuman.scenes.furniture.make import named_furniture
from mjxhuman.scenes.reading.load import load_scene
from mjxhuman.scenes.types import Scene


@takes(FurnitureOptions)
def named_scene(name: str, *, progress: bool = False, **options: Any) -> Scene:
    """``named_furniture`` ("chair:3:short_leg") where a text begins with a kind, else the file or folder it names.

    Raises:
        FileNotFoundError: neither.
        ValueError: a built-in kind with a wrong seed or damage, or as ``load_scene``.
    """
    built_in = named_furniture(name)
    if built_in is not None:
        return built_in
    if not Path(name).exists():
        raise FileNotFoundError(f"{name}: no such file, and none of the kinds {', '.join(FURNITURE)}")
    return load_scene(name, progress=progress, **options)


def check_about_files(options: Mapping[str, Any], files: Iterable[Path]) -> None:
    """Raise ValueError for options of files where none of ``files`` is there: they would be heeded nowhere."""
    said, files = [key for key, value in options.items() if value is not None], list(files)
    if said and not any(file.exists() for file in files):
        raise ValueError(f"{said[0]}: expected a file that it is about, found {', '.join(map(str, files))}")
