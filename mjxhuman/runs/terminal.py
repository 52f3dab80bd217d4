"""Text for the terminal: nothing that a file holds may move its cursor, ring its bell or colour it."""

from __future__ import annotations

import os
import re

# C0 and C1 controls, line and direction marks; a line end and a tab are for the caller to keep.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    """Text with control characters, escape sequences and halves of characters spelt out, as in ``\\x1b``."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), str(text))


def message(error: BaseException) -> str:
    """What an error says; of the system's about a file, its name and why ("walk.bvh: permission denied")."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror[:1].lower()}{error.strerror[1:]}"
    return str(error)
