"""Whether the pieces that the simulator sees stand for the mesh that the eye sees. Pure functions of both.

Convex pieces decide what stands and what is sat on: a leg that lost its last millimetres lets a stool fall, a filled
hollow seats a person on air. So the pieces are held against their mesh where bodies and floors touch it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, QhullError, cKDTree

from mjxhuman.scenes.decomposition.columns import (
    grid_over,
    line_interval,
    mesh_crossings,
    parts_crossings,
    solid_volume,
    tops,
)
from mjxhuman.scenes.decomposition.components import area, capped, welded
from mjxhuman.scenes.types import Mesh, Parts

#: m; points so near to the lowest stand on the floor.
FOOT_BAND = 4e-3
#: Of the area that the mesh stands on.
SUPPORT = 0.95
#: m: lowest point of each foot, bounding box, surfaces that carry (95th percentile); of the volume.
FEET, BOX, TOP, VOLUME = 2e-3, 2e-3, 5e-3, 0.10
#: m over the lowest point: seats (0.30-0.60) and tables (0.55-1.1). What has no top there is looked at whole.
HEIGHTS = (0.30, 1.1)
#: Surfaces carry whose normal is within 45 degrees of up.
_FACING = 0.7
#: m apart, and at most so many, are the vertical lines along which solids are compared.
_SPACING, _LINES = 4e-3, 40_000
#: Of a mesh's area: it encloses a volume if what closes its holes (hidden faces that were left out) is no more.
_CAPS = 0.05
#: m^2; a smaller polygon (a ball, a rocker) is a point or a line to stand on, and the feet say all.
_NO_AREA = 1e-5


@dataclass(frozen=True)
class Fidelity:
    """How far pieces are from their mesh; a length that could not be measured is infinite."""

    support: float  # area that both stand on, of the mesh's
    excess: float  # area that the pieces alone stand on, of the mesh's
    feet: float  # m, worst difference in height of the lowest points of a foot
    box: float  # m, worst difference of the bounding boxes
    top: float  # m, 95th percentile of the distance between carrying surfaces, the worse of both ways
    volume: float  # of the union of the pieces over the mesh's; NaN where the mesh encloses none

    @property
    def misses(self) -> tuple[str, ...]:
        """What is out of bounds: "support", "feet", "box", "top", "volume"."""
        bad = {
            "support": self.support < SUPPORT or self.excess > 1 - SUPPORT,
            "feet": self.feet > FEET,
            "box": self.box > BOX,
            "top": self.top > TOP,
            "volume": abs(self.volume - 1) > VOLUME,
        }
        return tuple(name for name, out in bad.items() if out)

    @property
    def unfit(self) -> str:
        """Why the pieces do not stand for the mesh, with numbers; "" if they do."""
        say = {
            "support": f"stands on {self.support:.0%} of the mesh's support polygon and {self.excess:.0%} beside it "
            f"(expected at least {SUPPORT:.0%}, at most {1 - SUPPORT:.0%})",
            "feet": f"a foot ends {_mm(self.feet)} off (expected {_mm(FEET)})",
            "box": f"bounding box {_mm(self.box)} off (expected {_mm(BOX)})",
            "top": f"surfaces to sit or put things on {_mm(self.top)} off (expected {_mm(TOP)})",
            "volume": f"{self.volume:.2f} of the mesh's volume (expected within {VOLUME:.0%})",
        }
        return "; ".join(say[name] for name in self.misses)


def _mm(length: float) -> str:
    return f"{1e3 * length:.1f} mm"


def measure(mesh: Mesh, parts: Parts) -> Fidelity:
    """Hold pieces against their mesh, both in one frame with z up."""
    mesh = welded(mesh)
    used, closed = mesh.vertices, capped(mesh)
    pieces = np.asarray(parts.vertices, np.float64)[np.asarray(parts.mask)]
    corners = pieces.reshape(-1, 3)
    box = float(max(np.abs(corners.min(0) - used.min(0)).max(), np.abs(corners.max(0) - used.max(0)).max()))
    standing = feet(mesh)
    own = [_standing_piece(piece, corners[:, 2].min()) for piece in pieces]
    support, excess = _supports(np.concatenate([foot.outline for foot in standing]), np.concatenate(own))
    low, high = np.minimum(corners, used.min(0)).min(0)[:2], np.maximum(corners, used.max(0)).max(0)[:2]
    grid = grid_over(low, high, _SPACING, _LINES)
    of_mesh, of_parts = mesh_crossings(mesh, grid), parts_crossings(parts, grid)
    volume = float("nan")
    if area(closed) <= (1 + _CAPS) * area(mesh):
        volume = solid_volume(of_parts, grid) / max(solid_volume(mesh_crossings(closed, grid), grid), 1e-12)
    top = _apart(tops(of_mesh, grid, TOP), tops(of_parts, grid, TOP), float(used[:, 2].min()))
    return Fidelity(support, excess, _feet(standing, parts), box, top, volume)


class Foot(NamedTuple):
    """What of a mesh hangs together within ``FOOT_BAND`` of its lowest point."""

    outline: np.ndarray  # (N, 3) m, points whose hull it is
    corners: np.ndarray  # (A, 3) m, the mesh's corners in it
    above: np.ndarray  # (B, 3) m, corners at the upper ends of edges that leave it


def feet(mesh: Mesh) -> list[Foot]:
    """What a mesh stands on.

    Args:
      mesh: welded.
    """
    vertices, faces = mesh.vertices, mesh.faces
    level = vertices[:, 2].min() + FOOT_BAND
    under = vertices[:, 2] <= level
    faces = faces[under[faces].any(1)]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    both = edges[under[edges].all(1)]
    joined = coo_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(len(vertices),) * 2)
    label = connected_components(joined, directed=False)[1]
    own = np.unique(faces[under[faces]])
    cut = edges[under[edges].sum(1) == 1]
    a, b = np.where(under[cut[:, :1]], cut, cut[:, ::-1]).T
    part = (level - vertices[a, 2]) / (vertices[b, 2] - vertices[a, 2])
    crossing = vertices[a] + part[:, None] * (vertices[b] - vertices[a])
    found = []
    for foot in np.unique(label[own]):
        corners, leaving = vertices[own[label[own] == foot]], label[a] == foot
        outline = np.concatenate([corners, crossing[leaving]])
        found.append(Foot(outline, corners, vertices[np.unique(b[leaving])]))
    return found


def _standing_piece(corners: np.ndarray, lowest: float) -> np.ndarray:
    """Points ``(N, 3)`` that bound what a convex piece has within ``FOOT_BAND`` of the object's lowest."""
    level = lowest + FOOT_BAND
    under = corners[:, 2] <= level
    if not under.any():
        return np.zeros((0, 3))
    a, b = corners[under][:, None], corners[~under][None]
    crossing = a + (level - a[..., 2:]) / (b[..., 2:] - a[..., 2:]) * (b - a)
    return np.concatenate([corners[under], crossing.reshape(-1, 3)])


