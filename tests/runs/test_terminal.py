from __future__ import annotations

import pytest

from mjxhuman.data import MotionFileError
from mjxhuman.runs.terminal import message, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, äöü 人 ½", "plain, äöü 人 ½"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m\x07", "\\x1b[31mred\\x1b[0m\\x07"),
        ("\r\x9b2J\u202egnp.exe", "\\r\\x9b2J\\u202egnp.exe"),
        ("half \ud83d of a character", "half \\ud83d of a character"),
    ],
)
def test_printable(text, expected):
    assert printable(text) == expected


def test_errors_about_files_hold_no_escapes():
    assert "\x1b" not in str(MotionFileError("a.bvh", "joint \x1b[2J", "\x1b]0;title\x07", "a name"))


def test_errors_of_the_system_name_the_file_and_why(tmp_path):
    with pytest.raises(OSError) as found:
        (tmp_path / "none").read_bytes()
    assert message(found.value) == f"{tmp_path / 'none'}: no such file or directory"
    assert message(FileNotFoundError("walk.bvh: no such file")) == "walk.bvh: no such file"
    assert message(PermissionError(13, "Permission denied", b"walk.bvh")) == "walk.bvh: permission denied"
    assert message(ValueError("x")) == "x"
