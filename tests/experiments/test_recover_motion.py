"""The launcher that recovers motion: what it writes, and what it says when it cannot."""

from __future__ import annotations

import json

import pytest

import mjxhuman
from configs import video
from experiments import recover_motion


def configured(**values):
    config = video.get_config()
    for name, value in values.items():
        config[name] = value
    return config


def test_nothing_named_is_said(capsys):
    assert recover_motion.run(configured()) == recover_motion.NOTHING_TO_DO
    assert "--config.video=FILE" in capsys.readouterr().err
    assert recover_motion.run(configured(video="no/such.mp4")) == recover_motion.NOTHING_TO_DO
    assert "no/such.mp4" in capsys.readouterr().err


def test_a_file_that_is_no_video_is_named_and_listed(tmp_path, capsys):
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    assert recover_motion.run(configured(video=str(broken), out=str(tmp_path / "out"))) == 1
    assert "broken.json" in capsys.readouterr().err
    assert "broken.json" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.slow
def test_recorded_keypoints_become_a_scored_motion(shared, tmp_path):
    folder = shared / "data/keypoints/pose2sim/balancing/pose2d_associated/cam01_json"
    if not folder.is_dir():
        pytest.skip(f"no keypoints in {folder}")
    config = configured(video=str(folder), out=str(tmp_path), fps=60.0)
    config.camera = str(shared / "data/keypoints/pose2sim/calibration.toml") + ":cam_01"
    assert recover_motion.run(config) == 0
    (record,) = (json.loads(path.read_text()) for path in tmp_path.glob("*.jsonl"))
    assert record["valid"]
    assert record["reprojection_px"] < 20
    (saved,) = tmp_path.glob("*.npz")
    assert mjxhuman.load_motion(saved).num_frames == record["frames"]


def test_one_person_who_cannot_be_recovered_leaves_the_others(monkeypatch, tmp_path, capsys):
    """The reason names the file and the person; the others are written, and the exit code tells."""
    film = tmp_path / "two.mp4"
    film.write_bytes(b"")
    written = []
    monkeypatch.setattr(
        recover_motion, "recover", lambda config, path: iter([ValueError(f"{path}: legs: hidden"), "b"])
    )
    monkeypatch.setattr(recover_motion, "conclude", lambda found, name, out: written.append((found, name)))
    monkeypatch.setattr("mjxhuman.report.page.write_report", lambda *args, **options: None)
    config = configured(video=str(film), out=str(tmp_path / "out"), person="all")
    assert recover_motion.run(config) == 1
    assert written == [("b", "two_1")]
    assert f"{film}, person 0: legs: hidden" in capsys.readouterr().err
