"""One function for every motion file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mjxhuman.data.aistpp import is_aistpp, read_aistpp
from mjxhuman.data.amass import is_amass, read_amass
from mjxhuman.data.arrays import NpzFile
from mjxhuman.data.asf_amc import read_amc
from mjxhuman.data.bvh import read_bvh
from mjxhuman.data.deepmimic import read_deepmimic
from mjxhuman.data.detect import detect
from mjxhuman.data.gvhmr import read_gvhmr
from mjxhuman.data.joints import is_joints, read_joints_npy, read_joints_npz
from mjxhuman.data.npz import AnyMotion, is_ours, read_ours
from mjxhuman.data.qpos_csv import read_qpos_csv
from mjxhuman.data.smpl import is_smpl, read_smpl_npz
from mjxhuman.data.source import Source
from mjxhuman.data.trc import read_trc
from mjxhuman.options import FileOptions, takes

_READERS: dict[str, Callable[[Source], AnyMotion]] = {
    "bvh": read_bvh,
    "amc": read_amc,
    "deepmimic": read_deepmimic,
    "trc": read_trc,
    "npy": read_joints_npy,
    "pt": read_gvhmr,
    "csv": read_qpos_csv,
}

#: Formats that are recognised and not read: what was found, and what to do.
_REFUSED = {
    "video": ("a video", "a file of motion (mjxhuman.load_motion recovers the motion in a video)"),
    "pickle": (
        "a pickle, which is never loaded because unpickling can run any code",
        "an .npz: load the file where you trust it and save its arrays with np.savez(path, poses=..., trans=..., ...)",
    ),
    "asf": ("a skeleton without motion", "the .amc file, which finds the .asf beside it or by the argument skeleton="),
    "sto": (
        "an OpenSim table of coordinates or forces, no motion of points",
        "the .trc markers it was computed from",
    ),
}


@takes(FileOptions)
def read_motion(path: str | os.PathLike[str], **options: Any) -> AnyMotion:
    """Read a motion file of any known format into the z-up world, in metres.

    The content decides the format; a suffix that says otherwise is noted. Values given here win over the file's and
    over the conventions of its format; every value that the file does not state leaves a sentence in
    ``motion.provenance.conventions``.

    Args:
        path: npz (ours, AMASS, SMPL, SMPL-X, AIST++, joint positions), pt (GVHMR), bvh, amc, DeepMimic txt, trc, npy
            (joint positions) or csv (qpos of a robot).
        options: those of ``mjxhuman.options.FileOptions``. ``fps``: frames per second; ``up``: the file's up axis,
            x, y, z, -x, -y or -z; ``unit``: the file's length unit, m, cm, mm, inch, asf, or metres per unit;
            ``skeleton``: the .asf of an .amc, or the character file of a DeepMimic motion.

    Returns:
        ``BodyMotion`` (SMPL parameters), ``SkeletonMotion`` (BVH, ASF/AMC, DeepMimic), ``PointMotion`` (markers, joint
        positions) or ``QposMotion`` (coordinates of a MuJoCo model).

    Raises:
        FileNotFoundError: no such file.
        ValueError: an argument out of range.
        MotionFileError: the file cannot be read, or does not settle a convention; the message names what would.
        ImportError: a .pt file without torch.
    """
    source = Source(path, FileOptions(**options))
    if Path(path).is_dir():
        raise source.error("file", "a folder", "a file")
    kind = detect(source)
    if kind in _REFUSED:
        found, expected = _REFUSED[kind]
        raise source.error("file", found, expected)
    return _read_npz(source) if kind == "npz" else _READERS[kind](source)


def _read_npz(source: Source) -> AnyMotion:
    arrays = NpzFile(source)
    if is_ours(arrays):
        return read_ours(source, arrays)
    if is_aistpp(arrays):
        return read_aistpp(source, arrays)
    if is_amass(arrays):
        return read_amass(source, arrays)
    if is_smpl(arrays):
        return read_smpl_npz(source, arrays)
    if is_joints(arrays):
        return read_joints_npz(source, arrays)
    raise source.error(
        "arrays",
        ", ".join(list(arrays)[:12]) or "none",
        "those of a motion: SMPL's pose and translation (poses, trans), joints, or the project's own format",
    )
