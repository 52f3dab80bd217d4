"""The same skeleton: local rotations are the coordinates, in every layout and frame convention."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np
import pytest
from synthetic_sources import moving_pose

from mjxhuman.data import SMPL_JOINTS, SMPL_PARENTS
from mjxhuman.humanoids import load_humanoid
from mjxhuman.math import quaternion
from mjxhuman.retarget.chain import chain_of, forward_clip
from mjxhuman.retarget.direct import continuous, qpos_from_smpl


def kinematics(humanoid, qpos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    data = mujoco.MjData(humanoid.model)
    pos, quat = [], []
    for q in qpos:
        data.qpos[:] = q
        mujoco.mj_kinematics(humanoid.model, data)
        pos.append(data.xpos[humanoid.smpl_body_ids].copy())
        quat.append(data.xquat[humanoid.smpl_body_ids].copy())
    return np.array(pos), np.array(quat)


@pytest.mark.parametrize("layout", ["ball", "hinge"])
def test_mujoco_stands_where_the_chain_stands(layout):
    humanoid = load_humanoid("smpl", layout=layout)
    chain = chain_of(humanoid)
    root, local = moving_pose(chain, 12)
    pos, quat = forward_clip(chain, root, local)
    own_pos, own_quat = kinematics(humanoid, qpos_from_smpl(humanoid, root, local))
    np.testing.assert_allclose(own_pos, pos, atol=1e-9)
    np.testing.assert_allclose(np.abs(np.sum(own_quat * quat, -1)), 1.0, atol=1e-9)


def test_published_model(shared):
    humanoid = load_humanoid(shared / "data" / "reference_mjcf" / "smpl_humanoid.xml")
    chain = chain_of(humanoid)
    root, local = moving_pose(chain, 5)
    pos, _ = forward_clip(chain, root, local)
    np.testing.assert_allclose(kinematics(humanoid, qpos_from_smpl(humanoid, root, local))[0], pos, atol=1e-6)


def test_body_frames_turned_upright(humanoid):
    """x forward, y left, z up in the T-pose, as published models of the other convention have them."""
    frame = np.array([0.5, -0.5, -0.5, -0.5])
    offsets = quaternion.rotate(quaternion.conjugate(frame), chain_of(humanoid).offsets)
    spec = mujoco.MjSpec()
    bodies = []
    for j, (name, parent) in enumerate(zip(SMPL_JOINTS, SMPL_PARENTS, strict=True)):
        body = (spec.worldbody if parent < 0 else bodies[parent]).add_body(name=name, pos=offsets[j])
        body.mass, body.inertia, body.explicitinertial = 1.0, (0.1, 0.1, 0.1), True
        body.add_joint(type=mujoco.mjtJoint.mjJNT_FREE if parent < 0 else mujoco.mjtJoint.mjJNT_BALL)
        bodies.append(body)
    model = spec.compile()
    ids = np.array([model.body(name).id for name in SMPL_JOINTS])
    turned = dataclasses.replace(humanoid, model=model, smpl_frame=frame, smpl_body_ids=ids)
    chain = chain_of(turned)
    np.testing.assert_allclose(chain.offsets, chain_of(humanoid).offsets, atol=1e-12)
    root, local = moving_pose(chain, 6)
    pos, quat = forward_clip(chain, root, local)
    own_pos, own_quat = kinematics(turned, qpos_from_smpl(turned, root, local))
    np.testing.assert_allclose(own_pos, pos, atol=1e-9)
    np.testing.assert_allclose(np.abs(np.sum(own_quat * quaternion.multiply(quat, frame), -1)), 1.0, atol=1e-9)


def test_hinges_turn_through_half_a_turn_without_a_jump():
    humanoid = load_humanoid("smpl", layout="hinge")
    local = np.tile([1.0, 0.0, 0.0, 0.0], (50, 22, 1))
    angle = np.linspace(2.8, 3.6, 50) / 2
    local[:, 16, 0], local[:, 16, 1] = np.cos(angle), np.sin(angle)
    qpos = qpos_from_smpl(humanoid, np.zeros((50, 3)), local)
    assert np.abs(np.diff(qpos, axis=0)).max() < 0.05


def test_continuous_signs():
    quat = quaternion.unit(np.random.default_rng(0).normal(size=(1, 3, 4))) * np.array([1, -1, 1, -1])[:, None, None]
    assert (np.sum(np.diff(continuous(quat), axis=0) ** 2, -1) < 1e-20).all()
