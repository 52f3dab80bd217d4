"""Where the body meets a surface."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation

from mjxhuman.physics.anatomy import make_anatomy
from mjxhuman.physics.contact_dynamics import body_kinematics, contact_points, force_price
from mjxhuman.physics.motion import humanoid_tree
from mjxhuman.scenes import Plane


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
        return found, force_price(found)

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
