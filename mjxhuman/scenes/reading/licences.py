"""Licences that furniture comes under, as its file states them, or a file beside it."""

from __future__ import annotations

import json
import re
import struct

from mjxhuman.data.source import Source
from mjxhuman.data.text import decode

_NAMES = re.compile(
    r"\b(CC0|CC[ -]BY(?:-\w\w)*(?: \d\.\d)?|MIT|Apache[ -]2\.0|Apache\s+License,?\s+Version\s+2\.0|BSD[ -]\d-Clause"
    r"|L?GPL[ -]?v?\d(?:\.\d)?)\b"
)
_FILES = ("license", "licence", "copying")
_LONGEST = 80


def named_in(text: str) -> str:
    """The first licence that a text names; "" if none."""
    found = _NAMES.search(text)
    return " ".join(found[1].split()) if found else ""


def in_comments(source: Source) -> str:
    """The licence that the comments at the beginning of an XML file name."""
    return named_in(" ".join(re.findall(r"(?s)<!--(.*?)-->", decode(source.head))))


def of_gltf(source: Source) -> str:
    """``asset.copyright`` of a glTF, binary or not; "" where it has none, or is damaged."""
    data = source.path.read_bytes()
    if data[:4] == b"glTF" and len(data) >= 20:
        data = data[20 : 20 + struct.unpack("<I", data[12:16])[0]]
    try:
        said = json.loads(data)["asset"]["copyright"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return " ".join(said.split())[:_LONGEST] if isinstance(said, str) else ""


def beside(source: Source) -> str:
    """The licence in a LICENSE, LICENCE or COPYING beside a file: the one it names, else its first line."""
    for path in sorted(source.path.parent.iterdir()):
        if path.stem.lower() in _FILES and path.suffix.lower() in ("", ".txt", ".md") and path.is_file():
            text = decode(Source(path).head)
            line = next((line.strip() for line in text.splitlines() if line.strip()), "")
            if found := named_in(text) or line[:_LONGEST]:
                source.note(f"the licence is that of {path.name} beside it")
                return found
    return ""
