"""Furniture of boxes and hulls for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mjxhuman.scenes.convex import box_corners, pack
from mjxhuman.scenes.types import Mesh, Parts, Scene, SceneObject, resting

Box = tuple[Sequence[float], Sequence[float]]  # half sizes and centre, m


def made_of(boxes: Sequence[Box], mass: float = 6.0, name: str = "chair", free: bool = True) -> SceneObject:
    """An object of boxes of one density."""
    half, centre = (np.array([box[i] for box in boxes], float) for i in range(2))
    share = mass * np.prod(half, 1) / np.sum(np.prod(half, 1))
    com = share @ centre / mass
    inertia = np.zeros((3, 3))
    for m, h, offset in zip(share, half, centre - com, strict=True):
        inertia += m / 3 * np.diag(np.sum(h * h) - h * h)
        inertia += m * (offset @ offset * np.eye(3) - np.outer(offset, offset))
    parts = pack([box_corners(h, c) for h, c in zip(half, centre, strict=True)])
    return of_parts(parts, mass, com, inertia, name, free)


def of_parts(
    parts: Parts, mass: float, com: np.ndarray, inertia: np.ndarray, name: str = "hull", free: bool = True
) -> SceneObject:
    """An object of any pieces; its mesh is a triangle, which nothing here looks at."""
    mesh, none = Mesh(np.eye(3), np.array([[0, 1, 2]])), np.zeros((0, 3))
    return SceneObject(mesh, parts, none, none, np.array(mass), com, inertia, np.array(0.8), name, free=free)


def chair(seat: float = 0.45, half: float = 0.22, legs: int = 4, back: bool = False, **more: object) -> SceneObject:
    """A chair that looks along +x: a seat whose top is ``seat`` m high, legs and a back."""
    thick, leg = 0.02, 0.5 * (seat - 0.04)
    corners = [(1, 1), (1, -1), (-1, 1), (-1, -1)][:legs]
    boxes: list[Box] = [((half, half, thick), (0, 0, seat - thick))]
    boxes += [((0.02, 0.02, leg), (x * (half - 0.02), y * (half - 0.02), leg)) for x, y in corners]
    if back:
        boxes.append(((0.02, half, 0.2), (0.02 - half, 0, seat + 0.2)))
    return made_of(boxes, **more)  # type: ignore[arg-type]


def boulder(seed: int, corners: int = 32, radius: float = 0.2) -> SceneObject:
    """A hull of so many points of a sphere, its lowest on the floor."""
    points = np.random.default_rng(seed).normal(size=(corners, 3))
    points *= radius / np.linalg.norm(points, axis=1, keepdims=True)
    points[:, 2] -= points[:, 2].min()
    return of_parts(pack([points]), 8.0, np.array([0, 0, radius]), 0.4 * 8.0 * radius**2 * np.eye(3))


def room(*objects: SceneObject, at: Sequence[Sequence[float]] | None = None) -> Scene:
    """Objects at places (x, y) or (x, y, z), upright."""
    poses = resting(objects)
    for pose, place in zip(poses, at or [], strict=False):
        pose[: len(place)] = place
    return Scene(objects, poses)
