"""The motion generator's network and its text."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxhuman.generators.motion.network import SIZES, MotionTransformer, NetworkSize
from mjxhuman.generators.motion.text import SIZE, embedded, nearest

pytestmark = pytest.mark.compiled

#: Where "jump" is in 64 numbers, on every machine.
JUMP = [15, 17, 22, 50, 59]
SMALL = MotionTransformer(SIZES["test"])


@pytest.fixture(scope="module")
def params():
    found = SMALL.init(jax.random.key(0), jnp.zeros((1, 4, 148)), jnp.zeros(1), jnp.zeros((1, 1, SIZE)))["params"]
    keys = iter(jax.random.split(jax.random.key(1), 200))
    return jax.tree.map(lambda x: x + 0.1 * jax.random.normal(next(keys), x.shape), found)


@pytest.fixture(scope="module")
def apply():
    return jax.jit(lambda params, *arrays: SMALL.apply({"params": params}, *arrays))


def drawn(frames=6):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, frames, 148)).astype(np.float32)
    return x, np.array([0.3, 0.8], np.float32), embedded(["a person walks", "a jump"])[:, None]


def test_padding_changes_nothing(params, apply):
    x, s, text = drawn()
    alone = apply(params, x[:, :4], s, text, np.ones((2, 4), bool))
    valid = np.arange(6) < 4
    padded = apply(params, np.where(valid[:, None], x, 100.0), s, text, np.broadcast_to(valid, (2, 6)))
    np.testing.assert_allclose(padded[:, :4], alone, atol=1e-5)


def test_order_level_and_text_matter(params, apply):
    x, s, text = drawn()
    valid = np.ones((2, 6), bool)
    found = apply(params, x, s, text, valid)
    for other in (apply(params, x[:, ::-1], s, text, valid)[:, ::-1], apply(params, x, s[::-1], text, valid),
                  apply(params, x, s, text[::-1], valid)):  # fmt: skip
        assert np.abs(other - found).max() > 1e-3


@pytest.mark.parametrize(("name", "millions"), [("test", 0.022), ("cpu", 3.0), ("gpu", 53.0)])
def test_sizes_are_about_what_they_say(name, millions):
    arrays = jnp.zeros((1, 4, 148)), jnp.zeros(1), jnp.zeros((1, 1, SIZE))
    shapes = jax.eval_shape(MotionTransformer(SIZES[name]).init, jax.random.key(0), *arrays)["params"]
    assert sum(x.size for x in jax.tree.leaves(shapes)) / 1e6 == pytest.approx(millions, rel=0.1)


def test_a_size_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="dim: expected a multiple of 12, found 100"):
        NetworkSize(100, 2, 6, 32)


def test_words_matter_and_their_forms_little():
    base, same, form, other, order = embedded(
        ["A person walks!", "a  person walks", "a person walking", "two dogs swim", "walks person a"]
    )
    np.testing.assert_array_equal(base, same)
    assert base @ form > 0.6 > base @ other and base @ order < 0.95
    np.testing.assert_allclose(np.linalg.norm(embedded(["x", "kick"]), axis=1), 1.0, rtol=1e-6)
    assert embedded(["jump"], 64)[0].nonzero()[0].tolist() == JUMP
    words = embedded(["jump", "walk", "kick", "turn", "bow", "clap", "spin", "crawl", "wave", "roll", "punch"], 32)
    likeness = (words @ words.T)[np.triu_indices(len(words), 1)]
    assert abs(likeness.mean()) < 0.08  # hashes that meet by chance cancel
    with pytest.raises(ValueError, match="expected words, found '!!'"):
        embedded(["walk", "!!"])


def test_the_nearest_captions_are_named():
    captions = ["a person walks forward", "a person jumps", "someone kicks with the left leg"]
    assert nearest("a man is walking", captions, 1) == ("a person walks forward",)
    assert nearest("kick left", captions, 2)[0] == captions[2]
