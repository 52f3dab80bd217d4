"""The built-in clips as training data, and the toy environment of the learning tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mjxhuman.types import Motion

sys.path.insert(0, str(Path(__file__).parents[1] / "learning"))  # toy.py


@pytest.fixture(scope="session")
def motions(humanoid) -> list[Motion]:
    """Walk and jump, at 60 Hz."""
    from mjxhuman.data.builtin import builtin_path
    from mjxhuman.envs.clips import load_clips

    return load_clips([builtin_path("walk"), builtin_path("jump")], humanoid).motions


@pytest.fixture(scope="session")
def library(motions):
    """Both at 30 Hz; the jump three times as often as the walk."""
    from mjxhuman.envs.clips import make_library

    return make_library(motions, 30.0, weights=[1.0, 3.0])
