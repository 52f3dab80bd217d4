"""Meshes: repaired triangles, what lies inside them, and samples of their surface. NumPy, on the host."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from mjxhuman.scenes.types import Mesh

#: m from a surface at which is asked whether a sample of it is hidden inside the rest of the mesh.
_OFF = 1e-3
#: Samples drawn for each that is wanted, and how often more are drawn where most are hidden.
_DRAWS, _TRIES = 4, 8
#: Solid angles computed at once.
_CHUNK = 1 << 18
#: Faces of a group, and how many times its radius away it counts as a dipole.
_GROUP, _AFAR = 256, 3.0


def areas_and_normals(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Areas ``(M,)`` in m^2 and unit normals ``(M, 3)`` of the faces; the normal of a face without area is 0."""
    a, b, c = np.moveaxis(np.asarray(mesh.vertices, np.float64)[mesh.faces], 1, 0)
    cross = np.cross(b - a, c - a)
    double = np.linalg.norm(cross, axis=1)
    return double / 2, cross / np.where(double > 0, double, 1.0)[:, None]


def winding_number(mesh: Mesh, points: ArrayLike) -> np.ndarray:
    """How often the mesh encloses each of ``points (n, 3)``: 1 inside and 0 outside of a closed one ``(n,)``.

    Open meshes give fractions, overlapping components their sum (Jacobson et al. 2013). Groups of faces count as one
    dipole from afar (Barill et al. 2018): right to 0.02 for large meshes, exact for those of one group.
    """
    points = np.asarray(points, np.float64)
    corners = np.asarray(mesh.vertices, np.float64)[mesh.faces]
    corners = corners[_along_curve(corners.mean(1))]
    count = np.zeros(len(points))
    for start in range(0, len(corners), _GROUP):
        group = corners[start : start + _GROUP]
        a, b, c = np.moveaxis(group, 1, 0)
        vectors = np.cross(b - a, c - a) / 2
        areas = np.maximum(np.linalg.norm(vectors, axis=1), 1e-300)
        centre = np.average(group.mean(1), axis=0, weights=areas)
        reach = np.linalg.norm(group - centre, axis=-1).max()
        away = centre - points
        distance = np.linalg.norm(away, axis=1)
        near = (distance < _AFAR * reach) | (len(corners) <= _GROUP)
        far = ~near
        count[far] += away[far] @ vectors.sum(0) / (4 * np.pi * distance[far] ** 3)
        count[near] += _solid_angles(group, points[near]) / (4 * np.pi)
    return count


def _solid_angles(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Sum of the signed solid angles of triangles ``(m, 3, 3)`` seen from points ``(n, 3)``: ``(n,)``."""
    total = np.zeros(len(points))
    step = max(1, _CHUNK // max(len(corners), 1))
    for start in range(0, len(points), step):
        a, b, c = np.moveaxis(corners[None] - points[start : start + step, None, None], 2, 0)
        la, lb, lc = (np.linalg.norm(x, axis=-1) for x in (a, b, c))
        numerator = np.einsum("nmi,nmi->nm", a, np.cross(b, c))
        denominator = la * lb * lc + np.einsum("nmi,nmi->nm", a, b) * lc
        denominator += np.einsum("nmi,nmi->nm", b, c) * la + np.einsum("nmi,nmi->nm", c, a) * lb
        total[start : start + step] = 2 * np.arctan2(numerator, denominator).sum(1)
    return total


def components(mesh: Mesh) -> np.ndarray:
    """The connected component ``(M,)`` that each face belongs to, 0, 1, ...: those of one share vertices."""
    faces, count = np.asarray(mesh.faces), len(mesh.vertices)
    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = sparse.coo_matrix((np.ones(len(edges)), edges.T), (count, count))
    of_vertices = sparse.csgraph.connected_components(graph, directed=False)[1]
    return np.unique(of_vertices[faces[:, 0]], return_inverse=True)[1]


def hidden(mesh: Mesh, points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Which ``points (n, 3)`` beside ``faces (n,)`` lie inside components that these do not belong to ``(n,)``."""
    label = components(mesh)
    order = np.argsort(label, kind="stable")
    enclosed = np.zeros(len(points))
    for own in np.split(order, np.flatnonzero(np.diff(label[order])) + 1):
        if len(own) < 4:  # encloses nothing
            continue
        part = Mesh(mesh.vertices, mesh.faces[own])
        corners = part.vertices[part.faces].reshape(-1, 3)
        near = (label[faces] != label[own[0]]) & (points > corners.min(0)).all(1) & (points < corners.max(0)).all(1)
        if near.any():
            enclosed[near] += winding_number(part, points[near])
    return np.abs(enclosed) > 0.5


def sample_surface(mesh: Mesh, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points spread evenly over what can be touched of a mesh, and the outward normals there, both ``(count, 3)``.

    Faces that lie inside the mesh's other components get none. The two sides of a plate count as far apart.

    Raises:
      ValueError: a mesh without area, or one that is all inside itself.
    """
    areas, normals = areas_and_normals(mesh)
    if not areas.sum() > 0:
        raise ValueError(f"mesh: expected faces with an area, found {len(areas)} of 0 m2")
    corners = np.asarray(mesh.vertices, np.float64)[mesh.faces]
    rng = np.random.default_rng(seed)
    spacing = np.sqrt(areas.sum() / count)
    points, outward = np.empty((0, 3)), np.empty((0, 3))
    for _ in range(_TRIES):
        face = rng.choice(len(areas), _DRAWS * count, p=areas / areas.sum())
        weights = np.diff(np.sort(rng.random((len(face), 2)), 1), axis=1, prepend=0.0, append=1.0)
        at = np.einsum("nc,nci->ni", weights, corners[face])
        seen = ~hidden(mesh, at + _OFF * normals[face], face)
        points, outward = np.concatenate([points, at[seen]]), np.concatenate([outward, normals[face[seen]]])
        if len(points) >= 2 * count:
            chosen = _far_apart(np.concatenate([points, spacing * outward], 1), count)
            return points[chosen], outward[chosen]
    drawn = _TRIES * _DRAWS * count
    raise ValueError(f"mesh: expected faces that are seen from outside, found {len(points)} samples of {drawn}")


def _far_apart(points: np.ndarray, count: int) -> np.ndarray:
    """Indices of points each of which is the farthest from those before it."""
    chosen = np.zeros(count, np.int64)
    far = np.full(len(points), np.inf)
    for i in range(1, count):
        apart = points - points[chosen[i - 1]]
        far = np.minimum(far, np.einsum("ni,ni->n", apart, apart))
        chosen[i] = far.argmax()
    return chosen


def _along_curve(points: np.ndarray) -> np.ndarray:
    """Order of points along a Z curve: neighbours in it are near each other."""
    size = max(float(np.ptp(points, axis=0).max()), 1e-300)
    cells = ((points - points.min(0)) / size * 1023).astype(np.int64)
    key = np.zeros(len(points), np.int64)
    for bit in range(10):
        for axis in range(3):
            key |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return np.argsort(key, kind="stable")
