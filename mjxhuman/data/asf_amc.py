"""Acclaim ASF (skeleton) and AMC (motion), as the CMU database publishes them.

A bone b with parent p has a global rest frame C (``axis``), a direction and a length. With M the product of its degrees
of freedom (applied in the order ``dof`` lists them, about C's axes) its world rotation relative to the rest pose is
R_b = R_p C M C^-1, and it ends at its start plus R_b (direction * length). Acclaim's ``axis x y z XYZ`` means
Rz Ry Rx. Joints are the starts of bones; the ends of leaf bones are added as ``<bone>_end``.
Source of the format: Acclaim's ASF/AMC documentation as reprinted by the University of Wisconsin (J. Lander 1998).
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.data.skeleton import LocalTransforms, forward_kinematics, rest_positions, skeleton_motion
from mjxhuman.data.source import Source
from mjxhuman.data.text import decode, is_usable, line_blocks, parse_rows, require_finite
from mjxhuman.math.quaternion import conjugate, from_euler, multiply
from mjxhuman.types import SkeletonMotion

_INCH = 0.0254
_ROTATIONS = {"rx": "x", "ry": "y", "rz": "z"}


@dataclasses.dataclass
class Bone:
    """One bone of an ASF file, in the file's length unit and radians."""

    name: str
    direction: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(3))
    length: float = 0.0
    frame: Rotation = dataclasses.field(default_factory=Rotation.identity)  # C
    dof: tuple[str, ...] = ()
    parent: int = -1


@dataclasses.dataclass
class AsfSkeleton:
    """Bones in an order with parents before children; bone 0 is the root, without length."""

    bones: list[Bone]
    root_order: tuple[str, ...]  # "tx", ..., "rz" in the order of the AMC's root line
    length_unit: float | None  # the value of ``length``
    degrees: bool


def read_amc(source: Source) -> SkeletonMotion:
    """Read an AMC file with its skeleton: ``source.options.skeleton``, else the only .asf file in the same folder.

    Raises:
        MotionFileError: no single skeleton, or content of either file that is not what the format says.
    """
    skeleton_path = _skeleton_path(source)
    skeleton = read_asf(Source(skeleton_path))
    values, degrees = _read_frames(source, skeleton)
    fps = source.frame_rate(None, 120.0, "ASF/AMC files state no rate, CMU's are recorded at 120 Hz")
    to_world = source.up_axis(None, "y", "ASF/AMC files state no up axis, CMU's have y up")
    metres = _metres(source, skeleton, skeleton_path)
    bones = skeleton.bones
    parents = [bone.parent for bone in bones]
    # joints at the starts of bones: the translation to a child is the parent bone's own extent
    extents = np.array([bone.direction * bone.length for bone in bones])
    names = [bone.name for bone in bones]
    leaves = [i for i in range(1, len(bones)) if i not in parents]
    offsets = np.vstack([np.zeros((1, 3)), extents[parents[1:]], extents[leaves]])
    parents += leaves
    local = _local_transforms(skeleton, offsets, values, degrees)
    positions, quats = forward_kinematics(parents, local, len(values[0]))
    return skeleton_motion(
        source,
        "ASF/AMC",
        names=names + [f"{names[leaf]}_end" for leaf in leaves],
        parents=parents,
        rest=rest_positions(parents, offsets),
        positions=positions,
        quats=quats,
        fps=fps,
        to_world=to_world,
        metres=metres,
    )


def _skeleton_path(source: Source) -> Path:
    if source.options.skeleton is not None:
        return Path(source.options.skeleton)
    beside = sorted(path for path in source.path.parent.iterdir() if path.suffix.lower() == ".asf")
    if len(beside) != 1:
        found = ", ".join(path.name for path in beside[:5]) or "none"
        raise source.error("skeleton", f".asf files beside it: {found}", "exactly one, or the argument skeleton=")
    source.note(f"the skeleton is {beside[0].name}, the only .asf file beside it")
    return beside[0]


