"""Makes the toy environment beside the tests importable."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # toy.py; the tests run with --import-mode=importlib
