"""GVHMR's ``hmr4d_results.pt``: SMPL-X parameters of a person in a video, in a world with y up.

Shen et al. 2024, "World-Grounded Human Motion Recovery via Gravity-View Coordinates"; zju3dv/GVHMR, tools/demo. Needs
torch, which the extra ``mjxhuman[torch]`` installs; only tensors and plain containers are unpickled. Tested on files
written with these keys; untested on a result of GVHMR itself.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from mjxhuman.data.smpl import SMPLX_PELVIS, body_motion, parameters_of, rotations
from mjxhuman.data.source import Source
from mjxhuman.runs import optional
from mjxhuman.types import BodyMotion

_KEYS = ("global_orient", "body_pose", "transl", "betas")


def read_gvhmr(source: Source) -> BodyMotion:
    """Read ``smpl_params_global`` of a GVHMR result.

    Raises:
        ImportError: torch is not installed.
        MotionFileError: not such a file, or one that ``torch.load(weights_only=True)`` refuses.
    """
    torch = optional("torch", "torch", f"{source.path}: a GVHMR .pt file")
    try:
        content = torch.load(source.path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, AttributeError, OSError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise source.error("file", f"no loadable .pt file ({reason})", "tensors in plain dictionaries") from None
    parameters = content.get("smpl_params_global") if isinstance(content, dict) else None
    if not isinstance(parameters, dict) or not set(_KEYS) <= set(parameters):
        found = ", ".join(map(str, list(content)[:8])) if isinstance(content, dict) else type(content).__name__
        raise source.error("smpl_params_global", found or "nothing", f"a dictionary with {', '.join(_KEYS)}")
    root, body, translation, betas = (_numbers(source, key, parameters[key]) for key in _KEYS)
    turns = np.concatenate(
        [rotations(source, "global_orient", root, (1,)), rotations(source, "body_pose", body, (21,))], axis=1
    )
    smplx = parameters_of(source, turns, translation, betas, "smplx")
    fps = source.frame_rate(None, 30.0, "GVHMR's demo converts videos to 30 Hz")
    to_world = source.up_axis(None, "y", "GVHMR's gravity-aligned world has y up")
    return body_motion(source, "GVHMR", smplx, fps, to_world, SMPLX_PELVIS)


def _numbers(source: Source, key: str, tensor: Any) -> np.ndarray:
    if not hasattr(tensor, "detach") or tensor.is_complex() or tensor.is_sparse or tensor.is_quantized:
        raise source.error(f"smpl_params_global, {key}", type(tensor).__name__, "a tensor of real numbers")
    return tensor.detach().double().numpy()
