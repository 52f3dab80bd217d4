"""Contact averaged over the window of an acceleration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxhuman
from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.math import timeseries
from mjxhuman.physics.contact import MIN_PRICE
from mjxhuman.physics.contact_window import Trace, smoothed, window_bearing
from mjxhuman.scenes import Plane


def step(fps, speed_in_stance=0.0):
    """A point that stands for 0.3 s and then swings at 3 m/s, 0.2 m up: its bearing, and times from then."""
    t = (np.arange(round(0.6 * fps)) + 0.5) / fps - 0.3
    x = np.where(t < 0, speed_in_stance * t, 3.0 * t)
    z = np.where(t < 0, 0.0, np.minimum(4.0 * t, 0.2))
    place = np.stack([x, 0 * t, z])[None]
    traced = Trace(place, 0 * place, z[None], np.zeros((3, len(t))), None, None)
    traced = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), traced)
    radius = timeseries.window_radius(1 / fps)
    fit = jax.jit(smoothed, static_argnums=4)
    return t, fit(traced, jnp.zeros((1, 1)), jnp.ones(len(t), bool), jnp.asarray(1 / fps, jnp.float32), radius)


@pytest.mark.parametrize("fps", [30, 120])
def test_a_foot_that_leaves_bears_for_the_time_it_stood_where_it_stood(fps):
    t, bears = step(fps)
    near = np.abs(t) < 0.07
    np.testing.assert_allclose(np.asarray(bears.slip)[0, near], 0.0, atol=0.1)  # of 3 m/s
    # the swing's heights and places do not enter while any of the window was stance
    assert np.abs(np.asarray(bears.arm)[0, :, near]).max() < 0.02
    conductance = MIN_PRICE / np.asarray(bears.price)[0]
    assert conductance[t < -0.1].min() > 0.99
    at_leaving = np.interp(0.0, t, conductance)
    assert 0.5 < at_leaving < 0.65  # half the kernel; the first centimetres of swing still bear a little
    assert conductance[t > 0.15].max() < 0.01


def test_a_foot_that_slides_is_seen_sliding():
    t, bears = step(60, speed_in_stance=0.7)
    np.testing.assert_allclose(np.asarray(bears.slip)[0, (t > -0.25) & (t < 0.0)], 0.7, rtol=0.05)


def test_the_frame_rate_changes_little():
    (slow, a), (fast, b) = step(30), step(240)
    inner = np.abs(slow) < 0.15
    bears = np.interp(slow, fast, MIN_PRICE / np.asarray(b.price)[0])
    np.testing.assert_allclose((MIN_PRICE / np.asarray(a.price)[0])[inner], bears[inner], atol=0.05)
    slip, inner = np.interp(slow, fast, np.asarray(b.slip)[0]), inner & (bears > 0.05)
    np.testing.assert_allclose(np.asarray(a.slip)[0, inner], slip[inner], atol=0.1)


def test_clips_of_a_batch_do_not_touch_each_other(humanoid):
    """Many short clips through one program, and a long clip in pieces, equal each of their own."""
    rng = np.random.default_rng(0)
    path = np.tile(humanoid.model.qpos0, (5, 40, 1))
    path[..., :3] += np.cumsum(rng.normal(size=(5, 40, 3)) * 0.01, 1)
    valid = rng.random((5, 40)) > 0.05
    both = window_bearing(mjxhuman.motion_from_qpos(humanoid, path, 30, valid=valid), Plane())
    for k in range(5):
        one = window_bearing(mjxhuman.motion_from_qpos(humanoid, path[k], 30, valid=valid[k]), Plane())
        for name in ("arm", "price", "slip"):
            np.testing.assert_allclose(
                getattr(both, name)[..., 40 * k : 40 * k + 40], getattr(one, name), rtol=1e-4, atol=1e-5, err_msg=name
            )
    long = np.concatenate([path.reshape(-1, path.shape[-1])] * 3)
    whole = window_bearing(mjxhuman.motion_from_qpos(humanoid, long, 30), Plane())
    part = window_bearing(mjxhuman.motion_from_qpos(humanoid, long[450:550], 30), Plane())
    np.testing.assert_allclose(whole.slip[:, 460:540], part.slip[:, 10:90], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(whole.price[:, 460:540], part.price[:, 10:90], rtol=1e-4, atol=1e-5)


def test_feet_that_stand_in_a_fast_walk_do_not_slip(humanoid):
    """Walked in half the time, a stance is shorter than the window; the score sees it through the window's contact."""
    clip = load_builtin_clip("walk")
    score = mjxhuman.score(mjxhuman.motion_from_qpos(humanoid, np.asarray(clip.qpos), 2.0 * clip.fps))
    assert score.terms["foot_slip"] > 0.99 and score.terms["foot_slip_m_per_s"] < 0.06  # else 0.94 and 0.10
