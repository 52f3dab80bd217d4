"""Pickles: arrays and plain containers are built, everything else is named and refused, whatever the packing."""

import bz2
import collections
import gzip
import io
import lzma
import os
import pickle
import zipfile
import zlib

import numpy as np
import pytest

from mjxhuman.data import MotionFileError, QposMotion, read_motion
from mjxhuman.data.pickles import load_pickle
from mjxhuman.data.source import Source

PACKED = {
    "": bytes, "gzip": gzip.compress, "zlib1": lambda b: zlib.compress(b, 1), "zlib3": lambda b: zlib.compress(b, 3),
    "zlib9": lambda b: zlib.compress(b, 9), "bz2": bz2.compress, "xz": lzma.compress,
    "lzma": lambda b: lzma.compress(b, lzma.FORMAT_ALONE),
}  # fmt: skip


@pytest.fixture
def smpl(smpl_arrays):
    return {"poses": smpl_arrays["poses"][:, :72], "trans": smpl_arrays["trans"]}


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_and_containers(tmp_path, packing, protocol):
    content = {
        "a": np.arange(6.0).reshape(2, 3).T, "n": np.float32(2.5), "l": [1, (2, "x"), {3}, None, True], "b": b"\xff",
        "o": collections.OrderedDict(k=1),
    }  # fmt: skip
    path = tmp_path / "x.pkl"
    path.write_bytes(PACKED[packing](pickle.dumps(content, protocol)))
    found = load_pickle(Source(path))
    np.testing.assert_array_equal(found["a"], content["a"])
    assert found["n"] == 2.5 and found["l"] == content["l"] and found["b"] == b"\xff" and found["o"] == {"k": 1}


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


