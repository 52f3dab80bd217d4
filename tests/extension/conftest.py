"""Makes the toy environment of the learning tests importable: a point mass that follows its own moving target."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "learning"))  # toy.py
