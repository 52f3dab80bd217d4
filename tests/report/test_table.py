"""Tables for the terminal."""

import io
import re

import numpy as np
import pytest

from mjxhuman.report.glossary import Explanation
from mjxhuman.report.table import bar, difference_table, score_table, terminal


@pytest.mark.parametrize(
    ("value", "text"), [(0, "    "), (1, "████"), (0.5, "██  "), (0.53125, "██▏ "), (-1, "    "), (7, "████")]
)
def test_bars_are_drawn_in_eighths(value, text):
    assert bar(value, 4) == text


@pytest.fixture(scope="module")
def rows(make_clip):
    return [
        ("clean.bvh", make_clip(seed=0, dynamics=False).scores),
        ("a/very/long/path/" * 5 + "end.bvh", make_clip(seed=1, dynamics=False).scores),
        ("short.bvh", make_clip(frames=3, valid=False, dynamics=False).scores),
    ]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_table_fits_its_width(rows, width):
    text = score_table(rows, width=width)
    assert max(map(len, text.split("\n"))) <= width
    assert "\x1b" not in text
    assert f"{float(rows[0][1].total):.2f}" in text
    for label in ("Total", "Kinematic", "Contact", "Dynamic", "Foot slip", "Power"):
        assert label in text, label
    assert "mystery" not in text, "diagnostics are not in the table"
    assert "short.bvh" in text and "not scored: 3 frames" in text
    assert "nan" not in text.lower()
    assert "end.bvh" in text, "long names lose their beginning"


def test_colours_only_where_asked(rows, monkeypatch):
    assert "\x1b[" in score_table(rows, colour=True)
    plain = re.sub(r"\x1b\[\d*m", "", score_table(rows, colour=True))
    assert plain == score_table(rows)

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert terminal(Terminal())[1] and terminal(io.StringIO()) == (120, False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not terminal(Terminal())[1]


def test_difference_names_the_direction(rows):
    scores = rows[0][1]
    terms = scores.terms | {"foot_slip": np.float32(0.5), "foot_slip_m_per_s": np.float32(0.2)}
    base = scores.replace(terms=terms)
    moved = terms | {"foot_slip": np.float32(0.7), "foot_slip_m_per_s": np.float32(0.3), "power": terms["power"]}
    text = difference_table(("a", base), ("b", scores.replace(terms=moved)))
    lines = {line.split("  ")[0].strip(): line for line in text.split("\n")}
    assert "▲" in lines["Foot slip"] and "better" in lines["Foot slip"]
    assert "▲" in lines["Slip speed"] and "worse" in lines["Slip speed"] and "m/s" in lines["Slip speed"]
    assert "=" in lines["Power"] and "better" not in lines["Power"]


def test_less_than_a_millimetre_is_the_same(rows):
    scores = rows[0][1]
    base = scores.replace(terms={"self_penetration_m": np.float32(0.0002)})
    for overlap, expected in ((0.0011, "="), (0.0013, "worse")):
        text = difference_table(("a", base), ("b", base.replace(terms={"self_penetration_m": np.float32(overlap)})))
        assert expected in next(line for line in text.split("\n") if line.startswith("Overlap"))


def test_no_clips():
    assert score_table([]) == "no clips"


def test_what_counts_as_the_same():
    """A hundredth of the larger value, or the least that can be told apart in its unit."""
    force = Explanation("Force", "", "BW", "lower", "")
    assert force.same(0.100, 0.108) and not force.same(0.100, 0.112)
    assert force.same(5.00, 5.04) and not force.same(5.00, 5.06)
    score = Explanation("Score", "", "", "higher", "")
    assert score.same(0.500, 0.504) and not score.same(0.990, 0.996)
