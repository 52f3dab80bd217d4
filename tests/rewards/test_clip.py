"""How frames enter a clip is declared: a mean, less for a disaster; leaps and wrong speeds are seen over frames."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxhuman
from mjxhuman.data.builtin import builtin_path
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.rewards import clip
from mjxhuman.rewards.validation import damage

pytestmark = pytest.mark.compiled

DT, FIT = 1 / 30, np.ones(300, bool)


@pytest.fixture(scope="module")
def jump():
    return mjxhuman.load_motion(builtin_path("jump"))


def again(motion, qpos, fps=None):
    return mjxhuman.score(motion_from_qpos(motion.humanoid, qpos, fps or motion.fps))


def test_without_a_disaster_a_clip_is_worth_the_mean_of_its_frames():
    x = np.linspace(0.3, 1.0, 300)
    assert clip.clip_value(x, FIT, DT) == pytest.approx(x.mean())
    half = FIT & (np.arange(300) < 150)
    assert clip.clip_value(x, half, DT) == pytest.approx(x[:150].mean())


def test_a_disaster_costs_the_same_share_of_a_short_and_a_long_clip():
    def worth(frames, bad):
        x = np.ones(frames)
        x[20:26] = bad
        return clip.clip_value(x, np.ones(frames, bool), DT) / x.mean()

    assert worth(60, 0.0) == pytest.approx(1 - clip.SHARE) == worth(6000, 0.0)
    assert worth(60, 0.125) == pytest.approx(1 - clip.SHARE / 2)
    assert worth(60, 0.3) == pytest.approx(1.0)


def test_what_plays_well_for_a_tenth_of_its_time_is_worth_less_than_half():
    for bad in (0.0, 0.1, 0.2, 0.4):
        x = np.where(np.arange(300) < 30, 1.0, bad)
        assert clip.clip_value(x, FIT, DT) < 0.5


def test_frames_that_are_not_scored_are_not_read():
    x = np.where(np.arange(300) < 290, 0.9, np.nan)
    assert clip.clip_value(x, np.isfinite(x), DT) == pytest.approx(0.9)


def test_traced_and_concrete_values_agree(jump):
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (2, 60))
    x[0, 10:20] *= 0.1
    fit = rng.random((2, 60)) < 0.98
    np.testing.assert_allclose(
        jax.jit(lambda x: clip.clip_value(x, fit, DT))(x), clip.clip_value(x, fit, DT), rtol=1e-5
    )
    com = rng.normal(size=(2, 3, 60)) * 0.1
    known = np.ones((2, 60), bool)
    here, there = (f(com, known, DT, 50.0, 2) for f in (clip.leaps, jax.jit(clip.leaps, static_argnums=(2, 3, 4))))
    np.testing.assert_allclose(there, here, atol=1e-6)
    assert here.max() > 0.05
    slope = jax.grad(lambda c: jnp.sum(clip.leaps(c, known, DT, 50.0, 2)))(jnp.asarray(com))
    assert np.isfinite(slope).all()


def test_a_leap_is_what_no_force_explains():
    t = np.arange(60) * DT
    fall = np.stack([2.0 * t, 0 * t, 3.0 - 4.905 * t**2])
    known = np.ones(60, bool)
    assert clip.leaps(fall, known, DT, 59.0, 2).max() == pytest.approx(0.0, abs=1e-6)
    fall[0, 30:] += 0.2
    found = clip.leaps(fall, known, DT, 59.0, 2)
    assert list(np.flatnonzero(found > 0)) == list(range(27, 33)) and found.max() == pytest.approx(
        0.1 - 0.0328, abs=2e-3
    )


def test_a_single_frame_out_of_place_costs_more_the_farther_it_is(jump):
    clean = again(jump, jump.qpos)
    totals = [float(clean.total)]
    for size in damage.DAMAGES["pop"].severities:
        totals.append(
            float(again(jump, damage.apply("pop", jump.humanoid, np.asarray(jump.qpos), jump.fps, size)).total)
        )
    assert clean.terms["leap"] == 1.0 and (np.diff(totals) < 0).all() and totals[-1] < 0.9


def test_slow_motion_and_a_wrong_frame_rate_of_a_jump_score_lower(jump):
    clean = again(jump, jump.qpos)
    assert clean.terms["flight"] == 1.0
    drops = [float(clean.total - again(jump, jump.qpos, jump.fps * f).total) for f in (1 / 1.5, 1 / 2, 1 / 3, 2.0)]
    assert min(drops) > 0.05 and drops[2] > drops[0]


def test_a_slow_walk_is_legal():
    walk = mjxhuman.load_motion(builtin_path("walk"))
    assert float(again(walk, walk.qpos, walk.fps / 1.5).total) > 0.95
