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
#: m, what rests keeps its place so well: no more than the gap and the depth of 5 mm that one contact may have.
STEADY = 0.01
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

    def during(self, frames: np.ndarray) -> np.ndarray:
        """In which of some frames ``(T,)`` it is."""
        return (frames >= self.start) & (frames < (np.inf if self.stop is None else self.stop))


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
    return tuple(contact for contact, _ in _near(scene, skin, points, normals))


def resting_contacts(
    scene: Scene, skin: Skin, body_pos: np.ndarray, body_quat: np.ndarray, frames: np.ndarray
) -> tuple[PartContact, ...]:
    """Contacts as ``find_contacts`` has them at some frames of a clip, for as long as the parts rest.

    Objects stand still, so a part that one bears keeps its height over the surface, whatever the clip puts that at. It
    rests at the height within ``STEADY`` of which it is the longest, from the first to the last frame in which it is no
    higher and its side faces the surface; before and after it comes and goes. Parts leave what is sat on with the
    pelvis: thighs that rise turn about knees that stay.

    Args:
      body_pos, body_quat: ``(F, B, 3)`` m and ``(F, B, 4)``, of all frames; contacts count these.
      frames: ``(T,)`` those in which contacts are looked for.
    """
    near, found = _near(scene, skin, *skin.posed(body_pos[frames], body_quat[frames])), []
    ends = np.concatenate([[-1], frames, [len(body_pos)]])
    for contact, up in near:
        own = np.flatnonzero((skin.part == skin.names.index(contact.part)) & skin.bearing)
        part = dataclasses.replace(skin, body=skin.body[own], offset=skin.offset[own], normal=skin.normal[own])
        first, last = int(ends[contact.start]) + 1, int(ends[contact.stop + 1])  # type: ignore[operator]
        points, normals = part.posed(body_pos[first:last], body_quat[first:last])
        height = np.where(_unit(normals.mean(1)) @ up < _FACING, (points @ up).min(1), np.inf)
        order = np.sort(height[np.isfinite(height)])
        if len(order):
            within = np.searchsorted(order, order + STEADY, side="right") - np.arange(len(order))
            low = first + np.flatnonzero(height <= order[within.argmax()] + STEADY)
            found.append(dataclasses.replace(contact, start=int(low[0]), stop=int(low[-1]) + 1))
    return _while_seated(found)


def _near(scene: Scene, skin: Skin, points: np.ndarray, normals: np.ndarray) -> list[tuple[PartContact, np.ndarray]]:
    """Contacts by distance, and which way ``(3,)`` the surfaces that they are on face in the mean."""
    bearing = np.flatnonzero(skin.bearing)
    measured = [
        distances(thing, pose, points[:, bearing], single=True)
        for thing, pose in zip(scene.objects, scene.poses, strict=True)
    ]
    apart, outward = (np.stack(x, 1) for x in zip(*measured, strict=True))  # (T, O, M)
    found = []
    for part, name in enumerate(skin.names):
        own = skin.part[bearing] == part
        side = _unit(normals[:, bearing[own]].mean(1))
        facing = np.einsum("tomi,ti->tom", outward[..., own, :], side) < _FACING
        distance = np.where(facing | (apart[..., own] < 0), apart[..., own], np.inf)
        if name not in _UPRIGHT:
            distance = np.where(side[:, None, None, 2] < _FACING, distance, np.inf)
        nearest = np.where(facing, apart[..., own], np.inf).argmin(-1)[..., None, None]  # (T, O, 1, 1)
        up = np.take_along_axis(outward[..., own, :], nearest, 2)[:, :, 0]
        up = np.where(facing.any(-1)[..., None], up, -side[:, None])  # deep inside a plate nothing faces the part
        for which, near in enumerate(distance.min(-1).T):
            for a, b in _spans(near):
                found.append((PartContact(name, scene.names[which], a, b), _unit(up[a:b, which].mean(0))))
    return found


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _while_seated(contacts: Sequence[PartContact]) -> tuple[PartContact, ...]:
    """Contacts with what is sat on only while the pelvis is on it."""
    seats = [c for c in contacts if c.part == "Pelvis"]
    sat = {seat.object for seat in seats}
    kept = []
    for c in contacts:
        if c.part == "Pelvis" or c.object not in sat:
            kept.append(c)
            continue
        for seat in (s for s in seats if s.object == c.object):
            start, stop = max(c.start, seat.start), min(x.stop for x in (c, seat) if x.stop is not None)
            if start < stop:
                kept.append(dataclasses.replace(c, start=start, stop=stop))
    return tuple(kept)


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
