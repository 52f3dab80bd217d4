from __future__ import annotations

import shutil
import subprocess
import tracemalloc

import numpy as np
import pytest
from films import picture, spoil, square_place, turn_metadata, write_film

from mjxhuman.data import read_motion
from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.video import Video, timeline

pytest.importorskip("av", reason="the extra 'video' is not installed")


def evenly(count: int, fps: float) -> np.ndarray:
    return np.arange(count) / fps


def test_pictures_have_true_times_and_contents(tmp_path):
    video = Video(write_film(tmp_path / "a.mp4", evenly(12, 25.0)))
    pictures = list(video)
    assert [p.time for p in pictures] == pytest.approx(evenly(12, 25.0), abs=1e-4)
    assert video.size == (96, 64)
    assert video.scale == (1.0, 1.0)
    for k, shown in enumerate(pictures):
        assert shown.image.shape == (64, 96, 3)
        assert abs(square_place(shown.image) - square_place(picture(k))) <= 1
    line = video.timeline([p.time for p in pictures])
    assert (line.fps, line.length, line.constant) == (25.0, 12, True)
    assert video.notes == []


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi", "webm", "gif"])
def test_containers(tmp_path, suffix):
    codec = {"webm": "libvpx", "avi": "mpeg4", "gif": "gif"}.get(suffix, "libx264")
    path = tmp_path / f"a.{suffix}"
    if suffix == "gif":
        path = gif(path)
    else:
        write_film(path, evenly(20, 20.0), codec=codec)
    video = Video(path)
    line = video.timeline([p.time for p in video])
    assert (round(line.fps, 2), line.length) == (20.0, 20)
    with pytest.raises(MotionFileError, match="found a video"):
        read_motion(path)


def gif(path):
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("gif", rate=20)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "rgb8"
        for k in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(k), format="rgb24").reformat(format="rgb8")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("degrees", "turns"), [(90, 3), (180, 2), (270, 1)])
