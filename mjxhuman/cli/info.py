"""``mjxhuman info``: the installation, or one file."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.data import QposMotion, read_motion
from mjxhuman.data.formats import Format, formats
from mjxhuman.data.keypoints import Detections, read_detections
from mjxhuman.data.npz import AnyMotion
from mjxhuman.data.source import Source
from mjxhuman.data.video import Video
from mjxhuman.encoders import encoder_table
from mjxhuman.options import FileOptions, VideoOptions, keywords, record_of
from mjxhuman.recovery.load import given_camera, kind_of
from mjxhuman.runs import describe, json_line
from mjxhuman.runs.terminal import printable
from mjxhuman.scenes.mesh import components
from mjxhuman.scenes.reading.formats import is_furniture, scene_formats
from mjxhuman.scenes.reading.load import read_furniture
from mjxhuman.scenes.types import Scene
from mjxhuman.types import BodyMotion, SkeletonMotion

EXTRAS = {"torch": "torch", "video": "av", "encoders": "transformers", "view": "viser", "smplx": "smplx",
          "scenes": "trimesh"}  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Print what is known."""
    facts = installation() if args.file is None else file_facts(args)
    if args.json:
        print(json_line(facts))
        return 0
    for line in _lines(facts) if args.file else _installation_lines(facts):
        print(line)
    return 0


def installation() -> dict[str, Any]:
    """Versions, devices, formats and extras."""
    rows = [
        {"name": fmt.name, "suffix": _suffixes(fmt), "holds": fmt.holds, "tested": fmt.proven}
        for fmt in formats()
        if fmt.kind != "refused"
    ]
    rows += [
        {"name": fmt.name, "suffix": ", ".join(fmt.suffixes), "holds": f"furniture: {fmt.holds}", "tested": True}
        for fmt in scene_formats()
    ]
    extras = {name: importlib.util.find_spec(module) is not None for name, module in EXTRAS.items()}
    encoders = {
        name: {"gives": e.gives, "needs": e.needs, "installed": e.available(), "tested": e.proven}
        for name, e in encoder_table().items()
    }
    return describe() | {"formats": rows, "extras": extras, "encoders": encoders}


def _suffixes(fmt: Format) -> str:
    return ", ".join(fmt.suffixes[:3]) + (", ..." if len(fmt.suffixes) > 3 else "")


def file_facts(args: argparse.Namespace) -> dict[str, Any]:
    """What a file says and what had to be assumed; nothing is fitted, no network looks at a video."""
    path = Path(args.file)
    source = Source(path)
    source.require_file()
    if is_furniture(source):
        return _furniture(path, args)
    kind = kind_of(path)
    if kind == "video":
        return _video(Video(path, fps=args.fps))
    if kind == "keypoints":
        camera = given_camera(record_of(VideoOptions, args))
        return _keypoints(read_detections(path, fps=args.fps, image_size=camera.image_size if camera else None))
    return _motion(read_motion(path, **keywords(FileOptions, args)))


def _furniture(path: Path, args: argparse.Namespace) -> dict[str, Any]:
    found = read_furniture(path, up=args.up, unit=args.unit)
    if isinstance(found, Scene):
        named = [(o.name, o.kind, o.mesh) for o in found.objects]
        where = found.provenance
    else:
        items, where = found
        named = [(placed.item.name, placed.kind, placed.mesh) for placed in items]
    objects = []
    for name, kind, mesh in named:
        size = " x ".join(f"{x:.3f}" for x in np.ptp(mesh.vertices, axis=0))
        parts = int(components(mesh).max()) + 1
        objects.append(
            f"{printable(name)}{f' ({kind})' if kind else ''}: {size} m, {len(mesh.faces)} faces, {parts} parts"
        )
    return {
        "holds": "furniture", "objects": objects, "path": str(path), "format": where.format, "licence": where.licence,
        "conventions": where.conventions,
    }  # fmt: skip


