"""Who is who after people met, hid one another or were lost for a while, with the whole clip known.

Where two people come so close that a detector may mix them up, nearness from frame to frame says nothing. Tracks are
cut there; the pieces on both sides are joined to one person by where each was going, how tall it is in the picture and,
where the encoder reports colours, what it looks like: the assignment of least total cost. What was detected in between
goes to the person whose interpolated path is nearest, or to nobody.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

#: s that a person may be out of sight and still be the same one when seen again.
PATIENCE = 3.0
#: Pieces of fewer frames say nothing about anyone.
SURE = 3
#: Distance of two people's middles, in heights, below which it is doubtful who is who.
_MEET = 0.3
#: s for which a lost person still counts as being where last seen.
_HIDDEN = 0.5
#: Frames without a detection after which a track is cut, in s.
_GAP = 0.1
#: s over which a velocity is taken.
_SPAN = 0.4
#: Standard deviations of what a join predicts: place in heights at once and per s, size as a logarithm, colours 0..1.
_PLACE, _DRIFT, _SIZE, _COLOUR = 0.15, 0.35, 0.25, 0.1
#: Cost in squared standard deviations above which two pieces are different people.
_MOST = 12.0
#: Distance in heights from the interpolated path within which a doubtful detection is the person's.
_NEAR = 0.5


@dataclasses.dataclass
class _Piece:
    """A stretch of one track in which nobody else was near."""

    track: np.ndarray  # (N,) which detection of the frame, -1 for none
    start: float  # s
    stop: float
    begin: tuple[np.ndarray, np.ndarray]  # place px and velocity px/s at the start
    end: tuple[np.ndarray, np.ndarray]
    height: float  # px
    look: np.ndarray | None  # (F,)


class _Seen:
    """Middle, height and colours of a track's detections, frames first; NaN where it is not seen."""

    def __init__(self, people: Sequence[np.ndarray], looks: Sequence[np.ndarray] | None, track: np.ndarray) -> None:
        self.middle = np.full((len(track), 2), np.nan)
        self.height = np.full(len(track), np.nan)
        self.look = None if looks is None else np.full((len(track), *looks[0].shape[1:]), np.nan)
        for frame in np.nonzero(track >= 0)[0]:
            points = people[frame][track[frame]]
            self.middle[frame], self.height[frame] = middle_and_height(points)
            if self.look is not None and looks is not None:
                self.look[frame] = looks[frame][track[frame]]


