"""The loop closed once: simulate with known torques, analyse the trajectory, get those torques and forces back.

A body with servos moves under gravity on a floor that is MuJoCo's; at every physics step (120 Hz) MuJoCo says which
torques its joints feel (actuator and damping less armature) and which forces the floor gives. ``analyse`` sees the
trajectory alone. Errors are root mean squares over frames, with the size of what is to be found behind "of"; torques
in N m (length of the three axes), forces of the floor in body weights. "Filtered": both sides seen through the filter
of ``math.timeseries``, in which the chatter of stiff contacts is lost.

=====================================  ==========  ===================  ====================
                                       squat, 3 s  walk, 1.9 s, by the  walk, from positions
                                       exact       shipped tracker,     alone
                                                   filtered             filtered
=====================================  ==========  ===================  ====================
trunk, head and arms, worst joint      0.001 of 6  0.004 of 23          3.2 of 23
hip, both feet or one down             9 of 7      25 of 57             32 of 57
knee                                   7 of 26     23 of 32             35 of 32
ankle                                  4 of 25     22 of 60             27 of 60
hip of the leg that stands alone                   8 of 52              9 of 52
knee                                               14 of 34             17 of 34
ankle                                              24 of 91             26 of 91
whole ground reaction, vertical        0.001       0.023                0.031
its correlation                        1.0000      0.9998               0.9994
vertical, per foot                     0.001       0.045                0.046
=====================================  ==========  ===================  ====================

What a frame's accelerations fix comes back: everything above the hips and the sum of the floor's forces. What they
leave open is chosen by the price of a force: with both feet down how hard they push against each other (6 N sideways
are 5 N m at the hip), and where under a sole the load lies, which is an ankle's torque. Servos need not push as people
do, so that choice of ``analyse`` is switched off.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.humanoids.actuated import Actuated, actuated_humanoid
from mjxhuman.math import timeseries
from mjxhuman.physics.analysis import analyse
from mjxhuman.physics.motion import assemble, motion_from_qpos
from mjxhuman.types import Dynamics, Motion, Provenance

pytestmark = pytest.mark.compiled

HZ, SUBSTEPS = 120.0, 4
LEGS = ("Hip", "Knee", "Ankle", "Toe")


class Recorded(NamedTuple):
    """What the simulation did, a row per physics step."""

    qpos: np.ndarray
    qvel: np.ndarray
    qacc: np.ndarray
    torque: np.ndarray  # (T, J, 3) N m, of the joints of bodies 2 and up, child's axes
    floor: np.ndarray  # (T, 2, 3) N, on the left and right foot


@pytest.fixture(scope="module")
def body(humanoid) -> Actuated:
    return actuated_humanoid(humanoid)


def simulate(body: Actuated, qpos: np.ndarray, qvel: np.ndarray, ctrl: np.ndarray) -> Recorded:
    """Plain MuJoCo steps under controls (N, nu), each held for ``SUBSTEPS``."""
    model, data, rows = body.model, mujoco.MjData(body.model), []
    data.qpos[:], data.qvel[:] = qpos, qvel
    for data.ctrl[:] in np.repeat(ctrl, SUBSTEPS, axis=0):
        mujoco.mj_forward(model, data)
        torque = data.qfrc_actuator + data.qfrc_passive - model.dof_armature * data.qacc
        rows.append([data.qpos.copy(), data.qvel.copy(), data.qacc.copy(), torque[6:].reshape(-1, 3), feet(body, data)])
        mujoco.mj_step(model, data)
    return Recorded(*(np.array(column) for column in zip(*rows, strict=True)))


def feet(body: Actuated, data: mujoco.MjData) -> np.ndarray:
    """Forces (2, 3) of the floor on the feet; nothing else may touch anything."""
    force, wrench = np.zeros((2, 3)), np.zeros(6)
    for i, contact in enumerate(data.contact):
        names = [body.model.geom(int(geom)).name for geom in contact.geom]
        assert names[0] == "floor" and names[1][2:].startswith(("Ankle", "Toe")), names
        mujoco.mj_contactForce(body.model, data, i, wrench)
        force["LR".index(names[1][0])] += contact.frame.reshape(3, 3).T @ wrench[:3]
    return force


def exact(body: Actuated, recorded: Recorded) -> Motion:
    """The motion with the simulator's own velocities and accelerations."""
    arrays = (jnp.asarray(x) for x in recorded[:3])
    return assemble(body.humanoid, *arrays, jnp.ones(len(recorded.qpos), bool), 1.0 / HZ, Provenance())


def filtered(x: np.ndarray) -> np.ndarray:
    """What the filter of accelerations leaves of a force: it is integrated to a path and derived again."""
    path = np.cumsum(np.cumsum(x.reshape(len(x), -1), 0), 0) / HZ**2
    path = np.concatenate([0 * path[:1], path[:-1]]).T
    radius = timeseries.window_radius(1.0 / HZ)
    valid = np.ones(len(x), bool)
    return np.asarray(timeseries.derivatives(lambda a, b: b - a, path, valid, 1.0 / HZ, radius=radius)[1].T).reshape(
        x.shape
    )


def rms(x: np.ndarray) -> np.ndarray:
    """Over frames, of the length of the last axis."""
    return np.sqrt(np.mean(np.sum(x**2, -1), 0))


def per_foot(dynamics: Dynamics) -> np.ndarray:
    """Forces (T, 2, 3) on left and right."""
    sides = np.array([name[0] for name in dynamics.contact_names])
    return np.stack([np.asarray(dynamics.grf)[:, sides == side].sum(1) for side in "LR"], 1)


