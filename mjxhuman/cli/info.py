"""``mjxhuman info``: the installation, or one file."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
from typing import Any

from mjxhuman.cli.reading import load
from mjxhuman.data.formats import Format, formats
from mjxhuman.encoders import encoder_table
from mjxhuman.runs import describe, json_line

EXTRAS = {"torch": "torch", "video": "av", "encoders": "transformers", "view": "viser", "smplx": "smplx"}


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
    extras = {name: importlib.util.find_spec(module) is not None for name, module in EXTRAS.items()}
    encoders = {
        name: {"gives": e.gives, "needs": e.needs, "installed": e.available(), "tested": e.proven}
        for name, e in encoder_table().items()
    }
    return describe() | {"formats": rows, "extras": extras, "encoders": encoders}


def _suffixes(fmt: Format) -> str:
    return ", ".join(fmt.suffixes[:3]) + (", ..." if len(fmt.suffixes) > 3 else "")


def file_facts(args: argparse.Namespace) -> dict[str, Any]:
    """Frames, rate, body and provenance of a motion file."""
    motion = load(args.file, args)
    body = motion.humanoid
    facts = {
        "frames": motion.num_frames,
        "fps": round(motion.fps, 4),
        "seconds": round((motion.num_frames - 1) * motion.dt, 3),
        "valid frames": int(motion.valid.sum()),
        "body": f"{body.name}, {body.layout} joints, {body.stature:.2f} m, {body.mass:.1f} kg",
    }
    return {**facts, **dataclasses.asdict(motion.provenance)}


def _lines(facts: dict[str, Any]) -> list[str]:
    width = max(map(len, facts))
    lines = []
    for name, value in facts.items():
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
