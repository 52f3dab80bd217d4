"""Camera files: Pose2Sim's calibration against the triangulated person, our JSON and npz, errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mjxhuman.data import MotionFileError, read_motion
from mjxhuman.data.cameras import NOT_LEVELLED, level_camera, read_camera, read_cameras
from mjxhuman.data.keypoints import read_detections
from mjxhuman.math import camera

K = [[800.0, 0.0, 320.0], [0.0, 810.0, 240.0], [0.0, 0.0, 1.0]]


def test_the_real_calibration_projects_the_triangulated_person_onto_the_detections(shared):
    """The .trc reader turns y-up (x, y, z) to (z, x, y), which is the calibration's world."""
    root = shared / "data" / "keypoints" / "pose2sim"
    cameras = read_cameras(root / "calibration.toml")
    assert list(cameras) == ["cam_01", "cam_02", "cam_03", "cam_04"]
    points = read_motion(root / "balancing" / "pose3d" / "S00_P00_T01_BalancingTrial_0-100_filt_butterworth.trc")
    for k, one in enumerate(cameras.values()):
        assert one.image_size == (1088, 1920)
        detections = read_detections(
            root / "balancing" / "pose2d_associated" / f"cam0{k + 1}_json", fps=60.0, image_size=one.image_size
        )
        uv, depth = camera.project(points.pos, one.intrinsics, one.T_world_camera, one.distortion)
        assert (np.asarray(depth) > 1.0).all()
        names = {"UpperNeck": "Neck", "HeadTop": "Head"}
        columns = [points.names.index(n) for n in (names.get(n, n) for n in detections.names) if n in points.names]
        used = [k for k, n in enumerate(detections.names) if names.get(n, n) in points.names]
        miss = [
            np.linalg.norm(np.asarray(uv)[t, columns] - people[0, used, :2], axis=-1)[people[0, used, 2] > 0.3]
            for t, people in enumerate(detections.people)
            if len(people)
        ]
        assert np.median(np.concatenate(miss)) < 20.0  # px


def test_json_of_one_camera(tmp_path):
    turn = np.asarray(camera.look_at([2.0, 1.0, 1.5], [0.0, 0.0, 1.0]), float)
    (tmp_path / "c.json").write_text(
        json.dumps({"intrinsics": K, "image_size": [640, 480], "T_world_camera": turn.tolist(), "up": "z"})
    )
    one = read_camera(tmp_path / "c.json")
    assert one.intrinsics.shape == (1, 3, 3) and one.distortion.shape == (1, 4)
    np.testing.assert_allclose(one.T_world_camera[0], turn)
    extrinsics = {"R": turn[:3, :3].T.tolist(), "t": (-turn[:3, :3].T @ turn[:3, 3]).tolist()}
    (tmp_path / "r.json").write_text(json.dumps({"focal": 800, "image_size": [640, 480], "up": "z", **extrinsics}))
    np.testing.assert_allclose(read_camera(tmp_path / "r.json").T_world_camera[0], turn, atol=1e-6)


def test_a_world_with_y_up_is_turned(tmp_path):
    """A level camera at height 1.5 in a y-up world that looks along -z, as OpenGL worlds do."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = [0.0, 1.5, 4.0]
    (tmp_path / "c.json").write_text(
        json.dumps({"focal": 800, "image_size": [640, 480], "T_world_camera": pose.tolist(), "up": "y"})
    )
    one = read_camera(tmp_path / "c.json").T_world_camera[0]
    np.testing.assert_allclose(one[:3, 3], [4.0, 0.0, 1.5])
    np.testing.assert_allclose(one[:3, 1], [0.0, 0.0, -1.0], atol=1e-12)  # image down is world down


def test_npz_trajectory(tmp_path):
    poses = np.stack([np.asarray(camera.look_at([2.0, 0.1 * t, 1.5], [0.0, 0.0, 1.0])) for t in range(4)])
    np.savez(tmp_path / "c.npz", intrinsics=np.array(K), image_size=[640, 480], T_world_camera=poses, up="z")
    one = read_camera(tmp_path / "c.npz")
    assert one.intrinsics.shape == (4, 3, 3)
    np.testing.assert_allclose(one.T_world_camera, poses)


def test_a_camera_without_a_pose_stands_level(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps({"focal": 500, "image_size": [640, 480]}))
    one = read_camera(tmp_path / "c.json")
    np.testing.assert_allclose(one.T_world_camera, level_camera((640, 480)).T_world_camera)
    assert NOT_LEVELLED in one.provenance.conventions
    default = level_camera((640, 480))
    assert default.intrinsics[0, 0, 0] == 800.0
    assert any("image diagonal" in line for line in default.provenance.conventions)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"focal": 500}, "camera: found entries focal, expected image_size"),
        ({"image_size": [640, 480]}, "camera: found entries image_size, expected intrinsics"),
        ({"image_size": [640, 480], "focal": 500, "R": np.eye(3).tolist()}, "only one of R and t"),
        (
            {"image_size": [640, 480], "focal": 500, "T_world_camera": (2 * np.eye(4)).tolist()},
            "camera, pose: found a matrix that is no rotation",
        ),
        ({"image_size": [640, 480], "focal": 500, "distortion": [0, 0, 0, 0, 1]}, "expected k1, k2, p1, p2"),
        ({"image_size": [640, 480], "intrinsics": [[1, 2], [3, 4]]}, r"shape \(1, 2, 2\), expected \(3, 3\)"),
    ],
)
def test_errors_name_the_entry(tmp_path, entry, message):
    (tmp_path / "c.json").write_text(json.dumps(entry))
    with pytest.raises(MotionFileError, match=message):
        read_camera(tmp_path / "c.json")


def test_one_of_several_cameras_needs_a_name(tmp_path):
    one = {"focal": 500, "image_size": [640, 480]}
    (tmp_path / "c.json").write_text(json.dumps({"cameras": {"a": one, "b": one}}))
    assert set(read_cameras(tmp_path / "c.json")) == {"a", "b"}
    with pytest.raises(MotionFileError, match="camera: found a, b, expected the name of one of them, not None"):
        read_camera(tmp_path / "c.json")
    assert read_camera(tmp_path / "c.json", "b").image_size == (640, 480)