def above_hips(body: Actuated) -> np.ndarray:
    return np.array([not name.endswith(LEGS) for name in body.humanoid.body_names[2:]])


def leg_joints(body: Actuated, name: str) -> list[int]:
    return [body.humanoid.body_names.index(f"{side}_{name}") - 2 for side in "LR"]


@pytest.fixture(scope="module")
def squat(body: Actuated) -> Recorded:
    """Hips, knees and ankles bend by 0.35, 0.7 and 0.35 rad and stretch again, in three seconds; arms hang."""
    bend = 0.35 * (1.0 - np.cos(2.0 * np.pi * np.arange(90) / 90)) / 2.0
    ctrl = np.zeros((105, body.nu))
    column = {name: 3 * k for k, name in enumerate(body.humanoid.body_names[2:])}
    for side, down in (("L", -1.2), ("R", 1.2)):
        for joint, factor in (("Hip", -1.0), ("Knee", 2.0), ("Ankle", -1.0)):
            ctrl[15:, column[f"{side}_{joint}"]] = factor * bend
        ctrl[:, column[f"{side}_Shoulder"] + 2] = down
    qpos = body.model.qpos0.copy()
    qpos[7:] = Rotation.from_rotvec(ctrl[0].reshape(-1, 3)).as_quat(scalar_first=True).ravel()
    found = simulate(body, qpos, np.zeros(body.model.nv), ctrl)
    return Recorded(*(x[60:] for x in found))  # after it has settled


@pytest.fixture(scope="module")
def walk(body: Actuated) -> Recorded:
    """State and controls of the shipped tracker on the built-in walk, its first 1.9 s, stored."""
    with np.load(Path(__file__).with_name("tracked_walk.npz")) as stored:
        return simulate(body, stored["qpos"], stored["qvel"], stored["ctrl"][:58].astype(float))


def test_a_squat_gives_its_torques_back(body: Actuated, squat: Recorded, x64: None) -> None:
    assert np.ptp(squat.qpos[:, 2]) > 0.05, "it bends"
    found, weight = analyse(exact(body, squat), opposed=False), body.humanoid.mass * 9.81
    torque = np.asarray(found.joint_torque)[:, 2:]
    error, upper = rms(torque - squat.torque), above_hips(body)
    assert rms(squat.torque)[upper].max() > 6.0 and error[upper].max() < 2e-3
    for name, most in (("Hip", 11.0), ("Knee", 8.0), ("Ankle", 5.0)):
        assert error[leg_joints(body, name)].max() < most
    assert rms((per_foot(found) - squat.floor).sum(1))[()] / weight < 0.007
    np.testing.assert_allclose(per_foot(found)[..., 2] / weight, squat.floor[..., 2] / weight, atol=0.005)
    # the hips' error is the feet pushing sideways against each other, which no acceleration shows
    apart = per_foot(found)[:, 0, 1] - squat.floor[:, 0, 1]
    about_forward = (torque - squat.torque)[:, leg_joints(body, "Hip")[0], 2]
    assert np.corrcoef(apart, about_forward)[0, 1] < -0.8


def test_a_walk_gives_its_torques_back(body: Actuated, walk: Recorded, x64: None) -> None:
    assert walk.qpos[-1, 0] - walk.qpos[0, 0] > 2.0 and walk.qpos[:, 2].min() > 0.85, "it walks"
    found, weight = analyse(exact(body, walk), opposed=False), body.humanoid.mass * 9.81
    torque = np.asarray(found.joint_torque)[:, 2:]
    upper, inner = above_hips(body), slice(24, -24)  # whole windows of the filter
    assert rms(walk.torque)[upper].max() > 25.0 and rms(torque - walk.torque)[upper].max() < 0.02
    true, floor = filtered(walk.torque)[inner], filtered(walk.floor)[inner]
    error = filtered(torque)[inner] - true
    reaction = filtered(per_foot(found))[inner]
    stance = floor[:, :, 2] > 0.97 * floor[:, :, 2].sum(1, keepdims=True)  # (T, 2): alone on this foot
    for name, both, alone in (("Hip", 30.0, 12.0), ("Knee", 28.0, 20.0), ("Ankle", 28.0, 32.0)):
        joints = leg_joints(body, name)
        assert rms(error)[joints].max() < both
        for side, joint in enumerate(joints):
            assert rms(error[stance[:, side], joint]) < alone < 0.75 * rms(true[stance[:, side], joint])
    assert np.corrcoef(reaction[..., 2].sum(1), floor[..., 2].sum(1))[0, 1] > 0.999
    assert rms((reaction - floor).sum(1)) / weight < 0.04
    assert rms(reaction - floor).max() / weight < 0.06


def test_positions_alone_give_filtered_torques_back(body: Actuated, walk: Recorded, x64: None) -> None:
    found = analyse(motion_from_qpos(body.humanoid, walk.qpos, HZ), opposed=False)
    weight, inner = body.humanoid.mass * 9.81, slice(24, -24)
    true, floor = filtered(walk.torque)[inner], filtered(walk.floor)[inner]
    error = rms(np.asarray(found.joint_torque)[inner, 2:] - true)
    assert error[above_hips(body)].max() < 4.0 < 0.2 * rms(true)[above_hips(body)].max()
    assert error.max() < 40.0
    reaction = per_foot(found)[inner]
    assert np.corrcoef(reaction[..., 2].sum(1), floor[..., 2].sum(1))[0, 1] > 0.998
    assert rms((reaction - floor).sum(1)) / weight < 0.05
