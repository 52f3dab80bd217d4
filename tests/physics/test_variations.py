"""Mirror images, other speeds and bent paths of recorded motion."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.math import rotation
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.physics.variations import Variations, bent, mirrored, retimed
from mjxhuman.types import Controls


@pytest.fixture(scope="module")
def walk(humanoid):
    clip = load_builtin_clip("walk")
    return motion_from_qpos(humanoid, clip.qpos[:60], clip.fps)


def test_the_mirror_image_puts_each_body_where_the_other_one_was(walk):
    image, body = mirrored(walk), walk.humanoid
    other = [body.body_names.index(body.known.mirrored(name)) for name in body.body_names]
    np.testing.assert_allclose(image.body_pos, np.asarray(walk.body_pos)[:, other] * [1, -1, 1], atol=2e-3)
    np.testing.assert_allclose(mirrored(image).qpos, walk.qpos, atol=1e-5)
    assert np.abs(np.asarray(image.qpos) - np.asarray(walk.qpos)).max() > 0.1


def test_another_speed_is_the_same_path_in_other_time(walk):
    fast = retimed(walk, 1.25)
    np.testing.assert_allclose(fast.qpos, walk.qpos, atol=1e-6)
    assert fast.fps == pytest.approx(1.25 * walk.fps)
    np.testing.assert_allclose(np.asarray(fast.qvel)[20:40, 0], 1.25 * np.asarray(walk.qvel)[20:40, 0], rtol=0.05)
    with pytest.raises(ValueError, match="speed: expected a positive factor, found 0"):
        retimed(walk, 0.0)


def test_a_bent_path_has_the_same_steps_in_another_direction(walk):
    left = bent(walk, 0.5)
    before, after = (np.asarray(x.qpos, float) for x in (walk, left))
    length = np.linalg.norm(np.diff(before[:, :2], axis=0), axis=1)
    np.testing.assert_allclose(np.linalg.norm(np.diff(after[:, :2], axis=0), axis=1), length, atol=1e-6)
    np.testing.assert_allclose(after[:, 7:], before[:, 7:], atol=1e-6)
    np.testing.assert_allclose(after[:, 2], before[:, 2], atol=1e-6)
    own = [rotation.rotate(rotation.conjugate(x.qpos[:, 3:7]), np.asarray(x.qvel)[:, :3]) for x in (walk, left)]
    np.testing.assert_allclose(own[1][2:-2], own[0][2:-2], atol=0.02)  # it goes the way it faces, as before
    turned = 2 * np.arctan2(after[-1, 6], after[-1, 3]) - 2 * np.arctan2(before[-1, 6], before[-1, 3])
    heading = np.arctan2(*(after[-1, :2] - after[-6, :2])[::-1]) - np.arctan2(*(before[-1, :2] - before[-6, :2])[::-1])
    assert heading == pytest.approx(0.5 * length.sum(), abs=0.1) and turned == pytest.approx(heading, abs=0.1)
    np.testing.assert_allclose(mirrored(left).qpos, bent(mirrored(walk), -0.5).qpos, atol=1e-5)
    with pytest.raises(ValueError, match="curvature: expected a finite number of radians per metre, found nan"):
        bent(walk, float("nan"))


def test_variations_come_without_the_motion_itself_and_plans_have_none(walk):
    several = list(Variations(mirror=True, speeds=(1.2,), curvatures=(0.3,)).of(walk))
    expected = [
        mirrored(walk), retimed(walk, 1.2), mirrored(retimed(walk, 1.2)), bent(walk, 0.3), mirrored(bent(walk, 0.3))
    ]  # fmt: skip
    assert len(several) == len(expected)
    for found, wanted in zip(several, expected, strict=True):
        np.testing.assert_array_equal(found.qpos, wanted.qpos)
        assert found.fps == wanted.fps
    assert list(Variations().of(walk)) == [] and len(list(Variations(speeds=(0.9,)).of(walk))) == 1
    target = np.zeros((walk.num_frames, 69), np.float32)
    plan = dataclasses.replace(walk, controls=Controls(target, servos=()))
    assert list(Variations(mirror=True, speeds=(0.9,)).of(plan)) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"speeds": (1.0, 0.0)}, "speeds: expected positive factors, found 0"),
        ({"curvatures": (float("inf"),)}, "curvatures: expected finite numbers of radians per metre, found inf"),
    ],
)
def test_variations_that_are_none_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        Variations(**values)
