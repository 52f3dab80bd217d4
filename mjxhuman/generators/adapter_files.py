"""Adapters as files in the layout of PEFT, which PEFT, diffusers and others read, and such files as adapters.

A folder holds ``adapter_model.safetensors`` with ``base_model.model.<module>.lora_A.weight (r, n)`` and ``lora_B.weight
(features, r)``, and ``adapter_config.json``. Names of modules are those of PyTorch: ``blocks_0`` is ``blocks.0``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path as File
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import traverse_util

from mjxhuman.generators.adapters import Adapter, Params, Path, targets
from mjxhuman.runs.files import atomic_write

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
#: Where our facts are in the metadata of the weights.
_FACTS = "mjxhuman"
#: Prefixes of modules, as written by PEFT, by diffusers and by the original trainers.
PREFIXES = ("base_model.model.", "transformer.", "diffusion_model.")
#: Endings of the matrices A and B, as written by PEFT and diffusers, and by older trainers.
_ENDS = {
    ".lora_A.weight": "A", ".lora_B.weight": "B", ".lora_A.default.weight": "A", ".lora_B.default.weight": "B",
    ".lora_down.weight": "A", ".lora_up.weight": "B", ".alpha": "alpha",
}  # fmt: skip


def module_name(path: Path) -> str:
    """PyTorch's name of a layer: ("blocks_0", "ffn_2") is "blocks.0.ffn.2"."""
    return re.sub(r"_(\d+)(?=\.|$)", r".\1", ".".join(path))


def fingerprint(params: Params) -> str:
    """Hash of a network's parameters, their names, shapes and types: an adapter belongs to one."""
    digest = hashlib.sha256()
    for path, value in sorted(traverse_util.flatten_dict(params).items()):
        array = np.asarray(value)
        digest.update(f"{'.'.join(path)} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def save_adapter(
    folder: str | os.PathLike[str], adapter: Adapter, params: Params, *, facts: Mapping[str, Any] | None = None,
    layout: str = "peft",
) -> File:  # fmt: skip
    """Write an adapter.

    Args:
        folder: of the two files, made where there is none.
        adapter: to write. params: of the network that it belongs to.
        facts: JSON-ready, kept in the file's metadata: the reward, prompts, scores before and after.
        layout: "peft", or "diffusers": its prefix, and alpha / r in B, because it takes alpha for r where no alpha is
            given.

    Raises:
        ValueError: another layout.
    """
    if layout not in ("peft", "diffusers"):
        raise ValueError(f"layout: expected 'peft' or 'diffusers', found {layout!r}")
    peft = layout == "peft"
    scale = 1.0 if peft else adapter.alpha / adapter.rank
    tensors = {}
    for path, layer in adapter.layers.items():
        name = PREFIXES[0 if peft else 1] + module_name(path)
        tensors[f"{name}.lora_A.weight"] = np.ascontiguousarray(layer["A"], np.float32)
        tensors[f"{name}.lora_B.weight"] = np.ascontiguousarray(scale * np.asarray(layer["B"]), np.float32)
    config = {
        "peft_type": "LORA", "task_type": None, "base_model_name_or_path": None, "inference_mode": True,
        "r": adapter.rank, "lora_alpha": adapter.alpha if peft else adapter.rank, "lora_dropout": 0.0, "bias": "none",
        "fan_in_fan_out": False, "use_rslora": False, "use_dora": False,
        "target_modules": sorted(module_name(path) for path in adapter.layers),
    }  # fmt: skip
    folder = File(folder)
    known = {"base": fingerprint(params), **(facts or {})}
    with atomic_write(folder / WEIGHTS, "wb") as file:
        file.write(safetensors.numpy.save(tensors, metadata={"format": "pt", _FACTS: json.dumps(known)}))
    with atomic_write(folder / CONFIG) as file:
        file.write(json.dumps(config, indent=1) + "\n")
    return folder