def ground_area(points: np.ndarray) -> float:
    """Area, m^2, of the hull of points from above."""
    return _area(_polygon(points))


def _supports(mesh: np.ndarray, pieces: np.ndarray) -> tuple[float, float]:
    """Area that both stand on, and that only the pieces stand on, of the area that the mesh stands on."""
    ground, found = _polygon(mesh), _polygon(pieces)
    whole = _area(ground)
    if whole < _NO_AREA:
        return 1.0, max(_area(found) - _NO_AREA, 0.0) / _NO_AREA
    common = _area(_clip(found, ground))
    return common / whole, (_area(found) - common) / whole


def _polygon(points: np.ndarray) -> np.ndarray:
    """Corners ``(N, 2)`` of the convex hull from above, counter-clockwise; none where it has no area."""
    try:
        return points[ConvexHull(points[:, :2]).vertices, :2]
    except (QhullError, ValueError):
        return np.zeros((0, 2))


def _area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def _clip(polygon: np.ndarray, by: np.ndarray) -> np.ndarray:
    """What a convex polygon has in common with another (Sutherland and Hodgman, 1974)."""
    for start, end in zip(by, np.roll(by, -1, 0), strict=True):
        if not len(polygon):
            break
        along = end - start
        side = along[0] * (polygon[:, 1] - start[1]) - along[1] * (polygon[:, 0] - start[0])
        after, next_side = np.roll(polygon, -1, 0), np.roll(side, -1)
        kept = []
        for p, q, s, t in zip(polygon, after, side, next_side, strict=True):
            if s >= 0:
                kept.append(p)
            if s * t < 0:
                kept.append(p + s / (s - t) * (q - p))
        polygon = np.reshape(kept, (-1, 2))
    return polygon


def _feet(standing: list[Foot], parts: Parts) -> float:
    """Worst difference in height, m, of the lowest point of a foot and of the pieces over the foot's place."""
    planes = np.asarray(parts.planes)[np.asarray(parts.mask)]
    worst = 0.0
    for foot in standing:
        own = foot.outline
        places = grid_over(own[:, :2].min(0), own[:, :2].max(0), _SPACING, 400).points()
        places = np.concatenate([places, own[:, :2]])
        lowest = min(float(np.where(a <= b, a, np.inf).min()) for a, b, _ in (line_interval(p, places) for p in planes))
        worst = max(worst, abs(lowest - float(own[:, 2].min())))
    return worst


def _apart(mesh: tuple[np.ndarray, np.ndarray], parts: tuple[np.ndarray, np.ndarray], floor: float) -> float:
    """95th percentile, m, of the distance from carrying points of one to the tops of the other, the worse way."""
    worst = 0.0
    for (points, slope), (others, _) in ((mesh, parts), (parts, mesh)):
        facing = slope > _FACING
        carrying = facing & (points[:, 2] >= floor + HEIGHTS[0]) & (points[:, 2] <= floor + HEIGHTS[1])
        chosen = points[carrying if carrying.any() else facing]
        if not len(chosen):
            continue
        if not len(others):
            return float("inf")
        worst = max(worst, float(np.percentile(cKDTree(others).query(chosen)[0], 95)))
    return worst
