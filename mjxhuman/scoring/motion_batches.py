"""Batches of motion as generators hold them: which form it is, NumPy arrays of each clip, and what is wrong with it.

The form is told by the keys of a mapping, or by the shape of an array where only one fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mjxhuman.data.smpl import BETA_KEYS, BODY_KEYS, FULL_KEYS, ROOT_KEYS, TRANSLATION_KEYS

#: Numbers per frame of HumanML3D's features.
FEATURES = 263
#: Joints (with the root) that SMPL's, SMPL-H's and SMPL-X's poses have.
_FULL, _BODY = (22, 24, 52, 55), (21, 23)
_ROTATIONS = "rotation vectors or 3 x 3 matrices"


class MotionBatch(NamedTuple):
    """Clips in one form."""

    form: str  # "qpos", "joints", "features" or "smpl"
    clips: list[dict[str, np.ndarray]]  # of each its arrays (T, ...) by key


def accepted(nq: int) -> str:
    """The forms, for errors."""
    return (
        "one of: joints (B, T, 22, 3) or (B, T, 24, 3); HumanML3D's features (B, T, 263); coordinates of the body "
        f"(B, T, {nq}); or a mapping with the key joints, features or qpos, or with SMPL's parameters: poses "
        "(B, T, 24, 3) or (B, T, 72), or global_orient (B, T, 3) and body_pose (B, T, 23, 3), with transl (B, T, 3)"
    )


def read_batch(batch: Any, lengths: Any, nq: int) -> MotionBatch:
    """Check shapes and types of a batch; numbers are not looked at.

    Args:
      batch: as ``motion_reward`` takes it. lengths: (B,) frames of each clip that count, or None.
      nq: coordinates of the body.

    Raises:
      ValueError: no known form, other keys, shapes, types or numbers of clips and frames than the form has.
    """
    if isinstance(batch, Mapping):
        fields = {str(key): _samples(value, str(key)) for key, value in batch.items()}
        form = _form_of_keys(fields, nq)
    else:
        samples = _samples(batch, "batch")
        form = _form_of_shape(samples[0].shape, nq)
        fields = {form: samples}
    counts = {key: len(samples) for key, samples in fields.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"batch: expected as many clips in each array, found {_listed(counts)}")
    clips = [{key: fields[key][i] for key in fields} for i in range(next(iter(counts.values())))]
    for i, clip in enumerate(clips):
        _check_clip(clip, i, nq)
    return MotionBatch(form, clips if lengths is None else _cut(clips, lengths))


def numbers(value: Any, field: str) -> np.ndarray:
    """A torch, JAX or NumPy array, on whatever device, as NumPy's of real numbers; no gradient passes.

    Raises:
      ValueError: no array of real numbers.
    """
    array = value.detach() if hasattr(value, "detach") else value
    if "bfloat16" in str(getattr(array, "dtype", "")):  # NumPy has no such type
        array = array.float() if hasattr(array, "float") else array.astype(np.float32)
    array = array.cpu() if hasattr(array, "cpu") else array
    try:
        array = np.asarray(array)
    except (ValueError, TypeError):
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{field}: found {type(value).__name__} of {array.dtype}, expected an array of real numbers")
    return array


def _samples(value: Any, field: str) -> list[np.ndarray]:
    """The clips of one array (B, T, ...), or of a sequence of arrays (T, ...)."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        clips = [numbers(clip, f"{field}[{i}]") for i, clip in enumerate(value)]
    else:
        array = numbers(value, field)
        if array.ndim == 0:
            raise ValueError(f"{field}: found one number, expected an array (B, T, ...)")
        clips = list(array)
    if not clips:
        raise ValueError(f"{field}: found no clip, expected at least one")
    return clips


def _form_of_keys(fields: Mapping[str, Any], nq: int) -> str:
    keys = set(fields)
    for form in ("qpos", "joints", "features"):
        if keys == {form}:
            return form
    full, root, body, moved = (keys & set(known) for known in (FULL_KEYS, ROOT_KEYS, BODY_KEYS, TRANSLATION_KEYS))
    pose = (len(full) == 1 and not root | body) or (len(root) == len(body) == 1 and not full)
    shape = keys & set(BETA_KEYS)
    if pose and len(moved) == 1 and len(shape) <= 1 and not keys - (full | root | body | moved | shape):
        return "smpl"
    raise ValueError(f"batch: found a mapping of {', '.join(sorted(keys)) or 'nothing'}, expected {accepted(nq)}")


