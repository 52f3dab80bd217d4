"""Which files paths, folders and patterns name: of a folder those that hold motion by their content, and why not the
others."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from mjxhuman.data import detect
from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.formats import format_of, is_keypoint_json
from mjxhuman.data.source import Source
from mjxhuman.runs.inputs import expand_inputs
from mjxhuman.runs.terminal import printable

#: Names given as examples of each reason.
_EXAMPLES = 3


@dataclasses.dataclass
class FoundFiles:
    """Files in order, and what folders held besides."""

    files: list[Path]
    left_out: dict[Path, str]  # why each other file of the folders is no motion

    def __str__(self) -> str:
        """How many files were left out and why; "" if none was."""
        if not self.left_out:
            return ""
        reasons = collections.defaultdict(list)
        for path, reason in self.left_out.items():
            reasons[reason].append(path.name)
        said = []
        for reason, names in sorted(reasons.items(), key=lambda item: -len(item[1])):
            more = ", ..." if len(names) > _EXAMPLES else ""
            said.append(f"{len(names)} {printable(reason)} ({', '.join(map(printable, names[:_EXAMPLES]))}{more})")
        return f"left out {len(self.left_out)} of {len(self.left_out) + len(self.files)} files: {'; '.join(said)}"


def find_motions(inputs: str | Iterable[str | os.PathLike[str]]) -> FoundFiles:
    """Files of motion, videos and 2D keypoints.

    Args:
        inputs: as ``expand_inputs``. Whatever is named or matches a pattern is taken; of a folder and the folders in it
            what the content shows to hold motion. A folder of OpenPose's .json, one per frame, is one input.

    Raises:
        FileNotFoundError: a path does not exist, or a pattern or folder names no file.
    """
    left_out: dict[Path, str] = {}

    def inside(folder: Path) -> list[Path]:
        found = _frames_folder(folder)
        if found:
            return [folder]
        files = []
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                files += inside(path)
            elif reason := why_not(path):
                left_out[path] = reason
            else:
                files.append(path)
        return files

    def checked(folder: Path) -> list[Path]:
        files = inside(folder)
        if not files:
            said = str(FoundFiles([], {p: r for p, r in left_out.items() if folder in p.parents}))
            raise FileNotFoundError(
                f"{folder}: expected files of motion in this folder, found none" + (f"; {said}" if said else "")
            )
        return files

    files = expand_inputs(inputs, checked)
    return FoundFiles(files, {path: reason for path, reason in left_out.items() if path not in set(files)})


def why_not(path: Path) -> str:
    """Why a file of a folder is taken for no motion; "" if it may be one."""
    source = Source(path)
    try:
        fmt = format_of(source)
    except MotionFileError as error:
        if not source.head.strip():
            return "empty"
        return "of arrays that are no motion" if error.field == "arrays" else "of no known format"
    except OSError as error:
        return f"not readable: {error.strerror}"
    return fmt.holds if fmt.kind == "refused" else fmt.unfit(source)


def _frames_folder(folder: Path) -> bool:
    """Whether a folder holds OpenPose's frames: several .json, of which the first names people."""
    frames = sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))
    if len(frames) < 2:
        return False
    first = Source(frames[0])
    return detect.is_json(first) and b'"people"' in first.head and is_keypoint_json(first)
