from __future__ import annotations

import pytest

from mjxhuman.data import MotionFileError
from mjxhuman.runs.terminal import printable


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
