"""HMR2.0 with random weights: released names, the network stated a second time, crops, cameras, a small video."""

from __future__ import annotations

import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation

from mjxhuman.data.cameras import level_camera
from mjxhuman.data.smpl import SMPL_PELVIS
from mjxhuman.data.video import VideoArray
from mjxhuman.encoders import hmr2, make_encoder
from mjxhuman.encoders.hmr2_network import Network, Sizes, rotations_of_6d, shapes
from mjxhuman.encoders.mesh_recovery import full_camera
from mjxhuman.encoders.registry import encoder_table

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

from torch import nn  # noqa: E402

SMALL = Sizes(width=32, blocks=3, heads=4, dim=24, depth=2, decoder_heads=2, dim_head=8, mlp_dim=20)
SIZE = (320, 240)
CONFIG = """
trainer: {default_root_dir: "${paths.output_dir}"}
MODEL:
  IMAGE_SIZE: 256
  IMAGE_MEAN: [0.485, 0.456, 0.406]
  IMAGE_STD: [0.229, 0.224, 0.225]
  BACKBONE: {TYPE: vit, FREEZE: true}
  SMPL_HEAD:
    TYPE: transformer_decoder
    TRANSFORMER_DECODER: {dim: 24, depth: 2, heads: 2, mlp_dim: 20, dim_head: 8, dropout: 0.0, norm: layer}
"""


def parts(**modules: nn.Module | nn.Parameter) -> nn.Module:
    """A module that owns others by name."""
    owner = nn.Module()
    for name, module in modules.items():
        setattr(owner, name, module)
    return owner


class Reference(nn.Module):
    """HMR2.0 in plain torch, its parameters named as in the release, its arithmetic written out."""

    def __init__(self, size: Sizes) -> None:
        super().__init__()
        self.size, wide, dim, inner = size, size.width, size.dim, size.decoder_heads * size.dim_head
        self.backbone = parts(
            pos_embed=nn.Parameter(torch.randn(1, 193, wide)),
            patch_embed=parts(proj=nn.Conv2d(3, wide, 16, stride=16, padding=2)),
            blocks=nn.ModuleList(self.block(wide) for _ in range(size.blocks)),
            last_norm=nn.LayerNorm(wide, eps=1e-6),
        )
        self.smpl_head = parts(
            transformer=parts(
                to_token_embedding=nn.Linear(1, dim),
                pos_embedding=nn.Parameter(torch.randn(1, 1, dim)),
                transformer=parts(layers=nn.ModuleList(self.layer(wide, dim, inner) for _ in range(size.depth))),
            ),
            decpose=nn.Linear(dim, 144),
            decshape=nn.Linear(dim, 10),
            deccam=nn.Linear(dim, 3),
        )
        self.smpl_head.deccam.weight.data *= 0.1
        mean = {"body_pose": torch.randn(1, 144), "betas": torch.randn(1, 10), "cam": torch.tensor([[0.9, 0.0, 0.1]])}
        for name, value in mean.items():
            self.smpl_head.register_buffer(f"init_{name}", value)

    def block(self, wide):
        return parts(
            norm1=nn.LayerNorm(wide, eps=1e-6),
            attn=parts(qkv=nn.Linear(wide, 3 * wide), proj=nn.Linear(wide, wide)),
            norm2=nn.LayerNorm(wide, eps=1e-6),
            mlp=parts(fc1=nn.Linear(wide, 4 * wide), fc2=nn.Linear(4 * wide, wide)),
        )

    def layer(self, wide, dim, inner):
        out, middle = [nn.ModuleList([nn.Linear(inner, dim), nn.Dropout()]) for _ in range(2)], self.size.mlp_dim
        q, kv = nn.Linear(dim, inner, bias=False), nn.Linear(wide, 2 * inner, bias=False)
        own = parts(to_qkv=nn.Linear(dim, 3 * inner, bias=False), to_out=out[0])
        other = parts(to_q=q, to_kv=kv, to_out=out[1])
        feed = parts(net=nn.Sequential(nn.Linear(dim, middle), nn.GELU(), nn.Dropout(), nn.Linear(middle, dim)))
        return nn.ModuleList([parts(norm=nn.LayerNorm(dim), fn=fn) for fn in (own, other, feed)])

    def tokens(self, crops):
        net, x = self.backbone, self.backbone.patch_embed.proj(crops).flatten(2).transpose(1, 2)
        x = x + net.pos_embed[:, 1:] + net.pos_embed[:, :1]
        for block in net.blocks:
            q, k, v = block.attn.qkv(block.norm1(x)).split(self.size.width, -1)
            x = x + block.attn.proj(attend(q, k, v, self.size.heads))
            x = x + block.mlp.fc2(nn.functional.gelu(block.mlp.fc1(block.norm2(x))))
        return net.last_norm(x)

    def forward(self, crops):
        head, context, size = self.smpl_head, self.tokens(crops), self.size
        inner = size.decoder_heads * size.dim_head
        x = head.transformer.to_token_embedding(torch.zeros(len(crops), 1, 1)) + head.transformer.pos_embedding
        for own, other, feed in head.transformer.transformer.layers:
            q, k, v = own.fn.to_qkv(own.norm(x)).split(inner, -1)
            x = x + own.fn.to_out[0](attend(q, k, v, size.decoder_heads))
            k, v = other.fn.to_kv(context).split(inner, -1)
            x = x + other.fn.to_out[0](attend(other.fn.to_q(other.norm(x)), k, v, size.decoder_heads))
            net = feed.fn.net
            x = x + net[3](nn.functional.gelu(net[0](feed.norm(x))))
        x = x[:, 0]
        pose = head.decpose(x) + head.init_body_pose
        return pose, head.decshape(x) + head.init_betas, head.deccam(x) + head.init_cam, x


