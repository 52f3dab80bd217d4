"""Convex pieces from corner points: their hulls, faces, volumes and the mass that they hold. NumPy, on the host."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import ConvexHull, QhullError

from mjxhuman.scenes.types import Mesh, Parts

#: Numbers of pieces that objects are padded to: one compiled program, or one layout of MuJoCo's, for each.
BUCKETS = (8, 16, 32)


def box_corners(half: ArrayLike, centre: ArrayLike = (0.0, 0.0, 0.0), rotation: ArrayLike | None = None) -> np.ndarray:
    """The eight corners ``(8, 3)`` of a box: half sizes (3,) and centre (3,) in m, rotation (3, 3) of its axes."""
    signs = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij"), -1).reshape(8, 3)
    corners = signs * np.asarray(half, np.float64)
    if rotation is not None:
        corners = corners @ np.asarray(rotation, np.float64).T
    return corners + np.asarray(centre, np.float64)


def faces_of(vertices: ArrayLike) -> np.ndarray:
    """Planes ``(F, 4)`` of the hull of points ``(V, 3)``: outward unit normal and offset, each face once.

    Raises:
      ValueError: the points are fewer than four, not finite, or lie in a plane.
    """
    vertices = np.asarray(vertices, np.float64)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or len(vertices) < 4 or not np.isfinite(vertices).all():
        raise ValueError(f"vertices: expected at least four finite points (V, 3), found {vertices.shape}")
    try:
        equations = ConvexHull(vertices).equations
    except QhullError as error:
        raise ValueError(f"vertices: expected points that span a volume, found {len(vertices)} in a plane") from error
    planes = np.concatenate([equations[:, :3], -equations[:, 3:]], 1)
    _, first = np.unique(np.round(planes, 9), axis=0, return_index=True)  # triangles of one face
    return planes[np.sort(first)]


def hull_mesh(vertices: ArrayLike) -> Mesh:
    """The hull of points ``(V, 3)`` as triangles, counter-clockwise from outside; vertices inside are left out.

    Raises:
      ValueError: as ``faces_of``.
    """
    faces_of(vertices)
    vertices = np.asarray(vertices, np.float64)
    hull = ConvexHull(vertices)
    used, faces = np.unique(hull.simplices, return_inverse=True)
    vertices, faces = vertices[used], faces.reshape(-1, 3)
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    inwards = np.einsum("mi,mi->m", np.cross(b - a, c - a), hull.equations[:, :3]) < 0
    faces[inwards] = faces[inwards][:, ::-1]
    return Mesh(vertices, faces)


def join(meshes: Sequence[Mesh]) -> Mesh:
    """Several meshes as one, each with its own vertices."""
    starts = np.cumsum([0, *[len(mesh.vertices) for mesh in meshes]])
    faces = [np.asarray(mesh.faces) + start for mesh, start in zip(meshes, starts[:-1], strict=True)]
    return Mesh(np.concatenate([np.asarray(mesh.vertices) for mesh in meshes]), np.concatenate(faces))


def pack(pieces: Sequence[ArrayLike], count: int | None = None) -> Parts:
    """Pieces with one number of vertices ``(V, 3)`` each as ``Parts``, padded to ``count`` pieces.

    Args:
      pieces: corners of each piece, m; every one a corner of the hull.
      count: K; None is the least of ``BUCKETS`` that holds them, or their own number beyond the last.

    Raises:
      ValueError: no piece, more than ``count``, pieces of different numbers of vertices, or one without volume.
    """
    corners = [np.asarray(piece, np.float64) for piece in pieces]
    if count is None:
        count = next((k for k in BUCKETS if k >= len(corners)), len(corners))
    if not 0 < len(corners) <= count:
        raise ValueError(f"pieces: expected 1 to {count}, found {len(corners)}")
    sizes = sorted({len(piece) for piece in corners})
    if len(sizes) > 1:
        raise ValueError(f"pieces: expected one number of vertices, found {sizes}")
    planes = [faces_of(piece) for piece in corners]
    most = max(len(p) for p in planes)
    planes = [np.concatenate([p, np.repeat(p[-1:], most - len(p), 0)]) for p in planes]
    order = [*range(len(corners)), *[0] * (count - len(corners))]
    mask = np.arange(count) < len(corners)
    return Parts(np.stack([corners[i] for i in order]), np.stack([planes[i] for i in order]), mask)
