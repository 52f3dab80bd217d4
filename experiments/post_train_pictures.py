"""What a post-training did, to be looked at: curves, and the same noise before and after."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjxhuman.cli.reading import dynamics_of
from mjxhuman.report.furniture import sheet
from mjxhuman.report.pack import ClipReport
from mjxhuman.report.page import write_report
from mjxhuman.report.render import NoOpenGL, render_frames, save_png
from mjxhuman.rewards.score import score
from mjxhuman.runs.files import read_json_lines
from mjxhuman.types import Motion

#: What of the log is drawn together: numbers of held-out prompts, and of the samples trained on.
_CURVES = (
    ("held-out prompts", ("held_out/total", "held_out/kinematic", "held_out/contact", "held_out/dynamic")),
    ("beside the base", ("held_out/motion", "held_out/diversity", "held_out/kl")),
    ("samples trained on", ("reward", "reward/unfloored", "reward/motion", "invalid")),
)
#: Moments of a motion in ``pairs.png``, and width and height of each in pixels.
_MOMENTS, _SIZE = 6, (170, 220)


def pairs(folder: Path, generator: Any, adapter: Any, prompts: Sequence[str], seed: int) -> Path:
    """The page: a sample of each prompt by the base and by the adapter, from the same noise. ``pairs.png`` has moments
    of them, left the base, a prompt in each row; not where MuJoCo cannot render, which is said."""
    clips = []
    made = [dataclasses.replace(generator, adapter=a).sample(prompts, 1, None, seed) for a in (None, adapter)]
    for prompt, *both in zip(prompts, *(m.motions for m in made), strict=True):
        for name, motion in zip(("base", "tuned"), both, strict=True):
            clips.append(ClipReport(f"{prompt}: {name}", score(motion), motion, dynamics_of(motion)))
    try:
        shown = [motion for both in zip(*(m.motions for m in made), strict=True) for motion in both]
        moments = [picture for motion in shown for picture in _moments(motion)]
        save_png(folder / "pairs.png", sheet(moments, 2 * _MOMENTS))
    except NoOpenGL as error:
        print(f"post_train: no pairs.png: {error}", file=sys.stderr)
    return write_report(folder / "report.html", clips, title="Before and after post-training", compare=True)


def _moments(motion: Motion) -> list[np.ndarray]:
    """Pictures of frames that are evenly spread."""
    qpos = np.asarray(motion.qpos)
    return list(render_frames(motion.humanoid, qpos[np.linspace(0, len(qpos) - 1, _MOMENTS).astype(int)], _SIZE))


def curves(folder: Path) -> Path:
    """Numbers of the log over epochs; needs matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    lines = {line["step"]: line for line in read_json_lines(folder / "metrics.jsonl")}  # the last of each epoch
    steps = sorted(lines)
    figure, axes = plt.subplots(1, len(_CURVES), figsize=(12, 3.2), layout="constrained")
    for place, (title, names) in zip(axes, _CURVES, strict=True):
        for name in names:
            known = [step for step in steps if name in lines[step]]
            if known:
                value = np.array([lines[step][name] for step in known], float)
                place.plot(known, value, label=name.removeprefix("held_out/").removeprefix("reward/"))
        place.set_title(title, fontsize="medium")
        place.set_xlabel("epoch")
        place.legend(frameon=False, fontsize="small")
        place.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "curves.png", dpi=150)
    plt.close(figure)
    return folder / "curves.png"
