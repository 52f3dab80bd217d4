"""Pictures and films of a body with MuJoCo's offscreen renderer.

The body is drawn on a stage of its own (floor, light, sky), so that every model looks alike. Side colours: left violet,
right gold.
"""

from __future__ import annotations

import dataclasses
import math
import os
import struct
import sys
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.report.pack import drawable_geoms, geom_shape, ground_grid, side_of
from mjxhuman.runs import optional
from mjxhuman.scenes.surface import Surface, measure
from mjxhuman.scenes.types import Mesh, Scene
from mjxhuman.types import Dynamics

#: RGB of left and right parts, of the others and of the ghost.
COLOURS = {"left": (0.70, 0.61, 0.88), "right": (0.90, 0.77, 0.46), "": (0.80, 0.82, 0.85)}
GHOST = (0.25, 0.60, 0.56)
#: RGBA of objects by their place in a scene.
WOOD = ((0.76, 0.60, 0.42, 1.0), (0.55, 0.62, 0.52, 1.0), (0.62, 0.52, 0.60, 1.0))
ARROWS = {"left": (0.42, 0.24, 0.72), "right": (0.72, 0.50, 0.0), "": (0.35, 0.38, 0.42)}
#: m of arrow per body weight of force.
FORCE_SCALE = 0.7
#: Degrees, vertical.
FIELD_OF_VIEW = 34.0
#: Pictures of fewer pixels are drawn twice as large and averaged: limbs are a few pixels wide in a sheet.
_SMALL = 500 * 500
#: Pictures that are at least so high get larger letters, px.
_HIGH = 600

#: A surface is drawn on a grid of at most so many nodes a side.
_GROUND_NODES = 400

_STAGE = """
<mujoco>
  <visual>
    <global fovy="{fov}" offwidth="{width}" offheight="{height}"/>
    <headlight ambient=".46 .46 .46" diffuse=".34 .34 .34" specular="0 0 0"/>
    <quality shadowsize="2048" offsamples="4"/>
    <map znear="0.05" zfar="25" fogstart="6" fogend="18" shadowclip="2.5"/>
    <rgba fog=".91 .92 .93 1" haze=".91 .92 .93 1"/>
  </visual>
  <statistic extent="1" center="0 0 1"/>
  <asset>
    <texture type="skybox" builtin="gradient" rgb1=".95 .96 .97" rgb2=".80 .84 .88" width="256" height="256"/>
    <texture name="floor" type="2d" builtin="checker" rgb1=".87 .88 .89" rgb2=".81 .83 .85" width="512" height="512"
             mark="edge" markrgb=".70 .73 .76"/>
    <material name="floor" texture="floor" texrepeat=".5 .5" texuniform="true" reflectance="0" specular="0"/>
    {heights}
  </asset>
  <worldbody>
    <light directional="true" pos="1 -2 5" dir="-.3 .35 -1" diffuse=".38 .38 .38" specular=".12 .12 .12"/>
    {ground}
  </worldbody>
</mujoco>
"""


class NoOpenGL(OSError):
    """There is no way to render offscreen on this machine; the message says what to install."""


@dataclasses.dataclass(frozen=True)
class View:
    """Where the camera stands: ``azimuth`` of its line of sight (degrees, 90 looks along +y), ``elevation`` (negative
    looks down), ``distance`` in statures (None: as near as the motion allows), ``follow`` the pelvis, whose path is
    smoothed over ``smoothing`` frames at most."""

    azimuth: float | None = None
    elevation: float = -9.0
    distance: float | None = None
    follow: bool = True
    smoothing: int = 15


