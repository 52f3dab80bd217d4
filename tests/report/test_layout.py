"""Where things lie on the page: measured in headless Chromium at the widths of a desk, a tablet and a phone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from test_film import pixels, wait_for_film

from mjxhuman.data.keypoint_names import LAYOUTS
from mjxhuman.report.film import FilmStrip, Layer, encode_jpeg, skeleton_edges
from mjxhuman.report.page import write_report
from mjxhuman.report.viewer import write_playback

pytestmark = pytest.mark.compiled

SIZES = {1400: 900, 760: 1000, 420: 840, 390: 844}

#: Children of one parent that lie on each other; what lies on purpose over a canvas is positioned and left out.
OVERLAPS = """(() => {
  const shown = (e) => { const r = e.getBoundingClientRect(); const s = getComputedStyle(e);
    return r.width > 1 && r.height > 1 && !["absolute", "fixed"].includes(s.position) && s.display !== "inline"; };
  const flat = (e) => [...e.children].flatMap((c) => getComputedStyle(c).display === "contents" ? flat(c) : [c]);
  const found = [];
  for (const parent of document.querySelectorAll("body, body *")) {
    if (parent.closest("svg, thead")) continue;
    // one rectangle per column where an element is broken over columns
    const boxes = flat(parent).filter(shown).flatMap((e) => [...e.getClientRects()].map((r) => [e, r]));
    boxes.forEach(([e, a], i) => boxes.slice(i + 1).forEach(([f, b]) => {
      const x = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (e !== f && x > 1.5 && y > 1.5) found.push(e.outerHTML.slice(0, 80) + " / " + f.outerHTML.slice(0, 80));
    }));
  }
  return found; })()"""

#: Headings of the list of clips that are broken inside a word or wider than their cell.
BROKEN = """[...document.querySelectorAll("#summary thead th.axis button")].filter((b) => {
  const range = document.createRange();
  range.selectNodeContents(b);
  const cell = b.closest("th").getBoundingClientRect();
  const box = range.getBoundingClientRect();
  return box.height > 18 || box.left < cell.left - 1;
}).map((b) => b.innerText)"""

#: Elements whose text is wider or higher than they are, or that leave the window.
CUT = """(() => {
  const words = "h1,h2,h3,p,dt,dd,td,th,button,kbd,label,output,figcaption,small," +
    ".value,.label,.key > *,.heatlabels *,.heatvalues *";
  return [...document.querySelectorAll(words)].filter((e) => e.offsetParent && !e.closest("thead")).filter((e) => {
    const r = e.getBoundingClientRect();
    const scroller = e.closest(".scroll");
    const inline = getComputedStyle(e).display === "inline";
    const edge = scroller && scroller.scrollWidth > scroller.clientWidth ? Infinity : innerWidth;
    const spills = e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 2;
    return r.right > edge + 1 || r.left < -1 || (!inline && spills);
  }).map((e) => e.outerHTML.slice(0, 120)); })()"""

LABELS_ON_PLOTS = """[...document.querySelectorAll(".strip")].filter((s) => {
  const value = s.querySelector(".value, .heatvalues"), range = document.createRange();
  range.selectNodeContents(value);
  return range.getBoundingClientRect().right > s.querySelector(".plot").getBoundingClientRect().left + 0.5;
}).map((s) => s.innerText)"""


def film_strip(shape: tuple[int, int]) -> tuple[FilmStrip, tuple[int, int, int, int]]:
    """A film whose person is a bright box, all joints inside it, and that box (left, top, right, bottom) in px."""
    width, height = shape
    box = (width // 4, height // 8, width // 4 + width // 5, 7 * height // 8)
    image = np.full((height, width, 3), 20, np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 90
    rng = np.random.default_rng(0)
    points = rng.uniform((box[0] + 3, box[1] + 3), (box[2] - 4, box[3] - 4), (40, 17, 2))
    edges = skeleton_edges(LAYOUTS["coco_17"])
    layers = (Layer("seen by test", points, edges), Layer("fitted body", points, edges))
    return FilmStrip((encode_jpeg(image),) * 20, 2, shape, layers), box


@pytest.fixture(scope="module")
def pages(make_clip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("layout")
    clips = [
        make_clip("clean walk", notes=("Total 0.55: lower than 88 % of clean motion capture.",)),
        make_clip("a_rather_long_name_of_a_damaged_walk.bvh", seed=1, notes=("Damaged copy: lifted by 10 cm.",)),
        make_clip("too short", frames=3, valid=False, dynamics=False),
    ]
    failures = [("some/folder/bad.bvh", "line 3: no HIERARCHY")]
    pages = {
        "scores": write_report(
            folder / "scores.html", clips, title="A walk and damaged copies of it", failures=failures
        ),
        "compare": write_report(folder / "compare.html", clips, title="Before and after", compare=True),
    }
    for name, shape in (("portrait", (108, 192)), ("landscape", (192, 108))):
        film, _ = film_strip(shape)
        pages[name] = write_report(folder / f"{name}.html", [dataclasses.replace(clips[0], film=film)], title=name)
    pages["view"] = write_playback(folder / "view.html", [("walk", clips[0].motion)], autoplay=False)
    return pages


def show(chrome, page, width):
    chrome.size(width, SIZES[width])
    chrome.scheme("light")
    chrome.open(page)
    assert chrome.errors == []


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("name", ["scores", "compare", "portrait", "landscape", "view"])
def test_nothing_overlaps_and_nothing_is_cut(chrome, pages, name, width):
    show(chrome, pages[name], width)
    chrome.js("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert chrome.js("document.documentElement.scrollWidth") == width
    assert chrome.js(OVERLAPS) == []
    assert chrome.js(CUT) == []
    assert chrome.js(LABELS_ON_PLOTS) == []
    assert chrome.js(BROKEN) == []
    hidden = "[...document.querySelectorAll('#summary .scroll')].map(e => e.scrollWidth - e.clientWidth)"
    assert max(chrome.js(hidden), default=0) <= 1, "the list of clips shows all its columns"
    stage = chrome.js("(() => { const r = document.getElementById('stage').getBoundingClientRect();"
                      "return [r.top, r.bottom, r.width] })()")  # fmt: skip
    assert stage[0] > 0 and stage[1] <= SIZES[width], "the body is above the fold"
    assert stage[2] >= 150


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("shape", [(108, 192), (192, 108), (100, 100)])
def test_film_keeps_its_proportions_and_the_skeleton_lies_on_the_person(chrome, make_clip, tmp_path, shape, width):
    film, box = film_strip(shape)
    clip = dataclasses.replace(make_clip(), film=film)
    show(chrome, write_report(tmp_path / "a.html", [clip]), width)
    wait_for_film(chrome)
    rect = chrome.js("(() => { const r = document.getElementById('film').getBoundingClientRect();"
                     "return [r.left, r.top, r.right, r.bottom] })()")  # fmt: skip
    assert (rect[2] - rect[0]) / (rect[3] - rect[1]) == pytest.approx(shape[0] / shape[1], rel=0.02)
    assert rect[0] >= 0 and rect[2] <= width and rect[3] <= SIZES[width]
    drawn = pixels(chrome).astype(int)
    for k in (0, 1):
        chrome.js(f"document.querySelectorAll('#filmlegend input')[{k}].click()")
    bare = pixels(chrome).astype(int)
    person = np.abs(bare.mean(-1) - 90) < 35
    rows, columns = np.flatnonzero(person.mean(1) > 0.05), np.flatnonzero(person.mean(0) > 0.05)
    seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / np.tile(drawn.shape[1::-1], 2)
    np.testing.assert_allclose(seen, np.array(box) / np.tile(shape, 2), atol=0.015)
    lines = np.argwhere(np.abs(drawn - bare).sum(-1) > 60)
    assert len(lines) > 100
    assert person[lines[:, 0], lines[:, 1]].mean() > 0.98, "all lines are between joints of the person"