def _metres(source: Source, skeleton: AsfSkeleton, skeleton_path: Path) -> float:
    if skeleton.length_unit is None:
        return source.metres_per_unit(None)
    metres = _INCH / skeleton.length_unit
    why = f"values / the length {skeleton.length_unit:g} of {skeleton_path.name} are taken as inches"
    return source.metres_per_unit(None, metres, why)


def _local_transforms(
    skeleton: AsfSkeleton, offsets: np.ndarray, values: list[np.ndarray], degrees: bool
) -> LocalTransforms:
    """Offset from the parent joint, and rotation C M C^-1 of each bone; the ends of leaves have no rotation."""
    places = [skeleton.root_order.index(axis) for axis in ("tx", "ty", "tz")]
    frames = [bone.frame.as_quat()[[3, 0, 1, 2], None] for bone in skeleton.bones]
    fixed = list(offsets[:, :, None])

    def local(block: slice) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
        rotations: list[np.ndarray | None] = []
        for index, bone in enumerate(skeleton.bones):
            channels = skeleton.root_order if index == 0 else bone.dof
            # the first listed is applied first: the last listed is the outermost intrinsic rotation
            columns = [i for i, channel in enumerate(channels) if channel in _ROTATIONS][::-1]
            angles = values[index][block].T[columns]
            turn = None
            if columns:
                order = "".join(_ROTATIONS[channels[i]] for i in columns)
                turn = from_euler(order, np.radians(angles) if degrees else angles, 0)
                turn = multiply(multiply(frames[index], turn, 0), conjugate(frames[index], 0), 0)
            rotations.append(turn)
        return [values[0][block].T[places], *fixed[1:]], rotations + [None] * (len(offsets) - len(rotations))

    return local


def _read_frames(source: Source, skeleton: AsfSkeleton) -> tuple[list[np.ndarray], bool]:
    """Per bone the (T, dof) values (an empty column block without degrees of freedom), and whether they are degrees."""
    counts = {bone.name: len(bone.dof) for bone in skeleton.bones[1:] if bone.dof}
    counts[skeleton.bones[0].name] = len(skeleton.root_order)
    degrees = skeleton.degrees
    parts: dict[str, list[np.ndarray]] = {name: [] for name in counts}
    layout: list[str] = []
    rest: list[bytes] = []
    frames = 0
    with source.path.open("rb") as file:
        for lines in line_blocks(file):
            lines = rest + lines
            if not layout:
                lines, degrees = _skip_header(source, lines, degrees)
                layout = _frame_layout(source, lines, counts)
            size = 1 + len(layout)
            whole = len(lines) // size
            rest = lines[whole * size :]
            _parse_block(source, lines[: whole * size], layout, counts, parts, frames)
            frames += whole
    if frames == 0:
        raise source.error("file", "no complete frame", "at least one")
    if rest:  # as in CMU's 07_12.amc
        source.note(f"the file ends inside frame {frames + 1}, after {len(rest)} of {1 + len(layout)} lines: left out")
    values = []
    for bone in skeleton.bones:
        block = np.concatenate(parts[bone.name]) if bone.name in parts else np.empty((frames, 0))
        require_finite(source, block, f"value of {bone.name}")
        values.append(block)
    return values, degrees


def _skip_header(source: Source, lines: list[bytes], degrees: bool) -> tuple[list[bytes], bool]:
    for index, line in enumerate(lines):
        text = decode(line).strip()
        if text.isascii() and text.isdigit():
            return lines[index:], degrees
        if text.lower() in (":degrees", ":radians"):
            degrees = text.lower() == ":degrees"
        elif text[0] not in "#:":
            raise source.error("header", repr(text[:40]), "comments (#), keywords (:) and then the number of a frame")
    raise source.error("file", "no frames", "at least one")


