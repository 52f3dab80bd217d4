"""Mass, centre of mass and inertia of the 24 bodies from published segment tables.

Source: de Leva P. (1996) Adjustments to Zatsiorsky-Seluyanov's segment inertia parameters, J Biomech 29:1223-1230,
table 4: young adults, 15 women and 100 men. The masses add up to 1, centres lie on the line between two landmarks,
radii of gyration are fractions of the segment length about the sagittal (front-back), transverse (left-right) and
longitudinal axis through the centre of mass.

Thigh, shank, upper arm and forearm are one body each. Trunk parts, head with neck, foot and hand are cut across:
along the segment the mass density is linear, with the published centre, and stretched about it to the published second
moment; the cuts are at the joints. So the pieces of a segment have together exactly its mass, its longitudinal centre
and moments. Across the segment a piece lies where its volume lies.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np

from mjxhuman.humanoids.proportions import BODY_PARENTS, Proportions
from mjxhuman.humanoids.record import mirrored


class Segment(NamedTuple):
    """A row of the table: fractions of body mass and of segment length."""

    mass: float
    centre: float  # from the first landmark
    sagittal: float
    transverse: float
    longitudinal: float


#: Landmarks: head crown-C7, upper trunk C7-xiphion, middle xiphion-navel, lower navel-mid hip, limbs joint to joint,
#: hand wrist-fingertip, foot heel-toe tip.
DE_LEVA: dict[str, dict[str, Segment]] = {
    "female": {
        "head": Segment(0.0668, 0.4841, 0.271, 0.295, 0.261),
        "upper_trunk": Segment(0.1545, 0.5050, 0.466, 0.314, 0.449),
        "middle_trunk": Segment(0.1465, 0.4512, 0.433, 0.354, 0.415),
        "lower_trunk": Segment(0.1247, 0.4920, 0.433, 0.402, 0.444),
        "upper_arm": Segment(0.0255, 0.5754, 0.278, 0.260, 0.148),
        "forearm": Segment(0.0138, 0.4559, 0.261, 0.257, 0.094),
        "hand": Segment(0.0056, 0.3427, 0.244, 0.208, 0.154),
        "thigh": Segment(0.1478, 0.3612, 0.369, 0.364, 0.162),
        "shank": Segment(0.0481, 0.4352, 0.267, 0.263, 0.092),
        "foot": Segment(0.0129, 0.4014, 0.299, 0.279, 0.139),
    },
    "male": {
        "head": Segment(0.0694, 0.5002, 0.303, 0.315, 0.261),
        "upper_trunk": Segment(0.1596, 0.5066, 0.505, 0.320, 0.465),
        "middle_trunk": Segment(0.1633, 0.4502, 0.482, 0.383, 0.468),
        "lower_trunk": Segment(0.1117, 0.6115, 0.615, 0.551, 0.587),
        "upper_arm": Segment(0.0271, 0.5772, 0.285, 0.269, 0.158),
        "forearm": Segment(0.0162, 0.4574, 0.276, 0.265, 0.121),
        "hand": Segment(0.0061, 0.3624, 0.288, 0.235, 0.184),
        "thigh": Segment(0.1416, 0.4095, 0.329, 0.329, 0.149),
        "shank": Segment(0.0433, 0.4395, 0.251, 0.246, 0.102),
        "foot": Segment(0.0137, 0.4415, 0.257, 0.245, 0.124),
    },
}

#: Lengths of upper, middle and lower trunk in the same study, m (de Leva 1996, table 4).
TRUNK_LENGTHS = {"female": (0.2280, 0.2053, 0.1815), "male": (0.2421, 0.2155, 0.1457)}

#: Share of body mass of one shoulder girdle (clavicle and scapula with soft tissue), taken out of the upper trunk:
#: 0.156 and 0.704 kg of a 50th-percentile man in the upper-limb model of Saul et al. (2015), after van der Helm (1994).
GIRDLE_MASS = 0.011

#: Body mass index of the default mass, kg/m^2: world means for adult women and men, NCD-RisC, Lancet 387:1377 (2016).
BODY_MASS_INDEX = {"female": 24.4, "male": 24.2}


#: kg/m^3 of a whole body with the air in its lungs: flesh of about 1050 (Siri 1961) and 3 to 4 litres of air in 70.
BODY_DENSITY = 1000.0


@dataclasses.dataclass(frozen=True, eq=False)
class Inertia:
    """Rigid-body inertia in the body frame."""

    mass: float  # kg
    centre: np.ndarray  # (3,) m
    moment: np.ndarray  # (3, 3) kg m^2 about the centre, body axes

    def scaled(self, factor: float) -> Inertia:
        """The same shape with another density."""
        return Inertia(self.mass * factor, self.centre, self.moment * factor)


def default_mass(stature: float, sex: str | None = None) -> float:
    """Mass (kg) of an average adult of ``stature`` (m): ``BODY_MASS_INDEX`` times its square; None is the mean."""
    index = np.mean(list(BODY_MASS_INDEX.values())) if sex is None else BODY_MASS_INDEX[sex]
    return float(index * stature**2)


def segment_table(sex: str | None = None) -> tuple[dict[str, Segment], np.ndarray]:
    """De Leva's rows and the three trunk lengths as fractions of their sum; None averages women and men."""
    kinds = ("female", "male") if sex is None else (sex,)
    rows = {name: Segment(*np.mean([DE_LEVA[k][name] for k in kinds], axis=0)) for name in DE_LEVA["male"]}
    lengths = np.mean([np.array(TRUNK_LENGTHS[k]) / sum(TRUNK_LENGTHS[k]) for k in kinds], axis=0)
    return rows, lengths


