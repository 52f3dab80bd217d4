"""The least-squares solver: derivative, recovery, padding, one program for all lengths."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from synthetic_sources import moving_pose, rotation_error

from mjxhuman.math import quaternion
from mjxhuman.retarget import optimize
from mjxhuman.retarget.chain import BODIES, chain_of, forward_clip


@pytest.fixture(scope="module")
def chain(humanoid):
    return chain_of(humanoid)


def make_problem(chain, frames: int, spread: float = 0.15) -> tuple[optimize.Problem, np.ndarray, np.ndarray]:
    """All 22 joints as points, starting from the true pose turned by ``spread`` rad at every joint."""
    rng = np.random.default_rng(3)
    root, local = moving_pose(chain, frames)
    pos, quat = forward_clip(chain, root, local)
    noise = rng.normal(0.0, spread, (frames, 22, 3))
    length = np.linalg.norm(noise, axis=-1, keepdims=True)
    turn = np.concatenate([np.cos(length / 2), np.sin(length / 2) * noise / length], -1)
    problem = optimize.Problem(
        chain=chain, body=np.arange(22), point=np.zeros((22, 3)), target=pos[:, :22],
        weight=np.full((frames, 22), 100.0), origin=root + rng.normal(0.0, 0.05, root.shape),
        base=quaternion.multiply(local, turn), reference=quat[:, :22], reference_weight=np.full((22, 3), 2.0),
        reference_is_local=np.zeros(22, bool),
    )  # fmt: skip
    return problem, root, local


@pytest.mark.parametrize("is_local", [False, True])
def test_the_derivative_is_that_of_the_residual(chain, x64, is_local):
    problem, _, _ = make_problem(chain, 3)
    problem = dataclasses.replace(problem, reference_is_local=np.full(22, is_local))
    target = problem.target - problem.origin[:, None]
    frame = optimize.Frame(*(jnp.asarray(x[1]) for x in (problem.base, target, problem.weight, problem.reference)))
    shared = optimize._shared(problem, 0)
    for scale in (0.0, 0.3):
        y = jnp.asarray(np.random.default_rng(0).normal(0.0, scale, 69))
        own = jax.jacfwd(lambda y: optimize._residual(y, frame, shared))(y)
        automatic = jax.jacfwd(lambda y: optimize._evaluate(y, frame, shared)[0])(y)
        np.testing.assert_allclose(own, automatic, atol=1e-10 * np.abs(automatic).max())


def test_recovers_a_known_pose(chain):
    problem, root, local = make_problem(chain, 40)
    poses = optimize.solve(problem)
    assert poses.steps.max() < optimize.MAX_STEPS
    np.testing.assert_allclose(poses.root, root, atol=1e-5)
    assert rotation_error(poses.local, local).max() < 0.01


def test_padding_changes_nothing_and_no_length_compiles_anew(chain):
    problem, _, _ = make_problem(chain, 150)
    whole = optimize.solve(problem)
    programs = optimize._solve_block._cache_size()
    for frames in (1, 7, 128, 149):
        part = optimize.solve(problem.frames(np.arange(frames)))
        np.testing.assert_allclose(part.local, whole.local[:frames], atol=1e-12)
        np.testing.assert_allclose(part.root, whole.root[:frames], atol=1e-12)
    assert optimize._solve_block._cache_size() == programs


def test_points_without_weight_do_not_matter(chain):
    problem, root, _ = make_problem(chain, 10)
    weight = problem.weight.copy()
    weight[:, [4, 20]] = 0.0
    target = problem.target.copy()
    target[:, [4, 20]] = 1e3
    poses = optimize.solve(dataclasses.replace(problem, weight=weight, target=target))
    np.testing.assert_allclose(poses.root, root, atol=1e-4)


def test_a_straight_knee_does_not_bend_backwards(chain):
    """The target of the ankle lies in front of the straight leg's: the range keeps the knee from taking it up."""
    problem, _, local = make_problem(chain, 3, spread=1e-3)
    weight = np.zeros_like(problem.weight)
    weight[:, [0, 1, 7]] = 100.0
    target = problem.target.copy()
    forward = quaternion.rotate(local[:, 0], np.array([0.0, 0.0, 1.0]))
    target[:, 7] += 0.10 * forward
    held = np.full((22, 3), 50.0)
    held[[BODIES.index("L_Knee")]] = 0.1
    problem = dataclasses.replace(problem, weight=weight, target=target, reference_weight=held)
    knee = optimize.solve(problem).local[:, BODIES.index("L_Knee")]
    assert np.rad2deg(2 * np.arcsin(knee[:, 1] * np.sign(knee[:, 0]))).min() > -9.0


def test_no_frames_is_an_error(chain):
    problem, _, _ = make_problem(chain, 3)
    with pytest.raises(ValueError, match="at least one frame"):
        optimize.solve(problem.frames(np.arange(0)))
