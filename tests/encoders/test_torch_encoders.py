"""Networks in torch with random weights: shapes, preprocessing, decoding and coordinates against the library's own."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from mjxhuman.data.smpl import SMPL_PELVIS
from mjxhuman.data.video import VideoArray
from mjxhuman.encoders import choose, make_encoder
from mjxhuman.encoders.mesh_recovery import full_camera

torch = pytest.importorskip("torch", reason="torch is not installed")

from mjxhuman.encoders import crops, torch_bridge  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.jit is on its way out

SIZE = (320, 240)


def smooth_pictures(count: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (count, SIZE[1], SIZE[0], 3))
    return np.clip(4 * gaussian_filter(noise, (0, 4, 4, 0)) - 380, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.fixture(scope="module")
def processor(transformers):
    from transformers.models.vitpose.image_processing_pil_vitpose import VitPoseImageProcessorPil

    return VitPoseImageProcessorPil()


BOXES = np.array([[30.0, 40.0, 110.0, 190.0], [200.0, 20.0, 310.0, 110.0], [100.0, 60.0, 160.0, 200.0]])


def coco(boxes: np.ndarray) -> list[list[float]]:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], -1).tolist()


def test_crops_are_those_of_the_library(processor):
    image = smooth_pictures(1)[0]
    theirs = processor.preprocess([image], boxes=[coco(BOXES)], return_tensors="np")["pixel_values"]
    frame = crops.framed(BOXES, 192 / 256)
    ours = crops.cut(torch, torch.from_numpy(image), frame, (192, 256), crops.IMAGENET_MEAN, crops.IMAGENET_STD).numpy()
    assert ours.shape == theirs.shape == (3, 3, 256, 192)
    x = frame[:, :1] + frame[:, 2:3] * np.linspace(-0.5, 0.5, 192)
    y = frame[:, 1:2] + frame[:, 3:] * np.linspace(-0.5, 0.5, 256)
    inside = ((x >= 0) & (x <= SIZE[0] - 1))[:, None, None, :] & ((y >= 0) & (y <= SIZE[1] - 1))[:, None, :, None]
    levels = np.abs(ours - theirs) * 0.225 * 255  # theirs is rounded down to whole levels
    assert np.where(inside, levels, 0).max() < 1.5
    beyond = ((x < -1) | (x > SIZE[0]))[:, None, None, :] | ((y < -1) | (y > SIZE[1]))[:, None, :, None]
    assert np.where(beyond, levels, 0).max() < 0.01


def test_heat_maps_are_read_as_by_the_library(processor):
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:64, :48]
    centre = rng.uniform([0, 0], [47, 63], (3, 17, 2))
    square = (columns - centre[..., :1, None]) ** 2 + (rows - centre[..., 1:, None]) ** 2
    maps = (rng.uniform(0.1, 1.0, (3, 17, 1, 1)) * np.exp(-square / 8)).astype(np.float32)
    maps += rng.normal(0, 0.002, maps.shape).astype(np.float32)
    theirs = processor.post_process_pose_estimation(SimpleNamespace(heatmaps=torch.from_numpy(maps)), [coco(BOXES)])[0]
    frame = crops.framed(BOXES, 192 / 256)
    uv, confidence = crops.points_of_heatmaps(torch, torch.from_numpy(maps), frame)
    assert np.allclose(uv, np.stack([r["keypoints"] for r in theirs]), atol=2e-3)
    assert np.allclose(confidence, np.stack([r["scores"] for r in theirs]))
    truth = frame[:, None, :2] + frame[:, None, 2:] * (centre / [47, 63] - 0.5)
    assert np.median(np.linalg.norm(np.asarray(uv) - truth, axis=-1)) < 0.25  # px of the picture, a cell is 3 to 4


@pytest.fixture(scope="module")
def vitpose_folder(transformers, detector_folder, tmp_path_factory) -> Path:
    """The real architectures, small, with random weights: ViTPose, and RT-DETR as the detector."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    backbone = transformers.VitPoseBackboneConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, out_indices=[2]
    )
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=17)
    transformers.VitPoseForPoseEstimation(config).save_pretrained(folder / "pose")
    (folder / "pose/preprocessor_config.json").write_text(json.dumps({"size": {"height": 256, "width": 192}}))
    shutil.copytree(detector_folder, folder / "detector")
    return folder


