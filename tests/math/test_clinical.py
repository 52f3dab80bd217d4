"""Clinical angles against the Euler angles of ``rotation``, by rebuilding the rotation, and their gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.math import rotation
from mjxhuman.math.clinical import clinical_angles

pytestmark = pytest.mark.compiled


def _quats(count: int, seed: int = 0) -> np.ndarray:
    q = np.random.default_rng(seed).normal(size=(count, 4))
    return q / np.linalg.norm(q, axis=1, keepdims=True)


@pytest.mark.parametrize("order", ["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX"])
def test_euler_orders_agree_with_rotation(x64: None, order: str) -> None:
    q = _quats(200)
    angles = clinical_angles(order, q)
    np.testing.assert_allclose(angles, rotation.to_euler(order, q), atol=1e-9)
    again = rotation.canonical(rotation.from_euler(order, angles))
    np.testing.assert_allclose(again, rotation.canonical(q), atol=1e-9)


@pytest.mark.parametrize(
    ("order", "axis", "turn"),
    [("swing-x", 0, 0), ("swing-y", 1, 0), ("scapular-left", 0, -45), ("scapular-right", 0, 45)],
)
def test_swing_and_twist_rebuild_the_rotation(x64: None, order: str, axis: int, turn: float) -> None:
    q = _quats(200, 1)
    angles = clinical_angles(order, q)
    swing = np.insert(np.asarray(angles[:, :2]), axis, 0.0, axis=1)
    twist = np.asarray(angles[:, 2:]) * np.eye(3)[axis]
    base = rotation.exp(np.deg2rad([0.0, turn, 0.0]))
    again = rotation.multiply(
        jnp.broadcast_to(base, q.shape), rotation.multiply(rotation.exp(swing), rotation.exp(twist))
    )
    np.testing.assert_allclose(rotation.canonical(again), rotation.canonical(q), atol=1e-9)
    assert np.abs(angles[:, 2]).max() <= np.pi + 1e-12
    assert np.linalg.norm(angles[:, :2], axis=1).max() <= np.pi + 1e-12


@pytest.mark.parametrize("order", ["XZY", "scapular-right"])
def test_axis_moves_components_only(order: str) -> None:
    q = _quats(12).reshape(3, 4, 4)
    expected = clinical_angles(order, q)
    np.testing.assert_allclose(
        clinical_angles(order, np.moveaxis(q, -1, 1), axis=1), np.moveaxis(expected, -1, 1), atol=1e-6
    )


@pytest.mark.parametrize("order", ["XZY", "YZX", "ZYX", "swing-y", "scapular-left"])
def test_gradient_is_that_of_finite_differences_also_at_the_identity(x64: None, order: str) -> None:
    def angles(v: jax.Array, base: jax.Array) -> jax.Array:
        return clinical_angles(order, rotation.multiply(base, rotation.exp(v)))

    for base in (np.array([1.0, 0, 0, 0]), *np.asarray(rotation.exp(0.5 * _quats(3, 2)[:, 1:]))):
        jacobian = jax.jacobian(angles)(jnp.zeros(3), base)
        step = 1e-6
        numeric = np.stack([(angles(step * e, base) - angles(-step * e, base)) / (2 * step) for e in np.eye(3)], -1)
        np.testing.assert_allclose(jacobian, numeric, atol=1e-7)


@pytest.mark.parametrize("order", ["XZY", "swing-x", "swing-y"])
def test_singular_poses_stay_finite(order: str) -> None:
    for q in ([0.0, 0, 0, 1], [0, 0, 1.0, 0], [0, 1.0, 0, 0], [np.sqrt(0.5), 0, 0, np.sqrt(0.5)]):
        value, gradient = jax.value_and_grad(lambda x: clinical_angles(order, x).sum())(jnp.array(q))
        assert np.isfinite(value) and np.isfinite(gradient).all()


def test_unknown_order_is_named() -> None:
    with pytest.raises(ValueError, match="'XYX'"):
        clinical_angles("XYX", np.array([1.0, 0, 0, 0]))
