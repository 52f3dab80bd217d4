"""Pictures of furniture: a scene's objects where they stand or came to rest, and sheets of several pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import mujoco
import numpy as np

from mjxhuman.math import quaternion
from mjxhuman.report.render import FIELD_OF_VIEW, WOOD, Stage
from mjxhuman.scenes.types import Scene

#: RGBA of what did not stand.
FALLEN = (0.80, 0.42, 0.36, 1.0)
#: Degrees: from the front and the side of what faces +x, and from above.
AZIMUTH, ELEVATION = 215.0, -18.0
#: Of the distance from which the objects just fill the picture.
_ROOM = 1.05


def draw_scene(
    scene: Scene,
    poses: np.ndarray | None = None,
    size: tuple[int, int] = (480, 480),
    *,
    label: str = "",
    colours: Sequence[Sequence[float]] = WOOD,
) -> np.ndarray:
    """A picture ``(height, width, 3)`` uint8 of a scene's objects.

    Args:
      poses: where they are, (O, 7) in m and wxyz; None: the scene's own.
      size: width and height in pixels.
      label: a text in the upper left corner.
      colours: RGBA of the first object, the second and so on, over again.

    Raises:
      ValueError: poses of another shape, or no object.
      NoOpenGL: MuJoCo cannot render offscreen here.
    """
    poses = np.asarray(scene.poses if poses is None else poses, float)
    if not scene.objects or poses.shape != (len(scene.objects), 7):
        raise ValueError(f"poses: expected ({len(scene.objects)}, 7) of at least one object, found {poses.shape}")
    pairs = list(zip(scene.objects, poses, strict=True))
    corners = np.concatenate([quaternion.rotate(p[3:], np.asarray(o.mesh.vertices, float)) + p[:3] for o, p in pairs])
    low, high = corners.min(0), corners.max(0)
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FREE.value
    camera.azimuth, camera.elevation, camera.lookat[:] = AZIMUTH, ELEVATION, (low + high) / 2
    reach = float(np.linalg.norm(corners - camera.lookat, axis=1).max())
    camera.distance = _ROOM * reach / math.sin(math.radians(FIELD_OF_VIEW / 2)) / min(1.0, size[0] / size[1])
    furniture = [(o.mesh, p, colours[i % len(colours)]) for i, (o, p) in enumerate(pairs)]
    with Stage(*size, furniture=furniture) as stage:
        stage.begin(camera)
        return stage.finish(label)


def sheet(pictures: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Pictures of one size side by side, row by row; what is left of the last row is white.

    Raises:
      ValueError: no picture, or pictures of several sizes.
    """
    shapes = {picture.shape for picture in pictures}
    if len(shapes) != 1:
        raise ValueError(f"pictures: expected one size, found {sorted(shapes)}")
    blank = np.full_like(pictures[0], 255)
    filled = [*pictures, *[blank] * (-len(pictures) % columns)]
    return np.concatenate([np.concatenate(filled[i : i + columns], 1) for i in range(0, len(filled), columns)])
