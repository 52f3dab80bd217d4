"""Arrays of joint positions: (T, 22 or 24, 3) in SMPL's joint order, in an .npy file or under one key of an .npz file.

Text-to-motion models and datasets (HumanML3D, 22 joints) exchange motion like this. Nothing in such an array states
the frame rate or the up axis: they are in the .npz beside it, or the caller gives them; 22 joints are HumanML3D's
otherwise, which has 20 Hz and y up. The unit is the one that gives a human stature. HumanML3D's 263 features per frame
(root turn and speed, heights, joint places seen from the root, ...) are read as well (Guo et al. 2022).
"""

from __future__ import annotations

import numpy as np

from mjxhuman.data.arrays import NpzFile, array_from_npy
from mjxhuman.data.skeleton import leg_length
from mjxhuman.data.smpl import FPS_KEYS
from mjxhuman.data.source import Source
from mjxhuman.data.text import is_usable
from mjxhuman.types import SMPL_JOINTS, PointMotion

_KEYS = ("joints", "joint_positions", "joint_pos", "positions", "keypoints3d", "joints3d", "xyz")


def is_joints(arrays: NpzFile) -> bool:
    """Whether there is an array under a name that ``read_joints_npz`` knows."""
    return any(key in arrays for key in _KEYS)


def read_joints_npz(source: Source, arrays: NpzFile) -> PointMotion:
    """Read joint positions of an .npz file, with ``fps`` and ``up`` from it where it has them.

    Raises:
        MotionFileError: another shape, no rate, no up axis, no unit that gives a human stature.
    """
    key = next(key for key in _KEYS if key in arrays)
    up = next((arrays.text(name).lower() for name in ("up", "up_axis") if name in arrays), None)
    if up is not None and up not in ("x", "y", "z", "-x", "-y", "-z"):
        raise source.error("up", repr(up), "x, y, z, -x, -y or -z")
    return points_motion(source, key, arrays.numbers(key), arrays.number(FPS_KEYS), up)


def read_joints_npy(source: Source) -> PointMotion:
    """Read joint positions or HumanML3D's features of an .npy file.

    Raises:
        MotionFileError: pickled content, another shape, no rate, no up axis, no unit that gives a human stature.
    """
    array = array_from_npy(source, "file", source.path.read_bytes())
    if array.dtype.kind not in "iuf":
        raise source.error("file", f"an array of type {array.dtype}", "real numbers")
    array = array.astype(np.float64)
    if array.ndim == 2 and array.shape[1] == 263:
        source.note("263 numbers per frame are HumanML3D's features: the joints are those seen from the root")
        array = features_to_joints(array)
    return points_motion(source, "file", array, None, None)


def features_to_joints(features: np.ndarray) -> np.ndarray:
    """(T, 22, 3) m, y up, of HumanML3D's features (T, 263), not normalised.

    Columns: turn of the root about y per frame (rad, half the angle), its step in x and z seen from itself, its
    height, then the places of joints 1 to 21 relative to the root on the floor and seen from it.
    """
    angle = 2.0 * np.concatenate([[0.0], np.cumsum(features[:-1, 0])])
    cos, sin = np.cos(angle), np.sin(angle)  # seen from the root, the world is turned by this about y

    def to_world(x: np.ndarray, z: np.ndarray, c: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return c * x - s * z, s * x + c * z

    step = to_world(features[:-1, 1], features[:-1, 2], cos[1:], sin[1:])
    root_x, root_z = (np.concatenate([[0.0], np.cumsum(part)]) for part in step)
    local = features[:, 4:67].reshape(len(features), 21, 3)
    x, z = to_world(local[..., 0], local[..., 2], cos[:, None], sin[:, None])
    joints = np.stack([x + root_x[:, None], local[..., 1], z + root_z[:, None]], axis=-1)
    root = np.stack([root_x, features[:, 3], root_z], axis=-1)
    return np.concatenate([root[:, None], joints], axis=1)


def points_motion(source: Source, key: str, array: np.ndarray, stated_fps: float | None, up: str | None) -> PointMotion:
    """Joint positions (T, 22 or 24, 3) in SMPL's order, in the z-up world; a joint that is NaN is not seen.

    Args:
        source: the file, or what the caller says of an array in memory.
        key: of the array, for errors.
        array: in the file's axes and unit.
        stated_fps: Hz, where the file states it.
        up: the axis that the file says is up.

    Raises:
        MotionFileError: another shape, no frame without NaN, no rate, no up axis, no unit that gives a human stature.
    """
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3 or array.shape[1] not in (22, 24) or array.shape[2] != 3 or len(array) == 0:
        raise source.error(key, f"an array of shape {array.shape}", "(frames, 22 or 24, 3) positions in SMPL's order")
    names = SMPL_JOINTS[: array.shape[1]]
    seen = is_usable(array).all(axis=-1)
    whole = seen.all(axis=1)
    if not whole.any():
        raise source.error(key, "not one frame without NaN", "at least one")
    usual = array.shape[1] == 22
    fps = source.frame_rate(stated_fps, 20.0 if usual else None, "22 joints are HumanML3D's, which has 20 Hz")
    to_world = source.up_axis(up, "y" if usual else None, "22 joints are HumanML3D's, which has y up")
    source.note(f"the {len(names)} joints are in SMPL's order")
    # bone lengths may wobble in generated motion: the median frame decides
    legs = [leg_length(names, frame) or 0.0 for frame in array[whole][:: max(1, int(whole.sum()) // 100)]]
    metres = source.metres_by_stature(float(np.median(legs)))
    return PointMotion(
        pos=np.where(seen[..., None], array, 0.0) @ (metres * to_world.T),
        valid=seen,
        fps=fps,
        names=names,
        kind="joints",
        provenance=source.provenance("joint positions"),
    )
