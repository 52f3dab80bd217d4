"""Between PyTorch and JAX: arrays without a copy, programs and weights from local files.

The only package that imports torch, and only inside functions: what does not need it never waits for it.
"""

from __future__ import annotations

import collections
import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mjxhuman.runs import optional

#: Files that make up weights; the rest of a folder (pictures, notes) does not matter.
_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pt2", ".pth", ".ckpt", ".json", ".yaml")


def torch_module(what: str) -> Any:
    """The module ``torch``.

    Raises:
      ImportError: it is not installed; the message says what needs it.
    """
    return optional("torch", "torch", what)


def to_torch(array: Any) -> Any:
    """A tensor that shares a JAX or NumPy array's memory, on the same device (DLPack); tensors as they are."""
    torch = torch_module("an array for torch")
    if isinstance(array, torch.Tensor):
        return array
    return torch.from_numpy(array) if isinstance(array, np.ndarray) else torch.utils.dlpack.from_dlpack(array)


def to_jax(tensor: Any) -> jax.Array:
    """A JAX array that shares the memory of a torch tensor, on the same device (DLPack)."""
    return jax.dlpack.from_dlpack(tensor.detach().contiguous())


def best_device(torch: Any, device: str | None = None) -> Any:
    """The device asked for, else a GPU where torch sees one, else the CPU."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def load_program(path: str | os.PathLike[str], device: Any) -> Any:
    """A network from a file: TorchScript (``torch.jit.save``) or an exported program (``torch.export.save``, .pt2).

    Such files contain programs: load only those you trust.

    Raises:
      FileNotFoundError: no such file. ValueError: neither of both.
    """
    torch = torch_module(f"{path}")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a TorchScript or exported program")
    try:
        if path.suffix == ".pt2":
            return torch.export.load(str(path)).module().to(device)
        return torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ValueError(f"{path}: expected TorchScript (.pt) or an exported program (.pt2), found {reason}") from None


class _Empty:
    """Stands for an object that is neither a tensor nor a plain value: it becomes an empty mapping."""

    def __new__(cls, *args: Any) -> Any:
        return collections.OrderedDict()


def load_tensors(path: str | os.PathLike[str]) -> Any:
    """What ``torch.save`` wrote into a file, on the CPU, without running anything of it.

    Checkpoints of training runs hold their configuration too, as objects of classes of their own. Nothing of such
    classes is looked up: the objects come back empty.

    Raises:
      FileNotFoundError: no such file. ValueError: no file of ``torch.save``, or one that cannot be read in this way;
        the message says what to do.
    """
    torch = torch_module(f"{path}")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a checkpoint of torch")
    try:
        strange = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        with torch.serialization.safe_globals([(_Empty, name) for name in strange]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, TypeError, AttributeError, KeyError, EOFError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ValueError(
            f"{path}: expected a checkpoint of torch that can be read with weights_only, found {reason}. If you trust "
            "the file, write its tensors alone where its own packages are installed: torch.save({'state_dict': "
            "torch.load(FILE, weights_only=False)['state_dict']}, 'tensors.ckpt')"
        ) from None


def weights_digest(path: str | os.PathLike[str]) -> str:
    """Hash of a file, or of the weights in a folder, by content and name."""
    path, digest = Path(path), hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix in _WEIGHT_SUFFIXES)
    for file in files:
        digest.update(str(file.name if file == path else file.relative_to(path)).encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]
