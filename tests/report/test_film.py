"""The video of a clip in the report: pictures, skeletons, and the page that shows them."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from films import write_film

from mjxhuman.data.keypoint_names import LAYOUTS
from mjxhuman.encoders.base import Encoding, Person
from mjxhuman.recovery.load import Recovered
from mjxhuman.report.film import MAX_PICTURES, FilmStrip, Layer, encode_jpeg, film_of, skeleton_edges
from mjxhuman.report.pack import decode_array, film_payload
from mjxhuman.report.page import write_report
from mjxhuman.types import Keypoints

pytest.importorskip("av", reason="the extra 'video' is not installed")


def decode_jpeg(data: bytes) -> np.ndarray:
    import av

    with av.open(io.BytesIO(data), format="mjpeg") as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def test_jpeg_holds_the_picture():
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32] = [200, 60, 30]
    image[24:] += 40
    back = decode_jpeg(encode_jpeg(image))
    assert back.shape == image.shape
    assert np.abs(back.astype(int) - image).mean() < 4


@pytest.mark.parametrize("layout", ["blazepose", "coco_17", "body_25", "body_25b"])
def test_edges_join_neighbouring_joints_of_one_side(layout):
    names = LAYOUTS[layout]
    edges = skeleton_edges(names)
    assert len(edges) >= 12
    for a, b, side in edges:
        sides = {names[k][0] for k in (a, b) if names[k] != "Nose"}
        assert sides <= {"L", "R"}
        assert (len(sides) == 1) == (side != "") or "Nose" in (names[a], names[b])


def recovered(path, frames: int, size=(96, 64)) -> Recovered:
    """A video of a moving square with keypoints at its corners, as found by some encoder at the file's rate."""
    names = LAYOUTS["coco_17"]
    uv = np.zeros((frames, 17, 2), np.float32)
    uv[..., 0] = 4 + 2 * np.arange(frames)[:, None] % (size[0] - 24)
    uv[..., 1] = 8
    confidence = np.ones((frames, 17), np.float32)
    confidence[0, 3] = 0.1
    keypoints = Keypoints(uv, confidence, names, 30.0, size)
    person = Person(np.zeros((frames, 4)), np.ones(frames, bool), keypoints)
    encoding = Encoding((person,), 30.0, frames, size, "test", np.arange(frames, dtype=float))
    return Recovered(None, encoding, person, None, None, path, True)


def test_pictures_and_points_belong_together(tmp_path):
    size = (960, 640)
    path = write_film(tmp_path / "a.mp4", np.arange(12) / 30, size=size)
    film = film_of(recovered(path, 12, size))
    assert (len(film.pictures), film.stride, film.size) == (12, 1, (480, 320))
    points = film.layers[0].points
    assert np.isnan(points[0, 3]).all() and not np.isnan(points[1:]).any()
    for k, data in enumerate(film.pictures):
        shown = decode_jpeg(data)
        assert shown.shape == (320, 480, 3)
        bright = shown[4:12].min(-1).mean(0) > 150
        assert abs(np.argmax(bright) - (points[k, 0, 0] + 0.5)) < 1.5


def test_long_videos_keep_every_kth_picture(tmp_path):
    frames = 2 * MAX_PICTURES + 10
    path = write_film(tmp_path / "a.mp4", np.arange(frames) / 30, keyframes=60)
    film = film_of(recovered(path, frames))
    assert film.stride == 3 and len(film.pictures) == -(-frames // 3)
    assert film.layers[0].points.shape == (frames, 17, 2)


def test_lost_pictures_are_shown_by_their_neighbours(tmp_path):
    path = write_film(tmp_path / "a.mp4", np.delete(np.arange(12), [4, 5]) / 30)
    found = recovered(path, 12)
    position = np.delete(np.arange(12.0), [4, 5])
    found = dataclasses.replace(found, encoding=dataclasses.replace(found.encoding, position=position))
    assert len(film_of(found).pictures) == 12


@pytest.fixture(scope="module")
def film() -> FilmStrip:
    pictures = []
    for k in range(20):
        image = np.full((60, 40, 3), 30, np.uint8)
        image[:, 2 * k : 2 * k + 2] = 255
        pictures.append(encode_jpeg(image))
    points = np.full((40, 17, 2), np.nan)
    points[:, 5:13] = np.random.default_rng(0).uniform(5, 35, (40, 8, 2))
    edges = skeleton_edges(LAYOUTS["coco_17"])
    return FilmStrip(
        tuple(pictures), 2, (40, 60), (Layer("seen by test", points, edges), Layer("fitted body", points + 3, edges))
    )


def test_payload_has_points_of_the_frames_that_are_played(film):
    payload = film_payload(film, 4)
    points = decode_array(payload["layers"][0]["points"])
    assert points.shape == (10, 17, 2)
    assert np.allclose(points[3, 5], film.layers[0].points[12, 5], atol=1e-2)
    assert np.isnan(points[:, 0]).all()
    assert len(payload["pictures"]) == 20


def wait_for_film(chrome) -> None:
    script = """new Promise((done, fail) => { const start = performance.now(); const look = () =>
      document.documentElement.dataset.film === 'drawn' ? done(1) :
      performance.now() - start > 20000 ? fail(new Error('no film')) : setTimeout(look, 50); look(); })"""
    chrome.js(script)


def pixels(chrome) -> np.ndarray:
    """(H, W, 3) of the film's canvas."""
    size = chrome.js("[document.getElementById('film').width, document.getElementById('film').height]")
    script = """(() => { const c = document.getElementById('film');
      return Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data); })()"""
    return np.array(chrome.js(script), np.uint8).reshape(size[1], size[0], 4)[..., :3]


def test_page_plays_the_video_beside_the_body(chrome, make_clip, film, tmp_path):
    clip = dataclasses.replace(make_clip("walk", frames=40), film=film)
    page = write_report(tmp_path / "a.html", [clip, make_clip("no video", frames=40, seed=1)], title="Film")
    chrome.size(1400, 900)
    chrome.open(page, "clip=0&frame=10")
    wait_for_film(chrome)
    assert chrome.errors == []
    assert [r for r in chrome.requests if not r.startswith(("file:", "data:"))] == []
    assert chrome.js("document.getElementById('filmbox').hidden") is False
    labels = chrome.js("document.getElementById('filmlegend').innerText")
    assert "seen by test" in labels and "fitted body" in labels
    with_lines = pixels(chrome)
    for box in ("0", "1"):
        chrome.js(f"document.querySelectorAll('#filmlegend input')[{box}].click()")
    bare = pixels(chrome)
    assert np.abs(with_lines.astype(int) - bare).mean() > 1.0
    stripe = bare.min(-1).mean(0)
    assert abs(np.argmax(stripe) / len(stripe) - (2 * 5 + 1) / 40) < 0.05  # frame 10 of 40 is picture 5 of 20
    chrome.js("document.querySelectorAll('tr[data-clip]')[1].click()")
    assert chrome.js("document.getElementById('filmbox').hidden") is True
