"""What is wrong with generated furniture, done to good furniture on purpose, by severity between 0 and 1."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from mjxhuman.math import quaternion
from mjxhuman.scenes.furniture.pieces import Piece, bar, mesh_of
from mjxhuman.scenes.mesh import sample_surface

Damage = Callable[[list[Piece], np.random.Generator, float], list[Piece]]

#: By name; ``damage`` adds to it.
DAMAGES: dict[str, Damage] = {}
#: Of a damage that is named without one.
SEVERITY = 0.5


def damage(change: Damage) -> Damage:
    """Register a damage under its function's name: pieces, random generator and severity to pieces."""
    DAMAGES[change.__name__] = change
    return change


def _legs(pieces: list[Piece]) -> list[int]:
    return [i for i, piece in enumerate(pieces) if piece.role == "leg"]


@damage
def short_leg(pieces: list[Piece], rng: np.random.Generator, severity: float) -> list[Piece]:
    """One leg ends 100 mm x severity too high, or has a fifth of its length left."""
    which = int(rng.choice(_legs(pieces)))
    corners = pieces[which].corners.copy()
    low = pieces[which].low
    corners[low, 2] += min(0.1 * severity, 0.8 * np.ptp(corners[:, 2]))
    return [dataclasses.replace(p, corners=corners) if i == which else p for i, p in enumerate(pieces)]


@damage
def missing_leg(pieces: list[Piece], rng: np.random.Generator, severity: float) -> list[Piece]:
    """One leg is missing; above a severity of 2/3 two are."""
    gone = rng.permutation(_legs(pieces))[: 1 if severity <= 2 / 3 else 2]
    return [p for i, p in enumerate(pieces) if i not in gone]


@damage
def tilt(pieces: list[Piece], rng: np.random.Generator, severity: float) -> list[Piece]:
    """The whole leans by 20 degrees x severity in some direction, as a mesh whose vertical was misjudged."""
    angle, toward = np.radians(20.0 * severity), rng.uniform(0.0, 2 * np.pi)
    turn = quaternion.about(np.array([np.cos(toward), np.sin(toward), 0.0]), np.array([angle]))[0]
    return [dataclasses.replace(p, corners=quaternion.rotate(turn, p.corners)) for p in pieces]


@damage
def bumps(pieces: list[Piece], rng: np.random.Generator, severity: float) -> list[Piece]:
    """Eight bumps of 30 mm x severity on the surface, one of them under a leg."""
    height = 0.03 * severity
    if not height:
        return pieces
    points, normals = sample_surface(mesh_of(pieces), 7, int(rng.integers(1 << 31)))
    foot = pieces[int(rng.choice(_legs(pieces)))]
    under = foot.corners[foot.low].mean(0)
    places = [*zip(points, normals, strict=True), (under, np.array([0.0, 0.0, -1.0]))]
    return pieces + [_bump(point, normal, rng.uniform(0.02, 0.04), height) for point, normal in places]


def _bump(point: np.ndarray, normal: np.ndarray, width: float, height: float) -> Piece:
    """A blunt pyramid on a surface, sunk by 2 mm so that it is one with it."""
    pyramid = bar("bump", (0, 0, -0.002), (0, 0, height), (width, width), (width / 2, width / 2))
    across = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))])
    across /= np.linalg.norm(across)
    axes = np.stack([across, np.cross(normal, across), normal], 1)
    return dataclasses.replace(pyramid, corners=pyramid.corners @ axes.T + point)


@damage
def noise(pieces: list[Piece], rng: np.random.Generator, severity: float) -> list[Piece]:
    """Corners are off by 10 mm x severity (standard deviation, cut at two), at most a sixth of a piece's thickness."""
    found = []
    for piece in pieces:
        off = min(0.01 * severity, piece.thickness / 6) * np.clip(rng.standard_normal(piece.corners.shape), -2, 2)
        found.append(dataclasses.replace(piece, corners=piece.corners + off))
    return found


@damage
def gap(pieces: list[Piece], rng: np.random.Generator, severity: float) -> list[Piece]:
    """One piece hangs 100 mm x severity off the others: a leg to the side, anything else upward."""
    which = int(rng.integers(len(pieces)))
    piece = pieces[which]
    out = piece.corners.mean(0)[:2]
    side = out / max(float(np.linalg.norm(out)), 1e-9)
    shift = [*side, 0.0] if piece.role == "leg" else [0.0, 0.0, 1.0]
    return [p.moved(0.1 * severity * np.asarray(shift)) if i == which else p for i, p in enumerate(pieces)]