def test_vitpose_runs_as_the_library_would(vitpose_folder, processor, monkeypatch):
    encoder = make_encoder("vitpose", weights=str(vitpose_folder), device="cpu")
    boxes = np.array([[110.0, 70.0, 160.0, 150.0], [190.0, 60.0, 240.0, 150.0]])  # crops within the picture
    monkeypatch.setattr(encoder, "_detector", lambda images: [boxes])
    for frame in smooth_pictures(3):
        encoding = encoder.encode(VideoArray(frame[None], 25.0))  # one picture: random keypoints cannot be tracked
        assert len(encoding.people) == 2 and encoding.fps == 25.0
        pixels = processor.preprocess([frame], boxes=[coco(boxes)], return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            out = encoder._model(pixels.float())
        results = processor.post_process_pose_estimation(out, [coco(boxes)])[0]
        for person in encoding.people:
            which = int(np.argmin(np.abs(boxes - person.box[0]).sum(1)))
            assert np.allclose(person.box[0], boxes[which], atol=1e-3)
            scores = results[which]["scores"].numpy()
            near = np.linalg.norm(person.keypoints.uv[0] - results[which]["keypoints"].numpy(), axis=-1)
            assert np.median(near[scores > 0]) < 0.3  # the library rounds colours down, which random weights feel
            assert np.allclose(person.keypoints.confidence[0], scores.clip(0, 1), atol=0.02)


def test_detector_gives_people_in_pixels(vitpose_folder, transformers):
    from mjxhuman.encoders.top_down import Detector

    images = smooth_pictures(2)
    detector = Detector(vitpose_folder / "detector", torch.device("cpu"), threshold=0.0, limit=3)
    boxes = detector(list(images))
    assert [b.shape for b in boxes] == [(3, 4)] * 2
    assert all(((b[:, 2:] > b[:, :2]) & (b[:, 2:] <= np.array(SIZE) * 1.5)).all() for b in boxes)
    assert all(len(b) == 0 for b in Detector(vitpose_folder / "detector", torch.device("cpu"), threshold=1.0)(images))


def test_vitpose_weights_are_the_users(tmp_path, vitpose_folder):
    with pytest.raises(ValueError, match="expected the folder of its weights"):
        make_encoder("vitpose")
    with pytest.raises(FileNotFoundError, match="nothing is downloaded"):
        make_encoder("vitpose", weights=str(tmp_path))
    encoder = make_encoder("vitpose", weights=str(vitpose_folder))
    before = encoder.fingerprint()
    assert before == encoder.fingerprint()
    file = vitpose_folder / "pose/preprocessor_config.json"
    text = file.read_text()
    file.write_text(text + "\n")
    assert encoder.fingerprint() != before
    file.write_text(text)


def test_arrays_cross_without_a_copy():
    import jax.numpy as jnp

    array = jnp.arange(1000.0)
    tensor = torch_bridge.to_torch(array)
    assert tensor.data_ptr() == array.unsafe_buffer_pointer()
    back = torch_bridge.to_jax(tensor)
    assert back.unsafe_buffer_pointer() == tensor.data_ptr()
    assert np.array_equal(back, array)


class Points(torch.nn.Module):
    """Every point in the middle of the crop, confidence the mean brightness."""

    def forward(self, x):
        bright = torch.sigmoid(x.mean((1, 2, 3)))[:, None, None].expand(-1, 17, 1)
        return torch.cat([torch.full_like(bright, 0.5), torch.full_like(bright, 0.25), bright], -1)


class Maps(torch.nn.Module):
    """A heat map that peaks where the crop is brightest."""

    def forward(self, x):
        small = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), 4)
        return torch.softmax(small.flatten(1) * 50, -1).view_as(small).expand(-1, 17, -1, -1)


class Bodies(torch.nn.Module):
    """A person who turns with the brightness of the crop and stands in its middle."""

    def __init__(self) -> None:
        super().__init__()
        self.feature = torch.nn.Linear(3, 8)

    def forward(self, x):
        colour = x.mean((2, 3))
        turns = torch.eye(3).expand(x.shape[0], 24, 3, 3)
        flip = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
        rotations = torch.cat([flip.expand(x.shape[0], 1, 3, 3), turns[:, 1:]], 1)
        weak = torch.tensor([0.9, 0.0, 0.2]).expand(x.shape[0], 3)
        betas = torch.ones(x.shape[0], 10)
        return {"rotations": rotations, "betas": betas, "camera": weak, "features": self.feature(colour)}


def exported(folder: Path, network: torch.nn.Module, kind: str, **about) -> Path:
    folder.mkdir()
    example = torch.rand(2, 3, 64, 48)
    if kind == "pt2":
        program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim("n", min=1, max=64)},))
        torch.export.save(program, folder / "net.pt2")
    else:
        torch.jit.save(torch.jit.script(network), folder / "net.pt")
    described = {"program": f"net.{kind}", "size": [48, 64], "detector": "whole"} | about
    (folder / "encoder.json").write_text(json.dumps(described))
    return folder