class _Slice(NamedTuple):
    mass: float  # fraction of body mass
    centre: float  # m along the segment
    variance: np.ndarray  # (3,) m^2: across (sagittal axis, transverse axis), along


def _planar(row: Segment, length: float) -> tuple[float, float, float]:
    """Second moments per mass along the sagittal, transverse and longitudinal direction, m^2."""
    s, t, g = row.sagittal**2, row.transverse**2, row.longitudinal**2
    return 0.5 * (t + g - s) * length**2, 0.5 * (s + g - t) * length**2, 0.5 * (s + t - g) * length**2


def _cut(row: Segment, start: float, length: float, cuts: np.ndarray) -> list[_Slice]:
    """Pieces of a segment from ``start`` over ``length`` (m, along its axis) between ascending ``cuts``."""
    forward, sideways, along = _planar(row, length)
    slope = 12.0 * (row.centre - 0.5)  # density 1 + slope (u - 1/2) on u in [0, 1] has its mean at ``centre``
    if abs(slope) > 2.0:
        raise ValueError(f"no positive linear density has its centre at {row.centre} of the segment")
    spread = np.sqrt(along) / (length * np.sqrt(1.0 / 12.0 - (slope / 12.0) ** 2))
    centre = start + row.centre * length
    edges = np.clip((np.asarray(cuts) - centre) / (spread * length) + row.centre, 0.0, 1.0)
    pieces = []
    for a, b in itertools.pairwise(edges):
        m = [_power_integral(a, b, k, slope) for k in range(3)]
        if m[0] <= 0.0:
            pieces.append(_Slice(0.0, 0.0, np.zeros(3)))
            continue
        u = m[1] / m[0]
        variance = (m[2] / m[0] - u**2) * (spread * length) ** 2
        pieces.append(
            _Slice(
                row.mass * m[0], centre + (u - row.centre) * spread * length, np.array([forward, sideways, variance])
            )
        )
    return pieces


def _power_integral(a: float, b: float, k: int, slope: float) -> float:
    """Integral over [a, b] of u^k (1 + slope (u - 1/2))."""
    return (1 - 0.5 * slope) * (b ** (k + 1) - a ** (k + 1)) / (k + 1) + slope * (b ** (k + 2) - a ** (k + 2)) / (k + 2)


def _merge(slices: list[_Slice]) -> _Slice:
    """Slices of several segments that belong to one body, along a common axis."""
    mass = sum(s.mass for s in slices)
    centre = sum(s.mass * s.centre for s in slices) / mass
    variance = sum(s.mass * (s.variance + np.array([0.0, 0.0, (s.centre - centre) ** 2])) for s in slices) / mass
    return _Slice(mass, centre, np.asarray(variance))


