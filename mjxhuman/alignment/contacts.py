"""Which part of the body touches which object, and when: given, or found by distance with hysteresis."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mjxhuman.alignment.near import distances
from mjxhuman.alignment.skin import Skin
from mjxhuman.scenes.types import Scene

#: m, distance at which a contact begins, and at which it ends.
ENTER, LEAVE = 0.10, 0.15
#: Cosine between a part's side and the way out of an object below which they face each other.
_FACING = -0.5
#: Parts that lean on what is behind or before them; the others carry load on what is below: a calf close before a
#: seat's front does not touch it.
_UPRIGHT = ("Pelvis", "Back", "Head", "L_Hand", "R_Hand")


@dataclasses.dataclass(frozen=True)
class PartContact:
    """A part of the body on an object from frame ``start`` up to, not including, ``stop`` (None: the last)."""

    part: str  # a name of ``skin.PARTS``
    object: str  # a name of the scene's objects
    start: int = 0
    stop: int | None = None


def checked_contacts(
    contacts: Sequence[PartContact | tuple[str, str]], scene: Scene, skin: Skin
) -> tuple[PartContact, ...]:
    """Contacts, given as such or as pairs of names.

    Raises:
      ValueError: a part, object or range of frames that is not there.
    """
    for contact in contacts:
        if not isinstance(contact, PartContact) and (isinstance(contact, str) or len(contact) != 2):
            raise ValueError(f"contacts: expected pairs of a part and an object, found {contact!r}")
    table = tuple(c if isinstance(c, PartContact) else PartContact(*c) for c in contacts)
    for contact in table:
        if contact.part not in skin.names:
            raise ValueError(f"contacts: part: expected one of {', '.join(skin.names)}, found {contact.part!r}")
        if contact.object not in scene.names:
            raise ValueError(f"contacts: object: expected one of {', '.join(scene.names)}, found {contact.object!r}")
        if contact.start < 0 or (contact.stop is not None and contact.stop <= contact.start):
            raise ValueError(f"contacts: expected 0 <= start < stop, found {contact.start} and {contact.stop}")
    return table


def find_contacts(scene: Scene, skin: Skin, points: np.ndarray, normals: np.ndarray) -> tuple[PartContact, ...]:
    """Contacts of a body whose skin is at ``points (T, N, 3)``, m: nearer than ``ENTER``, until farther than ``LEAVE``.

    Only the side of a part that carries load counts, and what faces it: feet beside a chair's legs do not stand on it.
    Limbs count while that side is within 60 degrees of facing down.
    """
    bearing = np.flatnonzero(skin.bearing)
    measured = [
        distances(thing, pose, points[:, bearing], single=True)
        for thing, pose in zip(scene.objects, scene.poses, strict=True)
    ]
    apart, outward = (np.stack(x, 1) for x in zip(*measured, strict=True))  # (T, O, M)
    found = []
    for part, name in enumerate(skin.names):
        own = skin.part[bearing] == part
        side = normals[:, bearing[own]].mean(1)
        side /= np.linalg.norm(side, axis=-1, keepdims=True)
        facing = np.einsum("tomi,ti->tom", outward[..., own, :], side) < _FACING
        distance = np.where(facing | (apart[..., own] < 0), apart[..., own], np.inf)
        if name not in _UPRIGHT:
            distance = np.where(side[:, None, None, 2] < _FACING, distance, np.inf)
        for which, near in enumerate(distance.min(-1).T):
            found += [PartContact(name, scene.names[which], a, b) for a, b in _spans(near)]
    return tuple(found)


def _spans(distance: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of frames that begin below ``ENTER`` and end above ``LEAVE``; frames before the entry that lie below
    ``LEAVE`` without a gap belong to it."""
    spans, frame, count = [], 0, len(distance)
    while frame < count:
        if distance[frame] >= ENTER:
            frame += 1
            continue
        start, stop = frame, frame
        while start > 0 and distance[start - 1] <= LEAVE and (not spans or start > spans[-1][1]):
            start -= 1
        while stop < count and distance[stop] <= LEAVE:
            stop += 1
        spans.append((start, stop))
        frame = stop
    return spans