def _form_of_shape(shape: tuple[int, ...], nq: int) -> str:
    if len(shape) == 3 and shape[1:] == (22, 3):
        return "joints"
    if len(shape) == 3 and shape[1:] == (24, 3):
        either = "positions of joints, {'joints': ...}, or rotations, {'poses': ..., 'transl': ...}"
        raise ValueError(f"batch: an array of shape {('B', *shape)} can be read as {either}; expected such a mapping")
    if len(shape) == 2 and shape[1] in (FEATURES, nq):
        return "features" if shape[1] == FEATURES else "qpos"
    raise ValueError(f"batch: found an array of shape {('B', *shape)}, expected {accepted(nq)}")


def _check_clip(clip: Mapping[str, np.ndarray], index: int, nq: int) -> None:
    """Raise for a shape that does not belong to its key, or unequal numbers of frames."""
    for key, array in clip.items():
        fits, expected = _fits(key, array.shape, nq)
        if not fits:
            raise ValueError(f"batch[{index}]: {key}: found an array of shape {array.shape}, expected {expected}")
    frames = {key: len(array) for key, array in clip.items() if key not in BETA_KEYS}
    if len(set(frames.values())) > 1:
        raise ValueError(f"batch[{index}]: expected as many frames in each array, found {_listed(frames)}")


def _fits(key: str, shape: tuple[int, ...], nq: int) -> tuple[bool, str]:
    """Whether a clip's array has a shape of its key, and which shapes there are."""
    if key == "qpos":
        return len(shape) == 2 and shape[1] == nq, f"(T, {nq}) coordinates of the body"
    if key == "features":
        return len(shape) == 2 and shape[1] == FEATURES, f"(T, {FEATURES}) features of HumanML3D"
    if key == "joints":
        return len(shape) == 3 and shape[1] in (22, 24) and shape[2] == 3, "(T, 22 or 24, 3) positions in SMPL's order"
    if key in TRANSLATION_KEYS:
        return len(shape) == 2 and shape[1] == 3, "(T, 3) translations"
    if key in BETA_KEYS:
        return len(shape) in (1, 2), "(S,) or (T, S) shape coefficients"
    if key in ROOT_KEYS:
        return _rotates(shape, (1,)), f"(T, 3) {_ROTATIONS}"
    counts = _FULL if key in FULL_KEYS else _BODY
    return _rotates(shape, counts), f"(T, {' or '.join(map(str, counts))}, 3) or (T, 3 per joint) {_ROTATIONS}"


def _rotates(shape: tuple[int, ...], joints: Sequence[int]) -> bool:
    """Whether the frames of a clip of this shape hold one rotation of each joint, of as many as ``joints`` allows."""
    size = int(np.prod(shape[1:]))
    matrices = len(shape) >= 3 and shape[-2:] == (3, 3) and size in [9 * count for count in joints]
    vectors = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
    return matrices or (vectors and size in [3 * count for count in joints])


def _cut(clips: list[dict[str, np.ndarray]], lengths: Any) -> list[dict[str, np.ndarray]]:
    """The clips without their padding."""
    counts = numbers(lengths, "lengths")
    if counts.shape != (len(clips),) or counts.dtype.kind not in "iu":
        found = f"{counts.dtype} of shape {counts.shape}"
        raise ValueError(f"lengths: expected ({len(clips)},) whole numbers of frames, found {found}")
    cut = []
    for i, (clip, count) in enumerate(zip(clips, counts.tolist(), strict=True)):
        frames = next(len(array) for key, array in clip.items() if key not in BETA_KEYS)
        if not 1 <= count <= frames:
            raise ValueError(f"lengths[{i}]: expected 1 to {frames} frames, found {count}")
        cut.append(
            {key: array if key in BETA_KEYS and array.ndim == 1 else array[:count] for key, array in clip.items()}
        )
    return cut


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{key} {count}" for key, count in counts.items())
