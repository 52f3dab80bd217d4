"""Every block that is written out by hand adds what automatic differentiation of its residual adds."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recovery.problems import heavy, make_clip

from mjxhuman.recovery import equations
from mjxhuman.recovery.residuals import problem_of
from mjxhuman.recovery.solver import _prepared
from mjxhuman.retarget.chain import chain_of
from mjxhuman.scenes.surface import Plane

pytestmark = pytest.mark.compiled

FRAMES = 4
NAMES = ("pixels", "landmarks", "neutral", "ranges", "on_floor", "in_place", "accelerations")
SLOPE = Plane(np.array([0.1, 0.0, 0.02]), np.array([0.3, -0.2, 1.0]))


@pytest.fixture(scope="module")
def systems(humanoid):
    """Per residual the normal equations of it alone, by its block and automatically."""
    evidence, subject, start = heavy(*make_clip(chain_of(humanoid), FRAMES)[:3])
    problem = problem_of(evidence, subject)
    assert tuple(residual.value.__name__ for residual in problem.residuals) == NAMES
    (slope,) = [r for r in problem_of(evidence, subject, surface=SLOPE).residuals if r.value.__name__ == "on_floor"]
    with jax.enable_x64(True):
        residuals = [_prepared(residual, problem.segment, 0) for residual in (*problem.residuals, slope)]
        problem, start = jax.tree.map(jnp.asarray, (problem._replace(shared_precision=np.zeros(3)), start))

        @jax.jit
        def both(residuals, problem, start):
            plain = [dataclasses.replace(residual, block=None) for residual in residuals]
            alone = lambda residual: equations.linearise(start, problem._replace(residuals=(residual,)))  # noqa: E731
            return [alone(residual) for residual in residuals], [alone(residual) for residual in plain]

        own, automatic = jax.tree.map(np.asarray, both(residuals, problem, start))
    return dict(zip((*NAMES, "on a slope"), zip(own, automatic, strict=True), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, "on a slope"])
def test_the_block_equals_automatic_differentiation(systems, name):
    own, automatic = systems[name]
    assert own.cost.sum() > 0
    for part, a, b in zip(own._fields, own, automatic, strict=True):
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-9 * max(1.0, np.abs(y).max()), err_msg=part)
