"""Tracks of simulated videos are kept by what they are made of."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mjxhuman.envs.vision import films
from mjxhuman.tracking.evaluate import first_seconds


def test_tracks_are_kept_by_motion_and_view(motions, tracks, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(films, "_made", lambda motion, view, lifter: made.append(view) or tracks[0][view.seed])
    two = films.views(2, cameras=("standing", "panning"))
    assert [view.camera for view in two] == ["standing", "panning"]
    first = films.film(motions[0], two, folder=tmp_path)
    again = films.film(motions[0], two, folder=tmp_path)
    assert made == list(two) and len(list(tmp_path.iterdir())) == 2
    for one, other in zip(first, again, strict=True):
        np.testing.assert_allclose(other.features, one.features, atol=1e-2)  # half precision
        np.testing.assert_array_equal(other.estimate, one.estimate)
        np.testing.assert_array_equal(other.rays.point, one.rays.point)
        assert (other.rays.joints, other.fps, other.feature_name) == (one.rays.joints, one.fps, one.feature_name)
    # another motion, another view, and a file that was torn
    films.film(motions[1], two[:1], folder=tmp_path)
    films.film(motions[0], [dataclasses.replace(two[0], noise="clean")], folder=tmp_path)
    assert len(made) == 4
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    films.film(motions[0], two, folder=tmp_path)
    assert len(made) == 6


@pytest.mark.slow
def test_a_simulated_video_tells_where_the_body_is(motions, tmp_path):
    from mjxhuman.physics.motion import resample

    motion = first_seconds(resample(motions[0], 30.0), 1.0)
    one, other = films.film(motion, films.views(2), folder=tmp_path)
    off = np.asarray(one.estimate)[:, :3] - np.asarray(motion.qpos)[:, :3]
    assert np.abs(off).max() < 0.6 and one.features.shape == (30, 512) and one.valid.all()
    assert np.abs(np.asarray(one.rays.origin[0]) - np.asarray(other.rays.origin[0])).max() > 0.5
