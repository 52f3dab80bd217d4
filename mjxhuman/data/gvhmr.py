"""GVHMR's ``hmr4d_results.pt``: SMPL-X parameters of a person in a video, in a world with y up.

Shen et al. 2024, "World-Grounded Human Motion Recovery via Gravity-View Coordinates"; zju3dv/GVHMR, tools/demo. Read
without torch: only tensors and plain containers are unpickled. Motions of ProtoMotions are files of torch as well.
"""

from __future__ import annotations

import numpy as np

from mjxhuman.data.arrays import ArrayDict
from mjxhuman.data.npz import QposMotion
from mjxhuman.data.pickled import is_proto_motion, read_proto_motion
from mjxhuman.data.pickles import load_torch
from mjxhuman.data.smpl import SMPLX_PELVIS, body_motion, parameters_of, rotations
from mjxhuman.data.source import Source
from mjxhuman.types import BodyMotion

_KEYS = ("global_orient", "body_pose", "transl", "betas")


def read_torch(source: Source) -> BodyMotion | QposMotion:
    """Read ``smpl_params_global`` of a GVHMR result, or a motion of ProtoMotions.

    Raises:
        MotionFileError: not such a file, or one with classes other than tensors and plain containers.
    """
    content = load_torch(source)
    if is_proto_motion(content):
        return read_proto_motion(source, content)
    parameters = content.get("smpl_params_global") if isinstance(content, dict) else None
    if not isinstance(parameters, dict) or not set(_KEYS) <= set(parameters):
        found = ", ".join(map(str, list(content)[:8])) if isinstance(content, dict) else type(content).__name__
        raise source.error("smpl_params_global", found or "nothing", f"a dictionary with {', '.join(_KEYS)}")
    arrays = ArrayDict(source, {key: parameters[key] for key in _KEYS})
    root, body, translation, betas = (arrays.numbers(key) for key in _KEYS)
    turns = np.concatenate(
        [rotations(source, "global_orient", root, (1,)), rotations(source, "body_pose", body, (21,))], axis=1
    )
    smplx = parameters_of(source, turns, translation, betas, "smplx")
    fps = source.frame_rate(None, 30.0, "GVHMR's demo converts videos to 30 Hz")
    to_world = source.up_axis(None, "y", "GVHMR's gravity-aligned world has y up")
    return body_motion(source, "GVHMR", smplx, fps, to_world, SMPLX_PELVIS)
