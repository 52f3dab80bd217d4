"""Motions in SMPL's parameters: the part that is common to all files, and plain SMPL/SMPL-X npz files.

SMPL's translation moves the whole template, whose pelvis is not at the origin: pelvis = trans + J0, and the root
rotates about it. J0 depends on the body's shape; without the body model it is that of the neutral mean shape, which is
off by a few centimetres, the same in all frames of a clip. GLAMR's spelling is tested on a real file, the others on
files written with their keys.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.data.arrays import NpzFile
from mjxhuman.data.source import Source
from mjxhuman.data.text import is_usable, require_finite
from mjxhuman.types import BodyMotion

#: Pelvis of the neutral mean shape in SMPL's own frame, m. SMPL: the root of PHC's smpl_humanoid.xml, which was made
#: from it; SMPL-X: J_regressor times template of SMPLX_NEUTRAL, as published with NVIDIA's Kimodo.
SMPL_PELVIS = (-0.0018, -0.2233, 0.0282)
SMPLX_PELVIS = (0.0031, -0.3514, 0.0120)

FPS_KEYS = ("fps", "mocap_framerate", "mocap_frame_rate", "frame_rate", "framerate", "mocap_fps")
FULL_KEYS = ("poses", "pose", "smpl_poses", "full_pose", "fullpose")
ROOT_KEYS = ("global_orient", "root_orient", "smpl_orient_world", "smpl_orient")
BODY_KEYS = ("body_pose", "pose_body", "smpl_pose")
TRANSLATION_KEYS = ("transl", "trans", "translation", "smpl_trans", "root_trans_world", "root_trans")
BETA_KEYS = ("betas", "beta", "smpl_beta", "smpl_betas", "shape")

#: Joints (with the root) of a full pose -> body model.
_FULL_MODELS = {24: "smpl", 22: "smplh", 52: "smplh", 55: "smplx"}


@dataclasses.dataclass
class Parameters:
    """SMPL parameters in the file's axes."""

    root: Rotation  # T
    body: Rotation  # T * K, frame by frame: 21 or 23 joints
    translation: np.ndarray  # (T, 3) m
    betas: np.ndarray  # (S,)
    model: str  # "smpl", "smplh", "smplx"


def is_smpl(keys: NpzFile) -> bool:
    """Whether the arrays have a pose and a translation under a name that ``read_smpl_npz`` knows."""
    pose = _first(keys, FULL_KEYS) or (_first(keys, ROOT_KEYS) and _first(keys, BODY_KEYS))
    return bool(pose and _first(keys, TRANSLATION_KEYS))


def read_smpl_npz(source: Source, arrays: NpzFile) -> BodyMotion:
    """Read SMPL, SMPL-H or SMPL-X parameters; the hands' 24 SMPL joints stay at rest where the file has fingers.

    The up axis has no convention: it is the file's ``up`` or ``up_axis``, else the caller's. The exception is GLAMR
    (``root_trans_world``), whose world has z up and whose translation is the pelvis itself.

    Raises:
        MotionFileError: keys, shapes or frame counts that do not fit, numbers that are not finite, no rate, no up axis.
    """
    parameters = read_parameters(source, arrays)
    fps = source.frame_rate(arrays.number(FPS_KEYS))
    up = next((arrays.text(key) for key in ("up", "up_axis") if key in arrays), None)
    if up is not None and up.lower() not in ("x", "y", "z", "-x", "-y", "-z"):
        raise source.error("up", repr(up), "x, y, z, -x, -y or -z")
    if "root_trans_world" in arrays:
        to_world = source.up_axis(up, "z", "GLAMR's world has z up")
        source.note("the translation is the pelvis itself, as in GLAMR's body model")
        return body_motion(source, "SMPL (GLAMR)", parameters, fps, to_world, None, arrays.licence())
    to_world = source.up_axis(up and up.lower())
    name = {"smpl": "SMPL", "smplh": "SMPL-H", "smplx": "SMPL-X"}[parameters.model]
    return body_motion(source, name, parameters, fps, to_world, pelvis_of(parameters.model), arrays.licence())


def pelvis_of(model: str) -> tuple[float, float, float]:
    """The template's pelvis, m."""
    return SMPLX_PELVIS if model == "smplx" else SMPL_PELVIS


def read_parameters(source: Source, arrays: NpzFile) -> Parameters:
    """Pose, translation and shape under any of the known names, with all frame counts equal."""
    full, root, body = (_first(arrays, keys) for keys in (FULL_KEYS, ROOT_KEYS, BODY_KEYS))
    moved = _first(arrays, TRANSLATION_KEYS)
    if moved is None or not (full or (root and body)):
        raise source.error("arrays", ", ".join(list(arrays)[:12]) or "none", "a pose and a translation of SMPL")
    model = arrays.text("surface_model_type").strip().lower() if "surface_model_type" in arrays else ""
    if root and body:
        turns = np.concatenate(
            [
                rotations(source, root, arrays.numbers(root), (1,)),
                rotations(source, body, arrays.numbers(body), (21, 23)),
            ],
            axis=1,
        )
        model = model or ("smplx" if turns.shape[1] == 22 else "smpl")
    else:
        assert full is not None
        turns = rotations(source, full, arrays.numbers(full), tuple(_FULL_MODELS))
        model = model or _FULL_MODELS[turns.shape[1]]
        turns = turns[:, : 24 if turns.shape[1] == 24 else 22]
    if model not in ("smpl", "smplh", "smplx"):
        raise source.error("surface_model_type", repr(model[:40]), "smpl, smplh or smplx")
    translation = arrays.numbers(moved)
    betas_key = _first(arrays, BETA_KEYS)
    betas = arrays.numbers(betas_key) if betas_key else np.zeros(0)
    return parameters_of(source, turns, translation, betas, model)