def load_adapter(
    path: str | os.PathLike[str], params: Params, *, force: bool = False
) -> tuple[Adapter, dict[str, Any]]:
    """An adapter for a network, and the facts that were written with it.

    Args:
        path: a folder of the two files, or a ``.safetensors`` file alone: alpha is then that of its tensors, or r.
        params: of the network. force: take an adapter that was trained beside other weights.

    Raises:
        FileNotFoundError: no such file.
        ValueError: files that cannot be read, layers that the network does not have, matrices of other shapes or only
            one of two, different ranks, or another network's adapter.
    """
    path = File(path)
    weights = path / WEIGHTS if path.is_dir() else path
    (tensors, facts), config = _read(weights), _config(weights.with_name(CONFIG))
    if not force and facts.get("base") not in (None, found := fingerprint(params)):
        raise ValueError(f"{path}: expected an adapter of the network {found}, found one of {facts['base']}")
    layers = _layers(weights, tensors)
    flat = traverse_util.flatten_dict(params)
    known = {module_name(own): own for own in targets(params)}
    if missing := sorted(set(layers) - set(known)):
        raise ValueError(f"{weights}: expected layers of the network, found {', '.join(missing[:5])}")
    ranks = {layer["A"].shape[0] for layer in layers.values()}
    if len(ranks) != 1:
        raise ValueError(f"{weights}: expected one rank for all layers, found {sorted(ranks)}")
    (rank,) = ranks
    alpha = float(config.get("lora_alpha", rank))
    nested: dict[Path, Any] = {}
    for name, layer in layers.items():
        wide, features = flat[*known[name], "kernel"].shape
        if (shapes := (layer["A"].shape, layer["B"].shape)) != ((rank, wide), (features, rank)):
            raise ValueError(f"{weights}: {name}: expected {(rank, wide)} and {(features, rank)}, found {shapes}")
        own = float(layer.get("alpha", alpha)) / alpha  # where layers have an alpha of their own, B takes it in
        nested[*known[name], "A"] = jnp.asarray(layer["A"], jnp.float32)
        nested[*known[name], "B"] = jnp.asarray(own * layer["B"], jnp.float32)
    return Adapter(traverse_util.unflatten_dict(nested), alpha, int(rank)), facts


def _read(file: File) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors of a safetensors file, and what ``save_adapter`` was told, from its header: its length, and JSON.

    Raises:
        ValueError: the file cannot be read, or holds numbers that are not finite.
    """
    data = file.read_bytes()
    try:
        tensors = safetensors.numpy.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        facts = dict(json.loads(header.get("__metadata__", {}).get(_FACTS, "{}")))
    except (ValueError, TypeError, safetensors.SafetensorError) as error:
        raise ValueError(f"{file}: expected a safetensors file, cannot read it ({error})") from None
    for name, value in tensors.items():
        if not np.isfinite(value.astype(np.float32)).all():
            raise ValueError(f"{file}: {name}: expected finite numbers, found others")
    return tensors, facts


def _config(file: File) -> dict[str, Any]:
    """The configuration beside the weights, {} where there is none.

    Raises:
        ValueError: no JSON object, or an alpha that is no number above 0.
    """
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: expected JSON, cannot read it ({error})") from None
    if not isinstance(config, dict):
        raise ValueError(f"{file}: expected a table of fields, found {config!r:.40}")
    alpha = config.get("lora_alpha", 1.0)
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not alpha > 0:
        raise ValueError(f"{file}: lora_alpha: expected a number above 0, found {alpha!r}")
    return config


def _layers(file: File, tensors: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Matrices and alphas by module name."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    for key, value in tensors.items():
        end = next((end for end in _ENDS if key.endswith(end)), None)
        if end is None:
            raise ValueError(f"{file}: expected tensors that end in {', '.join(_ENDS)}, found {key!r}")
        name = key.removesuffix(end)
        prefix = next((p for p in PREFIXES if name.startswith(p)), "")
        layers.setdefault(name.removeprefix(prefix), {})[_ENDS[end]] = value
    for name, layer in layers.items():
        if not {"A", "B"} <= set(layer):
            raise ValueError(f"{file}: {name}: expected the matrices A and B, found {', '.join(sorted(layer))} alone")
    if not layers:
        raise ValueError(f"{file}: expected an adapter, found no tensors")
    return layers
