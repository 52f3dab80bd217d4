"""What people do in recordings, as text: tables of captions, and captions of mirror images.

A source of captions is one of

* a ``captions.jsonl``: one object a line, ``path`` (relative to the table), ``text``, and ``start`` and ``end`` (s)
  where the caption is of a part;
* HumanML3D's folder (Guo et al. 2022, CVPR): ``texts/NAME.txt`` with lines ``caption#tokens#start#end``, and the
  recording ``NAME.*`` anywhere else in the folder;
* a folder of recordings whose names are captions: ``a person walks_2.bvh`` or ``a_person_walks.npz``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

#: Words that change places in a mirror.
_SIDES = {
    "left": "right", "clockwise": "counterclockwise", "leftwards": "rightwards", "lefthanded": "righthanded",
    "leftward": "rightward",
}  # fmt: skip
_MIRRORED = _SIDES | {b: a for a, b in _SIDES.items()} | {"anticlockwise": "clockwise"}
#: Suffixes of files that are no recordings.
_OTHER = {".txt", ".jsonl", ".json", ".csv", ".md", ".asf"}


@dataclasses.dataclass(frozen=True)
class Caption:
    """What somebody does in a recording, or in a part of it."""

    path: Path
    text: str
    start: float = 0.0  # s
    end: float | None = None  # s; None: the end of the recording


def load_captions(source: str | os.PathLike[str]) -> list[Caption]:
    """Captions of a table or folder, in its order; see the module.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: a line that is no caption (file, line, found and expected), or no caption at all.
    """
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if path.is_file():
        found = _table(path)
    elif (path / "texts").is_dir():
        found = _humanml(path)
    else:
        files = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix.lower() not in _OTHER)
        found = [Caption(file, text) for file in files if (text := _spoken(file.stem))]
    if not found:
        raise ValueError(f"{path}: expected captions, found none")
    return found


def mirrored_text(text: str) -> str:
    """The caption of the mirror image: left and right, clockwise and counterclockwise change places."""

    def other(match: re.Match[str]) -> str:
        word = match[0]
        new = _MIRRORED.get(word.lower(), word)
        return new.upper() if word.isupper() else new.capitalize() if word[:1].isupper() else new

    return re.sub(r"[A-Za-z]+", other, text)


def _table(path: Path) -> list[Caption]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{where}: expected a JSON object, found {error}") from None
        if not isinstance(entry, dict):
            raise ValueError(f"{where}: expected a JSON object, found {type(entry).__name__}")
        for field in ("path", "text"):
            if not isinstance(entry.get(field), str) or not entry[field].strip():
                raise ValueError(f"{where}: {field}: expected text, found {entry.get(field)!r}")
        start, end = entry.get("start", 0.0), entry.get("end")
        found.append(Caption(path.parent / entry["path"], entry["text"].strip(), *_span(where, start, end)))
    return found


def _humanml(folder: Path) -> list[Caption]:
    files: dict[str, Path] = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix.lower() not in _OTHER:
            files.setdefault(file.stem, file)
    found = []
    for table in sorted((folder / "texts").glob("*.txt")):
        if (recording := files.get(table.stem)) is None:
            continue
        for number, line in enumerate(table.read_text(encoding="utf-8").splitlines(), 1):
            text, *rest = line.strip().split("#")
            if not text.strip():
                continue
            where = f"{table}: line {number}"
            if len(rest) != 3:
                raise ValueError(f"{where}: expected caption#tokens#start#end, found {line.strip()!r}")
            start, end = _span(where, *rest[1:])
            whole = start == 0.0 and end == 0.0  # how HumanML3D says "all of it"
            found.append(Caption(recording, text.strip(), start, None if whole else end))
    return found


def _span(where: str, start: object, end: object) -> tuple[float, float | None]:
    """Seconds of a part. Raises ValueError: they are none."""
    try:
        first, last = float(start), None if end is None else float(end)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        first, last = -1.0, None
    if first != first or last != last:  # NaN, how HumanML3D says "unknown"
        return 0.0, None
    if first < 0 or (last is not None and last <= first and (first, last) != (0.0, 0.0)):
        raise ValueError(f"{where}: expected seconds 0 <= start < end, found {start!r} and {end!r}")
    return first, last


def _spoken(stem: str) -> str:
    """The caption that a file's name is: words without the number of the take."""
    return " ".join(word for word in re.split(r"[\s_.-]+", stem) if not word.isdigit()).strip()
