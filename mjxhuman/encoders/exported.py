"""Any network in a TorchScript or exported-program file: the encoder ``exported``.

``weights`` names a folder with ``encoder.json`` beside the program:

    program     file: .pt (``torch.jit.save``) or .pt2 (``torch.export.save``)
    gives       "heatmaps": (N, K, h, w); "keypoints": (N, K, 3) x, y in 0..1 of the crop and confidence; "smpl": a
                dictionary, see below
    names       of the keypoints: a list, or a layout ("coco_17", "body_25", ...)
    size        width and height of a crop in px;  mean, std: of the colours 0..1 (default: ImageNet's);
                padding: of the box (default 1.25)
    detector    folder of a model for object detection, or "whole": one person fills the picture
    licence     optional, goes into the provenance

The program takes crops (N, 3, height, width) float32, N a dynamic dimension. With "smpl" it gives ``rotations``
(N, 24, 3, 3), the root's in the axes of a camera that looks at the crop, ``betas`` (N, S), ``camera`` (N, 3): scale and
offset of a weak-perspective camera of the crop, as HMR2 (Goel et al. 2023) has it; and optionally ``features`` (N, F).
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.data.keypoint_names import LAYOUTS, canonical_name
from mjxhuman.encoders.base import AnyVideo, Encoding, collect
from mjxhuman.encoders.crops import IMAGENET_MEAN, IMAGENET_STD, PADDING, points_of_heatmaps
from mjxhuman.encoders.mesh_recovery import body_encoding
from mjxhuman.encoders.top_down import Crops, Detector, WholePicture, look
from mjxhuman.encoders.torch_bridge import best_device, load_program, torch_module, weights_digest
from mjxhuman.types import Camera

_KEYS = {"program", "gives", "names", "size", "mean", "std", "padding", "detector", "licence"}
_GIVES = ("heatmaps", "keypoints", "smpl")


class Exported:
    """The encoder ``exported``.

    Args:
      weights: folder with ``encoder.json`` and the program. device: torch device. people: per picture at most.

    Raises:
      ValueError: no folder given, or a description that does not fit (the entry is named). FileNotFoundError: a file is
        missing. ImportError: torch is not installed.
    """

    name = "exported"
    takes_device_arrays = True

    def __init__(
        self, weights: str | os.PathLike[str] | None = None, *, device: str | None = None, people: int = 4
    ) -> None:
        if weights is None:
            raise ValueError("exported: expected the folder of encoder.json and its program (--weights)")
        self._folder = Path(weights)
        self._about = about = _description(self._folder)
        torch = torch_module("exported")
        self._device = best_device(torch, device)
        self._program = load_program(self._folder / about["program"], self._device)
        self._crops = Crops(
            tuple(about["size"]),  # type: ignore[arg-type]
            tuple(about.get("mean", IMAGENET_MEAN)),
            tuple(about.get("std", IMAGENET_STD)),
            float(about.get("padding", PADDING)),
        )
        self._detector = (
            WholePicture()
            if about["detector"] == "whole"
            else Detector(self._folder / about["detector"], self._device, limit=people)
        )
        self._people = people
        self._one_at_a_time = threading.Lock()

    def fingerprint(self) -> str:
        """Hash of everything in the folder, version of torch."""
        import torch

        return f"exported {weights_digest(self._folder)} torch {torch.__version__} people {self._people}"

    def encode(self, video: AnyVideo, camera: Camera | None = None) -> Encoding:
        """Everyone in the video. The camera places bodies; without one it is level and its focal length the diagonal.

        Raises:
          RuntimeError: the program's output is not what ``encoder.json`` says.
        """
        times, found = [], []
        with self._one_at_a_time:
            for time, row in look(video, self._detector, self._crops, self._run, self._device):
                times.append(time)
                found.append(row)
        if self._about["gives"] == "smpl":
            return body_encoding(video, self.name, times, found, self._crops, camera)
        names = self._names
        empty = {"uv": np.zeros((0, len(names), 2)), "confidence": np.zeros((0, len(names)))}
        return collect(video, self.name, times, [{**empty, **row} for row in found], names, boxes=True)

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(self._about["names"])

    def _run(self, crops: Any, frames: np.ndarray) -> dict[str, Any]:
        import torch

        out, gives = self._program(crops), self._about["gives"]
        if gives == "smpl":
            return _smpl(out, len(crops))
        points = len(self._names)
        if gives == "heatmaps":
            if out.ndim != 4 or out.shape[:2] != (len(crops), points):
                raise RuntimeError(
                    f"{self._folder}: expected heat maps {(len(crops), points)} + (h, w), found {tuple(out.shape)}"
                )
            uv, confidence = points_of_heatmaps(torch, out, frames)
            return {"uv": uv, "confidence": confidence}
        if tuple(out.shape) != (len(crops), points, 3):
            raise RuntimeError(
                f"{self._folder}: expected keypoints {(len(crops), points, 3)}, found {tuple(out.shape)}"
            )
        frame = torch.as_tensor(frames, dtype=torch.float32, device=out.device)[:, None]
        return {"uv": frame[..., :2] + frame[..., 2:] * (out[..., :2] - 0.5), "confidence": out[..., 2]}

    def close(self) -> None:
        """Nothing to free."""


def _smpl(out: Any, count: int) -> dict[str, Any]:
    shapes = {"rotations": (count, 24, 3, 3), "betas": (count, None), "camera": (count, 3)}
    for name, shape in shapes.items():
        found = tuple(out[name].shape) if isinstance(out, dict) and name in out else "nothing"
        if found == "nothing" or len(found) != len(shape) or any(b not in (None, a) for a, b in zip(found, shape)):
            raise RuntimeError(f"exported program: expected {name} {shape}, found {found}")
    return {name: out[name] for name in (*shapes, "features") if name in out}


def _description(folder: Path) -> dict[str, Any]:
    file = folder / "encoder.json"
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file, expected the description of an exported network")
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: expected JSON, found {error}") from None
    needed = {"program", "gives", "size", "detector"}
    if not isinstance(about, dict) or not needed <= set(about) <= _KEYS:
        found = ", ".join(sorted(about)) if isinstance(about, dict) else type(about).__name__
        needs, knows = ", ".join(sorted(needed)), ", ".join(sorted(_KEYS))
        raise ValueError(f"{file}: found the entries {found}; expected at least {needs}, and no others than {knows}")
    if about["gives"] not in _GIVES:
        raise ValueError(f"{file}: gives: expected one of {', '.join(_GIVES)}, found {about['gives']!r}")
    if about["gives"] != "smpl":
        names = about.get("names", "coco_17")
        if isinstance(names, str) and names not in LAYOUTS:
            raise ValueError(f"{file}: names: expected a list or one of {', '.join(LAYOUTS)}, found {names!r}")
        about["names"] = list(LAYOUTS[names]) if isinstance(names, str) else [canonical_name(n) for n in names]
    return about
