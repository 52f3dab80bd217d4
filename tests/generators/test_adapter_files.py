"""Adapters as files that other programs read."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.generators import adapters
from mjxhuman.generators.adapter_files import CONFIG, WEIGHTS, fingerprint, load_adapter, module_name, save_adapter

from .test_adapters import Toy, X, drawn, params  # noqa: F401

safetensors = pytest.importorskip("safetensors.numpy")


def test_what_is_written_is_read(params, tmp_path):  # noqa: F811
    adapter = drawn(params)
    save_adapter(tmp_path / "a", adapter, params, facts={"reward": "feasibility"})
    found, facts = load_adapter(tmp_path / "a", params)
    jax.tree.map(np.testing.assert_array_equal, found, adapter)
    assert facts == {"base": fingerprint(params), "reward": "feasibility"}


def test_names_and_shapes_are_those_of_peft(params, tmp_path):  # noqa: F811
    adapter = drawn(params)
    save_adapter(tmp_path, adapter, params)
    tensors = safetensors.load((tmp_path / WEIGHTS).read_bytes())
    assert {name: x.shape for name, x in tensors.items()} == {
        "base_model.model.blocks.0.lora_A.weight": (3, 4), "base_model.model.blocks.0.lora_B.weight": (6, 3),
        "base_model.model.head.lora_A.weight": (3, 6), "base_model.model.head.lora_B.weight": (2, 3),
    }  # fmt: skip
    config = json.loads((tmp_path / CONFIG).read_text())
    assert (config["r"], config["lora_alpha"], config["target_modules"]) == (3, 6.0, ["blocks.0", "head"])
    assert module_name(("blocks_12", "self_attn", "norm_2q")) == "blocks.12.self_attn.norm_2q"


def test_a_torch_twin_with_peft_does_what_the_network_does(params, tmp_path):  # noqa: F811
    """The file on disk, loaded by peft onto the same network in torch, changes its output as it does ours."""
    torch, peft = pytest.importorskip("torch"), pytest.importorskip("peft")

    class Twin(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = torch.nn.ModuleList([torch.nn.Linear(4, 6)])
            self.head = torch.nn.Linear(6, 2, bias=False)

        def forward(self, x):
            return self.head(torch.tanh(self.blocks[0](x)))

    twin = Twin()
    with torch.no_grad():
        twin.blocks[0].weight.copy_(torch.tensor(np.array(params["blocks_0"]["kernel"]).T))
        twin.blocks[0].bias.copy_(torch.tensor(np.array(params["blocks_0"]["bias"])))
        twin.head.weight.copy_(torch.tensor(np.array(params["head"]["kernel"]).T))
    adapter = drawn(params)
    save_adapter(tmp_path, adapter, params)
    loaded = peft.PeftModel.from_pretrained(twin, str(tmp_path))
    found = loaded(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(found, Toy().apply(adapters.variables(params, adapter), X), atol=1e-5)
    assert np.abs(found - Toy().apply({"params": params}, X)).max() > 0.1


def test_layouts_of_other_trainers_are_read(params, tmp_path):  # noqa: F811
    adapter = drawn(params)
    wanted = adapters.difference(adapter)
    save_adapter(tmp_path / "d", adapter, params, layout="diffusers")
    written = safetensors.load((tmp_path / "d" / WEIGHTS).read_bytes())
    assert all(name.startswith("transformer.") for name in written)

    old = {}
    for path, layer in adapter.layers.items():
        name = f"diffusion_model.{module_name(path)}"
        old[f"{name}.lora_down.weight"], old[f"{name}.lora_up.weight"] = (np.array(layer[k]) for k in "AB")
        old[f"{name}.alpha"] = np.array(6.0, np.float32)
    (tmp_path / "old.safetensors").write_bytes(safetensors.save(old))
    for file in (tmp_path / "d" / WEIGHTS, tmp_path / "d", tmp_path / "old.safetensors"):
        found, _ = load_adapter(file, params)
        for path, added in adapters.difference(found).items():
            np.testing.assert_allclose(added, wanted[path], atol=1e-6)


def test_what_does_not_fit_is_named(params, tmp_path):  # noqa: F811
    save_adapter(tmp_path, drawn(params), params)
    other = jax.tree.map(lambda x: x + 1, params)
    with pytest.raises(ValueError, match=f"expected an adapter of the network {fingerprint(other)}"):
        load_adapter(tmp_path, other)
    assert load_adapter(tmp_path, other, force=True)[0].rank == 3

    def broken(change, message):
        tensors = safetensors.load((tmp_path / WEIGHTS).read_bytes())
        change(tensors)
        (tmp_path / "broken.safetensors").write_bytes(safetensors.save(tensors))
        with pytest.raises(ValueError, match=message):
            load_adapter(tmp_path / "broken.safetensors", params)

    a = "base_model.model.head.lora_A.weight"
    broken(lambda t: t.pop(a), "head: expected the matrices A and B, found B alone")
    broken(lambda t: t.update({a: t[a][:, :2].copy()}), r"head: expected \(3, 6\)")
    broken(lambda t: t.update({a: t[a][:2].copy()}), r"expected one rank for all layers, found \[2, 3\]")
    tail = a.replace("head", "tail")
    broken(lambda t: t.update({tail: t[a], tail.replace("A", "B"): t[a]}), "expected layers of the network, found tail")
    broken(lambda t: t.update({"head.weight": t[a]}), "expected tensors that end in .*found 'head.weight'")
    broken(lambda t: t.update({a: np.full_like(t[a], np.nan)}), "lora_A.weight: expected finite numbers")
    for content in (b"", b"junk", (tmp_path / WEIGHTS).read_bytes()[:-9]):
        (tmp_path / "cut.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match=r"cut.safetensors: expected a safetensors file, cannot read it"):
            load_adapter(tmp_path / "cut.safetensors", params)
    for content, message in (("{", "expected JSON"), ("[]", "expected a table"), ('{"lora_alpha": "x"}', "lora_alpha")):
        (tmp_path / CONFIG).write_text(content)
        with pytest.raises(ValueError, match=f"{CONFIG}: {message}"):
            load_adapter(tmp_path, params)
    with pytest.raises(FileNotFoundError):
        load_adapter(tmp_path / "none", params)


def test_the_fingerprint_sees_values_names_and_types(params):  # noqa: F811
    changed = [
        jax.tree.map(lambda x: x.at[(0,) * x.ndim].add(1e-3), params), {"other": params},
        jax.tree.map(lambda x: x.astype(jnp.bfloat16), params),
    ]  # fmt: skip
    assert len({fingerprint(params), *map(fingerprint, changed)}) == 4
