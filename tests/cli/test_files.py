"""Commands on motion files, from file to report."""

import json

import numpy as np
import pytest

import mjxhuman
from mjxhuman.cli import main
from mjxhuman.cli.convert import qpos_motion, skeleton_motion
from mjxhuman.data import QposMotion, read_motion, save_motion, write_motion
from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.types import BodyMotion, SkeletonMotion


@pytest.fixture(scope="module")
def files(humanoid, tmp_path_factory):
    """The rest pose swaying, the same a hand's breadth above the floor, and a file that is none."""
    folder = tmp_path_factory.mktemp("files")
    t = np.arange(48) / 30.0
    qpos = np.repeat(humanoid.model.qpos0[None], 48, 0)
    qpos[:, 0] += 0.01 * np.sin(4 * t)
    body = {"name": "smpl", "layout": "ball", "stature": humanoid.stature, "mass": humanoid.mass}
    save_motion(folder / "stand.npz", QposMotion(qpos, 30.0, body))
    qpos[:, 2] += 0.3
    save_motion(folder / "float.npz", QposMotion(qpos, 30.0, body))
    (folder / "bad.bvh").write_text("HIERARCHY\nROOT\n")
    return folder


def test_score_prints_a_table_and_writes_a_report(files, tmp_path, capsys):
    names = [str(files / n) for n in ("stand.npz", "float.npz", "bad.bvh")]
    code = main(["score", *names, "--ground", "none", "--out", str(tmp_path)])
    text = capsys.readouterr()
    assert code == 1, "one file has no score"
    assert "bad.bvh" in text.err and "stand.npz" in text.out and "Foot slip" in text.out
    assert str(tmp_path / "report.html") in text.out
    records = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [r["valid"] for r in records] == [True, True, False]
    assert records[0]["total"] > records[1]["total"] + 0.2, "hovering scores worse than standing"
    assert records[1]["terms"]["floating_bw"] == pytest.approx(1, abs=0.1), "the whole weight is unsupported"
    page = (tmp_path / "report.html").read_text()
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert [c["name"] for c in data["clips"]] == ["stand.npz", "float.npz"]
    assert data["failures"][0][0] == "bad.bvh"
    for clip, record in zip(data["clips"], records, strict=False):
        assert clip["scores"]["total"] == pytest.approx(record["total"], abs=1e-6)
        assert clip["motion"]["dynamics"] is not None


def test_json_prints_records_only(files, capsys):
    code = main(["score", str(files / "stand.npz"), str(files / "bad.bvh"), "--json"])
    lines = capsys.readouterr().out.splitlines()
    records = [json.loads(line) for line in lines]
    assert code == 1 and len(records) == 2
    assert records[0]["schema"] == 1 and 0 < records[0]["total"] <= 1
    assert records[1]["error"] and records[1]["total"] is None


