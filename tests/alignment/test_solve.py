"""What the solver moves is what is handed back, and what each residual weighs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from box_chair import SEAT, chair, scene_of
from jax.flatten_util import ravel_pytree

import mjxhuman
from mjxhuman.alignment import seated, skin_of
from mjxhuman.alignment.align import _moved_scene, case_of, problem_of
from mjxhuman.alignment.look import SLACK, Pushes, _contacts, limbs, look, placed
from mjxhuman.alignment.problem import tiles_of
from mjxhuman.alignment.solve import (
    DRIFT,
    FLOOR,
    HANGING,
    OBJECT,
    PERSON,
    SLIDE,
    SOLE,
    _ahead,
    _Jacobian,
    residuals,
    start_of,
    starts_of,
)
from mjxhuman.math import quaternion

SCENE = scene_of(chair("chair"), chair("table", free=False), at=[(-0.03, 0.0), (2.0, 0.5)])


@pytest.fixture(scope="module")
def problem():
    """A clip of three frames in which the person sinks into the seat."""
    humanoid = mjxhuman.load_humanoid()
    qpos = np.array(seated(humanoid, SEAT).qpos)
    qpos[:, 2] -= [0.0, 0.01, 0.02]
    motion = mjxhuman.motion_from_qpos(humanoid, qpos, 30.0)
    return problem_of(case_of(motion, SCENE, [("Pelvis", "chair")]))


def test_objects_are_placed_where_the_scene_has_them_afterwards(problem):
    """Moved, turned and resized; one that is not free stays."""
    unknowns = {
        "object": np.array([[0.1, -0.2], [0.3, 0.3]]), "yaw": np.array([0.4, 0.5]), "scale": np.array([0.05, 0.1])
    }  # fmt: skip
    moved = np.asarray(unknowns["object"]) * [[1.0], [0.0]]
    scene = _moved_scene(SCENE, unknowns, moved)
    with jax.enable_x64(True):
        place, turn, size = (np.asarray(x) for x in placed(problem, unknowns))
    for i, thing in enumerate(scene.objects):
        own = size[i] * SCENE.objects[i].points @ turn[i].T + place[i]
        other = quaternion.rotate(scene.poses[i, 3:], thing.points) + scene.poses[i, :3]
        np.testing.assert_allclose(own, other, atol=1e-12)
    np.testing.assert_array_equal(scene.poses[1], SCENE.poses[1])
    assert quaternion.rotate(scene.poses[0, 3:], np.array([1.0, 0, 0]))[1] == pytest.approx(np.sin(0.4))


def test_the_slope_found_in_few_directions_is_that_in_all(problem):
    """Of every unknown: each residual belongs to the frame that it is said to."""
    given = jax.tree.map(jnp.asarray, problem)
    part = tuple(tiles_of(skin_of(mjxhuman.load_humanoid())).part.tolist())
    like = start_of(given, ("yaw", "scale", "legs"))
    key = jax.random.key(0)
    first, unravel = ravel_pytree(jax.tree.map(lambda x: 0.01 * jax.random.normal(key, x.shape), like))

    @jax.jit
    def both(x):
        pushes = look(given, part, unravel(x))
        _, pull = jax.linearize(lambda y: residuals(given, pushes, unravel(y)), x)
        return jax.vmap(pull)(jnp.eye(len(x))), _Jacobian(given, part, like)(pull)

    every, few = both(first)
    assert len(_Jacobian(given, part, like).directions) == 2 * (3 + 8) + 2 * 4 and len(every) == 3 * (3 + 8) + 2 * 4
    np.testing.assert_allclose(few, every, atol=1e-4 * np.abs(every).max())
    assert np.count_nonzero(every) > 200


def test_residuals_weigh_what_their_units_say(problem):
    @jax.jit
    def cost(change, active=problem.active, height=1.0):
        """Of what is moved, where nothing is pushed; partners as at the start."""
        given = jax.tree.map(jnp.asarray, problem).replace(active=active)
        zero = start_of(given)
        none = jnp.zeros(given.points.shape[:2])
        touch = _contacts(given, limbs(given, zero), *placed(given, zero))
        face, owner = jnp.zeros((*none.shape, 4)), none.astype(int)
        point = given.points[..., 0]
        high = point.at[..., 2].set(1.0).at[0, 0, 2].set(height)  # over the floor
        pushes = Pushes(deep=point, face=face, owner=owner, inside=none, low=high, **touch)
        return jnp.sum(jnp.square(residuals(given, pushes, jax.tree.map(jnp.add, zero, change))))

    with jax.enable_x64(True):
        stay, still = np.zeros((3, 3)), np.zeros((2, 2))
        rest = cost({"person": stay, "object": still})
        aside = OBJECT * np.array([[0.0, 0.0], [1.0, 0.0]])
        assert float(cost({"person": stay, "object": aside}) - rest) == pytest.approx(1.0)  # far from the person
        jump = np.zeros((3, 3))
        jump[1, 1] = 0.01  # m, of one frame, less than the slack: from the place seen, and from both neighbours
        drift = 0.01 / (DRIFT * float(problem.interval[1]))
        found = float(cost({"person": jump, "object": still}) - rest)
        assert found == pytest.approx((0.01 / PERSON) ** 2 + 2 * drift**2, rel=1e-6)
        far = np.tile([0.0, 1.0, 0.0], (3, 1))
        long = float(cost({"person": far, "object": still}) - rest) - 3 / PERSON**2
        assert long == pytest.approx(3 * ((1.0 - SLACK) / SLIDE) ** 2, rel=0.1)  # the middle has left the seat
        floor = float(cost({"person": stay, "object": still}, height=-0.02) - rest)
        assert floor == pytest.approx((0.02 / FLOOR) ** 2, rel=1e-6)  # no other height of it counts
        assert float(cost({"person": stay, "object": still}, height=0.02) - rest) == pytest.approx(0, abs=1e-9)
        let_go = np.zeros_like(problem.active)
        rise = np.tile([0.0, 0.0, 0.03], (3, 1))
        alone = (0.03 / SOLE) ** 2 / (1 + (0.03 / HANGING) ** 2)  # who rests on nothing stands where he stood
        assert float(cost({"person": rise, "object": still}, let_go)) == pytest.approx(
            3 * ((0.03 / PERSON) ** 2 + alone), rel=1e-6
        )


def test_who_may_turn_his_legs_is_tried_farther_forward_too(problem):
    """Ahead is where the pelvis faces while it touches the seat, level: +x in the first frame alone."""
    turns = np.array(problem.legs.turns)
    turns[1:] = quaternion.multiply(quaternion.about(np.array([0.0, 0.0, 1.0]), np.array([1.5]))[0], turns[1:])
    active = np.zeros_like(problem.active)
    active[0] = True
    given = problem.replace(legs=problem.legs.replace(turns=turns), active=active)
    np.testing.assert_allclose(_ahead(given, 0.2), [0.2, 0.0, 0.1], atol=1e-6)


def test_starts_do_not_depend_on_how_far_away_the_person_is(problem):
    """Two of them: over the middle of what may carry the pelvis, which is the seat, wherever the person comes from."""
    starts = np.asarray(starts_of(jax.tree.map(jnp.asarray, problem)))[6:]
    away = np.array([0.2, -0.15, 0.1])
    far = problem.replace(patch=np.asarray(problem.patch) + away)
    np.testing.assert_allclose(np.asarray(starts_of(jax.tree.map(jnp.asarray, far)))[6:], starts - away, atol=1e-5)
    active = np.asarray(problem.active)[:, 0]
    ends = starts[:, None] + np.asarray(problem.patch)[active, 0].mean((0, 1))
    np.testing.assert_allclose(ends[:, 0, 2], SEAT + np.array([0.03, 0.12]), atol=0.01)
    places = np.asarray(problem.partner_points)[0, :, :2].mean(0) + [-0.03, 0.0]
    np.testing.assert_allclose(ends[:, 0, :2], [places, places], atol=1e-5)
