"""Encoders by name."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from mjxhuman.encoders import mediapipe_home
from mjxhuman.encoders.base import Encoder


@dataclasses.dataclass(frozen=True)
class Entry:
    """What is known of an encoder without loading it."""

    factory: str | Callable[..., Encoder]  # "module:name", or the function itself
    gives: str
    needs: str
    available: Callable[[], bool]  # whether what it needs is installed; weights are the user's matter
    proven: bool  # whether it was run on its real weights
    processes: bool = False  # whether it takes ``processes``, to encode several videos at the same time
    models: tuple[str, ...] = ()  # of its ``model``, where there is a choice


def _installed(*modules: str) -> Callable[[], bool]:
    return lambda: all(importlib.util.find_spec(module) is not None for module in modules)


_ENTRIES: dict[str, Entry] = {
    "blazepose": Entry(
        "mjxhuman.encoders.blazepose:BlazePose",
        "33 keypoints in 2D and 3D",
        "MediaPipe, which contains the weights: python -m mjxhuman.encoders.install_mediapipe",
        mediapipe_home.is_installed,
        proven=True,
        processes=True,
        models=tuple(mediapipe_home.MODELS),
    ),
    "vitpose": Entry(
        "mjxhuman.encoders.vitpose:ViTPose",
        "17 keypoints in 2D",
        "the extra 'encoders', and --weights with ViTPose and a detector in it",
        _installed("torch", "transformers"),
        proven=False,
    ),
    "hmr2": Entry(
        "mjxhuman.encoders.hmr2:HMR2",
        "SMPL body motion before the camera, 1024 features per frame",
        "the extra 'encoders', and --weights with a checkpoint of 4D-Humans and a detector in it",
        _installed("torch", "transformers"),
        proven=False,
    ),
    "gvhmr": Entry(
        "mjxhuman.encoders.mesh_recovery:GVHMR",
        "SMPL-X body motion in the world, 512 features per frame",
        "the extra 'torch', and --weights: a checkout of GVHMR with its own environment",
        _installed("torch"),
        proven=False,
    ),
    "exported": Entry(
        "mjxhuman.encoders.exported:Exported",
        "2D keypoints, or SMPL body motion and features",
        "the extra 'torch', and --weights: encoder.json with a TorchScript or exported program",
        _installed("torch"),
        proven=False,
    ),
}


def register(name: str, entry: Entry) -> None:
    """Add an encoder of your own.

    Raises:
      ValueError: the name is taken.
    """
    if name in _ENTRIES:
        raise ValueError(f"encoder {name!r}: the name is taken")
    _ENTRIES[name] = entry


def encoder_table() -> dict[str, Entry]:
    """All encoders by name."""
    return dict(_ENTRIES)


def make_encoder(name: str, **options: Any) -> Encoder:
    """An encoder by name.

    Args:
      name: key of ``encoder_table()``. options: of its class.

    Raises:
      ValueError: an unknown name, or a ``model`` where there is no choice. ImportError, NotInstalled: something it
        needs is not installed.
    """
    if name not in _ENTRIES:
        raise ValueError(f"encoder: expected one of {', '.join(_ENTRIES)}, found {name!r}")
    if options.get("model") is None:
        options.pop("model", None)
    elif not _ENTRIES[name].models:
        raise ValueError(f"model: expected none for the encoder {name}, found {options['model']!r}")
    factory = _ENTRIES[name].factory
    if isinstance(factory, str):
        module, _, attribute = factory.partition(":")
        factory = getattr(importlib.import_module(module), attribute)
    return factory(**options)


@functools.lru_cache(maxsize=4)
def shared_encoder(name: str, weights: str | None = None, model: str | None = None) -> Encoder:
    """One encoder for all callers that ask for the same: its processes and weights are loaded once.

    Args:
      name: as for ``make_encoder``. weights: folder of its weights, None for encoders that bring their own.
      model: which of its networks, None for the best that is installed.
    """
    return make_encoder(name, model=model, **({} if weights is None else {"weights": weights}))