@pytest.mark.parametrize("kind", ["pt", "pt2"])
def test_exported_keypoints(tmp_path, kind):
    folder = exported(tmp_path / "net", Points(), kind, gives="keypoints", names="coco_17")
    encoder = make_encoder("exported", weights=str(folder), device="cpu")
    encoding = encoder.encode(VideoArray(smooth_pictures(5), 16.0))
    (person,) = encoding.people
    middle, size = np.array([319.0, 239.0]) / 2, np.array([319.0, 319.0 * 64 / 48]) * 1.25
    assert np.allclose(person.keypoints.uv, middle - size * [0.0, 0.25], atol=1e-2)
    assert person.keypoints.names[5] == "LShoulder"
    assert ((person.keypoints.confidence > 0) & (person.keypoints.confidence < 1)).all()


@pytest.mark.parametrize("channels", ["first", "last"])
@pytest.mark.parametrize("kind", ["torch", "jax", "numpy"])
def test_trainers_frames_stay_where_they_are(tmp_path, monkeypatch, kind, channels):
    """Frames reach a network in torch without a detour through NumPy, and mean the same."""
    import jax.numpy as jnp

    from mjxhuman.scoring.videos import VideoReward

    folder = exported(tmp_path / "net", Points(), "pt", gives="keypoints", names="coco_17")
    encoder = make_encoder("exported", weights=str(folder), device="cpu")
    frames = smooth_pictures(4)
    expected = encoder.encode(VideoArray(frames, 16.0)).people[0].keypoints
    got = []
    encode = encoder.encode

    def watched(video, camera=None):
        got.append((type(video.images), encode(video, camera)))
        raise ValueError("enough")

    monkeypatch.setattr(encoder, "encode", watched)
    array = np.moveaxis(frames, -1, 1) if channels == "first" else frames
    array = array / np.float32(255)
    clip = {"torch": torch.from_numpy, "jax": jnp.asarray, "numpy": np.asarray}[kind](array)
    VideoReward(encoder, workers=1)([clip], 16.0)
    ((where, encoding),) = got
    assert (kind == "torch") == issubclass(where, torch.Tensor)
    assert (kind == "numpy") == issubclass(where, np.ndarray)
    assert np.allclose(encoding.people[0].keypoints.confidence, expected.confidence, atol=1e-6)


def test_exported_heat_maps_find_the_bright_spot(tmp_path):
    folder = exported(tmp_path / "net", Maps(), "pt", gives="heatmaps", names="coco_17")
    frames = np.full((4, SIZE[1], SIZE[0], 3), 20, np.uint8)
    spots = [(60 + 20 * k, 100) for k in range(4)]
    for frame, (x, y) in zip(frames, spots):
        frame[y - 12 : y + 12, x - 12 : x + 12] = 255
    encoder = make_encoder("exported", weights=str(folder), device="cpu")
    for frame, spot in zip(frames, spots):
        (person,) = encoder.encode(VideoArray(frame[None], 16.0)).people
        assert np.abs(person.keypoints.uv[0] - spot).max() < 25  # a cell is 27 px


@pytest.mark.parametrize("kind", ["pt", "pt2"])
def test_exported_bodies_stand_before_the_camera(tmp_path, kind):
    from mjxhuman.data.cameras import level_camera
    from mjxhuman.retarget import retarget_motion

    folder = exported(tmp_path / "net", Bodies(), kind, gives="smpl")
    encoder = make_encoder("exported", weights=str(folder), device="cpu")
    encoding = encoder.encode(VideoArray(smooth_pictures(12), 16.0), level_camera(SIZE, focal=500.0))
    person, _ = choose(encoding)
    assert person.features.values.shape == (12, 8) and person.features.valid.all()
    body = person.body
    width = 0.9 * 319.0 * 1.25 * 64 / 48
    right, down = 2 * (159.5 - 160.0) / width, 0.2 + 2 * (119.5 - 120.0) / width
    expected = np.array([2 * 500.0 / width, -right, -down])  # the camera looks along x, its right is -y
    pelvis = np.array([SMPL_PELVIS[2], -SMPL_PELVIS[0], -SMPL_PELVIS[1]])  # the template's own axes are the camera's
    assert np.allclose(body.transl, expected + pelvis, atol=2e-3)
    # upright before the camera, facing it: along the world's -x
    axes = Rotation.from_quat(body.global_orient[0], scalar_first=True).as_matrix()
    assert np.allclose(axes @ [0, 1, 0], [0, 0, 1], atol=1e-6) and np.allclose(axes @ [0, 0, 1], [-1, 0, 0], atol=1e-6)
    motion = retarget_motion(body)
    assert np.asarray(motion.valid).all()