def _gl_context(width: int, height: int) -> Any:
    """An offscreen OpenGL context: what MUJOCO_GL names, else EGL, else MuJoCo's default."""
    chosen = os.environ.get("MUJOCO_GL", "")
    errors = []
    for name in (chosen,) if chosen or not sys.platform.startswith("linux") else ("egl", ""):
        try:
            if name == "egl":
                from mujoco.egl import GLContext
            else:
                from mujoco.gl_context import GLContext
            context = GLContext(width, height)
            context.make_current()
            # glfw without a display only warns: a context that cannot be used is found by using it
            mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), mujoco.mjtFontScale.mjFONTSCALE_100.value)
            return context
        except Exception as error:  # each backend fails in its own way
            errors.append(f"{name or 'default'}: {type(error).__name__}: {error}")
    raise NoOpenGL(
        "MuJoCo cannot render offscreen here. On Debian or Ubuntu: apt-get install libegl1 libgl1-mesa-dri, then set "
        f"MUJOCO_GL=egl. Tried: {'; '.join(errors)}"
    )


class Stage:
    """An offscreen window with floor and light. Use as a context manager.

    ``ground`` is what ``report.pack.ground_grid`` says of a surface; None for the floor. ``furniture`` stands on it:
    meshes, each with its pose (7,) in m and wxyz and its colour (4,).
    """

    def __init__(
        self,
        width: int,
        height: int,
        ground: tuple[np.ndarray, float, np.ndarray] | None = None,
        furniture: Sequence[tuple[Mesh, np.ndarray, Sequence[float]]] = (),
    ) -> None:
        self._scale = 2 if width * height < _SMALL else 1
        letters = 150 if height >= _HIGH else 100 * self._scale
        width, height = self._scale * width, self._scale * height
        words, data = _ground(ground)
        xml = _STAGE.format(width=width, height=height, fov=FIELD_OF_VIEW, **words)
        self._gl = _gl_context(width, height)
        spec = mujoco.MjSpec.from_string(xml)
        self._stage_geoms = len(spec.geoms)
        for number, piece in enumerate(furniture):
            _furnish(spec, f"furniture{number}", *piece)
        self._model = spec.compile()
        self._model.hfield_data[:] = data
        self._data = mujoco.MjData(self._model)
        mujoco.mj_forward(self._model, self._data)
        self._scene = mujoco.MjvScene(self._model, maxgeom=2000)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_FOG] = True
        self._context = mujoco.MjrContext(self._model, getattr(mujoco.mjtFontScale, f"mjFONTSCALE_{letters}").value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._rect = mujoco.MjrRect(0, 0, width, height)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the window."""
        self._context.free()
        self._gl.free()

    def place(self, poses: np.ndarray) -> None:
        """Move the furniture to poses (O, 7), m and wxyz."""
        self._data.mocap_pos[:], self._data.mocap_quat[:] = poses[:, :3], poses[:, 3:]
        mujoco.mj_kinematics(self._model, self._data)

    def begin(self, camera: mujoco.MjvCamera) -> None:
        """Start a picture: an empty stage seen by ``camera``."""
        mujoco.mjv_updateScene(
            self._model, self._data, mujoco.MjvOption(), None, camera, mujoco.mjtCatBit.mjCAT_ALL.value, self._scene
        )
        for i in range(self._scene.ngeom):  # decoration casts no shadow: the floor would cast one on itself
            stands = self._scene.geoms[i].objid >= self._stage_geoms
            category = mujoco.mjtCatBit.mjCAT_DYNAMIC if stands else mujoco.mjtCatBit.mjCAT_DECOR
            self._scene.geoms[i].category = category.value
        for i in range(self._scene.nlight):  # the shadow map covers a few metres around the light's axis
            light = self._scene.lights[i]
            if not light.headlight:
                light.pos = camera.lookat - 4.0 * np.asarray(light.dir, float)

    def _new_geom(self) -> mujoco.MjvGeom:
        if self._scene.ngeom >= self._scene.maxgeom:
            raise ValueError(f"stage: expected at most {self._scene.maxgeom} shapes in one picture")
        self._scene.ngeom += 1
        return self._scene.geoms[self._scene.ngeom - 1]

    def add(self, kind: str, size: np.ndarray, pos: np.ndarray, mat: np.ndarray, rgba: Sequence[float]) -> None:
        """Add a shape: MuJoCo geom type name, size (3,), centre (3,) m, rotation (3, 3)."""
        geom = self._new_geom()
        kind_id = getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}").value
        mujoco.mjv_initGeom(geom, kind_id, size, pos, np.asarray(mat, float).ravel(), np.array(rgba, np.float32))
        geom.category = mujoco.mjtCatBit.mjCAT_DYNAMIC.value
        geom.specular, geom.shininess = 0.25, 0.4

    def add_arrow(self, start: np.ndarray, end: np.ndarray, rgba: Sequence[float], width: float = 0.013) -> None:
        """Add an arrow between two points in m."""
        geom = self._new_geom()
        kind = mujoco.mjtGeom.mjGEOM_ARROW.value
        mujoco.mjv_initGeom(geom, kind, np.zeros(3), np.zeros(3), np.eye(3).ravel(), np.array(rgba, np.float32))
        mujoco.mjv_connector(geom, kind, width, np.asarray(start, float), np.asarray(end, float))

    def finish(self, label: str = "") -> np.ndarray:
        """The picture (height, width, 3) uint8, with an optional text in its upper left corner."""
        mujoco.mjr_render(self._rect, self._scene, self._context)
        if label:
            font, corner = mujoco.mjtFont.mjFONT_NORMAL.value, mujoco.mjtGridPos.mjGRID_TOPLEFT.value
            mujoco.mjr_overlay(font, corner, self._rect, label, "", self._context)
        image = np.empty((self._rect.height, self._rect.width, 3), np.uint8)
        mujoco.mjr_readPixels(image, None, self._rect, self._context)
        s, (height, width, _) = self._scale, image.shape
        return image[::-1].reshape(height // s, s, width // s, s, 3).mean((1, 3)).round().astype(np.uint8)


def _ground(grid: tuple[np.ndarray, float, np.ndarray] | None) -> tuple[dict[str, str], np.ndarray]:
    """The stage's ground in MuJoCo's words, and the data of its height field, rows along y, 0..1."""
    if grid is None:
        return {"heights": "", "ground": '<geom type="plane" size="0 0 1" material="floor"/>'}, np.zeros(0)
    origin, step, heights = grid
    low = np.nanmin(heights, initial=np.inf)
    low = low if np.isfinite(low) else 0.0
    above = np.nan_to_num(heights - low).T
    span = max(float(above.max()), 1e-3)
    rows, columns = above.shape
    half = np.array([columns - 1, rows - 1]) * step / 2
    field = f'<hfield name="ground" nrow="{rows}" ncol="{columns}" size="{half[0]} {half[1]} {span} 0.1"/>'
    x, y = origin + half
    geom = f'<geom type="hfield" hfield="ground" pos="{x} {y} {low}" material="floor"/>'
    return {"heights": field, "ground": geom}, (above / span).ravel()


def _furnish(spec: mujoco.MjSpec, name: str, mesh: Mesh, pose: np.ndarray, rgba: Sequence[float]) -> None:
    spec.add_mesh(
        name=name,
        uservert=np.asarray(mesh.vertices, float).ravel(),
        userface=np.asarray(mesh.faces).ravel(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,  # the others refuse meshes that enclose nothing
    )
    body = spec.worldbody.add_body(name=name, mocap=True, pos=pose[:3], quat=pose[3:])
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, rgba=rgba, contype=0, conaffinity=0)


class _Body:
    """Draws a humanoid's shapes at the pose of its data."""

    def __init__(self, humanoid: Humanoid) -> None:
        self.humanoid, self.model = humanoid, humanoid.model
        self.data = mujoco.MjData(self.model)
        self.geoms = [(g, *geom_shape(self.model, g)) for g in drawable_geoms(self.model)]

    def pose(self, qpos: np.ndarray) -> None:
        self.data.qpos[:] = qpos
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)

    def draw(self, stage: Stage, colour: tuple[float, ...] | None = None, alpha: float = 1.0) -> None:
        for geom, kind, size, pos, quat in self.geoms:
            body = int(self.model.geom_bodyid[geom])
            rgb = colour or COLOURS[side_of(self.humanoid.body_names[body])]
            rotation, turn = np.zeros(9), np.zeros(4)
            mujoco.mju_mulQuat(turn, self.data.xquat[body], quat)
            mujoco.mju_quat2Mat(rotation, turn)
            centre = self.data.xpos[body] + self.data.xmat[body].reshape(3, 3) @ pos
            stage.add(kind, size, centre, rotation, (*rgb, alpha))


