"""Which files a command is about."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable
from pathlib import Path


def expand_inputs(
    inputs: str | Iterable[str | os.PathLike[str]], in_folder: Callable[[Path], list[Path]] | None = None
) -> list[Path]:
    """Files named by paths and globs, in order, each once.

    Args:
        inputs: paths, folders and globs (``**`` crosses folders); one string may hold several, separated by commas.
            A path that exists is taken as it is, whatever signs it contains.
        in_folder: which files of a folder are taken; None: folders are refused.

    Raises:
        FileNotFoundError: a path does not exist, or a glob names no file.
        IsADirectoryError: a folder, where none is taken.
    """
    names = [inputs] if isinstance(inputs, str) else [os.fspath(name) for name in inputs]
    files: dict[Path, None] = {}
    for name in names:
        whole = name and Path(name).expanduser().exists()
        parts = [name] if whole else [p.strip() for p in name.split(",") if p.strip()]
        for part in parts:
            files.update(dict.fromkeys(_expand(part, in_folder)))
    return list(files)


def _expand(part: str, in_folder: Callable[[Path], list[Path]] | None) -> list[Path]:
    path = Path(part).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        if in_folder is None:
            raise IsADirectoryError(f"{part}: expected a file or a pattern, found a folder")
        return in_folder(path)
    matches = glob.glob(str(path), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute patterns
    found = [Path(name) for name in sorted(matches) if Path(name).is_file()]
    if not found:
        raise FileNotFoundError(f"{part}: no such file, and no file matches it as a pattern")
    return found