def test_full_camera_projects_to_where_the_crop_saw_it():
    """A point at the body's origin lies in the picture where the weak camera has it in the crop."""
    rng = np.random.default_rng(0)
    weak = np.stack([rng.uniform(0.5, 1.5, 20), *rng.uniform(-0.3, 0.3, (2, 20))], -1)
    centre, size = rng.uniform(200, 800, (20, 2)), rng.uniform(100, 400, 20)
    focal, principal = 1000.0, np.array([640.0, 360.0])
    place = full_camera(weak, centre, size, focal, principal)
    seen = focal * place[:, :2] / place[:, 2:] + principal
    in_crop = centre + 0.5 * size[:, None] * weak[:, :1] * weak[:, 1:]
    assert np.allclose(seen, in_crop)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gives": "meshes"}, "gives: expected one of heatmaps, keypoints, smpl, found 'meshes'"),
        ({"names": "nonsense"}, "names: expected a list or one of"),
        ({"colour": 1}, "found the entries"),
        ({"program": "absent.pt"}, "absent.pt: no such file"),
    ],
)
def test_wrong_descriptions_are_named(tmp_path, change, message):
    folder = exported(tmp_path / "net", Points(), "pt", **{"gives": "keypoints"} | change)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        make_encoder("exported", weights=str(folder))


def test_wrong_programs_are_named(tmp_path):
    folder = exported(tmp_path / "a", Points(), "pt", gives="heatmaps")
    with pytest.raises(RuntimeError, match="expected heat maps"):
        make_encoder("exported", weights=str(folder)).encode(VideoArray(smooth_pictures(3), 16.0))
    (folder / "net.pt").write_bytes(b"no program")
    with pytest.raises(ValueError, match=r"expected TorchScript \(.pt\) or an exported program"):
        make_encoder("exported", weights=str(folder))
    with pytest.raises(FileNotFoundError, match=r"encoder\.json"):
        make_encoder("exported", weights=str(tmp_path))


DEMO = """
import argparse, pathlib, sys
import torch
parser = argparse.ArgumentParser()
parser.add_argument("--video"); parser.add_argument("--output_root"); parser.add_argument("-s", action="store_true")
args = parser.parse_args()
assert pathlib.Path(args.video).stat().st_size > 500 and args.s
if pathlib.Path("broken").exists():
    sys.exit("CUDA out of memory")
n = int(pathlib.Path("frames").read_text())
out = pathlib.Path(args.output_root) / "clip"
out.mkdir(parents=True)
zeros = torch.zeros(n, 3)
up = zeros.clone(); up[:, 1] = torch.linspace(0, 1, n)
params = {"global_orient": zeros, "body_pose": torch.zeros(n, 63), "transl": up, "betas": torch.zeros(n, 10)}
context = torch.arange(n).float()[None, :, None].expand(1, n, 512).clone()
torch.save({"smpl_params_global": params, "smpl_params_incam": params, "K_fullimg": torch.eye(3),
            "net_outputs": {"model_output": {"pred_context": context}}}, out / "hmr4d_results.pt")
sys.exit(1)  # drawing fails without a display: the result is there all the same
"""


def test_gvhmr_is_run_and_read(tmp_path):
    """A stand-in for the demo of GVHMR that writes a result of its layout: rising by 1 m, upright."""
    pytest.importorskip("av", reason="the extra 'video' is not installed")
    demo = tmp_path / "tools/demo/demo.py"
    demo.parent.mkdir(parents=True)
    demo.write_text(DEMO)
    (tmp_path / "frames").write_text("12")
    encoder = make_encoder("gvhmr", weights=str(tmp_path), python=sys.executable)
    encoding = encoder.encode(VideoArray(smooth_pictures(12), 16.0))
    person, _ = choose(encoding)
    assert person.features.values.shape == (12, 512) and person.features.values[7, 3] == 7.0
    assert person.body.fps == 16.0  # not the 30 that GVHMR takes every film for
    assert np.allclose(np.asarray(person.body.transl)[-1] - np.asarray(person.body.transl)[0], [0, 0, 1], atol=1e-6)
    (tmp_path / "broken").touch()
    with pytest.raises(RuntimeError, match="GVHMR gave no result: CUDA out of memory"):
        encoder.encode(VideoArray(smooth_pictures(12), 16.0))


def test_gvhmr_says_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match="expected the folder of a GVHMR checkout"):
        make_encoder("gvhmr")
    with pytest.raises(FileNotFoundError, match=r"no tools/demo/demo\.py"):
        make_encoder("gvhmr", weights=str(tmp_path))
    (tmp_path / "tools/demo").mkdir(parents=True)
    (tmp_path / "tools/demo/demo.py").touch(stat.S_IRUSR | stat.S_IWUSR)
    with pytest.raises(FileNotFoundError, match="MJXHUMAN_GVHMR_PYTHON"):
        make_encoder("gvhmr", weights=str(tmp_path))
