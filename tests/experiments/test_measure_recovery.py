"""The experiment that measures recovery: damage that is what it says, errors by hand, and a run on real data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments import measure_recovery
from experiments.recovery_cases import RAW, Case, Found, list_cases, measure, reprojection, up_of
from experiments.recovery_tables import beaten, document, number
from experiments.recovery_trial import BONES, DAMAGES, HIDDEN, JOINTS, Trial, drop, hidden_frames, hide, scatter, swap
from mjxhuman.data.cameras import level_camera
from mjxhuman.data.keypoint_names import LAYOUTS
from mjxhuman.types import Keypoints

NAMES = LAYOUTS["body_25b"]
FRAMES, FPS = 100, 60.0


@pytest.fixture
def seen():
    """Every point of two cameras at a place of its own, well inside the picture."""
    rng = np.random.default_rng(5)
    return np.concatenate(
        [rng.uniform(400, 700, (2, FRAMES, len(NAMES), 2)), np.full((2, FRAMES, len(NAMES), 1), 0.9)], -1
    )


@pytest.fixture
def trial(seen):
    camera = level_camera((1080, 1920))
    path = np.linspace(0.0, 1.0, FRAMES)[:, None, None] * [2.0, 1.0, 0.0]
    truth = np.random.default_rng(6).normal(size=(1, len(JOINTS), 3)) + path  # one pose, carried along
    return Trial(
        Path("trial"), ("cam01", "cam02"), (camera, camera), NAMES, seen, truth, None, np.ones(FRAMES, bool), FPS,
        {"cam02": Path("cam02.mp4")},
    )  # fmt: skip


def found_in(trial, points, **values):
    up = up_of(np.asarray(trial.cameras[0].T_world_camera)[0])
    return Found(**{"points": points, "valid": np.ones(FRAMES, bool), "up": up, "reprojection": 3.0, "stature": 1.7,
                    "swapped": 0, "seconds": 1.0, **values})  # fmt: skip


def test_hidden_limbs_are_hidden_and_nothing_else(seen):
    gone = hide(seen, NAMES, FPS)[..., 2] == 0
    expected = np.zeros_like(gone)
    for (points, _), frames in zip(HIDDEN, hidden_frames(FRAMES, FPS)):
        assert frames.stop - frames.start == 18
        expected[:, frames, [NAMES.index(point) for point in points]] = True
    np.testing.assert_array_equal(gone, expected)
    assert {"LKnee", "LBigToe", "RWrist"} <= {point for points, _ in HIDDEN for point in points}


def test_a_hidden_limb_is_not_seen_under_another_name(seen):
    seen = np.concatenate([seen, seen])  # four cameras: in the later ones sides are exchanged while the leg is hidden
    all_damage = DAMAGES["all of these"](seen, NAMES, FPS)
    leg = hidden_frames(FRAMES, FPS)[0]
    assert (swap(seen, NAMES, FPS)[2, leg, NAMES.index("RKnee")] != seen[2, leg, NAMES.index("RKnee")]).any()
    for (points, _), frames in zip(HIDDEN, hidden_frames(FRAMES, FPS)):
        for point in points:
            place = seen[:, frames, NAMES.index(point), None, :2]
            assert not (all_damage[:, frames, :, :2] == place).all(-1).any()


def test_swapped_sides_are_the_other_sides_points(seen):
    swapped = swap(seen, NAMES, FPS)
    left, right = NAMES.index("LKnee"), NAMES.index("RKnee")
    for view, start in ((0, 20), (1, 27)):
        frames = np.flatnonzero((swapped[view, :, left] != seen[view, :, left]).any(-1))
        np.testing.assert_array_equal(frames, np.arange(start, start + 10))
        np.testing.assert_array_equal(swapped[view, frames, left], seen[view, frames, right])
        np.testing.assert_array_equal(swapped[view, frames, right], seen[view, frames, left])
    np.testing.assert_array_equal(swapped[..., NAMES.index("Nose"), :], seen[..., NAMES.index("Nose"), :])


def test_dropped_and_scattered_shares(seen):
    gone = drop(seen, NAMES, FPS)[..., 2] == 0
    assert gone.mean() == pytest.approx(0.1, abs=0.01)
    moved = scatter(seen, NAMES, FPS)
    off = (moved[..., :2] - seen[..., :2])[(moved != seen).any(-1)]
    assert len(off) / gone.size == pytest.approx(0.05, abs=0.01)
    assert off.std() == pytest.approx(120, rel=0.05)
    np.testing.assert_array_equal(moved[..., 2], seen[..., 2])
    hidden = np.where(np.arange(FRAMES)[:, None, None] < 50, 0.0, seen)
    assert not scatter(hidden, NAMES, FPS)[:, :50].any()  # what was not seen is nowhere else


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_leaves_the_trial_alone(seen, damage):
    before = seen.copy()
    once = DAMAGES[damage](seen, NAMES, FPS)
    np.testing.assert_array_equal(seen, before)
    np.testing.assert_array_equal(DAMAGES[damage](seen, NAMES, FPS), once)
    assert (once != before).any() == (damage != "as given")


def test_errors_by_hand(trial):
    points = trial.truth.copy()
    points[:, JOINTS.index("LWrist"), 0] += 0.16
    values = measure(trial, Case(("cam01",)), found_in(trial, points))
    assert values["root_mm"] == pytest.approx(160 / len(JOINTS))
    assert values["global_mm"] == pytest.approx(160 / len(JOINTS))
    assert values["joints_mm"]["LWrist"] == pytest.approx(160)
    assert values["limb_mm"] == pytest.approx(0)  # another arm
    assert values["acceleration"] == pytest.approx(0, abs=1e-9)
    assert values["vertical_deg"] == pytest.approx(0, abs=1e-4)
    assert values["bone_mm"] == pytest.approx(0, abs=1e-9)
    grown = measure(
        trial, Case(("cam01",)), found_in(trial, trial.truth * (1 + 0.01 * (np.arange(FRAMES) % 2))[:, None, None])
    )
    lengths = [np.linalg.norm(trial.truth[0, a] - trial.truth[0, b]) for a, b in BONES]
    assert grown["bone_mm"] == pytest.approx(5 * np.mean(lengths))  # 1 % between every other frame


def test_only_valid_frames_count_and_raw_has_no_place(trial):
    points, valid = trial.truth.copy(), np.ones(FRAMES, bool)
    points[:10] += np.random.default_rng(0).normal(size=points[:10].shape)
    valid[:10] = False
    values = measure(trial, Case(("cam01",)), found_in(trial, points, valid=valid))
    assert (values["valid_frames"], values["root_mm"], values["acceleration"]) == (90, 0.0, 0.0)
    assert np.isnan(measure(trial, Case(("cam02",), "blazepose", RAW), found_in(trial, points))["global_mm"])
    with pytest.raises(ValueError, match="no valid frame"):
        measure(trial, Case(("cam01",)), found_in(trial, points, valid=np.zeros(FRAMES, bool)))


def test_without_a_camera_the_heading_is_free_and_the_vertical_is_not(trial):
    turned = trial.truth[..., [1, 0, 2]] * [-1, 1, 1] + [5.0, 0.0, 0.0]
    blind = Case(("cam01",), calibrated=False)
    assert measure(trial, blind, found_in(trial, turned))["global_mm"] == pytest.approx(0, abs=1e-6)
    assert measure(trial, Case(("cam01",)), found_in(trial, turned))["root_mm"] > 100
    up = np.array([0.0, -np.cos(0.3), np.sin(0.3)])
    values = measure(trial, blind, found_in(trial, turned, up=up))
    assert values["vertical_deg"] == pytest.approx(np.rad2deg(0.3))


def test_reprojection_is_of_points_that_were_seen():
    uv = np.zeros((1, 2, 2, 2))
    confidence = np.array([[1.0, 0.0], [1.0, 1.0]])
    given = np.array([[[9.0, 9.0], [3.0, 4.0]], [[70.0, 0.0], [0.0, 6.0]]])[:, ::-1]  # unseen: (9, 9)
    keypoints = Keypoints(given, confidence, ("LKnee", "RKnee"), 30.0, (100, 100))
    assert reprojection(uv, ("LKnee", "RKnee"), keypoints) == pytest.approx(6.0)


def test_cases_and_views(trial):
    views = measure_recovery.choose_views(trial, [])
    assert views == [("cam01",), ("cam02",), ("cam01", "cam02")]
    assert measure_recovery.choose_views(trial, ["cam01+cam02"]) == [("cam01", "cam02")]
    with pytest.raises(ValueError, match=r"found cam09, expected some of cam01, cam02"):
        measure_recovery.choose_views(trial, ["cam09"])
    cases = list_cases(trial, views, ["as given"], ["blazepose"])
    assert len(cases) == len(set(cases)) == 3 + 2 + 6
    assert all(case.views == ("cam02",) for case in cases if case.source == "blazepose")


def test_tables_say_who_wins(trial):
    rows = []
    for case in list_cases(trial, [("cam01",), ("cam02",)], list(DAMAGES), ["blazepose"]):
        noise = 0.02 if case.method == RAW else 0.01
        points = trial.truth + np.random.default_rng(0).normal(0, noise, trial.truth.shape)
        rows.append((case, measure(trial, case, found_in(trial, points))))
    text = document(rows, {"triangulation": rows[0][1]}, len(JOINTS), "Trial.")
    assert "## blazepose, calibrated camera" in text and "## No camera given" in text
    assert not any("NOT better" in sentence for sentence in beaten(rows))
    worse = [(case, {**values, "bone_mm": 99.0} if case.method != RAW else values) for case, values in rows]
    assert all("NOT better: bone length" in sentence for sentence in beaten(worse))
    assert number(float("nan"), 1) == "–"


def test_no_trial_is_said(tmp_path, capsys):
    assert measure_recovery.run(tmp_path, tmp_path / "out") == measure_recovery.NOTHING_TO_DO
    assert "pose2d_associated" in capsys.readouterr().err
    (tmp_path / "a" / "pose2d_associated").mkdir(parents=True)
    assert measure_recovery.run(tmp_path, tmp_path / "out") == measure_recovery.NOTHING_TO_DO
    assert "calibration.toml" in capsys.readouterr().err


@pytest.mark.slow
def test_a_pair_and_a_camera_of_a_real_trial(shared, tmp_path, monkeypatch):
    folder = shared / "data" / "keypoints" / "pose2sim"
    if not folder.is_dir():
        pytest.skip(f"no trial in {folder}")
    pytest.importorskip("matplotlib")
    settings = {"views": ["cam01+cam04", "cam03"], "damages": ["as given"], "encoders": []}
    assert measure_recovery.run(folder, tmp_path, **settings) == 0
    result = json.loads((tmp_path / "recovery.json").read_text())
    pair, alone, blind = result["cases"]
    assert (pair["views"], alone["views"], blind["calibrated"]) == (["cam01", "cam04"], ["cam03"], False)
    assert pair["root_mm"] < 60 and pair["global_mm"] < 60  # 40 and 40 when this was written
    assert alone["root_mm"] < 100 and alone["reprojection_px"] < 10
    assert pair["root_mm"] < alone["root_mm"]
    assert alone["vertical_deg"] < 0.1 < blind["vertical_deg"]  # known, and estimated
    assert result["triangulation"]["triangulation"]["bone_mm"] > pair["bone_mm"]
    assert result["environment"]["packages"]
    assert {path.name for path in tmp_path.glob("*.png")} == {"joints.png", "skeletons.png"}
    monkeypatch.setattr("experiments.recovery_cases._fit", None)  # finished fits are read, not made
    assert measure_recovery.run(folder, tmp_path, **settings, pictures=False) == 0
    again = json.loads((tmp_path / "recovery.json").read_text())
    assert again["cases"] == result["cases"]