def _inertia(s: _Slice, centre: np.ndarray, axes: np.ndarray) -> Inertia:
    """Inertia of a slice; the rows of ``axes`` are the sagittal, transverse and longitudinal axis in the body frame."""
    moment = axes.T @ np.diag(s.variance.sum() - s.variance) @ axes
    return Inertia(s.mass, np.asarray(centre, float), s.mass * moment)


def _bone_axes(bone: np.ndarray, sagittal: np.ndarray) -> np.ndarray:
    longitudinal = bone / np.linalg.norm(bone)
    transverse = np.cross(longitudinal, sagittal)
    transverse /= np.linalg.norm(transverse)
    return np.array([np.cross(transverse, longitudinal), transverse, longitudinal])


_X, _Y, _Z = np.eye(3)


def _trunk(shape: Proportions, rows: dict[str, Segment], lengths: np.ndarray) -> dict[str, Inertia]:
    """Pelvis, Torso, Spine, Chest and both shoulder girdles. The axis runs down from C7, the neck joint, to mid hip."""
    top, bottom = shape.position("Neck")[1], shape.position("L_Hip")[1]
    names = ("Chest", "Spine", "Torso", "Pelvis")
    joints = [top - shape.position(body)[1] for body in names[:-1]]
    cuts = np.array([-np.inf, *joints, np.inf])
    parts, start = [], 0.0
    for name, fraction in zip(("upper_trunk", "middle_trunk", "lower_trunk"), lengths, strict=True):
        length = fraction * (top - bottom)
        parts.append(_cut(rows[name], start, length, cuts))
        start += length
    axes = np.array([_Z, _X, _Y])
    result = {}
    for k, body in enumerate(names):
        piece = _merge([part[k] for part in parts])
        height = top - piece.centre - shape.position(body)[1]
        result[body] = _inertia(piece, np.array([0.0, height, shape.volumes[body].centre[2]]), axes)
    girdles = {f"{side}_Thorax": _girdle(shape, f"{side}_Thorax") for side in "LR"}
    chest, origin = result["Chest"], shape.position("Chest")
    result["Chest"] = _without(chest, [(g, shape.position(b) - origin) for b, g in girdles.items()])
    return result | girdles


def _girdle(shape: Proportions, body: str) -> Inertia:
    """A solid cylinder from the girdle's joint to the shoulder, as thick as its volume."""
    bone = shape.offsets[body.replace("Thorax", "Shoulder")]
    across = shape.volumes[body].radius ** 2 / 4.0
    piece = _Slice(GIRDLE_MASS, 0.0, np.array([across, across, bone @ bone / 12.0]))
    return _inertia(piece, 0.5 * bone, _bone_axes(bone, _Z))


