"""Weights of Wan as parameters of ``WanTransformer``: names of the release and of diffusers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import traverse_util

#: Names of diffusers -> names of the release, as patterns.
_DIFFUSERS = (
    (r"^condition_embedder\.text_embedder\.linear_1\.", "text_embedding.0."),
    (r"^condition_embedder\.text_embedder\.linear_2\.", "text_embedding.2."),
    (r"^condition_embedder\.time_embedder\.linear_1\.", "time_embedding.0."),
    (r"^condition_embedder\.time_embedder\.linear_2\.", "time_embedding.2."),
    (r"^condition_embedder\.time_proj\.", "time_projection.1."),
    (r"\.attn1\.to_out\.0\.", ".self_attn.o."), (r"\.attn2\.to_out\.0\.", ".cross_attn.o."),
    (r"\.attn1\.to_([qkv])\.", r".self_attn.\1."), (r"\.attn2\.to_([qkv])\.", r".cross_attn.\1."),
    (r"\.attn1\.", ".self_attn."), (r"\.attn2\.", ".cross_attn."),
    (r"\.norm2\.", ".norm3."), (r"\.ffn\.net\.0\.proj\.", ".ffn.0."), (r"\.ffn\.net\.2\.", ".ffn.2."),
    (r"^scale_shift_table$", "head.modulation"), (r"\.scale_shift_table$", ".modulation"),
    (r"^proj_out\.", "head.head."),
)  # fmt: skip
#: What trainers put before the names.
_PREFIX = re.compile(r"^(?:module\.|model\.|diffusion_model\.|generator_ema\.|generator\.)+")


def released_name(name: str) -> str:
    """A tensor's name in the release, from that in diffusers or from itself."""
    name = _PREFIX.sub("", name)
    for pattern, replacement in _DIFFUSERS:
        name = re.sub(pattern, replacement, name)
    return name


def parameters(tensors: Mapping[str, np.ndarray], shapes: Mapping[str, Any], where: str = "weights") -> dict[str, Any]:
    """Parameters of ``WanTransformer`` from a state dict.

    Args:
        tensors: by name. shapes: the network's parameters, or their shapes (``jax.eval_shape`` of ``init``).
        where: for messages.

    Raises:
        ValueError: a tensor that is missing, left over, or of another shape.
    """
    found = {_path(released_name(name)): value for name, value in tensors.items()}
    wanted = traverse_util.flatten_dict(shapes)
    for kind, names in (("missing", set(wanted) - set(found)), ("not of this network", set(found) - set(wanted))):
        if names:
            raise ValueError(f"{where}: {kind}: {', '.join(sorted(map('.'.join, names))[:5])}")
    arranged = {}
    for path, value in found.items():
        array = np.asarray(value)
        if path[-1] == "kernel":
            array = array.reshape(len(array), -1).T
        if array.shape != tuple(wanted[path].shape):
            raise ValueError(f"{where}: {'.'.join(path)}: expected {tuple(wanted[path].shape)}, found {array.shape}")
        arranged[path] = array
    nested: dict[str, Any] = traverse_util.unflatten_dict(arranged)
    return nested


def _path(name: str) -> tuple[str, ...]:
    """The parameter that a tensor of the release is."""
    name = re.sub(r"\.(\d+)(?=\.)", r"_\1", name)
    parts = name.split(".")
    if parts[0].startswith(("text_embedding", "time_embedding", "time_projection")):
        parts = ["condition", *parts]
    if parts[-1] == "weight" and not parts[-2].startswith("norm"):
        parts[-1] = "kernel"
    return tuple(parts)
