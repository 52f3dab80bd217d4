"""Files of arrays with a header: one compressed ``.npz`` that says what it is and which version of it."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from mjxhuman.runs import atomic_write

_HEADER = "header"


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    """Write arrays by name and a JSON-ready header, which names ``format`` and ``version``."""
    with atomic_write(path, "wb") as file:
        np.savez_compressed(file, **{_HEADER: np.array(json.dumps(dict(header)))}, **arrays)


def read_arrays(
    path: str | os.PathLike[str], what: str, form: str, version: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays by name and the header of a file of ``write_arrays``.

    Args:
        what: the file holds, for messages. form, version: that its header must name.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, or of another version (file and field are named).
    """
    try:
        with np.load(Path(path), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path}: expected a {what} file (.npz), cannot read it ({error})") from None
    try:
        header = json.loads(str(arrays.pop(_HEADER)))
        found = header["format"]
    except (KeyError, ValueError, TypeError):
        raise ValueError(f"{path}: expected a {what} file, found an .npz with {sorted(arrays)[:5]}") from None
    if found != form:
        raise ValueError(f"{path}: format: expected {form!r}, found {found!r}")
    if header["version"] != version:
        raise ValueError(f"{path}: version: expected {version}, found {header['version']}")
    return arrays, header


def nested(arrays: Mapping[str, np.ndarray], prefix: str) -> Any:
    """The arrays whose names begin with ``prefix/``, by the rest of their paths, on the device."""
    start = prefix + "/"
    named = {k.removeprefix(start): jax.numpy.asarray(v) for k, v in arrays.items() if k.startswith(start)}
    return traverse_util.unflatten_dict(named, sep="/")
