"""XML of robots and furniture: parsed without surprises, with the files that it names found beside it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import cast

import numpy as np

from mjxhuman.data.detect import text_of
from mjxhuman.data.source import Source
from mjxhuman.scenes.reading.mesh_files import READERS
from mjxhuman.scenes.reading.shapes import Shape

#: Bytes, elements, and elements in each other, of a file.
_LARGEST, _MOST, _DEEPEST = 1 << 24, 100_000, 100


def root_tag(source: Source) -> str:
    """The name of the first element of an XML file; "" of another."""
    text = re.sub(r"(?s)<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>]*>", "", text_of(source)).lstrip()
    found = re.match(r"<([A-Za-z_]\w*)[\s/>]", text)
    return found[1] if found else ""


def parse(source: Source) -> ET.Element:
    """The root element of an XML file.

    Raises:
      MotionFileError: too large, or not well formed.
    """
    size = source.path.stat().st_size
    if size > _LARGEST:
        raise source.error("file", f"{size >> 20} MiB", f"XML of at most {_LARGEST >> 20} MiB")
    depth, count = 0, 0
    root: ET.Element | None = None
    parser = ET.XMLPullParser(("start", "end"))
    try:
        parser.feed(source.path.read_bytes())
        parser.close()
        for event, element in cast("Iterator[tuple[str, ET.Element]]", parser.read_events()):
            root = element if root is None else root
            depth += 1 if event == "start" else -1
            count += event == "start"
            if depth > _DEEPEST or count > _MOST:
                found = f"more than {_MOST} elements, or {_DEEPEST} in each other"
                raise source.error("file", found, "a description of furniture")
    except (ET.ParseError, ValueError, LookupError) as error:  # LookupError: an encoding that is none
        raise source.error("file", f"XML that is not well formed ({error})", "a whole file") from None
    if root is None:
        raise source.error("file", "no element", "XML")
    return root


def numbers(source: Source, element: ET.Element, name: str, default: str, count: int) -> np.ndarray:
    """The numbers of an attribute ``(count,)``.

    Raises:
      MotionFileError: something else.
    """
    text = element.get(name, default)
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError:
        values = np.zeros(0)
    if len(values) != count or not np.isfinite(values).all():
        raise source.error(f"{name} of <{element.tag}>", repr(text[:40]), f"{count} finite numbers")
    return values


def beside(source: Source, name: str, folders: tuple[str, ...] = ("",)) -> Source:
    """A file that another names: where it says, else by as much of the end of its path as is there.

    Raises:
      MotionFileError: there is none.
    """
    plain = PurePosixPath(re.sub(r"^\w+://", "", name.strip().replace("\\", "/")))
    parts = [part for part in plain.parts if part not in ("/", ".")]
    for start in range(len(parts)):
        for folder in folders:
            path = source.path.parent / folder / Path(*parts[start:])
            try:
                if path.is_file():
                    if start:
                        source.note(f"files named as {plain.parent}/... are those beside it")
                    return Source(path)
            except (OSError, ValueError):  # names that no file system takes
                break
    raise source.error("file that it names", repr(name[:80]), f"a file in {source.path.parent}")


def mesh_shapes(source: Source, name: str, folders: tuple[str, ...] = ("",)) -> Iterator[Shape]:
    """The shapes of a file of triangles that another file names, as they are."""
    file = beside(source, name, folders)
    reader = READERS.get(file.path.suffix.lower())
    if reader is None:
        raise source.error("mesh", repr(name[:80]), f"a file of {', '.join(READERS)}")
    for item in reader(file).items:
        yield from item.shapes
