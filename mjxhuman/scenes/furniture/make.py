"""Built-in furniture: chairs, stools, benches, tables, sofas and steps, intact or damaged, no two seeds alike.

    scene = make_furniture("chair", seed=3)
    scene = make_furniture("chair", seed=3, damage="short_leg:0.3")

The damaged one is the intact one of the same seed with something done to it.
"""

from __future__ import annotations

import math
import zlib

import numpy as np

from mjxhuman.scenes.convex import pack
from mjxhuman.scenes.decomposition.hulls import with_corners
from mjxhuman.scenes.furniture.damage import DAMAGES, SEVERITY
from mjxhuman.scenes.furniture.kinds import KINDS
from mjxhuman.scenes.furniture.pieces import mesh_of, settled, volume
from mjxhuman.scenes.objects import make_object
from mjxhuman.scenes.types import Scene, resting
from mjxhuman.types import Provenance


def make_furniture(kind: str, seed: int = 0, damage: str | None = None) -> Scene:
    """A scene with one built-in object at the origin, standing on the floor and facing +x.

    Args:
      kind: a key of ``furniture.kinds.KINDS``: chair, stool, bench, table, sofa, steps.
      seed: of its sizes, mass and damage; a whole number of 0 or more.
      damage: a key of ``furniture.damage.DAMAGES`` (short_leg, missing_leg, tilt, bumps, noise, gap), with ":" and a
        severity between 0 and 1 behind it where it is not 0.5; None: intact.

    Raises:
      ValueError: a kind, seed or damage that there is none of.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, found {kind!r}")
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed: expected a whole number of 0 or more, found {seed!r}")
    harm, severity = _damage(damage)
    rng = np.random.default_rng([seed, _word(kind)])
    whole = settled(KINDS[kind].build(rng))
    mass, intact = rng.uniform(*KINDS[kind].mass), volume(whole)
    pieces = whole
    if harm:
        pieces = settled(DAMAGES[harm](whole, np.random.default_rng([seed, _word(kind), _word(harm)]), severity))
    name = f"{kind}:{seed}" + (f":{damage}" if damage else "")
    provenance = Provenance(path=name, format="built-in", licence="Apache-2.0")
    made = make_object(
        mesh_of(pieces),
        pack([with_corners(piece.corners)[0] for piece in pieces]),
        name,
        mass=mass * volume(pieces) / intact,  # of the same wood
        seed=seed,
        provenance=provenance,
    )
    return Scene(objects=(made,), poses=resting((made,)), provenance=provenance)


def named_furniture(text: str) -> Scene | None:
    """``make_furniture`` of a text ``KIND[:SEED[:DAMAGE[:SEVERITY]]]``; None where it does not begin with a kind.

    Raises:
      ValueError: a seed or damage that there is none of.
    """
    kind, _, rest = text.partition(":")
    if kind not in KINDS:
        return None
    seed, _, damage = rest.partition(":")
    if seed and not seed.isdecimal():
        raise ValueError(f"{text}: seed: expected a whole number of 0 or more after {kind!r}, found {seed!r}")
    return make_furniture(kind, int(seed or 0), damage or None)


def _damage(text: str | None) -> tuple[str, float]:
    name, _, number = (text or "").partition(":")
    if text is not None and name not in DAMAGES:
        raise ValueError(f"damage: expected one of {', '.join(DAMAGES)}, found {text!r}")
    try:
        severity = float(number) if number else SEVERITY
    except ValueError:
        severity = math.nan
    if not 0 <= severity <= 1:
        raise ValueError(f"damage: expected a severity between 0 and 1 after {name!r}, found {number!r}")
    return name, severity


def _word(text: str) -> int:
    return zlib.crc32(text.encode())
