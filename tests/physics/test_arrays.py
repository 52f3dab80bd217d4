"""Row selection and the sine and cosine pair."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.physics import arrays


def test_rows_are_taken_and_put() -> None:
    x = jnp.arange(24.0).reshape(4, 2, 3)
    np.testing.assert_array_equal(arrays.take_rows(x, (3, 0, 0)), x[np.array([3, 0, 0])])
    placed = arrays.put_rows(6, [((4, 1), x[:2]), ((0,), x[3:])])
    want = np.zeros((6, 2, 3))
    want[4], want[1], want[0] = x[0], x[1], x[3]
    np.testing.assert_array_equal(placed, want)


@pytest.mark.parametrize(("reach", "error"), [(2.0, 1.5e-7), (20.0, 1.5e-7), (2000.0, 2.5e-7)])
def test_sine_and_cosine_in_float32(reach: float, error: float) -> None:
    x = np.linspace(-reach, reach, 200_001).astype(np.float32)
    # optimized whatever XLA_FLAGS say: without fused multiply-adds the reduction by multiples of pi / 2 rounds more
    s, c = jax.jit(arrays.sin_cos, compiler_options={"xla_backend_optimization_level": 3})(x)
    assert s.dtype == np.float32
    exact = x.astype(np.float64)
    assert np.abs(np.asarray(s, np.float64) - np.sin(exact)).max() < error
    assert np.abs(np.asarray(c, np.float64) - np.cos(exact)).max() < error


def test_sine_is_accurate_near_zero() -> None:
    x = np.geomspace(1e-30, 1, 10_001).astype(np.float32)
    s, _ = arrays.sin_cos(x)
    want = np.sin(x.astype(np.float64))
    assert (np.abs(np.asarray(s, np.float64) - want) / want).max() < 1.5e-7


def test_derivatives_are_those_of_sine_and_cosine() -> None:
    x = np.linspace(-7, 7, 1001).astype(np.float32)
    (s, c), (ds, dc) = jax.jvp(arrays.sin_cos, (x,), (np.ones_like(x),))
    np.testing.assert_array_equal(ds, c)
    np.testing.assert_array_equal(dc, -s)


def test_library_pair_in_float64(x64: None) -> None:
    x = np.linspace(-9, 9, 1001)
    s, c = arrays.sin_cos(jnp.asarray(x))
    np.testing.assert_allclose(s, np.sin(x), atol=1e-15)
    np.testing.assert_allclose(c, np.cos(x), atol=1e-15)
