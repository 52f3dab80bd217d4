from __future__ import annotations

import concurrent.futures
import dataclasses

import numpy as np
import pytest

import mjxhuman
from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.data.video import Video, VideoArray
from mjxhuman.encoders.base import Encoding, Person, collect
from mjxhuman.math.camera import look_at, project
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.scoring.videos import LEAST_SEEN, VideoReward, reward

pytestmark = pytest.mark.compiled

pytest.importorskip("av", reason="the extra 'video' is not installed")

#: Points of the stand-in encoder -> SMPL bodies they lie at.
POINTS = {
    f"{side}{name}": f"{side}_{name}"
    for side in "LR"
    for name in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
}
FRAMES, FPS = 60, 30.0
SIZE = (640, 480)


@pytest.fixture(scope="module")
def walk() -> np.ndarray:
    """Keypoints (60, 12, 3) px and confidence of the built-in walk, seen from the side."""
    clip = load_builtin_clip()
    motion = motion_from_qpos(mjxhuman.load_humanoid("smpl"), clip.qpos, clip.fps)
    names = motion.humanoid.body_names
    points = np.asarray(motion.body_pos)[:FRAMES, [names.index(body) for body in POINTS.values()]]
    middle = points.mean((0, 1))
    pose = look_at(middle + np.array([0.0, -5.0, 0.3]), middle)
    K = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
    uv, _ = project(points, K, pose, np.zeros(4))
    return np.concatenate([np.asarray(uv), np.full((FRAMES, 12, 1), 0.9)], -1)


class Reads:
    """Reads frame numbers out of the pictures' first pixel, and gives that frame of a walk: an encoder whose answer
    depends on the pixels, in their right order and scale. Colour (0, 0) in the second channel: who is seen."""

    name = "reads"
    takes_device_arrays = False

    def __init__(self, walk: np.ndarray) -> None:
        self.walk = walk

    def fingerprint(self) -> str:
        return "reads"

    def encode(self, video, camera=None) -> Encoding:
        times, found = [], []
        for picture in video:
            number, visible = int(picture.image[0, 0, 0]), picture.image[0, 0, 1] > 100
            times.append(picture.time)
            shown = self.walk[number][None] if visible else np.zeros((0, 12, 3))
            found.append({"uv": shown[..., :2], "confidence": shown[..., 2]})
        encoding = collect(video, self.name, times, found, tuple(POINTS))
        people = [dataclasses.replace(p, keypoints=p.keypoints.replace(image_size=SIZE)) for p in encoding.people]
        return dataclasses.replace(encoding, image_size=SIZE, people=tuple(people))

    def close(self) -> None:
        pass


def pictures(order: np.ndarray | None = None, hidden: slice = slice(0, 0)) -> np.ndarray:
    """(T, 8, 10, 3) uint8 that ``Reads`` understands."""
    order = np.arange(FRAMES) if order is None else order
    frames = np.zeros((len(order), 8, 10, 3), np.uint8)
    frames[:, 0, 0, 0], frames[:, 0, 0, 1] = order, 200
    frames[hidden, 0, 0, 1] = 0
    return frames


@pytest.fixture(scope="module")
def scorer(walk) -> VideoReward:
    return VideoReward(Reads(walk), workers=2)


@pytest.fixture(scope="module")
def plain(scorer):
    return scorer(pictures()[None], FPS)


def test_a_walk_scores(plain):
    assert plain.total.shape == plain.valid.shape == (1,)
    assert plain.valid[0] and plain.reason == ("",)
    assert 0.5 < plain.total[0] <= 1.0
    assert set(plain.axes) == {"kinematic", "contact", "dynamic"}
    assert plain.terms["person_seen"][0] == 1.0


@pytest.mark.parametrize("kind", ["numpy", "jax", "torch"])
@pytest.mark.parametrize("number", ["uint8", "float32", "float16"])
@pytest.mark.parametrize("channels", ["first", "last"])
def test_any_kind_of_frames_scores_the_same(scorer, plain, monkeypatch, kind, number, channels):
    """Only the pictures must be the same: what follows is not repeated."""
    seen = []
    monkeypatch.setattr(
        scorer._encoder, "encode", lambda video: seen.append(video.images) or (_ for _ in ()).throw(ValueError)
    )
    frames = pictures()
    frames[:, 3:5, 2:7] = np.arange(15, dtype=np.uint8).reshape(5, 3) * 17
    expected = frames.copy()
    array = frames[None] if number == "uint8" else (frames[None] / 255.0).astype(number)
    if channels == "first":
        array = np.moveaxis(array, -1, 2)
    if kind == "torch":
        torch = pytest.importorskip("torch", reason="torch is not installed")
        array = torch.from_numpy(np.ascontiguousarray(array))
    elif kind == "jax":
        import jax.numpy as jnp

        array = jnp.asarray(array)
    scorer(array, FPS)
    assert np.array_equal(seen[0], expected)


