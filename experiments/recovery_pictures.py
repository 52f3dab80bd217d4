"""Pictures of what ``experiments.measure_recovery`` found: skeletons on the frames of the videos and on white, and the
error of each joint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from mjxhuman.data.video import Video
from mjxhuman.math import camera as lens_model
from mjxhuman.report.film import skeleton_edges
from mjxhuman.runs import atomic_write

from .recovery_cases import BOTH, GIVEN, Case, Found
from .recovery_tables import Row
from .recovery_trial import DAMAGES, JOINTS, Trial

_EDGES = skeleton_edges(JOINTS)
_COLOURS = {"left": "#7a4fd0", "right": "#d99a00", "": "#404850"}
_GREY = "#9aa4ad"
#: Frames of a strip, and the margin around the person in a picture, as a share of its height.
_SHOWN, _MARGIN = 5, 0.12


def draw_all(trial: Trial, rows: Sequence[Row], found: Mapping[Case, Found], out: Path) -> list[Path]:
    """Draw everything that there are cases for; returns the files."""
    written = []
    for label in trial.videos:
        cases = [case for case in shown_cases(trial, found, label) if case in found]
        if cases:
            written.append(_save(film_strip(trial, cases, found, label), out / f"overlay_{label}.png"))
    alone = [case for case in found if _is_plain(case) and len(case.views) == 1 and case.source == GIVEN]
    if alone:
        first = alone[0].views[0]
        cases = [case for case in shown_cases(trial, found, first) if len(case.views) > 1 or case.views[0] == first]
        written.append(_save(skeletons(trial, cases, found, first), out / "skeletons.png"))
    plain = [(case, values) for case, values in rows if _is_plain(case)]
    if plain:
        written.append(_save(joint_errors(plain), out / "joints.png"))
    return written


def _is_plain(case: Case) -> bool:
    return case.calibrated and case.damage == next(iter(DAMAGES))


def shown_cases(trial: Trial, found: Mapping[Case, Found], label: str) -> list[Case]:
    """What is drawn for a camera: all cameras, it alone, another filmed one alone, and the encoders on its video."""
    others = [other for other in trial.videos if other != label][:1]
    cases = [Case(trial.labels), Case((label,)), *(Case((other,)) for other in others)]
    cases += [case for case in found if case.source != GIVEN and case.method == BOTH and _is_plain(case)]
    return [case for case in cases if case in found and (case.source == GIVEN or case.views == (label,))]


def _frames(trial: Trial) -> list[int]:
    return np.linspace(0, len(trial.truth) - 1, _SHOWN).round().astype(int).tolist()


def _title(case: Case) -> str:
    source = "given points" if case.source == GIVEN else f"{case.source} 2D and 3D"
    return f"{source}\n{', '.join(label.removeprefix('cam') for label in case.views)}"


def _draw(axes: Axes, points: np.ndarray, colours: Mapping[str, str], width: float) -> None:
    """Lines between points ``(J, 2)``."""
    lines = [points[[a, b]] for a, b, _ in _EDGES]
    axes.add_collection(LineCollection(lines, colors=[colours[side] for *_, side in _EDGES], linewidths=width))


def film_strip(trial: Trial, cases: Sequence[Case], found: Mapping[Case, Found], label: str) -> Any:
    """Cases down, frames across: the fitted skeleton on the video of a camera, the triangulation thin and white."""
    camera, frames = trial.cameras[trial.labels.index(label)], _frames(trial)
    view = (camera.intrinsics, camera.T_world_camera, camera.distortion)
    video = Video(trial.videos[label])
    images = {k: picture.image for k, picture in enumerate(video) if k in frames}
    truth = _delivered(np.asarray(lens_model.project(trial.truth, *view)[0]), video)
    low, high = truth.reshape(-1, 2).min(0), truth.reshape(-1, 2).max(0)
    margin = _MARGIN * (high - low)[1]
    height, width = next(iter(images.values())).shape[:2]
    (left, top), (right, bottom) = np.clip([low - margin, high + margin], 0, [width - 1, height - 1])
    shape = (2.0 * len(frames), 2.0 * len(cases) * (bottom - top) / (right - left))
    figure, grid = plt.subplots(len(cases), len(frames), figsize=shape, squeeze=False, layout="constrained")
    for line, case in zip(grid, cases):
        uv = _delivered(np.asarray(lens_model.project(found[case].points, *view)[0]), video)
        for axes, frame in zip(line, frames):
            axes.imshow(images[frame])
            _draw(axes, truth[frame], dict.fromkeys(_COLOURS, "white"), 0.7)
            if found[case].valid[frame]:
                _draw(axes, uv[frame], _COLOURS | {"": "#20c0c0"}, 1.8)
            axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
        line[0].set_ylabel(_title(case), fontsize=8)
    for axes, frame in zip(grid[0], frames):
        axes.set_title(f"{label}, {frame / trial.fps:.2f} s", fontsize=8)
    return figure


def _delivered(uv: np.ndarray, video: Video) -> np.ndarray:
    """Pixels of the file as those of its delivered pictures."""
    return (uv + 0.5 - np.asarray(video.origin)) / np.asarray(video.scale) - 0.5


def skeletons(trial: Trial, cases: Sequence[Case], found: Mapping[Case, Found], label: str) -> Any:
    """Skeletons from where a camera stands and from its side, on white, the triangulation in grey; where they are."""
    pose = np.asarray(trial.cameras[trial.labels.index(label)].T_world_camera)[0]
    ahead = pose[:2, 2] / np.linalg.norm(pose[:2, 2])
    right = np.array([ahead[1], -ahead[0]])
    frames = _frames(trial)
    figure, grid = plt.subplots(
        len(cases), 2 * len(frames), figsize=(9.5, 1.45 * len(cases) + 0.3), squeeze=False, layout="constrained"
    )
    for line, case in zip(grid, cases):
        for k, axes in enumerate(line):
            frame, axis = frames[k // 2], (right, ahead)[k % 2]
            flat = lambda points: np.stack([points[:, :2] @ axis, points[:, 2]], -1)  # noqa: B023, E731  used at once
            truth = flat(trial.truth[frame])
            _draw(axes, truth, dict.fromkeys(_COLOURS, _GREY), 1.6)
            if found[case].valid[frame]:
                _draw(axes, flat(found[case].points[frame]), _COLOURS, 1.3)
            middle = 0.5 * (truth.min(0) + truth.max(0))
            axes.set(xlim=(middle[0] - 0.55, middle[0] + 0.55), ylim=(-0.1, 1.75), aspect="equal")
            axes.axis("off")
            if case == cases[0]:
                where = f"as {label} looks" if k % 2 == 0 else "from its side"
                axes.set_title(f"{frame / trial.fps:.2f} s\n{where}", fontsize=7)
        line[0].text(-0.05, 0.5, _title(case), transform=line[0].transAxes, ha="right", va="center", fontsize=7)
    return figure


def joint_errors(rows: Sequence[Row]) -> Any:
    """Root-relative error of each joint (across) in each case (down), mm."""
    values = np.array([[v["joints_mm"][joint] for joint in JOINTS] for _, v in rows])
    names = []
    for case, _ in rows:
        source = "given" if case.source == GIVEN else f"{case.source}, {case.method}"
        names.append(f"{source}: {' + '.join(label.removeprefix('cam') for label in case.views)}")
    figure, axes = plt.subplots(figsize=(9.0, 1.1 + 0.28 * len(rows)), layout="constrained")
    axes.imshow(values, cmap="YlOrRd", vmin=0.0, vmax=250.0, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=7, color="white" if value > 170 else "black")
    axes.set_xticks(range(len(JOINTS)), JOINTS, rotation=45, ha="right", fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_title("Root-relative error of each joint, mm", fontsize=9)
    return figure


def _save(figure: Any, path: Path) -> Path:
    with atomic_write(path, "wb") as file:
        figure.savefig(file, dpi=110, format="png")
    plt.close(figure)
    return path
