"""Shapes that types state are checked while the tests run."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from beartype.roar import BeartypeCallHintViolation

from mjxhuman.learning.advantages import advantages
from mjxhuman.physics.motion import assemble
from mjxhuman.rewards.score import score
from mjxhuman.types import Motion, Provenance


def test_one_name_is_one_size_in_a_call():
    steps, done = jnp.zeros((5, 3)), jnp.zeros((5, 3), bool)
    advantages(steps, steps, steps, done, done, gamma=0.9, gae_lambda=0.9)
    with pytest.raises(BeartypeCallHintViolation, match="next_value"):
        advantages(steps, steps, steps[1:], done, done, gamma=0.9, gae_lambda=0.9)
    with pytest.raises(BeartypeCallHintViolation, match="done"):
        advantages(steps, steps, steps, steps, done, gamma=0.9, gae_lambda=0.9)


def test_a_pytree_is_checked_where_it_passes_a_border(humanoid):
    qpos = np.tile(humanoid.model.qpos0, (4, 1)).astype(np.float32)
    qvel = np.zeros((4, humanoid.nv), np.float32)
    motion = assemble(humanoid, qpos, qvel, qvel, np.ones(4, bool), 0.1, Provenance())
    assert isinstance(motion, Motion)
    short = dataclasses.replace(motion, qvel=qvel[:3])  # built without complaint, as JAX builds pytrees
    with pytest.raises(TypeError, match=r"Motion\.qvel"):
        score(short)
