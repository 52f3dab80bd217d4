"""Post-training from Python: rewards of one's own and several at once, and what comes back."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import mjxhuman
from mjxhuman.data.builtin import builtin_path
from mjxhuman.generators.adapter_files import load_adapter
from mjxhuman.generators.finetune import FinetuneOptions
from mjxhuman.generators.motion.features import Scale, to_features
from mjxhuman.generators.motion.generator import init_generator
from mjxhuman.generators.motion.post_train import PostTrainOptions, reward_of
from mjxhuman.generators.motion.reward import Feasibility
from mjxhuman.generators.objectives.guards import Bounds
from mjxhuman.generators.rewards import Rewards, Weighted

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def generator(humanoid):
    motion = mjxhuman.load_motion(builtin_path("walk"))
    features = np.asarray(to_features(humanoid, motion.qpos, motion.fps))
    return init_generator("test", Scale.of(features), 16, 30.0, ["walk", "jump"])


def low(qpos, prompts):
    """Paid for a low pelvis; refuses what is asked to jump."""
    worth = -np.asarray(qpos)[:, :, 2].mean(1)
    return Rewards(worth, np.array(["jump" not in p for p in prompts]), {"twice": 2 * worth})


class Still:
    """Paid by place, and has a slope."""

    def __call__(self, made, prompts):
        worth, valid = self.graded(made)
        return Rewards(np.asarray(worth), np.asarray(valid))

    def graded(self, made):
        return -jnp.abs(made[:, 0]), made[:, 0] < 2.0


def test_several_rewards_are_one_and_each_is_logged(generator):
    made = np.random.default_rng(0).normal(size=(6, 4, 99)).astype(np.float32)
    prompts = ["walk", "jump", "walk", "walk", "jump", "walk"]
    found = reward_of({low: 0.5, "feasibility": 2.0}, generator)
    assert list(found.rewards) == ["low", "feasibility"] and isinstance(found.rewards["feasibility"][0], Feasibility)
    ones = lambda made, prompts: Rewards(np.ones(6), np.ones(6, bool))  # noqa: E731
    both = Weighted({"low": (low, 0.5), "again": (ones, 2.0)})(made, prompts)
    one = low(made, prompts)
    np.testing.assert_allclose(both.total, 0.5 * one.total + 2.0, rtol=1e-6)
    np.testing.assert_array_equal(both.valid, one.valid)
    assert list(both.parts) == ["low", "low/twice", "again"]
    np.testing.assert_allclose(both.parts["low/twice"], one.parts["twice"], rtol=1e-6)


def test_several_have_a_slope_where_each_has():
    points = jnp.asarray([[0.5, 0.0], [-1.0, 1.0], [3.0, 0.0]])
    total, valid = Weighted({"a": (Still(), 1.0), "b": (Still(), 3.0)}).graded(points)
    np.testing.assert_allclose(total, [-2.0, -4.0, 0.0])  # what is invalid adds nothing
    assert valid.tolist() == [True, True, False]
    assert not hasattr(Weighted({"a": (Still(), 1.0), "low": (low, 1.0)}), "graded")


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("beauty", "expected 'feasibility', a callable"),
        ({}, "at least one, found none"),
        ({low: 1.0, type("low", (), {"__call__": low})(): 1.0}, "names of their own, .* found low, low"),
    ],
)
def test_a_reward_that_is_none_is_named(generator, tmp_path, reward, message):
    with pytest.raises(ValueError, match=message):
        mjxhuman.post_train(generator, ["walk"], reward, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="objective: expected one of nft, gradient, found 'hope'"):
        mjxhuman.post_train(generator, ["walk"], out=tmp_path / "run", objective="hope")


@pytest.mark.parametrize("given", [{"prompts": []}, {"prompts": "a person walks"}, {"held_out": []}])
def test_prompts_that_are_none_are_named(generator, tmp_path, given):
    with pytest.raises(ValueError, match=f"{next(iter(given))}: expected one or more of them"):
        mjxhuman.post_train(generator, **given, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_an_empty_file_is_no_generator(tmp_path):
    (tmp_path / "empty.npz").touch()
    with pytest.raises(ValueError, match=r"empty.npz: expected a motion generator"):
        mjxhuman.load_generator(tmp_path / "empty.npz")


@pytest.mark.slow
def test_a_reward_of_ones_own_is_learned_with(generator, tmp_path):
    small = FinetuneOptions(groups=2, samples=4, micro_batch=8, rank=2)
    options = PostTrainOptions(epochs=2, judged=2, evaluate_every=1, training=small, bounds=Bounds(), quiet=True)
    found = mjxhuman.post_train(generator, ["walk", "sit"], low, out=tmp_path, options=options, tensorboard=False)
    assert found.epochs == 2 and found.samples == 16 and not found.stopped
    assert {"total", "twice", "motion", "kl"} <= found.after.keys() and found.before["kl"] == 0.0 < found.after["kl"]
    _, facts = load_adapter(found.adapter, generator.params)
    assert facts["reward"] == "low" and facts["prompts"] == ["walk", "sit"]
    a, b = (g.sample(["walk"], seed=1).motions[0].qpos for g in (found.generator, generator))
    assert np.abs(np.asarray(a) - np.asarray(b)).max() > 1e-7
