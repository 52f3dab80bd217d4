"""Host quaternions against scipy, whichever axis holds the components."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.math import quaternion


@pytest.fixture(scope="module")
def pair() -> tuple[Rotation, Rotation]:
    return Rotation.random(60, random_state=0), Rotation.random(60, random_state=1)


def wxyz(turn: Rotation) -> np.ndarray:
    return turn.as_quat(scalar_first=True)


def same(a: np.ndarray, b: np.ndarray) -> None:
    assert np.minimum(np.abs(a - b).max(-1), np.abs(a + b).max(-1)).max() < 1e-14


def test_the_algebra_is_scipys(pair):
    p, q = pair
    v = np.random.default_rng(0).normal(size=(60, 3))
    same(quaternion.multiply(wxyz(p), wxyz(q)), wxyz(p * q))
    same(quaternion.conjugate(wxyz(p)), wxyz(p.inv()))
    np.testing.assert_allclose(quaternion.rotate(wxyz(p), v), p.apply(v), atol=1e-14)
    np.testing.assert_allclose(quaternion.angle(wxyz(p)), p.magnitude(), atol=1e-12)
    same(quaternion.from_matrix(p.as_matrix()), wxyz(p))


@pytest.mark.parametrize("order", ["zyx", "xyz", "yx", "z"])
def test_intrinsic_angles_turn_one_after_the_other(order):
    angles = np.random.default_rng(1).uniform(-3, 3, (60, len(order)))
    same(quaternion.from_euler(order, angles), wxyz(Rotation.from_euler(order.upper(), angles)))
    with pytest.raises(ValueError, match="order"):
        quaternion.from_euler("", np.zeros((60, 0)))


@pytest.mark.parametrize("axis", [0, 1])
def test_any_axis_may_hold_the_components(pair, axis):
    """Bit for bit; shapes broadcast along the others."""
    p, q = (wxyz(r).reshape(5, 12, 4) for r in pair)
    v = np.random.default_rng(2).normal(size=(5, 12, 3))
    to = lambda x: np.moveaxis(x, -1, axis)  # noqa: E731
    for name, args in (("multiply", (p, q)), ("conjugate", (p,)), ("rotate", (p, v))):
        function = getattr(quaternion, name)
        np.testing.assert_array_equal(function(*map(to, args), axis=axis), to(function(*args)))
    np.testing.assert_array_equal(quaternion.from_euler("zyx", to(v), axis), to(quaternion.from_euler("zyx", v)))
    one = quaternion.rotate(p[0, 0], v)
    np.testing.assert_array_equal(one, quaternion.rotate(np.broadcast_to(p[0, 0], p.shape), v))


def test_the_smallest_turn_between_directions():
    rng = np.random.default_rng(3)
    u, v = rng.normal(size=(2, 20, 3))
    turn = quaternion.between(u, v)
    np.testing.assert_allclose(quaternion.rotate(turn, quaternion.unit(u)), quaternion.unit(v), atol=1e-12)
    cosine = np.sum(quaternion.unit(u) * quaternion.unit(v), -1)
    np.testing.assert_allclose(quaternion.angle(turn), np.arccos(cosine), atol=1e-6)
    half = quaternion.between(u, -u)  # about some normal
    np.testing.assert_allclose(quaternion.rotate(half, u), -u, atol=1e-9)


def test_means_and_best_turns(pair):
    turn = pair[0][:8]
    rest = np.random.default_rng(4).normal(size=(6, 3))
    seen = np.stack([r.apply(rest) for r in turn])
    same(quaternion.kabsch(rest, seen, np.ones(6)), wxyz(turn))
    near = Rotation.from_rotvec(0.05 * np.random.default_rng(5).normal(size=(200, 3)))
    signs = np.where(np.arange(200) % 2, 1.0, -1.0)[:, None]
    mean = quaternion.mean(signs * wxyz(pair[1][0] * near))
    assert (pair[1][0].inv() * Rotation.from_quat(mean, scalar_first=True)).magnitude() < 0.02
    halfway = quaternion.interpolate(wxyz(turn), wxyz(turn * near[:8]), 0.5)
    same(halfway, wxyz(turn * Rotation.from_rotvec(0.5 * near[:8].as_rotvec())))


def test_a_mirror_image_is_turned_and_not_reflected() -> None:
    rest = np.array([[1.0, 0.2, 0.1], [0.0, 1.0, 0.3], [0.1, -0.2, 1.0], [-0.5, 0.4, 0.2]])
    seen = rest * [1.0, 1.0, -1.0]
    found = quaternion.kabsch(rest, seen[None], np.ones(4))
    best, _ = Rotation.align_vectors(seen, rest)
    np.testing.assert_allclose(Rotation.from_quat(found[0], scalar_first=True).as_matrix(), best.as_matrix(), atol=1e-9)


def test_interpolation_takes_the_shorter_arc(pair: tuple[Rotation, Rotation]) -> None:
    p, q = (wxyz(x) for x in pair)
    straight, crossed = (quaternion.interpolate(p, x, 0.3) for x in (q, -q))
    np.testing.assert_allclose(straight, crossed, atol=1e-12)
    whole = quaternion.angle(quaternion.multiply(quaternion.conjugate(p), q))
    part = quaternion.angle(quaternion.multiply(quaternion.conjugate(p), straight))
    assert np.all(part < 0.5 * whole)
