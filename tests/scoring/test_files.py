"""The loop over files, with a loader and a scorer of its own: every file holds what they should do."""

from __future__ import annotations

import csv
import json
import threading
import types
from pathlib import Path

import numpy as np
import pytest

from experiments import score_motion
from mjxhuman.data.builtin import builtin_path
from mjxhuman.options import ReadOptions, ScoreOptions, keywords
from mjxhuman.recovery import load
from mjxhuman.runs import read_json_lines
from mjxhuman.scenes import save_scene
from mjxhuman.scenes.furniture.make import make_furniture
from mjxhuman.scoring import files as files_module
from mjxhuman.scoring.files import SCHEMA, digest, score_files, scored
from mjxhuman.types import Motion, Provenance, Scores

pytestmark = pytest.mark.compiled

BODY = types.SimpleNamespace(name="smpl", stature=1.7, mass=70.0)


class Engine:
    """Stands for ``load_motion`` and ``score``: a file's text is its frame count, or the error it provokes."""

    def __init__(self):
        self.loaded, self.options, self.scored = [], [], 0
        self.on_score = lambda: None

    def load_motion(self, path, humanoid=None, **options):
        text = Path(path).read_text()
        self.loaded.append(Path(path).name)
        self.options.append({"humanoid": humanoid, **options})
        if text == "bad":
            raise ValueError(f"{path}: field 'fps': expected a frame rate, found none")
        frames = 7 if text in ("invalid", "crash") else int(text)
        x = np.full((frames, 1), {"invalid": -1.0, "crash": -2.0}.get(text, 1.0))
        return Motion(
            *(x, x, x, x, x, x, x), valid=np.ones(frames, bool), dt=1 / 30, humanoid=humanoid or BODY,
            provenance=Provenance(path=str(path), format="bvh", conventions=("up axis y",), ground="stance"),
        )  # fmt: skip

    def score(self, motion, reward="feasibility", humanoid=None, surface=None, scene=None):
        self.surface, self.scene = surface, scene
        self.scored += 1
        self.on_score()
        if motion.qpos[0, 0] == -2:
            raise RuntimeError("did not converge")
        valid = motion.qpos[0, 0] > 0
        number = np.float32(motion.num_frames / 1000 if valid else np.nan)
        return Scores(
            total=number, axes={"contact": number}, terms={"foot_slip": number}, frames={},
            valid=np.asarray(valid), reason="" if valid else "too short", reward=reward,
        )  # fmt: skip


@pytest.fixture
def engine(monkeypatch):
    engine = Engine()
    monkeypatch.setattr(files_module, "load_motion", engine.load_motion)
    monkeypatch.setattr(files_module, "score", engine.score)
    return engine


