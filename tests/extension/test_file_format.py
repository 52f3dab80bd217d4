"""A file format of one's own: how it is recognised and a function that reads it, registered under a name.

From then on every command, the launchers and ``load_motion`` take such files, also from folders.
"""

import numpy as np
import pytest

import mjxhuman
from mjxhuman.data import Format, MotionFileError, register_format
from mjxhuman.data.folders import find_motions
from mjxhuman.types import SMPL_JOINTS, PointMotion

MAGIC = b"STEPS 1\n"


def read_steps(source):
    """Lines of 72 numbers: the 24 joints of SMPL, in metres, z up."""
    lines = source.path.read_bytes().removeprefix(MAGIC).splitlines()
    try:
        rows = np.loadtxt(lines, ndmin=2)
        pos = rows.reshape(len(rows), 24, 3)
    except ValueError as error:
        raise source.error("lines", str(error), "72 numbers in each") from None
    fps = source.frame_rate(None, 50.0, "STEPS files have 50 frames per second")
    valid = np.ones((len(pos), 24), bool)
    return PointMotion(pos, valid, fps, SMPL_JOINTS, "joints", source.provenance("STEPS"))


@pytest.fixture(scope="module", autouse=True)
def steps():
    register_format(
        Format("STEPS", (".steps",), lambda source: source.head.startswith(MAGIC), read_steps, "24 joints, 50 fps")
    )


def write(path, humanoid, frames):
    motion = mjxhuman.motion_from_qpos(humanoid, np.repeat(humanoid.model.qpos0[None], frames, 0), 50.0)
    joints = np.asarray(motion.body_pos)[:, humanoid.smpl_body_ids].reshape(frames, -1)
    path.write_bytes(MAGIC + "\n".join(" ".join(f"{x:.6f}" for x in row) for row in joints).encode())
    return path


def test_files_of_the_format_become_motion(humanoid, tmp_path):
    path = write(tmp_path / "stand.steps", humanoid, 12)
    (tmp_path / "notes.txt").write_text("nothing")
    found = find_motions([tmp_path])
    assert found.files == [path] and list(found.left_out.values()) == ["of no known format"]
    motion = mjxhuman.load_motion(path)
    assert motion.num_frames == 12 and motion.provenance.format == "STEPS"
    assert motion.provenance.conventions[0] == "frame rate 50 Hz: STEPS files have 50 frames per second"
    head = np.asarray(motion.body_pos)[:, humanoid.smpl_body_ids[SMPL_JOINTS.index("Head")], 2]
    np.testing.assert_allclose(head, np.loadtxt(path, skiprows=1)[:, 3 * SMPL_JOINTS.index("Head") + 2], atol=0.03)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "bad.steps").write_bytes(MAGIC + b"1 2 3\n")
    with pytest.raises(MotionFileError, match=r"bad.steps: lines: found .*, expected 72 numbers in each"):
        mjxhuman.load_motion(tmp_path / "bad.steps")
