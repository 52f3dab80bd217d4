"""Who is who from frame to frame: detections become tracks, one per person.

Detections are matched to the tracks' keypoints, where last seen or going on at the same speed, by the assignment of
least total distance (``scipy.optimize.linear_sum_assignment``). Detectors confuse left and right of a body, or of its
arms or legs, now and then: a point is as near as it is to either side's. A person not seen for ``PATIENCE`` is someone
new when seen again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

#: s that a track waits for its person.
PATIENCE = 1.0
#: Mean distance of the keypoints from where they are expected, in the person's heights, up to which it is the person.
GATE = 0.4
#: s that predictions reach ahead: afterwards a person is expected to have stopped.
_REACH = 0.5


@dataclasses.dataclass
class _Track:
    index: np.ndarray  # (N,) which detection of the frame, -1 for none
    uv: np.ndarray  # (K, 2) where last seen
    time: float
    height: float
    velocity: np.ndarray  # (K, 2) px per s

    def expected(self, time: float) -> np.ndarray:
        return self.uv + self.velocity * min(time - self.time, _REACH)

    def take(self, frame: int, detection: int, uv: np.ndarray, time: float) -> None:
        self.velocity = (uv - self.uv) / (time - self.time)
        self.index[frame], self.uv, self.time = detection, uv, time
        self.height = max(0.9 * self.height, _height(uv))


def follow(
    times: Sequence[float], people: Sequence[np.ndarray], mirror: Sequence[int] | None = None
) -> list[np.ndarray]:
    """Tracks through a clip, in order of appearance.

    Args:
      times: (N,) s, increasing.
      people: per frame (n, K, 3): x, y in px and confidence 0..1 of the n people found in it; n may be 0.
      mirror: (K,) the point on the other side for each point (itself in the middle).

    Returns:
      For each track (N,) int: which of the frame's people it is, -1 where none.
    """
    tracks: list[_Track] = []
    for frame, (time, found) in enumerate(zip(times, people, strict=True)):
        alive = [t for t in tracks if time - t.time <= PATIENCE]
        cost = np.array([[_distance(t, person, mirror, time) for person in found] for t in alive])
        cost = cost.reshape(len(alive), len(found))
        rows, columns = linear_sum_assignment(np.minimum(cost, 2.0 * GATE))
        matched = [(r, c) for r, c in zip(rows, columns) if cost[r, c] <= GATE]
        for r, c in matched:
            alive[r].take(frame, int(c), found[c, :, :2], time)
        for c in sorted(set(range(len(found))) - {c for _, c in matched}):
            index = np.full(len(times), -1)
            index[frame] = c
            uv = found[c, :, :2]
            tracks.append(_Track(index, uv, time, _height(uv), np.zeros_like(uv)))
    return [t.index for t in tracks]


def _distance(track: _Track, detection: np.ndarray, mirror: Sequence[int] | None, time: float) -> float:
    """Mean distance in heights of a detection's points from where the track's person may be."""
    weight = detection[:, 2] + 1e-6
    places = [track.uv, track.expected(time)]
    sides = [detection[:, :2]] if mirror is None else [detection[:, :2], detection[list(mirror), :2]]
    distance = np.min([np.linalg.norm(side - place, axis=-1) for side in sides for place in places], axis=0)
    return float((weight * distance).sum() / weight.sum() / max(track.height, _height(detection)))


def _height(points: np.ndarray) -> float:
    """px between the highest and the lowest point, or the width where that is larger."""
    return float(max(np.ptp(points[:, 0]), np.ptp(points[:, 1]), 1.0))
