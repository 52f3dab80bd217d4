"""Networks that look at one person at a time: detect, cut out, run, put the pieces back together. Torch.

Used by ``vitpose`` (a network of Hugging Face transformers), ``hmr2`` and ``exported`` (any network in a file).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.data.video import Picture
from mjxhuman.encoders.base import AnyVideo
from mjxhuman.encoders.crops import cut, cut_affine, framed
from mjxhuman.encoders.torch_bridge import to_torch
from mjxhuman.runs import optional

#: Pictures whose crops go through a network together, at most.
BATCH = 16


class WholePicture:
    """In place of a detector: one person who fills the picture, as released video rewards assume."""

    def __call__(self, images: Sequence[Any]) -> list[np.ndarray]:
        """Boxes ``(1, 4)`` px of each picture."""
        return [np.array([[0.0, 0.0, image.shape[1] - 1.0, image.shape[0] - 1.0]]) for image in images]


class Detector:
    """People found by an object detection model of transformers (RT-DETR, DETR, ...) in a local folder.

    Args:
      folder: with config.json, preprocessor_config.json and the weights.
      device: torch device.
      threshold: least score of a person.
      limit: people per picture at most, best scores first.

    Raises:
      ImportError: transformers or torch is missing. FileNotFoundError: no model in the folder.
      ValueError: the model knows no class "person".
    """

    def __init__(self, folder: Path, device: Any, threshold: float = 0.5, limit: int = 4) -> None:
        transformers = transformers_module("a detector of people")
        require_model(folder, "a model for object detection")
        self._processor = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        model = transformers.AutoModelForObjectDetection.from_pretrained(folder, local_files_only=True)
        self._model, self._device = model.eval().to(device), device
        self._threshold, self._limit = threshold, limit
        people = [k for k, name in model.config.id2label.items() if name.lower() == "person"]
        if not people:
            raise ValueError(f"{folder}: expected a detector with the class 'person', found none among its labels")
        self._person = int(people[0])

    def __call__(self, images: Sequence[Any]) -> list[np.ndarray]:
        """Boxes ``(n, 4)`` x0, y0, x1, y1 px of each picture."""
        import torch

        arrays = [to_torch(image).cpu().numpy() for image in images]  # the library's own preprocessing is on the CPU
        inputs = self._processor(images=arrays, return_tensors="pt").to(self._device)
        with torch.inference_mode():
            outputs = self._model(**inputs)
        sizes = [image.shape[:2] for image in images]
        found = self._processor.post_process_object_detection(outputs, threshold=self._threshold, target_sizes=sizes)
        boxes = []
        for result in found:
            chosen = result["labels"] == self._person
            order = result["scores"][chosen].argsort(descending=True)[: self._limit]
            boxes.append(result["boxes"][chosen][order].cpu().numpy().astype(np.float64))
        return boxes


@dataclasses.dataclass(frozen=True)
class Crops:
    """How a network wants its people: size in px (width, height), colours, padding around the box, sampling."""

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    padding: float
    affine: bool = False  # where pixels lie: ``cut_affine`` in place of ``cut``

    def frames(self, boxes: np.ndarray) -> np.ndarray:
        """Centres and sizes ``(N, 4)`` of the crops."""
        return framed(boxes, self.size[0] / self.size[1], self.padding)

    def cut(self, torch: Any, image: Any, frames: np.ndarray) -> Any:
        """The crops ``(N, 3, H, W)`` of one picture (tensor), as the network wants them."""
        return (cut_affine if self.affine else cut)(torch, image, frames, self.size, self.mean, self.std)


def look(
    video: AnyVideo,
    detector: Callable[[Sequence[Any]], list[np.ndarray]],
    crops: Crops,
    network: Callable[[Any, np.ndarray], dict[str, Any]],
    device: Any,
) -> Iterator[tuple[float, dict[str, np.ndarray]]]:
    """Run a network on everyone in every picture.

    Args:
      network: of crops ``(N, 3, H, W)`` and their frames ``(N, 4)``; gives tensors whose first axis is N.

    Yields:
      Time (s) of each picture, and by name ``box (n, 4)`` px and the network's outputs ``(n, ...)``. Where n is 0 there
      may be no outputs.
    """
    import torch

    for batch in _batches(video, BATCH):
        boxes = detector([picture.image for picture in batch])
        frames = [crops.frames(box) if len(box) else np.zeros((0, 4)) for box in boxes]
        pieces = [
            crops.cut(torch, to_torch(picture.image).to(device), frame)
            for picture, frame in zip(batch, frames, strict=True)
            if len(frame)
        ]
        outputs: dict[str, np.ndarray] = {}
        if pieces:
            with torch.inference_mode():
                raw = network(torch.cat(pieces), np.concatenate(frames))
            outputs = {name: value.float().cpu().numpy() for name, value in raw.items()}
        start = 0
        for picture, box in zip(batch, boxes, strict=True):
            yield picture.time, {"box": box, **{k: value[start : start + len(box)] for k, value in outputs.items()}}
            start += len(box)


def _batches(pictures: AnyVideo, size: int) -> Iterator[list[Picture]]:
    batch: list[Picture] = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def transformers_module(what: str) -> Any:
    """The module ``transformers``.

    Raises:
      ImportError: it is not installed; the message says what needs it.
    """
    return optional("transformers", "encoders", what)


def require_model(folder: Path, what: str) -> None:
    """Check that a folder holds a model of transformers: nothing is ever downloaded.

    Raises:
      FileNotFoundError: it does not; the message says what to do.
    """
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"{folder}: expected {what} in the layout of transformers (config.json, model.safetensors, "
            "preprocessor_config.json), which third_party/README.md says where to get; nothing is downloaded"
        )
