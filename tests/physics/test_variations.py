"""Mirror images and other speeds of recorded motion."""

from __future__ import annotations

import numpy as np
import pytest

from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.physics.variations import mirrored, retimed


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