@pytest.mark.parametrize(
    ("content", "name"),
    [(Evil(), "posix.system"), ({"a": [Evil()]}, "system"), (pickle.Unpickler, "Unpickler"), (np.load, "numpy.*load")],
)
def test_classes_are_named_and_refused(tmp_path, monkeypatch, content, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(MotionFileError, match=rf"the class .*{name}.*not built"):
        read_motion(path)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("end", [1, 30, -1])
def test_damaged(tmp_path, smpl, end):
    data = pickle.dumps(smpl)
    for packing in ("", "zlib3"):
        path = tmp_path / "x.pkl"
        path.write_bytes(PACKED[packing](data)[:end])
        with pytest.raises(MotionFileError):
            read_motion(path)


def save(tmp_path, content):
    path = tmp_path / "clip.pkl"
    path.write_bytes(pickle.dumps(content))
    return path


def test_layouts(tmp_path, smpl):
    phc = {"0-walk": {"pose_aa": smpl["poses"], "root_trans_offset": smpl["trans"], "fps": 30, "gender": "neutral"}}
    motion = read_motion(save(tmp_path, phc))
    assert motion.provenance.format == "PHC" and motion.fps == 30
    np.testing.assert_allclose(motion.transl, smpl["trans"], atol=1e-12)  # the offset is the pelvis itself
    person = {
        "pose": smpl["poses"] * 0, "trans": smpl["trans"] * 0, "pose_world": smpl["poses"],
        "trans_world": smpl["trans"], "betas": np.zeros((4, 10)), "frame_ids": np.arange(4),
    }  # fmt: skip
    motion = read_motion(save(tmp_path, {3: person}), fps=25)
    assert motion.provenance.format == "WHAM" and np.ptp(motion.transl, axis=0).max() > 0.2
    emdb = {"smpl": {"poses_root": smpl["poses"][:, :3], "poses_body": smpl["poses"][:, 3:], "trans": smpl["trans"]}}
    assert read_motion(save(tmp_path, emdb)).fps == 30
    aist = {"smpl_poses": smpl["poses"], "smpl_trans": smpl["trans"] * 90, "smpl_scaling": np.array([90.0])}
    assert read_motion(save(tmp_path, aist)).fps == 60
    glamr = {
        "smpl_pose": smpl["poses"][:, 3:],
        "smpl_orient_world": smpl["poses"][:, :3],
        "root_trans_world": smpl["trans"],
    }
    motion = read_motion(save(tmp_path, {"person_data": {0: glamr}}), fps=30)
    assert motion.provenance.format == "SMPL (GLAMR)"


def test_more_than_one_motion_is_said(tmp_path, smpl):
    clip = {"pose_aa": smpl["poses"], "trans_orig": smpl["trans"], "fps": 30}
    with pytest.raises(MotionFileError, match=r"2 motions \(a, b, ...\), expected one"):
        read_motion(save(tmp_path, {"a": clip, "b": clip}))
    with pytest.raises(MotionFileError, match="found bbox, expected poses and a translation"):
        read_motion(save(tmp_path, {"bbox": np.zeros(4)}))


def torch_file(path, content, raw):
    """An archive as torch.save writes it, without torch: tensors are ("name", shape) of ``raw``."""

    stream = io.BytesIO()
    stream.write(b"\x80\x02}(")
    for name, (key, shape) in content.items():
        size, stride = "".join(f"K{chr(n)}" for n in shape), []
        for i in range(len(shape)):
            stride.append(int(np.prod(shape[i + 1 :])))
        text = pickle.dumps(name, 2)[2:-1]
        stream.write(text + b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n")
        stream.write(b"X\x01\x00\x00\x00" + key.encode() + b"X\x03\x00\x00\x00cpuK\x00tQK\x00(")
        stream.write(size.encode("latin1") + b"t(" + b"".join(b"K" + bytes([n]) for n in stride) + b"t\x89NtR")
    stream.write(b"u.")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", stream.getvalue())
        for key, array in raw.items():
            archive.writestr(f"archive/data/{key}", array.astype("f4").tobytes())
    return path


def test_proto_motions_without_torch(tmp_path):
    rng = np.random.default_rng(0)
    pos, rot, dof = rng.normal(size=(5, 3, 3)), rng.normal(size=(5, 3, 4)), rng.normal(size=(5, 6))
    rot /= np.linalg.norm(rot, axis=-1, keepdims=True)
    layout = {"rigid_body_pos": ("0", (5, 3, 3)), "rigid_body_rot": ("1", (5, 3, 4)), "dof_pos": ("2", (5, 6))}
    path = torch_file(tmp_path / "x.motion", layout, {"0": pos, "1": rot, "2": dof})
    motion = read_motion(path, fps=30)
    assert isinstance(motion, QposMotion) and motion.provenance.format == "ProtoMotions"
    expected = np.concatenate([pos[:, 0], rot[:, 0][:, [3, 0, 1, 2]], dof], axis=1)
    np.testing.assert_allclose(motion.qpos, expected, atol=1e-6)
    torch_file(path, layout, {"0": pos[:2], "1": rot, "2": dof})
    with pytest.raises(MotionFileError, match="damaged pickle"):
        read_motion(path, fps=30)


def test_archives_that_swell_are_refused(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("poses.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (200 << 20,)})
        for _ in range(200):
            member.write(bytes(1 << 20))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("trans.npy", b"")
    with pytest.raises(MotionFileError, match=r"poses.npy: found 200 MiB in \d+ KiB"):
        read_motion(path)


def test_pipes_devices_and_loops(tmp_path):
    os.mkfifo(tmp_path / "pipe.bvh")
    for path in (tmp_path / "pipe.bvh", "/dev/null"):
        with pytest.raises(MotionFileError, match="a pipe, socket or device"):
            read_motion(path)
    (tmp_path / "a.bvh").symlink_to(tmp_path / "b.bvh")
    (tmp_path / "b.bvh").symlink_to(tmp_path / "a.bvh")
    with pytest.raises(MotionFileError, match=r"a\.bvh: file: found"):
        read_motion(tmp_path / "a.bvh")


def test_messages_are_one_line_of_text(tmp_path):
    path = tmp_path / "odd\nname\x1b[31m.bvh"
    path.write_bytes(b"\x1b[1mnot a bvh\x00\xff")
    with pytest.raises(MotionFileError) as error:
        read_motion(path)
    assert str(error.value).isprintable() and "binary data" in str(error.value)
