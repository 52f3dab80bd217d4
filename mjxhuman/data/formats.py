"""The formats that are read, each with how it is recognised by content: a registry that other packages add to.

    from mjxhuman.data.formats import Format, register_format
    register_format(Format("mine", (".mine",), sniff=is_mine, read=read_mine, holds="what a file of it holds"))

A reader takes the ``Source`` and returns a motion of ``mjxhuman.types`` (or ``QposMotion``), in metres and z up.
"""

from __future__ import annotations

import dataclasses
import re
import zipfile
from collections.abc import Callable

from mjxhuman.data import detect
from mjxhuman.data.aistpp import is_aistpp, read_aistpp
from mjxhuman.data.amass import is_amass, read_amass
from mjxhuman.data.arrays import NpzFile, npy_shape
from mjxhuman.data.asf_amc import read_amc
from mjxhuman.data.bvh import read_bvh
from mjxhuman.data.c3d import is_c3d, read_c3d
from mjxhuman.data.deepmimic import read_deepmimic
from mjxhuman.data.gvhmr import read_torch
from mjxhuman.data.joints import is_joints, read_joints_npy, read_joints_npz
from mjxhuman.data.keypoints import holds_keypoints
from mjxhuman.data.npz import AnyMotion, is_ours, read_ours
from mjxhuman.data.pickled import read_pickled
from mjxhuman.data.plans import is_plan, read_plan
from mjxhuman.data.qpos_csv import read_qpos_csv
from mjxhuman.data.smpl import is_smpl, read_smpl_npz
from mjxhuman.data.source import Source
from mjxhuman.data.text import decode
from mjxhuman.data.trc import read_trc


@dataclasses.dataclass(frozen=True)
class Format:
    """One format of files."""

    name: str
    suffixes: tuple[str, ...]  # that its files usually have
    sniff: Callable[[Source], bool]  # whether a file's content (``source.head``) is of this format
    read: Callable[[Source], AnyMotion]  # raises MotionFileError (``source.error``)
    holds: str  # for ``mjxhuman info``
    proven: bool = True  # whether the reader was run on real files of the kind
    kind: str = "motion"  # "video", "keypoints": read by ``mjxhuman.recovery``; "refused": ``read`` only says why
    unfit: Callable[[Source], str] = lambda source: ""  # why a file found in a folder holds no motion after all; or ""


def _npz(
    name: str,
    holds: Callable[[NpzFile], bool],
    read: Callable[[Source, NpzFile], AnyMotion],
    text: str,
    proven: bool = True,
    kind: str = "motion",
) -> Format:
    """A format of arrays in an .npz."""

    def sniff(source: Source) -> bool:
        return detect.is_npz(source) and holds(NpzFile(source))

    return Format(name, (".npz",), sniff, lambda source: read(source, NpzFile(source)), text, proven, kind)


def _refused(
    name: str, suffixes: tuple[str, ...], sniff: Callable[[Source], bool], found: str, expected: str
) -> Format:
    """A format that is recognised and not read: what was found, and what to do."""

    def read(source: Source) -> AnyMotion:
        raise source.error("file", found, expected)

    return Format(name, suffixes, sniff, read, found, kind="refused")


def _elsewhere(source: Source, arrays: NpzFile | None = None) -> AnyMotion:
    raise source.error(
        "file", "a video or 2D keypoints", "a file of motion (mjxhuman.load_motion recovers the motion in it)"
    )


def _unfit_npy(source: Source) -> str:
    shape = npy_shape(source.head)
    fits = (len(shape) >= 3 and shape[-2] in (22, 24) and shape[-1] == 3) or shape[1:] == (263,)
    return "" if fits else "an array that holds no joint positions"


def _unfit_pickle(source: Source) -> str:
    packed = not source.head.startswith(b"\x80")
    return "" if packed or (b"pose" in source.head and b"trans" in source.head) else "a pickle that holds no motion"


def _unfit_pt(source: Source) -> str:
    try:
        with zipfile.ZipFile(source.path) as archive:
            pickles = [archive.read(name) for name in archive.namelist() if name.endswith("data.pkl")]
    except (zipfile.BadZipFile, OSError, RuntimeError):
        return "a .pt file that is no result of GVHMR"
    return (
        ""
        if any(b"smpl_params_global" in data or b"rigid_body_pos" in data for data in pickles)
        else "a .pt file that is no result of GVHMR"
    )


_VIDEO = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".ts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv",
          ".gif", ".3gp", ".y4m")  # fmt: skip