def _without(whole: Inertia, parts: list[tuple[Inertia, np.ndarray]]) -> Inertia:
    """``whole`` less parts whose body frames lie at the given offsets, same axes."""

    def about_origin(i: Inertia, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        r = i.centre + offset
        return i.mass * r, i.moment + i.mass * (r @ r * np.eye(3) - np.outer(r, r))

    mass = whole.mass
    first, second = about_origin(whole, np.zeros(3))
    for part, offset in parts:
        f, s = about_origin(part, offset)
        mass, first, second = mass - part.mass, first - f, second - s
    r = first / mass
    return Inertia(mass, r, second - mass * (r @ r * np.eye(3) - np.outer(r, r)))


def _head(shape: Proportions, row: Segment) -> dict[str, Inertia]:
    """Neck and Head: from the crown down to C7, cut at the head's joint."""
    length = shape.crown - shape.position("Neck")[1]
    at_head = shape.crown - shape.position("Head")[1]
    pieces = _cut(row, 0.0, length, np.array([-np.inf, at_head, np.inf]))
    result = {}
    for body, piece in zip(("Head", "Neck"), pieces, strict=True):
        height = shape.crown - piece.centre - shape.position(body)[1]
        centre = np.array([0.0, height, shape.volumes[body].centre[2]])
        result[body] = _inertia(piece, centre, np.array([_Z, _X, _Y]))
    return result


def _leg(shape: Proportions, rows: dict[str, Segment], side: str) -> dict[str, Inertia]:
    result = {}
    for body, child, name in (("Hip", "Knee", "thigh"), ("Knee", "Ankle", "shank")):
        bone = shape.offsets[f"{side}_{child}"]
        result[f"{side}_{body}"] = _whole(rows[name], bone, _Z)
    ankle, toe = f"{side}_Ankle", f"{side}_Toe"
    heel_box, toe_box, offset = shape.volumes[ankle], shape.volumes[toe], shape.offsets[toe]
    assert heel_box.half is not None and toe_box.half is not None
    heel = heel_box.centre[2] - heel_box.half[2]
    tip = offset[2] + toe_box.centre[2] + toe_box.half[2]
    pieces = _cut(rows["foot"], heel, tip - heel, np.array([-np.inf, offset[2], np.inf]))
    # standing, the foot's long axis points forward and its sagittal axis up
    axes = np.array([_Y, _X, _Z])
    for body, box, piece, z in ((ankle, heel_box, pieces[0], 0.0), (toe, toe_box, pieces[1], offset[2])):
        result[body] = _inertia(piece, np.array([box.centre[0], box.centre[1], piece.centre - z]), axes)
    return result


def _arm(shape: Proportions, rows: dict[str, Segment], side: str) -> dict[str, Inertia]:
    """T-pose, palms down: the upper arm's sagittal axis points forward, that of forearm and hand up."""
    result = {}
    for body, child, name, sagittal in (("Shoulder", "Elbow", "upper_arm", _Z), ("Elbow", "Wrist", "forearm", _Y)):
        result[f"{side}_{body}"] = _whole(rows[name], shape.offsets[f"{side}_{child}"], sagittal)
    sign = 1.0 if side == "L" else -1.0
    wrist, hand = f"{side}_Wrist", f"{side}_Hand"
    box, offset, palm = shape.volumes[hand], shape.offsets[hand], shape.volumes[wrist]
    assert box.half is not None
    knuckles = abs(offset[0])
    tip = knuckles + abs(box.centre[0]) + box.half[0]
    pieces = _cut(rows["hand"], 0.0, tip, np.array([-np.inf, knuckles, np.inf]))
    axes = np.array([_Y, _Z, _X])
    for body, volume, piece, x in ((wrist, palm, pieces[0], 0.0), (hand, box, pieces[1], knuckles)):
        centre = np.array([sign * (piece.centre - x), volume.centre[1], volume.centre[2]])
        result[body] = _inertia(piece, centre, axes)
    return result


def _whole(row: Segment, bone: np.ndarray, sagittal: np.ndarray) -> Inertia:
    """A segment that is one body, from joint to joint."""
    length = float(np.linalg.norm(bone))
    piece = _Slice(row.mass, row.centre * length, np.array(_planar(row, length)))
    return _inertia(piece, row.centre * bone, _bone_axes(bone, sagittal))


def body_inertias(shape: Proportions, mass: float, sex: str | None = None) -> dict[str, Inertia]:
    """Inertia of each of the 24 bodies, which together weigh ``mass`` (kg).

    Args:
        shape: joint offsets and volumes.
        mass: whole-body mass, kg.
        sex: "female" or "male" row of the table; None takes the mean of both.
    """
    rows, lengths = segment_table(sex)
    parts = _trunk(shape, rows, lengths) | _head(shape, rows["head"])
    for side in "LR":
        parts |= _leg(shape, rows, side) | _arm(shape, rows, side)
    factor = mass / sum(i.mass for i in parts.values())
    return {body: parts[body].scaled(factor) for body in BODY_PARENTS}


def redistributed(inertias: dict[str, Inertia], volumes: dict[str, float]) -> dict[str, Inertia]:
    """The same total mass shared out in proportion to ``volumes`` (m^3, left and right averaged); shapes stay.

    Raises:
        ValueError: a body has no volume; it is named.
    """
    total, result = sum(i.mass for i in inertias.values()), {}
    for body in inertias:
        share = 0.5 * (volumes[body] + volumes[mirrored(body)]) / sum(volumes.values())
        if share <= 0:
            raise ValueError(f"mesh volume of {body}: expected a positive value, found {volumes[body]:.3g} m^3")
        result[body] = inertias[body].scaled(share * total / inertias[body].mass)
    return result
