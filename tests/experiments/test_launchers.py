"""Every launcher loads in a process of its own, says what it is for, and has no other launcher's flags."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAUNCHERS = sorted(p.stem for p in (ROOT / "experiments").glob("*.py") if "app.run(" in p.read_text(encoding="utf-8"))


def test_there_are_launchers():
    assert {"benchmark", "evaluate", "recover_motion", "score_motion", "train_imitation"} <= set(LAUNCHERS)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launcher_loads(name):
    """absl's --help prints the module's docstring and flags, and exits with 1."""
    done = subprocess.run(
        [sys.executable, "-m", f"experiments.{name}", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert f"python -m experiments.{name}" in done.stdout, "the docstring gives no command to copy"
