"""Encodings that were computed before, kept by what decides them: the video's bytes, the encoder, the options.

Files lie in ``encodings`` of the cache folder (``mjxhuman.runs.cache_root``; ``MJXHUMAN_CACHE=off`` switches it off),
appear only when complete, and can be deleted at any time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.data.video import Video
from mjxhuman.encoders.base import Encoder, Encoding, Person
from mjxhuman.runs.compile_cache import cache_root
from mjxhuman.runs.files import atomic_write, file_sha256
from mjxhuman.runs.progress import progress
from mjxhuman.types import BodyMotion, Camera, Keypoints, Provenance, VideoFeatures

#: Counted up whenever the meaning of an encoding changes.
_VERSION = 2
_PARTS: dict[str, type] = {"keypoints": Keypoints, "features": VideoFeatures, "body": BodyMotion}


def encode_video(
    path: str | Path,
    encoder: Encoder,
    camera: Camera | None = None,
    *,
    fps: float | None = None,
    region: tuple[float, float, float, float] | None = None,
    cache: bool = True,
) -> Encoding:
    """Everyone in a video file, from the cache where it has been encoded before.

    Args:
      path: the video. encoder: see ``make_encoder``. camera: for encoders that want one.
      fps: rate it was shot at, where the file says another one.
      region: x0, y0, x1, y1 in px: only this part of the pictures is looked at.
      cache: False neither reads nor writes the cache.

    Raises:
      FileNotFoundError, MotionFileError, ImportError: as ``Video``. RuntimeError: the network cannot run.
    """
    video = Video(path, fps=fps, region=region)
    folder = cache_root() if cache else None
    if folder is None:
        return _encode(video, encoder, camera)
    given = {"fps": fps, "region": region, "camera": _camera_digest(camera), "version": _VERSION}
    key = json.dumps([file_sha256(path), encoder.fingerprint(), given])
    file = folder / "encodings" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    known = _read(file, str(path))
    if known is not None:
        return known
    encoding = _encode(video, encoder, camera)
    _write(file, encoding)
    return encoding


def _encode(video: Video, encoder: Encoder, camera: Camera | None) -> Encoding:
    with progress(video.frames, unit="frame", label=f"{encoder.name}: {video.path.name}") as bar:
        video.watch = bar.update
        return encoder.encode(video, camera)


def _camera_digest(camera: Camera | None) -> str | None:
    if camera is None:
        return None
    arrays = (camera.intrinsics, camera.T_world_camera, camera.distortion)
    return hashlib.sha256(b"".join(np.asarray(x, np.float64).tobytes() for x in arrays)).hexdigest()


def _write(file: Path, encoding: Encoding) -> None:
    arrays = {"position": encoding.position}
    people = []
    for i, person in enumerate(encoding.people):
        arrays[f"{i}.box"], arrays[f"{i}.seen"] = person.box, person.seen
        plain: dict[str, Any] = {}
        for part in _PARTS:
            value = getattr(person, part)
            if value is None:
                continue
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            static = {k: v for k, v in fields.items() if isinstance(v, str | int | float | tuple)}
            plain[part] = static | {"provenance": dataclasses.asdict(fields["provenance"])}
            arrays |= {f"{i}.{part}.{k}": np.asarray(v) for k, v in fields.items() if hasattr(v, "shape")}
        people.append(plain)
    about = {
        "fps": encoding.fps,
        "frames": encoding.frames,
        "image_size": encoding.image_size,
        "encoder": encoding.encoder,
        "notes": encoding.notes,
        "people": people,
    }
    with atomic_write(file, "wb") as stream:
        np.savez_compressed(stream, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]


def _read(file: Path, path: str) -> Encoding | None:
    """The stored encoding with the video's present path; None if there is none, or none that can be read."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            people = tuple(_person(arrays, i, parts, path) for i, parts in enumerate(about["people"]))
            position = arrays["position"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    size, notes = tuple(about["image_size"]), tuple(about["notes"])
    return Encoding(people, about["fps"], about["frames"], size, about["encoder"], position, notes)


def _person(arrays: Any, index: int, parts: dict[str, Any], path: str) -> Person:
    made = {}
    for part, static in parts.items():
        prefix = f"{index}.{part}."
        fields = {name.removeprefix(prefix): arrays[name] for name in arrays.files if name.startswith(prefix)}
        plain = {k: tuple(v) if isinstance(v, list) else v for k, v in static.items()}
        source: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in static["provenance"].items()}
        made[part] = _PARTS[part](**fields, **plain | {"provenance": Provenance(**source | {"path": path})})
    return Person(arrays[f"{index}.box"], arrays[f"{index}.seen"], **made)
