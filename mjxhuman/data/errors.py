"""The one error that reading a motion file raises when its content cannot be used."""

from __future__ import annotations

import os

from mjxhuman.runs.terminal import printable


class MotionFileError(ValueError):
    """A motion file that cannot be read: says which file, which field, what was found and what was expected.

    Raised for the content of a file only. A path that does not exist raises ``FileNotFoundError``, a bad argument of
    the caller (``up="q"``) a plain ``ValueError``.
    """

    def __init__(self, path: str | os.PathLike[str], field: str, found: object, expected: str) -> None:
        self.path = str(path)
        self.field = printable(field)  # both may hold what stands in the file
        self.found = printable(found)
        self.expected = expected
        # the names of files may hold line breaks, and the message is one line
        text = f"{self.path}: {self.field}: found {self.found}, expected {expected}"
        super().__init__(printable(text).replace("\n", "\\n"))

    def __reduce__(self) -> tuple[type[MotionFileError], tuple[str, str, str, str]]:
        return MotionFileError, (self.path, self.field, self.found, self.expected)
