"""Metrics against the published implementations, and cases worked by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.scenes import Plane
from mjxhuman.tracking import metrics

CASES = ("exact", "similarity", "noise", "drift", "jitter", "short", "mirror")


@pytest.fixture(scope="module")
def golden(shared):
    return dict(np.load(shared / "data" / "golden" / "metrics" / "metrics.npz"))


@pytest.fixture(scope="module")
def means(shared):
    return json.loads((shared / "data" / "golden" / "metrics" / "means.json").read_text())["means"]


def close(found: np.ndarray, expected: np.ndarray, floor: float) -> None:
    """Relative 2e-3; absolute ``floor`` where the published float32 code gives rounding noise."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=floor)


@pytest.mark.parametrize("case", CASES)
def test_recovery(golden, case):
    g = {k.removeprefix(f"{case}__"): v for k, v in golden.items() if k.startswith(f"{case}__")}
    pred, target = g["pred_j3d"], g["target_j3d"]
    mm = 0.05 if case in ("exact", "similarity") else 0.005
    joint = metrics.mpjpe(pred, target, metrics.HIPS)
    close(joint.mean(-1), g["mpjpe"], mm)
    close(metrics.pa_mpjpe(pred, target).mean(-1), g["pa_mpjpe"], mm)
    close(metrics.pve(g["pred_verts"], g["target_verts"], pred, target).mean(-1), g["pve"], mm)
    close(metrics.accel_error(pred, target, 30.0).mean(-1), g["accel"], 2e-3)
    close(metrics.w_mpjpe(pred, target).mean(-1), g["wa2_mpjpe"], mm)
    close(metrics.wa_mpjpe(pred, target).mean(-1), g["waa_mpjpe"], mm)
    close(metrics.rte(pred[:, 0], target[:, 0]), g["rte"], 1e-4)
    close(metrics.jitter(pred, 30.0).mean(-1), g["jitter"], 1e-2)
    close(metrics.foot_sliding(g["pred_foot_verts"], g["target_foot_verts"]), g["fs"], 1e-3)


@pytest.mark.parametrize("case", CASES)
def test_tracking(golden, means, case):
    g = {k.removeprefix(f"{case}__"): v for k, v in golden.items() if k.startswith(f"{case}__")}
    pred, target = g["pred_j3d"], g["target_j3d"]
    mm = 0.05 if case in ("exact", "similarity") else 0.005
    found = {
        "phc_mpjpe_g": metrics.mpjpe(pred, target),
        "phc_mpjpe_l": metrics.mpjpe(pred, target, (0,)),
        "phc_mpjpe_pa": metrics.pa_mpjpe(pred, target),
        "phc_vel_dist": metrics.vel_dist(pred, target).mean(-1),
        "phc_accel_dist": metrics.accel_dist(pred, target).mean(-1),
        "phc_penetration": metrics.penetration(g["pen_points"]),
        "phc_skate": metrics.skate(g["pen_points"]),
    }
    for name, value in found.items():
        close(value, g[name], mm)
        assert value.mean() == pytest.approx(means[case][name], rel=2e-3, abs=mm)
    wxyz = [3, 0, 1, 2]
    close(metrics.rot_error(g["pred_rot"][..., wxyz], g["gt_rot"][..., wxyz]).ravel(), g["phc_rot_error"], 2e-6)


def test_alignment(golden):
    for case in CASES:
        g = {k.removeprefix(f"{case}__"): v for k, v in golden.items() if k.startswith(f"{case}__")}
        s, rotation, t = metrics.procrustes(g["pred_j3d"].reshape(-1, 3), g["target_j3d"].reshape(-1, 3))
        np.testing.assert_allclose(s, g["align_s"][0, 0], rtol=1e-4)
        np.testing.assert_allclose(rotation, g["align_R"][0], atol=1e-4)
        np.testing.assert_allclose(t, g["align_t"][0], atol=2e-3)
        assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_masked_acceleration(golden):
    pred, target = golden["noise__pred_j3d"], golden["noise__target_j3d"]
    valid = np.arange(len(pred)) % 17 != 3
    expected = golden["noise__accel_masked_mod17ne3"]
    close(metrics.accel_error(pred, target, 30.0, None, valid).mean(-1), expected, 2e-3)


