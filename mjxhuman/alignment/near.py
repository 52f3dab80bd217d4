"""Distances between a body and one object: few programs for objects of many sizes. Float64 unless asked otherwise."""

from __future__ import annotations

import collections
import threading

import jax
import numpy as np

from mjxhuman.math import quaternion
from mjxhuman.scenes.sdf import Hulls, ObjectSurface, hulls_of
from mjxhuman.scenes.types import Parts, SceneObject

#: Pieces, faces, edges and points are padded to one of these, or a multiple of the last.
_SIZES = (4, 8, 16, 32, 64)
#: Hulls of so many objects are kept.
_KEPT = 64
_hulls: collections.OrderedDict[int, tuple[Parts, Hulls]] = collections.OrderedDict()
_lock = threading.Lock()


def distances(
    thing: SceneObject, pose: np.ndarray, points: np.ndarray, single: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance in m and outward normal ``(..., 3)`` of an object at a pose ``(7,)``, at points ``(..., 3)``.

    Exact outside and inside each piece; as ``scenes.sdf.by_object``. ``single``: in float32.
    """
    flat = np.asarray(points, np.float32 if single else np.float64).reshape(-1, 3)
    wide = np.concatenate([flat, np.repeat(flat[-1:], _size(len(flat)) - len(flat), 0)])
    with jax.enable_x64(not single):
        found = ObjectSurface(hulls(thing), np.asarray(pose, wide.dtype), thing.friction).nearest(wide)
        distance, normal = np.asarray(found.distance)[: len(flat)], np.asarray(found.normal)[: len(flat)]
    return distance.reshape(points.shape[:-1]), normal.reshape(points.shape)


def depth(thing: SceneObject, pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Depth ``(*f)`` in m of the deepest of points ``(*f, N, 3)``, to the nearest side of the piece it is deepest in; 0
    if none is inside: the greatest ``-distance``, without the search for edges."""
    parts, pose = thing.parts, np.asarray(pose, np.float64)
    *lead, count, _ = np.shape(points)
    local = quaternion.rotate(quaternion.conjugate(pose[3:]), np.asarray(points, np.float64).reshape(-1, 3) - pose[:3])
    mask, deepest = np.asarray(parts.mask, bool), np.zeros(len(local) // count)
    corners, planes = (np.asarray(x, np.float64)[mask] for x in (parts.vertices, parts.planes))
    for low, high, faces in zip(corners.min(1), corners.max(1), planes, strict=True):
        inside = np.flatnonzero(((local > low) & (local < high)).all(1))
        behind = -(local[inside] @ faces[:, :3].T - faces[:, 3]).max(1)
        np.maximum.at(deepest, inside // count, behind)
    return deepest.reshape(lead)


def hulls(thing: SceneObject) -> Hulls:
    """The pieces of an object, padded; kept by the identity of its parts."""
    with _lock:
        if id(thing.parts) not in _hulls:
            own = hulls_of(thing.parts)
            planes, edges = np.asarray(own.planes), np.asarray(own.edges)
            _hulls[id(thing.parts)] = thing.parts, Hulls(_more(_more(planes, 0), 1), _more(_more(edges, 0), 1))
            if len(_hulls) > _KEPT:
                _hulls.popitem(last=False)
        return _hulls[id(thing.parts)][1]


def _size(count: int) -> int:
    return next((n for n in _SIZES if n >= count), -(-count // _SIZES[-1]) * _SIZES[-1])


def _more(x: np.ndarray, axis: int) -> np.ndarray:
    """Copies of the first along an axis, up to a size."""
    count = x.shape[axis]
    return np.concatenate([x, np.take(x, np.zeros(_size(count) - count, int), axis)], axis)