def _frame_layout(source: Source, lines: list[bytes], counts: dict[str, int]) -> list[str]:
    """Bone names in the order of the first frame."""
    layout: list[str] = []
    for line in lines[1:]:
        words = decode(line).split()
        if words[0].isascii() and words[0].isdigit():
            break
        if words[0] not in counts:
            raise source.error("frame 1", f"the bone {words[0][:40]!r}", "a bone with degrees of freedom in the .asf")
        if words[0] in layout:
            raise source.error("frame 1", f"{words[0]!r} twice", "each bone once")
        layout.append(words[0])
    missing = [name for name in counts if name not in layout]
    if missing:
        raise source.error("frame 1", f"no line for {', '.join(missing[:5])}", "a line for each bone of the .asf")
    return layout


def _parse_block(
    source: Source,
    lines: list[bytes],
    layout: list[str],
    counts: dict[str, int],
    parts: dict[str, list[np.ndarray]],
    done: int,
) -> None:
    """Append the values of the whole frames in ``lines`` to ``parts``."""
    size = 1 + len(layout)
    for row, name in enumerate(["", *layout]):
        column = lines[row::size]
        start = name.encode() + b" "
        if name and not all(line.startswith(start) for line in column):
            column = [b" ".join(line.split()) + b"\n" for line in column]  # tabs or indentation
            for frame, line in enumerate(column, start=done + 1):
                if not line.startswith(start):
                    raise source.error(f"frame {frame}", repr(decode(line).strip()[:40]), f"the line of {name}")
        elif not name and not all(line.strip().isdigit() for line in column):
            frame = next(i for i, line in enumerate(column) if not line.strip().isdigit())
            found = repr(decode(column[frame]).strip()[:40])
            raise source.error(f"frame {done + frame + 1}", found, "the number of the frame")
        if name and column:
            numbers = [line[len(start) :] for line in column]
            field = lambda index, name=name: f"frame {done + index + 1}, {name}"  # noqa: E731
            parts[name].append(parse_rows(source, numbers, counts[name], field))


def read_asf(source: Source) -> AsfSkeleton:
    """Read a skeleton.

    Raises:
        MotionFileError: a section, bone or number is missing or wrong.
    """
    sections = _sections(source)
    for key in ("root", "bonedata", "hierarchy"):
        if key not in sections:
            raise source.error(f"section :{key}", "none", "one")
    units = {words[0].lower(): words[1].lower() for words in sections.get("units", []) if len(words) == 2}
    degrees = units.get("angle", "deg") != "rad"
    length = _numbers(source, "units, length", [units["length"]], 1)[0] if "length" in units else None
    if length is not None and length <= 0:
        raise source.error("units, length", length, "a positive number")
    root, order = _read_root(source, sections["root"], degrees)
    bones = {bone.name: bone for bone in [root, *_read_bones(source, sections["bonedata"], degrees)]}
    return AsfSkeleton(_ordered(source, bones, sections["hierarchy"]), order, length, degrees)


def _sections(source: Source) -> dict[str, list[list[str]]]:
    """Words of the lines under each ``:keyword``; words on the keyword's own line come first."""
    sections: dict[str, list[list[str]]] = {}
    current: list[list[str]] | None = None
    for raw in source.path.read_bytes().splitlines():
        words = re.sub(r"[()]", " ", decode(raw).partition("#")[0]).split()
        if words and words[0].startswith(":"):
            current = sections.setdefault(words[0][1:].lower(), [])
            words = words[1:]
        if words and current is not None:
            current.append(words)
    if not sections:
        raise source.error("file", "no line that starts with ':'", "an ASF skeleton")
    return sections


def _numbers(source: Source, field: str, words: list[str], count: int) -> np.ndarray:
    try:
        numbers = np.array([float(word) for word in words[:count]])
    except ValueError:
        numbers = np.empty(0)
    if len(numbers) != count or not is_usable(numbers).all():
        raise source.error(field, repr(" ".join(words)[:40]), f"{count} numbers")
    return numbers


