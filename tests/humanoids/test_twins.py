"""Hinge and ball layouts describe the same body and the same poses."""

from __future__ import annotations

from pathlib import Path

import jax
import mujoco
import numpy as np
import pytest

from mjxhuman.humanoids import Humanoid, ball_to_hinge_qpos, hinge_to_ball_qpos, load_humanoid, to_ball
from mjxhuman.math import rotation


def random_hinge_qpos(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    root = np.concatenate([rng.normal(size=(count, 3)), np.full((count, 4), 0.5)], 1)
    return np.concatenate([root, rng.uniform(-3.1, 3.1, (count, 69))], 1)


def positions(model: mujoco.MjModel, qpos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    data = mujoco.MjData(model)
    pos, rot = [], []
    for q in qpos:
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        pos.append(data.xpos.copy())
        rot.append(data.xmat.copy())
    return np.array(pos), np.array(rot)


def assert_same_numbers(a: mujoco.MjModel, b: mujoco.MjModel) -> None:
    for field in ("body_mass", "body_inertia", "body_ipos", "body_iquat", "body_pos", "body_quat", "dof_armature",
                  "geom_type", "geom_size", "geom_pos", "geom_quat", "geom_contype", "geom_friction"):  # fmt: skip
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field), err_msg=field)
    np.testing.assert_array_equal(np.sort(a.exclude_signature), np.sort(b.exclude_signature))


def test_both_layouts_of_the_built_in_body_agree(x64: None) -> None:
    hinge, ball = load_humanoid(layout="hinge"), load_humanoid(layout="ball")
    assert_same_numbers(hinge.model, ball.model)
    qpos = random_hinge_qpos(20)
    one, two = positions(hinge.model, qpos), positions(ball.model, np.asarray(hinge_to_ball_qpos(hinge, qpos)))
    np.testing.assert_allclose(one[0], two[0], atol=1e-12)
    np.testing.assert_allclose(one[1], two[1], atol=1e-12)


def test_to_ball_keeps_the_numbers_of_any_triple_model(x64: None, shared: Path) -> None:
    hinge = load_humanoid(shared / "data/reference_mjcf/smpl_humanoid.xml")
    ball = to_ball(hinge)
    assert (ball.layout, ball.nq, ball.nv) == ("ball", 99, 75)
    assert ball.stature == hinge.stature and ball.mass == pytest.approx(hinge.mass, rel=1e-12)
    assert_same_numbers(hinge.model, ball.model)
    np.testing.assert_array_equal(ball.model.qpos0[:7], hinge.model.qpos0[:7])
    qpos = random_hinge_qpos(20, 1)
    one, two = positions(hinge.model, qpos), positions(ball.model, np.asarray(hinge_to_ball_qpos(hinge, qpos)))
    np.testing.assert_allclose(one[0], two[0], atol=1e-12)
    assert to_ball(hinge) is ball and to_ball(ball) is ball


def test_ball_coordinates_are_smpl_rotations(shared: Path) -> None:
    """Forward kinematics of SMPL poses against golden values of the smplx package's chain."""
    golden = np.load(shared / "data/golden/smpl_fk/fk.npz")
    body = load_humanoid(shared / "data/reference_mjcf/smpl_humanoid.xml", layout="ball")
    order = np.argsort(body.smpl_body_ids)  # SMPL joint of each MuJoCo body
    quats = np.asarray(rotation.exp(golden["pose"].astype(np.float64)))[:, order]
    origin = golden["rest_joints"][0] + golden["transl"]
    qpos = np.concatenate([origin, quats.reshape(len(quats), -1)], 1)
    pos, _ = positions(body.model, qpos)
    expected = golden["joints_exact"] + golden["transl"][:, None]
    np.testing.assert_allclose(pos[:, body.smpl_body_ids], expected, atol=2e-6)


def test_conversion_goes_round_and_wraps(x64: None) -> None:
    body = load_humanoid()
    qpos = random_hinge_qpos(50, 2)
    qpos[:, 8::3] *= 0.5  # middle angles within +-pi/2: these are the canonical ones
    again = ball_to_hinge_qpos(body, hinge_to_ball_qpos(body, qpos))
    np.testing.assert_allclose(again, qpos, atol=1e-7)
    wide = random_hinge_qpos(50, 3)
    angles = np.asarray(ball_to_hinge_qpos(body, hinge_to_ball_qpos(body, wide)))[:, 7:]
    assert angles.max() <= np.pi and angles.min() > -np.pi and np.abs(angles[:, 1::3]).max() <= np.pi / 2


def test_half_turn_is_plus_pi(x64: None) -> None:
    body = load_humanoid()
    for sign in (1.0, -1.0):
        qpos = body.model.qpos0.copy()
        qpos[7:11] = 0.0, sign, 0.0, 0.0
        np.testing.assert_allclose(ball_to_hinge_qpos(body, qpos)[7], np.pi)


def test_batch_axes_and_jit() -> None:
    body = load_humanoid()
    qpos = random_hinge_qpos(6).reshape(2, 3, 76)
    ball = jax.jit(lambda q: hinge_to_ball_qpos(body, q))(qpos)
    assert ball.shape == (2, 3, 99)
    np.testing.assert_allclose(ball[1, 2], hinge_to_ball_qpos(body, qpos[1, 2]), atol=1e-6)


def test_wrong_sizes_and_bodies_are_named(shared: Path) -> None:
    body = load_humanoid()
    with pytest.raises(ValueError, match=r"76 coordinates in the hinge layout.*\(99,\)"):
        hinge_to_ball_qpos(body, np.zeros(99))
    with pytest.raises(ValueError, match=r"99 coordinates in the ball layout.*\(2, 76\)"):
        ball_to_hinge_qpos(body, np.zeros((2, 76)))
    robot = load_humanoid(shared / "data/reference_mjcf/g1_bm_no_mesh_box_feet.xml")
    with pytest.raises(ValueError, match="'mixed'"):
        to_ball(robot)
    with pytest.raises(ValueError, match="'mixed'"):
        hinge_to_ball_qpos(robot, np.zeros(76))


def test_differing_armature_cannot_become_a_ball(humanoid: Humanoid, tmp_path: Path) -> None:
    from mjxhuman.humanoids import proportions, segments
    from mjxhuman.humanoids.smpl import build_spec

    shape = proportions.scaled()
    spec = build_spec(shape, segments.body_inertias(shape, 70.0), "hinge")
    spec.joint("L_Knee_y").armature = 0.5
    spec.compile()
    path = tmp_path / "uneven.xml"
    path.write_text(spec.to_xml())
    with pytest.raises(ValueError, match=r"'L_Knee'.*one armature"):
        load_humanoid(path, layout="ball")
