"""Every launcher is found, says what it is for, lists its values, and names what is wrong with a command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments import launch
from mjxhuman.cli import main
from mjxhuman.cli.run import launchers

ROOT = Path(__file__).resolve().parents[2]
LAUNCHERS = sorted(launchers(ROOT / "experiments"))


def start(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_there_are_launchers():
    assert {"benchmark", "evaluate", "recover_motion", "score_motion", "train_imitation"} <= set(LAUNCHERS)


#: Forks one process for each launcher named: what most import is imported once, and yet none has the flags of another.
FORK = """
import os, runpy, sys, traceback
import mjxhuman.rewards.score, mjxhuman.tracking.evaluate
folder, *names = sys.argv[1:]
for name in names:
    if not (child := os.fork()):
        os.dup2(os.open(f"{folder}/{name}.out", os.O_CREAT | os.O_WRONLY), 1)
        os.dup2(os.open(f"{folder}/{name}.err", os.O_CREAT | os.O_WRONLY), 2)
        sys.argv = ["", "--help"]
        status = 1
        try:
            runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            status = end.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(0 if status in (0, None) else 1)  # taking the interpreter down costs more than all the rest
    print(name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def help_of(tmp_path_factory) -> Callable[[str], tuple[int, str, str]]:
    """Exit status, output and errors of a launcher that is asked for its help."""
    folder = tmp_path_factory.mktemp("help")
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(folder), *LAUNCHERS],
        cwd=ROOT, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    status = {name: int(code) for name, code in map(str.split, done.stdout.splitlines())}
    return lambda name: (status[name], *((folder / f"{name}.{end}").read_text() for end in ("out", "err")))


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launcher_loads(name, help_of):
    status, out, err = help_of(name)
    assert status == 0 and not err, err
    assert f"python -m experiments.{name}" in out, "the docstring gives no command to copy"


def test_run_lists_launchers_with_a_sentence_each(capsys):
    assert main(["run"]) == 0
    text = capsys.readouterr().out
    for name in LAUNCHERS:
        (line,) = (line for line in text.splitlines() if line.startswith(f"  {name} "))
        assert len(line.split()) > 4, line


def test_run_from_any_folder(tmp_path):
    """The default configuration is found beside the code; a wrong key is one line that names what there is."""
    done = start("mjxhuman", "run", "score_motion", "--config.read_ahed=3", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout
    assert (
        "config has backend, belt_speed, camera" in done.stderr and "did you mean --config.read_ahead?" in done.stderr
    )
    done = start("mjxhuman", "run", "score_motion", "--config", "feasibility", "--config.inputs=none.bvh", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr == (
        "score_motion: none.bvh: no such file, and no file matches it as a pattern\n"
    )


def test_run_of_an_unknown_launcher(capsys):
    assert main(["run", "fly"]) == 2
    assert "expected one of align_scenes, benchmark" in capsys.readouterr().err


def test_configurations_by_name_file_and_variant(tmp_path):
    path, values = launch.load_config("imitation:test")
    assert path == f"{ROOT / 'configs' / 'imitation.py'}:test" and values.variant == "test"
    assert launch.load_config("configs/imitation.py")[1].variant == "cpu"
    own = tmp_path / "own.py"
    own.write_text(
        "from ml_collections import config_dict\ndef get_config():\n    return config_dict.ConfigDict({'a': 1})"
    )
    assert launch.load_config(str(own))[1].a == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "nothing",
            "expected a file or one of align_scenes, benchmark, benchmark_hsi, feasibility, generator, imitation, "
            "lifter, post_train, video, vision_policy, found 'nothing'",
        ),
        ("/tmp/imitation.py", "expected a file or one of"),
        ("imitation:huge", "expected variant cpu, expert, gpu or test, found 'huge'"),
        ("feasibility:huge", "feasibility.py has no variants, found 'huge'"),
    ],
)
def test_wrong_configurations(given, message):
    with pytest.raises(launch.UsageError, match=message):
        launch.load_config(given)


def test_help_lists_every_value_with_its_comment():
    path, values = launch.load_config("feasibility")
    rows = dict(launch.described(values, path))
    assert len(rows) == len(values)
    assert rows["limit=0"] == "score only the first so many files; 0 for all"
    assert rows["ground=stance"].endswith("none, lowest, stance, plane"), "options have the help of their record"
    assert rows["fps="] == "frames per second"


def test_wrong_keys_are_named_at_their_level():
    _, values = launch.load_config("imitation")
    launch.check_keys(values, ["--config.seed=3", "--config.amp.coef=1", "--noconfig.quiet", "--other=1"])
    with pytest.raises(
        launch.UsageError, match=r"--config.ppo.gama: config.ppo has .*; did you mean --config.ppo.gamma\?"
    ):
        launch.check_keys(values, ["--config.ppo.gama=0.9"])
