"""Derivatives against closed forms, resampling against slerp, gaps and ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from mjxhuman.math import rotation, timeseries

pytestmark = pytest.mark.compiled


def euclidean(p, q):
    return q - p


def fit(x, dt, valid=None, tangent=euclidean):
    valid = np.ones(len(x), bool) if valid is None else valid
    v, a = timeseries.derivatives(tangent, np.asarray(x).T, valid, dt, radius=timeseries.window_radius(dt))
    return v.T, a.T


def turn(p, r):
    return rotation.log(rotation.multiply(rotation.conjugate(p, 0), r, 0), 0)


@pytest.mark.parametrize("fps", [16, 24, 30, 60, 120])
def test_quadratics_are_exact_up_to_the_ends(fps):
    t = np.arange(40) / fps
    x = np.stack([1 + 2 * t - 4.905 * t**2, 0.3 * t], -1).astype(np.float32)
    v, a = fit(x, 1 / fps)
    np.testing.assert_allclose(v, np.stack([2 - 9.81 * t, 0 * t + 0.3], -1), atol=2e-3)
    np.testing.assert_allclose(a, np.broadcast_to([-9.81, 0], (40, 2)), atol=0.05)


def test_bandwidth_does_not_depend_on_the_frame_rate():
    gains = []
    for fps in (24, 30, 60, 120):
        t = np.arange(0, 4, 1 / fps)
        _, a = fit(np.sin(2 * np.pi * 2 * t)[:, None], 1 / fps)
        inner = timeseries.whole_windows(np.ones(len(t), bool), timeseries.window_radius(1 / fps))
        gains.append(float(np.asarray(a)[inner].std() * np.sqrt(2) / (4 * np.pi) ** 2))
    assert min(gains) > 0.9 and max(gains) - min(gains) < 0.03


def test_constant_spin_has_its_rate_and_no_acceleration():
    rate = np.array([0.5, -1.0, 2.0])
    t = np.arange(30) / 30
    q = Rotation.from_rotvec(t[:, None] * rate).as_quat()[:, [3, 0, 1, 2]].astype(np.float32)
    v, a = fit(q, 1 / 30, tangent=turn)
    np.testing.assert_allclose(v, np.broadcast_to(rate, (30, 3)), atol=1e-4)
    np.testing.assert_allclose(a, 0, atol=5e-3)


def test_accelerating_spin_is_body_local():
    with jax.enable_x64(True):
        # q(t) = exp(w t) exp(u t^2 / 2): the body-local rate is R(u t^2/2)^-1 w + u t
        w, u = np.array([0.0, 0.0, 1.5]), np.array([2.0, 0.0, 0.0])
        t = np.arange(-60, 61) / 240
        q = (Rotation.from_rotvec(t[:, None] * w) * Rotation.from_rotvec(t[:, None] ** 2 / 2 * u)).as_quat()
        v, _ = fit(q[:, [3, 0, 1, 2]], 1 / 240, tangent=turn)
        expected = Rotation.from_rotvec(t[:, None] ** 2 / 2 * u).inv().apply(w) + t[:, None] * u
        np.testing.assert_allclose(np.asarray(v)[30:-30], expected[30:-30], atol=5e-3)


def test_gaps_take_no_part():
    t = np.arange(30) / 30
    x = (t**2)[:, None].copy()
    x[12] = 100.0
    valid = np.ones(30, bool)
    valid[12] = False
    _, a = fit(x, 1 / 30, valid)
    np.testing.assert_allclose(np.delete(np.asarray(a), 12, 0), 2.0, atol=0.05)
    assert not timeseries.whole_windows(valid, 2)[10:15].any()
    assert timeseries.whole_windows(valid, 2)[[2, 9, 15, 27]].all()


def test_duplicate_frames_stand_still():
    v, a = fit(np.ones((20, 3)), 1 / 30)
    assert not np.any(v) and not np.any(a)


def test_gradients_exist_at_rest():
    def value(q):
        v, a = timeseries.derivatives(turn, q, jnp.ones(12, bool), 1 / 30, radius=2)
        return jnp.sum(v**2) + jnp.sum(a**2)

    still = jnp.tile(jnp.array([[1.0], [0], [0], [0]]), (1, 12))
    assert np.isfinite(jax.grad(value)(still)).all()


def test_resampling_matches_scipy_slerp():
    rng = np.random.default_rng(0)
    q = Rotation.random(10, random_state=1)
    times = timeseries.resample_times(10, 30, 47)
    ours = timeseries.sample_slerp(q.as_quat()[:, [3, 0, 1, 2]].astype(np.float32), times)
    theirs = Slerp(np.arange(10), q)(times).as_quat()[:, [3, 0, 1, 2]]
    error = np.minimum(np.abs(ours - theirs).max(-1), np.abs(ours + theirs).max(-1))
    assert error.max() < 1e-5
    x = rng.normal(size=(10, 2))
    linear = timeseries.sample_linear(x, times)
    np.testing.assert_allclose(linear, np.stack([np.interp(times, np.arange(10), c) for c in x.T], -1), atol=1e-6)


def test_frame_rates_must_be_positive():
    with pytest.raises(ValueError, match="frame rates must be positive"):
        timeseries.resample_times(10, 30, 0)


def test_runs_are_half_open_and_the_first_of_equals_is_the_longest() -> None:
    flags = np.array([1, 1, 0, 1, 0, 0, 1, 1], bool)
    assert timeseries.runs(flags) == [(0, 2), (3, 4), (6, 8)]
    assert timeseries.longest_run(flags) == (0, 2)
    assert timeseries.longest_run(flags[3:]) == (3, 5)
    assert timeseries.runs(np.zeros(3, bool)) == [] and timeseries.longest_run(np.zeros(3, bool)) == (0, 0)
    assert timeseries.runs(np.ones(3, bool)) == [(0, 3)]


def test_smooth_steps() -> None:
    np.testing.assert_allclose(
        timeseries.smoothstep(np.array([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0])), [0, 0, 0.15625, 0.5, 1, 1]
    )
    np.testing.assert_allclose(timeseries.fall(np.array([0.0, 1.0, 1.5, 2.0, 3.0]), (1.0, 2.0)), [1, 1, 0.5, 0, 0])
    np.testing.assert_allclose(timeseries.fall(np.array([0.0, 1.25, 3.0]), (2.0, 1.0)), [0, 0.15625, 1])


@pytest.mark.parametrize(("hertz", "kept"), [(2.0, 0.93), (4.0, 0.745), (6.0, 0.505)])
def test_the_filter_keeps_what_it_says_of_a_vibration(hertz, kept, x64):
    t = np.arange(240) / 120.0
    x = np.sin(2 * np.pi * hertz * t)
    _, a = fit(x[:, None], 1 / 120.0)
    inner = slice(40, -40)
    found = -np.asarray(a)[inner, 0] / (2 * np.pi * hertz) ** 2
    assert found @ x[inner] / (x[inner] @ x[inner]) == pytest.approx(kept, abs=0.004)


def test_resampling_ends_at_the_last_frame() -> None:
    np.testing.assert_allclose(timeseries.resample_times(31, 30, 10), 3.0 * np.arange(11))
    np.testing.assert_allclose(timeseries.resample_times(31, 30, 60), 0.5 * np.arange(61))


@pytest.mark.parametrize(("fps", "radius"), [(10, 2), (30, 2), (60, 5), (100, 9), (120, 11)])
def test_a_window_reaches_as_far_as_its_kernel_has_weight(fps: int, radius: int) -> None:
    assert timeseries.window_radius(1 / fps) == radius


@pytest.mark.parametrize("fps", [60, 240])
def test_the_fitted_acceleration_is_the_smoothed_acceleration(fps, x64):
    """Of a path whose acceleration jumps, as that of a landing does."""
    t = (np.arange(round(0.6 * fps)) + 0.5) / fps - 0.3
    acceleration, path = np.where(t < 0, -9.81, 15.0), np.where(t < 0, -9.81, 15.0) * t * t / 2
    valid, radius = np.ones(len(t), bool), timeseries.window_radius(1 / fps)
    fitted = timeseries.derivatives(lambda a, b: b - a, path[None], valid, 1 / fps, radius=radius)[1][0]
    mean = timeseries.smooth(jnp.asarray(acceleration), jnp.asarray(valid), 1 / fps, radius=radius)
    inner = slice(radius, -radius)
    np.testing.assert_allclose(mean[inner], fitted[inner], atol=0.05 * 24.81)
    assert np.ptp(fitted) > 24.0


def test_one_sided_velocities_see_a_stop_from_either_side(x64):
    t = (np.arange(60) - 29.5) / 50
    path = jnp.asarray(np.where(t < 0, 2.0 * t, 0.0))
    valid = jnp.ones(60, bool).at[40].set(False)
    before, after = timeseries.one_sided(path, valid, 1 / 50, radius=4, step=0.05)
    np.testing.assert_allclose(before[0][3:30], 2.0, atol=1e-9)
    np.testing.assert_allclose(after[0][30:57], 0.0, atol=1e-9)
    assert not before[1][:3].any() and not after[1][57:].any() and before[1][10] and after[1][10]
    assert not (before[1][42] or after[1][38])  # two and a half frames away
