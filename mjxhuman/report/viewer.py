"""Looking at motions: the report page in the system's browser, or live with viser."""

from __future__ import annotations

import tempfile
import time
import webbrowser
from collections.abc import Sequence
from pathlib import Path

import mujoco
import numpy as np

from mjxhuman.report.film import FilmStrip
from mjxhuman.report.pack import ClipReport, drawable_geoms, geom_shape, side_of
from mjxhuman.report.page import write_report
from mjxhuman.report.render import COLOURS
from mjxhuman.runs import optional
from mjxhuman.types import Motion, Scores


def unscored(motion: Motion, why: str = "shown only, not scored") -> Scores:
    """Scores without numbers for a motion that is only looked at."""
    return Scores(np.float32(np.nan), {}, {}, {}, np.bool_(False), why, "", motion.humanoid.name)


def write_playback(
    path: str | Path,
    motions: Sequence[tuple[str, Motion]],
    *,
    films: Sequence[FilmStrip | None] | None = None,
    autoplay: bool = True,
) -> Path:
    """A page that plays motions, (name, motion) each, without scoring them; with the films they come from."""
    films = [None] * len(motions) if films is None else films
    clips = [
        ClipReport(name, unscored(motion), motion, film=film)
        for (name, motion), film in zip(motions, films, strict=True)
    ]
    title = motions[0][0] if len(motions) == 1 else f"{len(motions)} motions"
    return write_report(path, clips, title=title, autoplay=autoplay, max_details=len(clips))


def view(motion: Motion, name: str = "", *, path: str | Path | None = None, open_browser: bool = True) -> Path:
    """Write a motion's playback page and open it in the browser.

    Args:
        motion: unbatched.
        name: title; by default its file's name.
        path: the HTML file; by default one in the temporary folder.
        open_browser: False only writes the page.

    Returns:
        The HTML file.
    """
    name = name or Path(motion.provenance.path).name or "motion"
    if path is None:
        path = Path(tempfile.mkdtemp(prefix="mjxhuman-")) / "view.html"
    page = write_playback(path, [(name, motion)])
    if open_browser:
        webbrowser.open(page.resolve().as_uri())
    return page


def view_live(motion: Motion, *, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Play a motion in a viser server until interrupted.

    Raises:
        ModuleNotFoundError: the extra "view" is not installed; the message says how to.
    """
    viser = optional("viser", "view", "the live viewer")
    server = viser.ViserServer(host=host, port=port)
    server.scene.set_up_direction("+z")
    server.scene.add_grid("/floor", width=20.0, height=20.0, plane="xy", cell_size=0.25, section_size=1.0)
    frames = _add_body(server, motion)
    pos, quat = np.asarray(motion.body_pos), np.asarray(motion.body_quat)
    slider = server.gui.add_slider("Frame", 0, len(pos) - 1, 1, 0)
    speed = server.gui.add_slider("Speed", 0.1, 2.0, 0.1, 1.0)
    playing = server.gui.add_checkbox("Play", True)
    try:
        while True:
            t = int(slider.value)
            with server.atomic():
                for body, handle in frames.items():
                    handle.position, handle.wxyz = pos[t, body], quat[t, body]
            if playing.value:
                slider.value = (t + 1) % len(pos)
            time.sleep(motion.dt / float(speed.value))
    except KeyboardInterrupt:
        server.stop()


def _add_body(server, motion: Motion) -> dict:
    """A frame per body with its shapes as triangle meshes."""
    import trimesh

    humanoid, model = motion.humanoid, motion.humanoid.model
    frames = {}
    for geom in drawable_geoms(model):
        body = int(model.geom_bodyid[geom])
        if body not in frames:
            frames[body] = server.scene.add_frame(f"/body/{body}", show_axes=False)
        kind, size, pos, quat = geom_shape(model, geom)
        if kind == "box":
            mesh = trimesh.creation.box(2 * size)
        elif kind == "capsule":
            mesh = trimesh.creation.capsule(height=2 * size[1], radius=size[0])
        elif kind == "cylinder":
            mesh = trimesh.creation.cylinder(radius=size[0], height=2 * size[1])
        else:
            mesh = trimesh.creation.icosphere(subdivisions=3)
            mesh.apply_scale(np.full(3, size[0]) if kind == "sphere" else size)
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, quat)
        transform = np.eye(4)
        transform[:3, :3], transform[:3, 3] = rotation.reshape(3, 3), pos
        mesh.apply_transform(transform)
        colour = tuple(int(255 * c) for c in COLOURS[side_of(humanoid.body_names[body])])
        server.scene.add_mesh_simple(f"/body/{body}/{geom}", mesh.vertices, mesh.faces, color=colour)
    return frames
