"""SMPL parameters in all their spellings: the same motion comes out, with the pelvis where SMPL has it."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.data import MotionFileError, read_motion
from mjxhuman.data.smpl import SMPL_PELVIS, SMPLX_PELVIS
from mjxhuman.types import BodyMotion


@pytest.fixture
def write(tmp_path):
    def write(arrays, name="clip.npz"):
        path = tmp_path / name
        np.savez(path, **arrays)
        return path

    return write


def knee_angle(motion):
    return 2 * np.arccos(motion.body_pose[:, 3, 0])


def test_amass_smplh(write, smpl_arrays):
    motion = read_motion(write(smpl_arrays))
    assert isinstance(motion, BodyMotion)
    assert (motion.fps, motion.body, motion.betas.shape) == (120.0, "smplh", (16,))
    np.testing.assert_allclose(motion.transl, smpl_arrays["trans"] + SMPL_PELVIS, atol=1e-12)
    np.testing.assert_allclose(motion.global_orient[2], [np.cos(0.1), 0, 0, np.sin(0.1)], atol=1e-12)
    np.testing.assert_allclose(knee_angle(motion), 0.5)
    np.testing.assert_allclose(motion.body_pose[:, 21:, 0], 1.0)  # the hands
    assert motion.valid.all() and motion.body_pose.shape == (4, 23, 4)
    text = " ".join(motion.provenance.conventions)
    assert "AMASS has z up" in text and "no body model was used" in text


def test_amass_smplx(write, smpl_arrays):
    poses = smpl_arrays["poses"]
    arrays = {
        "root_orient": poses[:, :3], "pose_body": poses[:, 3:66], "pose_hand": np.zeros((4, 90)),
        "poses": np.zeros((4, 165)), "trans": smpl_arrays["trans"], "mocap_frame_rate": np.array(60.0),
        "surface_model_type": np.array("smplx"), "gender": np.array("neutral"), "betas": np.zeros(16),
    }  # fmt: skip
    motion = read_motion(write(arrays))
    assert (motion.fps, motion.body, motion.provenance.format) == (60.0, "smplx", "AMASS (SMPL-X)")
    np.testing.assert_allclose(motion.transl, smpl_arrays["trans"] + SMPLX_PELVIS, atol=1e-12)
    np.testing.assert_allclose(knee_angle(motion), 0.5)


@pytest.mark.parametrize(
    ("root", "body", "trans"),
    [
        ("global_orient", "body_pose", "transl"),
        ("root_orient", "pose_body", "trans"),
        ("smpl_orient_world", "smpl_pose", "root_trans"),
    ],
)
@pytest.mark.parametrize("joints", [21, 23])
def test_plain_spellings(write, smpl_arrays, root, body, trans, joints):
    pose = np.zeros((4, 3 * joints))
    pose[:, 9] = 0.5
    arrays = {root: smpl_arrays["poses"][:, :3], body: pose, trans: smpl_arrays["trans"], "fps": np.array(24)}
    with pytest.raises(MotionFileError, match="up="):
        read_motion(write(arrays))
    motion = read_motion(write(arrays), up="z")
    assert (motion.fps, motion.body) == (24.0, "smplx" if joints == 21 else "smpl")
    np.testing.assert_allclose(knee_angle(motion), 0.5)


def test_up_axis_turns_root_and_path_alike(write):
    """y up: SMPL's own frame, so a still body is our rest pose turned to face x."""
    arrays = {"poses": np.zeros((2, 72)), "trans": np.array([[0, 1.0, 0], [0, 1.0, 0.5]]), "fps": np.array(10)}
    motion = read_motion(write(arrays), up="y")
    np.testing.assert_allclose(motion.global_orient, np.full((2, 4), 0.5), atol=1e-12)
    np.testing.assert_allclose(motion.transl[1] - motion.transl[0], [0.5, 0, 0], atol=1e-12)
    np.testing.assert_allclose(motion.transl[0], [SMPL_PELVIS[2], SMPL_PELVIS[0], 1 + SMPL_PELVIS[1]], atol=1e-12)


def test_file_states_its_up_axis(write, smpl_arrays):
    arrays = {"poses": smpl_arrays["poses"][:, :66], "trans": smpl_arrays["trans"], "fps": np.array(10)}
    motion = read_motion(write({**arrays, "up": np.array("Z")}))
    np.testing.assert_allclose(motion.transl, smpl_arrays["trans"] + SMPL_PELVIS)
    turned = read_motion(write({**arrays, "up": np.array("Z")}), up="y")
    assert "y is up as the caller says, although the file says z" in turned.provenance.conventions
    with pytest.raises(MotionFileError, match="up: found 'sky'"):
        read_motion(write({**arrays, "up": np.array("sky")}))


def test_glamr(write, smpl_arrays):
    pose = np.zeros((4, 69))
    pose[:, 9] = 0.5
    arrays = {"smpl_pose": pose, "smpl_beta": np.ones((4, 10)), "smpl_orient_world": smpl_arrays["poses"][:, :3],
              "root_trans_world": smpl_arrays["trans"]}  # fmt: skip
    with pytest.raises(MotionFileError, match="fps="):
        read_motion(write(arrays))
    motion = read_motion(write(arrays), fps=30)
    np.testing.assert_allclose(motion.transl, smpl_arrays["trans"])
    assert motion.betas.shape == (10,)
    assert any("the pelvis itself" in sentence for sentence in motion.provenance.conventions)


