"""One self-contained HTML report: no network, opens from ``file://``."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from mjxhuman.report import glossary
from mjxhuman.report.pack import (
    DYNAMICS_SERIES,
    ClipReport,
    Json,
    humanoid_payload,
    motion_payload,
    provenance_payload,
    scores_payload,
)
from mjxhuman.version import __version__

#: Frames kept for playback and charts; 1,200 frames take about 0.9 MB.
MAX_FRAMES = 1200
#: Clips with playback and charts in one page; all clips are in the table.
MAX_DETAILS = 24

_SCRIPTS = ("codec.js", "stage.js", "charts.js", "state.js", "summary.js", "film.js", "clip.js", "player.js", "main.js")


def report_payload(
    clips: Sequence[ClipReport],
    *,
    title: str = "Motion report",
    failures: Iterable[tuple[str, str]] = (),
    compare: bool = False,
    autoplay: bool = False,
    max_frames: int = MAX_FRAMES,
    max_details: int = MAX_DETAILS,
) -> Json:
    """Everything the page shows, as plain JSON values (see ``write_report``)."""
    detailed = _choose_details(clips, max_details)
    humanoids: list = []
    rows = []
    for i, clip in enumerate(clips):
        row: Json = {"name": clip.name, "scores": scores_payload(clip.scores), "notes": list(clip.notes)}
        if clip.motion is not None:
            row["provenance"] = provenance_payload(clip.motion)
        if i in detailed and clip.motion is not None:
            if clip.motion.humanoid not in humanoids:
                humanoids.append(clip.motion.humanoid)
            row["humanoid"] = humanoids.index(clip.motion.humanoid)
            row["motion"] = motion_payload(clip, max_frames)
        rows.append(row)
    return {
        "title": title,
        "version": __version__,
        "compare": compare and len(clips) >= 2,
        "autoplay": autoplay,
        "axes": list(glossary.AXES),
        "glossary": _used_entries(clips),
        "carriers": _carriers(any(clip.scene is not None for clip in clips)),
        "humanoids": [humanoid_payload(h) for h in humanoids],
        "clips": rows,
        "failures": [list(f) for f in failures],
        "detailLimit": max_details if sum(c.motion is not None for c in clips) > max_details else 0,
    }


def _carriers(furnished: bool) -> list[Json]:
    """What may carry the body, in words; beside the floor furniture too."""
    found = [{"name": name} | dataclasses.asdict(e) for name, e in glossary.CARRIERS.items()]
    what = "floor or furniture" if furnished else "the floor"
    return [{key: text.replace("the floor", what) for key, text in row.items()} for row in found]


def _choose_details(clips: Sequence[ClipReport], limit: int) -> set[int]:
    """Indices of the clips that get playback: all, else the lowest totals (clips without a score first)."""
    with_motion = [i for i, c in enumerate(clips) if c.motion is not None]
    if len(with_motion) <= limit:
        return set(with_motion)
    total = {i: float(np.asarray(clips[i].scores.total)) for i in with_motion}
    return set(sorted(with_motion, key=lambda i: -1.0 if math.isnan(total[i]) else total[i])[:limit])


def _used_entries(clips: Sequence[ClipReport]) -> Json:
    names: dict[str, None] = {"total": None}
    for clip in clips:
        for group in (clip.scores.axes, clip.scores.terms, clip.scores.frames):
            names.update(dict.fromkeys(group))
    if any(c.dynamics is not None for c in clips):
        names.update(dict.fromkeys((*glossary.QUANTITIES, *DYNAMICS_SERIES)))
    entries = {name: glossary.entry(name) for name in glossary.order_terms(list(names))}
    return {
        name: dataclasses.asdict(e) | {"score": e.is_score, "noticeable": e.noticeable} for name, e in entries.items()
    }


def write_report(path: str | Path, clips: Sequence[ClipReport], **options) -> Path:
    """Write the report page.

    Args:
        path: the HTML file; its folder is made.
        clips: the clips in the order of the table. A clip without a motion is a row without playback.
        title: heading of the page.
        failures: (file, error) pairs of files that could not be scored.
        compare: open with the second clip laid over the first and what changed.
        autoplay: start the playback at once.
        max_frames: frames kept per clip for playback; longer clips keep every k-th frame, and the page says so.
        max_details: clips with playback and charts; more clips are table rows only, lowest totals first.

    Raises:
        ValueError: if there is neither a clip nor a failure, or an entry has an unexpected shape.
    """
    if not clips and not options.get("failures"):
        raise ValueError("clips: expected at least one clip, found none")
    payload = report_payload(clips, **options)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_page(payload), encoding="utf-8")
    return path


def render_page(payload: Json) -> str:
    """The HTML text for a payload of ``report_payload``."""
    static = resources.files("mjxhuman.report") / "static"
    scripts = "\n".join((static / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    data = json.dumps(payload, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    page = (static / "page.html").read_text(encoding="utf-8")
    parts = {
        "TITLE": html.escape(payload["title"]),
        "STYLE": (static / "page.css").read_text(encoding="utf-8"),
        "SCRIPT": scripts,
        "DATA": data.replace("<", "\\u003c"),  # the data can hold no end tag
    }
    return re.sub(r"@(TITLE|STYLE|SCRIPT|DATA)@", lambda mark: parts[mark[1]], page)
