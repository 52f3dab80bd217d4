"""PhysHMR's metrics on motions whose errors are known."""

from __future__ import annotations

import numpy as np
import pytest

from mjxhuman.math import quaternion
from mjxhuman.tracking.released_metrics import released, released_means


@pytest.fixture
def walk() -> np.ndarray:
    """230 frames of eight joints that go along x, the root first; the last two are feet that stand."""
    rng = np.random.default_rng(0)
    pose = np.concatenate([np.zeros((1, 3)), rng.normal(size=(7, 3))]) + [0.0, 0.0, 3.0]
    points = pose + 0.02 * np.arange(230)[:, None, None] * [1.0, 0.0, 0.0]
    points = points + 0.05 * np.sin(0.1 * np.arange(230) + np.arange(8)[:, None] + np.zeros((3, 1, 1))).T
    points[:, -2:] = [[1.0, 0.2, 0.0], [1.0, -0.2, 0.02]]
    return points


def test_a_rigid_move_is_no_error_and_feet_that_slide_are(walk):
    turn = np.array([np.cos(0.3), 0.0, 0.0, np.sin(0.3)])
    moved = quaternion.rotate(turn, walk) + [3.0, -1.0, 0.0]
    found = released(moved, walk, moved[:, -2:], walk[:, -2:])
    for name in ("pa_mpjpe_mm", "mpjpe_mm", "wa_mpjpe_mm", "acceleration_mm", "velocity_mm", "foot_slide_mm"):
        assert found[name] < 1e-6, name
    assert found["height_variance_mm2"] == 0.0
    slid = moved[:, -2:] + 0.004 * np.arange(230)[:, None, None] * [0.0, 1.0, 0.0]
    assert released(moved, walk, slid, walk[:, -2:])["foot_slide_mm"] == pytest.approx(4.0)


def test_windows_are_shifted_to_their_first_root_and_errors_of_the_root_are_per_frame(walk):
    """A body that goes 10 % too far: no similarity within a frame sees it, every window begins anew."""
    fast = walk + 0.002 * np.arange(230)[:, None, None] * [1.0, 0.0, 0.0]
    found = released(fast, walk, fast[:, -2:], walk[:, -2:])
    assert found["velocity_mm"] == pytest.approx(2.0, rel=0.1) and found["acceleration_mm"] < 0.2
    drift = np.concatenate([2.0 * np.arange(100), 2.0 * np.arange(100), 2.0 * np.arange(30)])
    assert found["wa_mpjpe_mm"] == pytest.approx(drift.mean(), rel=0.1)
    assert found["mpjpe_mm"] < 20.0


def test_the_lowest_quarter_tells_the_variance_of_the_height(walk):
    low = np.zeros((100, 2, 3))
    low[:, :, 2] = np.where(np.arange(100)[:, None] % 4 == 0, 0.01 * (-1.0) ** (np.arange(100)[:, None] // 4), 0.5)
    found = released(walk[:100], walk[:100], low, low)
    assert found["height_variance_mm2"] == pytest.approx(100.0, rel=0.02)
    assert np.isnan(released(walk[:3], walk[:3], walk[:3, :1], walk[:3, :1])["foot_slide_mm"])


def test_lost_clips_are_in_no_mean():
    clips = [
        {"pa_mpjpe_mm": 40.0, "foot_slide_mm": 2.0}, {"pa_mpjpe_mm": 60.0, "foot_slide_mm": float("nan")},
        {"pa_mpjpe_mm": 101.0, "foot_slide_mm": 9.0},
    ]  # fmt: skip
    assert released_means(clips) == {"success_rate": pytest.approx(2 / 3), "pa_mpjpe_mm": 50.0, "foot_slide_mm": 2.0}
    lost = released_means(clips[2:])
    assert lost["success_rate"] == 0.0 and np.isnan(lost["pa_mpjpe_mm"])