def test_rotation_of_phones(tmp_path, degrees, turns):
    """The stored picture, turned clockwise by the file's angle, is upright."""
    path = turn_metadata(write_film(tmp_path / "a.mp4", evenly(3, 30.0)), degrees)
    video = Video(path)
    shown = next(iter(video)).image
    assert video.size == ((64, 96) if degrees != 180 else (96, 64))
    expected = np.rot90(picture(0), turns)
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).mean() < 6
    assert any("degrees" in note for note in video.notes)
    if shutil.which("ffmpeg"):  # ffmpeg turns pictures by itself
        command = ["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        raw = subprocess.run(command, capture_output=True, check=True).stdout
        theirs = np.frombuffer(raw, np.uint8).reshape(shown.shape)
        assert np.abs(theirs.astype(int) - shown).mean() < 2


def test_large_pictures_are_shrunk(tmp_path):
    path = write_film(tmp_path / "a.mp4", evenly(2, 30.0), size=(3840, 2160))
    video = Video(path)
    assert video.size == (3840, 2160)
    assert next(iter(video)).image.shape == (1080, 1920, 3)
    assert video.scale == (2.0, 2.0)
    assert any("shrunk" in note for note in video.notes)
    whole = next(iter(Video(path, max_side=None))).image
    assert whole.shape == (2160, 3840, 3)


def test_region(tmp_path):
    path = write_film(tmp_path / "a.mp4", evenly(3, 30.0))
    whole, part = next(iter(Video(path))).image, Video(path, region=(10, 4, 50, 44))
    assert np.array_equal(next(iter(part)).image, whole[4:44, 10:50])
    assert part.origin == (10, 4)
    assert next(iter(Video(path, region=(10, 4, 50, 44), max_side=20))).image.shape == (20, 20, 3)
    with pytest.raises(MotionFileError, match="region: found 200,4,250,44, expected a part of the 96x64"):
        Video(path, region=(200, 4, 250, 44))


def test_variable_rate_is_brought_to_a_constant_one(tmp_path):
    rng = np.random.default_rng(0)
    times = np.concatenate([[0.0], np.cumsum(rng.uniform(0.02, 0.05, 40))])
    video = Video(write_film(tmp_path / "a.mp4", times))
    found = [p.time for p in video]
    assert found == pytest.approx(times, abs=1e-3)
    line = video.timeline(found)
    assert not line.constant
    assert any("variable frame rate" in note for note in video.notes)
    grid = np.arange(line.length) / line.fps
    placed, known = line.place(np.asarray(found)[:, None], np.ones(len(found), bool))
    assert known.all()
    assert placed[:, 0] == pytest.approx(grid, abs=1e-3)  # a value that grows with time stays proportional to time


def test_damage_in_the_middle_does_not_lose_the_rest(tmp_path):
    path = write_film(tmp_path / "a.mp4", evenly(60, 30.0), size=(320, 240))
    spoil(path, 0.45, 0.1)
    video = Video(path)
    times = [p.time for p in video]
    assert any("damaged" in note for note in video.notes)
    assert times[-1] == pytest.approx(59 / 30, abs=1e-3)
    assert 40 <= len(times) < 60
    line = video.timeline(times)
    _, known = line.place(np.ones((len(times), 1)), np.ones(len(times), bool))
    assert line.length == 60
    assert known.sum() == len(times)
    assert known[:20].all() and known[-20:].all()


def test_cut_off_file_says_so(tmp_path):
    path = write_film(tmp_path / "a.mkv", evenly(300, 30.0), size=(320, 240))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    video = Video(path)
    times = [p.time for p in video]
    assert 30 < len(times) < 250
    assert any("pictures end at" in note for note in video.notes)


def test_not_a_video(tmp_path):
    cases = {"text.mp4": b"hello, I am a text\n" * 20, "empty.mp4": b"", "half.mp4": None}
    whole = write_film(tmp_path / "a.mp4", evenly(30, 30.0)).read_bytes()
    for name, content in cases.items():
        path = tmp_path / name
        path.write_bytes(whole[: len(whole) // 2] if content is None else content)
        with pytest.raises(MotionFileError, match=rf"{name}: file: found no video that can be opened"):
            Video(path)
    with pytest.raises(FileNotFoundError):
        Video(tmp_path / "absent.mp4")


def test_sound_only(tmp_path):
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(MotionFileError, match="streams: found audio, expected a video stream"):
        Video(path)


def test_one_frame(tmp_path):
    video = Video(write_film(tmp_path / "a.mp4", [0.0]))
    times = [p.time for p in video]
    assert times == [0.0]
    assert video.timeline(times).length == 1


def test_memory_does_not_grow_with_length(tmp_path):
    path = write_film(tmp_path / "a.mp4", evenly(600, 30.0), size=(320, 240), keyframes=60)
    tracemalloc.start()
    for _ in Video(path):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 320 * 240 * 3  # 600 frames would be 138 MB


def test_slow_motion_rate_of_the_caller(tmp_path):
    video = Video(write_film(tmp_path / "a.mp4", evenly(20, 30.0)), fps=240.0)
    line = video.timeline([p.time for p in video])
    assert (line.fps, line.length) == (240.0, 20)
    assert any("240 Hz as the caller says" in note for note in video.notes)


@pytest.mark.parametrize("fps", [8.0, 16.0, 23.976, 24.0, 25.0, 29.97, 30.0, 59.94, 60.0, 120.0])
def test_rates_from_rounded_times(fps):
    times = np.round(np.arange(200) / fps, 3)  # Matroska's milliseconds
    line = timeline(times)
    assert line.constant
    assert line.fps == pytest.approx(fps, rel=2e-5)
    assert line.length == 200


def test_long_films_do_not_drift():
    times = np.arange(18000) * 1001 / 30000
    line = timeline(times, stated=30.0)
    assert line.constant
    assert line.fps == pytest.approx(30000 / 1001, rel=1e-6)
    assert line.position[-1] == 17999


def test_gaps_are_not_filled():
    """A pause of a second in a variable rate: nothing is interpolated across it."""
    rng = np.random.default_rng(1)
    steps = rng.uniform(0.025, 0.045, 60)
    steps[30] = 1.0
    times = np.concatenate([[0.0], np.cumsum(steps)])
    line = timeline(times)
    _, known = line.place(np.ones((61, 1)), np.ones(61, bool))
    hidden = np.flatnonzero(~known) / line.fps
    assert hidden.min() > times[30] and hidden.max() < times[31]
    assert len(hidden) > 0.8 * line.fps


def test_unseen_frames_stay_unseen_when_placed():
    times = np.cumsum(np.random.default_rng(2).uniform(0.02, 0.05, 30))
    times -= times[0]
    seen = np.ones(30, bool)
    seen[10] = False
    line = timeline(times)
    placed, known = line.place(np.full((30, 2), 5.0, np.float32), seen)
    assert not known.all()
    assert np.all(placed[~known] == 0.0)
    assert np.allclose(placed[known], 5.0)
    assert placed.dtype == np.float32
