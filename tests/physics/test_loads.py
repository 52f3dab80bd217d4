"""Contact forces of recorded states against MuJoCo's own."""

from __future__ import annotations

import copy

import mujoco
import numpy as np
import pytest
from scenes.furniture import boulder, chair, room

from mjxhuman.physics.loads import NEAR, contact_forces, scene_loads
from mjxhuman.scenes.compose import compose


@pytest.fixture(scope="module")
def fallen(humanoid):
    """A body that fell over a chair and a stone: scene and states under zero targets, (T, .)."""
    composed = compose(humanoid, room(boulder(0), chair(0.4), at=[(-0.2, 0), (0.45, 0)]))
    model = composed.actuated.model
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = composed.start(model.qpos0[:99])
    data.qvel[0], path = 2.5, []
    for _ in range(50):
        mujoco.mj_step(model, data, 4)
        path.append((data.qpos.copy(), data.qvel.copy()))
    qpos, qvel = map(np.array, zip(*path, strict=True))
    return composed, qpos, qvel, np.zeros((50, 69))


def test_forces_are_those_of_mj_contact_force(fallen):
    composed, qpos, qvel, ctrl = fallen
    model = copy.copy(composed.actuated.model)
    model.opt.iterations = 50
    loads = scene_loads(composed, qpos, qvel, ctrl)
    data, touched = mujoco.MjData(model), set()
    expected = np.zeros((50, 24, 2, 3))
    for frame in range(50):
        data.qpos[:], data.qvel[:] = qpos[frame], qvel[frame]
        mujoco.mj_forward(model, data)
        found, pressed = contact_forces(model, data)
        for i, contact in enumerate(data.contact):
            force = np.zeros(6)
            mujoco.mj_contactForce(model, data, i, force)
            world = contact.frame.reshape(3, 3).T @ force[:3]
            np.testing.assert_allclose(found[i], world, atol=1e-9)
            assert pressed[i] == pytest.approx(force[0], abs=1e-9)
            a, b = model.geom_bodyid[contact.geom]
            for body, other, sign in ((a, b, -1), (b, a, 1)):
                if 1 <= body <= 24 and other > 24:
                    expected[frame, body - 1, composed.bodies.index(other)] += sign * world
                    touched.add(int(other))
    assert touched == set(composed.bodies)
    np.testing.assert_allclose(loads.objects, expected, atol=1e-9)
    assert loads.normal.max() > 50 and np.all(loads.normal >= 0)
    assert loads.distance[loads.normal > 1].max() < 0
    apart = loads.distance[np.isfinite(loads.distance) & (loads.normal == 0)]
    assert 0.02 < apart.max() <= NEAR


def test_what_is_near_is_found_as_far_as_it_is_said(fallen):
    composed, qpos, qvel, ctrl = fallen
    model, some = composed.actuated.model, slice(0, 50, 3)
    found = scene_loads(composed, qpos[some], qvel[some], ctrl[some]).distance
    data = mujoco.MjData(model)
    skin, pieces = np.flatnonzero(model.geom_contype), np.flatnonzero(model.geom_conaffinity)
    expected = np.full(found.shape, np.inf)
    for frame, state in enumerate(qpos[some]):
        data.qpos[:] = state
        mujoco.mj_kinematics(model, data)
        for a in skin:
            for b in pieces:
                away = mujoco.mj_geomDistance(model, data, a, b, NEAR, None)
                at = frame, model.geom_bodyid[a] - 1, composed.bodies.index(model.geom_bodyid[b])
                expected[at] = min(expected[at], away if away < NEAR else np.inf)
    clear = np.abs(expected - NEAR) > 1e-4
    np.testing.assert_array_equal(np.isfinite(found)[clear], np.isfinite(expected)[clear])
    apart = np.isfinite(expected) & (expected > 1e-3)
    assert apart.sum() > 20
    np.testing.assert_allclose(found[apart], expected[apart], atol=1e-4)


def test_a_body_at_rest_is_carried_by_its_weight(humanoid):
    composed = compose(humanoid, room(chair(), at=[(3, 0)]))
    model = composed.actuated.model
    data = mujoco.MjData(model)
    data.qpos[:], _ = composed.start(model.qpos0[:99])
    mujoco.mj_step(model, data, 40)
    loads = scene_loads(composed, data.qpos[None], data.qvel[None], data.ctrl[None])
    weight = 9.81 * humanoid.mass
    np.testing.assert_allclose(loads.floor.sum((0, 1))[2], weight, rtol=0.1)
    assert loads.squeeze[0] == pytest.approx(weight, rel=0.1)
    assert not loads.objects.any()
    broken = scene_loads(composed, np.full((1, model.nq), np.nan), data.qvel[None], data.ctrl[None])
    assert not broken.floor.any()