def middle_and_height(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean place of a person's points (K, 3) weighted by confidence, and extent of those seen, px."""
    weight = np.maximum(points[:, 2], 1e-6)
    seen = points[points[:, 2] > 0, :2]
    extent = float(max(*np.ptp(seen, axis=0), 1.0)) if len(seen) else 1.0
    return (weight[:, None] * points[:, :2]).sum(0) / weight.sum(), extent


def rejoin(
    times: np.ndarray,
    people: Sequence[np.ndarray],
    tracks: Sequence[np.ndarray],
    looks: Sequence[np.ndarray] | None = None,
) -> list[np.ndarray]:
    """Tracks with the same person before and after meetings and gaps, in order of appearance.

    Args:
      times: (N,) s, increasing.
      people: per frame (n, K, 3), as ``following.follow`` takes them.
      tracks: (N,) int each, from frame to frame.
      looks: per frame (n, F) colours 0..1.
    """
    seen = [_Seen(people, looks, track) for track in tracks]
    doubtful = _doubtful(times, tracks, seen)
    pieces = [piece for t, s, d in zip(tracks, seen, doubtful) for piece in _cut(times, t, s, d)]
    if not pieces:
        return list(tracks)
    joined = _chains(pieces)
    _give_doubtful(times, people, joined)
    return sorted(joined, key=lambda track: int(np.argmax(track >= 0)))


def _doubtful(times: np.ndarray, tracks: Sequence[np.ndarray], seen: Sequence[_Seen]) -> list[np.ndarray]:
    """For each track the frames in which someone else is or was just now near."""
    frames, result = np.arange(len(times)), [np.zeros(len(times), bool) for _ in tracks]
    held = []
    for track, one in zip(tracks, seen):
        last = np.maximum.accumulate(np.where(track >= 0, frames, -1))
        known = (last >= 0) & (times - times[np.maximum(last, 0)] <= _HIDDEN)
        held.append((one.middle[np.maximum(last, 0)], one.height[np.maximum(last, 0)], known))
    for i in range(len(tracks)):
        for j in range(i):
            (a, high_a, known_a), (b, high_b, known_b) = held[i], held[j]
            both = known_a & known_b
            near = np.zeros(len(times), bool)
            near[both] = np.linalg.norm(a - b, axis=-1)[both] < _MEET * np.maximum(high_a, high_b)[both]
            result[i] |= near
            result[j] |= near
    return result


def _cut(times: np.ndarray, track: np.ndarray, seen: _Seen, doubtful: np.ndarray) -> list[_Piece]:
    """The pieces of a track; a doubtful stretch counts as one if it is longer than anyone hides."""
    frames = np.nonzero(track >= 0)[0]
    change = (np.diff(times[frames]) > _GAP + np.diff(times).min(initial=0.0)) | np.diff(doubtful[frames])
    pieces = []
    for part in np.split(frames, np.nonzero(change)[0] + 1):
        hidden = doubtful[part[0]] and times[part[-1]] - times[part[0]] < PATIENCE
        if len(part) < SURE or hidden:
            continue
        index = np.full(len(track), -1)
        index[part] = track[part]
        look = None if seen.look is None else np.nanmedian(seen.look[part], axis=0)
        ends = [_motion(times, seen.middle, part, at) for at in (part[0], part[-1])]
        height = float(np.median(seen.height[part]))
        pieces.append(_Piece(index, times[part[0]], times[part[-1]], ends[0], ends[1], height, look))
    return pieces


def _motion(times: np.ndarray, middle: np.ndarray, part: np.ndarray, at: int) -> tuple[np.ndarray, np.ndarray]:
    """Place and velocity at one end of a piece, by a straight line through what is near it."""
    near = part[np.abs(times[part] - times[at]) <= _SPAN]
    near = near if len(near) >= SURE else part
    slope, place = np.polyfit(times[near] - times[at], middle[near], 1)
    return place, slope


def _chains(pieces: Sequence[_Piece]) -> list[np.ndarray]:
    """Pieces of the same person put together."""
    cost = np.array([[_cost(a, b) for b in pieces] for a in pieces])
    # every piece has one before it or none: joining is worth as much as the most it may cost
    rows, columns = linear_sum_assignment(np.minimum(cost, _MOST) - _MOST)
    after = {int(r): int(c) for r, c in zip(rows, columns) if cost[r, c] < _MOST}
    chains = []
    for first in sorted(set(range(len(pieces))) - set(after.values())):
        chain, k = pieces[first].track.copy(), first
        while k in after:
            k = after[k]
            chain = np.maximum(chain, pieces[k].track)
        chains.append(chain)
    return chains


def _cost(a: _Piece, b: _Piece) -> float:
    """Squared standard deviations by which ``b`` is not what becomes of ``a``; inf where it cannot be."""
    gap = b.start - a.stop
    if not 0 < gap <= PATIENCE:
        return np.inf
    height = max(a.height, b.height)
    ahead, back = a.end[0] + 0.5 * gap * a.end[1], b.begin[0] - 0.5 * gap * b.begin[1]
    place = np.linalg.norm(ahead - back) / height / (_PLACE + _DRIFT * gap)
    cost = place**2 + (np.log(a.height / b.height) / _SIZE) ** 2
    if a.look is not None and b.look is not None:
        apart = np.abs(a.look - b.look)
        cost += float(np.nanmean(np.square(apart / _COLOUR))) if np.isfinite(apart).any() else 0.0
    return float(cost)


def _give_doubtful(times: np.ndarray, people: Sequence[np.ndarray], joined: Sequence[np.ndarray]) -> None:
    """Add to the tracks what was detected while it was doubtful who is who, and at their ends."""
    paths = []
    for track in joined:
        frames = np.nonzero(track >= 0)[0]
        known = [middle_and_height(people[f][track[f]]) for f in frames]
        middle = np.stack([np.interp(times, times[frames], [m[k] for m, _ in known]) for k in range(2)], -1)
        height = np.interp(times, times[frames], [h for _, h in known])
        alive = (times >= times[frames[0]] - _HIDDEN) & (times <= times[frames[-1]] + _HIDDEN)
        paths.append((middle, height, alive))
    for frame, found in enumerate(people):
        taken = {int(track[frame]) for track in joined}
        free = [d for d in range(len(found)) if d not in taken]
        open_ = [k for k, track in enumerate(joined) if track[frame] < 0 and paths[k][2][frame]]
        if not free or not open_:
            continue
        middles = np.array([middle_and_height(found[d])[0] for d in free])
        away = [np.linalg.norm(middles - paths[k][0][frame], axis=-1) / paths[k][1][frame] for k in open_]
        rows, columns = linear_sum_assignment(np.minimum(away, 2.0 * _NEAR))
        for r, c in zip(rows, columns):
            if away[r][c] <= _NEAR:
                joined[open_[r]][frame] = free[c]
