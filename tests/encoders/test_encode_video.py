from __future__ import annotations

import numpy as np
import pytest
from films import spoil, turn_metadata, write_film

from mjxhuman.data.video import Video, VideoArray
from mjxhuman.encoders import choose, encode_video, encoder_table, make_encoder, register
from mjxhuman.encoders.registry import Entry

pytest.importorskip("av", reason="the extra 'video' is not installed")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MJXHUMAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "encodings"


def times(count: int) -> np.ndarray:
    return np.arange(count) / 30.0


def left_edge(keypoints) -> np.ndarray:
    return np.asarray(keypoints.uv)[..., 0].min(-1)


def test_keypoints_are_in_pixels_of_the_file(tmp_path, squares):
    path = write_film(tmp_path / "a.mp4", times(20), size=(3840, 2160))
    whole = encode_video(path, squares)
    assert whole.image_size == (3840, 2160)
    (person,) = whole.people
    assert left_edge(person.keypoints) == pytest.approx(4 + 2 * np.arange(20), abs=2.5)
    assert person.seen.all()
    assert person.keypoints.fps == 30.0
    part = encode_video(path, squares, region=(0, 0, 640, 360))
    assert left_edge(part.people[0].keypoints) == pytest.approx(4 + 2 * np.arange(20), abs=1.5)
    assert any("only the part" in note for note in part.notes)


def test_turned_video(tmp_path, squares):
    straight = write_film(tmp_path / "a.mp4", times(10), size=(160, 120))
    turned = turn_metadata(write_film(tmp_path / "b.mp4", times(10), size=(160, 120)), 90)
    a, b = encode_video(straight, squares), encode_video(turned, squares)
    assert (a.image_size, b.image_size) == ((160, 120), (120, 160))
    # turned clockwise: columns from the left become rows from the top, rows from the top columns from the right
    box, expected = np.asarray(b.people[0].box), np.asarray(a.people[0].box)
    assert box[:, [1, 3]] == pytest.approx(expected[:, [0, 2]], abs=1.5)
    assert box[:, [2, 0]] == pytest.approx(119 - expected[:, [1, 3]], abs=1.5)


def test_damaged_frames_are_not_seen(tmp_path, squares):
    path = spoil(write_film(tmp_path / "a.mp4", times(60), size=(320, 240)), 0.45, 0.1)
    encoding = encode_video(path, squares)
    person = encoding.people[0]
    hidden = ~person.seen
    assert encoding.frames == 60
    assert hidden[26:30].all() and not hidden[:20].any()
    assert (np.asarray(person.keypoints.confidence)[hidden] == 0).all()
    assert (np.asarray(person.keypoints.uv)[hidden] == 0).all()
    edge = np.concatenate([left_edge(p.keypoints)[40:] for p in encoding.people if p.seen[40:].all()])
    assert edge == pytest.approx(4 + 2 * np.arange(40, 60), abs=2)  # from the next key frame on all is well


def test_variable_rate(tmp_path, squares):
    steps = np.random.default_rng(0).uniform(0.02, 0.05, 40)
    when = np.concatenate([[0.0], np.cumsum(steps)])
    encoding = encode_video(write_film(tmp_path / "a.mp4", when, size=(320, 240)), squares)
    (person,) = encoding.people
    expected = np.interp(np.arange(encoding.frames) / encoding.fps, when, 4 + 2 * np.arange(41))
    assert left_edge(person.keypoints)[person.seen] == pytest.approx(expected[person.seen], abs=1.2)


def test_second_time_from_the_cache(tmp_path, squares, cache):
    path = write_film(tmp_path / "a.mp4", times(10))
    first = encode_video(path, squares)
    again = encode_video(path, squares)
    assert squares.runs == 1
    assert np.array_equal(first.people[0].keypoints.uv, again.people[0].keypoints.uv)
    assert np.array_equal(first.people[0].seen, again.people[0].seen)
    assert again.people[0].keypoints.names == first.people[0].keypoints.names
    assert (again.fps, again.frames, again.image_size, again.notes) == (
        first.fps, first.frames, first.image_size, first.notes
    )  # fmt: skip
    assert again.people[0].keypoints.pos3d is None
    moved = tmp_path / "b.mp4"
    moved.write_bytes(path.read_bytes())
    assert encode_video(moved, squares).people[0].keypoints.provenance.path == str(moved)
    assert squares.runs == 1
    encode_video(path, squares, fps=60.0)
    encode_video(path, squares, region=(0, 0, 64, 64))
    assert squares.runs == 3
    encode_video(path, squares, cache=False)
    assert squares.runs == 4
    squares.fingerprint = lambda: "squares 2"
    encode_video(path, squares)
    assert squares.runs == 5
    assert len(list(cache.iterdir())) == 4


def test_broken_cache_file_is_made_again(tmp_path, squares, cache):
    path = write_film(tmp_path / "a.mp4", times(10))
    first = encode_video(path, squares)
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    again = encode_video(path, squares)
    assert squares.runs == 2
    assert np.array_equal(first.people[0].keypoints.uv, again.people[0].keypoints.uv)


def test_choose(squares):
    rng = np.random.default_rng(0)
    encoding = squares.encode(VideoArray(np.zeros((5, 64, 96, 3), np.uint8), 30.0, "dark.mp4"))
    with pytest.raises(ValueError, match=r"dark.mp4: person: found nobody in 5 frames"):
        choose(encoding, path="dark.mp4")
    frames = rng.integers(0, 90, (8, 64, 96, 3)).astype(np.uint8)
    frames[:, 10:40, 20:40] = 255
    one = squares.encode(VideoArray(frames, 30.0))
    person, sentence = choose(one)
    assert "the only person" in sentence and "8 of 8 frames" in sentence
    assert choose(one, 0)[0] is choose(one, "0")[0] is person
    with pytest.raises(ValueError, match="found 1 people, expected a number below that, not 3"):
        choose(one, 3)
    with pytest.raises(ValueError, match="expected 'largest' or a number"):
        choose(one, "smallest")


def test_registry(squares):
    with pytest.raises(ValueError, match=r"encoder: expected one of blazepose.*found 'nonsense'"):
        make_encoder("nonsense")
    with pytest.raises(ValueError, match="taken"):
        register("blazepose", encoder_table()["blazepose"])
    register("squares", Entry(lambda: squares, "keypoints", "nothing", lambda: True, False))
    try:
        assert make_encoder("squares") is squares
    finally:
        from mjxhuman.encoders import registry

        del registry._ENTRIES["squares"]


def test_video_array_is_checked():
    with pytest.raises(ValueError, match=r"expected \(T, H, W, 3\) uint8"):
        VideoArray(np.zeros((3, 8, 8, 3)), 30.0)
    with pytest.raises(ValueError, match="fps"):
        VideoArray(np.zeros((3, 8, 8, 3), np.uint8), 0.0)


def test_long_video_in_bounded_memory(tmp_path, squares):
    """Only what was found grows with the length: 17 points a frame, not pictures."""
    import tracemalloc

    path = write_film(tmp_path / "a.mp4", times(900), size=(160, 120), keyframes=120)
    tracemalloc.start()
    encoding = squares.encode(Video(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert encoding.frames == 900
    assert peak < 10e6  # pictures would be 52 MB
