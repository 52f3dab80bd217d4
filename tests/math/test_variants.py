"""Pure functions say the same compiled and not, and keep the shapes they promise."""

from __future__ import annotations

from collections.abc import Callable

import chex
import jax
import numpy as np
import pytest

from mjxhuman.math import rotation
from mjxhuman.rewards import tracking

RNG = np.random.default_rng(0)
P, Q = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in RNG.normal(size=(2, 3, 24, 4)).astype(np.float32))
V = RNG.normal(size=(3, 24, 3)).astype(np.float32)
STATE, REFERENCE = tracking.BodyState(V, P, V, V), tracking.BodyState(V + 0.01, Q, 0.9 * V, V)

CASES: dict[str, tuple[Callable, tuple, tuple[int, ...]]] = {
    "multiply": (rotation.multiply, (P, Q), (3, 24, 4)),
    "rotate": (rotation.rotate, (P, V), (3, 24, 3)),
    "log": (rotation.log, (P,), (3, 24, 3)),
    "exp": (rotation.exp, (V,), (3, 24, 4)),
    "to_matrix": (rotation.to_matrix, (P,), (3, 24, 3, 3)),
    "slerp": (rotation.slerp, (P, Q, V[..., 0]), (3, 24, 4)),
    "rotation_distance": (tracking.rotation_distance, (P, Q), (3, 24)),
    "imitation_reward": (lambda a, b: tracking.imitation_reward(a, b)[0], (STATE, REFERENCE), (3,)),
    "body_distance": (tracking.body_distance, (V, V + 0.1), (3, len(tracking.EVAL_BODIES))),
}


@pytest.mark.parametrize("name", CASES)
def test_the_same_with_and_without_jit(name: str) -> None:
    function, arguments, shape = CASES[name]
    plain, compiled = function(*arguments), jax.jit(function)(*arguments)
    chex.assert_shape((plain, compiled), shape)
    chex.assert_type((plain, compiled), np.float32)
    chex.assert_tree_all_finite(plain)
    chex.assert_trees_all_close(plain, compiled, atol=2e-6)
