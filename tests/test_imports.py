"""What an import may load, and who may import whom."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import mjxhuman

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "jaxlie", "matplotlib", "viser", "brax", "smplx", "imageio")
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(mjxhuman.__path__, "mjxhuman.")
    if not module.name.endswith("__main__")
)


def test_import_is_light():
    code = "import json, sys, mjxhuman; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    assert "mjxhuman" in loaded
    assert not set(HEAVY) & set(loaded)


def test_import_starts_no_backend():
    """Importing must leave room to choose JAX's platform and precision afterwards."""
    code = (
        "import mjxhuman, jax\n"
        "from jax._src import xla_bridge\n"
        "assert not xla_bridge.backends_are_initialized()\n"
        "assert jax.config.jax_compilation_cache_dir is None\n"
        "assert not jax.config.jax_enable_x64\n"
    )
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_and_says_what_it_is(name):
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip(), f"{name} has no docstring"


def test_layers():
    """The contracts of setup.cfg. In a process of its own: the tool takes over the terminal."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
