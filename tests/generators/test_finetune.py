"""Epochs of post-training, on a flow of two blobs in the plane whose reward is in the right one."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blobs import OPTIONS, PROMPTS, Blobs, Field, right, trained

from mjxhuman.generators.adapters import variables
from mjxhuman.generators.finetune import PostTraining
from mjxhuman.generators.rewards import NothingValidError, Rewards

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def blobs():
    return trained()


def share(run, adapter):
    points, _ = run.sample(adapter, ["anything"] * 256, jax.random.split(jax.random.key(99), 256))
    return float((points[:, 0] > 0).mean())


def test_samples_move_to_where_the_reward_is(blobs):
    run = PostTraining(blobs, PROMPTS, right, OPTIONS)
    state, logs = run.init(), []
    assert 0.35 < share(run, state.current) < 0.65
    for _ in range(30):
        state, log = run.epoch(state)
        logs.append(log)
    assert share(run, state.average) > 0.85
    assert np.mean([x["reward"] for x in logs[-5:]]) > np.mean([x["reward"] for x in logs[:5]]) + 0.2
    assert logs[-1]["adapter_norm"] > 0 and logs[0]["invalid"] == 0 and "reward/height" in logs[0]
    assert int(state.epoch) == 30 and int(state.updates) == 60
    assert logs[3]["policy/deviation"] > 1e-6  # old and current are two policies


def test_an_epoch_has_as_many_prompts_as_groups_and_none_again_before_all(blobs):
    run = PostTraining(blobs, PROMPTS, right, OPTIONS)
    epochs = [run.asked(i) for i in range(4)]
    for asked, group in epochs:
        assert len(set(asked)) == 2 and np.bincount(group).tolist() == [32, 32]
        assert len({(p, g) for p, g in zip(asked, group.tolist(), strict=True)}) == 2
    assert set(epochs[0][0]) | set(epochs[1][0]) == set(PROMPTS) == set(epochs[2][0]) | set(epochs[3][0])


def test_a_run_that_is_continued_is_the_one_that_was_not_stopped(blobs):
    def after(run, state, count):
        for _ in range(count):
            state, _ = run.epoch(state)
        return state

    run = PostTraining(blobs, PROMPTS, right, OPTIONS)
    whole = after(run, run.init(), 3)
    again = PostTraining(blobs, PROMPTS, right, OPTIONS)
    kept = jax.tree.map(np.asarray, after(again, again.init(), 1))  # as from a checkpoint
    parts = after(PostTraining(blobs, PROMPTS, right, OPTIONS), jax.tree.map(jnp.asarray, kept), 2)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_array_equal(a, b)
    other = after(PostTraining(blobs, PROMPTS, right, OPTIONS, seed=1), run.init(), 3)
    leaves = (jax.tree.leaves(s.current.weights) for s in (whole, other))
    assert any(np.abs(np.asarray(a) - np.asarray(b)).max() > 1e-5 for a, b in zip(*leaves, strict=True))


def test_levels_trained_on_are_those_that_samples_visit(blobs):
    seen = []

    class Watched(Blobs):
        def velocity(self, params, adapter, x, s, cond):
            jax.debug.callback(lambda s: seen.append(np.unique(np.asarray(s))), s)
            return Field().apply(variables(params, adapter), x, s)

    run = PostTraining(Watched(blobs.params), PROMPTS, right, dataclasses.replace(OPTIONS, levels=8))
    state = run.init()
    latents, cond = run.sample(state.old, run.asked(0)[0], jax.random.split(jax.random.key(0), 64))
    jax.effects_barrier()
    visited = np.unique(np.concatenate(seen))
    np.testing.assert_allclose(visited, np.sort(blobs.noise_levels[:-1]), rtol=1e-6)
    seen.clear()
    run._update(state, latents, cond, jnp.zeros(64), jnp.ones(64, bool), jax.random.key(1))
    jax.effects_barrier()
    np.testing.assert_array_equal(np.unique(np.concatenate(seen)), visited)


def test_what_is_invalid_has_no_part(blobs):
    """A NaN, and a sample that the reward refuses, change neither the others' advantages nor the gradient."""

    def run_with(rewards, spoil):
        class Spoilt(Blobs):
            def rollout(self, params, adapter, rng, cond):
                found = super().rollout(params, adapter, rng, cond)
                return found.replace(latents=found.latents.at[0].set(jnp.nan)) if spoil else found

        run = PostTraining(Spoilt(blobs.params), PROMPTS, rewards, OPTIONS)
        return run.epoch(run.init())

    def refused(value):
        def reward(points, prompts):
            found, use = right(points, prompts), np.ones(len(points), bool)
            use[0] = False  # the first of each micro-batch, which are the spoilt ones
            return Rewards(np.where(use, found.total, value), use)

        return reward

    (plain, log), (other, _), (spoilt, broken) = (
        run_with(refused(0.5), False), run_with(refused(np.nan), False), run_with(refused(9.0), True)
    )  # fmt: skip
    assert log["invalid"] == broken["invalid"] == 2 / 64 and np.isfinite(broken["gradient_norm"])
    for found in (other, spoilt):
        for a, b in zip(jax.tree.leaves(plain.current.weights), jax.tree.leaves(found.current.weights), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-7)


