"""A mesh as convex pieces that stand for it: what the simulator sees is what the eye sees.

What is not joined is taken apart first; a component that is as good as convex is its own hull, and CoACD (Wei et al.,
SIGGRAPH 2022) takes the others apart. Every piece gets one number of corners, and the whole is held against the mesh
(``fidelity``): where it misses, feet and extremes of the mesh are taken into the pieces, then the pieces are cut finer.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import zipfile
from pathlib import Path

import numpy as np
from scipy.spatial import ConvexHull, QhullError, cKDTree

from mjxhuman.runs.compile_cache import cache_root
from mjxhuman.runs.files import atomic_write
from mjxhuman.scenes.convex import BUCKETS, faces_of, pack
from mjxhuman.scenes.decomposition.coacd_pool import LIMIT, OPTIONS, take_apart
from mjxhuman.scenes.decomposition.components import capped, components, volume, welded
from mjxhuman.scenes.decomposition.fidelity import FEET, SUPPORT, Fidelity, feet, ground_area, measure
from mjxhuman.scenes.decomposition.hulls import VERTICES, hull_corners, width, with_corners
from mjxhuman.scenes.types import Mesh, Parts

#: Counted up whenever the same mesh would give other pieces.
_VERSION = 4
#: Tried in turn: m that CoACD may leave between a component and its pieces, and of its hull's volume what a component
#: must hold to be its hull.
LADDER = ((0.02, 0.97), (0.01, 0.99), (0.005, 0.999))
#: m; what has no thickness gets this one, towards the middle of the object.
THICKNESS = 1e-3
#: m; the volume of a component thinner than this says nothing where it is open: its outline does.
_SHEET = 1e-2
#: m; a piece that stands out of another by no more adds nothing to it.
_WITHIN = 5e-4
#: m; a piece of a cut that is thinner is none.
_NOTHING = 1e-4
#: m; the corners that a piece gave up may be so far out of it before it is cut in two.
_LOST = 2e-3
#: Pieces around one that it may be joined with.
_NEIGHBOURS = 5
#: Times that pieces are cut in two because of what they lost.
_CUTS = 3


@dataclasses.dataclass(frozen=True)
class _Marked:
    """Points whose hull is a piece, and those of them that must stay its corners."""

    points: np.ndarray  # (N, 3) m
    keep: np.ndarray  # (M, 3) m


def decompose(
    mesh: Mesh, *, seed: int = 0, vertices: int = VERTICES, progress: bool = False, cache: bool = True
) -> tuple[Parts, str]:
    """Convex pieces of a mesh, and why they do not stand for it: "" if they do.

    Args:
      mesh: repaired, z up, m; faces counter-clockwise from outside.
      seed: of CoACD's search.
      vertices: V, corners of every piece.
      progress: a bar on the terminal while CoACD works.
      cache: False neither reads nor writes what was found before.

    Raises:
      ValueError: a mesh without faces or without extent, or with numbers that are not finite.
      ImportError: CoACD is needed and not installed.
    """
    mesh = _checked(mesh)
    folder = cache_root() if cache else None
    if folder is None:
        return _decompose(mesh, seed, vertices, progress)
    file = folder / "pieces" / f"{_key(mesh, seed, vertices)}.npz"
    known = _read(file)
    if known is None:
        known = _decompose(mesh, seed, vertices, progress)
        _write(file, *known)
    return known


def _checked(mesh: Mesh) -> Mesh:
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces)
    if vertices.ndim != 2 or vertices.shape[1:] != (3,) or faces.ndim != 2 or faces.shape[1:] != (3,) or not len(faces):
        raise ValueError(f"mesh: expected vertices (N, 3) and faces (M, 3), found {vertices.shape} and {faces.shape}")
    if not np.isfinite(vertices).all():
        raise ValueError(f"mesh: expected finite vertices, found {vertices[~np.isfinite(vertices)][0]}")
    solid = welded(mesh)
    if not len(solid.faces) or np.ptp(solid.vertices, axis=0).max() < FEET:
        raise ValueError(f"mesh: expected an extent of more than {1e3 * FEET:g} mm in m, found none")
    return Mesh(vertices, faces)


def _decompose(mesh: Mesh, seed: int, count: int, progress: bool) -> tuple[Parts, str]:
    """The first of ever finer pieces that stand for the mesh, or the ones that miss least."""
    whole = welded(mesh)
    best: tuple[int, Parts, str] | None = None
    for concavity, convex in LADDER:
        solid, hollow, flat = _sorted_out(mesh, convex)
        cut = take_apart(hollow, concavity, seed, progress)
        loose = [p for part, found in zip(hollow, cut, strict=True) for p in (found.pieces or [part.vertices])]
        pieces = _few([*solid, *loose], flat, whole)
        parts, found = _fitted(whole, pieces, count)
        if best is None or len(found.misses) < best[0]:
            best = len(found.misses), parts, found.unfit
        late = sum(each.late for each in cut)
        if late and best[2]:
            said = f"the search for pieces of {late} of {len(components(mesh))} components took over {LIMIT} s"
            best = best[0], best[1], f"{best[2]}; {said} of processor time"
        if late or not found.misses:
            break
    assert best is not None
    return best[1], best[2]


def sheets(mesh: Mesh) -> int:
    """How many components of a mesh have no thickness: they get one, or are left out where they lie on others."""
    return len(_sorted_out(mesh, 0.0)[2])


def _sorted_out(mesh: Mesh, convex: float) -> tuple[list[np.ndarray], list[Mesh], list[np.ndarray]]:
    """Corners of components that are their hulls, components to be taken apart, points of those without thickness."""
    solid, hollow, flat = [], [], []
    for part in components(mesh):
        thickness = width(part.vertices)
        if thickness < THICKNESS / 2:
            flat.append(part.vertices)
            continue
        hull = ConvexHull(part.vertices)
        closed = capped(part)
        held = volume(closed)
        if abs(held) >= convex * hull.volume or (thickness < _SHEET and _covers(part, hull)):
            solid.append(part.vertices[hull.vertices])
        else:
            hollow.append(closed if held > 0 else Mesh(closed.vertices, closed.faces[:, ::-1]))
    return solid, hollow, flat


def _covers(part: Mesh, hull: ConvexHull) -> bool:
    """Whether the hull is nowhere far from the faces: however they are wound."""
    corners = part.vertices[hull.simplices]
    spread = _samples(corners)
    near = cKDTree(np.concatenate([_samples(part.vertices[part.faces]), part.vertices]))
    return bool(near.query(spread)[0].max() < 2 * FEET)


def _samples(triangles: np.ndarray) -> np.ndarray:
    """Points ``(N, 3)`` on triangles ``(M, 3, 3)``, some 2 mm apart but at most 100 to a side."""
    side = np.linalg.norm(triangles - np.roll(triangles, 1, 1), axis=2).max(1)
    number = np.clip(np.ceil(side / FEET).astype(int), 1, 100)
    found = []
    for n in np.unique(number):
        i, j = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
        inner = (i + j) < n
        weights = (np.stack([i[inner], j[inner]], 1) + 1 / 3) / n
        weights = np.concatenate([weights, 1 - weights.sum(1, keepdims=True)], 1)
        found.append(np.einsum("wk,mkx->mwx", weights, triangles[number == n]).reshape(-1, 3))
    return np.concatenate(found)


def _few(pieces: list[np.ndarray], flat: list[np.ndarray], mesh: Mesh) -> list[np.ndarray]:
    """Pieces without those inside others, sheets thickened or dropped, and neighbours merged beyond the last bucket."""
    kept: list[np.ndarray] = []
    planes: list[np.ndarray] = []
    middle = mesh.vertices.mean(0)
    sizes = [-float(np.prod(np.ptp(p, axis=0) + THICKNESS)) for p in pieces]
    order = [*(pieces[i] for i in np.argsort(sizes, kind="stable")), *(_thickened(sheet, middle) for sheet in flat)]
    for points in order:
        if width(points) < _NOTHING or any((points @ p[:, :3].T <= p[:, 3] + _WITHIN).all() for p in planes):
            continue
        kept.append(hull_corners(points))
        planes.append(faces_of(kept[-1]))
    return _joined(kept, BUCKETS[-1])


def _thickened(sheet: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """A sheet's points, and the same ones moved by ``THICKNESS`` towards the middle of the object."""
    centre = sheet.mean(0)
    _, _, axes = np.linalg.svd(sheet - centre, full_matrices=True)
    normal = axes[2] * (1.0 if axes[2] @ (middle - centre) >= 0 else -1.0)
    across = axes[1] * THICKNESS / 2 if np.ptp(sheet @ axes[1]) < THICKNESS else np.zeros(3)  # a line
    both = np.concatenate([sheet - across, sheet + across])
    return np.concatenate([both, both + normal * THICKNESS])


