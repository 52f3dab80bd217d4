"""How motions were tracked: a table for the terminal, and pictures of the simulation with its reference beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mjxhuman.report.render import contact_sheet, render_frames, save_video
from mjxhuman.report.table import coloured, shortened
from mjxhuman.tracking.evaluate import ClipResult, Tracked, summary
from mjxhuman.tracking.metrics import body_distances

#: m between the simulated body and the ghost of its reference.
BESIDE = 1.0

#: Heading, width and value of the columns.
_COLUMNS: tuple[tuple[str, int, Callable[[ClipResult], str]], ...] = (
    ("global mm", 9, lambda r: f"{r.mpjpe_g:.1f}"),
    ("local mm", 8, lambda r: f"{r.mpjpe_l:.1f}"),
    ("vel", 5, lambda r: f"{r.vel_dist:.2f}"),
    ("accel", 5, lambda r: f"{r.accel_dist:.2f}"),
    ("torque", 6, lambda r: f"{r.torque:.1f}"),
    ("peak", 5, lambda r: f"{r.torque_peak:.0f}"),
    ("net", 5, lambda r: f"{r.net_torque:.1f}"),
    ("policy", 6, lambda r: f"{100 * r.residual_share:.0f} %"),
    ("score", 5, lambda r: _number(r.score)),
    ("mocap", 5, lambda r: _number(r.reference_score)),
)
_LEGEND = (
    "vel, accel: mm per frame, mm per frame squared; torque, peak: of the actuators, N m per axis; net: less damping;\n"
    "policy: its share of the actuators' torque (the rest follows the reference); score: feasibility"
)


def _number(x: float | None) -> str:
    return "–" if x is None or math.isnan(x) else f"{x:.3f}"


def verdict(result: ClipResult) -> str:
    """Whether the clip was tracked, else when it was lost."""
    return "tracked" if result.success else f"lost at {result.failed_time:.2f} s"


def tracking_table(results: Sequence[ClipResult], *, width: int = 120, colour: bool = False) -> str:
    """One line per clip, and one for all together (means over frames).

    Args:
        results: in the order they are to be listed.
        width: characters per line, at least those of the columns and 12 for the name.
        colour: with ANSI colours.
    """
    if not results:
        return "no clips"
    room = width - 16 - sum(size + 2 for _, size, _ in _COLUMNS)
    name_width = max(12, min(max(len(r.name) for r in results), room))
    head = " " * (name_width + 16) + "".join("  " + title.rjust(size) for title, size, _ in _COLUMNS)
    lines = [head]
    for r in results:
        cells = "".join("  " + value(r).rjust(size) for _, size, value in _COLUMNS)
        name, state = shortened(r.name, name_width), verdict(r).ljust(14)
        state = state if r.success else coloured(state, "bad", colour)
        lines.append(f"{name.ljust(name_width)}  {state}{cells}")
    if len(results) > 1:
        total = _together(results)
        cells = "".join("  " + value(total).rjust(size) for _, size, value in _COLUMNS)
        rate = f"{sum(r.success for r in results)} of {len(results)}".ljust(14)
        lines.append(coloured(f"{'all'.ljust(name_width)}  {rate}{cells}", "total", colour))
    return "\n".join([*lines, _LEGEND])


def _together(results: Sequence[ClipResult]) -> ClipResult:
    """Means over the frames of all clips, as one result."""
    s = summary(results)
    return ClipResult(
        name="all", frames=sum(r.frames for r in results), fps=results[0].fps, failed_frame=None,
        mpjpe_g=s["mpjpe_global_mm"], mpjpe_l=s["mpjpe_local_mm"], mpjpe_pa=s["mpjpe_pa_mm"],
        vel_dist=s["vel_dist"], accel_dist=s["accel_dist"], torque=s["torque"], torque_peak=s["torque_peak"],
        net_torque=s["net_torque"], net_torque_peak=s["net_torque_peak"],
        capped=s["capped"], residual=s["residual"], residual_share=s["residual_share"],
        score=s["score"], reference_score=s["reference_score"],
    )  # fmt: skip


def draw_tracking(
    path: str | Path, tracked: Tracked, *, size: tuple[int, int] | None = None, columns: int = 6, rows: int = 2
) -> Path:
    """Draw a simulated motion with the ghost of its reference to its left, time and distance in the corner.

    Args:
        path: ``.png`` for a sheet of frames, ``.mp4`` for a film.
        tracked: of ``evaluate``.
        size: pixels of a picture; default 360 x 320, of a film 960 x 720.
        columns, rows: of a sheet.

    Raises:
        ValueError: another suffix.
        ModuleNotFoundError, NoOpenGL: as ``save_video`` and ``render_frames``.
    """
    path, motion = Path(path), tracked.motion
    qpos, ghost = np.asarray(motion.qpos), np.asarray(tracked.reference.qpos)
    options = {"ghost": ghost, "beside": BESIDE, "labels": _labels(tracked)}
    if path.suffix.lower() == ".png":
        return contact_sheet(motion.humanoid, qpos, path, columns, rows=rows, size=size or (360, 320), **options)
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"{path}: expected a file ending in .png or .mp4, found {path.suffix or 'no suffix'!r}")
    return save_video(path, render_frames(motion.humanoid, qpos, size or (960, 720), **options), motion.fps)


def _labels(tracked: Tracked) -> list[str]:
    """Time, mean distance to the reference, and from where on it is lost."""
    body = tracked.motion.humanoid
    pos, ref = (np.asarray(m.body_pos)[:, body.tracked_ids] for m in (tracked.motion, tracked.reference))
    off = body_distances(pos, ref, body.known.rows(body.known.evaluated))
    failed, fps = tracked.result.failed_frame, tracked.result.fps
    return [
        f"{t / fps:.2f} s  {1000 * d:.0f} mm" + ("  LOST" if failed is not None and t >= failed else "")
        for t, d in enumerate(off)
    ]
