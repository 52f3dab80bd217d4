"""What touches what, against loops over all points, pieces and samples; distances against those of scenes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from box_chair import SEAT, chair, scene_of

import mjxhuman
from mjxhuman.alignment import seated
from mjxhuman.alignment.align import case_of, problem_of
from mjxhuman.alignment.look import _below, look
from mjxhuman.alignment.near import depth, distances
from mjxhuman.alignment.problem import stack, tiles_of
from mjxhuman.alignment.solve import _legs, start_of
from mjxhuman.scenes.sdf import by_object

SCENE = scene_of(chair(), at=[(-0.03, 0.0)])
SUNK = np.array([[-0.05, 0.02, -0.06]])


@pytest.fixture(scope="module")
def case():
    return case_of(seated(mjxhuman.load_humanoid(), SEAT), SCENE, [("Pelvis", "chair")])


@pytest.fixture(scope="module")
def problem(case):
    return jax.tree.map(lambda x: x[0], stack([problem_of(case)]))


LOOK = jax.jit(look, static_argnums=1)


@pytest.mark.parametrize("shift", [SUNK[0], [0.02, 0.0, -0.003], [0.25, 0.2, -0.12]], ids=["deep", "shallow", "corner"])
def test_tiles_are_pushed_out_of_the_side_that_their_part_is_least_far_behind(case, problem, shift):
    part = tiles_of(case.skin).part
    shift = np.asarray(shift)
    unknowns = start_of(problem) | {"person": jnp.asarray(shift[None], jnp.float32)}
    found = LOOK(problem, tuple(part.tolist()), unknowns)
    points = np.swapaxes(np.asarray(problem.points, float)[0], 1, 2) + shift  # (J, N, 3)
    best = np.zeros(len(part))
    for p in np.unique(part):
        for faces in np.asarray(problem.planes, float):
            height = points[part == p] @ faces[:, :3].T - (faces[:, 3] + faces[:, :3] @ SCENE.poses[0, :3])
            wrong = faces[:, :3] @ problem.sat[0, 0] > 0.5
            if problem.held[p, 0]:
                wrong |= faces[:, :3] @ problem.side[0, p] > 0.5
            face = np.where(wrong, -np.inf, height.min((0, 1))).argmax()
            bounds = faces[:, :3] @ faces[face, :3] >= -0.5
            inside = (height[..., bounds] < 0).all(-1)
            best[part == p] = np.maximum(best[part == p], np.where(inside, -height[..., face], 0).max(1))
    assert (best > 0.001).sum() > 1
    place = np.asarray(problem.poses[0, :3], float)
    own = np.sum(found.face[0, :, :3] * (found.deep[0] + shift - place), -1) - found.face[0, :, 3]
    np.testing.assert_allclose(np.where(found.inside[0] > 0, -own, 0), best, atol=1e-5)
    np.testing.assert_allclose(found.low[0, :, 2], problem.points[0, :, 2].min(-1), atol=1e-6)


def test_samples_below_points_are_those_whose_normal_is_nearest(problem):
    x = np.random.default_rng(0).normal(0, 0.2, (1, 1, 5, 3)) + np.asarray(problem.partner_points)[0].mean(0)
    across, along, sample = (np.asarray(y)[0, 0] for y in _below(jnp.asarray(x), problem))
    apart = x[0, 0, :, None] - np.asarray(problem.partner_points)[0]
    up = np.sum(apart * problem.partner_normals[0], -1)
    square = np.sum(apart**2, -1) - up**2
    np.testing.assert_allclose(across, square.min(1), atol=1e-6)
    np.testing.assert_allclose(along, up[np.arange(5), sample], atol=1e-6)
    np.testing.assert_allclose(square[np.arange(5), sample], square.min(1), atol=1e-6)


def test_distances_and_depth_are_those_of_scenes(case):
    points = case.points + SUNK
    thing, pose = SCENE.objects[0], SCENE.poses[0]
    with jax.enable_x64(True):
        distance, normal = (np.asarray(x)[:, 0] for x in by_object(SCENE, points))
    found = distances(thing, pose, points)
    np.testing.assert_allclose(found[0], distance, atol=1e-12)
    np.testing.assert_allclose(found[1], normal, atol=1e-9)
    assert depth(thing, pose, points) == pytest.approx(-distance.min(), abs=1e-12) and distance.min() < -0.01
    assert depth(thing, pose, points + [0.0, 0.0, 1.0]) == 0.0


def test_soles_that_stand_pay_for_their_height_and_those_in_the_air_do_not(case, problem):
    low = np.asarray(problem.points)[:, :, 2].min(-1) + 0.02  # 2 cm over the floor
    none = jnp.zeros((1, 2, 4))
    sole = np.asarray(_legs(problem, none, jnp.asarray(low))[0])
    feet = [low[0, problem.limb == limb].min() for limb in (3, 6)]
    np.testing.assert_allclose(sole[0], feet / np.sqrt(1 + (np.array(feet) / 0.03) ** 2) / 0.01, rtol=1e-5)
    up = problem.replace(stands=np.array([[False, True]]))
    lifted = np.asarray(_legs(up, none, jnp.asarray(low))[0])
    assert lifted[0, 0] == 0 and lifted[0, 1] == sole[0, 1]