def test_rot_error_is_exact_at_its_ends():
    axis = np.array([0.6, 0.0, 0.8])
    angles = np.array([0.0, 1e-8, 1.0, np.pi - 1e-8, np.pi])
    q = np.concatenate([np.cos(angles / 2)[:, None], np.sin(angles / 2)[:, None] * axis], -1)
    one = np.tile([1.0, 0, 0, 0], (5, 1))
    np.testing.assert_allclose(metrics.rot_error(q, one), angles, atol=1e-15, rtol=1e-12)
    np.testing.assert_allclose(metrics.rot_error(-q, one), angles, atol=1e-15, rtol=1e-12)


def test_first_failure():
    target = np.zeros((6, 24, 3))
    pred = target.copy()
    assert metrics.first_failure(pred, target) is None
    pred[:, [4, 8, 18, 23]] = 9.0  # toes and hands are not judged
    pred[3, :, 0] += 0.499
    assert metrics.first_failure(pred, target) is None
    pred[4, :, 1] += 0.501
    assert metrics.first_failure(pred, target) == 4
    pred[2, 0, 0] = np.nan
    assert metrics.first_failure(pred, target) == 2


def test_points_that_touch_the_floor_skate_and_do_not_sink():
    """One point on the floor, one under it, one over it; all move 3 mm sideways and the last goes down to touch."""
    points = np.zeros((2, 3, 3))
    points[:, :, 2] = [[0.0, -0.02, 0.1], [0.0, -0.04, 0.0]]
    points[1, :, 1] = [0.003, 0.005, 0.7]
    np.testing.assert_allclose(metrics.skate(points), [4.0])
    np.testing.assert_allclose(metrics.skate(points[:, :1]), [3.0])
    np.testing.assert_allclose(metrics.penetration(points), [20.0, 40.0])


def test_on_a_slope_depth_and_skating_are_measured_along_and_across_it():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(5, 8, 3)) * 0.05
    turn = Rotation.from_rotvec([0.3, -0.2, 0.1])
    ramp = Plane(normal=turn.apply([0.0, 0.0, 1.0]))
    turned = turn.apply(points.reshape(-1, 3)).reshape(points.shape)
    assert metrics.penetration(points).min() > 0
    np.testing.assert_allclose(metrics.penetration(turned, ramp), metrics.penetration(points), atol=1e-9)
    np.testing.assert_allclose(metrics.skate(turned, ramp), metrics.skate(points), atol=1e-9)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(3, 24, 3\) and \(4, 24, 3\)"):
        metrics.mpjpe(np.zeros((3, 24, 3)), np.zeros((4, 24, 3)))


def test_a_target_that_stands_still_has_no_path():
    assert np.all(np.isnan(metrics.rte(np.ones((4, 3)), np.zeros((4, 3)))))


def test_heading_alignment_takes_out_heading_and_place_only():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(5, 7, 3))
    turn = Rotation.from_rotvec([0.0, 0.0, 2.3]).as_matrix()
    moved = target @ turn.T + [3.0, -1.0, 0.5]
    np.testing.assert_allclose(metrics.heading_aligned(moved, target), target, atol=1e-12)
    tilt = Rotation.from_rotvec([0.2, 0.0, 0.0]).as_matrix()
    tilted = metrics.heading_aligned(moved @ tilt.T, target)
    assert metrics.mpjpe(tilted, target).mean() > 50
    drift = np.linspace(0, 1, 5)[:, None, None] * [4.0, 0.0, 0.0]  # a wrong path does not turn the poses
    left = metrics.heading_aligned(moved + drift @ turn.T, target) - target
    np.testing.assert_allclose(left, np.broadcast_to(drift - drift.mean(0), left.shape), atol=1e-12)


def test_bone_length_std():
    points = np.zeros((4, 3, 3))
    points[:, 1, 0] = [0.4, 0.42, 0.4, 0.42]
    points[:, 2, 1] = 0.3
    np.testing.assert_allclose(metrics.bone_length_std(points, [(0, 1), (0, 2)]), [10.0, 0.0], atol=1e-9)
