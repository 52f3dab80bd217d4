"""What the feasibility reward must say about motions whose answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxhuman
from mjxhuman.rewards import dynamic, feasibility
from mjxhuman.rewards.score import ERROR_UNITS, score
from mjxhuman.scenes import Plane

pytestmark = pytest.mark.compiled


def test_standing_still_is_feasible(motion, standing):
    s = score(motion(standing))
    assert s.valid and s.reason == ""
    assert s.total > 0.98
    assert set(s.terms) >= set(ERROR_UNITS) and len(ERROR_UNITS) == 12
    for name in ERROR_UNITS:
        assert 0.97 < s.terms[name] <= 1.0, name
    assert s.terms["foot_slip_m_per_s"] < 1e-3
    assert s.terms["floating_bw"] < 0.02


def test_free_fall_needs_no_support(motion, falling):
    s = score(motion(falling))
    assert s.terms["floating"] > 0.99 and s.axes["contact"] > 0.97 and s.axes["dynamic"] > 0.97


def test_hovering_costs_the_whole_contact_axis(motion, standing):
    up = standing.copy()
    up[:, 2] += 0.5
    s = score(motion(up))
    assert s.axes["contact"] < 0.3 and s.axes["dynamic"] < 0.4
    assert s.terms["external_support"] > 0.95


@pytest.mark.parametrize("depth", [0.06, 0.15])
def test_sinking_lowers_contact_and_total(motion, standing, depth):
    down = standing.copy()
    down[:, 2] -= depth
    clean, s = score(motion(standing)), score(motion(down))
    assert s.terms["ground_penetration"] < 0.6
    assert s.total < clean.total - 0.1
    assert s.terms["ground_penetration_m"] == pytest.approx(depth, abs=0.005)


def test_sliding_is_measured_in_metres_per_second(motion, standing):
    slide = standing.copy()
    slide[:, 1] += 0.7 * np.arange(30) / 30
    s = score(motion(slide))
    assert s.terms["foot_slip_m_per_s"] == pytest.approx(0.7, rel=0.15)
    assert s.terms["floating"] > 0.97


def test_turning_and_shifting_the_world_changes_nothing(motion, standing):
    moved = standing.copy()
    moved[:, :2] += [3.0, -2.0]
    turn = np.array([np.cos(0.4), 0, 0, np.sin(0.4)])
    w, z = turn[0], turn[3]
    q = moved[:, 3:7]
    moved[:, 3:7] = np.stack(
        [w * q[:, 0] - z * q[:, 3], w * q[:, 1] - z * q[:, 2], w * q[:, 2] + z * q[:, 1], w * q[:, 3] + z * q[:, 0]], -1
    )
    a, b = standing.copy(), moved
    a[:, 2] += 0.04
    b[:, 2] += 0.04
    assert float(score(motion(b)).total) == pytest.approx(float(score(motion(a)).total), abs=1e-3)


def test_batches_equal_loops_and_padding_changes_nothing(humanoid, motion, standing, falling):
    both = score(mjxhuman.motion_from_qpos(humanoid, np.stack([standing, falling]), 30))
    assert both.total.shape == (2,) and both.reason == ("", "")
    for k, path in enumerate((standing, falling)):
        single = score(motion(path))
        assert float(single.total) == pytest.approx(float(both.total[k]), abs=1e-5)
        assert single.frames["foot_slip"].shape == (30,)
    # 30 and 200 frames land in different blocks and buckets
    long = np.concatenate([standing] * 7)[:200]
    assert float(score(motion(long)).total) == pytest.approx(float(score(motion(standing)).total), abs=1e-4)


def test_what_cannot_be_scored_says_why(motion, standing):
    s = score(motion(standing[:5]))
    assert not s.valid and "whole window" in s.reason and np.isnan(s.total)
    assert all(np.isnan(v) for v in s.terms.values())
    broken = standing.copy()
    broken[10] = np.nan
    s = score(motion(broken))
    assert s.valid, "one missing frame does not lose the rest"
    assert np.isnan(s.frames["total"][10])


def test_hard_scores_are_fractions(motion, standing):
    up = standing.copy()
    up[15:, 2] += 0.5
    s = score(motion(up), hard=True)
    assert 0.2 < s.terms["floating"] < 0.6
    assert set(np.unique(s.frames["floating"][~np.isnan(s.frames["floating"])])) <= {0.0, 1.0}


def test_unknown_reward_and_foreign_humanoid(motion, standing):
    with pytest.raises(ValueError, match="reward: expected one of feasibility, phymotion"):
        score(motion(standing), "nice")
    with pytest.raises(ValueError, match="humanoid: expected the motion's coordinates"):
        score(motion(standing), humanoid=mjxhuman.load_humanoid("smpl", layout="hinge"))


@pytest.mark.slow
def test_gradients_match_finite_differences(humanoid, standing):
    """Forward, reverse and finite differences of the total with respect to qpos, qvel and qacc."""
    from mjxhuman.physics.anatomy import make_anatomy
    from mjxhuman.physics.motion import humanoid_tree

    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        tree, params = humanoid_tree(humanoid, np.dtype(np.float64))
        anatomy, numbers = make_anatomy(humanoid, np.dtype(np.float64))
        q = standing[:4].T + rng.normal(size=(99, 4)) * 0.02
        q[2] += 0.035
        point = [jnp.asarray(q), jnp.asarray(rng.normal(size=(75, 4)) * 0.5), jnp.asarray(rng.normal(size=(75, 4)) * 2)]
        way = [jnp.asarray(rng.normal(size=x.shape)) for x in point]

        def value(*x):
            config = feasibility.Config()
            raw = feasibility.frame_errors(tree, anatomy, config, params, numbers, Plane(), *x)["errors"]
            return jnp.sum(
                feasibility.qualities({**raw, "leap": 0.0 * raw["power"], "flight": 0.0 * raw["power"]}, config)[
                    "total"
                ]
            )

        forward = jax.jit(lambda point, way: jax.jvp(value, point, way))
        grads = jax.jit(jax.grad(value, (0, 1, 2)))(*point)
        reverse = sum(float(jnp.sum(g * d)) for g, d in zip(grads, way, strict=True))
        h = 1e-6
        up, down = (forward([x + s * h * d for x, d in zip(point, way, strict=True)], way)[0] for s in (1, -1))
        slope = float(forward(point, way)[1])
        assert slope == pytest.approx(reverse, rel=1e-8)
        assert slope == pytest.approx(float(up - down) / (2 * h), rel=1e-4)


def test_gradients_are_finite_at_rest(humanoid, standing):
    """Identity rotations, zero velocity, touching contact: the singular points of every term."""

    def total(qpos, qvel, qacc):
        still = mjxhuman.motion_from_qpos(humanoid, standing, 30)
        return score(still.replace(qpos=qpos, qvel=qvel, qacc=qacc)).total

    m = mjxhuman.motion_from_qpos(humanoid, standing, 30)
    grads = jax.jit(jax.grad(total, (0, 1, 2)))(jnp.asarray(m.qpos), jnp.asarray(m.qvel), jnp.asarray(m.qacc))
    assert all(np.isfinite(g).all() for g in grads)


def test_overload_sums_what_exceeds_strength_and_leaves_the_root_out() -> None:
    ratio = np.array([[9.0, 9.0], [9.0, 9.0], [0.5, 1.0], [1.4, 0.9], [2.0, 1.1]])
    np.testing.assert_allclose(dynamic.overload(ratio), [1.4, 0.1], atol=1e-6)
