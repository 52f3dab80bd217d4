"""The network of HMR2.0 (Goel et al. 2023, "Humans in 4D"), from tensors under the names of its released checkpoints.

A ViT-H sees a crop of 256 x 192 px as 16 x 12 tokens of 1280 numbers. It is the network of ViTPose's backbone, so the
one of Hugging Face transformers runs it. A transformer decoder looks at these tokens from a single token whose input is
zero; the 1024 numbers that this token ends in (GVHMR's image feature) are read out as offsets from mean parameters:
pose in 6D, betas, weak-perspective camera. The mean parameters are part of the checkpoint.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

#: Height and width of a crop and side of a token, px.
IMAGE, PATCH = (256, 192), 16
_JOINTS, _BETAS = 24, 10
_TOKENS = (IMAGE[0] // PATCH) * (IMAGE[1] // PATCH)
#: Transformers' name of each part of the backbone; "attn.qkv" is three parts there.
_PARTS = {
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm1": "layernorm_before",
    "attn.proj": "attention.output.dense",
    "norm2": "layernorm_after",
    "last_norm": "layernorm",
}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of the network: those of the release."""

    width: int = 1280  # of a token of the backbone
    blocks: int = 32
    heads: int = 16
    dim: int = 1024  # of the decoder's token
    depth: int = 6
    decoder_heads: int = 8
    dim_head: int = 64
    mlp_dim: int = 1024


def shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of the backbone and of the head by its name in a checkpoint."""
    out: dict[str, tuple[int, ...]] = {}

    def linear(name: str, *weight: int, bias: bool = True) -> None:
        out[f"{name}.weight"] = weight
        if bias:
            out[f"{name}.bias"] = weight[:1]

    width, dim, inner = sizes.width, sizes.dim, sizes.decoder_heads * sizes.dim_head
    out["backbone.pos_embed"] = (1, _TOKENS + 1, width)
    linear("backbone.patch_embed.proj", width, 3, PATCH, PATCH)
    for block in (f"backbone.blocks.{k}" for k in range(sizes.blocks)):
        linear(f"{block}.norm1", width)
        linear(f"{block}.attn.qkv", 3 * width, width)
        linear(f"{block}.attn.proj", width, width)
        linear(f"{block}.norm2", width)
        linear(f"{block}.mlp.fc1", 4 * width, width)
        linear(f"{block}.mlp.fc2", width, 4 * width)
    linear("backbone.last_norm", width)
    out["smpl_head.transformer.pos_embedding"] = (1, 1, dim)
    linear("smpl_head.transformer.to_token_embedding", dim, 1)
    for layer in (f"smpl_head.transformer.transformer.layers.{k}" for k in range(sizes.depth)):
        for part in range(3):
            linear(f"{layer}.{part}.norm", dim)
        linear(f"{layer}.0.fn.to_qkv", 3 * inner, dim, bias=False)
        linear(f"{layer}.0.fn.to_out.0", dim, inner)
        linear(f"{layer}.1.fn.to_q", inner, dim, bias=False)
        linear(f"{layer}.1.fn.to_kv", 2 * inner, width, bias=False)
        linear(f"{layer}.1.fn.to_out.0", dim, inner)
        linear(f"{layer}.2.fn.net.0", sizes.mlp_dim, dim)
        linear(f"{layer}.2.fn.net.3", dim, sizes.mlp_dim)
    for name, mean, count in (("pose", "body_pose", 6 * _JOINTS), ("shape", "betas", _BETAS), ("cam", "cam", 3)):
        linear(f"smpl_head.dec{name}", count, dim)
        out[f"smpl_head.init_{mean}"] = (1, count)
    return out


class Network:
    """HMR2.0, ready to run.

    Args:
      tensors: by name, with the shapes of ``shapes``; those on ``device`` are not copied.
      sizes: of the network. device: torch device.
    """

    def __init__(self, tensors: Mapping[str, Any], sizes: Sizes, device: Any) -> None:
        import torch

        self._sizes, self._f = sizes, torch.nn.functional
        self._backbone = _backbone(_part(tensors, "backbone."), sizes).to(device)
        self._head = {name: tensor.to(device) for name, tensor in _part(tensors, "smpl_head.").items()}

    def __call__(self, crops: Any) -> dict[str, Any]:
        """Bodies in crops.

        Args:
          crops: tensor ``(N, 3, 256, 192)``, colours normalised.

        Returns:
          ``rotations (N, 24, 3, 3)``, the root's in the axes of a camera that looks at the crop; ``betas (N, 10)``;
          ``camera (N, 3)``: scale and offset of a weak-perspective camera of the square around the crop, whose sides
          are at -1 and 1; ``features (N, 1024)``.
        """
        context = self._backbone(crops).feature_maps[-1]
        token = self._decoded(context)
        offsets = {name: self._linear(token, f"dec{name}") for name in ("pose", "shape", "cam")}
        pose = offsets["pose"] + self._head["init_body_pose"]
        return {
            "rotations": rotations_of_6d(pose.unflatten(-1, (_JOINTS, 6))),
            "betas": offsets["shape"] + self._head["init_betas"],
            "camera": offsets["cam"] + self._head["init_cam"],
            "features": token,
        }

    def _decoded(self, context: Any) -> Any:
        """What the token ``(N, dim)`` holds after it has seen the crops' tokens ``(N, 192, width)``."""
        # an input of zero leaves the bias of its embedding
        start = self._head["transformer.to_token_embedding.bias"] + self._head["transformer.pos_embedding"]
        x = start.expand(len(context), -1, -1)
        for layer in (f"transformer.transformer.layers.{k}" for k in range(self._sizes.depth)):
            seen = self._linear(self._norm(x, f"{layer}.0.norm"), f"{layer}.0.fn.to_qkv").chunk(3, -1)
            x = x + self._linear(self._attention(*seen), f"{layer}.0.fn.to_out.0")
            query = self._linear(self._norm(x, f"{layer}.1.norm"), f"{layer}.1.fn.to_q")
            seen = self._linear(context, f"{layer}.1.fn.to_kv").chunk(2, -1)
            x = x + self._linear(self._attention(query, *seen), f"{layer}.1.fn.to_out.0")
            hidden = self._linear(self._norm(x, f"{layer}.2.norm"), f"{layer}.2.fn.net.0")
            x = x + self._linear(self._f.gelu(hidden), f"{layer}.2.fn.net.3")
        return x[:, 0]

    def _linear(self, x: Any, name: str) -> Any:
        return self._f.linear(x, self._head[f"{name}.weight"], self._head.get(f"{name}.bias"))

    def _norm(self, x: Any, name: str) -> Any:
        weight = self._head[f"{name}.weight"]
        return self._f.layer_norm(x, weight.shape, weight, self._head[f"{name}.bias"])

    def _attention(self, query: Any, key: Any, value: Any) -> Any:
        parts = [x.unflatten(-1, (self._sizes.decoder_heads, -1)).transpose(1, 2) for x in (query, key, value)]
        return self._f.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)


