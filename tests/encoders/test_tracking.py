from __future__ import annotations

import numpy as np

from mjxhuman.encoders.tracking import PATIENCE, follow

FPS = 30.0
SHAPE = np.random.default_rng(0).uniform(-1, 1, (17, 2)) * [40, 100]
MIRROR = [0, *(k + 1 if k % 2 else k - 1 for k in range(1, 17))]


def person(x: np.ndarray, shape: np.ndarray = SHAPE) -> np.ndarray:
    """(N, 17, 3) of a body whose middle moves along x (N,)."""
    uv = shape[None] + np.stack([x, np.full_like(x, 300.0)], -1)[:, None]
    return np.concatenate([uv, np.full((len(x), 17, 1), 0.9)], -1)


def times(count: int) -> np.ndarray:
    return np.arange(count) / FPS


def test_one_person_is_one_track():
    people = person(np.linspace(0, 400, 60))[:, None]
    (track,) = follow(times(60), list(people))
    assert (track == 0).all()


def test_people_who_cross_keep_their_identity():
    """Two bodies of different proportions walk through each other; the order of detections is random."""
    other = SHAPE * [1.0, 0.85]
    one, two = person(np.linspace(0, 600, 90)), person(np.linspace(600, 0, 90), other)
    rng = np.random.default_rng(1)
    swapped = rng.random(90) < 0.5
    people = [np.stack([b, a] if s else [a, b]) for a, b, s in zip(one, two, swapped)]
    tracks = follow(times(90), people)
    assert len(tracks) == 2
    first = tracks[0] if people[0][tracks[0][0]][0, 0] == one[0, 0, 0] else tracks[1]
    assert np.array_equal(first, swapped.astype(int))


def test_left_right_confusion_is_not_another_person():
    spread = np.where(np.arange(17) % 2, 150.0, -150.0) * (np.arange(17) > 0)  # arms and legs apart
    people = person(np.linspace(0, 100, 60), np.stack([spread, SHAPE[:, 1]], -1))
    people[20:30] = people[20:30][:, MIRROR]  # the whole body
    legs = np.arange(17) > 10
    people[40:45, legs] = people[40:45][:, MIRROR][:, legs]  # the legs only
    assert len(follow(times(60), list(people[:, None]), MIRROR)) == 1
    assert len(follow(times(60), list(people[:, None]))) > 1  # these jumps are too far for one person


def test_short_gaps_are_bridged_and_long_ones_are_not():
    x = np.linspace(0, 300, 200)
    gap = round(0.5 * PATIENCE * FPS)
    people = [p[None] if not 50 <= k < 50 + gap else np.zeros((0, 17, 3)) for k, p in enumerate(person(x))]
    (track,) = follow(times(200), people)
    assert (track[50 : 50 + gap] == -1).all() and (track[50 + gap :] == 0).all()
    gap = round(2.0 * PATIENCE * FPS)
    people = [p[None] if not 50 <= k < 50 + gap else np.zeros((0, 17, 3)) for k, p in enumerate(person(x))]
    assert len(follow(times(200), people)) == 2


def test_nobody():
    assert follow(times(5), [np.zeros((0, 17, 3))] * 5) == []


def test_someone_who_joins_is_someone_new():
    one, two = person(np.full(60, 100.0)), person(np.full(60, 500.0))
    people = [np.stack([b, a]) if k >= 30 else a[None] for k, (a, b) in enumerate(zip(one, two))]
    tracks = follow(times(60), people)
    assert len(tracks) == 2
    assert np.array_equal(tracks[0], (np.arange(60) >= 30).astype(int))
    assert (tracks[1][:30] == -1).all() and (tracks[1][30:] == 0).all()
