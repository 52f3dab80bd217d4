"""Encoders for tests: MediaPipe where it is installed, and a stand-in without a network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mjxhuman.data.keypoint_names import LAYOUTS
from mjxhuman.encoders.base import Encoding, collect


class SquareFinder:
    """Finds the bright square of ``films.picture``: a person of 17 points on its edge. Counts its runs."""

    name = "squares"
    takes_device_arrays = False

    def __init__(self) -> None:
        self.runs = 0

    def fingerprint(self) -> str:
        return "squares 1"

    def encode(self, video, camera=None) -> Encoding:
        self.runs += 1
        times, found = [], []
        for picture in video:
            bright = picture.image.min(-1) > 150
            times.append(picture.time)
            rows, columns = np.nonzero(bright)
            if not len(rows):
                found.append({"uv": np.zeros((0, 17, 2)), "confidence": np.zeros((0, 17))})
                continue
            corner = np.array([columns.min(), rows.min()], float)
            side = np.array([np.ptp(columns), np.ptp(rows)], float)
            angle = np.linspace(0, 2 * np.pi, 17, endpoint=False)
            ring = corner + side * (0.5 + 0.5 * np.stack([np.cos(angle), np.sin(angle)], -1))
            found.append({"uv": ring[None], "confidence": np.full((1, 17), 0.9)})
        return collect(video, self.name, times, found, LAYOUTS["coco_17"])

    def close(self) -> None:
        pass


@pytest.fixture
def squares() -> SquareFinder:
    return SquareFinder()


@pytest.fixture(scope="session")
def blazepose():
    from mjxhuman.encoders import make_encoder
    from mjxhuman.encoders.mediapipe_home import NotInstalled

    try:
        encoder = make_encoder("blazepose", model="full")
    except NotInstalled as error:
        pytest.skip(str(error))
    yield encoder
    encoder.close()


@pytest.fixture(scope="session")
def detector_folder(tmp_path_factory) -> Path:
    """RT-DETR, small, with random weights."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    folder = tmp_path_factory.mktemp("detector")
    torch.manual_seed(1)  # random classes, "person" often enough among them
    resnet = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = transformers.RTDetrConfig(
        backbone_config=resnet, encoder_hidden_dim=32, encoder_in_channels=[16, 32, 64], d_model=32, num_queries=10,
        decoder_in_channels=[32, 32, 32], encoder_ffn_dim=32, decoder_ffn_dim=32, decoder_layers=1, num_denoising=0,
        encoder_attention_heads=2, decoder_attention_heads=2, id2label={0: "person", 1: "dog"},
        label2id={"person": 0, "dog": 1},
    )  # fmt: skip
    transformers.RTDetrForObjectDetection(config).save_pretrained(folder)
    about = {"image_processor_type": "RTDetrImageProcessor", "size": {"height": 64, "width": 64}, "do_normalize": False}
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
    return folder