def _joined(pieces: list[np.ndarray], most: int) -> list[np.ndarray]:
    """At most so many pieces: again and again the two neighbours are made one whose hull adds least to their volume."""
    points = dict(enumerate(pieces))
    own = {k: ConvexHull(p).volume for k, p in points.items()}
    middle = {k: p.mean(0) for k, p in points.items()}
    added: dict[tuple[int, int], float] = {}

    def look_around(k: int) -> None:
        others = np.array([j for j in points if j != k])
        gap = np.linalg.norm(np.array([middle[j] for j in others]) - middle[k], axis=1)
        for j in others[np.argsort(gap, kind="stable")[:_NEIGHBOURS]].tolist():
            pair = min(j, k), max(j, k)
            if pair not in added:
                added[pair] = ConvexHull(np.concatenate([points[j], points[k]])).volume - own[j] - own[k]

    for k in list(points) if len(points) > most else []:
        look_around(k)
    for new in range(len(pieces), 2 * len(pieces) - most):
        pair = min(added, key=lambda p: added[p])
        points[new] = hull_corners(np.concatenate([points.pop(k) for k in pair]))
        own[new], middle[new] = ConvexHull(points[new]).volume, points[new].mean(0)
        added = {p: cost for p, cost in added.items() if not {*p} & {*pair}}
        look_around(new)
    return list(points.values())


