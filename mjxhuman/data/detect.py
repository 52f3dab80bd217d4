"""What the first bytes of a file say about its format; the suffix only decides what the content leaves open."""

from __future__ import annotations

import re
import zipfile

from mjxhuman.data.source import Source
from mjxhuman.data.text import decode

# First bytes of the containers that video comes in; the ISO family (MP4, MOV) has its box's length before them.
_CONTAINERS = (b"\x1aE\xdf\xa3", b"FLV\x01", b"OggS", b"0&\xb2u\x8ef\xcf\x11", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3",
               b"\x00\x00\x00\x01", b"YUV4MPEG2", b"GIF8")  # fmt: skip
# How joblib's compressions begin: gzip, zlib at its levels, bzip2, xz, lzma, and its own of before.
_PACKED = (b"\x1f\x8b", b"x\x01", b"x^", b"x\x9c", b"x\xda", b"BZh", b"\xfd7zXZ", b"]\x00\x00", b"ZF")
_ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # shorter than 16 MiB: a zero before


def is_video(head: bytes) -> bool:
    """Whether a file that starts with these bytes is a container of video (or of sound: that is for the decoder)."""
    transport_stream = len(head) > 188 and head[0] == head[188] == 0x47
    riff = head.startswith(b"RIFF") and head[8:12] == b"AVI "
    iso = head[:1] == b"\x00" and head[4:8] in _ISO_BOXES
    return head.startswith(_CONTAINERS) or iso or transport_stream or riff


def text_of(source: Source) -> str:
    """The beginning of a file as text without leading blanks; "" of a binary one."""
    return "" if b"\x00" in source.head else decode(source.head).lstrip()


def says(source: Source, pattern: str) -> bool:
    """Whether a line at the beginning of a text file matches, in any case."""
    return bool(re.search(pattern, text_of(source), re.IGNORECASE | re.MULTILINE))


def members(source: Source) -> list[str]:
    """Names in a zip archive; none of one that is damaged, or of another file."""
    if not source.head.startswith(b"PK"):
        return []
    try:
        with zipfile.ZipFile(source.path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        return []


def is_pt(source: Source) -> bool:
    """Whether torch saved it: a zip archive with a pickle, or a bare pickle under torch's suffixes."""
    if any(name.endswith("data.pkl") for name in members(source)):
        return True
    return is_pickle(source) and source.path.suffix.lower() in (".pt", ".pth")


def is_npz(source: Source) -> bool:
    """Whether it is a zip archive that torch did not make."""
    return source.head.startswith(b"PK") and not is_pt(source)


def is_pickle(source: Source) -> bool:
    """Whether it is a pickle, also one that is compressed (joblib)."""
    head = source.head
    named = source.path.suffix.lower() in (".pkl", ".pickle", ".p", ".joblib")
    packed = head.startswith((b"\x1f\x8b", b"x\x9c")) or (named and head.startswith(_PACKED))
    return bool(re.match(rb"\x80[\x02-\x05]", head)) or packed


def is_fbx(source: Source) -> bool:
    """Whether it is an FBX file, binary or as text."""
    return source.head.startswith(b"Kaydara FBX Binary") or bool(re.match(r";\s*FBX \d", text_of(source)))


def is_bvh(source: Source) -> bool:
    """Whether it begins with the hierarchy of a BVH."""
    return bool(re.match(r"HIERARCHY\b", text_of(source), re.IGNORECASE))


def is_asf(source: Source) -> bool:
    """Whether it is an Acclaim skeleton."""
    return text_of(source)[:1] in ("#", ":") and says(source, r"^\s*:bonedata")


def is_amc(source: Source) -> bool:
    """Whether it is an Acclaim motion, also one without its header."""
    text = text_of(source)
    headed = text[:1] in ("#", ":") and (says(source, r"^\s*:(degrees|radians|fully-specified)") or "OML:ASF" in text)
    return not is_asf(source) and (headed or bool(re.match(r"\s*1\s*\n\s*root\s", text)))


def is_opensim_table(source: Source) -> bool:
    """Whether it is a .sto or .mot: coordinates or forces."""
    return says(source, r"^\s*endheader[\s,;]*$")


def is_deepmimic(source: Source) -> bool:
    """Whether it is the JSON of a DeepMimic motion, or of a character where the suffix is theirs."""
    text = text_of(source)
    return '"Frames"' in text[:2000] or (text.startswith("{") and source.path.suffix.lower() == ".txt")


def is_json(source: Source) -> bool:
    """Whether it is JSON, of a suffix that says so."""
    return text_of(source)[:1] in ("{", "[") and source.path.suffix.lower() == ".json"


def is_table(source: Source) -> bool:
    """Whether it is numbers with commas between them, with or without a row of names above."""
    names = r"(?:[^\n,]*[A-Za-z_][^\n,]*(?:,[^\n,]*){7,}\n)?"
    return bool(re.match(names + r"\s*[-+.\deE]+,\s*[-+.\d]", text_of(source)))
