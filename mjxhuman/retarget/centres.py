"""Joint centres that no marker shows: hips by a regression on the pelvis, the others from how two segments move.

The regression is that of Harrington et al. (2007), J Biomech 40:595, on adults and children: it holds better than the
older ones where only the pelvis' own size is known. The functional centre is the symmetric one of Ehrig et al. (2006),
J Biomech 39:2798: the point that is at rest in both of two rigid groups of markers.
"""

from __future__ import annotations

import numpy as np

from mjxhuman.math import quaternion

#: Fewest markers that carry a segment's rotation, and frames with all of both groups in view.
_GROUP, _FRAMES = 3, 20
#: Standard deviation (m) of a guess of the centre, against 1 cm of the markers' own: what a hinge does not tell (where
#: along its axis the centre lies) the guess does.
_GUESS, _NOISE = 0.05, 0.01


def regression_hips(asis: tuple[np.ndarray, np.ndarray], psis: np.ndarray) -> dict[str, np.ndarray]:
    """Hip centres ``(T, 3)`` m and the pelvis' axes, from its four landmarks.

    Args:
      asis: left and right anterior superior iliac spines, ``(T, 3)`` m.
      psis: middle of the posterior ones, ``(T, 3)`` m.
    """
    left, right = asis
    middle = 0.5 * (left + right)
    lateral = quaternion.unit(left - right)
    behind = psis - middle
    width = float(np.median(np.linalg.norm(left - right, axis=-1)))
    depth = float(np.median(np.linalg.norm(behind, axis=-1)))
    up = quaternion.unit(np.cross(lateral, behind))
    ahead = np.cross(lateral, up)
    # Harrington's equations in mm: x ahead, y up, z to the side, from the middle of the anterior spines
    x, y, z = -0.24 * depth - 9.9e-3, -0.30 * width - 10.9e-3, 0.33 * width + 7.3e-3
    base = middle + x * ahead + y * up
    return {"L_Hip": base + z * lateral, "R_Hip": base - z * lateral, "left": lateral, "up": up}


def functional_centre(
    proximal: np.ndarray, distal: np.ndarray, seen: np.ndarray, guess: np.ndarray, guessed: np.ndarray
) -> np.ndarray | None:
    """The joint between two segments ``(T, 3)`` m, as the proximal one carries it; None if the clip cannot tell.

    Args:
      proximal: ``(T, M, 3)`` m, markers of the segment above. distal: ``(T, N, 3)``, of the one below.
      seen: ``(T,)`` frames in which all of them are seen.
      guess: ``(T, 3)`` m, where the joint is thought to be. guessed: ``(T,)`` frames in which it is.
    """
    if proximal.shape[1] < _GROUP or distal.shape[1] < _GROUP or seen.sum() < _FRAMES:
        return None
    frames = [_rigid(x, seen) for x in (proximal, distal)]
    prior = [_mean_in(frame, guess, guessed) for frame in frames]
    (turn_a, place_a), (turn_b, place_b) = ((turn[seen], place[seen]) for turn, place in frames)
    # unknown: the centre in either segment's frame; R_a c_a + p_a = R_b c_b + p_b in every frame
    rows = np.concatenate([turn_a, -turn_b], -1).reshape(-1, 6)
    right = (place_b - place_a).reshape(-1)
    weight = 0.1 * len(turn_a) * (_NOISE / _GUESS) ** 2
    start = np.concatenate(prior)
    centre = np.linalg.solve(rows.T @ rows + weight * np.eye(6), rows.T @ right + weight * start)
    turn, place = frames[0]
    return place + np.einsum("tab,b->ta", turn, centre[:3])


def _rigid(markers: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations ``(T, 3, 3)`` and places ``(T, 3)`` of a group of markers: Kabsch against its shape in one frame."""
    first = markers[int(np.argmax(seen))]
    middle = markers.mean(1)
    shape = first - first.mean(0)
    turn = quaternion.kabsch(shape, markers - middle[:, None], np.ones(markers.shape[1]))
    axes = [quaternion.rotate(turn, axis) for axis in np.eye(3)]
    return np.stack(axes, -1), middle


def _mean_in(frame: tuple[np.ndarray, np.ndarray], point: np.ndarray, seen: np.ndarray) -> np.ndarray:
    turn, place = frame
    return np.einsum("tab,ta->tb", turn[seen], (point - place)[seen]).mean(0)
