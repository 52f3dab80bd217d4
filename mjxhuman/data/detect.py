"""Which format a file is in, by its content; the suffix only decides what the content leaves open."""

from __future__ import annotations

import re
import zipfile

from mjxhuman.data.source import Source
from mjxhuman.data.text import decode

#: Format -> suffixes it usually has.
SUFFIXES = {
    "npz": (".npz",),
    "npy": (".npy",),
    "pt": (".pt", ".pth"),
    "pickle": (".pkl", ".pickle", ".p", ".joblib"),
    "bvh": (".bvh",),
    "amc": (".amc",),
    "asf": (".asf",),
    "deepmimic": (".txt", ".json"),
    "trc": (".trc",),
    "sto": (".mot", ".sto"),
    "csv": (".csv",),
    "video": (
        ".mp4",
        ".mov",
        ".m4v",
        ".webm",
        ".mkv",
        ".avi",
        ".ts",
        ".m2ts",
        ".mpg",
        ".mpeg",
        ".wmv",
        ".flv",
        ".ogv",
        ".gif",
        ".3gp",
        ".y4m",
    ),
}

_HEAD = 1 << 16

# First bytes of the containers that video comes in; the ISO family (MP4, MOV) has its box's length before them.
_CONTAINERS = (b"\x1aE\xdf\xa3", b"FLV\x01", b"OggS", b"0&\xb2u\x8ef\xcf\x11", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3",
               b"\x00\x00\x00\x01", b"YUV4MPEG2", b"GIF8")  # fmt: skip
_ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # shorter than 16 MiB: a zero before


def detect(source: Source) -> str:
    """A key of ``SUFFIXES``. A suffix that belongs to another format is noted.

    Raises:
        MotionFileError: an empty file, or content of no known format.
    """
    with source.path.open("rb") as file:
        head = file.read(_HEAD)
    if not head.strip():
        raise source.error("file", f"{source.path.stat().st_size} bytes, nothing in it", "a motion")
    found = _by_content(source, head)
    suffix = source.path.suffix.lower()
    if found is None:
        named = [name for name, suffixes in SUFFIXES.items() if suffix in suffixes]
        what = f"content that is not {named[0]}" if named else f"content of no known format (suffix {suffix!r})"
        raise source.error("file", f"{what}: {decode(head[:40])!r}", f"one of {', '.join(SUFFIXES)}")
    if suffix not in SUFFIXES[found]:
        source.note(f"the content is {found}, whatever the suffix {suffix!r} says")
    return found


def _by_content(source: Source, head: bytes) -> str | None:
    if head.startswith(b"PK"):
        try:
            with zipfile.ZipFile(source.path) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
            names = []
        return "pt" if any(name.endswith("data.pkl") for name in names) else "npz"
    if is_video(head):
        return "video"
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if re.match(rb"\x80[\x02-\x05]", head) or head.startswith((b"\x1f\x8b", b"x\x9c", b"ZF")):
        return "pt" if source.path.suffix.lower() in SUFFIXES["pt"] else "pickle"
    text = decode(head).lstrip()
    if b"\x00" in head:
        return None
    if re.match(r"HIERARCHY\b", text, re.IGNORECASE):
        return "bvh"
    if text.startswith("PathFileType"):
        return "trc"
    if re.search(r"^\s*endheader\s*$", text, re.IGNORECASE | re.MULTILINE):
        return "sto"
    if text[:1] in "#:" and re.search(r"^\s*:bonedata", text, re.IGNORECASE | re.MULTILINE):
        return "asf"
    if text[:1] in "#:" and (
        re.search(r"^\s*:(degrees|radians|fully-specified)", text, re.IGNORECASE | re.MULTILINE) or "OML:ASF" in text
    ):
        return "amc"
    if (text.startswith("{") and source.path.suffix.lower() in SUFFIXES["deepmimic"]) or '"Frames"' in text[:2000]:
        return "deepmimic"
    if re.match(r"\s*1\s*\n\s*root\s", text):
        return "amc"
    if re.match(r"[-+.\deE]+,", text):
        return "csv"
    return None


def is_video(head: bytes) -> bool:
    """Whether a file that starts with these bytes is a container of video (or of sound: that is for the decoder)."""
    transport_stream = len(head) > 188 and head[0] == head[188] == 0x47
    riff = head.startswith(b"RIFF") and head[8:12] == b"AVI "
    iso = head[:1] == b"\x00" and head[4:8] in _ISO_BOXES
    return head.startswith(_CONTAINERS) or iso or transport_stream or riff
