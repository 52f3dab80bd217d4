"""The actuated humanoid: servos, contacts, other bodies, and that it stands still."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from humanoids.test_mjcf import upright_twin

from mjxhuman.humanoids import SMPL_BODIES, Humanoid, load_humanoid
from mjxhuman.humanoids.actuated import actuated_humanoid, randomized_models
from mjxhuman.humanoids.anatomy import describe


def hold(model: mujoco.MjModel, ctrl: np.ndarray, seconds: float) -> mujoco.MjData:
    data = mujoco.MjData(model)
    data.ctrl[:] = ctrl
    for _ in range(round(seconds / model.opt.timestep)):
        mujoco.mj_step(model, data)
    return data


def self_contacts(model: mujoco.MjModel, data: mujoco.MjData) -> list[tuple[str, str]]:
    names = [(model.geom(c.geom1).name, model.geom(c.geom2).name) for c in data.contact]
    return [pair for pair in names if "floor" not in pair]


def test_sizes_and_servos_follow_the_bodies(humanoid: Humanoid) -> None:
    actuated = actuated_humanoid(humanoid)
    model = actuated.model
    assert (model.nq, model.nv, model.nu) == (99, 75, 69)
    assert model.opt.timestep == pytest.approx(1 / 120)
    names = [model.actuator(i).name for i in range(69)]
    assert names == [f"{body}_{axis}" for body in humanoid.body_names[2:] for axis in "xyz"]
    table = {"L_Hip_x": (800, 80, 500), "R_Toe_y": (500, 50, 500), "Chest_z": (1000, 100, 500)}
    table |= {"Head_x": (500, 50, 250), "L_Elbow_y": (500, 50, 150), "R_Hand_z": (300, 30, 150)}
    for name, expected in table.items():
        i = names.index(name)
        found = actuated.kp[i], actuated.kd[i], actuated.cap[i]
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        np.testing.assert_allclose(model.dof_damping[6 + i], expected[1], rtol=1e-9)
    np.testing.assert_array_equal(model.dof_armature, [0] * 6 + [0.02] * 69)
    assert model.body_mass.sum() == pytest.approx(humanoid.mass)


def test_a_servo_measures_the_rotation_vector_of_its_ball_joint(humanoid: Humanoid) -> None:
    model = actuated_humanoid(humanoid).model
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    rotvec = rng.normal(size=(23, 3))
    rotvec *= rng.uniform(0.1, 3.0, (23, 1)) / np.linalg.norm(rotvec, axis=1, keepdims=True)
    for i, v in enumerate(rotvec):
        mujoco.mju_axisAngle2Quat(data.qpos[7 + 4 * i : 11 + 4 * i], v / np.linalg.norm(v), np.linalg.norm(v))
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.actuator_length, rotvec.ravel(), atol=1e-9)


@pytest.mark.parametrize(("contacts", "floor"), [("full", 31), ("feet", 12)])
def test_contacts_are_explicit_pairs_and_printed(humanoid: Humanoid, contacts: str, floor: int) -> None:
    actuated = actuated_humanoid(humanoid, contacts)
    assert not actuated.model.geom_contype.any()
    assert not actuated.model.geom_conaffinity.any()
    text = actuated.describe()
    assert f"floor contacts ({floor})" in text
    assert f"at most {actuated.model.npair} contacts, {4 * actuated.model.npair} constraint rows" in text
    assert actuated_humanoid(humanoid, contacts, self_contacts=False).model.npair == floor
    assert all(name in text for name in SMPL_BODIES)


@pytest.mark.parametrize("stature", [1.0, 1.2, None, 2.0])
def test_nothing_overlaps_in_the_t_pose(stature: float | None) -> None:
    model = actuated_humanoid(load_humanoid("smpl", stature=stature)).model
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    assert self_contacts(model, data) == []
    assert min([c.dist for c in data.contact], default=0.0) > -1e-6
    lowest = [data.geom_xpos[g, 2] - model.geom_size[g, 0] for g in model.pair_geom2 if model.geom_bodyid[g]]
    assert min(lowest) == pytest.approx(0.0, abs=1e-6)


def test_limbs_are_kept_apart(humanoid: Humanoid) -> None:
    """Both thighs turned inwards by half a radian cross without self-contacts and touch with them."""
    ctrl = np.zeros(69)
    names = humanoid.body_names[2:]
    ctrl[3 * names.index("L_Hip") + 2], ctrl[3 * names.index("R_Hip") + 2] = -0.5, 0.5
    model = actuated_humanoid(humanoid).model
    assert self_contacts(model, hold(model, ctrl, 0.4))
    distance = [
        np.diff(hold(m, ctrl, 0.4).xpos[[m.body("R_Knee").id, m.body("L_Knee").id], 1])[0]
        for m in (model, actuated_humanoid(humanoid, self_contacts=False).model)
    ]
    assert distance[0] > 0.08 > 0.0 > distance[1]


@pytest.mark.parametrize("stature", [1.2, None, 2.0])
def test_it_stands_still(stature: float | None) -> None:
    humanoid = load_humanoid("smpl", stature=stature)
    model = actuated_humanoid(humanoid).model
    ctrl, names = np.zeros(69), humanoid.body_names[2:]
    ctrl[3 * names.index("L_Shoulder") + 2], ctrl[3 * names.index("R_Shoulder") + 2] = -1.2, 1.2
    data = hold(model, ctrl, 2.0)
    assert abs(data.qpos[2] - model.qpos0[2]) < 0.008
    assert data.body("Pelvis").xmat.reshape(3, 3)[2, 1] > 0.997
    assert np.abs(data.qvel[3:]).max() < 0.1
    assert min(c.dist for c in data.contact) > -0.003


def test_bodies_of_other_origin(humanoid: Humanoid) -> None:
    """Hinges become balls; a file without floor or joint names, with its axes elsewhere, works and stands as well."""
    hinge = actuated_humanoid(load_humanoid("smpl", layout="hinge"))
    assert hinge.humanoid.layout == "ball"
    upright = actuated_humanoid(upright_twin(humanoid))
    reference = hold(actuated_humanoid(humanoid).model, np.zeros(69), 0.5)
    for actuated in (hinge, upright):
        data = hold(actuated.model, np.zeros(69), 0.5)
        np.testing.assert_allclose(data.qpos[2], reference.qpos[2], atol=2e-3)


def test_strength_goes_with_weight_and_stature(humanoid: Humanoid) -> None:
    child = load_humanoid("smpl", stature=1.2)
    ratio = child.mass * child.stature / (humanoid.mass * humanoid.stature)
    np.testing.assert_allclose(actuated_humanoid(child).cap, ratio * actuated_humanoid(humanoid).cap)


def test_what_cannot_be_simulated_is_refused(humanoid: Humanoid) -> None:
    with pytest.raises(ValueError, match=r"contacts: expected one of .* found 'some'"):
        actuated_humanoid(humanoid, "some")
    spec = mujoco.MjSpec.from_string(
        "<mujoco><worldbody><body><freejoint/><geom size='1'/></body></worldbody></mujoco>"
    )
    with pytest.raises(ValueError, match=r"humanoid .ball.: expected a body that the registry knows"):
        actuated_humanoid(describe(spec, "ball"))


def test_randomized_models_differ_within_their_ranges(humanoid: Humanoid) -> None:
    actuated = actuated_humanoid(humanoid)
    models = randomized_models(actuated, 5, seed=3, friction=(0.5, 1.5), mass=(0.8, 1.2), gain=(0.9, 1.1))
    base = actuated.model
    friction = np.array([m.pair_friction[0, 0] / base.pair_friction[0, 0] for m in models])
    mass = np.array([m.body_mass[1:] / base.body_mass[1:] for m in models])
    gain = np.array([m.actuator_gainprm[:, 0] / base.actuator_gainprm[:, 0] for m in models])
    for values, low, high in ((friction, 0.5, 1.5), (mass, 0.8, 1.2), (gain, 0.9, 1.1)):
        assert low <= values.min() < values.max() <= high
        assert np.std(values) > 0.1 * (high - low)
    again = randomized_models(actuated, 5, seed=3, friction=(0.5, 1.5), mass=(0.8, 1.2), gain=(0.9, 1.1))
    np.testing.assert_array_equal([m.body_mass for m in models], [m.body_mass for m in again])
    np.testing.assert_allclose([m.body_subtreemass[1] for m in models], [m.body_mass.sum() for m in models])
    with pytest.raises(ValueError, match="mass: expected 0 < low <= high"):
        randomized_models(actuated, 1, seed=0, mass=(0.0, 1.0))


def test_limbs_collide_at_six_tenths_of_their_thickness(humanoid) -> None:
    model, capsules = actuated_humanoid(humanoid).model, humanoid.capsules
    for name in ("L_Hip", "R_Knee", "L_Elbow"):
        full = capsules.radius[SMPL_BODIES.index(name)]
        assert model.geom(f"{name}_capsule").size[0] == pytest.approx(0.6 * full)
