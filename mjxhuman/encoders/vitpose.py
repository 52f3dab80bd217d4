"""ViTPose: 17 keypoints of everyone whom a detector finds, with the implementation of Hugging Face transformers.

Xu et al. 2022, "ViTPose: Simple Vision Transformer Baselines for Human Pose Estimation". Weights come from a local
folder with two models in the layout of transformers: ``pose`` (for example usyd-community/vitpose-base-simple) and
``detector`` (for example PekingU/rtdetr_r50vd_coco_o365).
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.data.keypoint_names import LAYOUTS
from mjxhuman.encoders.base import AnyVideo, Encoding, collect
from mjxhuman.encoders.crops import IMAGENET_MEAN, IMAGENET_STD, PADDING, points_of_heatmaps
from mjxhuman.encoders.top_down import Crops, Detector, look, require_model, transformers_module
from mjxhuman.encoders.torch_bridge import best_device, torch_module, weights_digest
from mjxhuman.types import Camera

_NAMES = LAYOUTS["coco_17"]


class ViTPose:
    """The encoder ``vitpose``.

    Args:
      weights: folder with the folders ``pose`` and ``detector``.
      device: torch device; by default a GPU where torch sees one.
      people: per picture at most.

    Raises:
      ValueError: no folder given, or a model of other keypoints. FileNotFoundError: a model is missing in it.
      ImportError: torch or transformers is not installed.
    """

    name = "vitpose"
    takes_device_arrays = True

    def __init__(
        self, weights: str | os.PathLike[str] | None = None, *, device: str | None = None, people: int = 4
    ) -> None:
        if weights is None:
            raise ValueError(
                "vitpose: expected the folder of its weights (--weights), with the models 'pose' and 'detector' in it; "
                "third_party/README.md says where to get them"
            )
        torch, transformers = torch_module("vitpose"), transformers_module("vitpose")
        self._folder, self._device = Path(weights), best_device(torch, device)
        require_model(self._folder / "pose", "ViTPose")
        self._detector = Detector(self._folder / "detector", self._device, limit=people)
        model = transformers.VitPoseForPoseEstimation.from_pretrained(self._folder / "pose", local_files_only=True)
        if model.config.num_labels != len(_NAMES):
            raise ValueError(f"{weights}: expected a model of {len(_NAMES)} keypoints, found {model.config.num_labels}")
        self._model = model.eval().to(self._device)
        self._crops = _crops_of(self._folder / "pose")
        self._experts = int(getattr(model.config.backbone_config, "num_experts", 1))
        self._people = people
        self._one_at_a_time = threading.Lock()

    def fingerprint(self) -> str:
        """Hash of the weights and configurations, version of transformers."""
        import transformers

        return f"vitpose {weights_digest(self._folder)} transformers {transformers.__version__} people {self._people}"

    def encode(self, video: AnyVideo, camera: Camera | None = None) -> Encoding:
        """Everyone in the video; the camera is not used."""
        times, found = [], []
        with self._one_at_a_time:
            for time, row in look(video, self._detector, self._crops, self._run, self._device):
                times.append(time)
                found.append({"uv": np.zeros((0, 17, 2)), "confidence": np.zeros((0, 17)), **row})
        return collect(video, self.name, times, found, _NAMES, boxes=True)

    def _run(self, crops: Any, frames: np.ndarray) -> dict[str, Any]:
        import torch

        # ViTPose+ has a layer per data set it was trained on; the first is COCO
        extra = {"dataset_index": torch.zeros(len(crops), dtype=torch.long, device=crops.device)}
        heatmaps = self._model(crops, **(extra if self._experts > 1 else {})).heatmaps
        uv, confidence = points_of_heatmaps(torch, heatmaps, frames)
        return {"uv": uv, "confidence": confidence}

    def close(self) -> None:
        """Nothing to free."""


def _crops_of(folder: Path) -> Crops:
    """The preprocessing that the model was trained with."""
    file = folder / "preprocessor_config.json"
    stated = json.loads(file.read_text()) if file.is_file() else {}
    size = stated.get("size", {"width": 192, "height": 256})
    return Crops(
        (int(size["width"]), int(size["height"])),
        tuple(stated.get("image_mean", IMAGENET_MEAN)),
        tuple(stated.get("image_std", IMAGENET_STD)),
        PADDING,
    )
