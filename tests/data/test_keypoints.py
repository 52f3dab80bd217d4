"""2D keypoint files: every format with hand-made content, errors that name the field, and the real OpenPose folders."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mjxhuman.data import MotionFileError
from mjxhuman.data.keypoint_names import LAYOUTS, canonical_name, layout_of, mirrored_name
from mjxhuman.data.keypoints import read_detections

SIZE = (640, 480)


def person(count: int, offset: float = 0.0) -> np.ndarray:
    """A made-up person: x, y, score per point."""
    k = np.arange(count)
    return np.column_stack([100.0 + k + offset, 50.0 + 3 * k, np.full(count, 0.8)])


def write_openpose(folder, frames: dict[int, list[np.ndarray]], **extra) -> None:
    folder.mkdir()
    for number, people in frames.items():
        rows = [{"person_id": [-1], "pose_keypoints_2d": p.ravel().tolist(), **extra} for p in people]
        (folder / f"cam1_{number:012d}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": rows}))


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("left_knee", "LKnee"), ("LKnee", "LKnee"), ("L_Knee", "LKnee"), ("knee_r", "RKnee"), ("rknee", "RKnee"),
        ("RIGHT_HIP", "RHip"), ("nose", "Nose"), ("left_foot_index", "LFootIndex"), ("RBigToe", "RBigToe"),
        ("left ear", "LEar"), ("Mid_Hip", "MidHip"),
    ],
)  # fmt: skip
def test_spellings(name, want):
    assert canonical_name(name) == want


def test_names_of_all_layouts_are_canonical_and_their_own_mirror_images():
    for names in LAYOUTS.values():
        assert tuple(canonical_name(name) for name in names) == names
        assert {mirrored_name(name) for name in names} == set(names)


def test_points_per_person_settle_the_layout_or_ask_for_it():
    assert layout_of(17) == LAYOUTS["coco_17"]
    assert layout_of(133) == LAYOUTS["coco_wholebody"]
    with pytest.raises(ValueError, match="25 points per person fit body_25 and body_25b"):
        layout_of(25)
    with pytest.raises(ValueError, match="layout body_25: expected 25 points per person, found 17"):
        layout_of(17, "body_25")


def test_openpose_folder_with_dropped_frames_and_an_empty_one(tmp_path):
    write_openpose(tmp_path / "json", {7: [person(17)], 8: [], 11: [person(17), person(17, 50.0)]})
    found = read_detections(tmp_path / "json", fps=30.0, image_size=SIZE)
    assert [len(p) for p in found.people] == [1, 0, 0, 0, 2]
    assert found.names == LAYOUTS["coco_17"]
    assert found.fps == 30.0
    np.testing.assert_allclose(found.people[4][1], person(17, 50.0))
    assert any("without a file" in line for line in found.provenance.conventions)


def test_twenty_five_points_are_told_apart_by_the_eyes(tmp_path):
    both = {"body_25b": [1, 2, 3, 4], "body_25": [15, 16, 17, 18]}
    for layout, eyes in both.items():
        body = person(25)
        body[:, :2] *= 3.0
        body[[0, *eyes], :2] = [300.0, 100.0]
        body[eyes, 0] += [5.0, -5.0, 10.0, -10.0]
        write_openpose(tmp_path / layout, {k: [body] for k in range(3)})
        assert read_detections(tmp_path / layout, fps=30.0, image_size=SIZE).names == LAYOUTS[layout]


def test_points_not_found_are_zero(tmp_path):
    body = person(17)
    body[3] = [0.0, 0.0, 0.9]
    body[4, 2] = 0.0
    body[5, 2] = 1.3  # heat maps exceed one
    write_openpose(tmp_path / "json", {0: [body]})
    got = read_detections(tmp_path / "json", fps=30.0, image_size=SIZE).people[0][0]
    assert (got[[3, 4]] == 0).all()
    assert got[5, 2] == 1.0


def test_mmpose(tmp_path):
    def one(p, track):
        return {"keypoints": p[:, :2].tolist(), "keypoint_scores": p[:, 2].tolist(), "track_id": track}

    rows = [{"frame_id": 1, "instances": [one(person(133), 4)]}, {"frame_id": 2, "instances": [one(person(133), 4)]}]
    (tmp_path / "p.json").write_text(json.dumps({"meta_info": {}, "instance_info": rows}))
    found = read_detections(tmp_path / "p.json", fps=25.0, image_size=SIZE)
    assert [p.shape for p in found.people] == [(1, 133, 3)] * 2
    assert [ids.tolist() for ids in found.identity] == [[4], [4]]


def test_alphapose_and_coco_results(tmp_path):
    rows = [
        {"image_id": "000003.jpg", "category_id": 1, "keypoints": person(17).ravel().tolist(), "score": 2.9, "idx": 1},
        {"image_id": "000005.jpg", "category_id": 1, "keypoints": person(17).ravel().tolist(), "score": 2.9, "idx": 2},
    ]
    (tmp_path / "r.json").write_text(json.dumps(rows))
    found = read_detections(tmp_path / "r.json", fps=30.0, image_size=SIZE)
    assert [len(p) for p in found.people] == [1, 0, 1]
    assert found.identity[2].tolist() == [2]


def test_coco_wholebody_annotations(tmp_path):
    row = {"image_id": 1, "keypoints": [10, 20, 2] * 17, "foot_kpts": [10, 20, 1] * 6, "face_kpts": [10, 20, 0] * 68}
    row |= {"lefthand_kpts": [10, 20, 2] * 21, "righthand_kpts": [10, 20, 2] * 21}
    content = {"images": [{"id": 1, "width": 640, "height": 480}], "annotations": [row]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = read_detections(tmp_path / "a.json", fps=30.0)
    assert found.image_size == SIZE
    confidence = found.people[0][0, :, 2]
    assert (confidence[:17] == 1.0).all() and (confidence[17:23] == 0.5).all() and (confidence[23:91] == 0.0).all()


def test_npz(tmp_path):
    points = np.stack([person(33)] * 4)
    rng = np.random.default_rng(0)
    pos3d = rng.normal(size=(4, 33, 3))
    np.savez(tmp_path / "k.npz", uv=points[..., :2], confidence=points[..., 2], fps=24.0, image_size=SIZE, pos3d=pos3d)
    found = read_detections(tmp_path / "k.npz")
    assert (found.fps, found.image_size, found.names) == (24.0, SIZE, LAYOUTS["blazepose"])
    np.testing.assert_allclose(found.pos3d, pos3d)
    np.savez(tmp_path / "n.npz", keypoints=points[:, None], names=["left_hip", "right_hip", "nose"])
    with pytest.raises(MotionFileError, match=r"n\.npz: names: found 3 names, expected one for each of the 33 points"):
        read_detections(tmp_path / "n.npz", fps=24.0, image_size=SIZE)


def test_errors_name_file_and_field(tmp_path):
    write_openpose(tmp_path / "json", {0: [person(17)]})
    with pytest.raises(MotionFileError, match="json: image size: found none, expected width and height"):
        read_detections(tmp_path / "json", fps=30.0)
    with pytest.raises(MotionFileError, match="json: frame rate: found none"):
        read_detections(tmp_path / "json", image_size=SIZE)
    write_openpose(tmp_path / "odd", {0: [person(19)]})
    with pytest.raises(MotionFileError, match="odd: layout: found 19 points per person"):
        read_detections(tmp_path / "odd", fps=30.0, image_size=SIZE)
    write_openpose(tmp_path / "nobody", {0: [], 1: []})
    with pytest.raises(MotionFileError, match="nobody: people: found nobody in 2 frames"):
        read_detections(tmp_path / "nobody", fps=30.0, image_size=SIZE)
    (tmp_path / "broken.json").write_text('{"instance_info": [{"instances": [{"keypoints": [[1]]}]}]}')
    with pytest.raises(MotionFileError, match=r"broken\.json: instance_info 0"):
        read_detections(tmp_path / "broken.json", fps=30.0, image_size=SIZE)
    (tmp_path / "other.json").write_text('{"Frames": []}')
    with pytest.raises(MotionFileError, match=r"other\.json: file: found Frames, expected keypoints of OpenPose"):
        read_detections(tmp_path / "other.json", fps=30.0, image_size=SIZE)


def test_real_openpose_folders(shared):
    root = shared / "data" / "keypoints" / "pose2sim" / "balancing"
    for view in range(1, 5):
        found = read_detections(root / "pose2d_associated" / f"cam0{view}_json", fps=60.0, image_size=(1088, 1920))
        assert len(found.people) == 100
        assert found.names == LAYOUTS["body_25b"]
        raw = read_detections(root / "pose2d_raw" / f"cam0{view}_json", fps=60.0, image_size=(1088, 1920))
        assert sum(map(len, raw.people)) >= sum(map(len, found.people))
