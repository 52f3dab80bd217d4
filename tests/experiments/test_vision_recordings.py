"""Videos of published sets in the vision benchmark: which stretches, whose detections, body and camera in one world."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from experiments import vision_recordings
from mjxhuman.data.benchmarks import MeasuredVideo
from mjxhuman.math import camera as cameras
from mjxhuman.types import BodyMotion, Camera, Keypoints


@pytest.fixture
def recording() -> MeasuredVideo:
    """A person at 60 Hz who sways, 0.4 m over the floor that the set knows nothing of; frames 10 to 20 are bad."""
    frames = 180
    time = np.arange(frames)[:, None] / 60
    quat = np.tile([0.5, 0.5, 0.5, 0.5], (frames, 1))  # SMPL's rest frame, z up
    body = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 23, 1))
    place = np.concatenate([0.1 * np.sin(time), 0.05 * time, np.full_like(time, 1.35)], 1)
    motion = BodyMotion(np.zeros(0), place, quat, body, np.ones(frames, bool), 60.0)
    pose = np.asarray(cameras.look_at([4.0, 1.0, 1.9], [0.0, 0.0, 1.3]))[None]
    matrix = np.array([[1000.0, 0.0, 640.0], [0.0, 1000.0, 360.0], [0.0, 0.0, 1.0]])
    camera = Camera(matrix[None], pose, np.zeros((1, 4)), (1280, 720))
    uv = np.asarray(cameras.project(place[:, None], matrix[None], np.repeat(pose, frames, 0), np.zeros((1, 4)))[0])
    points = Keypoints(uv, np.ones((frames, 1)), ("MidHip",), 60.0, (1280, 720))
    judged = np.ones(frames, bool)
    judged[10:20] = False
    return MeasuredVideo("seq/2", motion, camera, judged, points)


@pytest.fixture
def untouched(monkeypatch) -> None:
    """``visual_track`` gives back what it gets."""
    monkeypatch.setattr("mjxhuman.recovery.visual.visual_track", lambda points, camera, body: (points, camera))


@pytest.mark.parametrize("moving", [False, True])
def test_truth_camera_and_points_share_world_and_frames(recording, humanoid, untouched, moving):
    if moving:
        arrays = {
            name: np.repeat(getattr(recording.camera, name), 180, 0)
            for name in ("intrinsics", "T_world_camera", "distortion")
        }
        recording = dataclasses.replace(recording, camera=dataclasses.replace(recording.camera, **arrays))
    found = list(vision_recordings.filmed_stretches(recording, recording.keypoints, humanoid, 30.0, 1.0))
    assert [truth.num_frames for truth, _ in found] == [30, 30]
    for truth, (points, camera) in found:
        assert truth.fps == points.fps == 30.0
        feet = np.asarray(truth.body_pos)[:, [humanoid.body_names.index(f"{side}_Toe") for side in "LR"], 2]
        assert feet.min() < 0.1  # on the floor
        pose = np.broadcast_to(camera.T_world_camera, (30, 4, 4))
        pelvis = np.asarray(truth.qpos)[:, None, :3]
        seen, _ = cameras.project(pelvis, camera.intrinsics, pose, camera.distortion)
        np.testing.assert_allclose(seen, points.uv, atol=0.1)
    starts = np.concatenate([np.asarray(points.uv)[0] for _, (points, _) in found])
    np.testing.assert_allclose(starts, np.asarray(recording.keypoints.uv)[[20, 80], 0], atol=1e-6)


def test_stretches_are_whole_or_of_one_length():
    good = np.ones(100, bool)
    good[45] = False
    assert vision_recordings.stretches(good, 30.0, 1.0) == [(0, 30), (46, 76)]
    assert vision_recordings.stretches(good, 30.0, 0.0) == [(0, 45), (46, 100)]
    assert vision_recordings.stretches(good, 60.0, 0.0) == []


def test_detections_of_a_folder_stand_in_for_those_of_the_set(recording, tmp_path):
    assert vision_recordings.keypoints_of(recording, "") is recording.keypoints
    assert vision_recordings.keypoints_of(recording, str(tmp_path)) is recording.keypoints
    people = [{"person_id": [-1], "pose_keypoints_2d": [1.0, 2.0, 0.5] * 25}]
    folder = tmp_path / "seq_2.json"
    folder.mkdir()
    for frame in range(3):
        (folder / f"seq_{frame:012d}_keypoints.json").write_text(json.dumps({"people": people}))
    found = vision_recordings.keypoints_of(recording, str(tmp_path))
    assert found.uv.shape == (3, 25, 2) and found.fps == 60.0
    bare = dataclasses.replace(recording, keypoints=None)
    with pytest.raises(
        ValueError, match=r"seq/2: detections: expected 2D keypoints \(--detections=FOLDER\), found none"
    ):
        vision_recordings.keypoints_of(bare, "")


def test_what_fails_is_named_and_the_rest_goes_on(recording, humanoid, untouched, capsys):
    def damaged() -> Any:
        raise ValueError("b: file: found nothing")

    short = dataclasses.replace(recording, keypoints=dataclasses.replace(recording.keypoints, uv=np.zeros((5, 1, 2))))
    readers = {"seq/2": lambda: recording, "a/1": damaged, "other": lambda: None, "c": lambda: short}
    found, failed = vision_recordings.videos_of(readers, humanoid, 30.0, 1.0, "", "who")
    assert [(name, view) for name, view, *_ in found] == [("seq", 2)] * 2 and failed == 2
    said = capsys.readouterr().err
    assert "who: b: file: found nothing" in said
    assert "seq/2: detections: expected 180 frames as the motion has, found 5" in said