def _facing(body: _Body, qpos: np.ndarray) -> float:
    """Direction of travel in rad: of the net path where it is longer than 0.4 m, else of the hips at the start."""
    path = qpos[-1, :2] - qpos[0, :2]
    if np.linalg.norm(path) > 0.4:
        return math.atan2(path[1], path[0])
    body.pose(qpos[0])
    names = body.humanoid.body_names
    if "L_Hip" not in names or "R_Hip" not in names:
        return 0.0
    across = body.data.xpos[names.index("L_Hip")] - body.data.xpos[names.index("R_Hip")]
    return math.atan2(-across[0], across[1])


def _azimuth(body: _Body, qpos: np.ndarray, view: View) -> float:
    """Degrees; by default from the right of the path and a little ahead of it: travel goes from left to right."""
    return math.degrees(_facing(body, qpos)) + 120.0 if view.azimuth is None else view.azimuth


def _camera(
    body: _Body, qpos: np.ndarray, view: View, aspect: float, beside: float = 0.0
) -> Iterator[mujoco.MjvCamera]:
    """A camera per frame that sees the whole body and ``beside`` m more; it follows the smoothed path of the pelvis."""
    stature = body.humanoid.stature
    path = qpos[:, :3].astype(float)
    if view.follow:
        width = max(1, min(view.smoothing, len(path) // 4))
        kernel = np.hanning(width + 2)[1:-1]
        ends = ((width // 2, width - 1 - width // 2), (0, 0))
        padded = np.pad(path, ends, mode="reflect", reflect_type="odd")  # goes on as it came
        target = np.stack([np.convolve(padded[:, i], kernel / kernel.sum(), "valid") for i in range(3)], axis=1)
    else:
        target = np.repeat((path.min(0) + path.max(0))[None] / 2, len(path), axis=0)
    target[:, 2] = np.clip(target[:, 2], 0.35 * stature, None) - 0.05 * stature
    reach = 0.62 * stature + (0.0 if view.follow else np.linalg.norm(np.ptp(path[:, :2], axis=0)) / 2)
    reach = max(reach / min(1.0, aspect), (0.45 * stature + 0.5 * beside) / aspect if beside else 0.0)
    distance = view.distance * stature if view.distance else reach / math.tan(math.radians(FIELD_OF_VIEW / 2))
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FREE.value
    camera.azimuth = _azimuth(body, qpos, view)
    camera.elevation, camera.distance = view.elevation, distance
    for point in target:
        camera.lookat[:] = point
        yield camera


def render_frames(
    humanoid: Humanoid,
    qpos: np.ndarray,
    size: tuple[int, int] = (960, 720),
    *,
    view: View = View(),
    ghost: np.ndarray | None = None,
    beside: float = 0.0,
    dynamics: Dynamics | None = None,
    contact_points: bool = False,
    labels: Sequence[str] | None = None,
    surface: Surface | None = None,
    scene: Scene | None = None,
    object_poses: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Pictures of a motion, one per frame.

    Args:
        humanoid: the body.
        qpos: coordinates (T, nq).
        size: width and height in pixels.
        view: where the camera stands; by default it follows the pelvis from the right of the direction of travel.
        ghost: coordinates (T, nq) of a second body, drawn transparent, in its place.
        beside: m by which the ghost is moved to the left of the picture, to be seen beside the body.
        dynamics: draw its ground reaction forces as arrows, 0.7 m for one body weight.
        contact_points: draw the humanoid's contact points.
        labels: a text per frame, drawn in the upper left corner.
        surface: what the body moves on (see ``mjxhuman.scenes``); default the floor z = 0.
        scene: furniture around it, whose floor is then the ``surface``.
        object_poses: where the furniture is in each frame, (T, O, 7) m and wxyz; default where the scene has it.

    Yields:
        (height, width, 3) uint8.

    Raises:
        ValueError: shapes that do not fit the humanoid or each other.
        NoOpenGL: MuJoCo cannot render offscreen here.
    """
    qpos = _checked(humanoid, qpos, "qpos")
    if ghost is not None:
        ghost = _checked(humanoid, ghost, "ghost")
        if len(ghost) != len(qpos):
            raise ValueError(f"ghost: expected {len(qpos)} frames as in qpos, found {len(ghost)}")
    surface = scene.floor if scene is not None else surface
    furniture = (
        []
        if scene is None
        else [(o.mesh, p, WOOD[i % len(WOOD)]) for i, (o, p) in enumerate(zip(scene.objects, scene.poses, strict=True))]
    )
    if object_poses is not None and np.shape(object_poses) != (len(qpos), len(furniture), 7):
        raise ValueError(f"object_poses: expected {(len(qpos), len(furniture), 7)}, found {np.shape(object_poses)}")
    body, seen = _Body(humanoid), qpos
    if ghost is not None and beside:
        azimuth = math.radians(_azimuth(body, qpos, view))
        shift = np.zeros(humanoid.nq)
        shift[:2] = -beside * math.sin(azimuth), beside * math.cos(azimuth)
        ghost, seen = ghost + shift, qpos + 0.5 * shift
        seen[:, 2] = np.maximum(qpos[:, 2], ghost[:, 2])  # both heads, even where one lies on the floor
    else:
        beside = 0.0
    with Stage(*size, _grid(body, surface, seen), furniture) as stage:
        for t, camera in enumerate(_camera(body, seen, view, size[0] / size[1], beside)):
            if object_poses is not None:
                stage.place(np.asarray(object_poses)[t])
            stage.begin(camera)
            body.pose(qpos[t])
            body.draw(stage, alpha=1.0 if dynamics is None else 0.6)  # arrows start inside the feet
            if contact_points and humanoid.contacts is not None:
                _draw_contacts(stage, body, surface)
            if dynamics is not None:
                _draw_forces(stage, humanoid, dynamics, t)
            if ghost is not None:
                body.pose(ghost[t])
                body.draw(stage, GHOST, 0.35)
            yield stage.finish(labels[t] if labels else "")


def _grid(body: _Body, surface: Surface | None, qpos: np.ndarray) -> tuple[np.ndarray, float, np.ndarray] | None:
    """``ground_grid`` around the path of the root."""
    return ground_grid(surface, qpos[:, None, :3] + [0.0, 0.0, 0.5 * body.humanoid.stature], _GROUND_NODES)


def _checked(humanoid: Humanoid, qpos: Any, name: str) -> np.ndarray:
    qpos = np.asarray(qpos, float)
    if qpos.ndim != 2 or qpos.shape[1] != humanoid.nq or not len(qpos):
        raise ValueError(f"{name}: expected shape (T, {humanoid.nq}) with T >= 1, found {qpos.shape}")
    return qpos


def _draw_contacts(stage: Stage, body: _Body, surface: Surface | None) -> None:
    contacts = body.humanoid.contacts
    assert contacts is not None
    for index, offset, radius in zip(contacts.body_id, contacts.offset, contacts.radius, strict=True):
        centre = body.data.xpos[index] + body.data.xmat[index].reshape(3, 3) @ offset
        colour = (
            (0.85, 0.30, 0.05, 1.0) if measure(surface, centre).distance - radius < 0.02 else (0.25, 0.27, 0.30, 1.0)
        )
        stage.add("sphere", np.full(3, 0.012), centre - (0.0, 0.0, radius), np.eye(3), colour)


def _draw_forces(stage: Stage, humanoid: Humanoid, dynamics: Dynamics, frame: int) -> None:
    force, point = np.asarray(dynamics.grf)[frame] / humanoid.weight, np.asarray(dynamics.cop)[frame]
    for name, f, p in zip(dynamics.contact_names, force, point, strict=True):
        if np.linalg.norm(f) > 0.02:
            stage.add_arrow(p, p + FORCE_SCALE * f, (*ARROWS[side_of(name)], 1.0))


def save_png(path: str | Path, image: np.ndarray) -> Path:
    """Write a picture (H, W, 3) uint8 as PNG; needs no package beyond the standard library.

    Raises:
        ValueError: another shape or type.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image: expected (H, W, 3) uint8, found {image.shape} {image.dtype}")

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = image.shape[:2]
    rows = np.concatenate([np.zeros((height, 1), np.uint8), image.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)) + chunk(b"IEND", b"")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def require_video(path: str | Path) -> Any:
    """What writes films: imageio.

    Raises:
        ModuleNotFoundError: the extra "video" is not installed; the message names ``path`` and says how to.
    """
    what = f"{path}: MP4 output"
    optional("imageio_ffmpeg", "video", what)  # the plugin's binary
    return optional("imageio.v2", "video", what)


def save_video(path: str | Path, frames: Iterable[np.ndarray], fps: float) -> Path:
    """Write pictures (H, W, 3) uint8, of even height and width, as MP4 (H.264).

    Raises:
        ModuleNotFoundError: the extra "video" is not installed; the message says how to.
    """
    imageio = require_video(path)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # JAX warns of any fork of its process; this one becomes ffmpeg at once
        warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning)
        with imageio.get_writer(path, fps=fps, codec="libx264", quality=8, macro_block_size=2) as writer:
            for image in frames:
                writer.append_data(image)
    return path


def contact_sheet(
    humanoid: Humanoid,
    qpos: np.ndarray,
    path: str | Path,
    columns: int = 6,
    *,
    rows: int = 2,
    size: tuple[int, int] = (320, 320),
    fps: float | None = None,
    labels: Sequence[str] | None = None,
    **options: Any,
) -> Path:
    """Write evenly spaced frames of a motion as one PNG, ``columns`` x ``rows`` pictures of ``size`` pixels.

    Args:
        humanoid, qpos: the body and its coordinates (T, nq).
        path: the PNG file.
        columns, rows: of the grid; a shorter motion shows every frame once.
        size: width and height of each picture.
        fps: where given, pictures carry the time in seconds instead of the frame number.
        labels: a text per frame of the motion, instead of either.
        options: as for ``render_frames``.
    """
    qpos = _checked(humanoid, qpos, "qpos")
    count = min(columns * rows, len(qpos))
    index = np.unique(np.linspace(0, len(qpos) - 1, count).round().astype(int))
    for name in ("ghost", "object_poses"):
        if options.get(name) is not None:
            options[name] = np.asarray(options[name])[index]
    if options.get("dynamics") is not None:
        d = options["dynamics"]
        options["dynamics"] = d.replace(grf=np.asarray(d.grf)[index], cop=np.asarray(d.cop)[index])
    # one direction for all pictures; the frames are too far apart to smooth the path between them
    options.setdefault("view", View(azimuth=_azimuth(_Body(humanoid), qpos, View()), smoothing=1))
    texts = [labels[i] if labels else f"{i / fps:.2f} s" if fps else f"{i}" for i in index]
    images = list(render_frames(humanoid, qpos[index], size, labels=texts, **options))
    blank = np.full_like(images[0], 255)
    images += [blank] * (-len(images) % columns)
    grid = [np.concatenate(images[i : i + columns], axis=1) for i in range(0, len(images), columns)]
    return save_png(path, np.concatenate(grid, axis=0))