def test_aistpp(write):
    arrays = {"smpl_poses": np.zeros((3, 72)), "smpl_trans": np.full((3, 3), 90.0), "smpl_scaling": np.array([90.0])}
    motion = read_motion(write(arrays))
    assert motion.fps == 60.0
    np.testing.assert_allclose(motion.transl, 1 + np.array(SMPL_PELVIS)[[2, 0, 1]] * np.ones((3, 1)))
    assert any("AIST++ is recorded at 60 Hz" in sentence for sentence in motion.provenance.conventions)
    with pytest.raises(MotionFileError, match="smpl_scaling"):
        read_motion(write({**arrays, "smpl_scaling": np.array(0.0)}))


def test_rotation_matrices(write, smpl_arrays):
    vectors = smpl_arrays["poses"][:, :72].reshape(4, 24, 3)
    matrices = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(4, 24, 3, 3)
    arrays = {"global_orient": matrices[:, :1], "body_pose": matrices[:, 1:], "transl": smpl_arrays["trans"]}
    motion = read_motion(write(arrays), fps=30, up="z")
    np.testing.assert_allclose(knee_angle(motion), 0.5)
    matrices[2, 5] = 0.1
    with pytest.raises(MotionFileError, match="body_pose, frame 3"):
        read_motion(write({**arrays, "body_pose": matrices[:, 1:]}), fps=30, up="z")


def test_an_npz_without_a_rate_is_an_error(write, smpl_arrays):
    del smpl_arrays["mocap_framerate"]
    with pytest.raises(MotionFileError, match=r"frame rate.*fps="):
        read_motion(write(smpl_arrays), up="z")


def test_one_frame(write, smpl_arrays):
    one = {key: value[:1] if value.ndim == 2 else value for key, value in smpl_arrays.items()}
    assert read_motion(write(one)).transl.shape == (1, 3)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("poses", np.zeros((4, 150)), r"poses: found shape \(4, 150\)"),
        ("poses", np.zeros((5, 156)), "translation.*5 frames"),
        ("poses", np.zeros((0, 156)), "poses"),
        ("poses", np.full((4, 156), np.nan), "frame 1: found a rotation that is not finite"),
        ("poses", np.zeros((4, 156), complex), "poses.*real numbers"),
        ("poses", np.array(["a"]), "poses.*real numbers"),
        ("trans", np.zeros((4, 2)), "translation"),
        ("trans", np.array([[0.0] * 3, [0.0] * 3, [np.inf] * 3, [0.0] * 3]), "frame 3: found a translation"),
        ("mocap_framerate", np.array(0.0), "frame rate"),
        ("mocap_framerate", np.array("fast"), "mocap_framerate"),
        ("betas", np.array([np.nan]), "betas"),
        ("betas", np.zeros((2, 2, 2)), "betas"),
        ("surface_model_type", np.array("star"), "surface_model_type: found 'star'"),
    ],
)  # fmt: skip
def test_errors_name_the_array(write, smpl_arrays, key, value, named):
    with pytest.raises(MotionFileError, match=named):
        read_motion(write({**smpl_arrays, key: value}))


def test_objects_are_never_unpickled(tmp_path, smpl_arrays):
    path = tmp_path / "evil.npz"
    smpl_arrays["poses"] = np.array([{"a": 1}], dtype=object)
    np.savez(path, **smpl_arrays)
    with pytest.raises(MotionFileError, match="never loaded"):
        read_motion(path)


def test_unknown_arrays_are_listed(write):
    with pytest.raises(MotionFileError, match="colour, size"):
        read_motion(write({"colour": np.zeros(3), "size": np.zeros(1)}))


def test_gvhmr(tmp_path):
    torch = pytest.importorskip("torch")
    pose = torch.zeros(5, 63)
    pose[:, 9] = 0.5
    parameters = {"body_pose": pose, "betas": torch.ones(5, 10), "global_orient": torch.zeros(5, 3),
                  "transl": torch.ones(5, 3)}  # fmt: skip
    path = tmp_path / "hmr4d_results.pt"
    torch.save({"smpl_params_global": parameters, "K_fullimg": torch.zeros(5, 3, 3)}, path)
    motion = read_motion(path)
    assert (motion.fps, motion.body) == (30.0, "smplx")
    np.testing.assert_allclose(motion.transl[0], 1 + np.array(SMPLX_PELVIS)[[2, 0, 1]])
    np.testing.assert_allclose(knee_angle(motion), 0.5, atol=1e-6)
    np.testing.assert_allclose(motion.global_orient, 0.5)
    torch.save({"smpl_params_global": {**parameters, "transl": torch.ones(4, 3)}}, path)
    with pytest.raises(MotionFileError, match="translation"):
        read_motion(path)
    torch.save({"smpl_params_global": {**parameters, "transl": "here"}}, path)
    with pytest.raises(MotionFileError, match="transl"):
        read_motion(path)
    torch.save({"model": torch.zeros(1)}, path)
    with pytest.raises(MotionFileError, match="smpl_params_global: found model"):
        read_motion(path)
    torch.save({"code": Rotation}, path)
    with pytest.raises(MotionFileError, match="no loadable"):
        read_motion(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(MotionFileError):
        read_motion(path)


def test_a_damaged_gvhmr_file_needs_no_torch(tmp_path, monkeypatch):
    import sys
    import zipfile

    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "hmr4d_results.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    with pytest.raises(MotionFileError, match="damaged pickle"):
        read_motion(path)
