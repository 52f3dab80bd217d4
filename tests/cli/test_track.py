"""``mjxhuman track`` and ``experiments.evaluate`` on files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mjxhuman
from mjxhuman.cli import main, track
from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.data.npz import QposMotion, save_motion

pytestmark = pytest.mark.compiled

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def walk(tmp_path) -> Path:
    """Two seconds of the built-in walk at 60 Hz."""
    clip = load_builtin_clip("walk")
    return save_motion(tmp_path / "walk.npz", QposMotion(clip.qpos[:121], clip.fps, clip.humanoid, clip.provenance))


def test_track(make_tracker, walk, tmp_path, capsys):
    code = main(
        ["track", str(walk), "--policy", str(make_tracker()), "--out", str(tmp_path / "o"), "--picture", "none"]
    )
    text = capsys.readouterr().out
    assert code == 1  # the bare servo falls
    assert "LOST at frame" in text and "61 frames" in text and "Foot slip" in text and "before" in text
    moved = mjxhuman.load_motion(tmp_path / "o" / "walk_tracked.npz")
    assert moved.num_frames == 61 and moved.fps == pytest.approx(30.0)
    score = float(mjxhuman.score(moved).total)
    after = next(line for line in text.splitlines() if line.startswith("Total"))
    assert f"{score:.4g}" in after
    height = np.asarray(moved.qpos)[:, 2]
    assert height[0] > 0.8 and height[-1] < 0.5


def test_what_cannot_be_tracked(make_tracker, walk, tmp_path, capsys):
    assert main(["track", str(walk), "--policy", str(tmp_path / "none.npz")]) == 2
    assert "none.npz" in capsys.readouterr().err
    assert main(["track", str(tmp_path / "none.bvh"), "--policy", str(make_tracker())]) == 2
    assert "none.bvh" in capsys.readouterr().err


def test_track_by_planner(walk, tmp_path, capsys):
    code = main(
        ["track", str(walk), "--by", "planner", "--preset", "fast", "--out", str(tmp_path / "o"), "--picture", "none"]
    )
    assert code == 0
    assert "tracked to the end" in capsys.readouterr().out
    plan = mjxhuman.Plan.load(tmp_path / "o" / "walk_plan.npz")
    moved = mjxhuman.load_motion(tmp_path / "o" / "walk_tracked.npz")
    np.testing.assert_allclose(np.asarray(plan.replay().qpos), np.asarray(moved.qpos), atol=1e-6)
    assert main(["track", str(walk), "--by", "planner", "--policy", "zero"]) == 2
    assert "--policy: expected none with --by planner" in capsys.readouterr().err


@pytest.mark.slow
def test_repair(walk, tmp_path, capsys):
    """A walk that floats by 8 cm comes back to the floor: moved as a whole, as is said, not hung from its toes."""
    clip = load_builtin_clip("walk")
    qpos = np.array(clip.qpos[:91])
    qpos[:, 2] += 0.08
    path = save_motion(tmp_path / "floating.npz", QposMotion(qpos, clip.fps, clip.humanoid, clip.provenance))
    code = main(["repair", str(path), "--preset", "fast", "--json", "--picture", "none", "--out", str(tmp_path / "o")])
    found = json.loads(capsys.readouterr().out)
    assert code == 0 and found["repaired"] and found["lost_at"] is None
    assert -100.0 < found["moved_mm"] < -60.0
    assert found["distance_mm"] < 50.0
    assert found["axes_after"]["contact"] > found["axes_before"]["contact"] + 0.2
    assert (tmp_path / "o" / "floating_repaired.npz").is_file()


def test_evaluate(make_tracker, walk, tmp_path):
    (tmp_path / "notes.txt").write_text("no motion")
    command = [
        sys.executable, "-m", "experiments.evaluate", f"--policy={make_tracker()}", "--noscore", "--draw=0",
        f"--motions={tmp_path}/**/*.npz,{tmp_path}/notes.txt", f"--out={tmp_path}/out", "--engine=c", "--phases=2",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert set(last) == {"clips", "success_rate", "mpjpe_global_mm", "mpjpe_local_mm", "failed_files"}
    assert (last["clips"], last["success_rate"], last["failed_files"]) == (2, 0.0, [f"{tmp_path}/notes.txt"])
    assert last["mpjpe_global_mm"] > last["mpjpe_local_mm"] > 0
    assert "notes.txt: " in done.stderr and "lost at" in done.stdout
    for line in (tmp_path / "out" / "clips.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert record["name"].startswith(f"{walk} ") and record["success"] is False and record["failed_frame"] > 5
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["clips"] == 2


def test_evaluate_says_what_is_missing(tmp_path):
    command = [sys.executable, "-m", "experiments.evaluate", f"--motions={tmp_path}/*.bvh"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no file matches" in done.stderr and "Traceback" not in done.stderr


def test_track_files_continues_where_it_was_interrupted(make_tracker, walk, tmp_path, capsys, monkeypatch):
    """Two clips and a broken file: interrupted after the first clip, then continued by the same command."""
    folder, out = tmp_path / "mocap", tmp_path / "o"
    folder.mkdir()
    clip = load_builtin_clip("jump")
    save_motion(folder / "a.npz", QposMotion(clip.qpos[:61], clip.fps, clip.humanoid, clip.provenance))
    (folder / "b.bvh").write_text("HIERARCHY\nROOT hip\n{\n")
    walk.rename(folder / "c.npz")
    command = ["track", str(folder), "--policy", str(make_tracker()), "--out", str(out), "--picture", "none"]
    performer, performed = track.performer, []

    def stopped_after(count: int):
        def made(args):
            perform = performer(args)

            def one(path, alone):
                if len(performed) == count:
                    raise KeyboardInterrupt
                performed.append(path.name)
                return perform(path, alone)

            return one

        return made

    monkeypatch.setattr(track, "performer", stopped_after(2))
    assert main(command) == 130
    text = capsys.readouterr()
    assert "1 not reached" in text.out and "the same command continues" in text.out and "b.bvh: " in text.err
    monkeypatch.setattr(track, "performer", stopped_after(9))
    assert main(command) == 1  # the bare servo falls
    text = capsys.readouterr().out
    assert performed == ["a.npz", "b.bvh", "b.bvh", "c.npz"]  # what failed is tried again, what is done is not
    counts = text.splitlines()[-2].split(":")[0]
    assert counts == "1 of 3 tracked to the end, 1 lost, 1 failed", counts
    assert text.splitlines()[-1].startswith(f"failed: {folder / 'b.bvh'}: ")
    lines = [json.loads(line) for line in (out / "tracked.jsonl").read_text().splitlines()]
    assert [(Path(line["path"]).name, bool(line["error"])) for line in lines] == [
        ("a.npz", False), ("b.bvh", True), ("b.bvh", True), ("c.npz", False),
    ]  # fmt: skip
    assert all(Path(line["motion"]).is_file() for line in lines if not line["error"])
    assert [line["success"] for line in lines if not line["error"]] == [True, False]
    performed.clear()
    assert main([*command, "--json"]) == 1
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert performed == ["b.bvh"] and {Path(line["path"]).name for line in printed} == {"a.npz", "b.bvh", "c.npz"}


def test_results_are_named_by_what_tells_files_apart():
    assert track.stems([Path("m/a.bvh"), Path("m/b.bvh")]) == {Path("m/a.bvh"): "a", Path("m/b.bvh"): "b"}
    assert list(track.stems([Path("m/x/a.bvh"), Path("m/y/a.bvh")]).values()) == ["x/a", "y/a"]
    assert list(track.stems([Path("m/a.bvh"), Path("m/a.amc")]).values()) == ["a.bvh", "a.amc"]
