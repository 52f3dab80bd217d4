"""The transformer of Wan against diffusers, on a small one with random weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.generators import adapters
from mjxhuman.generators.blocks import sinusoid
from mjxhuman.generators.wan.transformer import WanTransformer, positions
from mjxhuman.generators.wan.weights import parameters, released_name

safetensors = pytest.importorskip("safetensors.numpy")
SMALL = WanTransformer(dim=48, layers=2, heads=2, ffn=96, frequencies=64)


@pytest.fixture(scope="module")
def golden(shared):
    folder = shared / "data" / "golden" / "diffusers_wan_tiny"
    return folder, np.load(folder / "tensors.npz")


@pytest.fixture(scope="module")
def shapes():
    arrays = jnp.zeros((1, 16, 1, 2, 2)), jnp.zeros(1), jnp.zeros((1, 3, 32))
    return jax.eval_shape(SMALL.init, jax.random.key(0), *arrays)["params"]


@pytest.fixture(scope="module")
def params(golden, shapes):
    return parameters(safetensors.load((golden[0] / "transformer.safetensors").read_bytes()), shapes)


@pytest.fixture(scope="module")
def apply():
    return jax.jit(lambda variables, *arrays: SMALL.apply(variables, *arrays))


@pytest.mark.parametrize("case", range(3))
def test_the_whole_network(golden, params, apply, case):
    """To what float32 rounds: at level 1 sinusoids alone differ by 1e-4."""
    latents, text, time = (golden[1][f"t{case}_{name}"] for name in ("latents", "text", "timestep"))
    found = apply({"params": params}, latents, time / np.float32(1000), text)
    np.testing.assert_allclose(found, golden[1][f"t{case}_out64"], atol=1e-5)


def test_the_gradient_at_the_latents(golden, params):
    latents, text, time = (golden[1][f"t0_{name}"] for name in ("latents", "text", "timestep"))

    def loss(latents):
        return jnp.mean(jnp.square(SMALL.apply({"params": params}, latents, time / np.float32(1000), text)))

    wanted = golden[1]["t0_grad_latents_mean_sq"]
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(latents), wanted, atol=1e-5 * np.abs(wanted).max() + 1e-9)


def test_rotary_positions_are_those_of_the_grid(golden):
    frames, height, width = golden[1]["t0_latents"].shape[2:]
    cosine, sine = positions((frames, height // 2, width // 2), 24)
    tables = sorted(name for name in golden[1] if name.startswith("t0_act_rope"))
    for found, name in zip((cosine, sine), tables, strict=True):
        wanted = golden[1][name].reshape(-1, 24)[:, ::2]
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_sinusoids_have_their_cosines_first():
    np.testing.assert_allclose(sinusoid(jnp.zeros(1), 8), [[1, 1, 1, 1, 0, 0, 0, 0]])
    np.testing.assert_allclose(sinusoid(jnp.ones(1), 8)[0, [0, 4]], [np.cos(1), np.sin(1)], rtol=1e-6)


def test_an_adapter_of_attention_and_layers_changes_what_merging_changes(golden, params, apply):
    arrays = [golden[1][f"t0_{name}"] for name in ("latents", "timestep", "text")]
    arrays[1] = arrays[1] / np.float32(1000)
    patterns = ("blocks_*.self_attn.?", "blocks_*.cross_attn.?", "blocks_*.ffn_?")
    adapter = adapters.init_adapter(params, jax.random.key(0), rank=4, patterns=patterns)
    assert len(adapter.layers) == 20  # ten linear layers of a block, as PhyMotion adapts
    keys = iter(jax.random.split(jax.random.key(1), 40))
    weights = jax.tree.map(lambda x: 0.1 * jax.random.normal(next(keys), x.shape), adapter.weights)
    adapter = adapter.replace(weights=weights)
    found = apply(adapters.variables(params, adapter), *arrays)
    assert np.abs(found - golden[1]["t0_out"]).max() > 0.01
    np.testing.assert_allclose(found, apply({"params": adapters.merged(params, adapter)}, *arrays), atol=2e-5)


def test_names_of_releases_are_known():
    assert released_name("model.diffusion_model.blocks.3.self_attn.q.weight") == "blocks.3.self_attn.q.weight"
    assert released_name("blocks.3.attn2.to_out.0.bias") == "blocks.3.cross_attn.o.bias"
    assert released_name("scale_shift_table") == "head.modulation"


def test_weights_that_do_not_fit_are_named(golden, shapes):
    tensors = dict(safetensors.load((golden[0] / "transformer.safetensors").read_bytes()))
    less = {name: x for name, x in tensors.items() if "proj_out.weight" not in name}
    with pytest.raises(ValueError, match=r"missing: head\.head\.kernel"):
        parameters(less, shapes)
    with pytest.raises(ValueError, match=r"not of this network: blocks_2\.ffn_0\.bias"):
        parameters({**tensors, "blocks.2.ffn.net.0.proj.bias": np.zeros(3)}, shapes)
    with pytest.raises(ValueError, match=r"head.head.bias: expected \(64,\), found \(3,\)"):
        parameters({**tensors, "proj_out.bias": np.zeros(3)}, shapes)


def test_latents_that_patches_do_not_divide_are_refused():
    with pytest.raises(ValueError, match=r"latents: expected \(B, 16, T, H, W\) in patches of \(1, 2, 2\)"):
        jax.eval_shape(SMALL.init, jax.random.key(0), jnp.zeros((1, 16, 1, 3, 2)), jnp.zeros(1), jnp.zeros((1, 3, 32)))
