"""The least-squares solver: derivatives, recovery, independence of frames and of the start."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic_sources import moving_pose, rotation_error

from mjxhuman.math import quaternion
from mjxhuman.retarget import optimize, residuals
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
    point = rng.normal(0.0, 0.05, (22, 3))
    problem = optimize.Problem(
        chain=chain, body=np.arange(22), point=point, target=pos[:, :22] + quaternion.rotate(quat[:, :22], point),
        weight=np.full((frames, 22), 100.0), origin=root + rng.normal(0.0, 0.05, root.shape),
        base=quaternion.multiply(local, turn),
        residuals=(
            residuals.turned_residual(quat[:, :22], np.full((22, 3), 2.0)), residuals.ranges_residual(frames)
        ),
    )  # fmt: skip
    return problem, root, local


@pytest.mark.parametrize("kind", ["points", "turned", "neutral", "ranges"])
def test_a_block_is_what_automatic_differentiation_gives(chain, kind):
    problem, _, _ = make_problem(chain, 3, spread=0.5)
    listed = {r.value.__name__: r for r in (*problem.listed(), residuals.neutral_residual(3, np.full((22, 3), 2.0)))}
    assert np.abs(listed["points"].common[1]).max() > 0.01
    posed = residuals.PosedFrames(chain, problem.origin, problem.base)
    without = dataclasses.replace(listed["points"], weight=0.0 * problem.weight)
    plain = dataclasses.replace(listed[kind], block=None)
    own, automatic = (optimize.normal_equations(posed, [without, r]) for r in (listed[kind], plain))
    for a, b in zip(own, automatic, strict=True):
        a, b = (np.triu(x) if x.ndim == 3 else x for x in (a, b))
        assert np.abs(b).max() > 0.0
        np.testing.assert_allclose(a, b, atol=1e-9 * np.abs(b).max())


def test_recovers_a_known_pose(chain):
    problem, root, local = make_problem(chain, 40)
    poses = optimize.solve(problem)
    assert poses.steps.max() < optimize.MAX_STEPS
    np.testing.assert_allclose(poses.root, root, atol=1e-5)
    assert rotation_error(poses.local, local).max() < 0.01


def test_frames_do_not_see_each_other(chain):
    """Only the start comes from neighbours: it moves a solution by less than the tolerance."""
    problem, _, _ = make_problem(chain, 150)
    whole = optimize.solve(problem)
    for frames in (1, 7, 149):
        part = optimize.solve(problem.frames(np.arange(frames)))
        assert rotation_error(part.local, whole.local[:frames]).max() < 1e-4
        np.testing.assert_allclose(part.root, whole.root[:frames], atol=1e-6)


def test_the_start_does_not_move_the_solution(chain):
    problem, root, local = make_problem(chain, 20)
    near = dataclasses.replace(problem, origin=root, base=local)
    assert rotation_error(optimize.solve(problem).local, optimize.solve(near, warm=True).local).max() < 1e-4


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
    problem = dataclasses.replace(
        problem, weight=weight, target=target, point=np.zeros((22, 3)),
        residuals=(residuals.turned_residual(problem.residuals[0].rows, held), problem.residuals[1]),
    )  # fmt: skip
    knee = optimize.solve(problem).local[:, BODIES.index("L_Knee")]
    assert np.rad2deg(2 * np.arcsin(knee[:, 1] * np.sign(knee[:, 0]))).min() > -9.0


def test_no_frames_is_an_error(chain):
    problem, _, _ = make_problem(chain, 3)
    with pytest.raises(ValueError, match="at least one frame"):
        optimize.solve(problem.frames(np.arange(0)))
