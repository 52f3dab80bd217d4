"""A policy beside the base."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest
from blobs import OPTIONS, PROMPTS, right, trained

from mjxhuman.generators.evaluate import HeldOut
from mjxhuman.generators.finetune import PostTraining

pytestmark = pytest.mark.compiled


def amount(points):
    return np.linalg.norm(points, axis=1)


@pytest.fixture(scope="module")
def run():
    return PostTraining(trained(), PROMPTS, right, OPTIONS, amount=amount)


def test_the_base_is_what_it_is_compared_with(run):
    held = HeldOut(run, ["new", "newer"], 16, seed=3)
    found = held.measure(None)
    assert (found["valid"], found["motion"], found["diversity"], found["kl"]) == (1.0, 1.0, 1.0, 0.0)
    same = held.measure(run.init().current)  # changes nothing yet
    np.testing.assert_allclose([same[name] for name in found], list(found.values()), atol=1e-5)


def test_what_training_does_is_seen(run):
    """Points move to the right one of two blobs: the reward grows, they are nearer each other, and moved."""
    state = run.init()
    for _ in range(25):
        state, _ = run.epoch(state)
    held = HeldOut(run, ["anything"], 128)
    before, after = held.measure(None), held.measure(state.average)
    points = [np.asarray(run.sample(a, held.asked, held._keys)[0]) for a in (None, state.average)]
    assert after["total"] > before["total"] + 0.2
    assert after["total"] == pytest.approx(right(points[1], None).total.mean(), rel=1e-5)
    assert after["motion"] == pytest.approx(amount(points[1]).mean() / amount(points[0]).mean(), rel=1e-4)
    assert after["diversity"] < 0.8 and after["kl"] == pytest.approx(np.square(points[1] - points[0]).mean(), rel=1e-4)


def test_of_several_measures_of_motion_the_one_given_up_most_counts(run):
    def both(points):
        return np.abs(np.asarray(points))  # along each axis

    two = PostTraining(run.generator, PROMPTS, right, OPTIONS, amount=both)
    held = HeldOut(two, ["anything"], 64)
    moved = jax.tree.map(lambda x: x + 0.05, two.init().current)
    points = [both(two.sample(a, held.asked, held._keys)[0]).mean(0) for a in (None, moved)]
    shares = points[1] / points[0]
    assert held.measure(moved)["motion"] == pytest.approx(shares.min(), rel=1e-4) and np.ptp(shares) > 0.01


def test_what_is_refused_has_no_part_in_the_means(run):
    def half(points, prompts):
        return dataclasses.replace(right(points, prompts), valid=np.asarray(points[:, 0] > 0))

    held = HeldOut(PostTraining(run.generator, PROMPTS, half, OPTIONS, amount=amount), ["anything"], 64)
    points = np.asarray(run.sample(None, ["anything"] * 64, jax.random.split(jax.random.key(0), 64))[0])
    use = points[:, 0] > 0
    found = held.measure(None)
    assert found["valid"] == use.mean()
    assert found["total"] == pytest.approx(right(points[use], None).total.mean(), rel=1e-5)
