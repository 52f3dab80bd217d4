"""Gravity is read off flights: what falls at 9.81 m/s^2 does, at any frame rate, and what does not is said."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxhuman
from mjxhuman.data.builtin import builtin_path
from mjxhuman.physics import flight
from mjxhuman.physics.motion import motion_from_qpos, resample

pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def jump():
    return mjxhuman.load_motion(builtin_path("jump"))


@pytest.fixture(scope="module")
def walk():
    return mjxhuman.load_motion(builtin_path("walk"))


def played(motion, factor):
    return motion_from_qpos(motion.humanoid, motion.qpos, motion.fps * factor, valid=motion.valid)


def test_a_jump_falls_as_gravity_wants_at_any_frame_rate(jump):
    for fps in (jump.fps, 30.0, 24.0):
        found = flight.measure_gravity(resample(jump, fps) if fps != jump.fps else jump)
        assert found.gravity == pytest.approx(9.81, abs=2 * found.uncertainty)
        assert len(found.flights) == 1 and not found.contradicts and found.sentence(fps) == ""


@pytest.mark.parametrize("factor", [2.5, 2.0, 1 / 1.5, 1 / 3])
def test_a_wrong_speed_shows_in_the_flight(jump, factor):
    found = flight.measure_gravity(played(jump, factor))
    assert found.speed == pytest.approx(factor, rel=0.05)
    assert found.size == pytest.approx(1 / factor**2, rel=0.1)
    assert found.contradicts
    assert f"{max(factor, 1 / factor):.1f}"[0] in found.sentence(60.0)


def test_what_never_leaves_the_floor_shows_no_gravity_even_in_slow_motion(walk):
    for motion in (walk, played(walk, 0.5)):
        found = flight.measure_gravity(motion)
        assert not found.flights and not found.contradicts and np.isnan(found.speed)


def test_what_is_held_up_does_not_fall(walk):
    raised = motion_from_qpos(walk.humanoid, np.asarray(walk.qpos) + 0.5 * np.eye(1, walk.humanoid.nq, 2), walk.fps)
    assert not flight.measure_gravity(raised).flights


def test_retiming_plays_a_wrong_clip_at_its_true_speed_and_leaves_a_right_one(jump, walk):
    fast = flight.timed(played(jump, 2.0), "auto")
    assert fast.fps == pytest.approx(jump.fps, rel=0.03)
    assert "retime" in fast.provenance.conventions[-1]
    warned = flight.timed(played(jump, 2.0))
    assert warned.fps == pytest.approx(2 * jump.fps) and "too fast" in warned.provenance.conventions[-1]
    assert flight.timed(jump, "auto").fps == jump.fps
    assert "no flight" in flight.timed(walk, "auto").provenance.conventions[-1]


def test_traced_and_concrete_fits_agree_and_are_differentiable(jump):
    com = jump.humanoid.centre_of_mass(np.asarray(jump.body_pos), np.asarray(jump.body_quat)).T
    clear = flight.clearance(jump)
    up, two = np.array([0.0, 0.0, 1.0]), lambda x: np.concatenate([x, x], -1)
    here = flight.parabolas(two(com), two(clear), com.shape[1], jump.dt, up)
    assert list(here.clip[here.falls]) == [0, 1]

    def fall(c):
        fit = flight.parabolas(c, jnp.asarray(two(clear)), com.shape[1], jump.dt, up)
        return jnp.sum(jnp.where(fit.falls, fit.gravity, 0.0))

    with jax.enable_x64(True):
        value, slope = jax.value_and_grad(fall)(jnp.asarray(two(com)))
    assert float(value) == pytest.approx(here.gravity[here.falls].sum(), rel=1e-6)
    assert np.isfinite(slope).all() and np.abs(slope).max() > 0


def test_a_body_that_accelerates_upwards_has_a_large_error_and_not_none():
    error = flight.speed_error(np.array([-5.0, 0.0, 9.81]), np.array([0.1, 0.1, 0.1]), 9.81)
    assert (error[:2] > 5).all() and error[2] == 0
