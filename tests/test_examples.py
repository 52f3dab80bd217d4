"""The examples: named ones exist, say what they are, can be made again, and the notebook runs from top to bottom."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import mjxhuman
from experiments import make_examples
from mjxhuman.cli import build_parser, main

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
PAGES = [ROOT / "README.md", EXAMPLES / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_the_pages_name_files_that_exist_and_options_that_there_are(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"\bexamples/([\w.]*\w)", text):
        assert (EXAMPLES / name).exists(), name
    commands = re.findall(r"^mjxhuman (?!run|\w+ --help)(.*?)(?:  +#.*)?$", text, re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        build_parser().parse_args(command.split())


def test_there_is_nothing_that_the_page_does_not_explain():
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in EXAMPLES.iterdir():
        assert path.name == "README.md" or f"`{path.name}`" in text, path.name
        assert path.stat().st_size < 300_000, path.name


def test_they_can_be_made_again(tmp_path):
    for path in make_examples.make_files(tmp_path):
        old, new = EXAMPLES / path.name, path
        if path.suffix == ".npz":
            with np.load(old) as a, np.load(new) as b:
                assert set(a) == set(b)
                for key in a:
                    if a[key].dtype.kind == "f":
                        np.testing.assert_allclose(a[key], b[key], atol=1e-3, err_msg=f"{path.name} {key}")
        else:
            first, second = (np.array(re.findall(r"-?\d+\.\d+", p.read_text()), float) for p in (old, new))
            np.testing.assert_allclose(first, second, atol=2e-2, err_msg=path.name)


@pytest.mark.compiled
def test_a_generator_learns_from_the_reward(capsys):
    pytest.importorskip("torch", reason="torch is not installed")
    spec = importlib.util.spec_from_file_location("motion_reward", EXAMPLES / "motion_reward.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rewards = module.train(steps=5, count=4)
    assert rewards[-1] > rewards[0] + 0.05
    assert re.search(r"^step 0: reward 0\.\d+, .* clips/s, \d+ frames/s$", capsys.readouterr().out, re.MULTILINE)


def test_info_of_each(capsys):
    for name in ("walk.npz", "jump.npz", "walk.bvh", "walk_floating.npz", "walk_skating.npz", "walk_keypoints.npz"):
        assert main(["info", str(EXAMPLES / name)]) == 0
        assert re.search(r"frames +75\n", capsys.readouterr().out), name


def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((EXAMPLES / "quickstart.ipynb").read_text(encoding="utf-8"))
    names: dict = {}
    for number, cell in enumerate(notebook["cells"]):
        assert not cell.get("outputs"), "outputs are not kept in the file"
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    text = capsys.readouterr().out
    totals = {name: float(total) for name, total in re.findall(r"^(\S+\.npz) +total ([\d.]+)", text, re.MULTILINE)}
    assert totals["walk.npz"] > 0.95 > totals["walk_skating.npz"] > totals["walk_floating.npz"]
    assert (tmp_path / "out" / "quickstart.html").stat().st_size > 100_000
    assert isinstance(names["captured"], mjxhuman.Motion)
