"""Policy files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from toy import point_mass, small_ppo

from mjxhuman.learning.normalization import Statistics
from mjxhuman.learning.policy import Policy, load_policy, save_policy

META = {"humanoid": "smpl", "observations": "small", "sizes": [1, 2]}
OBS = {"state": np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)}


@pytest.fixture(scope="module")
def policy() -> Policy:
    algorithm = small_ppo(learn_std=True)
    return algorithm.policy(algorithm.init(point_mass()), point_mass())


def test_a_loaded_policy_acts_as_the_saved_one(tmp_path: Path, policy: Policy) -> None:
    save_policy(tmp_path / "p.npz", policy, META)
    loaded, meta = load_policy(tmp_path / "p.npz", expect={"humanoid": "smpl"})
    assert meta == META
    np.testing.assert_array_equal(jax.jit(loaded.__call__)(OBS), jax.jit(policy.__call__)(OBS))
    assert "critic" not in loaded.params
    assert loaded.networks == policy.networks


def rewrite(path: Path, **changes: object) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(str(arrays["header"]))
    header.update({name: value for name, value in changes.items() if name in header})
    arrays["header"] = np.array(json.dumps(header))
    arrays.update({name: value for name, value in changes.items() if name not in header})
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


def test_wrong_files_are_named_and_refused(tmp_path: Path, policy: Policy) -> None:
    path = tmp_path / "p.npz"
    save_policy(path, policy, META)
    with pytest.raises(ValueError, match=r"p\.npz: humanoid: expected 'g1', the policy was trained with 'smpl'"):
        load_policy(path, expect={"humanoid": "g1"})
    rewrite(path, version=99)
    with pytest.raises(ValueError, match=r"p\.npz: version: expected 1, found 99"):
        load_policy(path)
    rewrite(path, version=1, **{"params/actor/out/bias": np.zeros(9)})
    with pytest.raises(ValueError, match=r"params/actor/out/bias: expected shape \(2,\), found \(9,\)"):
        load_policy(path)
    rewrite(path, **{"params/actor/out/bias": None})
    with pytest.raises(ValueError, match=r"params/actor/out/bias: expected shape \(2,\), found None"):
        load_policy(path)
    rewrite(path, **{"statistics/var": None})
    with pytest.raises(ValueError, match="var missing"):
        load_policy(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(ValueError, match=r"expected a policy file, found an \.npz with \['other'\]"):
        load_policy(path)
    path.write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ValueError, match="cannot read it"):
        load_policy(path)
    with pytest.raises(FileNotFoundError):
        load_policy(tmp_path / "absent.npz")


def test_a_training_begins_with_the_policy_that_it_is_given(tmp_path: Path, policy: Policy) -> None:
    """It acts the same before its first iteration; the critic is its own; another network is refused."""
    save_policy(tmp_path / "p.npz", policy, META)
    given, _ = load_policy(tmp_path / "p.npz")
    plain = small_ppo(learn_std=True)
    begun = dataclasses.replace(plain, start=given)
    state, other = begun.init(point_mass(), seed=5), plain.init(point_mass(), seed=5)
    acts = [jax.jit(p.__call__)(OBS) for p in (policy, begun.policy(state, point_mass()))]
    np.testing.assert_array_equal(*acts)
    critics = [jax.tree.leaves(x.learner.params["critic"]) for x in (state, other)]
    for a, b in zip(*critics, strict=True):
        np.testing.assert_array_equal(a, b)
    small = dataclasses.replace(small_ppo(learn_std=True, actor_hidden=(7,)), start=given)
    with pytest.raises(ValueError, match=r"start: params/actor/.*: expected shape .* of this training, found"):
        small.init(point_mass())


def test_a_policy_may_see_the_first_of_more_numbers(policy: Policy) -> None:
    """It acts as before whatever the others are, and what is learned from them begins in their units."""
    seen = Statistics(np.arange(8.0), np.arange(1.0, 9.0), np.float32(3))
    wider = policy.widened(seen)
    more = {"state": np.concatenate([OBS["state"], np.full((5, 2), 100.0, np.float32)], -1)}
    np.testing.assert_allclose(wider(more), policy(OBS), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(wider.statistics.mean[6:], [6.0, 7.0])
    np.testing.assert_array_equal(wider.statistics.var[6:], [7.0, 8.0])
    np.testing.assert_array_equal(wider.statistics.mean[:6], policy.statistics.mean)
    assert wider.networks.observation == (8, policy.networks.observation[1])
    assert policy.widened(policy.statistics) is policy


def test_a_training_that_sees_more_begins_with_it(policy: Policy) -> None:
    actor = {**policy.params["actor"]}
    actor["hidden_0"] = {**actor["hidden_0"], "kernel": actor["hidden_0"]["kernel"][:4]}
    known = Statistics(policy.statistics.mean[:4], policy.statistics.var[:4], policy.statistics.count)
    narrow = dataclasses.replace(policy, params={**policy.params, "actor": actor}, statistics=known)
    begun = dataclasses.replace(small_ppo(learn_std=True), start=narrow)
    acts = begun.policy(begun.init(point_mass(), seed=5), point_mass())
    np.testing.assert_allclose(acts(OBS), narrow({"state": OBS["state"][:, :4]}), rtol=1e-5, atol=1e-6)