def test_a_folder_says_what_was_scored_failed_and_left_out(files, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("stand.npz", "bad.bvh"):
        (folder / name).write_bytes((files / name).read_bytes())
    (folder / "notes.md").write_text("# no motion")
    assert main(["score", str(folder)]) == 1
    text = capsys.readouterr()
    assert "left out 1 of 3 files: 1 of no known format (notes.md)" in text.err
    assert text.out.rstrip().endswith("1 scored, 1 without a score, 1 left out of the folders")


def test_errors_about_files_name_flags(tmp_path, capsys):
    np.save(tmp_path / "bare.npy", np.zeros((5, 24, 3)) + np.arange(5)[:, None, None])
    for extra in ([], ["--out", str(tmp_path / "out")]):
        assert main(["score", str(tmp_path / "bare.npy"), *extra]) == 1
        assert "frames per second in the file, or --fps" in capsys.readouterr().err


def test_compare_names_what_changed(files, capsys):
    code = main(["score", "--compare", "--ground", "none", str(files / "stand.npz"), str(files / "float.npz")])
    text = capsys.readouterr().out
    assert code == 0
    floating = next(line for line in text.splitlines() if line.startswith("Floating"))
    assert "▼" in floating and "worse" in floating


def test_published_reward(files, capsys):
    assert main(["score", str(files / "stand.npz"), "--reward", "phymotion"]) == 0
    text = capsys.readouterr().out
    assert "Float violation" in text and "Metabolic score" in text


def test_convert_to_smpl_rotations(files, tmp_path, capsys, humanoid):
    out = tmp_path / "amass.npz"
    assert main(["convert", str(files / "stand.npz"), str(out), "--to", "amass", "--ground", "none"]) == 0
    with np.load(out) as arrays:
        assert arrays["poses"].shape == (48, 156) and float(arrays["mocap_framerate"]) == 30.0
    motion = read_motion(out)
    assert isinstance(motion, BodyMotion)
    np.testing.assert_allclose(motion.transl[0], humanoid.model.qpos0[:3], atol=1e-4)
    assert np.abs(np.abs(motion.body_pose[..., 0]) - 1).max() < 1e-4, "the T-pose has no rotation"


def test_info_of_a_file(files, capsys):
    assert main(["info", str(files / "stand.npz")]) == 0
    text = capsys.readouterr().out
    assert "48" in text and "30.0" in text and "smpl" in text


def test_view_writes_a_page(files, tmp_path, capsys):
    page = tmp_path / "view.html"
    assert main(["view", str(files / "stand.npz"), "--out", str(page), "--no-browser"]) == 0
    assert capsys.readouterr().out.strip() == str(page) and "stand.npz" in page.read_text()


def test_render_a_sheet(gl, files, tmp_path, capsys):
    import imageio.v3 as imageio

    out = tmp_path / "sheet.png"
    arguments = ["--columns", "2", "--rows", "1", "--size", "80x60", "--forces", "--ghost", str(files / "float.npz")]
    assert main(["render", str(files / "stand.npz"), str(out), *arguments]) == 0
    assert imageio.imread(out).shape == (60, 160, 3)


def test_a_ghost_keeps_time(files, tmp_path, monkeypatch):
    """A second motion of another frame rate is drawn where it is at that time, not at that frame."""
    from mjxhuman.cli import render

    slow, drawn = read_motion(files / "stand.npz"), {}
    save_motion(tmp_path / "half.npz", QposMotion(np.asarray(slow.qpos)[::2], 15.0, slow.humanoid))
    monkeypatch.setattr(render, "contact_sheet", lambda humanoid, qpos, *_, ghost, **__: drawn.update(a=qpos, b=ghost))
    arguments = ["--ghost", str(tmp_path / "half.npz"), "--ground", "none"]
    assert main(["render", str(files / "stand.npz"), str(tmp_path / "a.png"), *arguments]) == 0
    np.testing.assert_allclose(drawn["a"][:44, 0], drawn["b"][:44, 0], atol=2e-3)
    assert np.ptp(drawn["a"][:, 0]) > 0.01


@pytest.mark.slow
def test_demo_ranks_the_clean_clip_first(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    page = (tmp_path / "report.html").read_text()
    clips = json.loads(page.split('id="data">')[1].split("</script>")[0])["clips"]
    clean, *damaged = clips
    assert min(clean["scores"]["axes"].values()) > 0.9
    assert len(damaged) >= 8
    for clip in damaged:
        assert clip["scores"]["total"] < clean["scores"]["total"] - 0.02, clip["name"]
        assert clip["name"] in text and clip["notes"][0].startswith("Damaged copy: ")
    assert len(page) < 3e6


def test_convert_to_a_skeleton_and_back(tmp_path, humanoid):
    """The body's joints as BVH: read and retargeted to the same body it is the same motion."""
    clip = load_builtin_clip("walk")
    motion = motion_from_qpos(humanoid, clip.qpos[:20], clip.fps)
    path = write_motion(tmp_path / "walk.bvh", skeleton_motion(motion))
    skeleton = read_motion(path)
    assert isinstance(skeleton, SkeletonMotion)
    kept = [skeleton.names.index(name) for name in humanoid.body_names[1:]]
    np.testing.assert_allclose(skeleton.joint_pos[:, kept], np.asarray(motion.body_pos)[:, 1:], atol=2e-5)
    back = mjxhuman.load_motion(path, humanoid, ground="none")
    off = np.linalg.norm(np.asarray(back.body_pos) - np.asarray(motion.body_pos), axis=-1)
    assert off.max() < 0.005
    save_motion(tmp_path / "walk.npz", qpos_motion(motion))
    assert (
        main(["convert", str(tmp_path / "walk.npz"), str(tmp_path / "b.bvh"), "--to", "skeleton", "--ground", "none"])
        == 0
    )
    np.testing.assert_allclose(read_motion(tmp_path / "b.bvh").joint_pos, skeleton.joint_pos, atol=2e-5)
