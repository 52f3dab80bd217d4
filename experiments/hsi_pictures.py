"""Pictures of the interaction benchmark: stable cases by method and difficulty, and some cases before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import mjxhuman
from mjxhuman.report.furniture import sheet
from mjxhuman.report.render import View, render_frames, save_png

from .hsi_cases import HsiCase, Posed, perturbed, truth
from .hsi_metrics import DIFFICULTIES

#: Most frames of what is a pose.
STILL = 5
_COLOURS = {"none": "#9aa4ad", "paper": "#d99a00", "smooth": "#c86f5e", "ours": "#2f7f79", "truth": "#404850"}
_SIZE = (300, 300)
_VIEW = View(azimuth=120.0, elevation=-12.0, smoothing=1)


def bars(methods: Mapping[str, Mapping[str, Any]], path: Path) -> Path:
    """Share of outcomes of type 4 by difficulty, with 95 % intervals, and the types of each method."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    groups = ("all", *DIFFICULTIES)
    wide = 0.8 / len(methods)
    for i, (method, found) in enumerate(methods.items()):
        rates = [found["stability_hsi"], *(found["by_difficulty"][d] for d in DIFFICULTIES)]
        spans = [found["interval"], *(found["intervals"][d] for d in DIFFICULTIES)]
        known = [k for k, rate in enumerate(rates) if rate is not None]
        height = np.array([100 * rates[k] for k in known])
        span = 100 * np.array([spans[k] for k in known]).T
        error = np.maximum(np.abs(span - height), 0)
        place = np.array(known) + (i - (len(methods) - 1) / 2) * wide
        left.bar(place, height, wide, yerr=error, capsize=2, color=_COLOURS[method], label=method)
    left.set_xticks(range(len(groups)), groups)
    left.set_ylabel("Stability-HSI, %")
    left.set_ylim(0, 100)
    left.legend(frameon=False, ncols=5, loc="upper center", fontsize="small", bbox_to_anchor=(0.5, 1.12))
    names = ("unfit start", "1 falls alone", "2 no rest", "3 not in use", "4 in use")
    shades = ("#e7e2d8", "#404850", "#c86f5e", "#d99a00", "#2f7f79")
    bottom = np.zeros(len(methods))
    for kind, (name, shade) in enumerate(zip(names, shades, strict=True)):
        part = np.array([100 * m["types"][str(kind)] / m["cases"] for m in methods.values()])
        right.barh(range(len(methods)), part, left=bottom, color=shade, label=name)
        bottom += part
    right.set_yticks(range(len(methods)), list(methods))
    right.invert_yaxis()
    right.set_xlabel("outcomes, %")
    right.legend(frameon=False, ncols=5, loc="upper center", fontsize="small", bbox_to_anchor=(0.5, 1.12))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path


def cases_sheet(
    cases: Sequence[HsiCase], rows: Sequence[Mapping[str, Any]], count: int,
    reconstructed: Callable[[Sequence[Posed], Sequence[Posed], str], list[Posed]], path: Path,
) -> Path:  # fmt: skip
    """``count`` cases, a row each: truth, as given, aligned by "ours", and at the end of its simulation."""
    types = {(row["name"], row["method"]): row["type"] for row in rows}
    stills = [case for case in cases if not case.clip]
    shown = [stills[i] for i in np.unique(np.linspace(0, len(stills) - 1, count).astype(int))]
    pictures = []
    for case in shown:
        true, upright = truth(case)
        given = perturbed(case, true, upright)
        ours = reconstructed([given], [true], "ours")[0]
        outcome = mjxhuman.simulate_scene(ours.motion, ours.scene, seed=case.seed)
        what = f"{case.object} {case.use}"
        for posed, label in ((true, what), (given, "as given"), (ours, "aligned")):
            method = {what: "truth", "as given": "none", "aligned": "ours"}[label]
            kind = types.get((case.name, method))
            pictures.append(draw(posed, label + ("" if kind is None else f": type {kind}")))
        if outcome.motion is not None:
            end = Posed(outcome.motion, outcome.scene)
            pictures.append(draw(end, "simulated", outcome.object_pose[-1]))
        else:
            pictures.append(np.full_like(pictures[-1], 255))
    return save_png(path, sheet(pictures, 4))


def draw(posed: Posed, label: str, poses: np.ndarray | None = None) -> np.ndarray:
    """The last frame of a motion among its objects."""
    qpos = np.asarray(posed.motion.qpos)[-1:]
    place = np.asarray(posed.scene.poses if poses is None else poses)[None]
    frames = render_frames(
        posed.motion.humanoid, qpos, _SIZE, view=_VIEW, labels=[label], scene=posed.scene, object_poses=place
    )
    return next(iter(frames))