def rotations(source: Source, field: str, array: np.ndarray, joints: tuple[int, ...]) -> np.ndarray:
    """Rotation vectors (T, K, 3) of an array that holds vectors or matrices, K one of ``joints``.

    Raises:
        MotionFileError: another shape, matrices that are no rotations.
    """
    frames = len(array) if array.ndim else 0
    size = array.size // frames if frames else 0
    if array.ndim >= 3 and array.shape[-2:] == (3, 3) and size // 9 in joints:
        matrices = array.reshape(-1, 3, 3)
        require_finite(source, array.reshape(frames, -1), f"number of {field}")
        wrong = np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2)) > 1e-2
        if wrong.any() or (np.linalg.det(matrices) < 0).any():
            frame = int(np.argmax(wrong)) * 9 // size
            raise source.error(f"{field}, frame {frame + 1}", "a matrix that is no rotation", "rotation matrices")
        return Rotation.from_matrix(matrices).as_rotvec().reshape(frames, -1, 3)
    if array.ndim in (2, 3) and frames and size % 3 == 0 and size // 3 in joints:
        return array.reshape(frames, -1, 3)
    widths = " or ".join(str(3 * count) for count in joints)
    raise source.error(field, f"shape {array.shape}", f"(frames, {widths}) rotation vectors, at least one frame")


def parameters_of(
    source: Source, turns: np.ndarray, translation: np.ndarray, betas: np.ndarray, model: str
) -> Parameters:
    """Check rotation vectors ``turns`` (T, 1 + K, 3), ``translation`` (T, 3) and ``betas`` (S,) or (T, S)."""
    frames = len(turns)
    if translation.shape != (frames, 3):
        raise source.error(
            "translation", f"shape {translation.shape}", f"({frames}, 3) as the pose has {frames} frames"
        )
    require_finite(source, turns, "rotation")
    require_finite(source, translation, "translation")
    betas = np.atleast_2d(betas)
    if betas.ndim != 2 or not is_usable(betas).all():
        raise source.error("betas", f"shape {betas.shape}, or not finite", "(S,) or (frames, S) numbers")
    if len(betas) > 1 and np.ptp(betas, axis=0).max(initial=0.0) > 1e-6:
        source.note("the shape changes from frame to frame: its mean is used")
    shape = betas.mean(axis=0) if len(betas) else np.zeros(0)
    return Parameters(
        root=Rotation.from_rotvec(turns[:, 0]),
        body=Rotation.from_rotvec(turns[:, 1:].reshape(-1, 3)),
        translation=translation,
        betas=shape,
        model=model,
    )


def body_motion(
    source: Source,
    format_name: str,
    parameters: Parameters,
    fps: float,
    to_world: np.ndarray,
    pelvis: tuple[float, float, float] | None,
    licence: str = "",
) -> BodyMotion:
    """The motion in the z-up world.

    Args:
        source: the file.
        format_name: for the provenance.
        parameters: in the file's axes.
        fps: frames per second.
        to_world: (3, 3) from the file's axes.
        pelvis: template pelvis to add to the translation; None if the translation is the pelvis.
        licence: what the file states.
    """
    frames = len(parameters.translation)
    position = parameters.translation * (1.0 if "unit" in source.used else source.metres_per_unit(1.0))
    if pelvis is not None:
        position = position + np.array(pelvis)
        listed = ", ".join(f"{value:g}" for value in pelvis)
        source.note(f"the pelvis is at the translation + ({listed}) m, that of the mean shape: no body model was used")
    body = np.zeros((frames, 23, 4))
    body[..., 0] = 1.0  # the hands of SMPL, where the file has fingers instead
    given = parameters.body.as_quat()[:, [3, 0, 1, 2]].reshape(frames, -1, 4)
    body[:, : given.shape[1]] = given
    root = (Rotation.from_matrix(to_world) * parameters.root).as_quat()[:, [3, 0, 1, 2]]
    return BodyMotion(
        betas=parameters.betas,
        transl=position @ to_world.T,
        global_orient=root,
        body_pose=body,
        valid=np.ones(frames, bool),
        fps=fps,
        body=parameters.model,
        provenance=source.provenance(format_name, licence),
    )


def _first(arrays: NpzFile, keys: tuple[str, ...]) -> str | None:
    return next((key for key in keys if key in arrays), None)
