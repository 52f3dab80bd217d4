"""OpenSim .trc: labelled points over time, tab-separated, with five header lines.

Line 1 names the file type, 2 and 3 are keys and values (DataRate, NumFrames, NumMarkers, Units, ...), 4 the labels (one
per three columns), 5 the axes; then frame number, time and x y z per point. An empty cell is a point that was not
seen. y up (OpenSim's ground: x forward, y up, z right).
"""

from __future__ import annotations

import re
from typing import IO

import numpy as np

from mjxhuman.data.joint_map import named
from mjxhuman.data.joint_names import smpl_joint_map
from mjxhuman.data.source import Source
from mjxhuman.data.text import decode, is_usable, line_blocks, parse_rows
from mjxhuman.options import UNITS
from mjxhuman.types import PointMotion

_EMPTY = re.compile(rb"(?<=\t)(?=\t)|(?<=\t)$")


def read_trc(source: Source) -> PointMotion:
    """Read a .trc file; missing points are invalid and 0.

    Raises:
        MotionFileError: header lines, counts or numbers that do not fit, no rate, an unknown unit.
    """
    with source.path.open("rb") as file:
        header, labels, separator = _read_header(source, file)
        values = _read_rows(source, file, len(labels), separator)
    stated_frames = header.get("numframes", "")
    if stated_frames.isascii() and stated_frames.isdigit() and int(stated_frames) != len(values):
        raise source.error("NumFrames", f"{len(values)} rows", f"{stated_frames} as the header says")
    fps = source.frame_rate(_rate(source, header, values[:, 1]))
    metres = source.metres_per_unit(_unit(source, header))
    to_world = source.up_axis(None, "y", ".trc files state no up axis, OpenSim's ground has y up")
    points = values[:, 2:].reshape(len(values), len(labels), 3)
    seen = is_usable(points).all(axis=-1)
    at_origin = seen & (points == 0.0).all(axis=-1)
    if at_origin.any():
        seen &= ~at_origin
        source.note("points at exactly (0, 0, 0) count as not seen")
    keep = [i for i, label in enumerate(labels) if label]
    points = np.where(seen[..., None], points, 0.0)[:, keep]
    names = tuple(named(source, [labels[i] for i in keep]))
    return PointMotion(
        pos=points @ (metres * to_world.T),
        valid=seen[:, keep],
        fps=fps,
        names=names,
        kind="joints" if 2 * len(smpl_joint_map(names)) >= len(names) else "markers",
        provenance=source.provenance("TRC"),
    )


def _read_header(source: Source, file: IO[bytes]) -> tuple[dict[str, str], list[str], bytes]:
    """Values by lower-case key, the label of each point ("" for a column group without one), what separates cells."""
    raw = [file.readline() for _ in range(5)]
    separator = _separator(raw[3])
    if separator != b"\t":
        source.note(f"cells are separated by {separator.decode()!r}")
    lines = [decode(_tabbed(line, separator)).rstrip("\r\n") for line in raw]
    if not lines[0].startswith("PathFileType"):
        raise source.error("line 1", repr(lines[0][:40]), "PathFileType")
    keys, entries = lines[1].split(), lines[2].split()
    header = {key.lower(): entry for key, entry in zip(keys, entries, strict=False)}
    cells = [cell.strip() for cell in lines[3].split("\t")]
    if len(cells) < 3 or not cells[0].lower().startswith("frame") or cells[1].lower() != "time":
        raise source.error("line 4", repr(lines[3][:40]), "Frame#, Time and the labels, separated by tabs")
    while cells and not cells[-1]:
        cells.pop()
    labels = cells[2::3]
    if any(cell for column, cell in enumerate(cells[2:]) if column % 3):
        raise source.error("line 4", "labels that are not three columns apart", "a label, then two empty cells")
    count = header.get("nummarkers", "")
    if not (count.isascii() and count.isdigit()) or int(count) != len(labels):
        raise source.error("NumMarkers", f"{count[:20]!r} for {len(labels)} labels", "the number of labels in line 4")
    named = [label for label in labels if label]
    if not named or len(set(named)) != len(named):
        raise source.error("line 4", f"{len(named)} labels, {len(set(named))} different", "different labels")
    if not re.match(r"\s*X1\s", lines[4] + " "):
        raise source.error("line 5", repr(lines[4].strip()[:40]), "X1, Y1, Z1, ...")
    return header, labels, separator


def _separator(labels: bytes) -> bytes:
    """What separates the cells of the line of labels."""
    return next((mark for mark in (b"\t", b";", b",") if mark in labels), b"\t")


def _tabbed(line: bytes, separator: bytes) -> bytes:
    """A line with tabs between its cells and points in its numbers."""
    if separator == b",":
        return line.replace(b",", b"\t")
    return (line.replace(b";", b"\t") if separator == b";" else line).replace(b",", b".")


def _read_rows(source: Source, file: IO[bytes], points: int, separator: bytes) -> np.ndarray:
    """(T, 2 + 3 * points), NaN where a cell is empty."""
    columns = 2 + 3 * points
    blocks: list[np.ndarray] = []
    done = 0
    for lines in line_blocks(file):
        rows = []
        for number, line in enumerate(lines, start=done + 1):
            line = _tabbed(line.rstrip(b"\r\n"), separator)
            missing = columns - 1 - line.count(b"\t")
            if missing < 0:  # some writers end each row with tabs
                line = line[: len(line) + missing] if not line[len(line) + missing :].strip(b"\t") else line
                missing = columns - 1 - line.count(b"\t")
            if missing < 0:
                raise source.error(f"frame {number}", f"{columns - missing} cells", f"{columns} for {points} points")
            line += b"\t" * missing
            rows.append(_EMPTY.sub(b"nan", line) if b"\t\t" in line or line.endswith(b"\t") else line)
        blocks.append(parse_rows(source, rows, columns, lambda row, first=done + 1: f"frame {first + row}"))  # type: ignore[misc]
        done += len(lines)
    if not blocks:
        raise source.error("file", "no rows after the header", "at least one")
    return np.concatenate(blocks)


def _rate(source: Source, header: dict[str, str], times: np.ndarray) -> float | None:
    """The stated rate, checked against the time column."""
    try:
        rate = float(header["datarate"])
    except (KeyError, ValueError):
        if source.options.fps is None:
            raise source.error("DataRate", repr(header.get("datarate", "")), "frames per second, or fps=") from None
        return None
    steps = np.diff(times)
    if len(steps) and is_usable(steps).all() and np.median(steps) > 0:
        by_time = 1.0 / float(np.median(steps))
        # times are often printed with three digits: 0.007 s at 150 Hz
        if source.options.fps is None and not 0.9 < rate / by_time < 1.1:
            raise source.error("DataRate", f"{rate:g} Hz, but {by_time:g} Hz in the column Time", "one rate, or fps=")
    if not is_usable(times).all() or (steps < 0).any():
        raise source.error("Time", "times that decrease or are no numbers", "increasing seconds")
    return round(rate, 6)


def _unit(source: Source, header: dict[str, str]) -> float | None:
    unit = header.get("units", "").lower()
    if unit in ("m", "cm", "mm"):
        return UNITS[unit]
    if source.options.unit is None:
        raise source.error("Units", repr(unit[:20]), "m, cm or mm, or the argument unit=")
    return None
