"""A body and objects in one model: alone as before, many scenes in one batch as each by itself."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from scenes.furniture import boulder, chair, made_of, room

from mjxhuman.humanoids.actuated import actuated_humanoid
from mjxhuman.physics.simulate import make_simulator
from mjxhuman.scenes.compose import OFF, Layout, common_layout, compose, compose_all, objects_alone

PADDING = tuple(f"object0_piece{k}" for k in (5, 6, 7))  # of a chair of five boxes, in eight


def stepped(model: mujoco.MjModel, qpos: np.ndarray, qvel: np.ndarray, ctrl: np.ndarray, substeps: int) -> np.ndarray:
    """Coordinates (H, nq) of plain MuJoCo after each control step."""
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = qpos, qvel
    path = []
    for targets in ctrl:
        data.ctrl[:] = targets
        mujoco.mj_step(model, data, substeps)
        path.append(data.qpos.copy())
    return np.array(path)


def test_without_objects_it_is_the_actuated_humanoid(humanoid):
    assert compose(humanoid, room()).actuated is actuated_humanoid(humanoid)


def test_the_body_comes_first_and_does_what_it_did_bit_for_bit(humanoid):
    alone = actuated_humanoid(humanoid)
    among = compose(humanoid, room(chair(), boulder(0), at=[(50, 0), (60, 0)]))
    at, model = among.actuated.address, among.actuated.model
    assert at == alone.address and model.nq == alone.model.nq + 14
    ctrl = np.random.default_rng(0).normal(0, 0.3, (20, alone.nu))
    qpos = alone.model.qpos0 - 0.001 * np.eye(alone.model.nq)[2]
    expected = stepped(alone.model, qpos, np.zeros(75), ctrl, 4)
    start = among.start(qpos)
    found = stepped(model, *start, ctrl, 4)
    np.testing.assert_array_equal(found[:, at.qpos], expected)
    poses = among.poses(found)
    assert poses.shape == (20, 2, 7)
    np.testing.assert_allclose(poses[-1, :, 0], [50, 60], atol=0.01)
    np.testing.assert_array_equal(among.velocities(np.arange(87.0)), [np.arange(75.0, 81.0), np.arange(81.0, 87.0)])


def test_different_scenes_in_one_batch_are_mujocos_own_bit_for_bit(humanoid):
    """Boxes, hulls of other numbers of corners, one object and two, fixed and free."""
    bench = made_of([((0.2, 0.5, 0.2), (0, 0, 0.2))], name="bench", free=False)
    scenes = [
        room(chair(), at=[(0.25, 0, 0.001)]),
        room(boulder(1), bench, at=[(0.3, 0), (-0.5, 0)]),
        room(boulder(2, 20), chair(0.4, legs=3), at=[(0.2, 0.2), (-0.3, 0)]),
    ]
    composed = compose_all(humanoid, scenes)
    models = [c.actuated.model for c in composed]
    sim = make_simulator(composed[0].actuated, "c", variants=models)
    ctrl = np.random.default_rng(1).normal(0, 0.3, (4, 12, 69))
    variant = np.array([2, 0, 1, 2])
    qpos, qvel = zip(*(composed[v].start(models[v].qpos0[:99]) for v in variant), strict=True)
    qpos, qvel = np.array(qpos), np.array(qvel)
    found = sim.backend.rollout_host(qpos, qvel, np.zeros_like(qvel), ctrl, variant=variant)[0]
    for i, v in enumerate(variant):
        expected = stepped(models[v], qpos[i], qvel[i], ctrl[i], sim.substeps)
        np.testing.assert_array_equal(found[i], expected)
    assert np.abs(found[0] - found[3]).max() > 1e-3  # the same scene under other targets
    state = sim.init(qpos[:, :99], variant=jnp.asarray(variant))
    np.testing.assert_allclose(state.qpos, qpos, atol=1e-6)
    path = sim.rollout(state, jnp.asarray(ctrl[:, :3], jnp.float32))
    np.testing.assert_array_equal(path.variant, np.repeat(variant[:, None], 3, 1))
    last = jax.tree.map(lambda x: x[3], state).replace(variant=None)
    alone = make_simulator(composed[2].actuated, "c").rollout(last, jnp.asarray(ctrl[3, :3], jnp.float32))
    np.testing.assert_array_equal(path.qpos[3], alone.qpos)


def test_what_a_scene_lacks_is_there_and_touches_nothing(humanoid):
    few, many = compose_all(humanoid, [room(chair()), room(chair(), chair(), at=[(0, 0), (2, 0)])])
    assert few.bodies == (25,) and many.bodies == (25, 26)
    model = few.actuated.model
    lacking = model.geom_bodyid == 26
    pairs = np.stack([model.pair_geom1, model.pair_geom2])
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    absent = lacking | [model.geom(i).name in PADDING for i in range(model.ngeom)]
    apart = np.linalg.norm(data.geom_xpos[absent][:, None] - data.geom_xpos[~absent][None], axis=-1)
    assert apart.min() > 900
    floor = model.pair_margin[(pairs == model.geom("floor").id).any(0) & absent[pairs].any(0)]
    assert len(floor) == 8 + 3 and np.all(floor == OFF)
    start = few.start(model.qpos0[:99])
    path = stepped(model, *start, np.zeros((60, 69)), 4)
    np.testing.assert_allclose(path[-1, 106:109], start[0][106:109], atol=1e-5)


@pytest.mark.parametrize("thing", [chair(), boulder(5)])
def test_padding_changes_nothing_bit_for_bit_even_upside_down(humanoid, thing):
    scene = room(thing, at=[(0.0, 3.0, 0.7)])
    scene.poses[0, 3:] = 0.0, 1.0, 0.0, 0.0
    few, many = common_layout([scene]), common_layout([scene], pieces=11)
    assert (few.pieces, many.pieces) == (8, 11)
    paths = []
    for layout in (few, many):
        composed = compose(humanoid, scene, layout)
        model = composed.actuated.model
        paths.append(stepped(model, *composed.start(model.qpos0[:99]), np.zeros((40, 69)), 4))
    np.testing.assert_array_equal(*paths)
    assert paths[0][-1, 101] < 0.6  # it fell on its back


def test_an_object_rests_where_it_stood_and_weighs_what_it_weighs(humanoid):
    for scene in (room(chair()), room(boulder(3), chair(), at=[(3, 0), (0, 0)])):
        model = objects_alone(scene, 1 / 240)
        data = mujoco.MjData(model)
        mujoco.mj_step(model, data, 240)
        body = model.body("object0" if len(scene.objects) == 1 else "object1").id
        assert model.body_mass[body] == pytest.approx(6.0)
        np.testing.assert_allclose(data.xpos[body], [0, 0, 0], atol=2e-3)
        mass = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, mass)
        com = scene.objects[-1].com
        own = mass[-6:, -6:][3:, 3:]  # about the object's origin, its axes
        expected = scene.objects[-1].inertia + 6.0 * (com @ com * np.eye(3) - np.outer(com, com))
        np.testing.assert_allclose(own, expected, atol=1e-6)


def test_objects_have_their_inertia_and_pairs_the_mean_of_their_frictions(humanoid):
    things = (dataclasses.replace(chair(legs=3), friction=np.array(0.2)), boulder(0))
    composed = compose(humanoid, room(*things, at=[(3, 0), (6, 0)]))
    model, friction = composed.actuated.model, dict(zip(composed.bodies, (0.2, 0.8), strict=True))
    assert np.abs(things[0].inertia[0, 1]) > 1e-3
    for body, thing in zip(composed.bodies, things, strict=True):
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, model.body_iquat[body])
        turn = turn.reshape(3, 3)
        np.testing.assert_allclose(turn @ np.diag(model.body_inertia[body]) @ turn.T, thing.inertia, atol=1e-6)
    data = mujoco.MjData(model)
    data.qpos[99:102], data.qpos[106:109] = (0.0, 0.0, -0.3), (0.2, 0.0, -0.2)  # in the body, the floor and each other
    mujoco.mj_kinematics(model, data)
    mujoco.mj_collision(model, data)
    found = set()
    for contact in data.contact:
        own = [friction[b] for b in model.geom_bodyid[contact.geom] if b in friction]
        if own:  # floor and body take that of the object
            np.testing.assert_allclose(contact.friction, [np.mean(own)] * 2 + [0.005] + [0.0001] * 2)
            found.add((len(own), round(float(np.mean(own)), 3)))
    assert {(1, 0.2), (1, 0.8), (2, 0.5)} <= found


def test_what_does_not_fit_is_refused(humanoid):
    layout = common_layout([room(chair())])
    assert layout == Layout(free=1, fixed=0, pieces=8, boxes=True, corners=0)
    with pytest.raises(ValueError, match="expected at most 1 free and 0 fixed objects of 8 pieces, found 2 and 0 of 8"):
        compose(humanoid, room(chair(), chair()), layout)
    with pytest.raises(ValueError, match="expected boxes, as the layout's other scenes have"):
        compose(humanoid, room(boulder(0)), Layout(1, 0, 8, True, 0))
    with pytest.raises(ValueError, match=r"poses: expected \(1, 7\) of a scene's objects, found \(3, 1, 7\)"):
        common_layout([room(chair()).replace(poses=np.zeros((3, 1, 7)))])
    with pytest.raises(ValueError, match="scenes: expected at least one"):
        common_layout([])
    models = [compose(humanoid, room(*things)).actuated for things in ([chair()], [chair(), chair()])]
    with pytest.raises(ValueError, match=r"expected models of one layout, found nq 106 and, of number 1, 113"):
        make_simulator(models[0], "c", variants=[m.model for m in models])


@pytest.mark.slow
def test_mjx_runs_other_boxes_in_each_environment(humanoid):
    """Chairs whose seats have other heights and sizes settle where C MuJoCo has them."""
    scenes = [room(chair(0.45), at=[(0.6, 0, 0.002)]), room(chair(0.3, 0.15, back=True), at=[(0.6, 0, 0.002)])]
    composed = compose_all(humanoid, scenes, contacts="feet", self_contacts=False)
    models = [c.actuated.model for c in composed]
    paths = []
    for engine in ("c", "jax"):
        sim = make_simulator(composed[0].actuated, engine, variants=models)
        state = sim.init(np.tile(models[0].qpos0[:99], (2, 1)), variant=np.array([1, 0]))
        step = jax.jit(sim.advance)
        for _ in range(15):
            state = step(state, jnp.zeros((2, 69)))
        paths.append(np.asarray(state.qpos))
    assert paths[0][0, 99 + 2] == pytest.approx(paths[0][1, 99 + 2], abs=2e-3)
    np.testing.assert_allclose(paths[1], paths[0], atol=2e-3)
