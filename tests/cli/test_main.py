"""The command line: fast help, clear errors, exit codes. Commands on real motion are in test_cli_files.py."""

import importlib
import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from mjxhuman.cli import build_parser, main
from mjxhuman.data import read_motion, save_motion
from mjxhuman.runs import traced
from mjxhuman.types import BodyMotion, PointMotion

COMMANDS = (
    "score", "view", "info", "convert", "render", "track", "repair", "reconstruct", "generate", "stability", "scene",
    "run", "demo",
)  # fmt: skip


def test_help_loads_nothing_heavy():
    code = (
        "import sys, mjxhuman.cli as c\n"
        "try: c.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('jax', 'mujoco', 'numpy', 'scipy', 'flax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    for name in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_sentence_an_example_and_a_module(command, capsys):
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args([command, "--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0 and importlib.util.find_spec(f"mjxhuman.cli.{command}")
    _, sentence, *_ = text.split("\n\n")
    assert sentence.endswith(".") and f"\n  mjxhuman {command}" in text.split("example")[-1]


def test_launchers_use_no_traces_of_other_processes(monkeypatch):
    """They may change constants of the package, which no hash of its source sees."""
    kept = {}
    for command in ("info", "run"):
        module = importlib.import_module(f"mjxhuman.cli.{command}")
        monkeypatch.setattr(module, "run", lambda args: kept.update({args.command: traced._folder}) or 0)
        assert main([command]) == 0
    assert kept["info"] is not None and kept["run"] is None


def test_without_arguments_there_is_help(capsys):
    assert main([]) == 0
    assert "positional arguments" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fly"], "usage: mjxhuman [-h]"),
        (["score"], "usage: mjxhuman score"),
        (["score", "a.bvh", "--reward", "beauty"], "choose from"),
        (["score", "a.bvh", "--fsp", "30"], "unknown option --fsp; did you mean --fps?"),
        (["info", "a.bvh", "b.bvh"], "mjxhuman info: error: unknown argument b.bvh"),
        (["render", "a.bvh", "b.png", "--rows", "0"], "--rows: expected a whole number of at least 1, found '0'"),
        (["view", "a.bvh", "--fps", "0"], "--fps: expected a positive number of frames per second, found 0"),
    ],
)
def test_wrong_usage_exits_with_2_and_the_usage_of_the_command(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    text = capsys.readouterr().err
    assert stop.value.code == 2 and message in text
    assert text.startswith(f"usage: mjxhuman {arguments[0]}" if arguments[0] in COMMANDS else "usage: mjxhuman [-h]")


@pytest.fixture
def points(tmp_path):
    rng = np.random.default_rng(0)
    motion = PointMotion(rng.normal(size=(5, 2, 3)), np.ones((5, 2), bool), 50.0, ("A", "B"))
    return save_motion(tmp_path / "points.npz", motion)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "{tmp}/none.bvh"], "none.bvh: no such file"),
        (["score", "--compare", "{points}"], "--compare: expected two files, found 1"),
        (["info", "{tmp}/none.npz"], "none.npz"),
        (["render", "{points}", "a.gif"], "expected a file ending in .png or .mp4, found '.gif'"),
        (["render", "{points}", "a.png", "--size", "big"], "--size: expected WIDTHxHEIGHT"),
        (["convert", "{points}", "{tmp}/a.fbx"], "expected a file ending in .npz or .bvh or .trc, found '.fbx'"),
        (["convert", "{points}", "{tmp}/a.bvh"], "cannot write a PointMotion as 'bvh'"),
        (["score", ""], "FILE: expected files, folders or patterns, found none"),
        (["score", "{points}", "--out", "{points}"], "--out: cannot write to"),
        (["view", "{points}", "--out", "{points}/a.html"], "--out: cannot write to"),
        (["render", "{points}", "{points}/a.png"], "OUT: cannot write to"),
        (["convert", "{tmp}/noise.bvh", "{tmp}/a.npz"], "content that is not bvh: binary data"),
        (["convert", "{tmp}/bare.npy", "{tmp}/a.npz"], "expected frames per second in the file, or --fps"),
        (["view", "--viser", "{points}", "{points2}"], "--viser: expected one file, found 2"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(arguments, message, points, tmp_path, capsys):
    second = tmp_path / "points2.npz"
    second.write_bytes(points.read_bytes())
    (tmp_path / "noise.bvh").write_bytes(b"\x1b[2J\x07 nothing")
    np.save(tmp_path / "bare.npy", np.random.default_rng(0).normal(size=(5, 24, 3)))
    names = {"tmp": tmp_path, "points": points, "points2": second}
    code = main([a.format(**names) for a in arguments])
    captured = capsys.readouterr()
    assert code == 2
    assert captured.err.startswith(f"mjxhuman {arguments[0]}: ") and captured.err.count("\n") == 1
    assert message in captured.err and captured.out == ""


def test_info_names_versions_devices_and_untested_formats(capsys):
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    for word in ("mujoco 4", "jax 0", "devices", "cpu", "bvh", "amc", "untested", "video"):
        assert word in text, word


def test_info_of_a_file_says_what_is_in_it_without_fitting(points, monkeypatch, capsys):
    monkeypatch.setattr("mjxhuman.recovery.load.retarget_motion", None)
    assert main(["info", str(points)]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["holds"] == "2 markers: A, B" and (lines["frames"], lines["fps"]) == ("5", "50.0")


def test_info_of_keypoints(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", keypoints=np.ones((6, 17, 3)), fps=25.0, image_size=(640, 480))
    assert main(["info", str(tmp_path / "a.npz")]) == 0
    text = capsys.readouterr().out
    assert "17 2D keypoints of up to 1 people" in text and "640x480 px" in text
    np.savez(tmp_path / "b.npz", keypoints=np.ones((6, 17, 3)), fps=25.0)
    assert main(["info", str(tmp_path / "b.npz")]) == 2
    assert "a camera that states them: --camera" in capsys.readouterr().err


def test_convert_keeps_what_the_file_holds(points, tmp_path, capsys):
    out = tmp_path / "new" / "b.trc"
    assert main(["convert", str(points), str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    old, new = read_motion(points), read_motion(out)
    assert new.names == old.names and new.fps == pytest.approx(old.fps)
    np.testing.assert_allclose(new.pos, old.pos, atol=1e-6)


def test_smpl_rotations_of_a_motion(humanoid):
    """qpos -> body motion is the inverse of the direct way from SMPL's rotations to qpos."""
    from scipy.spatial.transform import Rotation

    import mjxhuman
    from mjxhuman.cli.convert import body_motion, qpos_motion

    rng = np.random.default_rng(0)
    qpos = np.repeat(humanoid.model.qpos0[None], 6, 0)
    qpos[:, :3] += rng.normal(0, 0.1, (6, 3))
    turns = Rotation.from_rotvec(rng.normal(0, 0.5, (6 * 24, 3))).as_quat(scalar_first=True).reshape(6, 24, 4)
    qpos[:, 3:] = turns.reshape(6, 96)
    body = body_motion(mjxhuman.motion_from_qpos(humanoid, qpos, 30.0))
    assert isinstance(body, BodyMotion)
    np.testing.assert_allclose(body.transl, qpos[:, :3], atol=1e-5)
    back = np.concatenate([body.global_orient[:, None], body.body_pose], axis=1)
    for joint, index in enumerate(humanoid.smpl_body_ids):
        model = humanoid.model
        address = model.jnt_qposadr[model.body_jntadr[index]] + (3 if joint == 0 else 0)
        alike = np.abs(np.sum(back[:, joint] * qpos[:, address : address + 4], axis=1))
        np.testing.assert_allclose(alike, 1.0, atol=1e-5)
    stored = qpos_motion(mjxhuman.motion_from_qpos(humanoid, qpos, 30.0))
    assert stored.humanoid["stature"] == humanoid.stature
    np.testing.assert_allclose(stored.qpos[:, :3], qpos[:, :3], atol=1e-5)
