"""The clip library and how starting frames are drawn from it."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxhuman
from mjxhuman.data.builtin import builtin_path
from mjxhuman.envs.clips import MIN_FRAMES, Curriculum, _pack, load_clips, make_library
from mjxhuman.options import ClipOptions
from mjxhuman.physics.motion import resample
from mjxhuman.types import Controls

pytestmark = pytest.mark.compiled


def test_frames_lie_flat_and_clips_keep_their_ends(library, motions):
    assert library.num_clips == 2
    assert np.asarray(library.start).tolist() == [0, int(library.length[0])]
    for clip, motion in enumerate(motions):
        seconds = (motion.num_frames - 1) / motion.fps
        assert int(library.length[clip]) == pytest.approx(1 + 30 * seconds, abs=1)
    first = library.index(jnp.array([1, 1]), jnp.array([-5, 10_000]))
    assert np.asarray(first).tolist() == [int(library.start[1]), int(library.length.sum()) - 1]
    np.testing.assert_allclose(library.qpos[library.start[1]], motions[1].qpos[0], atol=1e-5)


def test_torques_carry_the_body(library):
    """Standing on both legs, hips and knees of the jump's first frame hold the weight: tens of N m, not thousands."""
    torque = np.abs(np.asarray(library.torque))
    assert torque.shape == (library.qpos.shape[0], 69)
    assert 10 < torque.max() < 1000


def test_segments_cover_every_frame_that_has_a_next_one(library):
    for clip in range(2):
        mine = np.asarray(library.segment_clip) == clip
        starts, sizes = np.asarray(library.segment_start)[mine], np.asarray(library.segment_length)[mine]
        covered = np.concatenate([np.arange(a, a + n) for a, n in zip(starts, sizes)])
        assert covered.tolist() == list(range(int(library.length[clip]) - 1))
    of = np.asarray(library.segment_of)
    assert np.all(np.diff(of) >= 0)
    assert np.asarray(library.segment_clip)[of].tolist() == np.repeat([0, 1], np.asarray(library.length)).tolist()


def test_draws_follow_length_and_weight(library):
    keys = jax.random.split(jax.random.key(0), 20_000)
    clip, frame = library.draw(keys, Curriculum.zeros(library).probability(library, 1.0))
    assert np.all(np.asarray(frame) < np.asarray(library.length)[np.asarray(clip)] - 1)
    size = (np.asarray(library.length) - 1) * np.array([1.0, 3.0])
    assert np.mean(np.asarray(clip)) == pytest.approx(size[1] / size.sum(), abs=0.02)
    assert len(np.unique(np.asarray(frame)[np.asarray(clip) == 0])) == int(library.length[0]) - 1


def test_a_clip_of_weight_zero_is_never_drawn(motions):
    library = make_library(motions, 30.0, weights=[0.0, 1.0])
    probability = Curriculum.zeros(library).probability(library, 0.5)
    clip, _ = library.draw(jax.random.split(jax.random.key(1), 2000), probability)
    assert np.all(np.asarray(clip) == 1)


def test_hard_segments_and_those_before_them_are_drawn_more_often(library):
    curriculum = Curriculum.zeros(library)
    everywhere = jnp.tile(jnp.arange(library.segment_clip.size), 1000)
    curriculum = curriculum.update(everywhere, everywhere == 2, 0.9)
    probability = np.asarray(curriculum.probability(library, 0.2))
    plain = np.asarray(Curriculum.zeros(library).probability(library, 0.2))
    assert probability.sum() == pytest.approx(1.0, abs=1e-5)
    assert probability[2] > 2 * plain[2]
    assert probability[1] > 2 * plain[1]
    assert probability[3] < plain[3]
    assert np.all(probability > 0)


def test_failures_are_counted_where_they_happened(library):
    segment, failed = jnp.array([[0, 0], [1, 3]]), jnp.array([[False, True], [False, True]])
    once = Curriculum.zeros(library).update(segment, failed, 0.5)
    twice = once.update(segment, failed, 0.5)
    assert np.asarray(once.visits)[:4].tolist() == [2, 1, 0, 1]
    assert np.asarray(once.failures)[:4].tolist() == [1, 0, 0, 1]
    assert np.asarray(twice.visits)[:4].tolist() == [3, 1.5, 0, 1.5]


def test_the_longest_valid_run_is_kept(motions):
    walk = motions[0]
    valid = np.ones(walk.num_frames, bool)
    valid[40:44] = False
    library = make_library([dataclasses.replace(walk, valid=valid)], walk.fps)
    assert int(library.length[0]) == walk.num_frames - 44
    np.testing.assert_allclose(library.qpos[0], walk.qpos[44], atol=1e-6)


