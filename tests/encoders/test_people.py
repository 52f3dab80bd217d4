from __future__ import annotations

import numpy as np

from mjxhuman.encoders.people.following import follow
from mjxhuman.encoders.people.identity import PATIENCE

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


def test_short_gaps_are_bridged_and_long_ones_are_not():
    x = np.linspace(0, 300, 400)
    gap = round(0.5 * PATIENCE * FPS)
    people = [p[None] if not 50 <= k < 50 + gap else np.zeros((0, 17, 3)) for k, p in enumerate(person(x))]
    (track,) = follow(times(400), people)
    assert (track[50 : 50 + gap] == -1).all() and (track[50 + gap :] == 0).all()
    gap = round(2.0 * PATIENCE * FPS)
    people = [p[None] if not 50 <= k < 50 + gap else np.zeros((0, 17, 3)) for k, p in enumerate(person(x))]
    assert len(follow(times(400), people)) == 2


def hidden_where_near(one: np.ndarray, two: np.ndarray, near: float = 80.0) -> list[np.ndarray]:
    """Frames of two people of whom the second hides the first when they are nearer than this, in random order."""
    rng = np.random.default_rng(2)
    return [
        b[None] if np.abs(a[0, 0] - b[0, 0]) < near else np.stack([a, b] if rng.random() < 0.5 else [b, a])
        for a, b in zip(one, two)
    ]


def is_person(people: list[np.ndarray], track: np.ndarray, person_: np.ndarray) -> np.ndarray:
    """Where a track has that person's own points; frames in which it has nobody are left out."""
    return np.array([np.array_equal(people[f][track[f]], person_[f]) for f in np.nonzero(track >= 0)[0]])


def test_people_who_hide_one_another_keep_their_identity():
    """They walk on: where each was going tells who comes out on which side."""
    one, two = person(np.linspace(0, 600, 90)), person(np.linspace(600, 0, 90))
    people = hidden_where_near(one, two)
    tracks = follow(times(90), people)
    assert len(tracks) == 2
    for a in (one, two):
        share = max(is_person(people, track, a).mean() for track in tracks)
        assert share > 0.9
        assert max(is_person(people, track, a)[-20:].mean() for track in tracks) == 1.0


def test_looks_tell_who_turned_back_from_who_went_on():
    """Both stop behind one another for a while; only colours tell who comes out where."""
    there = np.concatenate([np.linspace(0, 280, 40), np.full(30, 290.0), np.linspace(300, 600, 40)])
    back = np.concatenate([np.linspace(0, 280, 40), np.full(30, 290.0), np.linspace(280, 0, 40)])
    red, blue = np.array([0.8, 0.1, 0.1]), np.array([0.1, 0.1, 0.8])
    for first in (there, back):
        one, two = person(first), person(600.0 - first)
        people = hidden_where_near(one, two)
        looks = [
            np.array([red if np.array_equal(p, one[f]) else blue for p in found]) for f, found in enumerate(people)
        ]
        tracks = follow(times(110), people, looks=looks)
        assert len(tracks) == 2
        for a in (one, two):
            own = max((is_person(people, track, a) for track in tracks), key=np.mean)
            assert own[:30].all() and own[-30:].all()


def test_two_who_stay_close_are_both_kept():
    one, two = person(np.linspace(0, 100, 150)), person(np.linspace(40, 140, 150), SHAPE * [1.0, 0.9])
    tracks = follow(times(150), [np.stack([a, b]) for a, b in zip(one, two)])
    assert len(tracks) == 2 and all((track >= 0).mean() > 0.95 for track in tracks)


def test_nobody():
    assert follow(times(5), [np.zeros((0, 17, 3))] * 5) == []


def test_someone_who_joins_is_someone_new():
    one, two = person(np.full(60, 100.0)), person(np.full(60, 500.0))
    people = [np.stack([b, a]) if k >= 30 else a[None] for k, (a, b) in enumerate(zip(one, two))]
    tracks = follow(times(60), people)
    assert len(tracks) == 2
    assert np.array_equal(tracks[0], (np.arange(60) >= 30).astype(int))
    assert (tracks[1][:30] == -1).all() and (tracks[1][30:] == 0).all()


def test_a_child_and_an_adult_are_not_one_person():
    """One goes behind a wall and another comes out on the other side, in time, but half as tall."""
    x = np.linspace(0, 400, 80)
    small = person(x, 0.4 * SHAPE)
    people = [p[None] for p in np.concatenate([person(x)[:40], small[50:]])]
    people = [*people[:40], *[np.zeros((0, 17, 3))] * 10, *people[40:]]
    assert len(follow(times(80), people)) == 2
    whole = [p[None] for p in person(x)]
    whole[40:50] = [np.zeros((0, 17, 3))] * 10
    assert len(follow(times(80), whole)) == 1


def test_a_step_of_a_third_of_the_height_is_the_same_person():
    """Back and forth, so that no velocity predicts it, as at low frame rates."""
    people = person(np.where(np.arange(40) % 2, 66.0, 0.0))
    (track,) = follow(times(40), list(people[:, None]))
    assert (track == 0).all()


def test_who_was_seen_for_long_takes_the_pick_before_a_wrong_detection():
    """A ghost is found beside a person once; the next detection is nearer to it than to where the person was."""
    x = np.concatenate([np.zeros(11), np.full(20, 40.0)])
    people = [p[None] for p in person(x)]
    people[10] = np.concatenate([people[10], person(np.array([74.0]))])
    (track,) = follow(times(31), people)
    assert (track == 0).all()


def test_who_is_near_another_when_the_film_ends_is_kept_to_the_end():
    """And from its beginning: what is doubtful there goes to whose path is nearest."""
    apart = np.concatenate([np.full(8, 50.0), np.linspace(60, 300, 40), np.linspace(300, 60, 40), np.full(8, 50.0)])
    one, two = person(300.0 - apart / 2), person(300.0 + apart / 2, SHAPE * [1.0, 0.9])
    tracks = follow(times(96), [np.stack([a, b]) for a, b in zip(one, two)])
    assert len(tracks) == 2
    assert all((track >= 0).all() for track in tracks)
