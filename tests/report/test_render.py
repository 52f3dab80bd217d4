"""Offscreen pictures and films."""

import os
import subprocess
import sys

import numpy as np
import pytest

from mjxhuman.report import render
from mjxhuman.scenes import HeightField

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def walk(make_clip):
    return make_clip(frames=12)


def body_pixels(image):
    """Pixels that are clearly coloured (the floor and the sky are grey)."""
    x = image.astype(int)
    return (x.max(-1) - x.min(-1)) > 45


def test_png_is_what_was_saved(tmp_path):
    import imageio.v3 as imageio

    image = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    path = render.save_png(tmp_path / "new" / "a.png", image)
    np.testing.assert_array_equal(imageio.imread(path), image)
    with pytest.raises(ValueError, match=r"expected \(H, W, 3\) uint8"):
        render.save_png(path, image.astype(float))


def test_frames_show_the_body(gl, walk, humanoid):
    frames = list(render.render_frames(humanoid, walk.motion.qpos[:2], (200, 160)))
    assert [f.shape for f in frames] == [(160, 200, 3)] * 2 and frames[0].dtype == np.uint8
    seen = body_pixels(frames[0])
    rows, columns = np.nonzero(seen)
    assert seen.mean() > 0.01
    assert rows.min() > 3 and rows.max() < 156 and columns.min() > 3 and columns.max() < 196, "the whole body is seen"
    assert np.ptp(rows) > 0.5 * 160, "and it fills the picture"


def test_camera_follows_and_sees_travel_from_the_side(gl, walk, humanoid):
    qpos = walk.motion.qpos.copy()
    qpos[:, 1] += np.linspace(0, 30, len(qpos))  # mostly along +y
    first, *_, last = render.render_frames(humanoid, qpos, (160, 160))
    for image in (first, last):
        columns = np.nonzero(body_pixels(image))[1]
        assert 40 < columns.mean() < 120
    cameras = list(render._camera(render._Body(humanoid), qpos, render.View(), 1.0))
    assert 180 <= cameras[0].azimuth % 360 <= 240, "the line of sight is across the path"


def test_a_surface_is_drawn_where_it_is(gl, walk, humanoid):
    qpos = np.asarray(walk.motion.qpos)[:1]
    floor, same, raised = (
        next(render.render_frames(humanoid, qpos, (160, 160), surface=surface))
        for surface in (None, flat(0.0, qpos), flat(0.5, qpos))
    )
    assert abs(int(body_pixels(same).sum()) - int(body_pixels(floor).sum())) < 0.05 * body_pixels(floor).sum()
    assert body_pixels(raised).sum() < 0.8 * body_pixels(floor).sum(), "feet and shanks are inside it"


def flat(height, qpos):
    """A level height field around a root."""
    return HeightField(np.full((2, 2), height), qpos[0, :2] - 2.0, np.float64(4.0))


def test_ghost_forces_contacts_and_labels_are_drawn(gl, walk, humanoid):
    qpos = walk.motion.qpos[:1]
    plain = next(render.render_frames(humanoid, qpos, (160, 160)))
    options = [
        {"ghost": qpos + np.eye(1, qpos.shape[1], 1) * 0.3},
        {"dynamics": walk.dynamics},
        {"contact_points": True},
        {"labels": ["0.00 s"]},
    ]
    for option in options:
        image = next(render.render_frames(humanoid, qpos, (160, 160), **option))
        assert (np.abs(image.astype(int) - plain).max(-1) > 40).sum() > 8, option.keys()


def test_contact_sheet_is_a_grid(gl, walk, humanoid, tmp_path):
    import imageio.v3 as imageio

    path = render.contact_sheet(humanoid, walk.motion.qpos, tmp_path / "s.png", 3, rows=2, size=(64, 80), fps=30.0)
    image = imageio.imread(path)
    assert image.shape == (160, 192, 3)
    short = render.contact_sheet(humanoid, walk.motion.qpos[:2], tmp_path / "t.png", 3, size=(64, 80))
    assert imageio.imread(short).shape == (80, 192, 3), "two frames make one row"


def test_film(gl, walk, humanoid, tmp_path):
    imageio = pytest.importorskip("imageio.v3")
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "a.mp4"
    render.save_video(path, render.render_frames(humanoid, walk.motion.qpos[:6], (96, 96)), 30.0)
    frames = imageio.imread(path, plugin="FFMPEG")
    assert frames.shape == (6, 96, 96, 3) and np.ptp(frames[0].astype(int)) > 60


def test_film_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mjxhuman\[video\]'"):
        render.save_video(tmp_path / "a.mp4", [], 30.0)
    assert not (tmp_path / "a.mp4").exists()


def test_wrong_shapes_are_named(humanoid):
    with pytest.raises(ValueError, match=r"qpos: expected shape \(T, 99\) with T >= 1, found \(3, 98\)"):
        next(render.render_frames(humanoid, np.zeros((3, 98))))
    with pytest.raises(ValueError, match="ghost: expected 3 frames"):
        next(render.render_frames(humanoid, np.zeros((3, 99)), ghost=np.zeros((2, 99))))


def test_no_opengl_says_what_to_install():
    code = (
        "from mjxhuman.report import render\ntry: render.Stage(32, 32)\nexcept render.NoOpenGL as error: print(error)\n"
    )
    environment = {**os.environ, "MUJOCO_GL": "disabled"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "apt-get install libegl1 libgl1-mesa-dri" in done.stdout
