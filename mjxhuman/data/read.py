"""One function for every motion file."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from mjxhuman.data.formats import Format, format_of
from mjxhuman.data.npz import AnyMotion, QposMotion
from mjxhuman.data.plausible import question
from mjxhuman.data.source import Source
from mjxhuman.options import FileOptions, takes


@takes(FileOptions)
def read_motion(path: str | os.PathLike[str], **options: Any) -> AnyMotion:
    """Read a motion file of any known format into the z-up world, in metres.

    The content decides the format; a suffix that says otherwise is noted. Values given here win over the file's and
    over the conventions of its format; every value that the file does not state leaves a sentence in
    ``motion.provenance.conventions``.

    Args:
        path: npz (ours, AMASS, SMPL, SMPL-X, AIST++, joint positions), pt (GVHMR), bvh, amc, DeepMimic txt, trc, npy
            (joint positions), csv (qpos of a robot), or a format of ``mjxhuman.data.register_format``.
        options: those of ``mjxhuman.options.FileOptions``. ``fps``: frames per second; ``up``: the file's up axis,
            x, y, z, -x, -y or -z; ``unit``: the file's length unit, m, cm, mm, inch, asf, or metres per unit;
            ``skeleton``: the .asf of an .amc, or the character file of a DeepMimic motion; ``joints``: a JSON file of
            SMPL's joints and the file's names for them, where no table knows those.

    Returns:
        ``BodyMotion`` (SMPL parameters), ``SkeletonMotion`` (BVH, ASF/AMC, DeepMimic), ``PointMotion`` (markers, joint
        positions) or ``QposMotion`` (coordinates of a MuJoCo model).

    Raises:
        FileNotFoundError: no such file.
        ValueError: an argument out of range.
        MotionFileError: the file cannot be read, or does not settle a convention; the message names what would.
        ImportError: a .c3d file without its reader.
    """
    source = Source(path, FileOptions(**options))
    if Path(path).is_dir():
        raise source.error("file", "a folder", "a file (mjxhuman.data.folders.find_motions lists those of a folder)")
    return _plausible(source, format_of(source))


def _plausible(source: Source, fmt: Format) -> AnyMotion:
    """The motion, read again where the file says one thing and the body in it another."""
    motion = fmt.read(source)
    for _ in range(3):
        if isinstance(motion, QposMotion) or not (found := question(source, motion)):
            break
        source = source.again(found)
        fmt = format_of(source)
        motion = fmt.read(source)
    if isinstance(motion, QposMotion):
        return motion
    before = motion.provenance
    conventions = tuple(dict.fromkeys((*before.conventions, *source.sentences)))
    return dataclasses.replace(motion, provenance=before.with_(conventions=conventions))