_FORMATS: list[Format] = [
    _npz("mjxhuman", is_ours, read_ours, "this project's own: body, skeleton, points or coordinates"),
    _npz("plan", is_plan, read_plan, "what the planner made a simulated body do: states and servo targets"),
    _npz("AIST++", is_aistpp, read_aistpp, "SMPL parameters, 60 fps"),
    _npz("AMASS", is_amass, read_amass, "SMPL-H and SMPL-X parameters; hands and face are left out"),
    _npz("SMPL", is_smpl, read_smpl_npz, "SMPL parameters (GLAMR and others)"),
    _npz("joint positions", is_joints, read_joints_npz, "22 or 24 SMPL joints (HumanML3D)"),
    _npz("2D keypoints in arrays", holds_keypoints, _elsewhere, "keypoints, or uv and confidence", kind="keypoints"),
    Format("GVHMR", (".pt", ".pth", ".motion"), detect.is_pt, read_torch,
           "SMPL-X parameters; also ProtoMotions' coordinates of robots", proven=False, unfit=_unfit_pt),
    Format("video", _VIDEO, lambda source: detect.is_video(source.head), _elsewhere,
           "whatever FFmpeg decodes; needs the extra 'video' and an encoder", kind="video"),
    Format("npy", (".npy",), lambda source: source.head.startswith(b"\x93NUMPY"), read_joints_npy,
           "22 or 24 SMPL joints, or HumanML3D's 263 features", unfit=_unfit_npy),
    Format("pickle", (".pkl", ".pickle", ".p", ".joblib"), detect.is_pickle, read_pickled,
           "SMPL parameters of PHC, AIST++, GLAMR, EMDB, WHAM", proven=False, unfit=_unfit_pickle),
    _refused("fbx", (".fbx",), detect.is_fbx, "an FBX file of animation, which is not read",
             "a .bvh: import the FBX in Blender and export Motion Capture (.bvh)"),
    Format("bvh", (".bvh",), detect.is_bvh, read_bvh,
           "skeletons of CMU, Bandai Namco, MASS, LAFAN1, Mixamo, Rokoko, rigs of games; others by --joints"),
    Format("trc", (".trc",), lambda source: detect.text_of(source).startswith("PathFileType"), read_trc,
           "labelled markers (OpenSim)"),
    Format("c3d", (".c3d",), is_c3d, read_c3d, "labelled markers; needs the extra 'c3d'"),
    _refused("sto", (".mot", ".sto"), detect.is_opensim_table,
             "an OpenSim table of coordinates or forces, no motion of points",
             "the .trc markers it was computed from"),
    _refused("asf", (".asf",), detect.is_asf, "a skeleton without motion",
             "the .amc file, which finds the .asf beside it or by the argument skeleton="),
    Format("amc", (".amc",), detect.is_amc, read_amc, "CMU skeleton, with the .asf beside it"),
    Format("deepmimic", (".txt", ".json"), detect.is_deepmimic, read_deepmimic, "DeepMimic's humanoid",
           unfit=lambda source: "" if '"Frames"' in detect.text_of(source) else "a text that holds no frames"),
    Format("2D keypoints", (".json",), detect.is_json, _elsewhere,
           "OpenPose (also a folder), COCO, MMPose, AlphaPose; with frame rate and size", kind="keypoints",
           unfit=lambda source: "" if is_keypoint_json(source) else "JSON that holds no keypoints"),
    Format("csv", (".csv",), detect.is_table, read_qpos_csv, "coordinates: qpos of a MuJoCo model"),
]  # fmt: skip


def is_keypoint_json(source: Source) -> bool:
    """Whether the beginning of a .json names what files of 2D keypoints have."""
    return any(word in source.head for word in (b'"people"', b'"keypoints"', b'"instance_info"', b'"annotations"'))


def register_format(fmt: Format) -> None:
    """Add a format of your own. It is asked for before the built-in ones.

    Raises:
        ValueError: the name is taken.
    """
    if any(known.name == fmt.name for known in _FORMATS):
        raise ValueError(f"format {fmt.name!r}: the name is taken")
    _FORMATS.insert(0, fmt)


def formats() -> tuple[Format, ...]:
    """All formats, in the order they are asked for."""
    return tuple(_FORMATS)


def suffixes_of(kind: str) -> tuple[str, ...]:
    """Suffixes of the formats of a kind ("motion", "video" or "keypoints")."""
    return tuple(suffix for fmt in _FORMATS if fmt.kind == kind for suffix in fmt.suffixes)


def format_of(source: Source) -> Format:
    """The format of a file by its content; a suffix that belongs to another is noted.

    Raises:
        FileNotFoundError: no such file.
        MotionFileError: an empty file, content of no known format, or a damaged archive.
    """
    if not source.head.strip():
        raise source.error("file", f"{source.path.stat().st_size} bytes, nothing in it", "a motion")
    found = next((fmt for fmt in _FORMATS if fmt.sniff(source)), None)
    suffix = source.path.suffix.lower()
    if found is None and detect.is_npz(source):
        raise source.error(
            "arrays",
            ", ".join(list(NpzFile(source))[:12]) or "none",
            "those of a motion: SMPL's pose and translation (poses, trans), joints, or the project's own format",
        )
    if found is None:
        named = [fmt.name for fmt in _FORMATS if suffix in fmt.suffixes]
        what = f"content that is not {named[0]}" if named else f"content of no known format (suffix {suffix!r})"
        known = ", ".join(fmt.name for fmt in _FORMATS if fmt.kind != "refused")
        binary = bool(re.search(rb"[\x00-\x08\x0e-\x1f\x7f-\xff]", source.head[:40]))
        shown = "binary data" if binary else repr(decode(source.head[:40]))
        raise source.error("file", f"{what}: {shown}", f"one of {known}")
    if suffix not in found.suffixes:
        source.note(f"the content is {found.name}, whatever the suffix {suffix!r} says")
    return found