def test_equal_rewards_change_nothing_but_for_the_objective_at_rest(blobs):
    """With r = 1/2 everywhere and current = old the gradient is that of the KL term, which is 0 at the base."""
    run = PostTraining(blobs, PROMPTS, lambda x, p: Rewards(np.ones(len(x)), np.ones(len(x), bool)), OPTIONS)
    _, log = run.epoch(run.init())
    assert log["flat_groups"] == 2 and log["reward_spread"] == pytest.approx(0.0, abs=1e-6)
    assert log["policy/preference"] == pytest.approx(0.5)


def test_options_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"micro_batch: expected a divisor of the 64 samples of an epoch .*, found 48"):
        dataclasses.replace(OPTIONS, micro_batch=48)
    with pytest.raises(ValueError, match="levels: expected 1 or more, found 0"):
        dataclasses.replace(OPTIONS, levels=0)


def test_the_floor_keeps_motion_that_stillness_would_be_paid_for(blobs):
    """Points are paid for being near the middle, which is where nothing moves."""

    def still(points, prompts):
        return Rewards(np.exp(-np.linalg.norm(points, axis=1)), np.ones(len(points), bool))

    def amount(points):
        return np.linalg.norm(points, axis=1)

    def moved(floor):
        run = PostTraining(blobs, PROMPTS, still, dataclasses.replace(OPTIONS, motion_floor=floor), amount=amount)
        state, log = run.init(), {}
        for _ in range(25):
            state, log = run.epoch(state)
        keys = jax.random.split(jax.random.key(5), 256)
        new, base = (amount(run.sample(a, ["anything"] * 256, keys)[0]).mean() for a in (state.average, None))
        return new / base, log

    (bare, _), (guarded, log) = moved(0.0), moved(0.9)
    assert bare < 0.7 and guarded > 0.85
    assert log["reward/unfloored"] >= log["reward"] and log["reward/motion"] > 0.85
    with pytest.raises(ValueError, match="motion_floor: expected a measure of motion"):
        PostTraining(blobs, PROMPTS, still, dataclasses.replace(OPTIONS, motion_floor=0.9))


def test_samples_that_are_not_finite_are_invalid_whatever_the_reward_says(blobs):
    class Spoilt(Blobs):
        def rollout(self, params, adapter, rng, cond):
            found = super().rollout(params, adapter, rng, cond)
            return found.replace(latents=found.latents.at[0].set(jnp.nan))

    run = PostTraining(Spoilt(blobs.params), PROMPTS, right, OPTIONS)
    _, log = run.epoch(run.init())
    assert log["invalid"] == 2 / 64 and np.isfinite(log["gradient_norm"])  # the first of each micro-batch


def test_the_old_policy_samples(blobs, monkeypatch):
    run = PostTraining(blobs, PROMPTS, right, dataclasses.replace(OPTIONS, old=0.9))
    sample, sampled = run.sample, []
    monkeypatch.setattr(run, "sample", lambda adapter, *rest: (sampled.append(adapter), sample(adapter, *rest))[1])
    first, _ = run.epoch(run.init())
    run.epoch(first)
    assert sampled[-1] is first.old and sampled[-1] is not first.current
    b = [jax.tree.leaves(adapter.weights)[1] for adapter in (first.old, first.current)]
    np.testing.assert_allclose(b[0], 0.1 * b[1] + 0.9 * jax.tree.leaves(run.init().old.weights)[1], atol=1e-7)


def test_a_reward_that_raises_at_a_sample_spoils_no_other(blobs):
    """As if it had refused that one; shapes that do not fit are named, and an epoch without any reward ends the run."""

    def fragile(points, prompts):
        if (points[:, 0] > 1.0).any():
            raise RuntimeError("too far right")
        return right(points, prompts)

    def refuses(points, prompts):
        return dataclasses.replace(right(points, prompts), valid=np.asarray(points[:, 0] <= 1.0))

    found = []
    for reward in (fragile, refuses):
        run = PostTraining(blobs, PROMPTS, reward, OPTIONS)
        found.append(run.epoch(run.init()))
    (one, log), (other, same) = found
    assert 0 < log["invalid"] == log["invalid/no_reward"] == same["invalid"] < 0.5
    for a, b in zip(jax.tree.leaves(one.current), jax.tree.leaves(other.current), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)

    def broken(points, prompts):
        raise RuntimeError("no simulator")

    run = PostTraining(blobs, PROMPTS, broken, OPTIONS)
    with pytest.raises(NothingValidError, match=r"expected a sample with a reward .* found none: RuntimeError: no sim"):
        run.epoch(run.init())
    run = PostTraining(blobs, PROMPTS, lambda x, p: Rewards(np.ones(3), np.ones(3, bool)), OPTIONS)
    with pytest.raises(ValueError, match=r"reward: total: expected \(32,\), found \(3,\)"):
        run.epoch(run.init())
