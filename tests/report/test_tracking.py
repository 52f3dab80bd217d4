"""The table of tracked clips, and pictures of two bodies."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.report.render import GHOST, render_frames
from mjxhuman.report.tracking import draw_tracking, tracking_table, verdict
from mjxhuman.tracking.evaluate import ClipResult, Tracked

GOOD = ClipResult(
    "mocap/walk.amc", 100, 30.0, None,
    41.2, 22.3, 18.0, 3.1, 1.4, 20.5, 301.0, 15.5, 702.0, 0.001, 0.05, 0.31, 0.95, 0.9,
)  # fmt: skip
BAD = dataclasses.replace(GOOD, name="mocap/" + "very_" * 30 + "long.amc", failed_frame=57, score=None)


def test_table():
    text = tracking_table([GOOD, BAD], width=120)
    head, good, bad, together, *legend = text.splitlines()
    assert "global mm" in head and "41.2" in good and "tracked" in good and "0.950" in good and "31 %" in good
    assert "lost at 1.90 s" in bad and "long.amc" in bad and "–" in bad and "…" in bad
    assert together.startswith("all") and "1 of 2" in together
    assert all(len(line) <= 120 for line in text.splitlines()) and len(legend) == 2
    columns = {line.rindex(end) for line, end in ((head, "mocap"), (good, "0.900"), (bad, "0.900"))}
    assert len(columns) == 1
    assert tracking_table([]) == "no clips"
    assert "\x1b[31mlost" in tracking_table([GOOD, BAD], colour=True)


def test_verdict():
    assert (verdict(GOOD), verdict(BAD)) == ("tracked", "lost at 1.90 s")


def two_bodies(humanoid) -> Tracked:
    rest = np.tile(np.asarray(humanoid.model.qpos0), (6, 1))
    lower = rest.copy()
    lower[:, 2] -= 0.3
    motions = [motion_from_qpos(humanoid, q, 30.0) for q in (rest, lower)]
    return Tracked(dataclasses.replace(GOOD, frames=6, failed_frame=3), *motions)


def test_the_ghost_stands_to_the_left(humanoid, gl):
    rest = np.tile(np.asarray(humanoid.model.qpos0), (1, 1))
    image = next(render_frames(humanoid, rest, (480, 360), ghost=rest, beside=1.0)).astype(float)
    alone = next(render_frames(humanoid, rest, (480, 360), ghost=rest)).astype(float)
    green = np.argwhere(image[..., 1] - image[..., 0] > 25)  # of all colours only the ghost's has more green than red
    assert GHOST[1] > GHOST[0] and len(green) > 2000
    assert green[:, 1].max() < 250 < 480
    assert len(np.argwhere(alone[..., 1] - alone[..., 0] > 25)) < len(green)


def test_sheet(humanoid, gl, tmp_path):
    path = draw_tracking(tmp_path / "sheet.png", two_bodies(humanoid), size=(96, 96), columns=3, rows=2)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with pytest.raises(ValueError, match=r"\.png or \.mp4, found '\.gif'"):
        draw_tracking(tmp_path / "sheet.gif", two_bodies(humanoid))
