"""Where the body meets a surface."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import mjxhuman
from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.physics.analysis import analyse, servo_torques
from mjxhuman.physics.anatomy import Contacts, make_anatomy
from mjxhuman.physics.contact import Cones
from mjxhuman.physics.contact_points import Touch, bearing, body_kinematics, contact_points
from mjxhuman.physics.load_sharing import MEETING, oppose_feet
from mjxhuman.physics.motion import humanoid_tree
from mjxhuman.scenes import Plane
from mjxhuman.scenes.surface import FRICTION

pytestmark = pytest.mark.compiled


def test_spheres_meet_a_slope_where_they_meet_the_floor_of_a_turned_world(humanoid, x64):
    """All 35 candidates, thick ones too, of bodies in every attitude, at any speed."""
    rng = np.random.default_rng(0)
    tree, params = humanoid_tree(humanoid, np.dtype(np.float64))
    anatomy, numbers = make_anatomy(humanoid, np.dtype(np.float64))
    turn = Rotation.from_rotvec([0.4, -0.3, 0.2])
    qpos = np.tile(humanoid.model.qpos0, (4, 1))
    pose = Rotation.random(4, random_state=0)
    qvel = rng.normal(size=(4, humanoid.nv))
    height = 0.3

    @jax.jit
    def touch(surface, q, v):
        found = contact_points(body_kinematics(tree, params, q, v), anatomy, numbers, surface)
        return found, bearing(found, q[:3]).price

    def placed(turn):
        q, v = qpos.copy(), qvel.copy()
        q[:, :3], v[:, :3] = turn.apply([0.0, 0.0, 1.0]), turn.apply(qvel[:, :3])  # the rest are body axes
        q[:, 3:7] = (turn * pose).as_quat(scalar_first=True)
        return jnp.asarray(q.T), jnp.asarray(v.T)

    level, level_price = touch(Plane(np.array([0.0, 0.0, height])), *placed(Rotation.identity()))
    slope, slope_price = touch(Plane(height * turn.apply([0, 0, 1]), turn.apply([0, 0, 1])), *placed(turn))
    matrix = turn.as_matrix()
    np.testing.assert_allclose(slope.distance, level.distance, atol=1e-12)
    np.testing.assert_allclose(slope.point, np.einsum("ij,pjn->pin", matrix, level.point), atol=1e-12)
    np.testing.assert_allclose(slope.velocity, np.einsum("ij,pjn->pin", matrix, level.velocity), atol=1e-12)
    np.testing.assert_allclose(slope_price, level_price, rtol=1e-9)
    np.testing.assert_allclose(level.distance, level.point[:, 2] - height, atol=1e-12)


def _standing(load, lean, rng):
    """Feet 0.6 m apart in x, 8 points each, forces of a random walk's double support, up to friction."""
    anatomy = Contacts(
        contact_bodies=(0,) * 17, contact_groups=(0,) * 8 + (1,) * 8 + (2,), group_names=("L", "R", "hand")
    )
    point = rng.uniform(-0.1, 0.1, (17, 3, 1)) * [[1], [0.5], [0.05]]
    point[:8, 0], point[8:16, 0] = point[:8, 0] + 0.4, point[8:16, 0] - 0.2
    normal = rng.uniform(0.02, 0.2, (17, 1))
    normal[:8] *= load / normal[:8].sum()
    normal[8:16] *= (1 - load) / normal[8:16].sum()
    force = np.stack([lean * normal, 0.05 * normal, normal], 1)
    return (
        anatomy,
        Touch(jnp.asarray(point), jnp.zeros((17, 3, 1)), jnp.zeros((17, 3, 1)), jnp.zeros((17, 1)), Cones()),
        jnp.asarray(force),
    )