def attend(q, k, v, heads):
    """Attention, a head at a time."""
    out = []
    for a, b, c in zip(*(t.chunk(heads, -1) for t in (q, k, v))):
        out.append((a @ b.transpose(1, 2) / a.shape[-1] ** 0.5).softmax(-1) @ c)
    return torch.cat(out, -1)


@pytest.fixture
def reference() -> Reference:
    torch.manual_seed(1)
    return Reference(SMALL).eval()


def strange_objects() -> dict:
    """What checkpoints of Lightning hold besides: configurations of classes that are not installed here."""

    class CfgNode(dict):
        pass

    node = CfgNode(TYPE="vit", tree=CfgNode(depth=6))
    node.__dict__["__immutable__"] = True
    CfgNode.__module__, CfgNode.__qualname__ = "yacs.config", "CfgNode"
    sys.modules["yacs"], sys.modules["yacs.config"] = types.ModuleType("yacs"), types.ModuleType("yacs.config")
    sys.modules["yacs.config"].CfgNode = CfgNode
    return {"hyper_parameters": {"cfg": node}, "epoch": 35, "callbacks": {"x": {"best": torch.tensor(1.0)}}}


@pytest.fixture
def folder(tmp_path, reference, detector_folder, monkeypatch) -> Path:
    """Weights in the layout of the release, small."""
    monkeypatch.setattr(hmr2, "_SIZES", SMALL)
    shutil.copytree(detector_folder, tmp_path / "detector")
    run = tmp_path / "logs/train/multiruns/hmr2/0"
    (run / "checkpoints").mkdir(parents=True)
    (run / "model_config.yaml").write_text(CONFIG)
    save(run / "checkpoints/epoch=35-step=1000000.ckpt", reference.state_dict())
    return tmp_path


def save(path: Path, state: dict) -> None:
    names = ("discriminator.D_conv1.weight", "smpl.faces", "initialized")  # left over from the training
    try:
        torch.save({"state_dict": {**state, **dict.fromkeys(names, torch.zeros(3))}, **strange_objects()}, path)
    finally:
        for name in ("yacs", "yacs.config"):
            sys.modules.pop(name, None)


def checkpoint(folder: Path) -> Path:
    return next(folder.rglob("*.ckpt"))


def test_names_and_shapes_are_those_of_the_release(reference):
    assert shapes(SMALL) == {name: tuple(value.shape) for name, value in reference.state_dict().items()}
    released = shapes(Sizes())
    assert released["backbone.blocks.31.attn.qkv.weight"] == (3840, 1280)
    assert released["smpl_head.transformer.transformer.layers.5.1.fn.to_kv.weight"] == (1024, 1280)
    counts = {part: sum(int(np.prod(s)) for n, s in released.items() if n.startswith(part)) for part in hmr2._READ}
    assert round(counts["backbone."] / 1e6) == 631  # ViT-H


