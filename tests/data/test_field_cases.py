"""Each kind of file that people met, on its case in the shared data: it loads right, or says what would help."""

import numpy as np
import pytest

from mjxhuman.data import MotionFileError, QposMotion, read_motion
from mjxhuman.data.landmarks import landmarks
from mjxhuman.data.plausible import axis_of, upright_share

#: Case -> what is said about it.
READ = {
    "01_zup_motion_yup_rest/zup_walk_yup_rest.bvh": "z is up: the body does not stand along y",
    "02_pfnn_root_hip/pfnn_made.bvh": "y is up",
    "04_names_biped/biped_names.bvh": "y is up",
    "05_names_other_rigs/rigify_names.bvh": "y is up",
    "05_names_other_rigs/unity_names.bvh": "y is up",
    "05_names_other_rigs/unreal_names.bvh": "y is up",
    "09_amass_keys_yup/amass_keys_yup.npz": "y is up: the body does not stand along z",
    "09_amass_keys_yup/amass_keys_camera_ydown.npz": "-y is up: the body does not stand along z",
    "11_bvh_frame_time_is_rate/frame_time_30.bvh": "frame rate 30 Hz",
    "13_npz_cm/amass_trans_in_cm.npz": "1 length unit is 0.01 m",
    "15_trc_zup/zup.trc": "z is up: the body does not stand along y",
    "17_tables_with_commas/comma.trc": "separated by ','",
    "20_bvh_zero_displacements/positions_are_displacements.bvh": "displacements from the OFFSET",
}
REFUSED = {
    "18_c3d_fbx_hint/head.fbx": "FBX file.*bvh",
    "23_compressed_joblib/joblib_zlib.pkl": "pickle: found a, expected poses",
    "23_compressed_joblib/joblib_lzma.pkl": "pickle: found a, expected poses",
}


@pytest.mark.parametrize("case", READ)
def test_read_upright(shared, case):
    path = shared / "data" / "field_cases" / case
    if not path.exists():
        pytest.skip(f"no {case}")
    motion = read_motion(path)
    assert READ[case] in "\n".join(motion.provenance.conventions)
    marks = landmarks(motion)
    assert marks is not None and upright_share(marks, axis_of("z")) > 0.5
    assert 0.7 < marks.leg < 1.2 and np.nanmedian(marks.hips[:, 2]) > 0.4 and 30 <= motion.fps <= 100


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line(shared, case):
    path = shared / "data" / "field_cases" / case
    if not path.exists():
        pytest.skip(f"no {case}")
    with pytest.raises(MotionFileError, match=REFUSED[case]) as error:
        read_motion(path)
    assert str(error.value).isprintable()


def test_robots(shared):
    cases = shared / "data" / "field_cases"
    walk = read_motion(cases / "07_csv_quaternion_xyzw" / "g1_walk_xyzw.csv", fps=30)
    proto = read_motion(cases / "16_motion_and_pt_messages" / "output_walk.motion")
    assert isinstance(walk, QposMotion) and isinstance(proto, QposMotion)
    assert "root quaternion xyzw" in "\n".join(walk.provenance.conventions)
    np.testing.assert_allclose(walk.qpos[:, 7:], proto.qpos[:, 7:], atol=1e-4)
    assert np.abs(np.sum(walk.qpos[:, 3:7] * proto.qpos[:, 3:7], axis=1)).min() > 0.999
