"""Files of 2D keypoints: everyone a pose estimator found, frame by frame.

Known are folders of OpenPose JSON (one file per frame), JSON of MMPose, AlphaPose and COCO (results or annotations,
with COCO-WholeBody's extra lists), and npz. None of them states a frame rate; the caller does. A point with confidence
0, or at exactly (0, 0), was not found.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.data.arrays import NpzFile
from mjxhuman.data.keypoint_names import LAYOUTS, canonical_name, layout_of
from mjxhuman.data.source import Source
from mjxhuman.options import FileOptions
from mjxhuman.types import Provenance

#: Lists that COCO-WholeBody annotations keep beside the body's.
_WHOLEBODY = ("foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
#: Confidences are relative to what the source says of its better points (percentile); below this share a point counts
#: as not seen.
_USUAL, _LEAST = 90.0, 0.2
#: A gap in the numbering of a folder's files that is no longer a few dropped frames.
_LONGEST_GAP = 10_000


@dataclasses.dataclass(frozen=True)
class Detections:
    """Everyone a pose estimator found in a clip of T frames, K points each."""

    people: tuple[np.ndarray, ...]  # T arrays (n, K, 3): x, y in px, confidence 0..1; n people in any order
    identity: tuple[np.ndarray, ...] | None  # T arrays (n,) int, where the file says who is who
    names: tuple[str, ...]  # (K,)
    fps: float
    image_size: tuple[int, int]  # width, height in px
    pos3d: np.ndarray | None = None  # (T, K, 3) m, of a file of one person that has it
    provenance: Provenance = dataclasses.field(default_factory=Provenance)


def read_detections(
    path: str | os.PathLike[str],
    *,
    fps: float | None = None,
    image_size: tuple[int, int] | None = None,
    layout: str | None = None,
) -> Detections:
    """Read 2D keypoints of any known format.

    Args:
      path: a folder of OpenPose JSON, a .json or an .npz. An npz has ``keypoints (T, K, 3)`` or ``(T, P, K, 3)`` (x, y,
        confidence), or ``uv`` and ``confidence``; optionally ``names``, ``fps``, ``image_size``, ``pos3d (T, K, 3)``.
      fps: frames per second; needed unless the file states it.
      image_size: width and height in px; needed unless the file states it.
      layout: order of the points, a key of ``keypoint_names.LAYOUTS``; by default from their number, and for 25 points
        from where the eyes are.

    Raises:
      FileNotFoundError: no such file. ValueError: an argument out of range.
      MotionFileError: no known format, broken content, or no frame rate, image size or layout.
    """
    source = Source(path, FileOptions(fps=fps))
    if source.path.is_dir():
        kind, frames, stated = "OpenPose", _openpose_folder(source), {}
    elif source.path.suffix.lower() == ".npz":
        kind = "keypoints npz"
        frames, stated = _npz(source)
    else:
        kind, frames, stated = _json_file(source)
    count = {person.shape[0] for people, _ in frames for person in people}
    if not count:
        raise source.error("people", f"nobody in {len(frames)} frames", "keypoints of at least one person")
    if len(count) > 1:
        raise source.error("keypoints", f"{sorted(count)} points per person", "the same number everywhere")
    people = tuple(np.array([_clean(person) for person in found]).reshape(-1, *count, 3) for found, _ in frames)
    names = tuple(canonical_name(n) for n in stated["names"]) if "names" in stated else _names(source, people, layout)
    if len(names) != people[0].shape[1]:
        raise source.error("names", f"{len(names)} names", f"one for each of the {people[0].shape[1]} points")
    identified = all(all(i is not None for i in ids) for _, ids in frames)
    identity = tuple(np.array(ids, int) for _, ids in frames) if identified else None
    size = image_size or stated.get("image_size")
    if size is None or len(size) != 2 or min(size) <= 0:
        expected = "width and height in px, or a camera that states them: the argument camera="
        raise source.error("image size", size or "none", expected)
    rate = source.frame_rate(stated.get("fps"))
    return Detections(
        people, identity, names, rate, (int(size[0]), int(size[1])), stated.get("pos3d"), source.provenance(kind)
    )


def holds_keypoints(arrays: NpzFile) -> bool:
    """Whether there are arrays under names that ``read_detections`` knows."""
    return "keypoints" in arrays or ("uv" in arrays and "confidence" in arrays)


_Frame = tuple[list[np.ndarray], list[int | None]]  # people (K, 3), identities


def _clean(person: np.ndarray) -> np.ndarray:
    """Points not found as zeros; confidences at most 1 (heat-map scores can exceed it)."""
    found = np.isfinite(person).all(-1) & (person[:, 2] > 0) & (person[:, :2] != 0).any(-1)
    return np.where(found[:, None], np.minimum(person, [np.inf, np.inf, 1.0]), 0.0)


def _names(source: Source, people: Sequence[np.ndarray], layout: str | None) -> tuple[str, ...]:
    count = people[0].shape[1]
    if layout is None and count == 25:
        layout = _which_25(np.concatenate(people))
        source.note(f"25 points per person taken as {layout.upper()}: that is where the eyes and ears are")
    try:
        return layout_of(count, layout)
    except ValueError as error:
        raise source.error("layout", f"{count} points per person", str(error)) from None


def _which_25(people: np.ndarray) -> str:
    """BODY_25 or BODY_25B of people (N, 25, 3), by which points 1-4 or 15-18 are nearer to the nose."""

    def spread(rows: list[int]) -> float:
        seen = (people[:, rows, 2] > 0) & (people[:, :1, 2] > 0)
        distance = np.linalg.norm(people[:, rows, :2] - people[:, :1, :2], axis=-1)[seen]
        return float(np.median(distance)) if distance.size else np.inf

    return "body_25b" if spread([1, 2, 3, 4]) < spread([15, 16, 17, 18]) else "body_25"


def _triples(source: Source, where: str, flat: Any) -> np.ndarray:
    """(K, 3) of a flat list x, y, score, ..."""
    try:
        array = np.asarray(flat, np.float64)
    except (TypeError, ValueError):
        raise source.error(where, repr(flat)[:60], "numbers") from None
    if array.ndim == 2 and array.shape[1] == 3:
        return array
    if array.ndim != 1 or array.size == 0 or array.size % 3:
        raise source.error(where, f"an array of shape {array.shape}", "x, y and score per point")
    return array.reshape(-1, 3)


def _parse(source: Source, path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise source.error(path.name, f"no JSON ({error})"[:160], "keypoints as JSON") from None


def _openpose_folder(source: Source) -> list[_Frame]:
    files = sorted(source.path.glob("*.json"))
    numbers = [re.findall(r"\d+", file.stem) for file in files]
    if not files or not all(numbers):
        raise source.error("folder", f"{len(files)} .json files", "one numbered OpenPose .json file per frame")
    # the frame's number is the last group of digits that differs between files
    column = max(range(-min(map(len, numbers)), 0), key=lambda c: (len({n[c] for n in numbers}), c))
    order = sorted((int(n[column]), file) for n, file in zip(numbers, files, strict=True))
    last = -1
    frames: list[_Frame] = []
    for number, file in order:
        if frames and (number == last or number - last > _LONGEST_GAP):
            raise source.error(file.name, f"frame {number} after frame {last}", "one file per frame, numbered in order")
        dropped = number - last - 1 if frames else 0
        frames += [([], []) for _ in range(dropped)]
        if dropped:
            source.note("frames without a file count as frames in which nobody was found")
        frames.append(_openpose_people(source, file.name, _parse(source, file)))
        last = number
    return frames


def _openpose_people(source: Source, where: str, content: Any) -> _Frame:
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list):
        raise source.error(where, "no list 'people'", "OpenPose's JSON")
    found, identity = [], []
    for person in people:
        if person == {}:  # Pose2Sim's way of saying that nobody was associated
            continue
        if not isinstance(person, Mapping) or "pose_keypoints_2d" not in person:
            raise source.error(where, "a person without pose_keypoints_2d", "OpenPose's JSON")
        if person["pose_keypoints_2d"]:
            found.append(_triples(source, where, person["pose_keypoints_2d"]))
            stated = person.get("person_id", [-1])
            stated = stated[0] if isinstance(stated, list) and stated else stated
            identity.append(stated if isinstance(stated, int) and stated >= 0 else None)
    return found, identity


def _json_file(source: Source) -> tuple[str, list[_Frame], dict[str, Any]]:
    content = _parse(source, source.path)
    if isinstance(content, dict) and "instance_info" in content:
        return "MMPose", _mmpose(source, content["instance_info"]), {}
    if isinstance(content, dict) and "people" in content:
        return "OpenPose", [_openpose_people(source, "file", content)], {}
    if isinstance(content, dict) and "annotations" in content:
        return "COCO annotations", *_coco_annotations(source, content)
    if isinstance(content, list):
        return "COCO results", _by_image(source, content, lambda flat: flat), {}
    found = ", ".join(content) if isinstance(content, dict) else type(content).__name__
    raise source.error("file", found[:80], "keypoints of OpenPose, MMPose, AlphaPose or COCO")


def _mmpose(source: Source, rows: Any) -> list[_Frame]:
    frames: dict[int, _Frame] = {}
    for k, row in enumerate(rows):
        try:
            number = int(row.get("frame_id", k))
            people = [
                np.column_stack([np.asarray(one["keypoints"], float)[:, :2], np.asarray(one["keypoint_scores"], float)])
                for one in row["instances"]
            ]
            identity = [one.get("track_id") for one in row["instances"]]
        except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
            raise source.error(f"instance_info {k}", f"{type(error).__name__}: {error}", "MMPose's instances") from None
        frames[number] = (people, identity)
    return _numbered(source, frames)


def _numbered(source: Source, frames: Mapping[int, _Frame]) -> list[_Frame]:
    if not frames:
        raise source.error("file", "no frames", "at least one")
    first, last = min(frames), max(frames)
    if last - first > len(frames) + _LONGEST_GAP:
        raise source.error("frames", f"{len(frames)} frames numbered {first} to {last}", "consecutive numbers")
    if last - first + 1 > len(frames):
        source.note("frames without an entry count as frames in which nobody was found")
    return [frames.get(k, ([], [])) for k in range(first, last + 1)]


def _by_image(source: Source, rows: Sequence[Any], confidence: Callable[[np.ndarray], np.ndarray]) -> list[_Frame]:
    """Rows of one person each, gathered by ``image_id``: a number, or a file name with one."""
    frames: dict[int, _Frame] = {}
    for k, row in enumerate(rows):
        if not isinstance(row, Mapping) or "keypoints" not in row or "image_id" not in row:
            raise source.error(f"entry {k}", repr(row)[:60], "image_id and keypoints")
        digits = re.findall(r"\d+", Path(str(row["image_id"])).stem)
        if not digits:
            raise source.error(f"entry {k}, image_id", repr(row["image_id"])[:40], "a number")
        points = [_triples(source, f"entry {k}", row["keypoints"])]
        points += [_triples(source, f"entry {k}, {name}", row[name]) for name in _WHOLEBODY if row.get(name)]
        person = confidence(np.concatenate(points))
        people, identity = frames.setdefault(int(digits[-1]), ([], []))
        people.append(person)
        stated = row.get("track_id", row.get("idx"))
        identity.append(stated if isinstance(stated, int) else None)
    return _numbered(source, frames)


def _coco_annotations(source: Source, content: Mapping[str, Any]) -> tuple[list[_Frame], dict[str, Any]]:
    """Annotated keypoints: visibility 2 (visible), 1 (labelled, hidden), 0 (not labelled)."""

    def by_visibility(person: np.ndarray) -> np.ndarray:
        return np.column_stack([person[:, :2], np.clip(person[:, 2], 0.0, 2.0) / 2.0])

    rows = [row for row in content["annotations"] if isinstance(row, Mapping) and row.get("keypoints")]
    stated: dict[str, Any] = {}
    sizes = {(i.get("width"), i.get("height")) for i in content.get("images", []) if isinstance(i, Mapping)}
    if len(sizes) == 1 and None not in next(iter(sizes)):
        stated["image_size"] = next(iter(sizes))
    categories = [c for c in content.get("categories", []) if isinstance(c, Mapping) and c.get("keypoints")]
    if len(categories) == 1 and not any(row.get("foot_kpts") for row in rows):
        stated["names"] = [str(name) for name in categories[0]["keypoints"]]
    return _by_image(source, rows, by_visibility), stated


def _npz(source: Source) -> tuple[list[_Frame], dict[str, Any]]:
    arrays = NpzFile(source)
    if "keypoints" in arrays:
        points = arrays.numbers("keypoints")
    elif "uv" in arrays and "confidence" in arrays:
        uv, confidence = arrays.numbers("uv"), arrays.numbers("confidence")
        if uv.shape != (*confidence.shape, 2):
            raise source.error("uv", f"shapes {uv.shape} and {confidence.shape}", "(..., K, 2) and (..., K)")
        points = np.concatenate([uv, confidence[..., None]], -1)
    else:
        raise source.error("arrays", ", ".join(arrays) or "none", "keypoints, or uv and confidence")
    if points.ndim == 3:
        points = points[:, None]
    if points.ndim != 4 or points.shape[-1] != 3 or 0 in points.shape:
        raise source.error("keypoints", f"shape {points.shape}", "(T, K, 3) or (T, people, K, 3)")
    stated: dict[str, Any] = {"fps": arrays.number(("fps",))}
    if "names" in arrays:
        stated["names"] = [str(name) for name in np.ravel(arrays["names"])]
    if "layout" in arrays and arrays.text("layout") in LAYOUTS:
        stated["names"] = LAYOUTS[arrays.text("layout")]
    if "image_size" in arrays:
        stated["image_size"] = tuple(np.ravel(arrays.numbers("image_size")))
    if "pos3d" in arrays:
        stated["pos3d"] = arrays.numbers("pos3d")
        if stated["pos3d"].shape != (*points.shape[:1], *points.shape[2:]) or points.shape[1] != 1:
            raise source.error("pos3d", f"shape {stated['pos3d'].shape}", "(T, K, 3) m of the one person in the file")
    known = list(range(points.shape[1]))
    return [(list(frame), list(known)) for frame in points], stated


def relative_confidence(confidence: np.ndarray) -> np.ndarray:
    """Confidences (...) with a source's usual value for points it sees well as 1, and 0 below a fifth of that."""
    said = confidence[confidence > 0]
    if not said.size:
        return np.zeros_like(confidence)
    share = np.clip(confidence / np.percentile(said, _USUAL), 0.0, 1.0)
    return np.where(share >= _LEAST, share, 0.0)
