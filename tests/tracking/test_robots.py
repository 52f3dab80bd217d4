"""Recorded and generated motion of the Unitree G1, played back by the simulated robot."""

from __future__ import annotations

import json

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.cli.convert import qpos_motion
from mjxhuman.data.npz import save_motion
from mjxhuman.humanoids import load_humanoid
from mjxhuman.physics.analysis import analyse, servo_torques
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.recovery.load import load_motion
from mjxhuman.tracking.evaluate import evaluate, usable
from mjxhuman.tracking.tracker import load_tracker, tracker_facts

pytestmark = pytest.mark.compiled

#: Joints of loco-mujoco's G1 that have other names in Unitree's files.
RENAMED = {
    "lumbar_extension": "waist_pitch_joint", "lumbar_bending": "waist_roll_joint", "torso_joint": "waist_yaw_joint",
    "left_elbow_pitch_joint": "left_elbow_joint", "right_elbow_pitch_joint": "right_elbow_joint",
    "left_elbow_roll_joint": "left_wrist_roll_joint", "right_elbow_roll_joint": "right_wrist_roll_joint",
}  # fmt: skip


@pytest.fixture(scope="module")
def g1(shared):
    return load_humanoid("unitree_g1", mjcf=shared / "data/reference_mjcf/g1_bm_no_mesh_box_feet.xml")


@pytest.fixture(scope="module")
def clips(g1, shared):
    folder = shared / "data/g1_motions"
    found = [load_motion(folder / f"kimodo_{name}.csv", g1, fps=30) for name in ("walk", "dance", "high5")]
    return [*found, walk_of_loco_mujoco(g1, folder / "locomujoco_02-constspeed_UnitreeG1.npz")]


def walk_of_loco_mujoco(g1, path):
    """A second at 500 Hz; heights count from an origin that the file does not state: here the lowest sole is at 0."""
    with np.load(path) as file:
        arrays = {name[2:]: file[name] for name in file.files if name.startswith("q_")}
    qpos = np.tile(g1.model.qpos0, (500, 1))
    qpos[:, :3] = np.stack([arrays.pop(f"pelvis_t{axis}") for axis in "xyz"], 1)
    angles = np.stack([arrays.pop(f"pelvis_{name}") for name in ("tilt", "list", "rotation")], 1)
    qpos[:, 3:7] = Rotation.from_euler("YXZ", angles).as_quat(scalar_first=True)
    for name, values in arrays.items():
        qpos[:, g1.model.joint(RENAMED.get(name, name)).qposadr[0]] = values
    motion = motion_from_qpos(g1, qpos, 500.0)
    feet = g1.contacts.is_foot
    quat, pos = (np.asarray(x)[:, g1.contacts.body_id[feet]] for x in (motion.body_quat, motion.body_pos))
    arms = np.tile(g1.contacts.offset[feet], (500, 1))
    soles = pos[..., 2] + Rotation.from_quat(quat.reshape(-1, 4), scalar_first=True).apply(arms)[:, 2].reshape(500, -1)
    qpos[:, 2] -= soles.min()
    return motion_from_qpos(g1, qpos, 500.0)


@pytest.mark.slow
def test_contact_forces_carry_the_robot_and_load_its_joints(g1, clips):
    """Forces of a generated walk: the floor carries its weight; the joints' powers are those of inverse dynamics."""
    walk = clips[0]
    forces, torque = analyse(walk), servo_torques(walk)
    assert forces.contact_names[:2] == ("left_ankle_roll_link", "right_ankle_roll_link")
    load = np.asarray(forces.grf)[:, :, 2].sum(1)
    assert np.mean(load) == pytest.approx(g1.weight, rel=0.05)
    assert torque.shape == (150, 29)
    assert np.abs(torque).max() < 139


def test_knees_carry_a_squatting_robot(g1):
    """Bent knees hold up what is above them; without the floor's forces they would hold their shanks alone, 2 N m."""
    qpos = g1.model.qpos0.copy()
    for side in ("left", "right"):
        for name, angle in (("hip_pitch", -0.5), ("knee", 1.0), ("ankle_pitch", -0.5)):
            qpos[g1.model.joint(f"{side}_{name}_joint").qposadr[0]] = angle
    data = mujoco.MjData(g1.model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(g1.model, data)
    sole = g1.model.geom("left_foot_collision").id
    qpos[2] -= data.geom_xpos[sole, 2] - g1.model.geom_size[sole, 2]
    torque = servo_torques(motion_from_qpos(g1, np.tile(qpos, (150, 1)), 30.0))  # the program of the walk
    knee = g1.model.joint("left_knee_joint").dofadr[0] - 6
    assert np.all(np.abs(torque[:, knee]) > 8)


def test_torques_in_the_air_are_mujocos_inverse_dynamics(g1, x64):
    rng = np.random.default_rng(0)
    time = np.arange(40)[:, None] / 30
    qpos = np.tile(g1.model.qpos0, (40, 1)) + 0.2 * np.sin(3 * time + rng.uniform(0, 6, 36)) * (np.arange(36) >= 7)
    qpos[:, 2] += 500.0  # beyond the reach of any contact
    motion = motion_from_qpos(g1, qpos, 30.0)
    data, found = mujoco.MjData(g1.model), servo_torques(motion)
    for t in (10, 20, 30):
        data.qpos[:], data.qvel[:], data.qacc[:] = motion.qpos[t], motion.qvel[t], motion.qacc[t]
        mujoco.mj_inverse(g1.model, data)
        passive = data.qfrc_passive[6:] + data.qfrc_constraint[6:]
        np.testing.assert_allclose(found[t], data.qfrc_inverse[6:] + passive, atol=1e-5)


@pytest.mark.slow
def test_four_clips_are_played_back(g1, clips):
    """Feed-forward control follows each clip at first; what balances nothing falls within seconds."""
    tracker, held = (load_tracker(name, "c", g1) for name in ("reference", "zero"))
    starts = [usable(clip, tracker.humanoid, tracker.fps, str(i)) for i, clip in enumerate(clips)]
    for tracked in evaluate(tracker, starts):
        off = np.linalg.norm(np.asarray(tracked.motion.body_pos - tracked.reference.body_pos)[:10], axis=-1)
        assert off.max() < 0.2
        assert tracked.result.torque_peak <= 139.001 and tracked.result.score is None
    first = [r.result.mpjpe_g for r in evaluate(held, starts)]
    assert min(first) > 50


def test_a_tracker_file_names_the_robot_and_its_model(g1):
    tracker = load_tracker("reference", "c", g1)
    facts = json.loads(json.dumps(tracker_facts(tracker.simulator, tracker.config)))
    assert (
        facts["humanoid"]["name"] == "unitree_g1" and load_humanoid("unitree_g1", mjcf=facts["humanoid"]["mjcf"]) is g1
    )


def test_a_tracked_motion_is_saved_with_the_robot_it_belongs_to(g1, clips, tmp_path):
    path = save_motion(tmp_path / "walk.npz", qpos_motion(clips[0]))
    again = load_motion(path)
    assert again.humanoid is g1
    np.testing.assert_allclose(again.qpos, clips[0].qpos, atol=1e-6)
