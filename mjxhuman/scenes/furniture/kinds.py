"""The kinds of built-in furniture: how each is put together, in sizes that real ones have. People face +x.

Sizes are drawn evenly from ranges taken, rounded, from EN 1729-1:2006 (size marks 5-7: seats 43-51 cm high, 38-46 cm
deep, at least 36-40 cm wide, backs 95-110 degrees to the seat, table tops 71-82 cm), GB/T 3326 (chairs, stools and
tables of the home: seats 40-44 cm, tables 68-76 cm), QB/T 1952.1 (sofas: seats 36-42 cm high, 48-60 cm deep, at least
48 cm wide for one) and Blondel's rule for steps (two risers and a tread are 63 cm). Sections are those of timber.
Masses are those of ``scenes.objects.KINDS``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from mjxhuman.scenes import objects
from mjxhuman.scenes.furniture.pieces import Piece, bar, box, rod

Build = Callable[[np.random.Generator], list[Piece]]


@dataclasses.dataclass(frozen=True)
class BuiltIn:
    """How to build one, and the range of its mass in kg."""

    build: Build
    mass: tuple[float, float]


#: By name; ``kind`` adds to it.
KINDS: dict[str, BuiltIn] = {}


def kind(name: str, mass: tuple[float, float] | None = None) -> Callable[[Build], Build]:
    """Register a kind: a function from a random generator to the pieces of one, those that stand on the floor "leg".

    Args:
      name: of the kind.
      mass: range in kg; None: what is known of the kind (``scenes.objects.KINDS``).

    Raises:
      ValueError: no mass, and none is known.
    """
    known = objects.KINDS.get(name)
    weighs = mass or (known.mass if known else None)
    if weighs is None:
        raise ValueError(f"mass: expected a range in kg for {name!r}, of which none is known, found {mass!r}")

    def register(build: Build) -> Build:
        KINDS[name] = BuiltIn(build, weighs)
        return build

    return register


def _legs(
    rng: np.random.Generator, length: float, width: float, height: float, section: tuple[float, float], rake: float
) -> list[Piece]:
    """Legs under the corners of a top, splayed outward by up to ``rake`` degrees and tapered, a third of them round."""
    thick = rng.uniform(*section)
    inset = rng.uniform(0.0, 0.02) + thick / 2
    x, y = length / 2 - inset, width / 2 - inset
    places = [(sx * x, sy * y) for sx in (-1, 1) for sy in (-1, 1)]
    return _raked(rng, places, height, thick, rake)


def _raked(
    rng: np.random.Generator, places: list[tuple[float, float]], height: float, thick: float, rake: float
) -> list[Piece]:
    """Legs from the floor to ``places`` (x, y) at a height, splayed away from the middle."""
    foot, round_ = thick * rng.uniform(0.7, 1.0), rng.random() < 1 / 3
    out = np.tan(np.radians(rng.uniform(0.0, rake))) * height
    legs = []
    for x, y in places:
        share = 1 + out / np.hypot(x, y)
        low, high = (x * share, y * share, 0.0), (x, y, height)
        leg = rod("leg", low, high, foot, thick, 8) if round_ else bar("leg", low, high, (foot, foot), (thick, thick))
        legs.append(leg)
    return legs


def _back(
    rng: np.random.Generator, x: float, width: float, seat: float, height: float, thick: float, angle: float, slats: int
) -> list[Piece]:
    """A back that leans away from +x, at ``angle`` degrees to the seat: one panel, or two posts and slats."""
    slope = np.tan(np.radians(angle - 90.0))

    def at(z: float) -> float:
        return x - slope * z

    if not slats:
        return [bar("back", (at(0), 0, seat), (at(height), 0, seat + height), (thick, width))]
    post = rng.uniform(0.03, 0.045)
    y = (width - post) / 2
    posts = [bar("back", (at(0), s * y, seat), (at(height), s * y, seat + height), (thick, post)) for s in (-1, 1)]
    slat, inner = rng.uniform(0.04, 0.07), width - 2 * post
    feet = np.linspace(rng.uniform(0.10, 0.16), height - slat - 0.01, slats)
    return posts + [
        bar("back", (at(z), 0, seat + z), (at(z + slat), 0, seat + z + slat), (0.7 * thick, inner)) for z in feet
    ]


@kind("chair")
def _chair(rng: np.random.Generator) -> list[Piece]:
    seat, width, depth = rng.uniform(0.40, 0.50), rng.uniform(0.38, 0.50), rng.uniform(0.38, 0.46)
    thick = rng.uniform(0.02, 0.05)
    pieces = _legs(rng, depth, width, seat - thick, (0.03, 0.05), rng.uniform(0.0, 6.0))
    pieces.append(box("seat", (-depth / 2, -width / 2, seat - thick), (depth / 2, width / 2, seat)))
    back = rng.uniform(0.018, 0.03)
    height, angle = rng.uniform(0.30, 0.50), rng.uniform(95.0, 110.0)
    pieces += _back(rng, -depth / 2 + back / 2, width, seat, height, back, angle, int(rng.choice([0, 0, 2, 3])))
    if rng.random() < 0.25:  # arms, 20-25 cm over the seat
        rest, section = seat + rng.uniform(0.20, 0.25), rng.uniform(0.03, 0.05)
        lean = np.tan(np.radians(angle - 90.0)) * (rest - seat)
        for side in (-1, 1):
            y = side * (width - section) / 2
            front = depth / 2 - rng.uniform(0.03, 0.08)
            pieces.append(bar("arm", (front, y, seat), (front, y, rest), (section, section)))
            pieces.append(
                box(
                    "arm",
                    (-depth / 2 + back - lean, y - section / 2, rest),
                    (front + section / 2, y + section / 2, rest + 0.02),
                )
            )
    return pieces


@kind("stool")
def _stool(rng: np.random.Generator) -> list[Piece]:
    seat, width, depth = rng.uniform(0.40, 0.50), rng.uniform(0.30, 0.42), rng.uniform(0.28, 0.36)
    thick = rng.uniform(0.02, 0.04)
    if rng.random() < 0.4:
        return _round_stool(rng, seat, width, thick)
    legs = _legs(rng, depth, width, seat - thick, (0.025, 0.045), 10.0)
    pieces = [*legs, box("seat", (-depth / 2, -width / 2, seat - thick), (depth / 2, width / 2, seat))]
    if rng.random() < 0.5:
        pieces += _stretchers(legs, rng.uniform(0.12, 0.2))
    return pieces


def _round_stool(rng: np.random.Generator, seat: float, width: float, thick: float) -> list[Piece]:
    """A round seat on three or four legs."""
    count, leg = int(rng.integers(3, 5)), rng.uniform(0.025, 0.04)
    angle = 2 * np.pi * np.arange(count) / count
    ring = [(float(x), float(y)) for x, y in (width / 2 - leg) * np.stack([np.cos(angle), np.sin(angle)], 1)]
    top = rod("seat", (0, 0, seat - thick), (0, 0, seat), width, width, 16)
    return [*_raked(rng, ring, seat - thick, leg, 10.0), top]


def _stretchers(legs: list[Piece], height: float) -> list[Piece]:
    """Rails between the left legs and between the right legs at a height in m."""
    rails = []
    for side in (-1, 1):
        centres, thick = [], 0.0
        for leg in [leg for leg in legs if side * leg.corners[:, 1].mean() > 0]:
            foot, head = np.split(leg.corners, 2)
            share = (height - foot[0, 2]) / (head[0, 2] - foot[0, 2])
            ring = foot + share * (head - foot)
            centres.append(ring.mean(0))
            thick = float(np.ptp(ring[:, 0]))
        (x0, y, _), (x1, _, _) = sorted(centres, key=lambda c: c[0])
        reach = thick / 2 - 0.004  # the rail ends inside the raked legs
        rails.append(box("rail", (x0 + reach, y - 0.01, height - 0.012), (x1 - reach, y + 0.01, height + 0.012)))
    return rails


@kind("bench")
def _bench(rng: np.random.Generator) -> list[Piece]:
    seat, width, depth = rng.uniform(0.40, 0.48), rng.uniform(0.9, 1.5), rng.uniform(0.28, 0.42)
    thick = rng.uniform(0.025, 0.05)
    under = seat - thick
    top = box("seat", (-depth / 2, -width / 2, under), (depth / 2, width / 2, seat))
    if rng.random() < 0.5:
        return [*_legs(rng, depth, width, under, (0.04, 0.06), 4.0), top]
    y, half, panel = width / 2 - rng.uniform(0.03, 0.2), depth / 2 - 0.01, rng.uniform(0.025, 0.05)
    sides = [box("leg", (-half, s * y - panel / 2, 0), (half, s * y + panel / 2, under)) for s in (-1, 1)]
    rail = box("rail", (-0.015, -y + panel / 2, under - 0.1), (0.015, y - panel / 2, under))
    return [*sides, top, rail]


@kind("table")
def _table(rng: np.random.Generator) -> list[Piece]:
    height, length, depth = rng.uniform(0.68, 0.82), rng.uniform(0.8, 1.6), rng.uniform(0.6, 0.9)
    thick = rng.uniform(0.02, 0.04)
    under = height - thick
    if rng.random() < 0.25:  # round, on legs under the square inside it
        width = rng.uniform(0.8, 1.2)
        top = rod("top", (0, 0, under), (0, 0, height), width, width, 16)
        return [*_legs(rng, 0.68 * width, 0.68 * width, under, (0.045, 0.08), 3.0), top]
    legs = _legs(rng, depth, length, under, (0.045, 0.08), 3.0)
    pieces = [*legs, box("top", (-depth / 2, -length / 2, under), (depth / 2, length / 2, height))]
    if rng.random() < 0.7:  # an apron between the legs
        heads = np.concatenate([leg.corners[len(leg.corners) // 2 :] for leg in legs])
        x, y = np.abs(heads[:, 0]), np.abs(heads[:, 1])
        drop, rail = under - rng.uniform(0.06, 0.10), 0.02
        for s in (-1, 1):
            at_x, at_y = s * x.mean(), s * y.mean()
            pieces.append(box("rail", (at_x - rail / 2, -y.min(), drop), (at_x + rail / 2, y.min(), under)))
            pieces.append(box("rail", (-x.min(), at_y - rail / 2, drop), (x.min(), at_y + rail / 2, under)))
    return pieces


@kind("sofa")
def _sofa(rng: np.random.Generator) -> list[Piece]:
    seats = int(rng.integers(1, 4))
    seat, depth = rng.uniform(0.36, 0.44), rng.uniform(0.48, 0.60)
    arm, back, foot = rng.uniform(0.10, 0.20), rng.uniform(0.12, 0.20), rng.uniform(0.05, 0.12)
    inner = seats * rng.uniform(0.52, 0.62)
    width, deep = inner + 2 * arm, depth + back
    pieces = _legs(rng, deep, width, foot, (0.05, 0.08), 0.0)
    base = box("seat", (-deep / 2, -inner / 2, foot), (deep / 2, inner / 2, seat))
    rest = seat + rng.uniform(0.20, 0.25)
    arms = [
        box("arm", (-deep / 2, min(s * inner, s * width) / 2, foot), (deep / 2, max(s * inner, s * width) / 2, rest))
        for s in (-1, 1)
    ]
    height, angle = rng.uniform(0.38, 0.50), rng.uniform(100.0, 112.0)
    return pieces + [base, *arms, *_back(rng, -deep / 2 + back / 2, inner, seat, height, back, angle, 0)]


@kind("steps", mass=(4.0, 10.0))  # of two or three; stairs in files weigh anything
def _steps(rng: np.random.Generator) -> list[Piece]:
    riser = rng.uniform(0.15, 0.20)
    run, width, panel, thick = 0.63 - 2 * riser, rng.uniform(0.40, 0.60), rng.uniform(0.018, 0.03), 0.02
    pieces = []
    for i in range(int(rng.integers(2, 4))):
        x, under, y = -i * run, (i + 1) * riser - thick, width / 2  # climbed towards -x
        pieces.append(box("tread", (x - run, -y, under), (x, y, under + thick)))
        for s in (-1, 1):
            low, high = sorted((s * y, s * (y - panel)))
            pieces.append(box("leg", (x - run, low, 0), (x, high, under)))
    return pieces