def test_the_network_fits_at_its_full_size():
    """Without memory for it: transformers takes every parameter, and the outputs have the released shapes."""
    meta = {name: torch.empty(shape, device="meta") for name, shape in shapes(Sizes()).items()}
    out = Network(meta, Sizes(), "meta")(torch.empty(5, 3, 256, 192, device="meta"))
    found = {name: tuple(value.shape) for name, value in out.items()}
    assert found == {"rotations": (5, 24, 3, 3), "betas": (5, 10), "camera": (5, 3), "features": (5, 1024)}


def test_a_checkpoint_runs_as_the_network_it_came_from(folder, reference):
    encoder = make_encoder("hmr2", weights=str(folder), device="cpu")
    crops = torch.randn(4, 3, 256, 192)
    with torch.no_grad():
        tokens = encoder._network._backbone(crops).feature_maps[-1]
        assert tokens.shape == (4, 192, SMALL.width)
        assert torch.allclose(tokens, reference.tokens(crops), atol=1e-5)
        out, (pose, betas, camera, features) = encoder._network(crops), reference(crops)
    assert torch.allclose(out["features"], features, atol=1e-5)
    assert torch.allclose(out["betas"], betas, atol=1e-5)
    assert torch.allclose(out["camera"], camera, atol=1e-5)
    columns = pose.reshape(4, 24, 2, 3).transpose(2, 3)  # Gram-Schmidt is a QR with positive diagonal
    q, r = torch.linalg.qr(columns)
    assert torch.allclose(out["rotations"][..., :2], q * r.diagonal(dim1=-2, dim2=-1).sign()[..., None, :], atol=1e-4)
    assert torch.allclose(torch.linalg.det(out["rotations"]), torch.ones(4, 24), atol=1e-4)


def test_six_numbers_are_two_columns():
    turns = Rotation.random(50, rng=0).as_matrix()
    six = np.concatenate([turns[:, :, 0], turns[:, :, 1]], -1)
    skewed = np.concatenate([3.0 * six[:, :3], 0.5 * six[:, 3:] + 0.7 * six[:, :3]], -1)
    for numbers in (six, skewed):
        assert np.allclose(rotations_of_6d(torch.from_numpy(numbers)), turns, atol=1e-12)


