"""Sets of videos with measured motion: files written in their layouts, seen through the cameras that come back."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.data import benchmarks
from mjxhuman.data.benchmarks import recordings
from mjxhuman.data.errors import MotionFileError
from mjxhuman.data.smpl import SMPL_PELVIS, SMPLX_PELVIS
from mjxhuman.math import camera as cameras

FRAMES = 40
MATRIX = np.array([[900.0, 0.0, 640.0], [0.0, 910.0, 360.0], [0.0, 0.0, 1.0]])


def walk(seed: int = 0) -> dict[str, np.ndarray]:
    """A person who stands and sways, y up: root (T, 3), body (T, 69), translation (T, 3)."""
    rng = np.random.default_rng(seed)
    sway = np.sin(np.linspace(0, 6, FRAMES))[:, None]
    root = np.array([0.0, 1.2, 0.0]) + 0.02 * sway * rng.normal(size=3)
    return {
        "root": root, "body": 0.05 * sway * rng.normal(size=69),
        "trans": np.array([0.3, 1.2, -0.5]) + 0.02 * sway * rng.normal(size=3),
    }  # fmt: skip


def extrinsics(seed: int = 0, count: int = 1) -> np.ndarray:
    """World (y up) to camera, (count, 4, 4): some 4 m in front of the person, a little tilted, moving."""
    rng = np.random.default_rng(seed)
    pose = np.tile(np.eye(4), (count, 1, 1))
    turn = Rotation.from_rotvec([np.pi, 0.0, 0.0]) * Rotation.from_rotvec([0.1, 0.3, 0.05])
    pose[:, :3, :3] = (
        Rotation.from_rotvec(np.linspace(0, 0.2, count)[:, None] * rng.normal(size=3)) * turn
    ).as_matrix()
    pose[:, :3, 3] = np.array([0.2, 1.0, 4.0]) + np.linspace(0, 0.3, count)[:, None] * rng.normal(size=3)
    return pose


def pixels(points: np.ndarray, pose: np.ndarray, matrix: np.ndarray = MATRIX) -> np.ndarray:
    """Where a camera of extrinsics sees points (T, 3) of its own world, by hand."""
    seen = np.einsum("tij,tj->ti", np.broadcast_to(pose[:, :3, :3], (len(points), 3, 3)), points) + pose[:, :3, 3]
    return (seen / seen[:, 2:]) @ matrix[:2].T


def seen(recording) -> np.ndarray:
    """Where the recording's camera sees its pelvis."""
    camera = recording.camera
    point = np.asarray(recording.motion.transl)[:, None]
    pose = np.broadcast_to(camera.T_world_camera, (len(point), 4, 4))
    return np.asarray(cameras.project(point, camera.intrinsics, pose, camera.distortion)[0])[:, 0]


def stands(recording) -> None:
    """Head over heels along z."""
    up = Rotation.from_quat(np.asarray(recording.motion.global_orient)[:, [1, 2, 3, 0]]).apply([0.0, 1.0, 0.0])
    assert up[:, 2].min() > 0.95


def emdb(root: Path, split: bool = True, **changes) -> Path:
    """One sequence of EMDB."""
    motion = walk()
    content = {
        "name": "P1_07_walk", "emdb1": False, "emdb2": split, "good_frames_mask": np.arange(FRAMES) > 2,
        "smpl": {"poses_root": motion["root"], "poses_body": motion["body"], "trans": motion["trans"],
                 "betas": np.zeros(10)},
        "camera": {"intrinsics": MATRIX, "extrinsics": extrinsics(0, FRAMES), "width": 1280, "height": 720} | changes,
    }  # fmt: skip
    file = root / "P1" / "07_walk" / "P1_07_walk_data.pkl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(content))
    return file


def test_emdb(tmp_path):
    emdb(tmp_path)
    readers = recordings("emdb", tmp_path)
    assert list(readers) == ["P1_07_walk"]
    found = readers["P1_07_walk"]()
    stands(found)
    assert found.judged.tolist() == [False] * 3 + [True] * (FRAMES - 3) and found.keypoints is None
    assert found.motion.fps == 30.0 and found.images == tmp_path / "P1" / "07_walk" / "images"
    np.testing.assert_allclose(seen(found), pixels(walk()["trans"] + SMPL_PELVIS, extrinsics(0, FRAMES)), atol=0.1)


