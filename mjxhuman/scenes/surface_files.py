"""Surfaces in files: a height field as the arrays of an ``.npz``.

    np.savez("stairs.npz", heights=heights, origin=(-1.0, -0.5), spacing=0.02)        # and friction=0.6, if known

in the world of the motion that it carries: metres, z up.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from mjxhuman.scenes.height_field import HeightField

_NEEDED = ("heights", "origin", "spacing")


def load_surface(path: str | os.PathLike[str]) -> HeightField:
    """The height field of a file: ``heights (X, Y)``, ``origin (2,)``, ``spacing ()``, all m, and ``friction ()``.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not such a file, or an array of another shape or with numbers that make no surface (file, array, found
        and expected).
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: np.asarray(file[name], np.float64) for name in file.files if name in (*_NEEDED, "friction")}
    except (ValueError, OSError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: expected an .npz with {', '.join(_NEEDED)}, found {error}") from error
    if missing := [name for name in _NEEDED if name not in found]:
        raise ValueError(f"{path}: expected the arrays {', '.join(_NEEDED)}, missing {', '.join(missing)}")
    shapes = {"heights": "(X, Y), at least 2 x 2", "origin": "(2,)", "spacing": "()", "friction": "()"}
    for name, array in found.items():
        fits = array.ndim == 2 and min(array.shape) >= 2 if name == "heights" else str(array.shape) == shapes[name]
        if not fits:
            raise ValueError(f"{path}: {name}: expected shape {shapes[name]}, found {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{path}: {name}: expected finite numbers, found {array[~np.isfinite(array)][0]}")
    for name, least in (("spacing", "above 0"), ("friction", "of 0 or more")):
        if name in found and not (found[name] > 0 or (name == "friction" and found[name] == 0)):
            raise ValueError(f"{path}: {name}: expected a number {least}, found {found[name]:g}")
    return HeightField(found["heights"], found["origin"], found["spacing"], found.get("friction"))