@pytest.mark.parametrize("tall", [150.0, 700.0])
def test_crops_are_those_of_the_release(tall):
    """The middle of a square of 256 px that an affine map takes from the box; large ones from a blurred picture."""
    rng = np.random.default_rng(0)
    picture = np.clip(4 * gaussian_filter(rng.uniform(0, 255, (900, 800, 3)), (2, 2, 0)) - 380, 0, 255).astype(np.uint8)
    box = np.array([[300.3, 100.6, 420.3, 100.6 + tall], [20.0, 400.0, 20.0 + tall, 600.0]])
    ours = hmr2._CROPS.cut(torch, torch.from_numpy(picture), hmr2._CROPS.frames(box)).numpy()
    for crop, (x0, y0, x1, y1) in zip(ours, box):
        side = max(y1 - y0, (x1 - x0) * 256 / 192)
        factor, image = side / 256 / 2, picture.astype(float)
        if factor > 1.1:
            image = gaussian_filter(image, ((factor - 1) / 2,) * 2 + (0,), mode="nearest", truncate=4.0)
        x, y = ((a + b) / 2 + (np.arange(256) - 128) * side / 256 for a, b in ((x0, x1), (y0, y1)))
        at = np.meshgrid(y, x, indexing="ij")
        square = np.stack([map_coordinates(image[..., c], at, order=1, mode="grid-constant") for c in range(3)], -1)
        theirs = (square / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        assert np.abs(crop - theirs[:, 32:-32].transpose(2, 0, 1)).max() < 2e-3


def film(count: int = 8) -> tuple[np.ndarray, list[np.ndarray]]:
    """A bright figure that walks to the right, and its boxes."""
    pictures, boxes = np.full((count, SIZE[1], SIZE[0], 3), 40, np.uint8), []
    for k, picture in enumerate(pictures):
        x = 60 + 15 * k
        picture[60:200, x : x + 45] = [200, 180, 160]
        boxes.append(np.array([[x, 60.0, x + 45, 200.0]]))
    return pictures, boxes


@pytest.fixture
def walked(folder, monkeypatch):
    pictures, boxes = film()
    encoder = make_encoder("hmr2", weights=str(folder), device="cpu")
    monkeypatch.setattr(encoder, "_detector", lambda images: boxes[: len(images)])
    return encoder.encode(VideoArray(pictures, 25.0), level_camera(SIZE, focal=400.0)), pictures, boxes


def test_a_video_becomes_body_motion_and_features(walked, reference):
    from mjxhuman.retarget import retarget_motion

    encoding, pictures, boxes = walked
    (person,) = encoding.people
    assert person.seen.all() and encoding.fps == 25.0 and np.allclose(person.box, np.concatenate(boxes), atol=1e-3)
    crops = [hmr2._CROPS.cut(torch, torch.from_numpy(p), hmr2._CROPS.frames(b)) for p, b in zip(pictures, boxes)]
    with torch.no_grad():
        pose, betas, _, features = reference(torch.cat(crops))
    assert np.allclose(person.features.values, features, atol=1e-4) and person.features.valid.all()
    assert np.allclose(person.body.betas, betas.mean(0), atol=1e-4)
    turns = Rotation.from_quat(np.asarray(person.body.body_pose).reshape(-1, 4), scalar_first=True).as_matrix()
    expected = rotations_of_6d(pose.reshape(-1, 24, 6))[:, 1:].reshape(-1, 3, 3)
    assert np.allclose(turns, expected, atol=1e-4)
    root = Rotation.from_quat(np.asarray(person.body.global_orient), scalar_first=True).as_matrix()
    world = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # camera axes of a level camera in the world
    assert np.allclose(root, world @ rotations_of_6d(pose.reshape(-1, 24, 6))[:, 0].numpy(), atol=1e-4)
    assert np.asarray(retarget_motion(person.body).valid).all()


def test_the_pelvis_stays_where_the_crop_saw_it(walked, reference):
    """The picture's camera sees the pelvis at the pixel at which HMR2's own camera of the crop sees it."""
    encoding, pictures, boxes = walked
    frames = hmr2._CROPS.frames(np.concatenate(boxes))
    crops = [hmr2._CROPS.cut(torch, torch.from_numpy(p), f[None]) for p, f in zip(pictures, frames)]
    with torch.no_grad():
        scale, *offset = reference(torch.cat(crops))[2].numpy().T.astype(float)
    # a focal length of 5000 px on 256 px (4D-Humans); the pelvis stands where the template has it
    place = np.stack([*offset, 2 * 5000.0 / (256 * scale)], -1) + SMPL_PELVIS
    seen = frames[:, :2] + frames[:, 3:] * (5000.0 / 256) * place[:, :2] / place[:, 2:]
    weak = frames[:, :2] + frames[:, 3:] / 2 * scale[:, None] * (np.stack(offset, -1) + SMPL_PELVIS[:2])
    assert np.abs(seen - weak).max() < 0.1
    camera = level_camera(SIZE, focal=400.0)
    pose, K = np.asarray(camera.T_world_camera)[0], np.asarray(camera.intrinsics)[0]
    local = (np.asarray(encoding.people[0].body.transl) - pose[:3, 3]) @ pose[:3, :3]
    uv = local[:, :2] / local[:, 2:] * [K[0, 0], K[1, 1]] + K[:2, 2]
    assert np.abs(uv - seen).max() < 1.0
    # at the template's origin, which the cameras are about, nothing is left of that
    origin = full_camera(np.stack([scale, *offset], -1), frames[:, :2], frames[:, 3], 400.0, K[:2, 2])
    assert np.allclose(
        400.0 * origin[:, :2] / origin[:, 2:] + K[:2, 2],
        frames[:, :2] + frames[:, 3:] / 2 * scale[:, None] * np.stack(offset, -1),
    )


def test_it_is_listed_as_never_run_on_its_weights(folder):
    entry = encoder_table()["hmr2"]
    assert entry.available() and not entry.proven
    encoder = make_encoder("hmr2", weights=str(folder), device="cpu")
    assert encoder.fingerprint() == make_encoder("hmr2", weights=str(folder)).fingerprint()


def without(state):
    del state["smpl_head.init_cam"]


def renamed(state):
    state["backbone.cls_token"] = torch.zeros(1)


def reshaped(state):
    state["smpl_head.decpose.weight"] = torch.zeros(72, 24)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, r"1000000\.ckpt: state_dict: expected smpl_head\.init_cam, found nothing there"),
        (renamed, r"1000000\.ckpt: state_dict: expected nothing under the name backbone\.cls_token, found a tensor"),
        (reshaped, r"decpose\.weight: expected the shape \(144, 24\), found \(72, 24\)"),
    ],
)
def test_wrong_checkpoints_are_named(folder, reference, change, message):
    state = dict(reference.state_dict())
    change(state)
    save(checkpoint(folder), state)
    with pytest.raises(ValueError, match=message):
        make_encoder("hmr2", weights=str(folder))