def test_emdb_says_what_is_wrong_and_leaves_out_the_other_split(tmp_path):
    file = emdb(tmp_path, split=False)
    assert recordings("emdb", tmp_path)["P1_07_walk"]() is None
    emdb(tmp_path, extrinsics=np.eye(4))
    with pytest.raises(MotionFileError, match=r"P1_07_walk_data.pkl: camera, extrinsics: found shape \(4, 4\)"):
        recordings("emdb", tmp_path)["P1_07_walk"]()
    file.write_bytes(pickle.dumps({"smpl": {}}))
    with pytest.raises(MotionFileError, match="found no camera, good_frames_mask"):
        recordings("emdb", tmp_path)["P1_07_walk"]()


def aistpp(root: Path, lens: tuple[float, ...] = (0.0,) * 5) -> tuple[np.ndarray, np.ndarray]:
    """Two motions of AIST++ in one setting; the pelvis (T, 3) in m of the first, and the extrinsics of its cameras."""
    scaling, motion = 93.78, walk(1)
    for folder in ("motions", "cameras", "keypoints2d"):
        (root / folder).mkdir(parents=True)
    poses = np.concatenate([motion["root"], motion["body"]], 1)
    content = {"smpl_poses": poses, "smpl_scaling": np.array([scaling]), "smpl_trans": motion["trans"] * scaling}
    rigs = [extrinsics(k)[0] for k in range(9)]
    pelvis = motion["trans"] + SMPL_PELVIS
    points = np.stack([np.repeat(pixels(pelvis, rig[None])[:, None], 17, 1) for rig in rigs])
    if any(lens):
        points = bent(points, lens)
    points = np.concatenate([points, np.full((9, FRAMES, 17, 1), 0.9)], -1)
    points[0, 3, 5] = np.nan
    for name in ("gBR_sBM_cAll_d04_mBR0_ch01", "gBR_sBM_cAll_d04_mBR0_ch02"):
        (root / "motions" / f"{name}.pkl").write_bytes(pickle.dumps(content))
        (root / "keypoints2d" / f"{name}.pkl").write_bytes(pickle.dumps({"keypoints2d": points}))
    table = [
        {"name": f"c{k + 1:02d}", "size": [1920, 1080], "matrix": MATRIX.tolist(), "distortions": list(lens),
         "rotation": Rotation.from_matrix(rig[:3, :3]).as_rotvec().tolist(),
         "translation": (rig[:3, 3] * scaling).tolist()}
        for k, rig in enumerate(rigs)
    ]  # fmt: skip
    (root / "cameras" / "setting1.json").write_text(json.dumps(table[::-1]))
    (root / "cameras" / "mapping.txt").write_text(
        "gBR_sBM_cAll_d04_mBR0_ch01 setting1\ngBR_sBM_cAll_d04_mBR0_ch02 setting1\n"
    )
    (root / "ignore_list.txt").write_text("gBR_sBM_cAll_d04_mBR0_ch02\n")
    return pelvis, np.stack(rigs)


def bent(points: np.ndarray, lens: tuple[float, ...]) -> np.ndarray:
    """Points as a lens of OpenCV's five numbers shows them."""
    k1, k2, p1, p2, k3 = lens
    x, y = ((points[..., i] - MATRIX[i, 2]) / MATRIX[i, i] for i in range(2))
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    x, y = (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )
    return np.stack([x * MATRIX[0, 0] + MATRIX[0, 2], y * MATRIX[1, 1] + MATRIX[1, 2]], -1)


@pytest.mark.parametrize("lens", [(0.0,) * 5, (-0.2, 0.05, 0.001, -0.002, 0.01), (-0.2, 0.05, 0.001, -0.002, 0.0)])
def test_aistpp(tmp_path, lens):
    pelvis, rigs = aistpp(tmp_path, lens)
    readers = recordings("aistpp", tmp_path)
    assert list(readers) == [f"gBR_sBM_cAll_d04_mBR0_ch01/{k}" for k in range(1, 10)]
    for view in (0, 4):
        found = readers[f"gBR_sBM_cAll_d04_mBR0_ch01/{view + 1}"]()
        stands(found)
        straight = pixels(pelvis, rigs[view][None])
        at = np.asarray(found.keypoints.confidence)[:, 5] > 0
        assert at.sum() == FRAMES - (view == 0) and found.motion.fps == found.keypoints.fps == 60.0
        np.testing.assert_allclose(seen(found)[at], np.asarray(found.keypoints.uv)[at, 5], atol=0.1)
        if lens[4] or not any(lens):
            np.testing.assert_allclose(np.asarray(found.keypoints.uv)[at, 5], straight[at], atol=0.1)
            assert not np.any(found.camera.distortion)


