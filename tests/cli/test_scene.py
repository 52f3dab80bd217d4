"""``mjxhuman scene``."""

import dataclasses
import json

import imageio.v3 as imageio
import numpy as np
import pytest

import mjxhuman
from mjxhuman.cli import main
from mjxhuman.cli.convert import qpos_motion
from mjxhuman.cli.scene import line, record
from mjxhuman.data.npz import save_motion
from mjxhuman.interaction import fit_seat, poses, simulate_scene
from mjxhuman.scenes import save_scene

pytestmark = pytest.mark.compiled

KEYS = {
    "valid", "type", "penetration_m", "gap_m", "seat_load_bw", "feet_load_bw", "internal_load_bw", "object_moved_m",
    "object_tilt_deg", "reason",
}  # fmt: skip


def test_verdicts_in_words():
    row = dict.fromkeys(KEYS) | {
        "valid": True,
        "type": 4,
        "reason": "at rest",
        "seat_load_bw": 0.9,
        "feet_load_bw": 0.1,
    }
    assert line(row) == "type 4, holds: at rest; furniture carries 0.90, feet 0.10 body weights"
    assert line(row | {"valid": False, "type": 0, "reason": "unfit start"}) == "no verdict: unfit start"


def test_the_record_has_all_fields_where_nothing_was_simulated(humanoid):
    still = mjxhuman.motion_from_qpos(humanoid, np.tile(humanoid.model.qpos0, (5, 1)), 30)
    scene = mjxhuman.make_furniture("stool", 1)
    unfit = dataclasses.replace(scene, objects=(dataclasses.replace(scene.objects[0], unfit="lost two feet"),))
    row = record(None, simulate_scene(still, unfit))
    assert set(row) == KEYS and (row["valid"], row["type"]) == (False, 0)
    assert "lost two feet" in row["reason"]


@pytest.mark.slow
def test_who_sits_on_a_seat_that_fits_is_held_by_it_and_shown(tmp_path, humanoid, capsys, gl):
    motion = poses.sitting(humanoid, 0.36)
    file, seat = save_motion(tmp_path / "sit.npz", qpos_motion(motion)), tmp_path / "seat.npz"
    save_scene(seat, fit_seat(motion))
    arguments = ["scene", str(seat), "--motion", str(file), "--align", "none", "--hold", "1.5", "--trials", "1"]
    assert main([*arguments, "--out", str(tmp_path / "out"), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert set(row) == KEYS and row["type"] == 4, row["reason"]
    assert row["seat_load_bw"] > 0.5 and row["feet_load_bw"] > 0.02
    assert row["seat_load_bw"] + row["feet_load_bw"] == pytest.approx(1.0, abs=0.03)
    assert row["internal_load_bw"] < 1.2 and row["object_moved_m"] < 0.02
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"scene.html", "scene.png"}


@pytest.mark.slow
def test_a_part_of_a_motion_is_simulated_and_filmed(tmp_path, humanoid, capsys, gl):
    file = save_motion(tmp_path / "sit.npz", qpos_motion(poses.sitting(humanoid, 0.36)))
    arguments = ["scene", "seat", "table:1@3,0", "--motion", str(file), "--clip", "2.9", "3.5", "--align", "none"]
    arguments += ["--hold", "1.5", "--trials", "1", "--out", str(tmp_path / "out"), "--picture", "mp4"]
    assert main(arguments) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("2.9 to 3.5 s, the end held for 1.5 s") and said[1].startswith("type 4, holds")
    assert json.loads(said[2])["feet_load_bw"] > 0.02
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"scene.html", "scene.png", "scene.mp4"}
    film = imageio.imread(tmp_path / "out" / "scene.mp4")
    assert film.shape == (19 + 45, 720, 960, 3)
    assert all(len(np.unique(image.reshape(-1, 3), axis=0)) > 500 for image in film[::21])  # somebody is seen


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--preset", "fast"], "--preset: expected --by planner, found --by servos"),
        (["--policy", "a.onnx", "--by", "planner"], "--policy: expected --by policy, found --by planner"),
        (["--clip", "1"], "--clip: expected two times or none, found 1"),
    ],
)
def test_flags_that_do_not_go_together_are_named(flags, message, capsys):
    assert main(["scene", "chair:1", "--motion", "a.bvh", *flags]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("flag", "value"), [("--hold", "-1"), ("--hold", "soon"), ("--at", "nan"), ("--at", "inf")])
def test_seconds_that_are_none_are_refused_with_their_flag(flag, value, capsys):
    with pytest.raises(SystemExit):
        main(["scene", "chair:1", "--motion", "a.bvh", flag, value])
    assert f"argument {flag}: expected seconds >= 0, found '{value}'" in capsys.readouterr().err


def test_what_is_missing_is_named_before_anything_is_computed(tmp_path, capsys):
    assert main(["scene", "chair:1", "--motion", str(tmp_path / "none.bvh")]) == 2
    assert "none.bvh: no such file" in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "wanted"), [([], ("ours", False)), (["--legs", "--align", "ours"], ("ours", True))])
def test_alignment_is_told_whether_legs_turn(tmp_path, humanoid, capsys, monkeypatch, flags, wanted):
    file = save_motion(tmp_path / "sit.npz", qpos_motion(poses.sitting(humanoid, 0.45)))

    def align(motion, scene, *, method, seed, legs):
        raise ValueError(f"align: {method} {legs} {seed}")

    monkeypatch.setattr("mjxhuman.cli.scene.align", align)
    assert main(["scene", "chair:1", "--motion", str(file), *flags]) == 2
    assert "align: {} {} 0".format(*wanted) in capsys.readouterr().err