def test_failures_are_marked_and_change_nothing_for_others(scorer, plain):
    nobody = pictures(hidden=slice(None))
    mostly_hidden = pictures(hidden=slice(20, None))
    broken = (pictures() / 255.0).astype(np.float32)
    broken[3, 2, 2, 1] = np.nan
    short = pictures(np.arange(2))
    scores = scorer([nobody, pictures(), mostly_hidden, broken, short], FPS)
    assert list(scores.valid) == [False, True, False, False, False]
    assert scores.total[1] == plain.total[0]
    assert np.isnan(scores.total[[0, 2, 3, 4]]).all()
    assert np.isnan(scores.axes["contact"][[0, 2, 3, 4]]).all()
    assert "found nobody in 60 frames" in scores.reason[0]
    assert f"expected {LEAST_SEEN:.0%} or more" in scores.reason[2]
    assert "expected colours from 0 to 1" in scores.reason[3]
    assert "at least 3 frames" in scores.reason[4]
    assert scores.reason[1] == ""
    assert all(reason.startswith(f"videos[{i}]") for i, reason in enumerate(scores.reason) if reason)


def test_all_invalid(scorer):
    scores = scorer([pictures(hidden=slice(None))] * 2, FPS)
    assert not scores.valid.any() and np.isnan(scores.total).all()
    assert set(scores.axes) == {"kinematic", "contact", "dynamic"}


@pytest.mark.slow
def test_frame_rate_counts(scorer, plain):
    """The same pictures shown faster are another motion, the harder the faster; a rate per video is taken."""
    scores = scorer([pictures()] * 3, [FPS, 3.0 * FPS, 4.0 * FPS])
    assert scores.total[0] == plain.total[0]
    assert scores.total[1] < scores.total[0] - 0.01
    assert scores.total[2] < scores.total[0] - 0.1
    power = scores.terms["power_w_per_kg"]
    assert power[1] > 3.0 * power[0] and power[2] > 4.0 * power[0]


def test_nonsense_scores_worse(scorer, plain):
    rng = np.random.default_rng(0)
    jumpy = np.clip(np.arange(FRAMES) + rng.integers(-6, 7, FRAMES), 0, FRAMES - 1)
    assert scorer(pictures(jumpy)[None], FPS).total[0] < plain.total[0] - 0.05


@pytest.mark.slow
def test_deterministic_and_thread_safe(scorer, plain):
    batch = [pictures(), pictures(np.arange(FRAMES)[::-1])]
    first = scorer(batch, FPS, prompts=["a walk", "backwards"])
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        others = list(pool.map(lambda _: scorer(batch, FPS), range(3)))
    for other in others:
        assert np.array_equal(first.total, other.total)
        assert all(np.array_equal(first.terms[name], other.terms[name]) for name in first.terms)


@pytest.mark.parametrize(
    ("videos", "fps", "prompts", "message"),
    [
        (
            np.zeros((2, 5, 8, 10), np.uint8),
            16,
            None,
            r"videos\[0\]: expected \(T, 3, H, W\) or \(T, H, W, 3\)",
        ),
        (np.zeros((1, 5, 8, 10, 3), np.int32), 16, None, r"expected uint8 or floats from 0 to 1, found int32"),
        (np.zeros((1, 5, 3, 10, 3), np.uint8), 16, None, r"can be read both ways, expected channels="),
        (np.zeros((2, 5, 8, 10, 3), np.uint8), [16], None, r"found 2 videos and 1 rates"),
        (np.zeros((2, 5, 8, 10, 3), np.uint8), 16, ["one"], r"found 2 videos and 1 prompts"),
        (np.zeros((1, 5, 8, 10, 3), np.uint8), 0, None, r"fps: expected positive .*found 0"),
        (None, 16, None, r"videos: expected a batch of arrays, found NoneType"),
    ],
)
def test_wrong_calls_raise(scorer, videos, fps, prompts, message):
    with pytest.raises(ValueError, match=message):
        scorer(videos, fps, prompts)


def test_wrong_options_raise():
    with pytest.raises(ValueError, match="encoder: expected one of"):
        VideoReward("nonsense")
    with pytest.raises(ValueError, match="model: expected none for the encoder vitpose, found 'heavy'"):
        VideoReward("vitpose", model="heavy")
    with pytest.raises(ValueError, match="channels"):
        VideoReward(Reads(np.zeros(0)), channels="middle")
    with pytest.raises(ValueError, match="workers"):
        VideoReward(Reads(np.zeros(0)), workers=0)


def test_real_pictures(blazepose_installed, shared):
    """A real person at a generator's size and rate, as a trainer hands it over, beside noise."""
    film = shared / "data/keypoints/pose2sim/balancing/videos/cam01.mp4"
    frames = np.stack([p.image for k, p in enumerate(Video(film, max_side=480)) if k % 4 == 0])  # 15 Hz
    noise = np.random.default_rng(0).integers(0, 255, frames.shape).astype(np.uint8)
    batch = np.moveaxis(np.stack([frames, noise]), -1, 2) / np.float32(255)
    scores = reward(batch, 15, prompts=["a man balances", "noise"], workers=2)
    assert list(scores.valid) == [True, False]
    assert "nobody" in scores.reason[1]
    assert 0.2 < scores.total[0] < 1.0


@pytest.fixture(scope="module")
def blazepose_installed() -> None:
    from mjxhuman.encoders import mediapipe_home

    if not mediapipe_home.is_installed():
        pytest.skip("MediaPipe is not installed: make venv-video")


def test_video_array_goes_through(walk):
    encoding = Reads(walk).encode(VideoArray(pictures(), FPS))
    (person,) = encoding.people
    assert isinstance(person, Person) and person.seen.all()
    assert np.allclose(person.keypoints.uv, walk[..., :2], atol=1e-3)