def test_what_is_no_checkpoint_is_named(folder):
    torch.save([1, 2], checkpoint(folder))
    with pytest.raises(ValueError, match="state_dict: expected tensors by name, found NoneType"):
        make_encoder("hmr2", weights=str(folder))
    checkpoint(folder).write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"read with weights_only, found .*weights_only=False"):
        make_encoder("hmr2", weights=str(folder))


def test_a_checkpoint_cannot_run_anything(folder):
    class Harmful:
        def __reduce__(self):
            return (Path.touch, (folder / "touched",))

    class Blocked:
        def __reduce__(self):
            import os

            return (os.system, ("true",))

    torch.save({"state_dict": {}, "x": Harmful()}, checkpoint(folder))
    with pytest.raises(ValueError, match="state_dict"):
        make_encoder("hmr2", weights=str(folder))
    assert not (folder / "touched").exists()
    torch.save({"state_dict": {}, "x": Blocked()}, checkpoint(folder))
    with pytest.raises(ValueError, match="If you trust the file, write its tensors alone"):
        make_encoder("hmr2", weights=str(folder))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("IMAGE_SIZE: 256", "IMAGE_SIZE: 224", r"model_config\.yaml: MODEL\.IMAGE_SIZE: expected 256, found 224"),
        ("depth: 2", "depth: 4", r"SMPL_HEAD\.TRANSFORMER_DECODER\.depth: expected 2, found 4"),
        ("TYPE: vit", "TYPE: resnet", r"MODEL\.BACKBONE\.TYPE: expected 'vit', found 'resnet'"),
        ("MODEL:", "NETWORK:", r"model_config\.yaml: MODEL: expected the description"),
        ("MODEL:", "MODEL: {", r"model_config\.yaml: expected YAML"),
    ],
)
def test_other_configurations_are_refused(folder, old, new, message):
    file = next(folder.rglob("model_config.yaml"))
    file.write_text(CONFIG.replace(old, new))
    with pytest.raises(ValueError, match=message):
        make_encoder("hmr2", weights=str(folder))


def test_missing_files_are_named(folder):
    with pytest.raises(ValueError, match="hmr2: expected the folder of its weights"):
        make_encoder("hmr2")
    shutil.copy(checkpoint(folder), folder / "other.ckpt")
    with pytest.raises(FileNotFoundError, match=r"expected one file \*\.ckpt.*found logs.*, other\.ckpt"):
        make_encoder("hmr2", weights=str(folder))
    (folder / "other.ckpt").unlink()
    shutil.move(folder / "detector", folder / "elsewhere")
    with pytest.raises(FileNotFoundError, match="detector: expected a model for object detection"):
        make_encoder("hmr2", weights=str(folder))
    next(folder.rglob("model_config.yaml")).unlink()
    with pytest.raises(FileNotFoundError, match=r"expected one file model_config\.yaml of 4D-Humans in it, found none"):
        make_encoder("hmr2", weights=str(folder))
    with pytest.raises(FileNotFoundError, match=r"expected one file \*\.ckpt"):
        make_encoder("hmr2", weights=str(folder / "elsewhere"))
