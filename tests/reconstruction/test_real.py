"""On the real trial of balancing: four cameras' detections, and a video where an encoder is installed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import mjxhuman
from mjxhuman.cli import main
from mjxhuman.encoders import mediapipe_home
from mjxhuman.planning import Settings
from mjxhuman.reconstruction.combined import PolicyPlanMethod
from mjxhuman.reconstruction.methods import method_of
from mjxhuman.tracking.controls import play
from mjxhuman.tracking.evaluate import usable
from mjxhuman.tracking.tracker import load_tracker

TRIAL = "data/keypoints/pose2sim"


@pytest.mark.slow
@pytest.mark.parametrize("view", ["01", "02"])
def test_who_balances_in_one_camera_does_not_fall(shared, view):
    folder = shared / TRIAL / f"balancing/pose2d_associated/cam{view}_json"
    found = mjxhuman.reconstruct(folder, f"{shared / TRIAL}/calibration.toml:cam_{view}", fps=60.0)
    numbers = found.numbers
    assert found.success and found.restarts == ()
    assert numbers["to_estimate_mm"] < 60.0 and numbers["foot_slide_mm"] < 15.0 and numbers["score"] > 0.5
    for take, again in zip(found.takes, found.replayed(), strict=True):
        np.testing.assert_allclose(again, take.qpos, atol=1e-6)


@pytest.mark.slow
def test_the_shipped_policy_sees_who_balances(shared):
    """In one camera and in two; what it did is what its controls do."""
    from experiments.recovery_trial import read_trial

    trial, method = read_trial(shared / TRIAL), method_of("policy")
    for views in ((0,), (0, 3)):
        found = mjxhuman.reconstruct(trial.keypoints(views), trial.camera(views), method=method)
        assert found.success and found.method == "policy" and found.numbers["to_estimate_mm"] < 130.0
        np.testing.assert_allclose(found.replayed()[0], found.takes[0].qpos, atol=1e-6)


@pytest.mark.slow
def test_a_policy_and_the_planner_take_turns_without_a_jump(monkeypatch):
    """Where the policy is farther off than it ever may be, so that they must; plain steps repeat the whole."""
    monkeypatch.setattr("mjxhuman.reconstruction.combined.LOST", 0.05)
    method = PolicyPlanMethod(preset=Settings(samples=12, improvements=2, horizon=8))
    moved_by = []
    for part in (method._first, method._then):
        follow = part.follow
        monkeypatch.setattr(part, "follow", lambda *x, f=follow, name=part.name: moved_by.append(name) or f(*x))
    walk = Path(__file__).parents[2] / "examples" / "walk_keypoints.npz"
    found = mjxhuman.reconstruct(walk, method=method)
    assert "plan" in moved_by and found.method == "policy+plan"
    for take, again in zip(found.takes, found.replayed(), strict=True):
        np.testing.assert_allclose(again, take.qpos, atol=1e-6)


@pytest.mark.slow
def test_the_video(shared, tmp_path, capsys, gl):
    if not mediapipe_home.is_installed():
        pytest.skip("MediaPipe is not installed")
    film = shared / TRIAL / "balancing/videos/cam01.mp4"
    camera = f"{shared / TRIAL}/calibration.toml:cam_01"
    code = main(["reconstruct", str(film), "--camera", camera, "--preset", "fast", "--out", str(tmp_path)])
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == 0 and line["success"] and line["reprojection_px"] < 40.0  # of a person 700 px tall
    page = Path(tmp_path / "report.html").read_text()
    assert "simulated body" in page and "reprojection_px" in page
    assert (tmp_path / "film.mp4").stat().st_size > 10_000


@pytest.mark.slow
def test_a_policy_and_its_controls(humanoid):
    """What the shipped tracker does is what its controls do in plain MuJoCo, for two seconds of a walk."""
    from mjxhuman.data.builtin import load_builtin_clip

    clip = load_builtin_clip("walk")
    motion = mjxhuman.motion_from_qpos(humanoid, clip.qpos[: int(2.0 * clip.fps)], clip.fps)
    tracker = load_tracker(engine="c")
    motion = usable(motion, tracker.humanoid, tracker.fps, "walk")
    played = play(tracker, motion, np.asarray(motion.qpos)[0], np.asarray(motion.qvel)[0])
    assert len(played.qpos) == motion.num_frames
    qpos, _, _ = tracker.simulator.backend.rollout_host(
        played.qpos[:1], played.qvel[:1], np.zeros((1, 75)), played.ctrl[None]
    )
    np.testing.assert_allclose(qpos[0], played.qpos[1:], atol=1e-9)
    moved = mjxhuman.motion_from_qpos(humanoid, played.qpos, 30.0)
    off = np.linalg.norm(np.asarray(moved.body_pos) - np.asarray(motion.body_pos), axis=-1)
    assert off.mean() < 0.15
