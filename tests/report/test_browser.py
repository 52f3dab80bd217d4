"""The page in headless Chromium, from file://."""

import dataclasses
import io
import time

import numpy as np
import pytest
from chrome import CHROMIUM, Chrome

from mjxhuman.report import glossary
from mjxhuman.report.pack import ClipReport
from mjxhuman.report.page import write_report
from mjxhuman.report.viewer import write_playback
from mjxhuman.scenes import HeightField

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
]


@pytest.fixture(scope="module")
def report(make_clip, tmp_path_factory):
    clips = [
        make_clip("clean <b>walk</b>", seed=0),
        make_clip("damaged walk", seed=1, fps=60.0, notes=("Damaged copy: lifted.",)),
        make_clip("too short", frames=3, valid=False, dynamics=False),
        ClipReport("row only", make_clip(frames=8, seed=5).scores),
    ]
    path = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(path, clips, title="Test report", failures=[("bad.bvh", "line 3: no HIERARCHY")])


def open_page(chrome, path, anchor="", size=(1400, 900), scheme="light"):
    chrome.size(*size)
    chrome.scheme(scheme)
    chrome.open(path, anchor)
    assert chrome.errors == []
    assert chrome.js("document.documentElement.dataset.error ?? ''") == ""
    assert [r for r in chrome.requests if not r.startswith(("file:", "data:"))] == []


def picture(chrome, selector):
    """RGB pixels (H, W, 3) of an element, as shown."""
    import imageio.v3 as imageio

    box = chrome.js(f"(() => {{ const r = document.querySelector('{selector}').getBoundingClientRect();"
                    "return [r.left, r.top, r.right, r.bottom].map(Math.round) })()")  # fmt: skip
    image = imageio.imread(io.BytesIO(chrome.screenshot()))[..., :3]
    return image[box[1] : box[3], box[0] : box[2]]


def colours(image):
    return len(np.unique(image.reshape(-1, 3), axis=0))


def test_opens_without_errors_and_without_network(chrome, report):
    open_page(chrome, report)
    text = chrome.js("document.body.innerText")
    for words in ("Test report", "clean <b>walk</b>", "too short", "not scored", "bad.bvh", "Foot slip", "walk <1>.bvh",
                  "median 9 mm", "mystery number", "What the numbers mean", "moved by -12.0 mm"):  # fmt: skip
        assert words in text, words
    assert chrome.js("document.querySelectorAll('#summary tbody tr').length") == 4
    assert chrome.js("document.documentElement.dataset.renderer") == "webgl2"


