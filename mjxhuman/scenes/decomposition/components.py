"""A mesh taken apart where it is not joined, each piece closed, so that each can be measured. NumPy, on the host."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mjxhuman.scenes.types import Mesh

#: m; corners nearer than this are one.
WELD = 1e-6


def welded(mesh: Mesh) -> Mesh:
    """The mesh in float64 with corners that coincide made one, without faces that have no three corners then."""
    vertices = np.asarray(mesh.vertices, np.float64)
    _, first, index = np.unique(np.round(vertices / WELD), axis=0, return_index=True, return_inverse=True)
    faces = index.reshape(-1)[np.asarray(mesh.faces)]
    a, b, c = faces.T
    return _compact(vertices[first], faces[(a != b) & (b != c) & (c != a)])


def components(mesh: Mesh) -> list[Mesh]:
    """Welded sets of faces that hang together; the largest boxes first.

    What shares vertices and is closed is one, even if it touches another face to face; what is left is welded first.
    """
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces)
    edges = faces[:, [[0, 1], [1, 2]]].reshape(-1, 2)
    graph = coo_array((np.ones(len(edges)), tuple(edges.T)), shape=(len(vertices),) * 2)
    label = np.unique(connected_components(graph, directed=False)[1][faces[:, 0]], return_inverse=True)[1]
    loose = np.ones(len(faces), bool)
    found = []
    for k in np.flatnonzero(np.bincount(label) >= 4):  # a tetrahedron's
        part = welded(_compact(vertices, faces[label == k]))
        if len(part.faces) and not len(open_edges(part)):
            found += _joined(part)
            loose[label == k] = False
    if loose.any():
        found += _joined(welded(_compact(vertices, faces[loose])))
    return sorted(found, key=lambda part: -float(np.prod(np.ptp(part.vertices, axis=0) + WELD)))


def _joined(mesh: Mesh) -> list[Mesh]:
    """Faces that hang together by edges of exactly two faces, each set as a mesh."""
    edges, owner = _edges(mesh.faces), np.tile(np.arange(len(mesh.faces)), 3)
    key = edges.min(1).astype(np.int64) * len(mesh.vertices) + edges.max(1)
    order = np.argsort(key, kind="stable")
    _, start, count = np.unique(key[order], return_index=True, return_counts=True)
    start = start[count == 2]
    pairs = owner[order[start]], owner[order[start + 1]]
    graph = coo_array((np.ones(len(start)), pairs), shape=(len(mesh.faces),) * 2)
    number, label = connected_components(graph, directed=False)
    return [_compact(mesh.vertices, mesh.faces[label == k]) for k in range(number)]


def open_edges(mesh: Mesh) -> np.ndarray:
    """Edges ``(E, 2)`` of more faces on one side than on the other, in the direction of the faces that are missing."""
    edges = _edges(mesh.faces).astype(np.int64)
    low, high = edges.min(1), edges.max(1)
    key, index = np.unique(low * len(mesh.vertices) + high, return_inverse=True)
    excess = np.bincount(index, weights=np.where(edges[:, 0] < edges[:, 1], 1, -1)).astype(int)
    missing = np.repeat(np.arange(len(key)), np.abs(excess))
    ends = np.stack([key[missing] // len(mesh.vertices), key[missing] % len(mesh.vertices)], 1)
    return np.where(excess[missing, None] > 0, ends[:, ::-1], ends)


def capped(mesh: Mesh) -> Mesh:
    """The mesh with a fan of triangles about the middle of each hole's rim."""
    edges = open_edges(mesh)
    if not len(edges):
        return mesh
    number = len(mesh.vertices)
    rims = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(number, number))
    label = np.unique(connected_components(rims, directed=False)[1][edges[:, 0]], return_inverse=True)[1]
    weight = np.bincount(label)[:, None]
    middle = np.stack([np.bincount(label, weights=mesh.vertices[edges[:, 0], k]) for k in range(3)], 1) / weight
    fans = np.concatenate([edges, number + label[:, None]], 1)
    return Mesh(np.concatenate([mesh.vertices, middle]), np.concatenate([mesh.faces, fans]))


def area(mesh: Mesh) -> float:
    """Area of the faces, m^2."""
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces], 1, 0)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def volume(mesh: Mesh) -> float:
    """Signed volume of a closed mesh, m^3; negative where its faces look inwards."""
    a, b, c = np.moveaxis((mesh.vertices - mesh.vertices.mean(0))[mesh.faces], 1, 0)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def _edges(faces: np.ndarray) -> np.ndarray:
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def _compact(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    used, index = np.unique(faces, return_inverse=True)
    return Mesh(vertices[used], index.reshape(-1, 3))
