"""What is taken of a folder, and what is said about the rest."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from mjxhuman.data import save_motion
from mjxhuman.data.folders import find_motions
from mjxhuman.types import PointMotion

BVH = "HIERARCHY\nROOT Hips\n{\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.bvh").write_text(BVH)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.amc").write_text(":FULLY-SPECIFIED\n:DEGREES\n1\nroot 0 0 0 0 0 0\n")
    (tmp_path / "deep" / "b.asf").write_text(":version 1.10\n:bonedata\n")
    (tmp_path / "flip.txt").write_text('{"Loop": "none", "Frames": []}')
    (tmp_path / "character.txt").write_text('{"Skeleton": {}}')
    (tmp_path / "joints.npy").write_bytes(npy((9, 24, 3)))
    (tmp_path / "features.npy").write_bytes(npy((9, 512)))
    (tmp_path / "robot.csv").write_text("0,0,0.8,1,0,0,0,0.1\n")
    (tmp_path / "table.csv").write_text("name,value\nx,1\n")
    (tmp_path / "coco.json").write_text('[{"image_id": 1, "keypoints": []}]')
    (tmp_path / "settings.json").write_text('{"fps": 30}')
    (tmp_path / "film.mp4").write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(64))
    (tmp_path / "old.pkl").write_bytes(b"\x80\x04K\x01.")
    (tmp_path / "empty.bvh").write_text("")
    (tmp_path / ".hidden.bvh").write_text(BVH)
    (tmp_path / "\x1b[2Jnoise").write_bytes(b"\x00\x1b\xff")
    np.savez(tmp_path / "weights.npz", w=np.zeros(3))
    save_motion(tmp_path / "points.npz", PointMotion(np.zeros((4, 1, 3)), np.ones((4, 1), bool), 30.0, ("A",)))
    for name, inside in (("hmr4d.pt", b"smpl_params_global"), ("model.pth", b"state_dict")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("archive/data.pkl", inside)
    (tmp_path / "cam01_json").mkdir()
    for k in range(3):
        (tmp_path / "cam01_json" / f"frame_{k:03d}_keypoints.json").write_text(json.dumps({"people": []}))
    return tmp_path


def npy(shape):
    stream = io.BytesIO()
    np.save(stream, np.zeros(shape, np.float32))
    return stream.getvalue()


def test_every_format_is_taken_by_its_content(folder):
    found = find_motions(str(folder))
    assert {str(path.relative_to(folder)) for path in found.files} == {
        "a.bvh", "deep/b.amc", "flip.txt", "joints.npy", "robot.csv", "coco.json", "film.mp4", "points.npz", "hmr4d.pt",
        "cam01_json",
    }  # fmt: skip
    assert {path.name: reason for path, reason in found.left_out.items()} == {
        "b.asf": "a skeleton without motion",
        "character.txt": "a text that holds no frames",
        "features.npy": "an array that holds no joint positions",
        "table.csv": "of no known format",
        "settings.json": "JSON that holds no keypoints",
        "old.pkl": "a pickle that holds no motion",
        "empty.bvh": "empty",
        "\x1b[2Jnoise": "of no known format",
        "weights.npz": "of arrays that are no motion",
        "model.pth": "a .pt file that is no result of GVHMR",
    }


def test_what_is_left_out_is_said_in_one_line(folder):
    said = str(find_motions(str(folder)))
    assert said.startswith("left out 10 of 20 files: 2 of no known format (\\x1b[2Jnoise, table.csv); 1 ")
    assert "1 a skeleton without motion (b.asf)" in said and "\x1b" not in said
    assert str(find_motions(str(folder / "a.bvh"))) == ""


def test_what_is_named_is_taken_whatever_it_is(folder):
    found = find_motions([str(folder / "table.csv"), str(folder / "cam01_json"), str(folder / "*.pkl")])
    assert [path.name for path in found.files] == ["table.csv", "cam01_json", "old.pkl"] and not found.left_out


def test_a_folder_without_motion_says_what_it_holds(tmp_path):
    (tmp_path / "readme.md").write_text("# text")
    with pytest.raises(
        FileNotFoundError, match=r"found none; left out 1 of 1 files: 1 of no known format \(readme.md\)"
    ):
        find_motions([tmp_path])


def test_one_file_of_keypoints_is_a_file_and_several_are_one_input(tmp_path):
    frame = json.dumps({"version": 1.3, "people": []})
    (tmp_path / "film").mkdir()
    (tmp_path / "film" / "a_keypoints.json").write_text(frame)
    (found,) = find_motions(str(tmp_path)).files
    assert found.name == "a_keypoints.json"
    (tmp_path / "film" / "b_keypoints.json").write_text(frame)
    (found,) = find_motions(str(tmp_path)).files
    assert found.name == "film"