def test_body_is_drawn_in_3d(chrome, report):
    open_page(chrome, report)
    image = picture(chrome, "#stage")
    assert image.shape[0] > 300 and colours(image) > 2000, "shading makes many colours"
    middle = image[image.shape[0] // 4 : -image.shape[0] // 4, image.shape[1] // 3 : -image.shape[1] // 3]
    assert np.ptp(middle.astype(int).sum(-1)) > 150
    chrome.js("document.querySelector('#viewbuttons button:nth-child(3)').click()")
    assert np.abs(picture(chrome, "#stage").astype(int) - image).mean() > 3, "the camera moved"


def test_stairs_are_drawn_where_they_are(chrome, make_clip, tmp_path):
    heights = 0.17 * np.repeat(np.arange(8.0), 8)[:, None] * np.ones(2)
    stairs = HeightField(heights, np.array([-1.0, -1.0]), np.float64(0.04))
    clips = [make_clip("level"), dataclasses.replace(make_clip("stairs"), surface=stairs)]
    page = write_report(tmp_path / "a.html", clips)
    for renderer in ("", "&nogl"):
        seen = []
        for clip in (0, 1):
            open_page(chrome, page, f"clip={clip}&frame=12{renderer}")
            seen.append(picture(chrome, "#stage").astype(int))
        assert np.abs(seen[1] - seen[0]).max(-1).mean() > 4, renderer


def test_playback_advances_and_stops(chrome, report):
    open_page(chrome, report, "clip=0&frame=0")
    frame = "Number(document.documentElement.dataset.frame)"
    assert chrome.js(frame) == 0
    chrome.js("document.getElementById('play').click()")
    seen, end = set(), time.monotonic() + 20.0
    while len(seen) <= 3 and time.monotonic() < end:
        time.sleep(0.05)
        seen.add(chrome.js(frame))
    assert len(seen) > 3
    chrome.js("document.getElementById('play').click()")
    stopped = chrome.js(frame)
    time.sleep(0.2)
    assert chrome.js(frame) == stopped
    assert chrome.errors == []


def test_scrubbing_and_worst_moments_seek(chrome, report):
    open_page(chrome, report, "clip=0")
    chrome.js("(() => { const s = document.getElementById('scrub'); s.value = 17; s.oninput({target: s}); })()")
    assert chrome.js("document.documentElement.dataset.frame") == "17"
    assert "frame 17" in chrome.js("document.getElementById('clock').textContent")
    moment = chrome.js("(() => { const b = document.querySelector('.moment'); b.click(); return b.innerText; })()")
    seconds = float(moment.split()[-2])
    assert int(chrome.js("document.documentElement.dataset.frame")) == round(seconds * 30)


def test_values_follow_the_frame(chrome, report, make_clip):
    open_page(chrome, report, "clip=0&frame=12")
    shown = chrome.js(
        "[...document.querySelectorAll('.strip')].filter(s => s.querySelector('.label')?.textContent === 'Foot slip')"
        ".map(s => s.querySelector('.value').textContent)[0]"
    )
    assert float(shown) == pytest.approx(make_clip(seed=0).scores.frames["foot_slip"][12], abs=0.006)
    knee = chrome.js(
        "(() => { const names = [...document.querySelectorAll('.heatlabels span')].map(s => s.textContent);"
        "const v = document.querySelectorAll('.heatvalues span')[names.indexOf('L Knee')];"
        "return [v.textContent, v.className] })()"
    )
    assert knee == ["150 %", "over"]


def test_sorting_by_total(chrome, report):
    open_page(chrome, report)
    totals = "[...document.querySelectorAll('#summary tbody tr')].map(r => r.querySelector('td')?.innerText.trim())"
    sort = "[...document.querySelectorAll('#summary thead button')][1].click()"
    chrome.js(sort)
    rising = chrome.js(totals)
    numbers = [float(x) for x in rising if not x.startswith("not")]
    assert numbers == sorted(numbers) and rising[-1].startswith("not scored"), "clips without a score come last"
    chrome.js(sort)
    falling = [float(x) for x in chrome.js(totals) if not x.startswith("not")]
    assert falling == numbers[::-1]
    assert chrome.js("document.querySelectorAll('#summary th[aria-sort=descending]').length") == 1


def test_compare_shows_a_ghost_and_what_changed(chrome, report):
    open_page(chrome, report, "clip=0&frame=5")
    alone = picture(chrome, "#stage")
    open_page(chrome, report, "clip=0&compare=1&frame=5")
    assert np.abs(picture(chrome, "#stage").astype(int) - alone).max() > 30
    rows = chrome.js(
        "[...document.querySelectorAll('#difference tbody tr')].map(r => r.innerText.split(/\\s*[\\t\\n]\\s*/))"
    )
    total = next(r for r in rows if r[0] == "Total")
    change = float(total[2]) - float(total[1])
    assert total[3].startswith("▲" if change > 0.005 else "▼" if change < -0.005 else "=")
    assert total[4] == ("better" if change > 0.005 else "worse" if change < -0.005 else "same")
    assert chrome.js("document.querySelectorAll('#charts path.ghost').length") > 10


def test_opens_on_the_first_scored_frame_of_the_worst_clip(chrome, report, make_clip, tmp_path):
    open_page(chrome, report)
    totals = [float(make_clip(seed=seed).scores.total) for seed in (0, 1)]
    assert chosen(chrome) == ["clean <b>walk</b>", "damaged walk"][int(np.argmin(totals))]
    assert chrome.js("document.documentElement.dataset.frame") == "1", "frame 0 has no score"
    order = [make_clip("best"), make_clip("worst", seed=1), make_clip("middle", seed=2)]
    clips = [
        ClipReport(clip.name, clip.scores.replace(total=np.float32(total)), clip.motion)
        for clip, total in zip(order, (0.9, 0.2, 0.5), strict=True)
    ]
    open_page(chrome, write_report(tmp_path / "a.html", clips))
    assert chosen(chrome) == "worst"
    open_page(chrome, write_report(tmp_path / "b.html", clips, compare=True))
    assert chosen(chrome) == "best", "a comparison goes from the first to the second"


def chosen(chrome):
    return chrome.js("document.querySelector('#summary tr.chosen .pick').innerText")


def test_keys_play_step_and_choose(chrome, report):
    open_page(chrome, report, "clip=0&frame=4")
    assert "space" in chrome.js("document.getElementById('keys').innerText")
    frame = "Number(document.documentElement.dataset.frame)"
    for key, shift, expected in (("ArrowRight", False, 5), ("ArrowRight", True, 15), ("ArrowLeft", False, 14)):
        chrome.key(key, shift=shift)
        assert chrome.js(frame) == expected
    chrome.js("document.getElementById('scrub').focus()")
    chrome.key("ArrowLeft", shift=True)
    assert chrome.js(frame) == 4, "the slider has the same keys"
    chrome.key("]")
    assert chosen(chrome) == "damaged walk"
    chrome.key("[")
    chrome.key("[")
    assert chosen(chrome) == "clean <b>walk</b>", "there is none before the first"
    chrome.js("document.querySelector('#summary .pick').focus()")
    chrome.key("ArrowDown")
    assert chosen(chrome) == "damaged walk"
    playing = "document.getElementById('play').textContent !== '▶'"
    chrome.js("document.activeElement.blur()")
    chrome.key(" ")
    assert chrome.js(playing)
    chrome.key(" ")
    assert not chrome.js(playing)


def test_less_than_a_millimetre_of_overlap_is_the_same(chrome, make_clip, tmp_path):
    def clip(name, overlap):
        base = make_clip(name)
        return ClipReport(name, base.scores.replace(terms={"self_penetration_m": np.float32(overlap)}), base.motion)

    verdict = (
        "[...document.querySelectorAll('#difference tbody tr')].find(r => r.innerText.startsWith('Overlap')).innerText"
    )
    for change, word in ((0.0009, "same"), (0.004, "worse")):
        page = write_report(tmp_path / "a.html", [clip("a", 0.002), clip("b", 0.002 + change)], compare=True)
        open_page(chrome, page)
        chrome.js("document.querySelectorAll('#difference details').forEach(d => { d.open = true; })")
        assert word in chrome.js(verdict) and "mm" in chrome.js(verdict)


def test_what_carries_the_body_is_said_in_words(chrome, make_clip, tmp_path):
    clip = make_clip("walk")
    force = np.zeros((40, 6))
    force[10:20, 2] = 0.5 * clip.motion.humanoid.weight
    force[20:30, 0] = 0.5 * clip.motion.humanoid.weight
    grf = np.array(clip.dynamics.grf)
    grf[30:] = 0
    page = write_report(
        tmp_path / "a.html", [dataclasses.replace(clip, dynamics=clip.dynamics.replace(residual=force, grf=grf))]
    )
    open_page(chrome, page)
    for frame, words in ((5, "Carried by the floor"), (15, "where there is no floor"), (25, "no push of the floor"),
                         (35, "falls freely: fine")):  # fmt: skip
        chrome.js(
            f"(() => {{ const s = document.getElementById('scrub'); s.value = {frame}; s.oninput({{target: s}}); }})()"
        )
        text = chrome.js("document.getElementById('reading').innerText")
        assert words in text
        assert ("Missing: 0.50 BW" in text) == (frame in (15, 25))
    shares = chrome.js("document.querySelector('.carrier .key').innerText")
    assert all(f"{name} 25 %" in shares for name in ("Carried by the floor", "In free fall", "Held where no floor is"))


def test_a_name_opens_its_meaning(chrome, report):
    open_page(chrome, report, "clip=0")
    shown = chrome.js(
        "(() => { const b = [...document.querySelectorAll('button.label')].find(b => b.textContent === 'Foot slip');"
        "b.click(); return [b.getAttribute('aria-expanded'), b.parentElement.querySelector('.meaning').innerText] })()"
    )
    assert shown == ["true", glossary.entry("foot_slip").sentence]


def test_a_clip_without_a_score_still_plays(chrome, report):
    open_page(chrome, report, "clip=2")
    assert "Not scored: 3 frames" in chrome.js("document.getElementById('clip').innerText")
    assert colours(picture(chrome, "#stage")) > 1000


def test_dark_scheme_changes_the_stage_too(chrome, report):
    open_page(chrome, report, scheme="light")
    light = picture(chrome, "#stage").mean()
    chrome.scheme("dark")
    time.sleep(0.2)
    assert picture(chrome, "#stage").mean() < light - 60
    assert chrome.errors == []


def test_without_webgl_a_wire_figure_and_a_notice(report):
    with Chrome("--disable-3d-apis") as browser:
        open_page(browser, report, "clip=0&compare=1")
        assert browser.js("document.documentElement.dataset.renderer") == "canvas2d"
        assert "WebGL2 is not available" in browser.js("document.getElementById('stagenotice').innerText")
        image = picture(browser, "#stage")
        assert colours(image) > 50
        browser.js("document.getElementById('play').click()")
        time.sleep(0.4)
        assert int(browser.js("document.documentElement.dataset.frame")) > 0
        assert browser.errors == []


def test_playback_page_plays_by_itself(chrome, make_clip, tmp_path):
    path = write_playback(tmp_path / "view.html", [("walk", make_clip().motion)])
    open_page(chrome, path)
    time.sleep(0.4)
    assert int(chrome.js("document.documentElement.dataset.frame")) > 0
    text = chrome.js("document.body.innerText")
    assert "not scored" not in text.lower() and "walk <1>.bvh" in text


def test_failures_alone_make_a_page(chrome, tmp_path):
    open_page(chrome, write_report(tmp_path / "a.html", [], failures=[("a.bvh", "is empty")]))
    assert "is empty" in chrome.js("document.body.innerText")


def test_one_frame_clip(chrome, make_clip, tmp_path):
    open_page(chrome, write_report(tmp_path / "a.html", [make_clip(frames=1)]))
    chrome.js("document.getElementById('play').click()")
    time.sleep(0.2)
    assert chrome.errors == []