def rotations_of_6d(six: Any) -> Any:
    """Rotation matrices ``(..., 3, 3)`` of ``(..., 6)``: the first column, then the second, made orthonormal.

    Zhou et al. 2019, "On the Continuity of Rotation Representations in Neural Networks". The columns follow each other
    in HMR2; elsewhere (SPIN) they are interleaved.
    """
    import torch

    first, second = six[..., :3], six[..., 3:]
    x = torch.nn.functional.normalize(first, dim=-1)
    y = torch.nn.functional.normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


def _part(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _backbone(tensors: Mapping[str, Any], sizes: Sizes) -> Any:
    import torch
    import transformers

    config = transformers.VitPoseBackboneConfig(
        image_size=IMAGE, patch_size=(PATCH, PATCH), hidden_size=sizes.width, num_hidden_layers=sizes.blocks,
        num_attention_heads=sizes.heads, layer_norm_eps=1e-6, out_indices=[sizes.blocks],
    )  # fmt: skip
    with torch.device("meta"):  # the tensors become its parameters
        model = transformers.VitPoseBackbone(config)
    model.load_state_dict(_renamed(tensors), assign=True)
    return model.eval()


def _renamed(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The backbone's tensors under the names of transformers."""
    out = {}
    for name, tensor in tensors.items():
        owner, _, kind = name.rpartition(".")
        if name == "pos_embed":
            out["embeddings.position_embeddings"] = tensor
            continue
        block, part = "", owner
        if owner.startswith("blocks."):
            _, number, part = owner.split(".", 2)
            block = f"encoder.layer.{number}."
        if part == "attn.qkv":
            for which, piece in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                out[f"{block}attention.attention.{which}.{kind}"] = piece
        else:
            out[f"{block}{_PARTS.get(part, part)}.{kind}"] = tensor
    return out
