"""Where up is, of a motion seen by cameras that nobody levelled: people stand over their feet, on a floor that is flat.

Balance: over a second or so, the line from what the feet stand on to the centre of mass is vertical. In 28 recorded
clips of walking, running, dancing, kicking and jumping its mean over a second was within 5 degrees of vertical in
most, whatever the trunk does. Bodies that are not carried by straight legs (lying, crawling, sitting) say nothing.
Floor: what the feet stand on lies in a plane, which tells the more the further the person gets about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mjxhuman.math import quaternion
from mjxhuman.math.timeseries import fall

#: Standard deviation (rad) of the lean averaged over ``_SPAN`` s, from which on samples are independent.
_LEAN, _SPAN = 0.08, 1.0
#: Standard deviation (m) of places of contact about the floor, as depth from one camera has it, and of the tilt (rad)
#: of a camera that nobody levelled.
_FLAT, _CAMERA = 0.06, 0.25
#: Standard deviations at which a frame loses its say, round by round, and the cost of a frame in which nothing stands.
_KERNELS, _UNEXPLAINED = (8.0, 6.0, 5.0, 4.0, 3.0, 3.0, 3.0, 3.0), 1.0
#: Soles carry the body when slower than the first (m/s) and at most the first above the lowest (m); not at all beyond
#: the second. Legs carry it when the centre of mass is higher than the second share of the stature, surely the first.
_SLOW, _NEAR, _STANDS = (0.2, 0.5), (0.03, 0.08), (0.45, 0.3)
_AROUND = np.deg2rad(20.0)  # the rounds start at the camera's vertical and at six directions so far from it
_MOST_FRAMES = 600  # a longer clip is thinned out
_UP = np.array([0.0, 0.0, 1.0])


class _Evidence(NamedTuple):
    """What the frames say if a direction is up, in axes whose z it is."""

    lean: np.ndarray  # (T, 2) slope of the line from the soles that carry to the centre of mass
    stands: np.ndarray  # (T,) 0..1, whether straight legs carry the body
    place: np.ndarray  # (T, 3) m, of the soles that carry, about their mean
    carries: np.ndarray  # (T,) 0..1, whether any do


class Carried(NamedTuple):
    """One person, as far as the vertical is concerned; T frames."""

    com: np.ndarray  # (T, 3) m, centre of mass
    soles: np.ndarray  # (T, P, 3) m, lowest points of both feet
    stature: float  # m
    valid: np.ndarray  # (T,) frames that are to be used


class _Person(NamedTuple):
    com: np.ndarray  # (T, 3) m
    soles: np.ndarray  # (T, P, 3) m
    slow: np.ndarray  # (T, P) 0..1
    stature: float  # m
    share: float  # of an independent sample, per frame

    def seen_from(self, up: np.ndarray) -> _Evidence:
        turn = quaternion.between(up, _UP)
        com, soles = quaternion.rotate(turn, self.com), quaternion.rotate(turn, self.soles)
        carries = self.slow * fall(soles[..., 2] - soles[..., 2].min(1, keepdims=True), _NEAR)
        place = np.einsum("tp,tpi->ti", carries, soles) / np.maximum(carries.sum(1), 1e-9)[:, None]
        sure = np.minimum(carries.sum(1), 1.0)
        arm = com - place
        lean = arm[:, :2] / np.maximum(arm[:, 2:], 0.1 * self.stature)
        floor = sure @ place / max(sure.sum(), 1e-9)
        return _Evidence(lean, sure * fall(arm[:, 2] / self.stature, _STANDS), place - floor, sure)

    def cost(self, up: np.ndarray) -> float:
        """Squared standard deviations."""
        found, kernel = self.seen_from(up), _KERNELS[-1]
        balance = found.stands * _robust(found.lean, _LEAN, kernel)[0] + (1.0 - found.stands) * _UNEXPLAINED
        flat = found.carries * _robust(found.place[:, 2:], _FLAT, kernel)[0]
        return float(self.share * (balance.sum() + flat.sum()))

    def equations(self, up: np.ndarray, kernel: float) -> tuple[np.ndarray, np.ndarray]:
        """Normal matrix (2, 2) and right side (2,) of re-weighted least squares in the two angles of the vertical."""
        found = self.seen_from(up)
        weight = self.share / _LEAN**2 * found.stands * _robust(found.lean, _LEAN, kernel)[1]
        normal, pull = weight.sum() * np.eye(2), weight @ found.lean
        weight = self.share / _FLAT**2 * found.carries * _robust(found.place[:, 2:], _FLAT, kernel)[1]
        place = found.place - weight @ found.place / max(weight.sum(), 1e-9)
        normal += np.einsum("t,ta,tb->ab", weight, place[:, :2], place[:, :2])
        return normal, pull - np.einsum("t,ta,t->a", weight, place[:, :2], place[:, 2])


class _Scene(NamedTuple):
    people: list[_Person]
    nominal: np.ndarray  # (3,)

    def cost(self, up: np.ndarray) -> float:
        """Squared standard deviations."""
        tilt = np.arccos(np.clip(up @ self.nominal, -1.0, 1.0)) / _CAMERA
        return sum(person.cost(up) for person in self.people) + float(tilt**2)

    def settled(self, up: np.ndarray) -> np.ndarray:
        for kernel in _KERNELS:
            by_camera = quaternion.rotate(quaternion.between(up, _UP), self.nominal)[:2]
            normal, pull = np.eye(2) / _CAMERA**2, by_camera / _CAMERA**2
            for person in self.people:
                more, push = person.equations(up, kernel)
                normal, pull = normal + more, pull + push
            step = np.linalg.solve(normal, pull)
            up = quaternion.rotate(quaternion.between(_UP, up), quaternion.unit(np.array([*step, 1.0])))
        return up


def _robust(residual: np.ndarray, sigma: float, kernel: float) -> tuple[np.ndarray, np.ndarray]:
    """Cost and weight (T,) of residuals (T, k) under the Geman-McClure kernel (Geman and McClure 1987)."""
    square = np.sum(residual**2, -1) / sigma**2
    ratio = 1.0 / (1.0 + square / kernel**2)
    return square * ratio, ratio**2


def find_vertical(people: Sequence[Carried], fps: float, nominal: np.ndarray) -> np.ndarray:
    """The direction (3,) of up that people of one film agree on.

    Re-weighted least squares of balance, floor and camera as above from several directions; the best of what they end
    in. What carries the body depends on what is up, so this is a fixed point, not the least cost of all directions:
    that one is often a direction in which hardly anything stands. Each person has a floor of its own here: one camera
    does not know how far apart people are, only that what they stand on is level.

    Args:
      people: who is seen, in the same world. fps: frames per second. nominal: (3,) up by the camera.
    """
    scene = _Scene([_person(one, fps) for one in people], nominal)
    starts = [nominal]
    for angle in np.arange(6) * np.pi / 3.0:
        aside = np.array([np.sin(_AROUND) * np.cos(angle), np.sin(_AROUND) * np.sin(angle), np.cos(_AROUND)])
        starts.append(quaternion.rotate(quaternion.between(_UP, nominal), aside))
    return min((scene.settled(up) for up in starts), key=scene.cost)


def _person(one: Carried, fps: float) -> _Person:
    speed = np.linalg.norm(np.gradient(one.soles, axis=0), axis=-1) * fps
    used = slice(None, None, -(-len(one.com) // _MOST_FRAMES))
    slow = (fall(speed, _SLOW) * one.valid[:, None])[used]
    return _Person(one.com[used], one.soles[used], slow, one.stature, (used.step or 1) / (_SPAN * fps))
