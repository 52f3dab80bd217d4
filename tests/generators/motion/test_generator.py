"""From captioned recordings to a generator, its file and its samples."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxhuman
from mjxhuman.data.builtin import builtin_path
from mjxhuman.generators.adapters import init_adapter
from mjxhuman.generators.motion import training
from mjxhuman.generators.motion.captions import Caption
from mjxhuman.generators.motion.features import from_features, to_features
from mjxhuman.generators.motion.generator import _key, init_generator, load_generator, save_generator
from mjxhuman.generators.motion.windows import make_clips

pytestmark = pytest.mark.compiled

CAPTIONS = [
    Caption(Path(builtin_path("walk")), "a person turns left"), Caption(Path(builtin_path("jump")), "a jump", 0.5, 1.0)
]  # fmt: skip


@pytest.fixture(scope="module")
def clips(humanoid):
    found, failed = make_clips(CAPTIONS, lambda c: mjxhuman.load_motion(c.path), humanoid)
    assert not failed
    return found


@pytest.fixture(scope="module")
def generator(clips):
    return init_generator("test", clips.scale(), 16, clips.fps, clips.captions)


@pytest.fixture(scope="module")
def body(clips, humanoid):
    return training.Body.of(humanoid, clips.scale(), clips.fps)


def test_clips_have_their_mirror_images_with_sides_exchanged(clips, humanoid):
    assert clips.texts == ("a person turns left", "a person turns right", "a jump", "a jump")
    assert clips.captions == ("a person turns left", "a person turns right", "a jump")
    assert clips.length.tolist()[2:] == [15, 15]  # half a second at 30 Hz
    jump = mjxhuman.load_motion(CAPTIONS[1].path)
    alone = to_features(humanoid, np.asarray(mjxhuman.resample(jump, 30.0).qpos)[15:30], 30.0)
    np.testing.assert_allclose(clips.features[clips.start[2] :][:15], alone, atol=1e-4)
    one, other = (
        np.asarray(from_features(humanoid, clips.features[s : s + n], 30.0))
        for s, n in zip(clips.start[:2], clips.length[:2], strict=True)
    )
    np.testing.assert_allclose(other[:, 0], one[:, 0], atol=1e-3)
    np.testing.assert_allclose(other[:, 1], -one[:, 1], atol=1e-3)


def test_windows_are_parts_of_clips_and_say_where_these_end(clips):
    x, valid, which = clips.draw(np.random.default_rng(0), 200, 16)
    assert x.shape == (200, 16, 148) and set(which) == {0, 1, 2, 3}
    short = which >= 2
    assert valid[~short].all() and (valid[short].sum(1) == 15).all()
    for window, clip in zip(x[:20], which[:20], strict=True):
        rows = clips.features[clips.start[clip] : clips.start[clip] + clips.length[clip]]
        first = int(np.flatnonzero((rows == window[0]).all(1))[0])
        wanted = rows[np.minimum(first + np.arange(16), len(rows) - 1)]
        np.testing.assert_allclose(window, wanted, atol=1e-4)  # the walk is a loop: frames come again but for rounding
    kept = clips.only(np.arange(4) % 2 == 0)
    assert kept.texts == ("a person turns left", "a jump") and set(kept.draw(np.random.default_rng(0), 50, 16)[2]) <= {
        0,
        1,
    }


def test_recordings_that_cannot_be_used_are_named(humanoid):
    def load(caption):
        if caption.text == "gone":
            raise ValueError("gone.bvh: broken")
        return mjxhuman.load_motion(caption.path)

    bad = [Caption(Path("gone.bvh"), "gone"), dataclasses.replace(CAPTIONS[1], start=2.4, end=2.5)]
    found, failed = make_clips([*bad, CAPTIONS[0]], load, humanoid, mirror=False)
    assert len(found.texts) == 1 and failed["gone.bvh"] == "gone.bvh: broken"
    assert "expected 8 valid frames or more for 'a jump', found 3 of 3" in failed[str(CAPTIONS[1].path)]
    with pytest.raises(ValueError, match=r"expected recordings that can be used, found none: gone\.bvh: broken"):
        make_clips(bad[:1], load, humanoid)


def test_training_learns_a_single_window(clips, generator, body):
    """The loss falls well below that of predicting the mean, and what has no caption is learned too."""
    options = training.TrainingOptions("test", frames=16, windows=8, steps=150, rate=1e-2, average=0.9)
    x, valid, which = clips.draw(np.random.default_rng(0), 8, 16)
    text = np.eye(512, dtype=np.float32)[which][:, None]
    window = training.Window(clips.scale().to_unit(x).astype(np.float32), valid, text)
    state = training.begin(jax.tree.map(jnp.copy, generator.params), options)
    before = float(training.judge(state.average, window, jax.random.key(9), body, options)["loss"])
    for i in range(150):
        state, found = training.learn(state, window, jax.random.fold_in(jax.random.key(0), i), body, options)
    told = training.judge(state.average, window, jax.random.key(9), body, options)
    after = float(told["loss"])
    assert (
        after == pytest.approx(float(told["features"]) + 0.1 * float(told["joints"]), rel=1e-5) and told["joints"] > 0
    )
    assert after < 0.6 * before and np.isfinite(float(found["gradient_norm"]))


def test_padding_and_captions_that_are_dropped_have_no_say_in_the_loss(clips, generator, body):
    options = training.TrainingOptions("test", frames=16, windows=2, drop=0.0)
    x, valid, _ = clips.draw(np.random.default_rng(0), 2, 16)
    valid = np.arange(16) < np.array([[16], [9]])
    text = np.eye(512, dtype=np.float32)[:2][:, None]

    def loss(x, text, drop):
        changed = dataclasses.replace(options, drop=drop)
        window = training.Window(x.astype(np.float32), valid, text)
        return float(training.judge(generator.params, window, jax.random.key(0), body, changed)["loss"])

    other = np.where(valid[..., None], x, 7.0)
    assert loss(other, text, 0.0) == pytest.approx(loss(np.where(valid[..., None], x, 0.0), text, 0.0), rel=1e-5)
    assert loss(x, text, 1 - 1e-9) == pytest.approx(loss(x, 0 * text, 0.0), rel=1e-6)
    assert loss(x, text, 0.0) != pytest.approx(loss(x, 0 * text, 0.0), rel=1e-6)


def test_what_slides_costs_joints_more_than_a_turn_of_the_head(clips, body):
    """By the same error of features; and nothing at the data itself, nor at the highest level."""
    x, valid, _ = clips.draw(np.random.default_rng(0), 2, 16)
    x = clips.scale().to_unit(x).astype(np.float32)
    window = training.Window(x, valid, np.zeros((2, 1, 512), np.float32))
    found = jax.jit(training.joint_error)
    level = np.full(2, 0.5, np.float32)
    assert float(found(window, x, level, body)) < 1e-12
    slides, nods = x.copy(), x.copy()
    slides[..., 1] += 0.3  # root velocity ahead
    nods[..., 4 + 6 * 15 : 4 + 6 * 15 + 1] += 0.3
    one, other = (float(found(window, y, level, body)) for y in (slides, nods))
    assert one > 10 * other > 0
    speed = 0.3 * float(clips.scale().deviation[1])
    assert one == pytest.approx((speed / training.SPEED) ** 2 / 3, rel=1e-3)  # of three directions
    assert float(found(window, slides, np.full(2, 0.9, np.float32), body)) == pytest.approx(one / 81, rel=1e-3)
    assert float(found(window, slides, np.ones(2, np.float32), body)) == 0.0


def test_the_file_holds_the_generator(tmp_path, generator):
    path = tmp_path / "generator.npz"
    save_generator(path, generator)
    found = load_generator(path)
    assert (found.frames, found.fps, found.captions, found.size) == (16, 30.0, generator.captions, generator.size)
    for one, other in zip(jax.tree.leaves(found.params), jax.tree.leaves(generator.params), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)  # half precision
    assert load_generator(tmp_path).captions == found.captions  # the folder of a run
    with np.load(path) as file:
        arrays = dict(file)
    arrays["params/head/head/bias"] = arrays["params/head/head/bias"][1:]
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(ValueError, match=r"other.npz: head/head/bias: expected \(148,\), found \(147,\)"):
        load_generator(tmp_path / "other.npz")
    with np.load(path) as file:
        arrays = dict(file)
    wrong = {"mean": (np.zeros(3), r"mean: expected \(148,\), found \(3,\)"),
             "params/head/head/bias": (np.full(148, np.nan), "head/head/bias: expected finite numbers")}  # fmt: skip
    for name, (value, message) in wrong.items():
        np.savez(tmp_path / "bad.npz", **{**arrays, name: value})
        with pytest.raises(ValueError, match=f"bad.npz: {message}"):
            load_generator(tmp_path / "bad.npz")
    np.savez(tmp_path / "none.npz", a=np.zeros(2))
    with pytest.raises(ValueError, match="expected a motion generator"):
        load_generator(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError):
        load_generator(tmp_path / "absent.npz")


def test_samples_depend_on_prompt_number_and_seed_alone(generator):
    one = generator.sample(["a jump"], samples=2, seed=3)
    many = generator.sample(["a person turns left", "a jump"], samples=3, seed=3)
    assert many.prompts == ("a person turns left",) * 3 + ("a jump",) * 3
    for k in range(2):
        np.testing.assert_allclose(one.motions[k].qpos, many.motions[3 + k].qpos, atol=1e-4)
    assert np.abs(np.asarray(one.motions[0].qpos) - np.asarray(one.motions[1].qpos)).max() > 1e-3
    assert np.abs(generator.sample(["a jump"], seed=4).motions[0].qpos - one.motions[0].qpos).max() > 1e-3
    assert one.nearest["a jump"][0] == "a jump" and one.motions[0].num_frames == 16
    assert generator.sample(["a jump"], seconds=0.3).motions[0].num_frames == 9
    with pytest.raises(ValueError, match=r"seconds: expected 0.07 to 0.53.* of this generator, found 2"):
        generator.sample(["a jump"], seconds=2.0)
    with pytest.raises(ValueError, match="samples: expected 1 or more"):
        generator.sample(["a jump"], samples=0)


def test_levels_are_those_visited_and_an_adapter_that_is_zero_changes_nothing(generator):
    cond, keys = generator.condition(["a jump"]), jax.random.split(jax.random.key(0), 1)
    adapter = init_adapter(generator.params, jax.random.key(1), rank=2, patterns=generator.adapter_targets)
    plain, adapted = (generator.rollout(generator.params, a, keys, cond) for a in (None, adapter))
    np.testing.assert_allclose(plain.levels, generator.noise_levels)
    np.testing.assert_allclose(adapted.latents, plain.latents, atol=1e-5)
    assert generator.decode(plain.latents).shape == (1, 16, 99)


def test_guidance_leads_away_from_what_has_no_prompt(generator):
    """By the strength: 0 is without a prompt, 1 with it as ever, 2 as far beyond at each step."""
    keys = iter(jax.random.split(jax.random.key(0), 100))
    params = jax.tree.map(lambda x: x + 0.2 * jax.random.normal(next(keys), x.shape), generator.params)
    one = dataclasses.replace(generator, params=params, steps=1)
    made = {w: one.features(["a jump"], 1, 3, guidance=w)[0] for w in (0.0, 1.0, 2.0)}
    plain = one.features(["a jump"], 1, 3)[0]
    np.testing.assert_array_equal(made[1.0], plain)
    assert np.abs(made[0.0] - plain).max() > 1e-3
    np.testing.assert_allclose(made[2.0] - plain, plain - made[0.0], atol=1e-4)  # of a single step
    noise = one.noise(jnp.stack([_key(3, "a jump", 0)]))
    cond = one.condition(["a jump"])
    free = noise - one.velocity(params, None, noise, jnp.ones(1), cond.replace(text=0 * cond.text))
    np.testing.assert_allclose(made[0.0], one.scale.from_unit(free), atol=1e-4)
