"""Furniture in the page: what it carries, where it goes, and words that name it."""

import dataclasses

import numpy as np
import pytest
from chrome import CHROMIUM
from test_browser import open_page

from mjxhuman.report.page import report_payload, write_report
from mjxhuman.scenes.furniture.make import make_furniture

pytestmark = pytest.mark.compiled


@pytest.fixture
def pushed(make_clip):
    """A clip beside a stool that is pushed 8 cm along x."""
    clip, stool = make_clip("pushed"), make_furniture("stool", 1)
    poses = np.tile(stool.poses, (clip.motion.num_frames, 1, 1))
    poses[:, 0, 0] = np.linspace(0.0, 0.08, len(poses))
    return dataclasses.replace(clip, scene=stool, object_poses=poses)


def test_words_name_furniture_only_where_there_is_some(make_clip, pushed):
    alone, beside = (report_payload([clip])["carriers"] for clip in (make_clip("alone"), pushed))
    assert alone[0]["label"] == "Carried by the floor" and beside[0]["label"] == "Carried by floor or furniture"
    assert [row["name"] for row in alone] == [row["name"] for row in beside]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH")
@pytest.mark.parametrize("width", [400, 760, 1200])
def test_furniture_that_moves_is_charted_and_the_page_fits(chrome, pushed, make_clip, tmp_path, width):
    still = dataclasses.replace(make_clip("still"), scene=pushed.scene)
    page = write_report(tmp_path / "a.html", [pushed, still], title="stool:1: type 4, holds")
    open_page(chrome, page, f"clip=0&frame={pushed.motion.num_frames - 1}", size=(width, 900))
    text = chrome.js("document.getElementById('clip').innerText")
    assert "Forces from floor and furniture" in text and "force of floor and furniture" in text
    rows = chrome.js("[...document.querySelectorAll('.strip')].map(s => s.innerText.replace(/\\n/g, ' '))")
    assert any(row.startswith("stool:1 moved") and "80 mm" in row for row in rows), rows
    assert any(row.startswith("stool:1 leans") and "0.00 deg" in row for row in rows)
    assert chrome.js("document.documentElement.scrollWidth") <= width
    open_page(chrome, page, "clip=1", size=(width, 900))
    assert "moved" not in chrome.js("document.getElementById('charts').innerText")
