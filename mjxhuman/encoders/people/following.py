"""Who is who from frame to frame: detections become tracks, one per person.

Detections are matched to the tracks' keypoints, where last seen or going on at the same speed, by the assignment of
least total distance (``scipy.optimize.linear_sum_assignment``). Detectors confuse left and right of a body, or of its
arms or legs, now and then: a point is as near as it is to either side's. Who was lost or met others is found again with
the whole clip known (``identity``); a person not seen for ``identity.PATIENCE`` is someone new when seen again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from mjxhuman.encoders.people.identity import SURE, rejoin

#: s that a track waits for its person before it is for ``identity`` to join what comes later.
_WAIT = 0.3
#: Mean distance of the keypoints from where they are expected, in the person's heights, up to which it is the person.
GATE = 0.4
#: s that predictions reach ahead: afterwards a person is expected to have stopped.
_REACH = 0.5


@dataclasses.dataclass
class _Track:
    index: np.ndarray  # (N,) which detection of the frame, -1 for none
    uv: np.ndarray  # (K, 2) where each point was last seen
    known: np.ndarray  # (K,) bool, whether it was ever seen
    velocity: np.ndarray  # (K, 2) px per s
    time: float
    height: float

    @classmethod
    def begin(cls, frames: int, frame: int, detection: int, points: np.ndarray, time: float) -> _Track:
        index = np.full(frames, -1)
        index[frame] = detection
        uv = points[:, :2].copy()
        return cls(index, uv, points[:, 2] > 0, np.zeros_like(uv), time, _height(points))

    @property
    def is_sure(self) -> bool:
        """Seen often enough to be no wrong detection: takes its pick of the detections before newer tracks do."""
        return bool((self.index >= 0).sum() >= SURE)

    def expected(self, time: float) -> np.ndarray:
        return self.uv + self.velocity * min(time - self.time, _REACH)

    def take(self, frame: int, detection: int, points: np.ndarray, time: float) -> None:
        seen = (points[:, 2] > 0)[:, None]
        step = (points[:, :2] - self.uv) / (time - self.time)
        self.velocity = np.where(seen & self.known[:, None], step, 0.0)
        self.uv = np.where(seen, points[:, :2], self.uv)
        self.known |= seen[:, 0]
        self.index[frame], self.time = detection, time
        self.height = max(0.9 * self.height, _height(points))


def follow(
    times: Sequence[float],
    people: Sequence[np.ndarray],
    mirror: Sequence[int] | None = None,
    looks: Sequence[np.ndarray] | None = None,
) -> list[np.ndarray]:
    """Tracks through a clip, in order of appearance.

    Args:
      times: (N,) s, increasing.
      people: per frame (n, K, 3): x, y in px and confidence 0..1 of the n people found in it; n may be 0. A point of
        confidence 0 was not found.
      mirror: (K,) the point on the other side for each point (itself in the middle).
      looks: per frame (n, F) colours 0..1 of each of them, where the encoder reports any.

    Returns:
      For each track (N,) int: which of the frame's people it is, -1 where none.
    """
    tracks: list[_Track] = []
    for frame, (time, found) in enumerate(zip(times, people, strict=True)):
        free = list(range(len(found)))
        alive = [t for t in tracks if time - t.time <= _WAIT]
        for group in ([t for t in alive if t.is_sure], [t for t in alive if not t.is_sure]):
            cost = np.array([[_distance(t, found[d], mirror, time) for d in free] for t in group])
            cost = cost.reshape(len(group), len(free))
            rows, columns = linear_sum_assignment(np.minimum(cost, 2.0 * GATE))
            taken = [(group[r], free[c]) for r, c in zip(rows, columns) if cost[r, c] <= GATE]
            for track, detection in taken:
                track.take(frame, detection, found[detection], time)
            free = [d for d in free if d not in {detection for _, detection in taken}]
        tracks += [_Track.begin(len(times), frame, d, found[d], time) for d in free]
    return rejoin(np.asarray(times, float), people, [t.index for t in tracks], looks)


def _distance(track: _Track, detection: np.ndarray, mirror: Sequence[int] | None, time: float) -> float:
    """Mean distance in heights of a detection's points from where the track's person may be; inf if none is known."""
    sides = [np.arange(len(detection))] if mirror is None else [np.arange(len(detection)), np.asarray(mirror)]
    distance = np.full(len(detection), np.inf)
    for side in sides:
        for place in (track.uv, track.expected(time)):
            away = np.linalg.norm(detection[:, :2] - place[side], axis=-1)
            distance = np.minimum(distance, np.where(track.known[side], away, np.inf))
    weight = np.where(np.isfinite(distance), detection[:, 2], 0.0)
    if not weight.sum() > 0:
        return np.inf
    return float(
        (weight * np.where(weight > 0, distance, 0.0)).sum() / weight.sum() / max(track.height, _height(detection))
    )


def _height(points: np.ndarray) -> float:
    """px between the highest and the lowest point seen, or the width where that is larger."""
    seen = points[points[:, 2] > 0, :2]
    return float(max(*np.ptp(seen, axis=0), 1.0)) if len(seen) else 1.0
