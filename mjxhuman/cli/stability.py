"""``mjxhuman stability``."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mjxhuman.cli.reading import output_folder
from mjxhuman.math.statistics import wilson_interval
from mjxhuman.options import FurnitureOptions, keywords, spelt
from mjxhuman.report.furniture import FALLEN, WOOD, draw_scene
from mjxhuman.report.render import NoOpenGL, save_png
from mjxhuman.runs import json_line, progress
from mjxhuman.runs.terminal import message, printable
from mjxhuman.scenes.furniture.kinds import KINDS
from mjxhuman.scenes.furniture.make import named_furniture
from mjxhuman.scenes.named import check_about_files, named_scene
from mjxhuman.scenes.stability import Stability, stability
from mjxhuman.scenes.types import Scene


def run(args: argparse.Namespace) -> int:
    """Judge objects; exit code 0 all judged, 1 some got no verdict, 2 nothing could be done."""
    began = time.perf_counter()
    scenes = _scenes(args)
    out = output_folder(args.out, "--out") if args.out else None
    rows: list[dict[str, Any]] = []
    pictures = Pictures(out if args.picture == "png" else None)
    with progress(len(args.objects), unit="object", label="stability", quiet=args.json) as bar:
        for name, found in scenes:
            judged = found if isinstance(found, str) else stability(found, args.drops, args.seed, args.rule)
            for row in [_unread(name, judged)] if isinstance(judged, str) else map(record, judged.objects):
                rows.append(row)
                if not args.json:
                    bar.write(line(row), file=sys.stdout)
            if not isinstance(found, str) and not isinstance(judged, str):
                pictures.draw(found, judged)
            bar.update(1)
    if out is not None:
        (out / "stability.jsonl").write_text("".join(json_line(row) + "\n" for row in rows), encoding="utf-8")
    print(json_line({**summary(rows), "drops": args.drops, "seconds": round(time.perf_counter() - began, 2)}))
    return 0 if all(row["valid"] for row in rows) else 1


def record(found: Stability) -> dict[str, Any]:
    """One object for programs; ``rules`` has both verdicts."""
    rules = {
        name: {"stable": v.stable, "rate": v.rate, "interval": v.interval, "borderline": v.borderline}
        for name, v in found.verdicts.items()
    }
    return {
        "name": found.name, "valid": found.valid, "stable": found.stable, "rule": found.rule, "rate": found.rate,
        "interval": found.interval, "borderline": found.borderline, "tilt_deg": found.tilt, "drift_m": found.drift,
        "margin_m": found.margin, "reason": found.reason, "rules": rules,
    }  # fmt: skip


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many stand, of those that could be judged, with the share's Wilson interval."""
    judged = [row for row in rows if row["valid"]]
    stable = sum(row["stable"] for row in judged)
    return {
        "objects": len(rows),
        "stable": stable,
        "rate": stable / len(judged) if judged else None,
        "interval": wilson_interval(stable, len(judged)),
        "unfit": len(rows) - len(judged),
        "borderline": sum(row["borderline"] for row in judged),
    }


def line(row: dict[str, Any]) -> str:
    """One object for people."""
    name = printable(row["name"])
    if not row["valid"]:
        return f"{name}: no verdict: {printable(row['reason'])}"
    low, high = row["interval"]
    word = ("stands" if row["stable"] else "DOES NOT STAND") + (" (borderline)" if row["borderline"] else "")
    return (
        f"{name}: {word}, rate {row['rate']:.2f} ({low:.2f}-{high:.2f}), tilt {row['tilt_deg']:.1f} deg, "
        f"margin {100 * row['margin_m']:+.1f} cm: {row['reason']}"
    )


class Pictures:
    """Writes a picture of each object as it came to rest; says once where MuJoCo cannot draw."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._names: set[str] = set()

    def draw(self, scene: Scene, judged: Stability) -> None:
        """Write the pictures of a scene's objects."""
        for thing, pose, found in zip(scene.objects, scene.poses, judged.objects, strict=True):
            if self._folder is None:
                return
            rest = pose if found.drops is None else found.drops.rest[0]
            alone = Scene(objects=(thing,), poses=rest[None])
            colour = WOOD[0] if found.stable else FALLEN
            word = "no verdict" if not found.valid else f"{found.rate:.0%} stand, {found.tilt:.1f} deg"
            try:
                image = draw_scene(alone, label=f"{printable(found.name)}: {word}", colours=(colour,))
            except NoOpenGL as error:
                print(f"no pictures: {error}", file=sys.stderr)
                self._folder = None
                return
            save_png(self._folder / f"{self._free(found.name)}.png", image)

    def _free(self, name: str) -> str:
        stem = base = re.sub(r"[^\w.-]+", "_", name) or "object"
        number = 1
        while stem in self._names:
            number += 1
            stem = f"{base}_{number}"
        self._names.add(stem)
        return stem


def _scenes(args: argparse.Namespace) -> Iterator[tuple[str, Scene | str]]:
    """Each object's name with its scene, or with why it cannot be read; names that are neither are found out before.

    Raises:
        FileNotFoundError: neither a file nor a built-in kind.
        ValueError: a built-in kind with a wrong seed or damage, options of files where there is none.
    """
    built_in = {name: named_furniture(name) for name in args.objects}
    for name, scene in built_in.items():
        if scene is None and not Path(name).exists():
            raise FileNotFoundError(f"{name}: no such file, and none of the kinds {', '.join(KINDS)}")

    bar, options = sys.stderr.isatty(), keywords(FurnitureOptions, args)
    check_about_files(options, map(Path, args.objects))

    def each() -> Iterator[tuple[str, Scene | str]]:
        for name in args.objects:
            scene = built_in[name]
            try:
                yield name, named_scene(name, progress=bar, **options) if scene is None else scene
            except (ValueError, OSError, ImportError) as error:
                yield name, spelt(message(error).removeprefix(f"{name}: "), "--{}")

    return each()


def _unread(name: str, why: str) -> dict[str, Any]:
    nothing = float("nan")
    return {
        "name": name, "valid": False, "stable": False, "rule": None, "rate": nothing, "interval": (0.0, 1.0),
        "borderline": False, "tilt_deg": nothing, "drift_m": nothing, "margin_m": nothing, "reason": why, "rules": {},
    }  # fmt: skip
