"""``mjxhuman demo``: the built-in clip and damaged copies of it."""

from __future__ import annotations

import argparse

import numpy as np

from mjxhuman.cli.reading import dynamics_of, output_folder
from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.humanoids import load_humanoid
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.report.pack import ClipReport
from mjxhuman.report.page import write_report
from mjxhuman.report.table import score_table, terminal
from mjxhuman.rewards.score import score
from mjxhuman.rewards.validation import damage
from mjxhuman.runs import enable_compile_cache, progress
from mjxhuman.types import Motion

#: Name, motion and notes.
Copy = tuple[str, Motion, tuple[str, ...]]


def run(args: argparse.Namespace) -> int:
    """Score, print the table, write the page."""
    out = output_folder(args.out, "--out")
    enable_compile_cache()
    clip = load_builtin_clip()
    clean = motion_from_qpos(load_humanoid("smpl"), clip.qpos, clip.fps, provenance=clip.provenance)
    copies = [("clean", clean, ()), *damaged_copies(clean)]
    clips = []
    with progress(len(copies), unit="clip", label="score") as bar:
        for name, motion, notes in copies:
            clips.append(ClipReport(name, score(motion), motion, dynamics_of(motion), notes))
            bar.update(1)
    width, colour = terminal()
    print(score_table([(c.name, c.scores) for c in clips], width=width, colour=colour))
    page = write_report(out / "report.html", clips, title="A clean walk and damaged copies of it")
    print(f"\nreport: {page}")
    return 0


def damaged_copies(clean: Motion) -> list[Copy]:
    """Name, motion and note of one damaged copy of every kind that applies and shows, at its middle severity."""
    copies: list[Copy] = []
    qpos = np.asarray(clean.qpos, np.float64)
    for name, kind in damage.DAMAGES.items():
        if name in damage.SUBTLE:
            continue
        severity = kind.severities[len(kind.severities) // 2]
        try:
            bad = damage.apply(name, clean.humanoid, qpos, clean.fps, severity)
        except damage.NotApplicable:
            continue
        text = (kind.apply.__doc__ or "").strip().split("\n")[0].replace("``severity``", f"{severity:g}")
        motion = motion_from_qpos(clean.humanoid, bad, clean.fps, provenance=clean.provenance)
        copies.append((f"{name} {severity:g} {kind.unit}".replace("_", " "), motion, (f"Damaged copy: {text}",)))
    return copies
