"""A seat under who sits in a recording of a person alone: its height from the skin, its edges from the legs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import ConvexHull

from mjxhuman.humanoids.contacts import furniture_points
from mjxhuman.math import quaternion
from mjxhuman.physics.analysis import analyse
from mjxhuman.physics.contact_points import CREEP
from mjxhuman.rewards.feasibility import Config
from mjxhuman.scenes.convex import box_corners, pack
from mjxhuman.scenes.objects import make_object
from mjxhuman.scenes.types import Mesh, Scene
from mjxhuman.types import Motion, Provenance

#: m; a seat as wide and at most so deep before the hip joints, in shares of the thigh's length; least depth there.
WIDTH, REACH, LEAST = 0.5, 0.66, 0.08
#: m behind the hip joints where nobody leans, thickness of a backrest and its height over the seat.
BEHIND, THICKNESS, BACKREST = 0.22, 0.04, 0.45
#: m between calves and seat.
CLEAR = 0.02
#: Fewest frames of sitting that say where a seat is, in seconds; lowest seat, m: under it people sit on the floor.
SECONDS, LOWEST = 0.2, 0.1


class Sitting(NamedTuple):
    """When someone sits, and on what height."""

    frames: Bool[np.ndarray, " T"]
    height: float  # m, median of the lowest skin of buttocks and thighs
    spread: float  # m, between the 10th and 90th percentile


def find_sitting(motion: Motion) -> Sitting:
    """When somebody in a motion of one clip sits on what is not there.

    A frame counts if the floor leaves more of the force unexplained than a score accepts, the hips stand still (by the
    speed ``contact_points.CREEP``), and buttocks and thighs are over the floor.

    Raises:
      ValueError: nobody sits for ``SECONDS``, or the body is not of SMPL's topology.
    """
    points = furniture_points(motion.humanoid)
    if points is None or not motion.humanoid.is_smpl or np.ndim(motion.qpos) != 2:
        raise ValueError(f"{_name(motion)}: expected one clip of a body of SMPL's topology, found {motion!r}")
    missing = np.linalg.norm(np.asarray(analyse(motion).residual)[:, :3], axis=1) / motion.humanoid.weight
    speed = np.linalg.norm(np.asarray(motion.body_linvel)[:, 1], axis=1)
    centre = _centres(motion)
    low = (centre[..., 2] - points.radius)[:, _of(motion, ("Pelvis", "L_Thigh", "R_Thigh"))].min(1)
    frames = (missing > Config().floating.accept) & (speed < CREEP) & (low > LOWEST) & np.asarray(motion.valid)
    if frames.sum() * motion.dt < SECONDS:
        raise ValueError(
            f"{_name(motion)}: expected someone who sits for {SECONDS} s, found {frames.sum() * motion.dt:.2f} s"
        )
    spread = np.ptp(np.percentile(low[frames], [10, 90]))
    return Sitting(frames, float(np.median(low[frames])), float(spread))


def fit_seat(motion: Motion, *, backrest: bool = False) -> Scene:
    """A scene with a box seat where somebody in a motion sits, for ``score(motion, scene=)``.

    The top is where the lowest skin of buttocks and thighs is while they sit (``find_sitting``; contact points hold
    flesh as it is under load); the front ends behind the calves, at most ``REACH`` of the thighs before the hip joints.

    Args:
      motion: one clip; whoever sits at several places or heights gets one seat, the middle.
      backrest: with an upright one that touches the rearmost skin of the back while they sit.

    Raises:
      ValueError: as ``find_sitting``, or the calves are under the hips.
    """
    found = find_sitting(motion)
    names, points = motion.humanoid.body_names, furniture_points(motion.humanoid)
    assert points is not None
    pos = np.asarray(motion.body_pos, float)[found.frames]
    hips, knees = (pos[:, [names.index(f"L_{j}"), names.index(f"R_{j}")]].mean(1) for j in ("Hip", "Knee"))
    ahead = np.median(knees - hips, 0)[:2]
    ahead = ahead / np.linalg.norm(ahead)
    origin = np.median(hips, 0)[:2]
    along = (_centres(motion)[found.frames, :, :2] - origin) @ ahead
    shanks = along[:, _of(motion, ("L_Shank", "R_Shank"))] - points.radius[_of(motion, ("L_Shank", "R_Shank"))]
    front = min(REACH * float(np.linalg.norm(knees - hips, axis=1).mean()), float(np.percentile(shanks, 1)) - CLEAR)
    if front < LEAST:
        raise ValueError(
            f"{_name(motion)}: expected calves {LEAST + CLEAR} m before the hips of who sits, found {front:.2f} m"
        )
    rear, boxes = -BEHIND, []
    if backrest:
        back = _of(motion, ("Back",))
        rear = float(np.median((along - points.radius)[:, back].min(1)))
        boxes.append(((rear - THICKNESS, -WIDTH / 2, 0.0), (rear, WIDTH / 2, found.height + BACKREST)))
    boxes.append(((rear, -WIDTH / 2, 0.0), (front, WIDTH / 2, found.height)))
    low, high = (np.array(end) for end in (np.min([b[0] for b in boxes], 0), np.max([b[1] for b in boxes], 0)))
    shift = np.array([(low[0] + high[0]) / 2, 0.0, 0.0])
    corners = [box_corners((np.array(b) - a) / 2, (np.array(b) + a) / 2 - shift) for a, b in boxes]
    recipe = f"fitted to {found.frames.sum()} frames of sitting, top at {found.height:.3f} m"
    provenance = Provenance(motion.provenance.path, "fitted", motion.provenance.licence, (recipe,))
    thing = make_object(_mesh(corners), pack(corners), "chair" if backrest else "stool", provenance=provenance)
    yaw = np.arctan2(ahead[1], ahead[0])
    pose = [*(origin + ahead * shift[0]), 0.0, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
    return Scene((thing,), np.array([pose]), provenance=provenance)


def _name(motion: Motion) -> str:
    return motion.provenance.path or "motion"


def _centres(motion: Motion) -> Float[np.ndarray, "T P 3"]:
    points = furniture_points(motion.humanoid)
    assert points is not None
    pos, quat = (np.asarray(x, float)[:, points.body_id] for x in (motion.body_pos, motion.body_quat))
    return pos + quaternion.rotate(quat, np.broadcast_to(points.offset, pos.shape))


def _of(motion: Motion, groups: tuple[str, ...]) -> Bool[np.ndarray, " P"]:
    points = furniture_points(motion.humanoid)
    assert points is not None
    return np.isin(points.group, [points.group_names.index(g) for g in groups])


def _mesh(boxes: list[np.ndarray]) -> Mesh:
    """The faces of boxes, seen from outside."""
    vertices, faces = [], []
    for k, corners in enumerate(boxes):
        hull = ConvexHull(corners)
        flip = (
            np.einsum(
                "fi,fi->f", np.cross(*np.diff(corners[hull.simplices], axis=1).swapaxes(0, 1)), hull.equations[:, :3]
            )
            < 0
        )
        faces.append(np.where(flip[:, None], hull.simplices[:, ::-1], hull.simplices) + 8 * k)
        vertices.append(corners)
    return Mesh(np.concatenate(vertices), np.concatenate(faces))
