"""``mjxhuman render``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np

from mjxhuman.cli.reading import dynamics_of, load, output_file
from mjxhuman.options import SceneOptions, record_of
from mjxhuman.physics.motion import resample
from mjxhuman.report.render import contact_sheet, render_frames, save_video
from mjxhuman.runs import progress
from mjxhuman.scoring.files import furniture_of, surface_of

#: Films of faster motions keep every k-th frame.
MAX_FILM_FPS = 60.0


def run(args: argparse.Namespace) -> int:
    """Draw one motion."""
    output = Path(args.output)
    kind = output.suffix.lower()
    if kind not in (".png", ".mp4"):
        raise ValueError(f"{output}: expected a file ending in .png or .mp4, found {output.suffix or 'no suffix'!r}")
    output_file(output, "OUT")
    size = _size(args.size) if args.size else (320, 320) if kind == ".png" else (960, 720)
    chosen = record_of(SceneOptions, args)
    surface, furnished = surface_of(chosen), furniture_of(chosen)
    motion = load(args.file, args)
    scene = None if furnished is None else furnished.around(motion)
    qpos = np.asarray(motion.qpos)
    options: dict = {"dynamics": dynamics_of(motion, surface, scene) if args.forces else None}
    options |= {"surface": surface, "scene": scene}
    if args.ghost:
        second = load(args.ghost, args)
        other = np.asarray((second if second.fps == motion.fps else resample(second, motion.fps)).qpos)
        if other.shape[1] != qpos.shape[1]:
            raise ValueError(
                f"{args.ghost}: expected {qpos.shape[1]} coordinates as in {args.file}, found {other.shape[1]}"
            )
        # the shorter one waits in its last frame
        options["ghost"] = other[np.minimum(np.arange(len(qpos)), len(other) - 1)]
    if kind == ".png":
        contact_sheet(motion.humanoid, qpos, output, args.columns, rows=args.rows, size=size, fps=motion.fps, **options)
    else:
        _film(motion, qpos, output, size, options)
    print(output)
    return 0


def _film(motion, qpos: np.ndarray, output: Path, size: tuple[int, int], options: dict) -> None:
    step = max(1, int(np.ceil(motion.fps / MAX_FILM_FPS - 1e-6)))
    keep = slice(None, None, step)
    if options["dynamics"] is not None:
        d = options["dynamics"]
        options["dynamics"] = d.replace(grf=np.asarray(d.grf)[keep], cop=np.asarray(d.cop)[keep])
    if "ghost" in options:
        options["ghost"] = options["ghost"][keep]
    frames = render_frames(motion.humanoid, qpos[keep], size, **options)
    with progress(len(qpos[keep]), unit="frame", label="render") as bar:

        def counted():
            for image in frames:
                yield image
                bar.update(1)

        save_video(output, counted(), motion.fps / step)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found or min(map(int, found.groups())) < 16:
        raise ValueError(f"--size: expected WIDTHxHEIGHT in pixels, at least 16x16, found {text!r}")
    return int(found[1]), int(found[2])
