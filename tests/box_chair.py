"""A chair of boxes with samples on its surface, for tests of alignment."""

import numpy as np

from mjxhuman.scenes.convex import box_corners, pack
from mjxhuman.scenes.types import Mesh, Scene, SceneObject, resting

SEAT, WIDTH, PLATE, BACK = 0.45, 0.45, 0.04, 0.03


def chair_pieces():
    """Seat, four legs and a backrest at the side of -x, thinner than a body is deep."""
    half = 0.5 * WIDTH
    legs = [
        box_corners([0.02, 0.02, 0.5 * (SEAT - PLATE)], [x, y, 0.5 * (SEAT - PLATE)])
        for x in (0.02 - half, half - 0.02)
        for y in (0.02 - half, half - 0.02)
    ]
    seat = box_corners([half, half, 0.5 * PLATE], [0, 0, SEAT - 0.5 * PLATE])
    return [seat, *legs, box_corners([0.5 * BACK, half, 0.2], [0.5 * BACK - half, 0, SEAT + 0.2])]


def surface(pieces, count=1024, seed=0):
    """Samples and normals of the union of boxes along the axes, by area."""
    rng = np.random.default_rng(seed)
    points, normals = [], []
    for piece in pieces:
        half, centre = 0.5 * np.ptp(piece, axis=0), piece.mean(0)
        for axis in range(3):
            for sign in (-1, 1):
                area = 4 * half.prod() / half[axis]
                x = rng.uniform(-1, 1, (int(area * 4000) + 1, 3))
                x[:, axis] = sign
                points.append(centre + x * half)
                normals.append(np.tile(sign * np.eye(3)[axis], (len(x), 1)))
    points, normals = np.concatenate(points), np.concatenate(normals)
    ahead = points + 1e-6 * normals
    buried = np.any([((ahead > p.min(0)) & (ahead < p.max(0))).all(1) for p in pieces], 0)
    chosen = np.resize(rng.permutation(np.flatnonzero(~buried)), count)
    return points[chosen], normals[chosen]


def chair(name="chair", pieces=None, free=True):
    """The chair as an object."""
    pieces = chair_pieces() if pieces is None else pieces
    mesh = Mesh(np.zeros((0, 3)), np.zeros((0, 3), int))
    return SceneObject(
        mesh, pack(pieces), *surface(pieces), np.float64(5.0), np.zeros(3), np.eye(3), np.float64(0.6), name, free=free
    )


def scene_of(*objects, at=()):
    """Objects at ``(x, y)``."""
    poses = resting(objects)
    for i, place in enumerate(at):
        poses[i, :2] = place
    return Scene(objects, poses)
