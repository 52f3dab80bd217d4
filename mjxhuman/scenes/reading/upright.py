"""Which way up furniture is and in which unit: from the caller, the file, its format, or from how the object stands.

Furniture stands on feet that span a good part of its ground plan, and offers a surface to sit on or to put things on
that covers most of it as seen from above, at a height that people want. Where exactly one reading of a file does, it is
taken and said; where several do, an error names the flag.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from mjxhuman.data.source import Source, up_rotation
from mjxhuman.options import UNITS
from mjxhuman.scenes.mesh import areas_and_normals
from mjxhuman.scenes.objects import KINDS
from mjxhuman.scenes.types import Mesh

#: Readings that are tried where nothing is said; others need the flag.
_UPS, _UNITS = ("y", "z"), ("m", "cm", "mm", "inch")
#: m: largest extent of furniture, and of whatever a caller or a format vouches for.
SIZES, ANY_SIZES = (0.2, 3.0), (0.02, 30.0)
#: m: heights of seats and tops of furniture whose kind is not known: those of ``KINDS`` together.
HEIGHTS = (min(k.height[0] for k in KINDS.values() if k.height), max(k.height[1] for k in KINDS.values() if k.height))
#: Shares of the ground plan: polygon of the feet, surface that is offered, and what is level where there is none
#: (stairs). Chairs, stools, benches, tables and sofas have 0.4-1.0 and 0.4-1.0 on their feet; on their sides most span
#: or offer less, or at no height to sit at. Low bounds: what may be right must not be left out beside what is wrong.
_FEET, _OFFERED, _STEPPED = 0.15, 0.33, 0.7
#: What is so near to the lowest point stands on the floor (of the size); what differs by less is one surface (of the
#: height).
_BAND, _LEVEL = 0.005, 0.05
#: Cosine to up of what is level.
_FLAT = 0.95
#: Points of the surface, and cells along each side of the ground plan, that tell what is seen from above.
_POINTS, _CELLS = 20_000, 30


class Standing(NamedTuple):
    """How an object would stand with its axes as they are, z up."""

    size: np.ndarray  # (3,)
    feet: float  # share of the ground plan that the lowest points span, 0 if the centre is not over them
    height: float  # of the largest level surface that is seen from above, over the lowest point
    offered: float  # share of the ground plan that this covers
    level: float  # share of it that is level at any height, as all of stairs is


def standing(mesh: Mesh) -> Standing:
    """How a mesh stands; lengths in its own unit."""
    vertices = np.asarray(mesh.vertices, np.float64)
    low, size = vertices.min(0), np.ptp(vertices, axis=0)
    plan = max(size[0] * size[1], 1e-12)
    areas, normals = areas_and_normals(mesh)
    centre = np.average(vertices[mesh.faces].mean(1), axis=0, weights=areas)
    on_floor = vertices[vertices[:, 2] < low[2] + _BAND * size.max()][:, :2]
    try:
        hull = ConvexHull(on_floor)
        over = (hull.equations[:, :2] @ centre[:2] + hull.equations[:, 2] <= 0).all()
        feet = hull.volume / plan if over else 0.0
    except (QhullError, ValueError):
        feet = 0.0
    rng = np.random.default_rng(0)
    face = rng.choice(len(areas), _POINTS, p=areas / areas.sum())
    weights = np.diff(np.sort(rng.random((_POINTS, 2)), 1), axis=1, prepend=0.0, append=1.0)
    points = np.einsum("nc,nci->ni", weights, vertices[mesh.faces[face]]) - low
    cells = np.minimum((points[:, :2] / np.maximum(size[:2], 1e-12) * _CELLS).astype(int), _CELLS - 1)
    order = np.argsort(points[:, 2])
    seen = np.full(_CELLS**2, -1)
    seen[cells[order, 0] * _CELLS + cells[order, 1]] = order  # the last of several, the highest
    seen = seen[seen >= 0]
    tops = np.sort(points[seen, 2])
    counts = np.searchsorted(tops, tops + _LEVEL * size[2], side="right") - np.arange(len(tops))
    first = int(counts.argmax())
    height = float(np.median(tops[first : first + counts[first]]))
    level = int((normals[face[seen], 2] > _FLAT).sum())
    return Standing(size, float(feet), height, int(counts[first]) / _CELLS**2, level / _CELLS**2)


def orient(source: Source, mesh: Mesh, kind: str, up: str | None, unit: float | None) -> tuple[np.ndarray, float]:
    """Rotation (3, 3) to z up and metres per unit of an object as its file has it.

    Args:
      source: the file, with what the caller says; sentences about what was assumed are noted there.
      mesh: in the file's axes and unit.
      kind: of furniture, a key of ``KINDS`` or "".
      up: axis that file or format say is up.
      unit: m, that they say.

    Raises:
      MotionFileError: several readings make furniture of it, or none, or the one that is stated makes none.
    """
    asked = source.options
    given = asked.up or up
    ups = _UPS if given is None else (given,)
    stated = unit is None and asked.unit is None
    units = {name: UNITS[name] for name in _UNITS} if stated else {"": source_unit(source, unit)}
    stands = {axis: standing(Mesh(mesh.vertices @ up_rotation(axis).T, mesh.faces)) for axis in ups}
    if len(ups) * len(units) > 1:
        axis, name = _only(source, stands, units, kind)
        why = _why(stands[axis], units[name], kind)
        rotation = source.up_axis(up, None if up else axis, f"only so it stands like furniture ({why})")
        metres = source.metres_per_unit(unit, None if not stated else units[name], f"only so it has its size ({why})")
    else:
        axis = ups[0]
        rotation, metres = source.up_axis(up), source.metres_per_unit(unit)
    _doubt(source, stands[axis], metres, kind)
    return rotation, metres


def source_unit(source: Source, unit: float | None) -> float:
    """Metres per unit as the caller says, else ``unit``."""
    asked = source.options.unit
    if asked is None:
        return float(unit or 1.0)
    return UNITS[asked] if isinstance(asked, str) else float(asked)


def _only(source: Source, stands: dict[str, Standing], units: dict[str, float], kind: str) -> tuple[str, str]:
    """The one up axis and unit that make furniture of an object."""
    readings = list(itertools.product(stands, units))
    sized = [(a, u) for a, u in readings if SIZES[0] <= units[u] * stands[a].size.max() <= SIZES[1]]
    upright = [(a, u) for a, u in sized if stands[a].feet >= _FEET]
    fitting = [(a, u) for a, u in upright if _offers(stands[a], units[u], kind)]
    found = fitting or upright
    if len(found) == 1:
        return found[0]
    flags = []
    if len(stands) > 1 and len({a for a, _ in found or readings}) > 1:
        flags.append("the argument up=")
    if len(units) > 1 and len({u for _, u in found or readings}) > 1:
        flags.append("the argument unit=")
    shown = found or sized or readings
    listed = "; ".join(f"{a} up{f', {u}' if u else ''}: {_why(stands[a], units[u], kind)}" for a, u in shown[:4])
    wanted = (
        f"one that stands on its feet, {SIZES[0]:g}-{SIZES[1]:g} m large, with a surface at {_range(_heights(kind))}"
    )
    raise source.error(
        "up axis and unit" if len(flags) == 2 else "up axis" if flags and "up" in flags[0] else "length unit",
        f"{'several readings' if found else 'no reading'} that may be furniture ({listed})",
        f"{wanted}, or {' and '.join(flags)}",
    )


def _offers(seen: Standing, metres: float, kind: str) -> bool:
    """Whether there is something to sit on or to put things on; or to step on, for kinds without a height."""
    stepped = seen.level >= _STEPPED
    if kind in KINDS and KINDS[kind].height is None:
        return stepped
    if seen.offered >= _OFFERED and _within(metres * seen.height, _heights(kind)):
        return True
    return not kind and stepped and seen.offered <= _STEPPED / 2


def _heights(kind: str) -> tuple[float, float]:
    known = KINDS.get(kind)
    return known.height if known and known.height else HEIGHTS


def _within(value: float, span: tuple[float, float]) -> bool:
    return span[0] <= value <= span[1]


def _range(span: tuple[float, float]) -> str:
    return f"{span[0]:.2f}-{span[1]:.2f} m"


def _why(seen: Standing, metres: float, kind: str) -> str:
    size = " x ".join(f"{metres * x:.3g}" for x in seen.size)
    known = KINDS.get(kind)
    what = known.surface if known and known.height else "surface"
    return f"{size} m, {what} at {metres * seen.height:.3g} m, on feet that span {seen.feet:.0%} of its ground plan"


def _doubt(source: Source, seen: Standing, metres: float, kind: str) -> None:
    """Refuse a size that nothing in a room has, and say what is unusual."""
    largest, asked = metres * float(seen.size.max()), source.options.unit is not None
    likely = [u for u in _UNITS if SIZES[0] <= UNITS[u] * seen.size.max() <= SIZES[1]]
    hint = f" (in {' or '.join(likely)} it is {UNITS[likely[0]] * seen.size.max():.3g} m)" if likely else ""
    if not ANY_SIZES[0] <= largest <= ANY_SIZES[1] or not (asked or 0.05 <= largest <= 10.0):
        span = f"{ANY_SIZES[0]:g}-{ANY_SIZES[1]:g} m" if asked else "0.05-10 m"
        raise source.error("size", f"{largest:.3g} m{hint}", f"{span}, or the argument unit=")
    known = KINDS.get(kind)
    height = metres * seen.height
    if known and known.height and not _within(height, known.height):
        fits = [u for u in _UNITS if UNITS[u] != metres and _within(UNITS[u] * seen.height, known.height)]
        hint = f": the unit is probably {' or '.join(fits)} (--unit)" if fits else ""
        source.note(
            f"warning: the {kind}'s {known.surface} is at {height:.3g} m, usual are {_range(known.height)}{hint}"
        )
