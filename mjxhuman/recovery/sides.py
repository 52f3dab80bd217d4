"""Left and right mixed up by a detector: found in time before the fit, and against the fit afterwards.

Detectors exchange the sides of a limb for some frames, or of the whole person (someone who faces the camera is taken
for someone who faces away). The points then jump to each other's places and back.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from mjxhuman.recovery.sightings import Sightings

#: Points that get mixed up together.
GROUPS = {
    "legs": ("Hip", "Knee", "Ankle", "Heel", "BigToe", "SmallToe", "FootIndex"),
    "arms": ("Shoulder", "Elbow", "Wrist", "Index", "Pinky", "Thumb"),
    "head": ("Eye", "EyeInner", "EyeOuter", "Ear", "Mouth"),
}
#: In time: a point moves about so far from frame to frame, in the person's size (at rest, and per second); a jump
#: counts no more than _MOST per point. A group exchanged in a frame costs _RARE, which decides which of two labellings
#: is right, and _APART more if the others are not.
_REST, _SPEED, _MOST, _RARE, _APART = 0.02, 1.0, 9.0, 0.5, 1.0
#: Against the fit: standard deviations beyond which a point counts no more, and what an exchange must gain in all.
_KERNEL, _GAIN = 6.0, 10.0


def group(seen: Sightings, name: str) -> np.ndarray:
    """Points (K,) of a group that have a partner on the other side."""
    mirror = seen.mirror()
    return np.array([place.landmark in GROUPS[name] and mirror[k] != k for k, place in enumerate(seen.points.places)])


def exchanged_in_time(seen: Sightings) -> tuple[Sightings, np.ndarray]:
    """The sightings with sides put right wherever that makes the points' paths shorter, and where it was: (T, V).

    For each camera the cheapest sequence of what is exchanged (Viterbi over the groups' combinations; they tend to be
    exchanged together). 3D landmarks of such frames are given up: they belong to a person seen the wrong way round.
    """
    swap = np.stack([_cheapest(seen, v) for v in range(seen.size.shape[1])], 1)
    return _exchange(seen, swap), swap.any(-1)


def _cheapest(seen: Sightings, v: int) -> np.ndarray:
    """Which groups (T, G) of camera ``v`` are exchanged."""
    state = np.array(list(itertools.product((0, 1), repeat=len(GROUPS))))  # (S, G)
    own = _RARE * state.sum(1) + _APART * np.ptp(state, axis=1)
    differ = (state[:, None] != state[None]).astype(float)  # (S, S, G)
    swap = np.zeros((seen.frames, len(GROUPS)), bool)
    frames = np.flatnonzero((seen.confidence[:, v] > 0).any(1))
    if not frames.size:
        return swap
    pairs = [_steps(seen, v, frames, np.flatnonzero(group(seen, name))) for name in GROUPS]
    same, crossed = np.moveaxis(np.array(pairs), 0, -1)  # (N - 1, G)
    total, back = own.copy(), np.zeros((len(frames), len(state)), int)
    for n in range(1, len(frames)):
        through = total[:, None] + same[n - 1].sum() + differ @ (crossed[n - 1] - same[n - 1])
        back[n] = np.argmin(through, axis=0)
        total = np.min(through, axis=0) + own
    best = int(np.argmin(total))
    for n in range(len(frames) - 1, -1, -1):
        swap[frames[n]] = state[best]
        best = back[n, best]
    return swap


def _steps(seen: Sightings, v: int, frames: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Costs (N - 1,) of the ways between N frames with the sides as they are, and with one of the two exchanged."""
    other, uv, known = seen.mirror()[rows], seen.uv[frames, v], seen.confidence[frames, v] > 0
    both = known[:, rows] & known[:, other]
    both = both[1:] & both[:-1]
    reach = (_REST + _SPEED * np.diff(frames) / seen.fps) * seen.size[frames[1:], v]

    def jump(now: np.ndarray) -> np.ndarray:
        square = np.sum((uv[1:, now] - uv[:-1, rows]) ** 2, -1) / reach[:, None] ** 2
        return np.sum(np.minimum(square, _MOST) * both, 1)

    return jump(rows), jump(other)


def exchanged_by_fit(seen: Sightings, wanted: np.ndarray) -> tuple[Sightings, np.ndarray]:
    """The sightings with sides put right wherever that brings them much nearer to where the fit has the points.

    Args:
      wanted: ``(T, V, K, 2)`` px.
    """
    sigma, mirror = seen.sigma(True)[..., None], seen.mirror()

    def cost(index: np.ndarray) -> np.ndarray:
        square = np.sum((wanted - seen.uv[:, :, index]) ** 2, -1) / sigma**2
        return seen.confidence[:, :, index] * square / (1.0 + square / _KERNEL**2)

    as_is, crossed = cost(np.arange(len(mirror))), cost(mirror)
    swap = np.zeros((*seen.size.shape, len(GROUPS)), bool)
    for g, name in enumerate(GROUPS):
        rows = group(seen, name)
        before, after = as_is[..., rows].sum(-1), crossed[..., rows].sum(-1)
        swap[..., g] = (after < 0.5 * before) & (before - after > _GAIN)
    return _exchange(seen, swap), swap.any(-1)


def _exchange(seen: Sightings, swap: np.ndarray) -> Sightings:
    """Sides exchanged where ``swap (T, V, groups)`` says so."""
    mirror = seen.mirror()
    index = np.broadcast_to(np.arange(len(mirror)), seen.confidence.shape)
    for g, name in enumerate(GROUPS):
        index = np.where(swap[..., g, None] & group(seen, name), mirror, index)
    known = seen.landmark_known
    if known is not None:
        known = known & ~swap.any((1, 2))[:, None]
    return dataclasses.replace(
        seen, uv=np.take_along_axis(seen.uv, index[..., None], 2), landmark_known=known,
        confidence=np.take_along_axis(seen.confidence, index, 2),
    )  # fmt: skip
