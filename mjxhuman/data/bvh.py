"""Biovision BVH: a hierarchy of joints with offsets and channels, then one line of numbers per frame.

Rotation channels are degrees, applied in the order they are listed (each about the axis already turned by those before
it). Position channels replace the joint's OFFSET, for any joint that has them (Bandai Namco's files give all joints
six channels). Some exporters write displacements from the OFFSET instead: of the root (iClone), which the floor tells,
since with the wrong reading the body walks a leg's length under it; of the other joints, which their bones tell.

Tested on files of CMU (two conversions), iClone, MASS, Bandai Namco and a style-transfer network; Mixamo's and LAFAN1's
names and layout only on files written for the tests.
"""

from __future__ import annotations

import dataclasses
from typing import IO

import numpy as np

from mjxhuman.data.joint_map import named
from mjxhuman.data.joint_names import smpl_joint_map
from mjxhuman.data.skeleton import (
    LocalTransforms,
    forward_kinematics,
    rest_positions,
    skeleton_motion,
    unit_of_skeleton,
    up_of_skeleton,
)
from mjxhuman.data.source import Source, rate_of_frame_time
from mjxhuman.data.text import decode, is_usable, line_blocks, parse_rows, require_finite
from mjxhuman.math.quaternion import from_euler
from mjxhuman.types import SkeletonMotion

_CHANNELS = {f"{axis}{kind}": (kind, axis) for axis in "xyz" for kind in ("position", "rotation")}


@dataclasses.dataclass
class _Hierarchy:
    names: list[str] = dataclasses.field(default_factory=list)
    parents: list[int] = dataclasses.field(default_factory=list)
    offsets: list[list[float]] = dataclasses.field(default_factory=list)
    channels: list[list[tuple[str, str]]] = dataclasses.field(default_factory=list)  # ("rotation", "z"), ...