def _fitted(mesh: Mesh, pieces: list[np.ndarray], count: int) -> tuple[Parts, Fidelity]:
    """Pieces with their number of corners, the mesh's feet and extremes taken in, cut in two where they lose shape."""
    whole = _with_marks(mesh, pieces)
    for _ in range(_CUTS + 1):
        made = [with_corners(piece.points, count, piece.keep) for piece in whole]
        parts = pack([corners for corners, _ in made])
        found = measure(mesh, parts)
        lost = np.array([left for _, left in made])
        worst = np.argsort(-lost)[: BUCKETS[-1] - len(whole)]
        worst = worst[lost[worst] > _LOST]
        if not found.misses or not len(worst):
            break
        whole = [half for k, piece in enumerate(whole) for half in (_halves(piece) if k in worst else [piece])]
    return parts, found


def _with_marks(mesh: Mesh, pieces: list[np.ndarray]) -> list[_Marked]:
    """Pieces with the mesh's feet and extremes in the nearest of them, marked to be kept."""
    marks = _marks(mesh)
    gap = np.stack([(marks @ p[:, :3].T - p[:, 3]).max(1) for p in map(faces_of, pieces)])
    nearest = gap.argmin(0)
    made = []
    for k, points in enumerate(pieces):
        own = marks[nearest == k]
        points = hull_corners(np.concatenate([points, own]))
        far = cKDTree(own).query(points)[0] if len(own) else np.full(len(points), np.inf)
        made.append(_Marked(points, points[far < 1e-9]))
    return made


def _marks(mesh: Mesh) -> np.ndarray:
    """Corners ``(N, 3)`` of the mesh that its pieces must not lose: around each foot, and the extremes.

    Where a foot is round, those above it too: what stands on the floor is between them.
    """
    ends = [int(pick(mesh.vertices[:, axis])) for axis in range(3) for pick in (np.argmin, np.argmax)]
    marks = [mesh.vertices[ends]]
    for foot in feet(mesh):
        flat = ground_area(foot.corners) >= SUPPORT * ground_area(foot.outline)
        around = foot.corners if flat else np.concatenate([foot.corners, foot.above])
        marks.append(foot.corners[[int(foot.corners[:, 2].argmin())]])
        try:
            marks.append(around[ConvexHull(around[:, :2]).vertices])
        except (ValueError, QhullError):
            marks.append(around)
    return np.unique(np.concatenate(marks), axis=0)


def _halves(piece: _Marked) -> list[_Marked]:
    """A piece cut across its longest side through the middle."""
    axis = int(np.ptp(piece.points, axis=0).argmax())
    at = float(piece.points[:, axis].min() + piece.points[:, axis].max()) / 2
    height = piece.points[:, axis] - at
    edges = ConvexHull(piece.points).simplices[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    a, b = edges[height[edges[:, 0]] * height[edges[:, 1]] < 0].T
    share = (height[a] / (height[a] - height[b]))[:, None]
    section = piece.points[a] + share * (piece.points[b] - piece.points[a])
    halves = []
    for side in (-1.0, 1.0):
        points = np.concatenate([piece.points[side * height >= 0], section])
        if width(points) < _NOTHING:
            return [piece]
        points = hull_corners(points)
        keep = piece.keep[side * (piece.keep[:, axis] - at) >= 0]
        halves.append(_Marked(points, keep))
    return halves


def _key(mesh: Mesh, seed: int, count: int) -> str:
    """Of all that decides the pieces."""
    options = [_VERSION, _coacd_version(), seed, count, LADDER, OPTIONS]
    content = np.ascontiguousarray(mesh.vertices).tobytes() + np.ascontiguousarray(mesh.faces, np.int64).tobytes()
    return hashlib.sha256(json.dumps(options).encode() + content).hexdigest()[:32]


def _coacd_version() -> str:
    try:
        return importlib.metadata.version("coacd")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _write(file: Path, parts: Parts, unfit: str) -> None:
    with atomic_write(file, "wb") as stream:
        np.savez_compressed(
            stream, vertices=parts.vertices, planes=parts.planes, mask=parts.mask, unfit=np.array(unfit)
        )  # type: ignore[arg-type]


def _read(file: Path) -> tuple[Parts, str] | None:
    """What was found before; None if there is nothing, or nothing that can be read."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            return Parts(stored["vertices"], stored["planes"], stored["mask"]), str(stored["unfit"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