def test_what_does_not_fit_is_refused_by_name(motions):
    with pytest.raises(ValueError, match="at least one clip"):
        make_library([], 30.0)
    child = load_clips([builtin_path("walk")], mjxhuman.load_humanoid("smpl", stature=1.2))
    assert not child.failed
    with pytest.raises(ValueError, match="load all files with the same humanoid"):
        make_library([motions[0], child.motions[0]], 30.0)
    with pytest.raises(ValueError, match="2 numbers >= 0"):
        make_library(motions, 30.0, weights=[1.0])
    valid = np.zeros(motions[0].num_frames, bool)
    valid[: MIN_FRAMES - 1] = True
    with pytest.raises(ValueError, match=r"built-in clip .walk.*: expected at least 5 valid frames"):
        make_library([dataclasses.replace(motions[0], valid=valid)], motions[0].fps)


def test_an_hour_of_motion_takes_105_megabytes(library):
    size = sum(x.nbytes for x in jax.tree.leaves(library))
    hours = float(np.sum(np.asarray(library.length))) / library.fps / 3600
    assert size / hours == pytest.approx(105e6, rel=0.03)


def test_ten_thousand_clips_are_packed_and_drawn_within_seconds():
    """Clips of 1 to 11 seconds, 17 hours in all; three numbers a frame, for the bookkeeping does not look at them."""
    lengths = np.random.default_rng(0).integers(30, 330, 10_000)
    arrays = [(np.full((n, 1), i, np.float32),) * 4 for i, n in enumerate(lengths)]
    began = time.process_time()
    library = _pack(arrays, np.ones(10_000), [f"clip{i}" for i in range(10_000)], 30.0)
    packed = time.process_time()
    probability = Curriculum.zeros(library).probability(library, 0.5)
    clip, frame = library.draw(jax.random.split(jax.random.key(0), 100_000), probability)
    clip, row = np.asarray(clip), np.asarray(library.index(clip, frame))
    assert time.process_time() - packed < 20 and packed - began < 10  # of a core: 0.2 and 2 usually
    np.testing.assert_array_equal(np.asarray(library.qpos)[row, 0], clip)
    assert len(np.unique(clip)) > 9800  # the shortest expect two draws
    seconds = np.bincount(clip, minlength=10_000) / 100_000
    shares = [seconds[part].sum() / (lengths[part] - 1).sum() for part in np.array_split(np.argsort(lengths), 10)]
    assert np.ptp(shares) < 0.1 * np.mean(shares)  # every second of motion is as likely as any other


def test_files_that_cannot_be_loaded_are_named(tmp_path):
    broken = tmp_path / "broken.bvh"
    broken.write_text("no motion")
    seen: list[str] = []
    loaded = load_clips([broken, builtin_path("walk")], mjxhuman.load_humanoid("smpl"), seen.append)
    assert len(loaded.motions) == 1 and loaded.paths == [str(builtin_path("walk"))]
    assert list(loaded.failed) == [str(broken)]
    assert len(seen) == 2


@pytest.mark.slow
def test_training_takes_keypoints_and_reading_options(tmp_path):
    """What scores reads is what training reads, with the same options."""
    examples = Path(__file__).resolve().parents[2] / "examples"
    humanoid = mjxhuman.load_humanoid("smpl")
    paths = [examples / "walk_keypoints.npz", examples / "walk.bvh"]
    loaded = load_clips(paths, humanoid, options=ClipOptions(fps=25.0))
    assert not loaded.failed and [motion.fps for motion in loaded.motions] == [25.0, 25.0]
    assert make_library(loaded.motions, 25.0).num_clips == 2


def test_plans_keep_their_controls_and_other_clips_have_none(motions):
    walk = resample(motions[0], 30.0)
    target = np.random.default_rng(0).normal(size=(walk.num_frames, 69)).astype(np.float32)
    planned = dataclasses.replace(walk, controls=Controls(target, (("damping", 0.25),)))
    mixed = make_library([planned, motions[1]], 30.0)
    frames = planned.num_frames
    np.testing.assert_array_equal(mixed.control[:frames], target)
    assert np.isnan(mixed.control[frames:]).all() and mixed.servos == (("damping", 0.25),)
    assert make_library([motions[1]], 30.0).control is None
    with pytest.raises(ValueError, match=r"found a plan at 30 Hz, expected the control rate, 60 Hz"):
        make_library([planned], 60.0)
    other = dataclasses.replace(walk, controls=Controls(target, (("damping", 1.0),)))
    with pytest.raises(ValueError, match=r"found a plan for servos \(\('damping', 1.0\),\), the first has"):
        make_library([planned, other], 30.0)


def test_learnable_segments_are_those_where_about_half_fails(library):
    """Per second: a thousandth, a half, and all but nothing survive."""
    steps, rates = 1_000_000.0, [1e-3 / 30, 1 - 0.5 ** (1 / 30), 0.5]
    visits = jnp.full(library.segment_clip.shape, steps)
    rate = jnp.asarray([rates[0], rates[0], rates[1], rates[1], *[rates[2]] * (visits.size - 4)])
    chance = Curriculum(visits, steps * rate).probability(library, 0.0, "learnable") / library.segment_length
    share = np.asarray(chance / chance[2])
    assert share[0] < 0.01 and share[2] == pytest.approx(1.0) and np.all(share[4:] < 0.01)
