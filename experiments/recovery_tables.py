"""The results of ``experiments.measure_recovery`` as tables in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .recovery_cases import GIVEN, RAW, Case
from .recovery_trial import DAMAGES, everything, hide

Row = tuple[Case, dict[str, Any]]

#: Heading, key and decimals.
_COLUMNS = {
    "root": ("root-relative mm", "root_mm", 0),
    "global": ("global mm", "global_mm", 0),
    "procrustes": ("Procrustes mm", "procrustes_mm", 0),
    "limb": ("hidden limbs mm", "limb_mm", 0),
    "px": ("reprojection px", "reprojection_px", 1),
    "bone": ("bone length sd mm", "bone_mm", 1),
    "acceleration": ("acceleration m/s²", "acceleration", 1),
    "vertical": ("vertical deg", "vertical_deg", 1),
    "valid": ("valid frames", "valid_frames", 0),
    "seconds": ("s", "seconds", 1),
}
_USUAL = ("root", "global", "procrustes", "px", "bone", "acceleration", "valid", "seconds")
_EXPLAINED = """\
Mean distance of {joints} joints from the filtered triangulation of all cameras, which is itself no truth: the same
detectors' points go into it, and its joints are off by centimetres. *Root-relative*: hips put on hips; *global*: as it
is; *Procrustes*: every frame turned, moved and scaled to fit. *Reprojection*: median distance to the detections before
they were damaged. *Bone length sd*: standard deviation over time of thighs, shanks, upper arms and forearms.
*Acceleration*: mean difference from the triangulation's, joints relative to the hips. Only valid frames count.
Without a camera, results are turned about the vertical and moved to where they fit best, and *vertical* is the angle
between the vertical found and the true one. *s*: seconds of a whole fit, as many at a time as there are cores, the
first of each kind with loading its programs.
"""


def number(value: float, decimals: int) -> str:
    """A number, or a dash where there is none."""
    return "–" if value != value else f"{value:.{decimals}f}"


def table(rows: Iterable[tuple[Sequence[str], dict[str, Any]]], heads: Sequence[str], columns: Sequence[str]) -> str:
    """Rows of some words and the columns named."""
    chosen = [_COLUMNS[name] for name in columns]
    lines = [[*heads, *(head for head, _, _ in chosen)], ["---"] * len(heads) + ["---:"] * len(chosen)]
    lines += [[*words, *(number(values[key], digits) for _, key, digits in chosen)] for words, values in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def pivot(rows: Sequence[Row], key: str, damages: Sequence[str]) -> str:
    """Cameras down, damage across, of given detections."""
    found = {(case.views, case.damage): values[key] for case, values in rows}
    views = dict.fromkeys(case.views for case, _ in rows)
    lines = [["cameras", *damages], ["---"] + ["---:"] * len(damages)]
    for chosen in views:
        lines.append([" + ".join(chosen), *(number(found.get((chosen, d), float("nan")), 0) for d in damages)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def document(rows: Sequence[Row], baseline: dict[str, dict[str, Any]], joints: int, about: str) -> str:
    """Everything, in Markdown.

    Args:
      rows: of all cases. baseline: of the triangulation, by name.
      joints: number of joints. about: what was measured, one line.
    """
    none = next(iter(DAMAGES))

    def of(test: Callable[[Case], bool]) -> list[Row]:
        return [(case, values) for case, values in rows if test(case)]

    given = of(lambda c: c.source == GIVEN and c.calibrated)
    clean = [([" + ".join(c.views)], v) for c, v in given if c.damage == none]
    damages = list(dict.fromkeys(case.damage for case, _ in given))
    parts = ["# Recovery of motion, measured\n", about + "\n", _EXPLAINED.format(joints=joints)]
    reference = [([name], values) for name, values in baseline.items()]
    parts += ["## Given detections, calibrated cameras\n", table([*clean, *reference], ["cameras"], _USUAL)]
    if len(damages) > 1:
        parts += ["## Damaged detections: root-relative error, mm\n", pivot(given, "root_mm", damages)]
        parts += [
            "## A leg and an arm hidden: their error in those frames, mm\n",
            pivot(given, "limb_mm", [d for d in damages if d == none or DAMAGES[d] in (hide, everything)]),
        ]
    for encoder in dict.fromkeys(case.source for case, _ in of(lambda c: c.source != GIVEN)):
        known = of(lambda c: c.source == encoder and c.calibrated)  # noqa: B023  used at once
        shown = [([c.views[0], c.method], v) for c, v in known]
        parts += [f"## {encoder}, calibrated camera\n", table(shown, ["video", "from"], _USUAL)]
    blind = of(lambda c: not c.calibrated)
    if blind:
        shown = [([c.source, c.views[0], c.method], v) for c, v in blind]
        columns = ("vertical", *_USUAL)
        parts += ["## No camera given\n", table(shown, ["points", "camera", "from"], columns)]
    full = [([" + ".join(c.views), c.damage], v) for c, v in given if c.damage != none]
    if full:
        columns = ("root", "global", "procrustes", "limb", *_USUAL[3:])
        parts += ["## Damaged detections, everything\n", table(full, ["cameras", "damage"], columns)]
    return "\n".join(parts)


def beaten(rows: Sequence[Row]) -> list[str]:
    """Sentences on whether fits beat the encoder's own 3D on root-relative error, bone lengths and acceleration."""
    said = []
    raw = {(c.source, c.views, c.calibrated): v for c, v in rows if c.method == RAW}
    for case, values in rows:
        own = raw.get((case.source, case.views, case.calibrated))
        if own is None or case.method == RAW:
            continue
        parts = [f"{what} {values[key]:.0f} for {own[key]:.0f}" for what, key in _RIVALRY]
        lost = [what for what, key in _RIVALRY if values[key] >= own[key]]
        said.append(f"{case.label}: {', '.join(parts)}" + (f"; NOT better: {', '.join(lost)}" if lost else ""))
    return said


_RIVALRY = (("root-relative mm", "root_mm"), ("bone length sd mm", "bone_mm"), ("acceleration m/s²", "acceleration"))
