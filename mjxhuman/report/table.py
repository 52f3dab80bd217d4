"""A table of scores for the terminal: bars of block characters, fitted to the window, plain text where it is piped."""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

import numpy as np

from mjxhuman.report import glossary
from mjxhuman.types import Scores

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_ANSI = {"kinematic": "34", "contact": "33", "dynamic": "32", "total": "1", "bad": "31"}
_MAX_NAME = 44


def bar(value: float, width: int) -> str:
    """A bar of ``width`` characters for a value in 0..1, to an eighth of a character."""
    eighths = round(min(max(value, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[part] if part else "")).ljust(width)


def coloured(text: str, key: str, on: bool) -> str:
    """The text in the colour of an axis, of "total" or of what is "bad"."""
    return f"\x1b[{_ANSI[key]}m{text}\x1b[0m" if on and key in _ANSI else text


def shortened(name: str, width: int) -> str:
    """The end of a name, in ``width`` characters at most."""
    return name if len(name) <= width else "…" + name[-(width - 1) :]


def _reason(scores: Scores) -> str:
    return str(scores.reason).removeprefix("not scored: ") or "no reason given"


def _value(x: object) -> float:
    return float(np.asarray(x))


def _columns(rows: Sequence[tuple[str, Scores]]) -> tuple[list[str], list[str]]:
    """Axes and terms that any clip has, in glossary order; diagnostics are left out."""
    axes: dict[str, None] = {}
    terms: dict[str, None] = {}
    for _, scores in rows:
        axes.update(dict.fromkeys(scores.axes))
        terms.update((n, None) for n in scores.terms if glossary.entry(n).axis in glossary.AXES)
    return glossary.order_terms(list(axes)), glossary.order_terms(list(terms))


def score_table(rows: Sequence[tuple[str, Scores]], *, width: int = 100, colour: bool = False) -> str:
    """Total and axes as bars, one line per clip, and a second block with the terms.

    Args:
        rows: (name, unbatched scores) of each clip. A clip that is not valid shows its reason.
        width: characters per line; terms go into as many blocks as that needs.
        colour: with ANSI colours.
    """
    if not rows:
        return "no clips"
    axes, terms = _columns(rows)
    cells = ["total", *axes]
    name_width = min(max(len(n) for n, _ in rows), _MAX_NAME, max(12, width - 11 * len(cells)))
    bar_width = max(4, min(16, (width - name_width) // len(cells) - 7))
    lines = [" " * name_width + "".join(f"  {_label(c):<{bar_width + 5}}" for c in cells).rstrip()]
    for name, scores in rows:
        start = shortened(name, name_width).ljust(name_width)
        if not bool(np.asarray(scores.valid)):
            reason = f"not scored: {_reason(scores)}"
            room = max(width - name_width - 2, 24)
            lines.append(
                start + "  " + coloured(reason if len(reason) <= room else reason[: room - 1] + "…", "bad", colour)
            )
            continue
        values = [_value(scores.total if c == "total" else scores.axes.get(c, math.nan)) for c in cells]
        parts = [f"  {coloured(bar(v, bar_width), c, colour)} {v:.2f}" if v == v else "  " + "–".ljust(bar_width + 5)
                 for c, v in zip(cells, values, strict=True)]  # fmt: skip
        lines.append((start + "".join(parts)).rstrip())
    scored = [(n, s) for n, s in rows if bool(np.asarray(s.valid))]
    return "\n".join(lines + (_term_blocks(scored, terms, name_width, width, colour) if scored else []))


def _label(name: str) -> str:
    return glossary.entry(name).label


def _term_blocks(
    rows: Sequence[tuple[str, Scores]], terms: list[str], name_width: int, width: int, colour: bool
) -> list[str]:
    lines: list[str] = []
    columns = [(term, max(6, len(_label(term)))) for term in terms]
    while columns:
        block, used = [], name_width
        while columns and (not block or used + 2 + columns[0][1] <= width):
            block.append(columns.pop(0))
            used += 2 + block[-1][1]
        lines.append("")
        head = "".join("  " + coloured(_label(t).rjust(w), glossary.entry(t).axis, colour) for t, w in block)
        lines.append(" " * name_width + head)
        for name, scores in rows:
            cells = "".join("  " + _number(scores, t).rjust(w) for t, w in block)
            lines.append(shortened(name, name_width).ljust(name_width) + cells)
    return lines


def _number(scores: Scores, term: str) -> str:
    x = _value(scores.terms.get(term, math.nan))
    return "–" if x != x else f"{x:.2f}" if glossary.entry(term).is_score else f"{x:.4g}"


def difference_table(a: tuple[str, Scores], b: tuple[str, Scores], *, colour: bool = False) -> str:
    """What changed from clip ``a`` to clip ``b``: every number of both, the change and whether it is for the better."""
    (name_a, one), (name_b, two) = a, b
    pairs = [("total", one.total, two.total)]
    pairs += [(k, one.axes[k], two.axes[k]) for k in glossary.order_terms(list(one.axes)) if k in two.axes]
    pairs += [(k, one.terms[k], two.terms[k]) for k in glossary.order_terms(list(one.terms)) if k in two.terms]
    width = max(len(_label(k)) for k, _, _ in pairs)
    names = [shortened(n, 28) for n in (name_a, name_b)]
    columns = [max(9, len(n)) for n in names]
    lines = [" " * width + "".join("  " + n.rjust(w) for n, w in zip(names, columns, strict=True)) + "     change"]
    for key, x, y in ((k, _value(p), _value(q)) for k, p, q in pairs):
        entry = glossary.entry(key)
        change = y - x
        same = entry.same(x, y)
        better = change > 0 if entry.better == "higher" else change < 0
        verdict = "" if same or not entry.better else "better" if better else "worse"
        arrow = "=" if same else "▲" if change > 0 else "▼"
        cells = "".join("  " + f"{v:.4g}".rjust(w) for v, w in zip((x, y), columns, strict=True))
        amount = "" if same else f"{abs(change):.3g}"
        text = f"{_label(key).ljust(width)}{cells}  {arrow} {amount:>7} {verdict} {entry.unit}"
        lines.append(coloured(text.rstrip(), "bad" if verdict == "worse" else "dynamic" if verdict else "", colour))
    return "\n".join(lines)


def terminal(stream: TextIO | None = None) -> tuple[int, bool]:
    """Width and whether to use colours: these only on a terminal, and not where NO_COLOR is set."""
    stream = stream or sys.stdout
    on = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return shutil.get_terminal_size((120, 24)).columns if stream.isatty() else 120, on
