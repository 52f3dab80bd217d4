"""The exported graph gives the policy's actions."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.learning.networks import ACTIVATIONS, Networks
from mjxhuman.learning.normalization import Statistics
from mjxhuman.learning.onnx_export import export_onnx
from mjxhuman.learning.policy import Policy

pytestmark = pytest.mark.compiled

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def random_policy(activation: str, hidden: tuple[int, ...], seed: int = 0) -> Policy:
    """Weights large enough that observations and actions reach their bounds, biases and statistics not trivial."""
    networks = Networks((17, 17), 5, hidden, (8,), activation, -1.0, False)
    keys = iter(jax.random.split(jax.random.key(seed), 100))
    params = jax.tree.map(lambda x: x + 0.3 * jax.random.normal(next(keys), x.shape), networks.init(next(keys)))
    mean, var = jax.random.normal(next(keys), (17,)), jnp.exp(2.0 * jax.random.normal(next(keys), (17,)))
    return Policy(params, Statistics(mean, var, jnp.asarray(1e6)), networks, 3.0)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(32, 16), ()])
def test_actions_agree(tmp_path, activation, hidden):
    policy = random_policy(activation, hidden)
    obs = np.random.default_rng(1).normal(scale=3.0, size=(64, 17)).astype(np.float32)
    path = export_onnx(tmp_path / "policy.onnx", policy, {"humanoid": "smpl"})
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(["action"], {"obs": obs})
    expected = np.clip(policy({"state": jnp.asarray(obs)}), -1.0, 1.0)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert 0.02 < np.mean(np.abs(expected) < 1.0) < 0.98  # both sides of the bounds were met
    assert json.loads(session.get_modelmeta().custom_metadata_map["about"]) == {"humanoid": "smpl"}
    (one,) = session.run(["action"], {"obs": obs[:1]})  # any batch size
    np.testing.assert_allclose(one, expected[:1], atol=2e-5)