def test_aistpp_of_a_split_and_without_a_setting(tmp_path):
    aistpp(tmp_path)
    (tmp_path / "cameras" / "mapping.txt").write_text("")
    with pytest.raises(MotionFileError, match=r"mapping.txt: gBR_sBM_cAll_d04_mBR0_ch01: found no line"):
        recordings("aistpp", tmp_path)["gBR_sBM_cAll_d04_mBR0_ch01/1"]()
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "pose_test.txt").write_text("another\n")
    with pytest.raises(ValueError, match=r"expected the files of aistpp .*, found none"):
        recordings("aistpp", tmp_path)


@pytest.mark.parametrize("upwards", ["y", "z"])
def test_rich(tmp_path, upwards):
    motion, world = walk(2), extrinsics(3)[0]  # from a world with y up to the first camera
    to_z = np.eye(4)
    to_z[:3, :3] = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]) if upwards == "z" else np.eye(3)
    scan = to_z @ np.linalg.inv(world)  # from the first camera to the scan
    pelvis = motion["trans"] + SMPLX_PELVIS
    for frame in range(FRAMES):
        root = Rotation.from_matrix(world[:3, :3]) * Rotation.from_rotvec(motion["root"][frame])
        place = world[:3, :3] @ pelvis[frame] + world[:3, 3] - SMPLX_PELVIS
        content = {
            "global_orient": root.as_rotvec()[None], "body_pose": motion["body"][frame, None, :63],
            "transl": place[None], "betas": np.zeros((1, 10)), "jaw_pose": np.zeros((1, 3)),
        }  # fmt: skip
        file = tmp_path / "bodies" / "test" / "Gym_011_push" / f"{frame + 1:05d}" / "011.pkl"
        file.parent.mkdir(parents=True)
        file.write_bytes(pickle.dumps(content))
    other = np.linalg.inv(world) @ np.eye(4)
    other = extrinsics(5)[0] @ other  # from the first camera to the second
    for number, pose in enumerate((np.eye(4), other)):
        file = tmp_path / "scan_calibration" / "Gym" / "calibration" / f"{number:03d}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        tables = {"CameraMatrix": pose[:3], "Intrinsics": MATRIX, "Distortion": np.zeros((8, 1))}
        body = "".join(
            f'<{name} type_id="opencv-matrix"><rows>{len(x)}</rows><cols>{x.shape[1]}</cols><dt>d</dt><data>'
            f"{' '.join(map(repr, map(float, x.ravel())))}</data></{name}>"
            for name, x in tables.items()
        )
        file.write_text(f'<?xml version="1.0"?><opencv_storage>{body}</opencv_storage>')
    (tmp_path / "multicam2world").mkdir()
    stated = {"c": 1.0, "R": scan[:3, :3].T.tolist(), "t": scan[:3, 3].tolist()}
    (tmp_path / "multicam2world" / "Gym_multicam2world.json").write_text(json.dumps(stated))
    readers = recordings("rich", tmp_path)
    assert list(readers) == ["Gym_011_push/000", "Gym_011_push/001"]
    for name, pose in (("000", world), ("001", extrinsics(5)[0])):
        found = readers[f"Gym_011_push/{name}"]()
        stands(found)
        np.testing.assert_allclose(seen(found), pixels(pelvis, pose[None]), atol=0.1)
        assert f"up is {upwards} of the scan" in " ".join(found.motion.provenance.conventions)
    assert found.images == tmp_path / "images" / "test" / "Gym_011_push" / "cam_01"
    (tmp_path / "bodies" / "test" / "Gym_011_push" / "00007" / "011.pkl").unlink()
    with pytest.raises(
        MotionFileError, match="Gym_011_push: frames: found 39 numbered ones of 1 to 40, expected a body in every frame"
    ):
        readers["Gym_011_push/000"]()


def test_sets_that_there_are_not(tmp_path):
    with pytest.raises(ValueError, match=r"benchmark: expected one of emdb, aistpp, rich, found 'h36m'"):
        recordings("h36m", tmp_path)
    with pytest.raises(ValueError, match=r"expected the files of emdb .*, found none"):
        recordings("emdb", tmp_path)


def test_lenses_of_five_numbers_are_undone_to_the_corners():
    lens = (-0.2, 0.05, 0.001, -0.002, 0.01)
    corners = np.stack(np.meshgrid([0.0, 640.0, 1280.0], [0.0, 360.0, 720.0]), -1).reshape(-1, 2)
    shown = bent(corners, lens)
    assert np.abs(shown - corners).max() > 20 and np.abs(shown - bent(corners, (*lens[:4], 0.0))).max() > 0.5
    np.testing.assert_allclose(benchmarks._straightened(shown, MATRIX, np.array(lens)), corners, atol=0.05)
