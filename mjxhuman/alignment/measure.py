"""How well a body and objects fit: gaps and depths of contacts, and the depth of the whole body. Float64, exact pieces.

Nothing here is shared with what alignment minimises: depth along a contact's direction is read off lines through the
pieces, the rest off the signed distance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mjxhuman.alignment.contacts import PartContact
from mjxhuman.alignment.near import depth, distances
from mjxhuman.alignment.skin import Skin
from mjxhuman.math import quaternion
from mjxhuman.scenes.surface import Plane, measure
from mjxhuman.scenes.types import Scene

#: m, largest gap and depth of a contact that holds.
TOLERANCE = 0.005
#: Cosine between the part's direction and the surface's normal below which they oppose each other.
_OPPOSED = -0.5
#: m, largest depth of an object in another or under the floor (that of a person at the start of a trial).
_MISPLACED = 0.01
#: m, how far below or above the middle of a patch the surface under it may be.
_UNDER = 0.10


@dataclasses.dataclass(frozen=True)
class ContactFit:
    """How one contact fits, at its worst frame."""

    contact: PartContact
    gap: float  # m, from the part's nearest point to the object; 0 where it is inside
    depth: float  # m, along the contact's direction
    opposed: bool  # the surface that is touched faces the part
    over: bool  # the middle of the part's patch has the object under it

    @property
    def holds(self) -> bool:
        """Whether the part touches the object on the right side, and no more."""
        return self.gap <= TOLERANCE and self.depth <= TOLERANCE and self.opposed and self.over


def whole_body_depth(scene: Scene, points: np.ndarray) -> np.ndarray:
    """Depth ``(*f)`` in m of the deepest of points ``(*f, N, 3)`` in the nearest side of any object; 0 where none is
    inside."""
    return np.max([depth(thing, pose, points) for thing, pose in zip(scene.objects, scene.poses, strict=True)], 0)


def fit_of(
    contact: PartContact, scene: Scene, skin: Skin, points: np.ndarray, normals: np.ndarray, frames: np.ndarray
) -> ContactFit:
    """How a contact fits: skin at ``points (T, N, 3)`` with ``normals``, at frames ``(T,)`` of the motion."""
    on = contact.during(frames)
    part, which = skin.part == skin.names.index(contact.part), scene.names.index(contact.object)
    bearing = (part & skin.bearing)[part]
    points, normals = points[on][:, part], normals[on][:, part]
    side = normals[:, bearing].mean(1)
    side /= np.linalg.norm(side, axis=-1, keepdims=True)
    distance, out = distances(scene.objects[which], scene.poses[which], points[:, bearing])
    faced = out[np.arange(len(out)), distance.argmin(1)]  # outward, of the surface at the nearest point
    facing = np.einsum("ti,ti->t", faced, side)
    along, under = [], []
    for x, u, outward in zip(points, side, faced, strict=True):
        enter, leave = _crossings(scene, which, x[bearing], -u)  # (L, K), m along -u
        extent = (x @ -u).max() - x[bearing] @ -u
        hit = (enter < leave) & (leave > 0) & (leave < extent[:, None])
        along.append(np.where(hit, leave, 0.0).max())
        # a patch that leans (a pelvis before rising) has the object below it, not along its own side
        enter, leave = _crossings(scene, which, x[bearing].mean(0)[None], outward)
        under.append(((enter < leave) & (np.abs(leave) < _UNDER)).any())
    return ContactFit(
        contact, max(0.0, float(distance.min(1).max())), float(max(along)), bool((facing < _OPPOSED).all()),
        bool(np.all(under)),
    )  # fmt: skip


def _crossings(scene: Scene, which: int, lines: np.ndarray, way: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where lines from ``(L, 3)`` along ``way`` enter and leave each piece of an object, m, ``(L, K)``."""
    parts, pose = scene.objects[which].parts, np.asarray(scene.poses, np.float64)[which]
    planes = np.asarray(parts.planes, np.float64)[np.asarray(parts.mask, bool)]
    turn = quaternion.conjugate(pose[3:])
    start, along = quaternion.rotate(turn, lines - pose[:3]), quaternion.rotate(turn, way)
    slope = planes[..., :3] @ along  # (K, F)
    room = planes[..., 3] - np.einsum("kfi,li->lkf", planes[..., :3], start)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = room / slope
    aside = (np.abs(slope) < 1e-12) & (room < 0)  # parallel to a face, and beyond it
    enter = np.where(slope < -1e-12, at, -np.inf).max(-1)
    leave = np.where(slope > 1e-12, at, np.inf).min(-1)
    return enter, np.where(aside.any(-1), -np.inf, leave)


def misplaced(scene: Scene) -> str:
    """Which object is under the floor or in another, by its samples and the middles of its pieces; "" if none is."""
    level = isinstance(scene.floor, Plane) and scene.floor.point is None and scene.floor.normal is None
    floor = None if level else scene.floor  # None: the same on the host
    for i, thing in enumerate(scene.objects):
        pose = np.asarray(scene.poses, np.float64)[i]
        corners = np.asarray(thing.parts.vertices, np.float64)
        samples = thing.points if len(thing.points) else corners.reshape(-1, 3)
        own = np.concatenate([np.asarray(samples, np.float64), corners.mean(1)])
        points = quaternion.rotate(pose[3:], own) + pose[:3]
        low = -float(measure(floor, points).distance.min())
        if low > _MISPLACED:
            return f"{thing.name}: expected it on the floor, found it {low:.3f} m under it"
        for k, other in enumerate(scene.objects):
            deep = float(depth(other, scene.poses[k], points)) if k != i else 0.0
            if deep > _MISPLACED:
                return f"{thing.name}: expected it beside {other.name}, found it {deep:.3f} m in it"
    return ""


def worst(fits: Sequence[ContactFit]) -> str:
    """Why contacts do not hold; "" if all do."""
    for fit in fits:
        name = f"{fit.contact.part} on {fit.contact.object}"
        if fit.depth > TOLERANCE:
            return f"{name}: expected a depth of at most {TOLERANCE} m, found {fit.depth:.3f}"
        if fit.gap > TOLERANCE:
            return f"{name}: expected a gap of at most {TOLERANCE} m, found {fit.gap:.3f}"
        if not (fit.opposed and fit.over):
            return f"{name}: expected the part over the surface that faces it, found it beside"
    return ""