@pytest.fixture
def files(tmp_path):
    def write(*texts):
        folder = tmp_path / "in"
        folder.mkdir(exist_ok=True)
        paths = [folder / f"{i:03d}.bvh" for i in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        return paths

    return write


def test_the_surface_that_a_file_holds_carries(engine, files, tmp_path):
    (path,), field = files("5"), tmp_path / "steps.npz"
    np.savez(field, heights=np.zeros((2, 3)), origin=(0, 0), spacing=0.5)
    options = ScoreOptions(surface=field, ground="none")
    assert score_files([path], tmp_path / "out", options, quiet=True).scored == 1
    assert engine.surface.heights.shape == (2, 3)
    before = digest(options)
    np.savez(field, heights=np.ones((2, 3)), origin=(0, 0), spacing=0.5)
    assert digest(options) != before != digest(ScoreOptions(ground="none"))
    with pytest.raises(ValueError, match="ground: expected none beside a surface"):
        scored([path], ScoreOptions(surface=field))
    with pytest.raises(FileNotFoundError, match="no such file"):
        scored([path], ScoreOptions(surface=tmp_path / "none.npz", ground="none"))


def test_furniture_that_options_name_carries(engine, files, tmp_path):
    seat = save_scene(tmp_path / "seat.npz", make_furniture("stool", 1))
    options = ScoreOptions(scene=[f"{seat}@1,2,90", "table:1@0,0"])
    assert score_files(files("5"), tmp_path / "out", options, quiet=True).scored == 1
    assert engine.scene.names == ("stool:1", "table:1")
    np.testing.assert_allclose(engine.scene.poses[:, :2], [[1, 2], [0, 0]])
    assert lines(tmp_path / "out")[0]["scene"] == {"stool:1": [1.0, 2.0, 90.0], "table:1": [0.0, 0.0, 0.0]}
    before = digest(options)
    save_scene(seat, make_furniture("stool", 2))
    assert digest(options) != before != digest(ScoreOptions(scene="table:1"))
    with pytest.raises(ValueError, match="seed: expected a whole number of 0 or more after 'chair', found 'one'"):
        scored(files("5"), ScoreOptions(scene="chair:one"))
    with pytest.raises(ValueError, match="surface: expected none beside furniture"):
        scored(files("5"), ScoreOptions(scene="chair:1", surface="a.npz"))


def lines(out):
    return list(read_json_lines(out / "scores.jsonl"))


def test_records(engine, files, tmp_path):
    paths = files("10", "bad", "20", "invalid")
    summary = score_files(paths, tmp_path / "out", ScoreOptions(fps=25.0, ground="none"))
    records = lines(tmp_path / "out")
    assert [r["path"] for r in records] == [str(p) for p in paths]
    assert [r["valid"] for r in records] == [True, False, True, False]
    first, bad, _, invalid = records
    assert first["schema"] == SCHEMA
    assert first["total"] == pytest.approx(0.01)
    assert first["axes"] == {"contact": pytest.approx(0.01)}
    assert (first["frames"], first["fps"], first["reward"]) == (10, 30.0, "feasibility")
    assert first["humanoid"] == {"name": "smpl", "stature": 1.7, "mass": 70.0}
    assert first["provenance"]["conventions"] == ["up axis y"]
    assert len(first["sha256"]) == 64
    assert "expected a frame rate" in bad["error"]
    assert bad["total"] is None
    assert bad["frames"] is None
    assert (invalid["reason"], invalid["total"], invalid["error"]) == ("too short", None, "")
    assert (summary.scored, summary.exit_code) == (2, 1)
    assert set(summary.failed) == {str(paths[1]), str(paths[3])}
    assert engine.options[0] == {"humanoid": None, **keywords(ReadOptions, ScoreOptions(fps=25.0, ground="none"))}
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (run["scored"], run["options"]["fps"], set(run["failed"])) == (2, 25.0, set(summary.failed))
    assert run["environment"]["packages"]["jax"]


def test_missing_file_is_an_error_of_that_file(engine, files, tmp_path):
    (path,) = files("10")
    summary = score_files([tmp_path / "absent.bvh", path], tmp_path / "out", ScoreOptions())
    assert summary.failed[str(tmp_path / "absent.bvh")] == f"{tmp_path / 'absent.bvh'}: no such file or directory"
    assert summary.scored == 1


def test_one_clip_that_breaks_the_scorer_does_not_stop_the_others(engine, files, tmp_path):
    paths = files("10", "crash", "20", "30")
    items = list(scored(paths, ScoreOptions(), read_ahead=4))
    assert [item.valid for item in items] == [True, False, True, True]
    assert items[1].error == "RuntimeError: did not converge"


def test_resume_skips_what_is_scored(engine, files, tmp_path):
    paths, out = files("10", "bad", "20", "invalid"), tmp_path / "out"
    score_files(paths, out, ScoreOptions())
    engine.loaded.clear()
    paths[2].write_text("21")
    again = score_files(paths, out, ScoreOptions())
    assert sorted(engine.loaded) == ["001.bvh", "002.bvh"]  # the error is tried again, the changed file scored again
    assert (again.skipped, again.scored) == (2, 1)
    assert set(again.failed) == {str(paths[1]), str(paths[3])}
    last = {record["path"]: record for record in lines(out)}
    assert last[str(paths[2])]["frames"] == 21
    engine.loaded.clear()
    score_files(paths, out, ScoreOptions(reward="phymotion"))
    assert len(engine.loaded) == 4
    engine.loaded.clear()
    score_files(paths, out, ScoreOptions(), resume=False)
    assert len(engine.loaded) == len(lines(out)) == 4


def test_resume_after_everything_is_done_loads_nothing(engine, files, tmp_path):
    paths = files(*["5"] * 40)
    score_files(paths, tmp_path / "out", ScoreOptions(), read_ahead=8)
    engine.loaded.clear()
    summary = score_files(paths, tmp_path / "out", ScoreOptions(), read_ahead=8)
    assert (summary.skipped, summary.exit_code, engine.loaded) == (40, 0, [])
    assert len(lines(tmp_path / "out")) == 40


def test_interrupt_leaves_a_file_that_can_be_continued(engine, files, tmp_path):
    paths, out = files(*["5"] * 20), tmp_path / "out"

    def interrupt():
        if engine.scored == 4:
            raise KeyboardInterrupt

    engine.on_score = interrupt
    summary = score_files(paths, out, ScoreOptions(), read_ahead=2)
    assert (summary.interrupted, summary.exit_code) == (True, 130)
    done = len(lines(out))
    assert done == 3
    assert json.loads((out / "run.json").read_text())["interrupted"] is True
    with (out / "scores.jsonl").open("a") as file:
        file.write('{"schema":1,"path":')  # as a kill in the middle of a line leaves it
    engine.on_score = lambda: None
    assert score_files(paths, out, ScoreOptions()).skipped == done
    assert sorted(record["path"] for record in lines(out)) == [str(path) for path in paths]
    assert not [t for t in threading.enumerate() if t.name.startswith("mjxhuman-loader")]


def test_memory_is_bounded(engine, files, monkeypatch):
    """No more clips exist at any time than are read ahead, the one being scored and the one handed out."""
    alive, most = set(), 0
    load = engine.load_motion

    class Handle:
        def __init__(self, number):
            self.number = number
            alive.add(number)

        def __del__(self):
            alive.discard(self.number)

    numbers = iter(range(1000))

    def counted(path, humanoid=None, **options):
        motion = load(path, humanoid, **options)
        return motion.replace(humanoid=types.SimpleNamespace(**vars(BODY), handle=Handle(next(numbers))))

    monkeypatch.setattr(files_module, "load_motion", counted)
    seen = 0
    for _ in scored(files(*["5"] * 100), ScoreOptions(), read_ahead=4):
        seen += 1
        most = max(most, len(alive))
    assert seen == 100
    assert most <= 4 + 2


def test_options_decide_the_hash(tmp_path):
    digests = {digest(ScoreOptions(**change)) for change in ({}, {"fps": 30.0}, {"stature": 1.8}, {"up": "z"})}
    assert len(digests) == 4
    assert digest(ScoreOptions()) == digest(ScoreOptions())
    for name in ("humanoid", "skeleton", "joints", "camera", "surface"):  # and what is in the files that they name
        file = tmp_path / f"{name}.xml"
        file.write_text("<mujoco/>")
        before = digest(ScoreOptions(**{name: str(file)}))
        file.write_text("<mujoco model='other'/>")
        assert digest(ScoreOptions(**{name: str(file)})) != before, name


def test_stature_and_mass_choose_the_body(engine, files, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(load, "load_humanoid", lambda name, **options: calls.append((name, options)) or BODY)
    list(scored(files("5"), ScoreOptions(stature=1.8, mass=80.0)))
    assert calls == [("smpl", {"stature": 1.8, "mass": 80.0})]
    assert engine.options[-1]["humanoid"] is BODY


def test_a_wrong_humanoid_costs_no_results(engine, files, monkeypatch, tmp_path):
    paths, out = files("5"), tmp_path / "out"
    score_files(paths, out, ScoreOptions())

    def refuse(name, **options):
        raise ValueError(f"no humanoid {name!r}")

    monkeypatch.setattr(load, "load_humanoid", refuse)
    with pytest.raises(ValueError, match="no humanoid 'robot'"):
        score_files(paths, out, ScoreOptions(humanoid="robot"), resume=False)
    assert len(lines(out)) == 1


def launch(out, **changes):
    from configs.feasibility import get_config

    config = get_config()
    config.update({"out": str(out), **changes})
    return score_motion.run(config)


def test_launcher_exit_codes(engine, files, tmp_path, capsys):
    paths = files("10", "20", "bad")
    folder = paths[0].parent
    assert launch(tmp_path / "a", inputs=f"{folder}/*.bvh", limit=2) == 0
    assert "2 scored" in capsys.readouterr().out
    assert launch(tmp_path / "a", inputs=f"{folder}/*.bvh") == 1
    captured = capsys.readouterr()
    assert "1 failed" in captured.out
    assert "2 already there" in captured.out
    assert "002.bvh: field 'fps'" in captured.err
    assert launch(tmp_path / "b", inputs="") == 2
    assert launch(tmp_path / "b", inputs=f"{folder}/*.fbx") == 2
    assert "no such file" in capsys.readouterr().err
    assert launch(tmp_path / "b", inputs=f"{folder}/000.bvh", read_ahead=0) == 2
    assert not (tmp_path / "b").exists()
    assert "read_ahead: expected at least 1" in capsys.readouterr().err
    (tmp_path / "a" / "scores.jsonl").write_text("broken\n")
    assert launch(tmp_path / "a", inputs=f"{folder}/*.bvh") == 2
    assert "line 1" in capsys.readouterr().err


def test_real_files(shared, tmp_path, capsys):
    """Three mocap formats and a broken file through the launcher, with the real loader and the real reward."""
    data = shared / "data"
    names = [next(data.glob(pattern)) for pattern in ("cmu_amc/**/*.amc", "cmu_bvh/*.bvh", "deepmimic/*.txt")]
    broken = tmp_path / "broken.bvh"
    broken.write_text("HIERARCHY\nROOT Hips\n{\n")
    inputs = ",".join(map(str, [*names, broken]))
    assert launch(tmp_path / "out", inputs=inputs) == 1
    captured = capsys.readouterr()
    assert "3 scored" in captured.out
    assert "broken.bvh" in captured.err
    records = lines(tmp_path / "out")
    assert [record["valid"] for record in records] == [True, True, True, False]
    for record in records[:3]:
        assert 0.0 < record["total"] <= 1.0
        assert set(record["axes"]) == {"kinematic", "contact", "dynamic"}
        assert 1.2 < record["humanoid"]["stature"] < 2.2
        assert record["provenance"]["ground"] != ""
    assert launch(tmp_path / "out", inputs=inputs) == 1
    assert "3 already there" in capsys.readouterr().out


def test_tables_for_spreadsheets_and_for_curating(files, tmp_path, engine):
    paths = files("900", "bad", "300", "invalid")
    summary = score_files(paths, tmp_path / "out", ScoreOptions(), quiet=True, min_total=0.5)
    with (tmp_path / "out" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [str(p) for p in paths]
    assert float(rows[0]["total"]) == pytest.approx(0.9) and float(rows[0]["percentile"]) > float(rows[2]["percentile"])
    assert rows[1]["total"] == "" and "frame rate" in rows[1]["reason"] and rows[3]["reason"] == "too short"
    assert (tmp_path / "out" / "kept.txt").read_text().splitlines() == [str(paths[0])] and summary.kept == 1


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["local", "ray"])
def test_workers_write_the_same_lines(tmp_path, backend, capsys, request):
    """Of real clips, one that cannot be read among them; a second run leaves out what is done."""
    if backend == "ray":
        request.getfixturevalue("ray_cluster")
    bad = tmp_path / "bad.bvh"
    bad.write_text("no motion")
    paths = [builtin_path("walk"), bad, builtin_path("jump")]
    lines = []
    for name, workers in (("one", 0), ("more", 2)):
        summary = score_files(paths, tmp_path / name, ScoreOptions(), workers=workers, backend=backend, quiet=True)
        assert summary.scored == 2 and set(summary.failed) == {str(bad)} and str(bad) in capsys.readouterr().err
        lines.append([{k: v for k, v in x.items() if k != "seconds"} for x in read_json_lines(summary.out)])
    assert lines[0] == lines[1]
    again = score_files(paths, tmp_path / "more", ScoreOptions(), workers=2, backend=backend, quiet=True)
    assert again.skipped == 2 and again.scored == 0 and len(again.failed) == 1


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"workers": 1, "on_result": print}, "on_result: expected none with workers"),
        ({"backend": "ray"}, "workers: expected 1 or more beside the backend 'ray', found 0"),
        ({"workers": 1, "backend": "threads"}, "backend: expected one of local, ray, found 'threads'"),
        ({"workers": -1}, "workers: expected 0 or more, found -1"),
    ],
)
def test_workers_that_cannot_be_lose_no_results(files, tmp_path, how, text):
    before = tmp_path / "scores.jsonl"
    before.write_text("")
    with pytest.raises(ValueError, match=text):
        score_files(files("5"), tmp_path, ScoreOptions(), resume=False, **how)
    assert before.exists()