def _axis(source: Source, field: str, words: list[str], order: str, degrees: bool) -> Rotation:
    if sorted(order.lower()) != ["x", "y", "z"]:
        raise source.error(field, repr(order[:40]), "an order of axes such as XYZ")
    return Rotation.from_euler(order.lower(), _numbers(source, field, words, 3), degrees=degrees)


def _read_root(source: Source, lines: list[list[str]], degrees: bool) -> tuple[Bone, tuple[str, ...]]:
    entries = {words[0].lower(): words[1:] for words in lines}
    order = tuple(word.lower() for word in entries.get("order", []))
    if sorted(order) != ["rx", "ry", "rz", "tx", "ty", "tz"]:
        raise source.error("root, order", " ".join(order)[:40] or "none", "TX TY TZ RX RY RZ in some order")
    if np.any(_numbers(source, "root, position", entries.get("position", ["0", "0", "0"]), 3)):
        raise source.error("root, position", " ".join(entries["position"]), "0 0 0 (nothing else is supported)")
    axis = "".join(entries.get("axis", ["XYZ"]))
    orientation = entries.get("orientation", ["0", "0", "0"])
    return Bone("root", frame=_axis(source, "root, orientation", orientation, axis, degrees)), order


def _read_bones(source: Source, lines: list[list[str]], degrees: bool) -> list[Bone]:
    bones: list[Bone] = []
    bone: Bone | None = None
    for words in lines:
        key, values = words[0].lower(), words[1:]
        if key == "begin":
            bone = Bone("")
        elif bone is None:
            raise source.error("bonedata", repr(words[0][:40]), "'begin'")
        elif key == "end":
            if not bone.name or bone.length == 0.0:
                raise source.error(f"bone {bone.name or len(bones) + 1}", "no name or no length", "both")
            bones.append(bone)
            bone = None
        elif key == "name":
            bone.name = " ".join(values)
        elif key == "direction":
            vector = _numbers(source, f"bone {bone.name}, direction", values, 3)
            norm = float(np.linalg.norm(vector))
            if not 0.5 < norm < 2.0:
                raise source.error(f"bone {bone.name}, direction", f"a vector of length {norm:g}", "a unit vector")
            bone.direction = vector / norm
        elif key == "length":
            bone.length = float(_numbers(source, f"bone {bone.name}, length", values, 1)[0])
        elif key == "axis":
            bone.frame = _axis(source, f"bone {bone.name}, axis", values, "".join(values[3:]), degrees)
        elif key == "dof":
            bone.dof = tuple(value.lower() for value in values)
            if not set(bone.dof) <= set(_ROTATIONS) or len(set(bone.dof)) != len(bone.dof):
                raise source.error(f"bone {bone.name}, dof", " ".join(values)[:40], "rx, ry, rz, each once at most")
    return bones


def _ordered(source: Source, bones: dict[str, Bone], lines: list[list[str]]) -> list[Bone]:
    """Bones with parents before children and ``parent`` set."""
    children: dict[str, list[str]] = {}
    for words in lines:
        if words[0].lower() in ("begin", "end"):
            continue
        children.setdefault(words[0], []).extend(words[1:])
    ordered: list[Bone] = []
    waiting = [("root", -1)]
    while waiting:
        name, parent = waiting.pop()
        if name not in bones:
            raise source.error("hierarchy", f"the bone {name[:40]!r}", "a bone of the section bonedata")
        if any(bone.name == name for bone in ordered):
            raise source.error("hierarchy", f"the bone {name!r} twice", "a tree")
        bones[name].parent = parent
        ordered.append(bones[name])
        index = len(ordered) - 1
        waiting += [(child, index) for child in reversed(children.get(name, []))]
    lost = [name for name in bones if bones[name].parent < 0 and name != "root"]
    if lost:
        raise source.error("hierarchy", f"no parent for {', '.join(lost[:5])}", "every bone connected to the root")
    return ordered