def read_bvh(source: Source) -> SkeletonMotion:
    """Read a BVH file; end sites become joints named ``<parent>_end``.

    Raises:
        MotionFileError: anything that is not BVH, a count that does not match, or a convention that does not settle.
    """
    with source.path.open("rb") as file:
        hierarchy = _read_hierarchy(source, file)
        frames, stated_fps = _read_motion_header(source, file)
        values = _read_frames(source, file, hierarchy, frames)
    fps = source.frame_rate(stated_fps)
    offsets = np.array(hierarchy.offsets)
    if _displaced(hierarchy, offsets, values):
        values = _replaced(hierarchy, offsets, values)
        source.note("position channels are displacements from the OFFSET: read otherwise, the bones have no length")
    rest = rest_positions(hierarchy.parents, offsets)
    positions, quats = forward_kinematics(hierarchy.parents, _local_transforms(hierarchy, offsets, values), frames)
    hierarchy.names = named(source, hierarchy.names, hierarchy.parents, positions[frames // 2])
    to_world = up_of_skeleton(source, hierarchy.names, rest, positions)
    metres = unit_of_skeleton(source, hierarchy.names, rest)
    if _root_position_is_relative(hierarchy, offsets, positions, to_world[2]):
        positions += offsets[0]
        source.note("the root's position channels are relative to its OFFSET: read otherwise, the body is underground")
    if _starts_with_t_pose(hierarchy.names, positions, to_world[2]):
        positions, quats = positions[1:], quats[1:]
        source.note("the first frame is a T-pose that the motion jumps away from: left out")
    return skeleton_motion(
        source,
        "BVH",
        names=hierarchy.names,
        parents=hierarchy.parents,
        rest=rest,
        positions=positions,
        quats=quats,
        fps=fps,
        to_world=to_world,
        metres=metres,
    )


def _read_hierarchy(source: Source, file: IO[bytes]) -> _Hierarchy:
    """The joints up to the line MOTION."""
    tree = _Hierarchy()
    open_joints: list[int] = []
    started = False
    for number, raw in enumerate(file, start=1):
        words = decode(raw).replace("{", " { ").replace("}", " } ").split()
        while words:
            word = words.pop(0).upper()
            if not started:
                if word != "HIERARCHY":
                    raise source.error(f"line {number}", repr(decode(raw).strip()[:40]), "HIERARCHY")
                started = True
            elif word in ("ROOT", "JOINT", "END"):
                name = " ".join(words[: words.index("{")] if "{" in words else words)
                words = words[words.index("{") :] if "{" in words else []
                _add_joint(source, tree, open_joints, word, name, number)
            elif word == "{":
                if len(open_joints) == 0 or open_joints[-1] >= 0:
                    raise source.error(f"line {number}", "'{'", "ROOT, JOINT or End Site before it")
                open_joints[-1] = -1 - open_joints[-1]
            elif word == "}":
                if not open_joints or open_joints[-1] < 0:
                    raise source.error(f"line {number}", "'}'", "an open joint")
                open_joints.pop()
            elif word in ("OFFSET", "CHANNELS"):
                if not open_joints or open_joints[-1] < 0:
                    raise source.error(f"line {number}", word, "it inside the braces of a joint")
                words = _read_property(source, tree, open_joints[-1], word, words, number)
            elif word == "MOTION":
                return _checked(source, tree, open_joints)
            else:
                raise source.error(f"line {number}", repr(word[:40]), "ROOT, JOINT, End Site, OFFSET or CHANNELS")
    raise source.error("file", "no line MOTION", "HIERARCHY and then MOTION")


def _add_joint(source: Source, tree: _Hierarchy, open_joints: list[int], word: str, name: str, number: int) -> None:
    """Append a joint; ``open_joints`` gets -1 - index until its brace opens."""
    if open_joints and open_joints[-1] < 0:
        raise source.error(f"line {number}", word, "'{' of the joint before it")
    if (word == "ROOT") != (not tree.names) or (word != "ROOT" and not open_joints):
        raise source.error(f"line {number}", word, "exactly one ROOT, with all joints inside it")
    parent = open_joints[-1] if open_joints else -1
    if word == "END":
        taken = sum(existing.startswith(f"{tree.names[parent]}_end") for existing in tree.names)
        name = f"{tree.names[parent]}_end" + (str(taken) if taken else "")
    tree.names.append(name)
    tree.parents.append(parent)
    tree.offsets.append([])
    tree.channels.append([])
    open_joints.append(-1 - (len(tree.names) - 1))


def _read_property(source: Source, tree: _Hierarchy, joint: int, word: str, words: list[str], number: int) -> list[str]:
    """OFFSET or CHANNELS of a joint; returns the words left on the line."""
    where = f"line {number}, joint {tree.names[joint]}"
    if word == "OFFSET":
        try:
            offset = [float(text) for text in words[:3]]
        except ValueError:
            offset = []
        if len(offset) != 3 or not is_usable(np.array(offset)).all():
            raise source.error(f"{where}, OFFSET", repr(" ".join(words[:3])[:60]), "three numbers")
        tree.offsets[joint] = offset
        return words[3:]
    count = int(words[0]) if words and words[0].isascii() and words[0].isdigit() else -1
    channels = [_CHANNELS.get(text.lower()) for text in words[1 : 1 + count]]
    kinds = [channel for channel in channels if channel is not None]
    if count < 0 or len(kinds) != count or len(set(kinds)) != count:
        raise source.error(
            f"{where}, CHANNELS", repr(" ".join(words)[:60]), "a count and as many different channels such as Xrotation"
        )
    tree.channels[joint] = kinds
    return words[1 + count :]


def _checked(source: Source, tree: _Hierarchy, open_joints: list[int]) -> _Hierarchy:
    if open_joints:
        raise source.error("HIERARCHY", f"{len(open_joints)} joints not closed", "a '}' for every '{'")
    if not tree.names:
        raise source.error("HIERARCHY", "no ROOT", "one")
    for name, offset in zip(tree.names, tree.offsets, strict=True):
        if not offset:
            raise source.error(f"joint {name}", "no OFFSET", "one")
    if not any(tree.channels):
        raise source.error("HIERARCHY", "no CHANNELS", "at least those of the root")
    if len(set(tree.names)) != len(tree.names):
        twice = next(name for name in tree.names if tree.names.count(name) > 1)
        raise source.error("HIERARCHY", f"two joints named {twice}", "different names")
    return tree


def _read_motion_header(source: Source, file: IO[bytes]) -> tuple[int, float | None]:
    """Frame count and frame rate (None if the file has no usable frame time and the caller gives a rate)."""
    lines: list[str] = []
    while len(lines) < 2 and (raw := file.readline()):
        if raw.strip():
            lines.append(decode(raw).strip())
    lines += [""] * (2 - len(lines))
    key, _, count = lines[0].partition(":")
    count = count.strip()
    if key.strip().lower() != "frames" or not (count.isascii() and count.isdigit()):
        raise source.error("Frames", repr(lines[0][:40]), "'Frames: ' and a number")
    key, _, seconds = lines[1].partition(":")
    if "".join(key.lower().split()) != "frametime":
        raise source.error("Frame Time", repr(lines[1][:40]), "'Frame Time: ' and seconds")
    try:
        fps = rate_of_frame_time(seconds)
    except (ValueError, OverflowError):
        fps = float("nan")
    if not np.isfinite(fps):
        if source.options.fps is None:
            raise source.error("Frame Time", repr(seconds.strip()[:40]), "seconds above 0, or the argument fps=")
        return int(count), None
    if abs(fps * float(seconds) - 1.0) > 1e-6:
        source.note(f"the frame time {seconds.strip()} s is read as {fps:g} Hz")
    return int(count), fps


def _read_frames(source: Source, file: IO[bytes], tree: _Hierarchy, frames: int) -> np.ndarray:
    """(frames, channels) numbers."""
    columns = sum(len(channels) for channels in tree.channels)
    blocks: list[np.ndarray] = []
    done = 0
    for lines in line_blocks(file):
        first = done + 1
        blocks.append(parse_rows(source, lines, columns, lambda row, first=first: f"frame {first + row}"))  # type: ignore[misc]
        done += len(lines)
        if done > frames:
            break
    if done != frames or frames == 0:
        found = f"more than {frames} lines of numbers" if done > frames else f"{done} lines of numbers"
        raise source.error("MOTION", found, f"as many as 'Frames: {frames}' says, at least one")
    values = np.concatenate(blocks)
    require_finite(source, values, "channel")
    return values


def _local_transforms(tree: _Hierarchy, offsets: np.ndarray, values: np.ndarray) -> LocalTransforms:
    """Translation relative to the parent and rotation of each joint, from the channels."""

    def local(block: slice) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
        rows = values[block].T
        translations: list[np.ndarray] = []
        rotations: list[np.ndarray | None] = []
        column = 0
        for joint, channels in enumerate(tree.channels):
            mine = rows[column : column + len(channels)]
            column += len(channels)
            order = "".join(axis for kind, axis in channels if kind == "rotation")
            angles = mine[[i for i, (kind, _) in enumerate(channels) if kind == "rotation"]]
            rotations.append(from_euler(order, np.radians(angles), 0) if order else None)
            translation = offsets[joint][:, None]
            if len(order) < len(channels):
                translation = np.repeat(translation, rows.shape[1], axis=1)
                for i, (kind, axis) in enumerate(channels):
                    if kind == "position":
                        translation["xyz".index(axis)] = mine[i]
            translations.append(translation)
        return translations, rotations

    return local


def _position_columns(tree: _Hierarchy) -> list[tuple[int, int, int]]:
    """Joint, axis and column of each position channel below the root."""
    found, column = [], 0
    for joint, channels in enumerate(tree.channels):
        for kind, axis in channels:
            if kind == "position" and joint > 0:
                found.append((joint, "xyz".index(axis), column))
            column += 1
    return found


def _displaced(tree: _Hierarchy, offsets: np.ndarray, values: np.ndarray) -> bool:
    """Whether position channels below the root make bones of less than half their OFFSETs' length in all."""
    columns = _position_columns(tree)
    bones = offsets.copy()
    for joint, axis, column in columns:
        bones[joint, axis] = np.median(np.abs(values[:, column]))
    moved = sorted({joint for joint, _, _ in columns})
    lengths = [np.linalg.norm(each[moved], axis=-1).sum() for each in (bones, offsets)]
    return bool(lengths[0] < 0.5 * lengths[1])


def _replaced(tree: _Hierarchy, offsets: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``values`` with displacements from the OFFSET written as positions."""
    values = values.copy()
    for joint, axis, column in _position_columns(tree):
        values[:, column] += offsets[joint, axis]
    return values


def _root_position_is_relative(tree: _Hierarchy, offsets: np.ndarray, positions: np.ndarray, up: np.ndarray) -> bool:
    """Whether adding the root's OFFSET brings the lowest joint of the clip nearer to the floor, by much.

    Args:
        tree: the joints.
        offsets: (J, 3) file units.
        positions: (T, J, 3), with the position channels taken as they are.
        up: (3,) in file axes.
    """
    if not any(kind == "position" for kind, _ in tree.channels[0]):
        return False
    lift = float(offsets[0] @ up)
    if abs(lift) <= 0.1 * float(np.abs(offsets).max()):
        return False
    lowest = float(np.median((positions @ up).min(axis=1)))
    return abs(lowest + lift) < 0.5 * abs(lowest)


def _starts_with_t_pose(names: list[str], positions: np.ndarray, up: np.ndarray) -> bool:
    """Whether frame 1 is a calibration pose put before the motion: level straight arms, and a jump to frame 2.

    A jump is a step of some joint that is five times the largest later step. Converters of the CMU database do this
    to show the skeleton.
    """
    joints = smpl_joint_map(names)
    if len(positions) < 4 or not {"L_Shoulder", "R_Shoulder", "L_Wrist", "R_Wrist"} <= set(joints):
        return False
    arms = np.array([positions[0, joints[f"{side}_Wrist"]] - positions[0, joints[f"{side}_Shoulder"]] for side in "LR"])
    arms /= np.maximum(np.linalg.norm(arms, axis=1, keepdims=True), 1e-12)
    if (np.abs(arms @ up) > np.sin(np.radians(15))).any() or arms[0] @ arms[1] > -np.cos(np.radians(20)):
        return False
    steps = np.linalg.norm(np.diff(positions[:, list(joints.values())], axis=0), axis=-1).max(axis=1)
    return bool(steps[0] > 5 * steps[1:].max())