def _motion(motion: AnyMotion) -> dict[str, Any]:
    if isinstance(motion, QposMotion):
        frames = valid = len(motion.qpos)
        body = ", ".join(f"{key} {value}" for key, value in motion.humanoid.items()) or "of a body that is not named"
        holds = f"{motion.qpos.shape[1]} joint coordinates: {body}"
    elif isinstance(motion, BodyMotion):
        frames, valid = len(motion.valid), int(np.sum(motion.valid))
        holds = f"{motion.body} parameters of 24 joints, {np.size(motion.betas)} shape coefficients"
    elif isinstance(motion, SkeletonMotion):
        frames, valid = len(motion.valid), int(np.sum(motion.valid))
        holds = f"a skeleton of {len(motion.names)} joints: {_named(motion.names)}"
    else:
        frames, valid = len(motion.valid), int(np.any(motion.valid, -1).sum())
        holds = f"{len(motion.names)} {motion.kind}: {_named(motion.names)}"
    facts = {"holds": holds, **_extent(frames, motion.fps), "valid frames": valid}
    where = motion.provenance
    return facts | {
        "path": where.path,
        "format": where.format,
        "licence": where.licence,
        "conventions": where.conventions,
    }


def _keypoints(found: Detections) -> dict[str, Any]:
    most = max(len(people) for people in found.people)
    facts = {"holds": f"{len(found.names)} 2D keypoints of up to {most} people at a time: {_named(found.names)}"}
    size = "x".join(map(str, found.image_size))
    where = found.provenance
    return {
        **facts, **_extent(len(found.people), found.fps), "picture": f"{size} px", "path": where.path,
        "format": where.format, "conventions": where.conventions,
    }  # fmt: skip


def _video(video: Video) -> dict[str, Any]:
    rate = video.given_fps or video.rate
    extent = _extent(video.frames, rate) if video.frames and rate else {"frames": video.frames, "fps": rate}
    size = "x".join(map(str, video.size))
    return {
        "holds": "a video", **extent, "picture": f"{size} px", "path": str(video.path), "format": "video",
        "conventions": tuple(video.notes),
    }  # fmt: skip


def _extent(frames: int, fps: float) -> dict[str, Any]:
    return {"frames": frames, "fps": round(fps, 4), "seconds": round((frames - 1) / fps, 3)}


def _named(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(map(printable, names[:most])) + (", ..." if len(names) > most else "")


def _lines(facts: dict[str, Any]) -> list[str]:
    width = max(map(len, facts))
    lines = []
    for name, value in facts.items():
        if value == "":
            continue
        for i, part in enumerate(value if isinstance(value, list | tuple) else [value]):
            lines.append(f"{(name.replace('_', ' ') if i == 0 else '').ljust(width)}  {part}")
    return lines


def _installation_lines(facts: dict[str, Any]) -> list[str]:
    plain = {k: v for k, v in facts.items() if k not in ("packages", "formats", "extras", "encoders")}
    lines = _lines(plain)
    lines += [
        "",
        "packages  " + ", ".join(f"{name} {version or '(missing)'}" for name, version in facts["packages"].items()),
    ]
    lines += [
        "extras    "
        + ", ".join(f"{name} {'installed' if on else 'not installed'}" for name, on in facts["extras"].items())
    ]
    lines += ["", "formats"]
    for row in facts["formats"]:
        tested = "" if row["tested"] else "  (untested: no real file was at hand)"
        lines.append(f"  {row['name']:<22} {row['suffix']:<21} {row['holds']}{tested}")
    lines += ["", "encoders of videos"]
    for name, row in facts["encoders"].items():
        state = "installed" if row["installed"] else "not installed"
        tested = "" if row["tested"] else " (never run on its real weights)"
        lines.append(f"  {name:<16} {state:<14} {row['gives']}{tested}; needs {row['needs']}")
    return lines
