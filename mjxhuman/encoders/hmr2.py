"""HMR2.0: the body motion of everyone whom a detector finds, one picture at a time.

Goel et al. 2023, "Humans in 4D: Reconstructing and Tracking Humans with Transformers". Weights come from a local
folder: a checkpoint and ``model_config.yaml`` as 4D-Humans releases them, anywhere below it, and ``detector``, a model
for object detection in the layout of transformers.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.encoders.base import AnyVideo, Encoding
from mjxhuman.encoders.crops import IMAGENET_MEAN, IMAGENET_STD
from mjxhuman.encoders.hmr2_network import IMAGE, Network, Sizes, shapes
from mjxhuman.encoders.mesh_recovery import body_encoding
from mjxhuman.encoders.top_down import Crops, Detector, look, transformers_module
from mjxhuman.encoders.torch_bridge import best_device, load_tensors, torch_module, weights_digest
from mjxhuman.types import Camera

#: Sizes of the network. The backbone's are in the code of the release, not in its files.
_SIZES = Sizes()
#: The detector's box grown to 3:4 and not enlarged, as in 4D-Humans.
_CROPS = Crops(IMAGE[::-1], IMAGENET_MEAN, IMAGENET_STD, padding=1.0, affine=True)
#: What the checkpoint is read for; it also holds the discriminator of the training and SMPL's mesh.
_READ = ("backbone.", "smpl_head.")


class HMR2:
    """The encoder ``hmr2``.

    Args:
      weights: folder with a checkpoint (.ckpt), ``model_config.yaml`` and the folder ``detector``.
      device: torch device; by default a GPU where torch sees one.
      people: per picture at most.

    Raises:
      ValueError: no folder given, or a checkpoint or configuration of another network (file, key, expected, found).
      FileNotFoundError: a file is missing. ImportError: torch or transformers is not installed.
    """

    name = "hmr2"
    takes_device_arrays = True

    def __init__(
        self, weights: str | os.PathLike[str] | None = None, *, device: str | None = None, people: int = 4
    ) -> None:
        if weights is None:
            raise ValueError(
                "hmr2: expected the folder of its weights (--weights), with a checkpoint of 4D-Humans, its "
                "model_config.yaml and the model 'detector' in it; third_party/README.md says where to get them"
            )
        torch = torch_module("hmr2")
        transformers_module("hmr2")
        self._folder, self._device, self._people = Path(weights), best_device(torch, device), people
        checkpoint = _only(self._folder, "*.ckpt")
        _require_release(_only(self._folder, "model_config.yaml"))
        self._detector = Detector(self._folder / "detector", self._device, limit=people)
        self._network = Network(_checkpoint(checkpoint, shapes(_SIZES)), _SIZES, self._device)
        self._one_at_a_time = threading.Lock()

    def fingerprint(self) -> str:
        """Hash of the weights and configurations, versions of torch and transformers."""
        import torch
        import transformers

        versions = f"torch {torch.__version__} transformers {transformers.__version__}"
        return f"hmr2 {self._digest} {versions} people {self._people}"

    @functools.cached_property
    def _digest(self) -> str:
        return weights_digest(self._folder)  # 2.7 GB, read once

    def encode(self, video: AnyVideo, camera: Camera | None = None) -> Encoding:
        """Everyone in the video. The camera places bodies; without one it is level, its focal length the diagonal."""
        with self._one_at_a_time:
            rows = list(look(video, self._detector, _CROPS, self._run, self._device))
        times, found = [time for time, _ in rows], [row for _, row in rows]
        return body_encoding(video, self.name, times, found, _CROPS, camera)

    def _run(self, crops: Any, frames: np.ndarray) -> dict[str, Any]:
        return self._network(crops)

    def close(self) -> None:
        """Nothing to free."""


def _only(folder: Path, pattern: str) -> Path:
    """The one file of this name below a folder."""
    found = sorted(folder.rglob(pattern))
    if len(found) != 1:
        names = ", ".join(str(path.relative_to(folder)) for path in found) or "none"
        raise FileNotFoundError(
            f"{folder}: expected one file {pattern} of 4D-Humans in it, found {names}; third_party/README.md says "
            "where to get it, nothing is downloaded"
        )
    return found[0]


def _require_release(path: Path) -> None:
    """Check that ``model_config.yaml`` describes this network; what it leaves out is so in the release too."""
    import yaml

    decoder: dict[str, Any] = {"dim": _SIZES.dim, "depth": _SIZES.depth, "heads": _SIZES.decoder_heads}
    decoder |= {"dim_head": _SIZES.dim_head, "mlp_dim": _SIZES.mlp_dim, "context_dim": _SIZES.width, "norm": "layer"}
    head = {"TYPE": "transformer_decoder", "JOINT_REP": "6d", "TRANSFORMER_INPUT": "zero", "IEF_ITERS": 1}
    expected = {
        "MODEL": {
            "IMAGE_SIZE": IMAGE[0],
            "IMAGE_MEAN": list(IMAGENET_MEAN),
            "IMAGE_STD": list(IMAGENET_STD),
            "BACKBONE": {"TYPE": "vit"},
            "SMPL_HEAD": {**head, "TRANSFORMER_DECODER": decoder},
        }
    }
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected YAML, found {' '.join(str(error).split())[:200]}") from None
    if not isinstance(found, Mapping) or "MODEL" not in found:
        raise ValueError(f"{path}: MODEL: expected the description of a network, found no such entry")
    _compare(path, "", expected, found)


def _compare(path: Path, key: str, expected: Any, found: Any) -> None:
    if isinstance(expected, dict) and isinstance(found, Mapping):
        for name in (name for name in expected if name in found):
            _compare(path, f"{key}.{name}".lstrip("."), expected[name], found[name])
    elif found != expected:
        raise ValueError(f"{path}: {key}: expected {expected!r}, found {found!r}")


def _checkpoint(path: Path, expected: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The tensors of the backbone and of the head by name, float32, all of the expected shapes."""
    content = load_tensors(path)
    state = content.get("state_dict") if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: state_dict: expected tensors by name, found {type(state).__name__}")
    tensors = {name: value for name, value in state.items() if name.startswith(_READ)}
    for what, names in (
        ("expected {}, found nothing there", sorted(set(expected) - set(tensors))),
        ("expected nothing under the name {}, found a tensor", sorted(set(tensors) - set(expected))),
    ):
        if names:
            more = f" (and {len(names) - 1} more such keys)" if len(names) > 1 else ""
            raise ValueError(f"{path}: state_dict: {what.format(names[0])}{more}")
    for name, shape in expected.items():
        found = tuple(getattr(tensors[name], "shape", ()))
        if found != shape:
            raise ValueError(f"{path}: {name}: expected the shape {shape}, found {found}")
    return {name: tensor.float() for name, tensor in tensors.items()}
