"""``mjxhuman score VIDEO`` and its like, on real films of one person and on files that are none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from films import spoil, turn_metadata, write_film

from mjxhuman import cli
from mjxhuman.data.video import Video
from mjxhuman.encoders import mediapipe_home

pytest.importorskip("av", reason="the extra 'video' is not installed")


@pytest.fixture(scope="module")
def film(shared) -> Path:
    if not mediapipe_home.is_installed():
        pytest.skip("MediaPipe is not installed: make venv-video")
    return shared / "data/keypoints/pose2sim/balancing/videos/cam01.mp4"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MJXHUMAN_CACHE", str(tmp_path_factory.getbasetemp() / "encodings"))


def last_lines(output: str) -> list[dict]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def test_score_of_a_real_video(film, tmp_path, capsys):
    assert cli.main(["score", str(film), "--out", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    (line,) = last_lines(output)
    assert output.splitlines()[-1].startswith("{")
    assert line["valid"] is True and line["reason"] == ""
    assert 0.3 < line["total"] < 0.95
    assert set(line["axes"]) == {"kinematic", "contact", "dynamic"}
    assert (line["frames"], line["fps"]) == (100, 60.0)
    assert "focal length 2203 px, the image diagonal" in output
    assert "person 0 of 2 in the video" in output  # another one stands in the background
    record = json.loads((tmp_path / "scores.jsonl").read_text())
    assert record["video"]["encoder"] == "blazepose"
    assert record["video"]["people"] == 2 and record["video"]["person_frames"] == 100
    assert 1.0 < record["video"]["reprojection_px"] < 10.0
    assert record["total"] == line["total"]


def test_camera_file_and_region(film, shared, capsys):
    calibration = shared / "data/keypoints/pose2sim/calibration.toml"
    assert cli.main(["score", str(film), "--camera", f"{calibration}:cam_01", "--region", "0,100,1080,1500"]) == 0
    output = capsys.readouterr().out
    assert "only the part 0,100,1080,1500 px" in output and "image diagonal" not in output
    assert cli.main(["score", str(film), "--camera", f"{calibration}:cam_09"]) == 1
    assert "cam_09" in last_lines(capsys.readouterr().out)[0]["reason"]


def test_bad_videos_are_told_apart(film, tmp_path, capsys):
    cases = {
        "text.mp4": "expected one of",
        "empty_room.mp4": "found nobody in 30 frames by the encoder blazepose",
        "one.mp4": "frames: found 1, expected at least 3",
        "half.mp4": "no video that can be opened",
    }
    (tmp_path / "text.mp4").write_text("no video at all\n")
    write_film(tmp_path / "empty_room.mp4", np.arange(30) / 30, size=(320, 240))
    write_film(tmp_path / "one.mp4", [0.0])
    whole = film.read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    shutil.copy(film, tmp_path / "good.mp4")
    assert cli.main(["score", *(str(tmp_path / name) for name in (*cases, "good.mp4"))]) == 1
    captured = capsys.readouterr()
    lines = {Path(line["path"]).name: line for line in last_lines(captured.out)}
    assert lines["good.mp4"]["valid"] is True
    for name, reason in cases.items():
        assert lines[name]["valid"] is False and lines[name]["total"] is None, name
        assert reason in lines[name]["reason"], lines[name]
        assert name in captured.err


def test_a_network_that_the_encoder_does_not_have_is_refused(tmp_path, capsys):
    video = write_film(tmp_path / "a.mp4", np.arange(5) / 30)
    assert cli.main(["score", str(video), "--encoder", "vitpose", "--model", "heavy"]) == 1
    assert "model: expected none for the encoder vitpose, found 'heavy'" in capsys.readouterr().err


def test_turned_and_damaged_video_scores_like_the_whole_one(film, tmp_path, capsys):
    """With key frames now and then; without them the remains of the damage last to the end of the video."""
    pictures = [picture.image for picture in Video(film)]
    high, wide = pictures[0].shape[:2]
    whole_film = write_film(
        tmp_path / "a.mp4", np.arange(100) / 60.0, size=(wide, high), keyframes=10, pictures=pictures
    )
    damaged = tmp_path / "damaged.mp4"
    shutil.copy(whole_film, damaged)
    spoil(damaged, 0.5, 0.03)
    assert cli.main(["score", str(whole_film), str(damaged)]) == 0
    captured = capsys.readouterr().out
    whole, rest = last_lines(captured)
    assert "damaged frames left out" in captured
    assert rest["frames"] == whole["frames"]
    assert abs(rest["total"] - whole["total"]) < 0.08
    turned = tmp_path / "turned.mp4"
    shutil.copy(film, turned)
    turn_metadata(turned, 180)
    cli.main(["info", str(turned), "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert any("turned by 180 degrees" in sentence for sentence in facts["conventions"])


def test_other_commands_take_videos(film, tmp_path, capsys):
    assert cli.main(["convert", str(film), str(tmp_path / "a.npz"), "--to", "qpos"]) == 0
    assert cli.main(["view", str(film), "--no-browser", "--out", str(tmp_path / "view.html")]) == 0
    assert cli.main(["info", str(tmp_path / "a.npz")]) == 0
    assert "frames" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["score"])
    with pytest.raises(SystemExit):
        cli.main(["score", str(film), "--region", "1,2,3"])
    assert "--region: expected X0,Y0,X1,Y1" in capsys.readouterr().err


def test_keypoint_files(film, shared, tmp_path, capsys):
    """The other detector's keypoints of the same film, frame rate and picture size by the caller's flags."""
    calibration = shared / "data/keypoints/pose2sim/calibration.toml"
    from mjxhuman.encoders.precomputed import read_encoding

    folder = shared / "data/keypoints/pose2sim/balancing/pose2d_raw/cam01_json"
    encoding = read_encoding(folder, fps=60.0, image_size=(1088, 1920))
    assert len(encoding.people) >= 2  # the experimenter stands in the background
    assert encoding.people[0].height > 1.5 * encoding.people[1].height
    assert encoding.people[0].seen.sum() >= 95
    from mjxhuman.recovery.load import VideoOptions, kind_of, recover

    assert kind_of(folder) == "keypoints"
    found = recover(folder, fps=60.0, options=VideoOptions(camera=f"{calibration}:cam_01"))
    assert found.motion.num_frames == 100 and np.asarray(found.motion.valid).mean() > 0.9
    assert found.recovery is not None and np.nanmedian(found.recovery.reprojection) < 10
