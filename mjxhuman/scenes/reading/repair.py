"""Triangles of a file made into a mesh that can be computed with: repaired and said, or refused.

Relative to its size, so that no unit need be known. Extra ``mjxhuman[scenes]`` (trimesh).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy import sparse

from mjxhuman.data.source import Source
from mjxhuman.data.text import LARGEST
from mjxhuman.runs import optional
from mjxhuman.scenes.convex import join
from mjxhuman.scenes.mesh import components
from mjxhuman.scenes.reading.shapes import Shape
from mjxhuman.scenes.types import Mesh

#: More faces are decimated to as many: a chair at 5 mm resolution has fewer.
MOST_FACES = 50_000
#: Vertices nearer than this share of the size are one, and faces of less area (of the size squared) are none.
_SAME, _FLAT = 1e-8, 1e-12
#: Boundaries around less area (of the size squared) are seams.
_HOLE = 1e-7
#: A mesh of which more is broken is refused.
_BROKEN = 0.5

_SAID = {
    "index": "faces of vertices that are not there, left out",
    "number": "faces with coordinates that are no numbers, left out",
    "flat": "faces without area, left out",
    "twice": "faces that are there twice, left out",
}


def repair(source: Source, shapes: Sequence[Shape]) -> Mesh:
    """The shapes of one object as one mesh, its faces counter-clockwise from outside; what was done is noted.

    Vertices at one place become one within a shape, never between shapes: parts that touch stay parts.

    Raises:
      ModuleNotFoundError: trimesh is not installed.
      MotionFileError: nothing left that has an area, or more than half of it broken.
    """
    meshes, done, total = [], Counter(), 0
    for shape in shapes:
        total += len(shape.faces)
        mesh, removed = _clean(shape)
        done.update(removed)
        if len(mesh.faces):
            meshes.append(mesh)
    broken = done["index"] + done["number"]
    if broken > _BROKEN * total:
        raise source.error("vertices", f"{broken} of {total} faces without usable coordinates", "a whole mesh")
    if not meshes:
        raise source.error("faces", f"none of {total} with an area", "triangles of a mesh")
    for what, count in sorted(done.items()):
        source.note(f"{count} of {total} {_SAID[what]}")
    mesh = join(meshes)
    if len(mesh.faces) > MOST_FACES:
        mesh = _decimated(source, meshes, len(mesh.faces))
    return _outward(source, mesh)


def _clean(shape: Shape) -> tuple[Mesh, Counter[str]]:
    """A shape without what is no face, its vertices merged, and how many faces were left out for what."""
    removed: Counter[str] = Counter()
    vertices, faces = np.asarray(shape.vertices, np.float64), np.asarray(shape.faces, np.int64)

    def keep(mask: np.ndarray, what: str) -> None:
        nonlocal faces
        if not mask.all():
            removed[what] += int((~mask).sum())
            faces = faces[mask]

    keep(((faces >= 0) & (faces < len(vertices))).all(1), "index")
    usable = (np.abs(vertices) < LARGEST).all(1)  # False for NaN
    keep(usable[faces].all(1), "number")
    if not len(faces):
        return Mesh(np.zeros((0, 3)), faces), removed
    used, inverse = np.unique(faces, return_inverse=True)
    vertices, faces = vertices[used], inverse.reshape(-1, 3)
    size = float(np.ptp(vertices, axis=0).max())
    cells = np.round((vertices - vertices.min(0)) / max(_SAME * size, 1e-300))
    first, inverse = _distinct(cells)
    vertices, faces = vertices[first], inverse[faces]
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    keep(np.linalg.norm(np.cross(b - a, c - a), axis=1) > 2 * _FLAT * size * size, "flat")
    if not len(faces):
        return Mesh(vertices, faces), removed
    keep(np.isin(np.arange(len(faces)), _distinct(np.sort(faces, 1))[0]), "twice")
    used, inverse = np.unique(faces, return_inverse=True)
    return Mesh(vertices[used], inverse.reshape(-1, 3)), removed


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each different row stands first, and which of them every row is; rows sorted by columns."""
    order = np.lexsort(rows.T[::-1])
    new = np.append(True, (rows[order[1:]] != rows[order[:-1]]).any(1))
    inverse = np.empty(len(rows), np.int64)
    inverse[order] = np.cumsum(new) - 1
    return order[new], inverse  # lexsort is stable


def _decimated(source: Source, meshes: Sequence[Mesh], count: int) -> Mesh:
    """The meshes with at most about ``MOST_FACES`` in all, each its share (quadric edge collapse)."""
    fast = optional("fast_simplification", "scenes", f"a mesh of {count} faces")
    fewer = []
    for mesh in meshes:
        wanted = max(int(len(mesh.faces) * MOST_FACES / count), 100)
        if wanted < len(mesh.faces):
            vertices, faces = fast.simplify(mesh.vertices, mesh.faces.astype(np.int32), target_count=wanted)
            mesh, _ = _clean(Shape("", vertices, faces))
        fewer.append(mesh)
    mesh, before = join(fewer), join(meshes).vertices
    moved = max(np.abs(pick(mesh.vertices, 0) - pick(before, 0)).max() for pick in (np.min, np.max))
    share = moved / np.ptp(before, axis=0).max()
    source.note(
        f"{count} faces decimated to {len(mesh.faces)}, which moves the bounding box by {share:.1%} of its size"
    )
    return mesh


def _outward(source: Source, mesh: Mesh) -> Mesh:
    """The mesh with every component's faces wound alike and looking outwards."""
    faces, label = np.array(mesh.faces), components(mesh)
    directed = faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    if len(_distinct(directed)[0]) < len(directed):  # neighbours run along their edge in opposite directions
        trimesh = optional("trimesh", "scenes", "repairing meshes")
        whole = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
        trimesh.repair.fix_winding(whole)
        faces = np.array(whole.faces)
        if turned := int((faces != mesh.faces).any(1).sum()):
            source.note(f"{turned} faces wound otherwise than their neighbours, turned")
    count, turned = int(label.max()) + 1, 0
    corners = mesh.vertices[faces] - mesh.vertices.mean(0)
    centres = np.stack([np.bincount(label, corners.mean(1)[:, k]) for k in range(3)], 1) / np.bincount(label)[:, None]
    volumes = np.bincount(label, np.linalg.det(corners - centres[label][:, None]) / 6)
    for k in np.flatnonzero(volumes < 0):
        faces[label == k] = faces[label == k][:, ::-1]
        turned += 1
    if turned:
        source.note(f"faces of {turned} of {count} components looked inwards, turned")
    if opened := len(np.unique(label[_beside_holes(mesh.vertices, faces)])):
        source.note(f"{opened} of {count} components are open: what is inside them, their pieces say")
    return Mesh(mesh.vertices, faces)


def _beside_holes(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces at edges that no other face shares, where these surround an area: seams do not ``(n,)``."""
    edges = faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    first, which = _distinct(np.sort(edges, 1))
    lonely = np.flatnonzero(np.bincount(which, minlength=len(first))[which] == 1)
    if not len(lonely):
        return lonely
    a, b = edges[lonely].T
    graph = sparse.coo_matrix((np.ones(len(a)), (a, b)), (len(vertices),) * 2)
    loop = sparse.csgraph.connected_components(graph, directed=False)[1][a]
    at = vertices - vertices.mean(0)
    areas = np.stack([np.bincount(loop, np.cross(at[a], at[b])[:, k]) for k in range(3)], 1) / 2
    surrounds = np.linalg.norm(areas, axis=1) > _HOLE * np.ptp(vertices, axis=0).max() ** 2
    return lonely[surrounds[loop]] // 3
