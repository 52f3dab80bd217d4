"""Epochs along the gradient of the reward, on a flow of two blobs in the plane."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blobs import OPTIONS, PROMPTS, right, trained

from mjxhuman.generators.evaluate import HeldOut
from mjxhuman.generators.gradient import RewardGradient
from mjxhuman.generators.objectives.reward_gradient import GradientConfig
from mjxhuman.generators.rewards import NothingValidError

pytestmark = pytest.mark.compiled

FEW = dataclasses.replace(OPTIONS, rate=2e-3)


def graded(points):
    return jax.nn.sigmoid(4.0 * points[:, 0]), jnp.ones(len(points), bool)


def amount(points):
    return jnp.sqrt(jnp.sum(jnp.square(points), 1) + 1e-9)


@dataclasses.dataclass(frozen=True, eq=False)
class Slope:
    """Of the reward of being far to the right, or of another one."""

    graded: object

    def __call__(self, points, prompts):
        return right(points, prompts)


def training(reward=graded, options=FEW, **changes):
    options = dataclasses.replace(options, gradient=GradientConfig(**changes))
    return RewardGradient(trained(), PROMPTS, Slope(reward), options, amount=amount)


def test_samples_move_to_where_the_reward_is():
    run = training(kl_weight=0.02)
    state, logs = run.init(), []
    for _ in range(30):
        state, log = run.epoch(state)
        logs.append(log)
    held = HeldOut(run, ["anything"], 256)
    before, after = held.measure(None), held.measure(state.average)
    assert after["total"] > before["total"] + 0.2 and after["valid"] == 1.0
    assert int(state.updates) == 60 and int(state.epoch) == 30  # a step for each of two micro-batches
    assert np.mean([x["reward"] for x in logs[-5:]]) > np.mean([x["reward"] for x in logs[:5]]) + 0.1
    assert logs[0]["prompts"] == 2 and logs[0]["not_finite"] == 0 == logs[0]["invalid"]


def test_a_step_goes_up_the_reward_and_not_far_from_the_base():
    """The slope of the adapter is that of the objective, written down once more through all steps of the sampler."""
    run = training(kl_weight=0.3, last=6)
    state, keys = run.init(), run.keys(0)[0][:32]
    moved = jax.tree.map(lambda x: x + 0.05, state.current)
    seen = {}
    run.stepped = lambda state, slope: (seen.update(slope=slope), (state, {}))[1]
    run._stepped(state._replace(current=moved), keys, run.generator.condition(["anything"] * 32))

    def objective(adapter):
        x0, base = (run.generator.rollout(run.generator.params, a, keys, None).latents for a in (adapter, None))
        return jnp.mean(0.3 * jnp.mean(jnp.square(x0 - base), 1) - jax.nn.sigmoid(4.0 * x0[:, 0]))

    for a, b in zip(jax.tree.leaves(seen["slope"]), jax.tree.leaves(jax.grad(objective)(moved)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_samples_without_a_reward_or_a_finite_slope_have_no_part():
    """Refused ones, those that are not a number, and those whose slope is not: the step is that of the others."""

    def spoilt(points):
        worth, valid = graded(points)
        first = jnp.arange(len(points)) == 0
        second = jnp.arange(len(points)) == 1
        worth = jnp.where(second, worth + 0.0 * jnp.sqrt(jnp.where(second, 0.0 * points[:, 0], 1.0)), worth)
        return jnp.where(first, jnp.nan, worth), valid & (jnp.arange(len(points)) != 2)

    def without(points):
        worth, _ = graded(points)
        return jnp.where(jnp.arange(len(points)) == 1, jax.lax.stop_gradient(worth), worth), jnp.arange(len(points)) > 2

    one, log = training(spoilt, kl_weight=0.0).epoch(training().init())
    other, same = training(without, kl_weight=0.0).epoch(training().init())
    assert log["invalid"] == 2 / 32 and log["not_finite"] == 1 / 32 and same["invalid"] == 3 / 32
    moved = jax.tree.leaves(one.current.weights)
    assert all(np.isfinite(np.asarray(x)).all() for x in moved)
    for a, b in zip(moved, jax.tree.leaves(other.current.weights), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)  # the mean is over 30 samples here and over 29 there
    none = training(lambda points: (jnp.full(len(points), jnp.nan), jnp.ones(len(points), bool)))
    with pytest.raises(NothingValidError, match="found none"):
        none.epoch(none.init())


def test_the_floor_holds_motion_here_too():
    def still(points):
        return jnp.exp(-amount(points)), jnp.ones(len(points), bool)

    def moved(floor):
        run = training(still, dataclasses.replace(FEW, motion_floor=floor), kl_weight=0.0)
        state, log = run.init(), {}
        for _ in range(25):
            state, log = run.epoch(state)
        return HeldOut(run, ["anything"], 256).measure(state.average)["motion"], log

    (bare, _), (guarded, log) = moved(0.0), moved(0.9)
    assert bare < 0.7 and guarded > 0.8
    assert log["reward/unfloored"] >= log["reward"] and log["reward/motion"] > 0.8


def test_options_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="expected last >= 1 and kl_weight >= 0, found 0 and"):
        GradientConfig(last=0)
    with pytest.raises(ValueError, match="reward: expected one with graded, to be differentiated, found <function"):
        RewardGradient(trained(), PROMPTS, right, FEW).init()
