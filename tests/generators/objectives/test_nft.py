"""DiffusionNFT's loss, against the published trainers, its closed form, and what it must not see."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.generators import flow
from mjxhuman.generators.objectives.nft import NFTConfig, average_decay, nft_loss, old_decay

#: What DiffusionNFT's modes make of advantages before its loss.
MODES = {
    "all": lambda a: a,
    "positive_only": lambda a: np.clip(a, 0, 5),
    "negative_only": lambda a: np.clip(a, -5, 0),
    "one_only": lambda a: np.where(a > 0, 1.0, 0.0),
    "binary": np.sign,
}
PHYMOTION = {"pm0": (0.1, 1e-4, 5.0), "pm1": (0.1, 1e-4, 5.0), "pm2": (1.0, 0.01, 5.0), "pm3": (0.3, 0.5, 1.0)}
NFT = {
    "dn0": (1.0, 1e-4, "all"), "dn1": (0.1, 1e-4, "all"), "dn2": (0.1, 0.01, "positive_only"),
    "dn3": (1.0, 1e-4, "negative_only"), "dn4": (1.0, 1e-4, "one_only"), "dn5": (1.0, 1e-4, "binary"),
}  # fmt: skip


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "data" / "golden" / "diffusion_nft_loss" / "nft.npz")


def loss(config, current, old, base, x0, x, s, advantage, valid=None):
    valid = np.ones(len(x0), bool) if valid is None else valid
    arrays = [jnp.asarray(a) for a in (old, base, x0, x, s, advantage, valid)]
    return jax.value_and_grad(lambda v: nft_loss(v, *arrays, config), has_aux=True)(jnp.asarray(current))


@pytest.mark.parametrize("case", PHYMOTION)
def test_parity_with_phymotion(golden, x64, case):
    """Its predictions are of the data; as velocities at s = 1 and x = 0 these are their negatives."""
    beta, weight, clip = PHYMOTION[case]
    g = {
        name: golden[f"{case}_{name}"] for name in ("x0", "old", "fwd", "ref", "adv", "loss", "policy_loss", "grad_fwd")
    }
    config = NFTConfig(beta, clip, "none", weight, "x0")
    zero, one = np.zeros_like(g["x0"]), np.ones(len(g["x0"]))
    (found, parts), grad = loss(config, -g["fwd"], -g["old"], -g["ref"], g["x0"], zero, one, g["adv"])
    np.testing.assert_allclose(found, g["loss"], rtol=1e-10)
    np.testing.assert_allclose(parts["loss/policy"], g["policy_loss"], rtol=1e-10)
    np.testing.assert_allclose(-grad, g["grad_fwd"], atol=1e-10)


def test_parity_with_phymotion_where_a_selection_is_held_to_the_base(golden, x64):
    """The distance of those selected alone; the preference counts all. Ours are two terms."""
    names = ("x0", "old", "fwd", "ref", "adv", "select_mask", "loss", "policy_loss", "kl_loss", "grad_fwd")
    g = {name: golden[f"pm4_{name}"] for name in names}
    zero, one, selected = np.zeros_like(g["x0"]), np.ones(len(g["x0"])), g["select_mask"] > 0
    given = -g["fwd"], -g["old"], -g["ref"], g["x0"], zero, one, g["adv"]
    (policy, _), slope = loss(NFTConfig(0.1, 5.0, "none", 0.0, "x0"), *given)
    (_, parts), both = loss(NFTConfig(0.1, 5.0, "none", 1.0, "x0"), *given, selected)
    (_, _), without = loss(NFTConfig(0.1, 5.0, "none", 0.0, "x0"), *given, selected)
    np.testing.assert_allclose(policy, g["policy_loss"], rtol=1e-10)
    np.testing.assert_allclose(parts["loss/kl"], g["kl_loss"], rtol=1e-10)
    np.testing.assert_allclose(policy + 0.05 * parts["loss/kl"], g["loss"], rtol=1e-10)
    np.testing.assert_allclose(-(slope + 0.05 * (both - without)), g["grad_fwd"], atol=1e-10)


@pytest.mark.parametrize("case", NFT)
def test_parity_with_diffusion_nft(golden, x64, case):
    """Its policy loss is five times ours: it multiplies by the bound of the advantages."""
    beta, weight, mode = NFT[case]
    g = {
        n: golden[f"{case}_{n}"]
        for n in ("x0", "t", "xt", "old_v", "fwd_v", "ref_v", "adv", "j_idx", "loss", "grad_fwd")
    }
    advantage = MODES[mode](np.clip(g["adv"][:, int(g["j_idx"])], -5, 5))
    config = NFTConfig(beta, 5.0, "adaptive", weight / 5.0, "v")
    (found, parts), grad = loss(config, g["fwd_v"], g["old_v"], g["ref_v"], g["x0"], g["xt"], g["t"], advantage)
    np.testing.assert_allclose(5.0 * found, g["loss"], rtol=1e-10)
    np.testing.assert_allclose(5.0 * grad, g["grad_fwd"], atol=1e-10)
    np.testing.assert_allclose(parts["loss/policy"] * 5, golden[f"{case}_policy_loss"], rtol=1e-10)


def test_parity_of_the_schedules(golden, x64):
    steps = golden["decay_steps"]
    for number, kind in enumerate(("none", "linear", "late")):
        np.testing.assert_allclose(old_decay(steps, kind), golden[f"old_policy_decay_type{number}"], atol=1e-12)
    np.testing.assert_allclose(average_decay(steps), golden["ema_decay"], atol=1e-12)
    np.testing.assert_array_equal(old_decay(steps, 0.3), 0.3)
    for wrong in ("early", 1.0):
        with pytest.raises(ValueError, match="expected one of none, linear, late or a share"):
            old_decay(steps, wrong)


CONFIG = NFTConfig(0.5, 5.0, "none", 0.0)


def drawn(n=6, seed=0):
    rng = np.random.default_rng(seed)
    x0, noise, old, current, base = rng.normal(size=(5, n, 3, 2))
    s = rng.uniform(0.2, 0.9, n)
    return current, old, base, x0, flow.mix(x0, noise, s), s


def test_indifferent_samples_do_not_move_the_old_policy(x64):
    _, old, base, x0, x, s = drawn()
    _, grad = loss(CONFIG, old, old, base, x0, x, s, np.zeros(6))
    np.testing.assert_allclose(grad, 0.0, atol=1e-14)


def test_what_is_avoided_is_the_opposite_of_what_is_imitated(x64):
    _, old, base, x0, x, s = drawn()
    good, bad = (loss(CONFIG, old, old, base, x0, x, s, np.full(6, a))[1] for a in (5.0, -5.0))
    assert np.abs(good).max() > 1e-3
    np.testing.assert_allclose(good, -bad, atol=1e-14)


def test_the_minimiser_is_that_of_the_closed_form(x64):
    _, old, base, x0, x, s = drawn()
    advantage = np.linspace(-6, 6, 6)
    r = np.clip(0.5 + advantage / 10, 0, 1)[:, None, None]
    before = flow.to_data(x, old, s)
    best = flow.from_data(x, before + (2 * r - 1) * (x0 - before) / CONFIG.nft_beta, s)
    (least, _), grad = loss(CONFIG, best, old, base, x0, x, s, advantage)
    np.testing.assert_allclose(grad, 0.0, atol=1e-12)
    assert loss(CONFIG, best + 0.01, old, base, x0, x, s, advantage)[0][0] > least


def test_errors_of_data_are_those_of_velocities_times_the_level(x64):
    current, old, base, x0, x, s = drawn(1)
    (found, _), _ = loss(NFTConfig(1.0, 5.0, "none", 0.0), current, old, base, x0, x, s, np.full(1, 5.0))
    true = (x - x0) / s[:, None, None]  # the velocity that leads from x to x0
    np.testing.assert_allclose(found, s[0] ** 2 * np.mean((current - true) ** 2), rtol=1e-12)
    kinds = [NFTConfig(1.0, 5.0, "none", 1.0, kind) for kind in ("v", "x0")]
    parts = [loss(kind, current, old, base, x0, x, s, np.zeros(1))[0][1]["loss/kl"] for kind in kinds]
    np.testing.assert_allclose(parts[1], s[0] ** 2 * parts[0], rtol=1e-12)


def test_what_is_not_valid_changes_nothing(x64):
    """T5: loss and gradient are those of the batch without it, NaN or not."""
    config = NFTConfig(0.5, 5.0, "adaptive", 0.1)
    arrays, advantage = drawn(), np.linspace(-3, 3, 6)
    kept = np.array([True, False, True, True, False, True])
    bad = [np.where(kept.reshape(-1, *(1,) * (a.ndim - 1)), a, np.nan) for a in arrays]
    (found, _), grad = loss(config, *bad, np.where(kept, advantage, np.nan), kept)
    (wanted, _), alone = loss(config, *(a[kept] for a in arrays), advantage[kept])
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    np.testing.assert_allclose(grad[kept], alone, atol=1e-14)
    np.testing.assert_array_equal(grad[~kept], 0.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nft_beta": 0.0}, "nft_beta: expected a number above 0"), ({"kl_weight": -1.0}, "kl_weight: expected 0"),
        ({"weighting": "some"}, "weighting: expected adaptive"), ({"kl_space": "x"}, "kl_space: expected v or x0"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        NFTConfig(**values)
