"""``mjxhuman stability``."""

from __future__ import annotations

import dataclasses
import json
import sys

import pytest

from mjxhuman.cli import main
from mjxhuman.cli import stability as command
from mjxhuman.scenes.stability import stability


def test_built_in_furniture_is_judged_in_lines_and_one_object(tmp_path, capsys):
    out = tmp_path / "o"
    names = ["chair:3", "chair:0:tilt:0.6", "chair:3"]
    assert main(["stability", *names, "--drops", "3", "--out", str(out), "--picture", "none"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("chair:3: stands, rate 1.00") and lines[0] == lines[2]
    assert lines[1].startswith("chair:0:tilt:0.6: DOES NOT STAND, rate 0.00")
    total = json.loads(last)
    assert [*total] == ["objects", "stable", "rate", "interval", "unfit", "borderline", "drops", "seconds"]
    assert (total["objects"], total["stable"], total["unfit"], total["drops"]) == (3, 2, 0, 3)
    rows = [json.loads(row) for row in (out / "stability.jsonl").read_text().splitlines()]
    assert rows[1]["rules"]["dso"]["stable"] and not rows[1]["rules"]["strict"]["stable"]
    assert rows[1]["tilt_deg"] == pytest.approx(12, abs=0.3)


def test_options_go_through_and_what_is_near_the_threshold_is_counted(monkeypatch, capsys):
    asked = []

    def judged(scene, *options):
        asked.append(options)
        found = stability(scene, 1)
        near = dataclasses.replace(found.objects[0], borderline=True, stable=False)
        return dataclasses.replace(found, objects=(near,))

    monkeypatch.setattr(command, "stability", judged)
    assert main(["stability", "stool", "--drops", "7", "--seed", "5", "--rule", "dso"]) == 0
    assert asked == [(7, 5, "dso")]
    line, last = capsys.readouterr().out.splitlines()
    assert "DOES NOT STAND (borderline)" in line
    total = json.loads(last)
    assert (total["borderline"], total["stable"], total["rate"]) == (1, 0, 0.0)
    assert total["interval"] == pytest.approx([0, 0.793], abs=1e-3)


def test_dso_passes_what_strict_does_not(capsys):
    assert main(["stability", "chair:0:tilt:0.6", "--drops", "2", "--rule", "dso", "--json"]) == 0
    (only,) = capsys.readouterr().out.splitlines()
    assert json.loads(only)["stable"] == 1


def test_a_file_that_cannot_be_read_gets_no_verdict_and_the_others_do(tmp_path, capsys):
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"no archive")
    assert main(["stability", str(broken), "stool", "--drops", "1"]) == 1
    *lines, last = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{broken}: no verdict: file: found ") and "stool:0: stands" in lines[1]
    assert (json.loads(last)["unfit"], json.loads(last)["rate"]) == (1, 1.0)


def test_what_a_file_leaves_open_is_asked_for_by_flag_and_a_missing_package_stops_nothing(
    tmp_path, capsys, monkeypatch
):
    light, mesh = tmp_path / "stool.urdf", tmp_path / "stool.obj"
    light.write_text(
        "<robot name='stool'><link name='a'><inertial><mass value='0.001'/></inertial><visual>"
        "<origin xyz='0 0 0.2'/><geometry><box size='.4 .4 .4'/></geometry></visual></link></robot>"
    )
    mesh.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    monkeypatch.setitem(sys.modules, "trimesh", None)
    assert main(["stability", str(light), str(mesh), "stool", "--drops", "1", "--out", str(tmp_path)]) == 1
    *lines, last = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("mass of 'stool': found 0.001 kg, expected 0.1 to 500 kg, or --mass")
    assert lines[1].startswith(f"{mesh}: no verdict: reading meshes needs the extra 'scenes'")
    assert lines[2].startswith("stool:0: stands") and json.loads(last)["unfit"] == 2
    assert len((tmp_path / "stability.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.obj", "absent.obj: no such file, and none of the kinds chair"),
        ("chair:x", "expected a whole number of 0 or more after 'chair', found 'x'"),
        ("chair:0:rust", "damage: expected one of short_leg"),
    ],
)
def test_what_is_no_furniture_is_found_out_before_anything_drops(name, message, capsys):
    assert main(["stability", "chair", name]) == 2
    found = capsys.readouterr()
    assert not found.out and message in found.err


def test_pictures_of_what_stands_and_what_fell(gl, tmp_path, capsys):
    assert main(["stability", "chair:0:missing_leg", "chair:0", "--drops", "1", "--out", str(tmp_path)]) == 0
    files = sorted(path.name for path in tmp_path.glob("*.png"))
    assert files == ["chair_0.png", "chair_0_missing_leg.png"]
    assert all((tmp_path / name).stat().st_size > 5000 for name in files)


def test_what_is_said_of_files_needs_one(capsys):
    assert main(["stability", "chair:1", "stool:2", "--mass", "4"]) == 2
    assert "--mass: expected a file that it is about, found chair:1, stool:2" in capsys.readouterr().err
