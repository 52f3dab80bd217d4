"""The measures of generated motion, on sets whose answer is known."""

import numpy as np
import pytest

from mjxhuman.generators.motion.evaluate import COMPONENTS, Judge, different, frechet
from mjxhuman.generators.motion.features import Scale
from mjxhuman.generators.motion.windows import Clips

TEXTS = ("a person walks", "jump", "kick with force", "cartwheel", "bow deeply")
WIDE, FRAMES = 40, 12


def clips(seed=0, length=200):
    """Each caption a mean of its own, and noise."""
    rng = np.random.default_rng(seed)
    means = np.random.default_rng(7).normal(size=(len(TEXTS), 1, WIDE))
    features = (means + 0.3 * rng.normal(size=(len(TEXTS), length, WIDE))).reshape(-1, WIDE).astype(np.float32)
    start = length * np.arange(len(TEXTS))
    return Clips(features, start, np.full(len(TEXTS), length), TEXTS, TEXTS, 30.0)


@pytest.fixture(scope="module")
def judge():
    own = clips()
    return Judge.of(own, own.scale(), FRAMES)


def drawn(count, seed=1):
    windows, _, which = clips(seed).draw(np.random.default_rng(seed), count, FRAMES)
    return windows, [TEXTS[i] for i in which]


def test_frechet_distance_of_gaussians():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20000, 3))
    assert frechet(x, x) == pytest.approx(0.0, abs=1e-6)
    # of N(0, 1) and N(m, s^2) in each axis: m^2 + (1 - s)^2
    moved = 2.0 * rng.normal(size=(20000, 3)) + [1.0, 0.0, 0.0]
    assert frechet(x, moved) == pytest.approx(1.0 + 3.0, rel=0.05)


def test_recordings_are_themselves(judge):
    windows, prompts = drawn(300)
    found = judge.measure(windows, prompts)
    assert found["r_precision"] > 0.98
    shuffled = judge.measure(windows, [TEXTS[(TEXTS.index(p) + 1) % 5] for p in prompts])
    assert shuffled["r_precision"] < 0.2
    other = judge.measure(windows[::-1] + 0.5, prompts)
    assert other["frechet"] > 3 * found["frechet"] and other["nearest"] > found["nearest"]
    rates = windows[..., 1:3]
    assert found["root_speed"] == pytest.approx(np.sqrt((rates**2).sum(-1)).mean(), rel=1e-6)


def test_one_motion_for_all_has_no_diversity(judge):
    windows, prompts = drawn(60)
    same = np.stack([windows[prompts.index(p)] for p in prompts])
    assert judge.measure(same, prompts)["diversity"] == pytest.approx(0.0, abs=1e-5)
    assert judge.measure(windows, prompts)["diversity"] > 0.1


def test_captions_differ_by_what_is_done_and_not_by_who_does_it():
    captions = [
        "a person walks",
        "walk",
        "slow walk",
        "a person kicks",
        "a person hops",
        "start, hop, stop",
        "a person runs",
    ]
    assert different("a person walks", captions).tolist() == [3, 4, 5, 6]
    assert different("hop", captions).tolist() == [0, 1, 2, 3, 6]
    assert different("a person swims", captions).tolist() == list(range(7))


def test_captions_that_say_the_same_are_no_wrong_answers():
    own = clips()
    same = Clips(own.features, own.start, own.length, ("walk", "a walk", "walk slowly", "walks", "walk"), TEXTS, 30.0)
    judge = Judge.of(same, Scale.of(own.features), FRAMES)
    windows, _ = drawn(20)
    assert np.isnan(judge.precision(judge.code(windows), ["walk"] * 20))


def test_frames_that_are_not_there_have_no_say(judge):
    windows, _ = drawn(5)
    valid = np.arange(FRAMES) < 8
    padded = np.where(valid[:, None], windows, 99.0)
    np.testing.assert_allclose(
        judge.code(padded, np.broadcast_to(valid, (5, FRAMES))), judge.code(windows[:, :8]), atol=1e-4
    )
    assert judge.code(windows).shape == (5, COMPONENTS)
