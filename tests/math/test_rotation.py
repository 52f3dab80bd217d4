"""Rotations against scipy, and their derivatives at the identity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.math import rotation


@pytest.fixture(scope="module")
def pair():
    return Rotation.random(64, random_state=0), Rotation.random(64, random_state=1)


def wxyz(r):
    return r.as_quat()[:, [3, 0, 1, 2]]


def same(a, b, tol=2e-6):
    a, b = np.asarray(a), np.asarray(b)
    assert np.minimum(np.abs(a - b).max(-1), np.abs(a + b).max(-1)).max() < tol


def test_products_and_vectors(pair):
    p, q = pair
    v = np.random.default_rng(0).normal(size=(64, 3))
    same(rotation.multiply(wxyz(p), wxyz(q)), wxyz(p * q))
    same(rotation.conjugate(wxyz(p)), wxyz(p.inv()))
    np.testing.assert_allclose(rotation.rotate(wxyz(p), v), p.apply(v), atol=1e-5)
    np.testing.assert_allclose(rotation.rotate_inverse(wxyz(p), v), p.inv().apply(v), atol=1e-5)
    np.testing.assert_allclose(rotation.rotate(wxyz(p).T, v.T, axis=0), p.apply(v).T, atol=1e-5)


def test_matrices_and_vectors_of_rotation(pair):
    p, _ = pair
    np.testing.assert_allclose(rotation.to_matrix(wxyz(p)), p.as_matrix(), atol=1e-5)
    same(rotation.from_matrix(p.as_matrix()), wxyz(p))
    np.testing.assert_allclose(rotation.log(wxyz(p)), p.as_rotvec(), atol=2e-5)
    same(rotation.exp(p.as_rotvec()), wxyz(p))


@pytest.mark.parametrize("order", ["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX"])
def test_euler_angles(pair, order):
    p, _ = pair
    np.testing.assert_allclose(rotation.to_euler(order, wxyz(p)), p.as_euler(order), atol=2e-4)
    same(rotation.from_euler(order, p.as_euler(order)), wxyz(p))


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-5, 9e-4, 1.1e-3, 0.5])
def test_exponential_and_logarithm_are_smooth_at_the_identity(size):
    with jax.enable_x64(True):
        v = jnp.array([0.6, -0.8, 0.0]) * size
        jacobian = jax.jacfwd(lambda x: rotation.log(rotation.exp(x)))(v)
        np.testing.assert_allclose(jacobian, np.eye(3), atol=1e-6)
        np.testing.assert_allclose(jax.jacrev(lambda x: rotation.log(rotation.exp(x)))(v), jacobian, atol=1e-12)


def test_norm_has_a_gradient_at_zero():
    assert np.array_equal(jax.grad(lambda x: rotation.safe_norm(x))(jnp.zeros(3)), np.zeros(3))
    assert float(rotation.safe_norm(jnp.array([3.0, 4.0]))) == 5.0


@pytest.mark.parametrize("angle", [1e-9, 1e-5, 9e-4, 1.1e-3, 1.9e-3, 2.1e-3])
def test_small_turns_on_both_sides_of_the_series(angle, x64):
    vector = angle * np.array([0.36, -0.48, 0.8])
    q = wxyz(Rotation.from_rotvec(vector[None]))[0]
    np.testing.assert_allclose(rotation.exp(vector), q, rtol=1e-11)
    np.testing.assert_allclose(rotation.log(q), vector, rtol=1e-11)