@pytest.mark.parametrize("load", [0.5, 0.2, 0.01])
def test_feet_push_against_each_other_without_changing_what_moves_the_body(load, x64):
    anatomy, touch, force = _standing(load, 0.03, np.random.default_rng(1))
    com = np.array([[0.1], [0.0], [0.9]])
    changed = np.asarray(oppose_feet(anatomy, touch, force, com, None))
    np.testing.assert_allclose(changed.sum(0), force.sum(0), atol=1e-12)
    moment = lambda f: np.cross(touch.point[..., 0], f[..., 0]).sum(0)  # noqa: E731
    np.testing.assert_allclose(moment(changed), moment(force), atol=1e-12)
    np.testing.assert_array_equal(changed[16], force[16])  # a hand has no part in it
    assert (np.hypot(changed[:, 0], changed[:, 1]) <= FRICTION * changed[:, 2] + 1e-9).all()
    # the lines of force meet 0.2 m above the centre of mass, but for what feet close together may not push
    foot = [changed[:8].sum(0)[:, 0], changed[8:16].sum(0)[:, 0]]
    centre = [np.sum(touch.point[f] * changed[f, 2:], 0)[:, 0] / changed[f, 2].sum() for f in (slice(8), slice(8, 16))]
    slope = [f[0] / f[2] for f in foot]
    meet = (centre[0][0] - centre[1][0]) / (slope[1] - slope[0])
    assert meet == pytest.approx(0.9 + MEETING, rel=0.02)
    # the less a foot carries the less it pushes
    assert np.abs(changed - force).sum() < 2.0 * load


def test_one_foot_on_the_floor_pushes_as_before(x64):
    anatomy, touch, force = _standing(0.5, 0.1, np.random.default_rng(2))
    force = force.at[:8].set(0.0)
    com = np.array([[-0.1], [0.0], [0.9]])
    np.testing.assert_allclose(oppose_feet(anatomy, touch, force, com, None), force, atol=2e-6)


def test_feet_do_not_push_harder_than_friction_lets_them(x64):
    """Feet 3 m apart would have to slide to push towards one point."""
    anatomy, touch, force = _standing(0.5, 0.0, np.random.default_rng(3))
    point = touch.point + np.where(np.arange(17) < 8, 2.5, 0.0)[:, None, None] * np.array([[1.0], [0.0], [0.0]])
    com = np.array([[1.3], [0.0], [0.5]])
    changed = np.asarray(oppose_feet(anatomy, touch._replace(point=point), force, com, None))
    ratio = np.hypot(changed[:16, 0], changed[:16, 1]) / changed[:16, 2]
    assert ratio.max() == pytest.approx(FRICTION, abs=1e-6)
    grown = jax.grad(lambda c: oppose_feet(anatomy, touch, jnp.asarray(force), c, None)[3, 0, 0])(jnp.asarray(com))
    assert np.isfinite(grown).all() and grown[2, 0] != 0


def test_servos_do_not_press_the_feet_apart_as_people_do():
    """They supply what ``analyse`` finds, but for legs in double support, where people's feet push."""
    clip = load_builtin_clip("walk")
    motion = mjxhuman.motion_from_qpos(mjxhuman.load_humanoid("smpl"), np.asarray(clip.qpos)[:60], clip.fps)
    servos = servo_torques(motion).reshape(60, -1, 3)
    found = analyse(motion)
    apart = np.linalg.norm(servos - np.asarray(found.joint_torque)[:, 2:], axis=-1)
    legs = [name.endswith(("Hip", "Knee", "Ankle", "Toe")) for name in motion.humanoid.body_names[2:]]
    assert apart[:, ~np.array(legs)].max() < 0.05
    load = np.asarray(found.grf)[:, :2, 2]
    both = load.min(1) > 0.2 * motion.humanoid.weight
    alone = load.min(1) < 5e-3 * motion.humanoid.weight
    assert both.sum() > 3 and alone.sum() > 3
    assert apart[both].max(1).min() > 20.0 and apart[alone].max() < 2.0
